//! Bursts of messages, and repeated or concurrent deliveries.

use rand::seq::SliceRandom;
use serde_json::json;

use super::super::support::WhatsAppFixture;

#[tokio::test]
async fn ten_messages_shuffled_and_each_delivered_twice_get_one_answer() {
    let whatsapp = WhatsAppFixture::with_settings(&[("BURST_WINDOW_S", "1"), ("BURST_CAP_S", "8")]).await;
    whatsapp.switch_to_live().await;
    whatsapp.models.reply_text("Oui, nous livrons tout cela.");
    let mut deliveries: Vec<_> = (0..10)
        .flat_map(|number| [number, number])
        .map(|number| json!({ "id": 1, "message_id": number, "last_input_text": format!("message {number}") }))
        .collect();
    deliveries.shuffle(&mut rand::rng());
    let answers = deliveries.iter().map(|body| whatsapp.deliver(body));
    for answer in futures::future::join_all(answers).await {
        answer.json_body(200);
    }
    let got = whatsapp.wait_for_texts(1, 1).await;
    whatsapp.wait_for_reply_jobs().await;
    assert!(got[0].ends_with("Oui, nous livrons tout cela."), "{got:?}");
    assert_eq!(whatsapp.manychat.sent_to("1").len(), 1);
    assert_eq!(whatsapp.models.calls(), 1);
    let asked = whatsapp.models.requests()[0].to_string();
    assert!((0..10).all(|number| asked.contains(&format!("message {number}"))), "{asked}");
    assert_eq!(whatsapp.number("select count(*) from messages where direction = 'inbound'").await, 10);
    let answered = "select count(distinct answered_by) from messages where direction = 'inbound'";
    assert_eq!(whatsapp.number(answered).await, 1);
    assert_eq!(whatsapp.number("select free_quota_used from user_settings where free_quota_used > 0").await, 1);
}

#[tokio::test]
async fn a_contact_who_keeps_writing_is_answered_at_the_burst_cap() {
    let whatsapp = WhatsAppFixture::with_settings(&[("BURST_WINDOW_S", "2"), ("BURST_CAP_S", "4")]).await;
    whatsapp.switch_to_live().await;
    let mut number = 0;
    // Writes a message each half second until an answer arrives. Without the cap, the burst would never end.
    while whatsapp.manychat.sent_to("1").is_empty() {
        assert!(number < 40, "no answer in twenty seconds");
        number += 1;
        whatsapp.deliver_text(1, &format!("message {number}")).await.json_body(200);
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    }
    assert!(number >= 6, "answered after {number} messages, which is before the cap");
}

#[tokio::test]
async fn a_message_during_a_model_call_gets_the_next_answer() {
    let whatsapp = WhatsAppFixture::start().await;
    whatsapp.remove_part_spacing().await;
    whatsapp.switch_to_live().await;
    whatsapp.models.reply_text("Première réponse.");
    whatsapp.models.reply_text("Seconde réponse.");
    whatsapp.models.hold();
    whatsapp.deliver_text(1, "Première question").await.json_body(200);
    whatsapp.models.wait_for_held_request().await;
    whatsapp.deliver_text(1, "Seconde question").await.json_body(200);
    whatsapp.models.release();
    let got = whatsapp.wait_for_texts(1, 2).await;
    whatsapp.wait_for_reply_jobs().await;
    assert!(got[0].ends_with("Première réponse.") && got[1] == "Seconde réponse.", "{got:?}");
    assert_eq!(whatsapp.models.calls(), 2);
    let second = whatsapp.models.requests()[1].to_string();
    assert!(second.contains("Première réponse.") && second.contains("Seconde question"), "{second}");
}
