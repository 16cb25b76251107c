//! `cargo bench-pdf`: measures PDF text extraction in the child process of the release ingest-worker.

use std::{fs, path::PathBuf, process::Command, time::Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use local_postgres::{ProgressOutput, Python};
use nix::sys::resource::{UsageWho, getrusage};
use shared::pdf::{ExtractedPages, Extractor};

use crate::bench::build;

/// Extracts the text of a PDF several times, as ingestion does, and prints the median time and the peak memory.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The document [default: a generated one with 200 pages full of text].
    file: Option<PathBuf>,
    /// The number of extractions.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Do not build; measure the program as it is.
    #[arg(long)]
    as_built: bool,
    #[arg(long, hide = true)]
    alone: bool,
}

/// The function whose program extracts PDFs.
const WORKER: &str = "ingest-worker";

/// Extracts the document and prints the figures.
///
/// # Errors
/// Fails when the document cannot be extracted.
pub async fn run(arguments: Arguments) -> Result<()> {
    if arguments.alone { measure(arguments).await } else { measure_in_new_process(&arguments) }
}

/// Measures in a new process. The kernel reports the peak over all children of a process, and this process may have
/// had other children: `cargo run` replaces itself with this program.
fn measure_in_new_process(arguments: &Arguments) -> Result<()> {
    if !arguments.as_built {
        build::build("release", &[WORKER])?;
    }
    let program = std::env::current_exe().context("the path of this program is not known")?;
    let mut command = Command::new(program);
    command.args(["bench-pdf", "--alone", "--rounds", &arguments.rounds.to_string()]).args(&arguments.file);
    let ended = command.status().context("this program cannot be run again")?;
    if ended.success() { Ok(()) } else { bail!("the measurement failed") }
}

async fn measure(arguments: Arguments) -> Result<()> {
    let pdf = match &arguments.file {
        Some(file) => fs::read(file).with_context(|| format!("{} cannot be read", file.display()))?,
        None => generate_pdf(200),
    };
    let python = Python::ensure(ProgressOutput::Silent)?;
    let extractor = Extractor::new(build::folder("release")?.join(WORKER), python.libpdfium());
    let (seconds, pages) = time_extractions(&extractor, &pdf, arguments.rounds).await?;
    // The peak of the largest child, in KiB. The only other child is pip, on the first run of all.
    let peak = getrusage(UsageWho::RUSAGE_CHILDREN).context("the children's memory is not known")?.max_rss();
    let letters: usize = pages.as_slice().iter().map(|page| page.text.chars().count()).sum();
    println!(
        "  {} pages, {letters} characters: {seconds:.2} s in the median, {:.0} MB at most",
        pages.as_slice().len(),
        peak as f64 * 1024.0 / 1e6
    );
    // The time of one page is nearly all the start of the child process: its limits, the library and the sandbox.
    let (seconds, _) = time_extractions(&extractor, &generate_pdf(1), START_ROUNDS).await?;
    println!("  1 page: {:.1} ms in the median", seconds * 1e3);
    Ok(())
}

/// Extractions of a document of one page, by which the start of the child process is measured.
const START_ROUNDS: usize = 51;

/// Extracts a document several times. Returns the median time in seconds, and the pages.
async fn time_extractions(extractor: &Extractor, pdf: &[u8], rounds: usize) -> Result<(f64, ExtractedPages)> {
    let (mut took, mut pages) = (Vec::new(), None);
    for _ in 0..rounds {
        let started = Instant::now();
        pages = Some(extractor.extract(pdf).await?);
        took.push(started.elapsed().as_secs_f64());
    }
    took.sort_by(f64::total_cmp);
    match (took.get(took.len() / 2), pages) {
        (Some(median), Some(pages)) => Ok((*median, pages)),
        _ => bail!("--rounds must be at least 1"),
    }
}

/// Generates a PDF whose pages have 60 lines of 90 characters, about as much as fits on paper.
fn generate_pdf(pages: usize) -> Vec<u8> {
    let mut objects = vec!["<< /Type /Catalog /Pages 2 0 R >>".to_owned(), String::new()];
    objects.push("<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>".to_owned());
    let mut kids = String::new();
    for page in 1..=pages {
        let mut content = "BT /F 9 Tf 12 TL 40 780 Td".to_owned();
        for line in 1..=60 {
            let words = format!("Page {page}, line {line}: delivery takes two working days and costs {line} euros. ");
            content.push_str(&format!(" ({}) Tj T*", &words.repeat(2)[..90]));
        }
        content.push_str(" ET");
        let number = objects.len() + 1;
        kids.push_str(&format!("{number} 0 R "));
        objects.push(format!(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents {} 0 R \
             /Resources << /Font << /F 3 0 R >> >> >>",
            number + 1
        ));
        objects.push(format!("<< /Length {} >>\nstream\n{content}\nendstream", content.len()));
    }
    objects[1] = format!("<< /Type /Pages /Count {pages} /Kids [ {kids}] >>");

    let (mut file, mut places) = ("%PDF-1.7\n".to_owned(), String::new());
    for (number, object) in objects.iter().enumerate() {
        places.push_str(&format!("{:010} 00000 n \n", file.len()));
        file.push_str(&format!("{} 0 obj\n{object}\nendobj\n", number + 1));
    }
    let (count, start) = (objects.len() + 1, file.len());
    file.push_str(&format!(
        "xref\n0 {count}\n0000000000 65535 f \n{places}trailer\n<< /Size {count} /Root 1 0 R >>\n\
         startxref\n{start}\n%%EOF\n"
    ));
    file.into_bytes()
}
