//! Ingestion when things go wrong: workers that die, messages that come twice, files that go, poison.

use std::time::Duration;

use serde_json::{Value, json};
use uuid::Uuid;

use super::support::{App, SOON, Tenant, arrival, batch, long_pdf, small_pdf, wait_until};

/// Stops a worker after its first batch.
const SECOND_BATCH: &str = "before insert on document_chunks for each row when (new.chunk_index >= 32)";

/// Numbers, pages and texts of a document's chunks, as one text.
async fn content(app: &App, document: Uuid) -> String {
    let query = format!(
        "select string_agg(chunk_index || ':' || page_start || '-' || page_end || ':' || text_chunk, E'\\n'
             order by chunk_index)
         from document_chunks where document_id = '{document}'"
    );
    sqlx::query_scalar(sqlx::AssertSqlSafe(query)).fetch_one(&mut app.admin_db().await).await.unwrap()
}

async fn invoke(app: &App, event: Value) -> Value {
    app.stack.invoke("ingest-worker", event).await.unwrap()
}

fn nothing_failed() -> Value {
    json!({ "batchItemFailures": [] })
}

/// What an undisturbed worker makes of a file.
async fn undisturbed(app: &App, tenant: &Tenant, pdf: Vec<u8>) -> String {
    let id = app.learn(tenant, "undisturbed.pdf", pdf).await;
    content(app, id).await
}

#[tokio::test]
async fn a_worker_that_is_killed_in_the_middle_is_followed_by_one_that_goes_on() {
    let app = App::with_options(&[], Some(3)).await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let expected = undisturbed(&app, &tenant, long_pdf()).await;
    let mut hold = app.hold(SECOND_BATCH).await;
    let id = app.upload(&tenant, "catalogue.pdf", long_pdf()).await;
    hold.is_met().await;
    let halfway = app.document(&tenant, id).await;
    assert_eq!((app.chunks(id).await, &halfway["status"]), (32, &json!("pending")));
    let (done, total) = (halfway["pages_done"].as_i64().unwrap(), halfway["pages_total"].as_i64().unwrap());
    assert!(0 < done && done < total, "the progress is seen: {done} of {total}");
    let first = format!("select count(distinct xmin::text) from document_chunks where document_id = '{id}'");
    assert_eq!(app.number(&first).await, 1);

    let app = app.restart().await;
    hold.release().await;

    let document = app.ended(&tenant, id).await;
    assert_eq!((&document["status"], &document["pages_done"]), (&json!("processed"), &json!(total)));
    assert_eq!(content(&app, id).await, expected);
    assert_eq!(app.number(&format!("{first} and chunk_index < 32")).await, 1, "what was there was not written again");
    app.queue_is_empty().await;
    assert_eq!(app.dead().await, 0);
}

#[tokio::test]
async fn a_batch_that_fails_is_tried_again_after_a_moment() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    app.sql(
        "create table attempts (number integer);
         grant insert, select on attempts to public;
         create function public.fail() returns trigger language plpgsql as
             'begin
                  if nextval(''attempted'') = 1 then raise exception ''out of order''; end if;
                  return new;
              end';
         create sequence attempted;
         grant usage on sequence attempted to public;
         create trigger fail before insert on document_chunks for each row when (new.chunk_index = 32)
             execute function public.fail()",
    )
    .await;

    // The queue itself would give the message again after half an hour.
    let id = app.learn(&tenant, "catalogue.pdf", long_pdf()).await;

    assert_eq!(app.number("select last_value from attempted").await, 2);
    let gaps = format!("select max(chunk_index) + 1 - count(*) from document_chunks where document_id = '{id}'");
    assert_eq!(app.number(&gaps).await, 0);
}

#[tokio::test]
async fn events_that_come_twice_change_nothing() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let id = app.learn(&tenant, "catalogue.pdf", long_pdf()).await;
    let before = content(&app, id).await;

    app.enqueue(arrival(&tenant, id)).await;
    app.enqueue(arrival(&tenant, id)).await;
    app.queue_is_empty().await;
    let twice = batch(&[arrival(&tenant, id).to_string(), arrival(&tenant, id).to_string()]);
    assert_eq!(invoke(&app, twice).await, nothing_failed());

    assert_eq!(content(&app, id).await, before);
    assert_eq!(app.dead().await, 0);
}

#[tokio::test]
async fn two_workers_at_once_make_one_set_of_chunks() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let expected = undisturbed(&app, &tenant, long_pdf()).await;
    app.lose_events().await;
    let id = app.upload(&tenant, "catalogue.pdf", long_pdf()).await;
    let event = || batch(&[arrival(&tenant, id).to_string()]);

    let (one, two, three) = tokio::join!(invoke(&app, event()), invoke(&app, event()), invoke(&app, event()));

    assert_eq!([one, two, three], [nothing_failed(), nothing_failed(), nothing_failed()]);
    assert_eq!(app.document(&tenant, id).await["status"], "processed");
    assert_eq!(content(&app, id).await, expected);
}

#[tokio::test]
async fn a_document_that_is_deleted_while_it_is_read_leaves_nothing() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    // When its text is known, before anything is written.
    let mut hold = app.hold("before update of pages_total on documents for each statement").await;
    let id = app.upload(&tenant, "catalogue.pdf", long_pdf()).await;
    hold.is_met().await;

    app.delete(&format!("/api/v1/documents/{id}")).by(&tenant).await.empty();
    hold.release().await;

    app.queue_is_empty().await;
    app.get(&format!("/api/v1/documents/{id}")).by(&tenant).await.refused(404, "not_found");
    assert_eq!(app.number("select count(*) from document_chunks").await, 0);
    assert_eq!(app.number("select count(*) from jobs where status <> 'done'").await, 0);
    assert!(!app.is_stored(&tenant, id).await);
    assert_eq!(app.dead().await, 0);
}

#[tokio::test]
async fn what_is_no_document_is_acknowledged() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    app.enqueue(json!({ "Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "lisa" })).await;
    app.enqueue(json!({ "Records": [{ "s3": { "object": { "key": "exports/all.zip" } } }] })).await;
    app.enqueue(json!({ "Records": [] })).await;
    // Announced by nobody: its row was deleted, or it is somebody's invention.
    app.enqueue(arrival(&tenant, Uuid::new_v4())).await;
    let job = json!({ "job_id": Uuid::new_v4(), "customer_id": Uuid::new_v4(), "document_id": Uuid::new_v4() });
    app.enqueue(job).await;
    app.queue_is_empty().await;
    assert_eq!(app.dead().await, 0);
}

#[tokio::test]
async fn a_document_is_read_for_its_own_tenant_only() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let other = app.sign_up("Chez Koffi").await;
    app.lose_events().await;
    let id = app.upload(&tenant, "guide.pdf", small_pdf("The delivery takes three days.")).await;
    // A key in another tenant's folder names no document of that tenant.
    assert_eq!(invoke(&app, batch(&[arrival(&other, id).to_string()])).await, nothing_failed());
    assert_eq!(app.document(&tenant, id).await["status"], "pending");
    assert_eq!(app.number("select count(*) from document_chunks").await, 0);
}

#[tokio::test]
async fn poison_fails_alone_in_its_batch() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    app.lose_events().await;
    let good = app.upload(&tenant, "guide.pdf", small_pdf("The delivery takes three days.")).await;
    let missing = app.announce(&tenant, "missing.pdf", 100).await.document;
    let bodies = ["{", "[]", "null", &arrival(&tenant, missing).to_string(), &arrival(&tenant, good).to_string()];

    let answer = invoke(&app, batch(&bodies.map(str::to_owned))).await;

    let failed = ["message-1", "message-2", "message-3", "message-4"].map(|id| json!({ "itemIdentifier": id }));
    assert_eq!(answer, json!({ "batchItemFailures": failed }));
    assert_eq!(app.document(&tenant, good).await["status"], "processed");
    assert_eq!(app.document(&tenant, missing).await["status"], "pending", "it may still arrive");
}

#[tokio::test]
async fn poison_is_given_up_after_five_receives_and_keeps_nobody_waiting() {
    let app = App::with_options(&[], Some(1)).await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    app.enqueue("poison").await;
    app.learn(&tenant, "guide.pdf", small_pdf("The delivery takes three days.")).await;
    assert_eq!(app.dead().await, 0);

    // Between its receives lie 2, 4, 8, 16 and 32 seconds.
    wait_until("the poison is given up", Duration::from_secs(62) + SOON, async || {
        (app.dead().await == 1).then_some(())
    })
    .await;

    app.queue_is_empty().await;
    app.learn(&tenant, "after.pdf", small_pdf("The worker lives on.")).await;
}
