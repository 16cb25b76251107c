//! Traffic of one company, sent as clients send it: each request is repeated until it is acknowledged. Counts the
//! acknowledged requests, and compares them with the rows of the database and the deliveries to the fakes.

use std::{
    collections::BTreeSet,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use futures::future::join_all;
use local::{
    fakes::{models::FakeReply, webhook_receiver::FakeReceiver},
    testing::{AwsFaults, OwnDatabase},
};
use serde_json::json;
use uuid::Uuid;

use super::super::support::{TestRequest, TestResponse, WhatsAppFixture, presigned_upload, small_pdf, wait_until};

/// Maximum time until a request is acknowledged, faults included.
const TAKEN_WITHIN: Duration = Duration::from_secs(60);
/// Timeout of a client for one attempt at an upload.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(2);
/// Time in which all work ends, although its workers died. Without help, the longest of their rights, a reservation, holds
/// for two minutes.
const ENDS_WITHIN: Duration = Duration::from_secs(240);
/// Time between two runs of maintenance. A deployment runs it every five minutes, and its replies and webhooks every minute.
const MAINTENANCE_INTERVAL: Duration = Duration::from_secs(15);
/// Time between two looks at work that takes minutes.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// A company with a receiver of its webhooks, and counters of its requests.
pub(super) struct Traffic {
    pub(super) whatsapp: WhatsAppFixture,
    pub(super) receiver: FakeReceiver,
    /// Number of acknowledged requests, uploads to S3 included.
    acknowledged: AtomicUsize,
    /// Number of attempts that were refused: by a 503 or by a 409 `idempotency_in_progress`, and uploads by a 500, a
    /// 503 or a timeout.
    refused: AtomicUsize,
    contacts: AtomicUsize,
    /// Number of questions, answered or not. A question's number is in its idempotency key.
    questions: AtomicUsize,
    orders: AtomicUsize,
    uploads: AtomicUsize,
    /// Documents whose announcement was acknowledged.
    documents: Mutex<BTreeSet<Uuid>>,
    exports: Mutex<BTreeSet<Uuid>>,
    /// Number of messages of [`Self::assert_nobody_is_stuck`].
    probes: AtomicUsize,
}

/// Numbers of requests of one round. An export comes in addition.
#[derive(Debug, Clone, Copy)]
pub(super) struct RoundSize {
    pub(super) messages: usize,
    pub(super) questions: usize,
    pub(super) orders: usize,
    pub(super) uploads: usize,
}

impl RoundSize {
    /// Acknowledgements of a round: each order is sent once more, an upload is announced and put, and there is one export.
    pub(super) fn acknowledgements(self) -> usize {
        self.messages + self.questions + 2 * self.orders + 2 * self.uploads + 1
    }
}

/// Numbers of repeated deliveries to outside systems, which docs/RELIABILITY.md allows.
#[derive(Debug, Default)]
pub(super) struct Repeated {
    pub(super) messages: usize,
    pub(super) webhooks: usize,
}

impl Traffic {
    /// Starts the product with these settings, on a database of its own where one is given.
    pub(super) async fn start(database: Option<&OwnDatabase>, settings: &[(&str, &str)]) -> Self {
        let receiver = FakeReceiver::start().await.unwrap();
        let sites = format!("hooks.example.com={}", receiver.address());
        let mut all = vec![("OUTBOUND_LOCAL_SITES", sites.as_str()), ("FREE_QUOTA_LIMIT", "1000")];
        all.extend_from_slice(settings);
        let whatsapp = match database {
            Some(database) => WhatsAppFixture::on_database(database, &all).await,
            None => WhatsAppFixture::with_settings(&all).await,
        };
        whatsapp.models.always(FakeReply::Text("It takes three days [1].".to_owned()));
        whatsapp.switch_to_live().await;
        whatsapp.upload_document("The delivery takes three days.").await;
        let body = json!({
            "url": "https://hooks.example.com/in", "events": ["order.created", "message.received", "document.processed"],
        });
        whatsapp.app.post("/api/v1/webhook-endpoints").by(&whatsapp.tenant).json(&body).await.data(201);
        // Functions start before the faults: the fetch of their secrets at the start is not tested here.
        whatsapp.app.stack.start_functions().await.unwrap();
        Self {
            whatsapp,
            receiver,
            acknowledged: AtomicUsize::new(0),
            refused: AtomicUsize::new(0),
            contacts: AtomicUsize::new(0),
            questions: AtomicUsize::new(0),
            orders: AtomicUsize::new(0),
            uploads: AtomicUsize::new(0),
            documents: Mutex::default(),
            exports: Mutex::default(),
            probes: AtomicUsize::new(0),
        }
    }

    /// Requests that were acknowledged so far.
    pub(super) fn acknowledged(&self) -> usize {
        self.acknowledged.load(Ordering::SeqCst)
    }

    /// Requests that were refused so far.
    pub(super) fn refused(&self) -> usize {
        self.refused.load(Ordering::SeqCst)
    }

    /// Waits until `count` requests were acknowledged.
    pub(super) async fn wait_for_acknowledged(&self, count: usize) {
        wait_until(&format!("{count} acknowledged"), TAKEN_WITHIN, async || {
            (self.acknowledged() >= count).then_some(())
        })
        .await;
    }

    /// Waits until a request is refused with 503, which shows that the outage has begun. Sends requests of its own,
    /// since the round may have ended.
    pub(super) async fn wait_until_refused(&self) {
        wait_until("a request is refused", TAKEN_WITHIN, async || {
            let answer = self.whatsapp.app.get("/api/v1/documents").by(&self.whatsapp.tenant).await;
            if answer.status == 200 {
                return None;
            }
            self.refused.fetch_add(1, Ordering::SeqCst);
            answer.refused(503, "unavailable");
            Some(())
        })
        .await;
    }

    /// Waits until `count` requests to S3 and SQS have met a fault.
    pub(super) async fn wait_until_met(&self, aws: &AwsFaults, count: usize) {
        wait_until(&format!("{count} faults"), TAKEN_WITHIN, async || (aws.count() >= count).then_some(())).await;
    }

    /// Sends the requests of one round and one export, all at the same time.
    pub(super) async fn round(&self, size: RoundSize) {
        let next = |count: &AtomicUsize, more: usize| {
            let first = count.fetch_add(more, Ordering::SeqCst);
            first..first + more
        };
        let messages = join_all(next(&self.contacts, size.messages).map(|contact| self.message(contact)));
        let questions = join_all(next(&self.questions, size.questions).map(|number| self.question(number)));
        let orders = join_all(next(&self.orders, size.orders).map(|number| self.order(number)));
        let uploads = join_all(next(&self.uploads, size.uploads).map(|number| self.upload(number)));
        tokio::join!(messages, questions, orders, uploads, self.export());
    }

    /// Sends messages of new contacts.
    pub(super) async fn messages(&self, count: usize) {
        let first = self.contacts.fetch_add(count, Ordering::SeqCst);
        join_all((first..first + count).map(|contact| self.message(contact))).await;
    }

    /// Makes orders.
    pub(super) async fn orders(&self, count: usize) {
        let first = self.orders.fetch_add(count, Ordering::SeqCst);
        join_all((first..first + count).map(|number| self.order(number))).await;
    }

    /// Repeats a request until it is answered with one of `statuses`. Asserts that every other answer is the product's
    /// 503 `unavailable`, or 409 `idempotency_in_progress` while an earlier attempt still runs.
    async fn until_taken(&self, statuses: &[u16], request: impl Fn() -> TestRequest) -> TestResponse {
        let taken = wait_until("a request is taken", TAKEN_WITHIN, async || {
            let answer = request().await;
            if statuses.contains(&answer.status) {
                return Some(answer);
            }
            self.refused.fetch_add(1, Ordering::SeqCst);
            match answer.status {
                409 => drop(answer.refused(409, "idempotency_in_progress")),
                _ => drop(answer.refused(503, "unavailable")),
            }
            None
        })
        .await;
        self.acknowledged.fetch_add(1, Ordering::SeqCst);
        taken
    }

    async fn message(&self, contact: usize) {
        let body =
            json!({ "id": contact + 1, "last_input_text": "Vous livrez ?", "message_id": format!("m-{contact}") });
        let post = || {
            let request = self.whatsapp.app.post("/api/v1/webhook/manychat");
            request.header("x-webhook-secret", self.whatsapp.secret()).json(&body)
        };
        self.until_taken(&[200], post).await;
    }

    /// Asks a question. The claim of a function that died holds the idempotency key for a minute, so a 409 counts as
    /// acknowledged, and [`Self::settle`] asks again.
    async fn question(&self, number: usize) {
        self.until_taken(&[200, 409], || self.question_request(number)).await;
    }

    fn question_request(&self, number: usize) -> TestRequest {
        let body = json!({ "question": "How long does the delivery take?" });
        let request = self.whatsapp.app.post("/api/v1/query").by(&self.whatsapp.tenant);
        request.header("idempotency-key", format!("q-{number}")).json(&body)
    }

    async fn order(&self, number: usize) {
        let body = json!({ "items": [{ "name": "Café", "quantity": 2, "unit_price": "2500" }] });
        let post = || {
            let request = self.whatsapp.app.post("/api/v1/orders").by(&self.whatsapp.tenant);
            request.header("idempotency-key", format!("o-{number}")).json(&body)
        };
        let first = self.until_taken(&[201], post).await.data(201);
        let again = self.until_taken(&[201], post).await;
        assert_eq!(again.header("idempotency-replayed"), "true");
        assert_eq!(again.data(201)["id"], first["id"]);
    }

    async fn upload(&self, number: usize) {
        let pdf = small_pdf(&format!("The shop has the number {number}."));
        let body = json!({ "filename": format!("shop-{number}.pdf"), "size_bytes": pdf.len() });
        let (app, tenant) = (&self.whatsapp.app, &self.whatsapp.tenant);
        let announced = self.until_taken(&[201], || app.post("/api/v1/documents/upload").by(tenant).json(&body)).await;
        let place = presigned_upload(&announced.data(201));
        self.documents.lock().unwrap().insert(place.document);
        wait_until("the file is taken", TAKEN_WITHIN, async || {
            let put = tokio::time::timeout(CLIENT_TIMEOUT, app.try_put_file(&place, pdf.clone())).await;
            // 412: a former attempt took effect, and its answer was lost.
            if matches!(put, Ok(200 | 412)) {
                return Some(());
            }
            assert!(matches!(put, Err(_) | Ok(500 | 503)), "{put:?}");
            self.refused.fetch_add(1, Ordering::SeqCst);
            None
        })
        .await;
        self.acknowledged.fetch_add(1, Ordering::SeqCst);
    }

    async fn export(&self) {
        let (app, tenant) = (&self.whatsapp.app, &self.whatsapp.tenant);
        let asked = self.until_taken(&[202], || app.post("/api/v1/privacy/exports").by(tenant)).await.data(202);
        self.exports.lock().unwrap().insert(asked["id"].as_str().unwrap().parse().unwrap());
    }

    /// Restarts the product, which kills all work in progress. Expires the leases, reservations, claims and holds of
    /// the killed workers, which expire by themselves within minutes. Then waits until no work is left.
    pub(super) async fn settle(self) -> Self {
        let this = Self { whatsapp: self.whatsapp.restart().await, ..self };
        this.whatsapp
            .sql(
                "update conversations set lease_expires_at = now() - interval '1 second' where lease_token is not null;
                 update reservations set expires_at = now() - interval '1 second' where state = 'held';
                 update idempotency_keys set locked_until = now() - interval '1 second' where state = 'in_progress';
                 update ingest_slots set held_until = now();
                 update webhook_deliveries set claimed_until = now() where claimed_until is not null;
                 update exports set held_until = now() where held_until is not null",
            )
            .await;
        // Each question is asked again with its first idempotency key.
        let questions = this.questions.load(Ordering::SeqCst);
        let answers = (0..questions).map(|number| {
            let this = &this;
            async move { this.until_taken(&[200], || this.question_request(number)).await.data(200) }
        });
        for answer in join_all(answers).await {
            assert_eq!(answer["answer"], "It takes three days [1].");
        }
        this.wait_until_done().await;
        this
    }

    /// Restarts the product, so that whatever worked is dead, and changes nothing else.
    pub(super) async fn kill(self) -> Self {
        Self { whatsapp: self.whatsapp.restart().await, ..self }
    }

    /// Waits until nothing is left to do. Maintenance runs as in a deployment, but more often; nothing is made due, and no
    /// right of a dead worker is ended.
    pub(super) async fn wait_without_help(&self) {
        let (started, mut last_run) = (Instant::now(), None::<Instant>);
        loop {
            let open = self.open_work().await;
            if open.is_empty() {
                return;
            }
            assert!(started.elapsed() < ENDS_WITHIN, "left to do: {open}");
            if last_run.is_none_or(|at| at.elapsed() >= MAINTENANCE_INTERVAL) {
                last_run = Some(Instant::now());
                self.whatsapp.app.stack.invoke("maintenance", json!({})).await.unwrap();
            }
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }

    async fn wait_until_done(&self) {
        let started = Instant::now();
        loop {
            let open = self.open_work().await;
            if open.is_empty() {
                return;
            }
            assert!(started.elapsed() < ENDS_WITHIN, "left to do: {open}");
            // Up to an hour passes between the attempts at a job, and the job fails after twelve. Here, each round of
            // maintenance makes all jobs due at once and sets their attempts to 0. A transaction each: together they would
            // wait for rows that a worker has locked in another order.
            for statement in [
                "update jobs set run_after = now(), attempts = 0 where status <> 'done' and run_after > now()",
                "update conversations set next_send_at = now() where next_send_at > now()",
                "update webhook_deliveries set next_attempt_at = now()
                    where status = 'pending' and claimed_until is null and next_attempt_at > now()",
                "update webhook_endpoints set paused_until = null, wake_at = null",
            ] {
                self.whatsapp.sql(statement).await;
            }
            self.whatsapp.app.stack.invoke("maintenance", json!({})).await.unwrap();
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
    }

    /// The work that is not done, a text for each row; empty when nothing is left to do. An announcement whose answer was
    /// lost leaves a document whose file never comes: of documents, only the acknowledged ones count.
    async fn open_work(&self) -> String {
        let acknowledged: Vec<_> = self.documents.lock().unwrap().iter().copied().collect();
        let open = "select coalesce(string_agg(work, ', '), '') from (
                select concat_ws(' ', 'job', kind, status, attempts, run_after - now()) from jobs
                    where kind = 'reply' and status <> 'done'
                union all select concat_ws(' ', 'part', state, attempts) from outbox where state = 'queued'
                union all select concat_ws(' ', 'webhook', attempts, next_attempt_at - now()) from webhook_deliveries
                    where status = 'pending'
                union all select concat_ws(' ', 'reservation', expires_at - now()) from reservations where state = 'held'
                union all select concat_ws(' ', 'export', status, attempts) from exports
                    where status in ('queued', 'running')
                union all select concat_ws(' ', 'document', filename) from documents
                    where status = 'pending' and id = any($1)
            ) as open (work)";
        sqlx::query_scalar(open).bind(&acknowledged).fetch_one(&mut self.whatsapp.app.admin_db().await).await.unwrap()
    }

    /// Asserts that the work of every acknowledged request was done exactly once. Returns the numbers of repeated
    /// deliveries.
    pub(super) async fn assert_done_once(&self) -> Repeated {
        let count = |counter: &AtomicUsize| i64::try_from(counter.load(Ordering::SeqCst)).unwrap();
        let (contacts, questions, orders) = (count(&self.contacts), count(&self.questions), count(&self.orders));
        let (uploads, probes) = (count(&self.uploads), count(&self.probes));
        let number = async |query: &str| self.whatsapp.number(query).await;
        // A contact who has waited for 25 s, an outage included, gets an apology in place of an answer, and no request
        // of the quota is charged.
        let answers = number(&on_whatsapp("author = 'bot'")).await;
        let units = answers + questions;
        assert_eq!(number(&on_whatsapp("direction = 'inbound'")).await, contacts + probes, "messages");
        assert_eq!(number(&on_whatsapp("direction = 'outbound'")).await, contacts + probes, "answers and apologies");
        assert_eq!(
            number(
                "select count(distinct conversation_id) from messages where direction = 'outbound' and \
            conversation_id in (select id from conversations where channel = 'whatsapp')"
            )
            .await,
            contacts + probes
        );
        assert_eq!(number("select count(*) from reservations where state = 'spent'").await, units, "units");
        assert_eq!(number("select sum(free_quota_used) from user_settings").await, units, "units used");
        assert_eq!(number("select count(*) from orders").await, orders, "orders");
        assert_eq!(number("select coalesce(sum(orders_count), 0) from bot_usage").await, orders, "orders counted");
        assert_eq!(number("select count(*) from activities where type = 'order_created'").await, orders, "activities");
        let unread = self.unread_documents().await;
        assert_eq!(unread, "", "documents that are not read");
        let read = "select count(*) from documents where status = 'processed' and filename like 'shop-%'";
        assert_eq!(number(read).await, uploads, "documents");
        let chunks = "select count(*) from document_chunks chunk join documents on documents.id = chunk.document_id
            where filename like 'shop-%'";
        assert_eq!(number(chunks).await, uploads, "chunks");
        // An archive is deleted when the next one is ready.
        assert_eq!(
            number("select count(*) from exports where status = 'ready' and expires_at > now()").await,
            1,
            "exports"
        );
        assert_eq!(number("select count(*) from exports where status not in ('ready', 'expired')").await, 0, "exports");
        let requested = self.exports.lock().unwrap().clone();
        for id in requested {
            assert_eq!(number(&format!("select count(*) from exports where id = '{id}'")).await, 1, "exports");
        }
        assert_eq!(number("select count(*) from outbox where state <> 'sent'").await, 0, "parts");
        self.assert_delivered(contacts + orders + uploads + probes).await
    }

    /// Returns id, name, status and error of each acknowledged document that is not processed, as one text.
    async fn unread_documents(&self) -> String {
        let acknowledged: Vec<_> = self.documents.lock().unwrap().iter().copied().collect();
        let unread = "select coalesce(string_agg(concat_ws(' ', id, filename, status, error_code, error), ', '), '')
            from unnest($1::uuid[]) as id left join documents using (id) where status is distinct from 'processed'";
        sqlx::query_scalar(unread).bind(&acknowledged).fetch_one(&mut self.whatsapp.app.admin_db().await).await.unwrap()
    }

    /// Asserts that each contact got one answer or apology, and that the receiver got each of the `events`. Returns the
    /// numbers of repetitions.
    async fn assert_delivered(&self, events: i64) -> Repeated {
        let mut repeated = Repeated::default();
        for contact in 1..=self.contacts.load(Ordering::SeqCst) {
            let sent = self.whatsapp.manychat.sent_to(&contact.to_string());
            assert!(!sent.is_empty(), "contact {contact} got nothing");
            assert_eq!(sent.iter().collect::<BTreeSet<_>>().len(), 1, "one answer: {sent:?}");
            repeated.messages += sent.len() - 1;
        }
        let received = self.receiver.received();
        let ids: BTreeSet<_> = received.iter().map(|request| request.header("webhook-id").to_owned()).collect();
        assert_eq!(i64::try_from(ids.len()).unwrap(), events, "events");
        let stored = self.whatsapp.number("select count(*) from webhook_deliveries where status = 'delivered'").await;
        assert_eq!(stored, events, "deliveries");
        repeated.webhooks = received.len() - ids.len();
        repeated
    }

    /// Asserts that a message of a new contact is answered without any change to the database.
    pub(super) async fn assert_nobody_is_stuck(&self) {
        let probe = self.probes.fetch_add(1, Ordering::SeqCst);
        let contact = 900_000 + u64::try_from(probe).unwrap();
        self.whatsapp.deliver_text(contact, "Vous livrez ?").await.json_body(200);
        self.whatsapp.wait_for_texts(contact, 1).await;
    }
}

/// Number of messages on WhatsApp with a condition.
fn on_whatsapp(condition: &str) -> String {
    format!(
        "select count(*) from messages message
         join conversations conversation on conversation.id = message.conversation_id
         where conversation.channel = 'whatsapp' and {condition}"
    )
}
