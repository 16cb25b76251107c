//! Folders of models that are not as they should be.

use std::error::Error as _;
use std::fs;
use std::path::{Path, PathBuf};

use super::support::MODELS;
use ocr::{Error, Recognizer};

/// An empty folder for one test, with links to the models.
fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    for entry in fs::read_dir(&*MODELS).unwrap() {
        let entry = entry.unwrap();
        std::os::unix::fs::symlink(entry.path(), folder.join(entry.file_name())).unwrap();
    }
    folder
}

fn error(folder: &Path) -> Error {
    Recognizer::open(folder).err().unwrap()
}

#[test]
fn a_missing_model_is_named() {
    let folder = folder("missing");
    fs::remove_file(folder.join("PP-OCRv6_rec_small.rten")).unwrap();
    let error = error(&folder);
    assert!(matches!(error, Error::ModelFile { .. }) && error.is_of_installation());
    assert!(error.to_string().ends_with("PP-OCRv6_rec_small.rten cannot be read"), "{error}");
    assert_eq!(error.source().unwrap().to_string(), "No such file or directory (os error 2)");
}

#[test]
fn a_cut_model_and_another_list_of_characters_are_refused() {
    for (file, test) in [("PP-OCRv6_det_small.rten", "cut"), ("ppocrv6_dict.txt", "other")] {
        let folder = folder(test);
        let bytes = fs::read(folder.join(file)).unwrap();
        fs::remove_file(folder.join(file)).unwrap();
        fs::write(folder.join(file), &bytes[..bytes.len() / 2]).unwrap();
        let error = error(&folder);
        assert!(matches!(error, Error::ModelHash { .. }) && error.is_of_installation());
        assert!(error.to_string().contains(file), "{error}");
    }
}
