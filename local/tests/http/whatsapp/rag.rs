//! RAG mode: answers from documents, opt-out, and failures of the model.

use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::super::support::WhatsAppFixture;

#[tokio::test]
async fn an_answer_names_its_file_and_page_and_stores_its_citations() {
    let whatsapp = WhatsAppFixture::start().await;
    whatsapp.upload_document("Delivery in Abidjan costs 1500 francs and takes one day.").await;
    whatsapp.models.reply_text("**Delivery** costs 1500 francs [1].");
    whatsapp.deliver_text(1, "What does delivery in Abidjan cost?").await.json_body(200);
    let got = whatsapp.wait_for_texts(1, 1).await;
    assert_eq!(
        got,
        [
            "Hello! I am Lisa, the virtual assistant of Boutique Awa.\n\n*Delivery* costs 1500 francs.\n\n_Source: guide, p. 1_"
        ]
    );
    whatsapp.wait_for_reply_jobs().await;
    let listed = whatsapp.number(
        "select count(*) from messages where author = 'bot' and answered and sent_at is not null \
        and model is not null and prompt_tokens > 0 and citations -> 0 ->> 'filename' = 'guide.pdf' \
        and (citations -> 0 ->> 'page')::integer = 1",
    );
    assert_eq!(listed.await, 1);
    assert_eq!(whatsapp.number("select count(*) from llm_calls where status = 'ok' and purpose = 'reply'").await, 1);
    let day = "select count(*) from bot_usage where conversations_count = 1 and messages_count = 2 and requests_count = 1 \
        and tokens > 0";
    assert_eq!(whatsapp.number(day).await, 1);
    // The table that the frontends read has both messages.
    assert_eq!(whatsapp.number("select count(*) from conversation_memory where user_id = '1'").await, 2);

    // The second answer has no introduction, and no source because the tenant has switched sources off.
    whatsapp.sql("update company_rag_configs set show_sources = false").await;
    whatsapp.models.reply_text("One day [1].");
    whatsapp.remove_part_spacing().await;
    whatsapp.deliver_text(1, "And how long does delivery in Abidjan take?").await.json_body(200);
    assert_eq!(whatsapp.wait_for_texts(1, 2).await[1], "One day.");
}

#[tokio::test]
async fn a_question_without_an_answer_gets_the_not_found_text_in_the_contacts_language() {
    let whatsapp = WhatsAppFixture::start().await;
    whatsapp.deliver_text(1, "Quelle est la capitale de la Mongolie ?").await.json_body(200);
    let got = whatsapp.wait_for_texts(1, 1).await;
    assert!(got[0].starts_with("Bonjour !") && got[0].contains("Je n’ai pas trouvé la réponse"), "{got:?}");
    whatsapp.wait_for_reply_jobs().await;
    assert_eq!(whatsapp.number("select count(*) from messages where answered = false").await, 1);
    // The text offers a person, and the word that it names works.
    assert!(got[0].ends_with("Écrivez CONSEILLER pour parler à une personne."), "{got:?}");
    whatsapp.remove_part_spacing().await;
    whatsapp.deliver_text(1, "conseiller svp").await.json_body(200);
    assert!(whatsapp.wait_for_texts(1, 2).await[1].starts_with("Je vous mets en relation"));
}

#[tokio::test]
async fn an_uncertain_language_is_that_of_the_contact_or_else_of_the_company() {
    let whatsapp = WhatsAppFixture::start().await;
    let (french, english) = ("Je n’ai pas trouvé", "I could not find");
    whatsapp.sql("update company_rag_configs set language = 'en'").await;
    let body = |contact: u64, text: &str, locale: Value| json!({ "id": contact, "last_input_text": text, "locale": locale, "message_id": Uuid::new_v4() });
    for (contact, (text, locale, said)) in (1..).zip([
        ("prix attiéké svp", json!("en_US"), french),
        ("attiéké", Value::Null, english),
        ("attiéké", json!("fr_FR"), french),
        ("¿Cuánto cuesta el envío?", json!("es_ES"), english),
    ]) {
        whatsapp.deliver(&body(contact, text, locale)).await.json_body(200);
        let got = whatsapp.wait_for_texts(contact, 1).await;
        assert!(got[0].contains(said), "{text}: {got:?}");
    }
    // The phone's language does not replace that of the contact's words.
    whatsapp.remove_part_spacing().await;
    whatsapp.deliver(&body(1, "attiéké", json!("en_US"))).await.json_body(200);
    assert!(whatsapp.wait_for_texts(1, 2).await[1].contains(french));
}

#[tokio::test]
async fn a_renamed_company_greets_with_its_new_name() {
    let whatsapp = WhatsAppFixture::start().await;
    let patch = whatsapp.app.call(Method::PATCH, "/api/v1/customers/me").by(&whatsapp.tenant);
    patch.json(&json!({ "name": "Maison Awa" })).await.data(200);
    whatsapp.deliver_text(1, "Bonjour").await.json_body(200);
    let got = whatsapp.wait_for_texts(1, 1).await;
    assert!(got[0].contains("l’assistant virtuel de Maison Awa."), "{got:?}");
    whatsapp.deliver_text(2, "Vous livrez ?").await.json_body(200);
    let got = whatsapp.wait_for_texts(2, 1).await;
    assert!(got[0].contains("l’assistant virtuel de Maison Awa."), "{got:?}");
    // The frontends read this column.
    let renamed = "select count(*) from company_rag_configs where company_name = 'Maison Awa'";
    assert_eq!(whatsapp.number(renamed).await, 1);
}

#[tokio::test]
async fn without_a_model_the_documents_are_quoted() {
    let whatsapp = WhatsAppFixture::with_settings(&[("LLM_PROVIDER", "extractive")]).await;
    whatsapp.upload_document("Delivery in Abidjan costs 1500 francs and takes one day.").await;
    whatsapp.switch_to_live().await;
    whatsapp.deliver_text(1, "What does delivery in Abidjan cost?").await.json_body(200);
    let got = whatsapp.wait_for_texts(1, 1).await;
    assert!(got[0].contains("1500 francs") && got[0].ends_with("_Source: guide, p. 1_"), "{got:?}");
    assert_eq!(whatsapp.models.calls(), 0);
}

#[tokio::test]
async fn a_message_without_text_gets_a_request_for_text_or_a_handover() {
    let whatsapp = WhatsAppFixture::start().await;
    whatsapp
        .deliver(&serde_json::json!({ "id": 1, "message": { "type": "audio" }, "locale": "en_US" }))
        .await
        .json_body(200);
    assert!(whatsapp.wait_for_texts(1, 1).await[0].ends_with("Could you write your question?"));
    whatsapp.sql("update company_rag_configs set unsupported_messages = 'hand_over'").await;
    whatsapp.deliver(&serde_json::json!({ "id": 2, "image": { "url": "x" } })).await.json_body(200);
    assert!(whatsapp.wait_for_texts(2, 1).await[0].starts_with("J’ai bien reçu votre envoi."));
    assert_eq!(whatsapp.conversation_column(2, "handover_reason").await.as_deref(), Some("unsupported"));
    assert_eq!(whatsapp.models.calls(), 0);
    assert_eq!(whatsapp.number("select sum(free_quota_used) from user_settings").await, 0);
}

#[tokio::test]
async fn a_failing_model_ends_in_an_apology_and_a_refund() {
    let whatsapp = WhatsAppFixture::start().await;
    whatsapp.upload_document("Delivery in Abidjan costs 1500 francs.").await;
    whatsapp.models.always(local::fakes::models::FakeReply::Refused { status: 402, retry_after_s: None });
    whatsapp.deliver_text(1, "What does delivery cost?").await.json_body(200);
    let got = whatsapp.wait_for_texts(1, 1).await;
    assert_eq!(got, ["Sorry, I cannot answer you right now. Please try again a little later."]);
    whatsapp.wait_for_reply_jobs().await;
    assert_eq!(whatsapp.models.calls(), 3, "three attempts, and no more");
    assert_eq!(whatsapp.number("select sum(free_quota_used) from user_settings").await, 0);
    assert_eq!(whatsapp.number("select count(*) from reservations where state <> 'returned'").await, 0);
    assert_eq!(whatsapp.number("select count(*) from llm_calls where status <> 'ok'").await, 3);
    assert_eq!(whatsapp.number("select count(*) from activities where type = 'bot_failed'").await, 1);
}

#[tokio::test]
async fn a_contact_can_opt_out_and_opt_in_again() {
    let whatsapp = WhatsAppFixture::start().await;
    whatsapp.remove_part_spacing().await;
    whatsapp.deliver_text(1, "Stop").await.json_body(200);
    assert!(whatsapp.wait_for_texts(1, 1).await[0].starts_with("C’est noté"));
    whatsapp.wait_for_reply_jobs().await;
    whatsapp.deliver_text(1, "Vous livrez à Bouaké ?").await.json_body(200);
    whatsapp.wait_for_reply_jobs().await;
    assert_eq!(whatsapp.number("select count(*) from messages where skipped_reason = 'opted_out'").await, 1);
    assert_eq!(whatsapp.manychat.sent_to("1").len(), 1);
    whatsapp.deliver_text(1, "reprendre").await.json_body(200);
    assert_eq!(whatsapp.wait_for_texts(1, 2).await[1], "Ravi de vous retrouver ! Posez votre question.");
    whatsapp.deliver_text(1, "Vous livrez à Bouaké ?").await.json_body(200);
    assert!(whatsapp.wait_for_texts(1, 3).await[2].contains("Je n’ai pas trouvé"));
}

#[tokio::test]
async fn a_contact_who_has_waited_long_gets_the_apology_after_one_attempt() {
    let whatsapp = WhatsAppFixture::start().await;
    whatsapp.upload_document("Delivery in Abidjan costs 1500 francs.").await;
    let late = "create function waited() returns trigger language plpgsql as
            $$ begin new.created_at := now() - interval '20 seconds'; return new; end $$;
        create trigger waited before insert on messages for each row execute function waited()";
    whatsapp.sql(late).await;
    whatsapp.models.always(local::fakes::models::FakeReply::Refused { status: 402, retry_after_s: None });
    whatsapp.deliver_text(1, "What does delivery cost?").await.json_body(200);
    assert_eq!(
        whatsapp.wait_for_texts(1, 1).await,
        ["Sorry, I cannot answer you right now. Please try again a little later."]
    );
    whatsapp.wait_for_reply_jobs().await;
    assert_eq!(whatsapp.models.calls(), 1);
    assert_eq!(whatsapp.number("select sum(free_quota_used) from user_settings").await, 0);
}

#[tokio::test]
async fn a_model_that_blocks_a_question_is_not_asked_again() {
    let whatsapp = WhatsAppFixture::start().await;
    whatsapp.upload_document("Delivery in Abidjan costs 1500 francs.").await;
    whatsapp.models.always(local::fakes::models::FakeReply::Blocked);
    whatsapp.deliver_text(1, "What does delivery cost?").await.json_body(200);
    let got = whatsapp.wait_for_texts(1, 1).await;
    assert_eq!(got, ["Sorry, I cannot answer this question. Write HUMAN to speak with a person."]);
    whatsapp.wait_for_reply_jobs().await;
    assert_eq!(whatsapp.models.calls(), 1);
    assert_eq!(whatsapp.number("select sum(free_quota_used) from user_settings").await, 0);
}
