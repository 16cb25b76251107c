//! The answers that a company approved: their changes, their import and export, and the approval of unanswered questions.

use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::support::{App, TenantUser, TestResponse, small_pdf};

const ANSWERS: &str = "/api/v1/approved-answers";
const IMPORT: &str = "/api/v1/approved-answers/import";
const EXPORT: &str = "/api/v1/approved-answers/export";
const UNANSWERED: &str = "/api/v1/unanswered-questions";

async fn create(app: &App, owner: &TenantUser, question: &str, answer: &str) -> TestResponse {
    app.post(ANSWERS).by(owner).json(&json!({ "question": question, "answer": answer })).await
}

async fn import(app: &App, owner: &TenantUser, csv: impl Into<reqwest::Body>) -> TestResponse {
    app.post(IMPORT).by(owner).body("text/csv; charset=utf-8", csv).await
}

async fn count(app: &App) -> i64 {
    app.number("select count(*) from approved_answers").await
}

#[tokio::test]
async fn an_approved_answer_is_given_to_another_wording_until_it_is_deleted() {
    let app = App::start().await;
    let owner = app.sign_up("Comptoir Baobab").await;
    let made = create(&app, &owner, " Livrez-vous à Bouaké ? ", "Oui, en deux jours.").await.data(201);
    let expected = json!({
        "id": made["id"], "question": "Livrez-vous à Bouaké ?", "answer": "Oui, en deux jours.", "language": "fr",
        "created_at": made["created_at"], "updated_at": made["updated_at"],
    });
    assert_eq!(made, expected);
    assert_eq!(app.get(ANSWERS).by(&owner).await.data(200), json!([made]));
    let path = format!("{ANSWERS}/{}", made["id"].as_str().unwrap());
    assert_eq!(app.get(&path).by(&owner).await.data(200), made);
    let asked = app.ask(&owner, "Bonjour, livrez vous a Bouake svp").await.data(200);
    assert_eq!((&asked["answer"], &asked["model"]), (&json!("Oui, en deux jours."), &json!("approved-answer")));

    let patch = json!({ "answer": "Oui, en trois jours." });
    let changed = app.call(Method::PATCH, &path).by(&owner).json(&patch).await.data(200);
    assert_eq!((&changed["answer"], &changed["question"]), (&patch["answer"], &made["question"]));
    assert_eq!(app.ask(&owner, "Livrez-vous à Bouaké ?").await.data(200)["answer"], patch["answer"]);
    app.delete(&path).by(&owner).await.no_content();
    for call in [app.get(&path), app.delete(&path), app.call(Method::PATCH, &path).json(&patch)] {
        call.by(&owner).await.refused(404, "not_found");
    }
    assert_eq!(app.ask(&owner, "Livrez-vous à Bouaké ?").await.data(200)["answered"], false);
    let object = format!("approved_answer:{}", made["id"].as_str().unwrap());
    let entries = ["created", "changed", "deleted"].map(|action| format!("approved_answer.{action} {object}"));
    assert_eq!(app.audit_actions(&owner).await, entries);
}

#[tokio::test]
async fn one_wording_has_one_answer_also_when_two_write_at_once() {
    let app = App::start().await;
    let owner = app.sign_up("Comptoir Baobab").await;
    let wordings = ["Livrez-vous à Bouaké ?", "livrez vous a bouake", "Bonjour, livrez-vous à Bouaké ?"];
    let answers = join_all(wordings.map(|wording| create(&app, &owner, wording, "Oui."))).await;
    let mut statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409, 409]);
    create(&app, &owner, wordings[0], "Non.").await.refused(409, "question_answered");
    let second = create(&app, &owner, "Ouvrez-vous le lundi ?", "Oui.").await.data(201);
    let path = format!("{ANSWERS}/{}", second["id"].as_str().unwrap());
    let patch = json!({ "question": wordings[1] });
    app.call(Method::PATCH, &path).by(&owner).json(&patch).await.refused(409, "question_answered");
    assert_eq!(app.get(&path).by(&owner).await.data(200)["question"], "Ouvrez-vous le lundi ?");
    // Another company may answer the same question, and sees none of these.
    let other = app.sign_up("Chez Koffi").await;
    app.get(&path).by(&other).await.refused(404, "not_found");
    create(&app, &other, wordings[0], "Non.").await.data(201);
}

#[tokio::test]
async fn invalid_answers_are_named_by_field_and_their_number_is_limited() {
    let app = App::start().await;
    let owner = app.sign_up("Comptoir Baobab").await;
    for (body, fields) in [
        (json!({}), &["question", "answer"][..]),
        (json!({ "question": "", "answer": "" }), &["answer", "question"]),
        (json!({ "question": "a".repeat(1_001), "answer": "b" }), &["question"]),
        (json!({ "question": "a", "answer": "b".repeat(4_097) }), &["answer"]),
        (json!({ "question": "Prix ?", "answer": "b", "language": "de" }), &["language"]),
        (json!({ "question": "Prix ?", "answer": "b", "id": 1 }), &["id"]),
        (json!({ "question": "Bonjour, s'il vous plait ?!", "answer": "b" }), &["question"]),
    ] {
        app.post(ANSWERS).by(&owner).json(&body).await.invalid_fields(fields);
    }
    app.sql(&format!(
        "insert into approved_answers (customer_id, question, answer)
         select '{}', 'article ' || n, 'x' from generate_series(1, 1000) n",
        owner.customer_id
    ))
    .await;
    create(&app, &owner, "Prix du savon ?", "b").await.refused(409, "too_many_approved_answers");
    import(&app, &owner, "question,answer\nPrix du savon ?,b\n").await.refused(409, "too_many_approved_answers");
    assert_eq!(count(&app).await, 1_000);
}

#[tokio::test]
async fn a_file_is_imported_and_its_export_changes_nothing() {
    let app = App::start().await;
    let owner = app.sign_up("Comptoir Baobab").await;
    create(&app, &owner, "Livrez-vous à Bouaké ?", "Oui.").await.data(201);
    let file = "\u{feff}question;answer;language\r\n\
        Livrez-vous a Bouake ?;\"Oui, en deux jours.\";fr\r\n\
        Do you deliver?;Yes.;en\r\nNuméro ?;+225 07 00;\r\n";
    let report = import(&app, &owner, file).await.data(200);
    assert_eq!(report, json!({ "created": 2, "updated": 1, "unchanged": 0 }));
    assert_eq!(count(&app).await, 3);
    let again = app.post(IMPORT).by(&owner).json(&json!({ "csv": file })).await.data(200);
    assert_eq!(again, json!({ "created": 0, "updated": 0, "unchanged": 3 }));

    let exported = app.get(EXPORT).by(&owner).await;
    assert_eq!((exported.status, exported.header("content-type")), (200, "text/csv; charset=utf-8"));
    assert!(exported.header("content-disposition").contains("approved-answers.csv"));
    let expected = "\u{feff}question,answer,language\r\n\
        Livrez-vous a Bouake ?,\"Oui, en deux jours.\",fr\r\nDo you deliver?,Yes.,en\r\nNuméro ?,'+225 07 00,fr\r\n";
    let mut lines: Vec<_> = exported.text.trim_start_matches('\u{feff}').lines().collect();
    let mut wanted: Vec<_> = expected.trim_start_matches('\u{feff}').lines().collect();
    assert_eq!(lines[0], wanted[0]);
    lines.sort_unstable();
    wanted.sort_unstable();
    assert_eq!(lines, wanted);
    let back = import(&app, &owner, exported.text).await.data(200);
    assert_eq!(back, json!({ "created": 0, "updated": 0, "unchanged": 3 }));
    let other = app.sign_up("Chez Koffi").await;
    assert!(!app.get(EXPORT).by(&other).await.text.contains("Bouake"));
}

#[tokio::test]
async fn a_wrong_file_is_reported_by_row_and_nothing_of_it_is_imported() {
    let app = App::start().await;
    let owner = app.sign_up("Comptoir Baobab").await;
    let file = "question,answer,language\nPrix du savon ?,500 F,fr\n=HYPERLINK(1),a,fr\nHoraires ?,@SUM(A1),fr\n\
        Garantie ?,deux ans,de\nOuvert lundi ?,,fr\n";
    let details = import(&app, &owner, file).await.refused(422, "rows_refused");
    let rows: Vec<_> =
        details["rows"].as_array().unwrap().iter().map(|row| (row["line"].clone(), row["field"].clone())).collect();
    let expected = [(3, "question"), (4, "answer"), (5, "language"), (6, "answer")];
    assert_eq!(rows, expected.map(|(line, field)| (json!(line), json!(field))));
    assert_eq!(details["refused"], 4);
    let twice = "question,answer\nPrix du savon ?,500 F\n\"Bonjour, prix du savon svp ?\",600 F\nBonjour ?,Bonjour\n";
    let details = import(&app, &owner, twice).await.refused(422, "rows_refused");
    assert_eq!((&details["rows"][0]["line"], &details["rows"][1]["line"]), (&json!(3), &json!(4)), "{details}");
    let lost = import(&app, &owner, "question,answer\nPrix \u{fffd} Bouak\u{fffd} ?,Oui\n").await;
    assert_eq!(lost.refused(422, "rows_refused")["rows"][0]["field"], "question", "a letter was lost on the way");
    import(&app, &owner, "question\nPrix ?\n").await.invalid_fields(&["body"]);
    import(&app, &owner, "").await.invalid_fields(&["body"]);
    let long = format!("question,answer\n{}", "a,b\n".repeat(100_001));
    import(&app, &owner, long).await.refused(422, "too_many_rows");
    let huge = "x".repeat(4 * 1024 * 1024 + 1);
    import(&app, &owner, huge).await.refused(413, "payload_too_large");
    app.post(IMPORT).by(&owner).body("text/plain", file).await.refused(415, "unsupported_media_type");
    assert_eq!(count(&app).await, 0);
    assert_eq!(app.audit_actions(&owner).await, [""; 0]);
}

#[tokio::test]
async fn a_thousand_rows_of_a_spreadsheet_in_its_own_encoding_are_imported_at_once() {
    let app = App::start().await;
    let owner = app.sign_up("Comptoir Baobab").await;
    let mut file = b"question;answer\r\n".to_vec();
    for number in 0..1_000 {
        // Windows-1252, as a spreadsheet saves it.
        file.extend(format!("Modele {number} : livr").bytes());
        file.extend(b"\xe9 \xe0 Bouak\xe9 ?;Oui\r\n");
    }
    let report = app.post(IMPORT).by(&owner).body("application/octet-stream", file).await.data(200);
    assert_eq!(report, json!({ "created": 1_000, "updated": 0, "unchanged": 0 }));
    assert_eq!(
        app.number("select count(*) from approved_answers where question like '% : livré à Bouaké ?'").await,
        1_000
    );
}

#[tokio::test]
async fn of_two_imports_of_one_file_at_once_each_row_is_written_once() {
    let app = App::start().await;
    let owner = app.sign_up("Comptoir Baobab").await;
    let file = "question,answer\nPrix du savon ?,500 F\nGarantie ?,deux ans\n";
    let reports = join_all([import(&app, &owner, file), import(&app, &owner, file)]).await;
    let mut reports: Vec<_> = reports.into_iter().map(|report| report.data(200)["created"].clone()).collect();
    reports.sort_by_key(Value::as_i64);
    assert_eq!(reports, [json!(0), json!(2)]);
    assert_eq!(count(&app).await, 2);
}

/// An unanswered question of the owner, asked over the API.
async fn unanswered(app: &App, owner: &TenantUser, question: &str) -> String {
    let asked = app.ask(owner, question).await.data(200);
    assert_eq!(asked["answered"], false, "{asked}");
    let listed = app.get(UNANSWERED).by(owner).await.data(200);
    assert_eq!(listed[0]["question"], question);
    assert_eq!(listed[0]["id"], listed[0]["message_id"]);
    listed[0]["id"].as_str().unwrap().to_owned()
}

fn approve_path(id: &str) -> String {
    format!("{UNANSWERED}/{id}/approve")
}

#[tokio::test]
async fn an_approved_question_is_answered_from_then_on_and_closed() {
    let app = App::start().await;
    let owner = app.sign_up("Comptoir Baobab").await;
    app.upload_and_process(&owner, "guide.pdf", small_pdf("The delivery takes three days.")).await;
    let id = unanswered(&app, &owner, "Livrez-vous au Togo ?").await;
    let body = json!({ "answer": "Oui, en une semaine.", "golden": true });
    let approved = app.post(&approve_path(&id)).by(&owner).json(&body).await.data(201);
    let answer = &approved["approved_answer"];
    assert_eq!((&approved["closed"], &answer["question"]), (&json!(id), &json!("Livrez-vous au Togo ?")));
    assert_eq!(app.get(UNANSWERED).by(&owner).await.data(200), json!([]), "closed");
    let asked = app.ask(&owner, "livrez vous au togo").await.data(200);
    assert_eq!((&asked["answer"], &asked["model"]), (&json!("Oui, en une semaine."), &json!("approved-answer")));
    let golden = app.get("/api/v1/golden-questions").by(&owner).await.data(200);
    assert_eq!((&golden[0]["id"], &golden[0]["approved_answer_id"]), (&approved["golden_question_id"], &answer["id"]));
    app.post(&approve_path(&id)).by(&owner).json(&body).await.refused(409, "question_closed");
    let entries = vec![format!("approved_answer.created approved_answer:{}", answer["id"].as_str().unwrap())];
    assert_eq!(app.audit_actions(&owner).await, entries);
}

#[tokio::test]
async fn a_question_that_was_asked_often_is_closed_as_a_whole() {
    let app = App::start().await;
    let owner = app.sign_up("Comptoir Baobab").await;
    let other = app.sign_up("Chez Koffi").await;
    app.upload_and_process(&owner, "guide.pdf", small_pdf("The delivery takes three days.")).await;
    unanswered(&app, &other, "Livrez-vous au Togo ?").await;
    let id = unanswered(&app, &owner, "Livrez-vous au Togo ?").await;
    unanswered(&app, &owner, "Bonjour, livrez vous au togo svp").await;
    unanswered(&app, &owner, "Livrez-vous au Bénin ?").await;
    let approved = app.post(&approve_path(&id)).by(&owner).json(&json!({ "answer": "Oui." })).await.data(201);
    assert_eq!(approved["also_closed"], 1);
    let left = app.get(UNANSWERED).by(&owner).await.data(200);
    assert_eq!((left.as_array().unwrap().len(), &left[0]["question"]), (1, &json!("Livrez-vous au Bénin ?")));
    create(&app, &owner, "Livrez-vous au Bénin ?", "Non.").await.data(201);
    assert_eq!(app.get(UNANSWERED).by(&owner).await.data(200), json!([]), "an answer by another door closes it, too");
    assert_eq!(app.get(UNANSWERED).by(&other).await.data(200).as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_refused_approval_leaves_the_question_open() {
    let app = App::start().await;
    let owner = app.sign_up("Comptoir Baobab").await;
    app.upload_and_process(&owner, "guide.pdf", small_pdf("The delivery takes three days.")).await;
    let id = unanswered(&app, &owner, "Livrez-vous au Togo ?").await;
    let body = json!({ "answer": "Oui." });
    for (body, field) in [
        (json!({}), "answer"),
        (json!({ "answer": "a", "x": 1 }), "x"),
        (json!({ "answer": "a", "question": "" }), "question"),
    ] {
        app.post(&approve_path(&id)).by(&owner).json(&body).await.invalid_fields(&[field]);
    }
    let other = app.sign_up("Chez Koffi").await;
    let support = app.sign_up_support(&owner).await;
    app.post(&approve_path(&id)).by(&other).json(&body).await.refused(404, "not_found");
    app.post(&approve_path(&Uuid::new_v4().to_string())).by(&owner).json(&body).await.refused(404, "not_found");
    app.post(&approve_path(&id)).by(&support).json(&body).await.refused(403, "forbidden");
    // An answered message is no unanswered question.
    let insert = "insert into approved_answers (customer_id, question, answer) values";
    app.sql(&format!("{insert} ('{}', 'Livrez-vous au Togo ?', 'Non.')", owner.customer_id)).await;
    app.post(&approve_path(&id)).by(&owner).json(&body).await.refused(409, "question_answered");
    assert_eq!(app.get(UNANSWERED).by(&owner).await.body["meta"]["total"], 1);
    assert_eq!(app.number("select count(*) from closed_questions").await, 0);
}

#[tokio::test]
async fn of_two_who_approve_at_once_one_writes_the_answer() {
    let app = App::start().await;
    let owner = app.sign_up("Comptoir Baobab").await;
    app.upload_and_process(&owner, "guide.pdf", small_pdf("The delivery takes three days.")).await;
    let id = unanswered(&app, &owner, "Livrez-vous au Togo ?").await;
    let path = approve_path(&id);
    let answers = join_all(["Oui.", "Non."].map(|answer| {
        let body = json!({ "answer": answer });
        let (app, owner, path) = (&app, &owner, &path);
        async move { app.post(path).by(owner).json(&body).await }
    }))
    .await;
    let mut statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409]);
    assert_eq!(count(&app).await, 1);
}
