//! The language of the fixed texts: that of the contact's sentences, and not that of single words.

use serde_json::json;
use uuid::Uuid;

use super::super::support::WhatsAppFixture;

const FRENCH: &str = "Je n’ai pas trouvé";
const ENGLISH: &str = "I could not find";

#[tokio::test]
async fn single_words_do_not_change_the_language_of_a_conversation_and_a_sentence_does() {
    let whatsapp = WhatsAppFixture::start().await;
    whatsapp.remove_part_spacing().await;
    whatsapp.sql("update user_settings set free_quota_limit = 100").await;
    whatsapp.deliver_text(1, "Vous livrez à Bouaké ?").await.json_body(200);
    whatsapp.wait_for_texts(1, 1).await;
    for text in ["okay", "ok thanks", "bye", "yes", "ok thanks a lot", "iPhone black", "I ni tchié", "Hello"] {
        whatsapp.deliver_text(1, text).await.json_body(200);
        whatsapp.wait_for_reply_jobs().await;
        assert_eq!(whatsapp.conversation_column(1, "language").await.as_deref(), Some("fr"), "{text}");
    }
    let count = whatsapp.manychat.sent_to("1").len();
    whatsapp.deliver_text(1, "attiéké").await.json_body(200);
    assert!(whatsapp.wait_for_texts(1, count + 1).await[count].starts_with(FRENCH));
    whatsapp.deliver_text(1, "Do you deliver to Bouaké?").await.json_body(200);
    assert!(whatsapp.wait_for_texts(1, count + 2).await[count + 1].starts_with(ENGLISH));
    whatsapp.deliver_text(1, "ok merci").await.json_body(200);
    assert_eq!(whatsapp.wait_for_texts(1, count + 3).await[count + 2], "You are welcome!");
    whatsapp.deliver_text(1, "et combien coûte la livraison ?").await.json_body(200);
    assert!(whatsapp.wait_for_texts(1, count + 4).await[count + 3].starts_with(FRENCH));
}

#[tokio::test]
async fn a_greeting_of_the_world_is_answered_in_the_language_of_the_phone_or_of_the_company() {
    let whatsapp = WhatsAppFixture::start().await;
    for (contact, (text, locale, greeting)) in (1..).zip([
        ("Hello", json!("fr_FR"), "Bonjour !"),
        ("hi", json!("fr_FR"), "Bonjour !"),
        ("Hello", json!(null), "Bonjour !"),
        ("Hello", json!("en_US"), "Hello!"),
        ("I ni sogoma", json!(null), "Bonjour !"),
        ("Aw ni sogoma", json!("fr_FR"), "Bonjour !"),
        ("I ni wula", json!(null), "Bonjour !"),
        ("Good morning", json!(null), "Hello!"),
    ]) {
        let body = json!({ "id": contact, "last_input_text": text, "locale": locale, "message_id": Uuid::new_v4() });
        whatsapp.deliver(&body).await.json_body(200);
        assert!(whatsapp.wait_for_texts(contact, 1).await[0].starts_with(greeting), "{text} {locale}");
    }
    whatsapp.deliver_text(20, "I ni tchié").await.json_body(200);
    assert_eq!(whatsapp.wait_for_texts(20, 1).await, ["Avec plaisir !"]);
    assert_eq!(whatsapp.number("select sum(free_quota_used) from user_settings").await, 0);
}
