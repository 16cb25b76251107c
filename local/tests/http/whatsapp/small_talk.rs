//! Messages that ask nothing: numbers, signs, links to media, and questions for the bot itself. They cost nothing and are no
//! unanswered question.

use super::super::support::{App, WhatsAppFixture};

const UNITS: &str = "select sum(free_quota_used) from user_settings";
const TEXT_ONLY: &str = "Pour l’instant, je ne lis que les messages écrits. Pouvez-vous m’écrire votre question ?";
const HELP: &str = "Que puis-je faire pour vous ?";
const IN_WORDS: &str = "Pouvez-vous m’écrire votre question en quelques mots ?";

#[tokio::test]
async fn what_asks_nothing_costs_nothing_and_gets_a_short_answer_or_none() {
    let whatsapp = WhatsAppFixture::start().await;
    whatsapp.remove_part_spacing().await;
    whatsapp.upload_document("1. La livraison coûte 12 francs. 2. Le retour est gratuit.").await;
    let cases = [
        ("1", Some(IN_WORDS)),
        ("12", Some(IN_WORDS)),
        ("2️⃣", Some(IN_WORDS)),
        ("???", Some(HELP)),
        ("?", Some(HELP)),
        ("❓", Some(HELP)),
        ("Hein ?", Some(HELP)),
        ("oui ?", Some(HELP)),
        ("ok ?", Some(HELP)),
        ("Merci quand même", Some("Avec plaisir !")),
        ("In challah merci", Some("Avec plaisir !")),
        ("Joyeux anniversaire", Some("Merci, et à bientôt !")),
        ("non", None),
        ("non stop", None),
        ("c noté", None),
        ("rien", None),
        ("reçu", None),
        ("Ok je vais réfléchir", None),
        ("je vous reviens", None),
        ("on est ensemble", None),
    ];
    for (contact, (text, answer)) in (1..).zip(cases) {
        whatsapp.deliver_text(contact, text).await.json_body(200);
        whatsapp.wait_for_reply_jobs().await;
        let got = whatsapp.manychat.sent_to(&contact.to_string());
        assert_eq!(got, answer.into_iter().collect::<Vec<_>>(), "{text}");
    }
    whatsapp.deliver_text(90, "test").await.json_body(200);
    assert!(whatsapp.wait_for_texts(90, 1).await[0].starts_with("Bonjour ! Je suis Lisa"));
    assert_eq!((whatsapp.number(UNITS).await, whatsapp.models.calls()), (0, 0));
    assert_eq!(whatsapp.number("select count(*) from unanswered").await, 0);
    assert_eq!(whatsapp.number("select count(*) from conversations where handler = 'human'").await, 0);
}

#[tokio::test]
async fn a_link_to_media_or_a_placeholder_is_something_that_cannot_be_read() {
    let whatsapp = WhatsAppFixture::start().await;
    let texts = [
        "https://lookaside.fbsbx.com/whatsapp_business/attachments/?mid=1&ext=2&hash=3",
        "https://many-wabot-cdn.manychat.com/a/b/1234.ogg",
        "https://manybot-files.s3.eu-central-1.amazonaws.com/1/2.jpg",
        "[voice message]",
        "<Médias omis>",
        "PTT-20261129-WA0001.opus",
    ];
    for (contact, text) in (1..).zip(texts) {
        whatsapp.deliver_text(contact, text).await.json_body(200);
        let got = whatsapp.wait_for_texts(contact, 1).await;
        assert!(got[0].ends_with(TEXT_ONLY), "{text}: {got:?}");
    }
    whatsapp.wait_for_reply_jobs().await;
    assert_eq!((whatsapp.number(UNITS).await, whatsapp.models.calls()), (0, 0));
    assert_eq!(whatsapp.number("select count(*) from unanswered").await, 0);
    // The company sees the link, and a company that wants to look at pictures gets it.
    assert_eq!(whatsapp.number("select count(*) from messages where content like 'https://many%'").await, 2);
    whatsapp.sql("update company_rag_configs set unsupported_messages = 'hand_over'").await;
    whatsapp.deliver_text(50, texts[2]).await.json_body(200);
    assert!(whatsapp.wait_for_texts(50, 1).await[0].starts_with("J’ai bien reçu votre envoi."));
}

#[tokio::test]
async fn a_question_for_the_bot_itself_is_answered_honestly_and_offers_a_person() {
    let whatsapp = WhatsAppFixture::start().await;
    whatsapp.deliver_text(1, "vous êtes un robot ?").await.json_body(200);
    let honest = "Oui, je suis un assistant virtuel. Écrivez CONSEILLER pour parler à une personne.";
    assert_eq!(whatsapp.wait_for_texts(1, 1).await, [honest]);
    whatsapp.deliver_text(2, "Es-tu un humain ?").await.json_body(200);
    assert_eq!(whatsapp.wait_for_texts(2, 1).await, [honest]);
    assert_eq!(whatsapp.number("select count(*) from conversations where handler = 'human'").await, 0);
    assert_eq!(whatsapp.number(UNITS).await, 0);
}

#[tokio::test]
async fn a_greeting_after_thanks_is_answered_once_a_day() {
    let whatsapp = WhatsAppFixture::start().await;
    whatsapp.remove_part_spacing().await;
    whatsapp.deliver_text(1, "merci").await.json_body(200);
    assert_eq!(whatsapp.wait_for_texts(1, 1).await, ["Avec plaisir !"]);
    whatsapp.wait_for_reply_jobs().await;
    whatsapp.deliver_text(1, "Bonjour").await.json_body(200);
    assert!(whatsapp.wait_for_texts(1, 2).await[1].starts_with("Bonjour ! Je suis Lisa"));
    whatsapp.wait_for_reply_jobs().await;
    whatsapp.deliver_text(1, "bonjour").await.json_body(200);
    whatsapp.wait_for_reply_jobs().await;
    assert_eq!(whatsapp.manychat.sent_to("1").len(), 2);
}

#[tokio::test]
async fn a_sentence_in_pieces_between_courtesies_is_answered_as_the_sentence() {
    let whatsapp = WhatsAppFixture::with_settings(&[("BURST_WINDOW_S", "1"), ("LLM_PROVIDER", "extractive")]).await;
    whatsapp.upload_document("La livraison dans Abidjan coute 1500 francs et prend un jour.").await;
    let whole = "je voulais savoir combien coûte la livraison à Abidjan ?";
    whatsapp.deliver_text(1, whole).await.json_body(200);
    let got = whatsapp.wait_for_texts(1, 1).await;
    assert!(got[0].contains("1500 francs"), "{got:?}");
    for piece in ["Bonjour", "je voulais savoir", "combien coûte", "la livraison", "à Abidjan", "?", "merci"] {
        whatsapp.deliver_text(2, piece).await.json_body(200);
    }
    let got = whatsapp.wait_for_texts(2, 1).await;
    assert!(got[0].contains("1500 francs"), "{got:?}");
    // Beside a voice message, the answer says that it was not listened to.
    let voice = serde_json::json!({ "id": 3, "message": { "type": "audio" }, "message_id": "a" });
    whatsapp.deliver(&voice).await.json_body(200);
    whatsapp.deliver_text(3, "combien coûte la livraison à Abidjan ?").await.json_body(200);
    let got = whatsapp.wait_for_texts(3, 1).await;
    assert!(got[0].contains("1500 francs") && got[0].contains("Je n’ai pas écouté votre message vocal"), "{got:?}");
}

#[tokio::test]
async fn over_the_api_what_asks_nothing_costs_nothing_either() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    for (text, answer) in [
        ("1", IN_WORDS),
        ("???", HELP),
        ("Hein ?", HELP),
        ("non", "D’accord. Posez votre question."),
        ("https://example.com/a.ogg", TEXT_ONLY),
        ("I ni tchié", "Avec plaisir !"),
        ("vous êtes un robot ?", "Oui, je suis Lisa, un assistant virtuel."),
    ] {
        let answered = app.ask(&tenant, text).await.data(200);
        assert_eq!(
            (answered["answer"].as_str(), answered["model"].as_str()),
            (Some(answer), Some("courtesy")),
            "{text}"
        );
    }
    assert_eq!(app.number(UNITS).await, 0);
}
