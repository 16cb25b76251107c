//! The reply-worker, killed at every step between taking a message and sending the last part of its answer.
//!
//! A kill drops the worker's future after a number of polls, and so at any place where the worker waits. Statements
//! and requests that PostgreSQL, the model or ManyChat have received by then still run, as after a power cut of the
//! worker.

use std::{collections::BTreeMap, future::poll_fn, pin::pin, task::Poll, time::Duration};

use local::{
    fakes::{
        manychat::{FakeManyChat, KEYS},
        models::{FakeModels, FakeReply},
        queue::FakeQueue,
    },
    testing::{self, TestDatabase},
};
use serde_json::{Value, json};
use shared::{
    conversations,
    db::Db,
    error::ApiError,
    function::{EventHandler, Handler},
    manychat::inbound::InboundMessage,
    orders,
    sealed::KeyRing,
    settings::{Settings, SettingsMap},
    tenants,
};
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use crate::{
    route,
    seed::{self, SeededTenant},
};

/// Number of messages in which the model's answer is sent.
const PARTS: usize = 2;
/// Rounds of [`WORKERS`] simultaneous deliveries of one conversation.
const ROUNDS: usize = 40;
const WORKERS: usize = 6;
const SEALING_KEYS: &str = "test:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

/// A reply-worker with its database, one tenant, and fakes of ManyChat and the model.
struct ReplyWorkerHarness {
    // Dropped first, so that the worker makes no more calls of the servers below.
    handle: EventHandler,
    manychat: FakeManyChat,
    models: FakeModels,
    db: Db,
    admin: PgConnection,
    tenant: SeededTenant,
    _database: TestDatabase,
}

/// Result of one kill.
struct KillOutcome {
    /// True when the worker finished before the kill.
    is_finished: bool,
    /// ReplyStage at the kill.
    stage: ReplyStage,
    /// Number of parts that arrived at ManyChat twice.
    repeated: usize,
}

/// The last step of a reply that was done at the kill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum ReplyStage {
    /// The model was not asked.
    Nothing,
    /// The model was asked.
    Generated,
    /// The answer is stored.
    Committed,
    FirstPartSent,
    AllSent,
}

impl ReplyWorkerHarness {
    async fn start() -> Self {
        let aws = &testing::servers().await.unwrap().aws;
        let name = format!("replies-{}-{}", std::process::id(), Uuid::new_v4().simple());
        let made = aws_sdk_sqs::Client::new(&aws.config()).create_queue().queue_name(name).send().await.unwrap();
        Self::with_queue(made.queue_url().unwrap(), aws.endpoint(), 2).await
    }

    /// Starts the worker with a queue at an AWS endpoint and a number of database connections.
    async fn with_queue(queue_url: &str, endpoint: &str, connections: u32) -> Self {
        let database = testing::database().await.unwrap();
        let (manychat, models) = (FakeManyChat::start().await.unwrap(), FakeModels::start().await.unwrap());
        models.always(FakeReply::Text("Une phrase de la réponse. ".repeat(100)));
        let mut admin = PgConnection::connect(&database.urls.admin).await.unwrap();
        let soon = "do $do$ begin
            execute format('alter database %I set deadlock_timeout = 20', current_database());
        end $do$";
        sqlx::raw_sql(soon).execute(&mut admin).await.unwrap();
        let tenant = seed::tenant(&mut admin, "replies", 1_000_000).await;
        let aws = &testing::servers().await.unwrap().aws;
        let mut settings = aws.settings();
        for (name, value) in [
            ("DATABASE_URL", database.urls.app.as_str()),
            ("DATABASE_MAX_CONNECTIONS", &connections.to_string()),
            ("AWS_ENDPOINT_URL", endpoint),
            ("REPLY_QUEUE_URL", queue_url),
            ("WEBHOOK_QUEUE_URL", queue_url),
            ("MANYCHAT_BASE_URL", &manychat.base_url()),
            ("SEALING_KEYS", SEALING_KEYS),
            ("LLM_PROVIDER", "groq"),
            ("GROQ_API_KEY", "test"),
            ("GROQ_BASE_URL", &models.base_url()),
            ("BURST_WINDOW_S", "0"),
        ] {
            settings.insert(name.to_owned(), value.to_owned());
        }
        let Handler::Event(handle) = reply_worker::FUNCTION.start(settings).await.unwrap().handler else {
            panic!("no events")
        };
        let sealed = ring().seal(tenant.customer, tenants::MANYCHAT_KEY_PURPOSE, KEYS[0]).unwrap();
        let update = sqlx::query("update customers set manychat_api_key = $2 where id = $1");
        update.bind(tenant.customer).bind(sealed).execute(&mut admin).await.unwrap();
        let live = sqlx::query("insert into bot_sessions (company_id, mode) values ($1, 'live')");
        live.bind(tenant.customer).execute(&mut admin).await.unwrap();
        let db = route::db(&database.urls.app, connections);
        Self { handle, manychat, models, db, admin, tenant, _database: database }
    }

    /// Stores an inbound message of a contact; returns its conversation.
    async fn receive(&self, contact: usize) -> Uuid {
        self.receive_message(contact, &contact.to_string()).await
    }

    /// Stores an inbound message of a contact under an id; returns its conversation.
    async fn receive_message(&self, contact: usize, message_id: &str) -> Uuid {
        let body = json!({ "id": contact, "last_input_text": "Vous livrez ?", "message_id": message_id });
        let message = InboundMessage::read(&body).unwrap();
        let received: Result<_, ApiError> =
            self.db.tenant_tx(self.tenant.customer, async |tx| Ok(conversations::receive(tx, &message).await?)).await;
        received.unwrap().conversation_id
    }

    /// The queue's event for a conversation; every delivery is equal.
    fn event(&self, conversation: Uuid) -> Value {
        let body = json!({ "customer_id": self.tenant.customer, "conversation_id": conversation });
        json!({ "Records": [{
            "messageId": "1", "receiptHandle": "1", "body": body.to_string(),
            "attributes": { "ApproximateReceiveCount": "1" },
        }] })
    }

    /// The number that a query on the conversation returns.
    async fn number(&mut self, query: &'static str, conversation: Uuid) -> i64 {
        sqlx::query_scalar(query).bind(conversation).fetch_one(&mut self.admin).await.unwrap()
    }

    /// Kills the worker of a contact's message after `polls`, runs later deliveries to the end, and checks the
    /// result: one answer, every part sent, one request charged.
    async fn kill_after(&mut self, polls: usize, contact: usize) -> KillOutcome {
        let conversation = self.receive(contact).await;
        let calls = self.models.calls();
        let killed = poll_and_drop(polls, (self.handle)(self.event(conversation))).await;
        let is_finished = killed.is_some();
        // The update waits for row locks that the killed worker's transaction may still hold; then it expires the
        // lease.
        let expire = "update conversations set lease_expires_at = now() - interval '1 second'
            where id = $1 and lease_token is not null";
        sqlx::query(expire).bind(conversation).execute(&mut self.admin).await.unwrap();
        const ANSWERS: &str = "select count(*) from messages where conversation_id = $1 and author = 'bot'";
        let committed = self.number(ANSWERS, conversation).await;
        let sent = self.manychat.sent_to(&contact.to_string()).len();
        let stage = match (self.models.calls() - calls, committed, sent) {
            (0, ..) => ReplyStage::Nothing,
            (_, 0, _) => ReplyStage::Generated,
            (_, _, 0) => ReplyStage::Committed,
            (_, _, sent) if sent < PARTS => ReplyStage::FirstPartSent,
            _ => ReplyStage::AllSent,
        };
        for _ in 0..=PARTS {
            (self.handle)(self.event(conversation)).await.unwrap();
            let now = "update conversations set next_send_at = now() - interval '1 second' where id = $1";
            sqlx::query(now).bind(conversation).execute(&mut self.admin).await.unwrap();
        }

        let at = format!("killed after {polls} polls");
        assert_eq!(self.number(ANSWERS, conversation).await, 1, "{at}: one answer");
        let open = "select count(*) from outbox where conversation_id = $1 and state <> 'sent'";
        assert_eq!(self.number(open, conversation).await, 0, "{at}: every part is sent");
        let undone = "select count(*) from jobs where payload ->> 'conversation_id' = $1::text and status <> 'done'";
        assert_eq!(self.number(undone, conversation).await, 0, "{at}: the job is done");
        let units = "select count(*) from reservations where conversation_id = $1 and state = 'spent'";
        assert_eq!(self.number(units, conversation).await, 1, "{at}: one unit");
        let held = "select count(*) from reservations where conversation_id = $1 and state <> 'spent'";
        assert_eq!(self.number(held, conversation).await, 0, "{at}: no other unit");
        let calls = self.models.calls() - calls;
        assert!(
            calls == 1 || (calls == 2 && committed == 0),
            "{at}: {calls} calls of the model, {committed} committed"
        );
        let sent = self.manychat.sent_to(&contact.to_string());
        let mut distinct = sent.clone();
        distinct.dedup();
        assert_eq!(distinct.len(), PARTS, "{at}: {sent:?}");
        assert!(sent.len() <= PARTS + 1, "{at}: more than one part was repeated");
        KillOutcome { is_finished, stage, repeated: sent.len() - PARTS }
    }

    /// Kills `count` workers, each one poll later than the one before; after a worker that finishes, begins again at
    /// one poll. Returns the number of kills and of repeated parts.
    async fn kill_many(mut self, count: usize) -> (usize, usize) {
        let (mut kills, mut polls, mut repeated, mut contact) = (0, 1, 0, 0);
        let mut stages = BTreeMap::<ReplyStage, usize>::new();
        while kills < count {
            contact += 1;
            let outcome = self.kill_after(polls, contact).await;
            repeated += outcome.repeated;
            if outcome.is_finished {
                polls = 1;
            } else {
                *stages.entry(outcome.stage).or_default() += 1;
                kills += 1;
                polls += 1;
            }
        }
        for stage in [ReplyStage::Nothing, ReplyStage::Generated, ReplyStage::Committed, ReplyStage::FirstPartSent] {
            assert!(stages.contains_key(&stage), "none was killed at {stage:?}: {stages:?}");
        }
        let used = "select free_quota_used::bigint from user_settings settings
            join conversations conversation on conversation.id = $1
            join customers tenant on tenant.id = conversation.customer_id and tenant.user_id = settings.user_id";
        let conversation = sqlx::query_scalar("select id from conversations limit 1").fetch_one(&mut self.admin);
        let conversation = conversation.await.unwrap();
        assert_eq!(self.number(used, conversation).await, i64::try_from(contact).unwrap(), "a unit an answer");
        (kills, repeated)
    }
}

fn ring() -> KeyRing {
    let mut settings = Settings::new(SettingsMap::from([("SEALING_KEYS".to_owned(), SEALING_KEYS.to_owned())]));
    let ring = KeyRing::read(&mut settings);
    settings.finish().unwrap();
    ring
}

/// Polls a future at most `polls` times and drops it. Returns its value when it finished before.
async fn poll_and_drop<T>(polls: usize, work: impl Future<Output = T>) -> Option<T> {
    let mut work = pin!(work);
    let mut polls_left = polls;
    poll_fn(|context| {
        if polls_left == 0 {
            return Poll::Ready(None);
        }
        polls_left -= 1;
        work.as_mut().poll(context).map(Some)
    })
    .await
}

#[tokio::test]
async fn after_a_kill_at_any_step_the_next_worker_sends_one_answer_and_charges_one_request() {
    let (kills, repeated) = Box::pin(ReplyWorkerHarness::start().await.kill_many(200)).await;
    assert_eq!(kills, 200);
    // A kill repeats at most the part that was being sent, and most kills repeat none.
    assert!(repeated * 4 < kills, "{repeated} repeated parts after {kills} kills");
}

#[tokio::test]
async fn deliveries_during_a_reply_send_one_message_to_the_leases_end_and_are_replaced_by_its_holder() {
    let queue = FakeQueue::start(testing::servers().await.unwrap().aws.endpoint()).await.unwrap();
    let endpoint = queue.endpoint();
    let mut harness = ReplyWorkerHarness::with_queue(&format!("{endpoint}/123456789012/replies"), &endpoint, 2).await;
    let conversation = harness.receive(1).await;
    let event = harness.event(conversation);
    let now = tokio::time::Instant::now();
    harness.models.hold();
    let during = async {
        harness.models.wait_for_held_request().await;
        harness.receive_message(1, "second").await;
        for _ in 0..3 {
            (harness.handle)(event.clone()).await.unwrap();
        }
        let waiting = queue.drain();
        assert_eq!(waiting.len(), 1, "{waiting:?}");
        let delay = waiting[0].due - now;
        let lease = conversations::LEASE_TIMEOUT;
        assert!((lease - Duration::from_secs(10)..=lease + Duration::from_secs(10)).contains(&delay), "{delay:?}");
        harness.models.release();
    };
    let (done, ()) = tokio::join!((harness.handle)(event.clone()), during);
    done.unwrap();
    // The second part of the answer is due later, and the delivery that was turned away is replaced at once.
    let sent = queue.drain();
    let soon = tokio::time::Instant::now() + Duration::from_secs(1);
    assert_eq!(sent.iter().filter(|message| message.due <= soon).count(), 1, "{sent:?}");
    const ANSWERS: &str = "select count(*) from messages where conversation_id = $1 and author = 'bot'";
    assert_eq!(harness.number(ANSWERS, conversation).await, 1);
    (harness.handle)(event).await.unwrap();
    assert_eq!(harness.number(ANSWERS, conversation).await, 2, "the second message is answered");
    let awaited = "select count(*) from conversations where id = $1 and lease_is_awaited";
    assert_eq!(harness.number(awaited, conversation).await, 0);
}

#[tokio::test]
async fn a_handover_that_ends_during_a_send_leaves_what_waits_to_the_bot() {
    let mut harness = ReplyWorkerHarness::start().await;
    let conversation = harness.receive(1).await;
    let SeededTenant { customer, owner, .. } = harness.tenant;
    let handed_over: Result<_, ApiError> = harness
        .db
        .tenant_tx(customer, async |tx| {
            conversations::take_over(tx, conversation, owner).await?;
            Ok(orders::notify(tx, conversation, "Votre commande est en préparation.").await?)
        })
        .await;
    handed_over.unwrap();
    let event = harness.event(conversation);
    let ReplyWorkerHarness { handle, manychat, admin, .. } = &mut harness;
    manychat.hold();
    let end_handover = async {
        manychat.wait_for_held(1).await.unwrap();
        let end = sqlx::query("update conversations set handover_until = now() where id = $1").bind(conversation);
        end.execute(admin).await.unwrap();
        manychat.release();
    };
    let (done, ()) = tokio::join!(handle(event.clone()), end_handover);
    done.unwrap();
    const QUEUED: &str =
        "select count(*) from jobs where payload ->> 'conversation_id' = $1::text and status = 'queued'";
    assert_eq!(harness.number(QUEUED, conversation).await, 1, "the message waits, and its job is queued");
    (harness.handle)(event).await.unwrap();
    const ANSWERED: &str = "select count(*) from messages where conversation_id = $1 and answered_by is not null";
    assert_eq!(harness.number(ANSWERED, conversation).await, 1);
}

#[tokio::test]
async fn simultaneous_workers_of_one_conversation_do_not_deadlock() {
    let queue = FakeQueue::start(testing::servers().await.unwrap().aws.endpoint()).await.unwrap();
    let endpoint = queue.endpoint();
    let mut harness = ReplyWorkerHarness::with_queue(&format!("{endpoint}/123456789012/replies"), &endpoint, 12).await;
    harness.models.always(FakeReply::Text("Oui.".to_owned()));
    let conversation = harness.receive(1).await;
    let event = harness.event(conversation);
    let mut failed = 0;
    for round in 0..ROUNDS {
        let work = (0..WORKERS).map(|worker| {
            let (harness, event) = (&harness, event.clone());
            async move {
                harness.receive_message(1, &format!("{round}-{worker}")).await;
                (harness.handle)(event).await.unwrap()
            }
        });
        let outcomes = futures::future::join_all(work).await;
        failed += outcomes.iter().filter(|outcome| **outcome != json!({ "batchItemFailures": [] })).count();
    }
    let deadlocks = "select deadlocks from pg_stat_database where datname = current_database() and $1 is not null";
    assert_eq!((harness.number(deadlocks, conversation).await, failed), (0, 0));
    const WAITING: &str = "select count(*) from messages where conversation_id = $1 and direction = 'inbound' \
        and answered_by is null and skipped_reason is null";
    (harness.handle)(event).await.unwrap();
    assert_eq!(harness.number(WAITING, conversation).await, 0);
}

/// Measures the figure in docs/BENCHMARKS.md, with the command
/// `cargo test -p local --test platform -- --ignored --nocapture a_thousand_kills`.
#[tokio::test]
#[ignore = "takes minutes; the test above tries each step"]
async fn a_thousand_kills_lose_no_part_and_repeat_at_most_one_each() {
    let (kills, repeated) = Box::pin(ReplyWorkerHarness::start().await.kill_many(1_000)).await;
    println!("{kills} kills: {repeated} parts arrived twice, none more often, none was lost");
}
