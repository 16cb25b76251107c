//! Deduplication and merging of ranked passages. A near-duplicate of a better passage is dropped; a chunk adjacent to
//! a better passage on the same page is merged into it.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    hash::{BuildHasher, BuildHasherDefault, DefaultHasher},
};

use uuid::Uuid;

use super::ranking;
use crate::llm::Passage;
use crate::{db::TenantTx, text};

/// Longest merged passage, in characters: about a page.
const MAX_MERGED_CHARS: usize = 3_000;
/// Least share of a passage's shingles that must occur in a better passage for a near-duplicate.
const DUPLICATE_THRESHOLD: f64 = 0.85;
/// Length of a shingle, in words.
const SHINGLE_WORDS: usize = 4;
/// Most passages, of the best, that are extended into the next chunk.
const MAX_EXTENDED_PASSAGES: usize = 3;
/// Longest title of a document, in characters.
const MAX_TITLE_CHARS: usize = 70;
/// Fewest letters of a title.
const MIN_TITLE_LETTERS: usize = 4;

/// Returns the best passages, at most `limit`, without near-duplicates. Of two adjacent chunks on a page, the
/// lower-ranked one is merged into the other.
pub(super) fn merge_and_deduplicate(ordered: Vec<Passage>, limit: usize) -> Vec<Passage> {
    let mut kept: Vec<(Passage, ShingleSet)> = Vec::new();
    for passage in ordered {
        let adjacent = kept.iter().position(|(better, _)| better.is_adjacent_to(&passage));
        if adjacent.is_none() && kept.len() >= limit {
            continue;
        }
        let shingles = ShingleSet::of_text(&passage.text);
        if kept.iter().any(|(_, better)| shingles.repeats(better)) {
            continue;
        }
        if let Some((better, better_shingles)) = adjacent.and_then(|position| kept.get_mut(position)) {
            better_shingles.add(shingles);
            better.merge_chunk(*passage.chunk_indexes.start(), &passage.text);
        } else {
            kept.push((passage, shingles));
        }
    }
    kept.into_iter().map(|(passage, _)| passage).collect()
}

/// Extends the best passages into the next chunk of the same page, unless another passage has that chunk. The answer
/// often stands just below the text that matches the question. Gives each passage the title of its document, from the
/// document's first chunk.
///
/// # Errors
/// Fails when the statement fails.
pub(super) async fn extend_and_title(tx: &mut TenantTx, passages: &mut [Passage]) -> sqlx::Result<()> {
    let next_chunk = |passage: &Passage| (passage.document_id, *passage.chunk_indexes.end() + 1);
    let is_included = |next: &(Uuid, i32)| {
        passages.iter().any(|passage| passage.document_id == next.0 && passage.chunk_indexes.contains(&next.1))
    };
    let next = passages.iter().take(MAX_EXTENDED_PASSAGES).map(next_chunk).filter(|next| !is_included(next));
    let first = passages.iter().map(|passage| (passage.document_id, 0));
    let wanted: BTreeSet<_> = next.chain(first).collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let (documents, indexes): (Vec<_>, Vec<_>) = wanted.into_iter().unzip();
    let following = sqlx::query!(
        r#"
        select document_id, chunk_index, page_start, page_end, text_chunk
        from document_chunks
        where customer_id = $1 and (document_id, chunk_index) in (select * from unnest($2::uuid[], $3::integer[]))
        "#,
        tx.tenant(),
        &documents,
        &indexes
    )
    .fetch_all(tx)
    .await?;
    let mut following: HashMap<_, _> = following
        .into_iter()
        .map(|row| ((row.document_id, row.chunk_index), ((row.page_start, row.page_end), row.text_chunk)))
        .collect();
    for passage in &mut *passages {
        passage.title = following.get(&(passage.document_id, 0)).and_then(|(_, text)| title(text));
    }
    let included: Vec<_> =
        passages.iter().map(|passage| (passage.document_id, passage.chunk_indexes.clone())).collect();
    let is_included =
        |next: &(Uuid, i32)| included.iter().any(|(document, chunks)| *document == next.0 && chunks.contains(&next.1));
    for passage in passages.iter_mut().take(MAX_EXTENDED_PASSAGES) {
        let next = next_chunk(passage);
        if !is_included(&next)
            && let Some((pages, text)) = following.remove(&next)
            && passage.is_on_single_page(pages)
            && passage.has_room_for(&text)
        {
            passage.merge_chunk(next.1, &text);
        }
    }
    Ok(())
}

/// Returns the title of a document: the heading that its first chunk begins with, `None` when it begins otherwise.
fn title(first_chunk: &str) -> Option<String> {
    let line = first_chunk.lines().next()?.trim();
    let is_title = line.starts_with(char::is_uppercase)
        && line.ends_with(|c: char| c.is_alphanumeric() || c == ')')
        && line.chars().nth(MAX_TITLE_CHARS).is_none()
        && line.chars().filter(|c| c.is_alphabetic()).count() >= MIN_TITLE_LETTERS
        && !text::is_table_row(line);
    // A first chunk of one line is all that the document says.
    (is_title && first_chunk.contains('\n')).then(|| line.to_owned())
}

impl Passage {
    /// Returns true when `other` is right before or after this passage on the same page, and the two fit into one
    /// passage. A citation names a single page, so the pages must be equal.
    fn is_adjacent_to(&self, other: &Self) -> bool {
        let follows = *other.chunk_indexes.start() == *self.chunk_indexes.end() + 1;
        let precedes = *other.chunk_indexes.end() + 1 == *self.chunk_indexes.start();
        self.document_id == other.document_id
            && (follows || precedes)
            && self.is_on_single_page((other.page_start, other.page_end))
            && self.has_room_for(&other.text)
    }

    /// Returns true when this passage and `pages` lie on the same single page.
    fn is_on_single_page(&self, pages: (i32, i32)) -> bool {
        pages == (self.page_start, self.page_start) && self.page_end == self.page_start
    }

    /// Returns true when the passage stays within [`MAX_MERGED_CHARS`] with `text` added.
    fn has_room_for(&self, text: &str) -> bool {
        self.text.chars().count() + text.chars().count() <= MAX_MERGED_CHARS
    }

    /// Merges the chunk right before or after the passage, without the heading and the table header that both begin
    /// with.
    fn merge_chunk(&mut self, index: i32, text: &str) {
        let (start, end) = self.chunk_indexes.clone().into_inner();
        if index > end {
            self.text = concatenated(&self.text, text);
            self.chunk_indexes = start..=index;
        } else {
            self.text = concatenated(text, &self.text);
            self.chunk_indexes = index..=end;
        }
    }
}

/// Concatenates two chunks. Leading lines of the second that occur in the first are left out.
fn concatenated(first: &str, second: &str) -> String {
    let first_lines: HashSet<_> = first.lines().collect();
    let mut rest = second;
    while let Some((line, after)) = rest.split_once('\n')
        && first_lines.contains(line)
    {
        rest = after;
    }
    format!("{}\n\n{}", first.trim_end(), rest.trim_start())
}

/// Content of a text for the detection of near-duplicates.
struct ShingleSet {
    /// Hashes of the text's runs of [`SHINGLE_WORDS`] words.
    shingles: HashSet<u64>,
    /// Words with a digit. Two texts that differ in a number, such as a price, are not duplicates, however similar.
    numbers: HashSet<String>,
}

impl ShingleSet {
    fn of_text(text: &str) -> Self {
        let folded = text::fold(text);
        let words: Vec<_> = ranking::split_words(&folded).collect();
        let hasher = BuildHasherDefault::<DefaultHasher>::default();
        let shingles = words.windows(SHINGLE_WORDS.min(words.len().max(1))).map(|run| hasher.hash_one(run)).collect();
        let has_digit = |word: &&str| word.contains(|char: char| char.is_ascii_digit());
        Self { shingles, numbers: words.iter().copied().filter(has_digit).map(str::to_owned).collect() }
    }

    /// Returns true when this text is a near-duplicate of `other` or of a part of it.
    fn repeats(&self, other: &Self) -> bool {
        let shared = self.shingles.intersection(&other.shingles).count() as f64;
        shared >= DUPLICATE_THRESHOLD * self.shingles.len() as f64 && self.numbers.is_subset(&other.numbers)
    }

    fn add(&mut self, other: Self) {
        self.shingles.extend(other.shingles);
        self.numbers.extend(other.numbers);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passage(place: i32, page: i32, text: &str) -> Passage {
        Passage {
            chunk_id: Uuid::from_u128(place as u128),
            document_id: Uuid::from_u128(7),
            filename: "guide.pdf".to_owned(),
            version: None,
            place: None,
            title: None,
            page_start: page,
            page_end: page,
            chunk_indexes: place..=place,
            text: text.to_owned(),
            score: 1.0,
        }
    }

    #[test]
    fn a_title_is_the_heading_at_the_beginning() {
        assert_eq!(title("Guide de livraison\n\nNous livrons.").as_deref(), Some("Guide de livraison"));
        assert_eq!(title("Tarifs 2026\nPagne 500").as_deref(), Some("Tarifs 2026"));
        for text in ["Nous livrons partout.\n\nOui", "Guide de livraison", "12\nTexte", "• un\n• deux", ""] {
            assert_eq!(title(text), None, "{text}");
        }
    }

    fn texts(passages: &[Passage]) -> Vec<&str> {
        passages.iter().map(|passage| passage.text.as_str()).collect()
    }

    #[test]
    fn adjacent_chunks_of_a_page_merge_and_free_a_place() {
        let ordered = vec![
            passage(4, 2, "Tarifs\n\nVille Prix\nBouaké 2 500"),
            passage(9, 5, "Les retours sont gratuits."),
            passage(3, 2, "Tarifs\n\nVille Prix\nAbidjan 1 500"),
            passage(5, 3, "Page suivante."),
        ];
        let joined = merge_and_deduplicate(ordered, 3);
        assert_eq!(
            texts(&joined),
            ["Tarifs\n\nVille Prix\nAbidjan 1 500\n\nBouaké 2 500", "Les retours sont gratuits.", "Page suivante."]
        );
        assert_eq!((joined[0].chunk_indexes.clone(), joined[0].page_start), (3..=4, 2));
    }

    #[test]
    fn merged_passage_stays_within_a_page() {
        let long = |number: usize| format!("{number} ").repeat(600);
        let ordered = vec![passage(1, 1, &long(1)), passage(2, 1, &long(2)), passage(3, 1, &long(3))];
        let joined = merge_and_deduplicate(ordered, 5);
        assert_eq!(joined.iter().map(|passage| passage.chunk_indexes.clone()).collect::<Vec<_>>(), [1..=2, 3..=3]);
    }

    #[test]
    fn near_duplicate_is_dropped_unless_a_number_differs() {
        let terms = "Les colis sont livrés à domicile par nos soins dans toute la ville, contre signature, en semaine";
        let ordered = vec![
            passage(1, 1, &format!("{terms} : 1 500 F.")),
            passage(11, 8, &format!("{} : 1 500 F.", terms.to_uppercase())),
            passage(21, 9, &format!("{terms} : 2 000 F.")),
            passage(31, 9, "Oui."),
            passage(41, 9, "oui"),
        ];
        let places: Vec<_> =
            merge_and_deduplicate(ordered, 5).iter().map(|passage| *passage.chunk_indexes.start()).collect();
        assert_eq!(places, [1, 21, 31]);
    }
}
