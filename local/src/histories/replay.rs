//! Replay of histories on the real product: the real reply-worker on a real database. The fakes hold the worker's calls
//! until the history's next event of this worker. After each event, the database and the model must have equal pictures
//! ([`Picture`]).

use anyhow::{Context, Result, bail, ensure};
use chrono::{TimeDelta, Utc};
use futures::future::BoxFuture;
use serde_json::{Value, json};
use shared::{
    conversations,
    db::{Db, SystemDb},
    error::{ApiError, BoxError},
    function::{EventHandler, Handler},
    manychat::inbound::InboundMessage,
    opt_outs, orders, quota,
    sealed::KeyRing,
    settings::{Settings, SettingsMap},
    tenants,
};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use uuid::Uuid;

use super::{
    event::{CONTACTS, Event, Grain, ModelReply, OrderStatus, SendOutcome, Text, WORKERS},
    generator::History,
    judge,
    model::World,
    picture::Picture,
};
use crate::{
    fakes::{
        manychat::{FakeManyChat, KEYS, ManyChatMode},
        models::{FakeModels, FakeReply},
        queue::FakeQueue,
    },
    testing::{self, SeededTenant, TestDatabase},
};

const SEALING_KEYS: &str = "test:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";

/// SQL that keeps the clock from making parts due in the middle of a history: triggers delay the next part and the next
/// attempt at a part by a day. The spend cap of the plans is removed.
const STOP_THE_CLOCK: &str = "
    create function put_off_next_part() returns trigger language plpgsql as $$ begin
        if new.next_send_at > now() then new.next_send_at := now() + interval '1 day'; end if;
        return new;
    end $$;
    create trigger put_off_next_part before update on conversations
        for each row execute function put_off_next_part();
    create function put_off_attempt() returns trigger language plpgsql as $$ begin
        if new.not_before > now() then new.not_before := now() + interval '1 day'; end if;
        return new;
    end $$;
    create trigger put_off_attempt before update on outbox for each row execute function put_off_attempt();
    update plans set monthly_spend_cap_micros = null";

/// A worker of the product with a fake language model and a fake ManyChat of its own, so that each worker can be held
/// alone.
struct Slot {
    // Dropped first, so that the worker makes no more calls of the servers below.
    running: Option<BoxFuture<'static, Result<Value, BoxError>>>,
    handle: EventHandler,
    models: FakeModels,
    manychat: FakeManyChat,
}

impl Slot {
    async fn start(database: &TestDatabase, queue: &FakeQueue) -> Result<Self> {
        let (models, manychat) = (FakeModels::start().await?, FakeManyChat::start().await?);
        let mut settings = testing::servers().await?.aws.settings();
        for (name, value) in [
            ("DATABASE_URL", database.urls.app.as_str()),
            ("DATABASE_MAX_CONNECTIONS", "2"),
            ("AWS_ENDPOINT_URL", &queue.endpoint()),
            ("REPLY_QUEUE_URL", &format!("{}/123456789012/replies", queue.endpoint())),
            ("WEBHOOK_QUEUE_URL", &format!("{}/123456789012/webhooks", queue.endpoint())),
            ("MANYCHAT_BASE_URL", &manychat.base_url()),
            ("SEALING_KEYS", SEALING_KEYS),
            ("LLM_PROVIDER", "groq"),
            ("GROQ_API_KEY", "test"),
            ("GROQ_MODELS", "a-model"),
            ("GROQ_BASE_URL", &models.base_url()),
            ("BURST_WINDOW_S", "0"),
            ("CONTACT_ANSWERS_PER_MINUTE", "60000"),
            ("CONTACT_ANSWERS_PER_DAY", "60000"),
            ("UNCONFIRMED_DAILY_REQUESTS", "1000000000"),
            ("UNCONFIRMED_MODELS", "all"),
        ] {
            settings.insert(name.to_owned(), value.to_owned());
        }
        let started = reply_worker::FUNCTION.start(settings).await;
        let Handler::Event(handle) = started.or_else(|error| bail!("{error}"))?.handler else {
            bail!("the reply-worker takes no events")
        };
        Ok(Self { running: None, handle, models, manychat })
    }

    /// Delivers a queue message to the worker, and lets it run to its first outside call.
    async fn deliver(&mut self, event: Value, reply: ModelReply) -> Result<()> {
        self.models.always(match reply {
            ModelReply::Short => FakeReply::Text("Oui, nous livrons partout.".to_owned()),
            ModelReply::Long => FakeReply::Text("Une phrase de la réponse. ".repeat(100)),
            ModelReply::Proposal => FakeReply::Tool {
                name: "create_order".to_owned(),
                arguments: json!({ "items": [{ "product": "Savon", "quantity": 2 }] }).to_string(),
            },
            ModelReply::HandOver => FakeReply::Tool { name: "hand_over".to_owned(), arguments: "{}".to_owned() },
            ModelReply::Failure => FakeReply::Refused { status: 404, retry_after_s: None },
        });
        self.models.hold();
        self.manychat.hold();
        self.running = Some((self.handle)(event));
        self.run().await
    }

    /// Lets the worker run until it waits for an outside server or ends.
    async fn run(&mut self) -> Result<()> {
        let Some(work) = &mut self.running else { return Ok(()) };
        tokio::select! {
            done = work => {
                self.running = None;
                done.map(drop).or_else(|error| bail!("the worker failed: {error}"))
            }
            () = self.models.wait_for_held_request() => Ok(()),
            held = self.manychat.wait_for_held(1) => held,
        }
    }

    async fn reply(&mut self) -> Result<()> {
        self.models.release();
        self.models.wait_until_none_is_held().await;
        self.run().await
    }

    async fn send(&mut self, outcome: SendOutcome) -> Result<()> {
        self.manychat.set_mode(match outcome {
            SendOutcome::Accepted => ManyChatMode::Ok,
            SendOutcome::AnswerLost => ManyChatMode::AnswerLost,
            SendOutcome::Refused => ManyChatMode::WindowClosed,
            SendOutcome::Unavailable => ManyChatMode::ServerError,
        });
        self.manychat.release();
        self.manychat.wait_until_none_is_held().await?;
        // The worker may send the next message at once.
        self.manychat.hold();
        self.run().await
    }

    /// Kills the worker. With `arrives`, ManyChat has accepted the part before.
    async fn crash(&mut self, arrives: bool) -> Result<()> {
        if arrives {
            let sent = self.manychat.sent().len();
            self.manychat.set_mode(ManyChatMode::Ok);
            self.manychat.release();
            self.manychat.wait_for(sent + 1).await?;
        }
        self.running = None;
        self.models.wait_until_none_is_held().await;
        self.manychat.wait_until_none_is_held().await
    }
}

/// The product on one database. Histories run on it one after the other, each with a tenant of its own.
pub(super) struct Product {
    slots: Vec<Slot>,
    db: Db,
    system: SystemDb,
    admin: PgConnection,
    _queue: FakeQueue,
    _database: TestDatabase,
}

/// A history that runs on the product.
struct Run<'p> {
    product: &'p mut Product,
    tenant: SeededTenant,
    /// Conversation of each contact; `None` until the contact has written.
    conversations: Vec<Option<Uuid>>,
    last_messages: Vec<Option<InboundMessage>>,
    received: u64,
    /// Number of messages that each slot's fake ManyChat had accepted before the history began.
    sent_before: Vec<usize>,
}

impl Product {
    pub(super) async fn start() -> Result<Self> {
        let database = testing::database().await?;
        let queue = FakeQueue::start(testing::servers().await?.aws.endpoint()).await?;
        let mut slots = Vec::new();
        for _ in 0..WORKERS {
            slots.push(Slot::start(&database, &queue).await?);
        }
        let mut admin = PgConnection::connect(&database.urls.admin).await?;
        sqlx::raw_sql(STOP_THE_CLOCK).execute(&mut admin).await?;
        let db = read("DATABASE_URL", &database.urls.app, Db::read)?;
        let system = read("SYSTEM_DATABASE_URL", &database.urls.system, SystemDb::read)?;
        Ok(Self { slots, db, system, admin, _queue: queue, _database: database })
    }

    /// Replays the history of a seed, and lets it come to rest.
    ///
    /// # Errors
    /// Fails when the pictures of the database and of the model differ after an event.
    pub(super) async fn replay(&mut self, seed: u64) -> Result<History> {
        let mut history = History::generate(seed, Grain::OutsideCall);
        let mut run = Run::begin(self, seed, history.free_requests).await?;
        let mut world = World::new(history.free_requests, history.grain);
        let mut nth = 0;
        loop {
            let event = match history.events.get(nth) {
                Some(event) => *event,
                None => match judge::next_to_rest(&world) {
                    Some(event) => event,
                    None => break,
                },
            };
            if nth == history.events.len() {
                history.events.push(event);
            }
            ensure!(nth < MAX_EVENTS, "it does not come to rest");
            let idle = world.idle_contacts();
            world.apply(event);
            let applied = run.apply(event, idle).await;
            applied.with_context(|| format!("event {nth}, {event:?}, of {:?}", history.events))?;
            let (expected, found) = (Picture::of_model(&world), run.picture().await?);
            if found != expected {
                let events = &history.events[..=nth];
                bail!("after event {nth} of {events:?}\nthe model has  {expected:?}\nthe database has {found:?}");
            }
            nth += 1;
        }
        run.end();
        Ok(history)
    }
}

/// Maximum number of events of a replayed history, those on the way to rest included.
const MAX_EVENTS: usize = 500;

fn read<T>(name: &str, url: &str, read: impl FnOnce(&mut Settings) -> T) -> Result<T> {
    let values = [(name, url), ("DATABASE_MAX_CONNECTIONS", "2")];
    let mut settings = Settings::new(values.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
    let handle = read(&mut settings);
    settings.finish()?;
    Ok(handle)
}

fn api(error: ApiError) -> anyhow::Error {
    anyhow::anyhow!("{}", shared::logging::chain(&error))
}

impl<'p> Run<'p> {
    async fn begin(product: &'p mut Product, seed: u64, free_requests: i32) -> Result<Self> {
        let name = format!("history-{seed}-{}", Uuid::new_v4().simple());
        let tenant = testing::seed_tenant(&mut product.admin, &name, free_requests).await?;
        let mut settings = Settings::new(SettingsMap::from([("SEALING_KEYS".to_owned(), SEALING_KEYS.to_owned())]));
        let ring = KeyRing::read(&mut settings);
        settings.finish()?;
        let sealed = ring.seal(tenant.customer, tenants::MANYCHAT_KEY_PURPOSE, KEYS[0])?;
        sqlx::query("update customers set manychat_api_key = $2 where id = $1")
            .bind(tenant.customer)
            .bind(sealed)
            .execute(&mut product.admin)
            .await?;
        for statement in [
            "insert into bot_sessions (company_id, mode) values ($1, 'live')",
            "insert into products (customer_id, name, price, currency) values ($1, 'Savon', 500, 'XOF')",
        ] {
            sqlx::query(statement).bind(tenant.customer).execute(&mut product.admin).await?;
        }
        let sent_before = product.slots.iter().map(|slot| slot.manychat.sent().len()).collect();
        let (conversations, last_messages) = (vec![None; CONTACTS], vec![None; CONTACTS]);
        Ok(Self { product, tenant, conversations, last_messages, received: 0, sent_before })
    }

    /// Ends the workers that still run.
    fn end(self) {
        self.product.slots.iter_mut().for_each(|slot| slot.running = None);
    }

    /// Applies an event to the product. `idle` are the contacts on whose conversations no worker works.
    async fn apply(&mut self, event: Event, idle: impl IntoIterator<Item = usize>) -> Result<()> {
        match event {
            Event::Receive { contact, text } => self.receive(contact, text).await,
            Event::Repeat { contact } => self.store(contact).await,
            Event::Deliver { worker, contact, reply } => {
                let event = self.queue_event(contact)?;
                self.product.slots[worker].deliver(event, reply).await
            }
            Event::Step { .. } => bail!("a replayed worker has no steps"),
            Event::Reply { worker } => self.product.slots[worker].reply().await,
            Event::Send { worker, outcome } => self.product.slots[worker].send(outcome).await,
            Event::Crash { worker, arrives } => self.product.slots[worker].crash(arrives).await,
            Event::ExpireLease { contact } => {
                self.sql("update conversations set lease_expires_at = now() - interval '1 second'", contact).await
            }
            Event::ExpireReservations => self.expire_reservations(idle).await,
            Event::PartsDue { contact } => self.make_parts_due(contact).await,
            Event::TakeOver { contact } => {
                let conversation = self.conversation(contact)?;
                let SeededTenant { customer, owner, .. } = self.tenant;
                let taken = self
                    .product
                    .db
                    .tenant_tx(customer, async |tx| conversations::take_over(tx, conversation, owner).await);
                taken.await.map(drop).map_err(api)
            }
            Event::Release { contact } => {
                let conversation = self.conversation(contact)?;
                let released = self
                    .product
                    .db
                    .tenant_tx(self.tenant.customer, async |tx| conversations::release_to_bot(tx, conversation).await);
                released.await.map(drop).map_err(api)
            }
            Event::EndHandover { contact } => {
                self.sql("update conversations set handover_until = now()", contact).await
            }
            Event::Upgrade => self.upgrade().await,
            Event::Downgrade => self.set_paid(false).await,
            Event::MoveOrder { order, to } => self.move_order(order, to).await,
        }
    }

    fn conversation(&self, contact: usize) -> Result<Uuid> {
        self.conversations[contact].context("the contact has not written")
    }

    fn queue_event(&self, contact: usize) -> Result<Value> {
        let body = json!({ "customer_id": self.tenant.customer, "conversation_id": self.conversation(contact)? });
        Ok(json!({ "Records": [{
            "messageId": "1", "receiptHandle": "1", "body": body.to_string(),
            "attributes": { "ApproximateReceiveCount": "1" },
        }] }))
    }

    async fn receive(&mut self, contact: usize, text: Text) -> Result<()> {
        self.received += 1;
        let written = |is_late: bool| Some(Utc::now() - TimeDelta::hours(i64::from(is_late)));
        let (words, interacted_at) = match text {
            Text::Question => ("Livrez-vous le savon à Yopougon le samedi ?", None),
            Text::Person => ("Je veux parler à un humain", None),
            Text::Stop(is_late) => ("STOP", written(is_late)),
            Text::Start(is_late) => ("START", written(is_late)),
            Text::Yes => ("je confirme", None),
            Text::No => ("j'ai changé d'avis", None),
        };
        let number = self.received;
        self.last_messages[contact] = Some(InboundMessage {
            contact_id: (contact + 1).to_string(),
            phone: None,
            name: None,
            language: None,
            likely_language: None,
            locale: None,
            interacted_at,
            text: words.to_owned(),
            attachment: None,
            external_id: Some(format!("{number:064x}{number:064x}")),
            relies_on_message_id: false,
        });
        self.store(contact).await
    }

    async fn store(&mut self, contact: usize) -> Result<()> {
        let message = self.last_messages[contact].as_ref().context("the contact has not written")?;
        let stored: Result<_, ApiError> =
            self.product.db.tenant_tx(self.tenant.customer, async |tx| Ok(opt_outs::receive(tx, message).await?)).await;
        self.conversations[contact] = Some(stored.map_err(api)?.conversation_id);
        Ok(())
    }

    /// Runs an update of `conversations` for the conversation of a contact.
    async fn sql(&mut self, update: &'static str, contact: usize) -> Result<()> {
        let statement = AssertSqlSafe(format!("{update} where id = $1"));
        let conversation = self.conversation(contact)?;
        sqlx::query(statement).bind(conversation).execute(&mut self.product.admin).await?;
        Ok(())
    }

    async fn make_parts_due(&mut self, contact: usize) -> Result<()> {
        self.sql("update conversations set next_send_at = now() - interval '1 second'", contact).await?;
        let conversation = self.conversation(contact)?;
        sqlx::query("update outbox set not_before = now() - interval '1 second' where conversation_id = $1")
            .bind(conversation)
            .execute(&mut self.product.admin)
            .await?;
        Ok(())
    }

    async fn expire_reservations(&mut self, idle: impl IntoIterator<Item = usize>) -> Result<()> {
        let expired: Vec<_> = idle.into_iter().filter_map(|contact| self.conversations[contact]).collect();
        sqlx::query(
            "update reservations set expires_at = now() - interval '1 second'
             where state = 'held' and conversation_id = any ($1)",
        )
        .bind(expired)
        .execute(&mut self.product.admin)
        .await?;
        let refunded = self.product.system.system_tx(async |tx| Ok(quota::refund_expired(tx, 1_000).await?));
        refunded.await.map(drop).map_err(api)
    }

    async fn set_paid(&mut self, is_paid: bool) -> Result<()> {
        let update = sqlx::query("update users set is_pro = $2 where id = $1").bind(self.tenant.owner).bind(is_paid);
        update.execute(&mut self.product.admin).await?;
        Ok(())
    }

    async fn upgrade(&mut self) -> Result<()> {
        self.set_paid(true).await?;
        let tenant = self.tenant.customer;
        let queued = self.product.system.system_tx(async |tx| Ok(conversations::queue_over_quota(tx, tenant).await?));
        queued.await.map_err(api)
    }

    async fn move_order(&mut self, order: usize, to: OrderStatus) -> Result<()> {
        let ids: Vec<Uuid> = sqlx::query_scalar("select id from orders where company_id = $1 order by created_at, id")
            .bind(self.tenant.customer)
            .fetch_all(&mut self.product.admin)
            .await?;
        let id = *ids.get(order).context("there is no such order")?;
        let to = match to {
            OrderStatus::Pending => orders::OrderStatus::Pending,
            OrderStatus::Confirmed => orders::OrderStatus::Confirmed,
            OrderStatus::Preparing => orders::OrderStatus::Preparing,
            OrderStatus::Delivered => orders::OrderStatus::Delivered,
            OrderStatus::Cancelled => orders::OrderStatus::Cancelled,
        };
        let moved = self.product.db.tenant_tx(self.tenant.customer, async |tx| orders::transition(tx, id, to).await);
        match moved.await {
            Err(error) if error.code != "wrong_order_step" => Err(api(error)),
            _ => Ok(()),
        }
    }

    async fn picture(&mut self) -> Result<Picture> {
        let mut arrived = vec![0; CONTACTS];
        for (slot, &before) in self.product.slots.iter().zip(&self.sent_before) {
            for message in slot.manychat.sent().into_iter().skip(before) {
                let contact: usize = message.contact_id.parse()?;
                arrived[contact - 1] += 1;
            }
        }
        Picture::of_database(&mut self.product.admin, &self.tenant, &self.conversations, arrived).await
    }
}
