//! The embedding model multilingual-e5-small: answers to questions in other words than the document's, and files of it
//! that cannot be used.

use std::{fs, path::Path};

use serde_json::json;

use super::support::{App, e5_model_file, repository_file, small_pdf};

async fn start(file: &str) -> App {
    App::with_settings(&[("EMBEDDING_PROVIDER", "e5"), ("E5_MODEL_FILE", file)]).await
}

#[tokio::test]
async fn samples_answer_questions_that_share_no_noun_with_them() {
    let app = start(&e5_model_file()).await;
    let owner = app.sign_up("Comptoir Baobab").await;
    app.sql("update user_settings set free_quota_limit = 1000").await;
    for name in ["guide-livraison.pdf", "product-manual.pdf"] {
        app.upload_and_process(&owner, name, repository_file(format!("docs/samples/{name}"))).await;
    }
    for (question, filename, page, value) in [
        // The city's name tells which price; "temps" and "achat" are in neither document.
        ("Combien je débourse pour être livré à Abidjan ?", "guide-livraison.pdf", 1, "1 500 FCFA"),
        ("Sous combien de temps puis-je renvoyer un achat ?", "guide-livraison.pdf", 2, "quatorze jours"),
        ("Jusqu'à quand puis-je vous rendre ce que j'ai acheté ?", "guide-livraison.pdf", 2, "quatorze jours"),
        ("Quel est votre téléphone ?", "guide-livraison.pdf", 3, "+225 07 00 00 00 00"),
        ("How long do you fix it for free?", "product-manual.pdf", 4, "twenty-four months"),
        ("How heavy is the device?", "product-manual.pdf", 4, "620 g"),
    ] {
        let answer = app.ask(&owner, question).await.data(200);
        let text = answer["answer"].as_str().unwrap().replace('\u{a0}', " ");
        assert!(text.contains(value), "{question}: {answer}");
        let citation = &answer["citations"][0];
        assert_eq!(
            (&citation["filename"], &citation["page"], &answer["model"]),
            (&json!(filename), &json!(page), &json!("extractive-1")),
            "{question}: {answer}"
        );
    }
    for question in ["Combien coûte la livraison à New York ?", "Do you sell bicycles?", "Qui a gagné le match hier ?"]
    {
        let answer = app.ask(&owner, question).await.data(200);
        assert_eq!((&answer["answered"], &answer["citations"]), (&json!(false), &json!([])), "{question}: {answer}");
    }
}

#[tokio::test]
async fn missing_cut_or_changed_model_is_an_error_and_the_local_embedder_is_not_taken() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = fs::read(e5_model_file()).unwrap();
    let mut changed = bytes.clone();
    changed[100] ^= 1;
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    let files = [folder.path().join("missing"), file("cut", &bytes[..9_000_000]), file("changed", &changed)];
    for (file, reason) in files.iter().zip(["cannot be read", "cut off", "another"]) {
        refuses(file, reason).await;
    }
}

/// Uploads a document to an app with this file of the model, and asserts that neither it nor a question is answered by
/// another embedder.
async fn refuses(file: &Path, reason: &str) {
    let app = start(file.to_str().unwrap()).await;
    let owner = app.sign_up("Comptoir Baobab").await;
    let id = app.upload(&owner, "guide.pdf", small_pdf("The delivery takes three days.")).await;
    let document = app.wait_for_end_state(&owner, id).await;
    assert_eq!(
        (&document["status"], &document["error_code"]),
        (&json!("failed"), &json!("embedding_failed")),
        "{reason}: {document}"
    );
    assert_eq!(app.number("select count(*) from document_chunks").await, 0);
    let local = "select count(*) from customers where embedding_model like 'local%'";
    assert_eq!(app.number(local).await, 0);
    // An apology, which costs nothing, and no refusal: the documents may have the answer.
    let answer = app.ask(&owner, "How long does the delivery take?").await.data(200);
    assert_eq!(
        (&answer["answered"], &answer["model"], &answer["citations"]),
        (&json!(false), &json!("none"), &json!([])),
        "{reason}: {answer}"
    );
    let used = app.get("/api/v1/quota/status").by(&owner).await.data(200);
    assert_eq!(used["free_quota_used"], 0, "{reason}");
}
