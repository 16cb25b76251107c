//! The configuration of a company's assistant: its versions, previews of a draft, and golden questions.

use futures::future::join_all;
use local::fakes::models::{FakeModels, FakeReply};
use reqwest::Method;
use serde_json::{Value, json};
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use super::support::{App, TenantUser, TestResponse, WAIT_TIMEOUT, pdf, small_pdf, wait_until};

const CONFIG: &str = "/api/v1/companies/me/config";
const VERSIONS: &str = "/api/v1/companies/me/config/versions";
const PREVIEW: &str = "/api/v1/companies/me/config/preview";
const GOLDEN: &str = "/api/v1/golden-questions";

/// An app whose answers come from a fake model of Groq.
async fn app_with_groq(groq: &FakeModels) -> App {
    let settings = [
        ("LLM_PROVIDER", "groq"),
        ("GROQ_API_KEY", "test-key"),
        ("GROQ_MODELS", "small-model"),
        ("GROQ_BASE_URL", &groq.base_url()),
    ];
    App::with_settings(&settings).await
}

async fn patch(app: &App, owner: &TenantUser, body: &Value) -> TestResponse {
    app.call(Method::PATCH, CONFIG).by(owner).json(body).await
}

async fn config(app: &App, owner: &TenantUser) -> Value {
    app.get(CONFIG).by(owner).await.data(200)
}

async fn restore(app: &App, owner: &TenantUser, version: &Value, body: &Value) -> TestResponse {
    app.post(&format!("{VERSIONS}/{version}/restore")).by(owner).json(body).await
}

#[tokio::test]
async fn an_owner_sees_and_changes_the_configuration() {
    let app = App::start().await;
    let owner = app.sign_up("Comptoir Baobab").await;
    let shown = config(&app, &owner).await;
    let expected = json!({
        "company_id": owner.company_id, "company_name": "Comptoir Baobab", "ai_name": "Lisa", "prompt_rag": null,
        "prompt_botlive_groq_70b": null, "prompt_botlive_deepseek_v3": null, "language": "fr", "handover_keywords": [],
        "business_hours": null, "show_sources": true, "unsupported_messages": "reply", "outside_hours": "answer",
        "handover_minutes": 240, "updated_at": shown["updated_at"],
    });
    assert_eq!(shown, expected);
    let body = json!({
        "company_name": "Le Baobab", "ai_name": " Awa ", "prompt_rag": "Tutoie.", "prompt_botlive_groq_70b": "Vends.",
        "prompt_botlive_deepseek_v3": "Vends bien.", "language": "en", "handover_keywords": ["humain"],
        "business_hours": { "mon": [["08:00", "18:00"]] }, "show_sources": false, "unsupported_messages": "hand_over",
        "outside_hours": "hand_over", "handover_minutes": 30,
    });
    let changed = patch(&app, &owner, &body).await.data(200);
    for (field, value) in body.as_object().unwrap() {
        let expected = if field == "ai_name" { json!("Awa") } else { value.clone() };
        assert_eq!(changed[field], expected, "{field}");
    }
    assert_eq!(config(&app, &owner).await, changed);
    assert_eq!(app.get("/api/v1/customers/me").by(&owner).await.data(200)["name"], "Le Baobab");
    let removed = patch(&app, &owner, &json!({ "prompt_rag": null, "business_hours": null })).await.data(200);
    assert_eq!((&removed["prompt_rag"], &removed["business_hours"]), (&Value::Null, &Value::Null));
    let versions = app.number("select count(*) from config_versions").await;
    assert_eq!(patch(&app, &owner, &json!({ "ai_name": "Awa" })).await.data(200)["updated_at"], removed["updated_at"]);
    assert_eq!(app.number("select count(*) from config_versions").await, versions, "nothing changed");
    let entries = vec![format!("config.changed customer:{}", owner.customer_id); 2];
    assert_eq!(app.audit_actions(&owner).await, entries);
    let leaked = "select count(*) from audit_log entry where entry::text ~ 'Tutoie|Vends'";
    assert_eq!(app.number(leaked).await, 0);
}

#[tokio::test]
async fn an_unknown_or_invalid_field_is_named_and_nothing_changes() {
    let app = App::start().await;
    let owner = app.sign_up("Comptoir Baobab").await;
    let before = config(&app, &owner).await;
    for (field, value) in [
        ("embedding_model", json!("other")),
        ("user_id", json!(owner.user_id)),
        ("ai_name", json!("")),
        ("ai_name", json!("a".repeat(101))),
        ("prompt_rag", json!("a".repeat(20_001))),
        ("prompt_rag", json!("")),
        ("language", json!("de")),
        ("handover_keywords", json!(vec!["a"; 51])),
        ("handover_minutes", json!(0)),
        ("handover_minutes", json!(10_081)),
        ("show_sources", json!("yes")),
        ("outside_hours", json!("sleep")),
        ("business_hours", json!({ "mon": [["18:00", "18:00"]] })),
        ("business_hours", json!({ "monday": [] })),
    ] {
        let answer = patch(&app, &owner, &json!({ field: value, "prompt_botlive_groq_70b": "Vends." })).await;
        let details = answer.refused(422, "validation_failed");
        assert!(details[0]["field"].as_str().unwrap().starts_with(field), "{details}");
    }
    let keyword = patch(&app, &owner, &json!({ "handover_keywords": ["ok", ""] })).await;
    keyword.invalid_fields(&["handover_keywords[1]"]);
    assert_eq!(config(&app, &owner).await, before);
}

#[tokio::test]
async fn versions_say_who_changed_what_also_when_a_front_end_did() {
    let app = App::start().await;
    let owner = app.sign_up("Comptoir Baobab").await;
    patch(&app, &owner, &json!({ "prompt_rag": "Tutoie.", "ai_name": "Awa" })).await.data(200);
    // A front end edits a prompt through Supabase.
    app.sql(&format!(
        "begin; set local role authenticated;
         select set_config('request.jwt.claims', '{{\"sub\":\"{}\",\"role\":\"authenticated\"}}', true);
         update company_rag_configs set prompt_botlive_groq_70b = 'Vends.' where company_id = '{}';
         commit",
        owner.user_id, owner.company_id
    ))
    .await;
    let listed = app.get(VERSIONS).by(&owner).await.data(200);
    let (newest, first) = (&listed[0], &listed[1]);
    assert_eq!(newest["changes"], json!([{ "field": "prompt_botlive_groq_70b", "before": null, "after": "Vends." }]));
    let expected = json!([
        { "field": "ai_name", "before": "Lisa", "after": "Awa" },
        { "field": "prompt_rag", "before": null, "after": "Tutoie." },
    ]);
    assert_eq!(first["changes"], expected);
    for version in [newest, first] {
        assert_eq!(version["changed_by"], owner.user_id.to_string());
        assert!(version["at"].is_string());
    }
    let other = app.sign_up("Chez Koffi").await;
    assert_eq!(app.get(VERSIONS).by(&other).await.data(200), json!([]));
    for minutes in 1..=25 {
        patch(&app, &owner, &json!({ "handover_minutes": minutes })).await.data(200);
    }
    let kept = app.get(&format!("{VERSIONS}?limit=100")).by(&owner).await;
    assert_eq!(kept.body["meta"]["total"], 20, "the last twenty");
}

#[tokio::test]
async fn a_restored_version_has_the_values_from_before_the_change() {
    let app = App::start().await;
    let owner = app.sign_up("Comptoir Baobab").await;
    patch(&app, &owner, &json!({ "prompt_rag": "Tutoie.", "handover_keywords": ["humain"] })).await.data(200);
    patch(&app, &owner, &json!({ "prompt_rag": null, "ai_name": "Awa", "handover_keywords": [] })).await.data(200);
    let version = app.get(VERSIONS).by(&owner).await.data(200)[0]["id"].clone();
    let restored = restore(&app, &owner, &version, &json!({})).await.data(200);
    assert_eq!(
        (&restored["prompt_rag"], &restored["ai_name"], &restored["handover_keywords"]),
        (&json!("Tutoie."), &json!("Lisa"), &json!(["humain"]))
    );
    assert_eq!(config(&app, &owner).await, restored);
    let listed = app.get(VERSIONS).by(&owner).await.data(200);
    assert_eq!(listed.as_array().unwrap().len(), 3, "a restoration is a change too");
    let other = app.sign_up("Chez Koffi").await;
    restore(&app, &other, &version, &json!({})).await.refused(404, "not_found");
    restore(&app, &owner, &json!(999_999), &json!({})).await.refused(404, "not_found");
    restore(&app, &owner, &version, &json!({ "other": 1 })).await.invalid_fields(&["other"]);
}

#[tokio::test]
async fn a_preview_answers_with_the_draft_and_stores_nothing() {
    let groq = FakeModels::start().await.unwrap();
    let app = app_with_groq(&groq).await;
    let owner = app.sign_up("Comptoir Baobab").await;
    let document = app.upload_and_process(&owner, "guide.pdf", small_pdf("The delivery takes three days.")).await;
    patch(&app, &owner, &json!({ "prompt_rag": "Be brief." })).await.data(200);
    groq.reply_text("It takes three days [1].");
    let body = json!({ "question": "How long does the delivery take?", "draft": { "prompt_rag": "Rhyme.", "ai_name": "Awa" } });
    let preview = app.post(PREVIEW).by(&owner).json(&body).await.data(200);
    let answer = &preview["answer"];
    assert_eq!((&answer["answered"], &answer["model"]), (&json!(true), &json!("small-model")));
    assert_eq!(answer["citations"][0]["document_id"], document.to_string());
    assert_eq!(preview["golden"], Value::Null);
    let asked = groq.received().last().unwrap().body.to_string();
    assert!(asked.contains("Rhyme.") && asked.contains("Awa") && !asked.contains("Be brief."), "{asked}");

    assert_eq!(config(&app, &owner).await["prompt_rag"], "Be brief.");
    let quota = app.get("/api/v1/quota/status").by(&owner).await.data(200);
    assert_eq!(quota["free_quota_used"], 0);
    for table in ["messages", "conversations", "reservations", "idempotency_keys"] {
        assert_eq!(app.number(&format!("select count(*) from {table}")).await, 0, "{table}");
    }
    let paid = "select count(*) from llm_calls where purpose = 'preview' and status = 'ok'";
    assert_eq!(app.number(paid).await, 1, "the call is paid for");

    // The day's questions are limited, since nothing of the quota is used.
    app.sql("update preview_counts set questions = questions + 299").await;
    app.post(PREVIEW).by(&owner).json(&body).await.refused(429, "preview_limit");
}

#[tokio::test]
async fn a_preview_without_a_model_quotes_the_documents_and_names_wrong_fields() {
    let app = App::start().await;
    let owner = app.sign_up("Comptoir Baobab").await;
    app.upload_and_process(&owner, "guide.pdf", small_pdf("The delivery takes three days.")).await;
    let body = json!({ "question": "How long does the delivery take?" });
    let preview = app.post(PREVIEW).by(&owner).json(&body).await.data(200);
    assert!(preview["answer"]["answer"].as_str().unwrap().contains("three days"), "{preview}");
    for (body, field) in [
        (json!({}), "question"),
        (json!({ "question": "" }), "question"),
        (json!({ "question": "a", "draft": { "prompt_rag": "a".repeat(20_001) } }), "draft.prompt_rag"),
        (json!({ "question": "a", "draft": { "unknown": 1 } }), "draft.unknown"),
        (json!({ "question": "a", "store": true }), "store"),
    ] {
        app.post(PREVIEW).by(&owner).json(&body).await.invalid_fields(&[field]);
    }
    let other = app.sign_up("Chez Koffi").await;
    let body = json!({ "question": "How long does the delivery take?" });
    let nothing = app.post(PREVIEW).by(&other).json(&body).await.data(200);
    assert_eq!(nothing["answer"]["answered"], false, "another company's documents are not searched");
}

async fn golden(app: &App, owner: &TenantUser, body: &Value) -> Value {
    app.post(GOLDEN).by(owner).json(body).await.data(201)
}

#[tokio::test]
async fn golden_questions_are_made_listed_and_deleted() {
    let app = App::start().await;
    let owner = app.sign_up("Comptoir Baobab").await;
    let document = app.upload_and_process(&owner, "guide.pdf", small_pdf("The delivery takes three days.")).await;
    let made = golden(&app, &owner, &json!({ "question": " How long? ", "document_id": document, "page": 1 })).await;
    let expected = json!({
        "id": made["id"], "question": "How long?", "document_id": document, "page": 1, "approved_answer_id": null,
        "last_passed": null, "last_run_at": null, "created_at": made["created_at"],
    });
    assert_eq!(made, expected);
    assert_eq!(app.get(GOLDEN).by(&owner).await.data(200), json!([made]));
    for (body, fields) in [
        (json!({ "question": "a" }), &["document_id"][..]),
        (json!({ "question": "", "document_id": document }), &["question"]),
        (json!({ "question": "a", "document_id": document, "page": 0 }), &["page"]),
        (json!({ "question": "a", "document_id": document, "approved_answer_id": document }), &["approved_answer_id"]),
        (json!({ "question": "a", "approved_answer_id": document, "page": 1 }), &["page"]),
        (json!({ "question": "a", "document_id": document, "answer": "b" }), &["answer"]),
    ] {
        app.post(GOLDEN).by(&owner).json(&body).await.invalid_fields(fields);
    }
    // Another company's document is none.
    let other = app.sign_up("Chez Koffi").await;
    let foreign = json!({ "question": "a", "document_id": document });
    app.post(GOLDEN).by(&other).json(&foreign).await.refused(404, "not_found");
    let unknown = json!({ "question": "a", "approved_answer_id": Uuid::new_v4() });
    app.post(GOLDEN).by(&owner).json(&unknown).await.refused(404, "not_found");
    let path = format!("{GOLDEN}/{}", made["id"].as_str().unwrap());
    app.delete(&path).by(&other).await.refused(404, "not_found");
    app.delete(&path).by(&owner).await.no_content();
    app.delete(&path).by(&owner).await.refused(404, "not_found");
    app.sql(&format!(
        "insert into golden_questions (customer_id, question, document_id)
         select '{}', 'a' || n, '{document}' from generate_series(1, 30) n",
        owner.customer_id
    ))
    .await;
    app.post(GOLDEN).by(&owner).json(&foreign).await.refused(409, "too_many_golden_questions");
}

#[tokio::test]
async fn a_golden_run_tells_which_questions_pass_and_why_the_others_fail() {
    let app = App::start().await;
    let owner = app.sign_up("Comptoir Baobab").await;
    let pages = ["Pour Abidjan, la livraison prend un jour.".to_owned(), "La garantie dure deux ans.".to_owned()];
    let document = app.upload_and_process(&owner, "guide.pdf", pdf(&pages)).await;
    let other = app.upload_and_process(&owner, "autre.pdf", small_pdf("Le magasin ferme le dimanche.")).await;
    let insert = "insert into approved_answers (customer_id, question, answer) values";
    app.sql(&format!("{insert} ('{}', 'Livrez-vous au Togo ?', 'Oui.')", owner.customer_id)).await;
    let approved = app.get("/api/v1/approved-answers").by(&owner).await.data(200)[0]["id"].clone();
    for (question, document, page) in [
        ("Combien de temps dure la garantie ?", document, Some(2)),
        ("Quelle est la durée de la garantie ?", document, Some(1)),
        ("Combien de temps dure la garantie ?", other, None),
        ("Qui a gagné la coupe du monde ?", document, None),
    ] {
        golden(&app, &owner, &json!({ "question": question, "document_id": document, "page": page })).await;
    }
    golden(&app, &owner, &json!({ "question": "livrez vous au togo", "approved_answer_id": approved })).await;
    golden(&app, &owner, &json!({ "question": "Combien de temps dure la garantie ?", "approved_answer_id": approved }))
        .await;
    let run = app.post(PREVIEW).by(&owner).json(&json!({ "golden": true })).await.data(200)["golden"].clone();
    assert_eq!((&run["passed"], &run["failed"], &run["regressions"]), (&json!(2), &json!(4), &json!(0)), "{run}");
    let reasons: Vec<_> = run["results"].as_array().unwrap().iter().map(|one| one["reason"].clone()).collect();
    let expected = [
        Value::Null,
        json!("other_page"),
        json!("other_document"),
        json!("not_answered"),
        Value::Null,
        json!("other_answer"),
    ];
    assert_eq!(reasons, expected, "{run}");
    let stored = "select count(*) from golden_questions where last_run_at is not null";
    assert_eq!(app.number(stored).await, 0, "a preview stores nothing");
    let quota = app.get("/api/v1/quota/status").by(&owner).await.data(200);
    assert_eq!(quota["free_quota_used"], 0);
}

#[tokio::test]
async fn a_prompt_that_breaks_a_golden_question_is_saved_only_when_that_is_accepted() {
    let groq = FakeModels::start().await.unwrap();
    let app = app_with_groq(&groq).await;
    let owner = app.sign_up("Comptoir Baobab").await;
    let document = app.upload_and_process(&owner, "guide.pdf", small_pdf("The delivery takes three days.")).await;
    let question = json!({ "question": "How long does the delivery take?", "document_id": document });
    let made = golden(&app, &owner, &question).await;

    // The draft fails, and the configuration in force passes.
    groq.reply_text("NOT_IN_DOCUMENTS");
    groq.reply_text("It takes three days [1].");
    let draft = json!({ "prompt_rag": "Say nothing." });
    let details = patch(&app, &owner, &draft).await.refused(409, "golden_regressions");
    let expected =
        json!([{ "id": made["id"], "question": "How long does the delivery take?", "reason": "not_answered" }]);
    assert_eq!(details["regressions"], expected);
    assert_eq!(config(&app, &owner).await["prompt_rag"], Value::Null);

    // Both fail: the draft breaks nothing.
    groq.reply_text("NOT_IN_DOCUMENTS");
    groq.reply_text("NOT_IN_DOCUMENTS");
    patch(&app, &owner, &draft).await.data(200);
    let listed = app.get(GOLDEN).by(&owner).await.data(200);
    assert_eq!(listed[0]["last_passed"], false);

    // A change that no model is told is not tried.
    let asked = groq.received().len();
    patch(&app, &owner, &json!({ "handover_minutes": 5 })).await.data(200);
    assert_eq!(groq.received().len(), asked);

    // While the models are down, nothing is known, and a save can be forced.
    groq.always(FakeReply::Refused { status: 500, retry_after_s: None });
    patch(&app, &owner, &json!({ "prompt_rag": "Rhyme." })).await.refused(503, "unavailable");
    assert_eq!(config(&app, &owner).await["prompt_rag"], "Say nothing.");
    let accepted = json!({ "prompt_rag": "Rhyme.", "accept_regressions": true });
    assert_eq!(patch(&app, &owner, &accepted).await.data(200)["prompt_rag"], "Rhyme.");
}

/// A shop with a model: an owner with a product and a document.
async fn shop() -> (FakeModels, App, TenantUser) {
    let groq = FakeModels::start().await.unwrap();
    let app = app_with_groq(&groq).await;
    let owner = app.sign_up("Comptoir Baobab").await;
    app.upload_and_process(&owner, "guide.pdf", small_pdf("The delivery takes three days.")).await;
    let insert = "insert into products (customer_id, name, price, currency) values";
    app.sql(&format!("{insert} ('{}', 'Savon de karité', 1500, 'XOF')", owner.customer_id)).await;
    (groq, app, owner)
}

/// The answer of a preview.
async fn preview_answer(app: &App, owner: &TenantUser, body: &Value) -> Value {
    app.post(PREVIEW).by(owner).json(body).await.data(200)["answer"].clone()
}

#[tokio::test]
async fn a_draft_of_a_sales_prompt_is_previewed_in_live_mode_with_the_catalogue() {
    let (groq, app, owner) = shop().await;
    patch(&app, &owner, &json!({ "prompt_botlive_groq_70b": "Vends.", "prompt_rag": "Cite." })).await.data(200);
    groq.reply_text("Nous avons du **savon**.");
    let body = json!({ "question": "Que vendez-vous ?", "draft": { "prompt_botlive_groq_70b": "Vends en rimes." } });
    let answer = preview_answer(&app, &owner, &body).await;
    assert_eq!(
        answer,
        json!({
            "answer": "Nous avons du *savon*.", "answered": true, "mode": "live", "prompt": "prompt_botlive_groq_70b",
            "action": "answer", "citations": [], "model": "small-model", "usage": answer["usage"],
        })
    );
    let asked = groq.received().last().unwrap().body.to_string();
    assert!(asked.contains("Vends en rimes.") && asked.contains("create_order"), "{asked}");
    assert!(asked.contains("Savon de karité: 1\u{a0}500\u{a0}F CFA"), "{asked}");
    assert!(!asked.contains("Vends.\"") && !asked.contains("Cite."), "{asked}");

    // A model that orders proposes, and nothing is stored.
    groq.reply_tool("create_order", json!({ "items": [{ "product": "savon de karité", "quantity": 2 }] }));
    let body = json!({ "question": "Je prends deux savons", "mode": "live" });
    let proposed = preview_answer(&app, &owner, &body).await;
    assert_eq!(proposed["action"], "propose_order");
    assert!(proposed["answer"].as_str().unwrap().contains("3\u{a0}000\u{a0}F CFA"), "{proposed}");
    let asked = groq.received().last().unwrap().body.to_string();
    assert!(asked.contains("Vends."), "the prompt in force: {asked}");

    app.call(Method::PATCH, "/api/v1/customers/me")
        .by(&owner)
        .json(&json!({ "handover": { "fr": "Awa arrive." } }))
        .await
        .data(200);
    groq.reply_tool("hand_over", json!({ "reason": "plainte" }));
    let handed_over = preview_answer(&app, &owner, &body).await;
    assert_eq!((&handed_over["action"], &handed_over["answer"]), (&json!("hand_over"), &json!("Awa arrive.")));
    for table in ["orders", "conversations", "messages", "activities", "reservations"] {
        assert_eq!(app.number(&format!("select count(*) from {table}")).await, 0, "{table}");
    }
}

#[tokio::test]
async fn a_preview_names_the_mode_and_the_prompt_that_it_tried() {
    let (groq, app, owner) = shop().await;
    groq.always(FakeReply::Text("It takes three days [1].".to_owned()));
    let question = "How long does the delivery take?";
    let (rag, sales) = (json!("Rhyme."), json!("Sell."));
    for (draft, mode, expected_mode, expected_prompt) in [
        (json!({}), Value::Null, "rag", Value::Null),
        (json!({}), json!("live"), "live", Value::Null),
        (json!({ "prompt_rag": rag }), Value::Null, "rag", json!("prompt_rag")),
        (json!({ "prompt_rag": rag, "prompt_botlive_groq_70b": sales }), Value::Null, "rag", json!("prompt_rag")),
        (json!({ "prompt_botlive_groq_70b": sales }), json!("rag"), "rag", Value::Null),
        // Groq's models are told the other sales prompt where they have none.
        (json!({ "prompt_botlive_deepseek_v3": sales }), Value::Null, "live", json!("prompt_botlive_deepseek_v3")),
        (
            json!({ "prompt_botlive_deepseek_v3": "Other.", "prompt_botlive_groq_70b": sales }),
            Value::Null,
            "live",
            json!("prompt_botlive_groq_70b"),
        ),
    ] {
        let answer = preview_answer(&app, &owner, &json!({ "question": question, "mode": mode, "draft": draft })).await;
        assert_eq!((&answer["mode"], &answer["prompt"]), (&json!(expected_mode), &expected_prompt), "{draft}");
        let asked = groq.received().last().unwrap().body.to_string();
        let is_told = |prompt: &Value| asked.contains(prompt.as_str().unwrap());
        assert_eq!(
            (is_told(&rag), is_told(&sales)),
            match expected_prompt.as_str() {
                Some("prompt_rag") => (true, false),
                Some(_) => (false, true),
                None => (false, false),
            }
        );
    }
    let body = json!({ "question": question, "mode": "shop" });
    app.post(PREVIEW).by(&owner).json(&body).await.invalid_fields(&["mode"]);
}

#[tokio::test]
async fn a_live_preview_without_a_model_answers_from_the_documents_without_a_prompt() {
    let app = App::start().await;
    let owner = app.sign_up("Comptoir Baobab").await;
    app.upload_and_process(&owner, "guide.pdf", small_pdf("The delivery takes three days.")).await;
    let draft = json!({ "prompt_botlive_groq_70b": "Sell." });
    let body = json!({ "question": "How long does the delivery take?", "draft": draft });
    let answer = preview_answer(&app, &owner, &body).await;
    assert_eq!((&answer["mode"], &answer["prompt"]), (&json!("live"), &Value::Null));
    assert!(answer["answer"].as_str().unwrap().contains("three days"), "{answer}");
    assert_eq!(app.number("select count(*) from preview_counts").await, 0, "what costs nothing is not counted");
}

#[tokio::test]
async fn a_direct_edit_in_sql_makes_a_version_whoever_makes_it() {
    let app = App::start().await;
    let owner = app.sign_up("Comptoir Baobab").await;
    let support = app.sign_up_support(&owner).await;
    let edit = async |role: &str, user: Uuid, prompt: &str| {
        let statements = format!(
            "begin; set local role {role};
             select set_config('request.jwt.claims', '{{\"sub\":\"{user}\",\"role\":\"{role}\"}}', true);
             update company_rag_configs set prompt_botlive_groq_70b = '{prompt}' where company_id = '{}';
             commit",
            owner.company_id
        );
        sqlx::raw_sql(AssertSqlSafe(statements)).execute(&mut app.admin_db().await).await.map(drop)
    };
    // The owner, through Supabase; a change to the value in force is none.
    for prompt in ["Un.", "Deux.", "Deux."] {
        edit("authenticated", owner.user_id, prompt).await.unwrap();
    }
    // A support user reads prompts and changes none. The key of the service and visitors may not touch the table.
    edit("authenticated", support.user_id, "Trois.").await.unwrap();
    for role in ["service_role", "anon"] {
        let refused = edit(role, owner.user_id, "Quatre.").await.unwrap_err().to_string();
        assert!(refused.contains("permission denied"), "{role}: {refused}");
    }
    // An operator in the SQL editor is nobody of the company.
    app.sql(&format!(
        "update company_rag_configs set prompt_botlive_deepseek_v3 = 'Cinq.' where company_id = '{}'",
        owner.company_id
    ))
    .await;
    let listed = app.get(VERSIONS).by(&owner).await.data(200);
    let changed: Vec<_> =
        listed.as_array().unwrap().iter().map(|one| json!([one["changed_by"], one["changes"]])).collect();
    let expected = [
        json!([null, [{ "field": "prompt_botlive_deepseek_v3", "before": null, "after": "Cinq." }]]),
        json!([owner.user_id, [{ "field": "prompt_botlive_groq_70b", "before": "Un.", "after": "Deux." }]]),
        json!([owner.user_id, [{ "field": "prompt_botlive_groq_70b", "before": null, "after": "Un." }]]),
    ];
    assert_eq!(changed, expected);
    // A version that a front end made is restored like any other.
    let restored = restore(&app, &owner, &listed[1]["id"], &json!({})).await.data(200);
    assert_eq!(restored["prompt_botlive_groq_70b"], "Un.");
}

#[tokio::test]
async fn of_two_golden_runs_for_two_prompts_at_once_one_prompt_is_saved() {
    let (groq, app, owner) = shop().await;
    groq.always(FakeReply::Text("It takes three days [1].".to_owned()));
    let document = app.get("/api/v1/documents").by(&owner).await.data(200)[0]["id"].clone();
    golden(&app, &owner, &json!({ "question": "How long does the delivery take?", "document_id": document })).await;
    groq.hold();
    let release = async {
        wait_until("both runs ask the model", WAIT_TIMEOUT, async || (groq.calls() == 2).then_some(())).await;
        groq.release();
    };
    let (first, second) = (json!({ "prompt_rag": "Rhyme." }), json!({ "prompt_rag": "Sing." }));
    let (one, two, ()) = tokio::join!(patch(&app, &owner, &first), patch(&app, &owner, &second), release);
    let (saved, refused, prompt) = if one.status == 200 { (one, two, "Rhyme.") } else { (two, one, "Sing.") };
    assert_eq!(saved.data(200)["prompt_rag"], prompt);
    refused.refused(409, "config_changed");
    assert_eq!(config(&app, &owner).await["prompt_rag"], prompt);
    assert_eq!(app.get(VERSIONS).by(&owner).await.data(200).as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_golden_run_that_is_out_of_date_saves_nothing() {
    let (groq, app, owner) = shop().await;
    groq.always(FakeReply::Text("It takes three days [1].".to_owned()));
    let document = app.get("/api/v1/documents").by(&owner).await.data(200)[0]["id"].clone();
    let question = json!({ "question": "How long does the delivery take?", "document_id": document });
    golden(&app, &owner, &question).await;
    // A front end changes the prompt during the run.
    groq.hold();
    let meanwhile = async {
        groq.wait_for_held_request().await;
        app.sql("update company_rag_configs set prompt_rag = 'Cite.'").await;
        groq.release();
    };
    let draft = json!({ "prompt_rag": "Rhyme." });
    let (saved, ()) = tokio::join!(patch(&app, &owner, &draft), meanwhile);
    saved.refused(409, "config_changed");
    // A colleague adds a golden question, which the run has not tried.
    groq.hold();
    let meanwhile = async {
        groq.wait_for_held_request().await;
        golden(&app, &owner, &question).await;
        groq.release();
    };
    let (saved, ()) = tokio::join!(patch(&app, &owner, &draft), meanwhile);
    saved.refused(409, "golden_questions_changed");
    assert_eq!(config(&app, &owner).await["prompt_rag"], "Cite.");
    let tried = "select count(*) from golden_questions where last_run_at is not null";
    assert_eq!(app.number(tried).await, 0, "no result of a run that saved nothing");
    patch(&app, &owner, &draft).await.data(200);
    assert_eq!(app.number(tried).await, 2);
}

#[tokio::test]
async fn the_days_questions_of_previews_are_not_exceeded_by_runs_at_once() {
    let (groq, app, owner) = shop().await;
    groq.always(FakeReply::Text("It takes three days [1].".to_owned()));
    let document = app.get("/api/v1/documents").by(&owner).await.data(200)[0]["id"].clone();
    for _ in 0..3 {
        golden(&app, &owner, &json!({ "question": "How long does the delivery take?", "document_id": document })).await;
    }
    let counted = "select coalesce(max(questions), 0)::bigint from preview_counts";
    let run = json!({ "golden": true });
    app.post(PREVIEW).by(&owner).json(&run).await.data(200);
    assert_eq!(app.number(counted).await, 3);
    // A draft that passes is not compared with the configuration in force: what was counted for it is given back.
    let drafted = json!({ "golden": true, "draft": { "prompt_rag": "Rhyme." } });
    app.post(PREVIEW).by(&owner).json(&drafted).await.data(200);
    assert_eq!(app.number(counted).await, 6);
    app.sql("update preview_counts set questions = 294").await;
    let asked = groq.calls();
    let runs = join_all((0..5).map(|_| async { app.post(PREVIEW).by(&owner).json(&run).await })).await;
    let mut statuses: Vec<_> = runs.iter().map(|run| run.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 200, 429, 429, 429]);
    assert_eq!((app.number(counted).await, groq.calls() - asked), (300, 6));
    // A refused run asks no model, and so does a refused save.
    patch(&app, &owner, &json!({ "prompt_rag": "Rhyme." })).await.refused(429, "preview_limit");
    assert_eq!(groq.calls() - asked, 6);
    // Another company has its own number, and the next day begins anew.
    let other = app.sign_up("Chez Koffi").await;
    let question = json!({ "question": "How long does the delivery take?" });
    app.post(PREVIEW).by(&other).json(&question).await.data(200);
    app.sql("update preview_counts set day = day - 1").await;
    app.post(PREVIEW).by(&owner).json(&run).await.data(200);
    let of_today = format!("select questions::bigint from preview_counts where customer_id = '{}'", owner.customer_id);
    assert_eq!(app.number(&of_today).await, 3);
}

#[tokio::test]
async fn a_golden_run_repeated_by_another_company_or_after_a_deletion_tells_only_what_stands() {
    let app = App::start().await;
    let owner = app.sign_up("Comptoir Baobab").await;
    let other = app.sign_up("Chez Koffi").await;
    let document = app.upload_and_process(&owner, "guide.pdf", small_pdf("The delivery takes three days.")).await;
    let question = "How long does the delivery take?";
    golden(&app, &owner, &json!({ "question": question, "document_id": document })).await;
    let run = async |user: &TenantUser| {
        app.post(PREVIEW).by(user).json(&json!({ "golden": true })).await.data(200)["golden"].clone()
    };
    let first = run(&owner).await;
    assert_eq!((&first["passed"], &first["results"][0]["question"]), (&json!(1), &json!(question)));
    assert_eq!(run(&owner).await, first, "a repetition");
    let nothing = json!({ "passed": 0, "failed": 0, "regressions": 0, "results": [] });
    assert_eq!(run(&other).await, nothing, "another company's questions are not asked");

    // A newer version of the document takes its place, also in the golden question.
    let newer = app.upload_and_process(&owner, "guide.pdf", small_pdf("The delivery takes four days.")).await;
    let replaces = json!({ "replaces": document });
    app.post(&format!("/api/v1/documents/{newer}/replace")).by(&owner).json(&replaces).await.data(200);
    let listed = app.get(GOLDEN).by(&owner).await.data(200);
    assert_eq!(listed[0]["document_id"], newer.to_string());
    assert_eq!(run(&owner).await["passed"], 1);
    app.delete(&format!("/api/v1/documents/{newer}")).by(&owner).await.no_content();
    assert_eq!(run(&owner).await, nothing, "the expected document is gone");
}
