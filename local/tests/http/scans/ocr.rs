//! Scanned PDFs, read by OCR without a key: the page that an answer names, pages that cannot be read, missing models.

use std::path::Path;

use local::ocr_models;
use local_postgres::ProgressOutput;
use tempfile::TempDir;

use super::{super::support::fixture as pdf_fixture, *};

/// A question whose answer is on page 2 of `scanned_guide.pdf` and page 1 of `scanned_illegible.pdf`.
const QUESTION: &str = "Combien coûte la livraison à Cocody ?";

/// A running app that reads scans by OCR, with a tenant.
struct OcrFixture {
    app: App,
    tenant: TenantUser,
}

impl OcrFixture {
    async fn new(more: &[(&str, &str)]) -> Self {
        ocr_models::ensure(ProgressOutput::Silent).await.unwrap();
        let app = App::with_settings(&[&[("SCANNED_PDFS", "ocr")], more].concat()).await;
        let tenant = app.sign_up("Comptoir Baobab").await;
        Self { app, tenant }
    }

    async fn upload(&self, name: &str) -> Uuid {
        self.app.upload(&self.tenant, name, pdf_fixture(name)).await
    }

    /// Uploads a fixture, and returns the document when it is in an end state.
    async fn ingest(&self, name: &str) -> Value {
        let id = self.upload(name).await;
        self.app.wait_for_end_state(&self.tenant, id).await
    }

    /// Asserts that the answer has a text, from a page.
    async fn assert_answered(&self, question: &str, expected: &str, page: i32) {
        let data = self.app.ask(&self.tenant, question).await.data(200);
        assert_eq!((&data["answered"], &data["citations"][0]["page"]), (&json!(true), &json!(page)), "{data}");
        assert!(data["answer"].as_str().unwrap().contains(expected), "{data}");
    }

    async fn confidence_of_page(&self, page: i32) -> f64 {
        let query = "select (metadata -> 'ocr_confidence' ->> $1)::float8 from documents";
        sqlx::query_scalar(query).bind(page.to_string()).fetch_one(&mut self.app.admin_db().await).await.unwrap()
    }
}

#[tokio::test]
async fn a_scan_is_read_without_a_key_and_answers_name_the_page() {
    let fixture = OcrFixture::new(&[]).await;
    let document = fixture.ingest("scanned_guide.pdf").await;
    assert_eq!((&document["status"], &document["pages_unread"]), (&json!("processed"), &json!([])), "{document}");
    fixture.assert_answered(QUESTION, "1 500 FCFA", 2).await;
    fixture.assert_answered("Combien de mois dure la garantie des appareils ?", "vingt-quatre mois", 3).await;
    for page in 1..=3 {
        assert!(fixture.confidence_of_page(page).await > 0.95);
    }
    assert_eq!(fixture.app.number("select count(*) from document_pages").await, 0);
    assert_eq!(fixture.app.number("select count(*) from llm_calls").await, 0);
}

#[tokio::test]
async fn a_page_that_was_read_is_not_read_again() {
    let fixture = OcrFixture::new(&[("SCANNED_PDF_TURN_S", "0")]).await;
    fixture.app.disable_bucket_events().await;
    let id = fixture.upload("scanned_guide.pdf").await;
    let mut hold =
        fixture.app.hold_statements("before insert on document_pages for each row when (new.page = 2)").await;
    let event = sqs_event(&[object_created_event(&fixture.tenant, id).to_string()]);
    assert_eq!(fixture.app.stack.invoke("ingest-worker", event).await.unwrap(), no_batch_failures());
    hold.wait_for_held_statement().await;
    // A text that OCR does not find on the page shows that the stored one is used.
    fixture.app.sql("update document_pages set text = 'Le numéro du magasin est le 4711.' where page = 1").await;
    let read = "select count(*) from document_pages where page = 1 and attempts = 1 and confidence > 0.95";
    assert_eq!(fixture.app.number(read).await, 1);
    hold.release().await;
    let document = fixture.app.wait_for_end_state(&fixture.tenant, id).await;
    assert_eq!(document["status"], "processed", "{document}");
    fixture.assert_answered("Quel est le numéro du magasin ?", "4711", 1).await;
    fixture.assert_answered(QUESTION, "1 500 FCFA", 2).await;
}

#[tokio::test]
async fn a_page_over_its_time_is_not_read_and_the_others_are() {
    let fixture = OcrFixture::new(&[("SCANNED_PDF_PAGE_S", "12")]).await;
    let document = fixture.ingest("scanned_crowded.pdf").await;
    assert_eq!((&document["status"], &document["pages_unread"]), (&json!("processed"), &json!([2])), "{document}");
    fixture.assert_answered("Combien de mois dure la garantie des appareils ?", "vingt-quatre mois", 3).await;
}

#[tokio::test]
async fn an_illegible_page_is_not_answered_from() {
    let fixture = OcrFixture::new(&[]).await;
    let document = fixture.ingest("scanned_illegible.pdf").await;
    assert_eq!((&document["status"], &document["pages_unread"]), (&json!("processed"), &json!([2])), "{document}");
    assert!(document["warning"].as_str().unwrap().contains('2'), "{document}");
    assert!(fixture.confidence_of_page(2).await < 0.95);
    fixture.assert_answered(QUESTION, "1 500 FCFA", 1).await;
    assert_eq!(fixture.app.number("select count(*) from document_chunks where page_end > 1").await, 0);
}

#[tokio::test]
async fn missing_or_damaged_models_end_a_document_with_one_clear_code() {
    let missing = TempDir::new().unwrap();
    let damaged = TempDir::new().unwrap();
    ocr_models::ensure(ProgressOutput::Silent).await.unwrap();
    for entry in std::fs::read_dir(ocr_models::folder()).unwrap() {
        let path = entry.unwrap().path();
        let mut bytes = std::fs::read(&path).unwrap();
        bytes.pop();
        std::fs::write(damaged.path().join(path.file_name().unwrap()), bytes).unwrap();
    }
    for folder in [missing.path(), damaged.path(), Path::new("/")] {
        let fixture = OcrFixture::new(&[("OCR_MODELS", folder.to_str().unwrap())]).await;
        for name in ["scanned_guide.pdf", "../field/pdf/text_and_scan.pdf"] {
            let document = fixture.ingest(name).await;
            let end = (&document["status"], &document["error_code"]);
            assert_eq!(end, (&json!("failed"), &json!("ocr_unavailable")), "{document}");
            assert!(document["error"].as_str().unwrap().contains("the file is not to blame"), "{document}");
        }
        assert_eq!(fixture.app.number("select count(*) from document_chunks").await, 0);
        let document = fixture.ingest("plain.pdf").await;
        assert_eq!(document["status"], "processed", "a file without scans needs no models: {document}");
    }
}

#[tokio::test]
async fn an_account_without_a_confirmed_address_has_its_scans_not_read() {
    let fixture = OcrFixture::new(&[("UNCONFIRMED_MODELS", "none")]).await;
    let document = fixture.ingest("../field/pdf/text_and_scan.pdf").await;
    assert_eq!((&document["status"], &document["pages_unread"]), (&json!("processed"), &json!([2])), "{document}");
    let document = fixture.ingest("scanned_guide.pdf").await;
    assert_eq!((&document["status"], &document["error_code"]), (&json!("failed"), &json!("no_text")), "{document}");
    assert_eq!(fixture.app.number("select count(*) from document_pages").await, 0);
}
