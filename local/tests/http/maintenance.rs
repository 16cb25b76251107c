//! The scheduled maintenance: refunds, lost jobs, missing uploads, undeleted files.

use serde_json::{Value, json};
use uuid::Uuid;

use super::support::{App, BackendProxy, TenantUser, WAIT_TIMEOUT, small_pdf, wait_until};

/// Runs the maintenance function once and returns its report.
async fn sweep(app: &App) -> Value {
    app.stack.invoke("maintenance", json!({})).await.unwrap()
}

/// Runs the maintenance of each minute once and returns the number of replies that it sent.
async fn sweep_replies(app: &App) -> i64 {
    let report = app.stack.invoke("maintenance", json!({ "task": "replies" })).await.unwrap();
    report["jobs_taken"].as_i64().unwrap()
}

/// Makes all unfinished jobs due now.
async fn make_jobs_due(app: &App) {
    app.sql("update jobs set run_after = now() where status in ('queued', 'running')").await;
}

async fn used(app: &App, tenant: &TenantUser) -> Value {
    app.get("/api/v1/quota/status").by(tenant).await.data(200)["free_quota_used"].clone()
}

/// The status of a document's job.
async fn job_status(app: &App, document: Uuid) -> String {
    let query = format!("select status from jobs where payload ->> 'document_id' = '{document}'");
    sqlx::query_scalar(sqlx::AssertSqlSafe(query)).fetch_one(&mut app.admin_db().await).await.unwrap()
}

#[tokio::test]
async fn a_sweep_with_nothing_to_do_does_nothing() {
    let app = App::start().await;
    let nothing = json!({
        "reservations_returned": 0, "jobs_taken": 0, "webhooks_taken": 0, "rows_removed": 0, "subscriptions_ended": 0,
        "subscriptions_projected": 0, "periods_closed": 0, "records_made": 0, "duplicates_settled": 0,
        "subscriptions_unassigned": 0, "sign_in_counters_ended": 0, "webhooks_failed": 0, "exports_expired": 0,
        "accounts_purged": 0,
    });
    assert_eq!(sweep(&app).await, nothing);
}

#[tokio::test]
async fn the_request_of_a_killed_question_is_refunded_once() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    app.ask(&tenant, "Combien ?").await.data(200);
    // The question reserves its request and then waits for the chunks, whose table is locked here.
    let mut holder = app.admin_db().await;
    sqlx::raw_sql("begin; lock table document_chunks").execute(&mut holder).await.unwrap();
    let asking = app.ask(&tenant, "How long does the delivery take?").into_future();
    let reserved = async {
        wait_until("the unit is taken", WAIT_TIMEOUT, async || {
            (app.number("select count(*) from reservations where state = 'held'").await == 1).then_some(())
        })
        .await;
    };
    tokio::select! { answer = asking => panic!("{answer:?}"), () = reserved => {} }
    // The restart kills the function at once. A disconnect would be noticed only after a moment, in which the answer
    // could still be completed.
    let app = app.restart().await;
    sqlx::raw_sql("rollback").execute(&mut holder).await.unwrap();
    assert_eq!(used(&app, &tenant).await, 2);
    assert_eq!(sweep(&app).await["reservations_returned"], 0, "it may still be at work");

    app.sql("update reservations set expires_at = now() - interval '1 second' where state = 'held'").await;
    let (one, two) = tokio::join!(sweep(&app), sweep(&app));

    let returned = [one, two].map(|report| report["reservations_returned"].as_i64().unwrap());
    assert_eq!(returned.iter().sum::<i64>(), 1, "{returned:?}");
    assert_eq!(used(&app, &tenant).await, 1);
    assert_eq!(sweep(&app).await["reservations_returned"], 0);
    assert_eq!(used(&app, &tenant).await, 1);
}

#[tokio::test]
async fn expired_reservations_are_refunded_to_their_own_tenants() {
    let app = App::start().await;
    let one = app.sign_up("Comptoir Baobab").await;
    let two = app.sign_up("Chez Koffi").await;
    app.sql(&format!(
        "update user_settings set free_quota_used = 7;
         insert into reservations (customer_id, user_id, kind, state, expires_at)
         select customer.id, customer.user_id, kind, state, expires_at
         from customers customer
         cross join (values
             ('free_quota', 'held', now() - interval '1 minute'), ('free_quota', 'held', now() - interval '1 hour'),
             ('free_quota', 'held', now() + interval '1 minute'), ('free_quota', 'spent', now() - interval '1 hour'),
             ('free_quota', 'returned', now() - interval '1 hour'), ('plan', 'held', now() - interval '1 hour')
         ) row (kind, state, expires_at)
         where customer.id <> '{}' or kind = 'plan'",
        two.customer_id
    ))
    .await;
    assert_eq!(sweep(&app).await["reservations_returned"], 4);
    assert_eq!((used(&app, &one).await, used(&app, &two).await), (json!(5), json!(7)));
}

#[tokio::test]
async fn a_missing_upload_is_marked_failed_after_an_hour_and_can_still_arrive() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let pdf = small_pdf("The delivery takes three days.");
    let place = app.announce(&tenant, "late.pdf", pdf.len()).await;
    assert_eq!(sweep(&app).await["jobs_taken"], 0, "it has five minutes without anybody looking");
    make_jobs_due(&app).await;
    assert_eq!(sweep(&app).await["jobs_taken"], 1);
    assert_eq!(app.document(&tenant, place.document).await["status"], "pending", "it has an hour");
    assert_eq!(job_status(&app, place.document).await, "queued");

    app.sql("update documents set upload_date = now() - interval '61 minutes'").await;
    make_jobs_due(&app).await;
    let (one, two) = tokio::join!(sweep(&app), sweep(&app));
    assert_eq!(one["jobs_taken"].as_i64().unwrap() + two["jobs_taken"].as_i64().unwrap(), 1);

    let document = app.document(&tenant, place.document).await;
    assert_eq!((&document["status"], &document["error_code"]), (&json!("failed"), &json!("not_uploaded")));
    assert_eq!(document["error"], "The file never arrived. Upload it again.");
    make_jobs_due(&app).await;
    assert_eq!(sweep(&app).await["jobs_taken"], 0);

    app.put_file(&place, pdf).await;
    wait_until("the late file is read", WAIT_TIMEOUT, async || {
        (app.document(&tenant, place.document).await["status"] == "processed").then_some(())
    })
    .await;
    assert_eq!(job_status(&app, place.document).await, "done");
}

#[tokio::test]
async fn a_document_whose_event_was_lost_is_still_ingested() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    app.disable_bucket_events().await;
    let id = app.upload(&tenant, "guide.pdf", small_pdf("The delivery takes three days.")).await;
    app.wait_for_empty_ingest_queue().await;
    assert_eq!(app.document(&tenant, id).await["status"], "pending");

    make_jobs_due(&app).await;
    assert_eq!(sweep(&app).await["jobs_taken"], 1);

    assert_eq!(app.wait_for_end_state(&tenant, id).await["status"], "processed");
    assert_eq!(job_status(&app, id).await, "done");
    make_jobs_due(&app).await;
    assert_eq!(sweep(&app).await["jobs_taken"], 0);
}

#[tokio::test]
async fn a_document_whose_job_used_up_its_attempts_is_marked_failed() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    app.disable_bucket_events().await;
    let id = app.upload(&tenant, "guide.pdf", small_pdf("The delivery takes three days.")).await;
    app.sql("update jobs set attempts = 12, run_after = now()").await;
    sweep(&app).await;
    let document = app.document(&tenant, id).await;
    assert_eq!((&document["status"], &document["error_code"]), (&json!("failed"), &json!("timed_out")));
    assert_eq!(job_status(&app, id).await, "failed");
    // The owner can still retry the document.
    app.post(&format!("/api/v1/documents/{id}/retry")).by(&tenant).await.data(200);
    assert_eq!(app.wait_for_end_state(&tenant, id).await["status"], "processed");
}

#[tokio::test]
async fn a_file_that_could_not_be_deleted_during_a_storage_outage_is_deleted_later() {
    let network = BackendProxy::for_aws().await;
    let app = App::with_settings(&network.settings()).await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let id = app.upload_and_process(&tenant, "guide.pdf", small_pdf("The delivery takes three days.")).await;
    // Functions fetch their secret from Secrets Manager when they start, so they must start before the outage.
    app.stack.start_functions().await.unwrap();

    network.refuse().await.unwrap();
    app.delete(&format!("/api/v1/documents/{id}")).by(&tenant).await.no_content();
    app.get(&format!("/api/v1/documents/{id}")).by(&tenant).await.refused(404, "not_found");
    assert!(app.is_stored(&tenant, id).await);
    let health = app.get("/health?deep=1").by(app.service_token()).await.json_body(503);
    assert_eq!(
        ["database", "queue", "storage"].map(|name| health["checks"][name]["up"].as_bool().unwrap()),
        [true, false, false]
    );
    // A sweep during the outage changes nothing and keeps the job.
    assert_eq!(sweep(&app).await["jobs_taken"], 1);

    network.restore().await.unwrap();
    make_jobs_due(&app).await;
    assert_eq!(sweep(&app).await["jobs_taken"], 1);
    assert!(!app.is_stored(&tenant, id).await);
    // The upload URL may still bring the file back, so the deletion is repeated when it has expired.
    app.sql("update jobs set run_after = now(), payload = payload || jsonb_build_object('until', now())").await;
    assert_eq!(sweep(&app).await["jobs_taken"], 1);
    make_jobs_due(&app).await;
    assert_eq!(sweep(&app).await["jobs_taken"], 0);
}

#[tokio::test]
async fn rows_past_their_retention_are_deleted_and_the_others_stay() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    sweep(&app).await;
    let tables = "
        select jsonb_build_object(
            'refresh_sessions', (select count(*) from refresh_sessions),
            'invitations', (select count(*) from invitations),
            'password_resets', (select count(*) from password_resets),
            'reservations', (select count(*) from reservations),
            'jobs', (select count(*) from jobs),
            'llm_calls', (select count(*) from llm_calls),
            'idempotency_keys', (select count(*) from idempotency_keys),
            'stripe_events', (select count(*) from billing.stripe_events)
        )";
    let counts = async || -> Value { sqlx::query_scalar(tables).fetch_one(&mut app.admin_db().await).await.unwrap() };
    let before = counts().await;
    // For each table: a row that is one day too old, one that is a day younger, and one that is as old and still needed.
    app.sql(&format!(
        "insert into refresh_sessions (user_id, token_sha256, expires_at)
         select '{user}', sha256('a'), now() - make_interval(days => days) from unnest(array[31, 29]) days;
         insert into invitations (customer_id, token_sha256, expires_at, used_at)
         select '{customer}', sha256(made::text::bytea), now() - make_interval(days => days), used
         from (values (31, null), (31, now()), (29, null), (29, now()), (-1, null)) made (days, used);
         insert into password_resets (user_id, token_sha256, expires_at, used_at)
         select '{user}', sha256(made::text::bytea), now() - make_interval(days => days), used
         from (values (31, null), (31, now()), (29, null), (-1, now())) made (days, used);
         insert into reservations (customer_id, user_id, kind, state, created_at, expires_at)
         select '{customer}', '{user}', 'free_quota', state, now() - make_interval(days => days), now() + interval '1 day'
         from (values ('spent', 91), ('returned', 91), ('spent', 89), ('held', 91)) made (state, days);
         insert into jobs (customer_id, kind, status, run_after, updated_at)
         select '{customer}', kind, status, now() + interval '1 day', now() - make_interval(days => days)
         from (values ('delete_object', 'done', 31), ('delete_object', 'failed', 31), ('delete_object', 'done', 29),
             ('delete_object', 'queued', 31), ('invoice_item', 'done', 31)) made (kind, status, days);
         insert into llm_calls (customer_id, purpose, provider, model, status, created_at)
         select '{customer}', 'answer', 'p', 'm', 'ok', now() - make_interval(days => days)
         from unnest(array[401, 399]) days;
         insert into idempotency_keys (customer_id, key, request_sha256, locked_until, expires_at)
         select '{customer}', days::text, sha256('a'), now(), now() - make_interval(days => days)
         from unnest(array[1, -1]) days;
         insert into billing.stripe_events (id, type, created, payload, received_at, applied_at, projected_at)
         select id, 't', now(), '{{}}', now() - make_interval(days => days), done, done
         from (values ('evt_old', 91, now()), ('evt_young', 89, now()), ('evt_open', 91, null)) made (id, days, done)",
        user = tenant.user_id,
        customer = tenant.customer_id
    ))
    .await;

    assert_eq!(sweep(&app).await["rows_removed"], 12);

    let after = counts().await;
    for (table, more) in [
        ("refresh_sessions", 1),
        ("invitations", 3),
        ("password_resets", 2),
        ("reservations", 2),
        ("jobs", 3),
        ("llm_calls", 1),
        ("idempotency_keys", 1),
        ("stripe_events", 2),
    ] {
        assert_eq!(after[table].as_i64().unwrap() - before[table].as_i64().unwrap(), more, "{table}");
    }
    assert_eq!(sweep(&app).await["rows_removed"], 0);
}

#[tokio::test]
async fn old_rows_are_deleted_in_bounded_batches() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    app.sql(&format!(
        "insert into llm_calls (customer_id, purpose, provider, model, status, created_at)
         select '{}', 'answer', 'p', 'm', 'ok', now() - interval '500 days' from generate_series(1, 12000)",
        tenant.customer_id
    ))
    .await;
    assert_eq!(sweep(&app).await["rows_removed"], 10_000);
    assert_eq!(sweep(&app).await["rows_removed"], 2_000);
}

#[tokio::test]
async fn replies_that_the_queue_did_not_take_are_due_at_once_and_not_counted_as_attempts() {
    // Nothing listens there: each send fails at once.
    let app = App::with_settings(&[("REPLY_QUEUE_URL", "http://127.0.0.1:9/000000000000/away")]).await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let secret = app.webhook_secret(&tenant).await;
    for contact in 1..=3 {
        let body = json!({ "id": contact, "last_input_text": "Vous livrez ?", "message_id": contact });
        let sent = app.post("/api/v1/webhook/manychat").header("x-webhook-secret", &secret).json(&body).await;
        sent.json_body(200);
    }
    let due = "select count(*) from jobs where kind = 'reply' and status = 'queued' and run_after <= now() \
               and attempts = 0";
    assert_eq!(app.number(due).await, 3, "the webhook noticed that the queue took nothing");
    for _ in 0..20 {
        assert_eq!(sweep_replies(&app).await, 0);
    }
    assert_eq!(app.number(due).await, 3, "an absent queue gives no conversation up");
    assert_eq!(sweep(&app).await["jobs_taken"], 0);
    assert_eq!(app.number(due).await, 3);
}

#[tokio::test]
async fn the_maintenance_of_each_minute_sends_due_replies_only() {
    let queue = super::support::create_queue().await;
    let app = App::with_settings(&[("REPLY_QUEUE_URL", &queue)]).await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let conversation = app.store_contact_message(&tenant, "132", "Vous livrez ?").await;
    app.sql(
        "insert into idempotency_keys (customer_id, key, request_sha256, locked_until, expires_at)
             select id, 'old', sha256('x'), now(), now() - interval '1 day' from customers",
    )
    .await;
    assert_eq!(sweep_replies(&app).await, 0, "its queue message has a minute");
    make_jobs_due(&app).await;
    let (one, two) = tokio::join!(sweep_replies(&app), sweep_replies(&app));
    assert_eq!(one + two, 1);
    let message = json!({ "customer_id": tenant.customer_id, "conversation_id": conversation });
    assert_eq!(app.drain_queue(&queue).await, [message]);
    assert_eq!(sweep_replies(&app).await, 0);
    assert_eq!(app.number("select count(*) from idempotency_keys").await, 1, "left to the sweep of five minutes");
}
