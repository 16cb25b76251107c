//! S3 and SQS that answer 500, 503 `SlowDown`, lose their answers, or do not answer at all for a while.

use std::time::Instant;

use local::testing::{self, AwsFault, AwsFaults};

use super::{
    is_through_pgbouncer,
    traffic::{RoundSize, Traffic},
};

const SIZE: RoundSize = RoundSize { messages: 4, questions: 2, orders: 3, uploads: 3 };

async fn run(rounds: usize) {
    let aws = AwsFaults::start(testing::servers().await.unwrap().aws.endpoint()).await.unwrap();
    let endpoint = aws.endpoint();
    let mut traffic = Traffic::start(None, &[("AWS_ENDPOINT_URL", &endpoint)]).await;
    let started = Instant::now();
    for _ in 0..rounds {
        for fault in [AwsFault::InternalError, AwsFault::SlowDown, AwsFault::AnswerLost, AwsFault::Silence] {
            let (begun, met) = (traffic.acknowledged(), aws.count());
            let trouble = async {
                aws.set(Some(fault));
                // Uploads to S3 fail until the fault ends. All other requests of the round are acknowledged during the
                // fault.
                traffic.wait_for_acknowledged(begun + SIZE.acknowledgements() - SIZE.uploads).await;
                traffic.wait_until_met(&aws, met + 3).await;
                aws.set(None);
            };
            tokio::join!(traffic.round(SIZE), trouble);
        }
        traffic.assert_nobody_is_stuck().await;
    }
    traffic = traffic.settle().await;
    let repeated = traffic.assert_done_once().await;
    println!(
        "{} requests to S3 and SQS in trouble, {} acknowledged, lost 0, done twice 0; sent again: {} messages, {} \
         webhooks; {:?}",
        aws.count(),
        traffic.acknowledged(),
        repeated.messages,
        repeated.webhooks,
        started.elapsed()
    );
}

#[tokio::test]
async fn storage_and_queues_in_trouble_lose_nothing_that_was_acknowledged_and_nothing_is_done_twice() {
    if !is_through_pgbouncer() {
        Box::pin(run(1)).await;
    }
}

/// Measures the figures in docs/RELIABILITY.md.
#[tokio::test]
#[ignore = "takes minutes; the test above meets each fault once"]
async fn forty_troubles_of_storage_and_queues_lose_nothing() {
    if !is_through_pgbouncer() {
        Box::pin(run(10)).await;
    }
}
