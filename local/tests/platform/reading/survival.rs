//! The end of a child process before its last page: the page to blame is read in a plainer mode, and the error code
//! tells the reader's failure from the file's.

use std::{fs, io::ErrorKind, os::unix::fs::PermissionsExt, path::Path};

use shared::pdf::{Extractor, PageKind, PdfError};

use super::pdfs::{page_of, show};
use super::{extractor, libpdfium};

/// Runs a shell script in front of the child process. `$job` is the job that the child gets.
pub(super) fn extractor_behind(folder: &Path, script: &str) -> Extractor {
    let program = folder.join("program");
    let lisa = local::environment::lisa_program().unwrap();
    let text = format!("#!/bin/bash\njob=\"$2\"\n{script}\nexec {} \"$@\"\n", lisa.display());
    fs::write(&program, text).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
    Extractor::new(program, libpdfium())
}

async fn text_behind(script: &str) -> Result<(String, Vec<PageKind>), PdfError> {
    let folder = tempfile::tempdir().unwrap();
    let extractor = extractor_behind(folder.path(), script);
    let pdf = page_of(&show(72, 700, "Le prix est de 900 FCFA."));
    loop {
        match extractor.extract(&pdf).await {
            // A process forked by another test may still hold the script open for writing.
            Err(PdfError::Spawn(error)) if error.kind() == ErrorKind::ExecutableFileBusy => {}
            outcome => return outcome.map(|pages| (pages.as_slice()[0].text.clone(), pages.kinds().to_vec())),
        }
    }
}

#[tokio::test]
async fn a_crash_of_the_complete_reading_is_followed_by_a_plain_one() {
    let crash = r#"[[ $job == *'"is_plain":false'* ]] && { echo '"ready"'; echo '{"opened":1}'; kill -SEGV $$; }"#;
    let (text, kinds) = text_behind(crash).await.unwrap();
    assert_eq!((text.as_str(), kinds), ("Le prix est de 900 FCFA.", vec![PageKind::Text]));
    let while_opening = r#"[[ $job == *'"is_plain":false'* ]] && { echo '"ready"'; kill -SEGV $$; }"#;
    assert_eq!(text_behind(while_opening).await.unwrap().0, "Le prix est de 900 FCFA.");
}

#[tokio::test]
async fn crashes_of_both_modes_are_the_readers_failure_and_lack_of_memory_is_the_files() {
    let crash = r#"echo '"ready"'; kill -SEGV $$"#;
    assert_eq!(text_behind(crash).await.unwrap_err().code(), Some("reader_failed"));
    let on_the_page = r#"echo '"ready"'; echo '{"opened":1}'; kill -SEGV $$"#;
    assert_eq!(text_behind(on_the_page).await.unwrap_err().code(), Some("reader_failed"));
    let memory = r#"echo '"ready"'; kill -ABRT $$"#;
    assert_eq!(text_behind(memory).await.unwrap_err().code(), Some("corrupt"));
}

#[tokio::test]
async fn the_same_file_is_read_without_a_crash() {
    let pages = extractor().extract(&page_of(&show(72, 700, "Le prix est de 900 FCFA."))).await.unwrap();
    assert_eq!(pages.as_slice()[0].text, "Le prix est de 900 FCFA.");
}
