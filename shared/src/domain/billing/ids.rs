//! Ids of rows of the schema `billing`.

use rand::RngExt;

/// Generates an id of the form of CUID2: a letter, then 23 letters and digits.
pub(crate) fn new_id() -> String {
    const ALPHABET: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    let mut random = rand::rng();
    let letter = |place| char::from(ALPHABET[random.random_range(0..if place == 0 { 26 } else { 36 })]);
    (0..24).map(letter).collect()
}
