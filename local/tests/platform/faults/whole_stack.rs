//! `cargo dev` with its servers, killed with SIGKILL in the middle of uploads, messages and orders, and started again on the
//! same data folder.

use std::{
    collections::BTreeSet,
    fs::{self, File},
    os::unix::fs::PermissionsExt,
    process::{Command, Stdio},
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use futures::future::join_all;
use local::{
    environment::lisa_program,
    fakes::{
        manychat::{FakeManyChat, KEYS},
        models::{FakeModels, FakeReply},
        webhook_receiver::FakeReceiver,
    },
};
use local_postgres::{ChildProcess, DataFolder, free_port};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use tempfile::TempDir;

/// Maximum time until the stack has started, and until due work is done.
const DEADLINE: Duration = Duration::from_secs(120);
/// Time in which the work that is due at a start is done.
const SETTLED_WITHIN: Duration = Duration::from_secs(40);
const POLL_INTERVAL: Duration = Duration::from_millis(25);
const REQUEST_TIMEOUT: Duration = Duration::from_secs(30);

/// Numbers of requests of one round, by kind.
const MESSAGES: usize = 5;
const ORDERS: usize = 4;
const UPLOADS: usize = 3;
/// Acknowledgements of a round: an upload is announced and put.
const ACKNOWLEDGEMENTS: usize = MESSAGES + ORDERS + 2 * UPLOADS;

/// A stack in a process of its own, and the outside systems, which survive it.
struct WholeStack {
    // Killed before its folder is removed.
    process: Mutex<ChildProcess>,
    http: Client,
    port: u16,
    manychat: FakeManyChat,
    models: FakeModels,
    receiver: FakeReceiver,
    data: DataFolder,
    acknowledged: AtomicUsize,
    contacts: AtomicUsize,
    orders: AtomicUsize,
    uploads: AtomicUsize,
    /// Number of uploads of a file whose answer was lost, so that storage may have the file or not.
    lost_answers: AtomicUsize,
    _folder: TempDir,
}

/// Polls until `look` returns a value.
async fn wait_until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    let started = Instant::now();
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(started.elapsed() < DEADLINE, "not within {DEADLINE:?}: {what}");
        tokio::time::sleep(POLL_INTERVAL).await;
    }
}

impl WholeStack {
    /// Starts the stack on an empty data folder and connects the first demo tenant with the outside systems.
    async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // PostgreSQL's own user must reach the cluster in it.
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let path = folder.path().join("data");
        let data = DataFolder::open(Some(&path)).unwrap();
        let (manychat, models) = (FakeManyChat::start().await.unwrap(), FakeModels::start().await.unwrap());
        models.always(FakeReply::Text("It takes three days.".to_owned()));
        let receiver = FakeReceiver::start().await.unwrap();
        let port = free_port().unwrap();
        let process = Mutex::new(launch(&data, port, &manychat, &models, &receiver));
        let http = Client::builder().timeout(REQUEST_TIMEOUT).no_proxy().build().unwrap();
        let stack = Self {
            process,
            http,
            port,
            manychat,
            models,
            receiver,
            data,
            acknowledged: AtomicUsize::new(0),
            contacts: AtomicUsize::new(0),
            orders: AtomicUsize::new(0),
            uploads: AtomicUsize::new(0),
            lost_answers: AtomicUsize::new(0),
            _folder: folder,
        };
        stack.wait_until_open().await;
        let key = json!({ "manychat_api_key": KEYS[0] });
        stack.call(Method::PATCH, "/api/v1/customers/me", &key).await.unwrap();
        stack.call(Method::POST, "/api/v1/toggle-live-mode", &json!({ "enabled": true })).await.unwrap();
        let events = json!(["order.created", "message.received", "document.processed"]);
        let endpoint = json!({ "url": "https://hooks.example.com/in", "events": events });
        stack.call(Method::POST, "/api/v1/webhook-endpoints", &endpoint).await.unwrap();
        stack
    }

    /// Kills the program with PostgreSQL, the stand-in for AWS and their guards, and starts it again.
    fn kill_and_start_again(&self) {
        let mut process = self.process.lock().unwrap();
        process.kill_tree().unwrap();
        *process = launch(&self.data, self.port, &self.manychat, &self.models, &self.receiver);
    }

    async fn wait_until_open(&self) {
        let health = format!("http://127.0.0.1:{}/health", self.port);
        let log = self.data.join("stack.log");
        wait_until("the stack is open", async || {
            let exited = self.process.lock().unwrap().exited().unwrap();
            assert!(exited.is_none(), "{exited:?}: {}", fs::read_to_string(&log).unwrap_or_default());
            self.http.get(&health).send().await.is_ok_and(|answer| answer.status() == 200).then_some(())
        })
        .await;
    }

    /// Reads `demo.json`, which the stack writes at its start: addresses, accounts and tokens.
    fn demo(&self) -> Value {
        serde_json::from_slice(&fs::read(self.data.join("demo.json")).unwrap()).unwrap()
    }

    /// Calls the product as the owner. Returns the data of a successful answer; `None` when the stack is away, or has to be
    /// asked again.
    async fn call(&self, method: Method, path: &str, body: &Value) -> Option<Value> {
        self.call_with_key(method, path, body, "").await
    }

    async fn call_with_key(&self, method: Method, path: &str, body: &Value, key: &str) -> Option<Value> {
        let demo = self.demo();
        let mut request = self.http.request(method, format!("http://127.0.0.1:{}{path}", self.port)).json(body);
        request = request.bearer_auth(demo["tenant"]["access_token"].as_str().unwrap());
        request = request.header("x-webhook-secret", demo["tenant"]["webhook_secret"].as_str().unwrap());
        if !key.is_empty() {
            request = request.header("idempotency-key", key);
        }
        let answer = request.send().await.ok()?;
        let status = answer.status().as_u16();
        let text = answer.text().await.ok()?;
        assert!(
            matches!(status, 200 | 201 | 503) || (status == 409 && text.contains("in_progress")),
            "{status}: {text}"
        );
        (status < 300).then(|| serde_json::from_str(&text).unwrap())
    }

    async fn until_taken(&self, path: &str, body: &Value, key: &str) -> Value {
        let taken = wait_until(path, async || self.call_with_key(Method::POST, path, body, key).await).await;
        self.acknowledged.fetch_add(1, Ordering::SeqCst);
        taken
    }

    /// Sends one round, everything at once, each request again until it is taken.
    async fn round(&self) {
        let next = |count: &AtomicUsize, more: usize| {
            let first = count.fetch_add(more, Ordering::SeqCst);
            first..first + more
        };
        let messages = join_all(next(&self.contacts, MESSAGES).map(|contact| self.message(contact)));
        let orders = join_all(next(&self.orders, ORDERS).map(|number| self.order(number)));
        let uploads = join_all(next(&self.uploads, UPLOADS).map(|number| self.upload(number)));
        tokio::join!(messages, orders, uploads);
    }

    async fn message(&self, contact: usize) {
        let body =
            json!({ "id": contact + 1, "last_input_text": "Vous livrez ?", "message_id": format!("m-{contact}") });
        self.until_taken("/api/v1/webhook/manychat", &body, "").await;
    }

    async fn order(&self, number: usize) {
        let body = json!({ "items": [{ "name": "Café", "quantity": 2, "unit_price": "2500" }] });
        self.until_taken("/api/v1/orders", &body, &format!("o-{number}")).await;
    }

    /// Uploads a file. The address of storage changes with each start, so an upload that was not taken is announced anew.
    async fn upload(&self, number: usize) {
        let text = format!("The shop has the number {number}.");
        let body = json!({ "filename": format!("shop-{number}.txt"), "size_bytes": text.len() });
        wait_until("the file is taken", async || {
            let announced = self.call(Method::POST, "/api/v1/documents/upload", &body).await?;
            let upload = &announced["data"]["upload"];
            let mut put = self.http.put(upload["url"].as_str().unwrap());
            for (name, value) in upload["headers"].as_object().unwrap() {
                if name != "content-length" && name != "host" {
                    put = put.header(name, value.as_str().unwrap());
                }
            }
            match put.body(text.clone()).send().await {
                Ok(answer) => answer.status().is_success().then_some(()),
                Err(_) => {
                    self.lost_answers.fetch_add(1, Ordering::SeqCst);
                    None
                }
            }
        })
        .await;
        self.acknowledged.fetch_add(2, Ordering::SeqCst);
    }

    async fn wait_for_acknowledged(&self, count: usize) {
        wait_until("requests are acknowledged", async || {
            (self.acknowledged.load(Ordering::SeqCst) >= count).then_some(())
        })
        .await;
    }

    async fn sql(&self, statements: &str) {
        let url = self.demo()["admin_database_url"].as_str().unwrap().to_owned();
        let mut admin = PgConnection::connect(&url).await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(statements.to_owned())).execute(&mut admin).await.unwrap();
    }

    async fn number(&self, query: &str) -> usize {
        let url = self.demo()["admin_database_url"].as_str().unwrap().to_owned();
        let mut admin = PgConnection::connect(&url).await.unwrap();
        let query = AssertSqlSafe(format!("select ({query})::bigint"));
        let number: i64 = sqlx::query_scalar(query).fetch_one(&mut admin).await.unwrap();
        usize::try_from(number).unwrap()
    }

    /// Lets the rights of dead processes expire, as they do by themselves within minutes, and makes old what is announced:
    /// maintenance then reads the files whose put lost its answer, and gives up those that never came. Starts the stack
    /// again, whose maintenance runs at once, and waits until nothing is left to do. A worker that is killed by this has
    /// taken new rights, so all of it is done up to three times.
    async fn settle(&self) {
        for last in [false, false, true] {
            // A transaction each: together they would wait for rows that a worker has locked in another order.
            for statement in [
                "update conversations set lease_expires_at = now() - interval '1 second' where lease_token is not null",
                "update conversations set next_send_at = now() where next_send_at > now()",
                "update reservations set expires_at = now() - interval '1 second' where state = 'held'",
                "update ingest_slots set held_until = now()",
                "update webhook_deliveries set claimed_until = now() where claimed_until is not null",
                "update webhook_deliveries set next_attempt_at = now() where status = 'pending'",
                "update webhook_endpoints set paused_until = null, wake_at = null",
                "update documents set upload_date = now() - interval '2 hours' where status = 'pending'",
                "update jobs set run_after = now(), attempts = 0 where status <> 'done'",
            ] {
                self.sql(statement).await;
            }
            self.kill_and_start_again();
            self.wait_until_open().await;
            let started = Instant::now();
            loop {
                let open = self.open_work().await;
                if open.is_empty() {
                    return;
                }
                if started.elapsed() > SETTLED_WITHIN {
                    assert!(!last, "left to do: {open}");
                    break;
                }
                tokio::time::sleep(POLL_INTERVAL).await;
            }
        }
    }

    /// The kinds of work that are not done, each with its number; empty when nothing is left to do.
    async fn open_work(&self) -> String {
        let url = self.demo()["admin_database_url"].as_str().unwrap().to_owned();
        let mut admin = PgConnection::connect(&url).await.unwrap();
        let open = "select coalesce(string_agg(work, ', '), '') from (
                select concat_ws(' ', 'job', kind, status, attempts, run_after - now()) from jobs
                    where kind = 'reply' and status <> 'done'
                union all select concat_ws(' ', 'part', state, attempts) from outbox where state = 'queued'
                union all select concat_ws(' ', 'webhook', attempts, next_attempt_at - now()) from webhook_deliveries
                    where status = 'pending'
                union all select 'reservation' from reservations where state = 'held'
                union all select concat_ws(' ', 'document', upload_date - now()) from documents where status = 'pending'
            ) as open (work)";
        sqlx::query_scalar(open).fetch_one(&mut admin).await.unwrap()
    }

    /// Asserts that everything that was acknowledged was done, and once. Returns the number of answers and of webhooks that
    /// were sent again.
    async fn assert_done_once(&self) -> (usize, usize) {
        let [contacts, orders, uploads] =
            [&self.contacts, &self.orders, &self.uploads].map(|count| count.load(Ordering::SeqCst));
        let documents = self.number("select count(*) from documents where status = 'processed'").await;
        // A contact who has waited for 25 s, two starts of the stack included, gets an apology, and no unit counts.
        let answers = self.number("select count(*) from messages where author = 'bot'").await;
        let lost_answers = self.lost_answers.load(Ordering::SeqCst);
        assert!(documents <= uploads + lost_answers, "{documents} documents of {uploads} files");
        for (what, query, expected) in [
            ("messages", "select count(*) from messages where direction = 'inbound'", contacts),
            ("answers and apologies", "select count(*) from messages where direction = 'outbound'", contacts),
            ("units", "select count(*) from reservations where state = 'spent'", answers),
            ("units used", "select sum(free_quota_used) from user_settings", answers),
            ("orders", "select count(*) from orders", orders),
            ("orders counted", "select sum(orders_count) from bot_usage", orders),
            ("files", "select count(distinct filename) from documents where status = 'processed'", uploads),
            ("chunks", "select count(*) from document_chunks", documents),
            ("parts that are not sent", "select count(*) from outbox where state <> 'sent'", 0),
            (
                "deliveries",
                "select count(*) from webhook_deliveries where status = 'delivered'",
                contacts + orders + documents,
            ),
        ] {
            assert_eq!(self.number(query).await, expected, "{what}");
        }
        let mut again = 0;
        for contact in 1..=contacts {
            let sent = self.manychat.sent_to(&contact.to_string());
            assert_eq!(sent.iter().collect::<BTreeSet<_>>().len(), 1, "one answer for {contact}: {sent:?}");
            again += sent.len() - 1;
        }
        let received = self.receiver.received();
        let ids: BTreeSet<_> = received.iter().map(|request| request.header("webhook-id").to_owned()).collect();
        assert_eq!(ids.len(), contacts + orders + documents, "events");
        (again, received.len() - ids.len())
    }
}

impl Drop for WholeStack {
    fn drop(&mut self) {
        // `ChildProcess` would stop the program by closing its standard input, which the program does not watch.
        // `kill_tree` fails only when the processes cannot be listed; the program's servers then end with the program.
        let _ = self.process.lock().map(|mut process| process.kill_tree());
    }
}

/// Starts the program. The outside systems are those of the test.
fn launch(
    data: &DataFolder,
    port: u16,
    manychat: &FakeManyChat,
    models: &FakeModels,
    receiver: &FakeReceiver,
) -> ChildProcess {
    let log = File::create(data.join("stack.log")).unwrap();
    let mut command = Command::new(lisa_program().unwrap());
    command.args(["dev", "--no-model", "--no-console", "--quiet", "--port", &port.to_string(), "--data"]);
    command.arg(data.path()).stdout(Stdio::null()).stderr(log);
    for name in ["DATABASE_URL", "SYSTEM_DATABASE_URL", "MIGRATE_DATABASE_URL", "AWS_ENDPOINT_URL", "SUPABASE_URL"] {
        command.env_remove(name);
    }
    command.envs([
        ("MANYCHAT_BASE_URL", manychat.base_url()),
        ("LLM_PROVIDER", "groq".to_owned()),
        ("GROQ_API_KEY", "test".to_owned()),
        ("GROQ_BASE_URL", models.base_url()),
        ("BURST_WINDOW_S", "0".to_owned()),
        ("FREE_QUOTA_LIMIT", "1000".to_owned()),
        ("RATE_LIMIT_USER", "1000000".to_owned()),
        ("RATE_LIMIT_WEBHOOK", "1000000".to_owned()),
        ("RATE_LIMIT_ADDRESS", "1000000".to_owned()),
        ("RATE_LIMIT_WEBHOOK_ADDRESS", "1000000".to_owned()),
        ("OUTBOUND_LOCAL_SITES", format!("hooks.example.com={}", receiver.address())),
    ]);
    ChildProcess::spawn(&mut command).unwrap()
}

/// Kills the stack in the middle of `kills` rounds, each at another place.
async fn kill_during_rounds(kills: usize) {
    let started = Instant::now();
    let stack = WholeStack::start().await;
    for kill in 0..kills {
        let begun = stack.acknowledged.load(Ordering::SeqCst);
        let place = begun + 1 + ACKNOWLEDGEMENTS * kill / kills;
        // The kill comes while the other requests of the round are on their way; they are sent again after it.
        let killing = async {
            stack.wait_for_acknowledged(place).await;
            stack.kill_and_start_again();
        };
        tokio::join!(stack.round(), killing);
    }
    stack.settle().await;
    let (messages, webhooks) = stack.assert_done_once().await;
    println!(
        "{} kills of the whole stack, {} acknowledged, lost 0, done twice 0; sent again: {messages} messages, {webhooks} \
         webhooks; {:?}",
        kills + 1,
        stack.acknowledged.load(Ordering::SeqCst),
        started.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stack_killed_in_the_middle_of_its_work_loses_nothing_that_was_acknowledged_and_does_nothing_twice() {
    Box::pin(kill_during_rounds(2)).await;
}

/// Measures the figures in docs/RELIABILITY.md.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes; the test above kills three times"]
async fn a_stack_killed_thirty_times_loses_nothing() {
    Box::pin(kill_during_rounds(29)).await;
}
