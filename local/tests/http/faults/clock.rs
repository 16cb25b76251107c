//! Functions whose clock is an hour or two ahead or behind. The database compares due times, leases, quotas and the
//! expiry of idempotency keys with its own clock, so a wrong clock of a function does not move them. Tokens and
//! signatures follow the function's clock: they are refused while it is wrong, and the client repeats the request.

use std::time::{Duration, Instant};

use chrono::TimeDelta;
use local::fakes::manychat::ManyChatMode;
use serde_json::json;

use super::{
    super::support::{PASSWORD, WAIT_TIMEOUT, WhatsAppFixture, wait_until},
    is_through_pgbouncer,
    traffic::{RoundSize, Traffic},
};

const SIZE: RoundSize = RoundSize { messages: 4, questions: 0, orders: 0, uploads: 0 };

#[tokio::test]
async fn messages_are_answered_once_whatever_the_clock_of_the_functions_says() {
    if is_through_pgbouncer() {
        return;
    }
    let mut traffic = Traffic::start(None, &[("BURST_WINDOW_S", "1")]).await;
    let orders = RoundSize { messages: 2, questions: 2, orders: 2, uploads: 1 };
    for hours in [1, 0, -1, 0] {
        traffic.whatsapp.app.stack.move_clock(TimeDelta::hours(hours));
        if hours == 0 {
            traffic.round(orders).await;
        } else {
            // Contacts and their company's bot have no token.
            traffic.messages(SIZE.messages).await;
        }
        traffic.assert_nobody_is_stuck().await;
    }
    traffic = traffic.settle().await;
    let repeated = traffic.assert_done_once().await;
    println!("4 clocks, {} acknowledged, lost 0, done twice 0; {repeated:?}", traffic.acknowledged());
}

#[tokio::test]
async fn a_token_is_refused_by_a_clock_an_hour_off_and_taken_again_when_the_clock_is_right() {
    if is_through_pgbouncer() {
        return;
    }
    let whatsapp = WhatsAppFixture::start().await;
    let (app, tenant) = (&whatsapp.app, &whatsapp.tenant);
    app.stack.move_clock(TimeDelta::hours(2));
    app.get("/api/v1/quota/status").by(tenant).await.refused(401, "token_expired");
    // A token that was issued by the wrong clock is valid by that clock.
    let session = app.log_in(&tenant.email, PASSWORD).await.data(200);
    let token = session["access_token"].as_str().unwrap();
    app.get("/api/v1/quota/status").by(token).await.data(200);
    app.stack.move_clock(TimeDelta::zero());
    app.get("/api/v1/quota/status").by(tenant).await.data(200);
    app.stack.move_clock(TimeDelta::hours(-1));
    app.get("/api/v1/quota/status").by(tenant).await.data(200);
}

/// A part that ManyChat refuses for now is due again some seconds later. A worker whose clock was ahead once took that
/// time for past: it sent itself a message at once, found the part not due, sent the next message, and so on until the
/// part was due.
#[tokio::test]
async fn a_worker_whose_clock_is_ahead_waits_like_any_other() {
    if is_through_pgbouncer() {
        return;
    }
    let whatsapp = WhatsAppFixture::start().await;
    whatsapp.switch_to_live().await;
    whatsapp.app.stack.move_clock(TimeDelta::hours(1));
    whatsapp.sql("create table public.acquisitions (at timestamptz not null default clock_timestamp())").await;
    whatsapp
        .sql(
            "create function acquired() returns trigger language plpgsql security definer as
                 $$ begin insert into public.acquisitions default values; return new; end $$;
             create trigger acquired before update of lease_token on conversations for each row
                 when (new.lease_token is not null and old.lease_token is null) execute function acquired()",
        )
        .await;
    whatsapp.manychat.set_mode(ManyChatMode::ServerError);
    whatsapp.deliver_text(1, "Vous livrez ?").await.json_body(200);
    whatsapp.manychat.wait_for_calls(2).await.unwrap();
    whatsapp.manychat.set_mode(ManyChatMode::Ok);
    let started = Instant::now();
    whatsapp.wait_for_texts(1, 1).await;
    whatsapp.wait_for_reply_jobs().await;
    assert!(started.elapsed() < WAIT_TIMEOUT, "{:?}", started.elapsed());
    // One run for the answer, and one or two runs for each time that the part was due again.
    let runs = whatsapp.number("select count(*) from public.acquisitions").await;
    assert!(runs <= 8, "{runs} runs of the worker");
    assert_eq!(whatsapp.number("select count(*) from reservations where state = 'spent'").await, 1);
}

/// Webhooks are signed by the function's clock, and a receiver takes five minutes at most. The retries are due by the
/// database's clock.
#[tokio::test]
async fn a_webhook_is_delivered_once_although_the_clock_of_its_worker_jumps() {
    if is_through_pgbouncer() {
        return;
    }
    let traffic = Traffic::start(None, &[]).await;
    let app = &traffic.whatsapp.app;
    for hours in [1, -1, 0] {
        app.stack.move_clock(TimeDelta::hours(hours));
        app.stack.invoke("maintenance", json!({ "time": chrono::Utc::now() })).await.unwrap();
        let number = 10 + hours.unsigned_abs() + u64::from(hours > 0);
        traffic.whatsapp.deliver_text(number, "Vous livrez ?").await.json_body(200);
    }
    wait_until("three events are delivered", Duration::from_secs(20), async || {
        let delivered = "select count(*) from webhook_deliveries where status = 'delivered' and attempts = 1";
        (app.number(delivered).await == 3).then_some(())
    })
    .await;
}
