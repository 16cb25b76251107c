//! Warnings of documents and answers about pages that were not read.

use serde_json::json;

use super::support::{App, repository_file};

fn field(name: &str) -> Vec<u8> {
    repository_file(format!("local/fixtures/field/pdf/{name}"))
}

#[tokio::test]
async fn documents_and_answers_name_the_pages_that_were_not_read() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let id = app.upload_and_process(&tenant, "location.pdf", field("text_and_scan.pdf")).await;
    let document = app.document(&tenant, id).await;
    assert_eq!(document["pages_unread"], json!([2]), "{document}");
    assert!(document["warning"].as_str().unwrap().contains('2'), "{document}");

    let unread = json!([{ "document_id": id, "filename": "location.pdf", "pages": [2] }]);
    let refused = app.ask(&tenant, "Quelle est la couleur du ciel sur la planète Mars ?").await.data(200);
    assert_eq!((&refused["answered"], &refused["pages_unread"]), (&json!(false), &unread), "{refused}");
    let answered = app.ask(&tenant, "Le vehicule se loue a la journee ou a la semaine ?").await.data(200);
    assert_eq!((&answered["answered"], &answered["pages_unread"]), (&json!(true), &unread), "{answered}");
}

#[tokio::test]
async fn a_dynamic_form_fails_with_a_code_and_a_hidden_layer_is_in_no_chunk() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let form = app.upload(&tenant, "formulaire.pdf", field("xfa_shell.pdf")).await;
    let form = app.wait_for_end_state(&tenant, form).await;
    assert_eq!((&form["status"], &form["error_code"]), (&json!("failed"), &json!("xfa_form")), "{form}");

    app.upload_and_process(&tenant, "salle.pdf", field("hidden_layer.pdf")).await;
    let chunks = |text: &str| format!("select count(*) from document_chunks where text_chunk like '%{text}%'");
    assert_eq!(app.number(&chunks("18 000")).await, 1);
    assert_eq!(app.number(&chunks("12 500")).await, 0);
}
