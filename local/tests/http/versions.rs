//! Versions of a document: files of one name, and documents that replace older ones.

use serde_json::{Value, json};
use uuid::Uuid;

use super::support::{App, TenantUser, fixture, repository_file, small_pdf};

const UPLOAD: &str = "/api/v1/documents/upload";
const RIDE: &str = "Combien coûte la course en ville le matin ?";
const QUESTION: &str = "Combien coute la livraison a Abidjan ?";

fn tariff(price: &str) -> Vec<u8> {
    small_pdf(&format!("Tarifs de livraison. La livraison a Abidjan coute {price} FCFA par colis."))
}

fn field(name: &str) -> Vec<u8> {
    repository_file(format!("local/fixtures/field/pdf/{name}"))
}

/// Sends a file in a form, with the id that it replaces.
async fn send(app: &App, tenant: &TenantUser, filename: &str, file: &[u8], replaces: Option<Uuid>) -> Value {
    let mut form = Vec::new();
    if let Some(replaced) = replaces {
        form.extend(
            format!("--b\r\ncontent-disposition: form-data; name=\"replaces\"\r\n\r\n{replaced}\r\n").into_bytes(),
        );
    }
    form.extend(
        format!("--b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{filename}\"\r\n\r\n").into_bytes(),
    );
    form.extend_from_slice(file);
    form.extend_from_slice(b"\r\n--b--\r\n");
    let answer = app.post(UPLOAD).by(tenant).body("multipart/form-data; boundary=b", form).await;
    assert!(matches!(answer.status, 200 | 201), "{}", answer.text);
    answer.body["data"].clone()
}

fn id(data: &Value) -> Uuid {
    data["document"]["id"].as_str().unwrap().parse().unwrap()
}

/// Asks for the price, and checks that the answer and its citations have `price` and no other one.
async fn assert_price(app: &App, tenant: &TenantUser, question: &str, price: &str, other: &str) -> Value {
    let answer = app.ask(tenant, question).await.data(200);
    let text = answer.to_string().replace('\u{a0}', " ");
    assert!(text.contains(price) && !text.contains(other), "{text}");
    answer
}

#[tokio::test]
async fn the_newest_of_two_same_named_documents_answers_and_names_its_date() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let older = send(&app, &tenant, "tarifs.pdf", &field("tarifs_v1.pdf"), None).await;
    assert_eq!((&older["same_name"], &older["warning"]), (&json!([]), &Value::Null));
    app.wait_for_end_state(&tenant, id(&older)).await;
    let answer = assert_price(&app, &tenant, RIDE, "1 500", "2 100").await;
    assert_eq!(answer["citations"][0]["version"], Value::Null, "{answer}");

    let newer = send(&app, &tenant, "TARIFS.pdf", &field("tarifs_v2.pdf"), None).await;
    assert_eq!(newer["same_name"][0]["id"], older["document"]["id"], "{newer}");
    assert!(newer["warning"].as_str().unwrap().contains("/replace"), "{newer}");
    app.wait_for_end_state(&tenant, id(&newer)).await;
    app.sql(&format!("update documents set upload_date = '2026-03-02 10:00Z' where id = '{}'", id(&older))).await;
    for question in
        [RIDE, "Quel est le prix de la course en ville ?", "Combien faut-il payer pour une course en ville le matin ?"]
    {
        let answer = assert_price(&app, &tenant, question, "2 100", "1 500").await;
        let version = answer["citations"][0]["version"].as_str().unwrap();
        assert!(version.starts_with("version du ") && answer["answer"].as_str().unwrap().contains(version), "{answer}");
    }
    // A question about the older one alone.
    let body = json!({ "question": RIDE, "document_ids": [id(&older)] });
    let answer = app.post("/api/v1/query").by(&tenant).json(&body).await.data(200);
    assert_eq!(answer["citations"][0]["version"], "version du 02/03/2026", "{answer}");
    assert!(answer["answer"].as_str().unwrap().contains("tarifs, version du 02/03/2026, p. 1"), "{answer}");
}

#[tokio::test]
async fn the_newest_version_is_found_among_sixty() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let older = app.upload_and_process(&tenant, "tarifs.pdf", tariff("1 500")).await;
    let newest = app.upload_and_process(&tenant, "Tarifs.pdf", tariff("2 100")).await;
    app.sql(&format!(
        "with copies as (
            insert into documents (customer_id, company_id, filename, name_key, bytes, storage_key, status, chunks,
                embedding_model, upload_date)
            select customer_id, company_id, filename, name_key, 1, gen_random_uuid(), status, chunks, embedding_model,
                upload_date - number * interval '1 day'
            from documents cross join generate_series(1, 60) number where id = '{older}'
            returning id
         )
         insert into document_chunks (document_id, customer_id, chunk_index, page_start, page_end, text_chunk,
            search_text, language, embedding, embedding_model, id)
         select copies.id, customer_id, chunk_index, page_start, page_end, text_chunk, search_text, language, embedding,
            embedding_model, overlay(gen_random_uuid()::text placing '0000' from 1 for 4)::uuid
         from document_chunks cross join copies where document_id = '{older}'"
    ))
    .await;
    app.sql(&format!(
        "update document_chunks set id = 'ffff0000-0000-4000-8000-000000000001' where document_id = '{newest}'"
    ))
    .await;
    for _ in 0..3 {
        assert_price(&app, &tenant, QUESTION, "2 100", "1 500").await;
    }
}

#[tokio::test]
async fn a_replacement_takes_effect_when_it_is_processed_and_not_when_it_fails() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let older = app.upload_and_process(&tenant, "tarifs.pdf", tariff("1 500")).await;

    let body = json!({ "filename": "tarifs.pdf", "size_bytes": fixture("empty.pdf").len(), "replaces": older });
    let failing = app.post(UPLOAD).by(&tenant).json(&body).await.data(201);
    assert_eq!((&failing["same_name"], &failing["document"]["replaces"]), (&json!([]), &json!([older])), "{failing}");
    app.put_file(&super::support::presigned_upload(&failing), fixture("empty.pdf")).await;
    assert_eq!(app.wait_for_end_state(&tenant, id(&failing)).await["status"], "failed");
    assert_price(&app, &tenant, QUESTION, "1 500", "2 100").await;

    let newer = tariff("2 100");
    let body = json!({ "filename": "tarifs.pdf", "size_bytes": newer.len(), "replaces": older });
    let announced = app.post(UPLOAD).by(&tenant).json(&body).await.data(201);
    assert_price(&app, &tenant, QUESTION, "1 500", "2 100").await;
    app.put_file(&super::support::presigned_upload(&announced), newer).await;
    let document = app.wait_for_end_state(&tenant, id(&announced)).await;
    assert_eq!((&document["status"], &document["replaces"]), (&json!("processed"), &json!([older])), "{document}");
    let answer = assert_price(&app, &tenant, QUESTION, "2 100", "1 500").await;
    assert_eq!(answer["citations"][0]["version"], Value::Null, "{answer}");
    app.get(&format!("/api/v1/documents/{older}")).by(&tenant).await.refused(404, "not_found");
    assert_eq!(app.chunk_count(older).await, 0);
    super::support::wait_until("the file is deleted", super::support::WAIT_TIMEOUT, async || {
        (!app.is_stored(&tenant, older).await).then_some(())
    })
    .await;

    // Repeated, and for a document that is gone.
    let path = format!("/api/v1/documents/{}/replace", id(&announced));
    app.post(&path).by(&tenant).json(&json!({ "replaces": older })).await.data(200);
}

#[tokio::test]
async fn a_processed_document_replaces_an_older_one_at_once() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let other = app.sign_up("Chez Koffi").await;
    let older = app.upload_and_process(&tenant, "tarifs.pdf", tariff("1 500")).await;
    let newer = app.upload_and_process(&tenant, "tarifs.pdf", tariff("2 100")).await;
    let theirs = app.upload_and_process(&other, "tarifs.pdf", tariff("9 900")).await;
    let replace = async |by: &TenantUser, document: Uuid, replaced: Value| {
        app.post(&format!("/api/v1/documents/{document}/replace")).by(by).json(&json!({ "replaces": replaced })).await
    };
    replace(&tenant, older, json!(newer)).await.refused(409, "not_older");
    replace(&tenant, newer, json!(newer)).await.refused(409, "not_older");
    replace(&tenant, newer, json!(theirs)).await.refused(404, "not_found");
    replace(&other, newer, json!(theirs)).await.refused(404, "not_found");
    replace(&tenant, newer, json!(Uuid::new_v4())).await.refused(404, "not_found");
    replace(&tenant, newer, json!("x")).await.invalid_fields(&["replaces"]);
    for replaced in [theirs, Uuid::new_v4()] {
        let body = json!({ "filename": "tarifs.pdf", "size_bytes": 100, "replaces": replaced });
        app.post(UPLOAD).by(&tenant).json(&body).await.refused(404, "not_found");
    }
    assert_eq!(app.number("select count(*) from documents").await, 3);

    let (first, second) = tokio::join!(replace(&tenant, newer, json!(older)), replace(&tenant, newer, json!(older)));
    assert_eq!(first.data(200)["replaces"], json!([older]));
    assert_eq!(second.data(200)["replaces"], json!([older]));
    assert_eq!(app.number("select count(*) from documents").await, 2);
    assert!(!app.is_stored(&tenant, older).await && app.is_stored(&other, theirs).await);
    assert_price(&app, &tenant, QUESTION, "2 100", "1 500").await;
    assert_price(&app, &other, QUESTION, "9 900", "2 100").await;
}

#[tokio::test]
async fn of_two_replacements_of_one_document_the_later_upload_stays() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let older = app.upload_and_process(&tenant, "tarifs.pdf", tariff("1 500")).await;
    let announce = async |file: &[u8]| {
        let body = json!({ "filename": "tarifs.pdf", "size_bytes": file.len(), "replaces": older });
        super::support::presigned_upload(&app.post(UPLOAD).by(&tenant).json(&body).await.data(201))
    };
    let (second, third) = (tariff("1 800"), tariff("2 100"));
    let (second_place, third_place) = (announce(&second).await, announce(&third).await);
    app.put_file(&second_place, second).await;
    app.wait_for_end_state(&tenant, second_place.document).await;
    assert_price(&app, &tenant, QUESTION, "1 800", "1 500").await;
    app.put_file(&third_place, third).await;
    app.wait_for_end_state(&tenant, third_place.document).await;
    assert_price(&app, &tenant, QUESTION, "2 100", "1 800").await;
    assert_eq!(app.number("select count(*) from documents").await, 1);
}

#[tokio::test]
async fn the_bytes_of_an_older_version_are_announced_anew() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let older = app.upload_and_process(&tenant, "tarifs.pdf", tariff("1 500")).await;
    app.upload_and_process(&tenant, "tarifs.pdf", tariff("2 100")).await;

    let again = send(&app, &tenant, "tarifs.pdf", &tariff("1 500"), None).await;
    assert_ne!(id(&again), older);
    assert_eq!(again["same_name"].as_array().unwrap().len(), 2, "{again}");
    app.wait_for_end_state(&tenant, id(&again)).await;
    assert_price(&app, &tenant, QUESTION, "1 500", "2 100").await;

    // The newest one's bytes are known, and replace what they are said to replace.
    let known = send(&app, &tenant, "tarifs.pdf", &tariff("1 500"), Some(older)).await;
    assert_eq!(id(&known), id(&again), "{known}");
    assert_eq!(app.number("select count(*) from documents").await, 2);
}
