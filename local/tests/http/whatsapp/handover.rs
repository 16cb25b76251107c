//! A person has the conversation: the bot is silent, and comes back.

use local::fakes::models::FakeReply;
use serde_json::json;

use super::super::support::{SOON, WhatsApp, wait_until};

const TAKEN: &str = "update conversations set handler = 'human', handover_reason = 'person', \
    handover_until = now() + interval '1 hour'";

#[tokio::test]
async fn taken_over_while_the_model_thinks_nothing_is_said_and_the_unit_goes_back() {
    let whatsapp = WhatsApp::start().await;
    whatsapp.go_live().await;
    whatsapp.models.hold();
    whatsapp.write(1, "Vous livrez ?").await.bare(200);
    whatsapp.models.wait_for_held_request().await;
    whatsapp.sql(TAKEN).await;
    whatsapp.models.release();
    wait_until("the worker let go", SOON, async || {
        let free = "select count(*) from conversations where lease_token is null";
        let spent = "select count(*) from reservations where state = 'returned'";
        (whatsapp.number(free).await == 1 && whatsapp.number(spent).await == 1).then_some(())
    })
    .await;
    assert_eq!(whatsapp.manychat.calls(), 0);
    assert_eq!(whatsapp.number("select count(*) from messages where author = 'bot'").await, 0);
    assert_eq!(whatsapp.number("select sum(free_quota_used) from user_settings").await, 0);
    assert_eq!(whatsapp.number("select count(*) from llm_calls").await, 1, "what it cost is written down");

    // Time is over: the bot comes back and answers what stayed unanswered.
    whatsapp.sql("update conversations set handover_until = now() - interval '1 second'").await;
    whatsapp.sql("update jobs set run_after = now() - interval '1 second'").await;
    whatsapp.app.stack.invoke("maintenance", json!({})).await.unwrap();
    let got = whatsapp.got(1, 1).await;
    assert!(got[0].starts_with("Bonjour"), "{got:?}");
    assert_eq!(whatsapp.conversation(1, "handler").await.as_deref(), Some("bot"));
}

#[tokio::test]
async fn what_a_person_has_answered_while_the_model_thought_is_not_answered_again() {
    let whatsapp = WhatsApp::start().await;
    whatsapp.go_live().await;
    whatsapp.models.hold();
    whatsapp.write(1, "Vous livrez ?").await.bare(200);
    whatsapp.models.wait_for_held_request().await;
    let id = whatsapp.conversation(1, "id").await.unwrap();
    let conversation = |action: &str| {
        let path = format!("/api/v1/conversations/{id}/{action}");
        whatsapp.app.post(&path).by(&whatsapp.tenant)
    };
    conversation("reply").json(&json!({ "text": "Oui, demain." })).await.data(201);
    conversation("release").await.data(200);
    whatsapp.models.release();
    assert_eq!(whatsapp.got(1, 1).await, ["Oui, demain."]);
    whatsapp.settled().await;
    assert_eq!(whatsapp.manychat.sent_to("1").len(), 1);
    assert_eq!(whatsapp.number("select count(*) from messages where author = 'bot'").await, 0);
    assert_eq!(whatsapp.number("select sum(free_quota_used) from user_settings").await, 0);
    assert_eq!(whatsapp.number("select count(*) from llm_calls").await, 1, "what it cost is written down");
}

#[tokio::test]
async fn who_says_stop_while_the_model_thinks_hears_nothing_but_that_it_is_heeded() {
    let whatsapp = WhatsApp::start().await;
    whatsapp.go_live().await;
    whatsapp.models.hold();
    whatsapp.write(1, "Vous livrez ?").await.bare(200);
    whatsapp.models.wait_for_held_request().await;
    whatsapp.write(1, "STOP").await.bare(200);
    whatsapp.models.release();
    let got = whatsapp.got(1, 1).await;
    assert!(got[0].starts_with("C’est noté"), "{got:?}");
    whatsapp.settled().await;
    assert_eq!(whatsapp.manychat.sent_to("1").len(), 1);
    assert_eq!(whatsapp.number("select count(*) from messages where author = 'bot'").await, 0);
    assert_eq!(whatsapp.number("select sum(free_quota_used) from user_settings").await, 0);
    whatsapp.write(1, "START").await.bare(200);
    whatsapp.got(1, 2).await;
    assert_eq!(whatsapp.conversation(1, "opted_out_at").await, None);
}

#[tokio::test]
async fn taken_over_between_two_parts_the_second_one_stays() {
    let whatsapp = WhatsApp::start().await;
    whatsapp.go_live().await;
    whatsapp.models.reply_text(&"Une phrase de la réponse. ".repeat(100));
    whatsapp.write(1, "Racontez !").await.bare(200);
    whatsapp.got(1, 1).await;
    // The next part comes six seconds after the first one.
    whatsapp.sql(TAKEN).await;
    wait_until("the second part is dropped", SOON, async || {
        let dropped = "select count(*) from outbox where state = 'cancelled' and error_code = 'handed_over'";
        (whatsapp.number(dropped).await == 1).then_some(())
    })
    .await;
    assert_eq!(whatsapp.manychat.sent_to("1").len(), 1);
    let told = "select count(*) from messages where error_code = 'handed_over' and sent_at is null";
    assert_eq!(whatsapp.number(told).await, 1, "the tenant sees that it was cut short");
}

#[tokio::test]
async fn a_word_hands_over_and_the_bot_stays_silent() {
    let whatsapp = WhatsApp::start().await;
    whatsapp.write(1, "Je veux parler à un conseiller").await.bare(200);
    let got = whatsapp.got(1, 1).await;
    assert!(got[0].starts_with("Je vous mets en relation"), "{got:?}");
    assert_eq!(whatsapp.conversation(1, "handover_reason").await.as_deref(), Some("keyword"));
    whatsapp.write(1, "Vous êtes là ?").await.bare(200);
    whatsapp.write(2, "Un humain ?").await.bare(200);
    whatsapp.got(2, 1).await;
    assert_eq!(whatsapp.manychat.sent_to("1").len(), 1);
    assert_eq!(whatsapp.models.calls(), 0);
    let waiting = "select count(*) from messages where answered_by is null and direction = 'inbound'";
    assert_eq!(whatsapp.number(waiting).await, 1);
    assert_eq!(whatsapp.number("select count(*) from activities where type = 'conversation_handed_over'").await, 2);
}

#[tokio::test]
async fn outside_of_business_hours_a_person_answers_where_the_company_wants_it() {
    let whatsapp = WhatsApp::start().await;
    whatsapp.sql("update company_rag_configs set outside_hours = 'hand_over', business_hours = '{}'").await;
    whatsapp.write(1, "Vous livrez ?").await.bare(200);
    assert!(whatsapp.got(1, 1).await[0].starts_with("Nous sommes fermés"));
    assert_eq!(whatsapp.conversation(1, "handover_reason").await.as_deref(), Some("outside_hours"));
}

#[tokio::test]
async fn the_model_may_ask_for_a_person() {
    let whatsapp = WhatsApp::start().await;
    whatsapp.go_live().await;
    whatsapp.models.reply_tool("hand_over", json!({ "reason": "complaint" }));
    whatsapp.write(1, "My parcel is broken").await.bare(200);
    assert!(whatsapp.got(1, 1).await[0].starts_with("I am handing you over"));
    assert_eq!(whatsapp.conversation(1, "handover_reason").await.as_deref(), Some("model"));
}

#[tokio::test]
async fn given_back_the_bot_answers_what_a_person_has_left_and_hands_it_over_no_second_time() {
    let whatsapp = WhatsApp::start().await;
    whatsapp.sql("update company_rag_configs set outside_hours = 'hand_over', business_hours = '{}'").await;
    whatsapp.go_live().await;
    whatsapp.models.always(FakeReply::Text("Le jour même.".to_owned()));
    whatsapp.do_not_space_parts().await;
    // Closed, then a word for a person, while one has the conversation.
    whatsapp.write(1, "Vous livrez ?").await.bare(200);
    assert!(whatsapp.got(1, 1).await[0].starts_with("Nous sommes fermés"));
    whatsapp.write(1, "Un conseiller ? Sinon, vous livrez quand ?").await.bare(200);
    let id = whatsapp.conversation(1, "id").await.unwrap();
    whatsapp.app.post(&format!("/api/v1/conversations/{id}/release")).by(&whatsapp.tenant).await.data(200);
    assert!(whatsapp.got(1, 2).await[1].ends_with("Le jour même."));
    assert_eq!(whatsapp.conversation(1, "handler").await.as_deref(), Some("bot"));
    whatsapp.settled().await;
    // What comes after that is judged as ever.
    whatsapp.write(1, "Et demain ?").await.bare(200);
    assert!(whatsapp.got(1, 3).await[2].starts_with("Nous sommes fermés"));

    // A person who says nothing leaves it to the bot in time, with what waits.
    whatsapp.write(1, "Toujours là ?").await.bare(200);
    whatsapp.sql("update conversations set handover_until = now()").await;
    whatsapp.sql("update jobs set run_after = now() - interval '1 second'").await;
    whatsapp.app.stack.invoke("maintenance", json!({})).await.unwrap();
    assert!(whatsapp.got(1, 4).await[3].ends_with("Le jour même."));
    assert_eq!(whatsapp.conversation(1, "handler").await.as_deref(), Some("bot"));
}

#[tokio::test]
async fn what_comes_after_a_handover_that_nobody_saw_ending_is_judged_as_ever() {
    let whatsapp = WhatsApp::start().await;
    whatsapp.go_live().await;
    whatsapp.do_not_space_parts().await;
    whatsapp.write(1, "Bonjour").await.bare(200);
    whatsapp.got(1, 1).await;
    whatsapp.settled().await;
    whatsapp.sql(TAKEN).await;
    // Nothing waits, so no worker looks until the contact writes again.
    whatsapp.sql("update conversations set handover_until = now() - interval '1 hour'").await;
    whatsapp.write(1, "CONSEILLER").await.bare(200);
    assert!(whatsapp.got(1, 2).await[1].starts_with("Je vous mets en relation"));
    assert_eq!(whatsapp.conversation(1, "handover_reason").await.as_deref(), Some("keyword"));
}

#[tokio::test]
async fn stop_and_start_count_while_a_person_has_the_conversation() {
    let whatsapp = WhatsApp::start().await;
    whatsapp.go_live().await;
    whatsapp.write(1, "Bonjour").await.bare(200);
    whatsapp.got(1, 1).await;
    whatsapp.settled().await;
    whatsapp.sql(TAKEN).await;
    let id = whatsapp.conversation(1, "id").await.unwrap();
    let reply = || {
        let call = whatsapp.app.post(&format!("/api/v1/conversations/{id}/reply")).by(&whatsapp.tenant);
        call.json(&json!({ "text": "Je suis là." }))
    };
    whatsapp.write(1, "Stop").await.bare(200);
    reply().await.refused(409, "contact_opted_out");
    whatsapp.write(1, "Start").await.bare(200);
    reply().await.data(201);
}

#[tokio::test]
async fn the_word_that_the_bot_names_works_beside_the_tenants_own() {
    let whatsapp = WhatsApp::start().await;
    whatsapp.sql("update company_rag_configs set handover_keywords = '{boss}'").await;
    whatsapp.write(1, "CONSEILLER").await.bare(200);
    assert!(whatsapp.got(1, 1).await[0].starts_with("Je vous mets en relation"));
    assert_eq!(whatsapp.conversation(1, "handover_reason").await.as_deref(), Some("keyword"));
}
