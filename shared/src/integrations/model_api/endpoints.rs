//! Addresses and keys that language models and embeddings share.

use http::HeaderValue;

/// The setting of Gemini's base URL and its default; also used for embeddings.
pub(crate) const GEMINI_BASE_URL: (&str, &str) =
    ("GEMINI_BASE_URL", "https://generativelanguage.googleapis.com/v1beta");
/// The setting of OpenAI's base URL and its default; also used for embeddings. OpenAI's API at the default URL limits
/// a reply by `max_completion_tokens`; compatible servers at other URLs use `max_tokens`.
pub(crate) const OPENAI_BASE_URL: (&str, &str) = ("OPENAI_BASE_URL", "https://api.openai.com/v1");

/// A header value hidden from `Debug`; `None` when `text` is not a valid header value.
pub(crate) fn sensitive_header_value(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::try_from(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}
