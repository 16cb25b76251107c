//! The log of the whole test process, as a deployment writes it at the finest level, and the texts that must never be in
//! it. Every test plants the secrets that it makes, the texts and names that it sends and the phone numbers of its
//! contacts, and every test fails when one is logged.

mod phones;
mod plants;

use std::{
    collections::{HashMap, HashSet},
    io,
    sync::{LazyLock, Mutex, MutexGuard, Once, PoisonError},
};

use tracing_subscriber::util::SubscriberInitExt;

pub(super) use self::plants::{plant_answer, plant_body, plant_header, plant_raw_body, plant_text};

/// Number of bytes by which a planted text is found.
const WINDOW_BYTES: usize = 8;
/// Minimum length of a text that is searched anywhere in a line. A shorter one without a space would match by chance.
const MIN_TEXT_BYTES: usize = 12;
/// Minimum length of a word that is searched as the whole value of a field.
const MIN_WORD_CHARS: usize = 3;
/// The part of a planted text that is searched, so that a text that was cut before it was logged is found too.
const MAX_SEARCHED_BYTES: usize = 40;
/// The part of the log in which a text is searched that became known only afterwards, such as a secret that the product
/// made.
const RECENT_BYTES: usize = 256 * 1024;

static LOG: LazyLock<Mutex<WatchedLog>> = LazyLock::new(Mutex::default);

#[derive(Default)]
struct WatchedLog {
    /// Planted texts by their first bytes. They are found anywhere in a line.
    texts: HashMap<[u8; WINDOW_BYTES], Vec<String>>,
    /// Planted words. They are found as the whole value of a field, and in quotes.
    words: HashSet<String>,
    /// Planted phone numbers as digits: in every form that names one.
    phones: HashSet<String>,
    /// Planted texts that were logged, each with the line.
    told: Vec<String>,
    /// The end of the log.
    recent: String,
    lines: usize,
}

impl WatchedLog {
    fn lock() -> MutexGuard<'static, Self> {
        LOG.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Plants a text. A short one is left out.
    fn plant(&mut self, text: &str) {
        self.insert(searched_part(text));
    }

    /// Plants a text of a person, which may be one word.
    fn plant_word(&mut self, text: &str) {
        let part = searched_part(text);
        if is_long(part) {
            self.insert(part);
        } else if part.chars().count() >= MIN_WORD_CHARS {
            self.words.insert(part.to_owned());
        }
    }

    /// Plants a text that became known after the lines that may have it.
    fn plant_late(&mut self, text: &str) {
        let part = searched_part(text);
        if self.insert(part) {
            let lines = self.recent.lines().filter(|line| line.contains(part));
            self.told.extend(lines.map(|line| format!("{part:?} in {line}")));
        }
    }

    /// Adds a part to the texts. Returns true when it is long enough and was not there.
    fn insert(&mut self, part: &str) -> bool {
        let Some(window) = part.as_bytes().first_chunk::<WINDOW_BYTES>().filter(|_| is_long(part)) else {
            return false;
        };
        let texts = self.texts.entry(*window).or_default();
        let is_new = !texts.iter().any(|known| known == part);
        if is_new {
            texts.push(part.to_owned());
        }
        is_new
    }

    fn plant_phone(&mut self, phone: &str) {
        self.phones.extend(phones::forms(phone));
    }

    fn read(&mut self, line: &[u8]) {
        self.lines += 1;
        let text = String::from_utf8_lossy(line);
        let text = text.trim_end();
        if let Some(planted) = self.planted_in(text) {
            self.told.push(format!("{planted:?} in {text}"));
        }
        self.recent.push_str(text);
        self.recent.push('\n');
        if self.recent.len() > 2 * RECENT_BYTES {
            let end = self.recent.len() - RECENT_BYTES;
            let line_end = self.recent.as_bytes()[end..].iter().position(|byte| *byte == b'\n');
            self.recent.drain(..=end + line_end.unwrap_or(RECENT_BYTES - 1));
        }
    }

    /// Returns the first planted text that a line has.
    fn planted_in(&self, line: &str) -> Option<String> {
        let text = line.as_bytes().windows(WINDOW_BYTES).enumerate().find_map(|(at, window)| {
            let texts = self.texts.get(window.first_chunk::<WINDOW_BYTES>()?)?;
            texts.iter().find(|text| line.as_bytes()[at..].starts_with(text.as_bytes())).cloned()
        });
        let word = || line.split(['"', '\\']).find(|part| self.words.contains(*part)).map(str::to_owned);
        text.or_else(word).or_else(|| phones::find(line, &self.phones))
    }
}

/// Returns true for a part that is searched anywhere in a line.
fn is_long(part: &str) -> bool {
    part.len() >= MIN_TEXT_BYTES || (part.len() >= WINDOW_BYTES && part.contains(' '))
}

/// Returns the beginning of a text's longest part that a log line has as it is: without quotes, backslashes and control
/// characters, which JSON escapes.
fn searched_part(text: &str) -> &str {
    let is_escaped = |letter: char| letter.is_control() || letter == '"' || letter == '\\';
    let part = text.split(is_escaped).map(str::trim).max_by_key(|part| part.len()).unwrap_or_default();
    let end =
        part.char_indices().map(|(at, letter)| at + letter.len_utf8()).take_while(|end| *end <= MAX_SEARCHED_BYTES);
    &part[..end.last().unwrap_or_default()]
}

/// Writes a line of the log into [`LOG`].
struct LineWriter;

impl io::Write for LineWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        WatchedLog::lock().read(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Plants a secret, or a text that a person wrote.
pub(crate) fn plant(text: &str) {
    WatchedLog::lock().plant(text);
}

/// Plants a phone number in every usual form: with its country's code after `+` or `00`, without either, of one country,
/// with any separators between the digits.
pub(crate) fn plant_phone(phone: &str) {
    WatchedLog::lock().plant_phone(phone);
}

/// Number of lines that were logged until now, of all tests.
pub(crate) fn line_count() -> usize {
    WatchedLog::lock().lines
}

/// The watch of a test over the log. Dropping it fails the test when a planted text was logged.
pub(super) struct LogWatch;

impl LogWatch {
    pub(super) fn start() -> Self {
        static IS_STARTED: Once = Once::new();
        IS_STARTED.call_once(|| {
            shared::logging::subscriber(tracing::Level::TRACE, || LineWriter).init();
        });
        Self
    }
}

impl Drop for LogWatch {
    fn drop(&mut self) {
        let told = std::mem::take(&mut WatchedLog::lock().told);
        if !std::thread::panicking() {
            assert!(told.is_empty(), "the log tells what it must not: {told:#?}");
        }
    }
}

/// Returns what is told of a line by a log with these plants.
#[cfg(test)]
fn told(plant: impl FnOnce(&mut WatchedLog), line: &str) -> Vec<String> {
    let mut log = WatchedLog::default();
    plant(&mut log);
    log.read(line.as_bytes());
    log.told
}

#[test]
fn a_planted_text_is_found_anywhere_in_a_line_and_others_are_not() {
    let plant = |log: &mut WatchedLog| {
        log.plant("le code est 4711");
        log.plant("le code est 4712");
        log.plant("short");
    };
    assert_eq!(told(plant, r#"{"message":"short le code est 4713"}"#), [""; 0]);
    let line = r#"{"message":"cut: le code est 4712"}"#;
    assert_eq!(told(plant, line), [format!(r#""le code est 4712" in {line}"#)]);
}

#[test]
fn a_long_text_is_found_when_it_was_cut_or_escaped() {
    let text = "Combien coûte la livraison à Abidjan, s'il vous plaît, pour un \"sac\" ?";
    for line in [
        format!("{{\"message\":\"{}\"}}", &text[..60]),
        serde_json::json!({ "text": text }).to_string(),
        serde_json::json!({ "text": format!("{text:?}") }).to_string(),
    ] {
        assert_eq!(told(|log| log.plant(text), &line).len(), 1, "{line}");
    }
}

#[test]
fn a_word_of_a_person_is_found_as_the_value_of_a_field_only() {
    let plant = |log: &mut WatchedLog| log.plant_word("Bonjour");
    for line in [r#"{"text":"Bonjour"}"#, r#"{"text":"Some(\"Bonjour\")"}"#] {
        assert_eq!(told(plant, line).len(), 1, "{line}");
    }
    assert_eq!(told(plant, r#"{"message":"Bonjour is a greeting"}"#), [""; 0]);
}

#[test]
fn a_text_that_becomes_known_later_is_found_in_the_lines_before() {
    let mut log = WatchedLog::default();
    let secret = |number: u32| format!("whsec_{number:08}_made_by_the_product_and_shown_once");
    for number in 0..10_000 {
        log.read(format!("{{\"message\":\"line {number}\",\"secret\":\"{}\"}}", secret(number)).as_bytes());
    }
    log.plant_late(&secret(9_999));
    assert_eq!(log.told.len(), 1);
    assert!(log.recent.len() <= 2 * RECENT_BYTES && log.recent.starts_with('{'), "{}", log.recent.len());
}
