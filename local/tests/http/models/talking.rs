//! The fake models of `cargo dev --fake-models`: what they say holds before the product, and their bad days are switched
//! over HTTP.

use local::fakes::models::{FakeModels, FakeReply};
use reqwest::Client;
use serde_json::json;

use super::{
    super::support::{SOON, WhatsApp},
    QUESTION, Scene, is_put_off,
};

async fn put(server: &FakeModels, mode: &str) -> u16 {
    let client = Client::builder().timeout(SOON).build().unwrap();
    let request = client.put(format!("{}/_mode", server.base_url())).json(&json!({ "mode": mode }));
    request.send().await.unwrap().status().as_u16()
}

#[tokio::test]
async fn they_quote_what_they_are_given_word_by_word() {
    for (name, prefix) in [("groq", "GROQ"), ("gemini", "GEMINI"), ("anthropic", "ANTHROPIC")] {
        let server = FakeModels::start().await.unwrap();
        server.always(FakeReply::RuleBased);
        let scene = Scene::of(name, prefix, &server).await;
        let data = scene.ask().await.data(200);
        assert_eq!(data["answer"], "The delivery takes three days. [1]", "{name}");
        assert_eq!((&data["answered"], data["citations"].as_array().unwrap().len()), (&json!(true), 1));
        let other = scene.app.ask(&scene.tenant, "What is the capital of Mongolia?").await.data(200);
        assert_eq!(other["answered"], false);

        let body = json!({ "question": QUESTION });
        let stream = scene.app.post("/api/v1/query/stream").by(&scene.tenant).json(&body).stream();
        let mut stream = stream.await.unwrap();
        stream.expect("citations").await;
        assert_eq!(stream.expect("delta").await, json!({ "text": "The" }), "{name}");
        let (text, end) = stream.rest().await;
        assert_eq!((text.as_str(), end.name.as_str()), (" delivery takes three days. [1]", "done"));
    }
}

#[tokio::test]
async fn their_bad_days_are_switched_over_http() {
    let server = FakeModels::start().await.unwrap();
    server.always(FakeReply::RuleBased);
    let scene = Scene::groq(&server).await;
    for mode in ["429", "day", "529", "cut", "malformed"] {
        assert_eq!(put(&server, mode).await, 200, "{mode}");
        is_put_off(scene.ask().await, "right now");
    }
    assert_eq!(put(&server, "blocked").await, 200);
    is_put_off(scene.ask().await, "this question");
    assert_eq!(put(&server, "moody").await, 422);
    assert_eq!(put(&server, "ok").await, 200);
    scene.ask().await.data(200);
}

#[tokio::test]
async fn they_order_what_is_named_and_hand_over_who_complains() {
    let whatsapp = WhatsApp::start().await;
    whatsapp.models.always(FakeReply::RuleBased);
    whatsapp.go_live().await;
    whatsapp.do_not_space_parts().await;
    whatsapp
        .sql("insert into products (customer_id, name, price, currency) values ('{tenant}', 'Lampe solaire', 15000, 'XOF')")
        .await;
    whatsapp.write(1, "Je voudrais 2 lampes").await.bare(200);
    let proposed = whatsapp.got(1, 1).await.remove(0);
    assert!(proposed.contains("2 × Lampe solaire") && proposed.contains("OUI"), "{proposed}");
    whatsapp.write(1, "Oui").await.bare(200);
    assert!(whatsapp.got(1, 2).await[1].starts_with("Merci !"));
    whatsapp.write(2, "C’est inadmissible").await.bare(200);
    whatsapp.got(2, 1).await;
    assert_eq!(whatsapp.conversation(2, "handover_reason").await.as_deref(), Some("model"));
}
