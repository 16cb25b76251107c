//! Accounts whose address nobody has confirmed: their budget of a day, and their access to models.

use local::fakes::models::{FakeModels, FakeReply};
use serde_json::json;
use uuid::Uuid;

use super::support::{App, PdfPage, TenantUser, TestResponse, WhatsAppFixture, pdf_of_pages, small_pdf};

const QUESTION: &str = "How long does the delivery take?";
const TEXT: &str = "The delivery takes three days. The warranty lasts two years.";

/// A stack with a fake model, many sign-ups from one address, and further settings.
async fn start(models: &FakeModels, settings: &[(&str, &str)]) -> App {
    models.always(FakeReply::RuleBased);
    let url = models.base_url();
    let own = [
        ("LLM_PROVIDER", "groq"),
        ("GROQ_API_KEY", "test-key"),
        ("GROQ_MODELS", "small-model"),
        ("GROQ_BASE_URL", url.as_str()),
        ("RATE_LIMIT_ADDRESS", "100000"),
        ("RATE_LIMIT_USER", "100000"),
    ];
    App::with_settings(&[&own, settings].concat()).await
}

async fn confirm(app: &App, tenant: &TenantUser) {
    app.sql(&format!("update users set email_confirmed_at = now() where id = '{}'", tenant.user_id)).await;
}

async fn buy_plan(app: &App, tenant: &TenantUser) {
    let user = tenant.user_id;
    app.sql(&format!(
        "update users set is_pro = true where id = '{user}';
         update customers set plan_id = (select id from plans where name = 'pro') where user_id = '{user}'"
    ))
    .await;
}

fn is_over_budget(answer: &TestResponse) -> bool {
    answer.status == 403 && answer.body["error"]["code"] == "unconfirmed_budget_reached"
}

/// 20 accounts upload a document each and ask three questions each at once. The day's budget is 30.
#[tokio::test]
async fn all_unconfirmed_accounts_together_spend_no_more_than_the_days_budget() {
    let models = FakeModels::start().await.unwrap();
    let app = start(&models, &[("UNCONFIRMED_DAILY_REQUESTS", "30")]).await;
    let mut tenants = Vec::new();
    for number in 0..20 {
        let tenant = app.sign_up(&format!("Company {number}")).await;
        app.upload_and_process(&tenant, "guide.pdf", small_pdf(TEXT)).await;
        tenants.push(tenant);
    }
    assert_eq!(app.number("select requests from unconfirmed_days").await, 20, "a document counts");

    let questions = tenants.iter().cycle().take(60).map(async |tenant| app.ask(tenant, QUESTION).await);
    let answers = futures::future::join_all(questions).await;

    let answered = answers.iter().filter(|answer| answer.status == 200).count();
    let refused = answers.iter().filter(|answer| is_over_budget(answer)).count();
    assert_eq!((answered, refused), (10, 50), "{answers:?}");
    assert_eq!(models.calls(), 10);
    assert_eq!(app.number("select requests from unconfirmed_days").await, 30);
    // A refused question takes nothing from the account's own free requests.
    assert_eq!(app.number("select sum(free_quota_used) from user_settings").await, 10);
    let announcement = json!({ "filename": "other.pdf", "size_bytes": 1000 });
    let upload = app.post("/api/v1/documents/upload").by(&tenants[2]).json(&announcement).await;
    upload.refused(403, "unconfirmed_budget_reached");
    assert_eq!(app.number("select count(*) from documents").await, 20);

    // Confirmed and paid accounts are not affected, and the next day has a budget of its own.
    confirm(&app, &tenants[0]).await;
    buy_plan(&app, &tenants[1]).await;
    for tenant in &tenants[..2] {
        assert_eq!(app.ask(tenant, QUESTION).await.data(200)["model"], "small-model");
    }
    assert!(is_over_budget(&app.ask(&tenants[2], QUESTION).await));
    app.sql("update unconfirmed_days set day = day - 1").await;
    app.ask(&tenants[2], QUESTION).await.data(200);
}

/// Returns the number of requests that are counted today.
async fn counted(app: &App) -> i64 {
    app.number("select coalesce(sum(requests), 0)::bigint from unconfirmed_days").await
}

#[tokio::test]
async fn an_announcement_counts_nothing_and_a_document_counts_once_when_it_is_read() {
    let models = FakeModels::start().await.unwrap();
    let app = start(&models, &[("UNCONFIRMED_DAILY_REQUESTS", "30")]).await;
    let [tenant, other] = [app.sign_up("Comptoir Baobab").await, app.sign_up("Chez Koffi").await];
    for number in 0..40 {
        let place = app.announce(&tenant, &format!("{number}.pdf"), 1_000).await;
        app.delete(&format!("/api/v1/documents/{}", place.document)).by(&tenant).await.no_content();
    }
    assert_eq!(counted(&app).await, 0);
    app.ask(&other, QUESTION).await.data(200);
    let file = small_pdf(TEXT);
    let place = app.announce(&tenant, "guide.pdf", file.len()).await;
    assert_eq!(counted(&app).await, 1);
    app.put_file(&place, file).await;
    assert_eq!(app.wait_for_end_state(&tenant, place.document).await["status"], "processed");
    assert_eq!(counted(&app).await, 2);
    // A second event of the same upload counts nothing.
    app.sql("update documents set status = 'pending', processed_at = null; update jobs set status = 'queued', run_after = now() - interval '1 second' where kind = 'ingest'").await;
    app.stack.invoke("maintenance", json!({})).await.unwrap();
    assert_eq!(app.wait_for_end_state(&tenant, place.document).await["status"], "processed");
    assert_eq!(counted(&app).await, 2);
}

/// The share of an account is a twentieth of the day's budget, and at least 10.
#[tokio::test]
async fn one_account_uses_up_its_share_of_the_days_budget_and_no_more() {
    let models = FakeModels::start().await.unwrap();
    let app = start(&models, &[("UNCONFIRMED_DAILY_REQUESTS", "30")]).await;
    let [tenant, other] = [app.sign_up("Comptoir Baobab").await, app.sign_up("Chez Koffi").await];
    let file = || small_pdf(TEXT);
    let late = app.announce(&tenant, "late.pdf", file().len()).await;
    for number in 0..8 {
        let id = app.upload_and_process(&tenant, &format!("{number}.pdf"), file()).await;
        app.delete(&format!("/api/v1/documents/{id}")).by(&tenant).await.no_content();
    }
    let questions = (0..6).map(async |_| app.ask(&tenant, QUESTION).await);
    let answers = futures::future::join_all(questions).await;
    let answered = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!((answered, answers.iter().filter(|answer| is_over_budget(answer)).count()), (2, 4), "{answers:?}");
    assert_eq!(counted(&app).await, 10);
    let announcement = json!({ "filename": "other.pdf", "size_bytes": 1000 });
    let upload = app.post("/api/v1/documents/upload").by(&tenant).json(&announcement).await;
    upload.refused(403, "unconfirmed_budget_reached");
    // A file that was announced before is not read.
    app.put_file(&late, file()).await;
    let refused = app.wait_for_end_state(&tenant, late.document).await;
    assert_eq!((&refused["status"], &refused["error_code"]), (&json!("failed"), &json!("spend_cap_reached")));
    assert_eq!(counted(&app).await, 10);

    // Other accounts have theirs, and a confirmed one has no share.
    app.upload_and_process(&other, "guide.pdf", file()).await;
    app.ask(&other, QUESTION).await.data(200);
    assert_eq!(counted(&app).await, 12);
    confirm(&app, &tenant).await;
    app.ask(&tenant, QUESTION).await.data(200);
    app.post(&format!("/api/v1/documents/{}/retry", late.document)).by(&tenant).await.data(200);
    assert_eq!(app.wait_for_end_state(&tenant, late.document).await["status"], "processed");
    assert_eq!(counted(&app).await, 12);
}

#[tokio::test]
async fn a_question_that_is_refunded_counts_in_the_share() {
    let models = FakeModels::start().await.unwrap();
    let app = start(&models, &[("UNCONFIRMED_DAILY_REQUESTS", "100")]).await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    app.upload_and_process(&tenant, "guide.pdf", small_pdf(TEXT)).await;
    models.always(FakeReply::Blocked);
    for _ in 0..9 {
        assert_eq!(app.ask(&tenant, QUESTION).await.data(200)["answered"], false);
    }
    assert!(is_over_budget(&app.ask(&tenant, QUESTION).await));
    assert_eq!(app.number("select sum(free_quota_used) from user_settings").await, 0);
    assert_eq!(counted(&app).await, 10);
}

#[tokio::test]
async fn the_retry_of_a_failed_document_counts_as_a_document() {
    let models = FakeModels::start().await.unwrap();
    let app = start(&models, &[("UNCONFIRMED_DAILY_REQUESTS", "3")]).await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let id = app.upload(&tenant, "scan.pdf", pdf_of_pages(&[PdfPage::scan()])).await;
    let requests = "select requests from unconfirmed_days";
    let retry = || app.post(&format!("/api/v1/documents/{id}/retry")).by(&tenant);
    for retries in 0..3 {
        assert_eq!(app.wait_for_end_state(&tenant, id).await["error_code"], "no_text");
        assert_eq!(app.number(requests).await, 1 + retries);
        if retries < 2 {
            retry().await.data(200);
        }
    }
    retry().await.refused(403, "unconfirmed_budget_reached");
    // The refused retry changes nothing, and counts as little as one that is no retry at all.
    assert_eq!(app.document(&tenant, id).await["status"], "failed");
    app.post(&format!("/api/v1/documents/{}/retry", Uuid::new_v4())).by(&tenant).await.refused(404, "not_found");
    assert_eq!(app.number(requests).await, 3);
    confirm(&app, &tenant).await;
    retry().await.data(200);
    assert_eq!(app.number(requests).await, 3);
}

#[tokio::test]
async fn retries_at_once_do_not_exceed_the_budget() {
    let models = FakeModels::start().await.unwrap();
    let app = start(&models, &[("UNCONFIRMED_DAILY_REQUESTS", "10")]).await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let mut ids = Vec::new();
    for number in 0..8 {
        let scan = pdf_of_pages(&[PdfPage::scan()]);
        let id = app.upload(&tenant, &format!("scan-{number}.pdf"), scan).await;
        app.wait_for_end_state(&tenant, id).await;
        ids.push(id);
    }
    let retries = ids.iter().map(async |id| app.post(&format!("/api/v1/documents/{id}/retry")).by(&tenant).await);
    let answers = futures::future::join_all(retries).await;
    let taken = answers.iter().filter(|answer| answer.status == 200).count();
    let refused = answers.iter().filter(|answer| is_over_budget(answer)).count();
    assert_eq!((taken, refused), (2, 6), "{answers:?}");
    assert_eq!(app.number("select requests from unconfirmed_days").await, 10);
}

#[tokio::test]
async fn a_budget_of_zero_admits_no_unconfirmed_account() {
    let models = FakeModels::start().await.unwrap();
    let app = start(&models, &[("UNCONFIRMED_DAILY_REQUESTS", "0")]).await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    assert!(is_over_budget(&app.ask(&tenant, QUESTION).await));
    confirm(&app, &tenant).await;
    app.ask(&tenant, QUESTION).await.data(200);
}

#[tokio::test]
async fn without_a_model_nothing_is_counted() {
    let app = App::with_settings(&[("UNCONFIRMED_DAILY_REQUESTS", "0")]).await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    app.ask(&tenant, QUESTION).await.data(200);
}

#[tokio::test]
async fn models_may_be_kept_for_confirmed_and_paid_accounts() {
    let models = FakeModels::start().await.unwrap();
    let app = start(&models, &[("UNCONFIRMED_MODELS", "none")]).await;
    let [confirmed, paid] = [app.sign_up("Comptoir Baobab").await, app.sign_up("Chez Koffi").await];
    for tenant in [&confirmed, &paid] {
        app.upload_and_process(tenant, "guide.pdf", small_pdf(TEXT)).await;
        let answer = app.ask(tenant, QUESTION).await.data(200);
        assert_eq!((&answer["model"], &answer["answered"]), (&json!("extractive-1"), &json!(true)), "{answer}");
        let call = app.post("/api/v1/query/stream").by(tenant).json(&json!({ "question": QUESTION }));
        let mut stream = call.stream().await.unwrap();
        stream.expect_event("citations").await;
        assert_eq!(stream.read_to_end().await.1.data["model"], "extractive-1");
    }
    assert_eq!(models.calls(), 0);
    confirm(&app, &confirmed).await;
    buy_plan(&app, &paid).await;
    for tenant in [&confirmed, &paid] {
        assert_eq!(app.ask(tenant, QUESTION).await.data(200)["model"], "small-model");
    }
}

#[tokio::test]
async fn scanned_pages_are_read_only_for_confirmed_and_paid_accounts() {
    let vision = FakeModels::start().await.unwrap();
    vision.always(FakeReply::Text("The delivery takes three days.".to_owned()));
    let url = vision.base_url();
    let app = App::with_settings(&[
        ("SCANNED_PDFS", "vision"),
        ("LLM_PROVIDER", "gemini"),
        ("GEMINI_API_KEY", "test-key"),
        ("GEMINI_MODELS", "small-model"),
        ("GEMINI_BASE_URL", &url),
        ("LLM_PRICES", r#"{"small-model": {"in": 1000000, "out": 10000000}}"#),
        ("UNCONFIRMED_MODELS", "none"),
    ])
    .await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let id = app.upload(&tenant, "scan.pdf", pdf_of_pages(&[PdfPage::scan()])).await;
    let document = app.wait_for_end_state(&tenant, id).await;
    assert_eq!((&document["status"], &document["error_code"]), (&json!("failed"), &json!("spend_cap_reached")));
    assert_eq!(vision.calls(), 0);
    confirm(&app, &tenant).await;
    app.upload_and_process(&tenant, "scan.pdf", pdf_of_pages(&[PdfPage::scan()])).await;
    assert_eq!(vision.calls(), 1);
}

#[tokio::test]
async fn a_contact_of_an_unconfirmed_company_over_the_budget_is_told_so_once() {
    let fixture = WhatsAppFixture::with_settings(&[("UNCONFIRMED_DAILY_REQUESTS", "1")]).await;
    fixture.models.always(FakeReply::RuleBased);
    // The document is the day's one request.
    fixture.upload_document(TEXT).await;
    let before = fixture.models.calls();
    fixture.deliver_text(132, QUESTION).await;
    fixture.wait_for_texts(132, 1).await;
    fixture.wait_for_reply_jobs().await;
    assert_eq!(fixture.models.calls(), before);
    assert_eq!(fixture.number("select count(*) from activities where type = 'quota_blocked'").await, 1);
    assert_eq!(fixture.number("select count(*) from reservations where state = 'held'").await, 0);
    assert_eq!(fixture.number("select sum(free_quota_used) from user_settings").await, 0);
    confirm(&fixture.app, &fixture.tenant).await;
    fixture.deliver_text(132, "How long does the warranty last?").await;
    fixture.wait_for_texts(132, 2).await;
    assert_eq!(fixture.models.calls(), before + 1);
}
