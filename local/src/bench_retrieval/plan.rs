//! What is loaded, by the seed alone: how many chunks each tenant has, and in which documents.

use uuid::{Builder, Uuid};

/// The sizes of large tenants and how many of them there are, as far as a fifth of all chunks goes for each.
const LARGE: [(usize, usize); 4] = [(200_000, 1), (50_000, 4), (10_000, 20), (1_000, 200)];
/// No tenant has fewer chunks.
const LEAST: usize = 10;
/// Chunks of a document.
const DOCUMENT: std::ops::RangeInclusive<u64> = 5..=400;

/// SplitMix64, by Vigna: the same numbers on every machine and in every version.
pub(super) struct Random(u64);

impl Random {
    /// The numbers of one thing: what is generated anew does not depend on what else is.
    pub(super) fn of(seed: u64, kind: &str, number: u64) -> Self {
        let start = kind.bytes().fold(seed, |state, byte| Self(state ^ u64::from(byte)).next());
        Self(Self(start ^ number).next())
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `end`, which must not be 0.
    pub(super) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    pub(super) fn percent(&mut self, part: usize) -> bool {
        self.below(100) < part
    }

    pub(super) fn uuid(&mut self) -> Uuid {
        let random = u128::from(self.next()) << 64 | u128::from(self.next());
        Builder::from_random_bytes(random.to_be_bytes()).into_uuid()
    }
}

/// A document that is to be there.
#[derive(Debug, Clone)]
pub(super) struct Document {
    pub(super) id: Uuid,
    /// The place of its tenant among them all, the largest first.
    pub(super) tenant: usize,
    /// Seeds what is in it.
    pub(super) number: u64,
    pub(super) chunks: usize,
}

/// The id of a tenant.
pub(super) fn tenant(seed: u64, place: usize) -> Uuid {
    Random::of(seed, "tenant", place as u64).uuid()
}

/// How many chunks each tenant has, the largest first: a few large ones, and a tail that grows thin.
pub(super) fn sizes(chunks: usize, tenants: usize) -> Vec<usize> {
    let (mut sizes, mut left) = (Vec::new(), chunks);
    for (size, most) in LARGE {
        for place in 0..most {
            let is_too_much = place > 0 && (place + 1) * size > chunks / 5;
            let others = tenants.saturating_sub(sizes.len() + 1);
            if is_too_much || others == 0 || left < size + others * LEAST {
                break;
            }
            sizes.push(size);
            left -= size;
        }
    }
    let tail = tenants - sizes.len();
    let spare = left.saturating_sub(tail * LEAST);
    // The sum of cubes.
    let whole = (tail * (tail + 1) / 2).pow(2).max(1);
    sizes.extend((1..=tail).rev().map(|place| LEAST + spare * place.pow(3) / whole));
    sizes
}

/// The documents of all tenants, in the order in which they arrive: all tenants at once.
pub(super) fn documents(seed: u64, sizes: &[usize]) -> Vec<Document> {
    let mut documents = Vec::new();
    let mut random = Random::of(seed, "documents", 0);
    for (tenant, &size) in sizes.iter().enumerate() {
        let mut left = size;
        while left > 0 {
            let span = (DOCUMENT.end() - DOCUMENT.start() + 1) as usize;
            let chunks = (*DOCUMENT.start() as usize + random.below(span)).min(left);
            let number = documents.len() as u64;
            documents.push(Document { id: Random::of(seed, "document", number).uuid(), tenant, number, chunks });
            left -= chunks;
        }
    }
    for place in (1..documents.len()).rev() {
        documents.swap(place, random.below(place + 1));
    }
    documents
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_million_chunks_have_a_few_large_tenants_and_a_thin_tail() {
        let sizes = sizes(1_000_000, 1_000);
        assert_eq!(sizes.len(), 1_000);
        assert_eq!(sizes[..6], [200_000, 50_000, 50_000, 50_000, 50_000, 10_000]);
        assert!(sizes.is_sorted_by(|a, b| a >= b));
        assert_eq!(sizes[999], 10);
        let sum: usize = sizes.iter().sum();
        assert!((999_000..=1_000_000).contains(&sum), "{sum}");
    }

    #[test]
    fn few_chunks_are_shared_out_too() {
        assert_eq!(sizes(100, 10), [10; 10]);
        assert_eq!(sizes(300_000, 300)[..2], [200_000, 50_000]);
        assert_eq!(sizes(5_000, 1).len(), 1);
    }

    #[test]
    fn documents_hold_all_chunks_and_are_the_same_again() {
        let sizes = sizes(20_000, 50);
        let first = documents(1, &sizes);
        let mut held = vec![0; 50];
        first.iter().for_each(|document| held[document.tenant] += document.chunks);
        assert_eq!(held, sizes);
        let ids = |documents: &[Document]| documents.iter().map(|document| document.id).collect::<Vec<_>>();
        assert_eq!(ids(&first), ids(&documents(1, &sizes)));
        assert_ne!(ids(&first), ids(&documents(2, &sizes)));
    }
}
