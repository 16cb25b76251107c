//! Outages of the database, and of S3 and SQS: a 503 in time, whether a server refuses connections or does not respond,
//! and recovery without a restart.

use std::time::{Duration, Instant};

use serde_json::json;

use super::support::{App, BackendProxy, PASSWORD, TenantUser, TestRequest, WAIT_TIMEOUT, small_pdf, wait_until};

const MAX_RESPONSE_TIME: Duration = Duration::from_secs(5);

/// Requests that read and write, with a token and without one, each with a name for failure messages.
fn requests(app: &App, tenant: &TenantUser) -> Vec<(&'static str, TestRequest)> {
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

/// Sends all requests at once and asserts that each gets a 503 within [`MAX_RESPONSE_TIME`].
async fn assert_all_unavailable_in_time(app: &App, tenant: &TenantUser) {
    let calls = requests(app, tenant).into_iter().map(async |(name, call)| {
        let started = Instant::now();
        let answer = call.await;
        assert_eq!(answer.status, 503, "{name} after {:?}: {}", started.elapsed(), answer.text);
        answer.refused(503, "unavailable");
        assert!(started.elapsed() < MAX_RESPONSE_TIME, "{name} took {:?}", started.elapsed());
    });
    futures::future::join_all(calls).await;
}

/// Waits until reads, sign-in and questions succeed.
async fn wait_for_recovery(app: &App, tenant: &TenantUser) {
    for path in ["/api/v1/quota/status", "/api/v1/documents", &format!("/v1/quota/{}", tenant.user_id)] {
        wait_until("the database is found again", WAIT_TIMEOUT, async || {
            (app.get(path).by(tenant).await.status == 200).then_some(())
        })
        .await;
    }
    wait_until("sign-in works again", WAIT_TIMEOUT, async || {
        (app.log_in(&tenant.email, PASSWORD).await.status == 200).then_some(())
    })
    .await;
    wait_until("questions are answered again", WAIT_TIMEOUT, async || {
        (app.ask(tenant, "How long does the delivery take?").await.status == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_database_that_refuses_connections_causes_fast_503s_until_it_is_back() {
    let network = BackendProxy::for_database().await;
    let app = App::with_settings(&network.settings()).await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    app.upload_and_process(&tenant, "guide.pdf", small_pdf("The delivery takes three days.")).await;
    app.stack.start_functions().await.unwrap();
    let used = async || app.number("select sum(free_quota_used) from user_settings").await;

    for round in 0..2 {
        let before = used().await;
        network.refuse().await.unwrap();
        // The first round uses connections that were open before; the second round has none.
        assert_all_unavailable_in_time(&app, &tenant).await;
        assert_all_unavailable_in_time(&app, &tenant).await;
        assert_eq!(used().await, before, "no unit is lost");
        network.restore().await.unwrap();
        wait_for_recovery(&app, &tenant).await;
        assert!(used().await > before, "round {round}");
    }
}

#[tokio::test]
async fn a_database_that_does_not_respond_causes_fast_503s_until_it_is_back() {
    let network = BackendProxy::for_database().await;
    let app = App::with_settings(&network.settings()).await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    app.upload_and_process(&tenant, "guide.pdf", small_pdf("The delivery takes three days.")).await;
    // Opens connections of every kind, which will then stop responding.
    wait_for_recovery(&app, &tenant).await;

    network.silence();
    assert_all_unavailable_in_time(&app, &tenant).await;
    assert_all_unavailable_in_time(&app, &tenant).await;
    network.restore().await.unwrap();
    wait_for_recovery(&app, &tenant).await;
}

#[tokio::test]
async fn a_database_that_is_unreachable_from_the_start_causes_fast_503s() {
    let network = BackendProxy::for_database().await;
    let app = App::with_settings(&network.settings()).await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let app = app.restart().await;
    app.stack.start_functions().await.unwrap();

    network.silence();
    assert_all_unavailable_in_time(&app, &tenant).await;
    network.refuse().await.unwrap();
    assert_all_unavailable_in_time(&app, &tenant).await;
    network.restore().await.unwrap();
    app.upload_and_process(&tenant, "guide.pdf", small_pdf("The delivery takes three days.")).await;
}

#[tokio::test]
async fn a_file_uploaded_during_a_database_outage_is_processed_after_it() {
    let network = BackendProxy::for_database().await;
    let app = App::with_settings(&network.settings()).await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let pdf = small_pdf("The delivery takes three days.");
    let place = app.announce(&tenant, "guide.pdf", pdf.len()).await;

    network.refuse().await.unwrap();
    app.put_file(&place, pdf).await;
    app.get("/api/v1/documents").by(&tenant).await.refused(503, "unavailable");
    network.restore().await.unwrap();

    wait_until("the file is read", 2 * WAIT_TIMEOUT, async || {
        let answer = app.get(&format!("/api/v1/documents/{}", place.document)).by(&tenant).await;
        (answer.status == 200 && answer.body["data"]["status"] == "processed").then_some(())
    })
    .await;
}

/// Attack: S3 and SQS accept connections and do not answer for a while.
#[tokio::test]
async fn storage_and_queues_that_do_not_respond_get_503s_in_time_and_a_refused_upload_leaves_nothing() {
    let network = BackendProxy::for_aws().await;
    let app = App::with_settings(&network.settings()).await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let id = app.upload_and_process(&tenant, "guide.pdf", small_pdf("The delivery takes three days.")).await;
    let failed = app.upload(&tenant, "broken.pdf", b"no PDF".to_vec()).await;
    app.wait_for_end_state(&tenant, failed).await;
    // Functions fetch their secret when they start, so they must start before the outage.
    app.stack.start_functions().await.unwrap();
    let documents = app.number("select count(*) from documents").await;

    network.silence();
    let timed = async |call: TestRequest| {
        let started = Instant::now();
        let answer = call.await;
        (answer, started.elapsed())
    };
    let mut form = b"--boundary\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.pdf\"\r\n\r\n".to_vec();
    // Another file than the processed one, which would be returned in place of a second upload.
    form.extend_from_slice(&small_pdf("The warranty lasts two years."));
    form.extend_from_slice(b"\r\n--boundary--\r\n");
    let upload = app.post("/api/v1/documents/upload").by(&tenant).body("multipart/form-data; boundary=boundary", form);
    let health = app.get("/health?deep=1").by(app.service_token());
    let delete = app.delete(&format!("/api/v1/documents/{id}")).by(&tenant);
    let retry = app.post(&format!("/api/v1/documents/{failed}/retry")).by(&tenant);
    let (upload, health, delete, retry) = tokio::join!(timed(upload), timed(health), timed(delete), timed(retry));

    assert_eq!(upload.0.status, 503, "{}", upload.0.text);
    assert!(upload.0.headers["retry-after"].to_str().unwrap().parse::<u32>().is_ok());
    upload.0.refused(503, "unavailable");
    // The timeouts of these functions are 29, 20, 20 and 20 s.
    assert!(upload.1 < Duration::from_secs(15), "{:?}", upload.1);
    let checks = &health.0.json_body(503)["checks"];
    assert_eq!(
        ["database", "queue", "storage"].map(|name| checks[name]["up"].as_bool().unwrap()),
        [true, false, false]
    );
    // The document is deleted, and its file is left to maintenance.
    delete.0.no_content();
    // The document is pending again, and its message is left to maintenance.
    assert_eq!(retry.0.data(200)["status"], "pending");
    for (name, time) in [("health", health.1), ("deletion", delete.1), ("retry", retry.1)] {
        assert!(time < Duration::from_secs(8), "{name} took {time:?}");
    }
    assert_eq!(app.number("select count(*) from documents").await, documents - 1, "the refused upload has no document");

    network.restore().await.unwrap();
    app.sql("update jobs set run_after = now() where status in ('queued', 'running')").await;
    app.stack.invoke("maintenance", json!({})).await.unwrap();
    assert_eq!(app.wait_for_end_state(&tenant, failed).await["error_code"], "corrupt");
    // A file that storage took after the refusal does not stay either.
    wait_until("only the failed document's file is stored", WAIT_TIMEOUT, async || {
        (app.stored_objects().await == 1).then_some(())
    })
    .await;
    app.wait_for_empty_ingest_queue().await;
    assert_eq!(app.number("select count(*) from documents").await, 1);
}

/// Thirty requests on one connection, with statements that take 0.3 s each, are more than it can serve in 3 s. Each request
/// takes the connection several times, and the waits count together.
#[tokio::test]
async fn an_overloaded_database_refuses_in_time_with_retry_after() {
    let app = App::with_settings(&[("DATABASE_MAX_CONNECTIONS", "1"), ("RATE_LIMIT_USER", "100000")]).await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    app.upload_and_process(&tenant, "guide.pdf", small_pdf("The delivery takes three days.")).await;
    app.sql(
        "create policy slow on documents as restrictive for select to lisa_tenant using (pg_sleep(0.3) is not null);
         create function slow() returns trigger language plpgsql as
             $$ begin perform pg_sleep(0.3); return new; end $$;
         create trigger slow before insert or update on rate_limits for each row execute function slow()",
    )
    .await;
    let calls = (0..30).map(async |_| {
        let started = Instant::now();
        let answer = app.get("/api/v1/documents").by(&tenant).await;
        (answer, started.elapsed())
    });
    let answers = futures::future::join_all(calls).await;
    assert!(answers.iter().any(|(answer, _)| answer.status == 200), "{answers:?}");
    let refused: Vec<_> = answers.into_iter().filter(|(answer, _)| answer.status != 200).collect();
    assert!(!refused.is_empty());
    for (answer, took) in refused {
        assert!(took < MAX_RESPONSE_TIME, "{took:?}: {}", answer.text);
        answer.refused(503, "unavailable");
    }
}
