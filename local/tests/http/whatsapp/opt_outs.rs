//! STOP and START: in the words that contacts use, during a handover, and in the order in which they were written.

use chrono::{TimeDelta, Utc};
use serde_json::{Value, json};

use super::super::support::{WhatsAppFixture, repository_file};

const CONFIRMED: &str = "select count(*) from messages where content like 'C’est noté%'";

/// A message that a contact wrote `seconds` after a fixed time, some minutes ago.
fn written_at(contact: u64, text: &str, seconds: i64) -> Value {
    let at = Utc::now() - TimeDelta::minutes(10);
    let start = at.timestamp() - at.timestamp() % 3_600;
    let at = chrono::DateTime::from_timestamp(start + seconds, 0).unwrap().to_rfc3339();
    json!({ "id": contact, "last_input_text": text, "last_interaction": at })
}

#[tokio::test]
async fn a_contact_opts_out_in_common_words() {
    let whatsapp = WhatsAppFixture::with_settings(&[("BURST_WINDOW_S", "20"), ("BURST_CAP_S", "60")]).await;
    let file = String::from_utf8(repository_file("local/fixtures/field/manychat/opt_out.jsonl")).unwrap();
    let mut count = 0;
    for line in file.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        count += 1;
        whatsapp.deliver_text(count, case["text"].as_str().unwrap()).await.json_body(200);
        let opted_out = whatsapp.conversation_column(count, "opted_out_at").await.is_some();
        assert_eq!(json!(opted_out), case["opts_out"], "{line}");
    }
    assert_eq!(count, 11);
    assert_eq!(whatsapp.number("select count(*) from activities where type = 'contact_opted_out'").await, 7);
}

#[tokio::test]
async fn stop_and_start_are_confirmed_while_a_person_has_the_conversation() {
    let whatsapp = WhatsAppFixture::start().await;
    whatsapp.remove_part_spacing().await;
    whatsapp.deliver_text(1, "CONSEILLER").await.json_body(200);
    whatsapp.wait_for_texts(1, 1).await;
    whatsapp.deliver_text(1, "Vous êtes là ?").await.json_body(200);
    whatsapp.deliver_text(1, "stop svp").await.json_body(200);
    assert!(whatsapp.wait_for_texts(1, 2).await[1].starts_with("C’est noté"));
    assert_eq!(whatsapp.conversation_column(1, "handler").await.as_deref(), Some("human"));
    let open = "select count(*) from messages where direction = 'inbound' and answered_by is null";
    assert_eq!(whatsapp.number(open).await, 1, "what waits for the person still waits");
    whatsapp.deliver_text(1, "REPRENDRE").await.json_body(200);
    assert!(whatsapp.wait_for_texts(1, 3).await[2].starts_with("Ravi de vous retrouver"));
    assert_eq!(whatsapp.conversation_column(1, "opted_out_at").await, None);
}

#[tokio::test]
async fn the_later_command_is_the_one_that_was_written_later() {
    let whatsapp = WhatsAppFixture::start().await;
    whatsapp.remove_part_spacing().await;
    let is_opted_out = async |contact| whatsapp.conversation_column(contact, "opted_out_at").await.is_some();
    // An older REPRENDRE that arrives late changes nothing.
    whatsapp.deliver(&written_at(1, "STOP", 10)).await.json_body(200);
    whatsapp.deliver(&written_at(1, "REPRENDRE", 5)).await.json_body(200);
    assert!(is_opted_out(1).await);
    assert_eq!(whatsapp.number("select count(*) from messages where skipped_reason = 'superseded'").await, 1);
    // A later one counts, and an older STOP after it does not.
    whatsapp.deliver(&written_at(1, "REPRENDRE", 20)).await.json_body(200);
    assert!(!is_opted_out(1).await);
    whatsapp.deliver(&written_at(1, "STOP", 15)).await.json_body(200);
    assert!(!is_opted_out(1).await);
    // So does an older STOP after a REPRENDRE of a contact who had not opted out.
    whatsapp.deliver(&written_at(2, "REPRENDRE", 20)).await.json_body(200);
    whatsapp.deliver(&written_at(2, "STOP", 10)).await.json_body(200);
    assert!(!is_opted_out(2).await);
    whatsapp.wait_for_texts(1, 2).await;
    whatsapp.wait_for_reply_jobs().await;
    assert_eq!(whatsapp.number(CONFIRMED).await, 1);
}

#[tokio::test]
async fn without_usable_times_the_command_that_arrives_later_counts() {
    let whatsapp = WhatsAppFixture::start().await;
    let future = (Utc::now() + TimeDelta::days(400)).to_rfc3339();
    let with =
        |contact: u64, text: &str, at: Value| json!({ "id": contact, "last_input_text": text, "last_interaction": at });
    for (contact, (stopped_at, resumed_at)) in (1..).zip([
        (Value::Null, Value::Null),
        (written_at(1, "", 10)["last_interaction"].clone(), Value::Null),
        (Value::Null, written_at(1, "", 10)["last_interaction"].clone()),
        // The same time, as of a field that nothing updates.
        (json!("2026-01-01T00:00:00Z"), json!("2026-01-01T00:00:00Z")),
        (json!("yesterday"), json!("0000-00-00")),
        (json!(future), written_at(1, "", 10)["last_interaction"].clone()),
        (json!(future), json!(future)),
    ]) {
        whatsapp.deliver(&with(contact, "STOP", stopped_at.clone())).await.json_body(200);
        assert!(whatsapp.conversation_column(contact, "opted_out_at").await.is_some(), "{stopped_at}");
        whatsapp.deliver(&with(contact, "START", resumed_at.clone())).await.json_body(200);
        assert_eq!(whatsapp.conversation_column(contact, "opted_out_at").await, None, "{stopped_at} {resumed_at}");
    }
}

#[tokio::test]
async fn a_start_that_resumes_nothing_keeps_the_order_draft_and_a_stop_drops_it() {
    let whatsapp = WhatsAppFixture::with_settings(&[("BURST_WINDOW_S", "20"), ("BURST_CAP_S", "60")]).await;
    let drafts = "select count(*) from conversations where order_draft is not null";
    whatsapp.deliver_text(1, "Un thé").await.json_body(200);
    whatsapp.sql("update conversations set order_draft = '{}'").await;
    whatsapp.deliver_text(1, "START").await.json_body(200);
    assert_eq!(whatsapp.number(drafts).await, 1);
    whatsapp.deliver_text(1, "STOP").await.json_body(200);
    assert_eq!(whatsapp.number(drafts).await, 0);
}

#[tokio::test]
async fn a_repeated_stop_delivery_is_confirmed_once() {
    let whatsapp = WhatsAppFixture::start().await;
    let stop = json!({ "id": 1, "last_input_text": "STOP", "message_id": "m1" });
    let (first, second) = tokio::join!(whatsapp.deliver(&stop), whatsapp.deliver(&stop));
    assert_eq!((first.status, second.status), (200, 200));
    whatsapp.deliver(&stop).await.json_body(200);
    whatsapp.wait_for_texts(1, 1).await;
    whatsapp.wait_for_reply_jobs().await;
    assert_eq!(whatsapp.number(CONFIRMED).await, 1);
}

#[tokio::test]
async fn after_a_stop_nothing_is_sent_that_was_queued_before() {
    let whatsapp = WhatsAppFixture::start().await;
    whatsapp.deliver_text(1, "CONSEILLER").await.json_body(200);
    whatsapp.wait_for_texts(1, 1).await;
    let id = whatsapp.conversation_column(1, "id").await.unwrap();
    let reply = whatsapp.app.post(&format!("/api/v1/conversations/{id}/reply")).by(&whatsapp.tenant);
    reply.json(&json!({ "text": "Une phrase de la réponse. ".repeat(100) })).await.data(201);
    whatsapp.wait_for_texts(1, 2).await;
    // The second part of the person's reply waits for six seconds.
    whatsapp.deliver_text(1, "STOP").await.json_body(200);
    assert!(whatsapp.wait_for_texts(1, 3).await[2].starts_with("C’est noté"));
    assert_eq!(whatsapp.manychat.sent_to("1").len(), 3);
    let cancelled = "select count(*) from messages where author = 'agent' and error_code = 'contact_opted_out'";
    assert_eq!(whatsapp.number(cancelled).await, 1);
}

#[tokio::test]
async fn waiting_messages_are_read_in_the_order_in_which_they_were_written() {
    let whatsapp = WhatsAppFixture::with_settings(&[("BURST_WINDOW_S", "1"), ("BURST_CAP_S", "5")]).await;
    whatsapp.switch_to_live().await;
    let file = String::from_utf8(repository_file("local/fixtures/field/manychat/order.jsonl")).unwrap();
    let case: Value = serde_json::from_str(file.trim()).unwrap();
    let (texts, read_as) = (case["posted"].as_array().unwrap(), &case["read_as"]);
    for (number, contact) in (0..).zip([1, 2]) {
        for (place, posted) in texts.iter().enumerate() {
            let mut body = posted.clone();
            body["id"] = json!(contact);
            body["message_id"] = json!(format!("{contact}-{place}"));
            if contact == 2 && place == 0 {
                // Without the time of one of them, the order of arrival is the only one.
                body.as_object_mut().unwrap().remove("last_interaction");
            }
            whatsapp.deliver(&body).await.json_body(200);
        }
        whatsapp.wait_for_texts(contact, 1).await;
        whatsapp.wait_for_reply_jobs().await;
        let request = &whatsapp.models.requests()[number];
        let asked = request["messages"].as_array().unwrap().last().unwrap()["content"].clone();
        if contact == 1 {
            assert_eq!(&asked, read_as);
        } else {
            assert_eq!(asked, "à Bouaké ?\nCombien coûte la livraison");
        }
    }
}

#[tokio::test]
async fn more_opt_outs_and_opt_ins_count_and_an_erasure_is_a_persons_matter() {
    let whatsapp = WhatsAppFixture::start().await;
    whatsapp.remove_part_spacing().await;
    for (contact, (stop, start)) in (1..).zip([
        ("STOP 36180", "reprenez"),
        ("Bloquez moi", "oui je veux reprendre"),
        ("🛑", "REPRENDRE"),
        ("supprimez mes données", "start"),
    ]) {
        whatsapp.deliver_text(contact, stop).await.json_body(200);
        assert!(whatsapp.conversation_column(contact, "opted_out_at").await.is_some(), "{stop}");
        assert!(whatsapp.wait_for_texts(contact, 1).await[0].starts_with("C’est noté"), "{stop}");
        whatsapp.deliver_text(contact, start).await.json_body(200);
        assert_eq!(whatsapp.conversation_column(contact, "opted_out_at").await, None, "{start}");
        whatsapp.wait_for_texts(contact, 2).await;
    }
    assert_eq!(whatsapp.conversation_column(4, "handler").await.as_deref(), Some("human"));
    assert!(whatsapp.manychat.sent_to("4")[0].contains("votre demande de suppression est transmise à l’entreprise"));
    assert_eq!(whatsapp.number("select count(*) from activities where type = 'erasure_requested'").await, 1);
}

#[tokio::test]
async fn an_opt_in_of_a_contact_who_gets_messages_is_told_so_at_no_cost() {
    let whatsapp = WhatsAppFixture::start().await;
    for (contact, text) in (1..).zip(["REPRENDRE", "start", "reprenez svp"]) {
        whatsapp.deliver_text(contact, text).await.json_body(200);
        let got = whatsapp.wait_for_texts(contact, 1).await;
        assert!(got[0].ends_with("Vous recevez déjà nos messages. Posez votre question."), "{text}: {got:?}");
    }
    assert_eq!(whatsapp.number("select sum(free_quota_used) from user_settings").await, 0);
    assert_eq!(whatsapp.number("select count(*) from unanswered").await, 0);
}

#[tokio::test]
async fn a_contact_who_opted_out_and_asks_for_a_person_is_answered_by_one() {
    let whatsapp = WhatsAppFixture::start().await;
    whatsapp.remove_part_spacing().await;
    whatsapp.deliver_text(1, "STOP").await.json_body(200);
    whatsapp.wait_for_texts(1, 1).await;
    whatsapp.wait_for_reply_jobs().await;
    let id = whatsapp.conversation_column(1, "id").await.unwrap();
    let path = |what: &str| format!("/api/v1/conversations/{id}/{what}");
    let take_over = || whatsapp.app.post(&path("takeover")).by(&whatsapp.tenant);
    let reply = || whatsapp.app.post(&path("reply")).by(&whatsapp.tenant).json(&json!({ "text": "Je suis là." }));
    take_over().await.refused(409, "contact_opted_out");
    reply().await.refused(409, "contact_opted_out");

    whatsapp.deliver_text(1, "je veux parler à quelqu'un").await.json_body(200);
    assert!(whatsapp.wait_for_texts(1, 2).await[1].starts_with("Je vous mets en relation"));
    assert_eq!(whatsapp.conversation_column(1, "handler").await.as_deref(), Some("human"));
    assert_eq!(whatsapp.number("select count(*) from activities where type = 'conversation_handed_over'").await, 1);
    take_over().await.data(200);
    reply().await.data(201);
    assert_eq!(whatsapp.wait_for_texts(1, 3).await[2], "Je suis là.");
    assert!(whatsapp.conversation_column(1, "opted_out_at").await.is_some(), "the opt-out stands");
}
