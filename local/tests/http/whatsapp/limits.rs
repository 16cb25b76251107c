//! Limits of one contact, of paid overage, and of what a burst gives to the model and to the lists.

use serde_json::json;

use super::super::support::WhatsAppFixture;

/// Sends `count` messages of a contact, each after the one before was handled.
async fn write_one_by_one(whatsapp: &WhatsAppFixture, contact: u64, count: usize) {
    for number in 0..count {
        whatsapp.deliver_text(contact, &format!("Combien coûte le produit {number} ?")).await.json_body(200);
        whatsapp.wait_for_reply_jobs().await;
    }
}

#[tokio::test]
async fn a_contact_over_its_limit_is_told_once_and_costs_nothing_more() {
    let whatsapp = WhatsAppFixture::with_settings(&[("CONTACT_ANSWERS_PER_MINUTE", "2")]).await;
    whatsapp.remove_part_spacing().await;
    whatsapp.switch_to_live().await;
    for _ in 0..4 {
        whatsapp.models.reply_text("Il coûte 500 F.");
    }
    write_one_by_one(&whatsapp, 1, 6).await;

    let got = whatsapp.wait_for_texts(1, 3).await;
    assert_eq!(got.len(), 3, "{got:?}");
    assert!(got[2].starts_with("Vous écrivez plus vite que je ne peux répondre."), "{got:?}");
    assert_eq!(whatsapp.models.calls(), 2);
    assert_eq!(whatsapp.number("select sum(free_quota_used) from user_settings").await, 2);
    assert_eq!(whatsapp.number("select count(*) from reservations where state <> 'spent'").await, 0);
    let skipped = "select count(*) from messages where direction = 'inbound' and skipped_reason = 'quota'";
    assert_eq!(whatsapp.number(skipped).await, 3, "after the one that was told");
    let told = "select count(*) from activities where type = 'contact_limited' and conversation_id is not null";
    assert_eq!(whatsapp.number(told).await, 1);

    // Another contact has a limit of its own, and STOP is confirmed all the same.
    write_one_by_one(&whatsapp, 2, 1).await;
    assert!(whatsapp.wait_for_texts(2, 1).await[0].contains("Il coûte 500 F."));
    whatsapp.deliver_text(1, "STOP").await.json_body(200);
    whatsapp.wait_for_texts(1, 4).await;
    whatsapp.wait_for_reply_jobs().await;
    assert_eq!(whatsapp.models.calls(), 3);

    // A minute later the contact is answered again.
    whatsapp.deliver_text(1, "START").await.json_body(200);
    whatsapp.wait_for_texts(1, 5).await;
    whatsapp.wait_for_reply_jobs().await;
    whatsapp.sql("update conversations set minute_began_at = minute_began_at - interval '61 seconds'").await;
    write_one_by_one(&whatsapp, 1, 1).await;
    assert_eq!(whatsapp.models.calls(), 4);
}

#[tokio::test]
async fn a_contacts_limit_of_the_day_ends_with_the_day_of_the_company() {
    let whatsapp = WhatsAppFixture::with_settings(&[("CONTACT_ANSWERS_PER_DAY", "1")]).await;
    whatsapp.remove_part_spacing().await;
    whatsapp.switch_to_live().await;
    whatsapp.models.reply_text("Oui.");
    whatsapp.models.reply_text("Non.");
    write_one_by_one(&whatsapp, 1, 3).await;
    let got = whatsapp.wait_for_texts(1, 2).await;
    assert!(got.len() == 2 && got[1].contains("demain"), "{got:?}");
    assert_eq!(whatsapp.models.calls(), 1);

    whatsapp
        .sql("update conversations set day_began_on = day_began_on - 1, limit_notice_on = limit_notice_on - 1")
        .await;
    write_one_by_one(&whatsapp, 1, 2).await;
    let got = whatsapp.wait_for_texts(1, 4).await;
    assert!(got[2] == "Non." && got[3].contains("demain"), "{got:?}");
}

#[tokio::test]
async fn a_burst_of_long_messages_gives_the_model_a_bounded_question() {
    let whatsapp = WhatsAppFixture::with_settings(&[("BURST_WINDOW_S", "3"), ("BURST_CAP_S", "20")]).await;
    whatsapp.switch_to_live().await;
    whatsapp.models.reply_text("D'accord.");
    for number in 0..10 {
        let text = format!("{number} {}", "très long ".repeat(950));
        let body = json!({ "id": 1, "message_id": number, "last_input_text": text });
        whatsapp.deliver(&body).await.json_body(200);
    }
    whatsapp.wait_for_texts(1, 1).await;
    whatsapp.wait_for_reply_jobs().await;
    let asked = whatsapp.models.requests()[0].to_string();
    let words = asked.matches("très long").count();
    assert!((700..=850).contains(&words), "8,000 characters are about 800 pairs of words: {words}");
    let answered = "select count(distinct answered_by) from messages where direction = 'inbound'";
    assert_eq!(whatsapp.number(answered).await, 1);

    // The next prompt holds each earlier message within a limit, instead of none of them.
    whatsapp.sql("update conversations set next_send_at = now()").await;
    whatsapp.models.reply_text("Oui.");
    whatsapp.deliver_text(1, "Et à Bouaké ?").await.json_body(200);
    whatsapp.wait_for_texts(1, 2).await;
    let asked = whatsapp.models.requests()[1].to_string();
    let words = asked.matches("très long").count();
    assert!((100..=700).contains(&words), "{words}");
}
