//! Mutants of files with forms, layers and boxes: none ends the reader itself. A child process that ends is followed
//! by one in the plainer mode, and a document whose reading fails in both modes has a code.

use std::fs;

use rand::{RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use shared::pdf::Extractor;

use super::{extractor, survival::extractor_behind};

/// Files with forms and annotations, below local/fixtures.
const FORMS: &[&str] = &[
    "pdf/form.pdf",
    "field/pdf/form_values_without_appearance.pdf",
    "field/pdf/freetext_note.pdf",
    "field/pdf/xfa_shell.pdf",
];

/// Files with layers and boxes, below local/fixtures.
const LAYERS_AND_BOXES: &[&str] =
    &["field/pdf/hidden_layer.pdf", "field/pdf/spread_cropbox.pdf", "pdf/two_columns.pdf"];

/// Words of a file that are exchanged for one another.
const WORDS: &[&str] = &[
    "/Tx",
    "/Btn",
    "/Ch",
    "/Sig",
    "/Widget",
    "/FreeText",
    "/Popup",
    "/Link",
    "/Rect",
    "/AP",
    "/N",
    "/V",
    "/DV",
    "/FT",
    "/Kids",
    "/Parent",
    "/Annots",
    "/Fields",
    "/DA",
    "/DR",
    "/MK",
    "/Opt",
    "/Ff",
    "/OCGs",
    "/OFF",
    "/ON",
    "/D",
    "/OC",
    "/OCMD",
    "/OCG",
    "/VE",
    "/P",
    "/BDC",
    "/CropBox",
    "/MediaBox",
    "/Rotate",
    "/Contents",
    "/Resources",
    "/Font",
    "/XObject",
    "/Matrix",
    "/BBox",
    "0 R",
    "null",
    "-1",
    "1e38",
    "99999999",
    "[]",
    "<< >>",
    "()",
    "true",
];

/// Changes some places of a file: bytes, numbers, words and pieces of the file itself.
fn mutate(file: &[u8], random: &mut StdRng) -> Vec<u8> {
    let mut mutant = file.to_vec();
    for _ in 0..random.random_range(1..8) {
        let at = random.random_range(0..mutant.len());
        match random.random_range(0..5) {
            0 => mutant[at] = random.random(),
            1 => {
                let digits: Vec<usize> = (0..mutant.len()).filter(|&at| mutant[at].is_ascii_digit()).collect();
                if let Some(&at) = digits.choose(random) {
                    mutant[at] = b"0123456789-."[random.random_range(0..12)];
                }
            }
            2 => {
                let word = WORDS.choose(random).unwrap().as_bytes();
                let names: Vec<usize> = (0..mutant.len()).filter(|&at| mutant[at] == b'/').collect();
                if let Some(&at) = names.choose(random) {
                    let end = (at + word.len()).min(mutant.len());
                    mutant.splice(at..end, word.iter().copied());
                }
            }
            3 => {
                let end = (at + random.random_range(1..60)).min(mutant.len());
                mutant.drain(at..end);
            }
            _ => {
                let end = (at + random.random_range(1..200)).min(mutant.len());
                let piece = mutant[at..end].to_vec();
                let to = random.random_range(0..mutant.len());
                mutant.splice(to..to, piece);
            }
        }
        if mutant.len() < 8 {
            break;
        }
    }
    mutant[..5].copy_from_slice(b"%PDF-");
    mutant
}

/// Reads mutants. Returns the number of those whose child process failed in both modes.
async fn read_mutants(extractor: &Extractor, files: &[&str], count: usize) -> usize {
    let mut random = StdRng::seed_from_u64(14);
    let folder = local_postgres::root().join("local/fixtures");
    let files: Vec<Vec<u8>> = files.iter().map(|name| fs::read(folder.join(name)).unwrap()).collect();
    let mut failed = 0;
    for nth in 0..count {
        let mutant = mutate(&files[nth % files.len()], &mut random);
        if let Err(error) = extractor.extract(&mutant).await {
            assert!(error.code().is_some(), "mutant {nth}: {error}");
            failed += usize::from(error.code() == Some("reader_failed"));
        }
    }
    failed
}

#[tokio::test]
async fn mutants_of_forms_end_with_their_text_or_a_code_of_the_file() {
    assert_eq!(read_mutants(&extractor(), FORMS, 40).await, 0);
}

#[tokio::test]
async fn mutants_of_layers_and_boxes_end_with_their_text_or_a_code_of_the_file() {
    assert_eq!(read_mutants(&extractor(), LAYERS_AND_BOXES, 20).await, 0);
}

#[tokio::test]
#[ignore = "takes minutes; the tests above read some of each kind"]
async fn seven_hundred_mutants_end_with_their_text_or_a_code_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let retries = folder.path().join("retries");
    let count = format!("[[ $job == *'\"is_plain\":true'* ]] && echo retry >> {}", retries.display());
    let extractor = extractor_behind(folder.path(), &count);
    let forms = read_mutants(&extractor, FORMS, 500).await;
    let others = read_mutants(&extractor, LAYERS_AND_BOXES, 200).await;
    let retries = fs::read_to_string(retries).map_or(0, |lines| lines.lines().count());
    println!("{retries} readings in the plainer mode for 700 mutants");
    assert_eq!((forms, others), (0, 0));
}
