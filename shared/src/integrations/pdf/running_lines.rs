//! Headers and footers that repeat on the pages of a document. They stay on the first page that has them; on the
//! others they would stand within sentences that run over a page break, and answer each question with every page.

use super::raw_page::{RawBlock, RawPage};
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

/// Height of the margin at the top and at the bottom in which headers and footers stand, as a share of the page.
const MARGIN: f32 = 0.12;

/// Removes headers and footers from all pages but the first one that has them. A block counts as a header or footer
/// when it stands in the margin, apart from the text. The repeated header row of a table over several pages does not.
pub(super) fn tell_apart(pages: &mut [RawPage]) {
    let with_text = pages.iter().filter(|page| !page.text().trim().is_empty()).count();
    let least = MIN_PAGES.max((MIN_SHARE * with_text as f32).ceil() as usize);
    let mut counts: HashMap<String, usize> = HashMap::new();
    for page in pages.iter() {
        let keys: HashSet<String> = candidates(page).flat_map(|(_, text)| keys(text, page.number)).collect();
        keys.into_iter().for_each(|key| *counts.entry(key).or_default() += 1);
    }
    counts.retain(|_, count| *count >= least);
    let mut seen: HashSet<String> = HashSet::new();
    for page in pages.iter_mut().filter(|_| !counts.is_empty()) {
        let mut repeated = HashSet::new();
        for (at, text) in candidates(page) {
            let running: Vec<String> =
                keys(text, page.number).into_iter().filter(|key| counts.contains_key(key)).collect();
            if running.iter().any(|key| seen.contains(key)) {
                repeated.insert(at);
            }
            seen.extend(running);
        }
        let kept = page.blocks.iter().enumerate().filter(|(at, _)| !repeated.contains(at)).map(|(_, block)| block);
        // A page of nothing else keeps its text.
        if kept.clone().any(|block| block.text().contains(char::is_alphabetic)) {
            page.blocks = kept.cloned().collect();
        }
    }
}

/// Returns the places and texts of the blocks in the margins of a page.
fn candidates(page: &RawPage) -> impl Iterator<Item = (usize, &str)> {
    let count = page.blocks.len();
    page.blocks.iter().enumerate().filter_map(move |(at, block)| {
        let RawBlock::Paragraph(paragraph) = block else { return None };
        let (first, last) = paragraph.place?;
        let is_header = at < MAX_BLOCKS && last <= MARGIN;
        let is_footer = at + MAX_BLOCKS >= count && first >= 1.0 - MARGIN;
        (is_header || is_footer).then_some((at, paragraph.text.as_str()))
    })
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
    use super::super::raw_page::RawParagraph;
    use super::*;

    const TOP: f32 = 0.05;
    const MIDDLE: f32 = 0.5;
    const BOTTOM: f32 = 0.95;

    fn texts(pages: &[Vec<(f32, &str)>]) -> Vec<String> {
        let block = |&(place, text): &(f32, &str)| {
            RawBlock::Paragraph(RawParagraph { text: text.to_owned(), place: Some((place, place)) })
        };
        let raw = (1..).zip(pages).map(|(number, blocks)| RawPage {
            number,
            blocks: blocks.iter().map(block).collect(),
            ..RawPage::default()
        });
        let mut raw: Vec<RawPage> = raw.collect();
        tell_apart(&mut raw);
        raw.into_iter().map(|page| page.text()).collect()
    }

    #[test]
    fn headers_and_page_numbers_stay_on_the_first_page_only() {
        let page = |text, number| vec![(TOP, "Contrat 12"), (MIDDLE, text), (BOTTOM, number)];
        let pages = [page("Les retours", "Page 1/3"), page("sont gratuits.", "Page 2/3"), page("Fin.", "Page 3/3")];
        assert_eq!(texts(&pages), ["Contrat 12\n\nLes retours\n\nPage 1/3", "sont gratuits.", "Fin."]);
    }

    #[test]
    fn totals_repeated_lines_of_the_text_and_pages_of_nothing_else_stay() {
        let totals = ["Total 12 000", "Total 9 500", "Total 7 300"].map(|total| vec![(MIDDLE, "A"), (BOTTOM, total)]);
        assert_eq!(texts(&totals), ["A\n\nTotal 12 000", "A\n\nTotal 9 500", "A\n\nTotal 7 300"]);
        let lines = ["Riz 10", "Sel 20", "Thé 30"].map(|row| vec![(0.2, "Livraison gratuite"), (MIDDLE, row)]);
        let expected = ["Riz 10", "Sel 20", "Thé 30"].map(|row| format!("Livraison gratuite\n\n{row}"));
        assert_eq!(texts(&lines), expected);
        let same = ["Brouillon"; 3].map(|text| vec![(TOP, text)]);
        assert_eq!(texts(&same), ["Brouillon"; 3]);
    }
}
