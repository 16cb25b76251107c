//! The contents of a document for a person: a link to its file, and the text that was read from a page.

use serde_json::json;
use uuid::Uuid;

use super::support::{App, pdf, small_pdf};

fn path(id: Uuid, rest: &str) -> String {
    format!("/api/v1/documents/{id}/{rest}")
}

#[tokio::test]
async fn the_file_of_a_document_is_read_by_a_link_that_needs_no_token() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let bytes = small_pdf("Delivery to Abidjan takes 48 hours.");
    let id = app.upload_and_process(&tenant, "guide.pdf", bytes.clone()).await;

    let link = app.get(&path(id, "file")).by(&tenant).await.data(200);

    let answer = app.http().get(link["url"].as_str().unwrap()).send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "application/pdf");
    assert_eq!(answer.headers()["content-disposition"], "inline");
    assert_eq!(answer.bytes().await.unwrap(), bytes);
    assert!(link["expires_at"].as_str().unwrap() > chrono::Utc::now().to_rfc3339().as_str());
}

#[tokio::test]
async fn a_file_with_markup_is_sent_as_text_under_its_name() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let page = "<html><body><h1>Delivery</h1><p>48 hours to Abidjan.</p><script>alert(1)</script></body></html>";
    let id = app.upload_and_process(&tenant, "tarifs \"été\".html", page.into()).await;

    let link = app.get(&path(id, "file")).by(&tenant).await.data(200);

    let answer = app.http().get(link["url"].as_str().unwrap()).send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "text/plain; charset=utf-8");
    let disposition = answer.headers()["content-disposition"].to_str().unwrap();
    assert_eq!(disposition, "attachment; filename*=UTF-8''tarifs%20%22%C3%A9t%C3%A9%22%2Ehtml");
}

#[tokio::test]
async fn a_file_that_has_not_arrived_is_missing() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let place = app.announce(&tenant, "guide.pdf", 1000).await;
    app.get(&path(place.document, "file")).by(&tenant).await.refused(404, "not_found");
}

#[tokio::test]
async fn the_text_of_a_page_is_that_of_its_passages() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let pages = ["Delivery to Abidjan takes 48 hours.", "Returns are accepted for 14 days."].map(str::to_owned);
    let id = app.upload_and_process(&tenant, "guide.pdf", pdf(&pages)).await;

    let page = async |number: &str| app.get(&path(id, &format!("pages/{number}"))).by(&tenant).await;
    let second = page("2").await.data(200);
    assert_eq!(
        (&second["page"], &second["reader"], &second["confidence"], &second["is_complete"]),
        (&json!(2), &json!("file"), &json!(null), &json!(true))
    );
    let text = second["passages"].to_string();
    assert!(text.contains("Returns are accepted for 14 days."), "{text}");
    for missing in ["0", "3", "-1", "99999999999", "two"] {
        page(missing).await.refused(404, "not_found");
    }
}

#[tokio::test]
async fn a_page_that_was_not_read_whole_says_so() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let id = app.upload_and_process(&tenant, "guide.pdf", small_pdf("Delivery takes 48 hours.")).await;
    app.sql(&format!("update documents set pages_unread = '{{1}}' where id = '{id}'")).await;
    app.sql(&format!(
        "insert into document_pages (document_id, customer_id, page, text, confidence)
         values ('{id}', '{}', 1, 'Delivery takes', 0.75)",
        tenant.customer_id
    ))
    .await;
    let page = app.get(&path(id, "pages/1")).by(&tenant).await.data(200);
    assert_eq!(
        (&page["reader"], &page["confidence"], &page["is_complete"]),
        (&json!("ocr"), &json!(0.75), &json!(false))
    );
}

#[tokio::test]
async fn another_company_sees_neither_file_nor_text() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let other = app.sign_up("Autre Maison").await;
    let id = app.upload_and_process(&tenant, "guide.pdf", small_pdf("Delivery takes 48 hours.")).await;
    for rest in ["file", "pages/1"] {
        app.get(&path(id, rest)).by(&other).await.refused(404, "not_found");
        app.get(&path(id, rest)).await.refused(401, "unauthorized");
    }
}
