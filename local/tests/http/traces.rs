//! Traces of the local stack: streamed answers of each provider's dialect, and uploads through the queue.

use local::fakes::{
    collector::{CollectedSpan, FakeCollector},
    models::{FakeModels, FakeReply},
};
use serde_json::json;

use super::support::{App, small_pdf};

const TEXT: &str = "The delivery takes three days. The warranty lasts two years.";

fn find<'s>(spans: &'s [CollectedSpan], name: &str) -> Option<&'s CollectedSpan> {
    spans.iter().find(|span| span.name == name)
}

#[tokio::test]
async fn a_streamed_answer_is_one_trace_that_ends_after_its_model_call() {
    for (provider, prefix, name, operation) in [
        ("groq", "GROQ", "groq", "chat"),
        ("gemini", "GEMINI", "gcp.gemini", "generate_content"),
        ("anthropic", "ANTHROPIC", "anthropic", "chat"),
    ] {
        let (models, collector) = (FakeModels::start().await.unwrap(), FakeCollector::start(0).await.unwrap());
        models.always(FakeReply::Text("The delivery takes three days [1].".to_owned()));
        let [key, model, url] = ["API_KEY", "MODELS", "BASE_URL"].map(|setting| format!("{prefix}_{setting}"));
        let app = App::with_settings(&[
            ("LLM_PROVIDER", provider),
            (&key, "test-key"),
            (&model, "small-model"),
            (&url, &models.base_url()),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.endpoint()),
        ])
        .await;
        let tenant = app.sign_up("Comptoir Baobab").await;
        app.upload_and_process(&tenant, "guide.pdf", small_pdf(TEXT)).await;
        let body = json!({ "question": "How long does the delivery take?" });
        let mut stream = app.post("/api/v1/query/stream").by(&tenant).json(&body).stream().await.unwrap();
        stream.expect_event("citations").await;
        let (_, last) = stream.read_to_end().await;
        assert_eq!(last.name, "done", "{provider}");

        let route = "POST /api/v1/query/stream";
        let spans = collector.wait_for(|spans| find(spans, route).is_some()).await.unwrap();
        let request = find(&spans, route).unwrap();
        let model = find(&spans, &format!("{operation} small-model")).unwrap_or_else(|| panic!("{spans:#?}"));
        assert_eq!((&model.parent_id, &model.trace_id), (&request.span_id, &request.trace_id));
        assert!(request.end_ns >= model.end_ns, "{provider}");
        assert_eq!(model.attributes["gen_ai.provider.name"], name);
        assert_eq!(model.attributes["gen_ai.operation.name"], operation);
        for attribute in ["gen_ai.response.model", "gen_ai.response.finish_reasons", "gen_ai.usage.cost"] {
            assert!(model.attributes.contains_key(attribute), "{provider} {attribute}: {model:#?}");
        }
        assert!(model.attributes["gen_ai.usage.output_tokens"].as_i64().unwrap() > 0, "{provider}");
        assert_eq!(request.attributes["lisa.tenant_id"], tenant.customer_id.to_string());
        assert!(!format!("{spans:?}").contains("delivery"), "{provider}: a text is told");
    }
}

#[tokio::test]
async fn a_failed_model_call_and_its_fallback_are_two_spans() {
    let [first, second] = [FakeModels::start().await.unwrap(), FakeModels::start().await.unwrap()];
    let collector = FakeCollector::start(0).await.unwrap();
    first.always(FakeReply::Refused { status: 401, retry_after_s: None });
    second.always(FakeReply::Text("The delivery takes three days [1].".to_owned()));
    let app = App::with_settings(&[
        ("LLM_PROVIDER", "anthropic"),
        ("LLM_FALLBACKS", "groq"),
        ("ANTHROPIC_API_KEY", "a"),
        ("ANTHROPIC_MODELS", "first"),
        ("ANTHROPIC_BASE_URL", &first.base_url()),
        ("GROQ_API_KEY", "b"),
        ("GROQ_MODELS", "second"),
        ("GROQ_BASE_URL", &second.base_url()),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.endpoint()),
    ])
    .await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    app.upload_and_process(&tenant, "guide.pdf", small_pdf(TEXT)).await;
    let question = json!({ "question": "How long does the delivery take?" });
    app.post("/api/v1/query").by(&tenant).json(&question).await.data(200);

    let route = "POST /api/v1/query";
    let spans = collector.wait_for(|spans| find(spans, route).is_some()).await.unwrap();
    let (failed, answered) = (find(&spans, "chat first").unwrap(), find(&spans, "chat second").unwrap());
    assert_eq!((failed.is_error, &failed.attributes["error.type"]), (true, &json!("refused")));
    assert!(!answered.is_error && failed.trace_id == answered.trace_id);
    assert!(failed.end_ns <= answered.start_ns);
}
