//! What a model says while it says it, as far as it may be shown already: without thoughts, the word of a refusal, the
//! boundary, and markers that were invented. What may still become one of those is held back until it is known.

use tokio::sync::mpsc;

use super::{
    chain,
    citations::{self, Bracket},
    prompt::NOT_IN_DOCUMENTS,
    transport::Failure,
};

const THINK: &str = "<think>";
const THOUGHT: &str = "</think>";

/// Somebody who hears an answer while it is made.
#[derive(Debug)]
pub(super) struct Listener<'a> {
    deltas: mpsc::Sender<String>,
    boundary: &'a str,
    /// How many passages the model was given.
    passages: usize,
    filter: Filter<'a>,
    has_heard: bool,
}

impl<'a> Listener<'a> {
    pub(super) fn new(deltas: mpsc::Sender<String>, boundary: &'a str, passages: usize) -> Self {
        Self { deltas, boundary, passages, filter: Filter::new(boundary, passages), has_heard: false }
    }

    /// Whether anything was shown: from then on, nobody else can answer.
    pub(super) fn has_heard(&self) -> bool {
        self.has_heard
    }

    /// Another model, or the same one, begins anew.
    pub(super) fn begin(&mut self) {
        self.filter = Filter::new(self.boundary, self.passages);
    }

    /// Shows what may be shown after this piece.
    ///
    /// # Errors
    /// [`Failure::Abandoned`] when nobody listens any more.
    pub(super) async fn hear(&mut self, piece: &str) -> Result<(), Failure> {
        let shown = self.filter.push(piece);
        self.show(shown).await
    }

    /// Shows what was held back: nothing follows it.
    ///
    /// # Errors
    /// As [`Listener::hear`].
    pub(super) async fn end(&mut self) -> Result<(), Failure> {
        let shown = self.filter.finish();
        self.show(shown).await
    }

    /// Waits until nobody listens any more.
    pub(super) async fn gone(deltas: &mpsc::Sender<String>) -> Failure {
        deltas.closed().await;
        Failure::Abandoned
    }

    /// To watch, while the rest is in use.
    pub(super) fn deltas(&self) -> mpsc::Sender<String> {
        self.deltas.clone()
    }

    async fn show(&mut self, text: String) -> Result<(), Failure> {
        if text.is_empty() {
            return Ok(());
        }
        self.has_heard = true;
        self.deltas.send(text).await.map_err(|_gone| Failure::Abandoned)
    }
}

/// Where in an answer it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Before anything that counts.
    Beginning,
    /// Between `<think>` and `</think>`.
    Thoughts,
    /// After them, before anything that counts.
    AfterThoughts,
    /// In the answer.
    Answer,
    /// In what follows a refusal: none of it is shown.
    Refusal,
}

/// Takes pieces as they come, and gives what may be shown. All that it gave together is what `citations::check` shows of
/// the whole text.
#[derive(Debug)]
struct Filter<'a> {
    boundary: &'a str,
    passages: usize,
    place: Place,
    /// What came and is not decided yet.
    pending: String,
    /// White space before it, which an invented marker takes along, and the end of the answer too.
    space: String,
    has_shown: bool,
}

impl<'a> Filter<'a> {
    fn new(boundary: &'a str, passages: usize) -> Self {
        Self {
            boundary,
            passages,
            place: Place::Beginning,
            pending: String::new(),
            space: String::new(),
            has_shown: false,
        }
    }

    fn push(&mut self, piece: &str) -> String {
        self.pending.extend(piece.chars().filter(|char| chain::is_visible(*char)));
        self.go_on(false)
    }

    fn finish(&mut self) -> String {
        self.go_on(true)
    }

    fn go_on(&mut self, is_over: bool) -> String {
        loop {
            match self.place {
                Place::Beginning | Place::AfterThoughts => {
                    let begun = self.pending.trim_start();
                    if self.place == Place::Beginning && !begun.is_empty() {
                        if let Some(thoughts) = begun.strip_prefix(THINK) {
                            self.pending = thoughts.to_owned();
                            self.place = Place::Thoughts;
                            continue;
                        }
                        if !is_over && THINK.starts_with(begun) {
                            return String::new();
                        }
                    }
                    let without = begun.replace(self.boundary, "");
                    let word = without.trim_start_matches(|char: char| !char.is_alphanumeric());
                    if word.starts_with(NOT_IN_DOCUMENTS) {
                        self.place = Place::Refusal;
                    } else if !is_over && NOT_IN_DOCUMENTS.starts_with(word) {
                        return String::new();
                    } else {
                        self.pending = begun.to_owned();
                        self.place = Place::Answer;
                    }
                }
                Place::Thoughts => match self.pending.split_once(THOUGHT) {
                    Some((_, after)) => {
                        self.pending = after.to_owned();
                        self.place = Place::AfterThoughts;
                    }
                    None => return String::new(),
                },
                Place::Answer => return self.decide(is_over),
                Place::Refusal => {
                    self.pending.clear();
                    return String::new();
                }
            }
        }
    }

    /// Moves what is decided out of what is pending.
    fn decide(&mut self, is_over: bool) -> String {
        let pending = self.pending.replace(self.boundary, "").replace(NOT_IN_DOCUMENTS, "");
        let mut shown = std::mem::take(&mut self.space);
        let mut rest = pending.as_str();
        while let Some(first) = rest.chars().next() {
            let width = first.len_utf8();
            let may_be = |word: &str| !is_over && word.starts_with(rest);
            if may_be(NOT_IN_DOCUMENTS) || may_be(self.boundary) {
                break;
            }
            if !matches!(first, '[' | '【') {
                shown.push(first);
                rest = &rest[width..];
                continue;
            }
            match citations::bracket(rest) {
                Bracket::Marker(numbers, after) => {
                    let known: String = numbers
                        .into_iter()
                        .filter(|number| (1..=self.passages).contains(number))
                        .map(|number| format!("[{number}]"))
                        .collect();
                    if known.is_empty() {
                        shown.truncate(shown.trim_end_matches(' ').len());
                    }
                    shown.push_str(&known);
                    rest = after;
                }
                Bracket::Open if !is_over => break,
                Bracket::Open if citations::breaks_off(rest) => rest = "",
                Bracket::Open | Bracket::Text => {
                    shown.push(first);
                    rest = &rest[width..];
                }
            }
        }
        self.pending = rest.to_owned();
        self.space = shown.split_off(shown.trim_end().len());
        if self.has_shown {
            return shown;
        }
        self.has_shown = !shown.is_empty();
        shown.trim_start().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDARY: &str = "§0123456789ab";

    fn heard(pieces: &[&str]) -> String {
        let mut filter = Filter::new(BOUNDARY, 3);
        let mut shown: String = pieces.iter().map(|piece| filter.push(piece)).collect();
        shown.push_str(&filter.finish());
        shown
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
    fn what_is_shown_does_not_depend_on_how_it_came() {
        for (said, expected) in ANSWERS {
            assert_eq!(heard(&[said]), expected, "{said}");
            let places: Vec<_> = said.char_indices().map(|(at, _)| at).collect();
            for &one in &places {
                for &other in places.iter().filter(|other| **other >= one) {
                    let pieces = [&said[..one], &said[one..other], &said[other..]];
                    assert_eq!(heard(&pieces), expected, "{pieces:?}");
                }
            }
            let letters: Vec<_> = said.char_indices().map(|(at, char)| &said[at..at + char.len_utf8()]).collect();
            assert_eq!(heard(&letters), expected, "{letters:?}");
        }
    }

    #[test]
    fn only_what_may_still_change_is_held_back() {
        let mut filter = Filter::new(BOUNDARY, 3);
        let pieces = ["T", "wo days", " ", "[", "1", "]", " or [", "9] three.", " N", "o."];
        let shown = pieces.map(|piece| filter.push(piece));
        assert_eq!(shown, ["T", "wo days", "", "", "", " [1]", " or", " three.", "", " No."]);
        assert_eq!(filter.finish(), "");
    }
}
