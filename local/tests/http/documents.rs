//! The tenant's documents: list, get, delete and retry.

use std::collections::HashSet;

use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::support::{App, TenantUser, fixture, small_pdf};

const DOCUMENTS: &str = "/api/v1/documents";

/// Inserts processed documents with the numbers of `range`, three for each minute of upload time.
async fn insert(app: &App, tenant: &TenantUser, range: std::ops::Range<u32>) {
    app.sql(&format!(
        "insert into documents (customer_id, company_id, filename, bytes, storage_key, status, upload_date)
         select '{}', '{}', 'file-' || lpad(number::text, 4, '0') || '.pdf', 1, gen_random_uuid(), 'processed',
             -- Several share a moment: the order must still be total.
             timestamptz '2026-01-01' + (number / 3) * interval '1 minute'
         from generate_series({}, {}) number",
        tenant.customer_id,
        tenant.company_id,
        range.start,
        range.end - 1
    ))
    .await;
}

fn names(list: &Value) -> Vec<String> {
    list["data"].as_array().unwrap().iter().map(|row| row["filename"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_tenant_without_documents_gets_an_empty_list() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let list = app.get(DOCUMENTS).by(&tenant).await.json_body(200);
    let meta = json!({ "page": 1, "limit": 20, "total": 0, "total_pages": 0, "next_cursor": null });
    assert_eq!(list, json!({ "success": true, "data": [], "meta": meta }));
}

#[tokio::test]
async fn documents_are_paged_sorted_and_filtered() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    insert(&app, &tenant, 0..45).await;
    app.sql(
        "update documents set status = 'failed', error_code = 'corrupt'
         where filename in ('file-0001.pdf', 'file-0030.pdf')",
    )
    .await;
    let list = async |query: &str| app.get(&format!("{DOCUMENTS}?{query}")).by(&tenant).await.json_body(200);

    let first = list("").await;
    assert_eq!(names(&first).len(), 20);
    assert_eq!(first["meta"]["total"], 45);
    assert_eq!(first["meta"]["total_pages"], 3);
    assert!(first["data"][0]["upload_date"].as_str() > first["data"][19]["upload_date"].as_str(), "newest first");
    let third = list("page=3").await;
    assert_eq!((names(&third).len(), &third["meta"]["next_cursor"]), (5, &Value::Null));
    assert_eq!(names(&list("page=4").await), [""; 0]);

    assert_eq!(names(&list("sort=filename&limit=2").await), ["file-0000.pdf", "file-0001.pdf"]);
    assert_eq!(names(&list("sort=-filename&limit=2&page=2").await), ["file-0042.pdf", "file-0041.pdf"]);
    assert_eq!(names(&list("sort=upload_date&limit=1&page=45").await).len(), 1);

    let failed = list("status=failed&sort=filename").await;
    assert_eq!(names(&failed), ["file-0001.pdf", "file-0030.pdf"]);
    assert_eq!((&failed["meta"]["total"], &failed["meta"]["total_pages"]), (&json!(2), &json!(1)));
    assert_eq!(names(&list("status=pending").await).len(), 0);
}

#[tokio::test]
async fn the_total_is_an_estimate_beyond_ten_thousand() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    insert(&app, &tenant, 0..10_002).await;
    let meta = app.get(&format!("{DOCUMENTS}?limit=100")).by(&tenant).await.json_body(200)["meta"].clone();
    assert_eq!((&meta["total"], &meta["total_is_estimate"]), (&json!(10_000), &json!(true)));
}

#[tokio::test]
async fn a_cursor_lists_every_document_once_while_new_documents_arrive() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    for sort in ["-upload_date", "upload_date", "filename", "-filename"] {
        app.sql("delete from documents").await;
        insert(&app, &tenant, 100..150).await;
        let there = app.get(&format!("{DOCUMENTS}?limit=100")).by(&tenant).await.json_body(200);
        let there: HashSet<_> = names(&there).into_iter().collect();
        let (mut seen, mut cursor, mut round) = (Vec::new(), None::<String>, 0);
        loop {
            let page = cursor.map_or(String::new(), |cursor| format!("&cursor={cursor}"));
            let list = app.get(&format!("{DOCUMENTS}?limit=7&sort={sort}{page}")).by(&tenant).await.json_body(200);
            assert_eq!(list["meta"].get("page").is_some(), round == 0, "a cursor has no page");
            seen.extend(names(&list));
            // New documents sort before and after all others.
            insert(&app, &tenant, round..round + 1).await;
            insert(&app, &tenant, 1000 + round..1001 + round).await;
            round += 1;
            cursor = list["meta"]["next_cursor"].as_str().map(str::to_owned);
            if cursor.is_none() {
                break;
            }
        }
        let distinct: HashSet<_> = seen.iter().cloned().collect();
        assert_eq!(distinct.len(), seen.len(), "{sort}: no row comes twice");
        assert!(there.is_subset(&distinct), "{sort}: no row is left out");
    }
}

#[tokio::test]
async fn every_invalid_list_parameter_is_named() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    insert(&app, &tenant, 0..3).await;
    let refused = async |query: &str, fields: &[&str]| {
        let answer = app.get(&format!("{DOCUMENTS}?{query}")).by(&tenant).await;
        assert_eq!(answer.status, 422, "{query}: {}", answer.text);
        answer.invalid_fields(fields);
    };
    for (query, field) in [
        ("page=0", "page"),
        ("page=-1", "page"),
        ("page=x", "page"),
        ("page=99999999999999999999", "page"),
        ("limit=0", "limit"),
        ("limit=101", "limit"),
        ("limit=1.5", "limit"),
        ("sort=customer_id", "sort"),
        ("sort=", "sort"),
        ("sort=--filename", "sort"),
        ("sort=filename;drop%20table%20documents", "sort"),
        ("status=deleted", "status"),
        ("status=%00", "status"),
        ("cursor=x", "cursor"),
        ("cursor=%00", "cursor"),
        ("cursor=", "cursor"),
    ] {
        refused(query, &[field]).await;
    }
    // Pages beyond the last are empty.
    for page in [2, 6_000, i64::MAX] {
        let listed = app.get(&format!("{DOCUMENTS}?page={page}")).by(&tenant).await.json_body(200);
        assert_eq!(
            (&listed["data"], &listed["meta"]["total"], &listed["meta"]["page"]),
            (&json!([]), &json!(3), &json!(page))
        );
    }
    // `created_at` is accepted as another name of `upload_date`, as in all lists.
    let by = async |sort: &str| app.get(&format!("{DOCUMENTS}?sort={sort}")).by(&tenant).await.data(200);
    assert_eq!(by("-created_at").await, by("-upload_date").await);
    assert_ne!(by("-created_at").await, by("created_at").await);
    refused("page=0&limit=0&sort=x&status=y&cursor=z", &["limit", "page", "sort", "status", "cursor"]).await;

    let next = app.get(&format!("{DOCUMENTS}?limit=1&sort=filename")).by(&tenant).await.json_body(200);
    let cursor = next["meta"]["next_cursor"].as_str().unwrap();
    refused(&format!("cursor={cursor}&sort=-filename"), &["cursor"]).await;
    refused(&format!("cursor={cursor}&sort=filename&page=2"), &["page"]).await;
}

#[tokio::test]
async fn a_forged_cursor_is_refused() {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    insert(&app, &tenant, 0..3).await;
    let id = Uuid::new_v4();
    for (sort, last) in [
        ("filename", json!(["nul\u{0}", id])),
        ("filename", json!([1, id])),
        ("filename", json!(["a", "b"])),
        ("filename", json!(null)),
        ("filename", json!([])),
        ("upload_date", json!(["yesterday", id])),
        ("upload_date", json!(["-262143-01-01T00:00:00Z", id])),
    ] {
        let cursor = URL_SAFE_NO_PAD.encode(json!({ "sort": sort, "last": last }).to_string());
        let answer = app.get(&format!("{DOCUMENTS}?sort={sort}&cursor={cursor}")).by(&tenant).await;
        assert_eq!(answer.status, 422, "{sort} {last}: {}", answer.text);
        answer.invalid_fields(&["cursor"]);
    }
}

#[tokio::test]
async fn deleting_a_document_deletes_its_chunks_and_its_file() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let id = app.upload_and_process(&tenant, "guide.pdf", small_pdf("The delivery takes three days.")).await;
    let path = format!("{DOCUMENTS}/{id}");
    assert!(app.chunk_count(id).await > 0 && app.is_stored(&tenant, id).await);
    assert_eq!(app.ask(&tenant, "How long does the delivery take?").await.data(200)["answered"], true);

    app.delete(&path).by(&tenant).await.no_content();

    app.get(&path).by(&tenant).await.refused(404, "not_found");
    app.delete(&path).by(&tenant).await.refused(404, "not_found");
    assert_eq!(app.chunk_count(id).await, 0);
    assert!(!app.is_stored(&tenant, id).await);
    // The file is deleted once more when its upload URL has expired.
    assert_eq!(app.number("select count(*) from jobs where status <> 'done' and kind <> 'delete_object'").await, 0);
    assert_eq!(app.ask(&tenant, "How long does the delivery take?").await.data(200)["answered"], false);
}

#[tokio::test]
async fn a_document_of_another_tenant_is_answered_as_not_found() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let other = app.sign_up("Chez Koffi").await;
    let theirs = app.upload_and_process(&tenant, "guide.pdf", small_pdf("The delivery takes three days.")).await;
    let failed = app.upload(&tenant, "empty.pdf", fixture("empty.pdf")).await;
    assert_eq!(app.wait_for_end_state(&tenant, failed).await["status"], "failed");
    let unknown = Uuid::new_v4();

    for (method, rest) in [(Method::GET, ""), (Method::DELETE, ""), (Method::POST, "/retry")] {
        let mut bodies = Vec::new();
        for id in [theirs, failed, unknown] {
            let mut answer = app.call(method.clone(), &format!("{DOCUMENTS}/{id}{rest}")).by(&other).await;
            let request_id = answer.body["error"]["request_id"].take();
            assert_eq!((answer.status, request_id.as_str()), (404, Some(answer.header("x-request-id"))));
            bodies.push(answer.body);
        }
        bodies.dedup();
        assert_eq!(bodies.len(), 1, "{method} {bodies:?}");
        for malformed in ["x", "%00", "1", "..%2f.."] {
            let path = format!("{DOCUMENTS}/{malformed}{rest}");
            app.call(method.clone(), &path).by(&other).await.refused(404, "not_found");
        }
    }
    assert_eq!(app.document(&tenant, theirs).await["status"], "processed");
    assert_eq!(names(&app.get(DOCUMENTS).by(&other).await.json_body(200)), [""; 0]);
}

#[tokio::test]
async fn only_a_failed_document_can_be_retried() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let retry = |id: Uuid| app.post(&format!("{DOCUMENTS}/{id}/retry")).by(&tenant);
    let processed = app.upload_and_process(&tenant, "guide.pdf", small_pdf("The delivery takes three days.")).await;
    let pending = app.announce(&tenant, "late.pdf", 100).await.document;
    retry(processed).await.refused(409, "not_failed");
    retry(pending).await.refused(409, "not_failed");

    // A document that failed by a fault of the product: its file is valid.
    app.sql(&format!(
        "update documents set status = 'failed', error_code = 'timed_out', pages_done = 0 where id = '{processed}'"
    ))
    .await;
    let document = retry(processed).await.data(200);
    assert_eq!((&document["status"], &document["error_code"]), (&json!("pending"), &Value::Null));
    assert_eq!(app.wait_for_end_state(&tenant, processed).await["status"], "processed");

    // A document whose file is at fault fails again.
    let failed = app.upload(&tenant, "empty.pdf", fixture("empty.pdf")).await;
    app.wait_for_end_state(&tenant, failed).await;
    retry(failed).await.data(200);
    assert_eq!(app.wait_for_end_state(&tenant, failed).await["error_code"], "no_text");
}

#[tokio::test]
async fn the_reason_of_a_failure_is_in_the_language_of_the_caller() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let id = app.upload(&tenant, "scanned.pdf", fixture("scanned.pdf")).await;
    let document = app.wait_for_end_state(&tenant, id).await;
    assert_eq!((&document["status"], &document["error_code"]), (&json!("failed"), &json!("no_text")));
    let english = "The file holds images but no text. Run text recognition (OCR) on it and upload it again.";
    let french = "Le fichier contient des images mais pas de texte. \
                  Passez-le à la reconnaissance de texte (OCR) et renvoyez-le.";
    for (accepted, reason) in [
        ("fr", french),
        ("fr-CI,fr;q=0.9,en;q=0.5", french),
        ("de, en;q=0.3, fr;q=0.4", french),
        ("en-GB,fr;q=0.9", english),
        ("wo", english),
        (";;q=nonsense", english),
    ] {
        let one = app.get(&format!("{DOCUMENTS}/{id}")).by(&tenant).header("accept-language", accepted).await.data(200);
        assert_eq!(one["error"], reason, "{accepted}");
        let list = app.get(DOCUMENTS).by(&tenant).header("accept-language", accepted).await.json_body(200);
        assert_eq!(list["data"][0]["error"], reason, "{accepted}");
    }
}
