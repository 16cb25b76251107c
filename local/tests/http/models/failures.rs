//! Every failure of every provider, for the three callers of models: the query, the streamed query and the WhatsApp
//! reply. Either the fallback answers, or the caller gets an apology in time and the request is refunded.

use std::time::{Duration, Instant};

use local::fakes::models::{FakeModels, FakeReply, StreamStep};
use serde_json::{Value, json};

use super::{
    super::support::{TestResponse, WhatsAppFixture},
    assert_apology,
};

const QUESTION: &str = "How long does the delivery take?";
const TEXT: &str = "The delivery takes three days. The warranty lasts two years.";
/// The longest time until all three callers have an answer or an apology.
const MAX_ANSWER_TIME: Duration = Duration::from_secs(25);

/// A failure of the first provider.
struct ProviderFailure {
    reply: FakeReply,
    /// Calls to the first provider for one question.
    calls: usize,
    /// True when the fallback is not asked, because the model blocked the question.
    is_final: bool,
}

fn failures(name: &str) -> Vec<ProviderFailure> {
    let refused = |status, retry_after_s| FakeReply::Refused { status, retry_after_s };
    let fails = |reply, calls| ProviderFailure { reply, calls, is_final: false };
    vec![
        fails(FakeReply::Hang, 1),
        fails(refused(429, Some(0)), 3),
        fails(refused(429, Some(34)), 1),
        fails(if name == "gemini" { FakeReply::PerDay } else { refused(429, Some(86_400)) }, 1),
        fails(refused(529, Some(0)), 3),
        fails(FakeReply::NotJson, 3),
        fails(FakeReply::OtherJson, 3),
        fails(FakeReply::Empty, 3),
        ProviderFailure { reply: FakeReply::Blocked, calls: 1, is_final: true },
    ]
}

/// A WhatsApp tenant with one document, and two providers. Messages of contacts are stored with a time one minute in
/// the past, so that the reply worker has no time for another attempt.
struct FallbackFixture {
    whatsapp: WhatsAppFixture,
    first: FakeModels,
    second: FakeModels,
}

/// The answers to one question from the query, the streamed query and WhatsApp.
struct AnswersByCaller {
    query: TestResponse,
    streamed_text: String,
    /// Name and data of the stream's last event.
    stream_end: (String, Value),
    message: String,
}

impl FallbackFixture {
    async fn new(name: &str, prefix: &str) -> Self {
        let (first, second) = (FakeModels::start().await.unwrap(), FakeModels::start().await.unwrap());
        let [key, models, url] = ["API_KEY", "MODELS", "BASE_URL"].map(|setting| format!("{prefix}_{setting}"));
        let whatsapp = WhatsAppFixture::with_settings(&[
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
        whatsapp.upload_document(TEXT).await;
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

    /// Asks in all three ways at once; `contact` is a new WhatsApp contact each time.
    async fn ask(&self, contact: u64) -> AnswersByCaller {
        let started = Instant::now();
        let (app, tenant) = (&self.whatsapp.app, &self.whatsapp.tenant);
        let stream = async {
            let body = json!({ "question": QUESTION });
            let mut stream = app.post("/api/v1/query/stream").by(tenant).json(&body).stream().await.unwrap();
            stream.expect_event("citations").await;
            stream.read_to_end().await
        };
        let message = async {
            self.whatsapp.deliver_text(contact, QUESTION).await.json_body(200);
            self.whatsapp.wait_for_texts(contact, 1).await.remove(0)
        };
        let (query, (streamed_text, end), message) = tokio::join!(app.ask(tenant, QUESTION), stream, message);
        assert!(started.elapsed() < MAX_ANSWER_TIME, "{:?}", started.elapsed());
        self.whatsapp.wait_for_reply_jobs().await;
        for text in [&query.text, &streamed_text, &end.data.to_string(), &message] {
            assert!(!text.contains("onsidering") && !text.contains("test-key"), "{text}");
        }
        AnswersByCaller { query, streamed_text, stream_end: (end.name, end.data), message }
    }

    /// Asks, and asserts that `model` gave all three answers.
    async fn assert_answered_by(&self, model: &str, contact: u64, what: &str) {
        let got = self.ask(contact).await;
        let data = got.query.data(200);
        assert_eq!((&data["answered"], &data["model"]), (&json!(true), &json!(model)), "{what}");
        assert_eq!((got.stream_end.0.as_str(), &got.stream_end.1["model"]), ("done", &json!(model)), "{what}");
        assert_eq!(
            (&data["answer"], &got.stream_end.1["answer"]),
            (&json!(got.streamed_text), &json!(got.streamed_text)),
            "{what}"
        );
        assert!(got.message.contains("It takes three days."), "{what}: {}", got.message);
    }

    /// Asks, and asserts that all three answers are the apology for `why` and that nothing is charged.
    async fn assert_apologies(&self, why: &str, contact: u64, what: &str) {
        let used = self.free_quota_used().await;
        let got = self.ask(contact).await;
        assert_apology(got.query, why);
        assert_eq!((got.stream_end.0.as_str(), &got.stream_end.1["model"]), ("done", &json!("none")), "{what}");
        assert!(
            got.streamed_text.contains(why) && got.stream_end.1["answer"] == json!(got.streamed_text),
            "{what}: {}",
            got.streamed_text
        );
        assert!(got.message.contains("Sorry, I cannot answer") && got.message.contains(why), "{what}: {}", got.message);
        assert_eq!(self.free_quota_used().await, used, "{what}: nothing is taken for no answer");
        assert_eq!(self.whatsapp.number("select count(*) from reservations where state = 'held'").await, 0, "{what}");
    }

    async fn free_quota_used(&self) -> i64 {
        self.whatsapp.number("select sum(free_quota_used) from user_settings").await
    }

    fn calls(&self) -> (usize, usize) {
        (self.first.calls(), self.second.calls())
    }
}

/// Asserts for each failure of a provider that the fallback answers, or that all callers get an apology.
async fn check_failures_of(name: &str, prefix: &str) {
    let fixture = FallbackFixture::new(name, prefix).await;
    let well = FakeReply::Text("It takes three days [1].".to_owned());
    let mut contact = 0;
    let mut next = || {
        contact += 1;
        contact
    };
    for failure in failures(name) {
        let what = format!("{name}: {:?}", failure.reply);
        // A successful call closes the circuits that the previous failure opened.
        fixture.first.always(well.clone());
        fixture.second.always(well.clone());
        fixture.assert_answered_by("first", next(), &what).await;
        let before = fixture.calls();
        fixture.first.always(failure.reply.clone());
        if failure.is_final {
            fixture.assert_apologies("this question", next(), &what).await;
        } else {
            fixture.assert_answered_by("second", next(), &what).await;
        }
        let asked = if failure.is_final { 0 } else { 3 };
        let after = fixture.calls();
        assert_eq!((after.0 - before.0, after.1 - before.1), (3 * failure.calls, asked), "{what}");
        if failure.is_final {
            continue;
        }

        fixture.first.always(well.clone());
        fixture.assert_answered_by("first", next(), &what).await;
        fixture.first.always(failure.reply.clone());
        fixture.second.always(failure.reply);
        fixture.assert_apologies("right now", next(), &what).await;
    }
    // The fallback cannot continue a text of which the client already has a part.
    fixture.first.always(FakeReply::Stream(vec![StreamStep::Send("It takes".to_owned()), StreamStep::Fail(529)]));
    fixture.second.always(well);
    let used = fixture.free_quota_used().await;
    let got = fixture.ask(next()).await;
    assert_eq!((got.streamed_text.as_str(), &got.stream_end.1["model"]), ("It takes", &json!("none")), "{name}");
    got.query.data(200);
    assert_eq!(fixture.free_quota_used().await - used, 2, "{name}: the other two are answered");
}

#[tokio::test]
async fn every_failure_of_gemini_ends_in_a_fallback_answer_or_an_apology() {
    check_failures_of("gemini", "GEMINI").await;
}

#[tokio::test]
async fn every_failure_of_anthropic_ends_in_a_fallback_answer_or_an_apology() {
    check_failures_of("anthropic", "ANTHROPIC").await;
}

#[tokio::test]
async fn every_failure_of_groq_ends_in_a_fallback_answer_or_an_apology() {
    check_failures_of("groq", "GROQ").await;
}

#[tokio::test]
async fn every_failure_of_deepseek_ends_in_a_fallback_answer_or_an_apology() {
    check_failures_of("deepseek", "DEEPSEEK").await;
}
