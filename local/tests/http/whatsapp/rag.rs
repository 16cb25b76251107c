//! Answers from documents, as a contact reads them.

use super::super::support::WhatsApp;

#[tokio::test]
async fn an_answer_names_its_file_and_page_and_keeps_its_citations() {
    let whatsapp = WhatsApp::start().await;
    whatsapp.teach("Delivery in Abidjan costs 1500 francs and takes one day.").await;
    whatsapp.models.reply_text("**Delivery** costs 1500 francs [1].");
    whatsapp.write(1, "What does delivery in Abidjan cost?").await.bare(200);
    let got = whatsapp.got(1, 1).await;
    assert_eq!(
        got,
        [
            "Hello! I am Lisa, the virtual assistant of Boutique Awa.\n\n*Delivery* costs 1500 francs.\n\n_Source: guide.pdf, p. 1_"
        ]
    );
    whatsapp.settled().await;
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
    // What the fronts read.
    assert_eq!(whatsapp.number("select count(*) from conversation_memory where user_id = '1'").await, 2);

    // Who knows that it speaks with an assistant is not told again; nor is the source, where the tenant does not want it.
    whatsapp.sql("update company_rag_configs set show_sources = false").await;
    whatsapp.models.reply_text("One day [1].");
    whatsapp.do_not_space_parts().await;
    whatsapp.write(1, "And how long does delivery in Abidjan take?").await.bare(200);
    assert_eq!(whatsapp.got(1, 2).await[1], "One day.");
}

#[tokio::test]
async fn what_the_documents_do_not_say_is_said_plainly_and_in_the_contacts_language() {
    let whatsapp = WhatsApp::start().await;
    whatsapp.write(1, "Quelle est la capitale de la Mongolie ?").await.bare(200);
    let got = whatsapp.got(1, 1).await;
    assert!(got[0].starts_with("Bonjour !") && got[0].contains("Je n’ai pas trouvé la réponse"), "{got:?}");
    whatsapp.settled().await;
    assert_eq!(whatsapp.number("select count(*) from messages where answered = false").await, 1);
}

#[tokio::test]
async fn without_a_model_the_documents_are_quoted() {
    let whatsapp = WhatsApp::with(&[("LLM_PROVIDER", "extractive")]).await;
    whatsapp.teach("Delivery in Abidjan costs 1500 francs and takes one day.").await;
    whatsapp.go_live().await;
    whatsapp.write(1, "What does delivery in Abidjan cost?").await.bare(200);
    let got = whatsapp.got(1, 1).await;
    assert!(got[0].contains("1500 francs") && got[0].ends_with("_Source: guide.pdf, p. 1_"), "{got:?}");
    assert_eq!(whatsapp.models.calls(), 0);
}

#[tokio::test]
async fn what_is_no_text_gets_a_polite_sentence_or_a_person() {
    let whatsapp = WhatsApp::start().await;
    whatsapp
        .deliver(&serde_json::json!({ "id": 1, "message": { "type": "audio" }, "locale": "en_US" }))
        .await
        .bare(200);
    assert!(whatsapp.got(1, 1).await[0].ends_with("Could you write your question?"));
    whatsapp.sql("update company_rag_configs set unsupported_messages = 'hand_over'").await;
    whatsapp.deliver(&serde_json::json!({ "id": 2, "image": { "url": "x" } })).await.bare(200);
    assert!(whatsapp.got(2, 1).await[0].starts_with("J’ai bien reçu votre envoi."));
    assert_eq!(whatsapp.conversation(2, "handover_reason").await.as_deref(), Some("unsupported"));
    assert_eq!(whatsapp.models.calls(), 0);
    assert_eq!(whatsapp.number("select sum(free_quota_used) from user_settings").await, 0);
}

#[tokio::test]
async fn a_model_that_fails_ends_in_a_polite_sentence_and_the_unit_goes_back() {
    let whatsapp = WhatsApp::start().await;
    whatsapp.teach("Delivery in Abidjan costs 1500 francs.").await;
    whatsapp.models.always(local::fakes::models::FakeReply::Refused { status: 402, retry_after_s: None });
    whatsapp.write(1, "What does delivery cost?").await.bare(200);
    let got = whatsapp.got(1, 1).await;
    assert_eq!(got, ["Sorry, I cannot answer you right now. Please try again a little later."]);
    whatsapp.settled().await;
    assert_eq!(whatsapp.models.calls(), 3, "three attempts, and no more");
    assert_eq!(whatsapp.number("select sum(free_quota_used) from user_settings").await, 0);
    assert_eq!(whatsapp.number("select count(*) from reservations where state <> 'returned'").await, 0);
    assert_eq!(whatsapp.number("select count(*) from llm_calls where status <> 'ok'").await, 3);
    assert_eq!(whatsapp.number("select count(*) from activities where type = 'bot_failed'").await, 1);
}

#[tokio::test]
async fn a_contact_may_ask_to_be_left_alone_and_come_back() {
    let whatsapp = WhatsApp::start().await;
    whatsapp.do_not_space_parts().await;
    whatsapp.write(1, "Stop").await.bare(200);
    assert!(whatsapp.got(1, 1).await[0].starts_with("C’est noté"));
    whatsapp.settled().await;
    whatsapp.write(1, "Vous livrez à Bouaké ?").await.bare(200);
    whatsapp.settled().await;
    assert_eq!(whatsapp.number("select count(*) from messages where skipped_reason = 'opted_out'").await, 1);
    assert_eq!(whatsapp.manychat.sent_to("1").len(), 1);
    whatsapp.write(1, "reprendre").await.bare(200);
    assert_eq!(whatsapp.got(1, 2).await[1], "Ravi de vous retrouver ! Posez votre question.");
    whatsapp.write(1, "Vous livrez à Bouaké ?").await.bare(200);
    assert!(whatsapp.got(1, 3).await[2].contains("Je n’ai pas trouvé"));
}

#[tokio::test]
async fn a_contact_that_waited_for_long_is_not_put_off_for_another_attempt() {
    let whatsapp = WhatsApp::start().await;
    whatsapp.teach("Delivery in Abidjan costs 1500 francs.").await;
    let late = "create function waited() returns trigger language plpgsql as
            $$ begin new.created_at := now() - interval '20 seconds'; return new; end $$;
        create trigger waited before insert on messages for each row execute function waited()";
    whatsapp.sql(late).await;
    whatsapp.models.always(local::fakes::models::FakeReply::Refused { status: 402, retry_after_s: None });
    whatsapp.write(1, "What does delivery cost?").await.bare(200);
    assert_eq!(whatsapp.got(1, 1).await, ["Sorry, I cannot answer you right now. Please try again a little later."]);
    whatsapp.settled().await;
    assert_eq!(whatsapp.models.calls(), 1);
    assert_eq!(whatsapp.number("select sum(free_quota_used) from user_settings").await, 0);
}

#[tokio::test]
async fn a_model_that_declines_is_not_asked_again() {
    let whatsapp = WhatsApp::start().await;
    whatsapp.teach("Delivery in Abidjan costs 1500 francs.").await;
    whatsapp.models.always(local::fakes::models::FakeReply::Blocked);
    whatsapp.write(1, "What does delivery cost?").await.bare(200);
    let got = whatsapp.got(1, 1).await;
    assert_eq!(got, ["Sorry, I cannot answer this question. Write HUMAN to speak with a person."]);
    whatsapp.settled().await;
    assert_eq!(whatsapp.models.calls(), 1);
    assert_eq!(whatsapp.number("select sum(free_quota_used) from user_settings").await, 0);
}
