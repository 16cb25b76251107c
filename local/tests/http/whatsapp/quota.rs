//! The free quota in chat: its limit, the warning of the tenant, and the daily notice to contacts.

use futures::{StreamExt, stream};
use serde_json::json;

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
    whatsapp.deliver_text(1, "Allô ?").await.json_body(200);
    whatsapp.wait_for_reply_jobs().await;
    assert_eq!(whatsapp.manychat.sent_to("1").len(), 1);
    assert_eq!(whatsapp.number("select count(*) from messages where skipped_reason = 'quota'").await, 1);
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
