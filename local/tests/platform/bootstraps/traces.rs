//! Traces of the functions' programs, as a collector receives them.

use std::time::{Duration, Instant};

use local::{
    fakes::{
        collector::{CollectedSpan, CollectorReply, FakeCollector},
        models::{FakeModels, FakeReply},
    },
    queue, testing,
};
use serde_json::{Value, json};
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use super::{
    build,
    flow::Deployment,
    runtime_api::{self, ProgramRun},
};
use crate::seed::{self, SeededTenant};

const TRACE_ID: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const CALLER_SPAN: &str = "00f067aa0ba902b7";
/// Texts of the event and of the answer that no span may hold.
const TEXTS: [&str; 5] = ["Awa", "Koné", "2250700000000", "livraison", "C'est noté"];

/// OTLP's numbers of the kinds of spans.
const SERVER: i32 = 2;
const CLIENT: i32 = 3;
const PRODUCER: i32 = 4;
const CONSUMER: i32 = 5;

/// A deployment with a tenant whose bot answers by a fake model.
struct TracedBot {
    deployed: Deployment,
    tenant: SeededTenant,
    models: FakeModels,
    collector: FakeCollector,
    secret: String,
}

impl TracedBot {
    async fn start() -> Self {
        let mut deployed = Deployment::new().await;
        let mut admin = PgConnection::connect(&deployed.database.urls.admin).await.unwrap();
        let tenant = seed::tenant(&mut admin, "traces", 1_000).await;
        let secret = Uuid::new_v4().simple().to_string();
        deployed.connect_bot(&tenant.customer.to_string(), &secret).await;
        let live = sqlx::query("insert into bot_sessions (company_id, mode) values ($1, 'live')");
        live.bind(tenant.customer).execute(&mut admin).await.unwrap();
        deployed.placeholders.push(("WEBHOOK_SECRET", secret.clone()));
        let models = FakeModels::start().await.unwrap();
        models.always(FakeReply::Text("C'est noté.".to_owned()));
        Self { deployed, tenant, models, collector: FakeCollector::start(0).await.unwrap(), secret }
    }

    /// Runs a function that exports its traces, with further settings.
    async fn run(&self, function: &str, more: &[(&str, &str)], event: Value) -> ProgramRun {
        let program = &build::programs().await[function];
        let mut settings = self.deployed.settings(function, program);
        let endpoint = self.collector.endpoint();
        let all = [("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint.as_str()), ("OTEL_EXPORTER_OTLP_HEADERS", "x-key=s3cret")];
        for (name, value) in all.iter().chain(more) {
            settings.insert((*name).to_owned(), (*value).to_owned());
        }
        runtime_api::run(program, &settings, event).await
    }

    /// Runs the webhook with a contact's message, and returns the event of the message in the reply queue.
    async fn receive(&self, traceparent: &str) -> (ProgramRun, Value) {
        let mut event = self.deployed.event("manychat-webhook");
        event["headers"]["traceparent"] = traceparent.into();
        let run = self.run("manychat-webhook", &[], event).await;
        assert_eq!(run.response()["statusCode"], 200, "{}", run.logs.text);
        let url = &self.deployed.settings("manychat-webhook", "".as_ref())["REPLY_QUEUE_URL"];
        let sqs = aws_sdk_sqs::Client::new(&testing::servers().await.unwrap().aws.config());
        let receive = sqs.receive_message().queue_url(url).wait_time_seconds(20).message_attribute_names("All");
        let messages = receive.send().await.unwrap().messages.unwrap_or_default();
        let [message] = messages.as_slice() else { panic!("{} messages", messages.len()) };
        let record = queue::record(message, "arn:aws:sqs:us-east-1:123456789012:reply");
        (run, json!({ "Records": [record] }))
    }

    /// Runs the worker with the fake model.
    async fn reply(&self, more: &[(&str, &str)], event: Value) -> ProgramRun {
        let url = self.models.base_url();
        let models = [
            ("LLM_PROVIDER", "groq"),
            ("GROQ_API_KEY", "test"),
            ("GROQ_MODELS", "openai/gpt-oss-120b"),
            ("GROQ_BASE_URL", url.as_str()),
        ];
        let run = self.run("reply-worker", &[&models[..], more].concat(), event).await;
        assert_eq!(*run.response(), json!({ "batchItemFailures": [] }), "{}", run.logs.text);
        run
    }
}

/// The only span with this name.
#[track_caller]
fn span<'s>(spans: &'s [CollectedSpan], name: &str) -> &'s CollectedSpan {
    let found: Vec<_> = spans.iter().filter(|span| span.name == name).collect();
    let [span] = found[..] else {
        panic!("{} spans {name} of {:?}", found.len(), spans.iter().map(|span| &span.name).collect::<Vec<_>>())
    };
    span
}

#[tokio::test]
async fn one_trace_leads_from_the_webhook_through_the_queue_to_the_model_and_the_send() {
    let bot = TracedBot::start().await;
    let (received, event) = bot.receive(&format!("00-{TRACE_ID}-{CALLER_SPAN}-01")).await;
    let replied = bot.reply(&[], event).await;
    let sent = "Bonjour ! Je suis Lisa, l’assistant virtuel de company-traces.\n\nC'est noté.";
    assert_eq!(bot.deployed.manychat.sent_to("132"), [sent]);

    let spans = bot.collector.spans();
    assert!(spans.iter().all(|span| span.trace_id == TRACE_ID), "{spans:#?}");
    let request = span(&spans, "POST /api/v1/webhook/manychat");
    assert_eq!((request.parent_id.as_str(), request.parent_is_remote, request.kind), (CALLER_SPAN, true, SERVER));
    assert_eq!(request.service, "manychat-webhook");
    assert_eq!(request.resource["service.namespace"], "lisa");
    assert_eq!(request.resource["deployment.environment.name"], "dev");
    assert_eq!(request.attributes["http.response.status_code"], 200);
    assert_eq!(request.attributes["lisa.tenant_id"], bot.tenant.customer.to_string());
    assert_eq!(request.attributes["lisa.request_id"], "JKJaXmPLvHcESHA=");

    let send = spans.iter().find(|span| span.kind == PRODUCER).unwrap();
    assert_eq!(send.parent_id, request.span_id);
    let process = spans.iter().find(|span| span.kind == CONSUMER).unwrap();
    assert_eq!((&process.parent_id, process.parent_is_remote), (&send.span_id, true));
    assert_eq!(process.service, "reply-worker");
    assert_eq!(process.attributes["messaging.system"], "aws_sqs");
    assert_eq!(process.attributes["messaging.destination.name"], send.attributes["messaging.destination.name"]);

    let model = span(&spans, "chat openai/gpt-oss-120b");
    assert_eq!((&model.parent_id, model.kind), (&process.span_id, CLIENT));
    let delivery = span(&spans, "POST /fb/sending/sendContent");
    assert_eq!((&delivery.parent_id, delivery.kind), (&process.span_id, CLIENT));
    assert!(delivery.start_ns >= model.end_ns && !delivery.is_error);
    for parent in [request, process] {
        let transactions = spans.iter().filter(|span| span.name == "tenant transaction");
        let mut own = transactions.filter(|span| span.parent_id == parent.span_id).peekable();
        assert!(own.peek().is_some());
        assert!(own.all(|span| span.attributes["lisa.transaction.end"] == "commit"));
    }
    assert!(spans.iter().all(|span| span.end_ns >= span.start_ns));

    let told = format!("{spans:?}");
    for text in TEXTS.iter().copied().chain([bot.secret.as_str(), "s3cret", "select "]) {
        assert!(!told.contains(text), "{text}: {told}");
    }
    assert!(bot.collector.requests().iter().all(|headers| headers["x-key"] == "s3cret"));
    for run in [received, replied] {
        assert!(run.logs.lines.iter().any(|line| line["trace_id"] == TRACE_ID), "{}", run.logs.text);
        assert!(!run.logs.text.contains("s3cret"), "{}", run.logs.text);
    }
}

#[tokio::test]
async fn a_model_call_has_the_attributes_of_the_genai_conventions_and_texts_only_on_demand() {
    let bot = TracedBot::start().await;
    let (_, event) = bot.receive(&format!("00-{TRACE_ID}-{CALLER_SPAN}-01")).await;
    let content = [("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "true")];
    bot.reply(&content, event).await;

    let spans = bot.collector.spans();
    let model = &span(&spans, "chat openai/gpt-oss-120b").attributes;
    for (name, value) in [
        ("gen_ai.operation.name", json!("chat")),
        ("gen_ai.provider.name", json!("groq")),
        ("gen_ai.system", json!("groq")),
        ("gen_ai.request.model", json!("openai/gpt-oss-120b")),
        ("gen_ai.response.finish_reasons", json!(["stop"])),
        ("server.address", json!("127.0.0.1")),
    ] {
        assert_eq!(model[name], value, "{name}");
    }
    assert!(model["gen_ai.response.model"].is_string());
    let [input, output] =
        ["input", "output"].map(|side| model[&format!("gen_ai.usage.{side}_tokens")].as_f64().unwrap());
    assert!(input > 0.0 && output > 0.0 && model["gen_ai.request.max_tokens"].as_i64().unwrap() > 0);
    // The prices of the model are 0.15 and 0.60 dollars for a million tokens; a cost is rounded up to a millionth.
    let cost = model["gen_ai.usage.cost"].as_f64().unwrap();
    let exact = (input * 0.15 + output * 0.6) / 1e6;
    assert!((exact - 1e-9..=exact + 1e-6).contains(&cost), "{cost} is not {exact}");

    let messages: Value = serde_json::from_str(model["gen_ai.input.messages"].as_str().unwrap()).unwrap();
    let question = messages.as_array().unwrap().last().unwrap();
    assert_eq!(question["role"], "user");
    assert!(question["parts"][0]["content"].as_str().unwrap().contains("livraison"), "{messages}");
    let answer: Value = serde_json::from_str(model["gen_ai.output.messages"].as_str().unwrap()).unwrap();
    let parts = json!([{ "type": "text", "content": "C'est noté." }]);
    assert_eq!(answer, json!([{ "role": "assistant", "parts": parts, "finish_reason": "stop" }]));
    let told = format!("{spans:?}");
    assert!(!told.contains("2250700000000") && !told.contains(&bot.secret), "{told}");
}

#[tokio::test]
async fn a_request_without_a_traceparent_belongs_to_the_trace_of_xray() {
    let bot = TracedBot::start().await;
    let run = bot.run("health", &[], bot.deployed.event("health")).await;
    assert_eq!(run.response()["statusCode"], 200);
    let spans = bot.collector.spans();
    let request = span(&spans, "GET /health");
    assert_eq!(request.trace_id, "69230b5e3f2f1b6c0a4d5e6f7a8b9c0d");
    assert_eq!((request.parent_id.as_str(), request.parent_is_remote), ("", false));
}

#[tokio::test]
async fn a_caller_that_does_not_record_its_trace_is_followed_through_the_queue() {
    let bot = TracedBot::start().await;
    let (_, event) = bot.receive(&format!("00-{TRACE_ID}-{CALLER_SPAN}-00")).await;
    let traceparent = event["Records"][0]["messageAttributes"]["traceparent"]["stringValue"].as_str().unwrap();
    assert!(traceparent.starts_with(&format!("00-{TRACE_ID}-")) && traceparent.ends_with("-00"), "{traceparent}");
    bot.reply(&[], event).await;
    assert!(bot.collector.spans().is_empty() && bot.collector.requests().is_empty());
}

#[tokio::test]
async fn a_collector_that_fails_or_is_silent_costs_no_answer() {
    let bot = TracedBot::start().await;
    for (reply, requests) in [
        (CollectorReply::Status(500), 1),
        (CollectorReply::RetryAfter(3_600), 1),
        (CollectorReply::Status(401), 1),
        (CollectorReply::Hang, 1),
        (CollectorReply::Partial(2), 1),
    ] {
        let before = bot.collector.requests().len();
        bot.collector.always(reply);
        let begun = Instant::now();
        let run = bot.run("health", &[("OTEL_EXPORTER_OTLP_TIMEOUT", "200")], bot.deployed.event("health")).await;
        assert_eq!(run.response()["statusCode"], 200, "{reply:?}: {}", run.logs.text);
        assert!(begun.elapsed() < Duration::from_secs(10), "{reply:?}");
        assert_eq!(bot.collector.requests().len() - before, requests, "{reply:?}: one request for each event");
        let warned: Vec<_> = run.logs.lines.iter().filter(|line| line["level"] == "WARN").collect();
        let [warning] = warned.as_slice() else { panic!("{reply:?}: {}", run.logs.text) };
        let expected = match reply {
            CollectorReply::Partial(_) => "the collector refused spans",
            _ => "traces were not exported",
        };
        assert_eq!(warning["message"], expected, "{reply:?}");
    }
    let unreachable = format!("http://127.0.0.1:{}", local_postgres::free_port().unwrap());
    let endpoint = [("OTEL_EXPORTER_OTLP_ENDPOINT", unreachable.as_str())];
    let run = bot.run("health", &endpoint, bot.deployed.event("health")).await;
    assert_eq!(run.response()["statusCode"], 200, "{}", run.logs.text);
    assert!(run.logs.text.contains("the collector could not be reached"), "{}", run.logs.text);
}
