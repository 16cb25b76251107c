//! POST /api/v1/query/stream: events during a model call, and the end of the stream after failures.

use std::time::{Duration, Instant};

use local::fakes::models::{FakeModels, FakeReply, StreamStep};
use serde_json::{Value, json};

use super::support::{
    App, EventStream, ServerSentEvent, TenantUser, TestResponse, WAIT_TIMEOUT, small_pdf, wait_until,
};

const STREAM: &str = "/api/v1/query/stream";
const QUESTION: &str = "How long does the delivery take?";
const TEXT: &str = "The delivery takes three days. The warranty lasts two years.";
const DIALECTS: [(&str, &str); 3] = [("groq", "GROQ"), ("gemini", "GEMINI"), ("anthropic", "ANTHROPIC")];

/// A running app that uses fake model servers, and a tenant with one document.
struct StreamFixture {
    app: App,
    tenant: TenantUser,
}

impl StreamFixture {
    async fn new(settings: &[(&str, &str)]) -> Self {
        let app = App::with_settings(settings).await;
        let tenant = app.sign_up("Comptoir Baobab").await;
        app.upload_and_process(&tenant, "guide.pdf", small_pdf(TEXT)).await;
        Self { app, tenant }
    }

    async fn with_provider(name: &str, prefix: &str, server: &FakeModels) -> Self {
        let [key, models, url] = ["API_KEY", "MODELS", "BASE_URL"].map(|setting| format!("{prefix}_{setting}"));
        let base_url = server.base_url();
        Self::new(&[("LLM_PROVIDER", name), (&key, "test-key"), (&models, "small-model"), (&url, &base_url)]).await
    }

    /// Two providers with one model each; the second one is the fallback.
    async fn with_two_providers(first: &FakeModels, second: &FakeModels) -> Self {
        Self::new(&[
            ("LLM_PROVIDER", "anthropic"),
            ("LLM_FALLBACKS", "groq"),
            ("ANTHROPIC_API_KEY", "a"),
            ("ANTHROPIC_MODELS", "first"),
            ("ANTHROPIC_BASE_URL", &first.base_url()),
            ("GROQ_API_KEY", "b"),
            ("GROQ_MODELS", "second"),
            ("GROQ_BASE_URL", &second.base_url()),
        ])
        .await
    }

    async fn ask(&self) -> EventStream {
        ask(&self.app, &self.tenant, &json!({ "question": QUESTION })).await.unwrap()
    }

    /// Asks, and returns the text of all deltas and the last event.
    async fn ask_to_end(&self) -> (String, ServerSentEvent) {
        let mut stream = self.ask().await;
        stream.expect_event("citations").await;
        stream.read_to_end().await
    }

    async fn free_quota_used(&self) -> Value {
        free_quota_used(&self.app, &self.tenant).await
    }

    /// Counts the ledger's model calls for queries that have this status.
    async fn ledger_calls(&self, status: &str) -> i64 {
        let query = format!("select count(*) from llm_calls where status = '{status}' and purpose = 'query'");
        self.app.number(&query).await
    }
}

async fn ask(app: &App, tenant: &TenantUser, body: &Value) -> Result<EventStream, TestResponse> {
    app.post(STREAM).by(tenant).json(body).stream().await
}

async fn free_quota_used(app: &App, tenant: &TenantUser) -> Value {
    app.get("/api/v1/quota/status").by(tenant).await.data(200)["free_quota_used"].clone()
}

fn say(text: &str) -> StreamStep {
    StreamStep::Send(text.to_owned())
}

#[tokio::test]
async fn the_first_delta_arrives_before_the_model_has_finished() {
    for (name, prefix) in DIALECTS {
        let server = FakeModels::start().await.unwrap();
        let fixture = StreamFixture::with_provider(name, prefix, &server).await;
        server.reply_steps([
            say("It takes "),
            say("three "),
            StreamStep::Wait,
            say("days [1]."),
            StreamStep::Wait,
            say(" Yes."),
        ]);

        let mut stream = fixture.ask().await;

        let citations = stream.expect_event("citations").await;
        let passage = &citations["citations"][0];
        assert_eq!(
            (&passage["number"], &passage["filename"], &passage["page"]),
            (&json!(1), &json!("guide.pdf"), &json!(1))
        );
        assert_eq!(passage["snippet"], TEXT);
        assert_eq!(stream.expect_event("delta").await, json!({ "text": "It takes" }), "{name}");
        assert_eq!(stream.expect_event("delta").await, json!({ "text": " three" }));
        assert_eq!(fixture.app.number("select count(*) from reservations where state = 'held'").await, 1);
        server.resume();
        assert_eq!(stream.expect_event("delta").await, json!({ "text": " days [1]." }));
        server.resume();
        assert_eq!(stream.expect_event("delta").await, json!({ "text": " Yes." }));
        let done = stream.expect_event("done").await;
        assert_eq!(stream.next().await, None);

        assert_eq!(done["answer"], "It takes three days [1]. Yes.");
        assert_eq!((&done["answered"], &done["model"]), (&json!(true), &json!("small-model")));
        assert_eq!(done["usage"], json!({ "prompt_tokens": 120, "completion_tokens": 30 }), "{name}");
        assert_eq!(done["citations"][0]["snippet"], "The delivery takes three days.");
        assert_eq!(done["citations"][0]["number"], 1);
        assert_eq!((done["quota"]["free_quota_used"].clone(), fixture.free_quota_used().await), (json!(1), json!(1)));
        assert_eq!((fixture.ledger_calls("ok").await, server.calls()), (1, 1));
        assert_eq!(fixture.app.number("select count(*) from reservations where state = 'spent'").await, 1);
        let asked = &server.received()[0];
        match name {
            "gemini" => assert_eq!(asked.path, "/models/small-model:streamGenerateContent?alt=sse"),
            _ => assert_eq!(asked.body["stream"], true),
        }
    }
}

#[tokio::test]
async fn a_client_that_disconnects_after_a_delta_stops_the_model_and_pays() {
    for (name, prefix) in DIALECTS {
        let server = FakeModels::start().await.unwrap();
        let fixture = StreamFixture::with_provider(name, prefix, &server).await;
        server.reply_steps([say("It takes "), StreamStep::Wait, say("three days [1].")]);
        let mut stream = fixture.ask().await;
        stream.expect_event("citations").await;
        stream.expect_event("delta").await;
        assert_eq!(fixture.free_quota_used().await, 1);

        drop(stream);

        server.wait_for_abandoned_reply().await;
        let spent = "select count(*) from reservations where state = 'spent'";
        wait_until("the unit is spent", WAIT_TIMEOUT, async || (fixture.app.number(spent).await == 1).then_some(()))
            .await;
        assert_eq!(
            (fixture.ledger_calls("abandoned").await, server.calls(), fixture.free_quota_used().await),
            (1, 1, json!(1)),
            "{name}"
        );
        // The next question is answered as usual.
        assert_eq!(fixture.ask_to_end().await.1.name, "done");
    }
}

#[tokio::test]
async fn a_client_that_disconnects_before_the_first_delta_pays_nothing() {
    let groq = FakeModels::start().await.unwrap();
    let fixture = StreamFixture::with_provider("groq", "GROQ", &groq).await;
    groq.hold();
    let mut stream = fixture.ask().await;
    stream.expect_event("citations").await;
    groq.wait_for_held_request().await;
    drop(stream);
    wait_until("the unit is back", WAIT_TIMEOUT, async || (fixture.free_quota_used().await == 0).then_some(())).await;
    assert_eq!((fixture.ledger_calls("abandoned").await, groq.calls()), (1, 1));
    groq.release();
}

#[tokio::test]
async fn a_call_of_the_embedding_model_that_a_disconnect_ends_is_in_the_cost_ledger() {
    let server = FakeModels::start().await.unwrap();
    let url = server.base_url();
    let fixture = StreamFixture::new(&[
        ("EMBEDDING_PROVIDER", "openai"),
        ("EMBEDDING_MODEL", "small-model"),
        ("OPENAI_API_KEY", "test-key"),
        ("OPENAI_BASE_URL", &url),
        ("LLM_PROVIDER", "extractive"),
        ("LLM_PRICES", r#"{"small-model": {"in": 1000000, "out": 0}}"#),
    ])
    .await;
    server.hold();
    tokio::select! {
        _ = fixture.ask() => panic!("nothing was found yet"),
        () = server.wait_for_held_request() => {}
    }
    let ledger = "select count(*) from llm_calls where purpose = 'query'";
    wait_until("the call is recorded", WAIT_TIMEOUT, async || (fixture.app.number(ledger).await == 1).then_some(()))
        .await;
    assert_eq!(fixture.ledger_calls("abandoned").await, 1);
    // The question has 32 bytes, of which three make a token.
    let costs = "select count(*) from llm_calls where purpose = 'query' and prompt_tokens = 11 and cost_micros = 11";
    assert_eq!(fixture.app.number(costs).await, 1);
    assert_eq!(fixture.free_quota_used().await, 0);
    server.release();
}

#[tokio::test]
async fn a_stream_that_breaks_after_a_delta_ends_in_an_apology_and_costs_nothing() {
    for (name, prefix) in DIALECTS {
        let server = FakeModels::start().await.unwrap();
        let fixture = StreamFixture::with_provider(name, prefix, &server).await;
        for broken in [StreamStep::Fail(529), StreamStep::Fail(400), StreamStep::Cut, StreamStep::Stop] {
            let before = server.calls();
            server.reply_steps([say("It takes three"), broken.clone()]);
            let (text, end) = fixture.ask_to_end().await;
            assert_eq!((text.as_str(), end.name.as_str()), ("It takes three", "done"), "{name}: {broken:?}");
            assert_eq!((&end.data["answered"], &end.data["model"]), (&json!(false), &json!("none")));
            assert!(end.data["answer"].as_str().unwrap().starts_with("Sorry, I cannot answer right now"));
            assert_eq!(end.data["quota"]["free_quota_used"], 0);
            assert_eq!(server.calls() - before, 1, "nobody else can go on with it");
            assert_eq!(fixture.free_quota_used().await, 0);
        }
        assert_eq!(fixture.ledger_calls("ok").await, 0);
        assert_eq!(fixture.app.number("select count(*) from llm_calls").await, 4);
    }
}

#[tokio::test]
async fn a_failure_before_the_first_delta_falls_back_to_the_next_model() {
    let (first, second) = (FakeModels::start().await.unwrap(), FakeModels::start().await.unwrap());
    let fixture = StreamFixture::with_two_providers(&first, &second).await;
    let refused = |status| FakeReply::Refused { status, retry_after_s: None };
    // The last two send only text that is not shown to the client, so another model can still answer.
    for failure in [
        refused(401),
        refused(404),
        FakeReply::Stream(vec![StreamStep::Fail(400)]),
        FakeReply::Stream(vec![say("<think>Hm [9]"), StreamStep::Fail(400)]),
        FakeReply::Stream(vec![say("NOT_IN"), StreamStep::Fail(400)]),
    ] {
        fixture.app.sql("update user_settings set free_quota_used = 0").await;
        let before = (first.calls(), second.calls());
        first.reply(failure.clone());
        let (text, end) = fixture.ask_to_end().await;
        assert_eq!((text.as_str(), end.name.as_str()), ("The documents say so [1].", "done"), "{failure:?}");
        assert_eq!(end.data["model"], "second");
        assert_eq!((first.calls() - before.0, second.calls() - before.1), (1, 1));
        assert_eq!(fixture.free_quota_used().await, 1);
    }
    // A transient failure is retried with the first model.
    for passing in [FakeReply::Refused { status: 529, retry_after_s: Some(0) }, FakeReply::NotJson, FakeReply::Empty] {
        first.reply(passing);
        assert_eq!(fixture.ask_to_end().await.1.data["model"], "first");
    }
}

#[tokio::test]
async fn a_stream_without_a_model_answer_ends_in_an_apology_and_a_refund() {
    for (name, prefix) in DIALECTS {
        let server = FakeModels::start().await.unwrap();
        let fixture = StreamFixture::with_provider(name, prefix, &server).await;
        for (reply, sentence) in [
            (
                FakeReply::Refused { status: 403, retry_after_s: None },
                "Sorry, I cannot answer right now. Please try again a little later.",
            ),
            (FakeReply::Blocked, "Sorry, I cannot answer this question."),
        ] {
            server.reply(reply);
            let (text, end) = fixture.ask_to_end().await;
            assert_eq!((text.as_str(), end.name.as_str()), (sentence, "done"), "{name}");
            assert_eq!((&end.data["answer"], &end.data["answered"]), (&json!(sentence), &json!(false)));
            assert!(!end.data.to_string().contains("test-key"));
            assert_eq!(fixture.free_quota_used().await, 0);
        }
    }
}

#[tokio::test]
async fn a_model_that_stops_sending_times_out_and_costs_nothing() {
    let groq = FakeModels::start().await.unwrap();
    let fixture = StreamFixture::new(&[
        ("LLM_PROVIDER", "groq"),
        ("LLM_CALL_TIMEOUT_S", "1"),
        ("GROQ_API_KEY", "k"),
        ("GROQ_MODELS", "only-model"),
        ("GROQ_BASE_URL", &groq.base_url()),
    ])
    .await;
    groq.reply_steps([say("It takes"), StreamStep::Wait]);
    let started = Instant::now();
    let end = fixture.ask_to_end().await.1;
    assert_eq!((end.name.as_str(), &end.data["model"]), ("done", &json!("none")));
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    groq.wait_for_abandoned_reply().await;
    assert_eq!((fixture.free_quota_used().await, fixture.ledger_calls("timeout").await), (json!(0), 1));
}

#[tokio::test]
async fn citation_markers_are_never_split_across_deltas() {
    for (name, prefix) in DIALECTS {
        let server = FakeModels::start().await.unwrap();
        let fixture = StreamFixture::with_provider(name, prefix, &server).await;
        let pieces =
            ["It takes three days [", "1", "][", "7]", ". [", "Really", "] [4", "2] two years 【", "1†x】", "."];
        server.reply_steps(pieces.map(say));
        let mut stream = fixture.ask().await;
        stream.expect_event("citations").await;
        let mut text = String::new();
        let done = loop {
            let event = stream.next().await.unwrap();
            if event.name == "done" {
                break event.data;
            }
            let piece = event.data["text"].as_str().unwrap().to_owned();
            assert_eq!(piece.matches('[').count(), piece.matches(']').count(), "{name}: {piece}");
            text.push_str(&piece);
        };
        assert_eq!(text, "It takes three days [1]. [Really] two years [1].", "{name}");
        assert_eq!(done["answer"], text);
        assert_eq!(done["citations"].as_array().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn streamed_citation_numbers_match_the_citations_event() {
    let groq = FakeModels::start().await.unwrap();
    let fixture = StreamFixture::with_provider("groq", "GROQ", &groq).await;
    fixture
        .app
        .upload_and_process(&fixture.tenant, "more.pdf", small_pdf("The delivery takes longer on islands."))
        .await;
    groq.reply_text("On islands longer [2].");
    let mut stream = fixture.ask().await;
    let given = stream.expect_event("citations").await["citations"].clone();
    let (text, end) = stream.read_to_end().await;
    assert_eq!((text.as_str(), &end.data["answer"]), ("On islands longer [2].", &json!("On islands longer [2].")));
    let cited = end.data["citations"].as_array().unwrap();
    assert_eq!((cited.len(), &cited[0]["number"]), (1, &json!(2)));
    assert_eq!((&cited[0]["document_id"], &given[1]["number"]), (&given[1]["document_id"], &json!(2)));
}

#[tokio::test]
async fn a_streamed_question_without_an_answer_gets_the_not_found_sentence() {
    let groq = FakeModels::start().await.unwrap();
    let fixture = StreamFixture::with_provider("groq", "GROQ", &groq).await;
    groq.reply_steps(["NOT_", "IN_DOCUMENTS", " [1]"].map(say));
    let (text, end) = fixture.ask_to_end().await;
    assert_eq!(
        text,
        "I could not find the answer in the documents. Could you be more specific, or ask a person of the team?"
    );
    assert_eq!(
        (&end.data["answered"], &end.data["citations"], &end.data["answer"]),
        (&json!(false), &json!([]), &json!(text))
    );
    // A text without a valid citation was already sent; the `done` event replaces it.
    groq.reply_text("The capital of Mongolia is Ulaanbaatar [7].");
    let (told, end) = fixture.ask_to_end().await;
    assert_eq!(told, "The capital of Mongolia is Ulaanbaatar.");
    assert_eq!((&end.data["answered"], &end.data["answer"]), (&json!(false), &json!(text)));
    assert_eq!(fixture.free_quota_used().await, 2);
}

#[tokio::test]
async fn without_a_model_the_answer_is_one_delta() {
    let fixture = StreamFixture::new(&[]).await;
    let mut stream = fixture.ask().await;
    stream.expect_event("citations").await;
    let delta = stream.expect_event("delta").await;
    let done = stream.expect_event("done").await;
    assert_eq!((&done["answer"], &done["model"]), (&delta["text"], &json!("extractive-1")));
    assert!(done["answer"].as_str().unwrap().contains("three days"));
    assert_eq!(done["citations"][0]["number"], 1);
    assert_eq!(fixture.free_quota_used().await, 1);
}

#[tokio::test]
async fn when_no_model_answers_the_passages_are_quoted_unless_text_was_sent() {
    let groq = FakeModels::start().await.unwrap();
    let base_url = groq.base_url();
    let fixture = StreamFixture::new(&[
        ("LLM_PROVIDER", "groq"),
        ("LLM_FALLBACKS", "extractive"),
        ("GROQ_API_KEY", "k"),
        ("GROQ_MODELS", "only-model"),
        ("GROQ_BASE_URL", &base_url),
    ])
    .await;
    groq.fail(401);
    let (text, end) = fixture.ask_to_end().await;
    assert_eq!((&end.data["model"], &end.data["answer"]), (&json!("extractive-1"), &json!(text)));
    // Passages are not quoted after a part of a model's answer was sent.
    groq.reply_steps([say("It takes"), StreamStep::Cut]);
    let (text, end) = fixture.ask_to_end().await;
    assert_eq!((text.as_str(), &end.data["model"]), ("It takes", &json!("none")));
    assert_eq!(fixture.free_quota_used().await, 1);
}

#[tokio::test]
async fn an_invalid_question_is_refused_before_the_stream_begins() {
    let fixture = StreamFixture::new(&[]).await;
    let (app, tenant) = (&fixture.app, &fixture.tenant);
    let refused = async |body: Value| ask(app, tenant, &body).await.err().expect("a refusal");
    app.post(STREAM).json(&json!({ "question": QUESTION })).await.refused(401, "unauthorized");
    refused(json!({})).await.invalid_fields(&["question"]);
    refused(json!({ "question": QUESTION, "top_k": 0 })).await.invalid_fields(&["top_k"]);
    let unknown_id = "0b9f2c34-5a1f-4a57-9a43-2f6e6f0f6f01";
    refused(json!({ "question": QUESTION, "document_ids": [unknown_id] })).await.refused(404, "not_found");
    refused(json!({ "question": QUESTION, "conversation_id": unknown_id })).await.refused(404, "not_found");
    assert_eq!(fixture.free_quota_used().await, 0);
    app.sql("update user_settings set free_quota_used = free_quota_limit").await;
    let details = refused(json!({ "question": QUESTION })).await.refused(402, "quota_exceeded");
    assert_eq!(details["state"], "blocked");
}

#[tokio::test]
async fn a_failure_before_the_first_event_is_a_plain_json_error() {
    let fixture = StreamFixture::new(&[]).await;
    fixture.app.sql("alter table document_chunks rename column embedding to lost").await;
    let answer = ask(&fixture.app, &fixture.tenant, &json!({ "question": QUESTION })).await.err().expect("a refusal");
    assert!(!answer.text.contains("document_chunks"), "{}", answer.text);
    answer.refused(500, "internal");
    fixture.app.sql("alter table document_chunks rename column lost to embedding").await;
    assert_eq!(fixture.free_quota_used().await, 0);
}

#[tokio::test]
async fn documents_of_another_tenant_reach_neither_the_stream_nor_the_model() {
    let groq = FakeModels::start().await.unwrap();
    let fixture = StreamFixture::with_provider("groq", "GROQ", &groq).await;
    let other = fixture.app.sign_up("Autre Maison").await;
    let foreign =
        fixture.app.upload_and_process(&other, "secret.pdf", small_pdf("The delivery takes a hundred years.")).await;
    let body = json!({ "question": QUESTION, "document_ids": [foreign] });
    ask(&fixture.app, &fixture.tenant, &body).await.err().expect("a refusal").refused(404, "not_found");
    let mut stream = fixture.ask().await;
    let citations = stream.expect_event("citations").await;
    assert_eq!(citations["citations"].as_array().unwrap().len(), 1);
    assert!(!citations.to_string().contains("secret.pdf"));
    stream.read_to_end().await;
    assert!(!groq.requests()[0].to_string().contains("hundred years"));
    assert_eq!((fixture.free_quota_used().await, free_quota_used(&fixture.app, &other).await), (json!(1), json!(0)));
}

#[tokio::test]
async fn passages_shown_to_a_support_user_are_audited_even_without_an_answer() {
    let groq = FakeModels::start().await.unwrap();
    let fixture = StreamFixture::with_provider("groq", "GROQ", &groq).await;
    let support = fixture.app.sign_up_support(&fixture.tenant).await;
    let queried = "select count(*) from audit_log where action = 'documents.queried' and details->'documents' <> '[]'";
    for (place, reply) in
        [FakeReply::Text("Three days [1].".to_owned()), FakeReply::Stream(vec![say("Three"), StreamStep::Cut])]
            .into_iter()
            .enumerate()
    {
        groq.reply(reply);
        let call = fixture.app.post(STREAM).by(&support);
        let mut stream = call.json(&json!({ "question": QUESTION })).stream().await.unwrap();
        stream.expect_event("citations").await;
        stream.read_to_end().await;
        assert_eq!(fixture.app.number(queried).await, i64::try_from(place).unwrap() + 1);
    }
}

#[tokio::test]
async fn a_browser_may_stream_from_an_allowed_origin() {
    let app = App::with_settings(&[("CORS_ORIGINS", "https://app.example.com")]).await;
    let preflight = app.call(reqwest::Method::OPTIONS, STREAM).header("origin", "https://app.example.com");
    let answer = preflight.header("access-control-request-method", "POST").await;
    assert_eq!((answer.status, answer.header("access-control-allow-origin")), (200, "https://app.example.com"));
}

/// Measures and prints the time from a model's first word to the first delta at the client. Run with
/// `cargo test -p local --test http -- --ignored --nocapture how_soon_a_word_is_there`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement; the first test of this file holds that a delta does not wait for the end"]
async fn how_soon_a_word_is_there() {
    const ROUNDS: usize = 200;
    let groq = FakeModels::start().await.unwrap();
    let fixture = StreamFixture::with_provider("groq", "GROQ", &groq).await;
    fixture.app.sql("update user_settings set free_quota_limit = 1000").await;
    let mut took = Vec::new();
    for _ in 0..ROUNDS {
        // The model waits before its first word until `resume`, where the measurement starts.
        groq.reply_steps([StreamStep::Wait, say("Three"), say(" days [1].")]);
        let calls = groq.calls();
        let mut stream = fixture.ask().await;
        stream.expect_event("citations").await;
        wait_until("the model is asked", WAIT_TIMEOUT, async || (groq.calls() > calls).then_some(())).await;
        let spoken = Instant::now();
        groq.resume();
        stream.expect_event("delta").await;
        took.push(spoken.elapsed());
        assert_eq!(stream.read_to_end().await.1.name, "done");
    }
    took.sort_unstable();
    let (p50, p99, most) = (took[ROUNDS / 2], took[ROUNDS * 99 / 100], took[ROUNDS - 1]);
    println!(
        "first word of the model to first delta at the client, {ROUNDS} rounds: p50 {p50:?}, p99 {p99:?}, max {most:?}"
    );
    assert!(most < Duration::from_millis(300), "{most:?}");
}
