//! The test data of the measurements: a tenant in a real database, two documents, and the tenant's events.

use std::{fs, time::Duration};

use anyhow::{Context, Result, bail};
use chrono::Utc;
use local_postgres::root;
use serde_json::{Value, json};
use shared::{
    auth::tokens::SigningKey,
    settings::{Settings, SettingsMap},
};

use super::stub::{StubResponse, StubServer};
use crate::{
    corpus::StackClient,
    testing::{self, TestDatabase, TestOptions},
};

/// Sample documents of the repository. The event of `query` asks about the first.
const DOCUMENTS: [&str; 2] = ["guide-livraison.pdf", "product-manual.pdf"];
const SECRET: &str = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:bench";

/// The test data. Dropping it removes the database.
pub(super) struct BenchFixture {
    user: String,
    token: String,
    /// The settings that a deployed function has in its environment.
    environment: SettingsMap,
    /// The settings that a deployed function has in its secret.
    secret: SettingsMap,
    secrets_manager: StubServer,
    _database: TestDatabase,
}

impl BenchFixture {
    /// Signs a tenant up, uploads the documents, and stops everything but the database.
    pub(super) async fn create() -> Result<Self> {
        let stack = Box::pin(testing::stack(TestOptions::default())).await?;
        let at = json!({ "base_url": stack.base_url(), "admin_database_url": stack.database.admin });
        let mut running = StackClient::new(&at).await?;
        for name in DOCUMENTS {
            let file = fs::read(root().join("docs/samples").join(name));
            let id = running.upload(name, file.with_context(|| format!("{name} cannot be read"))?).await?;
            let document = running.wait(id).await?;
            if document["status"] != "processed" {
                bail!("{name} is not processed: {document}");
            }
        }
        // A paying user has no question quota.
        let statement = "update users set is_pro = true returning id::text";
        let user = sqlx::query_scalar(statement).fetch_one(&mut running.admin).await.context("there is no account")?;
        let secret = texts(&[("DATABASE_URL", &stack.database.app), ("JWT_SECRET", &stack.secrets.jwt_secret)]);
        let environment = texts(&[
            ("ENVIRONMENT", "dev"),
            ("LOG_LEVEL", "info"),
            ("AWS_REGION", "eu-west-1"),
            ("AWS_ACCESS_KEY_ID", "local"),
            ("AWS_SECRET_ACCESS_KEY", "local"),
            ("DOCUMENTS_BUCKET", "bench"),
            // Requests are counted, and the limits are never reached.
            ("RATE_LIMIT_USER", "1000000"),
            ("RATE_LIMIT_ADDRESS", "1000000"),
            ("INGEST_QUEUE_URL", "https://sqs.eu-west-1.amazonaws.com/123456789012/bench"),
        ]);
        let secrets_manager = secrets_manager(&secret)?;
        let token = running.token.clone();
        drop(running);
        Ok(Self { user, token, environment, secret, secrets_manager, _database: stack.into_database()? })
    }

    /// A function's settings as deployed: the function fetches its secret.
    pub(super) fn settings_with_secret_arn(&self) -> SettingsMap {
        let mut settings = self.environment.clone();
        settings.insert("SECRET_ARN".to_owned(), SECRET.to_owned());
        settings.insert("AWS_ENDPOINT_URL".to_owned(), format!("http://{}", self.secrets_manager.address()));
        settings
    }

    /// A function's settings with the secret's values included, so that nothing is fetched.
    pub(super) fn complete_settings(&self) -> SettingsMap {
        let mut settings = self.environment.clone();
        settings.extend(self.secret.clone());
        settings
    }

    /// An event with a service token instead of the user's; a service's calls are not rate limited.
    pub(super) fn with_service_token(&self, event: &str) -> Result<String> {
        let mut settings = Settings::new(self.secret.clone());
        let token = SigningKey::read(&mut settings).sign_service_token(Utc::now(), Duration::from_secs(3_600))?;
        Ok(event.replace(&self.token, &token))
    }

    /// A function's event from events/ with the tenant's token; with `route`, a GET of that path instead.
    pub(super) fn event(&self, function: &str, route: Option<&str>) -> Result<String> {
        let path = root().join("events").join(function).with_extension("json");
        let text = fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))?;
        let text = text.replace("${ACCESS_TOKEN}", &self.token).replace("${PUBLIC_USER_ID}", &self.user);
        let mut event: Value =
            serde_json::from_str(&text).with_context(|| format!("{} is malformed", path.display()))?;
        if let Some(route) = route {
            let key = format!("GET {route}");
            event["rawPath"] = json!(route);
            event["routeKey"] = json!(key);
            event["requestContext"]["routeKey"] = json!(key);
            event["requestContext"]["http"]["path"] = json!(route);
            event["pathParameters"] = Value::Null;
        }
        Ok(event.to_string())
    }
}

/// Starts a server that gives Secrets Manager's JSON 1.1 answer to GetSecretValue, the only call that a function
/// makes.
fn secrets_manager(secret: &SettingsMap) -> Result<StubServer> {
    let body = json!({
        "ARN": SECRET,
        "Name": "bench",
        "VersionId": "d15a5e1e-0000-4000-8000-000000000000",
        "SecretString": serde_json::to_string(secret)?,
        "VersionStages": ["AWSCURRENT"],
        "CreatedDate": 1_790_000_000.0,
    });
    let body = body.to_string();
    StubServer::start(move |request| {
        let is_ours = request.body.windows(SECRET.len()).any(|part| part == SECRET.as_bytes());
        is_ours.then(|| StubResponse {
            status: "200 OK",
            headers: "content-type: application/x-amz-json-1.1\r\n".to_owned(),
            body: body.clone(),
        })
    })
}

fn texts(pairs: &[(&str, &str)]) -> SettingsMap {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}
