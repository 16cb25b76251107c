//! The fuzz targets on their corpora and on some hundred mutations, the same ones each time. `cargo fuzz-targets` goes
//! on for minutes.

use local::fuzz;

/// Mutated inputs of each target.
const MUTATIONS: u64 = 500;

#[test]
fn every_target_holds_on_its_corpus_and_on_mutations_of_it() {
    let figures = fuzz::check_all(MUTATIONS).unwrap();
    assert_eq!(figures.len(), 9);
    for (name, figures) in figures {
        assert_eq!(figures.mutations, MUTATIONS, "{name}");
        assert!(figures.corpus > 1 && figures.outcomes > 3, "{name} reaches little: {figures:?}");
    }
}
