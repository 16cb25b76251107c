//! POST /api/v1/documents/upload: announcements, form uploads, and the processing of the file.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use super::support::{
    App, TenantUser, TestResponse, WAIT_TIMEOUT, padded_pdf, presigned_upload, repository_file, small_pdf, wait_until,
};

const UPLOAD: &str = "/api/v1/documents/upload";
const MAX_FILE_BYTES: usize = 20_971_520;
const MAX_FORM_FILE_BYTES: usize = 4 * 1024 * 1024;

fn sha256(bytes: &[u8]) -> String {
    aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, bytes)
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

async fn announce(app: &App, tenant: &TenantUser, body: &Value) -> TestResponse {
    app.post(UPLOAD).by(tenant).json(body).await
}

/// The body of a multipart form with a text field and one file.
fn form(field: &str, filename: &str, file: &[u8]) -> Vec<u8> {
    let mut form = format!(
        "--boundary\r\ncontent-disposition: form-data; name=\"note\"\r\n\r\nfor the shop\r\n--boundary\r\n\
         content-disposition: form-data; name=\"{field}\"; filename=\"{filename}\"\r\n\
         content-type: application/pdf\r\n\r\n"
    )
    .into_bytes();
    form.extend_from_slice(file);
    form.extend_from_slice(b"\r\n--boundary--\r\n");
    form
}

async fn send_form(app: &App, tenant: &TenantUser, form: Vec<u8>) -> TestResponse {
    app.post(UPLOAD).by(tenant).body("multipart/form-data; boundary=boundary", form).await
}

#[tokio::test]
async fn an_uploaded_french_guide_is_processed_and_cited_with_its_page() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let guide = app
        .upload_and_process(&tenant, "guide-livraison.pdf", repository_file("docs/samples/guide-livraison.pdf"))
        .await;
    let document = app.document(&tenant, guide).await;
    assert_eq!((&document["pages_total"], &document["pages_done"]), (&json!(3), &json!(3)));

    let answer = app.ask(&tenant, "Combien de jours ai-je pour changer d'avis après la réception ?").await.data(200);

    assert_eq!(answer["answered"], true);
    assert!(answer["answer"].as_str().unwrap().contains("quatorze jours"), "{answer}");
    let citation = &answer["citations"][0];
    assert_eq!(citation["document_id"], guide.to_string());
    assert_eq!((&citation["filename"], &citation["page"]), (&json!("guide-livraison.pdf"), &json!(2)), "{answer}");
    assert!(citation["snippet"].as_str().unwrap().contains("quatorze jours"));
    assert_eq!(answer["model"], "extractive-1");
    assert!(answer["conversation_id"].is_string(), "{answer}");
    assert_eq!(answer["quota"]["free_quota_used"], 1);

    let answer = app.ask(&tenant, "Quand la boutique de Cocody est-elle ouverte ?").await.data(200);
    assert_eq!(answer["citations"][0]["page"], 3, "{answer}");
}

#[tokio::test]
async fn an_english_manual_uploaded_by_form_is_processed_and_cited_with_its_page() {
    let app = App::start().await;
    let tenant = app.sign_up("Lumaworks").await;
    let form = form("file", "product-manual.pdf", &repository_file("docs/samples/product-manual.pdf"));

    let data = send_form(&app, &tenant, form).await.data(201);
    assert_eq!((&data["upload"], &data["document"]["status"]), (&Value::Null, &json!("pending")));
    let manual = data["document"]["id"].as_str().unwrap().parse().unwrap();
    let document = app.wait_for_end_state(&tenant, manual).await;
    assert_eq!((&document["status"], &document["pages_total"]), (&json!("processed"), &json!(4)));

    for (question, page, words) in [
        ("For how many months is the battery under warranty?", 4, "twelve months"),
        ("How often should I wipe the panel with a damp cloth?", 3, "every two weeks"),
        ("How long does charging through USB-C take?", 2, "four hours"),
    ] {
        let answer = app.ask(&tenant, question).await.data(200);
        assert_eq!(answer["answered"], true, "{question}");
        assert_eq!(answer["citations"][0]["page"], page, "{question}: {answer}");
        let text = answer["answer"].as_str().unwrap().replace('\u{a0}', " ");
        assert!(text.contains(words), "{question}: {answer}");
    }
}

#[tokio::test]
async fn an_announcement_returns_a_presigned_put_for_that_size() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let pdf = small_pdf("The delivery takes three days.");
    let body = json!({ "filename": "C:\\fakepath\\guide.pdf", "size_bytes": pdf.len() });

    let data = announce(&app, &tenant, &body).await.data(201);

    assert_eq!(data["document"]["filename"], "guide.pdf");
    assert_eq!(data["document"]["status"], "pending");
    assert_eq!(data["document"]["bytes"], pdf.len());
    let headers = &data["upload"]["headers"];
    assert_eq!(headers["content-length"], pdf.len().to_string());
    assert_eq!(headers["content-type"], "application/pdf");
    assert_eq!(headers["if-none-match"], "*");
    let expires = DateTime::parse_from_rfc3339(data["upload"]["expires_at"].as_str().unwrap()).unwrap();
    let minutes = (expires.with_timezone(&Utc) - Utc::now()).num_minutes();
    assert!((13..=15).contains(&minutes), "{minutes}");

    let place = presigned_upload(&data);
    app.put_file(&place, pdf).await;
    assert_eq!(app.wait_for_end_state(&tenant, place.document).await["status"], "processed");
}

#[tokio::test]
async fn an_invalid_announcement_names_the_invalid_fields() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    for (field, value) in [
        ("size_bytes", json!(0)),
        ("size_bytes", json!(-1)),
        ("size_bytes", json!(1.5)),
        ("size_bytes", json!("1000")),
        ("size_bytes", json!(1e30)),
        ("sha256", json!("")),
        ("sha256", json!("abc")),
        ("sha256", json!("g".repeat(64))),
        ("sha256", json!("a".repeat(66))),
        ("sha256", json!(7)),
        ("filename", json!("")),
        ("filename", json!("folder/")),
        ("filename", json!("nul\u{0}.pdf")),
        ("filename", json!("x".repeat(256))),
        ("filename", json!(null)),
    ] {
        let mut body = json!({ "filename": "guide.pdf", "size_bytes": 1000 });
        body[field] = value.clone();
        let answer = announce(&app, &tenant, &body).await;
        assert_eq!(answer.status, 422, "{field} {value}: {}", answer.text);
        answer.invalid_fields(&[field]);
    }
    announce(&app, &tenant, &json!({ "filename": "guide.pdf", "size_bytes": 0, "sha256": "" }))
        .await
        .invalid_fields(&["size_bytes", "sha256"]);
    for size in [MAX_FILE_BYTES + 1, 1 << 40] {
        let details = announce(&app, &tenant, &json!({ "filename": "guide.pdf", "size_bytes": size }))
            .await
            .refused(413, "payload_too_large");
        assert_eq!(details["limit_bytes"], MAX_FILE_BYTES);
    }
    app.post(UPLOAD).by(&tenant).raw_json("{").await.refused(400, "malformed_json");
    app.post(UPLOAD).by(&tenant).body("application/pdf", "%PDF-1.7").await.refused(415, "unsupported_media_type");
    assert_eq!(app.number("select count(*) from documents").await, 0);
}

#[tokio::test]
async fn a_file_with_the_hash_of_a_processed_document_returns_that_document() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let other = app.sign_up("Chez Koffi").await;
    let pdf = small_pdf("The delivery takes three days.");
    let body = json!({ "filename": "again.pdf", "size_bytes": pdf.len(), "sha256": sha256(&pdf) });
    let first = presigned_upload(&announce(&app, &tenant, &body).await.data(201));
    // An announced document that is not processed yet is no duplicate, because its file may never arrive.
    announce(&app, &tenant, &body).await.data(201);
    app.put_file(&first, pdf.clone()).await;
    assert_eq!(app.wait_for_end_state(&tenant, first.document).await["sha256"], sha256(&pdf));

    let mut shouted = body.clone();
    shouted["sha256"] = sha256(&pdf).to_uppercase().into();
    for again in [
        announce(&app, &tenant, &body).await,
        announce(&app, &tenant, &shouted).await,
        send_form(&app, &tenant, form("file", "another.pdf", &pdf)).await,
    ] {
        let data = again.data(200);
        assert_eq!(data["document"]["id"], first.document.to_string());
        assert_eq!(data["upload"], Value::Null);
    }
    // The file of another tenant is no duplicate.
    announce(&app, &other, &body).await.data(201);
}

#[tokio::test]
async fn a_file_with_another_hash_than_announced_fails_as_corrupt() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let pdf = small_pdf("The delivery takes three days.");
    let body = json!({ "filename": "guide.pdf", "size_bytes": pdf.len(), "sha256": "0".repeat(64) });
    let place = presigned_upload(&announce(&app, &tenant, &body).await.data(201));
    app.put_file(&place, pdf).await;
    let document = app.wait_for_end_state(&tenant, place.document).await;
    assert_eq!((&document["status"], &document["error_code"]), (&json!("failed"), &json!("corrupt")));
    assert_eq!(app.chunk_count(place.document).await, 0);
}

#[tokio::test]
async fn a_file_of_the_maximum_size_is_processed_and_a_larger_one_fails() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let page = ["The delivery takes three days.".to_owned()];
    // A file of ten million bytes has offsets of as many digits as the largest file, and therefore an equal overhead.
    let bare = padded_pdf(&page, 10_000_000).len() - 10_000_000;
    let largest = padded_pdf(&page, MAX_FILE_BYTES - bare);
    assert_eq!(largest.len(), MAX_FILE_BYTES);
    app.upload_and_process(&tenant, "largest.pdf", largest).await;

    // S3 refuses a length other than the signed one; the worker checks it all the same.
    let place = app.announce(&tenant, "larger.pdf", 1000).await;
    app.store_object(&tenant, place.document, padded_pdf(&page, MAX_FILE_BYTES - bare + 1)).await;
    let document = app.wait_for_end_state(&tenant, place.document).await;
    assert_eq!((&document["status"], &document["error_code"]), (&json!("failed"), &json!("too_large")));
}

#[tokio::test]
async fn a_file_of_another_size_than_announced_is_refused_and_not_kept() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let pdf = small_pdf("The delivery takes three days.");
    for announced in [pdf.len() - 1, pdf.len() + 1] {
        let place = app.announce(&tenant, "guide.pdf", announced).await;
        app.store_object(&tenant, place.document, pdf.clone()).await;
        let document = app.wait_for_end_state(&tenant, place.document).await;
        assert_eq!((&document["status"], &document["error_code"]), (&json!("failed"), &json!("size_mismatch")));
        assert_eq!(document["bytes"], announced);
        assert_eq!(app.chunk_count(place.document).await, 0);
        app.wait_for_empty_ingest_queue().await;
        assert!(!app.is_stored(&tenant, place.document).await);

        // The file comes once more: the refused document does not want it.
        app.store_object(&tenant, place.document, pdf.clone()).await;
        app.wait_for_empty_ingest_queue().await;
        assert!(!app.is_stored(&tenant, place.document).await);
    }
    assert_eq!(app.dead_letter_count().await, 0);
}

/// Attack: the URL of an announcement outlives its document.
#[tokio::test]
async fn a_file_put_after_its_document_was_deleted_does_not_stay() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let large = padded_pdf(&["The delivery takes three days.".to_owned()], 15 * 1024 * 1024);
    for _ in 0..5 {
        let place = app.announce(&tenant, "large.pdf", large.len()).await;
        app.delete(&format!("/api/v1/documents/{}", place.document)).by(&tenant).await.no_content();
        app.put_file(&place, large.clone()).await;
    }
    wait_until("no file stays", WAIT_TIMEOUT, async || (app.stored_objects().await == 0).then_some(())).await;
    app.wait_for_empty_ingest_queue().await;
    assert_eq!(app.number("select count(*) from documents").await, 0);
    assert_eq!(app.dead_letter_count().await, 0);
}

#[tokio::test]
async fn a_file_put_after_the_deletion_is_deleted_when_its_event_is_lost() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    app.disable_bucket_events().await;
    let pdf = small_pdf("The delivery takes three days.");
    let place = app.announce(&tenant, "guide.pdf", pdf.len()).await;
    app.delete(&format!("/api/v1/documents/{}", place.document)).by(&tenant).await.no_content();
    app.put_file(&place, pdf).await;
    let job = "select count(*) from jobs where kind = 'delete_object' and status = 'queued'
                   and run_after between now() + interval '55 minutes' and now() + interval '1 hour'";
    assert_eq!(app.number(job).await, 1, "it waits until the URL can bring nothing");

    // An hour later.
    app.sql(
        "update jobs set run_after = now(), payload = payload || jsonb_build_object('until', now())
         where kind = 'delete_object'",
    )
    .await;
    app.stack.invoke("maintenance", json!({})).await.unwrap();

    assert!(!app.is_stored(&tenant, place.document).await);
    assert_eq!(app.number("select count(*) from jobs where status <> 'done'").await, 0);
}

/// Status and code of S3's answer to a request without the product.
async fn s3_answer(request: reqwest::RequestBuilder) -> (u16, String) {
    let answer = request.timeout(Duration::from_secs(10)).send().await.unwrap();
    let (status, text) = (answer.status().as_u16(), answer.text().await.unwrap());
    let code = text.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>"));
    (status, code.map(|(code, _)| code.to_owned()).unwrap_or_default())
}

#[tokio::test]
async fn a_presigned_url_works_for_its_method_key_headers_and_time_only() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let pdf = small_pdf("The delivery takes three days.");
    let place = app.announce(&tenant, "guide.pdf", pdf.len()).await;
    let put = |url: &str, body: &[u8]| {
        let request = app.http().put(url).header("if-none-match", "*").header("content-type", "application/pdf");
        request.body(body.to_vec())
    };
    let mismatch = (403, "SignatureDoesNotMatch".to_owned());
    let denied = (403, "AccessDenied".to_owned());

    let mut longer = pdf.clone();
    longer.push(b' ');
    assert_eq!(s3_answer(put(&place.url, &longer)).await, mismatch, "a larger file");
    assert_eq!(s3_answer(put(&place.url, &pdf[1..])).await, mismatch, "a smaller file");
    assert_eq!(s3_answer(app.http().get(&place.url)).await, mismatch, "another method");
    let without = app.http().put(&place.url).header("content-type", "application/pdf").body(pdf.clone());
    assert_eq!(s3_answer(without).await, mismatch, "a signed header is missing");
    let other_type = app.http().put(&place.url).header("if-none-match", "*").header("content-type", "text/html");
    assert_eq!(s3_answer(other_type.body(pdf.clone())).await, mismatch, "another content type");
    let other_key = place.url.replace(&place.document.to_string(), &uuid::Uuid::new_v4().to_string());
    assert_eq!(s3_answer(put(&other_key, &pdf)).await, mismatch, "another key");
    let unlimited = place.url.replace("X-Amz-Expires=900", "X-Amz-Expires=90000");
    assert_ne!(unlimited, place.url);
    assert_eq!(s3_answer(put(&unlimited, &pdf)).await, mismatch, "a later end");
    let unsigned = place.url.split_once('?').unwrap().0;
    assert_eq!(s3_answer(put(unsigned, &pdf)).await, denied, "no signature");
    assert_eq!(s3_answer(app.http().get(unsigned)).await, denied);
    let bucket = unsigned.split_once("/tenants/").unwrap().0;
    assert_eq!(s3_answer(app.http().get(format!("{bucket}?list-type=2"))).await, denied, "a list of the bucket");
    let more = put(&place.url, &pdf).header("x-amz-acl", "public-read");
    assert_eq!(s3_answer(more).await, denied, "a header of Amazon's that is not signed");
    assert_eq!(app.stored_objects().await, 0);

    assert_eq!(s3_answer(put(&place.url, &pdf)).await, (200, String::new()));
    assert_eq!(app.wait_for_end_state(&tenant, place.document).await["status"], "processed");
}

#[tokio::test]
async fn an_expired_presigned_url_is_refused() {
    let app = App::start().await;
    let bucket = app.stack.resource_setting("DOCUMENTS_BUCKET").unwrap().to_owned();
    let mut values: shared::settings::SettingsMap = local::testing::servers().await.unwrap().aws.settings();
    values.insert("DOCUMENTS_BUCKET".to_owned(), bucket);
    let mut settings = shared::settings::Settings::new(values);
    let storage = shared::storage::Storage::read(&mut settings);
    settings.finish().unwrap();
    let put = storage.presign_put("tenants/a/b.pdf", 4, "application/pdf", Duration::from_secs(1)).await.unwrap();
    let request = || {
        let request = app.http().put(&put.url).header("if-none-match", "*").header("content-type", "application/pdf");
        request.body("%PDF")
    };
    wait_until("the URL has expired", WAIT_TIMEOUT, async || {
        let answer = s3_answer(request().header("x-amz-acl", "private")).await;
        assert_eq!(answer, (403, "AccessDenied".to_owned()));
        let text = request().header("x-amz-acl", "private").send().await.unwrap().text().await.unwrap();
        text.contains("<Message>Request has expired</Message>").then_some(())
    })
    .await;
    assert_eq!(s3_answer(request()).await, (403, "AccessDenied".to_owned()));
    assert_eq!(app.stored_objects().await, 0);
}

#[tokio::test]
async fn forms_accept_pdfs_up_to_four_mebibytes() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let page = ["The delivery takes three days.".to_owned()];
    let bare = padded_pdf(&page, 1_000_000).len() - 1_000_000;
    let largest = padded_pdf(&page, MAX_FORM_FILE_BYTES - bare);
    assert_eq!(largest.len(), MAX_FORM_FILE_BYTES);

    let data = send_form(&app, &tenant, form("file", "largest.pdf", &largest)).await.data(201);
    let id = data["document"]["id"].as_str().unwrap().parse().unwrap();
    assert_eq!(app.wait_for_end_state(&tenant, id).await["status"], "processed");

    for more in [1, 20_000] {
        let larger = padded_pdf(&page, MAX_FORM_FILE_BYTES - bare + more);
        let details = send_form(&app, &tenant, form("file", "larger.pdf", &larger)).await;
        assert_eq!(details.refused(413, "payload_too_large")["limit_bytes"].as_u64().unwrap() / 1024 / 1024, 4);
    }
    // The gateway itself refuses a body that is larger than an event, and one that is larger than any of its bodies.
    for (bytes, limit) in [(6_000_000, 4_700_000..4_720_000), (25_000_000, 10_485_760..10_485_761)] {
        let huge = send_form(&app, &tenant, form("file", "huge.pdf", &padded_pdf(&page, bytes))).await;
        let details = huge.refused(413, "payload_too_large");
        assert!(limit.contains(&details["limit_bytes"].as_u64().unwrap()), "{details}");
        assert_eq!(details["upload"]["path"], UPLOAD);
        assert_eq!(details["upload"]["max_bytes"], MAX_FILE_BYTES);
    }
    assert_eq!(app.number("select count(*) from documents").await, 1);
}

#[tokio::test]
async fn forms_without_a_pdf_are_refused() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let pdf = small_pdf("The delivery takes three days.");
    for content in [&b"PK\x03\x04 not a PDF"[..], b"", b"%PDF", &[0xff; 2000]] {
        send_form(&app, &tenant, form("file", "guide.pdf", content)).await.refused(415, "unsupported_media_type");
    }
    send_form(&app, &tenant, form("attachment", "guide.pdf", &pdf)).await.invalid_fields(&["file"]);
    for filename in ["", "folder/", &"x".repeat(256), "nul\u{0}.pdf"] {
        let answer = send_form(&app, &tenant, form("file", filename, &pdf)).await;
        assert!(matches!(answer.status, 400 | 422), "{filename:?}: {}", answer.text);
    }
    let mut two = form("file", "guide.pdf", &pdf);
    two.truncate(two.len() - "--\r\n".len());
    two.extend_from_slice(&form("file", "other.pdf", &pdf)["--boundary".len()..]);
    send_form(&app, &tenant, two).await.invalid_fields(&["file"]);
    for broken in
        [&b""[..], b"nonsense", b"--boundary\r\n", b"--boundary\r\ncontent-disposition: form-data; name=\"file\""]
    {
        let answer = send_form(&app, &tenant, broken.to_vec()).await;
        answer.refused(400, "malformed_form");
    }
    let truncated = form("file", "guide.pdf", &pdf);
    send_form(&app, &tenant, truncated[..truncated.len() - 20].to_vec()).await.refused(400, "malformed_form");
    let boundless = app.post(UPLOAD).by(&tenant).body("multipart/form-data", form("file", "guide.pdf", &pdf));
    boundless.await.refused(400, "malformed_form");
    assert_eq!(app.number("select count(*) from documents").await, 0);
}

/// The body of a form whose file is named by `parameters` of its `Content-Disposition`.
fn named_form(parameters: &str, file: &[u8]) -> Vec<u8> {
    let head = format!("--boundary\r\ncontent-disposition: form-data; name=\"file\"; {parameters}\r\n\r\n");
    [head.as_bytes(), file, b"\r\n--boundary--\r\n"].concat()
}

#[tokio::test]
async fn a_part_with_a_name_of_more_than_eight_kibibytes_is_refused() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let pdf = small_pdf("The delivery takes three days.");
    for letters in ["a", "=?", "=?UTF-8?B?"] {
        let name = letters.repeat(9 * 1024 / letters.len());
        let file = named_form(&format!("filename=\"{name}\""), &pdf);
        send_form(&app, &tenant, file).await.refused(400, "malformed_form");
        send_form(&app, &tenant, form(&name, "guide.pdf", &pdf)).await.refused(400, "malformed_form");
    }
    assert_eq!(app.number("select count(*) from documents").await, 0);
}

#[tokio::test]
async fn a_file_is_named_in_every_form_that_clients_send() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    for (number, (parameters, name)) in [
        ("filename*=UTF-8''Tarifs%20%C3%A9t%C3%A9.pdf", "Tarifs été.pdf"),
        ("filename=\"ete.pdf\"; filename*=utf-8'fr'Tarifs%20%C3%A9t%C3%A9.pdf", "Tarifs été.pdf"),
        ("filename=\"=?UTF-8?B?VGFyaWZzIMOpdMOpLnBkZg==?=\"", "Tarifs été.pdf"),
        ("filename=\"=?ISO-8859-1?Q?Tarifs_=E9t=E9.pdf?=\"", "Tarifs été.pdf"),
        ("filename=\"Tarifs \u{202e}fdp.été.pdf\"", "Tarifs fdp.été.pdf"),
        ("filename*=UTF-8''%E2%80%AETarifs%E2%80%8B.pdf", "Tarifs.pdf"),
        ("filename*=UTF-8''..%2F..%2Fetc%2Fpasswd.pdf", "passwd.pdf"),
    ]
    .into_iter()
    .enumerate()
    {
        let pdf = small_pdf(&format!("The delivery takes {number} days."));
        let data = send_form(&app, &tenant, named_form(parameters, &pdf)).await.data(201);
        assert_eq!(data["document"]["filename"], name, "{parameters}");
    }
}

#[tokio::test]
async fn a_file_without_a_visible_name_is_refused() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let pdf = small_pdf("The delivery takes three days.");
    for (filename, message) in [
        ("", "must not be empty"),
        (".", "must be a name and not only dots"),
        ("..", "must be a name and not only dots"),
        ("folder/..", "must be a name and not only dots"),
        ("\u{202e}", "must not be empty"),
        ("\u{200b}\u{feff}", "must not be empty"),
        ("\u{2028}", "must not be empty"),
        ("a\u{7}b.pdf", "must not contain control characters"),
    ] {
        let body = json!({ "filename": filename, "size_bytes": 1000 });
        let details = announce(&app, &tenant, &body).await.refused(422, "validation_failed");
        assert_eq!(details, json!([{ "field": "filename", "message": message }]), "{filename:?}");
        let form = named_form(&format!("filename=\"{filename}\""), &pdf);
        let answer = send_form(&app, &tenant, form).await;
        if filename.contains('\u{7}') {
            assert!(matches!(answer.status, 400 | 422), "{}", answer.text);
        } else {
            let details = answer.refused(422, "validation_failed");
            assert_eq!(details, json!([{ "field": "file", "message": format!("its name {message}") }]), "{filename:?}");
        }
    }
    assert_eq!(app.number("select count(*) from documents").await, 0);
}

#[tokio::test]
async fn a_presigned_upload_works_only_once() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let pdf = small_pdf("The delivery takes three days.");
    let place = app.announce(&tenant, "guide.pdf", pdf.len()).await;
    app.put_file(&place, pdf.clone()).await;
    let second = app.http().put(&place.url).header("if-none-match", "*").header("content-type", "application/pdf");
    let second = second.timeout(Duration::from_secs(10)).body(pdf).send().await.unwrap();
    assert_eq!(second.status().as_u16(), 412);
}
