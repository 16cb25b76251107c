//! Reading of a scanned page by OCR.

use shared::{
    documents::PageTranscript,
    logging,
    pdf::{OcrReader, PdfError, RecognizedPage},
};

use super::{PageOutcome, PageToRead, page_number};
use crate::{Deps, events::IngestTarget, outcome::IngestError};

/// Confidence of a page below which too many of its words are wrong to answer from it. Of pages that were made worse
/// step by step, those above had 58 to 100 of 100 words right, 94 in the mean, and those below 0 to 72.
const MIN_PAGE_CONFIDENCE: f32 = 0.95;

impl Deps {
    /// Reads a page by OCR. A page that cannot be read, or not surely, or not in time, is stored as not read; the other
    /// pages are still read. `attempts` is the number of claims on the page.
    pub(super) async fn recognize_page(
        &self,
        reader: &OcrReader,
        target: IngestTarget,
        next: &PageToRead<'_>,
        attempts: i32,
    ) -> Result<PageOutcome, IngestError> {
        let (document, page) = (target.document, page_number(next.number));
        let empty_page = |is_complete| PageTranscript { page, text: String::new(), is_complete, confidence: None };
        let read = match self.extractor.recognize_page(next.file, next.number, reader).await {
            // Blank, or a picture without words.
            Ok(None) => empty_page(true),
            Ok(Some(RecognizedPage { text, confidence })) => {
                let is_sure = confidence >= MIN_PAGE_CONFIDENCE;
                if !is_sure {
                    tracing::warn!(document_id = %document, page, confidence, "a page is not read surely");
                }
                let text = if is_sure { text } else { String::new() };
                PageTranscript { page, text, is_complete: is_sure, confidence: Some(confidence.clamp(0.0, 1.0)) }
            }
            Err(error @ PdfError::OcrModels(_)) => {
                tracing::error!(document_id = %document, error = logging::chain(&error), "scanned pages cannot be read");
                self.release_page(target, page, attempts, &[]).await?;
                return Err(error.into());
            }
            Err(error) if error.code().is_some() => {
                tracing::warn!(document_id = %document, page, error = logging::chain(&error), "a page is not read");
                empty_page(false)
            }
            Err(error) => {
                self.release_page(target, page, attempts, &[]).await?;
                return Err(IngestError::Transient(error.into()));
            }
        };
        self.store_page(target, read, &[]).await
    }
}
