//! What reading scans may cost: a document, and all of a tenant's in a period.

use super::*;

fn scans(pages: usize) -> Vec<Sheet> {
    (0..pages).map(|_| Sheet::scan()).collect()
}

#[tokio::test]
async fn a_document_that_would_cost_more_than_one_may_ends_as_soon_as_that_is_certain() {
    let scene = Scene::new(&[("SCANNED_PDF_MAX_COST_MICROS", "1000")]).await;
    // Two pages are within it, three are not: 1,260.
    scene.learn(&scans(2)).await;
    assert_eq!(scene.server.calls(), 2);
    let id = scene.refused(&scans(3), "scan_too_costly").await;
    assert_eq!(scene.server.calls(), 3, "the first page shows it");

    let document = scene.app.get(&format!("/api/v1/documents/{id}")).by(&scene.tenant);
    let document = document.header("accept-language", "fr").await.data(200);
    assert!(document["error"].as_str().unwrap().contains("trop de pages numérisées"), "{document}");
    scene.retry(id).await;
    scene.fails(id, "scan_too_costly").await;
    assert_eq!(scene.server.calls(), 3, "what was spent before counts");
    scene.app.delete(&format!("/api/v1/documents/{id}")).by(&scene.tenant).await.empty();
    assert_eq!(scene.app.number("select count(*) from document_pages").await, 0);
}

#[tokio::test]
async fn calls_that_failed_count_too() {
    let scene = Scene::new(&[("SCANNED_PDF_MAX_COST_MICROS", "1000")]).await;
    // Paid, and worth nothing: three times, until the last page would go beyond.
    for _ in 0..2 {
        scene.server.reply(FakeReply::Empty);
    }
    scene.refused(&scans(2), "scan_too_costly").await;
    assert_eq!(scene.ledger().await, ["empty", "empty", "ok"]);
}

#[tokio::test]
async fn the_spend_cap_of_the_period_holds_and_pages_already_read_stay_read() {
    let scene = Scene::new(&[]).await;
    scene.app.sql("update customers set spend_cap_micros = 800").await;
    let id = scene.refused(&scans(4), "spend_cap_reached").await;
    assert_eq!((scene.server.calls(), scene.kept().await), (2, 2));
    scene.refused(&scans(1), "spend_cap_reached").await;
    assert_eq!(scene.server.calls(), 2);

    scene.app.sql("update customers set spend_cap_micros = 8000").await;
    scene.retry(id).await;
    assert_eq!(scene.ended(id).await["status"], "processed");
    assert_eq!((scene.server.calls(), scene.kept().await), (4, 0));
}

#[tokio::test]
async fn a_model_that_is_free_is_held_by_no_cap() {
    let free = r#"{"small-model": {"in": 0, "out": 0}}"#;
    let scene = Scene::new(&[("LLM_PRICES", free), ("SCANNED_PDF_MAX_COST_MICROS", "1")]).await;
    scene.learn(&scans(3)).await;
    assert_eq!(scene.server.calls(), 3);
}
