//! Cost limits of transcribing scans: for one document, and for a tenant in a period.

use super::*;

fn scanned_pages(pages: usize) -> Vec<PdfPage> {
    (0..pages).map(|_| PdfPage::scan()).collect()
}

#[tokio::test]
async fn a_document_above_the_cost_limit_fails_after_its_first_page() {
    let fixture = ScanFixture::new(&[("SCANNED_PDF_MAX_COST_MICROS", "1000")]).await;
    // Two pages cost 840 and are within the limit. Three pages would cost 1,260.
    fixture.upload_and_process(&scanned_pages(2)).await;
    assert_eq!(fixture.server.calls(), 2);
    let id = fixture.upload_and_assert_failed(&scanned_pages(3), "scan_too_costly").await;
    assert_eq!(fixture.server.calls(), 3, "the first page shows it");

    let document = fixture.app.get(&format!("/api/v1/documents/{id}")).by(&fixture.tenant);
    let document = document.header("accept-language", "fr").await.data(200);
    assert!(document["error"].as_str().unwrap().contains("trop de pages numérisées"), "{document}");
    fixture.retry(id).await;
    fixture.assert_failed(id, "scan_too_costly").await;
    assert_eq!(fixture.server.calls(), 3, "what was spent before counts");
    fixture.app.delete(&format!("/api/v1/documents/{id}")).by(&fixture.tenant).await.no_content();
    assert_eq!(fixture.app.number("select count(*) from document_pages").await, 0);
}

#[tokio::test]
async fn failed_calls_count_against_the_cost_limit() {
    let fixture = ScanFixture::new(&[("SCANNED_PDF_MAX_COST_MICROS", "1000")]).await;
    // The two empty replies and the first page cost 1,260 together, so the last page is not read.
    for _ in 0..2 {
        fixture.server.reply(FakeReply::Empty);
    }
    fixture.upload_and_assert_failed(&scanned_pages(2), "scan_too_costly").await;
    assert_eq!(fixture.ledger_statuses().await, ["empty", "empty", "ok"]);
}

#[tokio::test]
async fn the_spend_cap_stops_a_document_and_keeps_pages_already_read() {
    let fixture = ScanFixture::new(&[]).await;
    fixture.app.sql("update customers set spend_cap_micros = 800").await;
    let id = fixture.upload_and_assert_failed(&scanned_pages(4), "spend_cap_reached").await;
    assert_eq!((fixture.server.calls(), fixture.stored_page_texts().await), (2, 2));
    fixture.upload_and_assert_failed(&scanned_pages(1), "spend_cap_reached").await;
    assert_eq!(fixture.server.calls(), 2);

    fixture.app.sql("update customers set spend_cap_micros = 8000").await;
    fixture.retry(id).await;
    assert_eq!(fixture.wait_for_end_state(id).await["status"], "processed");
    assert_eq!((fixture.server.calls(), fixture.stored_page_texts().await), (4, 0));
}

#[tokio::test]
async fn a_free_model_is_not_limited_by_cost() {
    let free = r#"{"small-model": {"in": 0, "out": 0}}"#;
    let fixture = ScanFixture::new(&[("LLM_PRICES", free), ("SCANNED_PDF_MAX_COST_MICROS", "1")]).await;
    fixture.upload_and_process(&scanned_pages(3)).await;
    assert_eq!(fixture.server.calls(), 3);
}
