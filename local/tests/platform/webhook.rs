//! Ten thousand generated bodies at the ManyChat webhook: each is stored completely, or refused with an error code.

use std::collections::HashSet;

use axum::{body::Body, http::Request};
use futures::{StreamExt, stream};
use local::{fakes::queue::FakeQueue, testing};
use proptest::{prelude::*, strategy::ValueTree, test_runner::TestRunner};
use serde_json::{Value, json};
use shared::function::Handler;
use sqlx::{Connection, PgConnection};
use tower::ServiceExt;

use crate::seed;

/// Number of generated bodies.
const BODIES: usize = 10_000;

/// Any JSON value, with the names and texts of ManyChat's messages among its own.
fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,40}|\\{\\{[a-z_]{1,9}\\}\\}|[\u{0}-\u{1f}]{0,4}|[0-9]{1,22}|stop|oui|é{0,300}".prop_map(Value::from),
    ];
    let names = "id|contact_id|subscriber_id|key|text|last_input_text|message|contact|subscriber|name|phone|message_id|\
        last_interaction|locale|type|image|[a-z]{1,6}";
    leaf.prop_recursive(4, 32, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(names, inner, 0..8).prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// A request body: in half of the cases a message with random fields added, in the other half any JSON.
fn body() -> impl Strategy<Value = Value> {
    let message = (1..50_u64, "\\PC{0,80}", anything()).prop_map(|(id, text, extra)| {
        let mut body = json!({ "id": id, "last_input_text": text });
        for (name, value) in extra.as_object().into_iter().flatten() {
            body[name] = value.clone();
        }
        body
    });
    prop_oneof![message, anything()]
}

/// The conversation that a queued message names.
fn conversation_id(message: &str) -> String {
    let message: Value = serde_json::from_str(message).unwrap();
    message["conversation_id"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::too_many_lines, reason = "the cases share one stack and one count of rows")]
async fn ten_thousand_generated_bodies_are_stored_completely_or_refused_with_an_error_code() {
    let database = testing::database().await.unwrap();
    let mut admin = PgConnection::connect(&database.urls.admin).await.unwrap();
    let tenant = seed::tenant(&mut admin, "webhook", 8).await;
    let insert = sqlx::query("insert into webhook_secrets (customer_id, sha256) values ($1, sha256('secret'))");
    insert.bind(tenant.customer).execute(&mut admin).await.unwrap();
    let aws = &testing::servers().await.unwrap().aws;
    let queue = FakeQueue::start(aws.endpoint()).await.unwrap();
    let mut settings = aws.settings();
    let endpoint = queue.endpoint();
    let queue_url = format!("{endpoint}/123456789012/replies");
    for (name, value) in [
        ("DATABASE_URL", database.urls.app.as_str()),
        ("DATABASE_MAX_CONNECTIONS", "8"),
        ("AWS_ENDPOINT_URL", &endpoint),
        ("REPLY_QUEUE_URL", &queue_url),
        ("WEBHOOK_QUEUE_URL", &queue_url),
        ("RATE_LIMIT_WEBHOOK", "10000000"),
    ] {
        settings.insert(name.to_owned(), value.to_owned());
    }
    let Handler::Http(router) = manychat_webhook::FUNCTION.start(settings).await.unwrap().handler else {
        panic!("no routes")
    };

    let mut runner = TestRunner::deterministic();
    let strategy = body();
    let bodies: Vec<_> = (0..BODIES).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect();
    let answers = stream::iter(bodies)
        .map(|body| {
            let router = router.clone();
            async move {
                let request = Request::post("/api/v1/webhook/manychat")
                    .header("content-type", "application/json")
                    .header("x-webhook-secret", "secret")
                    .body(Body::from(body.to_string()))
                    .unwrap();
                let answer = router.oneshot(request).await.unwrap();
                let status = answer.status().as_u16();
                let bytes = axum::body::to_bytes(answer.into_body(), usize::MAX).await.unwrap();
                (body, status, serde_json::from_slice::<Value>(&bytes).unwrap())
            }
        })
        .buffer_unordered(8)
        .collect::<Vec<_>>()
        .await;
    let mut taken = 0;
    for (body, status, answer) in &answers {
        match status {
            200 => taken += 1,
            400..=499 => assert!(answer["error"]["code"].is_string(), "{body}: {answer}"),
            _ => panic!("{status} for {body}: {answer}"),
        }
    }
    assert!(taken > BODIES / 3 && taken < BODIES, "{taken} of {BODIES} were taken");
    let mut number =
        async |query: &'static str| -> i64 { sqlx::query_scalar(query).fetch_one(&mut admin).await.unwrap() };
    let stored = number("select count(*) from messages where direction = 'inbound'").await;
    assert!(stored > 0 && stored <= i64::try_from(taken).unwrap(), "{stored} stored of {taken} taken");
    let incomplete = "select count(*) from conversations conversation
        where not exists (select from messages where conversation_id = conversation.id)
           or not exists (select from jobs where payload ->> 'conversation_id' = conversation.id::text)";
    assert_eq!(number(incomplete).await, 0, "a conversation without its message or its job");
    let orphaned = "select count(*) from jobs where kind = 'reply'
        and not exists (select from conversations where id::text = payload ->> 'conversation_id')";
    assert_eq!(number(orphaned).await, 0, "a job without its conversation");
    let queued: HashSet<_> = queue.drain().into_iter().map(|message| conversation_id(&message.body)).collect();
    let due = number("select count(distinct payload ->> 'conversation_id') from jobs where kind = 'reply'").await;
    assert_eq!(i64::try_from(queued.len()).unwrap(), due, "a conversation that no worker hears of");
}
