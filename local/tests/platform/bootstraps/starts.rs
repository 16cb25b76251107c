//! Programs that cannot start, or that cannot read their event, report the error to the log and to Lambda.

use local::functions;
use serde_json::json;
use shared::settings::SettingsMap;

use super::{
    build,
    flow::Deployment,
    runtime_api::{self, ProgramOutcome},
};

/// Functions that start without any settings.
const FUNCTIONS_WITHOUT_SETTINGS: [&str; 2] = ["docs", "not-found"];

/// Names of the settings that a function reports as missing when it is started without any.
async fn missing_settings(function: &shared::function::Function) -> Vec<String> {
    let Err(error) = function.start(SettingsMap::new()).await else { return Vec::new() };
    let error = error.to_string();
    let problems = error.strip_prefix("settings are not usable: ").unwrap();
    let names = problems.split("; ").map(|problem| {
        let (name, _) = problem.split_once(" is missing").unwrap_or_else(|| panic!("{problem}"));
        name.to_owned()
    });
    names.collect()
}

#[tokio::test]
async fn a_start_without_settings_exits_with_one_log_line_that_names_every_missing_setting() {
    let mut tried = 0;
    for function in functions::ALL {
        let missing = missing_settings(function).await;
        if missing.is_empty() {
            // This function needs no settings, and starts.
            assert!(FUNCTIONS_WITHOUT_SETTINGS.contains(&function.name), "{} needs nothing", function.name);
            continue;
        }
        let program = &build::programs().await[function.name];
        let run = runtime_api::run(program, &SettingsMap::new(), json!({})).await;
        assert!(matches!(run.outcome, ProgramOutcome::Ended(1..)), "{}: {:?}", function.name, run.outcome);
        let [line] = run.logs.lines.as_slice() else { panic!("{}: {}", function.name, run.logs.text) };
        assert_eq!((&line["level"], &line["function"]), (&"ERROR".into(), &function.name.into()), "{line}");
        for name in missing {
            assert!(line["error"].as_str().unwrap().contains(&format!("{name} is missing")), "{name}: {line}");
        }
        tried += 1;
    }
    assert_eq!(tried, functions::ALL.len() - FUNCTIONS_WITHOUT_SETTINGS.len());
}

#[tokio::test]
async fn a_start_with_an_unreadable_secret_exits_and_logs_the_error() {
    let deployed = Deployment::new().await;
    let program = &build::programs().await["quota"];
    let mut settings = deployed.settings("quota", program);
    settings.insert("SECRET_ARN".to_owned(), "arn:aws:secretsmanager:us-east-1:123456789012:secret:none".to_owned());
    let run = runtime_api::run(program, &settings, json!({})).await;
    assert!(matches!(run.outcome, ProgramOutcome::Ended(1..)), "{:?}", run.outcome);
    assert!(run.logs.lines.iter().all(|line| line["level"] == "ERROR"), "{}", run.logs.text);
    assert!(run.logs.text.contains("ResourceNotFoundException"), "{}", run.logs.text);
}

#[tokio::test]
async fn an_event_of_the_wrong_kind_fails_and_the_worker_keeps_running() {
    let deployed = Deployment::new().await;
    let program = &build::programs().await["ingest-worker"];
    let settings = deployed.settings("ingest-worker", program);
    let run = runtime_api::run(program, &settings, json!({ "detail-type": "Scheduled Event" })).await;
    let ProgramOutcome::Error(error) = run.outcome else { panic!("{:?}", run.outcome) };
    assert!(error.contains("not an event of a queue"), "{error}");
    let failed = run.logs.lines.iter().find(|line| line["message"] == "event failed").unwrap();
    assert_eq!((&failed["level"], &failed["request_id"]), (&"ERROR".into(), &run.request_id.into()));
}

#[tokio::test]
async fn at_log_level_error_the_error_line_keeps_its_request_id() {
    let deployed = Deployment::new().await;
    let program = &build::programs().await["ingest-worker"];
    let mut settings = deployed.settings("ingest-worker", program);
    settings.insert("LOG_LEVEL".to_owned(), "error".to_owned());
    let record = json!({ "messageId": "m-1", "receiptHandle": "r", "body": "not JSON" });
    let run = runtime_api::run(program, &settings, json!({ "Records": [record] })).await;
    let failures = json!({ "batchItemFailures": [{ "itemIdentifier": "m-1" }] });
    assert_eq!(*run.response(), failures);
    let [line] = run.logs.lines.as_slice() else { panic!("{}", run.logs.text) };
    assert_eq!(line["request_id"], run.request_id);
    assert_eq!((&line["function"], &line["message_id"]), (&"ingest-worker".into(), &"m-1".into()));
}
