//! Failures during the transcription of scans: dead workers, unavailable or blocking models, deleted documents.

use std::time::{Duration, Instant};

use super::*;

const PAGE_TEXTS: [&str; 4] = ["The first page.", "The second page.", "The third page.", "The fourth page."];

fn scanned_pages(pages: usize) -> Vec<PdfPage> {
    (0..pages).map(|_| PdfPage::scan()).collect()
}

#[tokio::test]
async fn after_a_worker_dies_between_pages_another_reads_only_the_remaining_pages() {
    let fixture = ScanFixture::with_provider("gemini", "GEMINI", &[], Some(3)).await;
    fixture.queue_replies(&PAGE_TEXTS);
    let mut hold =
        fixture.app.hold_statements("before insert on document_pages for each row when (new.page = 3)").await;
    let id = fixture.upload(&scanned_pages(4)).await;
    hold.wait_for_held_statement().await;
    let halfway = fixture.app.document(&fixture.tenant, id).await;
    assert_eq!(
        (&halfway["status"], &halfway["pages_done"], &halfway["pages_total"]),
        (&json!("pending"), &json!(2), &json!(4))
    );
    assert_eq!(fixture.server.calls(), 2);

    let fixture = fixture.restart().await;
    hold.release().await;
    fixture.app.pass_on_slots_of_dead_workers().await;

    assert_eq!(fixture.wait_for_end_state(id).await["status"], "processed");
    assert_eq!(fixture.server.calls(), 4, "no page is paid for twice");
    assert_eq!(fixture.indexed_pages(id).await.into_iter().map(|(_, text)| text).collect::<Vec<_>>(), PAGE_TEXTS);
    assert_eq!(fixture.app.dead_letter_count().await, 0);
}

#[tokio::test]
async fn a_page_claimed_by_a_dead_worker_is_read_after_its_claim_expires() {
    let fixture = ScanFixture::with_provider("gemini", "GEMINI", &[], Some(3)).await;
    fixture.server.hold();
    let id = fixture.upload(&scanned_pages(1)).await;
    fixture.server.wait_for_held_request().await;

    let fixture = fixture.restart().await;
    fixture.server.release();
    fixture.app.pass_on_slots_of_dead_workers().await;
    // The next worker waits for the claim on the page to expire.
    fixture.app.wait_for_empty_ingest_queue().await;
    assert_eq!(fixture.app.document(&fixture.tenant, id).await["status"], "pending");
    assert_eq!(fixture.server.calls(), 1);
    fixture.app.sql("update document_pages set claimed_until = now()").await;
    assert_eq!(fixture.invoke_worker(id).await, no_batch_failures());

    assert_eq!(fixture.app.document(&fixture.tenant, id).await["status"], "processed");
    assert_eq!(fixture.server.calls(), 2);
}

#[tokio::test]
async fn an_invocation_that_uses_up_its_time_is_continued_by_another() {
    let fixture = ScanFixture::new(&[("SCANNED_PDF_TURN_S", "0")]).await;
    fixture.queue_replies(&PAGE_TEXTS);
    fixture.app.disable_bucket_events().await;
    let id = fixture.upload(&scanned_pages(3)).await;
    let mut hold =
        fixture.app.hold_statements("before insert on document_pages for each row when (new.page = 2)").await;

    assert_eq!(fixture.invoke_worker(id).await, no_batch_failures());

    assert_eq!(fixture.server.calls(), 1, "one page a turn");
    hold.wait_for_held_statement().await;
    hold.release().await;
    assert_eq!(fixture.wait_for_end_state(id).await["status"], "processed");
    assert_eq!(fixture.server.calls(), 3);
    fixture.app.wait_for_empty_ingest_queue().await;
    assert_eq!(fixture.app.dead_letter_count().await, 0);
}

#[tokio::test]
async fn two_concurrent_workers_pay_for_each_page_once() {
    let fixture = ScanFixture::new(&[]).await;
    fixture.app.disable_bucket_events().await;
    let id = fixture.upload(&scanned_pages(2)).await;
    fixture.server.hold();
    let other = async {
        fixture.server.wait_for_held_request().await;
        // The second worker leaves the page to the first one and checks again later.
        let left = fixture.invoke_worker(id).await;
        fixture.server.release();
        left
    };
    let (one, two) = tokio::join!(fixture.invoke_worker(id), other);
    assert_eq!([one, two], [no_batch_failures(), no_batch_failures()]);
    assert_eq!(fixture.app.document(&fixture.tenant, id).await["status"], "processed");
    assert_eq!(fixture.server.calls(), 2);
}

#[tokio::test]
async fn a_late_worker_does_not_release_the_claim_of_its_successor() {
    let fixture = ScanFixture::new(&[]).await;
    fixture.app.disable_bucket_events().await;
    let id = fixture.upload(&scanned_pages(1)).await;
    fixture.server.always(FakeReply::Refused { status: 401, retry_after_s: None });
    fixture.server.hold();
    let successor = async {
        fixture.server.wait_for_held_request().await;
        fixture
            .app
            .sql("update document_pages set attempts = attempts + 1, claimed_until = now() + interval '1 h'")
            .await;
        fixture.server.release();
    };
    tokio::join!(fixture.invoke_worker(id), successor);
    assert_eq!(fixture.app.number("select count(*) from document_pages where claimed_until > now()").await, 1);
    assert_eq!(fixture.server.calls(), 1);
}

#[tokio::test]
async fn unavailable_models_are_retried_and_finally_fail_the_document() {
    let fixture = ScanFixture::new(&[]).await;
    fixture.app.disable_bucket_events().await;
    fixture.queue_replies(&PAGE_TEXTS[..1]);
    fixture.server.always(FakeReply::Refused { status: 503, retry_after_s: Some(0) });
    let id = fixture.upload(&scanned_pages(2)).await;

    assert_eq!(fixture.invoke_worker(id).await, no_batch_failures());
    assert_eq!(fixture.app.document(&fixture.tenant, id).await["status"], "pending");
    assert_eq!(fixture.ledger_statuses().await, ["ok", "failed", "failed", "failed"]);
    // The waits between attempts double. This test waits for the first one only and sets the attempts to nine.
    fixture.app.sql("update document_pages set attempts = 9 where page = 2").await;
    fixture.assert_failed(id, "scan_failed").await;

    // A retry does not read the finished page again.
    fixture.server.always(FakeReply::Text(PAGE_TEXTS[1].to_owned()));
    let before = fixture.server.calls();
    fixture.retry(id).await;
    assert_eq!(fixture.wait_for_end_state(id).await["status"], "processed");
    assert_eq!(fixture.server.calls(), before + 1);
    assert_eq!(fixture.indexed_pages(id).await.len(), 2);
}

#[tokio::test]
async fn the_retry_after_header_of_a_provider_is_respected() {
    let fixture = ScanFixture::new(&[]).await;
    fixture.app.disable_bucket_events().await;
    let id = fixture.upload(&scanned_pages(1)).await;
    fixture.server.reply(FakeReply::Refused { status: 429, retry_after_s: Some(8) });
    let started = Instant::now();
    assert_eq!(fixture.invoke_worker(id).await, no_batch_failures());
    assert_eq!(fixture.wait_for_end_state(id).await["status"], "processed");
    assert!(started.elapsed() >= Duration::from_secs(8), "{:?}", started.elapsed());
    assert_eq!(fixture.ledger_statuses().await, ["rate_limited", "ok"]);
}

#[tokio::test]
async fn a_page_with_too_many_attempts_fails_its_document() {
    let fixture = ScanFixture::new(&[]).await;
    fixture.app.disable_bucket_events().await;
    let id = fixture.upload(&scanned_pages(1)).await;
    let claimed = "insert into document_pages (document_id, customer_id, page, attempts) \
                   select id, customer_id, 1, 10 from documents";
    fixture.app.sql(claimed).await;
    assert_eq!(fixture.invoke_worker(id).await, no_batch_failures());
    fixture.assert_failed(id, "scan_failed").await;
    assert_eq!(fixture.server.calls(), 0);
    fixture.retry(id).await;
    assert_eq!(fixture.wait_for_end_state(id).await["status"], "processed");
}

#[tokio::test]
async fn an_empty_reply_is_retried_and_a_blocked_page_is_not() {
    for (name, prefix) in [("gemini", "GEMINI"), ("anthropic", "ANTHROPIC"), ("openai", "OPENAI")] {
        let fixture = ScanFixture::with_provider(name, prefix, &[], None).await;
        fixture.server.reply(FakeReply::Empty);
        fixture.server.reply_text(PAGE_TEXTS[0]);
        fixture.server.reply(FakeReply::Blocked);
        fixture.server.reply(FakeReply::Truncated("The third page breaks".to_owned()));
        let id = fixture.upload_and_process(&scanned_pages(3)).await;
        assert_eq!(fixture.ledger_statuses().await, ["empty", "ok", "blocked", "ok"], "{name}");
        let unread =
            format!("select count(*) from documents where id = '{id}' and metadata -> 'unread_pages' = '[2, 3]'");
        assert_eq!(fixture.app.number(&unread).await, 1, "the document says which pages are missing");
        assert_eq!(fixture.indexed_pages(id).await.len(), 2);
    }
}

#[tokio::test]
async fn a_document_deleted_during_transcription_leaves_only_its_cost() {
    let fixture = ScanFixture::new(&[]).await;
    fixture.server.hold();
    let id = fixture.upload(&scanned_pages(2)).await;
    fixture.server.wait_for_held_request().await;
    fixture.app.delete(&format!("/api/v1/documents/{id}")).by(&fixture.tenant).await.no_content();
    fixture.server.release();
    fixture.app.wait_for_empty_ingest_queue().await;
    assert_eq!(fixture.ledger_statuses().await, ["ok"]);
    assert_eq!(fixture.app.number("select count(*) from document_pages").await, 0);
    assert_eq!((fixture.server.calls(), fixture.app.dead_letter_count().await), (1, 0));
}

#[tokio::test]
async fn a_page_that_cannot_be_rendered_is_skipped() {
    let fixture = ScanFixture::new(&[]).await;
    let mut pdf = String::from_utf8(pdf_of_pages(&scanned_pages(2))).unwrap();
    // The image declares 3.6 GB of pixels and contains four.
    pdf = pdf.replacen("/Width 1 /Height 4", "/Width 60000 /Height 60000", 1);
    let id = fixture.app.upload_and_process(&fixture.tenant, "bomb.pdf", pdf.into_bytes()).await;
    assert_eq!(fixture.indexed_pages(id).await.last().unwrap().0, 2);
}
