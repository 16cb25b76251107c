//! POST /api/v1/query with models at fake providers: their answers, their failures, and the costs in quota.

mod chat;
mod embeddings;
mod failures;
mod injection;
mod rule_based;

use std::time::{Duration, Instant};

use local::fakes::models::{FakeModels, FakeReply};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::support::{App, TenantUser, TestResponse, small_pdf};

const QUESTION: &str = "How long does the delivery take?";
const TEXT: &str = "The delivery takes three days. The warranty lasts two years.";

/// A running app that uses fake model servers, and a tenant with one document.
struct ModelFixture {
    app: App,
    tenant: TenantUser,
}

impl ModelFixture {
    async fn new(settings: &[(&str, &str)]) -> Self {
        let app = App::with_settings(settings).await;
        let tenant = app.sign_up("Comptoir Baobab").await;
        app.sql("update user_settings set free_quota_limit = 1000").await;
        app.upload_and_process(&tenant, "guide.pdf", small_pdf(TEXT)).await;
        Self { app, tenant }
    }

    async fn with_groq(groq: &FakeModels) -> Self {
        Self::with_provider("groq", "GROQ", groq).await
    }

    async fn with_provider(name: &str, prefix: &str, server: &FakeModels) -> Self {
        let [key, models, url] = ["API_KEY", "MODELS", "BASE_URL"].map(|setting| format!("{prefix}_{setting}"));
        let base_url = server.base_url();
        Self::new(&[("LLM_PROVIDER", name), (&key, "test-key"), (&models, "small-model"), (&url, &base_url)]).await
    }

    async fn ask(&self) -> TestResponse {
        self.app.ask(&self.tenant, QUESTION).await
    }

    async fn free_quota_used(&self) -> Value {
        self.app.get("/api/v1/quota/status").by(&self.tenant).await.data(200)["free_quota_used"].clone()
    }
}

#[tokio::test]
async fn a_model_answers_from_numbered_passages_and_its_citations_are_checked() {
    for (name, prefix, path) in [
        ("groq", "GROQ", "/chat/completions"),
        ("deepseek", "DEEPSEEK", "/chat/completions"),
        ("openai", "OPENAI", "/chat/completions"),
        ("gemini", "GEMINI", "/models/small-model:generateContent"),
        ("anthropic", "ANTHROPIC", "/v1/messages"),
    ] {
        let server = FakeModels::start().await.unwrap();
        let fixture = ModelFixture::with_provider(name, prefix, &server).await;
        server.reply_text("It takes three days [1][7].");

        let data = fixture.ask().await.data(200);

        assert_eq!(data["answer"], "It takes three days [1].", "{name}");
        assert_eq!((&data["answered"], &data["model"]), (&json!(true), &json!("small-model")));
        assert_eq!(data["usage"], json!({ "prompt_tokens": 120, "completion_tokens": 30 }), "{name}");
        assert_eq!(data["citations"].as_array().unwrap().len(), 1);
        assert_eq!(data["citations"][0]["snippet"], "The delivery takes three days.");
        let asked = &server.received()[0];
        assert_eq!(asked.path, path);
        let key = ["authorization", "x-goog-api-key", "x-api-key"].into_iter().find_map(|name| asked.headers.get(name));
        assert!(key.unwrap().to_str().unwrap().ends_with("test-key"), "{name}");
        let body = asked.body.to_string();
        assert!(body.contains("passage 1\\n") && body.contains(TEXT) && body.contains(QUESTION), "{body}");
    }
}

#[tokio::test]
async fn a_question_without_an_answer_in_the_documents_gets_the_not_found_sentence() {
    let groq = FakeModels::start().await.unwrap();
    let fixture = ModelFixture::with_groq(&groq).await;
    for said in ["NOT_IN_DOCUMENTS", "The capital of Mongolia is Ulaanbaatar.", "Of course: 42 [9]."] {
        groq.reply_text(said);
        let data = fixture.ask().await.data(200);
        assert_eq!((&data["answered"], &data["citations"]), (&json!(false), &json!([])), "{said}");
        assert_eq!(
            data["answer"],
            "I could not find the answer in the documents. Could you be more specific, or ask a person of the team?"
        );
    }
}

#[tokio::test]
async fn a_transient_failure_is_retried_and_the_question_costs_one_request() {
    for (name, prefix) in [("groq", "GROQ"), ("gemini", "GEMINI"), ("anthropic", "ANTHROPIC")] {
        let server = FakeModels::start().await.unwrap();
        let fixture = ModelFixture::with_provider(name, prefix, &server).await;
        for (used, failure) in [
            FakeReply::Refused { status: 429, retry_after_s: Some(0) },
            FakeReply::Refused { status: 503, retry_after_s: None },
            FakeReply::Refused { status: 529, retry_after_s: None },
            FakeReply::Empty,
            FakeReply::NotJson,
            FakeReply::Tool { name: "rm_rf".to_owned(), arguments: "{".to_owned() },
        ]
        .into_iter()
        .enumerate()
        {
            let before = server.calls();
            server.reply(failure.clone());
            fixture.ask().await.data(200);
            assert_eq!(server.calls() - before, 2, "{name}: {failure:?}");
            assert_eq!(fixture.free_quota_used().await, used + 1);
        }
    }
}

/// Asserts that the answer is the apology for `why`, names no model and belongs to no conversation.
pub(super) fn assert_apology(answer: TestResponse, why: &str) {
    let data = answer.data(200);
    let said = data["answer"].as_str().unwrap();
    assert!(said.starts_with("Sorry, I cannot answer") && said.contains(why), "{said}");
    assert_eq!((&data["answered"], &data["citations"], &data["model"]), (&json!(false), &json!([]), &json!("none")));
    assert_eq!(data["conversation_id"], json!(null));
}

#[tokio::test]
async fn an_idempotency_key_can_be_reused_when_no_model_answered() {
    let groq = FakeModels::start().await.unwrap();
    let fixture = ModelFixture::with_groq(&groq).await;
    let ask = || {
        let call = fixture.app.post("/api/v1/query").by(&fixture.tenant).header("idempotency-key", "once");
        call.json(&json!({ "question": QUESTION }))
    };
    groq.fail(401);
    let answer = ask().await;
    assert!(answer.text.contains(r#""free_quota_used":0"#), "{}", answer.text);
    assert_apology(answer, "right now");
    assert_eq!(ask().await.data(200)["answered"], true);
    assert_eq!((fixture.free_quota_used().await, groq.calls()), (json!(1), 2));
    assert_eq!(fixture.app.number("select count(*) from messages").await, 2, "what was not answered is not kept");
    let conversation = ask().await.data(200)["conversation_id"].clone();
    groq.fail(401);
    let more = json!({ "question": QUESTION, "conversation_id": conversation });
    let data = fixture.app.post("/api/v1/query").by(&fixture.tenant).json(&more).await.data(200);
    assert_eq!((&data["conversation_id"], &data["answered"]), (&conversation, &json!(false)));
}

#[tokio::test]
async fn a_very_long_model_answer_is_truncated_and_costs_one_request() {
    let groq = FakeModels::start().await.unwrap();
    let fixture = ModelFixture::with_groq(&groq).await;
    groq.reply_text(&format!("It takes three days [1]. {}", "Really. ".repeat(4_000)));
    let data = fixture.ask().await.data(200);
    let length = data["answer"].as_str().unwrap().chars().count();
    assert!(data["answered"] == true && (15_000..=16_000).contains(&length), "{length}");
    assert_eq!(fixture.free_quota_used().await, 1);
}

#[tokio::test]
async fn a_permanent_failure_is_not_retried_and_costs_nothing() {
    for (name, prefix) in [("groq", "GROQ"), ("gemini", "GEMINI"), ("anthropic", "ANTHROPIC")] {
        let server = FakeModels::start().await.unwrap();
        let fixture = ModelFixture::with_provider(name, prefix, &server).await;
        // More failures than would open the circuit, if refusals for the request's own fault counted.
        for status in [400, 404, 413, 422, 400, 404, 401, 402, 403] {
            let before = server.calls();
            server.fail(status);
            let answer = fixture.ask().await;
            assert!(!answer.text.contains("test-key") && !answer.text.contains("small-model"), "{}", answer.text);
            assert_apology(answer, "right now");
            assert_eq!(server.calls() - before, 1, "{name}: {status}");
        }
        let before = server.calls();
        server.reply(FakeReply::Refused { status: 429, retry_after_s: Some(60) });
        assert_apology(fixture.ask().await, "right now");
        server.reply(FakeReply::Blocked);
        assert_apology(fixture.ask().await, "this question");
        assert_eq!(server.calls() - before, 2);
        assert_eq!(fixture.free_quota_used().await, 0);
    }
}

#[tokio::test]
async fn when_one_model_fails_the_next_in_the_chain_answers() {
    let (gemini, groq) = (FakeModels::start().await.unwrap(), FakeModels::start().await.unwrap());
    let fixture = ModelFixture::new(&[
        ("LLM_PROVIDER", "gemini"),
        ("LLM_FALLBACKS", "groq,extractive"),
        ("LLM_CALL_TIMEOUT_S", "1"),
        ("GEMINI_API_KEY", "a"),
        ("GEMINI_MODELS", "first,second"),
        ("GEMINI_BASE_URL", &gemini.base_url()),
        ("GROQ_API_KEY", "b"),
        ("GROQ_MODELS", "third"),
        ("GROQ_BASE_URL", &groq.base_url()),
    ])
    .await;
    let answering_model = async |failures: &[FakeReply], more: &[FakeReply]| {
        failures.iter().for_each(|failure| gemini.reply(failure.clone()));
        more.iter().for_each(|failure| groq.reply(failure.clone()));
        let data = fixture.ask().await.data(200);
        assert_eq!(data["answered"], true);
        data["model"].clone()
    };
    let no_key = [FakeReply::Refused { status: 403, retry_after_s: None }];

    assert_eq!(answering_model(&[FakeReply::PerDay], &[]).await, "second", "a quota is a model's own");
    assert_eq!(answering_model(&[FakeReply::Hang], &[]).await, "second", "what hangs is not waited for again");
    assert_eq!(answering_model(&no_key, &[]).await, "third", "a key is the provider's");
    assert_eq!(answering_model(&no_key, &no_key).await, "extractive-1", "and the last needs none");
    assert_eq!((gemini.calls(), groq.calls()), (6, 2));
    assert_eq!(fixture.free_quota_used().await, 4);
}

#[tokio::test]
async fn a_hanging_provider_ends_in_an_apology_before_the_gateway_times_out() {
    let groq = FakeModels::start().await.unwrap();
    let base_url = groq.base_url();
    let fixture = ModelFixture::new(&[
        ("LLM_PROVIDER", "groq"),
        ("LLM_CALL_TIMEOUT_S", "1"),
        ("GROQ_API_KEY", "k"),
        ("GROQ_MODELS", "only-model"),
        ("GROQ_BASE_URL", &base_url),
    ])
    .await;
    groq.reply(FakeReply::Hang);
    let started = Instant::now();
    assert_apology(fixture.ask().await, "right now");
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    assert_eq!(fixture.free_quota_used().await, 0);
    fixture.ask().await.data(200);
}

#[tokio::test]
async fn a_request_stays_reserved_during_the_model_call() {
    let groq = FakeModels::start().await.unwrap();
    let fixture = ModelFixture::with_groq(&groq).await;
    groq.hold();
    let mut calls = JoinSet::new();
    calls.spawn(fixture.app.ask(&fixture.tenant, QUESTION).into_future());
    groq.wait_for_held_request().await;
    assert_eq!(fixture.app.number("select count(*) from reservations where state = 'held'").await, 1);
    groq.release();
    calls.join_next().await.unwrap().unwrap().data(200);
    assert_eq!(fixture.app.number("select count(*) from reservations where state = 'spent'").await, 1);
    assert_eq!(groq.calls(), 1);
}

#[tokio::test]
async fn a_provider_with_an_open_circuit_is_skipped_unless_all_circuits_are_open() {
    let (groq, deepseek) = (FakeModels::start().await.unwrap(), FakeModels::start().await.unwrap());
    let fixture = ModelFixture::new(&[
        ("LLM_PROVIDER", "groq"),
        ("LLM_FALLBACKS", "deepseek"),
        ("GROQ_API_KEY", "a"),
        ("GROQ_MODELS", "first"),
        ("GROQ_BASE_URL", &groq.base_url()),
        ("DEEPSEEK_API_KEY", "b"),
        ("DEEPSEEK_MODELS", "second"),
        ("DEEPSEEK_BASE_URL", &deepseek.base_url()),
    ])
    .await;
    groq.always(FakeReply::Refused { status: 500, retry_after_s: Some(0) });
    for _ in 0..5 {
        assert_eq!(fixture.ask().await.data(200)["model"], "second");
    }
    // The first question makes three attempts. The next two failures open the circuit, and the third attempt of the
    // second question starts before the circuit is checked.
    assert_eq!((groq.calls(), deepseek.calls()), (6, 5));
    deepseek.always(FakeReply::Refused { status: 401, retry_after_s: None });
    groq.always(FakeReply::Text("Three days [1].".to_owned()));
    for _ in 0..5 {
        assert_apology(fixture.ask().await, "right now");
    }
    assert_eq!(fixture.ask().await.data(200)["model"], "first", "both circuits are open: they are asked all the same");
}

#[tokio::test]
async fn a_truncated_model_text_ends_at_a_sentence() {
    for (name, prefix) in [("groq", "GROQ"), ("gemini", "GEMINI"), ("anthropic", "ANTHROPIC")] {
        let server = FakeModels::start().await.unwrap();
        let fixture = ModelFixture::with_provider(name, prefix, &server).await;
        for (said, answer) in [
            ("It takes three days [1]. The warran", "It takes three days [1]."),
            ("It takes three days [1]. [9", "It takes three days [1]."),
            ("The delivery takes three days [1", "The delivery takes three days…"),
        ] {
            server.reply(FakeReply::Truncated(said.to_owned()));
            assert_eq!(fixture.ask().await.data(200)["answer"], answer, "{name}");
        }
        server.reply_text("It takes three days [1], the delivery [9");
        assert_eq!(fixture.ask().await.data(200)["answer"], "It takes three days [1], the delivery", "{name}");
    }
}

#[tokio::test]
async fn documents_and_questions_are_embedded_by_the_configured_model() {
    for (name, prefix, model, dimensions) in
        [("gemini", "GEMINI", "g-embed", None), ("openai", "OPENAI", "minilm", Some(384))]
    {
        let server = FakeModels::start().await.unwrap();
        if let Some(dimensions) = dimensions {
            server.set_dimensions(dimensions);
        }
        let base_url = server.base_url();
        let [key, url] = ["API_KEY", "BASE_URL"].map(|setting| format!("{prefix}_{setting}"));
        let fixture = ModelFixture::new(&[
            ("EMBEDDING_PROVIDER", name),
            ("LLM_PROVIDER", "extractive"),
            ("EMBEDDING_MODEL", model),
            (&key, "test-key"),
            (&url, &base_url),
        ])
        .await;
        assert_eq!(fixture.ask().await.data(200)["answered"], true);
        let stored = format!("select count(*) from document_chunks where embedding_model = '{name}:{model}'");
        assert_eq!(fixture.app.number(&stored).await, 1);
        assert_eq!(server.calls(), 2, "one for the document, one for the question");

        // Without a vector of the question, full-text search still finds the passage.
        server.set_dimensions(3072);
        let data = fixture.ask().await.data(200);
        assert_eq!((&data["answered"], &data["citations"][0]["page"]), (&json!(true), &json!(1)));
        server.fail(500);
        assert_eq!(fixture.ask().await.data(200)["answered"], true);
        // Full-text search that finds nothing does not prove that the documents lack the answer.
        let used = fixture.free_quota_used().await;
        assert_apology(fixture.app.ask(&fixture.tenant, "Who repairs umbrellas?").await, "right now");
        assert_eq!(fixture.free_quota_used().await, used);
    }
}
