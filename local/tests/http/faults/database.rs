//! PostgreSQL or PgBouncer is killed with SIGKILL and started again, while messages, uploads, orders, questions,
//! exports and webhooks are under way.

use std::time::Instant;

use local::testing::{self, OwnDatabase};

use super::{
    is_through_pgbouncer,
    traffic::{RoundSize, Traffic},
};

const SIZE: RoundSize = RoundSize { messages: 8, questions: 4, orders: 6, uploads: 3 };

/// A server that is killed again and again.
trait Killable {
    fn kill(&mut self);
    async fn start_again(&mut self);
}

impl Killable for OwnDatabase {
    fn kill(&mut self) {
        Self::kill(self).unwrap();
    }

    async fn start_again(&mut self) {
        Self::start_again(self).await.unwrap();
    }
}

impl Killable for local_postgres::Pooler {
    fn kill(&mut self) {
        Self::kill(self).unwrap();
    }

    async fn start_again(&mut self) {
        Self::start_again(self).await.unwrap();
    }
}

/// Sends one round for each kill, and kills the server in the middle of the round, each time after more of its
/// acknowledgements. Prints the figures of docs/RELIABILITY.md.
async fn kill_during(mut traffic: Traffic, server: &mut impl Killable, kills: usize) {
    let started = Instant::now();
    for kill in 0..kills {
        let begun = traffic.acknowledged();
        let killing = async {
            traffic.wait_for_acknowledged(begun + 1 + SIZE.acknowledgements() * kill / kills).await;
            server.kill();
            traffic.wait_until_refused().await;
            server.start_again().await;
        };
        tokio::join!(traffic.round(SIZE), killing);
    }
    traffic.assert_nobody_is_stuck().await;
    traffic = traffic.settle().await;
    let repeated = traffic.assert_done_once().await;
    println!(
        "{kills} kills, {} acknowledged, {} refused, lost 0, done twice 0; sent again: {} messages, {} webhooks; {:?}",
        traffic.acknowledged(),
        traffic.refused(),
        repeated.messages,
        repeated.webhooks,
        started.elapsed()
    );
}

async fn kill_the_database(kills: usize) {
    let mut database = OwnDatabase::start().await.unwrap();
    let traffic = Traffic::start(Some(&database), &[]).await;
    kill_during(traffic, &mut database, kills).await;
}

async fn kill_the_pooler(kills: usize) {
    let direct = testing::database_urls("{database}").await.unwrap();
    let Some(mut pooler) = testing::pooler(&[&direct.app, &direct.system], 5).await.unwrap() else { return };
    let (app, system) = (pooler.url(&direct.app), pooler.url(&direct.system));
    let traffic = Traffic::start(None, &[("DATABASE_URL", &app), ("SYSTEM_DATABASE_URL", &system)]).await;
    kill_during(traffic, &mut pooler, kills).await;
}

#[tokio::test]
async fn a_killed_database_loses_nothing_that_was_acknowledged_and_nothing_is_done_twice() {
    if !is_through_pgbouncer() {
        Box::pin(kill_the_database(3)).await;
    }
}

#[tokio::test]
async fn a_killed_pooler_loses_nothing_that_was_acknowledged_and_nothing_is_done_twice() {
    if !is_through_pgbouncer() {
        Box::pin(kill_the_pooler(3)).await;
    }
}

/// Measures the figures in docs/RELIABILITY.md.
#[tokio::test]
#[ignore = "takes minutes; the tests above kill three times each"]
async fn a_hundred_kills_of_the_database_and_of_the_pooler_lose_nothing() {
    if !is_through_pgbouncer() {
        Box::pin(kill_the_database(50)).await;
        Box::pin(kill_the_pooler(50)).await;
    }
}
