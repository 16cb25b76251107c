//! LIVE mode without a language model: the catalogue is quoted.

use super::super::support::WhatsAppFixture;

/// A tenant in LIVE mode, without a language model, with two products and a document.
async fn shop() -> WhatsAppFixture {
    let whatsapp = WhatsAppFixture::with_settings(&[("LLM_PROVIDER", "extractive")]).await;
    whatsapp.remove_part_spacing().await;
    whatsapp.switch_to_live().await;
    whatsapp
        .sql(
            "insert into products (customer_id, name, description, price, currency, available) values \
             ('{tenant}', 'Lampe solaire', 'Garantie deux ans', 15000, 'XOF', true), \
             ('{tenant}', 'Panier de fruits', null, 4000, 'XOF', true), \
             ('{tenant}', 'Ventilateur solaire', null, 30000, 'XOF', false)",
        )
        .await;
    whatsapp
}

/// The answer to one message of a new contact, with ordinary spaces and without the assistant's introduction.
async fn answer(whatsapp: &WhatsAppFixture, contact: u64, text: &str) -> String {
    whatsapp.deliver_text(contact, text).await.json_body(200);
    let got = whatsapp.wait_for_texts(contact, 1).await[0].replace('\u{a0}', " ");
    whatsapp.wait_for_reply_jobs().await;
    got.split_once("\n\n").map_or(got.clone(), |(_, rest)| rest.to_owned())
}

const LAMP: &str = "- Lampe solaire : 15 000 F CFA – Garantie deux ans";
const BASKET: &str = "- Panier de fruits : 4 000 F CFA";
const TO_ORDER: &str = "Pour commander, écrivez CONSEILLER : une personne vous répondra.";

#[tokio::test]
async fn a_product_that_a_message_names_is_quoted_with_its_price() {
    let whatsapp = shop().await;
    let quote = format!("{LAMP}\n\n{TO_ORDER}");
    for (contact, text) in (1..).zip(["Combien coûtent les lampes solaires ?", "Je veux acheter 2 lampes solaires"]) {
        assert_eq!(answer(&whatsapp, contact, text).await, quote, "{text}");
    }
    // The whole catalogue, without what is not available.
    assert_eq!(answer(&whatsapp, 3, "Quels sont vos produits ?").await, format!("{LAMP}\n{BASKET}\n\n{TO_ORDER}"));
    assert_eq!(whatsapp.models.calls(), 0);
    let stored = "select count(*) from messages where author = 'bot' and answered and model = 'catalogue-1'";
    assert_eq!(whatsapp.number(stored).await, 3);
    assert_eq!(whatsapp.number("select sum(free_quota_used) from user_settings").await, 3);
}

#[tokio::test]
async fn a_product_after_the_first_two_hundred_is_sold_where_it_is_named() {
    let whatsapp = shop().await;
    whatsapp
        .sql(
            "insert into products (customer_id, name, price, currency) \
             select '{tenant}', 'Article ' || number, 100, 'XOF' from generate_series(1, 250) number; \
             insert into products (customer_id, name, price, currency) values ('{tenant}', 'Zinc ondulé', 7500, 'XOF')",
        )
        .await;
    let quote = format!("- Zinc ondulé : 7 500 F CFA\n\n{TO_ORDER}");
    assert_eq!(answer(&whatsapp, 1, "C'est combien le zinc ondulé ?").await, quote);
}

#[tokio::test]
async fn a_question_that_nothing_answers_is_unanswered_and_shows_the_catalogue() {
    let whatsapp = shop().await;
    let got = answer(&whatsapp, 1, "Livrez-vous à Lomé ?").await;
    assert!(got.starts_with("Je n’ai pas trouvé la réponse"), "{got}");
    assert!(got.ends_with(&format!("Voici ce que nous proposons :\n{LAMP}\n{BASKET}")), "{got}");
    assert_eq!(whatsapp.number("select count(*) from unanswered").await, 1);
}

#[tokio::test]
async fn a_question_that_the_documents_answer_is_answered_from_them() {
    let whatsapp = shop().await;
    whatsapp.upload_document("La livraison a Abidjan coute 1500 francs et prend deux jours.").await;
    let got = answer(&whatsapp, 1, "Combien coûte la livraison à Abidjan ?").await;
    assert!(got.contains("1500 francs") && !got.contains("Lampe solaire"), "{got}");
}

#[tokio::test]
async fn an_empty_catalogue_leaves_the_answer_to_the_documents() {
    let whatsapp = shop().await;
    whatsapp.sql("update products set available = false").await;
    let got = answer(&whatsapp, 1, "Combien coûte la lampe solaire ?").await;
    assert!(got.starts_with("Je n’ai pas trouvé la réponse") && !got.contains("proposons"), "{got}");
}
