//! Limits of the plan on the text of documents.

use serde_json::{Value, json};

use super::support::{App, TenantUser, WAIT_TIMEOUT, long_pdf, object_created_event, small_pdf, sqs_event, wait_until};

/// Makes a small PDF of `pages` pages that all show one stream of `lines` lines.
fn pdf_of_one_stream(pages: usize, lines: usize) -> Vec<u8> {
    let kids: Vec<_> = (0..pages).map(|number| format!("{} 0 R", 5 + number)).collect();
    let text: String =
        (0..lines).map(|line| format!("(Article {line} of the catalogue is kept on shelf {line}.) Tj T*\n")).collect();
    let content = format!("BT /F1 1 Tf 1 TL 40 840 Td\n{text}ET");
    let mut objects = vec![
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        format!("<< /Type /Pages /Kids [{}] /Count {pages} >>", kids.join(" ")),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>".to_owned(),
        format!("<< /Length {} >>\nstream\n{content}\nendstream", content.len()),
    ];
    objects.extend((0..pages).map(|_| {
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R \
         /Resources << /Font << /F1 3 0 R >> >> >>"
            .to_owned()
    }));
    let mut out = "%PDF-1.7\n".to_owned();
    let mut offsets = Vec::new();
    for (number, object) in (1..).zip(&objects) {
        offsets.push(out.len());
        out.push_str(&format!("{number} 0 obj\n{object}\nendobj\n"));
    }
    let table = out.len();
    out.push_str(&format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1));
    offsets.iter().for_each(|offset| out.push_str(&format!("{offset:010} 00000 n \n")));
    out.push_str(&format!("trailer\n<< /Size {} /Root 1 0 R >>\nstartxref\n{table}\n%%EOF\n", objects.len() + 1));
    out.into_bytes()
}

async fn assert_failed(app: &App, tenant: &TenantUser, document: &Value, code: &str) {
    assert_eq!((&document["status"], &document["error_code"]), (&json!("failed"), &json!(code)), "{document}");
    let id = document["id"].as_str().unwrap().parse().unwrap();
    assert_eq!(app.chunk_count(id).await, 0);
    assert_eq!(app.document(tenant, id).await["error_code"], code);
}

/// Attack: a file of a few kilobytes makes megabytes of rows.
#[tokio::test]
async fn a_small_file_with_much_text_is_refused_by_the_plan() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let file = pdf_of_one_stream(200, 300);
    assert!(file.len() < 60_000, "{}", file.len());
    let id = app.upload(&tenant, "bomb.pdf", file).await;
    let document = app.wait_for_end_state(&tenant, id).await;
    assert_failed(&app, &tenant, &document, "too_much_text").await;
    assert!(document["error"].as_str().unwrap().contains("more text than the plan allows"), "{document}");
    let size = "select pg_total_relation_size('document_chunks')";
    assert!(app.number(size).await < 1_000_000, "nothing was written");
}

#[tokio::test]
async fn the_chunks_of_a_document_are_limited_by_the_plan() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let id = app.upload_and_process(&tenant, "catalogue.pdf", long_pdf()).await;
    let chunks = app.chunk_count(id).await;
    let chars = format!(
        "select chars - (select sum(length(text_chunk)) from document_chunks where document_id = '{id}')
                         from documents where id = '{id}'"
    );
    assert_eq!(app.number(&chars).await, 0, "the characters are those of the chunks");

    app.sql(&format!("update plans set max_document_chunks = {} where name = 'free'", chunks - 1)).await;
    let again = app.upload(&tenant, "again.pdf", long_pdf()).await;
    let document = app.wait_for_end_state(&tenant, again).await;
    assert_failed(&app, &tenant, &document, "too_much_text").await;

    app.sql(&format!("update plans set max_document_chunks = {chunks} where name = 'free'")).await;
    app.post(&format!("/api/v1/documents/{again}/retry")).by(&tenant).await.data(200);
    assert_eq!(app.wait_for_end_state(&tenant, again).await["status"], "processed");
}

#[tokio::test]
async fn the_characters_of_a_tenant_are_limited_by_the_plan_also_for_two_documents_at_once() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let other = app.sign_up("Chez Koffi").await;
    let text = "The delivery takes three days.";
    app.sql(&format!("update plans set max_text_chars = {} where name = 'free'", text.len() * 2 - 1)).await;
    app.disable_bucket_events().await;
    let one = app.upload(&tenant, "one.pdf", small_pdf(text)).await;
    let two = app.upload(&tenant, "two.pdf", small_pdf(text)).await;
    let work = |id| app.stack.invoke("ingest-worker", sqs_event(&[object_created_event(&tenant, id).to_string()]));
    let (first, second) = tokio::join!(work(one), work(two));
    for answer in [first, second] {
        assert_eq!(answer.unwrap(), json!({ "batchItemFailures": [] }));
    }
    let documents = [app.document(&tenant, one).await, app.document(&tenant, two).await];
    let (processed, failed): (Vec<_>, Vec<_>) =
        documents.iter().partition(|document| document["status"] == "processed");
    assert_eq!((processed.len(), failed.len()), (1, 1), "{documents:?}");
    assert_failed(&app, &tenant, failed[0], "text_limit_reached").await;

    // The limit is a tenant's own.
    let theirs = app.upload(&other, "theirs.pdf", small_pdf(text)).await;
    let event = sqs_event(&[object_created_event(&other, theirs).to_string()]);
    app.stack.invoke("ingest-worker", event).await.unwrap();
    assert_eq!(app.document(&other, theirs).await["status"], "processed");

    // A deleted document makes room.
    app.delete(&format!("/api/v1/documents/{}", processed[0]["id"].as_str().unwrap())).by(&tenant).await.no_content();
    let failed = failed[0]["id"].as_str().unwrap();
    app.post(&format!("/api/v1/documents/{failed}/retry")).by(&tenant).await.data(200);
    assert_eq!(app.wait_for_end_state(&tenant, failed.parse().unwrap()).await["status"], "processed");
}

#[tokio::test]
async fn texts_of_older_documents_are_counted_by_maintenance() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    app.upload_and_process(&tenant, "guide.pdf", small_pdf("The delivery takes three days.")).await;
    let chars = app.number("select chars from documents").await;
    assert_eq!(chars, 30);
    app.sql("update documents set chars = null").await;
    app.stack.invoke("maintenance", json!({})).await.unwrap();
    wait_until("the text is counted", WAIT_TIMEOUT, async || {
        (app.number("select chars from documents").await == chars).then_some(())
    })
    .await;
}
