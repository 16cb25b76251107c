//! Streaming of an answer while the model writes it. Removed from the stream are thinking text, the refusal word, the
//! delimiter nonce and invented citation markers. Text that may still become one of these is held back until it is
//! decided.

use tokio::sync::mpsc;

use super::{
    citations::{self, Bracket},
    prompt::NOT_IN_DOCUMENTS,
    types::is_visible,
};
use crate::model_api::ProviderError;

const THINK_OPEN: &str = "<think>";
const THINK_CLOSE: &str = "</think>";

/// The receiver of a streamed answer: filters the model's text and sends it to a channel.
#[derive(Debug)]
pub(super) struct DeltaSink<'a> {
    deltas: mpsc::Sender<String>,
    nonce: &'a str,
    /// Number of passages in the prompt.
    passages: usize,
    filter: DeltaFilter<'a>,
    has_sent: bool,
}

impl<'a> DeltaSink<'a> {
    pub(super) fn new(deltas: mpsc::Sender<String>, nonce: &'a str, passages: usize) -> Self {
        Self { deltas, nonce, passages, filter: DeltaFilter::new(nonce, passages), has_sent: false }
    }

    /// True when text was sent. From then on no other model can answer.
    pub(super) fn has_sent(&self) -> bool {
        self.has_sent
    }

    /// Resets the filter before another call, to the same model or another one.
    pub(super) fn restart(&mut self) {
        self.filter = DeltaFilter::new(self.nonce, self.passages);
    }

    /// Adds a piece of the model's text and sends the text that is decided by now.
    ///
    /// # Errors
    /// Returns [`ProviderError::Abandoned`] when the channel's receiver is closed.
    pub(super) async fn push(&mut self, piece: &str) -> Result<(), ProviderError> {
        let decided = self.filter.push(piece);
        self.send(decided).await
    }

    /// Sends the text held back, at the end of the model's text.
    ///
    /// # Errors
    /// Returns [`ProviderError::Abandoned`] when the channel's receiver is closed.
    pub(super) async fn finish(&mut self) -> Result<(), ProviderError> {
        let decided = self.filter.finish();
        self.send(decided).await
    }

    /// Waits until the channel's receiver is closed, and returns [`ProviderError::Abandoned`].
    pub(super) async fn wait_for_disconnect(deltas: &mpsc::Sender<String>) -> ProviderError {
        deltas.closed().await;
        ProviderError::Abandoned
    }

    /// Clones the channel's sender, to watch for its closing while `self` is borrowed.
    pub(super) fn sender(&self) -> mpsc::Sender<String> {
        self.deltas.clone()
    }

    async fn send(&mut self, text: String) -> Result<(), ProviderError> {
        if text.is_empty() {
            return Ok(());
        }
        self.has_sent = true;
        self.deltas.send(text).await.map_err(|_closed| ProviderError::Abandoned)
    }
}

/// The part of the model's text that a [`DeltaFilter`] is reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FilterState {
    /// Before the first character that is not white space.
    Start,
    /// Between `<think>` and `</think>`.
    Thinking,
    /// After `</think>`, before the first character of the answer.
    AfterThinking,
    /// Inside the answer.
    Answer,
    /// After the refusal word; all of this text is dropped.
    Refusal,
}

/// A filter of streamed text. Takes pieces of any size and returns the text that is decided by now. The returned
/// pieces joined together equal the text that `citations::verify` returns for the whole.
#[derive(Debug)]
struct DeltaFilter<'a> {
    nonce: &'a str,
    passages: usize,
    state: FilterState,
    /// Text received and not decided yet.
    pending: String,
    /// White space before `pending`. Dropped when an invented marker or the end of the answer follows.
    space: String,
    /// True when text was returned; until then, leading white space is trimmed.
    has_output: bool,
}

impl<'a> DeltaFilter<'a> {
    fn new(nonce: &'a str, passages: usize) -> Self {
        Self {
            nonce,
            passages,
            state: FilterState::Start,
            pending: String::new(),
            space: String::new(),
            has_output: false,
        }
    }

    /// Adds a piece and returns the text that is decided by now.
    fn push(&mut self, piece: &str) -> String {
        self.pending.extend(piece.chars().filter(|char| is_visible(*char)));
        self.advance(false)
    }

    /// Returns the text held back, at the end of the model's text.
    fn finish(&mut self) -> String {
        self.advance(true)
    }

    fn advance(&mut self, is_end: bool) -> String {
        loop {
            match self.state {
                FilterState::Start | FilterState::AfterThinking => {
                    let trimmed = self.pending.trim_start();
                    if self.state == FilterState::Start && !trimmed.is_empty() {
                        if let Some(thoughts) = trimmed.strip_prefix(THINK_OPEN) {
                            self.pending = thoughts.to_owned();
                            self.state = FilterState::Thinking;
                            continue;
                        }
                        if !is_end && THINK_OPEN.starts_with(trimmed) {
                            return String::new();
                        }
                    }
                    let without_nonce = trimmed.replace(self.nonce, "");
                    let word = without_nonce.trim_start_matches(|char: char| !char.is_alphanumeric());
                    if word.starts_with(NOT_IN_DOCUMENTS) {
                        self.state = FilterState::Refusal;
                    } else if !is_end && NOT_IN_DOCUMENTS.starts_with(word) {
                        return String::new();
                    } else {
                        self.pending = trimmed.to_owned();
                        self.state = FilterState::Answer;
                    }
                }
                FilterState::Thinking => match self.pending.split_once(THINK_CLOSE) {
                    Some((_, after)) => {
                        self.pending = after.to_owned();
                        self.state = FilterState::AfterThinking;
                    }
                    None => return String::new(),
                },
                FilterState::Answer => return self.drain_decided(is_end),
                FilterState::Refusal => {
                    self.pending.clear();
                    return String::new();
                }
            }
        }
    }

    /// Removes the decided text from `pending` and returns it.
    fn drain_decided(&mut self, is_end: bool) -> String {
        let pending = self.pending.replace(self.nonce, "").replace(NOT_IN_DOCUMENTS, "");
        let mut decided = std::mem::take(&mut self.space);
        let mut rest = pending.as_str();
        while let Some(first) = rest.chars().next() {
            let width = first.len_utf8();
            let may_become = |word: &str| !is_end && word.starts_with(rest);
            if may_become(NOT_IN_DOCUMENTS) || may_become(self.nonce) {
                break;
            }
            if !matches!(first, '[' | '【') {
                decided.push(first);
                rest = &rest[width..];
                continue;
            }
            match citations::parse_bracket(rest) {
                Bracket::Marker(numbers, after) => {
                    let valid_markers: String = numbers
                        .into_iter()
                        .filter(|number| (1..=self.passages).contains(number))
                        .map(|number| format!("[{number}]"))
                        .collect();
                    if valid_markers.is_empty() {
                        decided.truncate(decided.trim_end_matches(' ').len());
                    }
                    decided.push_str(&valid_markers);
                    rest = after;
                }
                Bracket::Incomplete if !is_end => break,
                Bracket::Incomplete if citations::is_incomplete_marker(rest) => rest = "",
                Bracket::Incomplete | Bracket::Text => {
                    decided.push(first);
                    rest = &rest[width..];
                }
            }
        }
        self.pending = rest.to_owned();
        self.space = decided.split_off(decided.trim_end().len());
        if self.has_output {
            return decided;
        }
        self.has_output = !decided.is_empty();
        decided.trim_start().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONCE: &str = "§0123456789ab";

    fn filtered(pieces: &[&str]) -> String {
        let mut filter = DeltaFilter::new(NONCE, 3);
        let mut output: String = pieces.iter().map(|piece| filter.push(piece)).collect();
        output.push_str(&filter.finish());
        output
    }

    const ANSWERS: [(&str, &str); 17] = [
        ("It takes three days [1].", "It takes three days [1]."),
        ("Three days [1][9]. Or [7] two [2, 3].", "Three days [1]. Or two [2][3]."),
        ("Three days 【2†source】, [^3] or [passage 1].", "Three days [2], [3] or [1]."),
        ("Deux [ou trois] jours [2]. [Voir [9]]", "Deux [ou trois] jours [2]. [Voir]"),
        ("NOT_IN_DOCUMENTS", ""),
        ("**NOT_IN_DOCUMENTS**: [1] nothing", ""),
        ("Nothing [1]. NOT_IN_DOCUMENTS", "Nothing [1]."),
        ("No [1]. NOT_ALL", "No [1]. NOT_ALL"),
        ("<think>Hm [9].\n</think>\n\nTwo days [1].\n", "Two days [1]."),
        ("<think>NOT_IN_DOCUMENTS</think>NOT_IN_DOCUMENTS", ""),
        ("<think>It never ended", ""),
        ("§0123456789ab end\u{0} Two §0123 days.", "end Two §0123 days."),
        ("It broke off [1", "It broke off"),
        ("It broke off [source 1, ", "It broke off"),
        ("It broke off [sour", "It broke off [sour"),
        ("  [2] says so\n\n", "[2] says so"),
        ("[9] So it is [1].", "So it is [1]."),
    ];

    #[test]
    fn filtered_text_is_independent_of_how_it_is_split_into_pieces() {
        for (text, expected) in ANSWERS {
            assert_eq!(filtered(&[text]), expected, "{text}");
            let places: Vec<_> = text.char_indices().map(|(at, _)| at).collect();
            for &one in &places {
                for &other in places.iter().filter(|other| **other >= one) {
                    let pieces = [&text[..one], &text[one..other], &text[other..]];
                    assert_eq!(filtered(&pieces), expected, "{pieces:?}");
                }
            }
            let letters: Vec<_> = text.char_indices().map(|(at, char)| &text[at..at + char.len_utf8()]).collect();
            assert_eq!(filtered(&letters), expected, "{letters:?}");
        }
    }

    #[test]
    fn only_undecided_text_is_held_back() {
        let mut filter = DeltaFilter::new(NONCE, 3);
        let pieces = ["T", "wo days", " ", "[", "1", "]", " or [", "9] three.", " N", "o."];
        let output = pieces.map(|piece| filter.push(piece));
        assert_eq!(output, ["T", "wo days", "", "", "", " [1]", " or", " three.", "", " No."]);
        assert_eq!(filter.finish(), "");
    }
}
