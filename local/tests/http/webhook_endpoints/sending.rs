//! Attempts: the schedule, what an answer means, the end of an endpoint, and the replay.

use std::time::Duration;

use local::fakes::webhook_receiver::ReceiverReply;
use serde_json::{Value, json};

use super::{Endpoint, Parked, URL, create_endpoint};

/// The schedule of docs/WEBHOOKS.md, in seconds.
const SCHEDULE_S: [u64; 9] = [5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400];

fn seconds(wanted: u64) -> std::ops::RangeInclusive<Duration> {
    // Both times are of one statement, within milliseconds.
    Duration::from_secs(wanted) - Duration::from_millis(100)..=Duration::from_secs(wanted) + Duration::from_millis(100)
}

/// Replays what failed in the last hour.
async fn replay(parked: &Parked, endpoint: &Endpoint) -> Value {
    let since = chrono::Utc::now() - chrono::TimeDelta::hours(1);
    parked.app.post(&endpoint.path("/replay")).by(&parked.tenant).json(&json!({ "since": since })).await.data(200)
}

#[tokio::test]
async fn a_delivery_that_is_taken_shows_status_attempts_latency_and_code() {
    let parked = Parked::start().await;
    let endpoint = parked.endpoint(&["order.created"]).await;
    let order = parked.order().await;
    let waiting = parked.delivery(&endpoint).await;
    assert_eq!((&waiting["status"], &waiting["attempts"]), (&json!("pending"), &json!(0)));
    assert!(waiting["next_attempt_at"].is_string());
    // The function that made the order has sent the message.
    let message = json!({ "customer_id": parked.tenant.customer_id, "endpoint_id": endpoint.id });
    assert_eq!(parked.app.drain_queue(&parked.queue).await, [message]);

    parked.receiver.always(ReceiverReply::Status(202));
    parked.work(&endpoint).await;
    let [request] = parked.receiver.received().try_into().unwrap();
    let body = endpoint.verify(&request);
    assert_eq!((request.path.as_str(), request.header("content-type")), ("/in?key=s3cret", "application/json"));
    assert_eq!(request.header("host"), "hooks.example.com");
    let delivery = parked.delivery(&endpoint).await;
    let expected = json!({
        "id": waiting["id"], "event_id": body["id"], "event_type": "order.created", "status": "delivered", "attempts": 1,
        "response_status": 202, "latency_ms": delivery["latency_ms"], "error_code": null,
        "occurred_at": body["timestamp"], "last_attempt_at": delivery["last_attempt_at"], "next_attempt_at": null,
        "delivered_at": delivery["delivered_at"], "created_at": waiting["created_at"],
    });
    assert_eq!(delivery, expected);
    assert!(delivery["latency_ms"].as_i64().unwrap() < 10_000 && delivery["delivered_at"].is_string());
    assert_eq!(body["data"]["id"], order["id"]);
    assert_eq!(parked.app.number("select count(*) from webhook_deliveries where data is not null").await, 0);
    // A message that comes twice sends nothing twice.
    parked.work(&endpoint).await;
    assert_eq!(parked.receiver.received().len(), 1);
    let listed = |status: &str| parked.app.get(&endpoint.path(&format!("/deliveries?status={status}")));
    assert_eq!(listed("failed").by(&parked.tenant).await.json_body(200)["data"], json!([]));
    assert_eq!(listed("delivered").by(&parked.tenant).await.json_body(200)["data"], json!([delivery]));
}

#[tokio::test]
async fn attempts_follow_the_published_schedule_with_one_id_and_body_and_then_end() {
    let parked = Parked::start().await;
    let endpoint = parked.endpoint(&["order.created"]).await;
    parked.order().await;
    parked.receiver.always(ReceiverReply::Status(500));
    for (done, wanted) in (1..).zip(SCHEDULE_S) {
        parked.work(&endpoint).await;
        let delivery = parked.delivery(&endpoint).await;
        assert_eq!(
            (&delivery["status"], &delivery["attempts"], &delivery["response_status"], &delivery["error_code"]),
            (&json!("pending"), &json!(done), &json!(500), &json!("http_status"))
        );
        let delay = parked.next_delay().await;
        assert!(seconds(wanted).contains(&delay), "attempt {done}: {delay:?}");
        // Too early, nothing is sent.
        parked.app.sql("update webhook_endpoints set paused_until = null").await;
        parked.work(&endpoint).await;
        assert_eq!(parked.receiver.received().len(), done);
        parked.make_due().await;
    }
    parked.work(&endpoint).await;
    let failed = parked.delivery(&endpoint).await;
    assert_eq!((&failed["status"], &failed["attempts"]), (&json!("failed"), &json!(10)));
    assert_eq!(failed["next_attempt_at"], Value::Null);
    parked.make_due().await;
    parked.work(&endpoint).await;
    let all = parked.receiver.received();
    assert_eq!(all.len(), 10);
    for request in &all {
        endpoint.verify(request);
        assert_eq!((request.header("webhook-id"), &request.body), (all[0].header("webhook-id"), &all[0].body));
    }
    let shown = parked.shown(&endpoint).await;
    assert!(shown["failing_since"].is_string() && shown["enabled"] == true, "{shown}");
}

#[tokio::test]
async fn a_first_retry_comes_by_the_queue_and_an_endpoint_that_keeps_failing_is_paused() {
    let parked = Parked::start().await;
    let endpoint = parked.endpoint(&["order.created"]).await;
    parked.order().await;
    parked.app.drain_queue(&parked.queue).await;
    parked.receiver.always(ReceiverReply::Status(500));
    parked.work(&endpoint).await;
    let wake_in = "select round(extract(epoch from wake_at - now())) from webhook_endpoints";
    assert!((3..=5).contains(&parked.app.number(wake_in).await), "the message of the second attempt is under way");
    // Another message makes no second one.
    parked.work(&endpoint).await;
    for _ in 0..2 {
        parked.make_due().await;
        parked.work(&endpoint).await;
    }
    assert_eq!(parked.receiver.received().len(), 3);
    let pause = "select round(extract(epoch from paused_until - now())) from webhook_endpoints";
    assert!((55..=60).contains(&parked.app.number(pause).await), "three batches have failed");
    parked.order().await;
    parked.work(&endpoint).await;
    assert_eq!(parked.receiver.received().len(), 3, "a new event waits, too");

    parked.receiver.always(ReceiverReply::Status(200));
    parked.make_due().await;
    parked.work(&endpoint).await;
    assert_eq!(parked.receiver.received().len(), 5);
    assert_eq!(parked.shown(&endpoint).await["failing_since"], Value::Null);
    assert_eq!(
        parked
            .app
            .number("select count(*) from webhook_endpoints where failed_batches = 0 and paused_until is null")
            .await,
        1
    );
}

#[tokio::test]
async fn retry_after_of_429_and_503_is_obeyed_within_limits() {
    for (reply, wanted, is_paused) in [
        (ReceiverReply::RetryAfter(429, 90), 90, true),
        (ReceiverReply::RetryAfter(503, 0), 5, false),
        (ReceiverReply::RetryAfter(503, 10_000_000), 6 * 3_600, true),
        (ReceiverReply::RetryAfter(500, 90), 5, false),
    ] {
        let parked = Parked::start().await;
        let endpoint = parked.endpoint(&["order.created"]).await;
        parked.order().await;
        parked.receiver.reply(&[reply]);
        parked.work(&endpoint).await;
        let delay = parked.next_delay().await;
        assert!(seconds(wanted).contains(&delay), "{reply:?}: {delay:?}");
        // The whole endpoint waits, not only this delivery.
        parked.order().await;
        parked.work(&endpoint).await;
        assert_eq!(parked.receiver.received().len(), if is_paused { 1 } else { 2 }, "{reply:?}");
    }
}

#[tokio::test]
async fn an_endpoint_that_is_gone_is_switched_off_at_once_and_the_owner_is_told() {
    let parked = Parked::start().await;
    let (app, endpoint) = (&parked.app, parked.endpoint(&["order.created"]).await);
    let kept = create_endpoint(app, &parked.tenant, "https://hooks.example.com/kept", &["order.created"]).await;
    for _ in 0..7 {
        parked.order().await;
    }
    parked.receiver.reply(&[ReceiverReply::Status(410)]);
    parked.work(&endpoint).await;
    let shown = parked.shown(&endpoint).await;
    assert_eq!((&shown["enabled"], &shown["disabled_reason"]), (&json!(false), &json!("gone")));
    let first_batch = parked.receiver.received().len();
    assert_eq!(first_batch, 5, "the batch of the answer, and no other one");
    let all = parked.deliveries(&endpoint).await;
    let failed: Vec<_> = all.iter().filter(|one| one["status"] == "failed").collect();
    assert_eq!(failed.len(), 3, "{all:?}");
    assert_eq!(failed.iter().filter(|one| one["error_code"] == "gone" && one["response_status"] == 410).count(), 1);
    assert_eq!(failed.iter().filter(|one| one["error_code"] == "endpoint_disabled").count(), 2);
    let activity = format!(
        "select count(*) from activities where type = 'webhook_endpoint_disabled' and status = 'error'
         and company_id = '{}' and metadata = '{}'",
        parked.tenant.customer_id,
        json!({ "webhook_endpoint_id": endpoint.id, "reason": "gone" })
    );
    assert_eq!(app.number(&activity).await, 1);

    // An endpoint that is off gets nothing, and neither tests nor replays.
    parked.order().await;
    assert_eq!(parked.deliveries(&endpoint).await.len(), 7);
    app.post(&endpoint.path("/test")).by(&parked.tenant).await.refused(409, "webhook_endpoint_disabled");
    let since = json!({ "since": chrono::Utc::now() });
    let refused = app.post(&endpoint.path("/replay")).by(&parked.tenant).json(&since).await;
    refused.refused(409, "webhook_endpoint_disabled");
    assert_eq!(parked.deliveries(&kept).await.len(), 8, "the other endpoint goes on");

    let patch = app.call(reqwest::Method::PATCH, &endpoint.path("")).by(&parked.tenant);
    let enabled = patch.json(&json!({ "enabled": true })).await.data(200);
    assert_eq!((&enabled["enabled"], &enabled["disabled_reason"]), (&json!(true), &Value::Null));
    let ids: Vec<_> = failed.iter().map(|one| one["event_id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(replay(&parked, &endpoint).await, json!({ "replayed": 3, "has_more": false }));
    parked.work(&endpoint).await;
    let mut again: Vec<_> = parked.receiver.received()[first_batch..]
        .iter()
        .map(|request| endpoint.verify(request)["id"].as_str().unwrap().to_owned())
        .collect();
    again.sort_unstable();
    let mut expected = ids;
    expected.sort_unstable();
    assert_eq!(again, expected, "a replay keeps the ids");
    assert!(parked.deliveries(&endpoint).await.iter().all(|one| one["status"] == "delivered"));
    assert_eq!(replay(&parked, &endpoint).await, json!({ "replayed": 0, "has_more": false }));
}

#[tokio::test]
async fn an_endpoint_without_a_success_for_five_days_is_switched_off() {
    let parked = Parked::start().await;
    let (app, endpoint) = (&parked.app, parked.endpoint(&["order.created"]).await);
    parked.order().await;
    parked.receiver.always(ReceiverReply::Status(500));
    parked.work(&endpoint).await;
    let move_failure =
        |interval: &str| format!("update webhook_endpoints set failing_since = now() - interval '{interval}'");
    app.sql(&move_failure("4 days 23 hours")).await;
    parked.make_due().await;
    parked.work(&endpoint).await;
    assert_eq!(parked.shown(&endpoint).await["enabled"], true);
    app.sql(&move_failure("5 days")).await;
    parked.make_due().await;
    parked.work(&endpoint).await;
    let shown = parked.shown(&endpoint).await;
    assert_eq!((&shown["enabled"], &shown["disabled_reason"]), (&json!(false), &json!("failing")));
    assert_eq!(app.activities(&parked.tenant).await, ["order_created", "webhook_endpoint_disabled"]);
    let object = format!("webhook_endpoint.disabled webhook_endpoint:{}", endpoint.id);
    assert!(app.audit_actions(&parked.tenant).await.contains(&object));
    let delivery = parked.delivery(&endpoint).await;
    assert_eq!((&delivery["status"], &delivery["error_code"]), (&json!("failed"), &json!("endpoint_disabled")));
}

#[tokio::test]
async fn an_endpoint_that_its_owner_switches_off_sends_nothing_more() {
    let parked = Parked::start().await;
    let (app, endpoint) = (&parked.app, parked.endpoint(&["order.created"]).await);
    parked.order().await;
    let patch = app.call(reqwest::Method::PATCH, &endpoint.path("")).by(&parked.tenant);
    let off = patch.json(&json!({ "enabled": false })).await.data(200);
    assert_eq!((&off["enabled"], &off["disabled_reason"]), (&json!(false), &json!("owner")));
    parked.work(&endpoint).await;
    assert_eq!(parked.receiver.received().len(), 0);
    assert_eq!(parked.delivery(&endpoint).await["error_code"], "endpoint_disabled");
    assert_eq!(app.activities(&parked.tenant).await, ["order_created"], "the owner knows");
}

#[tokio::test]
async fn a_suspended_company_gets_its_events_when_the_suspension_ends() {
    let parked = Parked::start().await;
    let endpoint = parked.endpoint(&["order.created"]).await;
    parked.order().await;
    parked.app.sql("update customers set suspended_at = now()").await;
    parked.work(&endpoint).await;
    assert_eq!(parked.receiver.received().len(), 0);
    parked.app.sql("update customers set suspended_at = null").await;
    parked.work(&endpoint).await;
    assert_eq!(parked.receiver.received().len(), 1);
}

#[tokio::test]
async fn maintenance_sends_lost_messages_once_and_deletes_old_deliveries() {
    let parked = Parked::start().await;
    let (app, endpoint) = (&parked.app, parked.endpoint(&["order.created"]).await);
    let message = json!({ "customer_id": parked.tenant.customer_id, "endpoint_id": endpoint.id });
    let sweep =
        async || app.stack.invoke("maintenance", json!({ "task": "replies" })).await.unwrap()["webhooks_taken"].clone();
    assert_eq!(sweep().await, 0);
    parked.order().await;
    app.drain_queue(&parked.queue).await;
    let (one, two) = tokio::join!(sweep(), sweep());
    assert_eq!(one.as_i64().unwrap() + two.as_i64().unwrap(), 1);
    assert_eq!(app.drain_queue(&parked.queue).await, std::slice::from_ref(&message));
    assert_eq!(sweep().await, 0, "the message is under way");
    app.sql("update webhook_endpoints set wake_at = now() - interval '1 second'").await;
    assert_eq!(sweep().await, 1, "that message was lost");
    app.drain_queue(&parked.queue).await;
    // A paused endpoint, and one that is off, wait.
    app.sql("update webhook_endpoints set wake_at = null, paused_until = now() + interval '1 minute'").await;
    assert_eq!(sweep().await, 0);
    app.sql("update webhook_endpoints set paused_until = null, disabled_at = now(), disabled_reason = 'owner'").await;
    assert_eq!(sweep().await, 0);

    app.sql("update webhook_deliveries set created_at = now() - interval '29 days'").await;
    app.stack.invoke("maintenance", json!({})).await.unwrap();
    assert_eq!(app.number("select count(*) from webhook_deliveries").await, 1);
    app.sql("update webhook_deliveries set created_at = now() - interval '31 days'").await;
    app.stack.invoke("maintenance", json!({})).await.unwrap();
    assert_eq!(app.number("select count(*) from webhook_deliveries").await, 0);
}

#[tokio::test]
async fn a_replay_sends_a_thousand_deliveries_at_most_the_oldest_first() {
    let parked = Parked::start().await;
    let (app, endpoint) = (&parked.app, parked.endpoint(&["order.created"]).await);
    app.sql(&format!(
        "insert into webhook_deliveries (customer_id, endpoint_id, event_id, event_type, data, status, attempts, created_at)
         select '{}', '{}', gen_random_uuid(), 'webhook.test', '{{\"message\": \"x\"}}', 'failed', 10,
             now() - make_interval(mins => number) from generate_series(1, 1005) number",
        parked.tenant.customer_id, endpoint.id
    ))
    .await;
    let since = json!({ "since": chrono::Utc::now() - chrono::TimeDelta::days(2) });
    let replay = async || app.post(&endpoint.path("/replay")).by(&parked.tenant).json(&since).await.data(200);
    assert_eq!(replay().await, json!({ "replayed": 1_000, "has_more": true }));
    let left = "select count(*) from webhook_deliveries where status = 'failed' and created_at > now() - interval '5 minutes 30 seconds'";
    assert_eq!(app.number(left).await, 5);
    assert_eq!(replay().await, json!({ "replayed": 5, "has_more": false }));
    assert_eq!(
        app.number("select count(*) from webhook_deliveries where status = 'pending' and attempts = 0").await,
        1_005
    );
    let audited = format!("webhook_endpoint.replayed webhook_endpoint:{}", endpoint.id);
    assert_eq!(app.audit_actions(&parked.tenant).await.iter().filter(|action| **action == audited).count(), 2);
    // One queue message sends batches until the time of an invocation is over.
    parked.work(&endpoint).await;
    let first = parked.receiver.received().len();
    assert!(first > 50, "{first}");
    while app.number("select count(*) from webhook_deliveries where status = 'pending'").await > 0 {
        parked.work(&endpoint).await;
    }
    assert_eq!(parked.receiver.received().len(), 1_005);
    assert_eq!(parked.shown(&endpoint).await["url"], URL);
}
