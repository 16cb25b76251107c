//! `Embedder` at each provider: batches, task types and retries.

use local::fakes::models::{FakeModels, FakeReply};
use serde_json::Value;
use shared::{
    embeddings::{EmbedError, Embedder, LocalEmbedder},
    settings::Settings,
};

const DIALECTS: [(&str, &str); 2] = [("gemini", "GEMINI"), ("openai", "OPENAI")];

fn embedder(name: &str, prefix: &str, server: &FakeModels) -> Embedder {
    let pairs = [
        ("EMBEDDING_PROVIDER".to_owned(), name.to_owned()),
        ("EMBEDDING_MODEL".to_owned(), "small-model".to_owned()),
        (format!("{prefix}_API_KEY"), "test-key".to_owned()),
        (format!("{prefix}_BASE_URL"), server.base_url()),
    ];
    let mut settings = Settings::new(pairs.into());
    let embedder = Embedder::read(&mut settings);
    settings.finish().unwrap();
    embedder
}

/// The texts of an embedding request to Gemini or OpenAI.
fn texts(request: &Value) -> Vec<&str> {
    let of_gemini = request["requests"].as_array().into_iter().flatten();
    let of_gemini = of_gemini.map(|request| &request["content"]["parts"][0]["text"]);
    let texts = of_gemini.chain(request["input"].as_array().into_iter().flatten());
    texts.map(|text| text.as_str().unwrap()).collect()
}

#[tokio::test]
async fn texts_are_embedded_in_batches_and_vectors_keep_their_order() {
    for (name, prefix) in DIALECTS {
        let server = FakeModels::start().await.unwrap();
        let embedder = embedder(name, prefix, &server);
        let many: Vec<_> = (0..250).map(|number| format!("Article {number} of the catalogue")).collect();

        let vectors = embedder.embed_documents(&many, &mut Vec::new()).await.unwrap();

        let requests = server.requests();
        assert_eq!(requests.iter().map(|request| texts(request).len()).collect::<Vec<_>>(), [100, 100, 50], "{name}");
        assert_eq!(requests.iter().flat_map(texts).collect::<Vec<_>>(), many);
        assert_eq!(vectors.len(), many.len());
        for (text, vector) in many.iter().zip(vectors) {
            let expected = LocalEmbedder.embed_query(text);
            let similarity: f32 = expected.iter().zip(&vector).map(|(a, b)| a * b).sum();
            assert!(similarity > 0.999, "{name}: {text}");
        }
    }
    assert_eq!(
        embedder("openai", "OPENAI", &FakeModels::start().await.unwrap())
            .embed_documents(&[], &mut Vec::new())
            .await
            .unwrap()
            .len(),
        0
    );
}

#[tokio::test]
async fn gemini_gets_different_task_types_for_documents_and_questions() {
    let server = FakeModels::start().await.unwrap();
    let embedder = embedder("gemini", "GEMINI", &server);
    embedder.embed_documents(&["delivery".to_owned(), "warranty".to_owned()], &mut Vec::new()).await.unwrap();
    embedder.embed_query("price", &mut Vec::new()).await.unwrap();
    let requests = server.requests();
    let tasks = requests.iter().flat_map(|request| request["requests"].as_array().unwrap());
    let tasks: Vec<_> = tasks.map(|request| request["taskType"].as_str().unwrap()).collect();
    assert_eq!(tasks, ["RETRIEVAL_DOCUMENT", "RETRIEVAL_DOCUMENT", "RETRIEVAL_QUERY"]);
}

#[tokio::test]
async fn only_transient_failures_are_retried() {
    let refused = |status, retry_after_s| FakeReply::Refused { status, retry_after_s };
    for (name, prefix) in DIALECTS {
        let server = FakeModels::start().await.unwrap();
        let embedder = embedder(name, prefix, &server);
        for (reply, calls) in [
            (refused(429, Some(0)), 3),
            (refused(503, None), 3),
            (FakeReply::NotJson, 3),
            (FakeReply::OtherJson, 3),
            (refused(429, Some(34)), 1),
            (refused(401, None), 1),
            (refused(402, None), 1),
            (refused(404, None), 1),
            (refused(400, None), 1),
        ] {
            // First the failure occurs once, and a retry succeeds if there is one. Then it occurs at every attempt.
            let before = server.calls();
            server.reply(reply.clone());
            let passed = embedder.embed_query("Combien ?", &mut Vec::new()).await.is_ok();
            assert_eq!((passed, server.calls() - before), (calls > 1, calls.min(2)), "{name}: {reply:?}");
            let before = server.calls();
            (0..calls).for_each(|_| server.reply(reply.clone()));
            let error = embedder.embed_query("Combien ?", &mut Vec::new()).await.unwrap_err();
            assert!(matches!(error, EmbedError::Failed(_)), "{name}: {error:?}");
            assert_eq!(server.calls() - before, calls, "{name}: {reply:?}");
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains("test-key") && !shown.contains("Combien"), "{shown}");
        }
        if name == "gemini" {
            let before = server.calls();
            server.reply(FakeReply::PerDay);
            assert!(embedder.embed_query("Combien ?", &mut Vec::new()).await.is_err());
            assert_eq!(server.calls() - before, 1, "a quota of a day is not back in a moment");
        }
    }
}

#[tokio::test]
async fn after_a_transient_failure_only_the_failed_batch_is_repeated() {
    let server = FakeModels::start().await.unwrap();
    let embedder = embedder("gemini", "GEMINI", &server);
    let many: Vec<_> = (0..150).map(|number| number.to_string()).collect();
    server.reply(FakeReply::Refused { status: 429, retry_after_s: Some(0) });
    assert_eq!(embedder.embed_documents(&many, &mut Vec::new()).await.unwrap().len(), 150);
    assert_eq!(server.requests().iter().map(|request| texts(request).len()).collect::<Vec<_>>(), [100, 100, 50]);
}
