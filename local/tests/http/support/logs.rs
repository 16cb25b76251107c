//! The log of the whole test process, as a deployment writes it at the finest level, and the texts that must never be in
//! it. Every test plants the secrets that it makes and the texts that it sends, and every test fails when one is logged.

use std::{
    collections::HashMap,
    io,
    sync::{LazyLock, Mutex, MutexGuard, Once, PoisonError},
};

use serde_json::Value;
use tracing_subscriber::util::SubscriberInitExt;

/// Number of bytes by which a planted text is found. Shorter texts are not planted.
const WINDOW_BYTES: usize = 12;

static LOG: LazyLock<Mutex<WatchedLog>> = LazyLock::new(Mutex::default);

#[derive(Default)]
struct WatchedLog {
    /// Planted texts by their first bytes.
    planted: HashMap<[u8; WINDOW_BYTES], Vec<String>>,
    /// Planted texts that were logged, each with the line.
    told: Vec<String>,
    lines: usize,
}

impl WatchedLog {
    fn lock() -> MutexGuard<'static, Self> {
        LOG.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn plant(&mut self, text: &str) {
        if let Some(window) = text.as_bytes().first_chunk::<WINDOW_BYTES>() {
            let texts = self.planted.entry(*window).or_default();
            if !texts.iter().any(|known| known == text) {
                texts.push(text.to_owned());
            }
        }
    }

    fn read(&mut self, line: &[u8]) {
        self.lines += 1;
        for (at, window) in line.windows(WINDOW_BYTES).enumerate() {
            let Some(texts) = window.first_chunk::<WINDOW_BYTES>().and_then(|window| self.planted.get(window)) else {
                continue;
            };
            if let Some(text) = texts.iter().find(|text| line[at..].starts_with(text.as_bytes())) {
                self.told.push(format!("{text:?} in {}", String::from_utf8_lossy(line).trim_end()));
            }
        }
    }
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

/// Plants the texts of a request's body that a person wrote: those with a space.
pub(super) fn plant_texts_of(body: &Value) {
    match body {
        Value::String(text) if text.contains(' ') => plant(text),
        Value::Array(values) => values.iter().for_each(plant_texts_of),
        Value::Object(fields) => fields.values().for_each(plant_texts_of),
        _ => {}
    }
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

#[test]
fn a_planted_text_is_found_anywhere_in_a_line_and_others_are_not() {
    let mut log = WatchedLog::default();
    log.plant("le code est 4711");
    log.plant("le code est 4712");
    log.plant("short");
    log.read(br#"{"message":"short le code est 4713"}"#);
    assert!(log.told.is_empty(), "{:?}", log.told);
    log.read(br#"{"message":"le code est 4712"}"#);
    assert_eq!(log.told, [r#""le code est 4712" in {"message":"le code est 4712"}"#]);
}
