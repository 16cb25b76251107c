//! Courtesies of contacts: they cost nothing, get a short answer or none, and are no unanswered question.

use serde_json::{Value, json};

use super::super::support::{WhatsAppFixture, repository_file};

/// The cases of a file in local/fixtures/field, one JSON object a line.
fn field_cases(path: &str) -> Vec<Value> {
    let file = String::from_utf8(repository_file(format!("local/fixtures/field/{path}"))).unwrap();
    file.lines().filter(|line| !line.is_empty()).map(|line| serde_json::from_str(line).unwrap()).collect()
}

const UNITS: &str = "select sum(free_quota_used) from user_settings";
const SILENT: &str = "select count(*) from messages where skipped_reason = 'courtesy'";

#[tokio::test]
async fn courtesies_cost_nothing_and_questions_cost_a_unit_each() {
    let whatsapp = WhatsAppFixture::start().await;
    let (mut contact, mut spent) = (0, 0);
    for case in field_cases("manychat/courtesy.jsonl") {
        contact += 1;
        let text = case["text"].as_str().unwrap();
        whatsapp.deliver_text(contact, text).await.json_body(200);
        whatsapp.wait_for_reply_jobs().await;
        spent += i64::from(case["spends_a_unit"] == true);
        assert_eq!(whatsapp.number(UNITS).await, spent, "{text}");
        let found = whatsapp.number("select count(*) from unanswered").await;
        assert_eq!(found, spent, "{text}: only questions are listed as unanswered");
        let got = whatsapp.manychat.sent_to(&contact.to_string());
        assert_eq!(got.iter().any(|text| text.contains("trouvé")), case["spends_a_unit"] == true, "{text}: {got:?}");
    }
    assert_eq!((contact, spent), (8, 3));
    assert_eq!(whatsapp.number("select count(*) from reservations").await, 3);
    let open =
        "select count(*) from messages where direction = 'inbound' and answered_by is null and skipped_reason is null";
    assert_eq!(whatsapp.number(open).await, 0);
    assert_eq!(whatsapp.number("select count(*) from messages where model = 'courtesy' and answered is null").await, 3);
}

#[tokio::test]
async fn a_yes_or_no_to_nothing_is_a_courtesy() {
    let whatsapp = WhatsAppFixture::start().await;
    whatsapp.remove_part_spacing().await;
    // As the first message, and after an answer from the documents.
    whatsapp.deliver_text(1, "Oui").await.json_body(200);
    whatsapp.deliver_text(2, "Vous livrez à Bouaké ?").await.json_body(200);
    whatsapp.wait_for_texts(2, 1).await;
    for text in ["oui", "ok", "OUI !", "non", "yes", "oui monsieur"] {
        whatsapp.deliver_text(2, text).await.json_body(200);
        whatsapp.wait_for_reply_jobs().await;
    }
    assert_eq!((whatsapp.number(SILENT).await, whatsapp.number(UNITS).await), (7, 1));
    assert_eq!(whatsapp.number("select count(*) from unanswered").await, 1);
    assert_eq!(whatsapp.models.calls(), 0);
    assert_eq!((whatsapp.manychat.sent_to("1").len(), whatsapp.manychat.sent_to("2").len()), (0, 1));
    // With a voice message beside it, it is none.
    let spoken = json!({ "id": 3, "type": "audio", "last_input_text": "oui", "message_id": "a" });
    whatsapp.deliver(&spoken).await.json_body(200);
    assert!(whatsapp.wait_for_texts(3, 1).await[0].contains("je ne lis que les messages écrits"));
    // A wish is no bare answer.
    whatsapp.deliver_text(4, "Annulez ma commande").await.json_body(200);
    assert!(whatsapp.wait_for_texts(4, 1).await[0].contains("trouvé"));
    assert_eq!(whatsapp.number(UNITS).await, 2);
}

#[tokio::test]
async fn in_live_mode_a_yes_to_the_model_or_to_a_question_is_answered_and_one_to_a_notice_is_a_courtesy() {
    let whatsapp = WhatsAppFixture::start().await;
    whatsapp.remove_part_spacing().await;
    whatsapp.switch_to_live().await;
    // The model proposes without a question mark.
    whatsapp.models.reply_text("Je peux vous réserver le rouge.");
    whatsapp.deliver_text(1, "Vous avez ce sac ?").await.json_body(200);
    whatsapp.wait_for_texts(1, 1).await;
    whatsapp.models.reply_text("C’est réservé.");
    whatsapp.deliver_text(1, "Oui").await.json_body(200);
    assert_eq!(whatsapp.wait_for_texts(1, 2).await[1], "C’est réservé.");
    // A person of the company asks, and gives the conversation back; then a notice asks nothing.
    for (notice, is_answered) in [("Vous passez demain ?", true), ("Votre colis est parti.", false)] {
        let (calls, used) = (whatsapp.models.calls(), whatsapp.number(UNITS).await);
        whatsapp
            .sql(&format!(
                "insert into messages (customer_id, conversation_id, direction, author, content, sent_at) \
                 select customer_id, id, 'outbound', 'system', '{notice}', now() from conversations"
            ))
            .await;
        whatsapp.models.reply_text("C’est noté.");
        whatsapp.deliver_text(1, "oui").await.json_body(200);
        whatsapp.wait_for_reply_jobs().await;
        let expected = (calls + usize::from(is_answered), used + i64::from(is_answered));
        assert_eq!((whatsapp.models.calls(), whatsapp.number(UNITS).await), expected, "{notice}");
    }
    assert_eq!(whatsapp.number(SILENT).await, 1);
}

#[tokio::test]
async fn a_first_greeting_is_answered_with_what_the_assistant_can_do_and_further_courtesies_are_not() {
    let whatsapp = WhatsAppFixture::start().await;
    whatsapp.remove_part_spacing().await;
    whatsapp.deliver_text(1, "Bonjour").await.json_body(200);
    let got = whatsapp.wait_for_texts(1, 1).await;
    assert_eq!(
        got,
        [
            "Bonjour ! Je suis Lisa, l’assistant virtuel de Boutique Awa. Posez votre question, et je chercherai la réponse \
          dans nos documents. Écrivez CONSEILLER pour parler à une personne."
        ]
    );
    for (silent, text) in (1..).zip(["Merci", "👍🏿", "bonjour"]) {
        whatsapp.deliver_text(1, text).await.json_body(200);
        whatsapp.wait_for_reply_jobs().await;
        assert_eq!(whatsapp.number(SILENT).await, silent, "{text}");
    }
    // After a while, the contact is greeted again, without the introduction.
    whatsapp.sql("update messages set created_at = created_at - interval '2 hours'").await;
    whatsapp.deliver_text(1, "Bonjour").await.json_body(200);
    assert_eq!(whatsapp.wait_for_texts(1, 2).await[1], "Bonjour ! Que puis-je faire pour vous ?");
    whatsapp.deliver_text(1, "Vous livrez ?").await.json_body(200);
    assert!(
        whatsapp.wait_for_texts(1, 3).await[2].starts_with("Je n’ai pas trouvé"),
        "there is no second introduction"
    );
    whatsapp.deliver_text(1, "ok thanks a lot").await.json_body(200);
    assert_eq!(whatsapp.wait_for_texts(1, 4).await[3], "Avec plaisir !", "the conversation is in French");
    assert_eq!((whatsapp.number(UNITS).await, whatsapp.models.calls()), (1, 0));
}

#[tokio::test]
async fn a_courtesy_needs_no_quota_and_calls_no_model_and_no_person() {
    let whatsapp = WhatsAppFixture::start().await;
    whatsapp.switch_to_live().await;
    whatsapp.sql("update user_settings set free_quota_used = free_quota_limit").await;
    whatsapp.sql("update company_rag_configs set outside_hours = 'hand_over', business_hours = '{}'").await;
    whatsapp.deliver_text(1, "Bonsoir").await.json_body(200);
    let got = whatsapp.wait_for_texts(1, 1).await;
    assert!(got[0].contains("je prends vos commandes"), "{got:?}");
    whatsapp.deliver_text(2, "merciiii").await.json_body(200);
    assert_eq!(whatsapp.wait_for_texts(2, 1).await, ["Avec plaisir !"]);
    whatsapp.deliver_text(3, "😂😂").await.json_body(200);
    whatsapp.wait_for_reply_jobs().await;
    assert_eq!((whatsapp.number(SILENT).await, whatsapp.models.calls()), (1, 0));
    assert_eq!(whatsapp.number("select count(*) from activities").await, 0);
    assert_eq!(whatsapp.number("select count(*) from conversations where handler = 'human'").await, 0);
}

#[tokio::test]
async fn an_ok_that_answers_the_models_question_goes_to_the_model() {
    let whatsapp = WhatsAppFixture::start().await;
    whatsapp.remove_part_spacing().await;
    whatsapp.switch_to_live().await;
    whatsapp.models.reply_text("Nous l’avons en rouge. Je vous en réserve un ?");
    whatsapp.deliver_text(1, "Vous avez ce sac ?").await.json_body(200);
    whatsapp.wait_for_texts(1, 1).await;
    whatsapp.models.reply_text("C’est réservé.");
    whatsapp.deliver_text(1, "D'accord").await.json_body(200);
    assert_eq!(whatsapp.wait_for_texts(1, 2).await[1], "C’est réservé.");
    whatsapp.deliver_text(1, "D'accord").await.json_body(200);
    whatsapp.wait_for_reply_jobs().await;
    assert_eq!((whatsapp.models.calls(), whatsapp.number(SILENT).await), (2, 1), "the second answers nothing");
}

#[tokio::test]
async fn an_ok_with_thanks_that_answers_the_models_question_goes_to_the_model() {
    let whatsapp = WhatsAppFixture::start().await;
    whatsapp.remove_part_spacing().await;
    whatsapp.switch_to_live().await;
    whatsapp.sql("update user_settings set free_quota_limit = 100").await;
    for (contact, text) in (1..).zip(["D'accord merci", "ok merci", "ok parfait merci", "ça va merci", "ok ça va"]) {
        whatsapp.models.reply_text("Nous l’avons en rouge. Je vous en réserve un ?");
        whatsapp.deliver_text(contact, "Vous avez ce sac ?").await.json_body(200);
        whatsapp.wait_for_texts(contact, 1).await;
        whatsapp.models.reply_text("C’est réservé.");
        whatsapp.deliver_text(contact, text).await.json_body(200);
        assert_eq!(whatsapp.wait_for_texts(contact, 2).await[1], "C’est réservé.", "{text}");
        // Nothing is asked any more.
        whatsapp.deliver_text(contact, "ok merci").await.json_body(200);
        assert_eq!(whatsapp.wait_for_texts(contact, 3).await[2], "Avec plaisir !", "{text}");
    }
    assert_eq!(whatsapp.models.calls(), 10);
}

#[tokio::test]
async fn a_greeting_and_a_question_in_one_burst_are_a_question() {
    let whatsapp = WhatsAppFixture::with_settings(&[("BURST_WINDOW_S", "1")]).await;
    whatsapp.deliver_text(1, "Bonjour").await.json_body(200);
    whatsapp.deliver_text(1, "Vous livrez à Bouaké ?").await.json_body(200);
    let got = whatsapp.wait_for_texts(1, 1).await;
    assert!(got[0].starts_with("Bonjour ! Je suis Lisa") && got[0].contains("Je n’ai pas trouvé"), "{got:?}");
    assert_eq!(whatsapp.number(UNITS).await, 1);
}

#[tokio::test]
async fn a_picture_with_thanks_is_a_picture() {
    let whatsapp = WhatsAppFixture::with_settings(&[("BURST_WINDOW_S", "1")]).await;
    whatsapp.sql("update company_rag_configs set unsupported_messages = 'hand_over'").await;
    whatsapp.deliver(&json!({ "id": 1, "image": { "url": "x" }, "message_id": "a" })).await.json_body(200);
    whatsapp.deliver_text(1, "Merci").await.json_body(200);
    assert!(whatsapp.wait_for_texts(1, 1).await[0].starts_with("J’ai bien reçu votre envoi."));
}

#[tokio::test]
async fn thanks_are_not_acknowledged_and_a_greeting_is() {
    let whatsapp = WhatsAppFixture::with_settings(&[("BURST_WINDOW_S", "20"), ("BURST_CAP_S", "60")]).await;
    for (contact, (text, count)) in (1..).zip([("Merci !", 0), ("👍", 0), ("Bonjour", 1), ("Merci, et le retour ?", 1)])
    {
        let block = whatsapp.deliver_text(contact, text).await.json_body(200);
        assert_eq!(block["content"]["messages"].as_array().unwrap().len(), count, "{text}");
    }
}
