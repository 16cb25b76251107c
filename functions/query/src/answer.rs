//! From the question to the answer: embed, search, ask the provider, cite.

use std::time::Duration;

use axum::http::StatusCode;
use shared::{
    error::{ApiError, Result},
    llm::{self, Call, LlmError, Style},
    quota::Quota,
    retrieval::{self, Search},
    text::{self, Language},
};
use tokio::time::Instant;
use uuid::Uuid;

use crate::{Answer, Ask, Citation, DEFAULT_PASSAGES, Deps};

/// Of the deadline, for what comes after the model.
const ROOM: Duration = Duration::from_millis(500);
/// What the assistant is called when nobody gave it another name.
const ASSISTANT: &str = "Lisa";

impl Deps {
    /// Answers before the deadline; the quota is what is left after it. The calls of models are noted as they come, since
    /// those that failed cost too.
    pub(crate) async fn answer(
        &self,
        tenant: Uuid,
        ask: &Ask,
        quota: Quota,
        deadline: Instant,
        calls: &mut Vec<Call>,
    ) -> Result<Answer> {
        let question = ask.question.as_str();
        let language = text::detect_language(question);
        let embedding =
            self.embedder.embed_query(question).await.map_err(|error| ApiError::unavailable().because(error))?;
        let search = Search {
            question,
            language,
            embedding: &embedding,
            model: self.embedder.model(),
            documents: ask.document_ids.as_deref(),
            most: ask.top_k.unwrap_or(DEFAULT_PASSAGES).into(),
        };
        let passages =
            self.db.tenant(tenant, async |tx| Ok::<_, ApiError>(retrieval::search(tx, &search).await?)).await?;
        let asked = llm::Ask {
            question,
            history: &[],
            language,
            instructions: None,
            assistant: ASSISTANT,
            company: "this company",
            style: Style::Plain,
            passages: &passages,
            deadline: deadline - ROOM,
        };
        let answered = self.provider.answer(&asked).await;
        calls.extend(answered.calls);
        let completion = answered.outcome.map_err(refused)?;
        let citations = completion
            .sources
            .into_iter()
            .filter_map(|source| {
                let passage = passages.get(source.passage)?;
                Some(Citation {
                    document_id: passage.document_id,
                    filename: passage.filename.clone(),
                    page: passage.page_start,
                    snippet: source.quote,
                    score: passage.score,
                })
            })
            .collect();
        let answered = completion.answer.is_some();
        Ok(Answer {
            answer: completion.answer.unwrap_or_else(|| not_in_the_documents(language).to_owned()),
            citations,
            answered,
            model: completion.model,
            usage: completion.usage,
            quota,
            conversation_id: None,
        })
    }
}

/// A model that declined would decline again; everything else may pass.
fn refused(error: LlmError) -> ApiError {
    match error {
        LlmError::Blocked(_) => ApiError::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "answer_blocked",
            "the model declined to answer this question",
        ),
        LlmError::NoModel | LlmError::Failed(_) => ApiError::unavailable(),
    }
    .because(error)
}

fn not_in_the_documents(language: Language) -> &'static str {
    match language {
        Language::French => "Je n'ai pas trouvé la réponse dans les documents. Pouvez-vous préciser votre question ?",
        _ => "I could not find the answer in the documents. Could you be more specific?",
    }
}
