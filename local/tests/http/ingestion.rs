//! Ingestion under faults: killed workers, repeated messages, deleted files, poison messages.

use std::time::Duration;

use serde_json::{Value, json};
use uuid::Uuid;

use super::support::{App, TenantUser, WAIT_TIMEOUT, long_pdf, object_created_event, small_pdf, sqs_event, wait_until};

/// Trigger that blocks a worker after its first batch of 32 chunks.
const SECOND_BATCH: &str = "before insert on document_chunks for each row when (new.chunk_index >= 32)";

/// Numbers, pages and texts of all chunks of a document, as one text.
async fn chunk_contents(app: &App, document: Uuid) -> String {
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

/// The chunk contents of a file that is ingested without faults.
async fn ingest_without_faults(app: &App, tenant: &TenantUser, pdf: Vec<u8>) -> String {
    let id = app.upload_and_process(tenant, "undisturbed.pdf", pdf).await;
    chunk_contents(app, id).await
}

#[tokio::test]
async fn the_next_worker_continues_where_a_killed_worker_stopped() {
    let app = App::with_options(&[], Some(3)).await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let expected = ingest_without_faults(&app, &tenant, long_pdf()).await;
    let mut hold = app.hold_statements(SECOND_BATCH).await;
    let id = app.upload(&tenant, "catalogue.pdf", long_pdf()).await;
    hold.wait_for_held_statement().await;
    let halfway = app.document(&tenant, id).await;
    assert_eq!((app.chunk_count(id).await, &halfway["status"]), (32, &json!("pending")));
    let (done, total) = (halfway["pages_done"].as_i64().unwrap(), halfway["pages_total"].as_i64().unwrap());
    assert!(0 < done && done < total, "the progress is seen: {done} of {total}");
    let first = format!("select count(distinct xmin::text) from document_chunks where document_id = '{id}'");
    assert_eq!(app.number(&first).await, 1);

    let app = app.restart().await;
    hold.release().await;
    app.pass_on_slots_of_dead_workers().await;

    let document = app.wait_for_end_state(&tenant, id).await;
    assert_eq!((&document["status"], &document["pages_done"]), (&json!("processed"), &json!(total)));
    assert_eq!(chunk_contents(&app, id).await, expected);
    assert_eq!(app.number(&format!("{first} and chunk_index < 32")).await, 1, "what was there was not written again");
    app.wait_for_empty_ingest_queue().await;
    assert_eq!(app.dead_letter_count().await, 0);
}

#[tokio::test]
async fn a_failed_batch_is_retried_soon() {
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

    // The queue's own visibility timeout would deliver the message again only after half an hour.
    let id = app.upload_and_process(&tenant, "catalogue.pdf", long_pdf()).await;

    assert_eq!(app.number("select last_value from attempted").await, 2);
    let gaps = format!("select max(chunk_index) + 1 - count(*) from document_chunks where document_id = '{id}'");
    assert_eq!(app.number(&gaps).await, 0);
}

#[tokio::test]
async fn a_repeated_event_changes_nothing() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let id = app.upload_and_process(&tenant, "catalogue.pdf", long_pdf()).await;
    let before = chunk_contents(&app, id).await;

    app.enqueue(object_created_event(&tenant, id)).await;
    app.enqueue(object_created_event(&tenant, id)).await;
    app.wait_for_empty_ingest_queue().await;
    let twice =
        sqs_event(&[object_created_event(&tenant, id).to_string(), object_created_event(&tenant, id).to_string()]);
    assert_eq!(invoke(&app, twice).await, nothing_failed());

    assert_eq!(chunk_contents(&app, id).await, before);
    assert_eq!(app.dead_letter_count().await, 0);
}

#[tokio::test]
async fn concurrent_workers_on_one_document_store_one_set_of_chunks() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let expected = ingest_without_faults(&app, &tenant, long_pdf()).await;
    app.disable_bucket_events().await;
    let id = app.upload(&tenant, "catalogue.pdf", long_pdf()).await;
    let event = || sqs_event(&[object_created_event(&tenant, id).to_string()]);

    let (one, two, three) = tokio::join!(invoke(&app, event()), invoke(&app, event()), invoke(&app, event()));

    assert_eq!([one, two, three], [nothing_failed(), nothing_failed(), nothing_failed()]);
    assert_eq!(app.document(&tenant, id).await["status"], "processed");
    assert_eq!(chunk_contents(&app, id).await, expected);
}

#[tokio::test]
async fn a_document_deleted_during_ingestion_leaves_nothing() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    // Blocks the worker after the text is extracted and before anything is stored.
    let mut hold = app.hold_statements("before update of pages_total on documents for each statement").await;
    let id = app.upload(&tenant, "catalogue.pdf", long_pdf()).await;
    hold.wait_for_held_statement().await;

    app.delete(&format!("/api/v1/documents/{id}")).by(&tenant).await.no_content();
    hold.release().await;

    app.wait_for_empty_ingest_queue().await;
    app.get(&format!("/api/v1/documents/{id}")).by(&tenant).await.refused(404, "not_found");
    assert_eq!(app.number("select count(*) from document_chunks").await, 0);
    // The deletion of the file is repeated when the upload URL has expired.
    assert_eq!(app.number("select count(*) from jobs where status <> 'done' and kind <> 'delete_object'").await, 0);
    assert!(!app.is_stored(&tenant, id).await);
    assert_eq!(app.dead_letter_count().await, 0);
}

#[tokio::test]
async fn a_message_about_no_known_document_is_acknowledged() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    app.enqueue(json!({ "Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "lisa" })).await;
    app.enqueue(json!({ "Records": [{ "s3": { "object": { "key": "exports/all.zip" } } }] })).await;
    app.enqueue(json!({ "Records": [] })).await;
    // A file without a document row: the row was deleted, or the key was invented.
    app.enqueue(object_created_event(&tenant, Uuid::new_v4())).await;
    let job = json!({ "job_id": Uuid::new_v4(), "customer_id": Uuid::new_v4(), "document_id": Uuid::new_v4() });
    app.enqueue(job).await;
    app.wait_for_empty_ingest_queue().await;
    assert_eq!(app.dead_letter_count().await, 0);
}

#[tokio::test]
async fn a_document_without_a_file_fails_at_once_and_a_later_upload_begins_it_again() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let pdf = long_pdf();
    let place = app.announce(&tenant, "catalogue.pdf", pdf.len()).await;
    let event = sqs_event(&[object_created_event(&tenant, place.document).to_string()]);

    assert_eq!(invoke(&app, event).await, nothing_failed());

    assert_eq!(app.document(&tenant, place.document).await["error_code"], "not_uploaded");
    assert_eq!(app.number("select count(*) from ingest_slots").await, 0);
    app.put_file(&place, pdf).await;
    wait_until("the document is read", 2 * WAIT_TIMEOUT, async || {
        (app.document(&tenant, place.document).await["status"] == "processed").then_some(())
    })
    .await;
    assert_eq!(app.dead_letter_count().await, 0);
}

#[tokio::test]
async fn an_event_with_the_folder_of_another_tenant_ingests_nothing() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let other = app.sign_up("Chez Koffi").await;
    app.disable_bucket_events().await;
    let id = app.upload(&tenant, "guide.pdf", small_pdf("The delivery takes three days.")).await;
    // The key has the folder of another tenant, which has no document with this id.
    assert_eq!(invoke(&app, sqs_event(&[object_created_event(&other, id).to_string()])).await, nothing_failed());
    assert_eq!(app.document(&tenant, id).await["status"], "pending");
    assert_eq!(app.number("select count(*) from document_chunks").await, 0);
}

#[tokio::test]
async fn a_poison_message_does_not_fail_the_others_in_its_batch() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    app.disable_bucket_events().await;
    let good = app.upload(&tenant, "guide.pdf", small_pdf("The delivery takes three days.")).await;
    let missing = app.announce(&tenant, "missing.pdf", 100).await.document;
    let bodies = [
        "{",
        "[]",
        "null",
        &object_created_event(&tenant, missing).to_string(),
        &object_created_event(&tenant, good).to_string(),
    ];

    let answer = invoke(&app, sqs_event(&bodies.map(str::to_owned))).await;

    let failed = ["message-1", "message-2", "message-3", "message-4"].map(|id| json!({ "itemIdentifier": id }));
    assert_eq!(answer, json!({ "batchItemFailures": failed }));
    assert_eq!(app.document(&tenant, good).await["status"], "processed");
    assert_eq!(app.document(&tenant, missing).await["status"], "pending", "it may still arrive");
}

#[tokio::test]
async fn a_poison_message_is_dead_lettered_after_five_receives_and_blocks_no_other_message() {
    let app = App::with_options(&[], Some(1)).await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    app.enqueue("poison").await;
    app.upload_and_process(&tenant, "guide.pdf", small_pdf("The delivery takes three days.")).await;
    assert_eq!(app.dead_letter_count().await, 0);

    // The delays between the receives are 2, 4, 8, 16 and 32 seconds.
    wait_until("the poison is given up", Duration::from_secs(62) + WAIT_TIMEOUT, async || {
        (app.dead_letter_count().await == 1).then_some(())
    })
    .await;

    app.wait_for_empty_ingest_queue().await;
    app.upload_and_process(&tenant, "after.pdf", small_pdf("The worker lives on.")).await;
}
