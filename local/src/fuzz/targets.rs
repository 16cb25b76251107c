//! The fuzz targets: code that reads what strangers send, and what must hold of its results.

use std::{collections::BTreeSet, time::Duration};

use anyhow::{Context, Result};
use chrono::{DateTime, Utc};
use futures::executor::block_on;
use serde_json::Value;
use shared::{
    approved_answers,
    auth::tokens::{SigningKey, VerificationKeys},
    chunking::{self, Chunk},
    files::{self, FileFormat},
    manychat::inbound::InboundMessage,
    pdf::{self, PageText},
    products, section_chunks,
    settings::{Settings, SettingsMap},
    stripe::{Event, signature},
    text,
};
use uuid::Uuid;

use crate::import_subscriptions;

/// The function of a target: returns the outcome of an input in a few words, or the property that does not hold as an
/// error.
type Run = Box<dyn Fn(&[u8]) -> Result<String, String>>;

/// A fuzz target.
pub(super) struct Target {
    /// The name of the target, and of its corpus in `local/fixtures/fuzz`.
    pub(super) name: &'static str,
    /// Folders of `local/fixtures` whose files belong to the corpus, too.
    pub(super) fixtures: &'static [&'static str],
    /// Inputs that cannot be kept in a file, such as a token that is valid now.
    pub(super) made: Vec<Vec<u8>>,
    pub(super) run: Run,
}

/// Returns all targets.
pub(super) fn all() -> Result<Vec<Target>> {
    let plain = |name: &'static str, fixtures: &'static [&'static str], run: fn(&[u8]) -> Result<String, String>| {
        Target { name, fixtures, made: Vec::new(), run: Box::new(run) }
    };
    Ok(vec![
        plain("webhook-body", &["manychat", "field/manychat"], webhook_body),
        plain("stripe-event", &["stripe"], stripe_event),
        stripe_signature(),
        jwt()?,
        plain("pdf-child-output", &[], pdf_child_output),
        plain("chunker", &[], chunker),
        plain("csv-answers", &[], csv_answers),
        plain("csv-products", &[], csv_products),
        plain("csv-subscriptions", &[], csv_subscriptions),
    ])
}

fn ensure(holds: bool, problem: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(problem()) }
}

fn webhook_body(input: &[u8]) -> Result<String, String> {
    let (message, is_repaired) = match InboundMessage::parse(input) {
        Ok(read) => read,
        Err(error) => {
            ensure(error.status.is_client_error(), || format!("it is refused with {}", error.status))?;
            return Ok(format!("{} {}", error.code, error.message));
        }
    };
    ensure(!message.contact_id.trim().is_empty(), || "the contact has no id".to_owned())?;
    ensure(message.phone.as_ref().is_none_or(|phone| (5..=50).contains(&phone.len())), || {
        format!("{:?} is no phone number", message.phone)
    })?;
    let texts = [Some(&message.text), Some(&message.contact_id), message.name.as_ref(), message.attachment.as_ref()];
    ensure(!texts.into_iter().flatten().any(|text| text.contains('\0')), || {
        "PostgreSQL takes no text with a NUL".to_owned()
    })?;
    ensure(!message.text.is_empty() || message.attachment.is_some(), || {
        "a message has neither a text nor a kind".to_owned()
    })?;
    let again = InboundMessage::parse(input).map(|(message, _)| message.external_id);
    ensure(again.is_ok_and(|id| id == message.external_id), || "a second delivery is another message".to_owned())?;
    let length = message.text.chars().count().min(8);
    Ok(format!("{is_repaired} {length} {} {:?}", message.external_id.is_some(), message.attachment))
}

/// Returns true when a text or a name in the JSON has a NUL.
fn has_nul(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains('\0'),
        Value::Array(values) => values.iter().any(has_nul),
        Value::Object(fields) => fields.iter().any(|(name, value)| name.contains('\0') || has_nul(value)),
        _ => false,
    }
}

fn stripe_event(input: &[u8]) -> Result<String, String> {
    let event = match Event::read(input) {
        Ok(event) => event,
        Err(error) => return Ok(format!("{error:?}").chars().take(24).collect()),
    };
    ensure((1..=255).contains(&event.id.len()), || format!("the id has {} bytes", event.id.len()))?;
    ensure(!has_nul(&event.payload), || "PostgreSQL takes no JSON with a NUL".to_owned())?;
    let again = Event::from_payload(event.payload.clone());
    ensure(again.is_ok_and(|again| again.id == event.id), || "a stored event cannot be read again".to_owned())?;
    Ok(match event.parse_kind() {
        Ok(kind) => format!("{kind:?}").chars().take_while(|letter| letter.is_alphanumeric()).collect(),
        Err(error) => error.to_string(),
    })
}

/// Secret by which bodies are signed.
const WEBHOOK_SECRET: &str = "whsec_fuzz";

/// Target of Stripe's signature. An input is the header, a line break and the body.
fn stripe_signature() -> Target {
    let now = DateTime::UNIX_EPOCH + Duration::from_secs(1_795_000_000);
    let signed = |body: &str| format!("{}\n{body}", signature::sign(body.as_bytes(), WEBHOOK_SECRET, now)).into_bytes();
    let made = vec![signed("{\"id\": \"evt_1\"}"), signed("")];
    let run = move |input: &[u8]| -> Result<String, String> {
        let at = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
        let (header, body) = (String::from_utf8_lossy(&input[..at]), input.get(at + 1..).unwrap_or_default());
        match signature::verify(Some(&*header), body, &[WEBHOOK_SECRET.to_owned()], now) {
            Ok(()) => {
                // The time is signed as a text, and the signature is of the body.
                let times = header.split(',').filter_map(|part| part.trim().strip_prefix("t="));
                let is_ours = times.filter_map(|time| time.parse().ok()).any(|time| {
                    let time = DateTime::from_timestamp(time, 0).unwrap_or_default();
                    let sign = signature::sign(body, WEBHOOK_SECRET, time);
                    let signature = sign.split_once("v1=").map_or("", |(_, signature)| signature);
                    header.to_ascii_lowercase().contains(signature)
                });
                ensure(is_ours, || "a signature passes that nobody made".to_owned())?;
                Ok("accepted".to_owned())
            }
            Err(error) => Ok(format!("{error:?}").split('(').next().unwrap_or_default().to_owned()),
        }
    };
    Target { name: "stripe-signature", fixtures: &[], made, run: Box::new(run) }
}

/// Target of the token verification. An input is a token; only the tokens that were signed here may pass.
fn jwt() -> Result<Target> {
    let secret = Uuid::new_v4().simple().to_string();
    let values = SettingsMap::from([("JWT_SECRET".to_owned(), secret)]);
    let mut settings = Settings::new(values);
    let (signing, keys) = (SigningKey::read(&mut settings), VerificationKeys::read(&mut settings));
    settings.finish()?;
    let (now, hour) = (Utc::now(), Duration::from_secs(24 * 3600));
    let user = signing.sign_user_token(Uuid::new_v4(), "awa@example.com", Uuid::new_v4(), now, hour);
    let service = signing.sign_service_token(now, hour);
    let tokens = [user.context("a token cannot be signed")?, service.context("a token cannot be signed")?];
    let made: Vec<_> = tokens.iter().map(|token| token.clone().into_bytes()).collect();
    // Compared without the signature: some bits of its last base64 letter have no meaning, so two texts are one
    // signature.
    let signed: BTreeSet<String> =
        tokens.iter().filter_map(|token| Some(token.rsplit_once('.')?.0.to_owned())).collect();
    let run = move |input: &[u8]| -> Result<String, String> {
        let Ok(token) = str::from_utf8(input) else { return Ok("no text".to_owned()) };
        match block_on(keys.verify(token)) {
            Ok(claims) => {
                let content = token.rsplit_once('.').map_or("", |(content, _)| content);
                ensure(signed.contains(content), || "a token passes that nobody signed".to_owned())?;
                Ok(format!("accepted {}", claims.is_service()))
            }
            Err(error) => Ok(format!("{error:?}").chars().take(40).collect()),
        }
    };
    Ok(Target { name: "jwt", fixtures: &[], made, run: Box::new(run) })
}

fn pdf_child_output(input: &[u8]) -> Result<String, String> {
    let pages = match block_on(pdf::read_child_output(input)) {
        Ok(pages) => pages,
        Err(error) => return Ok(format!("{error:?}").chars().take_while(|letter| letter.is_alphanumeric()).collect()),
    };
    ensure(pages.as_slice().len() <= pdf::MAX_PAGES as usize, || {
        format!("the document has {} pages", pages.as_slice().len())
    })?;
    ensure(pages.as_slice().len() == pages.kinds().len(), || "a page has no kind".to_owned())?;
    let is_numbered = (1..).zip(pages.as_slice()).all(|(number, page)| page.number == number);
    ensure(is_numbered, || "the pages are not numbered in their order".to_owned())?;
    let chunks = chunking::chunk(pages.as_slice());
    check_chunks(&chunks, pages.as_slice().len())?;
    Ok(format!("{} pages, {} scans, {} chunks", pages.as_slice().len(), pages.scans().len(), chunks.len().min(8)))
}

/// Checks the numbers and the sizes of chunks of a document with so many pages.
fn check_chunks(chunks: &[Chunk], pages: usize) -> Result<(), String> {
    for (nth, chunk) in chunks.iter().enumerate() {
        ensure(chunk.index as usize == nth, || format!("chunk {nth} has the index {}", chunk.index))?;
        ensure(!chunk.text.trim().is_empty(), || format!("chunk {nth} is empty"))?;
        let length = chunk.text.chars().count();
        ensure(length <= chunking::MAX_CHARS, || format!("chunk {nth} has {length} characters"))?;
        let is_placed = 1 <= chunk.page_start && chunk.page_start <= chunk.page_end && chunk.page_end as usize <= pages;
        ensure(is_placed, || format!("chunk {nth} is on the pages {} to {}", chunk.page_start, chunk.page_end))?;
    }
    Ok(())
}

/// Target of the chunkers. An input is a text whose pages end with form feeds. The text is also read as a file of each
/// format without a container.
fn chunker(input: &[u8]) -> Result<String, String> {
    let text = String::from_utf8_lossy(input);
    let pages: Vec<_> =
        (1..).zip(text.split('\u{c}')).map(|(number, page)| PageText { number, text: text::clean(page) }).collect();
    let chunks = chunking::chunk(&pages);
    check_chunks(&chunks, pages.len())?;
    let letters = |text: &str| text.chars().filter(|letter| !letter.is_whitespace()).count();
    let (before, after): (usize, usize) =
        (pages.iter().map(|page| letters(&page.text)).sum(), chunks.iter().map(|chunk| letters(&chunk.text)).sum());
    ensure(after >= before, || format!("{before} letters became {after}"))?;
    let mut outcome = format!("{} pages, {} chunks", pages.len().min(8), chunks.len().min(8));
    for format in [FileFormat::Text, FileFormat::Markdown, FileFormat::Html, FileFormat::Csv] {
        match files::read(format, input) {
            Ok(blocks) => {
                let chunks = section_chunks::chunk(&blocks);
                check_chunks(&chunks, section_chunks::count_sections(&blocks))?;
                outcome.push_str(&format!(", {}", chunks.len().min(8)));
            }
            Err(error) => outcome.push_str(&format!(", {}", error.code())),
        }
    }
    Ok(outcome)
}

/// Returns the outcome of an importer: the number of rows, or the code of the refusal.
fn import_outcome(rows: Result<usize, shared::error::ApiError>) -> Result<String, String> {
    match rows {
        Ok(rows) => Ok(format!("{} rows", rows.min(8))),
        Err(error) => {
            ensure(error.status.is_client_error(), || format!("it is refused with {}", error.status))?;
            Ok(format!("{} {}", error.code, error.message))
        }
    }
}

fn csv_answers(input: &[u8]) -> Result<String, String> {
    import_outcome(approved_answers::count_csv_rows(input))
}

fn csv_products(input: &[u8]) -> Result<String, String> {
    import_outcome(products::count_csv_rows(input, "XOF"))
}

fn csv_subscriptions(input: &[u8]) -> Result<String, String> {
    let text = String::from_utf8_lossy(input);
    Ok(match import_subscriptions::count_rows(&text) {
        Ok((good, bad)) => format!("{} good, {} bad", good.min(8), bad.min(8)),
        Err(error) => error.to_string().chars().take(24).collect(),
    })
}
