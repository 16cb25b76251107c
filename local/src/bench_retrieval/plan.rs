//! Derives the data to load from the seed: the number of chunks of each tenant, and their documents.

use uuid::Uuid;

use crate::random::SplitMix64;

/// The sizes of the large tenants, in chunks, and how many there are of each, as long as a size takes at most a fifth
/// of all chunks.
const LARGE: [(usize, usize); 4] = [(200_000, 1), (50_000, 4), (10_000, 20), (1_000, 200)];
/// The minimum number of chunks per tenant.
const MIN_CHUNKS_PER_TENANT: usize = 10;
/// The number of chunks per document.
const CHUNKS_PER_DOCUMENT: std::ops::RangeInclusive<u64> = 5..=400;

/// A document to load.
#[derive(Debug, Clone)]
pub(super) struct PlannedDocument {
    pub(super) id: Uuid,
    /// The index of the document's tenant in the order of size.
    pub(super) tenant: usize,
    /// The number that seeds the contents.
    pub(super) number: u64,
    pub(super) chunks: usize,
}

/// The id of a tenant.
pub(super) fn tenant(seed: u64, place: usize) -> Uuid {
    SplitMix64::for_object(seed, "tenant", place as u64).uuid()
}

/// The number of chunks of each tenant, largest first: a few large tenants and a long tail.
pub(super) fn sizes(chunks: usize, tenants: usize) -> Vec<usize> {
    let (mut sizes, mut left) = (Vec::new(), chunks);
    for (size, most) in LARGE {
        for place in 0..most {
            let is_too_much = place > 0 && (place + 1) * size > chunks / 5;
            let others = tenants.saturating_sub(sizes.len() + 1);
            if is_too_much || others == 0 || left < size + others * MIN_CHUNKS_PER_TENANT {
                break;
            }
            sizes.push(size);
            left -= size;
        }
    }
    let tail = tenants - sizes.len();
    let spare = left.saturating_sub(tail * MIN_CHUNKS_PER_TENANT);
    // The sum of the cubes 1³ + … + tail³.
    let whole = (tail * (tail + 1) / 2).pow(2).max(1);
    sizes.extend((1..=tail).rev().map(|place| MIN_CHUNKS_PER_TENANT + spare * place.pow(3) / whole));
    sizes
}

/// The documents of all tenants, in a shuffled order of arrival.
pub(super) fn documents(seed: u64, sizes: &[usize]) -> Vec<PlannedDocument> {
    let mut documents = Vec::new();
    let mut random = SplitMix64::for_object(seed, "documents", 0);
    for (tenant, &size) in sizes.iter().enumerate() {
        let mut left = size;
        while left > 0 {
            let span = (CHUNKS_PER_DOCUMENT.end() - CHUNKS_PER_DOCUMENT.start() + 1) as usize;
            let chunks = (*CHUNKS_PER_DOCUMENT.start() as usize + random.below(span)).min(left);
            let number = documents.len() as u64;
            documents.push(PlannedDocument {
                id: SplitMix64::for_object(seed, "document", number).uuid(),
                tenant,
                number,
                chunks,
            });
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
    fn few_chunks_are_distributed_too() {
        assert_eq!(sizes(100, 10), [10; 10]);
        assert_eq!(sizes(300_000, 300)[..2], [200_000, 50_000]);
        assert_eq!(sizes(5_000, 1).len(), 1);
    }

    #[test]
    fn documents_hold_all_chunks_and_depend_on_the_seed_only() {
        let sizes = sizes(20_000, 50);
        let first = documents(1, &sizes);
        let mut held = vec![0; 50];
        first.iter().for_each(|document| held[document.tenant] += document.chunks);
        assert_eq!(held, sizes);
        let ids = |documents: &[PlannedDocument]| documents.iter().map(|document| document.id).collect::<Vec<_>>();
        assert_eq!(ids(&first), ids(&documents(1, &sizes)));
        assert_ne!(ids(&first), ids(&documents(2, &sizes)));
    }
}
