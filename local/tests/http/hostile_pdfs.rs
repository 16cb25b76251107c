//! Ingestion of hostile PDF files: each file of local/fixtures/pdf ends with its expected code within a minute, and
//! the worker survives.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::support::{App, fixture, small_pdf};

/// File name, and the expected number of pages or the expected error code.
const FILES: &[(&str, Result<u32, &str>)] = &[
    ("plain.pdf", Ok(3)),
    ("two_columns.pdf", Ok(1)),
    ("form.pdf", Ok(1)),
    ("deep_nesting.pdf", Ok(1)),
    ("nul_and_surrogates.pdf", Ok(1)),
    ("encrypted_empty_password.pdf", Ok(1)),
    ("encrypted_user_password.pdf", Err("encrypted")),
    ("no_pages.pdf", Err("corrupt")),
    ("cyclic.pdf", Err("corrupt")),
    ("header_only.pdf", Err("corrupt")),
    ("not_a_pdf.pdf", Err("corrupt")),
    ("truncated.pdf", Err("corrupt")),
    ("empty.pdf", Err("no_text")),
    ("scanned.pdf", Err("no_text")),
    ("pages_200.pdf", Ok(200)),
    ("pages_201.pdf", Err("too_many_pages")),
    ("pages_5000.pdf", Err("too_many_pages")),
    ("lying_count_2_of_3.pdf", Ok(3)),
    ("lying_count_100000_of_2.pdf", Ok(2)),
    ("lying_count_1_of_300.pdf", Err("too_many_pages")),
    ("lying_count_1_of_300_compressed.pdf", Err("too_many_pages")),
    ("bomb.pdf", Err("corrupt")),
    ("form_bomb.pdf", Err("corrupt")),
];

#[tokio::test]
async fn every_hostile_pdf_ends_with_its_code_within_a_minute_and_the_worker_survives() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let mut wrong = Vec::new();
    for (name, expected) in FILES {
        let started = Instant::now();
        let id = app.upload(&tenant, name, fixture(name)).await;
        let document = app.wait_for_end_state(&tenant, id).await;
        assert!(started.elapsed() < Duration::from_secs(60), "{name}: {:?}", started.elapsed());
        let (status, code, pages) = match expected {
            Ok(pages) => ("processed", Value::Null, json!(pages)),
            Err(code) => ("failed", json!(code), document["pages_total"].clone()),
        };
        let ended = (&document["status"], &document["error_code"], &document["pages_total"]);
        if ended != (&json!(status), &code, &pages) {
            wrong.push(format!("{name}: {document}"));
        }
        assert_eq!(app.chunk_count(id).await > 0, expected.is_ok() && document["status"] == "processed", "{name}");
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    app.upload_and_process(&tenant, "after.pdf", small_pdf("The worker lives on.")).await;
    app.wait_for_empty_ingest_queue().await;
    assert_eq!(app.dead_letter_count().await, 0);
    let unclean = "select count(*) from document_chunks where text_chunk ~ '[\\x01-\\x08\\x0b-\\x1f]'";
    assert_eq!(app.number(unclean).await, 0);
}
