//! RAG: an answer from the tenant's documents, with the file and the page.

use std::collections::BTreeSet;

use serde_json::json;
use shared::{
    llm::{self, Call, Style},
    retrieval::{self, FindError, Passage, Wanted},
};
use tokio::time::timeout_at;

use crate::{
    Deps,
    reply::{Ask, NoThought, Thought},
    wording,
};

/// Passages that a model is shown.
const PASSAGES: i64 = 6;
/// Places named below an answer.
const MOST_PLACES: usize = 3;

impl Deps {
    pub(crate) async fn answer_from_documents(
        &self,
        ask: &Ask<'_>,
        calls: &mut Vec<Call>,
    ) -> Result<Thought, NoThought> {
        let passages = self.passages(ask, PASSAGES).await?;
        let assistant = &ask.lease.assistant;
        let answered = self
            .provider
            .answer(&llm::Ask {
                question: ask.said,
                standalone: &ask.standalone,
                history: ask.history,
                language: ask.language,
                instructions: assistant.prompt_rag.as_deref(),
                assistant: &assistant.name,
                company: &assistant.company,
                style: Style::WhatsApp,
                passages: &passages,
                deadline: ask.deadline,
            })
            .await;
        calls.extend(answered.calls);
        let completion = answered.outcome?;
        let Some(text) = completion.answer else {
            return Ok(Thought {
                text: wording::not_in_the_documents(ask.language).to_owned(),
                citations: Some(json!([])),
                answered: false,
                model: completion.model,
                usage: completion.usage,
                draft: None,
                hands_over: false,
            });
        };
        // Without a model the answer is the quotes; where they stand is said below, as for a model's.
        let mut text = if self.provider.is_a_model() {
            text
        } else {
            completion.sources.iter().map(|source| source.quote.as_str()).collect::<Vec<_>>().join("\n\n")
        };
        let cited: Vec<_> = completion
            .sources
            .iter()
            .filter_map(|source| Some((passages.get(source.passage)?, source.quote.as_str())))
            .collect();
        if assistant.shows_sources {
            let mut seen = BTreeSet::new();
            let places = cited.iter().map(|(passage, _)| (passage.filename.clone(), passage.page_start));
            let places: Vec<_> = places.filter(|place| seen.insert(place.clone())).take(MOST_PLACES).collect();
            if !places.is_empty() {
                text = format!("{text}\n\n{}", wording::sources(&places, ask.language));
            }
        }
        let citations: Vec<_> = cited
            .iter()
            .map(|(passage, quote)| {
                json!({
                    "document_id": passage.document_id,
                    "filename": passage.filename,
                    "page": passage.page_start,
                    "snippet": quote,
                    "score": passage.score,
                })
            })
            .collect();
        Ok(Thought {
            text,
            citations: Some(citations.into()),
            answered: true,
            model: completion.model,
            usage: completion.usage,
            draft: None,
            hands_over: false,
        })
    }

    /// What the documents have on what was said, and on what that goes on from.
    pub(crate) async fn passages(&self, ask: &Ask<'_>, most: i64) -> Result<Vec<Passage>, NoThought> {
        let wanted =
            Wanted { question: ask.said, standalone: &ask.standalone, language: ask.language, documents: None, most };
        let found = timeout_at(ask.deadline, retrieval::find(&self.db, &self.embedders, ask.tenant, &wanted)).await;
        found.map_err(|elapsed| NoThought::Model(elapsed.into()))?.map_err(|error| match error {
            FindError::Embedding(error) => NoThought::Model(error.into()),
            FindError::Database(error) => NoThought::Other(error),
        })
    }
}
