//! Reading of PDF files in the child process: what a page displays is what is read, in the order in which it is read,
//! and nothing ends the reader without an answer.

mod field;
mod mutants;
mod order;
mod pdfs;
#[cfg(target_os = "linux")]
mod sandbox;
mod survival;
mod tables;
mod visible;

use std::path::PathBuf;

use local_postgres::{ProgressOutput, Python};
use shared::pdf::{ExtractedPages, Extractor, PdfError};

/// Returns an extractor that runs `lisa` as its child process, as the local stack does.
fn extractor() -> Extractor {
    Extractor::new(local::environment::lisa_program().unwrap(), libpdfium())
}

fn libpdfium() -> PathBuf {
    Python::ensure(ProgressOutput::Silent).unwrap().libpdfium()
}

async fn extract(pdf: &[u8]) -> Result<ExtractedPages, PdfError> {
    extractor().extract(pdf).await
}

/// Returns the texts of a file's pages.
async fn texts(pdf: &[u8]) -> Vec<String> {
    extract(pdf).await.unwrap().as_slice().iter().map(|page| page.text.clone()).collect()
}

/// Returns the text of a file's first page as one line.
async fn line(pdf: &[u8]) -> String {
    texts(pdf).await[0].split_whitespace().collect::<Vec<_>>().join(" ")
}
