//! Every way in which a provider fails, at each of them, for each of the three that ask models: another one answers, or
//! there is a polite end in time, and the unit goes back.

use std::time::{Duration, Instant};

use local::fakes::models::{FakeModels, FakeReply, StreamStep};
use serde_json::{Value, json};

use super::{
    super::support::{Answer, WhatsApp},
    is_put_off,
};

const QUESTION: &str = "How long does the delivery take?";
const TEXT: &str = "The delivery takes three days. The warranty lasts two years.";
/// Within this, everybody has an answer or is told that there is none.
const IN_TIME: Duration = Duration::from_secs(25);

/// How the first provider fails.
struct Failure {
    reply: FakeReply,
    /// The calls until it is given up.
    calls: usize,
    /// Nobody else is asked: the model declined.
    is_final: bool,
}

fn failures(name: &str) -> Vec<Failure> {
    let refused = |status, retry_after_s| FakeReply::Refused { status, retry_after_s };
    let fails = |reply, calls| Failure { reply, calls, is_final: false };
    vec![
        fails(FakeReply::Hang, 1),
        fails(refused(429, Some(0)), 3),
        fails(refused(429, Some(34)), 1),
        fails(if name == "gemini" { FakeReply::PerDay } else { refused(429, Some(86_400)) }, 1),
        fails(refused(529, Some(0)), 3),
        fails(FakeReply::NotJson, 3),
        fails(FakeReply::OtherJson, 3),
        fails(FakeReply::Empty, 3),
        Failure { reply: FakeReply::Blocked, calls: 1, is_final: true },
    ]
}

/// A tenant with a document, two providers, and contacts that have waited for long when their turn comes, so that no
/// other attempt would be in time.
struct Scene {
    whatsapp: WhatsApp,
    first: FakeModels,
    second: FakeModels,
}

/// What each of the three got.
struct Got {
    query: Answer,
    told: String,
    end: (String, Value),
    message: String,
}

impl Scene {
    async fn new(name: &str, prefix: &str) -> Self {
        let (first, second) = (FakeModels::start().await.unwrap(), FakeModels::start().await.unwrap());
        let [key, models, url] = ["API_KEY", "MODELS", "BASE_URL"].map(|setting| format!("{prefix}_{setting}"));
        let whatsapp = WhatsApp::with(&[
            ("LLM_PROVIDER", name),
            ("LLM_FALLBACKS", "openai"),
            ("LLM_CALL_TIMEOUT_S", "1"),
            (&key, "test-key"),
            (&models, "first"),
            (&url, &first.base_url()),
            ("OPENAI_API_KEY", "b"),
            ("OPENAI_MODELS", "second"),
            ("OPENAI_BASE_URL", &second.base_url()),
            ("RATE_LIMIT_USER", "1000000"),
        ])
        .await;
        whatsapp.teach(TEXT).await;
        whatsapp.sql("update user_settings set free_quota_limit = 1000000").await;
        whatsapp
            .sql(
                "create function waited() returns trigger language plpgsql as
                     $$ begin new.created_at := now() - interval '1 minute'; return new; end $$;
                 create trigger waited before insert on messages for each row
                     when (new.author = 'contact') execute function waited()",
            )
            .await;
        Self { whatsapp, first, second }
    }

    /// Asks in all three ways at once, as a contact that is new each time.
    async fn ask(&self, contact: u64) -> Got {
        let started = Instant::now();
        let (app, tenant) = (&self.whatsapp.app, &self.whatsapp.tenant);
        let stream = async {
            let body = json!({ "question": QUESTION });
            let mut stream = app.post("/api/v1/query/stream").by(tenant).json(&body).stream().await.unwrap();
            stream.expect("citations").await;
            stream.rest().await
        };
        let message = async {
            self.whatsapp.write(contact, QUESTION).await.bare(200);
            self.whatsapp.got(contact, 1).await.remove(0)
        };
        let (query, (told, end), message) = tokio::join!(app.ask(tenant, QUESTION), stream, message);
        assert!(started.elapsed() < IN_TIME, "{:?}", started.elapsed());
        self.whatsapp.settled().await;
        for text in [&query.text, &told, &end.data.to_string(), &message] {
            assert!(!text.contains("onsidering") && !text.contains("test-key"), "{text}");
        }
        Got { query, told, end: (end.name, end.data), message }
    }

    /// Asks, and all are answered by this model.
    async fn is_answered_by(&self, model: &str, contact: u64, what: &str) {
        let got = self.ask(contact).await;
        let data = got.query.data(200);
        assert_eq!((&data["answered"], &data["model"]), (&json!(true), &json!(model)), "{what}");
        assert_eq!((got.end.0.as_str(), &got.end.1["model"]), ("done", &json!(model)), "{what}");
        assert_eq!((&data["answer"], &got.end.1["answer"]), (&json!(got.told), &json!(got.told)), "{what}");
        assert!(got.message.contains("It takes three days."), "{what}: {}", got.message);
    }

    /// Asks, and all are told politely that there is no answer.
    async fn is_told(&self, why: &str, contact: u64, what: &str) {
        let used = self.used().await;
        let got = self.ask(contact).await;
        is_put_off(got.query, why);
        assert_eq!((got.end.0.as_str(), &got.end.1["model"]), ("done", &json!("none")), "{what}");
        assert!(got.told.contains(why) && got.end.1["answer"] == json!(got.told), "{what}: {}", got.told);
        assert!(got.message.contains("Sorry, I cannot answer") && got.message.contains(why), "{what}: {}", got.message);
        assert_eq!(self.used().await, used, "{what}: nothing is taken for no answer");
        assert_eq!(self.whatsapp.number("select count(*) from reservations where state = 'held'").await, 0, "{what}");
    }

    async fn used(&self) -> i64 {
        self.whatsapp.number("select sum(free_quota_used) from user_settings").await
    }

    fn calls(&self) -> (usize, usize) {
        (self.first.calls(), self.second.calls())
    }
}

async fn every_failure_of(name: &str, prefix: &str) {
    let scene = Scene::new(name, prefix).await;
    let well = FakeReply::Text("It takes three days [1].".to_owned());
    let mut contact = 0;
    let mut next = || {
        contact += 1;
        contact
    };
    for failure in failures(name) {
        let what = format!("{name}: {:?}", failure.reply);
        // What works closes the circuits.
        scene.first.always(well.clone());
        scene.second.always(well.clone());
        scene.is_answered_by("first", next(), &what).await;
        let before = scene.calls();
        scene.first.always(failure.reply.clone());
        if failure.is_final {
            scene.is_told("this question", next(), &what).await;
        } else {
            scene.is_answered_by("second", next(), &what).await;
        }
        let asked = if failure.is_final { 0 } else { 3 };
        let after = scene.calls();
        assert_eq!((after.0 - before.0, after.1 - before.1), (3 * failure.calls, asked), "{what}");
        if failure.is_final {
            continue;
        }

        scene.first.always(well.clone());
        scene.is_answered_by("first", next(), &what).await;
        scene.first.always(failure.reply.clone());
        scene.second.always(failure.reply);
        scene.is_told("right now", next(), &what).await;
    }
    // Nobody can go on with what a stream that breaks has begun.
    scene.first.always(FakeReply::Stream(vec![StreamStep::Send("It takes".to_owned()), StreamStep::Fail(529)]));
    scene.second.always(well);
    let used = scene.used().await;
    let got = scene.ask(next()).await;
    assert_eq!((got.told.as_str(), &got.end.1["model"]), ("It takes", &json!("none")), "{name}");
    got.query.data(200);
    assert_eq!(scene.used().await - used, 2, "{name}: the other two are answered");
}

#[tokio::test]
async fn every_failure_of_gemini_ends_in_the_fallbacks_answer_or_politely() {
    every_failure_of("gemini", "GEMINI").await;
}

#[tokio::test]
async fn every_failure_of_anthropic_ends_in_the_fallbacks_answer_or_politely() {
    every_failure_of("anthropic", "ANTHROPIC").await;
}

#[tokio::test]
async fn every_failure_of_groq_ends_in_the_fallbacks_answer_or_politely() {
    every_failure_of("groq", "GROQ").await;
}

#[tokio::test]
async fn every_failure_of_deepseek_ends_in_the_fallbacks_answer_or_politely() {
    every_failure_of("deepseek", "DEEPSEEK").await;
}
