//! Reading of scanned pages, one after the other: pdfium renders a page, and a vision model or OCR reads the image.
//! Each page's transcript is stored at once, so that after a killed worker, or one without time left, another one
//! continues with the next page.

mod ocr_pages;
mod vision_pages;

use std::{collections::HashMap, time::Duration};

use shared::{
    documents::{self, DocumentFailure, PageClaim, PageTranscript},
    llm::{ModelCall, Provider, Vision},
    pdf::{ExtractedPages, OcrReader},
    settings::Settings,
    usage::{self, UsageDelta},
};
use tokio::time::Instant;

use crate::{
    Deps,
    events::IngestTarget,
    outcome::{IngestError, IngestOutcome},
};

/// Time until a claim on a page expires. Rendering the page and asking all models, or OCR, takes less, so a worker that
/// exceeds it is dead.
const CLAIM_TIMEOUT: Duration = Duration::from_secs(120);
/// Maximum number of attempts at a page. The document fails after the last one. The waits between them (2, 4 … 512 s)
/// add up to 17 minutes, or more when the provider asks for it.
const MAX_PAGE_ATTEMPTS: i32 = 10;
/// Maximum time budget for scanned pages, in seconds. A page started later, and the indexing after it, would not end
/// within the function's timeout of 300 s.
const MAX_TIME_BUDGET_S: u64 = 150;
/// Processor time that OCR may take for one page, in seconds.
const OCR_PAGE_RANGE_S: std::ops::RangeInclusive<u64> = 1..=90;
/// Longest sides of an image, in pixels, that providers accept without downscaling.
const LONGEST_SIDE_RANGE_PX: std::ops::RangeInclusive<u16> = 512..=4096;

/// Reader of scanned pages, with the limit of time.
#[derive(Debug, Clone)]
pub(crate) struct ScanReader {
    method: ScanMethod,
    /// Time since the start of the invocation after which another invocation must continue.
    time_budget: Duration,
}

/// The way in which scanned pages are read.
#[derive(Debug, Clone)]
enum ScanMethod {
    Vision(VisionReader),
    Ocr(OcrReader),
}

/// The vision model, with the limits of cost and image size.
#[derive(Debug, Clone)]
struct VisionReader {
    vision: Vision,
    /// Maximum cost of one document, in millionths of a US dollar.
    max_cost_micros: i64,
    /// Longest side of a page's image, in pixels.
    longest_side_px: u16,
}

impl ScanReader {
    /// Reads SCANNED_PDFS, OCR_MODELS and the SCANNED_PDF_* settings, with those of the language models. Returns `None`
    /// when SCANNED_PDFS is `off`.
    pub(crate) fn read(settings: &mut Settings) -> Option<Self> {
        let mode = settings.text("SCANNED_PDFS", "off");
        let max_cost_micros: u32 = settings.number("SCANNED_PDF_MAX_COST_MICROS", 1_000_000);
        let longest_side_px = settings.number("SCANNED_PDF_LONGEST_SIDE_PX", 1568);
        let time_budget = settings.seconds("SCANNED_PDF_TURN_S", MAX_TIME_BUDGET_S);
        let models = settings.text("OCR_MODELS", "/opt/ocr").into();
        let page_time = settings.seconds("SCANNED_PDF_PAGE_S", 60);
        if max_cost_micros == 0 {
            settings.problem("SCANNED_PDF_MAX_COST_MICROS is 0: SCANNED_PDFS=off reads no scanned pages");
        }
        if !LONGEST_SIDE_RANGE_PX.contains(&longest_side_px) {
            let (least, most) = (LONGEST_SIDE_RANGE_PX.start(), LONGEST_SIDE_RANGE_PX.end());
            settings.problem(format_args!("SCANNED_PDF_LONGEST_SIDE_PX is not between {least} and {most}"));
        }
        if time_budget > Duration::from_secs(MAX_TIME_BUDGET_S) {
            settings.problem(format_args!("SCANNED_PDF_TURN_S is more than {MAX_TIME_BUDGET_S}"));
        }
        if !OCR_PAGE_RANGE_S.contains(&page_time.as_secs()) {
            let (least, most) = (OCR_PAGE_RANGE_S.start(), OCR_PAGE_RANGE_S.end());
            settings.problem(format_args!("SCANNED_PDF_PAGE_S is not between {least} and {most}"));
        }
        let provider = Provider::read(settings);
        let method = match mode.as_str() {
            "vision" => {
                let vision = Vision::read(settings, "SCANNED_PDF_MODELS", &provider)?;
                ScanMethod::Vision(VisionReader { vision, max_cost_micros: max_cost_micros.into(), longest_side_px })
            }
            mode => {
                settings.list("SCANNED_PDF_MODELS", &[]);
                if mode != "ocr" {
                    if mode != "off" {
                        settings.problem("SCANNED_PDFS is neither off nor ocr nor vision");
                    }
                    return None;
                }
                ScanMethod::Ocr(OcrReader { models, page_time })
            }
        };
        Some(Self { method, time_budget })
    }
}

/// Progress of a document's scanned pages at the end of an invocation.
pub(crate) enum ScanProgress {
    /// All scanned pages have been handled. Holds the numbers of those that could not be read completely.
    Complete(Vec<i32>),
    /// The invocation ends before all scanned pages have been handled.
    Interrupted(IngestOutcome),
}

/// A scanned page to be read.
struct PageToRead<'a> {
    /// The whole PDF.
    file: &'a [u8],
    /// Page number, from 1.
    number: u32,
    /// Number of scanned pages not read yet, this one included.
    left: usize,
}

/// Outcome of reading one scanned page.
enum PageOutcome {
    /// The transcript is stored, by this worker or another one.
    Read(PageTranscript),
    /// Another worker holds the claim, or the models failed: the page is to be tried again after this time.
    RetryAfter(Duration),
    /// The document was deleted, or is no longer pending.
    DocumentGone,
}

impl Deps {
    /// Sets the text of a document's scanned pages: from stored transcripts, and, when reading scans is enabled, from
    /// the vision model or OCR. OCR does not read for an account without a confirmed address. `started` is the time at
    /// which this invocation began to work on the document.
    pub(crate) async fn read_scans(
        &self,
        target: IngestTarget,
        file: &[u8],
        pages: &mut ExtractedPages,
        started: Instant,
    ) -> Result<ScanProgress, IngestError> {
        let scanned = pages.scans();
        if scanned.is_empty() {
            return Ok(ScanProgress::Complete(Vec::new()));
        }
        let (transcripts, is_trusted) = self
            .db
            .tenant_tx(target.tenant, async |tx| {
                let transcripts = documents::page_transcripts(tx, target.document).await?;
                Ok((transcripts, self.unconfirmed.models_allowed(tx).await?))
            })
            .await?;
        // A vision model costs money, so it says by an error code that it does not read.
        let scans = self.scans.as_ref().filter(|scans| is_trusted || matches!(scans.method, ScanMethod::Vision(_)));
        let mut transcripts: HashMap<_, _> = transcripts.into_iter().map(|read| (read.page, read)).collect();
        let mut left = scanned.len().saturating_sub(transcripts.len());
        let mut unread = Vec::new();
        let mut has_read = false;
        for number in scanned {
            let read = match (transcripts.remove(&page_number(number)), scans) {
                (Some(read), _) => read,
                (None, None) => {
                    unread.push(page_number(number));
                    continue;
                }
                (None, Some(scans)) => {
                    if has_read && started.elapsed() >= scans.time_budget {
                        return Ok(ScanProgress::Interrupted(IngestOutcome::Continue(Duration::ZERO)));
                    }
                    match Box::pin(self.read_page(scans, target, PageToRead { file, number, left })).await? {
                        PageOutcome::Read(read) => {
                            has_read = true;
                            left = left.saturating_sub(1);
                            read
                        }
                        PageOutcome::RetryAfter(time) => {
                            return Ok(ScanProgress::Interrupted(IngestOutcome::Continue(time)));
                        }
                        PageOutcome::DocumentGone => return Ok(ScanProgress::Interrupted(IngestOutcome::Done)),
                    }
                }
            };
            pages.set_scan_text(number, &read.text);
            if !read.is_complete {
                unread.push(read.page);
            }
        }
        // The time budget leaves time for indexing; past it, another invocation indexes the document.
        if has_read && scans.is_some_and(|scans| started.elapsed() >= scans.time_budget) {
            return Ok(ScanProgress::Interrupted(IngestOutcome::Continue(Duration::ZERO)));
        }
        Ok(ScanProgress::Complete(unread))
    }

    /// Reads one scanned page, unless another worker has read or claimed it.
    async fn read_page(
        &self,
        scans: &ScanReader,
        target: IngestTarget,
        next: PageToRead<'_>,
    ) -> Result<PageOutcome, IngestError> {
        let page = page_number(next.number);
        let attempts = match self.claim_page(scans, target, &next).await? {
            PageClaim::Granted { attempts } => attempts,
            PageClaim::HeldByOther { expires_in: for_at_most } => return Ok(PageOutcome::RetryAfter(for_at_most)),
            PageClaim::AlreadyRead(read) => return Ok(PageOutcome::Read(read)),
            PageClaim::DocumentGone => return Ok(PageOutcome::DocumentGone),
        };
        if attempts > MAX_PAGE_ATTEMPTS {
            return Err(IngestError::Permanent(
                DocumentFailure::ScanFailed,
                format!("page {page} was begun {attempts} times"),
            ));
        }
        match &scans.method {
            ScanMethod::Vision(reader) => self.transcribe_page(reader, target, &next, attempts).await,
            ScanMethod::Ocr(reader) => self.recognize_page(reader, target, &next, attempts).await,
        }
    }

    /// Claims a page for this worker. A vision model's limits are checked before.
    async fn claim_page(
        &self,
        scans: &ScanReader,
        target: IngestTarget,
        next: &PageToRead<'_>,
    ) -> Result<PageClaim, IngestError> {
        match &scans.method {
            ScanMethod::Vision(reader) => self.claim_page_within_cost(reader, target, next).await,
            ScanMethod::Ocr(_) => {
                let page = page_number(next.number);
                let claim =
                    async |tx: &mut _| Ok(documents::claim_page(tx, target.document, page, CLAIM_TIMEOUT).await?);
                Ok(self.db.tenant_tx(target.tenant, claim).await?)
            }
        }
    }

    /// Stores a page's transcript together with the cost of its model calls.
    async fn store_page(
        &self,
        target: IngestTarget,
        read: PageTranscript,
        calls: &[ModelCall],
    ) -> Result<PageOutcome, IngestError> {
        let cost = total_cost_micros(calls);
        let read = self
            .db
            .tenant_tx(target.tenant, async |tx| {
                usage::record_calls(tx, None, "vision", calls).await?;
                usage::add(tx, &UsageDelta::default().with_calls(calls)).await?;
                Ok(documents::store_page(tx, target.document, read, cost).await?)
            })
            .await?;
        tracing::info!(document_id = %target.document, page = read.page, cost_micros = cost, "page read");
        Ok(PageOutcome::Read(read))
    }

    /// Releases the claim on a page for another attempt, and records the cost of this attempt's model calls.
    async fn release_page(
        &self,
        target: IngestTarget,
        page: i32,
        attempts: i32,
        calls: &[ModelCall],
    ) -> Result<(), IngestError> {
        self.db
            .tenant_tx(target.tenant, async |tx| {
                usage::record_calls(tx, None, "vision", calls).await?;
                usage::add(tx, &UsageDelta::default().with_calls(calls)).await?;
                Ok(documents::release_page(tx, target.document, page, attempts, total_cost_micros(calls)).await?)
            })
            .await?;
        Ok(())
    }
}

fn total_cost_micros(calls: &[ModelCall]) -> i64 {
    calls.iter().map(|call| call.cost_micros).fold(0, i64::saturating_add)
}

fn page_number(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings_problems(more: &[(&str, &str)]) -> String {
        let pairs = [&[("SCANNED_PDFS", "vision"), ("LLM_PROVIDER", "anthropic"), ("ANTHROPIC_API_KEY", "k")], more];
        let map = pairs.concat().into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let mut settings = Settings::new(map);
        let is_on = ScanReader::read(&mut settings).is_some();
        match settings.finish() {
            Ok(()) => format!("none, on: {is_on}"),
            Err(problems) => problems.to_string(),
        }
    }

    #[test]
    fn wrong_settings_are_reported_at_the_start() {
        assert_eq!(settings_problems(&[]), "none, on: true");
        assert_eq!(settings_problems(&[("SCANNED_PDFS", "off")]), "none, on: false");
        let without_model = [("SCANNED_PDFS", "ocr"), ("LLM_PROVIDER", "extractive")];
        assert_eq!(settings_problems(&without_model), "none, on: true");
        assert_eq!(settings_problems(&[("SCANNED_PDFS", "")]), "none, on: false");
        for (name, value, expected) in [
            ("SCANNED_PDFS", "tesseract", "SCANNED_PDFS is neither off nor ocr nor vision"),
            ("SCANNED_PDF_PAGE_S", "0", "SCANNED_PDF_PAGE_S is not between 1 and 90"),
            ("SCANNED_PDF_PAGE_S", "91", "SCANNED_PDF_PAGE_S is not between 1 and 90"),
            ("SCANNED_PDF_MAX_COST_MICROS", "0", "SCANNED_PDF_MAX_COST_MICROS is 0"),
            (
                "SCANNED_PDF_MAX_COST_MICROS",
                "0.5",
                "SCANNED_PDF_MAX_COST_MICROS is not valid: invalid digit found in string",
            ),
            (
                "SCANNED_PDF_LONGEST_SIDE_PX",
                "100000",
                "SCANNED_PDF_LONGEST_SIDE_PX is not valid: number too large to fit in target type",
            ),
            ("SCANNED_PDF_LONGEST_SIDE_PX", "8000", "SCANNED_PDF_LONGEST_SIDE_PX is not between 512 and 4096"),
            ("SCANNED_PDF_TURN_S", "151", "SCANNED_PDF_TURN_S is more than 150"),
            ("LLM_PROVIDER", "extractive", "SCANNED_PDFS is vision, but LLM_PROVIDER names no model"),
        ] {
            let problem = settings_problems(&[(name, value)]);
            assert!(problem.contains(expected), "{problem}");
        }
    }
}
