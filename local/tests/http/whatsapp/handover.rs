//! Handover to a person: the bot is silent during it and answers again afterwards.

use local::fakes::models::FakeReply;
use serde_json::json;

use super::super::support::{WAIT_TIMEOUT, WhatsAppFixture, wait_until};

/// Gives all conversations to a person for an hour.
const TAKE_OVER_SQL: &str = "update conversations set handler = 'human', handover_reason = 'person', \
    handover_until = now() + interval '1 hour'";

#[tokio::test]
async fn a_takeover_during_a_model_call_suppresses_the_answer_and_refunds_it() {
    let whatsapp = WhatsAppFixture::start().await;
    whatsapp.switch_to_live().await;
    whatsapp.models.hold();
    whatsapp.deliver_text(1, "Vous livrez ?").await.json_body(200);
    whatsapp.models.wait_for_held_request().await;
    whatsapp.sql(TAKE_OVER_SQL).await;
    whatsapp.models.release();
    wait_until("the worker let go", WAIT_TIMEOUT, async || {
        let free = "select count(*) from conversations where lease_token is null";
        let spent = "select count(*) from reservations where state = 'returned'";
        (whatsapp.number(free).await == 1 && whatsapp.number(spent).await == 1).then_some(())
    })
    .await;
    assert_eq!(whatsapp.manychat.calls(), 0);
    assert_eq!(whatsapp.number("select count(*) from messages where author = 'bot'").await, 0);
    assert_eq!(whatsapp.number("select sum(free_quota_used) from user_settings").await, 0);
    assert_eq!(whatsapp.number("select count(*) from llm_calls").await, 1, "what it cost is written down");

    // After the handover has expired, the bot answers the pending message.
    whatsapp.sql("update conversations set handover_until = now() - interval '1 second'").await;
    whatsapp.sql("update jobs set run_after = now() - interval '1 second'").await;
    whatsapp.app.stack.invoke("maintenance", json!({})).await.unwrap();
    let got = whatsapp.wait_for_texts(1, 1).await;
    assert!(got[0].starts_with("Bonjour"), "{got:?}");
    assert_eq!(whatsapp.conversation_column(1, "handler").await.as_deref(), Some("bot"));
}

#[tokio::test]
async fn a_message_answered_by_a_person_during_a_model_call_is_not_answered_again() {
    let whatsapp = WhatsAppFixture::start().await;
    whatsapp.switch_to_live().await;
    whatsapp.models.hold();
    whatsapp.deliver_text(1, "Vous livrez ?").await.json_body(200);
    whatsapp.models.wait_for_held_request().await;
    let id = whatsapp.conversation_column(1, "id").await.unwrap();
    let conversation = |action: &str| {
        let path = format!("/api/v1/conversations/{id}/{action}");
        whatsapp.app.post(&path).by(&whatsapp.tenant)
    };
    conversation("reply").json(&json!({ "text": "Oui, demain." })).await.data(201);
    conversation("release").await.data(200);
    whatsapp.models.release();
    assert_eq!(whatsapp.wait_for_texts(1, 1).await, ["Oui, demain."]);
    whatsapp.wait_for_reply_jobs().await;
    assert_eq!(whatsapp.manychat.sent_to("1").len(), 1);
    assert_eq!(whatsapp.number("select count(*) from messages where author = 'bot'").await, 0);
    assert_eq!(whatsapp.number("select sum(free_quota_used) from user_settings").await, 0);
    assert_eq!(whatsapp.number("select count(*) from llm_calls").await, 1, "what it cost is written down");
}

#[tokio::test]
async fn stop_during_a_model_call_suppresses_the_answer() {
    let whatsapp = WhatsAppFixture::start().await;
    whatsapp.switch_to_live().await;
    whatsapp.models.hold();
    whatsapp.deliver_text(1, "Vous livrez ?").await.json_body(200);
    whatsapp.models.wait_for_held_request().await;
    whatsapp.deliver_text(1, "STOP").await.json_body(200);
    whatsapp.models.release();
    let got = whatsapp.wait_for_texts(1, 1).await;
    assert!(got[0].starts_with("C’est noté"), "{got:?}");
    whatsapp.wait_for_reply_jobs().await;
    assert_eq!(whatsapp.manychat.sent_to("1").len(), 1);
    assert_eq!(whatsapp.number("select count(*) from messages where author = 'bot'").await, 0);
    assert_eq!(whatsapp.number("select sum(free_quota_used) from user_settings").await, 0);
    whatsapp.deliver_text(1, "START").await.json_body(200);
    whatsapp.wait_for_texts(1, 2).await;
    assert_eq!(whatsapp.conversation_column(1, "opted_out_at").await, None);
}

#[tokio::test]
async fn a_takeover_between_two_parts_cancels_the_second_part() {
    let whatsapp = WhatsAppFixture::start().await;
    whatsapp.switch_to_live().await;
    whatsapp.models.reply_text(&"Une phrase de la réponse. ".repeat(100));
    whatsapp.deliver_text(1, "Racontez !").await.json_body(200);
    whatsapp.wait_for_texts(1, 1).await;
    // The second part is sent six seconds after the first one.
    whatsapp.sql(TAKE_OVER_SQL).await;
    wait_until("the second part is dropped", WAIT_TIMEOUT, async || {
        let dropped = "select count(*) from outbox where state = 'cancelled' and error_code = 'handed_over'";
        (whatsapp.number(dropped).await == 1).then_some(())
    })
    .await;
    assert_eq!(whatsapp.manychat.sent_to("1").len(), 1);
    let told = "select count(*) from messages where error_code = 'handed_over' and sent_at is null";
    assert_eq!(whatsapp.number(told).await, 1, "the tenant sees that it was cut short");
}

#[tokio::test]
async fn a_keyword_hands_over_and_the_bot_stays_silent() {
    let whatsapp = WhatsAppFixture::start().await;
    whatsapp.deliver_text(1, "Je veux parler à un conseiller").await.json_body(200);
    let got = whatsapp.wait_for_texts(1, 1).await;
    assert!(got[0].starts_with("Je vous mets en relation"), "{got:?}");
    assert_eq!(whatsapp.conversation_column(1, "handover_reason").await.as_deref(), Some("keyword"));
    whatsapp.deliver_text(1, "Vous êtes là ?").await.json_body(200);
    whatsapp.deliver_text(2, "Un humain ?").await.json_body(200);
    whatsapp.wait_for_texts(2, 1).await;
    assert_eq!(whatsapp.manychat.sent_to("1").len(), 1);
    assert_eq!(whatsapp.models.calls(), 0);
    let waiting = "select count(*) from messages where answered_by is null and direction = 'inbound'";
    assert_eq!(whatsapp.number(waiting).await, 1);
    assert_eq!(whatsapp.number("select count(*) from activities where type = 'conversation_handed_over'").await, 2);
}

#[tokio::test]
async fn a_message_outside_business_hours_is_handed_over_when_configured() {
    let whatsapp = WhatsAppFixture::start().await;
    whatsapp.sql("update company_rag_configs set outside_hours = 'hand_over', business_hours = '{}'").await;
    whatsapp.deliver_text(1, "Vous livrez ?").await.json_body(200);
    assert!(whatsapp.wait_for_texts(1, 1).await[0].starts_with("Nous sommes fermés"));
    assert_eq!(whatsapp.conversation_column(1, "handover_reason").await.as_deref(), Some("outside_hours"));
}

#[tokio::test]
async fn the_model_can_hand_over_to_a_person() {
    let whatsapp = WhatsAppFixture::start().await;
    whatsapp.switch_to_live().await;
    whatsapp.models.reply_tool("hand_over", json!({ "reason": "complaint" }));
    whatsapp.deliver_text(1, "My parcel is broken").await.json_body(200);
    assert!(whatsapp.wait_for_texts(1, 1).await[0].starts_with("I am handing you over"));
    assert_eq!(whatsapp.conversation_column(1, "handover_reason").await.as_deref(), Some("model"));
}

#[tokio::test]
async fn after_a_handover_the_bot_answers_pending_messages_without_handing_over_again() {
    let whatsapp = WhatsAppFixture::start().await;
    whatsapp.sql("update company_rag_configs set outside_hours = 'hand_over', business_hours = '{}'").await;
    whatsapp.switch_to_live().await;
    whatsapp.models.always(FakeReply::Text("Le jour même.".to_owned()));
    whatsapp.remove_part_spacing().await;
    // The shop is closed, so a person gets the conversation. The next message contains a handover keyword.
    whatsapp.deliver_text(1, "Vous livrez ?").await.json_body(200);
    assert!(whatsapp.wait_for_texts(1, 1).await[0].starts_with("Nous sommes fermés"));
    whatsapp.deliver_text(1, "Un conseiller ? Sinon, vous livrez quand ?").await.json_body(200);
    let id = whatsapp.conversation_column(1, "id").await.unwrap();
    whatsapp.app.post(&format!("/api/v1/conversations/{id}/release")).by(&whatsapp.tenant).await.data(200);
    assert!(whatsapp.wait_for_texts(1, 2).await[1].ends_with("Le jour même."));
    assert_eq!(whatsapp.conversation_column(1, "handler").await.as_deref(), Some("bot"));
    whatsapp.wait_for_reply_jobs().await;
    // Later messages are triaged as usual.
    whatsapp.deliver_text(1, "Et demain ?").await.json_body(200);
    assert!(whatsapp.wait_for_texts(1, 3).await[2].starts_with("Nous sommes fermés"));

    // After a handover without a reply has expired, the bot answers the pending message.
    whatsapp.deliver_text(1, "Toujours là ?").await.json_body(200);
    whatsapp.sql("update conversations set handover_until = now()").await;
    whatsapp.sql("update jobs set run_after = now() - interval '1 second'").await;
    whatsapp.app.stack.invoke("maintenance", json!({})).await.unwrap();
    assert!(whatsapp.wait_for_texts(1, 4).await[3].ends_with("Le jour même."));
    assert_eq!(whatsapp.conversation_column(1, "handler").await.as_deref(), Some("bot"));
}

#[tokio::test]
async fn a_message_after_an_unnoticed_handover_expiry_is_triaged_as_usual() {
    let whatsapp = WhatsAppFixture::start().await;
    whatsapp.switch_to_live().await;
    whatsapp.remove_part_spacing().await;
    whatsapp.deliver_text(1, "Bonjour").await.json_body(200);
    whatsapp.wait_for_texts(1, 1).await;
    whatsapp.wait_for_reply_jobs().await;
    whatsapp.sql(TAKE_OVER_SQL).await;
    // No message is pending, so no worker notices the expiry until the contact writes again.
    whatsapp.sql("update conversations set handover_until = now() - interval '1 hour'").await;
    whatsapp.deliver_text(1, "CONSEILLER").await.json_body(200);
    assert!(whatsapp.wait_for_texts(1, 2).await[1].starts_with("Je vous mets en relation"));
    assert_eq!(whatsapp.conversation_column(1, "handover_reason").await.as_deref(), Some("keyword"));
}

#[tokio::test]
async fn stop_and_start_work_while_a_person_has_the_conversation() {
    let whatsapp = WhatsAppFixture::start().await;
    whatsapp.switch_to_live().await;
    whatsapp.deliver_text(1, "Bonjour").await.json_body(200);
    whatsapp.wait_for_texts(1, 1).await;
    whatsapp.wait_for_reply_jobs().await;
    whatsapp.sql(TAKE_OVER_SQL).await;
    let id = whatsapp.conversation_column(1, "id").await.unwrap();
    let reply = || {
        let call = whatsapp.app.post(&format!("/api/v1/conversations/{id}/reply")).by(&whatsapp.tenant);
        call.json(&json!({ "text": "Je suis là." }))
    };
    whatsapp.deliver_text(1, "Stop").await.json_body(200);
    reply().await.refused(409, "contact_opted_out");
    whatsapp.deliver_text(1, "Start").await.json_body(200);
    reply().await.data(201);
}

#[tokio::test]
async fn the_default_handover_keyword_works_beside_the_tenants_own() {
    let whatsapp = WhatsAppFixture::start().await;
    whatsapp.sql("update company_rag_configs set handover_keywords = '{boss}'").await;
    whatsapp.deliver_text(1, "CONSEILLER").await.json_body(200);
    assert!(whatsapp.wait_for_texts(1, 1).await[0].starts_with("Je vous mets en relation"));
    assert_eq!(whatsapp.conversation_column(1, "handover_reason").await.as_deref(), Some("keyword"));
}

#[tokio::test]
async fn requests_for_a_person_are_heard_and_a_mention_is_none() {
    let whatsapp = WhatsAppFixture::start().await;
    let requests = [
        "Appelez-moi",
        "Rappelez moi au 0707070707",
        "je voudrais qu'on m'appelle",
        "Y a-t-il quelqu'un ?",
        "Quelqu'un peut me répondre ?",
        "je veu parlé a kelkun",
        "operateur",
        "Je veux me plaindre",
        "personne",
    ];
    for (contact, text) in (1..).zip(requests) {
        whatsapp.deliver_text(contact, text).await.json_body(200);
        let got = whatsapp.wait_for_texts(contact, 1).await;
        assert!(got[0].starts_with("Je vous mets en relation"), "{text}: {got:?}");
    }
    whatsapp.deliver_text(50, "Votre conseiller m'a dit 3000 FCFA, c'est vrai ?").await.json_body(200);
    assert!(whatsapp.wait_for_texts(50, 1).await[0].contains("Je n’ai pas trouvé"));
    assert_eq!(whatsapp.conversation_column(50, "handler").await.as_deref(), Some("bot"));
}
