//! Mode RAG: answers from the tenant's documents, with the file and the page.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use shared::{
    customer_texts,
    llm::{self, AnswerStyle, ModelCall},
    retrieval::{self, Passage, RetrievalError, SearchRequest},
    text::{self, Language},
};
use tokio::time::timeout_at;

use crate::{
    Deps,
    generation::{GeneratedReply, ReplyError, ReplyRequest},
};

/// Passages in the model's prompt.
const MAX_PASSAGES: i64 = 6;
/// Sources listed below an answer.
const MAX_SOURCES: usize = 3;

impl Deps {
    /// Answers the pending messages from the documents. Appends the model calls made to `calls`, also when it fails.
    pub(crate) async fn answer_from_documents(
        &self,
        request: &ReplyRequest<'_>,
        calls: &mut Vec<ModelCall>,
    ) -> Result<GeneratedReply, ReplyError> {
        let most = if self.provider.has_model() { MAX_PASSAGES } else { retrieval::PASSAGES_WITHOUT_MODEL.into() };
        let passages = self.retrieve_passages(request, most, calls).await?;
        let assistant = &request.lease.assistant;
        let question = llm::GroundedQuestion {
            text: request.question,
            standalone: &request.standalone,
            history: request.history,
            language: request.language,
            instructions: assistant.prompt_rag.as_deref(),
            assistant: &assistant.identity.assistant,
            company: &assistant.identity.company,
            style: AnswerStyle::WhatsApp,
            passages: &passages,
            deadline: request.deadline,
        };
        let result = retrieval::answer(&self.provider, self.embedders.current(), &question, None).await;
        calls.extend(result.calls);
        let completion = result.outcome?;
        let Some(text) = completion.answer else {
            return Ok(GeneratedReply {
                text: customer_texts::not_in_the_documents(&assistant.identity, request.language),
                citations: Some(json!([])),
                answered: false,
                model: completion.model,
                usage: completion.usage,
                draft: None,
                hands_over: false,
            });
        };
        // Without a model the answer consists of the quotes; their sources are appended below, as for a model's
        // answer.
        let mut text = if self.provider.has_model() {
            text
        } else {
            completion.sources.iter().map(|source| source.quote.as_str()).collect::<Vec<_>>().join("\n\n")
        };
        let cited: Vec<_> = completion
            .sources
            .iter()
            .filter_map(|source| Some((passages.get(source.passage)?, source.quote.as_str())))
            .collect();
        if assistant.shows_sources
            && let Some(sources) = list_sources(&cited, request.language)
        {
            text = format!("{text}\n\n{sources}");
        }
        Ok(GeneratedReply {
            text,
            citations: Some(citations(&cited, request.language)),
            answered: true,
            model: completion.model,
            usage: completion.usage,
            draft: None,
            hands_over: false,
        })
    }

    /// Retrieves passages for the pending messages, using the standalone question; at most `most` passages. Appends the
    /// calls of embedding models to `calls`.
    pub(crate) async fn retrieve_passages(
        &self,
        request: &ReplyRequest<'_>,
        most: i64,
        calls: &mut Vec<ModelCall>,
    ) -> Result<Vec<Passage>, ReplyError> {
        let search = SearchRequest {
            question: request.question,
            standalone: &request.standalone,
            // Of the question alone: a short one does not change the conversation's.
            language: text::detect_message_language(request.question).unwrap_or(request.language),
            documents: None,
            limit: most,
        };
        let found = timeout_at(
            request.deadline,
            retrieval::embed_and_search(&self.db, &self.embedders, request.tenant, &search, calls),
        )
        .await;
        found.map_err(|elapsed| ReplyError::Model(elapsed.into()))?.map_err(|error| match error {
            RetrievalError::Embedding(error) => ReplyError::Model(error.into()),
            RetrievalError::Database(error) => ReplyError::Other(error),
        })
    }
}

/// Returns the line that lists documents and pages below an answer; `None` without a source.
fn list_sources(cited: &[(&Passage, &str)], language: Language) -> Option<String> {
    let mut seen = BTreeSet::new();
    let sources = cited.iter().map(|(passage, quote)| passage.source(quote, language));
    let sources: Vec<_> = sources.filter(|source| seen.insert(source.clone())).take(MAX_SOURCES).collect();
    (!sources.is_empty()).then(|| customer_texts::sources(&sources, language))
}

/// Returns the citations of an answer as they are stored with its message.
fn citations(cited: &[(&Passage, &str)], language: Language) -> Value {
    let citations = cited.iter().map(|(passage, quote)| {
        json!({
            "document_id": passage.document_id,
            "filename": passage.filename,
            "version": passage.version.map(|version| version.label(language)),
            "page": passage.page(),
            "location": passage.location(quote, language),
            "snippet": quote,
            "score": passage.score,
        })
    });
    citations.collect()
}
