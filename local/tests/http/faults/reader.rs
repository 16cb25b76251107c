//! The process that reads documents out of memory, out of time, and at a file that it may not write: the document fails with
//! its code, and the next one is read.

use std::{fs, os::unix::fs::PermissionsExt, time::Duration};

use local::environment::lisa_program;

use super::{
    super::support::{App, small_pdf, wait_until},
    is_through_pgbouncer,
};

/// Time in which a document ends. Its reading takes 45 s of processor time at most, but these end at once.
const ENDS_WITHIN: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_reader_at_its_limits_fails_one_document_with_its_code_and_reads_the_next() {
    if is_through_pgbouncer() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (program, fault) = (folder.path().join("reader"), folder.path().join("fault"));
    // The limits are those that the reader sets for itself; only the numbers are lower.
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
        // Whoever asks for the reading anew, when the machine has what it takes, gets it, once.
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
