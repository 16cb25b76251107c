//! Pages that are pictures: drawn by pdfium, read by a model, one after the other. What was read is kept page by page, so
//! that a worker that is killed, or runs out of time, is followed by one that goes on with the next page.

use std::{collections::HashMap, time::Duration};

use shared::{
    documents::{self, Claim, Failure, ReadPage},
    error::ApiError,
    llm::{Call, LlmError, Provider, Transcribed, Vision},
    logging,
    pdf::Pages,
    periods, plans,
    settings::Settings,
    usage::{self, Used},
};
use tokio::time::Instant;

use crate::{
    Deps,
    ingest::{Ended, Trouble},
    notices::Target,
};

/// Longer than drawing a page and asking all models for it may take: then its worker is dead.
const CLAIM: Duration = Duration::from_secs(120);
/// A page that was begun so often and never read ends its document: a quarter of an hour, with the waits between.
const MOST_ATTEMPTS: i32 = 10;
/// A page begun after so many seconds, and the index, would not end within the function's 300.
const LONGEST_TURN_S: u64 = 150;
/// What providers take without shrinking it.
const LONGEST_SIDES_PX: std::ops::RangeInclusive<u16> = 512..=4096;

/// How scanned pages are read, and what they may cost.
#[derive(Debug, Clone)]
pub(crate) struct Scans {
    vision: Vision,
    /// For one document, in millionths of a US dollar.
    max_cost_micros: i64,
    /// Of a page's picture.
    longest_side_px: u16,
    /// After so long, another invocation goes on.
    turn: Duration,
}

impl Scans {
    /// Reads SCANNED_PDFS, and, with the language models, what goes with it; `None` where it is off.
    pub(crate) fn read(settings: &mut Settings) -> Option<Self> {
        let mode = settings.text("SCANNED_PDFS", "off");
        let max_cost_micros: u32 = settings.parsed("SCANNED_PDF_MAX_COST_MICROS", 1_000_000);
        let longest_side_px = settings.parsed("SCANNED_PDF_LONGEST_SIDE_PX", 1568);
        let turn = settings.seconds("SCANNED_PDF_TURN_S", LONGEST_TURN_S);
        if max_cost_micros == 0 {
            settings.problem("SCANNED_PDF_MAX_COST_MICROS is 0: SCANNED_PDFS=off reads no scanned pages");
        }
        if !LONGEST_SIDES_PX.contains(&longest_side_px) {
            let (least, most) = (LONGEST_SIDES_PX.start(), LONGEST_SIDES_PX.end());
            settings.problem(format_args!("SCANNED_PDF_LONGEST_SIDE_PX is not between {least} and {most}"));
        }
        if turn > Duration::from_secs(LONGEST_TURN_S) {
            settings.problem(format_args!("SCANNED_PDF_TURN_S is more than {LONGEST_TURN_S}"));
        }
        let provider = Provider::read(settings);
        match mode.as_str() {
            "vision" => {
                let vision = Vision::read(settings, "SCANNED_PDF_MODELS", &provider)?;
                Some(Self { vision, max_cost_micros: max_cost_micros.into(), longest_side_px, turn })
            }
            mode => {
                if mode != "off" {
                    settings.problem("SCANNED_PDFS is neither off nor vision");
                }
                settings.list("SCANNED_PDF_MODELS");
                None
            }
        }
    }
}

/// How far the scanned pages of a document are.
pub(crate) enum Scanned {
    /// All are read, but for those that could not be, or not to their end.
    AllBut(Vec<i32>),
    /// The invocation ends before.
    Not(Ended),
}

/// A page to be read.
struct Next<'a> {
    file: &'a [u8],
    number: u32,
    /// Pages that are not read, this one included.
    left: usize,
}

/// What came of a page.
enum Looked {
    Read(ReadPage),
    /// Another worker reads it, or the models are away: it is looked at again after so long.
    NotNow(Duration),
    /// The document is not pending any more.
    Gone,
}

impl Deps {
    /// Gives the scanned pages of a document the text that is on them, as far as scans are read at all. `begun` is when
    /// this invocation took the document up.
    pub(crate) async fn read_scans(
        &self,
        target: Target,
        file: &[u8],
        pages: &mut Pages,
        begun: Instant,
    ) -> Result<Scanned, Trouble> {
        let scanned = pages.scans().to_vec();
        if scanned.is_empty() {
            return Ok(Scanned::AllBut(Vec::new()));
        }
        let known = self
            .db
            .tenant(target.tenant, async |tx| Ok::<_, ApiError>(documents::read_pages(tx, target.document).await?))
            .await?;
        let mut known: HashMap<_, _> = known.into_iter().map(|read| (read.page, read)).collect();
        let mut left = scanned.len().saturating_sub(known.len());
        let mut unread = Vec::new();
        let mut has_read = false;
        for number in scanned {
            let read = match (known.remove(&page_number(number)), &self.scans) {
                (Some(read), _) => read,
                (None, None) => continue,
                (None, Some(scans)) => {
                    if has_read && begun.elapsed() >= scans.turn {
                        return Ok(Scanned::Not(Ended::GoesOn(Duration::ZERO)));
                    }
                    match Box::pin(self.look(scans, target, Next { file, number, left })).await? {
                        Looked::Read(read) => {
                            has_read = true;
                            left = left.saturating_sub(1);
                            read
                        }
                        Looked::NotNow(time) => return Ok(Scanned::Not(Ended::GoesOn(time))),
                        Looked::Gone => return Ok(Scanned::Not(Ended::Here)),
                    }
                }
            };
            pages.fill(number, &read.text);
            if !read.is_complete {
                unread.push(read.page);
            }
        }
        // The index wants its time, too.
        if has_read && self.scans.as_ref().is_some_and(|scans| begun.elapsed() >= scans.turn) {
            return Ok(Scanned::Not(Ended::GoesOn(Duration::ZERO)));
        }
        Ok(Scanned::AllBut(unread))
    }

    /// Reads one page, unless that is paid for or would cost too much.
    async fn look(&self, scans: &Scans, target: Target, next: Next<'_>) -> Result<Looked, Trouble> {
        let Target { tenant, document } = target;
        let page = page_number(next.number);
        let claim = self
            .db
            .tenant(tenant, async |tx| {
                let period = periods::current(tx).await?;
                if let Err(limit) = plans::check_spend_cap(&plans::of_tenant(tx).await?, period.spent_micros) {
                    let detail = format!("{} of {} micro-USD of the period are spent", limit.used, limit.most);
                    return Ok::<_, ApiError>(Err((Failure::SpendCapReached, detail)));
                }
                let cost = documents::scan_cost(tx, document).await?;
                if cost.exceeds(scans.max_cost_micros, next.left) {
                    let (spent, left) = (cost.spent_micros, next.left);
                    let detail = format!("{spent} micro-USD are spent, with {left} scanned pages left");
                    return Ok(Err((Failure::ScanTooCostly, detail)));
                }
                Ok(Ok(documents::claim_page(tx, document, page, CLAIM).await?))
            })
            .await?;
        let attempts = match claim.map_err(|(failure, detail)| Trouble::Final(failure, detail))? {
            Claim::Granted { attempts } => attempts,
            Claim::Taken { for_at_most } => return Ok(Looked::NotNow(for_at_most)),
            Claim::Read(read) => return Ok(Looked::Read(read)),
            Claim::Gone => return Ok(Looked::Gone),
        };
        if attempts > MOST_ATTEMPTS {
            return Err(Trouble::Final(Failure::ScanFailed, format!("page {page} was begun {attempts} times")));
        }
        let nothing = |is_complete| ReadPage { page, text: String::new(), is_complete };
        let jpeg = match self.extractor.picture(next.file, next.number, scans.longest_side_px).await {
            Ok(Some(jpeg)) => jpeg,
            Ok(None) => return self.keep(target, nothing(true), &[]).await,
            Err(error) if error.code().is_some() => {
                tracing::warn!(document_id = %document, page, error = logging::chain(&error), "a page cannot be drawn");
                return self.keep(target, nothing(false), &[]).await;
            }
            Err(error) => {
                self.release(target, page, attempts, &[]).await?;
                return Err(Trouble::Transient(error.into()));
            }
        };
        let Transcribed { outcome, calls } = scans.vision.transcribe(&jpeg).await;
        match outcome {
            Ok(read) => {
                if read.is_cut {
                    tracing::warn!(document_id = %document, page, "the text of a page broke off");
                }
                self.keep(target, ReadPage { page, text: read.text, is_complete: !read.is_cut }, &calls).await
            }
            // Asked again, it would decline again; the other pages are still worth reading.
            Err(error @ LlmError::Blocked(_)) => {
                tracing::warn!(document_id = %document, page, error = logging::chain(&error), "a page is not read");
                self.keep(target, nothing(false), &calls).await
            }
            Err(error) => {
                self.release(target, page, attempts, &calls).await?;
                let why = logging::chain(&error);
                if attempts >= MOST_ATTEMPTS {
                    return Err(Trouble::Final(Failure::ScanFailed, format!("page {page}: {why}")));
                }
                tracing::warn!(document_id = %document, page, attempts, error = why, "a page is left for later");
                let pause = Duration::from_secs(2_u64.saturating_pow(attempts.unsigned_abs()));
                Ok(Looked::NotNow(pause.max(error.retry_after().unwrap_or_default())))
            }
        }
    }

    /// Keeps a page together with what it cost.
    async fn keep(&self, target: Target, read: ReadPage, calls: &[Call]) -> Result<Looked, Trouble> {
        let cost = cost(calls);
        let read = self
            .db
            .tenant(target.tenant, async |tx| {
                usage::record_calls(tx, None, "vision", calls).await?;
                usage::add(tx, &Used::default().with(calls)).await?;
                Ok::<_, ApiError>(documents::store_page(tx, target.document, read, cost).await?)
            })
            .await?;
        tracing::info!(document_id = %target.document, page = read.page, cost_micros = cost, "page read");
        Ok(Looked::Read(read))
    }

    /// Leaves a page to another attempt; what this one cost is kept.
    async fn release(&self, target: Target, page: i32, attempts: i32, calls: &[Call]) -> Result<(), Trouble> {
        self.db
            .tenant(target.tenant, async |tx| {
                usage::record_calls(tx, None, "vision", calls).await?;
                usage::add(tx, &Used::default().with(calls)).await?;
                Ok::<_, ApiError>(documents::release_page(tx, target.document, page, attempts, cost(calls)).await?)
            })
            .await?;
        Ok(())
    }
}

fn cost(calls: &[Call]) -> i64 {
    calls.iter().map(|call| call.cost_micros).fold(0, i64::saturating_add)
}

fn page_number(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(more: &[(&str, &str)]) -> String {
        let pairs = [&[("SCANNED_PDFS", "vision"), ("LLM_PROVIDER", "anthropic"), ("ANTHROPIC_API_KEY", "k")], more];
        let map = pairs.concat().into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let mut settings = Settings::new(map);
        let is_on = Scans::read(&mut settings).is_some();
        match settings.finish() {
            Ok(()) => format!("none, on: {is_on}"),
            Err(problems) => problems.to_string(),
        }
    }

    #[test]
    fn settings_are_checked_at_the_start() {
        assert_eq!(problem(&[]), "none, on: true");
        assert_eq!(problem(&[("SCANNED_PDFS", "off")]), "none, on: false");
        assert_eq!(problem(&[("SCANNED_PDFS", "")]), "none, on: false");
        for (name, value, expected) in [
            ("SCANNED_PDFS", "ocr", "SCANNED_PDFS is neither off nor vision"),
            ("SCANNED_PDF_MAX_COST_MICROS", "0", "SCANNED_PDF_MAX_COST_MICROS is 0"),
            ("SCANNED_PDF_MAX_COST_MICROS", "0.5", "SCANNED_PDF_MAX_COST_MICROS is not a valid u32"),
            ("SCANNED_PDF_LONGEST_SIDE_PX", "100000", "SCANNED_PDF_LONGEST_SIDE_PX is not a valid u16"),
            ("SCANNED_PDF_LONGEST_SIDE_PX", "8000", "SCANNED_PDF_LONGEST_SIDE_PX is not between 512 and 4096"),
            ("SCANNED_PDF_TURN_S", "151", "SCANNED_PDF_TURN_S is more than 150"),
            ("LLM_PROVIDER", "extractive", "SCANNED_PDFS is vision, but LLM_PROVIDER names no model"),
        ] {
            let problem = problem(&[(name, value)]);
            assert!(problem.contains(expected), "{problem}");
        }
    }
}
