//! Word recall of each file of a corpus as the reader gives it, without a running stack.

use std::{collections::HashMap, fs, path::Path};

use anyhow::{Context, Result};
use local_postgres::{ProgressOutput, Python};
use shared::pdf::{ExtractedPages, Extractor, PageKind};

use super::{Arguments, manifest, recall::word_recall};
use crate::environment;

/// Reads each file of a folder and prints its outcome, and its word recall where there is a reference text. Beside it
/// stands the recall of the text in the folder `before`.
pub(super) async fn run(arguments: &Arguments) -> Result<()> {
    let Arguments { folder, before, write, .. } = arguments;
    let python = Python::ensure(ProgressOutput::Silent)?;
    let extractor = Extractor::new(environment::lisa_program()?, python.libpdfium());
    let mut sums = (0, 0.0, 0.0);
    println!("  {:<28} {:>6} {:>6}  file", "outcome", "before", "recall");
    for entry in manifest::read(&folder.join("manifest.csv"))? {
        let pdf = fs::read(folder.join(&entry.file)).with_context(|| format!("{} cannot be read", entry.file))?;
        let pages = extractor.extract(&pdf).await;
        let outcome = match &pages {
            Ok(pages) => kinds(pages),
            Err(error) => error.code().map_or_else(|| error.to_string(), str::to_owned),
        };
        let name = Path::new(&entry.file).with_extension("txt");
        let reference = fs::read_to_string(folder.join("reference_text").join(&name)).ok();
        let pages = pages.ok();
        let text = pages.as_ref().map(|pages| pages.as_slice().iter().map(|page| page.text.as_str()));
        let text = text.map(|texts| texts.collect::<Vec<_>>().join("\n\n")).unwrap_or_default();
        if let Some(folder) = write {
            fs::write(folder.join(&name), &text).context("a text cannot be written")?;
        }
        let recall = reference.as_deref().map(|reference| word_recall(reference, &text));
        let earlier = before.as_ref().and_then(|folder| fs::read_to_string(folder.join(&name)).ok());
        let earlier = reference.as_deref().zip(earlier).map(|(reference, text)| word_recall(reference, &text));
        if let (Some(recall), Some(_)) = (recall, &pages) {
            sums = (sums.0 + 1, sums.1 + recall, sums.2 + earlier.unwrap_or_default());
        }
        let shown = |recall: Option<f64>| recall.map(|recall| format!("{recall:.3}")).unwrap_or_default();
        println!("  {outcome:<28} {:>6} {:>6}  {}", shown(earlier), shown(recall), entry.file);
    }
    let (count, now, earlier) = sums;
    let mean = |sum: f64| sum / f64::from(count.max(1));
    println!("  {count} files with a reference: word recall {:.4} in the mean, before {:.4}", mean(now), mean(earlier));
    Ok(())
}

/// Returns how many pages there are of each kind.
fn kinds(pages: &ExtractedPages) -> String {
    let mut counts: HashMap<PageKind, usize> = HashMap::new();
    pages.kinds().iter().for_each(|kind| *counts.entry(*kind).or_default() += 1);
    let kinds = [PageKind::Text, PageKind::Scan, PageKind::Unreadable, PageKind::Blank];
    let shown =
        kinds.iter().filter_map(|kind| counts.get(kind).map(|count| format!("{count} {kind:?}").to_lowercase()));
    shown.collect::<Vec<_>>().join(", ")
}
