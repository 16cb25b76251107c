//! `Provider::chat` and the calls that it reports for the ledger, in each provider's API dialect.

use std::time::Duration;

use local::fakes::models::{FakeModels, FakeReply};
use serde_json::{Value, json};
use shared::{
    llm::{CallStatus, ChatReply, ChatRequest, ChatResult, LlmError, Provider, Role, Tool, ToolCall, Turn, Usage},
    settings::Settings,
};
use tokio::time::Instant;

const DIALECTS: [(&str, &str); 3] = [("groq", "GROQ"), ("gemini", "GEMINI"), ("anthropic", "ANTHROPIC")];

fn provider(name: &str, prefix: &str, server: &FakeModels, more: &[(&str, &str)]) -> Provider {
    let own = [
        ("LLM_PROVIDER".to_owned(), name.to_owned()),
        (format!("{prefix}_API_KEY"), "test-key".to_owned()),
        (format!("{prefix}_MODELS"), "small-model".to_owned()),
        (format!("{prefix}_BASE_URL"), server.base_url()),
    ];
    let more = more.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    let mut settings = Settings::new(own.into_iter().chain(more).collect());
    let provider = Provider::read(&mut settings);
    settings.finish().unwrap();
    provider
}

/// Makes one chat request about an order, with a deadline after `timeout`.
async fn chat(provider: &Provider, timeout: Duration) -> ChatResult {
    let parameters = json!({
        "type": "object", "required": ["quantity"], "additionalProperties": false,
        "properties": { "quantity": { "type": "integer" } },
    });
    let tools = [Tool { name: "create_order", description: "Creates an order.", parameters }];
    let turn = |role, text: &str| Turn { role, text: text.to_owned() };
    let turns = [
        turn(Role::User, "Bonjour"),
        turn(Role::Assistant, "Bonjour !"),
        turn(Role::User, "Deux lampes"),
        turn(Role::User, "solaires"),
    ];
    let system = "You sell lamps.";
    provider
        .chat(&ChatRequest {
            system,
            turns: &turns,
            tools: &tools,
            max_tokens: 500,
            deadline: Instant::now() + timeout,
        })
        .await
}

/// The error of a failed chat, and the statuses of its calls.
fn error_and_statuses(chatted: ChatResult) -> (LlmError, Vec<CallStatus>) {
    let statuses = chatted.calls.iter().map(|call| call.status).collect();
    (chatted.outcome.unwrap_err(), statuses)
}

const CHAT_TIMEOUT: Duration = Duration::from_secs(20);

#[tokio::test]
async fn a_model_replies_with_text_or_a_tool_call_and_each_call_is_recorded() {
    for (name, prefix) in DIALECTS {
        let server = FakeModels::start().await.unwrap();
        let prices = ("LLM_PRICES", r#"{"small-model": {"in": 1000000, "out": 10000000}}"#);
        let provider = provider(name, prefix, &server, &[prices]);

        server.reply_text("C'est noté.");
        let chatted = chat(&provider, CHAT_TIMEOUT).await;
        let reply = ChatReply { text: Some("C'est noté.".to_owned()), tool_calls: vec![] };
        assert_eq!(chatted.outcome.unwrap(), reply, "{name}");
        let call = &chatted.calls[0];
        assert_eq!((call.provider, call.model.as_str(), call.status.as_str()), (name, "small-model", "ok"));
        assert_eq!(call.usage, Usage { prompt_tokens: 120, completion_tokens: 30 });
        assert_eq!((call.cost_micros, chatted.calls.len()), (420, 1));

        server.reply_tool("create_order", json!({ "quantity": 2 }));
        let reply = chat(&provider, CHAT_TIMEOUT).await.outcome.unwrap();
        let ToolCall { name: tool, arguments, .. } = &reply.tool_calls[0];
        assert_eq!((tool.as_str(), arguments, reply.text), ("create_order", &json!({ "quantity": 2 }), None), "{name}");
        assert_eq!(reply.tool_calls[0].thought_signature.is_some(), name == "gemini");

        let asked = server.requests()[0].to_string();
        for said in ["You sell lamps.", "Bonjour !", "Deux lampes\\nsolaires", "create_order", "integer"] {
            assert!(asked.contains(said), "{name}: {said} in {asked}");
        }
    }
}

#[tokio::test]
async fn malformed_tool_arguments_end_in_an_error_without_a_tool_call() {
    for (name, prefix) in DIALECTS {
        for arguments in ["{\"quantity\": 2", "[1, 2]", "\"two\"", "42"] {
            let server = FakeModels::start().await.unwrap();
            let provider = provider(name, prefix, &server, &[]);
            server.always(FakeReply::Tool { name: "create_order".to_owned(), arguments: arguments.to_owned() });
            let (error, statuses) = error_and_statuses(chat(&provider, CHAT_TIMEOUT).await);
            assert!(matches!(error, LlmError::Failed(_)), "{name}: {arguments}");
            assert_eq!(statuses, [CallStatus::Malformed; 3], "{name}: {arguments}");
        }
    }
}

#[tokio::test]
async fn blocked_empty_malformed_and_refused_replies_get_distinct_statuses() {
    for (name, prefix) in DIALECTS {
        let server = FakeModels::start().await.unwrap();
        let provider = provider(name, prefix, &server, &[]);
        let refused = |status, retry_after_s| FakeReply::Refused { status, retry_after_s };
        for (reply, statuses, is_blocked) in [
            (FakeReply::Blocked, &[CallStatus::Blocked][..], true),
            (FakeReply::Empty, &[CallStatus::Empty; 3], false),
            (FakeReply::NotJson, &[CallStatus::Malformed; 3], false),
            (refused(429, Some(0)), &[CallStatus::RateLimited; 3], false),
            (refused(429, Some(3600)), &[CallStatus::RateLimited], false),
            (refused(402, None), &[CallStatus::QuotaExhausted], false),
            (refused(401, None), &[CallStatus::Refused], false),
            (refused(529, Some(0)), &[CallStatus::Failed; 3], false),
        ] {
            server.always(reply.clone());
            let (error, found) = error_and_statuses(chat(&provider, CHAT_TIMEOUT).await);
            assert_eq!(found, statuses, "{name}: {reply:?}");
            assert_eq!(matches!(error, LlmError::Blocked(_)), is_blocked);
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains("test-key") && !shown.contains("lampes"), "{shown}");
        }
    }
}

#[tokio::test]
async fn all_attempts_share_one_deadline() {
    let server = FakeModels::start().await.unwrap();
    let provider = provider("groq", "GROQ", &server, &[]);
    server.always(FakeReply::Hang);
    let started = Instant::now();
    let (_, statuses) = error_and_statuses(chat(&provider, Duration::from_millis(700)).await);
    assert_eq!(statuses, [CallStatus::Timeout]);
    assert!((Duration::from_millis(700)..Duration::from_secs(5)).contains(&started.elapsed()));
    server.always(FakeReply::Refused { status: 503, retry_after_s: Some(4) });
    let started = Instant::now();
    let (_, statuses) = error_and_statuses(chat(&provider, Duration::from_secs(3)).await);
    assert_eq!(statuses, [CallStatus::Failed], "to wait for 4 s of 3 is no use");
    assert!(started.elapsed() < Duration::from_secs(3));
}

#[tokio::test]
async fn an_unreachable_server_fails_the_model_chain() {
    let server = FakeModels::start().await.unwrap();
    let provider = provider("groq", "GROQ", &server, &[]);
    drop(server);
    let (error, statuses) = error_and_statuses(chat(&provider, CHAT_TIMEOUT).await);
    assert_eq!(statuses, [CallStatus::Failed; 3]);
    assert!(matches!(error, LlmError::Failed(_)), "{error}");
}

#[tokio::test]
async fn chat_without_a_configured_model_fails_with_no_model() {
    let provider = Provider::read(&mut Settings::default());
    let chatted = chat(&provider, CHAT_TIMEOUT).await;
    assert!(matches!(chatted.outcome, Err(LlmError::NoModel)));
    assert_eq!(chatted.calls, []);
}

#[tokio::test]
async fn chat_without_a_user_turn_fails_without_a_request() {
    let server = FakeModels::start().await.unwrap();
    let provider = provider("groq", "GROQ", &server, &[]);
    let turns = [Turn { role: Role::Assistant, text: "Bonjour !".to_owned() }];
    let chat =
        ChatRequest { system: "", turns: &turns, tools: &[], max_tokens: 10, deadline: Instant::now() + CHAT_TIMEOUT };
    assert!(matches!(provider.chat(&chat).await.outcome, Err(LlmError::Failed(_))));
    assert_eq!(server.requests(), Vec::<Value>::new());
}
