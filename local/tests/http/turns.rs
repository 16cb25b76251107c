//! Turns of ingestion: one tenant's documents take a bounded number of slots, in their order, and nothing is lost when a
//! worker dies with a slot.

use std::time::Duration;

use local::fakes::models::{FakeModels, FakeReply};
use serde_json::{Value, json};
use uuid::Uuid;

use super::support::{
    App, PdfPage, TenantUser, WAIT_TIMEOUT, object_created_event, pdf_of_pages, small_pdf, sqs_event, wait_until,
};

/// A running app in which a model reads scanned pages, which is slow while the model is held.
struct SlowFixture {
    app: App,
    model: FakeModels,
}

impl SlowFixture {
    async fn with_slots(slots: &str) -> Self {
        let model = FakeModels::start().await.unwrap();
        let base_url = model.base_url();
        let settings = [
            ("SCANNED_PDFS", "vision"),
            ("LLM_PROVIDER", "gemini"),
            ("GEMINI_API_KEY", "test-key"),
            ("GEMINI_MODELS", "small-model"),
            ("GEMINI_BASE_URL", &base_url),
            ("LLM_PRICES", r#"{"small-model": {"in": 1, "out": 1}}"#),
            ("INGEST_SLOTS_PER_TENANT", slots),
        ];
        let app = App::with_settings(&settings).await;
        model.always(FakeReply::Text("The delivery takes three days.".to_owned()));
        Self { app, model }
    }

    /// Uploads a scanned page.
    async fn upload_scan(&self, tenant: &TenantUser, filename: &str) -> Uuid {
        self.app.upload(tenant, filename, pdf_of_pages(&[PdfPage::scan()])).await
    }

    async fn wait_for_slots(&self, condition: &str, count: i64) {
        let query = format!("select count(*) from ingest_slots where {condition}");
        wait_until(&query, WAIT_TIMEOUT, async || (self.app.number(&query).await == count).then_some(())).await;
    }
}

const WORKING: &str = "worker is not null and held_until > now()";
const WAITING: &str = "held_until is null";

#[tokio::test]
async fn a_tenant_with_many_slow_files_does_not_hold_up_another() {
    let fixture = SlowFixture::with_slots("2").await;
    let many = fixture.app.sign_up("Comptoir Baobab").await;
    let other = fixture.app.sign_up("Chez Koffi").await;
    fixture.model.hold();
    let mut documents = Vec::new();
    for number in 0..8 {
        documents.push(fixture.upload_scan(&many, &format!("scan-{number}.pdf")).await);
    }
    fixture.wait_for_slots(WORKING, 2).await;
    fixture.wait_for_slots(WAITING, 6).await;

    let guide = small_pdf("The shop is open on Sunday.");
    for number in 0..3 {
        fixture.app.upload_and_process(&other, &format!("guide-{number}.pdf"), guide.clone()).await;
    }

    assert_eq!(fixture.model.calls(), 2, "no more than two documents of a tenant are worked on");
    fixture.model.release();
    for document in documents {
        assert_eq!(fixture.app.wait_for_end_state(&many, document).await["status"], "processed");
    }
    fixture.app.wait_for_empty_ingest_queue().await;
    fixture.wait_for_slots("true", 0).await;
    assert_eq!((fixture.model.calls(), fixture.app.dead_letter_count().await), (8, 0));
}

#[tokio::test]
async fn waiting_documents_take_turns_in_their_order() {
    let fixture = SlowFixture::with_slots("1").await;
    let tenant = fixture.app.sign_up("Comptoir Baobab").await;
    fixture.model.hold();
    let mut documents = Vec::new();
    for number in 0..5 {
        documents.push(fixture.upload_scan(&tenant, &format!("scan-{number}.pdf")).await);
        fixture.wait_for_slots("true", number + 1).await;
    }
    fixture.model.release();
    for document in &documents {
        assert_eq!(fixture.app.wait_for_end_state(&tenant, *document).await["status"], "processed");
    }
    let order: Vec<Uuid> = sqlx::query_scalar("select id from documents order by processed_at")
        .fetch_all(&mut fixture.app.admin_db().await)
        .await
        .unwrap();
    assert_eq!(order, documents);
}

#[tokio::test]
async fn after_a_worker_died_with_its_slot_all_documents_are_processed() {
    let fixture = SlowFixture::with_slots("1").await;
    let tenant = fixture.app.sign_up("Comptoir Baobab").await;
    fixture.model.hold();
    let first = fixture.upload_scan(&tenant, "first.pdf").await;
    fixture.wait_for_slots(WORKING, 1).await;
    fixture.model.wait_for_held_request().await;
    let second = fixture.upload_scan(&tenant, "second.pdf").await;
    fixture.wait_for_slots(WAITING, 1).await;

    let fixture = SlowFixture { app: fixture.app.restart().await, ..fixture };
    fixture.model.release();
    let sweep = async || fixture.app.stack.invoke("maintenance", json!({})).await.unwrap();
    sweep().await;
    assert_eq!(fixture.app.number("select count(*) from documents where status = 'pending'").await, 2);
    // Five and a half minutes later the slot has expired, and the claim on the page before that.
    fixture.app.sql("update ingest_slots set held_until = now() where worker is not null").await;
    fixture.app.sql("update document_pages set claimed_until = now()").await;
    sweep().await;

    for document in [first, second] {
        assert_eq!(fixture.app.wait_for_end_state(&tenant, document).await["status"], "processed");
    }
    fixture.wait_for_slots("true", 0).await;
}

#[tokio::test]
async fn a_repeated_delivery_leaves_the_slot_to_the_worker_that_has_it() {
    let fixture = SlowFixture::with_slots("1").await;
    let tenant = fixture.app.sign_up("Comptoir Baobab").await;
    fixture.model.hold();
    let id = fixture.upload_scan(&tenant, "scan.pdf").await;
    fixture.wait_for_slots(WORKING, 1).await;
    fixture.model.wait_for_held_request().await;

    let mut event = sqs_event(&[object_created_event(&tenant, id).to_string()]);
    event["Records"][0]["attributes"]["ApproximateReceiveCount"] = json!("2");
    let answer = fixture.app.stack.invoke("ingest-worker", event).await.unwrap();

    assert_eq!(answer, json!({ "batchItemFailures": [] }));
    assert_eq!(fixture.app.number("select attempts::bigint from ingest_slots").await, 1, "nobody else began");
    fixture.wait_for_slots(WORKING, 1).await;
    fixture.model.release();
    assert_eq!(fixture.app.wait_for_end_state(&tenant, id).await["status"], "processed");
    assert_eq!(fixture.model.calls(), 1);
}

#[tokio::test]
async fn deleting_waiting_and_working_documents_leaves_the_turn_to_the_others() {
    let fixture = SlowFixture::with_slots("1").await;
    let tenant = fixture.app.sign_up("Comptoir Baobab").await;
    fixture.model.hold();
    let mut documents = Vec::new();
    for number in 0..3 {
        documents.push(fixture.upload_scan(&tenant, &format!("scan-{number}.pdf")).await);
        fixture.wait_for_slots("true", number + 1).await;
    }
    fixture.model.wait_for_held_request().await;
    for deleted in &documents[..2] {
        fixture.app.delete(&format!("/api/v1/documents/{deleted}")).by(&tenant).await.no_content();
    }
    fixture.model.release();
    assert_eq!(fixture.app.wait_for_end_state(&tenant, documents[2]).await["status"], "processed");
    fixture.wait_for_slots("true", 0).await;
}

#[tokio::test]
async fn a_document_whose_workers_never_end_is_given_up_after_three_retries() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    app.disable_bucket_events().await;
    let id = app.upload(&tenant, "guide.pdf", small_pdf("The delivery takes three days.")).await;
    app.sql("insert into ingest_slots (document_id, customer_id, attempts) select id, customer_id, 4 from documents")
        .await;
    let event = sqs_event(&[object_created_event(&tenant, id).to_string()]);
    let answer = app.stack.invoke("ingest-worker", event).await.unwrap();
    assert_eq!(answer, json!({ "batchItemFailures": [] }));
    let document = app.document(&tenant, id).await;
    assert_eq!((&document["status"], &document["error_code"]), (&json!("failed"), &json!("timed_out")));
    // The owner's retry begins anew.
    app.post(&format!("/api/v1/documents/{id}/retry")).by(&tenant).await.data(200);
    assert_eq!(app.wait_for_end_state(&tenant, id).await["status"], "processed");
    assert_eq!(app.number("select count(*) from ingest_slots").await, 0);
}

#[tokio::test]
async fn an_embedding_provider_that_stays_down_fails_the_document_after_three_retries() {
    let model = FakeModels::start().await.unwrap();
    (0..20).for_each(|_| model.reply(FakeReply::Refused { status: 503, retry_after_s: Some(0) }));
    let base_url = model.base_url();
    let settings = [
        ("EMBEDDING_PROVIDER", "gemini"),
        ("EMBEDDING_MODEL", "small-model"),
        ("GEMINI_API_KEY", "test-key"),
        ("GEMINI_BASE_URL", &base_url),
    ];
    let app = App::with_settings(&settings).await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let id = app.upload(&tenant, "guide.pdf", small_pdf("The delivery takes three days.")).await;
    let document = app.wait_for_end_state(&tenant, id).await;
    assert_eq!(document["error_code"], "embedding_failed", "{document}");
    // Each of the four attempts makes three calls.
    assert_eq!(model.calls(), 12);
    app.wait_for_empty_ingest_queue().await;
    assert_eq!(app.dead_letter_count().await, 0);
    assert_eq!(app.number("select count(*) from ingest_slots").await, 0);
}

#[tokio::test]
async fn a_fault_of_the_database_is_repeated_three_times_at_most() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    app.sql(
        "create sequence attempted;
         grant usage on sequence attempted to public;
         create function public.fail() returns trigger language plpgsql as
             'begin perform nextval(''attempted''); raise exception ''out of order''; end';
         create trigger fail before insert on document_chunks for each row execute function public.fail()",
    )
    .await;
    let id = app.upload(&tenant, "guide.pdf", small_pdf("The delivery takes three days.")).await;
    let document: Value = app.wait_for_end_state(&tenant, id).await;
    assert_eq!(document["error_code"], "processing_failed", "{document}");
    assert_eq!(app.number("select last_value from attempted").await, 4);
    app.wait_for_empty_ingest_queue().await;
    assert_eq!(app.dead_letter_count().await, 0);
    app.sql("drop trigger fail on document_chunks").await;
    app.post(&format!("/api/v1/documents/{id}/retry")).by(&tenant).await.data(200);
    wait_until("the retry succeeds", Duration::from_secs(60), async || {
        (app.document(&tenant, id).await["status"] == "processed").then_some(())
    })
    .await;
}
