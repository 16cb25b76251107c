//! The child process that reads documents runs out of memory, out of processor time, or writes a file against its
//! limit. The document fails with an error code, and the next document is read.

use std::{fs, os::unix::fs::PermissionsExt, time::Duration};

use local::environment::lisa_program;

use super::{
    super::support::{App, small_pdf, wait_until},
    is_through_pgbouncer,
};

/// Maximum time until a document has a final status. The child process may take 45 s of processor time, but these
/// documents fail at once.
const ENDS_WITHIN: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_reader_at_its_limits_fails_one_document_with_its_code_and_reads_the_next() {
    if is_through_pgbouncer() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (program, fault) = (folder.path().join("reader"), folder.path().join("fault"));
    // A shell script stands for the reader. Its limits of time and file size are those of the reader, with lower
    // numbers. For memory, it ends by SIGABRT, as pdfium does when an allocation fails.
    let script = format!("#!/bin/bash\n. {}\nexec {} \"$@\"\n", fault.display(), lisa_program().unwrap().display());
    fs::write(&fault, "").unwrap();
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
    let app = App::with_settings(&[("PDF_EXTRACTOR", program.to_str().unwrap())]).await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    for (name, line, code) in [
        ("memory", "echo '\"ready\"'; kill -ABRT $$", "corrupt"),
        ("time", "ulimit -S -t 1; echo '\"ready\"'; while :; do :; done", "timed_out"),
        ("size", "echo '\"ready\"'; ulimit -f 0; echo x > \"$0.out\"", "reader_failed"),
    ] {
        fs::write(&fault, line).unwrap();
        let pdf = small_pdf(&format!("The delivery by {name} takes three days."));
        let id = app.upload(&tenant, &format!("{name}.pdf"), pdf.clone()).await;
        let document = wait_until("the document ends", ENDS_WITHIN, async || {
            let document = app.document(&tenant, id).await;
            (document["status"] != "pending").then_some(document)
        })
        .await;
        assert_eq!((&document["status"], &document["error_code"]), (&"failed".into(), &code.into()), "{document}");
        assert_eq!(app.chunk_count(id).await, 0);
        // A retry reads the document when the fault is over, and stores its chunk once.
        fs::write(&fault, "").unwrap();
        app.post(&format!("/api/v1/documents/{id}/retry")).by(&tenant).await.data(200);
        let document = app.wait_for_end_state(&tenant, id).await;
        assert_eq!(document["status"], "processed", "{document}");
        assert_eq!(app.chunk_count(id).await, 1);
    }
    app.wait_for_empty_ingest_queue().await;
    assert_eq!(app.dead_letter_count().await, 0);
    assert_eq!(app.number("select count(*) from ingest_slots").await, 0);
}
