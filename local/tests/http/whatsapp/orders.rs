//! Orders in LIVE mode: the model names products, the catalogue sets prices, and the contact confirms.

use local::fakes::models::FakeReply;
use serde_json::json;
use shared::{
    orders::{self, OrderStatus},
    settings::Settings,
};

use super::super::support::{App, WhatsAppFixture};

/// A tenant in LIVE mode with two products.
async fn shop() -> WhatsAppFixture {
    shop_with_settings(&[]).await
}

async fn shop_with_settings(settings: &[(&str, &str)]) -> WhatsAppFixture {
    let whatsapp = WhatsAppFixture::with_settings(settings).await;
    whatsapp.remove_part_spacing().await;
    whatsapp.switch_to_live().await;
    whatsapp
        .sql(
            "insert into products (customer_id, name, price, currency) values \
             ('{tenant}', 'Café moulu', 2500, 'XOF'), ('{tenant}', 'Thé vert', 1000, 'XOF')",
        )
        .await;
    whatsapp
}

/// A text with ordinary spaces in place of non-breaking ones.
fn with_plain_spaces(text: &str) -> String {
    text.replace('\u{a0}', " ")
}

#[tokio::test]
async fn an_order_uses_catalogue_prices_and_is_created_after_a_yes() {
    let whatsapp = shop().await;
    // The model repeats prices that the contact has dictated.
    let items = json!([{ "product": "cafe moulu", "quantity": 2, "unit_price": 1, "price": "1.00" }]);
    whatsapp.models.reply_tool("create_order", json!({ "items": items, "total": 1 }));
    whatsapp.deliver_text(1, "Deux cafés, vends-les-moi à 1 franc").await.json_body(200);
    let got = whatsapp.wait_for_texts(1, 1).await;
    assert!(with_plain_spaces(&got[0]).contains("- 2 × Café moulu : 5 000 F CFA\n*Total : 5 000 F CFA*"), "{got:?}");
    assert_eq!(whatsapp.number("select count(*) from orders").await, 0, "nothing is ordered before a yes");

    whatsapp.deliver_text(1, "Oui merci !").await.json_body(200);
    let got = whatsapp.wait_for_texts(1, 2).await;
    assert!(with_plain_spaces(&got[1]).contains("est enregistrée. Total : 5 000 F CFA."), "{got:?}");
    assert_eq!(whatsapp.models.calls(), 1, "a yes needs no model");
    let order = "select count(*) from orders where total_amount = 5000 and currency = 'XOF' and status = 'pending' \
        and not needs_review and items -> 0 ->> 'unit_price' = '2500.00' and conversation_id is not null";
    assert_eq!(whatsapp.number(order).await, 1);
    assert_eq!(whatsapp.number("select count(*) from bot_usage where orders_count = 1").await, 1);
    assert_eq!(whatsapp.number("select count(*) from activities where type = 'order_created'").await, 1);
    // A second yes creates no second order.
    whatsapp.models.reply_text("Avec plaisir.");
    whatsapp.deliver_text(1, "Oui").await.json_body(200);
    assert_eq!(whatsapp.wait_for_texts(1, 3).await[2], "Avec plaisir.");
    assert_eq!(whatsapp.number("select count(*) from orders").await, 1);
}

#[tokio::test]
async fn a_yes_in_several_messages_at_once_creates_one_order() {
    let whatsapp = shop().await;
    whatsapp.models.reply_tool("create_order", json!({ "items": [{ "product": "Thé vert", "quantity": 1 }] }));
    whatsapp.deliver_text(1, "Un thé").await.json_body(200);
    whatsapp.wait_for_texts(1, 1).await;
    whatsapp.wait_for_reply_jobs().await;
    // Both messages stay pending while another worker has the conversation.
    let lease =
        "update conversations set lease_token = gen_random_uuid(), lease_expires_at = now() + interval '1 hour'";
    whatsapp.sql(lease).await;
    let (first, second) = tokio::join!(whatsapp.deliver_text(1, "Oui"), whatsapp.deliver_text(1, "oui merci"));
    assert_eq!((first.status, second.status), (200, 200));
    whatsapp.sql("update conversations set lease_token = null, lease_expires_at = null").await;
    run_reply_jobs(&whatsapp).await;
    assert!(whatsapp.wait_for_texts(1, 2).await[1].contains("est enregistrée"));
    whatsapp.wait_for_reply_jobs().await;
    assert_eq!(whatsapp.number("select count(*) from orders").await, 1);
    assert_eq!((whatsapp.models.calls(), whatsapp.manychat.sent_to("1").len()), (1, 2), "both are one answer");
}

/// Lets maintenance send the queue messages of all reply jobs again.
async fn run_reply_jobs(whatsapp: &WhatsAppFixture) {
    whatsapp.sql("update jobs set run_after = now() - interval '1 second'").await;
    whatsapp.app.stack.invoke("maintenance", json!({})).await.unwrap();
}

#[tokio::test]
async fn a_product_that_is_deleted_between_the_proposal_and_the_yes_is_archived() {
    let whatsapp = shop_with_proposal().await;
    let products = whatsapp.app.get("/api/v1/products?sort=name").by(&whatsapp.tenant).await.data(200);
    assert_eq!(products[1]["name"], "Thé vert");
    let path = format!("/api/v1/products/{}", products[1]["id"].as_str().unwrap());
    whatsapp.app.delete(&path).by(&whatsapp.tenant).await.no_content();
    let archived = "select count(*) from products where name = 'Thé vert' and archived_at is not null";
    assert_eq!(whatsapp.number(archived).await, 1);
    whatsapp.deliver_text(1, "oui").await.json_body(200);
    whatsapp.wait_for_texts(1, 2).await;
    whatsapp.wait_for_reply_jobs().await;
    let named = "select count(*) from orders, jsonb_array_elements(items) item
        join products on products.id = (item ->> 'product_id')::uuid";
    assert_eq!(whatsapp.number(named).await, 1);
}

#[tokio::test]
async fn a_product_that_was_gone_before_the_proposal_leaves_the_order_its_price() {
    let whatsapp = shop_with_proposal().await;
    // The worker had read the catalogue before the deletion, which saw no proposal.
    whatsapp.sql("delete from products where name = 'Thé vert'").await;
    whatsapp.deliver_text(1, "oui").await.json_body(200);
    whatsapp.wait_for_texts(1, 2).await;
    whatsapp.wait_for_reply_jobs().await;
    let kept = "select count(*) from orders
        where items -> 0 ->> 'product_id' is null and items -> 0 ->> 'name' = 'Thé vert' and total_amount = 1000";
    assert_eq!(whatsapp.number(kept).await, 1);
}

/// A shop that has proposed an order of one tea to contact 1.
async fn shop_with_proposal() -> WhatsAppFixture {
    let whatsapp = shop().await;
    propose(&whatsapp).await;
    whatsapp
}

/// Has the model propose an order of one tea to contact 1.
async fn propose(whatsapp: &WhatsAppFixture) {
    propose_to(whatsapp, 1).await;
}

async fn propose_to(whatsapp: &WhatsAppFixture, contact: u64) {
    whatsapp.models.always(FakeReply::Text("Que puis-je faire ?".to_owned()));
    whatsapp.models.reply_tool("create_order", json!({ "items": [{ "product": "Thé vert", "quantity": 1 }] }));
    whatsapp.deliver_text(contact, "Un thé").await.json_body(200);
    assert!(whatsapp.wait_for_texts(contact, 1).await[0].contains("Répondez *OUI*"));
    whatsapp.wait_for_reply_jobs().await;
}

#[tokio::test]
async fn a_yes_with_the_picture_of_a_payment_orders_and_a_picture_alone_does_not() {
    for (text, orders) in [(Some("oui"), 1), (Some("ok"), 1), (None, 0)] {
        let whatsapp = shop_with_settings(&[("BURST_WINDOW_S", "1")]).await;
        propose(&whatsapp).await;
        whatsapp.deliver(&json!({ "id": 1, "image": { "url": "x" }, "message_id": "a" })).await.json_body(200);
        if let Some(text) = text {
            whatsapp.deliver_text(1, text).await.json_body(200);
        }
        let got = whatsapp.wait_for_texts(1, 2).await;
        assert_eq!(got[1].contains("est enregistrée"), orders == 1, "{text:?}: {got:?}");
        assert_eq!(whatsapp.number("select count(*) from orders").await, orders, "{text:?}");
    }
}

const UNHEARD: &str =
    "Pour l’instant, je ne lis que les messages écrits. Rien n’est encore commandé. Voulez-vous toujours commander ?";

#[tokio::test]
async fn a_yes_or_no_with_a_voice_message_that_nobody_has_heard_decides_nothing() {
    let whatsapp = shop_with_settings(&[("BURST_WINDOW_S", "1")]).await;
    let kinds = [
        json!({ "type": "audio" }),
        json!({ "message": { "type": "voice" } }),
        json!({ "video": { "url": "x" } }),
        json!({ "file": { "url": "x" } }),
        // The body of the guide does not name what came.
        json!({ "last_input_text": "" }),
    ];
    for (contact, (unheard, text)) in (1..).zip(kinds.into_iter().zip(["oui", "ok", "Je confirme", "👍", "non"])) {
        propose_to(&whatsapp, contact).await;
        let mut body = unheard.clone();
        body["id"] = json!(contact);
        body["message_id"] = json!("a");
        whatsapp.deliver(&body).await.json_body(200);
        whatsapp.deliver_text(contact, text).await.json_body(200);
        assert_eq!(whatsapp.wait_for_texts(contact, 2).await[1], UNHEARD, "{text} with {unheard}");
        whatsapp.wait_for_reply_jobs().await;
        assert_eq!(whatsapp.conversation_column(contact, "order_draft").await, None, "{text}");
    }
    assert_eq!(whatsapp.number("select count(*) from orders").await, 0);
    assert_eq!(whatsapp.models.calls(), 5, "one for each proposal");
    // The contact is asked, so its yes goes to the model, which proposes anew.
    whatsapp.deliver_text(1, "Oui").await.json_body(200);
    assert_eq!(whatsapp.wait_for_texts(1, 3).await[2], "Que puis-je faire ?");
}

#[tokio::test]
async fn a_yes_in_the_body_of_a_voice_message_or_a_video_orders_nothing() {
    let whatsapp = shop().await;
    for (contact, spoken) in (1..).zip([json!({ "type": "audio" }), json!({ "message": { "video": { "url": "x" } } })])
    {
        propose_to(&whatsapp, contact).await;
        let mut body = spoken.clone();
        body["id"] = json!(contact);
        body["message_id"] = json!("a");
        body["last_input_text"] = json!("oui");
        whatsapp.deliver(&body).await.json_body(200);
        assert_eq!(whatsapp.wait_for_texts(contact, 2).await[1], UNHEARD, "{spoken}");
    }
    // An image with its caption is the picture of a payment.
    propose_to(&whatsapp, 3).await;
    let body =
        json!({ "id": 3, "message_id": "a", "type": "image", "image": { "url": "x" }, "last_input_text": "oui" });
    whatsapp.deliver(&body).await.json_body(200);
    assert!(whatsapp.wait_for_texts(3, 2).await[1].contains("est enregistrée"));
    assert_eq!(whatsapp.number("select count(*) from orders").await, 1);
}

#[tokio::test]
async fn a_yes_with_a_voice_message_waits_for_a_person_where_these_are_handed_over() {
    let whatsapp = shop_with_settings(&[("BURST_WINDOW_S", "1")]).await;
    whatsapp.sql("update company_rag_configs set unsupported_messages = 'hand_over'").await;
    propose(&whatsapp).await;
    whatsapp.deliver(&json!({ "id": 1, "type": "audio", "message_id": "a" })).await.json_body(200);
    whatsapp.deliver_text(1, "oui").await.json_body(200);
    assert!(whatsapp.wait_for_texts(1, 2).await[1].starts_with("J’ai bien reçu votre envoi."));
    assert_eq!(whatsapp.conversation_column(1, "handover_reason").await.as_deref(), Some("unsupported"));
    assert_eq!(whatsapp.number("select count(*) from orders").await, 0);
}

#[tokio::test]
async fn a_cancellation_with_a_voice_message_that_nobody_has_heard_cancels_nothing() {
    let whatsapp = shop_with_settings(&[("BURST_WINDOW_S", "1")]).await;
    propose(&whatsapp).await;
    whatsapp.deliver_text(1, "oui").await.json_body(200);
    whatsapp.wait_for_texts(1, 2).await;
    whatsapp.models.reply_tool("update_order", json!({ "cancel": true }));
    whatsapp.deliver_text(1, "J’annule ma commande").await.json_body(200);
    assert!(whatsapp.wait_for_texts(1, 3).await[2].starts_with("Voulez-vous vraiment annuler"));
    whatsapp.wait_for_reply_jobs().await;
    whatsapp.deliver(&json!({ "id": 1, "type": "audio", "message_id": "a" })).await.json_body(200);
    whatsapp.deliver_text(1, "Annule").await.json_body(200);
    let got = whatsapp.wait_for_texts(1, 4).await;
    assert!(got[3].contains("Votre commande n’est pas annulée."), "{got:?}");
    assert_eq!(whatsapp.number("select count(*) from orders where status = 'cancelled'").await, 0);
}

/// Says yes, and asserts that the model answers instead of an order.
async fn assert_yes_orders_nothing(whatsapp: &WhatsAppFixture, why: &str) {
    let (count, calls) = (whatsapp.manychat.sent_to("1").len(), whatsapp.models.calls());
    whatsapp.deliver_text(1, "Oui").await.json_body(200);
    let got = whatsapp.wait_for_texts(1, count + 1).await;
    assert_eq!(got[count], "Que puis-je faire ?", "{why}");
    assert_eq!(whatsapp.models.calls(), calls + 1, "{why}");
    assert_eq!(whatsapp.number("select count(*) from orders where conversation_id is not null").await, 0, "{why}");
}

#[tokio::test]
async fn a_yes_after_another_turn_orders_nothing() {
    for (turn, answer) in [
        ("Il est bio ?", "Que puis-je faire ?"),
        ("Merci", "Rien n’est encore commandé. Voulez-vous toujours commander ?"),
        ("🙏", "Rien n’est encore commandé. Voulez-vous toujours commander ?"),
        ("Oui ?", "Rien n’est encore commandé. Voulez-vous toujours commander ?"),
    ] {
        let whatsapp = shop_with_proposal().await;
        whatsapp.deliver_text(1, turn).await.json_body(200);
        assert_eq!(whatsapp.wait_for_texts(1, 2).await[1], answer, "{turn}");
        whatsapp.wait_for_reply_jobs().await;
        assert_eq!(whatsapp.conversation_column(1, "order_draft").await, None, "{turn}");
        assert_yes_orders_nothing(&whatsapp, turn).await;
    }
}

/// Proposes an order to a contact of its own, and delivers a text that was written `seconds` after the proposal. Returns
/// true when the text orders.
async fn orders(whatsapp: &WhatsAppFixture, contact: u64, text: &str, seconds: Option<i64>) -> bool {
    whatsapp.models.always(FakeReply::Text("Que puis-je faire ?".to_owned()));
    whatsapp.models.reply_tool("create_order", json!({ "items": [{ "product": "Thé vert", "quantity": 1 }] }));
    whatsapp.deliver_text(contact, "Un thé").await.json_body(200);
    assert!(whatsapp.wait_for_texts(contact, 1).await[0].contains("Répondez *OUI*"));
    whatsapp.wait_for_reply_jobs().await;
    let proposed = whatsapp.number("select floor(extract(epoch from max(created_at)))::bigint from messages").await;
    let written = seconds.map(|seconds| proposed + seconds);
    let body = json!({ "id": contact, "message_id": "late", "last_input_text": text, "last_interaction": written });
    whatsapp.deliver(&body).await.json_body(200);
    let got = whatsapp.wait_for_texts(contact, 2).await;
    whatsapp.wait_for_reply_jobs().await;
    let placed = format!(
        "select count(*) from orders o join conversations c on c.id = o.conversation_id where c.contact_id = '{contact}'"
    );
    let is_placed = whatsapp.number(&placed).await == 1;
    assert_eq!(got[1].contains("est enregistrée"), is_placed, "{text} {seconds:?}: {got:?}");
    is_placed
}

#[tokio::test]
async fn a_yes_that_was_written_before_the_proposal_and_came_late_orders_nothing() {
    let whatsapp = shop().await;
    whatsapp.sql("update user_settings set free_quota_limit = 100").await;
    for (contact, (text, seconds, is_order)) in (1..).zip([
        ("oui", None, true),
        ("oui", Some(5), true),
        ("oui", Some(0), true),
        ("oui", Some(-1), true),
        ("oui", Some(-10), false),
        ("oui", Some(-3_600), false),
        ("je confirme", Some(-600), false),
    ]) {
        assert_eq!(orders(&whatsapp, contact, text, seconds).await, is_order, "{text} {seconds:?}");
    }
}

#[tokio::test]
async fn a_yes_that_doubts_orders_nothing() {
    let whatsapp = shop().await;
    whatsapp.sql("update user_settings set free_quota_limit = 100").await;
    for (contact, (text, is_order)) in (1..).zip([
        ("oui \u{fe56}", false),
        ("oui \u{2e2e}", false),
        ("oui \u{2370}", false),
        ("oui ¿", false),
        ("ok 🤔", false),
        ("oui 🤷", false),
        ("oui 😡", false),
        ("oui 🙏😊", true),
    ]) {
        assert_eq!(orders(&whatsapp, contact, text, None).await, is_order, "{text}");
    }
}

#[tokio::test]
async fn a_yes_after_a_takeover_a_notice_or_a_day_orders_nothing() {
    let whatsapp = shop_with_proposal().await;
    let id = whatsapp.conversation_column(1, "id").await.unwrap();
    for what in ["takeover", "release"] {
        let path = format!("/api/v1/conversations/{id}/{what}");
        whatsapp.app.post(&path).by(&whatsapp.tenant).await.data(200);
    }
    whatsapp.wait_for_reply_jobs().await;
    assert_yes_orders_nothing(&whatsapp, "takeover").await;

    let whatsapp = shop_with_proposal().await;
    whatsapp
        .sql(
            "insert into messages (customer_id, conversation_id, direction, author, content, sent_at) \
             select customer_id, id, 'outbound', 'system', 'Votre commande 1234 est confirmée.', now() from conversations",
        )
        .await;
    assert_yes_orders_nothing(&whatsapp, "a notice is the last message").await;

    let whatsapp = shop_with_proposal().await;
    let yesterday = "update conversations set order_draft = \
        jsonb_set(order_draft, '{proposed_at}', to_jsonb(now() - interval '25 hours'))";
    whatsapp.sql(yesterday).await;
    assert_yes_orders_nothing(&whatsapp, "a day later").await;

    let whatsapp = shop_with_proposal().await;
    whatsapp.sql("update messages set sent_at = null where author = 'bot'").await;
    assert_yes_orders_nothing(&whatsapp, "the contact has not seen it whole").await;
}

#[tokio::test]
async fn an_ok_from_before_the_proposal_is_no_yes_and_does_not_end_it() {
    let whatsapp = shop().await;
    whatsapp.models.reply_tool("create_order", json!({ "items": [{ "product": "Thé vert", "quantity": 1 }] }));
    whatsapp.models.hold();
    whatsapp.deliver_text(1, "Un thé").await.json_body(200);
    whatsapp.models.wait_for_held_request().await;
    // It acknowledges the acknowledgement.
    whatsapp.deliver_text(1, "ok").await.json_body(200);
    whatsapp.models.release();
    assert!(whatsapp.wait_for_texts(1, 1).await[0].contains("Répondez *OUI*"));
    whatsapp.wait_for_reply_jobs().await;
    assert_eq!(whatsapp.number("select count(*) from orders").await, 0);
    assert_eq!(whatsapp.number("select count(*) from messages where skipped_reason = 'courtesy'").await, 1);
    whatsapp.deliver_text(1, "👍🏾").await.json_body(200);
    assert!(whatsapp.wait_for_texts(1, 2).await[1].contains("est enregistrée"));
    assert_eq!((whatsapp.number("select count(*) from orders").await, whatsapp.models.calls()), (1, 1));
}

#[tokio::test]
async fn a_cancellation_is_asked_for_and_repeating_it_confirms_it() {
    for (reply, said, cancelled) in [
        ("Annule", "est annulée", 1),
        ("oui", "est annulée", 1),
        ("Non", "votre commande reste comme elle était", 0),
        ("merci", "Votre commande n’est pas annulée", 0),
    ] {
        let whatsapp = shop_with_proposal().await;
        whatsapp.deliver_text(1, "oui").await.json_body(200);
        whatsapp.wait_for_texts(1, 2).await;
        let (calls, used) = (whatsapp.models.calls(), whatsapp.number(UNITS).await);
        whatsapp.deliver_text(1, "J’annule ma commande").await.json_body(200);
        assert!(whatsapp.wait_for_texts(1, 3).await[2].starts_with("Voulez-vous vraiment annuler"));
        whatsapp.wait_for_reply_jobs().await;
        assert_eq!((whatsapp.models.calls(), whatsapp.number(UNITS).await), (calls, used), "no model reads it");
        assert_eq!(whatsapp.number("select count(*) from orders where status = 'cancelled'").await, 0);
        whatsapp.deliver_text(1, reply).await.json_body(200);
        assert!(whatsapp.wait_for_texts(1, 4).await[3].contains(said), "{reply}");
        assert_eq!(
            whatsapp.number("select count(*) from orders where status = 'cancelled'").await,
            cancelled,
            "{reply}"
        );
    }
}

const UNITS: &str = "select sum(free_quota_used) from user_settings";

#[tokio::test]
async fn an_order_takes_one_unit_that_no_maintenance_gives_back() {
    let whatsapp = shop().await;
    let used = async || {
        // As if the time of every reservation were over.
        whatsapp.sql("update reservations set expires_at = now() - interval '1 second'").await;
        whatsapp.app.stack.invoke("maintenance", json!({})).await.unwrap();
        let status = whatsapp.app.get("/api/v1/quota/status").by(&whatsapp.tenant).await.data(200);
        status["free_quota_used"].as_i64().unwrap()
    };
    for (contact, units) in (1..=3).zip(1..) {
        propose_to(&whatsapp, contact).await;
        assert_eq!(used().await, units, "the answer with the proposal takes the order's unit");
        whatsapp.deliver_text(contact, "oui").await.json_body(200);
        assert!(whatsapp.wait_for_texts(contact, 2).await[1].contains("est enregistrée"));
        whatsapp.wait_for_reply_jobs().await;
        assert_eq!(used().await, units, "the yes to it takes none");
        assert_eq!(whatsapp.number("select count(*) from orders").await, units);
    }
}

#[tokio::test]
async fn a_change_of_mind_is_a_no_and_a_cancellation_without_an_order_asks_no_model() {
    let whatsapp = shop_with_proposal().await;
    whatsapp.deliver_text(1, "finalement non").await.json_body(200);
    assert_eq!(whatsapp.wait_for_texts(1, 2).await[1], "D’accord, je n’ai rien enregistré.");
    let calls = whatsapp.models.calls();
    for (contact, text) in (2..).zip(["annule", "annuler ma commande", "je veux annuler ma commande"]) {
        whatsapp.deliver_text(contact, text).await.json_body(200);
        assert!(whatsapp.wait_for_texts(contact, 1).await[0].starts_with("Je ne trouve pas de commande"), "{text}");
    }
    assert_eq!((whatsapp.models.calls(), whatsapp.number("select count(*) from orders").await), (calls, 0));
}

#[tokio::test]
async fn a_cancellation_of_an_order_in_preparation_is_a_persons_matter() {
    let whatsapp = shop_with_proposal().await;
    whatsapp.deliver_text(1, "oui").await.json_body(200);
    whatsapp.wait_for_texts(1, 2).await;
    whatsapp.sql("update orders set status = 'preparing'").await;
    whatsapp.deliver_text(1, "je veux annuler ma commande").await.json_body(200);
    assert!(whatsapp.wait_for_texts(1, 3).await[2].starts_with("Je vous mets en relation"));
    assert_eq!(whatsapp.conversation_column(1, "handler").await.as_deref(), Some("human"));
}

#[tokio::test]
async fn the_model_reads_prices_in_the_form_of_the_contacts_language() {
    let whatsapp = shop().await;
    whatsapp.models.always(FakeReply::Text("Voici.".to_owned()));
    for (contact, (text, price)) in
        (1..).zip([("Vous avez du café ?", "2\u{a0}500\u{a0}F CFA"), ("Do you have coffee?", "2,500\u{a0}F CFA")])
    {
        whatsapp.deliver_text(contact, text).await.json_body(200);
        whatsapp.wait_for_texts(contact, 1).await;
        let requests = whatsapp.models.requests();
        let system = requests.last().unwrap()["messages"][0]["content"].as_str().unwrap().to_owned();
        assert!(system.contains(&format!("- Café moulu: {price}")), "{system}");
    }
}

#[tokio::test]
async fn a_number_after_a_question_of_the_model_goes_to_the_model() {
    let whatsapp = shop().await;
    whatsapp.models.reply_text("Combien en voulez-vous ?");
    whatsapp.deliver_text(1, "Je veux du café").await.json_body(200);
    whatsapp.wait_for_texts(1, 1).await;
    whatsapp.models.reply_tool("create_order", json!({ "items": [{ "product": "Café moulu", "quantity": 2 }] }));
    whatsapp.deliver_text(1, "2").await.json_body(200);
    assert!(whatsapp.wait_for_texts(1, 2).await[1].contains("Répondez *OUI*"));
}

#[tokio::test]
async fn a_contact_who_has_opted_out_gets_no_notice_about_an_order() {
    let whatsapp = shop_with_proposal().await;
    whatsapp.deliver_text(1, "oui").await.json_body(200);
    whatsapp.wait_for_texts(1, 2).await;
    whatsapp.deliver_text(1, "STOP").await.json_body(200);
    whatsapp.wait_for_texts(1, 3).await;
    whatsapp.wait_for_reply_jobs().await;
    let id: uuid::Uuid =
        sqlx::query_scalar("select id from orders").fetch_one(&mut whatsapp.app.admin_db().await).await.unwrap();
    let tenant = whatsapp.tenant.customer_id;
    let confirmed =
        db(&whatsapp.app).tenant_tx(tenant, async |tx| orders::transition(tx, id, OrderStatus::Confirmed).await).await;
    assert_eq!(confirmed.unwrap().status, "confirmed");
    let notices = "select count(*) from messages where content like '%est confirmée%'";
    assert_eq!(whatsapp.number(notices).await, 0);
}

#[tokio::test]
async fn a_no_creates_no_order_and_other_words_go_to_the_model() {
    let whatsapp = shop().await;
    let order = json!({ "items": [{ "product": "Thé vert", "quantity": 1 }] });
    whatsapp.models.reply_tool("create_order", order.clone());
    whatsapp.deliver_text(1, "Un thé").await.json_body(200);
    whatsapp.wait_for_texts(1, 1).await;
    whatsapp.models.reply_text("Oui, il est bio.");
    whatsapp.deliver_text(1, "Il est bio ?").await.json_body(200);
    assert_eq!(whatsapp.wait_for_texts(1, 2).await[1], "Oui, il est bio.");
    assert!(whatsapp.models.requests()[1].to_string().contains("waiting for the customer's yes"));
    whatsapp.models.reply_tool("create_order", order.clone());
    whatsapp.deliver_text(1, "Alors un").await.json_body(200);
    assert!(whatsapp.wait_for_texts(1, 3).await[2].contains("Répondez *OUI*"));
    whatsapp.deliver_text(1, "Non merci").await.json_body(200);
    assert_eq!(whatsapp.wait_for_texts(1, 4).await[3], "D’accord, je n’ai rien enregistré.");
    whatsapp.models.reply_text("Que puis-je faire ?");
    whatsapp.deliver_text(1, "Oui").await.json_body(200);
    whatsapp.wait_for_texts(1, 5).await;
    assert_eq!(whatsapp.number("select count(*) from orders").await, 0);
}

#[tokio::test]
async fn unknown_products_need_review_and_invalid_tool_calls_ask_the_contact_again() {
    let whatsapp = shop().await;
    for arguments in
        [json!({}), json!({ "items": [] }), json!({ "items": [{ "product": "Thé vert", "quantity": -3 }] })]
    {
        whatsapp.models.reply_tool("create_order", arguments);
    }
    for count in 1..=3 {
        whatsapp.deliver_text(1, "Je commande").await.json_body(200);
        assert!(whatsapp.wait_for_texts(1, count).await[count - 1].contains("Je n’ai pas bien compris"));
    }
    let items = json!([{ "product": "Chocolat", "quantity": 1 }, { "product": "Thé vert", "quantity": 1 }]);
    whatsapp.models.reply_tool("create_order", json!({ "items": items }));
    whatsapp.deliver_text(1, "Un chocolat et un thé").await.json_body(200);
    let proposed = with_plain_spaces(&whatsapp.wait_for_texts(1, 4).await[3]);
    assert!(proposed.contains("Chocolat : prix à confirmer") && proposed.contains("1 000 F CFA"), "{proposed}");
    whatsapp.deliver_text(1, "ok").await.json_body(200);
    whatsapp.wait_for_texts(1, 5).await;
    assert_eq!(whatsapp.number("select count(*) from orders where needs_review and total_amount = 1000").await, 1);
}

#[tokio::test]
async fn an_order_is_changed_only_by_its_own_contact_and_only_before_preparation() {
    let whatsapp = shop().await;
    let change = json!({ "items": [{ "product": "Thé vert", "quantity": 3 }] });
    whatsapp.models.reply_tool("create_order", json!({ "items": [{ "product": "Thé vert", "quantity": 1 }] }));
    whatsapp.deliver_text(1, "Un thé").await.json_body(200);
    whatsapp.wait_for_texts(1, 1).await;
    whatsapp.deliver_text(1, "oui").await.json_body(200);
    whatsapp.wait_for_texts(1, 2).await;

    // Another contact finds no order, whatever the model requests.
    whatsapp.models.reply_tool("update_order", change.clone());
    whatsapp.deliver_text(2, "Change la commande de l’autre").await.json_body(200);
    assert!(whatsapp.wait_for_texts(2, 1).await[0].contains("Je ne trouve pas de commande"));

    whatsapp.models.reply_tool("update_order", change.clone());
    whatsapp.deliver_text(1, "Plutôt trois").await.json_body(200);
    whatsapp.wait_for_texts(1, 3).await;
    assert_eq!(whatsapp.number("select total_amount from orders").await, 1_000, "not before a yes");
    whatsapp.deliver_text(1, "oui").await.json_body(200);
    assert!(with_plain_spaces(&whatsapp.wait_for_texts(1, 4).await[3]).contains("est modifiée. Total : 3 000 F CFA"));
    assert_eq!(whatsapp.number("select total_amount from orders").await, 3_000);

    // The cancellation is proposed while the order is pending, and confirmed when it is being prepared.
    whatsapp.models.reply_tool("update_order", json!({ "cancel": true }));
    whatsapp.deliver_text(1, "J’annule tout").await.json_body(200);
    whatsapp.wait_for_texts(1, 5).await;
    whatsapp.sql("update orders set status = 'preparing'").await;
    whatsapp.deliver_text(1, "oui").await.json_body(200);
    assert!(whatsapp.wait_for_texts(1, 6).await[5].contains("Je ne trouve pas de commande"));
    whatsapp.sql("update orders set status = 'confirmed'").await;
    whatsapp.models.reply_tool("update_order", json!({ "cancel": true }));
    whatsapp.deliver_text(1, "J’annule tout").await.json_body(200);
    whatsapp.wait_for_texts(1, 7).await;
    whatsapp.deliver_text(1, "oui").await.json_body(200);
    assert!(whatsapp.wait_for_texts(1, 8).await[7].contains("est annulée"));
    assert_eq!(whatsapp.number("select count(*) from orders where status = 'cancelled'").await, 1);
}

#[tokio::test]
async fn an_order_status_change_notifies_the_contact_and_updates_revenue() {
    let whatsapp = shop().await;
    whatsapp.models.reply_tool("create_order", json!({ "items": [{ "product": "Thé vert", "quantity": 1 }] }));
    whatsapp.deliver_text(1, "Un thé").await.json_body(200);
    whatsapp.wait_for_texts(1, 1).await;
    whatsapp.deliver_text(1, "oui").await.json_body(200);
    whatsapp.wait_for_texts(1, 2).await;
    let db = db(&whatsapp.app);
    let id: uuid::Uuid =
        sqlx::query_scalar("select id from orders").fetch_one(&mut whatsapp.app.admin_db().await).await.unwrap();
    let tenant = whatsapp.tenant.customer_id;
    for (to, revenue, said) in
        [(OrderStatus::Confirmed, 1_000, "est confirmée"), (OrderStatus::Cancelled, 0, "est annulée")]
    {
        let moved = db.tenant_tx(tenant, async |tx| orders::transition(tx, id, to).await).await.unwrap();
        assert_eq!(moved.status, to.as_str());
        assert_eq!(whatsapp.number("select sum(revenue) from bot_usage").await, revenue);
        whatsapp.sql("update jobs set run_after = now() - interval '1 second'").await;
        whatsapp.app.stack.invoke("maintenance", json!({})).await.unwrap();
        let count = if to == OrderStatus::Confirmed { 3 } else { 4 };
        let got = whatsapp.wait_for_texts(1, count).await;
        assert!(got[count - 1].contains(said), "{got:?}");
    }
    let refused = db.tenant_tx(tenant, async |tx| orders::transition(tx, id, OrderStatus::Delivered).await).await;
    assert_eq!(refused.unwrap_err().code, "wrong_order_step");
}

fn db(app: &App) -> shared::db::Db {
    let url = app.stack.database.app.clone();
    let mut settings = Settings::new([("DATABASE_URL".to_owned(), url)].into());
    let db = shared::db::Db::read(&mut settings);
    settings.finish().unwrap();
    db
}
