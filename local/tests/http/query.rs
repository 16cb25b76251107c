//! POST /api/v1/query: quota, validation, refusals and the choice of documents.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::support::{App, TenantUser, pdf, repository_file, small_pdf};

const QUERY: &str = "/api/v1/query";

async fn free_quota_used(app: &App, tenant: &TenantUser) -> Value {
    app.get("/api/v1/quota/status").by(tenant).await.data(200)["free_quota_used"].clone()
}

#[tokio::test]
async fn two_hundred_concurrent_questions_use_exactly_the_remaining_quota() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    app.upload_and_process(&tenant, "guide.pdf", small_pdf("The delivery takes three days.")).await;
    let mut calls = JoinSet::new();
    for _ in 0..200 {
        calls.spawn(app.ask(&tenant, "How long does the delivery take?").into_future());
    }
    let mut statuses = BTreeMap::new();
    let mut units = Vec::new();
    for answer in calls.join_all().await {
        *statuses.entry(answer.status).or_insert(0) += 1;
        if answer.status == 200 {
            let data = answer.data(200);
            assert_eq!(data["answered"], true);
            units.push(data["quota"]["free_quota_used"].as_i64().unwrap());
        } else {
            let details = answer.refused(402, "quota_exceeded");
            assert_eq!((&details["free_quota_used"], &details["state"]), (&json!(8), &json!("blocked")));
        }
    }
    assert_eq!(statuses, BTreeMap::from([(200, 8), (402, 192)]));
    units.sort_unstable();
    assert_eq!(units, [1, 2, 3, 4, 5, 6, 7, 8], "each unit is taken once");
    assert_eq!(free_quota_used(&app, &tenant).await, 8);
    assert_eq!(app.number("select count(*) from reservations where state = 'spent'").await, 8);
    assert_eq!(app.number("select count(*) from reservations").await, 8);
}

#[tokio::test]
async fn an_internal_error_refunds_the_question_and_reveals_nothing() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    app.upload_and_process(&tenant, "guide.pdf", small_pdf("The delivery takes three days.")).await;
    for (sabotage, repair) in [
        (
            "alter table document_chunks rename column embedding to lost",
            "alter table document_chunks rename column lost to embedding",
        ),
        (
            "revoke execute on function app.search_chunks(text, text, text, uuid[], integer) from lisa_tenant",
            "grant execute on function app.search_chunks(text, text, text, uuid[], integer) to lisa_tenant",
        ),
    ] {
        app.sql(sabotage).await;
        let answer = app.ask(&tenant, "How long does the delivery take?").await;
        let text = answer.text.to_lowercase();
        for inside in ["embedding", "column", "chunk", "permission", "postgres", "sql", "select", "panic"] {
            assert!(!text.contains(inside), "{inside}: {text}");
        }
        assert_eq!(answer.refused(500, "internal"), Value::Null);
        assert_eq!(free_quota_used(&app, &tenant).await, 0, "the unit came back");
        app.sql(repair).await;
    }
    assert_eq!(app.number("select count(*) from reservations where state = 'returned'").await, 2);
    app.ask(&tenant, "How long does the delivery take?").await.data(200);
    assert_eq!(free_quota_used(&app, &tenant).await, 1);
}

#[tokio::test]
async fn an_invalid_question_is_refused_and_costs_nothing() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let ask = async |body: &Value| app.post(QUERY).by(&tenant).json(body).await;
    for (field, value) in [
        ("question", json!("")),
        ("question", json!("  \n\t ")),
        ("question", json!("\u{0}\u{1}")),
        ("question", json!("é".repeat(10_001))),
        ("question", json!(null)),
        ("question", json!(42)),
        ("question", json!(["Combien ?"])),
        ("top_k", json!(0)),
        ("top_k", json!(21)),
        ("top_k", json!(-1)),
        ("top_k", json!(256)),
        ("top_k", json!("5")),
        ("document_ids", json!([])),
        ("document_ids", json!("all")),
        ("document_ids[0]", json!(["x"])),
        ("document_ids[1]", json!([Uuid::new_v4(), 7])),
        ("document_ids", json!(vec![Uuid::new_v4(); 101])),
        ("conversation_id", json!("x")),
    ] {
        let mut body = json!({ "question": "Combien ?" });
        body[field.split('[').next().unwrap()] = value;
        let answer = ask(&body).await;
        assert_eq!(answer.status, 422, "{field}: {}", answer.text);
        answer.invalid_fields(&[field]);
    }
    ask(&json!({ "top_k": 5 })).await.invalid_fields(&["question"]);
    let several = json!({ "question": "Combien ?", "top_k": 0, "document_ids": [] });
    ask(&several).await.invalid_fields(&["top_k", "document_ids"]);
    app.post(QUERY).by(&tenant).raw_json(r#"{"question":"#).await.refused(400, "malformed_json");
    app.post(QUERY).by(&tenant).body("text/plain", "Combien ?").await.refused(415, "unsupported_media_type");
    let huge = json!({ "question": "x".repeat(300_000) });
    ask(&huge).await.refused(413, "payload_too_large");

    ask(&json!({ "question": "Combien ?", "conversation_id": Uuid::new_v4() })).await.refused(404, "not_found");
    ask(&json!({ "question": "Combien ?", "document_ids": [Uuid::new_v4()] })).await.refused(404, "not_found");
    assert_eq!(free_quota_used(&app, &tenant).await, 0);
    ask(&json!({ "question": "é".repeat(10_000), "top_k": 20, "conversation_id": null })).await.data(200);
}

#[tokio::test]
async fn nul_characters_and_lone_surrogates_cause_no_internal_error() {
    let app = App::with_settings(&[("FREE_QUOTA_LIMIT", "100")]).await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    app.upload_and_process(&tenant, "guide.pdf", small_pdf("The delivery takes three days.")).await;
    let raw =
        async |question: &str| app.post(QUERY).by(&tenant).raw_json(format!(r#"{{"question":"{question}"}}"#)).await;
    let answer = raw(r"How long does\u0000 the delivery take?\u0007\uffff\ufdd0").await.data(200);
    assert_eq!(answer["answered"], true, "what nobody can see is left out");
    for lone in [r"\ud800", r"\udc00", r"\ud83d delivery", r"\ude00\ud83d"] {
        raw(&format!("How long does the delivery take? {lone}")).await.refused(400, "malformed_json");
    }
    raw(r"\ud83d\ude9a delivery?").await.data(200);
    // Operators of full-text search, LIKE patterns, templates and SQL are plain text in a question.
    for odd in ["' & | ! ( ) :* <-> \\\\", "%_\\\\%", "{{7*7}} ${x}", "';drop table documents;--", "?", "∞ 🚚 \u{202e}"]
    {
        let answer = raw(odd).await;
        assert_eq!(answer.status, 200, "{odd}: {}", answer.text);
    }
}

#[tokio::test]
async fn a_question_without_an_answer_in_the_documents_counts_against_the_quota() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let refusals = [
        ("Quelle est la capitale de la Mongolie ?", "Je n’ai pas trouvé la réponse dans les documents."),
        ("What is the capital of Mongolia?", "I could not find the answer in the documents."),
    ];
    for round in 0..2 {
        for (question, sentence) in refusals {
            let answer = app.ask(&tenant, question).await.data(200);
            assert_eq!((&answer["answered"], &answer["citations"]), (&json!(false), &json!([])), "{answer}");
            assert!(answer["answer"].as_str().unwrap().starts_with(sentence), "{answer}");
        }
        if round == 0 {
            app.upload_and_process(&tenant, "guide.pdf", small_pdf("The delivery takes three days.")).await;
        }
    }
    assert_eq!(free_quota_used(&app, &tenant).await, 4);
}

#[tokio::test]
async fn courtesies_are_answered_at_no_cost_and_stored_nowhere() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let file = String::from_utf8(repository_file("local/fixtures/field/manychat/courtesy.jsonl")).unwrap();
    let mut used = 0;
    for line in file.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let is_question = case["spends_a_unit"] == true;
        let answer = app.ask(&tenant, case["text"].as_str().unwrap()).await.data(200);
        used += i64::from(is_question);
        assert_eq!(answer["quota"]["free_quota_used"], used, "{line}");
        assert_eq!(
            (&answer["answered"], answer["model"] == "courtesy"),
            (&json!(!is_question), !is_question),
            "{answer}"
        );
        assert_eq!(answer["conversation_id"].is_null(), !is_question, "{answer}");
    }
    assert_eq!(used, 3);
    assert_eq!(free_quota_used(&app, &tenant).await, 3);
    assert_eq!(app.number("select count(*) from reservations").await, 3);
    assert_eq!(app.number("select count(*) from messages").await, 6);
    assert_eq!(app.number("select count(*) from unanswered").await, 3);

    // With a used-up quota, a greeting is still answered, by the company's present name.
    app.sql("update user_settings set free_quota_used = free_quota_limit").await;
    app.sql("update customers set name = 'Le Baobab'").await;
    let greeted = app.ask(&tenant, "Hello!").await.data(200);
    assert_eq!(
        greeted["answer"],
        "Hello! I am Lisa, the virtual assistant of Le Baobab. Ask your question, and I will look for the answer in the \
         documents."
    );
    app.ask(&tenant, "Hello, do you deliver?").await.refused(402, "quota_exceeded");
    // What the request names is still looked for.
    let unknown = json!({ "question": "Merci", "conversation_id": Uuid::new_v4() });
    app.post(QUERY).by(&tenant).json(&unknown).await.refused(404, "not_found");

    let streamed = app.post("/api/v1/query/stream").by(&tenant).json(&json!({ "question": "Merci !" })).stream().await;
    let mut stream = streamed.unwrap();
    assert_eq!(stream.expect_event("citations").await, json!({ "citations": [] }));
    let (text, done) = stream.read_to_end().await;
    assert_eq!((text.as_str(), done.name.as_str()), ("Avec plaisir !", "done"));
    assert_eq!((&done.data["answer"], &done.data["model"]), (&json!("Avec plaisir !"), &json!("courtesy")));
    assert_eq!(app.number("select count(*) from reservations").await, 3);
}

#[tokio::test]
async fn a_yes_or_no_to_nothing_costs_nothing_and_one_to_a_question_is_asked() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    for text in ["oui", "Ok", "Non merci", "yes please"] {
        let answer = app.ask(&tenant, text).await.data(200);
        assert_eq!((&answer["model"], &answer["conversation_id"]), (&json!("courtesy"), &Value::Null), "{text}");
    }
    assert_eq!(app.number("select count(*) from reservations").await, 0);

    let conversation = app.ask(&tenant, "Vous livrez ?").await.data(200)["conversation_id"].clone();
    let body = json!({ "question": "oui", "conversation_id": conversation });
    let ask = || app.post(QUERY).by(&tenant).header("idempotency-key", "one").json(&body);
    assert_eq!(ask().await.data(200)["model"], "courtesy", "nothing was found, whatever the bot says about it");
    assert_eq!(free_quota_used(&app, &tenant).await, 1);
    assert_eq!(app.number("select count(*) from unanswered").await, 1);
    app.sql("update messages set content = 'Oui, partout.', answered = true where direction = 'outbound'").await;
    assert_eq!(ask().await.data(200)["model"], "courtesy", "the answer asked nothing");
    app.sql("update messages set content = 'Voulez-vous connaître les délais ?' where direction = 'outbound'").await;
    let answer = ask().await.data(200);
    assert_ne!(answer["model"], "courtesy");
    assert_eq!(free_quota_used(&app, &tenant).await, 2);
    // The repetition of an answered request is none of nothing.
    assert_eq!(ask().await.data(200), answer);
    assert_eq!(free_quota_used(&app, &tenant).await, 2);
}

#[tokio::test]
async fn the_not_found_text_has_the_companys_language_where_the_questions_is_uncertain() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let (french, english) = ("Je n’ai pas trouvé", "I could not find");
    let cases = |uncertain| [("prix attiéké svp", french), ("attiéké", uncertain), ("attiéké price please", english)];
    for (language, uncertain) in [("fr", french), ("en", english)] {
        app.sql(&format!("update company_rag_configs set language = '{language}'")).await;
        for (question, sentence) in cases(uncertain) {
            let answer = app.ask(&tenant, question).await.data(200);
            assert!(answer["answer"].as_str().unwrap().starts_with(sentence), "{question}: {answer}");
        }
    }
}

#[tokio::test]
async fn documents_of_another_tenant_are_never_cited() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let other = app.sign_up("Chez Koffi").await;
    let question = "How long does the delivery take?";
    let theirs = app.upload_and_process(&other, "theirs.pdf", small_pdf("The delivery takes nine days.")).await;
    let answer = app.ask(&tenant, question).await.data(200);
    assert_eq!((&answer["answered"], &answer["citations"]), (&json!(false), &json!([])));

    let ours = app.upload_and_process(&tenant, "ours.pdf", small_pdf("The delivery takes three days.")).await;
    for top_k in [1, 20] {
        let answer = app.post(QUERY).by(&tenant).json(&json!({ "question": question, "top_k": top_k })).await.data(200);
        assert!(answer["answer"].as_str().unwrap().contains("three days"), "{answer}");
        for citation in answer["citations"].as_array().unwrap() {
            assert_eq!(citation["document_id"], ours.to_string());
        }
    }
    // A foreign document id is not found, alone or beside an own one, like an id that does not exist.
    for documents in [vec![theirs], vec![ours, theirs], vec![ours, Uuid::new_v4()]] {
        let body = json!({ "question": question, "document_ids": documents });
        app.post(QUERY).by(&tenant).json(&body).await.refused(404, "not_found");
    }
}

#[tokio::test]
async fn an_answer_cites_only_the_requested_documents() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let old = app.upload_and_process(&tenant, "old.pdf", small_pdf("The delivery to Bouake takes nine days.")).await;
    let pages = ["Welcome to our shop.".to_owned(), "The delivery to Bouake takes three days.".to_owned()];
    let new = app.upload_and_process(&tenant, "new.pdf", pdf(&pages)).await;
    for (documents, words, page) in
        [(vec![old], "nine days", 1), (vec![new], "three days", 2), (vec![new, new], "three days", 2)]
    {
        let body = json!({ "question": "How long does the delivery to Bouake take?", "document_ids": documents });
        let answer = app.post(QUERY).by(&tenant).json(&body).await.data(200);
        assert!(answer["answer"].as_str().unwrap().contains(words), "{answer}");
        for citation in answer["citations"].as_array().unwrap() {
            assert_eq!((&citation["document_id"], &citation["page"]), (&json!(documents[0]), &json!(page)));
        }
    }
}

#[tokio::test]
async fn a_document_that_is_not_processed_yet_is_not_cited() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let id = app.upload_and_process(&tenant, "guide.pdf", small_pdf("The delivery takes three days.")).await;
    app.sql("update documents set status = 'pending'").await;
    let answer = app.ask(&tenant, "How long does the delivery take?").await.data(200);
    assert_eq!((&answer["answered"], &answer["citations"]), (&json!(false), &json!([])));
    let body = json!({ "question": "How long does the delivery take?", "document_ids": [id] });
    assert_eq!(app.post(QUERY).by(&tenant).json(&body).await.data(200)["answered"], false);
}
