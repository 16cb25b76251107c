//! The database away: 503 in under five seconds, whether it refuses or is silent, and recovery without a restart.

use std::time::{Duration, Instant};

use serde_json::json;

use super::support::{App, Call, PASSWORD, Proxy, SOON, Tenant, small_pdf, wait_until};

const LONGEST: Duration = Duration::from_secs(5);

/// One request of each kind: of a tenant, of a user, of nobody yet, and those that write.
fn requests(app: &App, tenant: &Tenant) -> Vec<(&'static str, Call)> {
    let login = json!({ "email": tenant.email, "password": PASSWORD });
    let announcement = json!({ "filename": "guide.pdf", "size_bytes": 1000 });
    let signup = json!({ "email": "a@example.com", "password": PASSWORD, "company_name": "Autre" });
    vec![
        ("status", app.get("/api/v1/quota/status").by(tenant)),
        ("user quota", app.get(&format!("/v1/quota/{}", tenant.user_id)).by(tenant)),
        ("list", app.get("/api/v1/documents").by(tenant)),
        ("announcement", app.post("/api/v1/documents/upload").by(tenant).json(&announcement)),
        ("question", app.post("/api/v1/query").by(tenant).json(&json!({ "question": "How long?" }))),
        ("login", app.post("/api/v1/auth/login").json(&login)),
        ("sign-up", app.post("/api/v1/auth/signup").json(&signup)),
        ("refresh", app.post("/api/v1/auth/refresh").json(&json!({ "refresh_token": tenant.refresh_token }))),
    ]
}

async fn all_are_unavailable_in_time(app: &App, tenant: &Tenant) {
    let calls = requests(app, tenant).into_iter().map(async |(name, call)| {
        let started = Instant::now();
        let answer = call.await;
        assert_eq!(answer.status, 503, "{name} after {:?}: {}", started.elapsed(), answer.text);
        answer.refused(503, "unavailable");
        assert!(started.elapsed() < LONGEST, "{name} took {:?}", started.elapsed());
    });
    futures::future::join_all(calls).await;
}

async fn all_work_again(app: &App, tenant: &Tenant) {
    for path in ["/api/v1/quota/status", "/api/v1/documents", &format!("/v1/quota/{}", tenant.user_id)] {
        wait_until("the database is found again", SOON, async || {
            (app.get(path).by(tenant).await.status == 200).then_some(())
        })
        .await;
    }
    wait_until("sign-in works again", SOON, async || {
        (app.log_in(&tenant.email, PASSWORD).await.status == 200).then_some(())
    })
    .await;
    wait_until("questions are answered again", SOON, async || {
        (app.ask(tenant, "How long does the delivery take?").await.status == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_database_that_refuses_is_told_in_time_and_found_again() {
    let network = Proxy::before_database().await;
    let app = App::with(&network.settings()).await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    app.learn(&tenant, "guide.pdf", small_pdf("The delivery takes three days.")).await;
    app.stack.start_functions().await.unwrap();
    let used = async || app.number("select sum(free_quota_used) from user_settings").await;

    for round in 0..2 {
        let before = used().await;
        network.refuse().await;
        // First connections that were open, then none.
        all_are_unavailable_in_time(&app, &tenant).await;
        all_are_unavailable_in_time(&app, &tenant).await;
        assert_eq!(used().await, before, "no unit is lost");
        network.restore().await;
        all_work_again(&app, &tenant).await;
        assert!(used().await > before, "round {round}");
    }
}

#[tokio::test]
async fn a_database_that_is_silent_is_told_in_time_and_found_again() {
    let network = Proxy::before_database().await;
    let app = App::with(&network.settings()).await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    app.learn(&tenant, "guide.pdf", small_pdf("The delivery takes three days.")).await;
    // Open connections of every kind, over which nothing will come back.
    all_work_again(&app, &tenant).await;

    network.silence();
    all_are_unavailable_in_time(&app, &tenant).await;
    all_are_unavailable_in_time(&app, &tenant).await;
    network.restore().await;
    all_work_again(&app, &tenant).await;
}

#[tokio::test]
async fn a_database_that_was_never_there_is_told_in_time() {
    let network = Proxy::before_database().await;
    let app = App::with(&network.settings()).await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let app = app.restart().await;
    app.stack.start_functions().await.unwrap();

    network.silence();
    all_are_unavailable_in_time(&app, &tenant).await;
    network.refuse().await;
    all_are_unavailable_in_time(&app, &tenant).await;
    network.restore().await;
    app.learn(&tenant, "guide.pdf", small_pdf("The delivery takes three days.")).await;
}

#[tokio::test]
async fn a_file_that_arrives_while_the_database_is_away_is_read_when_it_is_back() {
    let network = Proxy::before_database().await;
    let app = App::with(&network.settings()).await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let pdf = small_pdf("The delivery takes three days.");
    let place = app.announce(&tenant, "guide.pdf", pdf.len()).await;

    network.refuse().await;
    app.put(&place, pdf).await;
    app.get("/api/v1/documents").by(&tenant).await.refused(503, "unavailable");
    network.restore().await;

    wait_until("the file is read", 2 * SOON, async || {
        let answer = app.get(&format!("/api/v1/documents/{}", place.document)).by(&tenant).await;
        (answer.status == 200 && answer.body["data"]["status"] == "processed").then_some(())
    })
    .await;
}
