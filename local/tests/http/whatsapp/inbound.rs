//! What comes in: stored once, acknowledged as it should be, refused with a code.

use std::fs;

use local_postgres::root;
use serde_json::{Value, json};

use super::super::support::WhatsApp;

fn acknowledgement(block: &Value) -> Vec<&str> {
    assert_eq!((&block["version"], &block["content"]["type"]), (&json!("v2"), &json!("whatsapp")));
    assert_eq!((&block["content"]["actions"], &block["content"]["quick_replies"]), (&json!([]), &json!([])));
    let messages = block["content"]["messages"].as_array().unwrap();
    messages.iter().map(|message| message["text"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_burst_is_acknowledged_once_in_the_tenants_language() {
    let whatsapp = WhatsApp::with(&[("BURST_WINDOW_S", "20"), ("BURST_CAP_S", "60")]).await;
    assert_eq!(acknowledgement(&whatsapp.write(1, "Bonjour").await.bare(200)), ["OK, bien reçu"]);
    assert_eq!(acknowledgement(&whatsapp.write(1, "Vous livrez ?").await.bare(200)), [""; 0]);
    // Another contact has a burst of its own.
    whatsapp.sql("update company_rag_configs set language = 'en'").await;
    assert_eq!(acknowledgement(&whatsapp.write(2, "Bonjour").await.bare(200)), ["OK, got it"]);
}

#[tokio::test]
async fn nobody_is_acknowledged_whom_the_bot_will_not_answer() {
    let whatsapp = WhatsApp::with(&[("BURST_WINDOW_S", "20"), ("BURST_CAP_S", "60")]).await;
    whatsapp.write(1, "Bonjour").await.bare(200);
    whatsapp.sql("update messages set skipped_reason = 'failed'").await;
    for change in [
        "update conversations set handler = 'human', handover_until = now() + interval '1 hour'",
        "update conversations set handler = 'bot', handover_until = null, opted_out_at = now()",
    ] {
        whatsapp.sql(change).await;
        assert_eq!(acknowledgement(&whatsapp.write(1, "Allô ?").await.bare(200)), [""; 0], "{change}");
        whatsapp.sql("update messages set skipped_reason = 'failed'").await;
    }
    assert_eq!(acknowledgement(&whatsapp.write(2, "STOP").await.bare(200)), [""; 0]);
}

#[tokio::test]
async fn a_delivery_that_comes_again_changes_nothing() {
    let whatsapp = WhatsApp::with(&[("BURST_WINDOW_S", "20"), ("BURST_CAP_S", "60")]).await;
    let bodies = [
        json!({ "id": 1, "last_input_text": "oui", "message_id": "m1" }),
        json!({ "id": 1, "last_input_text": "oui", "last_interaction": "2026-11-21T09:00:00+00:00" }),
        // Within ten seconds, where nothing else tells them apart.
        json!({ "id": 1, "last_input_text": "non" }),
    ];
    for body in &bodies {
        let (first, second) = tokio::join!(whatsapp.deliver(body), whatsapp.deliver(body));
        assert_eq!((first.status, second.status), (200, 200));
        whatsapp.deliver(body).await.bare(200);
    }
    assert_eq!(whatsapp.number("select count(*) from messages").await, 3);
    assert_eq!(whatsapp.number("select count(*) from conversations").await, 1);
    assert_eq!(whatsapp.number("select count(*) from jobs where kind = 'reply'").await, 1);
    // Another message with the same text, told apart by its id.
    whatsapp.deliver(&json!({ "id": 1, "last_input_text": "oui", "message_id": "m2" })).await.bare(200);
    assert_eq!(whatsapp.number("select count(*) from messages").await, 4);
}

#[tokio::test]
async fn bodies_seen_in_the_wild_are_taken_or_refused_with_a_code() {
    let whatsapp = WhatsApp::with(&[("BURST_WINDOW_S", "20"), ("BURST_CAP_S", "60")]).await;
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
                answer.names(&["last_input_text"]);
            }
        }
    }
    assert_eq!(taken.len(), files.len() - 1, "only the placeholder is refused: {taken:?}");
    let sent = i64::try_from(taken.len()).unwrap();
    assert_eq!(whatsapp.number("select count(*) from messages").await, sent);
    // What is no JSON at all.
    let call = |body: &'static str| {
        let call = whatsapp.app.post("/api/v1/webhook/manychat").raw_json(body);
        call.header("x-webhook-secret", whatsapp.secret())
    };
    for body in ["{", "", "{\"id\": 1, \"text\": \"\u{1}\"}", "{\"id\": 1, \"text\": \"\\ud800\"}"] {
        call(body).await.refused(400, "malformed_json");
    }
    call("[]").await.names(&["body"]);
    call("{\"last_input_text\": \"hi\"}").await.names(&["id"]);
    let long = json!({ "id": 9, "last_input_text": "mot ".repeat(16_000) });
    whatsapp.deliver(&long).await.bare(200);
    assert_eq!(whatsapp.number("select count(*) from messages").await, sent + 1);
    assert_eq!(whatsapp.number("select max(length(content)) from messages").await, 9_999);
}

#[tokio::test]
async fn wrong_secrets_are_counted_by_address_and_right_ones_by_tenant() {
    // One for the sign-up.
    let whatsapp = WhatsApp::with(&[("RATE_LIMIT_ADDRESS", "4"), ("RATE_LIMIT_WEBHOOK", "2")]).await;
    let body = json!({ "id": 1, "last_input_text": "hi" });
    for _ in 0..3 {
        whatsapp.deliver_with("whs_wrong", &body).await.refused(401, "invalid_webhook_secret");
    }
    whatsapp.deliver_with("whs_wrong", &body).await.refused(429, "rate_limited");
    // The tenant's own calls are counted apart.
    for left in ["1", "0"] {
        let answer = whatsapp.deliver(&body).await;
        assert_eq!((answer.status, answer.header("ratelimit-remaining")), (200, left));
    }
    whatsapp.deliver(&body).await.refused(429, "rate_limited");
}

#[tokio::test]
async fn one_contact_of_two_companies_has_two_conversations_that_never_meet() {
    let whatsapp = WhatsApp::start().await;
    let (neighbour, secret) = whatsapp.neighbour().await;
    let both = "insert into bot_sessions (company_id, mode) select id, 'live' from customers";
    whatsapp.sql(both).await;
    whatsapp.models.reply_text("Le code est 4711.");
    whatsapp.write(7, "Quel est mon code secret ?").await.bare(200);
    assert_eq!(whatsapp.got(7, 1).await.len(), 1);
    whatsapp.settled().await;

    whatsapp.models.reply_text("Je ne le connais pas.");
    let body = json!({ "id": 7, "last_input_text": "Quel code vous ai-je donné ?", "message_id": "x" });
    whatsapp.deliver_with(&secret, &body).await.bare(200);
    let got = whatsapp.got(7, 2).await;
    assert!(got[1].contains("Chez Koffi") && got[1].contains("Je ne le connais pas."), "{got:?}");
    let asked = whatsapp.models.requests()[1].to_string();
    assert!(!asked.contains("4711") && !asked.contains("secret") && !asked.contains("Boutique Awa"), "{asked}");
    assert_eq!(whatsapp.manychat.sent().iter().map(|sent| sent.page.as_str()).collect::<Vec<_>>(), ["1001", "1002"]);
    // The first company's next question does have what was said there.
    whatsapp.write(7, "Et maintenant ?").await.bare(200);
    whatsapp.got(7, 3).await;
    assert!(whatsapp.models.requests()[2].to_string().contains("4711"));
    let theirs = format!("select count(*) from messages where customer_id = '{}'", neighbour.customer_id);
    assert_eq!(whatsapp.app.number(&theirs).await, 2);
}
