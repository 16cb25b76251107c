//! Inbound messages: storage, acknowledgement, deduplication and refusals.

use std::fs;

use local_postgres::root;
use serde_json::{Value, json};

use super::super::support::WhatsAppFixture;

/// The texts of an acknowledgement, whose format is asserted.
fn acknowledgement_texts(block: &Value) -> Vec<&str> {
    assert_eq!((&block["version"], &block["content"]["type"]), (&json!("v2"), &json!("whatsapp")));
    assert_eq!((&block["content"]["actions"], &block["content"]["quick_replies"]), (&json!([]), &json!([])));
    let messages = block["content"]["messages"].as_array().unwrap();
    messages.iter().map(|message| message["text"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_burst_is_acknowledged_once_in_the_tenants_language() {
    let whatsapp = WhatsAppFixture::with_settings(&[("BURST_WINDOW_S", "20"), ("BURST_CAP_S", "60")]).await;
    assert_eq!(acknowledgement_texts(&whatsapp.deliver_text(1, "Bonjour").await.json_body(200)), ["OK, bien reçu"]);
    assert_eq!(acknowledgement_texts(&whatsapp.deliver_text(1, "Vous livrez ?").await.json_body(200)), [""; 0]);
    // Another contact has a burst of its own.
    whatsapp.sql("update company_rag_configs set language = 'en'").await;
    assert_eq!(acknowledgement_texts(&whatsapp.deliver_text(2, "Bonjour").await.json_body(200)), ["OK, got it"]);
}

#[tokio::test]
async fn a_message_that_the_bot_will_not_answer_is_not_acknowledged() {
    let whatsapp = WhatsAppFixture::with_settings(&[("BURST_WINDOW_S", "20"), ("BURST_CAP_S", "60")]).await;
    whatsapp.deliver_text(1, "Bonjour").await.json_body(200);
    whatsapp.sql("update messages set skipped_reason = 'failed'").await;
    for change in [
        "update conversations set handler = 'human', handover_until = now() + interval '1 hour'",
        "update conversations set handler = 'bot', handover_until = null, opted_out_at = now()",
    ] {
        whatsapp.sql(change).await;
        assert_eq!(
            acknowledgement_texts(&whatsapp.deliver_text(1, "Allô ?").await.json_body(200)),
            [""; 0],
            "{change}"
        );
        whatsapp.sql("update messages set skipped_reason = 'failed'").await;
    }
    assert_eq!(acknowledgement_texts(&whatsapp.deliver_text(2, "STOP").await.json_body(200)), [""; 0]);
}

#[tokio::test]
async fn a_repeated_delivery_changes_nothing() {
    let whatsapp = WhatsAppFixture::with_settings(&[("BURST_WINDOW_S", "20"), ("BURST_CAP_S", "60")]).await;
    let bodies = [
        json!({ "id": 1, "last_input_text": "oui", "message_id": "m1" }),
        json!({ "id": 1, "last_input_text": "oui", "last_interaction": "2026-11-21T09:00:00+00:00" }),
        // Without an id or a time, equal texts within ten seconds count as one message.
        json!({ "id": 1, "last_input_text": "non" }),
    ];
    for body in &bodies {
        let (first, second) = tokio::join!(whatsapp.deliver(body), whatsapp.deliver(body));
        assert_eq!((first.status, second.status), (200, 200));
        whatsapp.deliver(body).await.json_body(200);
    }
    assert_eq!(whatsapp.number("select count(*) from messages").await, 3);
    assert_eq!(whatsapp.number("select count(*) from conversations").await, 1);
    assert_eq!(whatsapp.number("select count(*) from jobs where kind = 'reply'").await, 1);
    // A message with an equal text and another id is a new message.
    whatsapp.deliver(&json!({ "id": 1, "last_input_text": "oui", "message_id": "m2" })).await.json_body(200);
    assert_eq!(whatsapp.number("select count(*) from messages").await, 4);
}

#[tokio::test]
async fn fixture_bodies_are_accepted_or_refused_with_a_code() {
    let whatsapp = WhatsAppFixture::with_settings(&[("BURST_WINDOW_S", "20"), ("BURST_CAP_S", "60")]).await;
    let mut taken = Vec::new();
    let folder = root().join("local/fixtures/manychat");
    let mut files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 7);
    for file in &files {
        let answer = whatsapp.deliver(&serde_json::from_slice(&fs::read(file).unwrap()).unwrap()).await;
        let name = file.file_name().unwrap().to_str().unwrap();
        match answer.status {
            200 => taken.push(name.to_owned()),
            status => {
                assert_eq!(status, 422, "{name}: {}", answer.text);
                answer.invalid_fields(&["last_input_text"]);
            }
        }
    }
    assert_eq!(taken.len(), files.len() - 1, "only the placeholder is refused: {taken:?}");
    let sent = i64::try_from(taken.len()).unwrap();
    assert_eq!(whatsapp.number("select count(*) from messages").await, sent);
    // Bodies that are not valid JSON.
    let call = |body: &'static str| {
        let call = whatsapp.app.post("/api/v1/webhook/manychat").raw_json(body);
        call.header("x-webhook-secret", whatsapp.secret())
    };
    for body in ["{", "", "{\"id\": 1, \"text\": \"\u{1}\"}", "{\"id\": 1, \"text\": \"\\ud800\"}"] {
        call(body).await.refused(400, "malformed_json");
    }
    call("[]").await.invalid_fields(&["body"]);
    call("{\"last_input_text\": \"hi\"}").await.invalid_fields(&["id"]);
    let long = json!({ "id": 9, "last_input_text": "mot ".repeat(16_000) });
    whatsapp.deliver(&long).await.json_body(200);
    assert_eq!(whatsapp.number("select count(*) from messages").await, sent + 1);
    assert_eq!(whatsapp.number("select max(length(content)) from messages").await, 9_999);
}

#[tokio::test]
async fn wrong_secrets_are_limited_by_address_and_right_ones_by_tenant() {
    // The sign-up uses one call of the address.
    let whatsapp = WhatsAppFixture::with_settings(&[("RATE_LIMIT_ADDRESS", "4"), ("RATE_LIMIT_WEBHOOK", "2")]).await;
    let body = json!({ "id": 1, "last_input_text": "hi" });
    for _ in 0..3 {
        whatsapp.deliver_with_secret("whs_wrong", &body).await.refused(401, "invalid_webhook_secret");
    }
    whatsapp.deliver_with_secret("whs_wrong", &body).await.refused(429, "rate_limited");
    // Calls with the tenant's secret have a separate limit.
    for left in ["1", "0"] {
        let answer = whatsapp.deliver(&body).await;
        assert_eq!((answer.status, answer.header("ratelimit-remaining")), (200, left));
    }
    whatsapp.deliver(&body).await.refused(429, "rate_limited");
}

#[tokio::test]
async fn a_contact_of_two_companies_has_two_separate_conversations() {
    let whatsapp = WhatsAppFixture::start().await;
    let (neighbour, secret) = whatsapp.add_tenant().await;
    let both = "insert into bot_sessions (company_id, mode) select id, 'live' from customers";
    whatsapp.sql(both).await;
    whatsapp.models.reply_text("Le code est 4711.");
    whatsapp.deliver_text(7, "Quel est mon code secret ?").await.json_body(200);
    assert_eq!(whatsapp.wait_for_texts(7, 1).await.len(), 1);
    whatsapp.wait_for_reply_jobs().await;

    whatsapp.models.reply_text("Je ne le connais pas.");
    let body = json!({ "id": 7, "last_input_text": "Quel code vous ai-je donné ?", "message_id": "x" });
    whatsapp.deliver_with_secret(&secret, &body).await.json_body(200);
    let got = whatsapp.wait_for_texts(7, 2).await;
    assert!(got[1].contains("Chez Koffi") && got[1].contains("Je ne le connais pas."), "{got:?}");
    let asked = whatsapp.models.requests()[1].to_string();
    assert!(!asked.contains("4711") && !asked.contains("secret") && !asked.contains("Boutique Awa"), "{asked}");
    assert_eq!(whatsapp.manychat.sent().iter().map(|sent| sent.page.as_str()).collect::<Vec<_>>(), ["1001", "1002"]);
    // The next prompt of the first company contains that company's earlier messages.
    whatsapp.deliver_text(7, "Et maintenant ?").await.json_body(200);
    whatsapp.wait_for_texts(7, 3).await;
    assert!(whatsapp.models.requests()[2].to_string().contains("4711"));
    let theirs = format!("select count(*) from messages where customer_id = '{}'", neighbour.customer_id);
    assert_eq!(whatsapp.app.number(&theirs).await, 2);
}
