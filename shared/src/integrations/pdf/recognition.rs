//! Reads the text in the picture of a page by OCR, in the child process.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ocr::{GrayImage, Line, Recognizer};
use pdfium_render::prelude::PdfDocument;
use serde::{Deserialize, Serialize};

use super::{ChildAnswer, ExtractionJob, PdfLimits, rendering};

/// Longest side of the picture, in pixels: an A4 page at 205 dpi.
const LONGEST_SIDE_PX: u16 = 2400;

/// Address space of the child process, in bytes. Reading a page takes up to 300 MB, the program and pdfium another 150.
const MEMORY_BYTES: u64 = 768 * 1024 * 1024;

/// Time on the clock for one page. More than the processor time, which other processes do not take from it.
const WALL_TIME: Duration = Duration::from_secs(90);

/// Share of [`WALL_TIME`] after which the child process stops by itself. The parent kills it at the end.
const OWN_SHARE: f32 = 0.9;

/// Minimum confidence of a text. Below, it comes from a picture, a stamp or a signature.
const MIN_TEXT_CONFIDENCE: f32 = 0.6;

/// Ratio of length to height from which a place without readable characters is a text in another script, not a speck.
const MIN_UNREAD_LENGTH: f32 = 3.0;

/// Distance of two rows, as a share of their height, from which the lower one begins a paragraph.
const PARAGRAPH_GAP: f32 = 0.9;

/// The folder of the OCR models, and the processor time that they may take for a page.
#[derive(Clone, Debug)]
pub struct OcrReader {
    /// Folder that scripts/fetch-ocr.sh filled.
    pub models: PathBuf,
    /// Maximum processor time for one page, in whole seconds. A page ends after 90 s on the clock, too.
    pub page_time: Duration,
}

impl OcrReader {
    /// Returns the resource limits of the child process that reads one page.
    pub(super) fn limits(&self, limits: PdfLimits) -> PdfLimits {
        let cpu_time = Duration::from_secs(self.page_time.as_secs().max(1));
        PdfLimits { memory_bytes: MEMORY_BYTES, wall_time: WALL_TIME, cpu_time, ..limits }
    }
}

/// Text in the picture of a page.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecognizedPage {
    /// Text in reading order; blank lines separate paragraphs.
    pub text: String,
    /// Mean probability of the characters, from 0 to 1. Texts that are too doubtful for `text` count, too.
    pub confidence: f32,
}

/// Loads the OCR models of the job.
///
/// # Errors
/// Returns the answer with the reason why they cannot be used.
pub(super) fn load(job: &ExtractionJob) -> Result<Recognizer, ChildAnswer> {
    // The sandbox forbids threads, so the models run on the calling thread.
    ocr::use_calling_thread_only().map_err(ChildAnswer::Unusable)?;
    let models = job.ocr_models.as_deref().unwrap_or(Path::new(""));
    Recognizer::open(models).map_err(|error| ChildAnswer::OcrUnusable(describe(&error)))
}

/// Reads a page, numbered from 1. `started` is the time at which the child process began.
pub(super) fn recognize(
    document: &PdfDocument<'_>,
    page: u32,
    recognizer: &Recognizer,
    limits: &PdfLimits,
    started: Instant,
) -> ChildAnswer {
    let picture = match rendering::render(document, page, LONGEST_SIDE_PX) {
        Ok(Some(picture)) => picture,
        Ok(None) => return ChildAnswer::Recognized(None),
        Err(_) => return ChildAnswer::Corrupt,
    };
    let Ok(image) = GrayImage::new(picture.width.into(), picture.height.into(), picture.pixels) else {
        return ChildAnswer::Corrupt;
    };
    let time_left = limits.wall_time.mul_f32(OWN_SHARE).saturating_sub(started.elapsed());
    match recognizer.recognize(&image, time_left) {
        Ok(lines) => ChildAnswer::Recognized(join(&lines)),
        Err(ocr::Error::TimedOut) => ChildAnswer::PageTimedOut,
        Err(error) if error.is_of_installation() => ChildAnswer::OcrUnusable(describe(&error)),
        Err(_) => ChildAnswer::Corrupt,
    }
}

fn describe(error: &ocr::Error) -> String {
    let source = std::error::Error::source(error).map(|source| format!(": {source}"));
    format!("{error}{}", source.unwrap_or_default())
}

/// Joins the texts of rows by spaces, and rows by line breaks. Returns `None` for a page without texts.
fn join(lines: &[Line]) -> Option<RecognizedPage> {
    // Weighted by length: a page is as sure as most of its text.
    let length = |line: &Line| line.place.width / line.place.height.max(1.0);
    let (mut sum, mut total) = (0.0, 0.0);
    for line in lines.iter().filter(|line| !line.text.is_empty() || length(line) >= MIN_UNREAD_LENGTH) {
        (sum, total) = (sum + length(line) * line.confidence, total + length(line));
    }
    if total == 0.0 {
        return None;
    }
    let mut text = String::new();
    let mut above: Option<&Line> = None;
    for line in lines.iter().filter(|line| !line.text.is_empty() && line.confidence >= MIN_TEXT_CONFIDENCE) {
        if let Some(above) = above {
            let gap = line.place.top - above.place.bottom();
            let is_paragraph = gap > PARAGRAPH_GAP * line.place.height.min(above.place.height);
            text.push_str(match (above.row == line.row, is_paragraph) {
                (true, _) => " ",
                (false, false) => "\n",
                (false, true) => "\n\n",
            });
        }
        text.push_str(&line.text);
        above = Some(line);
    }
    Some(RecognizedPage { text, confidence: sum / total })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ocr::Place;

    fn line(text: &str, row: usize, top: f32, confidence: f32) -> Line {
        let place = Place { left: 0.0, top, width: 100.0, height: 20.0 };
        Line { text: text.to_owned(), confidence, place, row }
    }

    #[test]
    fn rows_become_lines_and_distant_rows_paragraphs() {
        let page = join(&[
            line("Tarifs", 0, 0.0, 1.0),
            line("Riz local", 1, 50.0, 1.0),
            line("16 000", 1, 52.0, 1.0),
            line("Huile", 2, 75.0, 1.0),
        ])
        .unwrap();
        assert_eq!(page.text, "Tarifs\n\nRiz local 16 000\nHuile");
    }

    #[test]
    fn doubtful_texts_are_left_out_and_lower_the_confidence() {
        let page = join(&[line("abcd", 0, 0.0, 0.9), line("~%", 1, 30.0, 0.3)]).unwrap();
        assert_eq!(page.text, "abcd");
        assert!((page.confidence - 0.6).abs() < 0.001, "{}", page.confidence);
    }

    #[test]
    fn another_script_is_unsure_and_a_speck_is_nothing() {
        let foreign = join(&[line("", 0, 0.0, 0.0)]).unwrap();
        assert_eq!(foreign, RecognizedPage { text: String::new(), confidence: 0.0 });
        let speck = Line { place: Place { left: 0.0, top: 0.0, width: 20.0, height: 20.0 }, ..line("", 0, 0.0, 0.0) };
        assert_eq!((join(&[speck]), join(&[])), (None, None));
    }
}
