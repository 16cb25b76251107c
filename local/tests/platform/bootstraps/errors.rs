//! Reports of errors by the functions' programs, as Sentry receives them.

use local::{fakes::sentry::FakeSentry, testing};
use serde_json::json;
use shared::settings::SettingsMap;
use sqlx::{Connection, PgConnection};

use super::{
    build,
    flow::Deployment,
    runtime_api::{self, ProgramOutcome, ProgramRun},
};
use crate::seed;

/// A deployment with a tenant, whose errors go to a fake Sentry.
struct ReportingDeployment {
    deployed: Deployment,
    sentry: FakeSentry,
}

impl ReportingDeployment {
    async fn start() -> Self {
        let mut deployed = Deployment::new().await;
        let mut admin = PgConnection::connect(&deployed.database.urls.admin).await.unwrap();
        let tenant = seed::tenant(&mut admin, "errors", 8).await;
        deployed.connect_bot(&tenant.customer.to_string(), "a-webhook-secret").await;
        deployed.placeholders.push(("WEBHOOK_SECRET", "a-webhook-secret".to_owned()));
        Self { deployed, sentry: FakeSentry::start().await.unwrap() }
    }

    /// Runs the webhook with a contact's message and without a database.
    async fn fail(&self) -> ProgramRun {
        let program = &build::programs().await["manychat-webhook"];
        let mut settings = self.deployed.settings("manychat-webhook", program);
        settings.insert("SENTRY_DSN".to_owned(), self.sentry.dsn());
        let port = local_postgres::free_port().unwrap();
        settings.insert("DATABASE_URL".to_owned(), format!("postgresql://lisa_app:pa55word@127.0.0.1:{port}/lisa"));
        runtime_api::run(program, &settings, self.deployed.event("manychat-webhook")).await
    }
}

#[tokio::test]
async fn an_error_is_reported_with_its_request_and_without_data_of_customers() {
    let deployment = ReportingDeployment::start().await;
    let run = deployment.fail().await;
    assert_eq!(run.response()["statusCode"], 503, "{}", run.logs.text);
    let events = deployment.sentry.events();
    let [event] = events.as_slice() else { panic!("{events:#?}\n{}", run.logs.text) };
    let tags = &event["tags"];
    assert_eq!(
        *tags,
        json!({
            "function": "manychat-webhook", "request_id": "JKJaXmPLvHcESHA=", "method": "POST",
            "path": "/api/v1/webhook/manychat", "status": "503", "code": "unavailable", "message": "request failed",
        })
    );
    assert_eq!((&event["level"], &event["environment"]), (&json!("error"), &json!("dev")));
    assert_eq!(event["exception"]["values"][0]["type"], "unavailable");
    assert!(!event["exception"]["values"][0]["value"].as_str().unwrap().is_empty(), "{event}");
    let told = event.to_string();
    for text in ["Awa", "2250700000000", "livraison", "pa55word", "a-webhook-secret", "tenant"] {
        assert!(!told.contains(text), "{text}: {told}");
    }
}

#[tokio::test]
async fn a_function_that_does_not_start_reports_why() {
    let sentry = FakeSentry::start().await.unwrap();
    let program = &build::programs().await["quota"];
    let settings = SettingsMap::from([("SENTRY_DSN".to_owned(), sentry.dsn())]);
    let run = runtime_api::run(program, &settings, json!({})).await;
    assert!(matches!(run.outcome, ProgramOutcome::Ended(1..)), "{:?}", run.outcome);
    let events = sentry.events();
    let [event] = events.as_slice() else { panic!("{events:#?}\n{}", run.logs.text) };
    assert_eq!(event["tags"]["function"], "quota");
    assert!(event["exception"]["values"][0]["value"].as_str().unwrap().contains("DATABASE_URL is missing"), "{event}");
}

#[tokio::test]
async fn a_sentry_that_refuses_costs_no_answer() {
    let deployment = ReportingDeployment::start().await;
    for status in [429, 500, 403] {
        deployment.sentry.always(status);
        let run = deployment.fail().await;
        assert_eq!(run.response()["statusCode"], 503, "{}", run.logs.text);
        assert!(run.logs.text.contains("errors were not reported to Sentry"), "{status}: {}", run.logs.text);
    }
    assert_eq!(deployment.sentry.events(), Vec::<serde_json::Value>::new());
}

#[tokio::test]
async fn a_malformed_dsn_is_reported_at_the_start_without_being_shown() {
    let servers = testing::servers().await.unwrap();
    let mut settings = servers.aws.settings();
    settings.insert("SENTRY_DSN".to_owned(), "k3y-without-a-host".to_owned());
    let program = &build::programs().await["docs"];
    let run = runtime_api::run(program, &settings, json!({})).await;
    assert!(matches!(run.outcome, ProgramOutcome::Ended(1..)), "{:?}", run.outcome);
    assert!(run.logs.text.contains("SENTRY_DSN is not of the form"), "{}", run.logs.text);
    assert!(!run.logs.text.contains("k3y"), "{}", run.logs.text);
}
