//! Load: a thousand sign-ups, a thousand contacts of one company, and a hundred companies with PDFs at once. What models
//! cost stays within the budgets, and nobody waits for a company that has much to read. A scripted model counts its
//! calls.

use std::time::Duration;

use futures::{StreamExt, stream};
use local::fakes::models::{FakeModels, FakeReply};
use serde_json::json;
use uuid::Uuid;

use super::support::{
    App, PASSWORD, PdfPage, TenantUser, TestRequest, TestResponse, WAIT_TIMEOUT, WhatsAppFixture, new_email,
    pdf_of_pages, pooler, presigned_upload, small_pdf, wait_until,
};

/// Requests that run at once.
const CONCURRENCY: usize = 32;
/// Time in which the whole load is worked off on two cores in a debug build.
const LOAD_TIMEOUT: Duration = Duration::from_secs(300);

/// Sends a request again while it is refused with a 503, as a client does under load.
async fn send_until_taken(request: impl Fn() -> TestRequest) -> TestResponse {
    wait_until("a request is taken", LOAD_TIMEOUT, async || {
        let answer = request().await;
        (answer.status != 503).then_some(answer)
    })
    .await
}

async fn sign_up(app: &App, number: u32) -> TenantUser {
    let body = json!({ "email": new_email(), "password": PASSWORD, "company_name": format!("Boutique {number}") });
    let answer = send_until_taken(|| app.post("/api/v1/auth/signup").json(&body)).await;
    TenantUser::from_session(&answer.data(201))
}

/// Signs up an account and uploads a PDF of one page. Returns the document's id with the account.
async fn sign_up_with_document(app: &App, number: u32) -> (TenantUser, Uuid) {
    let tenant = sign_up(app, number).await;
    let pdf = small_pdf(&format!("The shop has the number {number}."));
    let body = json!({ "filename": "guide.pdf", "size_bytes": pdf.len() });
    let announced = send_until_taken(|| app.post("/api/v1/documents/upload").by(&tenant).json(&body)).await;
    let place = presigned_upload(&announced.data(201));
    app.put_file(&place, pdf).await;
    (tenant, place.document)
}

/// Each of a thousand new accounts has a document and asks a question, while none has a confirmed address.
#[tokio::test]
async fn a_thousand_sign_ups_cost_no_more_than_the_days_budget() {
    const BUDGET: usize = 40;
    // It takes minutes, and the other tests show what PgBouncer changes.
    if pooler::is_used() {
        return;
    }
    let model = FakeModels::start().await.unwrap();
    model.always(FakeReply::RuleBased);
    let base_url = model.base_url();
    let budget = BUDGET.to_string();
    let app = App::with_settings(&[
        ("LLM_PROVIDER", "groq"),
        ("GROQ_API_KEY", "test-key"),
        ("GROQ_MODELS", "small-model"),
        ("GROQ_BASE_URL", &base_url),
        ("UNCONFIRMED_DAILY_REQUESTS", &budget),
        ("UNCONFIRMED_MODELS", "all"),
    ])
    .await;
    let app = &app;
    let tenants: Vec<_> =
        stream::iter(0..1_000).map(|number| sign_up(app, number)).buffer_unordered(CONCURRENCY).collect().await;
    app.sql(
        "with document as (
             insert into documents (customer_id, company_id, filename, bytes, storage_key, status, chunks)
             select uuid, company_id, 'guide.pdf', 1, uuid::text, 'processed', 1 from company_mapping
             returning id, customer_id
         )
         insert into document_chunks (document_id, customer_id, chunk_index, page_start, page_end, text_chunk,
             search_text, language, embedding, embedding_model)
         select document.id, document.customer_id, 0, 1, 1, 'The delivery takes three days.', 'the delivery takes three days', 'en',
             array_fill(0.1, array[1536])::vector, 'local-ngram-1'
         from document",
    )
    .await;

    let answers: Vec<_> = stream::iter(&tenants)
        .map(|tenant| async move { send_until_taken(|| app.ask(tenant, "How long does the delivery take?")).await })
        .buffer_unordered(CONCURRENCY)
        .collect()
        .await;

    let answered = answers.iter().filter(|answer| answer.status == 200).count();
    let refused = answers
        .iter()
        .filter(|answer| answer.status == 403 && answer.body["error"]["code"] == "unconfirmed_budget_reached");
    assert_eq!((answered, refused.count()), (BUDGET, 1_000 - BUDGET));
    assert_eq!(model.calls(), BUDGET, "one call for each answer");
    assert_eq!(app.number("select sum(requests) from unconfirmed_days").await, 40);
    assert_eq!(app.number("select sum(free_quota_used) from user_settings").await, 40);
}

#[tokio::test]
async fn a_thousand_contacts_cost_no_more_than_the_companys_requests() {
    // It takes minutes, and the other tests show what PgBouncer changes.
    if pooler::is_used() {
        return;
    }
    let whatsapp = WhatsAppFixture::start().await;
    whatsapp.switch_to_live().await;
    let whatsapp = &whatsapp;
    let limit = whatsapp.number("select free_quota_limit from user_settings").await;
    let taken = stream::iter(1..=1_000_u64)
        .map(|contact| async move {
            let body = json!({
                "id": contact, "message_id": contact, "last_input_text": format!("Vous livrez le colis {contact} ?"),
            });
            // A database that is too busy causes a 503, and ManyChat delivers the message again.
            wait_until("a message is taken", WAIT_TIMEOUT, async || match whatsapp.deliver(&body).await.status {
                503 => None,
                status => Some(status),
            })
            .await
        })
        .buffer_unordered(CONCURRENCY)
        .filter(|status| std::future::ready(*status == 200))
        .count()
        .await;
    assert_eq!(taken, 1_000);
    wait_until("every message has its answer or its notice", LOAD_TIMEOUT, async || {
        let open = "select count(*) from jobs where kind = 'reply' and status <> 'done'";
        (whatsapp.app.number(open).await == 0).then_some(())
    })
    .await;

    assert_eq!(i64::try_from(whatsapp.models.calls()).unwrap(), limit, "one call for each request");
    assert_eq!(whatsapp.number("select count(*) from messages where author = 'bot'").await, limit);
    assert_eq!(whatsapp.number("select free_quota_used - free_quota_limit from user_settings").await, 0);
    let open =
        "select count(*) from messages where direction = 'inbound' and answered_by is null and skipped_reason is null";
    assert_eq!(whatsapp.number(open).await, 0);
}

#[tokio::test]
async fn a_hundred_companies_with_pdfs_are_served_while_one_has_much_to_read() {
    // It takes minutes, and the other tests show what PgBouncer changes.
    if pooler::is_used() {
        return;
    }
    let model = FakeModels::start().await.unwrap();
    model.always(FakeReply::Text("The delivery takes three days.".to_owned()));
    let base_url = model.base_url();
    let settings = [
        ("SCANNED_PDFS", "vision"),
        ("LLM_PROVIDER", "gemini"),
        ("GEMINI_API_KEY", "test-key"),
        ("GEMINI_MODELS", "small-model"),
        ("GEMINI_BASE_URL", &base_url),
        ("LLM_PRICES", r#"{"small-model": {"in": 1000000, "out": 10000000}}"#),
    ];
    let app = App::with_settings(&settings).await;
    let greedy = app.sign_up("Comptoir Baobab").await;
    model.hold();
    let scan = pdf_of_pages(&[PdfPage::scan()]);
    let mut scans = Vec::new();
    for number in 0..30 {
        scans.push(app.upload(&greedy, &format!("scan-{number}.pdf"), scan.clone()).await);
    }
    wait_until("two of them are read", WAIT_TIMEOUT, async || (model.calls() == 2).then_some(())).await;

    let app = &app;
    let companies: Vec<_> = stream::iter(0..100)
        .map(|number| sign_up_with_document(app, number))
        .buffer_unordered(CONCURRENCY)
        .collect()
        .await;
    wait_until("a hundred companies are served", LOAD_TIMEOUT, async || {
        let served = "select count(*) from documents where filename = 'guide.pdf' and status = 'processed'";
        (app.number(served).await == 100).then_some(())
    })
    .await;
    assert_eq!(model.calls(), 2, "the model was asked for two pages at once, and for nobody else");
    for (tenant, id) in companies.iter().take(3) {
        assert_eq!(app.document(tenant, *id).await["status"], "processed");
    }

    // The budget of the company ends after nine more pages, of 420 millionths each.
    app.sql(&format!("update customers set spend_cap_micros = 420 * 11 where id = '{}'", greedy.customer_id)).await;
    model.release();
    wait_until("every document has its end", LOAD_TIMEOUT, async || {
        (app.number("select count(*) from documents where status = 'pending'").await == 0).then_some(())
    })
    .await;
    let ended = |status: &str| {
        format!("select count(*) from documents where customer_id = '{}' and {status}", greedy.customer_id)
    };
    let read = app.number(&ended("status = 'processed'")).await;
    // Two documents are worked on at once: the one that reaches the cap does not stop the other's call.
    assert!((11..=12).contains(&read), "{read}");
    assert_eq!(app.number(&ended("error_code = 'spend_cap_reached'")).await, 30 - read);
    assert_eq!(i64::try_from(model.calls()).unwrap(), read);
    app.wait_for_empty_ingest_queue().await;
    assert_eq!(app.dead_letter_count().await, 0);
    assert_eq!(app.number("select count(*) from ingest_slots").await, 0);
}
