//! Failures of ManyChat, the queue and the database during delivery: retries, final errors, and notices to tenants.

use local::fakes::manychat::ManyChatMode;

use super::super::support::{BackendProxy, WAIT_TIMEOUT, WhatsAppFixture, wait_until};

const UNITS: &str = "select sum(free_quota_used) from user_settings";

#[tokio::test]
async fn a_permanent_manychat_error_is_recorded_and_not_retried() {
    for (mode, code) in
        [(ManyChatMode::WindowClosed, "whatsapp_window_closed"), (ManyChatMode::ErrorWith200, "manychat_rejected")]
    {
        let whatsapp = WhatsAppFixture::start().await;
        whatsapp.manychat.set_mode(mode);
        whatsapp.deliver_text(1, "Vous livrez ?").await.json_body(200);
        whatsapp.manychat.wait_for_calls(1).await.unwrap();
        whatsapp.wait_for_reply_jobs().await;
        assert_eq!(whatsapp.manychat.calls(), 1);
        let failed = format!("select count(*) from messages where error_code = '{code}' and sent_at is null");
        assert_eq!(whatsapp.number(&failed).await, 1, "{code}");
        assert_eq!(whatsapp.number("select count(*) from activities where type = 'message_not_delivered'").await, 1);
        // The contact got nothing, so it costs nothing.
        assert_eq!(whatsapp.number(UNITS).await, 0, "{code}");
        assert_eq!(whatsapp.number("select count(*) from reservations where state = 'returned'").await, 1, "{code}");
    }
}

#[tokio::test]
async fn without_a_manychat_key_messages_wait_at_no_cost_and_are_answered_with_one() {
    let whatsapp = WhatsAppFixture::start().await;
    whatsapp.remove_part_spacing().await;
    whatsapp.switch_to_live().await;
    whatsapp.sql("update customers set manychat_api_key = null where id = '{tenant}'").await;
    for text in ["Vous livrez ?", "Et à Bouaké ?"] {
        whatsapp.deliver_text(1, text).await.json_body(200);
        whatsapp.wait_for_reply_jobs().await;
    }
    assert_eq!((whatsapp.manychat.calls(), whatsapp.models.calls()), (0, 0));
    assert_eq!(whatsapp.number(UNITS).await, 0);
    assert_eq!(whatsapp.number("select count(*) from reservations").await, 0);
    assert_eq!(whatsapp.number("select count(*) from activities where type = 'manychat_key_missing'").await, 1);
    let conversations = whatsapp.app.get("/api/v1/conversations").by(&whatsapp.tenant).await.data(200);
    assert_eq!(conversations[0]["unanswered"], 2);

    whatsapp.models.reply_text("Oui, partout.");
    let key = serde_json::json!({ "manychat_api_key": local::fakes::manychat::KEYS[0] });
    whatsapp.app.call(reqwest::Method::PATCH, "/api/v1/customers/me").by(&whatsapp.tenant).json(&key).await.data(200);
    whatsapp.app.stack.invoke("maintenance", serde_json::json!({})).await.unwrap();
    assert!(whatsapp.wait_for_texts(1, 1).await[0].ends_with("Oui, partout."));
    whatsapp.wait_for_reply_jobs().await;
    assert_eq!((whatsapp.models.calls(), whatsapp.number(UNITS).await), (1, 1), "both are one answer");
}

#[tokio::test]
async fn a_transient_manychat_error_is_retried_without_another_model_call() {
    for mode in [ManyChatMode::TooManyRequests, ManyChatMode::ServerError] {
        let whatsapp = WhatsAppFixture::start().await;
        whatsapp.switch_to_live().await;
        whatsapp.manychat.set_mode(mode);
        whatsapp.deliver_text(1, "Vous livrez ?").await.json_body(200);
        whatsapp.manychat.wait_for_calls(2).await.unwrap();
        whatsapp.manychat.set_mode(ManyChatMode::Ok);
        whatsapp.wait_for_texts(1, 1).await;
        whatsapp.wait_for_reply_jobs().await;
        assert_eq!((whatsapp.models.calls(), whatsapp.manychat.sent_to("1").len()), (1, 1));
    }
}

#[tokio::test]
async fn a_long_answer_arrives_in_parts_in_order() {
    let whatsapp = WhatsAppFixture::start().await;
    whatsapp.remove_part_spacing().await;
    whatsapp.switch_to_live().await;
    let answer = (0..200).map(|number| format!("Phrase {number} de la réponse. ")).collect::<String>();
    whatsapp.models.reply_text(&answer);
    whatsapp.deliver_text(1, "Racontez !").await.json_body(200);
    let got = whatsapp.wait_for_texts(1, 4).await;
    whatsapp.wait_for_reply_jobs().await;
    assert!(got.iter().all(|part| part.chars().count() <= 1_500 && part.ends_with('.')), "{got:?}");
    let whole = got.join(" ");
    assert!(whole.ends_with(answer.trim()) && whole.starts_with("Bonjour"), "{whole}");
}

#[tokio::test]
async fn maintenance_answers_a_message_that_the_queue_lost() {
    let whatsapp = WhatsAppFixture::with_settings(&[("BURST_WINDOW_S", "60"), ("BURST_CAP_S", "60")]).await;
    whatsapp.deliver_text(1, "Vous livrez ?").await.json_body(200);
    // The queue holds the message back for a minute, which stands for a lost message.
    whatsapp.sql("update messages set created_at = created_at - interval '2 minutes'").await;
    whatsapp.sql("update jobs set run_after = now() - interval '1 second'").await;
    whatsapp.app.stack.invoke("maintenance", serde_json::json!({})).await.unwrap();
    whatsapp.wait_for_texts(1, 1).await;
}

#[tokio::test]
async fn a_queue_outage_delays_no_acknowledgement_and_loses_no_message() {
    let network = BackendProxy::for_aws().await;
    let whatsapp = WhatsAppFixture::with_settings(&network.settings()).await;
    // The first message starts the function and its connection to the queue.
    whatsapp.deliver_text(1, "Vous livrez ?").await.json_body(200);
    whatsapp.wait_for_texts(1, 1).await;
    whatsapp.wait_for_reply_jobs().await;
    network.silence();
    whatsapp.deliver_text(2, "Vous livrez ?").await.json_body(200);
    network.refuse().await.unwrap();
    whatsapp.deliver_text(3, "Vous livrez ?").await.json_body(200);
    assert_eq!(whatsapp.number("select count(*) from jobs where status = 'queued'").await, 2);
    network.restore().await.unwrap();
    whatsapp.sql("update jobs set run_after = now() - interval '1 second'").await;
    whatsapp.app.stack.invoke("maintenance", serde_json::json!({})).await.unwrap();
    for contact in [2, 3] {
        whatsapp.wait_for_texts(contact, 1).await;
    }
}

#[tokio::test]
async fn the_webhook_of_a_suspended_company_is_refused() {
    let whatsapp = WhatsAppFixture::start().await;
    whatsapp.switch_to_live().await;
    whatsapp.models.hold();
    whatsapp.deliver_text(1, "Vous livrez ?").await.json_body(200);
    whatsapp.models.wait_for_held_request().await;
    whatsapp.sql("update customers set suspended_at = now() where id = '{tenant}'").await;
    whatsapp.deliver_text(2, "Et à Bouaké ?").await.refused(403, "tenant_suspended");
    whatsapp.models.release();
}

#[tokio::test]
async fn an_answer_delayed_by_the_database_is_written_and_sent_once() {
    let whatsapp = WhatsAppFixture::start().await;
    whatsapp.switch_to_live().await;
    let mut hold =
        whatsapp.app.hold_statements("before insert on messages for each row when (new.author = 'bot')").await;
    whatsapp.deliver_text(1, "Vous livrez ?").await.json_body(200);
    // The first attempt to write has timed out, and the second one is held.
    hold.wait_for_held_statements(2).await;
    hold.release().await;
    assert_answered_once(&whatsapp).await;
}

#[tokio::test]
async fn an_answer_with_an_unconfirmed_commit_is_not_written_twice() {
    let network = BackendProxy::for_database().await;
    let whatsapp = WhatsAppFixture::with_settings(&network.settings()).await;
    whatsapp.switch_to_live().await;
    let trigger = "after insert on messages deferrable initially deferred for each row when (new.author = 'bot')";
    let mut hold = whatsapp.app.hold_commits(trigger).await;
    whatsapp.deliver_text(1, "Vous livrez ?").await.json_body(200);
    hold.wait_for_held_statement().await;
    network.silence();
    hold.release().await;
    wait_until("the answer is committed", WAIT_TIMEOUT, async || {
        let written = "select count(*) from messages where author = 'bot'";
        (whatsapp.number(written).await == 1).then_some(())
    })
    .await;
    network.refuse().await.unwrap();
    network.restore().await.unwrap();
    assert_answered_once(&whatsapp).await;
}

/// Asserts that the question had one model call, one stored answer, one charged request and one delivery.
async fn assert_answered_once(whatsapp: &WhatsAppFixture) {
    whatsapp.wait_for_texts(1, 1).await;
    whatsapp.wait_for_reply_jobs().await;
    assert_eq!((whatsapp.models.calls(), whatsapp.manychat.sent_to("1").len()), (1, 1));
    assert_eq!(whatsapp.number("select count(*) from messages where author = 'bot'").await, 1);
    assert_eq!(whatsapp.number("select count(*) from llm_calls").await, 1);
    assert_eq!(whatsapp.number("select free_quota_used from user_settings where free_quota_used > 0").await, 1);
}
