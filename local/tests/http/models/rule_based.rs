//! The rule-based fake models of `cargo dev --fake-models`: the product accepts their answers, and their failures are
//! set over HTTP.

use local::fakes::models::{FakeModels, FakeReply};
use reqwest::Client;
use serde_json::json;

use super::{
    super::support::{WAIT_TIMEOUT, WhatsAppFixture},
    ModelFixture, QUESTION, assert_apology,
};

/// Sets the mode of a fake server; returns the HTTP status.
async fn set_mode(server: &FakeModels, mode: &str) -> u16 {
    let client = Client::builder().timeout(WAIT_TIMEOUT).build().unwrap();
    let request = client.put(format!("{}/_mode", server.base_url())).json(&json!({ "mode": mode }));
    request.send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn rule_based_models_quote_the_given_passages_and_stream_word_by_word() {
    for (name, prefix) in [("groq", "GROQ"), ("gemini", "GEMINI"), ("anthropic", "ANTHROPIC")] {
        let server = FakeModels::start().await.unwrap();
        server.always(FakeReply::RuleBased);
        let fixture = ModelFixture::with_provider(name, prefix, &server).await;
        let data = fixture.ask().await.data(200);
        assert_eq!(data["answer"], "The delivery takes three days. [1]", "{name}");
        assert_eq!((&data["answered"], data["citations"].as_array().unwrap().len()), (&json!(true), 1));
        let other = fixture.app.ask(&fixture.tenant, "What is the capital of Mongolia?").await.data(200);
        assert_eq!(other["answered"], false);

        let body = json!({ "question": QUESTION });
        let stream = fixture.app.post("/api/v1/query/stream").by(&fixture.tenant).json(&body).stream();
        let mut stream = stream.await.unwrap();
        stream.expect_event("citations").await;
        assert_eq!(stream.expect_event("delta").await, json!({ "text": "The" }), "{name}");
        let (text, end) = stream.read_to_end().await;
        assert_eq!((text.as_str(), end.name.as_str()), (" delivery takes three days. [1]", "done"));
    }
}

#[tokio::test]
async fn failure_modes_of_fake_models_are_set_over_http() {
    let server = FakeModels::start().await.unwrap();
    server.always(FakeReply::RuleBased);
    let fixture = ModelFixture::with_groq(&server).await;
    for mode in ["429", "day", "529", "cut", "malformed"] {
        assert_eq!(set_mode(&server, mode).await, 200, "{mode}");
        assert_apology(fixture.ask().await, "right now");
    }
    assert_eq!(set_mode(&server, "blocked").await, 200);
    assert_apology(fixture.ask().await, "this question");
    assert_eq!(set_mode(&server, "moody").await, 422);
    assert_eq!(set_mode(&server, "ok").await, 200);
    fixture.ask().await.data(200);
}

#[tokio::test]
async fn rule_based_models_order_named_products_and_hand_over_complaints() {
    let whatsapp = WhatsAppFixture::start().await;
    whatsapp.models.always(FakeReply::RuleBased);
    whatsapp.switch_to_live().await;
    whatsapp.remove_part_spacing().await;
    whatsapp
        .sql("insert into products (customer_id, name, price, currency) values ('{tenant}', 'Lampe solaire', 15000, 'XOF')")
        .await;
    whatsapp.deliver_text(1, "Je voudrais 2 lampes").await.json_body(200);
    let proposed = whatsapp.wait_for_texts(1, 1).await.remove(0);
    assert!(proposed.contains("2 × Lampe solaire") && proposed.contains("OUI"), "{proposed}");
    whatsapp.deliver_text(1, "Oui").await.json_body(200);
    assert!(whatsapp.wait_for_texts(1, 2).await[1].starts_with("Merci !"));
    whatsapp.deliver_text(2, "C’est inadmissible").await.json_body(200);
    whatsapp.wait_for_texts(2, 1).await;
    assert_eq!(whatsapp.conversation_column(2, "handover_reason").await.as_deref(), Some("model"));
}
