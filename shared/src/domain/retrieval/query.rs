//! A question, and the search request that is built from it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{input, text::Language};

/// Maximum length of a question, in characters.
pub const MAX_QUESTION_CHARS: usize = 10_000;

/// A question of 1 to 10,000 characters.
#[derive(Debug, Clone, Deserialize, Serialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(value_type = String, min_length = 1, max_length = 10_000, example = "What does delivery cost?")]
pub struct Question(String);

impl TryFrom<String> for Question {
    type Error = input::UnusableText;

    fn try_from(text: String) -> Result<Self, input::UnusableText> {
        input::several_lines(&text, 1, MAX_QUESTION_CHARS).map(Self)
    }
}

impl Question {
    /// Returns the text of the question.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A search by full text and by the vector of one model.
#[derive(Debug)]
pub struct HybridQuery<'a> {
    /// The question as the user asked it.
    pub question: &'a str,
    /// The standalone question ([`super::follow_up::standalone_question`]), which is searched for.
    pub standalone: &'a str,
    /// Language of the question.
    pub language: Language,
    /// Vector of the standalone question, of the model's number of dimensions.
    pub embedding: &'a [f32],
    /// Stored name of the model that made the vector. Chunks of other models are not searched.
    pub model: &'a str,
    /// Weight of vector similarity in the fused score, where full-text rank and n-gram BM25 weigh 1 each.
    pub vector_weight: f64,
    /// Documents to search; `None` for all.
    pub documents: Option<&'a [Uuid]>,
    /// Most passages to return.
    pub limit: i64,
}
