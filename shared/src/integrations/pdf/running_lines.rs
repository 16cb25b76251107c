//! Headers and footers that repeat on the pages of a document. They stay on the first page that has them; on the
//! others they would stand within sentences that run over a page break, and answer each question with every page.

use super::RawPage;
use std::collections::{HashMap, HashSet};

/// Number of blocks at the top and at the bottom of a page that may be a header or a footer.
const MAX_BLOCKS: usize = 2;

/// Fewest pages with a block for it to be a header or a footer.
const MIN_PAGES: usize = 3;

/// Smallest share of the document's pages with text that have such a block. Pages on the left and on the right may
/// have different ones.
const MIN_SHARE: f32 = 0.4;

/// Longest header or footer, in characters.
const MAX_CHARS: usize = 200;

/// Removes headers and footers from all pages but the first one that has them. A block is one when it stands apart
/// from the text; the header row of a table that goes on does not.
pub(super) fn tell_apart(pages: &mut [RawPage]) {
    let with_text = pages.iter().filter(|page| !page.text.trim().is_empty()).count();
    let least = MIN_PAGES.max((MIN_SHARE * with_text as f32).ceil() as usize);
    let mut counts: HashMap<String, usize> = HashMap::new();
    for page in pages.iter() {
        let blocks: Vec<&str> = page.text.split("\n\n").collect();
        let keys: HashSet<String> = edges(&blocks).flat_map(|at| keys(blocks[at], page.number)).collect();
        keys.into_iter().for_each(|key| *counts.entry(key).or_default() += 1);
    }
    counts.retain(|_, count| *count >= least);
    let mut seen: HashSet<String> = HashSet::new();
    for page in pages.iter_mut().filter(|_| !counts.is_empty()) {
        let blocks: Vec<&str> = page.text.split("\n\n").collect();
        let mut kept: Vec<Option<&str>> = blocks.iter().copied().map(Some).collect();
        for at in edges(&blocks) {
            let running: Vec<String> =
                keys(blocks[at], page.number).into_iter().filter(|key| counts.contains_key(key)).collect();
            if running.iter().any(|key| seen.contains(key)) {
                kept[at] = None;
            }
            seen.extend(running);
        }
        // A page of nothing else keeps its text.
        if kept.iter().flatten().any(|block| block.chars().any(char::is_alphabetic)) {
            page.text = kept.into_iter().flatten().collect::<Vec<_>>().join("\n\n");
        }
    }
}

/// Returns the places of the blocks at the top and at the bottom of a page.
fn edges(blocks: &[&str]) -> impl Iterator<Item = usize> {
    let top = MAX_BLOCKS.min(blocks.len());
    let bottom = blocks.len().saturating_sub(MAX_BLOCKS).max(top);
    (0..top).chain(bottom..blocks.len())
}

/// Returns the keys by which blocks of different pages are equal: the text itself, and the text with a number that
/// counts with the pages. Other numbers must be equal, so that totals are no footers.
fn keys(block: &str, page: u32) -> Vec<String> {
    let block = block.trim();
    if block.is_empty() || block.chars().nth(MAX_CHARS).is_some() {
        return Vec::new();
    }
    let mut keys = vec![block.to_owned()];
    let mut end = 0;
    for (at, _) in block.match_indices(|c: char| c.is_ascii_digit()) {
        if at < end {
            continue;
        }
        let digits: String = block[at..].chars().take_while(char::is_ascii_digit).collect();
        end = at + digits.len();
        if let Ok(number) = digits.parse::<i64>() {
            keys.push(format!("{}#{}#{}", &block[..at], number - i64::from(page), &block[end..]));
        }
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(pages: &[&str]) -> Vec<String> {
        let raw = (1..).zip(pages);
        let raw = raw.map(|(number, text)| RawPage { number, text: (*text).to_owned(), ..RawPage::default() });
        let mut raw: Vec<RawPage> = raw.collect();
        tell_apart(&mut raw);
        raw.into_iter().map(|page| page.text).collect()
    }

    #[test]
    fn headers_and_page_numbers_stay_on_the_first_page_only() {
        let page = |n: u32, text: &str| format!("Contrat 12\n\n{text}\n\nPage {n}/3");
        let pages = [page(1, "Les retours"), page(2, "sont gratuits."), page(3, "Fin.")];
        let pages: Vec<&str> = pages.iter().map(String::as_str).collect();
        assert_eq!(texts(&pages), ["Contrat 12\n\nLes retours\n\nPage 1/3", "sont gratuits.", "Fin."]);
    }

    #[test]
    fn totals_header_rows_and_pages_of_nothing_else_stay() {
        let totals = ["A\n\nTotal 12 000", "B\n\nTotal 9 500", "C\n\nTotal 7 300"];
        assert_eq!(texts(&totals), totals);
        let rows = ["Article Prix\nRiz 10", "Article Prix\nSel 20", "Article Prix\nThé 30"];
        assert_eq!(texts(&rows), rows);
        let same = ["Brouillon", "Brouillon", "Brouillon"];
        assert_eq!(texts(&same), same);
    }
}
