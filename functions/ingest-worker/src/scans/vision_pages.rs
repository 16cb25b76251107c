//! Reading of a scanned page by a vision model, within the limits of cost.

use std::time::Duration;

use shared::{
    documents::{self, DocumentFailure, PageClaim, PageTranscript},
    llm::{LlmError, TranscribeResult},
    logging, periods, plans,
};

use super::{CLAIM_TIMEOUT, MAX_PAGE_ATTEMPTS, PageOutcome, PageToRead, VisionReader, page_number};
use crate::{Deps, events::IngestTarget, outcome::IngestError};

impl Deps {
    /// Lets the vision model read a page that is claimed for the `attempts`th time.
    pub(super) async fn transcribe_page(
        &self,
        reader: &VisionReader,
        target: IngestTarget,
        next: &PageToRead<'_>,
        attempts: i32,
    ) -> Result<PageOutcome, IngestError> {
        let (document, page) = (target.document, page_number(next.number));
        let empty_page = |is_complete| PageTranscript { page, text: String::new(), is_complete, confidence: None };
        let jpeg = match self.extractor.render_page(next.file, next.number, reader.longest_side_px).await {
            Ok(Some(jpeg)) => jpeg,
            Ok(None) => return self.store_page(target, empty_page(true), &[]).await,
            Err(error) if error.code().is_some() => {
                tracing::warn!(document_id = %document, page, error = logging::chain(&error), "a page cannot be drawn");
                return self.store_page(target, empty_page(false), &[]).await;
            }
            Err(error) => {
                self.release_page(target, page, attempts, &[]).await?;
                return Err(IngestError::Transient(error.into()));
            }
        };
        let TranscribeResult { outcome, calls } = reader.vision.transcribe(&jpeg).await;
        match outcome {
            Ok(read) => {
                if read.is_truncated {
                    tracing::warn!(document_id = %document, page, "the text of a page broke off");
                }
                let read = PageTranscript { text: read.text, is_complete: !read.is_truncated, ..empty_page(true) };
                self.store_page(target, read, &calls).await
            }
            // The model would decline the page again, so it is stored as unreadable; the other pages are still read.
            Err(error @ LlmError::Blocked(_)) => {
                tracing::warn!(document_id = %document, page, error = logging::chain(&error), "a page is not read");
                self.store_page(target, empty_page(false), &calls).await
            }
            Err(error) => {
                self.release_page(target, page, attempts, &calls).await?;
                let reason = logging::chain(&error);
                if attempts >= MAX_PAGE_ATTEMPTS {
                    return Err(IngestError::Permanent(DocumentFailure::ScanFailed, format!("page {page}: {reason}")));
                }
                tracing::warn!(document_id = %document, page, attempts, error = reason, "a page is left for later");
                let pause = Duration::from_secs(2_u64.saturating_pow(attempts.unsigned_abs()));
                Ok(PageOutcome::RetryAfter(pause.max(error.retry_after().unwrap_or_default())))
            }
        }
    }

    /// Claims a page for this worker, unless its cost would exceed the document's or the period's limit, or no
    /// model reads for an account without a confirmed address.
    pub(super) async fn claim_page_within_cost(
        &self,
        reader: &VisionReader,
        target: IngestTarget,
        next: &PageToRead<'_>,
    ) -> Result<PageClaim, IngestError> {
        let IngestTarget { tenant, document } = target;
        let claim = self
            .db
            .tenant_tx(tenant, async |tx| {
                if !self.unconfirmed.models_allowed(tx).await? {
                    let detail = "the account's address is not confirmed".to_owned();
                    return Ok(Err((DocumentFailure::SpendCapReached, detail)));
                }
                let period = periods::current(tx).await?;
                if let Err(limit) = plans::check_spend_cap(&plans::of_tenant(tx).await?, period.spent_micros) {
                    let detail = format!("{} of {} micro-USD of the period are spent", limit.used, limit.most);
                    return Ok(Err((DocumentFailure::SpendCapReached, detail)));
                }
                let cost = documents::scan_cost(tx, document).await?;
                if cost.exceeds(reader.max_cost_micros, next.left) {
                    let (spent, left) = (cost.spent_micros, next.left);
                    let detail = format!("{spent} micro-USD are spent, with {left} scanned pages left");
                    return Ok(Err((DocumentFailure::ScanTooCostly, detail)));
                }
                Ok(Ok(documents::claim_page(tx, document, page_number(next.number), CLAIM_TIMEOUT).await?))
            })
            .await?;
        claim.map_err(|(failure, detail)| IngestError::Permanent(failure, detail))
    }
}
