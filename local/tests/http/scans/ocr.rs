//! Scanned PDFs, read by OCR without a key: the page that an answer names, pages that cannot be read, missing models.

use std::{path::Path, time::Duration};

use local::ocr_models;
use local_postgres::ProgressOutput;
use tempfile::TempDir;

use super::{
    super::support::{StatementHold, fixture as pdf_fixture, wait_until},
    *,
};

/// A question whose answer is on page 2 of `scanned_guide.pdf` and page 1 of `scanned_illegible.pdf`.
const QUESTION: &str = "Combien coûte la livraison à Cocody ?";

/// Time until some pages are read while other tests take the processors.
const OCR_TIMEOUT: Duration = Duration::from_secs(240);

/// A running app that reads scans by OCR, with a tenant.
struct OcrFixture {
    app: App,
    tenant: TenantUser,
}

impl OcrFixture {
    async fn new(more: &[(&str, &str)]) -> Self {
        Self::with_visibility_timeout(more, None).await
    }

    async fn with_visibility_timeout(more: &[(&str, &str)], visibility_timeout: Option<u32>) -> Self {
        ocr_models::ensure(ProgressOutput::Silent).await.unwrap();
        let app = App::with_options(&[&[("SCANNED_PDFS", "ocr")], more].concat(), visibility_timeout).await;
        let tenant = app.sign_up("Comptoir Baobab").await;
        Self { app, tenant }
    }

    async fn upload(&self, name: &str) -> Uuid {
        self.app.upload(&self.tenant, name, pdf_fixture(name)).await
    }

    /// Uploads a fixture, and returns the document when it is in an end state.
    async fn ingest(&self, name: &str) -> Value {
        let id = self.upload(name).await;
        self.wait_for_end_state(&self.tenant, id).await
    }

    /// Waits for an end state for longer than other tests do, since pages take time of processors.
    async fn wait_for_end_state(&self, tenant: &TenantUser, id: Uuid) -> Value {
        wait_until("the scan is in an end state", OCR_TIMEOUT, async || {
            let document = self.app.document(tenant, id).await;
            (document["status"] != "pending").then_some(document)
        })
        .await
    }

    /// Invokes the ingest worker with the event that the document's file has arrived.
    async fn invoke_worker(&self, id: Uuid) -> Value {
        let event = sqs_event(&[object_created_event(&self.tenant, id).to_string()]);
        self.app.stack.invoke("ingest-worker", event).await.unwrap()
    }

    /// Holds the worker of these pages before it stores what OCR read.
    async fn hold_read_pages(&self, which: &str) -> StatementHold {
        let trigger = format!(
            "before update on document_pages for each row when (new.text is not null and old.text is null and {which})"
        );
        self.app.hold_statements(&trigger).await
    }

    /// Replaces the stored text of page 1 by one that OCR does not find there, which shows later that the stored text
    /// was used. Asserts that the page was begun once.
    async fn mark_first_page(&self) {
        let read = "select count(*) from document_pages where page = 1 and attempts = 1 and confidence > 0.95";
        assert_eq!(self.app.number(read).await, 1);
        self.app.sql("update document_pages set text = 'Le numéro du magasin est le 4711.' where page = 1").await;
    }

    /// Asserts that answers come from the marked page 1 and from page 2.
    async fn assert_first_page_is_marked(&self) {
        self.assert_answered("Quel est le numéro du magasin ?", "4711", 1).await;
        self.assert_answered(QUESTION, "1 500 FCFA", 2).await;
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
    assert_eq!(fixture.invoke_worker(id).await, no_batch_failures());
    hold.wait_for_held_statements_within(OCR_TIMEOUT, 1).await;
    fixture.mark_first_page().await;
    hold.release().await;
    let document = fixture.wait_for_end_state(&fixture.tenant, id).await;
    assert_eq!(document["status"], "processed", "{document}");
    fixture.assert_first_page_is_marked().await;
}

#[tokio::test]
async fn after_a_worker_dies_in_the_middle_of_a_page_the_pages_before_are_not_read_again() {
    let fixture = OcrFixture::with_visibility_timeout(&[], Some(3)).await;
    let mut hold = fixture.hold_read_pages("new.page = 2").await;
    let id = fixture.upload("scanned_guide.pdf").await;
    hold.wait_for_held_statements_within(OCR_TIMEOUT, 1).await;
    fixture.mark_first_page().await;

    let fixture = OcrFixture { app: fixture.app.restart().await, ..fixture };
    hold.release().await;
    assert_eq!(fixture.app.number("select count(*) from document_pages where text is not null").await, 1);
    // Two minutes later the dead worker's claim on page 2 has expired.
    fixture.app.sql("update document_pages set claimed_until = now() where page = 2").await;
    fixture.app.pass_on_slots_of_dead_workers().await;

    let document = fixture.wait_for_end_state(&fixture.tenant, id).await;
    assert_eq!((&document["status"], &document["pages_unread"]), (&json!("processed"), &json!([])), "{document}");
    fixture.assert_first_page_is_marked().await;
    assert_eq!(fixture.app.dead_letter_count().await, 0);
}

#[tokio::test]
async fn several_deliveries_read_each_page_once() {
    let fixture = OcrFixture::new(&[]).await;
    fixture.app.disable_bucket_events().await;
    let claims = "create table public.claims (page integer);
                  create function public.note() returns trigger language plpgsql security definer as
                      'begin insert into public.claims values (new.page); return new; end';
                  create trigger note after insert or update of attempts on document_pages
                      for each row execute function public.note();";
    fixture.app.sql(claims).await;
    let id = fixture.upload("scanned_guide.pdf").await;
    let (first, second) = tokio::join!(fixture.invoke_worker(id), fixture.invoke_worker(id));
    let third = fixture.invoke_worker(id).await;
    assert_eq!([first, second, third], [no_batch_failures(), no_batch_failures(), no_batch_failures()]);
    assert_eq!(fixture.app.document(&fixture.tenant, id).await["status"], "processed");
    let pages: Vec<i32> = sqlx::query_scalar("select page from public.claims order by page")
        .fetch_all(&mut fixture.app.admin_db().await)
        .await
        .unwrap();
    assert_eq!(pages, [1, 2, 3]);
}

#[tokio::test]
async fn scans_cost_nothing_and_are_read_past_the_spend_cap() {
    let fixture = OcrFixture::new(&[]).await;
    fixture.app.sql("update customers set spend_cap_micros = 0").await;
    let mut hold = fixture.hold_read_pages("new.page = 3").await;
    let id = fixture.upload("scanned_guide.pdf").await;
    hold.wait_for_held_statements_within(OCR_TIMEOUT, 1).await;
    let free = "select count(*) from document_pages where text is not null and cost_micros = 0";
    assert_eq!(fixture.app.number(free).await, 2);
    hold.release().await;
    assert_eq!(fixture.wait_for_end_state(&fixture.tenant, id).await["status"], "processed");
    let spent = "select coalesce(sum(spent_micros), 0)::bigint from usage_periods";
    assert_eq!(fixture.app.number(spent).await, 0);
    assert_eq!(fixture.app.number("select count(*) from llm_calls").await, 0);
}

#[tokio::test]
async fn a_tenant_with_many_scans_does_not_hold_up_another() {
    // The crowded page takes many times as long as the whole guide.
    let fixture = OcrFixture::new(&[("INGEST_SLOTS_PER_TENANT", "2")]).await;
    let other = fixture.app.sign_up("Chez Koffi").await;
    let many = fixture.tenant.customer_id;
    for number in 0..4 {
        let pdf = pdf_fixture("scanned_crowded.pdf");
        fixture.app.upload(&fixture.tenant, &format!("scan-{number}.pdf"), pdf).await;
    }
    let crowded = format!("select count(*) from document_pages where customer_id = '{many}' and page = 2");
    wait_until("two crowded pages are begun", OCR_TIMEOUT, async || {
        (fixture.app.number(&crowded).await == 2).then_some(())
    })
    .await;

    let id = fixture.app.upload(&other, "guide.pdf", pdf_fixture("scanned_guide.pdf")).await;
    assert_eq!(fixture.wait_for_end_state(&other, id).await["status"], "processed");

    let pending = format!("select count(*) from documents where customer_id = '{many}' and status = 'pending'");
    assert_eq!(fixture.app.number(&pending).await, 4);
    let working = format!("select count(*) from ingest_slots where customer_id = '{many}' and held_until > now()");
    assert_eq!(fixture.app.number(&working).await, 2, "no more than two documents of a tenant are worked on");
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
