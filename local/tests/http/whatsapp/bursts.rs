//! Several messages in a row, and deliveries twice or at once.

use rand::seq::SliceRandom;
use serde_json::json;

use super::super::support::WhatsApp;

#[tokio::test]
async fn ten_messages_shuffled_and_each_delivered_twice_get_one_answer() {
    let whatsapp = WhatsApp::with(&[("BURST_WINDOW_S", "1"), ("BURST_CAP_S", "8")]).await;
    whatsapp.go_live().await;
    whatsapp.models.reply_text("Oui, nous livrons tout cela.");
    let mut deliveries: Vec<_> = (0..10)
        .flat_map(|number| [number, number])
        .map(|number| json!({ "id": 1, "message_id": number, "last_input_text": format!("message {number}") }))
        .collect();
    deliveries.shuffle(&mut rand::rng());
    let answers = deliveries.iter().map(|body| whatsapp.deliver(body));
    for answer in futures::future::join_all(answers).await {
        answer.bare(200);
    }
    let got = whatsapp.got(1, 1).await;
    whatsapp.settled().await;
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
async fn a_contact_who_never_stops_is_answered_at_the_cap() {
    let whatsapp = WhatsApp::with(&[("BURST_WINDOW_S", "2"), ("BURST_CAP_S", "4")]).await;
    whatsapp.go_live().await;
    let mut number = 0;
    // A message each half second, until something comes back: without a cap nothing would.
    while whatsapp.manychat.sent_to("1").is_empty() {
        assert!(number < 40, "no answer in twenty seconds");
        number += 1;
        whatsapp.write(1, &format!("message {number}")).await.bare(200);
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    }
    assert!(number >= 6, "answered after {number} messages, which is before the cap");
}

#[tokio::test]
async fn what_comes_while_the_model_thinks_is_answered_next() {
    let whatsapp = WhatsApp::start().await;
    whatsapp.do_not_space_parts().await;
    whatsapp.go_live().await;
    whatsapp.models.reply_text("Première réponse.");
    whatsapp.models.reply_text("Seconde réponse.");
    whatsapp.models.hold();
    whatsapp.write(1, "Première question").await.bare(200);
    whatsapp.models.wait_for_held_request().await;
    whatsapp.write(1, "Seconde question").await.bare(200);
    whatsapp.models.release();
    let got = whatsapp.got(1, 2).await;
    whatsapp.settled().await;
    assert!(got[0].ends_with("Première réponse.") && got[1] == "Seconde réponse.", "{got:?}");
    assert_eq!(whatsapp.models.calls(), 2);
    let second = whatsapp.models.requests()[1].to_string();
    assert!(second.contains("Première réponse.") && second.contains("Seconde question"), "{second}");
}
