//! All functions killed while they answer contacts and send webhooks, and nobody's help afterwards: no time, attempt or right
//! is changed in the database. What was begun ends, and the queues get few messages.

use std::time::Instant;

use local::{
    fakes::webhook_receiver::ReceiverReply,
    testing::{self, AwsFaults},
};

use super::{
    super::support::{WAIT_TIMEOUT, wait_until},
    is_through_pgbouncer,
    traffic::{RoundSize, Traffic},
};

/// Two uploads and an export, which end before the functions are killed: a killed worker's document or archive is taken up
/// again after ten minutes, which is too long for this test.
const BEFORE: RoundSize = RoundSize { messages: 0, questions: 0, orders: 0, uploads: 2 };
const CONTACTS: usize = 4;
const ORDERS: usize = 8;

/// Messages that a queue may get for each thing to do: one of its cause, and some for a worker that died.
const MAX_MESSAGES_EACH: usize = 4;

#[tokio::test]
async fn functions_killed_at_their_work_are_followed_by_others_without_help_and_with_few_messages() {
    if is_through_pgbouncer() {
        return;
    }
    let aws = AwsFaults::start(testing::servers().await.unwrap().aws.endpoint()).await.unwrap();
    let mut traffic = Traffic::start(None, &[("AWS_ENDPOINT_URL", &aws.endpoint())]).await;
    let queues = ["REPLY_QUEUE_URL", "WEBHOOK_QUEUE_URL", "INGEST_QUEUE_URL", "EXPORT_QUEUE_URL"];
    let sent = |traffic: &Traffic| {
        queues.map(|name| aws.messages_to(traffic.whatsapp.app.stack.resource_setting(name).unwrap()))
    };
    let before = sent(&traffic);
    traffic.round(BEFORE).await;
    traffic.wait_without_help().await;
    // One worker waits for the receiver while all other events happen, others wait for the model, and all of them die.
    let received = traffic.receiver.received().len();
    traffic.whatsapp.models.hold();
    traffic.receiver.reply(&[ReceiverReply::Status(500), ReceiverReply::Hang]);
    tokio::join!(traffic.messages(CONTACTS), traffic.orders(ORDERS));
    wait_until("a webhook is on its way", WAIT_TIMEOUT, async || {
        (traffic.receiver.received().len() >= received + 2).then_some(())
    })
    .await;
    traffic.whatsapp.models.wait_for_held_request().await;
    traffic = traffic.kill().await;
    traffic.whatsapp.models.release();
    traffic.receiver.release();

    let killed = Instant::now();
    traffic.wait_without_help().await;
    let ended = killed.elapsed();
    traffic.assert_nobody_is_stuck().await;
    traffic.wait_without_help().await;
    let repeated = traffic.assert_done_once().await;
    let after = sent(&traffic);
    let messages: Vec<_> = after.iter().zip(before).map(|(after, before)| after - before).collect();
    println!("{messages:?} messages to {queues:?}; all ended {ended:?} after the kill; {repeated:?}");
    let (contacts, uploads) = (CONTACTS + 1, BEFORE.uploads);
    let things = [contacts, contacts + ORDERS + uploads, uploads, 1];
    for ((name, messages), things) in queues.iter().zip(messages).zip(things) {
        assert!(messages <= MAX_MESSAGES_EACH * (things + 1), "{messages} messages for {things} things: {name}");
    }
}
