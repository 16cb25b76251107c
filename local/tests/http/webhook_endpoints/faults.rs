//! Faults of the delivery of webhooks: redirects, private addresses, huge and missing answers, two workers at the same
//! time, a killed worker, an endpoint that is changed or deleted, a backlog.

use std::{collections::BTreeSet, process::Command};

use local::{
    environment::lisa_program,
    fakes::webhook_receiver::{FakeReceiver, ReceiverReply},
};
use reqwest::Method;
use serde_json::{Value, json};
use shared::{
    sealed::KeyRing,
    settings::{Settings, SettingsMap},
    webhook_endpoints::SECRET_PURPOSE,
};

use super::{
    super::support::{App, WAIT_TIMEOUT, wait_until},
    Parked, create_endpoint, deliveries, local_sites, shown, wait_for_webhooks,
};

#[tokio::test]
async fn a_name_with_a_private_address_is_refused_when_it_is_called() {
    let parked = Parked::start().await;
    let url = "https://private.example.com/in";
    let endpoint = create_endpoint(&parked.app, &parked.tenant, url, &["order.created"]).await;
    parked.order().await;
    parked.work(&endpoint).await;
    let delivery = parked.delivery(&endpoint).await;
    assert_eq!(
        (&delivery["status"], &delivery["error_code"], &delivery["response_status"]),
        (&json!("pending"), &json!("url_refused"), &Value::Null)
    );
    // A URL that rules of later versions refuse, or that was written past the API, is not called either.
    parked.app.sql("update webhook_endpoints set url = 'http://127.0.0.1/'").await;
    parked.make_due().await;
    parked.work(&endpoint).await;
    let delivery = parked.delivery(&endpoint).await;
    assert_eq!((&delivery["attempts"], &delivery["error_code"]), (&json!(2), &json!("url_refused")));
    assert_eq!(parked.receiver.received().len(), 0);
}

#[tokio::test]
async fn redirects_are_not_followed_and_a_huge_answer_is_not_read() {
    let parked = Parked::start().await;
    let endpoint = parked.endpoint(&["order.created"]).await;
    parked.order().await;
    parked.receiver.reply(&[
        ReceiverReply::Redirect("https://169.254.169.254/latest/meta-data/"),
        ReceiverReply::Redirect("https://hooks.example.com/elsewhere"),
        ReceiverReply::Large(10 * 1024 * 1024),
    ]);
    for attempts in 1..=2 {
        parked.work(&endpoint).await;
        let delivery = parked.delivery(&endpoint).await;
        assert_eq!(
            (&delivery["attempts"], &delivery["error_code"], &delivery["response_status"]),
            (&json!(attempts), &json!("redirected"), &json!(307))
        );
        parked.make_due().await;
    }
    parked.work(&endpoint).await;
    let delivery = parked.delivery(&endpoint).await;
    assert_eq!((&delivery["status"], &delivery["response_status"]), (&json!("delivered"), &json!(200)));
    let paths: Vec<_> = parked.receiver.received().into_iter().map(|request| request.path).collect();
    assert_eq!(paths, ["/in?key=s3cret"; 3]);
}

#[tokio::test]
async fn a_receiver_that_does_not_answer_or_is_not_there_is_tried_again() {
    let parked = Parked::start().await;
    let endpoint = parked.endpoint(&["order.created"]).await;
    parked.order().await;
    parked.receiver.reply(&[ReceiverReply::Hang]);
    parked.work(&endpoint).await;
    let delivery = parked.delivery(&endpoint).await;
    assert_eq!((&delivery["status"], &delivery["error_code"]), (&json!("pending"), &json!("timed_out")));
    assert!((10_000..12_000).contains(&delivery["latency_ms"].as_i64().unwrap()), "{delivery}");
    let gone = FakeReceiver::start().await.unwrap();
    let sites = local_sites(&gone);
    drop(gone);
    let app = App::with_settings(&[("OUTBOUND_LOCAL_SITES", &sites)]).await;
    let tenant = app.sign_up("Chez Koffi").await;
    let endpoint = create_endpoint(&app, &tenant, super::URL, &[]).await;
    app.post(&endpoint.path("/test")).by(&tenant).await.data(201);
    wait_until("the attempt failed", WAIT_TIMEOUT, async || {
        let listed = deliveries(&app, &tenant, &endpoint).await;
        (listed[0]["error_code"] == "unreachable").then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_slow_endpoint_holds_up_neither_another_one_nor_another_company() {
    let (slow, fast) = (FakeReceiver::start().await.unwrap(), FakeReceiver::start().await.unwrap());
    slow.always(ReceiverReply::Hang);
    let sites = format!("slow.example.com={}, fast.example.com={}", slow.address(), fast.address());
    let app = App::with_settings(&[("OUTBOUND_LOCAL_SITES", &sites)]).await;
    let (tenant, other) = (app.sign_up("Comptoir Baobab").await, app.sign_up("Chez Koffi").await);
    let stuck = create_endpoint(&app, &tenant, "https://slow.example.com/", &[]).await;
    let own = create_endpoint(&app, &tenant, "https://fast.example.com/own", &[]).await;
    let foreign = create_endpoint(&app, &other, "https://fast.example.com/other", &[]).await;
    for _ in 0..8 {
        app.post(&stuck.path("/test")).by(&tenant).await.data(201);
    }
    wait_for_webhooks(&slow, 1).await;
    let started = std::time::Instant::now();
    app.post(&own.path("/test")).by(&tenant).await.data(201);
    app.post(&foreign.path("/test")).by(&other).await.data(201);
    let received = wait_for_webhooks(&fast, 2).await;
    let paths: BTreeSet<_> = received.iter().map(|request| request.path.as_str()).collect();
    assert_eq!(paths, BTreeSet::from(["/own", "/other"]));
    // The slow calls take 10 s each.
    assert!(started.elapsed().as_secs() < 9, "{:?}", started.elapsed());
    assert!(slow.received().len() <= 5, "a batch of five takes one worker");
    slow.release();
}

#[tokio::test]
async fn of_two_workers_at_once_each_delivery_is_sent_by_one() {
    let parked = Parked::start().await;
    let endpoint = parked.endpoint(&["order.created"]).await;
    for _ in 0..12 {
        parked.order().await;
    }
    tokio::join!(parked.work(&endpoint), parked.work(&endpoint), parked.work(&endpoint));
    // A worker that found another one at work ended; who had the last batch has sent everything.
    let received = parked.receiver.received();
    let ids: BTreeSet<_> = received.iter().map(|request| request.header("webhook-id").to_owned()).collect();
    assert_eq!((received.len(), ids.len()), (12, 12));
    let all = parked.deliveries(&endpoint).await;
    assert!(all.iter().all(|one| one["status"] == "delivered" && one["attempts"] == 1), "{all:?}");
}

#[tokio::test]
async fn a_worker_that_finds_another_one_at_work_ends_without_a_message_and_leaves_the_newer_event_to_it() {
    let parked = Parked::start().await;
    let endpoint = parked.endpoint(&["order.created"]).await;
    parked.receiver.reply(&[ReceiverReply::Hang]);
    parked.order().await;
    let late = async {
        wait_for_webhooks(&parked.receiver, 1).await;
        parked.order().await;
        parked.app.drain_queue(&parked.queue).await;
        // The messages of the second event: its own, a repeated one, and one of maintenance.
        for _ in 0..3 {
            parked.work(&endpoint).await;
        }
        assert_eq!(parked.app.drain_queue(&parked.queue).await, [] as [Value; 0]);
        assert_eq!(parked.receiver.received().len(), 1, "one worker at a time sends to an endpoint");
        parked.receiver.release();
    };
    tokio::join!(parked.work(&endpoint), late);
    let all = parked.deliveries(&endpoint).await;
    assert_eq!(all.len(), 2);
    assert!(all.iter().all(|one| one["status"] == "delivered" && one["attempts"] == 1), "{all:?}");
}

#[tokio::test]
async fn a_worker_killed_between_the_call_and_its_record_is_followed_by_another_with_the_same_id() {
    let parked = Parked::start().await;
    let endpoint = parked.endpoint(&["order.created"]).await;
    parked.order().await;
    let mut hold = parked
        .app
        .hold_statements("before update on webhook_deliveries for each row when (new.status = 'delivered')")
        .await;
    tokio::select! {
        () = parked.work(&endpoint) => panic!("the record was not held"),
        () = hold.wait_for_held_statement() => {}
    }
    assert_eq!(parked.receiver.received().len(), 1);
    // All running work is killed.
    let Parked { app, receiver, tenant, queue } = parked;
    let parked = Parked { app: app.restart().await, receiver, tenant, queue };
    hold.release().await;
    let delivery = parked.delivery(&endpoint).await;
    assert_eq!((&delivery["status"], &delivery["attempts"]), (&json!("pending"), &json!(1)));
    parked.work(&endpoint).await;
    assert_eq!(parked.receiver.received().len(), 1, "the dead worker's claim holds");

    parked.app.sql("update webhook_deliveries set claimed_until = now(), next_attempt_at = now()").await;
    parked.work(&endpoint).await;
    let received = parked.receiver.received();
    assert_eq!(received.len(), 2);
    assert_eq!(endpoint.verify(&received[0]), endpoint.verify(&received[1]));
    let delivery = parked.delivery(&endpoint).await;
    assert_eq!((&delivery["status"], &delivery["attempts"]), (&json!("delivered"), &json!(2)));
}

#[tokio::test]
async fn what_a_dead_worker_left_of_an_endpoint_that_is_off_fails_and_is_not_sent_later() {
    let parked = Parked::start().await;
    let endpoint = parked.endpoint(&["order.created"]).await;
    let switch = async |is_on: bool| {
        let patch = parked.app.call(Method::PATCH, &endpoint.path("")).by(&parked.tenant);
        patch.json(&json!({ "enabled": is_on })).await.data(200);
    };
    let sweep = async || parked.app.stack.invoke("maintenance", json!({})).await.unwrap()["webhooks_failed"].clone();
    let claimed = "update webhook_deliveries set claimed_until = now() + interval '1 minute' where status = 'pending'";
    let dead = "update webhook_deliveries set claimed_until = now() where status = 'pending'";
    parked.order().await;
    parked.app.sql(claimed).await;
    switch(false).await;
    assert_eq!(sweep().await, 0, "the worker may be sending");
    assert_eq!(parked.delivery(&endpoint).await["status"], "pending");

    parked.app.sql(dead).await;
    assert_eq!(sweep().await, 1);
    let delivery = parked.delivery(&endpoint).await;
    assert_eq!((&delivery["status"], &delivery["error_code"]), (&json!("failed"), &json!("endpoint_disabled")));
    assert_eq!(sweep().await, 0);

    // The endpoint is switched on before maintenance has run.
    switch(true).await;
    parked.order().await;
    parked.app.sql(claimed).await;
    switch(false).await;
    parked.app.sql(dead).await;
    switch(true).await;
    parked.order().await;
    parked.make_due().await;
    parked.work(&endpoint).await;
    let statuses: Vec<_> = parked.deliveries(&endpoint).await.into_iter().map(|one| one["status"].clone()).collect();
    assert_eq!(statuses, ["failed", "failed", "delivered"]);
    assert_eq!(parked.receiver.received().len(), 1);
}

#[tokio::test]
async fn an_attempt_without_a_result_is_followed_by_the_schedule_and_ten_of_them_end_the_delivery() {
    for (attempts, next_s) in [(0, 60), (1, 300), (8, 86_400)] {
        let parked = Parked::start().await;
        let endpoint = parked.endpoint(&["order.created"]).await;
        parked.order().await;
        parked.app.sql(&format!("update webhook_deliveries set attempts = {attempts}")).await;
        parked.receiver.reply(&[ReceiverReply::Hang]);
        let look = async {
            wait_for_webhooks(&parked.receiver, 1).await;
            let next = "select round(extract(epoch from next_attempt_at - claimed_until)) + 60 from webhook_deliveries";
            assert_eq!(parked.app.number(next).await, next_s, "should the worker of attempt {} die", attempts + 1);
            parked.receiver.release();
        };
        tokio::join!(parked.work(&endpoint), look);
    }

    // The worker of the tenth attempt has died like those before.
    let parked = Parked::start().await;
    let endpoint = parked.endpoint(&["order.created"]).await;
    parked.order().await;
    let dead = "update webhook_deliveries set attempts = 10, claimed_until = now(), next_attempt_at = now()";
    parked.app.sql(dead).await;
    parked.order().await;
    parked.work(&endpoint).await;
    let [dead, newer] = parked.deliveries(&endpoint).await.try_into().unwrap();
    assert_eq!(
        (&dead["status"], &dead["attempts"], &dead["error_code"]),
        (&json!("failed"), &json!(10), &json!("attempts_used_up"))
    );
    assert_eq!((&newer["status"], &newer["attempts"]), (&json!("delivered"), &json!(1)));
    assert_eq!(parked.receiver.received().len(), 1);
}

#[tokio::test]
async fn a_late_answer_of_a_former_url_says_nothing_of_the_new_one() {
    let parked = Parked::start().await;
    let (app, endpoint) = (&parked.app, parked.endpoint(&["order.created"]).await);
    parked.order().await;
    parked.receiver.reply(&[ReceiverReply::HangThen(410)]);
    let change = async {
        wait_for_webhooks(&parked.receiver, 1).await;
        let patch = app.call(Method::PATCH, &endpoint.path("")).by(&parked.tenant);
        patch.json(&json!({ "url": "https://hooks.example.com/new" })).await.data(200);
        parked.receiver.release();
    };
    tokio::join!(parked.work(&endpoint), change);
    let shown = parked.shown(&endpoint).await;
    assert_eq!((&shown["enabled"], &shown["failing_since"]), (&json!(true), &Value::Null));
    let delivery = parked.delivery(&endpoint).await;
    assert_eq!(
        (&delivery["status"], &delivery["attempts"], &delivery["response_status"], &delivery["error_code"]),
        (&json!("pending"), &json!(1), &json!(410), &json!("gone"))
    );
    parked.make_due().await;
    parked.work(&endpoint).await;
    assert_eq!(parked.delivery(&endpoint).await["status"], "delivered");
    let paths: Vec<_> = parked.receiver.received().into_iter().map(|request| request.path).collect();
    assert_eq!(paths, ["/in?key=s3cret", "/new"]);
}

#[tokio::test]
async fn a_new_url_begins_without_the_failures_of_the_former_one() {
    let parked = Parked::start().await;
    let (app, endpoint) = (&parked.app, parked.endpoint(&["order.created"]).await);
    parked.order().await;
    parked.receiver.always(ReceiverReply::Status(500));
    for _ in 0..3 {
        parked.make_due().await;
        parked.work(&endpoint).await;
    }
    let state =
        "select concat_ws(' ', failing_since is null, failed_batches, paused_until is null) from webhook_endpoints";
    let state = async || {
        let state: String = sqlx::query_scalar(state).fetch_one(&mut app.admin_db().await).await.unwrap();
        state
    };
    assert_eq!(state().await, "f 3 f");
    let change =
        async |body: Value| app.call(Method::PATCH, &endpoint.path("")).by(&parked.tenant).json(&body).await.data(200);
    change(json!({ "url": super::URL, "description": "Order desk" })).await;
    assert_eq!(state().await, "f 3 f", "the URL is what it was");
    assert_eq!(change(json!({ "url": "https://hooks.example.com/new" })).await["failing_since"], Value::Null);
    assert_eq!(state().await, "t 0 t");
}

#[tokio::test]
async fn a_claim_does_not_read_the_backlog_of_an_endpoint_that_fails() {
    let parked = Parked::start().await;
    let (app, endpoint) = (&parked.app, parked.endpoint(&[]).await);
    app.sql(&format!(
        "insert into webhook_deliveries (customer_id, endpoint_id, event_id, event_type, data)
             select '{}', '{}', gen_random_uuid(), 'webhook.test', '{{\"message\": \"x\"}}' from generate_series(1, 20000)",
        parked.tenant.customer_id, endpoint.id
    ))
    .await;
    app.sql("vacuum analyze webhook_deliveries").await;
    app.sql("select pg_stat_force_next_flush(); select pg_stat_reset()").await;
    parked.receiver.always(ReceiverReply::Status(500));
    parked.work(&endpoint).await;
    assert_eq!(parked.receiver.received().len(), 15, "three batches of five, then a pause");
    // A session reports its counts some seconds after its last statement. Each delivery was claimed and recorded.
    let counted = "select n_tup_upd from pg_stat_user_tables where relname = 'webhook_deliveries'";
    wait_until("the counts are reported", WAIT_TIMEOUT, async || (app.number(counted).await >= 30).then_some(())).await;
    let read = "select seq_tup_read + idx_tup_fetch from pg_stat_user_tables where relname = 'webhook_deliveries'";
    let read = app.number(read).await;
    assert!(read < 1_000, "{read} rows were read for three claims");
}

#[tokio::test]
async fn an_endpoint_may_be_switched_off_while_a_contact_with_events_is_deleted() {
    let parked = Parked::start().await;
    let (app, endpoint) = (&parked.app, parked.endpoint(&["message.received"]).await);
    for text in ["Bonjour", "Vous livrez ?"] {
        app.store_contact_message(&parked.tenant, "7", text).await;
    }
    // The deletion takes the rows as they were written, the other request the second one first.
    app.sql(
        "update webhook_deliveries set next_attempt_at = next_attempt_at - interval '1 minute'
         where created_at = (select max(created_at) from webhook_deliveries)",
    )
    .await;
    let conversation: uuid::Uuid =
        sqlx::query_scalar("select id from conversations").fetch_one(&mut app.admin_db().await).await.unwrap();
    let mut hold = app.hold_statements("before delete on webhook_deliveries for each row").await;
    let contact = format!("/api/v1/privacy/contacts/{conversation}");
    let switched_off = async {
        hold.wait_for_held_statement().await;
        let off = app.call(Method::PATCH, &endpoint.path("")).by(&parked.tenant).json(&json!({ "enabled": false }));
        let off = off.into_future();
        let release = async {
            wait_until("the request waits for a row", WAIT_TIMEOUT, async || {
                let waiting = "select count(*) from pg_stat_activity where wait_event in ('transactionid', 'tuple')
                    and query like '%webhook_%' and datname = current_database()";
                (app.number(waiting).await == 1).then_some(())
            })
            .await;
            hold.release().await;
        };
        tokio::join!(off, release).0
    };
    let (deleted, off) = tokio::join!(app.delete(&contact).by(&parked.tenant).into_future(), switched_off);
    deleted.no_content();
    assert_eq!(off.data(200)["enabled"], false);
    assert_eq!(app.number("select count(*) from webhook_deliveries").await, 0);
}

#[tokio::test]
async fn an_endpoint_whose_former_secret_ends_meanwhile_is_sealed_again_all_the_same() {
    let parked = Parked::start().await;
    let app = &parked.app;
    for url in [super::URL, "https://hooks.example.com/second"] {
        let endpoint = create_endpoint(app, &parked.tenant, url, &[]).await;
        app.post(&endpoint.path("/secret")).by(&parked.tenant).json(&json!({})).await.data(201);
    }
    let ids: Vec<uuid::Uuid> = sqlx::query_scalar("select id from webhook_endpoints order by id")
        .fetch_all(&mut app.admin_db().await)
        .await
        .unwrap();
    // The command has read both endpoints when it writes the first one.
    let trigger = format!("before update on webhook_endpoints for each row when (old.id = '{}')", ids[0]);
    let mut hold = app.hold_statements(&trigger).await;
    let next = format!("next:{}=", "A".repeat(43));
    let mut command = Command::new(lisa_program().unwrap());
    command
        .arg("rotate-keys")
        .env("SYSTEM_DATABASE_URL", &app.stack.database.system)
        .env("SEALING_KEYS", format!("{next},{}", app.stack.secrets.sealing_keys))
        .env_remove("BACKEND_APP_DATABASE_URL");
    let rotation = tokio::task::spawn_blocking(move || command.output());
    hold.wait_for_held_statement().await;
    app.sql(&format!(
        "update webhook_endpoints set previous_secret = null, previous_secret_expires_at = null where id = '{}'",
        ids[1]
    ))
    .await;
    hold.release().await;
    let output = rotation.await.unwrap().unwrap();
    assert!(output.status.success(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("secrets of 2 webhook endpoints sealed again"), "{text}");
    let mut settings = Settings::new(SettingsMap::from([("SEALING_KEYS".to_owned(), next)]));
    let ring = KeyRing::read(&mut settings);
    settings.finish().unwrap();
    let stored: Vec<(Vec<u8>, Option<Vec<u8>>)> =
        sqlx::query_as("select secret, previous_secret from webhook_endpoints order by id")
            .fetch_all(&mut app.admin_db().await)
            .await
            .unwrap();
    for sealed in stored.iter().flat_map(|(secret, previous)| [Some(secret), previous.as_ref()]).flatten() {
        ring.open(parked.tenant.customer_id, SECRET_PURPOSE, sealed).unwrap();
    }
    assert_eq!(stored.iter().filter(|(_, previous)| previous.is_some()).count(), 1);
}

#[tokio::test]
async fn a_result_that_comes_after_another_claim_counts_for_nothing() {
    let parked = Parked::start().await;
    let endpoint = parked.endpoint(&["order.created"]).await;
    parked.order().await;
    parked.receiver.reply(&[ReceiverReply::Hang]);
    let late = async {
        wait_for_webhooks(&parked.receiver, 1).await;
        // The worker is taken for dead, and another one delivers.
        parked.app.sql("update webhook_deliveries set claimed_until = now(), next_attempt_at = now()").await;
        parked.work(&endpoint).await;
        parked.receiver.release();
    };
    tokio::join!(parked.work(&endpoint), late);
    assert_eq!(parked.receiver.received().len(), 2);
    let delivery = parked.delivery(&endpoint).await;
    assert_eq!((&delivery["status"], &delivery["response_status"]), (&json!("delivered"), &json!(204)));
}

#[tokio::test]
async fn an_endpoint_may_be_deleted_while_deliveries_wait_and_while_one_is_sent() {
    let parked = Parked::start().await;
    let (app, endpoint) = (&parked.app, parked.endpoint(&["order.created"]).await);
    for _ in 0..7 {
        parked.order().await;
    }
    parked.receiver.always(ReceiverReply::Hang);
    let delete = async {
        wait_for_webhooks(&parked.receiver, 5).await;
        app.delete(&endpoint.path("")).by(&parked.tenant).await.no_content();
        parked.receiver.release();
    };
    tokio::join!(parked.work(&endpoint), delete);
    assert_eq!(app.number("select count(*) from webhook_deliveries").await, 0);
    parked.work(&endpoint).await;
    assert_eq!(parked.receiver.received().len(), 5, "what waited is not sent");
    parked.order().await;
    assert_eq!(app.number("select count(*) from webhook_deliveries").await, 0);
}

#[tokio::test]
async fn events_and_the_deletion_of_their_endpoint_at_once_break_no_request() {
    let parked = Parked::start().await;
    for round in 0..8 {
        let url = format!("https://hooks.example.com/{round}");
        let endpoint = create_endpoint(&parked.app, &parked.tenant, &url, &[]).await;
        let delete = async { parked.app.delete(&endpoint.path("")).by(&parked.tenant).await.no_content() };
        tokio::join!(parked.order(), delete, parked.order());
    }
    assert_eq!(parked.app.number("select count(*) from orders").await, 16);
    assert_eq!(parked.app.number("select count(*) from webhook_deliveries").await, 0);
}

#[tokio::test]
async fn an_event_that_cannot_be_read_fails_alone_and_does_not_count_against_the_endpoint() {
    let parked = Parked::start().await;
    let endpoint = parked.endpoint(&["order.created"]).await;
    parked.order().await;
    parked.app.sql("update webhook_deliveries set data = '{\"id\": 1}'").await;
    parked.work(&endpoint).await;
    let delivery = parked.delivery(&endpoint).await;
    assert_eq!(
        (&delivery["status"], &delivery["error_code"], &delivery["attempts"]),
        (&json!("failed"), &json!("unreadable_event"), &json!(1))
    );
    assert_eq!(parked.receiver.received().len(), 0);
    assert_eq!(shown(&parked.app, &parked.tenant, &endpoint).await["failing_since"], Value::Null);
}
