//! `POST /api/v1/privacy/exports` and `GET /api/v1/privacy/exports/{id}`, and the export-worker.

use std::{
    collections::BTreeMap,
    io::{Cursor, Read},
};

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use uuid::Uuid;
use zip::ZipArchive;

use super::{
    super::support::{
        App, BackendProxy, PASSWORD, TenantUser, WAIT_TIMEOUT, create_queue, fixture, new_email, small_pdf, sqs_event,
        wait_until,
    },
    ACCOUNT, EXPORTS, RESTORE, maintain, maintain_at,
};

/// Requests an export and returns its id.
async fn request(app: &App, owner: &TenantUser) -> Uuid {
    let export = app.post(EXPORTS).by(owner).await.data(202);
    export["id"].as_str().unwrap().parse().unwrap()
}

async fn show(app: &App, owner: &TenantUser, id: Uuid) -> Value {
    app.get(&format!("{EXPORTS}/{id}")).by(owner).await.data(200)
}

/// Waits until an export is ready and returns it.
async fn wait_until_ready(app: &App, owner: &TenantUser, id: Uuid) -> Value {
    wait_until("the export is ready", 2 * WAIT_TIMEOUT, async || {
        let export = show(app, owner, id).await;
        assert_ne!(export["status"], "failed", "{export}");
        (export["status"] == "ready").then_some(export)
    })
    .await
}

/// Fetches an archive by its link and unpacks it.
async fn download(app: &App, export: &Value) -> BTreeMap<String, Vec<u8>> {
    let answer = app.http().get(export["download"]["url"].as_str().unwrap()).send().await.unwrap();
    assert_eq!(
        (answer.status().as_u16(), &answer.headers()["content-type"]),
        (200, &"application/zip".parse().unwrap())
    );
    let bytes = answer.bytes().await.unwrap();
    assert_eq!(export["size_bytes"], bytes.len());
    let mut archive = ZipArchive::new(Cursor::new(bytes.to_vec())).unwrap();
    let mut files = BTreeMap::new();
    for index in 0..archive.len() {
        let mut file = archive.by_index(index).unwrap();
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes).unwrap();
        files.insert(file.name().unwrap().to_string(), bytes);
    }
    files
}

/// The rows of a table in an archive.
fn rows(files: &BTreeMap<String, Vec<u8>>, table: &str) -> Vec<Value> {
    let text = String::from_utf8(files[&format!("tables/{table}.jsonl")].clone()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn an_export_has_the_values_and_the_files_of_the_company() {
    let app = App::start().await;
    let owner = app.sign_up("Comptoir Baobab").await;
    let other = app.sign_up("Lumaworks").await;
    let pdf = fixture("plain.pdf");
    let document = app.upload_and_process(&owner, "Tarif été/2026.pdf", pdf.clone()).await;
    let missing = app.announce(&owner, "never.pdf", 100).await.document;
    app.upload_and_process(&other, "secret.pdf", small_pdf("The other company's secret.")).await;
    let conversation = app.store_contact_message(&owner, "132", "Combien coûte la « livraison » ?\nÀ Bouaké").await;
    app.store_contact_message(&other, "133", "Le secret des autres").await;
    let order = json!({
        "conversation_id": conversation, "customer_name": "=HYPERLINK(\"http://x\")",
        "items": [{ "name": "Savon", "quantity": 2, "unit_price": "500" }],
    });
    app.post("/api/v1/orders").by(&owner).json(&order).await.data(201);

    let id = request(&app, &owner).await;
    let export = wait_until_ready(&app, &owner, id).await;

    let expires_at: DateTime<Utc> = export["expires_at"].as_str().unwrap().parse().unwrap();
    assert!((expires_at - Utc::now() - TimeDelta::days(7)).abs() < TimeDelta::minutes(5), "{export}");
    let url = export["download"]["url"].as_str().unwrap();
    let valid_s = url.split_once("X-Amz-Expires=").and_then(|(_, rest)| rest.split('&').next()?.parse().ok());
    assert!(valid_s.is_some_and(|valid_s| (880..=900).contains(&valid_s)), "900 s or a moment less: {url}");
    assert!(url.contains("X-Amz-Signature="), "{url}");
    let link_ends: DateTime<Utc> = export["download"]["expires_at"].as_str().unwrap().parse().unwrap();
    assert!(link_ends <= Utc::now() + TimeDelta::minutes(15));
    let files = download(&app, &export).await;
    assert_eq!(rows(&files, "customers")[0]["name"], "Comptoir Baobab");
    assert_eq!(rows(&files, "users")[0]["email"], owner.email.as_str());
    let messages = rows(&files, "messages");
    assert_eq!(messages.len(), 1);
    assert_eq!(messages[0]["content"], "Combien coûte la « livraison » ?\nÀ Bouaké");
    assert_eq!(rows(&files, "conversations")[0]["user_phone"], "+2250700000132");
    let orders = rows(&files, "orders");
    assert_eq!((&orders[0]["customer_name"], &orders[0]["total_amount"]), (&order["customer_name"], &json!(1000.0)));
    // In order: a message before its order, and so on, is not promised; each row is there once.
    let documents = rows(&files, "documents");
    assert_eq!(documents.len(), 2);
    let kept: Vec<_> = files.keys().filter(|name| name.starts_with("documents/")).collect();
    assert_eq!(kept.len(), 1);
    assert!(kept[0].starts_with(&format!("documents/{document}-")) && kept[0].ends_with("2026.pdf"), "{kept:?}");
    assert_eq!(files[kept[0]], pdf);
    let manifest: Value = serde_json::from_slice(&files["manifest.json"]).unwrap();
    assert_eq!((&manifest["documents"], &manifest["documents_without_file"]), (&json!(1), &json!([missing])));
    assert_eq!(manifest["tables"]["public.messages"], 1);
    for (name, bytes) in &files {
        let text = String::from_utf8_lossy(bytes);
        assert!(!text.contains("secret des autres") && !text.contains(&other.customer_id.to_string()), "{name}");
    }
    let actions = app.audit_actions(&owner).await;
    assert!(actions.contains(&format!("export.requested export:{id}")), "{actions:?}");
    assert!(actions.contains(&format!("export.link_issued export:{id}")), "{actions:?}");
}

#[tokio::test]
async fn a_repeated_request_gets_the_export_in_work_and_foreigners_get_none() {
    let queue = create_queue().await;
    let app = App::with_settings(&[("EXPORT_QUEUE_URL", &queue)]).await;
    let owner = app.sign_up("Comptoir Baobab").await;
    let other = app.sign_up("Lumaworks").await;
    let support = app.sign_up_support(&owner).await;
    app.post(EXPORTS).by(&support).await.refused(403, "forbidden");
    let (one, two) = tokio::join!(request(&app, &owner), request(&app, &owner));
    assert_eq!(one, two);
    assert_eq!(request(&app, &owner).await, one);
    assert_eq!(app.number("select count(*) from exports").await, 1);
    assert_eq!(app.number("select count(*) from jobs where kind = 'export'").await, 1);
    let sent = app.drain_queue(&queue).await;
    assert_eq!(sent, [json!({ "customer_id": owner.customer_id, "export_id": one })]);
    let path = format!("{EXPORTS}/{one}");
    app.get(&path).by(&other).await.refused(404, "not_found");
    app.get(&path).by(&support).await.refused(403, "forbidden");
    app.get(EXPORTS).by(&support).await.refused(403, "forbidden");
    assert_eq!(app.get(EXPORTS).by(&other).await.data(200), json!([]));
    let shown = show(&app, &owner, one).await;
    assert_eq!((&shown["status"], &shown["download"]), (&json!("queued"), &Value::Null));
    // The queue has lost the message.
    app.sql("update jobs set run_after = now()").await;
    maintain(&app).await;
    assert_eq!(app.drain_queue(&queue).await, sent);
    // Two deliveries at once make one archive.
    let event = sqs_event(&[sent[0].to_string()]);
    let (first, second) =
        tokio::join!(app.stack.invoke("export-worker", event.clone()), app.stack.invoke("export-worker", event));
    assert_eq!(
        (first.unwrap(), second.unwrap()),
        (json!({ "batchItemFailures": [] }), json!({ "batchItemFailures": [] }))
    );
    assert_eq!(show(&app, &owner, one).await["status"], "ready");
    assert_eq!(app.number("select attempts from exports").await, 1);
    assert_eq!(app.number("select count(*) from jobs where kind = 'export' and status = 'done'").await, 1);
    let next = request(&app, &owner).await;
    assert_ne!(next, one, "the next request is a new export");
    let event = sqs_event(&[json!({ "customer_id": owner.customer_id, "export_id": next }).to_string()]);
    app.stack.invoke("export-worker", event).await.unwrap();
    let statuses = (show(&app, &owner, one).await["status"].clone(), show(&app, &owner, next).await["status"].clone());
    assert_eq!(statuses, (json!("expired"), json!("ready")), "a company has one archive at a time");
    let listed = app.get(EXPORTS).by(&owner).await.json_body(200);
    let brief = listed["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|export| json!([export["id"], export["status"], export["size_bytes"].is_i64(), export["download"]]));
    let expected = [json!([next, "ready", true, null]), json!([one, "expired", true, null])];
    assert_eq!((brief.collect::<Vec<_>>(), &listed["meta"]["total"]), (expected.to_vec(), &json!(2)));
    let page = app.get(&format!("{EXPORTS}?limit=1")).by(&owner).await.json_body(200);
    let cursor = page["meta"]["next_cursor"].as_str().unwrap();
    assert_eq!(app.get(&format!("{EXPORTS}?limit=1&cursor={cursor}")).by(&owner).await.data(200)[0]["id"], json!(one));
    app.get(&format!("{EXPORTS}?status=ready")).by(&owner).await.invalid_fields(&["status"]);
    assert_eq!(maintain(&app).await["exports_expired"], 1);
    assert_eq!(app.stored_objects().await, 1);
}

#[tokio::test]
async fn an_export_whose_worker_is_killed_is_made_by_another_one() {
    let app = App::with_options(&[], Some(3)).await;
    let owner = app.sign_up("Comptoir Baobab").await;
    app.upload_and_process(&owner, "guide.pdf", small_pdf("The delivery takes three days.")).await;
    // The worker is held at the extension of its hold, after it has written the whole archive.
    let mut hold =
        app.hold_statements("before update on exports for each row when (new.held_until > old.held_until)").await;
    let id = request(&app, &owner).await;
    hold.wait_for_held_statement().await;
    let app = app.restart().await;
    hold.release().await;
    app.sql("drop trigger hold on exports").await;
    assert_eq!(show(&app, &owner, id).await["status"], "running");
    // No other worker begins the export until the hold of the dead one has expired.
    app.sql("update jobs set run_after = now() where kind = 'export'").await;
    maintain(&app).await;
    assert_eq!(app.number("select attempts from exports").await, 1);
    app.sql("update exports set held_until = now(); update jobs set run_after = now() where kind = 'export'").await;
    maintain(&app).await;
    let export = wait_until_ready(&app, &owner, id).await;
    let files = download(&app, &export).await;
    assert_eq!(files.keys().filter(|name| name.starts_with("documents/")).count(), 1);
    assert_eq!(app.number("select attempts from exports").await, 2);
    assert_eq!(app.stored_objects().await, 2, "the document and one archive");
}

#[tokio::test]
async fn an_export_during_an_outage_of_storage_is_made_afterwards_and_fails_when_it_does_not_end() {
    let network = BackendProxy::for_aws().await;
    let queue = create_queue().await;
    let mut settings = network.settings();
    settings.push(("EXPORT_QUEUE_URL", &queue));
    let app = App::with_settings(&settings).await;
    let owner = app.sign_up("Comptoir Baobab").await;
    let id = request(&app, &owner).await;
    app.stack.start_functions().await.unwrap();
    let event = sqs_event(&[json!({ "customer_id": owner.customer_id, "export_id": id }).to_string()]);
    network.refuse().await.unwrap();
    let failed = app.stack.invoke("export-worker", event.clone()).await.unwrap();
    assert_eq!(failed, json!({ "batchItemFailures": [{ "itemIdentifier": "message-1" }] }));
    let waiting = "select count(*) from exports where status = 'queued' and error_code is null";
    assert_eq!(app.number(waiting).await, 1);
    network.restore().await.unwrap();
    app.stack.invoke("export-worker", event.clone()).await.unwrap();
    assert_eq!(show(&app, &owner, id).await["status"], "ready");

    let hopeless = request(&app, &owner).await;
    app.sql("update exports set attempts = 7 where status = 'queued'").await;
    let event = sqs_event(&[json!({ "customer_id": owner.customer_id, "export_id": hopeless }).to_string()]);
    network.refuse().await.unwrap();
    app.stack.invoke("export-worker", event.clone()).await.unwrap();
    network.restore().await.unwrap();
    let shown = show(&app, &owner, hopeless).await;
    assert_eq!((&shown["status"], &shown["error_code"]), (&json!("failed"), &json!("storage_unavailable")));
    assert_eq!(app.number("select count(*) from jobs where kind = 'export' and status = 'failed'").await, 1);
    assert_ne!(request(&app, &owner).await, hopeless);
}

#[tokio::test]
async fn looks_at_a_ready_export_are_one_entry_of_the_audit_log_for_each_user_and_quarter_of_an_hour() {
    let app = App::start().await;
    let owner = app.sign_up("Comptoir Baobab").await;
    let second = {
        let body = json!({ "role": "owner" });
        let invited = app.post("/api/v1/customers/me/invitations").by(&owner).json(&body).await.data(201);
        let signup = json!({ "email": new_email(), "password": PASSWORD, "invitation": invited["token"] });
        TenantUser::from_session(&app.post("/api/v1/auth/signup").json(&signup).await.data(201))
    };
    let id = request(&app, &owner).await;
    wait_until_ready(&app, &owner, id).await;
    let entries = "select count(*) from audit_log where action = 'export.link_issued'";
    for _ in 0..3 {
        assert!(show(&app, &owner, id).await["download"]["url"].is_string());
    }
    assert_eq!(app.number(entries).await, 1);
    show(&app, &second, id).await;
    assert_eq!(app.number(entries).await, 2, "another user is another reader");
    app.sql("update exports set link_issued_at = now() - interval '15 minutes'").await;
    show(&app, &second, id).await;
    assert_eq!(app.number(entries).await, 3);
}

#[tokio::test]
async fn an_archive_that_was_stored_by_a_failed_export_is_deleted() {
    let queue = create_queue().await;
    let app = App::with_settings(&[("EXPORT_QUEUE_URL", &queue)]).await;
    let owner = app.sign_up("Comptoir Baobab").await;
    let id = request(&app, &owner).await;
    let event = sqs_event(&[app.drain_queue(&queue).await[0].to_string()]);
    app.sql("update exports set attempts = 7").await;
    // The last worker stores the archive and dies before it says so.
    app.sql(
        "create function die() returns trigger language plpgsql as 'begin raise exception ''fault''; end';
         create trigger die before update on exports for each row when (new.status = 'ready') execute function die()",
    )
    .await;
    app.stack.invoke("export-worker", event.clone()).await.unwrap();
    assert_eq!(app.stored_objects().await, 1);
    app.sql("update exports set held_until = now()").await;
    app.stack.invoke("export-worker", event).await.unwrap();
    assert_eq!(maintain(&app).await["exports_expired"], 1);
    assert_eq!(app.stored_objects().await, 0);
    let shown = show(&app, &owner, id).await;
    assert_eq!((&shown["status"], &shown["expires_at"]), (&json!("failed"), &Value::Null));
    assert_eq!(maintain(&app).await["exports_expired"], 0, "it is looked for once");
}

#[tokio::test]
async fn no_archive_outlives_the_deletion_of_a_contact() {
    let queue = create_queue().await;
    let app = App::with_settings(&[("EXPORT_QUEUE_URL", &queue)]).await;
    let owner = app.sign_up("Comptoir Baobab").await;
    let other = app.sign_up("Lumaworks").await;
    let conversation = app.store_contact_message(&owner, "132", "Je suis Awa").await;
    let mut ids = Vec::new();
    for tenant in [&owner, &other] {
        ids.push(request(&app, tenant).await);
        let event = sqs_event(&[app.drain_queue(&queue).await[0].to_string()]);
        app.stack.invoke("export-worker", event).await.unwrap();
    }
    // A second export is being made, and its worker has read the contact.
    let in_work = request(&app, &owner).await;
    let event = sqs_event(&[app.drain_queue(&queue).await[0].to_string()]);
    let mut hold =
        app.hold_statements("before update on exports for each row when (new.held_until > old.held_until)").await;
    let worker = app.stack.invoke("export-worker", event.clone());
    let deletion = async {
        hold.wait_for_held_statement().await;
        // The worker holds the row of its export while it says that it is alive.
        let contact = format!("/api/v1/privacy/contacts/{conversation}");
        let delete = app.delete(&contact).by(&owner).into_future();
        let release = async {
            wait_until("the deletion waits for the export", WAIT_TIMEOUT, async || {
                let waiting = "select count(*) from pg_stat_activity where wait_event_type = 'Lock'
                    and query like '%update exports%least%' and datname = current_database()";
                (app.number(waiting).await >= 1).then_some(())
            })
            .await;
            hold.release().await;
        };
        tokio::join!(delete, release).0.no_content();
    };
    let (made, ()) = tokio::join!(worker, deletion);
    made.unwrap();

    assert_eq!(show(&app, &owner, ids[0]).await["status"], "expired");
    assert_eq!(show(&app, &other, ids[1]).await["status"], "ready", "of another company nothing ends");
    app.sql("drop trigger hold on exports; update jobs set run_after = now() where kind = 'export'").await;
    maintain(&app).await;
    let shown = show(&app, &owner, in_work).await;
    if shown["status"] != "ready" {
        let event = sqs_event(&[app.drain_queue(&queue).await[0].to_string()]);
        app.stack.invoke("export-worker", event).await.unwrap();
    }
    let files = download(&app, &show(&app, &owner, in_work).await).await;
    assert_eq!(rows(&files, "messages"), Vec::<Value>::new());
}

#[tokio::test]
async fn an_archive_is_deleted_after_seven_days_with_its_link() {
    let app = App::start().await;
    let owner = app.sign_up("Comptoir Baobab").await;
    let id = request(&app, &owner).await;
    let export = wait_until_ready(&app, &owner, id).await;
    assert_eq!(maintain_at(&app, Utc::now() + TimeDelta::days(6)).await["exports_expired"], 0);
    assert_eq!(maintain_at(&app, Utc::now() + TimeDelta::days(8)).await["exports_expired"], 1);
    assert_eq!(app.stored_objects().await, 0);
    let answer = app.http().get(export["download"]["url"].as_str().unwrap()).send().await.unwrap();
    // S3 answers 404 to the link of a role that may list the bucket, and 403 to that of another one.
    assert!(matches!(answer.status().as_u16(), 403 | 404), "{}", answer.status());
    let shown = show(&app, &owner, id).await;
    assert_eq!((&shown["status"], &shown["download"]), (&json!("expired"), &Value::Null));
    assert_eq!(maintain_at(&app, Utc::now() + TimeDelta::days(8)).await["exports_expired"], 0);
    // An export expires by its time, before maintenance deletes the archive. The last link is not valid for longer
    // either.
    let next = request(&app, &owner).await;
    wait_until_ready(&app, &owner, next).await;
    app.sql(&format!("update exports set expires_at = now() + interval '100 seconds' where id = '{next}'")).await;
    let shown = show(&app, &owner, next).await;
    let url = reqwest::Url::parse(shown["download"]["url"].as_str().unwrap()).unwrap();
    let seconds: u64 = url.query_pairs().find(|(name, _)| name == "X-Amz-Expires").unwrap().1.parse().unwrap();
    assert!((60..=100).contains(&seconds), "{seconds}");
    app.sql(&format!("update exports set expires_at = now() where id = '{next}'")).await;
    assert_eq!(show(&app, &owner, next).await["status"], "expired");
}

#[tokio::test]
async fn an_export_of_a_deleted_account_waits_for_the_restoration() {
    let queue = create_queue().await;
    let app = App::with_settings(&[("EXPORT_QUEUE_URL", &queue)]).await;
    let owner = app.sign_up("Comptoir Baobab").await;
    let id = request(&app, &owner).await;
    let event = sqs_event(&[app.drain_queue(&queue).await[0].to_string()]);
    app.delete(ACCOUNT).by(&owner).await.no_content();
    app.stack.invoke("export-worker", event.clone()).await.unwrap();
    assert_eq!(app.number("select count(*) from exports where status = 'queued' and attempts = 0").await, 1);
    app.sql("update jobs set run_after = now()").await;
    maintain(&app).await;
    assert_eq!(app.drain_queue(&queue).await, Vec::<Value>::new(), "maintenance leaves it alone");
    app.post(RESTORE).by(&owner).await.data(200);
    app.stack.invoke("export-worker", event).await.unwrap();
    assert_eq!(show(&app, &owner, id).await["status"], "ready");
}

#[tokio::test]
async fn a_large_export_is_stored_in_parts_and_is_whole() {
    let app = App::start().await;
    let owner = app.sign_up("Comptoir Baobab").await;
    let conversation = app.store_contact_message(&owner, "132", "Bonjour").await;
    // Random digits, which hardly compress: more than one part of 8 MiB.
    app.sql(&format!(
        "insert into messages (customer_id, conversation_id, direction, author, content)
         select '{}', '{conversation}', 'inbound', 'contact',
             (select string_agg(md5(random()::text || n || m), '') from generate_series(1, 600) m)
         from generate_series(1, 1500) n",
        owner.customer_id
    ))
    .await;
    let id = request(&app, &owner).await;
    let export = wait_until_ready(&app, &owner, id).await;
    assert!(export["size_bytes"].as_u64().unwrap() > 10 * 1024 * 1024, "{export}");
    let files = download(&app, &export).await;
    let messages = rows(&files, "messages");
    let mut ids: Vec<_> = messages.iter().map(|row| row["id"].as_str().unwrap()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!((messages.len(), ids.len()), (1501, 1501));
    assert!(messages.iter().filter(|row| row["content"].as_str().unwrap().len() == 19_200).count() == 1500);
}

#[tokio::test]
async fn a_worker_that_lost_its_export_stores_no_archive() {
    let queue = create_queue().await;
    let app = App::with_settings(&[("EXPORT_QUEUE_URL", &queue)]).await;
    let owner = app.sign_up("Comptoir Baobab").await;
    request(&app, &owner).await;
    let event = sqs_event(&[app.drain_queue(&queue).await[0].to_string()]);
    app.sql("update jobs set attempts = 3 where kind = 'export'").await;
    // Another worker takes the export while this one begins.
    app.sql(
        "create function take() returns trigger language plpgsql as 'begin new.worker = gen_random_uuid(); return new; end';
         create trigger take before update on exports for each row when (new.attempts > old.attempts) execute function take()",
    )
    .await;
    let answer = app.stack.invoke("export-worker", event).await.unwrap();
    assert_eq!(answer, json!({ "batchItemFailures": [] }));
    assert_eq!(app.stored_objects().await, 0);
    assert_eq!(app.number("select count(*) from exports where status = 'running'").await, 1, "it is the other one's");
    let attempts = "select attempts from jobs where kind = 'export'";
    assert_eq!(app.number(attempts).await, 3, "a worker that lost the export leaves its job alone");
}

#[tokio::test]
async fn an_export_whose_worker_is_killed_each_time_fails_after_eight_attempts() {
    let queue = create_queue().await;
    let app = App::with_settings(&[("EXPORT_QUEUE_URL", &queue)]).await;
    let owner = app.sign_up("Comptoir Baobab").await;
    let id = request(&app, &owner).await;
    let event = sqs_event(&[app.drain_queue(&queue).await[0].to_string()]);
    let deliver = async || {
        let answer = app.stack.invoke("export-worker", event.clone()).await.unwrap();
        assert_eq!(answer, json!({ "batchItemFailures": [] }));
    };
    // The eighth worker gives no sign of life any more, and has held the export a moment ago.
    app.sql(
        "update exports set status = 'running', worker = gen_random_uuid(), attempts = 8,
             held_until = now() + interval '1 minute';
         update jobs set status = 'running' where kind = 'export'",
    )
    .await;
    deliver().await;
    assert_eq!(show(&app, &owner, id).await["status"], "running", "the worker may be alive");
    app.sql("update exports set held_until = now()").await;
    deliver().await;
    let shown = show(&app, &owner, id).await;
    assert_eq!((&shown["status"], &shown["error_code"]), (&json!("failed"), &json!("attempts_used_up")));
    assert_eq!(app.number("select attempts from exports").await, 8);
    let ended =
        "select count(*) from jobs where kind = 'export' and status = 'failed' and last_error = 'attempts_used_up'";
    assert_eq!(app.number(ended).await, 1);
    assert_ne!(request(&app, &owner).await, id, "the company can ask for another one");
}

#[tokio::test]
async fn the_signs_of_life_of_a_worker_leave_the_attempts_of_the_job() {
    let queue = create_queue().await;
    let app = App::with_settings(&[("EXPORT_QUEUE_URL", &queue)]).await;
    let owner = app.sign_up("Comptoir Baobab").await;
    let id = request(&app, &owner).await;
    let event = sqs_event(&[app.drain_queue(&queue).await[0].to_string()]);
    app.sql("update jobs set attempts = 5 where kind = 'export'").await;
    app.stack.invoke("export-worker", event).await.unwrap();
    assert_eq!(show(&app, &owner, id).await["status"], "ready");
    assert_eq!(app.number("select attempts from jobs where kind = 'export'").await, 5);
}
