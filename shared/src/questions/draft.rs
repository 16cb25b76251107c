//! An answer before it is written: from a model, from the tenant, or the polite sentence where nobody answered.

use uuid::Uuid;

use super::{Answer, Ask, Citation, Found};
use crate::{
    approved_answers::{self, ApprovedAnswer},
    conversations::api::{self, Exchange},
    db::TenantTx,
    error::{ApiError, Result},
    llm::{Call, Completion, Style, Usage},
    quota::Quota,
    text::Language,
    usage::{self, Used},
};

/// Who answered, where no model did.
const NOBODY: &str = "none";

/// An answer that is not written yet.
#[derive(Debug)]
pub struct Draft {
    text: String,
    citations: Vec<Citation>,
    answered: bool,
    model: String,
    usage: Usage,
    language: Language,
    /// Whether it only says that no model answered: it costs nothing, and is not kept.
    is_excuse: bool,
}

impl Draft {
    /// The answer that a completion makes of what was found, its citations under the numbers that its markers have.
    pub(super) fn of(completion: Completion, found: &Found, style: Style) -> Self {
        let listed = (1..).zip(completion.sources);
        let citations = listed.filter_map(|(place, source)| {
            let number = if style == Style::AsGiven { source.passage + 1 } else { place };
            Some(Citation::new(number, found.passages.get(source.passage)?, source.quote))
        });
        let citations = citations.collect();
        let answered = completion.answer.is_some();
        Self {
            text: completion.answer.unwrap_or_else(|| not_in_the_documents(found.language).to_owned()),
            citations,
            answered,
            model: completion.model,
            usage: completion.usage,
            language: found.language,
            is_excuse: false,
        }
    }

    /// What is said.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What is said where no model answered, or where it declined.
    pub(super) fn excuse(is_declined: bool, language: Language) -> Self {
        let text = match (is_declined, language) {
            (true, Language::French) => "Désolé, je ne peux pas répondre à cette question.",
            (true, _) => "Sorry, I cannot answer this question.",
            (false, Language::French) => {
                "Désolé, je n’arrive pas à répondre pour le moment. Merci de réessayer un peu plus tard."
            }
            (false, _) => "Sorry, I cannot answer right now. Please try again a little later.",
        };
        Self {
            text: text.to_owned(),
            citations: Vec::new(),
            answered: false,
            model: NOBODY.to_owned(),
            usage: Usage::default(),
            language,
            is_excuse: true,
        }
    }

    pub(super) fn approved(approved: &ApprovedAnswer, language: Language) -> Self {
        Self {
            text: approved.answer.clone(),
            citations: Vec::new(),
            answered: true,
            model: approved_answers::MODEL.to_owned(),
            usage: Usage::default(),
            language,
            is_excuse: false,
        }
    }

    /// Keeps it in its conversation, of which it says the id, and counts it in the tenant's day.
    pub(super) async fn keep(
        self,
        tx: &mut TenantTx,
        user: Uuid,
        ask: &Ask,
        calls: &[Call],
        quota: Quota,
    ) -> Result<Answer> {
        let (conversation, is_first) = match ask.conversation_id {
            Some(conversation) => (conversation, usage::is_first_today(tx, conversation).await?),
            None => (api::begin(tx, user, self.language).await?, true),
        };
        let used = Used { conversations: i32::from(is_first), messages: 2, requests: 1, ..Used::default() };
        usage::add(tx, &used.with(calls)).await?;
        let exchange = Exchange {
            user,
            question: ask.question.as_str(),
            answer: &self.text,
            citations: serde_json::to_value(&self.citations).map_err(|error| ApiError::internal().because(error))?,
            answered: self.answered,
            model: &self.model,
            usage: self.usage,
        };
        api::record(tx, conversation, &exchange).await?;
        Ok(self.answer(quota, Some(conversation)))
    }

    /// As it is told.
    pub(super) fn answer(self, quota: Quota, conversation_id: Option<Uuid>) -> Answer {
        Answer {
            answer: self.text,
            citations: self.citations,
            answered: self.answered,
            model: self.model,
            usage: self.usage,
            quota,
            conversation_id,
        }
    }

    /// What it rests on.
    pub(super) fn citations(&self) -> &[Citation] {
        &self.citations
    }

    /// Whether it only says that no model answered: it costs nothing, and is not kept.
    pub(super) fn is_excuse(&self) -> bool {
        self.is_excuse
    }
}

fn not_in_the_documents(language: Language) -> &'static str {
    match language {
        Language::French => "Je n'ai pas trouvé la réponse dans les documents. Pouvez-vous préciser votre question ?",
        _ => "I could not find the answer in the documents. Could you be more specific?",
    }
}
