//! ManyChat's bad days: what is tried again, what never will be, and what the tenant sees.

use local::fakes::manychat::ManyChatMode;

use super::super::support::{Proxy, SOON, WhatsApp, wait_until};

#[tokio::test]
async fn what_never_will_arrive_ends_with_a_reason_and_is_not_tried_again() {
    for (mode, code) in
        [(ManyChatMode::WindowClosed, "whatsapp_window_closed"), (ManyChatMode::ErrorWith200, "manychat_rejected")]
    {
        let whatsapp = WhatsApp::start().await;
        whatsapp.manychat.set_mode(mode);
        whatsapp.write(1, "Vous livrez ?").await.bare(200);
        whatsapp.manychat.wait_for_calls(1).await.unwrap();
        whatsapp.settled().await;
        assert_eq!(whatsapp.manychat.calls(), 1);
        let failed = format!("select count(*) from messages where error_code = '{code}' and sent_at is null");
        assert_eq!(whatsapp.number(&failed).await, 1, "{code}");
        assert_eq!(whatsapp.number("select count(*) from activities where type = 'message_not_delivered'").await, 1);
    }
}

#[tokio::test]
async fn without_a_key_that_counts_the_tenant_is_told() {
    let whatsapp = WhatsApp::start().await;
    whatsapp.sql("update customers set manychat_api_key = null where id = '{tenant}'").await;
    whatsapp.write(1, "Vous livrez ?").await.bare(200);
    wait_until("the message failed", SOON, async || {
        let failed = "select count(*) from messages where error_code = 'manychat_key_missing'";
        (whatsapp.number(failed).await == 1).then_some(())
    })
    .await;
    assert_eq!(whatsapp.manychat.calls(), 0);
}

#[tokio::test]
async fn what_may_pass_is_sent_again_without_thinking_again() {
    for mode in [ManyChatMode::TooManyRequests, ManyChatMode::ServerError] {
        let whatsapp = WhatsApp::start().await;
        whatsapp.go_live().await;
        whatsapp.manychat.set_mode(mode);
        whatsapp.write(1, "Vous livrez ?").await.bare(200);
        whatsapp.manychat.wait_for_calls(2).await.unwrap();
        whatsapp.manychat.set_mode(ManyChatMode::Ok);
        whatsapp.got(1, 1).await;
        whatsapp.settled().await;
        assert_eq!((whatsapp.models.calls(), whatsapp.manychat.sent_to("1").len()), (1, 1));
    }
}

#[tokio::test]
async fn a_long_answer_comes_in_parts_in_order() {
    let whatsapp = WhatsApp::start().await;
    whatsapp.do_not_space_parts().await;
    whatsapp.go_live().await;
    let answer = (0..200).map(|number| format!("Phrase {number} de la réponse. ")).collect::<String>();
    whatsapp.models.reply_text(&answer);
    whatsapp.write(1, "Racontez !").await.bare(200);
    let got = whatsapp.got(1, 4).await;
    whatsapp.settled().await;
    assert!(got.iter().all(|part| part.chars().count() <= 1_500 && part.ends_with('.')), "{got:?}");
    let whole = got.join(" ");
    assert!(whole.ends_with(answer.trim()) && whole.starts_with("Bonjour"), "{whole}");
}

#[tokio::test]
async fn a_queue_that_lost_the_message_is_made_up_for_by_maintenance() {
    let whatsapp = WhatsApp::with(&[("BURST_WINDOW_S", "60"), ("BURST_CAP_S", "60")]).await;
    whatsapp.write(1, "Vous livrez ?").await.bare(200);
    // The message is held back for a minute: as good as lost.
    whatsapp.sql("update messages set created_at = created_at - interval '2 minutes'").await;
    whatsapp.sql("update jobs set run_after = now() - interval '1 second'").await;
    whatsapp.app.stack.invoke("maintenance", serde_json::json!({})).await.unwrap();
    whatsapp.got(1, 1).await;
}

#[tokio::test]
async fn a_queue_that_is_silent_or_away_delays_no_acknowledgement_and_loses_nothing() {
    let network = Proxy::before_aws().await;
    let whatsapp = WhatsApp::with(&network.settings()).await;
    // The function has started, and is known to the queue.
    whatsapp.write(1, "Vous livrez ?").await.bare(200);
    whatsapp.got(1, 1).await;
    whatsapp.settled().await;
    network.silence();
    whatsapp.write(2, "Vous livrez ?").await.bare(200);
    network.refuse().await;
    whatsapp.write(3, "Vous livrez ?").await.bare(200);
    assert_eq!(whatsapp.number("select count(*) from jobs where status = 'queued'").await, 2);
    network.restore().await;
    whatsapp.sql("update jobs set run_after = now() - interval '1 second'").await;
    whatsapp.app.stack.invoke("maintenance", serde_json::json!({})).await.unwrap();
    for contact in [2, 3] {
        whatsapp.got(contact, 1).await;
    }
}

#[tokio::test]
async fn a_suspended_company_answers_nobody() {
    let whatsapp = WhatsApp::start().await;
    whatsapp.go_live().await;
    whatsapp.models.hold();
    whatsapp.write(1, "Vous livrez ?").await.bare(200);
    whatsapp.models.wait_for_held_request().await;
    whatsapp.sql("update customers set suspended_at = now() where id = '{tenant}'").await;
    whatsapp.write(2, "Et à Bouaké ?").await.refused(403, "tenant_suspended");
    whatsapp.models.release();
}

#[tokio::test]
async fn what_was_thought_of_is_written_as_soon_as_the_database_takes_it() {
    let whatsapp = WhatsApp::start().await;
    whatsapp.go_live().await;
    let mut hold = whatsapp.app.hold("before insert on messages for each row when (new.author = 'bot')").await;
    whatsapp.write(1, "Vous livrez ?").await.bare(200);
    // The first attempt has run into its deadline, and the next one waits.
    hold.is_met_times(2).await;
    hold.release().await;
    is_answered_once(&whatsapp).await;
}

#[tokio::test]
async fn an_answer_whose_commit_is_not_heard_of_is_not_written_again() {
    let network = Proxy::before_database().await;
    let whatsapp = WhatsApp::with(&network.settings()).await;
    whatsapp.go_live().await;
    let trigger = "after insert on messages deferrable initially deferred for each row when (new.author = 'bot')";
    let mut hold = whatsapp.app.hold_commit(trigger).await;
    whatsapp.write(1, "Vous livrez ?").await.bare(200);
    hold.is_met().await;
    network.silence();
    hold.release().await;
    wait_until("the answer is committed", SOON, async || {
        let written = "select count(*) from messages where author = 'bot'";
        (whatsapp.number(written).await == 1).then_some(())
    })
    .await;
    network.refuse().await;
    network.restore().await;
    is_answered_once(&whatsapp).await;
}

/// The one question was thought of, written, paid for and sent once.
async fn is_answered_once(whatsapp: &WhatsApp) {
    whatsapp.got(1, 1).await;
    whatsapp.settled().await;
    assert_eq!((whatsapp.models.calls(), whatsapp.manychat.sent_to("1").len()), (1, 1));
    assert_eq!(whatsapp.number("select count(*) from messages where author = 'bot'").await, 1);
    assert_eq!(whatsapp.number("select count(*) from llm_calls").await, 1);
    assert_eq!(whatsapp.number("select free_quota_used from user_settings where free_quota_used > 0").await, 1);
}
