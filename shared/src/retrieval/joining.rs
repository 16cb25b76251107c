//! What is said once is shown once, and what belongs together is shown together: a passage that repeats a better one gives
//! its place to the next, and one that stands beside a better one on the same page is joined to it.

use std::{
    collections::{HashMap, HashSet},
    hash::{BuildHasher, BuildHasherDefault, DefaultHasher},
};

use uuid::Uuid;

use super::{Passage, ranking};
use crate::{db::TenantTx, text};

/// Joined passages have at most so many characters: about a page.
const LONGEST: usize = 3_000;
/// A passage of which this part stands in a better one, in runs of words, is a repetition.
const REPEATED: f64 = 0.85;
/// The length of those runs.
const RUN: usize = 4;
/// So many of the best passages go on into the chunk that follows.
const READ_ON: usize = 3;

/// The best passages, at most `most`, without repetitions; of two that stand side by side on a page, the better one takes
/// in the other.
pub(super) fn join(ordered: Vec<Passage>, most: usize) -> Vec<Passage> {
    let mut taken: Vec<(Passage, Said)> = Vec::new();
    for passage in ordered {
        let beside = taken.iter().position(|(better, _)| better.is_beside(&passage));
        if beside.is_none() && taken.len() >= most {
            continue;
        }
        let said = Said::in_text(&passage.text);
        if taken.iter().any(|(_, better)| said.repeats(better)) {
            continue;
        }
        if let Some((better, all)) = beside.and_then(|place| taken.get_mut(place)) {
            all.add(said);
            better.take_in(*passage.chunks.start(), &passage.text);
        } else {
            taken.push((passage, said));
        }
    }
    taken.into_iter().map(|(passage, _)| passage).collect()
}

/// Lets the best passages go on into the chunk that follows on the same page, where nobody else has it: an answer often
/// stands just below what was asked for.
///
/// # Errors
/// The database's.
pub(super) async fn read_on(tx: &mut TenantTx, passages: &mut [Passage]) -> sqlx::Result<()> {
    let next = |passage: &Passage| (passage.document_id, *passage.chunks.end() + 1);
    let held = |wanted: &(Uuid, i32)| {
        passages.iter().any(|passage| passage.document_id == wanted.0 && passage.chunks.contains(&wanted.1))
    };
    let (documents, places): (Vec<_>, Vec<_>) =
        passages.iter().take(READ_ON).map(next).filter(|wanted| !held(wanted)).unzip();
    if documents.is_empty() {
        return Ok(());
    }
    let following = sqlx::query!(
        r#"
        select document_id, chunk_index, page_start, page_end, text_chunk
        from document_chunks
        where customer_id = $1 and (document_id, chunk_index) in (select * from unnest($2::uuid[], $3::integer[]))
        "#,
        tx.tenant(),
        &documents,
        &places
    )
    .fetch_all(tx)
    .await?;
    let mut following: HashMap<_, _> = following
        .into_iter()
        .map(|row| ((row.document_id, row.chunk_index), ((row.page_start, row.page_end), row.text_chunk)))
        .collect();
    for passage in passages.iter_mut().take(READ_ON) {
        let wanted = next(passage);
        if let Some((pages, text)) = following.remove(&wanted)
            && passage.stands_on(pages)
            && passage.has_room(&text)
        {
            passage.take_in(wanted.1, &text);
        }
    }
    Ok(())
}

impl Passage {
    /// Whether another one stands right before or after this one on the same page, and there is room for it. On the same
    /// page, because a citation names one.
    fn is_beside(&self, other: &Self) -> bool {
        let follows = *other.chunks.start() == *self.chunks.end() + 1;
        let precedes = *other.chunks.end() + 1 == *self.chunks.start();
        self.document_id == other.document_id
            && (follows || precedes)
            && self.stands_on((other.page_start, other.page_end))
            && self.has_room(&other.text)
    }

    fn stands_on(&self, pages: (i32, i32)) -> bool {
        pages == (self.page_start, self.page_start) && self.page_end == self.page_start
    }

    fn has_room(&self, text: &str) -> bool {
        self.text.chars().count() + text.chars().count() <= LONGEST
    }

    /// Takes in the chunk right before or after it, without the heading and the table header that both begin with.
    fn take_in(&mut self, place: i32, text: &str) {
        let (start, end) = self.chunks.clone().into_inner();
        if place > end {
            self.text = one_after_the_other(&self.text, text);
            self.chunks = start..=place;
        } else {
            self.text = one_after_the_other(text, &self.text);
            self.chunks = place..=end;
        }
    }
}

/// Two chunks as one text: the lines that the second begins with and that stand in the first are not said again.
fn one_after_the_other(first: &str, second: &str) -> String {
    let known: HashSet<_> = first.lines().collect();
    let mut rest = second;
    while let Some((line, after)) = rest.split_once('\n')
        && known.contains(line)
    {
        rest = after;
    }
    format!("{}\n\n{}", first.trim_end(), rest.trim_start())
}

/// What a text says, as far as repetitions are concerned.
struct Said {
    /// Its runs of words, as hashes.
    runs: HashSet<u64>,
    /// Its words with a digit: two texts that differ in one say different things, however alike they are.
    numbers: HashSet<String>,
}

impl Said {
    fn in_text(text: &str) -> Self {
        let folded = text::fold(text);
        let words: Vec<_> = ranking::split(&folded).collect();
        let hasher = BuildHasherDefault::<DefaultHasher>::default();
        let runs = words.windows(RUN.min(words.len().max(1))).map(|run| hasher.hash_one(run)).collect();
        let has_digit = |word: &&str| word.contains(|char: char| char.is_ascii_digit());
        Self { runs, numbers: words.iter().copied().filter(has_digit).map(str::to_owned).collect() }
    }

    fn repeats(&self, other: &Self) -> bool {
        let repeated = self.runs.intersection(&other.runs).count() as f64;
        repeated >= REPEATED * self.runs.len() as f64 && self.numbers.is_subset(&other.numbers)
    }

    fn add(&mut self, other: Self) {
        self.runs.extend(other.runs);
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
            page_start: page,
            page_end: page,
            chunks: place..=place,
            text: text.to_owned(),
            score: 1.0,
        }
    }

    fn texts(passages: &[Passage]) -> Vec<&str> {
        passages.iter().map(|passage| passage.text.as_str()).collect()
    }

    #[test]
    fn what_stands_side_by_side_on_a_page_is_one_passage_and_leaves_room() {
        let ordered = vec![
            passage(4, 2, "Tarifs\n\nVille Prix\nBouaké 2 500"),
            passage(9, 5, "Les retours sont gratuits."),
            passage(3, 2, "Tarifs\n\nVille Prix\nAbidjan 1 500"),
            passage(5, 3, "Page suivante."),
        ];
        let joined = join(ordered, 3);
        assert_eq!(
            texts(&joined),
            ["Tarifs\n\nVille Prix\nAbidjan 1 500\n\nBouaké 2 500", "Les retours sont gratuits.", "Page suivante."]
        );
        assert_eq!((joined[0].chunks.clone(), joined[0].page_start), (3..=4, 2));
    }

    #[test]
    fn a_passage_grows_to_a_page_and_not_beyond() {
        let long = |number: usize| format!("{number} ").repeat(600);
        let ordered = vec![passage(1, 1, &long(1)), passage(2, 1, &long(2)), passage(3, 1, &long(3))];
        let joined = join(ordered, 5);
        assert_eq!(joined.iter().map(|passage| passage.chunks.clone()).collect::<Vec<_>>(), [1..=2, 3..=3]);
    }

    #[test]
    fn what_is_said_again_is_left_out_unless_a_number_differs() {
        let terms = "Les colis sont livrés à domicile par nos soins dans toute la ville, contre signature, en semaine";
        let ordered = vec![
            passage(1, 1, &format!("{terms} : 1 500 F.")),
            passage(11, 8, &format!("{} : 1 500 F.", terms.to_uppercase())),
            passage(21, 9, &format!("{terms} : 2 000 F.")),
            passage(31, 9, "Oui."),
            passage(41, 9, "oui"),
        ];
        let places: Vec<_> = join(ordered, 5).iter().map(|passage| *passage.chunks.start()).collect();
        assert_eq!(places, [1, 21, 31]);
    }
}
