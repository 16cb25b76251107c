//! Hybrid retrieval of passages from a tenant's documents. One statement finds candidates by full text and by
//! vectors; the code here ranks and merges them.
//!
//! SQL functions: `app.search_chunks`, `app.nearest_chunks`, `app.word_keys`.

mod follow_up;
mod hybrid_search;
mod meaning;
mod merge;
mod places;
mod query;
mod ranking;
mod search;
mod versions;

pub use crate::llm::Passage;
pub use follow_up::standalone_question;
pub use hybrid_search::{MAX_CANDIDATES_PER_SEARCH, all_documents_exist, search};
pub use meaning::{PASSAGES_WITHOUT_MODEL, answer};
pub use query::{HybridQuery, MAX_QUESTION_CHARS, Question};
pub use ranking::content_words;
pub use search::{RetrievalError, SearchRequest, embed_and_search};
