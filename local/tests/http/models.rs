//! Answers by models, through POST /api/v1/query: what goes wrong at a provider, and what is left of it here.

use local::fakes::models::{FakeModels, Reply};
use serde_json::{Value, json};

use super::support::{Answer, App, Tenant, small_pdf};

const QUESTION: &str = "How long does the delivery take?";
const TEXT: &str = "The delivery takes three days. The warranty lasts two years.";

/// A product whose models are the servers given, with a tenant that has one document.
struct Scene {
    app: App,
    tenant: Tenant,
}

impl Scene {
    async fn new(settings: &[(&str, &str)]) -> Self {
        let app = App::with(settings).await;
        let tenant = app.sign_up("Comptoir Baobab").await;
        app.learn(&tenant, "guide.pdf", small_pdf(TEXT)).await;
        Self { app, tenant }
    }

    async fn groq(groq: &FakeModels) -> Self {
        Self::new(&[
            ("LLM_PROVIDER", "groq"),
            ("GROQ_API_KEY", "gsk_test"),
            ("GROQ_MODELS", "small-model"),
            ("GROQ_BASE_URL", &groq.base_url()),
        ])
        .await
    }

    async fn ask(&self) -> Answer {
        self.app.ask(&self.tenant, QUESTION).await
    }

    async fn used(&self) -> Value {
        self.app.get("/api/v1/quota/status").by(&self.tenant).await.data(200)["free_quota_used"].clone()
    }
}

#[tokio::test]
async fn a_model_answers_from_numbered_passages_and_its_citations_are_checked() {
    let groq = FakeModels::start().await.unwrap();
    let scene = Scene::groq(&groq).await;
    groq.reply_text("It takes **three days** [1][7].");

    let data = scene.ask().await.data(200);

    assert_eq!(data["answer"], "It takes **three days** [1].");
    assert_eq!((&data["answered"], &data["model"]), (&json!(true), &json!("small-model")));
    assert_eq!(data["usage"], json!({ "prompt_tokens": 120, "completion_tokens": 30 }));
    assert_eq!(data["citations"].as_array().unwrap().len(), 1);
    assert_eq!(data["citations"][0]["snippet"], "The delivery takes three days.");
    let asked = &groq.received()[0];
    assert_eq!(asked.path, "/chat/completions");
    assert_eq!(asked.headers["authorization"], "Bearer gsk_test");
    assert_eq!(asked.body["model"], "small-model");
    let last = asked.body["messages"].as_array().unwrap().last().unwrap()["content"].as_str().unwrap();
    assert!(last.contains("passage 1\n") && last.contains(TEXT) && last.ends_with(QUESTION), "{last}");
}

#[tokio::test]
async fn what_the_documents_do_not_say_is_said_plainly() {
    let groq = FakeModels::start().await.unwrap();
    let scene = Scene::groq(&groq).await;
    for said in ["NOT_IN_DOCUMENTS", "The capital of Mongolia is Ulaanbaatar.", "Of course: 42 [9]."] {
        groq.reply_text(said);
        let data = scene.ask().await.data(200);
        assert_eq!((&data["answered"], &data["citations"]), (&json!(false), &json!([])), "{said}");
        assert_eq!(data["answer"], "I could not find the answer in the documents. Could you be more specific?");
    }
}

#[tokio::test]
async fn a_failure_that_passes_is_tried_again_and_costs_one_unit() {
    let groq = FakeModels::start().await.unwrap();
    let scene = Scene::groq(&groq).await;
    for (used, failure) in [
        Reply::Status { status: 429, body: Value::Null, retry_after_s: Some(0) },
        Reply::Status { status: 503, body: Value::Null, retry_after_s: None },
        Reply::Empty,
        Reply::NotJson,
        Reply::OtherJson,
        Reply::Tool { name: "rm_rf".to_owned(), arguments: "{".to_owned() },
    ]
    .into_iter()
    .enumerate()
    {
        let before = groq.calls();
        groq.reply(failure.clone());
        scene.ask().await.data(200);
        assert_eq!(groq.calls() - before, 2, "{failure:?}");
        assert_eq!(scene.used().await, used + 1);
    }
}

#[tokio::test]
async fn a_failure_that_does_not_pass_is_told_at_once_and_costs_nothing() {
    let groq = FakeModels::start().await.unwrap();
    let scene = Scene::groq(&groq).await;
    for status in [400, 401, 402, 403, 404, 413] {
        let before = groq.calls();
        groq.fail(status);
        scene.ask().await.refused(503, "unavailable");
        assert_eq!(groq.calls() - before, 1, "{status}");
    }
    groq.reply(Reply::Status { status: 429, body: Value::Null, retry_after_s: Some(60) });
    scene.ask().await.refused(503, "unavailable");
    groq.reply(Reply::Blocked);
    scene.ask().await.refused(422, "answer_blocked");
    assert_eq!(scene.used().await, 0);
}
