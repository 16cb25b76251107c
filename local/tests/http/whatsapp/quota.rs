//! The free quota in chat: its limit, the warning of the tenant, and the daily notice to contacts.

use futures::{StreamExt, stream};
use serde_json::json;

use local::fakes::stripe::{FakeStripe, StripeChange};

use super::super::support::{WAIT_TIMEOUT, WhatsAppFixture, wait_until};

#[tokio::test]
async fn a_thousand_messages_at_the_last_free_request_get_exactly_one_answer() {
    let whatsapp = WhatsAppFixture::start().await;
    whatsapp.switch_to_live().await;
    whatsapp.sql("update user_settings set free_quota_used = free_quota_limit - 1").await;
    // A hundred contacts write ten messages each.
    let messages = (0..1_000).map(|number| {
        json!({ "id": number % 100 + 1, "message_id": number, "last_input_text": format!("message {number}") })
    });
    let whatsapp = &whatsapp;
    let taken = stream::iter(messages)
        .map(|message| async move {
            // A database that is too busy causes a 503, and the message is delivered again.
            wait_until("a message is taken", WAIT_TIMEOUT, async || match whatsapp.deliver(&message).await.status {
                503 => None,
                status => Some(status),
            })
            .await
        })
        .buffer_unordered(64)
        .filter(|status| std::future::ready(*status == 200))
        .count()
        .await;
    assert_eq!(taken, 1_000);
    whatsapp.wait_for_reply_jobs().await;
    assert_eq!(whatsapp.number("select count(*) from messages where author = 'bot'").await, 1);
    assert_eq!(whatsapp.models.calls(), 1);
    assert_eq!(whatsapp.number("select free_quota_limit - free_quota_used from user_settings").await, 0);
    assert_eq!(whatsapp.number("select count(*) from reservations where state <> 'spent'").await, 0);
    let open =
        "select count(*) from messages where direction = 'inbound' and answered_by is null and skipped_reason is null";
    assert_eq!(whatsapp.number(open).await, 0, "every message has its answer, its notice, or its reason");
    // Every other contact got the notice once.
    assert_eq!(
        whatsapp.number("select count(*) from messages where author = 'system'").await,
        100 - 1 + {
            // The contact who was answered may have written again afterwards and got the notice too.
            let twice = "select count(*) from (select conversation_id from messages where author in ('bot', 'system') \
            group by conversation_id having count(*) filter (where author = 'bot') = 1 \
            and count(*) filter (where author = 'system') = 1) both_kinds";
            whatsapp.number(twice).await
        }
    );
    assert_eq!(whatsapp.number("select count(*) from activities where type = 'quota_blocked'").await, 1);
    assert_eq!(whatsapp.number("select count(*) from activities where type = 'quota_used_up'").await, 1);
}

#[tokio::test]
async fn a_contact_without_quota_gets_one_notice_a_day() {
    let whatsapp = WhatsAppFixture::start().await;
    whatsapp.sql("update user_settings set free_quota_used = free_quota_limit").await;
    whatsapp.deliver_text(1, "Vous livrez ?").await.json_body(200);
    assert!(whatsapp.wait_for_texts(1, 1).await[0].starts_with("Je ne peux pas vous répondre"));
    whatsapp.wait_for_reply_jobs().await;
    whatsapp.deliver_text(1, "Et à Bouaké ?").await.json_body(200);
    whatsapp.wait_for_reply_jobs().await;
    assert_eq!(whatsapp.manychat.sent_to("1").len(), 1);
    assert_eq!(whatsapp.number("select count(*) from messages where skipped_reason = 'quota'").await, 2);
    whatsapp.sql("update conversations set quota_notice_on = quota_notice_on - 1, next_send_at = now()").await;
    whatsapp.deliver_text(1, "Toujours pas ?").await.json_body(200);
    whatsapp.wait_for_texts(1, 2).await;
    whatsapp.deliver_text(2, "Vous livrez ?").await.json_body(200);
    let got = whatsapp.wait_for_texts(2, 1).await;
    assert!(got[0].contains("l’entreprise en est informée") && got[0].contains("CONSEILLER"), "{got:?}");
    // The tenant gets one notice a day, too, and learns of each contact who was told that it is informed.
    assert_eq!(whatsapp.number("select count(*) from activities where type = 'quota_blocked'").await, 1);
    let informed = "select count(*) from activities where type = 'contact_not_answered' and status = 'warning' \
        and conversation_id is not null";
    assert_eq!(whatsapp.number(informed).await, 3);
    assert_eq!(
        whatsapp
            .number(&format!(
                "{informed} and conversation_id = (select id from conversations \
        where contact_id = '2')"
            ))
            .await,
        1
    );
}

#[tokio::test]
async fn the_second_to_last_free_answer_warns_the_tenant() {
    let whatsapp = WhatsAppFixture::start().await;
    whatsapp.sql("update user_settings set free_quota_used = free_quota_limit - 2").await;
    whatsapp.deliver_text(1, "Vous livrez ?").await.json_body(200);
    whatsapp.wait_for_texts(1, 1).await;
    whatsapp.wait_for_reply_jobs().await;
    assert_eq!(whatsapp.number("select count(*) from activities where type = 'quota_last_free'").await, 1);
}

#[tokio::test]
async fn questions_without_quota_are_shown_to_the_company_until_a_person_answers() {
    let whatsapp = WhatsAppFixture::start().await;
    whatsapp.sql("update user_settings set free_quota_used = free_quota_limit").await;
    for text in ["Vous livrez ?", "Et à Bouaké ?"] {
        whatsapp.deliver_text(1, text).await.json_body(200);
        whatsapp.wait_for_reply_jobs().await;
    }
    let app = &whatsapp.app;
    let listed = async |path: &str| app.get(path).by(&whatsapp.tenant).await.data(200);
    let conversation = listed("/api/v1/conversations").await[0].clone();
    assert_eq!((&conversation["unanswered"], &conversation["waiting_reason"]), (&json!(2), &json!("quota")));
    let questions = listed("/api/v1/unanswered-questions").await;
    let shown = |at: usize| (questions[at]["question"].clone(), questions[at]["reason"].clone());
    assert_eq!(shown(0), (json!("Et à Bouaké ?"), json!("quota")));
    assert_eq!(shown(1), (json!("Vous livrez ?"), json!("quota")));

    let id = conversation["id"].as_str().unwrap();
    let reply = app.post(&format!("/api/v1/conversations/{id}/reply")).by(&whatsapp.tenant);
    reply.json(&json!({ "text": "Oui, partout." })).await.data(201);
    let conversation = listed("/api/v1/conversations").await[0].clone();
    assert_eq!((&conversation["unanswered"], &conversation["waiting_reason"]), (&json!(0), &json!(null)));
    assert_eq!(listed("/api/v1/unanswered-questions").await, json!([]));
}

#[tokio::test]
async fn a_plan_answers_the_questions_of_the_last_day_that_waited_for_it() {
    let stripe = FakeStripe::start(None).await.unwrap();
    let settings = stripe.settings();
    let mut settings: Vec<_> = settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    settings.push(("BILLING_RETURN_URL", "https://app.example.com/billing"));
    let whatsapp = WhatsAppFixture::with_settings(&settings).await;
    let app = &whatsapp.app;
    stripe
        .send_to(&format!("{}/api/v1/webhooks/stripe", app.stack.base_url()), &app.stack.secrets.stripe_webhook_secret);
    app.sql("update plans set stripe_price_id = 'price_local_' || name where price_cents > 0").await;
    whatsapp.remove_part_spacing().await;
    whatsapp.sql("update user_settings set free_quota_used = free_quota_limit").await;
    for contact in [1, 2] {
        whatsapp.deliver_text(contact, "Vous livrez à Bouaké ?").await.json_body(200);
        whatsapp.wait_for_texts(contact, 1).await;
    }
    whatsapp.wait_for_reply_jobs().await;
    let day = "update messages set created_at = created_at - interval '25 hours' where conversation_id in \
        (select id from conversations where contact_id = '2')";
    whatsapp.sql(day).await;
    let bought = StripeChange {
        kind: "checkout.session.completed".to_owned(),
        user: whatsapp.tenant.user_id.to_string(),
        plan: "pro".to_owned(),
        cancel_at_period_end: None,
    };
    stripe.change(&bought).await.unwrap();
    app.stack.invoke("maintenance", json!({})).await.unwrap();
    let got = whatsapp.wait_for_texts(1, 2).await;
    assert!(got[1].contains("Je n’ai pas trouvé"), "{got:?}");
    whatsapp.wait_for_reply_jobs().await;
    assert_eq!(whatsapp.manychat.sent_to("2").len(), 1, "WhatsApp takes no answer to the older one");
    assert_eq!(whatsapp.number("select count(*) from messages where skipped_reason = 'quota'").await, 1);
}
