//! Random numbers for tests and benchmarks, equal for the same seed on every machine.

use uuid::{Builder, Uuid};

/// The SplitMix64 generator by Vigna, which gives the same numbers on every machine and in every version.
#[derive(Debug, Clone)]
pub struct SplitMix64(u64);

impl SplitMix64 {
    /// Creates the generator whose first state is `seed`.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Creates the generator of one object, so that an object's data does not depend on the other objects.
    pub fn for_object(seed: u64, kind: &str, number: u64) -> Self {
        let start = kind.bytes().fold(seed, |state, byte| Self(state ^ u64::from(byte)).next());
        Self(Self(start ^ number).next())
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Returns a number below `end`, which must not be 0.
    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// Returns true in `part` of 100 cases.
    pub fn percent(&mut self, part: usize) -> bool {
        self.below(100) < part
    }

    /// Returns a UUID of version 4.
    pub fn uuid(&mut self) -> Uuid {
        let random = u128::from(self.next()) << 64 | u128::from(self.next());
        Builder::from_random_bytes(random.to_be_bytes()).into_uuid()
    }
}
