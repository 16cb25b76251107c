//! `Idempotency-Key` on `POST /api/v1/query`: a request with the same key and body gets the first answer again.

use serde_json::{Value, json};

use super::support::{App, TenantUser, TestRequest, WAIT_TIMEOUT, small_pdf, wait_until};

fn ask(app: &App, tenant: &TenantUser, key: &str, body: &Value) -> TestRequest {
    app.post("/api/v1/query").by(tenant).header("idempotency-key", key).json(body)
}

async fn used(app: &App, tenant: &TenantUser) -> Value {
    app.get("/api/v1/quota/status").by(tenant).await.data(200)["free_quota_used"].clone()
}

#[tokio::test]
async fn a_repeated_question_gets_the_first_answer_and_is_not_charged() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let other = app.sign_up("Chez Koffi").await;
    let guide = app.upload_and_process(&tenant, "guide.pdf", small_pdf("The delivery takes three days.")).await;
    let body = json!({ "question": "How long does the delivery take?", "top_k": 3 });
    let first = ask(&app, &tenant, "key-1", &body).await;
    assert_eq!(first.header("idempotency-replayed"), "");
    let first = first.data(200);
    // The first answer is repeated although the answer would be different now.
    app.delete(&format!("/api/v1/documents/{guide}")).by(&tenant).await.no_content();

    let spaced = r#"{ "top_k": 3,   "question": "How long does the delivery take?" }"#;
    for repeated in [
        ask(&app, &tenant, "key-1", &body).await,
        app.post("/api/v1/query").by(&tenant).header("idempotency-key", " key-1 ").raw_json(spaced).await,
    ] {
        assert_eq!(repeated.header("idempotency-replayed"), "true");
        assert_eq!(repeated.data(200), first);
    }
    assert_eq!(used(&app, &tenant).await, 1);

    ask(&app, &tenant, "key-1", &json!({ "question": "Combien ?" })).await.refused(409, "idempotency_key_reused");
    assert_eq!(used(&app, &tenant).await, 1);
    assert_eq!(ask(&app, &tenant, "key-2", &body).await.data(200)["answered"], false);
    // Idempotency keys are separate for each tenant.
    let theirs = ask(&app, &other, "key-1", &body).await;
    assert_eq!(theirs.header("idempotency-replayed"), "");
    assert_eq!(theirs.data(200)["answered"], false);
}

#[tokio::test]
async fn fifty_concurrent_requests_with_one_key_are_answered_and_charged_once() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    app.upload_and_process(&tenant, "guide.pdf", small_pdf("The delivery takes three days.")).await;
    let body = json!({ "question": "How long does the delivery take?" });
    let calls = (0..50).map(|_| ask(&app, &tenant, "key", &body).into_future());
    let (mut answers, mut firsts) = (Vec::new(), 0);
    for answer in futures::future::join_all(calls).await {
        if answer.status == 409 {
            assert_eq!(answer.header("retry-after"), "1");
            answer.refused(409, "idempotency_in_progress");
        } else {
            firsts += i32::from(answer.header("idempotency-replayed").is_empty());
            answers.push(answer.data(200));
        }
    }
    assert_eq!(firsts, 1, "one did the work");
    answers.dedup();
    assert_eq!(answers.len(), 1);
    assert_eq!(used(&app, &tenant).await, 1);
    assert_eq!(app.number("select count(*) from reservations").await, 1);
    assert_eq!(app.number("select count(*) from idempotency_keys where state = 'finished'").await, 1);
    // A client that was refused with 409 gets the answer when it comes back.
    let late = ask(&app, &tenant, "key", &body).await;
    assert_eq!(late.header("idempotency-replayed"), "true");
    assert_eq!(late.data(200), answers[0]);
}

#[tokio::test]
async fn bodies_that_differ_in_field_order_or_null_fields_count_as_equal() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let raw = async |body: &'static str| {
        app.post("/api/v1/query").by(&tenant).header("idempotency-key", "key").raw_json(body).await
    };
    let first = raw(r#"{"question":"Combien ?","top_k":3}"#).await.data(200);
    for same in [
        r#"{"top_k":3,"question":"Combien ?"}"#,
        "\n{ \"top_k\" : 3, \"document_ids\": null,\t\"question\" : \"Combien ?\" }\n",
        r#"{"question":"Com\u0062ien ?","top_k":3}"#,
    ] {
        let repeated = raw(same).await;
        assert_eq!(repeated.header("idempotency-replayed"), "true", "{same}: {}", repeated.text);
        assert_eq!(repeated.data(200), first);
    }
    for other in [
        r#"{"question":"Combien ?"}"#,
        r#"{"question":"combien ?","top_k":3}"#,
        r#"{"question":"Combien ?","top_k":4}"#,
    ] {
        raw(other).await.refused(409, "idempotency_key_reused");
    }
    assert_eq!(used(&app, &tenant).await, 1);
}

#[tokio::test]
async fn a_refused_question_does_not_use_up_its_key() {
    let app = App::with_settings(&[("FREE_QUOTA_LIMIT", "1")]).await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let body = json!({ "question": "Combien ?" });
    app.ask(&tenant, "Combien ?").await.data(200);
    for _ in 0..2 {
        ask(&app, &tenant, "key", &body).await.refused(402, "quota_exceeded");
    }
    // An invalid request does not use up its key either.
    ask(&app, &tenant, "key", &json!({ "question": "" })).await.invalid_fields(&["question"]);
    assert_eq!(app.number("select count(*) from idempotency_keys").await, 0);

    app.sql("update user_settings set free_quota_limit = 2").await;
    let answer = ask(&app, &tenant, "key", &body).await;
    assert_eq!(answer.header("idempotency-replayed"), "");
    answer.data(200);
    // The stored answer is repeated although the quota is used up again.
    assert_eq!(ask(&app, &tenant, "key", &body).await.header("idempotency-replayed"), "true");
}

#[tokio::test]
async fn the_key_of_a_failed_or_killed_question_can_be_used_again() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let body = json!({ "question": "How long does the delivery take?" });
    app.sql("alter table document_chunks rename column embedding to lost").await;
    ask(&app, &tenant, "key", &body).await.refused(500, "internal");
    app.sql("alter table document_chunks rename column lost to embedding").await;
    ask(&app, &tenant, "key", &body).await.data(200);
    assert_eq!(used(&app, &tenant).await, 1);

    let mut holder = app.admin_db().await;
    sqlx::raw_sql("begin; lock table document_chunks").execute(&mut holder).await.unwrap();
    let asking = ask(&app, &tenant, "killed", &body).into_future();
    let claimed_key = wait_until("the key is claimed", WAIT_TIMEOUT, async || {
        let claimed = "select count(*) from idempotency_keys where key = 'killed'";
        (app.number(claimed).await == 1).then_some(())
    });
    tokio::select! { answer = asking => panic!("{answer:?}"), () = claimed_key => {} }
    // The restart kills the function at once. A disconnect would be noticed only after a moment, in which the answer
    // could still be completed.
    let app = app.restart().await;
    sqlx::raw_sql("rollback").execute(&mut holder).await.unwrap();

    // The claim on the key stays until its lock expires.
    ask(&app, &tenant, "killed", &body).await.refused(409, "idempotency_in_progress");
    assert_eq!(used(&app, &tenant).await, 2, "the unit of the killed one is held");
    ask(&app, &tenant, "killed", &json!({ "question": "Quand ?" })).await.refused(409, "idempotency_key_reused");
    app.sql("update idempotency_keys set locked_until = now() - interval '1 second' where state = 'in_progress'").await;
    let late = ask(&app, &tenant, "killed", &body).await;
    assert_eq!(late.header("idempotency-replayed"), "");
    late.data(200);
    assert_eq!(ask(&app, &tenant, "killed", &body).await.header("idempotency-replayed"), "true");

    assert_eq!(used(&app, &tenant).await, 3);
    app.sql("update reservations set expires_at = now() - interval '1 second' where state = 'held'").await;
    let report = app.stack.invoke("maintenance", json!({})).await.unwrap();
    assert_eq!(report["reservations_returned"], 1);
    assert_eq!(used(&app, &tenant).await, 2, "one unit an answer");
}

#[tokio::test]
async fn an_invalid_key_is_refused_and_an_expired_key_is_forgotten() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let body = json!({ "question": "Combien ?" });
    for key in ["", "   ", &"k".repeat(256), "clé"] {
        ask(&app, &tenant, key, &body).await.invalid_fields(&["Idempotency-Key"]);
    }
    assert_eq!(used(&app, &tenant).await, 0);
    ask(&app, &tenant, &"k".repeat(255), &body).await.data(200);

    app.sql("update idempotency_keys set expires_at = now() - interval '1 second'").await;
    let other = json!({ "question": "Quand ?" });
    ask(&app, &tenant, &"k".repeat(255), &other).await.data(200);
    app.sql("update idempotency_keys set expires_at = now() - interval '1 second'").await;
    let report = app.stack.invoke("maintenance", json!({})).await.unwrap();
    assert_eq!(report["rows_removed"], 1);
    assert_eq!(app.number("select count(*) from idempotency_keys").await, 0);
}
