//! Runs every function with its event of events/, in the order in which a tenant causes them.

use std::{collections::BTreeSet, fs, path::PathBuf};

use base64::{Engine, prelude::BASE64_STANDARD};
use chrono::Utc;
use local::{
    fakes::{
        manychat::{FakeManyChat, KEYS},
        webhook_receiver::FakeReceiver,
    },
    functions,
    resources::{self, ResourceOptions},
    template::Template,
    testing::{self, TestDatabase},
};
use local_postgres::{ProgressOutput, ensure_embedding_model, root};
use serde_json::Value;
use shared::{
    sealed::KeyRing,
    settings::{Settings, SettingsMap},
    stripe::signature,
    tenants,
};
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use super::{build, runtime_api};

/// The resources of a deployment, without the functions.
pub(crate) struct Deployment {
    pub(crate) database: TestDatabase,
    pub(crate) manychat: FakeManyChat,
    receiver: FakeReceiver,
    sealing_keys: String,
    stripe_secret: String,
    /// Settings by function.
    settings: std::collections::HashMap<String, SettingsMap>,
    /// Texts that must not be logged.
    secrets: Vec<String>,
    /// Values of the placeholders in the events.
    pub(crate) placeholders: Vec<(&'static str, String)>,
    /// Functions that have run.
    ran: BTreeSet<String>,
}

impl Deployment {
    /// Creates the template's resources, and resolves the settings that it gives each function.
    pub(crate) async fn new() -> Self {
        let database = testing::database().await.unwrap();
        let servers = testing::servers().await.unwrap();
        let jwt_secret = Uuid::new_v4().simple().to_string() + &Uuid::new_v4().simple().to_string();
        let text = |pairs: &[(&str, &str)]| -> SettingsMap {
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
        };
        let (manychat, receiver) = (FakeManyChat::start().await.unwrap(), FakeReceiver::start().await.unwrap());
        let (sealing_keys, stripe_secret) = (sealing_keys(), format!("whsec_{}", Uuid::new_v4().simple()));
        let app = text(&[
            ("DATABASE_URL", &database.urls.app),
            ("JWT_SECRET", &jwt_secret),
            ("SEALING_KEYS", &sealing_keys),
            ("MANYCHAT_BASE_URL", &manychat.base_url()),
            ("OUTBOUND_LOCAL_SITES", &format!("hooks.example.com={}", receiver.address())),
        ]);
        let mut system = app.clone();
        system.extend(text(&[
            ("SYSTEM_DATABASE_URL", &database.urls.system),
            ("MIGRATE_DATABASE_URL", &database.urls.admin),
            ("STRIPE_WEBHOOK_SECRET", &stripe_secret),
        ]));
        let template = Template::read(&root().join("template.yaml")).unwrap();
        // The name of a bucket has at most 63 characters.
        let suffix = format!("-b{}-{}", std::process::id(), database.name().replace('_', "-"));
        let seed = ResourceOptions {
            app: &app,
            system: &system,
            base_url: "https://stream.example.com",
            suffix: &suffix,
            visibility_timeout: None,
        };
        let scope = resources::create_resources(&template, &servers.aws.config(), &seed).await.unwrap();
        let overrides = text(&[
            ("PDFIUM_LIBRARY", &servers.libpdfium.display().to_string()),
            // No waiting for more messages of a burst: only one is sent.
            ("BURST_WINDOW_S", "0"),
        ]);
        let mut settings = resources::settings(&template, &scope, &servers.aws.settings(), &overrides).unwrap();
        // In a deployment the file is in the layer of the embedding model, where the setting's default expects it.
        let model = ensure_embedding_model(ProgressOutput::Silent).unwrap();
        let embedding = settings.values_mut().filter(|settings| settings.contains_key("EMBEDDING_PROVIDER"));
        for settings in embedding {
            assert_eq!(settings["EMBEDDING_PROVIDER"], "e5");
            settings.insert("E5_MODEL_FILE".to_owned(), model.display().to_string());
        }
        let secrets = [&database.urls.app, &database.urls.system, &database.urls.admin]
            .map(|url| reqwest::Url::parse(url).unwrap().password().unwrap().to_owned());
        let secrets = secrets.into_iter().chain([jwt_secret, sealing_keys.clone(), stripe_secret.clone()]).collect();
        Self {
            database,
            manychat,
            receiver,
            sealing_keys,
            stripe_secret,
            settings,
            secrets,
            placeholders: Vec::new(),
            ran: BTreeSet::new(),
        }
    }

    /// The settings of a deployed function. They hold the ARN of its secret, not the secret's values.
    pub(crate) fn settings(&self, function: &str, program: &std::path::Path) -> SettingsMap {
        let mut settings = self.settings[function].clone();
        // In a deployment the default is the path of the function's own program.
        settings.insert("PDF_EXTRACTOR".to_owned(), program.display().to_string());
        settings
    }

    /// Runs a function with its event and checks its logs. Returns its response.
    async fn run(&mut self, function: &str, tenant: Option<&str>) -> Value {
        let program = &build::programs().await[function];
        let event = self.event(function);
        let run = runtime_api::run(program, &self.settings(function, program), event.clone()).await;
        let response = run.response().clone();
        // The functions log the request id of API Gateway where there is one, so that both logs have an equal id.
        let id = event["requestContext"]["requestId"].as_str().unwrap_or(&run.request_id);
        run.logs.check(function, id, tenant, &self.secrets);
        self.ran.insert(function.to_owned());
        response
    }

    /// Stores the tenant's ManyChat key and webhook secret, as PATCH and POST of /api/v1/customers/me would.
    pub(crate) async fn connect_bot(&self, customer: &str, secret: &str) {
        let mut settings = Settings::new(SettingsMap::from([("SEALING_KEYS".to_owned(), self.sealing_keys.clone())]));
        let ring = KeyRing::read(&mut settings);
        settings.finish().unwrap();
        let customer: Uuid = customer.parse().unwrap();
        let sealed = ring.seal(customer, tenants::MANYCHAT_KEY_PURPOSE, KEYS[0]).unwrap();
        let mut admin = PgConnection::connect(&self.database.urls.admin).await.unwrap();
        let update = sqlx::query("update customers set manychat_api_key = $2 where id = $1");
        update.bind(customer).bind(sealed).execute(&mut admin).await.unwrap();
        let insert = "insert into webhook_secrets (customer_id, sha256) values ($1, sha256(convert_to($2, 'UTF8')))";
        sqlx::query(insert).bind(customer).bind(secret).execute(&mut admin).await.unwrap();
    }

    /// Fills the placeholders of the queue's event with the ids of the inbound message.
    async fn fill_message_ids(&mut self) {
        let mut admin = PgConnection::connect(&self.database.urls.admin).await.unwrap();
        let message = "select conversation_id, id from messages where direction = 'inbound' and channel = 'whatsapp'";
        let (conversation, id): (Uuid, Uuid) = sqlx::query_as(message).fetch_one(&mut admin).await.unwrap();
        self.placeholders.extend([("CONVERSATION_ID", conversation.to_string()), ("MESSAGE_ID", id.to_string())]);
    }

    /// Fills the placeholder of Stripe's signature with a signature of the event's body at the present time.
    fn sign_for_stripe(&mut self) {
        let event = fs::read_to_string(event_file("stripe-webhook")).unwrap();
        let event: Value = serde_json::from_str(&event).unwrap();
        let signature = signature::sign(text(&event["body"]).as_bytes(), &self.stripe_secret, Utc::now());
        self.placeholders.push(("STRIPE_SIGNATURE", signature));
    }

    /// The event of a function with its placeholders filled in.
    pub(crate) fn event(&self, function: &str) -> Value {
        let mut text = fs::read_to_string(event_file(function)).unwrap();
        for (name, value) in &self.placeholders {
            text = text.replace(&format!("${{{name}}}"), value);
        }
        assert!(!text.contains("${"), "events/{function}.json has a placeholder that nobody fills");
        serde_json::from_str(&text).unwrap()
    }
}

/// The setting SEALING_KEYS with one random key of 32 bytes.
fn sealing_keys() -> String {
    let key: Vec<u8> = [Uuid::new_v4(), Uuid::new_v4()].iter().flat_map(|half| *half.as_bytes()).collect();
    format!("test:{}", BASE64_STANDARD.encode(key))
}

/// Path of a function's event.
pub(crate) fn event_file(function: &str) -> PathBuf {
    root().join(format!("events/{function}.json"))
}

/// The JSON body of an API Gateway response, which must have the status `status`.
#[track_caller]
fn body(answer: &Value, status: u16) -> Value {
    assert_eq!(answer["statusCode"], status, "{answer}");
    let body = answer["body"].as_str().unwrap_or_default();
    let body = match answer["isBase64Encoded"].as_bool() {
        Some(true) => String::from_utf8(BASE64_STANDARD.decode(body).unwrap()).unwrap(),
        _ => body.to_owned(),
    };
    serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {answer}"))
}

/// The field `data` of a successful response.
#[track_caller]
fn data(answer: &Value, status: u16) -> Value {
    let body = body(answer, status);
    assert_eq!(body["success"], true, "{body}");
    body["data"].clone()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value} is not a text")).to_owned()
}

#[tokio::test]
#[expect(clippy::too_many_lines, reason = "one case per function, in the order in which a company meets them")]
async fn every_function_answers_its_event() {
    let mut deployed = Deployment::new().await;

    let migrated = deployed.run("migrate", None).await;
    assert!(migrated["app"]["version"].as_i64().unwrap() >= 5, "{migrated}");

    // The account that signs up here is the tenant of all other events.
    let signup: Value = serde_json::from_str(&text(&deployed.event("auth")["body"])).unwrap();
    deployed.secrets.extend(["email", "password", "full_name"].map(|name| text(&signup[name])));
    let session = data(&deployed.run("auth", None).await, 201);
    assert_eq!(session["user"]["email"], signup["email"]);
    let (user, customer) = (text(&session["user"]["id"]), text(&session["customer"]["id"]));
    deployed.secrets.extend([text(&session["access_token"]), text(&session["refresh_token"])]);
    deployed.placeholders.extend([
        ("ACCESS_TOKEN", text(&session["access_token"])),
        ("PUBLIC_USER_ID", user.clone()),
        ("CUSTOMER_ID", customer.clone()),
    ]);
    let tenant = customer.as_str();
    let customer = Some(tenant);

    let health = body(&deployed.run("health", None).await, 200);
    assert_eq!((&health["status"], &health["environment"]), (&"healthy".into(), &"dev".into()), "{health}");

    let quota = body(&deployed.run("quota", None).await, 200);
    assert_eq!(quota["public_user_id"], user.as_str(), "{quota}");
    assert_eq!((&quota["free_quota_used"], &quota["state"]), (&0.into(), &"normal".into()), "{quota}");

    let endpoint = data(&deployed.run("webhook-endpoints", customer).await, 201);
    deployed.secrets.extend([text(&endpoint["secret"]), "s3cret".to_owned()]);
    deployed.placeholders.push(("WEBHOOK_ENDPOINT_ID", text(&endpoint["id"])));

    let upload = data(&deployed.run("document-upload", customer).await, 201);
    let document = text(&upload["document"]["id"]);
    deployed.placeholders.push(("DOCUMENT_ID", document.clone()));
    upload_file(&upload["upload"], "docs/samples/guide-livraison.pdf").await;

    // The worker's process starts a child process that reads the PDF.
    let ingested = deployed.run("ingest-worker", customer).await;
    assert_eq!(ingested, serde_json::json!({ "batchItemFailures": [] }));

    let listed = data(&deployed.run("documents", customer).await, 200);
    assert_eq!(listed.as_array().unwrap().len(), 1, "{listed}");
    assert_eq!((&listed[0]["id"], &listed[0]["status"]), (&document.clone().into(), &"processed".into()), "{listed}");
    assert!(listed[0]["pages_done"].as_i64().unwrap() > 0 && listed[0]["pages_done"] == listed[0]["pages_total"]);

    let question: Value = serde_json::from_str(&text(&deployed.event("query")["body"])).unwrap();
    deployed.secrets.push(text(&question["question"]));
    let answer = data(&deployed.run("query", customer).await, 200);
    assert_eq!(answer["answered"], true, "{answer}");
    assert_eq!(answer["citations"][0]["document_id"], document.as_str(), "{answer}");
    assert!(answer["citations"][0]["page"].as_i64().unwrap() >= 1, "{answer}");
    assert_eq!(answer["quota"]["free_quota_used"], 1, "{answer}");

    let streamed = deployed.run("query-stream", customer).await;
    assert_eq!(
        (&streamed["statusCode"], &streamed["headers"]["content-type"]),
        (&200.into(), &"text/event-stream; charset=utf-8".into())
    );
    let events = text(&streamed["body"]);
    let names: Vec<_> = events.lines().filter_map(|line| line.strip_prefix("event: ")).collect();
    assert_eq!(names, ["citations", "delta", "done"], "{events}");
    let done = events.lines().rev().find_map(|line| line.strip_prefix("data: ")).unwrap();
    let done: Value = serde_json::from_str(done).unwrap();
    assert_eq!((&done["answer"], &done["quota"]["free_quota_used"]), (&answer["answer"], &2.into()), "{done}");

    let company = data(&deployed.run("customer", customer).await, 200);
    assert_eq!(company["id"].as_str(), customer, "{company}");
    let secret = Uuid::new_v4().simple().to_string();
    deployed.connect_bot(tenant, &secret).await;
    deployed.secrets.extend([secret.clone(), "+2250700000000".to_owned(), "Awa Koné".to_owned()]);
    deployed.placeholders.push(("WEBHOOK_SECRET", secret));
    let acknowledged = body(&deployed.run("manychat-webhook", customer).await, 200);
    assert_eq!(acknowledged["content"]["messages"][0]["text"], "OK, bien reçu", "{acknowledged}");
    deployed.fill_message_ids().await;
    let replied = deployed.run("reply-worker", customer).await;
    assert_eq!(replied, serde_json::json!({ "batchItemFailures": [] }));
    let sent = deployed.manychat.sent_to("132");
    assert!(sent.len() == 1 && sent[0].contains("1 500"), "{sent:?}");
    let messages = data(&deployed.run("conversations", customer).await, 200);
    // Three questions with their answers: by query, by query-stream, and on WhatsApp.
    assert_eq!((messages.as_array().unwrap().len(), &messages[0]["author"]), (6, &"bot".into()), "{messages}");
    let sent = deployed.run("webhook-worker", customer).await;
    assert_eq!(sent, serde_json::json!({ "batchItemFailures": [] }));
    let webhooks = deployed.receiver.received();
    let mut types: Vec<_> = webhooks.iter().map(|webhook| text(&webhook.json()["type"])).collect();
    types.sort_unstable();
    assert_eq!(types, ["document.processed", "message.received"]);
    let mode = data(&deployed.run("live-mode", customer).await, 200);
    assert_eq!(mode["mode"], "live", "{mode}");

    let usage = data(&deployed.run("billing", customer).await, 200);
    assert_eq!(usage["requests"]["used"], 3, "{usage}");
    deployed.sign_for_stripe();
    let received = body(&deployed.run("stripe-webhook", None).await, 200);
    assert!(received.is_object(), "{received}");

    let export = data(&deployed.run("privacy", customer).await, 202);
    assert_eq!(export["status"], "queued", "{export}");
    deployed.placeholders.push(("EXPORT_ID", text(&export["id"])));
    let exported = deployed.run("export-worker", customer).await;
    assert_eq!(exported, serde_json::json!({ "batchItemFailures": [] }));

    let maintained = deployed.run("maintenance", None).await;
    assert_eq!(maintained["reservations_returned"], 0, "{maintained}");

    let audited = data(&deployed.run("audit-log", customer).await, 200);
    assert!(!audited.as_array().unwrap().is_empty(), "signing up was not kept");

    // The owner is no administrator.
    let refusal = body(&deployed.run("admin-subscriptions", None).await, 403);
    assert_eq!(refusal["error"]["code"], "forbidden", "{refusal}");

    let context = data(&deployed.run("context", customer).await, 200);
    assert_eq!(
        (&context["user"]["id"], &context["documents"]["processed"]),
        (&user.as_str().into(), &1.into()),
        "{context}"
    );
    assert_eq!(context["stream_url"], "https://stream.example.com/api/v1/query/stream", "{context}");

    let config = data(&deployed.run("user-config", None).await, 200);
    assert_eq!((&config["user_id"], &config["data_pod_url"]), (&user.as_str().into(), &Value::Null), "{config}");

    for (function, of) in [
        ("activities", customer),
        ("approved-answers", customer),
        ("changes", customer),
        ("company-config", customer),
        ("dashboard", customer),
        ("members", customer),
        ("orders", customer),
        ("plans", None),
        ("products", customer),
        ("profile", None),
    ] {
        let shown = data(&deployed.run(function, of).await, 200);
        assert!(shown.is_array() || shown.is_object(), "{function}: {shown}");
    }

    let refusal = body(&deployed.run("admin", None).await, 403);
    assert_eq!(refusal["error"]["code"], "forbidden", "{refusal}");

    let described = body(&deployed.run("docs", None).await, 200);
    assert!(described["openapi"].as_str().unwrap().starts_with("3.1"), "{}", described["openapi"]);

    let refusal = body(&deployed.run("not-found", None).await, 404);
    assert_eq!(refusal["error"]["code"], "not_found", "{refusal}");

    // A new function must be added to this test.
    let all: BTreeSet<_> = functions::ALL.iter().map(|function| function.name.to_owned()).collect();
    assert_eq!(deployed.ran, all);

    let mut admin = PgConnection::connect(&deployed.database.urls.admin).await.unwrap();
    let spent: i64 = sqlx::query_scalar("select count(*) from reservations where state = 'spent'")
        .fetch_one(&mut admin)
        .await
        .unwrap();
    assert_eq!(spent, 3);
    let ready: (String, bool) =
        sqlx::query_as("select status, size_bytes > 10000 from exports").fetch_one(&mut admin).await.unwrap();
    assert_eq!(ready, ("ready".to_owned(), true));
}

/// Uploads a file by the presigned request in `upload`. The HTTP client sets the length and the host itself.
async fn upload_file(upload: &Value, file: &str) {
    let client = reqwest::Client::builder().timeout(std::time::Duration::from_secs(20)).build().unwrap();
    let mut request = client.put(text(&upload["url"])).body(fs::read(root().join(file)).unwrap());
    for (name, value) in upload["headers"].as_object().unwrap() {
        if name != "content-length" && name != "host" {
            request = request.header(name, text(value));
        }
    }
    let answer = request.send().await.unwrap();
    assert!(answer.status().is_success(), "{answer:?}");
}
