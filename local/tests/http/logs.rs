//! The log holds no text that a person wrote, and no secret, token or phone number, regardless of the fault.
//!
//! [`plant`] makes every test of this program fail when a planted text is logged. These tests plant texts where a fault
//! would bring them into the log: in every place of every request, and in the answers of all outside servers.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use axum::{
    Router,
    body::to_bytes,
    extract::{Request, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use chrono::Utc;
use futures::{StreamExt, stream};
use reqwest::Method;
use serde_json::{Value, json};
use shared::stripe::signature;
use tokio::{net::TcpListener, task::JoinSet};
use uuid::Uuid;

use super::{
    authorization::{DocumentedOperation, ExampleBody, TenantFixture},
    support::{
        App, BackendProxy, ProjectKey, TestRequest, WAIT_TIMEOUT, WhatsAppFixture, line_count, new_email, plant,
        plant_phone, sqs_event, wait_until,
    },
};

/// Number of requests that wait for their answer at once.
const CONCURRENCY: usize = 8;

/// Texts of each kind that must not be logged, made anew for each test and planted.
struct Plants {
    message: String,
    phone: String,
    token: String,
}

impl Plants {
    fn new() -> Self {
        let number = Uuid::new_v4();
        let plants = Self {
            message: format!("Mon code secret est {}", number.simple()),
            phone: format!("+22507{:010}", number.as_u128() % 10_000_000_000),
            token: format!("tok{}", number.simple()),
        };
        [&plants.message, &plants.token].into_iter().for_each(|text| plant(text));
        plant_phone(&plants.phone);
        plants
    }

    /// Returns the planted message, phone number and token as one text.
    fn text(&self) -> String {
        format!("{} {} {}", self.message, self.phone, self.token)
    }
}

/// Returns `value` with each text replaced.
fn replace_texts(value: &Value, replace: &impl Fn(&str) -> Value) -> Value {
    match value {
        Value::String(text) => replace(text),
        Value::Array(values) => values.iter().map(|value| replace_texts(value, replace)).collect(),
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| (name.clone(), replace_texts(value, replace))).collect()
        }
        other => other.clone(),
    }
}

/// Returns `value` with each value that is no object or list replaced by `text`.
fn confuse_types(value: &Value, text: &str) -> Value {
    match value {
        Value::Array(values) => values.iter().map(|value| confuse_types(value, text)).collect(),
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| (name.clone(), confuse_types(value, text))).collect()
        }
        Value::String(_) => json!({ "text": text }),
        _ => json!(text),
    }
}

/// Bodies with planted texts: as documented, of other types, cut off, and larger than any limit.
fn bodies(example: Option<&ExampleBody>, plants: &Plants) -> Vec<(&'static str, Vec<u8>)> {
    let text = plants.text();
    let mut bodies = vec![
        ("application/json", format!("{{\"text\": \"{text}\", \"{text}\": 1").into_bytes()),
        ("application/json", json!(text).to_string().into_bytes()),
        ("application/json", [b"{\"text\": \"".as_slice(), text.as_bytes(), b"\xff\"}"].concat()),
        ("text/plain", text.clone().into_bytes()),
        ("application/json", json!({ "text": text.repeat(6 * 1024 * 1024 / text.len()) }).to_string().into_bytes()),
    ];
    match example {
        Some(ExampleBody::Json(example)) => {
            let appended = replace_texts(example, &|known| json!(format!("{known} {text}")));
            for body in [appended, confuse_types(example, &text)] {
                bodies.push(("application/json", body.to_string().into_bytes()));
            }
        }
        Some(ExampleBody::Csv(csv)) => {
            let row = csv.lines().last().unwrap_or_default();
            bodies.push(("text/csv", format!("{csv}\n{row}{text}\n\"{text}").into_bytes()));
        }
        None => {}
    }
    bodies
}

/// Requests of one operation with planted texts in the path, in the query, in headers and in the body. The token is
/// valid, or planted.
fn requests(app: &App, operation: &DocumentedOperation, token: &str, plants: &Plants) -> Vec<TestRequest> {
    let in_path = plants.text().replace(' ', "%20").replace('+', "%2B");
    let path = |id: &str| -> String {
        let segments = operation.path.split('/').map(|segment| if segment.starts_with('{') { id } else { segment });
        segments.collect::<Vec<_>>().join("/")
    };
    let call = |path: String| {
        let query = format!("q={in_path}&cursor={in_path}&status={in_path}&limit={in_path}");
        let call = app.call(operation.method.clone(), &format!("{path}?{query}"));
        ["x-webhook-secret", "stripe-signature", "x-request-id", "user-agent", "origin"].iter().fold(
            call.by(token).header("idempotency-key", format!("{}{}", plants.token, Uuid::new_v4())),
            |call, name| call.header(name, &plants.token),
        )
    };
    let unknown = Uuid::new_v4().to_string();
    let mut requests = vec![call(path(&in_path)), call(path(&unknown))];
    if operation.method != Method::GET {
        let bodies = bodies(operation.body.as_ref(), plants);
        requests.extend(bodies.into_iter().map(|(content_type, body)| call(path(&unknown)).body(content_type, body)));
    }
    requests
}

/// Sends all requests and returns the answers that are errors of the server.
async fn server_errors(requests: Vec<TestRequest>) -> Vec<String> {
    let answers = stream::iter(requests).map(async |request| request.await).buffer_unordered(CONCURRENCY);
    let errors = answers.filter_map(async |answer| (answer.status >= 500).then_some(answer.text));
    errors.collect().await
}

#[tokio::test]
async fn no_request_is_told_whatever_is_wrong_with_it() {
    let app = App::start().await;
    let operations = DocumentedOperation::all();
    let tenant = TenantFixture::create(&app, &operations).await;
    let before = line_count();
    let mut sent = 0;
    for operation in &operations {
        let plants = Plants::new();
        for token in [tenant.owner.token.as_str(), &plants.token] {
            let requests = requests(&app, operation, token, &plants);
            sent += requests.len();
            let errors = server_errors(requests).await;
            assert_eq!(errors, Vec::<String>::new(), "{}", operation.name);
        }
    }
    // The gateway answers some requests by itself, such as one with a larger body than it takes.
    assert!(line_count() - before > sent / 2, "{sent} requests left {} lines", line_count() - before);
}

#[tokio::test]
async fn no_request_is_told_while_the_database_is_away() {
    let network = BackendProxy::for_database().await;
    let app = App::with_settings(&network.settings()).await;
    let operations = DocumentedOperation::all();
    let tenant = TenantFixture::create(&app, &operations).await;
    app.stack.start_functions().await.unwrap();
    network.refuse().await.unwrap();
    let plants = Plants::new();
    let mut calls = Vec::new();
    for operation in &operations {
        // A function waits seconds before it gives up on the database, so only two requests of each operation are sent.
        let mut requests = requests(&app, operation, &tenant.owner.token, &plants);
        calls.extend(requests.pop());
        calls.push(requests.swap_remove(0));
    }
    let errors = server_errors(calls).await;
    assert!(errors.len() > operations.len() / 2, "{} requests of {} operations met it", errors.len(), operations.len());
    network.restore().await.unwrap();
}

/// A server that answers every request with a status, and with the whole request in each text of an error.
struct EchoServer {
    address: String,
    state: Arc<EchoState>,
    _tasks: JoinSet<()>,
}

struct EchoState {
    status: StatusCode,
    calls: AtomicUsize,
}

impl EchoServer {
    async fn start(status: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let status = StatusCode::from_u16(status).unwrap();
        let state = Arc::new(EchoState { status, calls: AtomicUsize::new(0) });
        let router = Router::new().fallback(echo).with_state(Arc::clone(&state));
        let mut tasks = JoinSet::new();
        tasks.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { address, state, _tasks: tasks }
    }

    async fn wait_for_calls(&self, count: usize) {
        wait_until("calls of the outside server", WAIT_TIMEOUT, async || {
            (self.state.calls.load(Ordering::Relaxed) >= count).then_some(())
        })
        .await;
    }
}

async fn echo(State(state): State<Arc<EchoState>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    let body = String::from_utf8_lossy(&body).into_owned();
    let whole = format!("{} {:?} {body}", parts.uri, parts.headers);
    let error = json!({
        "message": whole, "code": whole, "type": whole, "param": whole, "status": whole, "reason": whole,
        "details": [{ "reason": whole, "@type": whole }],
    });
    let answer = json!({
        "error": error, "error_code": whole, "msg": whole, "message": whole, "status": whole, "code": whole,
        "details": { "messages": [{ "code": whole, "message": whole }] }, "id": whole, "type": whole, "data": whole,
        "choices": [{ "finish_reason": whole, "message": { "content": null, "refusal": whole,
            "tool_calls": [{ "id": "1", "function": { "name": whole, "arguments": whole } }] } }],
        "embeddings": whole, "usage": whole, "model": whole,
    });
    state.calls.fetch_add(1, Ordering::Relaxed);
    (state.status, [(header::RETRY_AFTER, "1")], axum::Json(answer)).into_response()
}

/// Lets a contact write a message with every planted text.
async fn deliver(whatsapp: &WhatsAppFixture, plants: &Plants) {
    let body = json!({
        "id": 1, "message_id": Uuid::new_v4(), "last_input_text": plants.text(), "phone": plants.phone,
        "name": format!("Awa {}", plants.message), "email": new_email(), "custom_fields": { "note": plants.text() },
    });
    whatsapp.deliver(&body).await.json_body(200);
}

#[tokio::test]
async fn no_answer_of_a_model_is_told() {
    for status in [200, 400, 429, 500] {
        for provider in ["gemini", "anthropic", "groq", "openai"] {
            let (models, plants) = (EchoServer::start(status).await, Plants::new());
            let upper = provider.to_uppercase();
            let (url, key, name) = (format!("{upper}_BASE_URL"), format!("{upper}_API_KEY"), format!("{upper}_MODELS"));
            let whatsapp = WhatsAppFixture::with_settings(&[
                ("LLM_PROVIDER", provider),
                (&url, &models.address),
                (&key, &plants.token),
                (&name, "a-model"),
            ])
            .await;
            whatsapp.switch_to_live().await;
            let before = line_count();
            deliver(&whatsapp, &plants).await;
            models.wait_for_calls(1).await;
            let question = json!({ "question": plants.text() });
            let asked = whatsapp.app.post("/api/v1/query").by(&whatsapp.tenant).json(&question).await;
            assert!(asked.status < 500 || asked.status == 503, "{provider} {status}: {}", asked.text);
            assert!(line_count() > before, "{provider} {status} left no line");
        }
    }
}

#[tokio::test]
async fn no_answer_of_an_embedding_model_is_told() {
    for status in [200, 400, 401, 500] {
        let (models, plants) = (EchoServer::start(status).await, Plants::new());
        for (provider, url, key) in
            [("gemini", "GEMINI_BASE_URL", "GEMINI_API_KEY"), ("openai", "OPENAI_BASE_URL", "OPENAI_API_KEY")]
        {
            let settings = [
                ("EMBEDDING_PROVIDER", provider),
                ("EMBEDDING_MODEL", "a-model"),
                (url, models.address.as_str()),
                (key, plants.token.as_str()),
            ];
            let app = App::with_options(&settings, Some(1)).await;
            let tenant = app.sign_up("Comptoir Baobab").await;
            let calls = models.state.calls.load(Ordering::Relaxed);
            app.upload(&tenant, "guide.pdf", super::support::small_pdf(&plants.text())).await;
            models.wait_for_calls(calls + 1).await;
            let question = json!({ "question": plants.text() });
            let asked = app.post("/api/v1/query").by(&tenant).json(&question).await;
            assert!(asked.status < 500 || asked.status == 503, "{provider} {status}: {}", asked.text);
        }
    }
}

#[tokio::test]
async fn no_answer_of_manychat_is_told() {
    for status in [200, 400, 401, 429, 500] {
        let (manychat, plants) = (EchoServer::start(status).await, Plants::new());
        let whatsapp = WhatsAppFixture::with_settings(&[("MANYCHAT_BASE_URL", &manychat.address)]).await;
        whatsapp.switch_to_live().await;
        whatsapp.models.reply_text(&plants.text());
        deliver(&whatsapp, &plants).await;
        let tried = "select count(*) from outbox where attempts > 0";
        wait_until("a part was tried", WAIT_TIMEOUT, async || (whatsapp.app.number(tried).await > 0).then_some(()))
            .await;
        // Stores a key, which ManyChat is asked about.
        let key = format!("123:{}", plants.token);
        let patch = json!({ "manychat_api_key": key });
        let stored = whatsapp.app.call(Method::PATCH, "/api/v1/customers/me").by(&whatsapp.tenant).json(&patch).await;
        assert_ne!(stored.status / 100, 2, "{}", stored.text);
    }
}

#[tokio::test]
async fn no_event_and_no_answer_of_stripe_is_told() {
    for status in [200, 400, 401, 404, 500] {
        let (stripe, plants) = (EchoServer::start(status).await, Plants::new());
        let key = format!("sk_test_{}", plants.token);
        plant(&key);
        let app = App::with_settings(&[
            ("STRIPE_SECRET_KEY", &key),
            ("STRIPE_BASE_URL", &stripe.address),
            ("BILLING_RETURN_URL", "https://app.example.com/billing"),
        ])
        .await;
        let tenant = app.sign_up("Comptoir Baobab").await;
        app.post("/api/v1/billing/checkout").by(&tenant).json(&json!({ "plan": "pro" })).await;
        let object = json!({
            "id": "sub_1", "customer": "cus_1", "status": plants.text(), "metadata": { "user_id": plants.text() },
            "customer_email": plants.text(), "items": { "data": [{ "price": { "id": "price_1" } }] },
        });
        let kinds = [
            "customer.subscription.created",
            "checkout.session.completed",
            "invoice.paid",
            "customer.deleted",
            "charge.refunded",
            "charge.dispute.created",
        ];
        for kind in kinds {
            for object in [object.clone(), json!(plants.text()), json!({ "id": { "id": plants.text() } })] {
                app.deliver_stripe_event(&super::stripe::event(kind, 0, object)).await;
            }
        }
        for body in [plants.text(), json!({ "id": plants.text() }).to_string(), json!([plants.text()]).to_string()] {
            for secret in [app.stack.secrets.stripe_webhook_secret.as_str(), &plants.token] {
                let signed = signature::sign(body.as_bytes(), secret, Utc::now());
                let call = app.post("/api/v1/webhooks/stripe").raw_json(body.clone());
                assert_eq!(call.header("stripe-signature", signed).await.status, 400);
            }
        }
    }
}

#[tokio::test]
async fn no_answer_of_the_sign_in_service_is_told() {
    for status in [200, 400, 401, 500] {
        let (supabase, plants) = (EchoServer::start(status).await, Plants::new());
        let settings = [("SUPABASE_URL", supabase.address.as_str()), ("SUPABASE_ANON_KEY", &plants.token)];
        let app = App::with_settings(&settings).await;
        let email = new_email();
        plant(&email);
        let credentials = json!({ "email": email, "password": plants.message, "company_name": plants.text() });
        let refresh = json!({ "refresh_token": plants.token });
        let calls = [
            app.post("/api/v1/auth/signup").json(&credentials),
            app.post("/api/v1/auth/login").json(&json!({ "email": email, "password": plants.message })),
            app.post("/api/v1/auth/refresh").json(&refresh),
            app.post("/api/v1/auth/forgot").json(&json!({ "email": email })),
            // A token with an unknown key id, for which the Supabase project is asked for its keys.
            app.get("/api/v1/profiles/me")
                .by(ProjectKey::elliptic("unknown").sign(&json!({ "exp": 9_999_999_999_u64 }))),
        ];
        for call in calls {
            let answer = call.await;
            assert!(!answer.text.contains(&plants.message), "{}", answer.text);
        }
        supabase.wait_for_calls(5).await;
    }
}

#[tokio::test]
async fn no_message_of_a_queue_is_told() {
    let (app, plants) = (App::start().await, Plants::new());
    let text = plants.text();
    let bodies = [
        text.clone(),
        json!(text).to_string(),
        json!({ "customer_id": text, "conversation_id": text, "document_id": text, "job_id": text }).to_string(),
        json!({ "customer_id": text, "endpoint_id": text, "export_id": text }).to_string(),
        json!({ "customer_id": { "text": text }, "conversation_id": [text] }).to_string(),
        json!({ "Records": [text] }).to_string(),
        json!({ "Records": [{ "s3": text }] }).to_string(),
        json!({ "Records": [{ "s3": { "object": { "key": [text] } } }] }).to_string(),
        json!({ "Records": [{ "s3": { "object": { "key": text } } }] }).to_string(),
    ];
    for function in ["ingest-worker", "reply-worker", "webhook-worker", "export-worker"] {
        let before = line_count();
        let answer = app.stack.invoke(function, sqs_event(&bodies)).await.unwrap();
        assert!(answer["batchItemFailures"].as_array().unwrap().len() >= 6, "{function}: {answer}");
        assert!(line_count() >= before + 6, "{function} logs its failures");
        // Events that are none of a queue fail as a whole.
        assert!(app.stack.invoke(function, json!({ "text": text })).await.is_err());
    }
}

#[tokio::test]
async fn no_value_is_told_that_the_database_refuses() {
    let (app, plants) = (App::start().await, Plants::new());
    let tenant = app.sign_up("Comptoir Baobab").await;
    // PostgreSQL quotes a value that it cannot read.
    app.sql(
        "create function read_as_number() returns trigger language plpgsql as
             $$ begin perform new.content::integer; return new; end $$;
         create trigger read_as_number before insert on messages for each row execute function read_as_number()",
    )
    .await;
    let question = json!({ "question": plants.text() });
    let before = line_count();
    app.post("/api/v1/query").by(&tenant).json(&question).await.refused(500, "internal");
    assert!(line_count() > before);
}

/// Delivers a message of a contact in ManyChat's form, and waits for `answers` messages to the contact.
async fn write_as(whatsapp: &WhatsAppFixture, contact: u64, name: &str, phone: &str, text: &str, answers: usize) {
    let body = json!({
        "id": contact, "message_id": Uuid::new_v4(), "last_input_text": text, "whatsapp_phone": phone, "name": name,
    });
    whatsapp.deliver(&body).await.json_body(200);
    whatsapp.wait_for_texts(contact, answers).await;
    whatsapp.wait_for_reply_jobs().await;
}

#[tokio::test]
async fn nothing_of_a_contact_is_told_from_the_message_to_the_order_and_the_deletion() {
    let whatsapp = WhatsAppFixture::start().await;
    let (app, owner) = (&whatsapp.app, &whatsapp.tenant);
    whatsapp.remove_part_spacing().await;
    whatsapp.switch_to_live().await;
    app.post("/api/v1/products").by(owner).json(&json!({ "name": "Thé vert", "price": "1000" })).await.data(201);
    let contacts =
        [("Awa", "+2250711223344"), ("Koffi", "+225 07 55 66 77 88"), ("Adjoua Kouamé", "0033-6.12.34.56.78")];
    for (contact, (name, phone)) in (1..).zip(contacts) {
        whatsapp.models.reply_text("Que puis-je faire pour vous, chère cliente, cher client ?");
        write_as(&whatsapp, contact, name, phone, "Vous \"livrez\" ?", 1).await;
        whatsapp.models.reply_tool("create_order", json!({ "items": [{ "product": "Thé vert", "quantity": 1 }] }));
        write_as(&whatsapp, contact, name, phone, "Réservez-moi", 2).await;
        write_as(&whatsapp, contact, name, phone, "Oui merci", 3).await;
        let id = whatsapp.conversation_column(contact, "id").await.unwrap();
        let listed = app.get("/api/v1/conversations").query("user_phone", phone).by(owner).await.json_body(200);
        assert_eq!(listed["data"][0]["id"], json!(id), "{phone}");
        let text = format!("Bonjour {name}, on vous rappelle au {phone}");
        let reply = app.post(&format!("/api/v1/conversations/{id}/reply")).by(owner);
        reply.json(&json!({ "text": text })).await.data(201);
        whatsapp.wait_for_texts(contact, 4).await;
        app.get(&format!("/api/v1/privacy/contacts/{id}/export")).by(owner).await;
        assert_eq!(app.delete(&format!("/api/v1/privacy/contacts/{id}")).by(owner).await.status / 100, 2);
    }
    assert_eq!(whatsapp.number("select count(*) from orders").await, 3);
}
