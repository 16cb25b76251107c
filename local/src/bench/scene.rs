//! What functions are measured with: a tenant of a real database, its two documents, and events in its name.

use std::{fs, time::Duration};

use anyhow::{Context, Result, bail};
use chrono::Utc;
use local_postgres::root;
use serde_json::{Value, json};
use shared::{
    auth::tokens::SigningKey,
    settings::{Settings, SettingsMap},
};

use super::stub::{Answer, Server};
use crate::{
    corpus::Running,
    testing::{self, TestDatabase, TestOptions},
};

/// Documents that the repository ships; the event of query asks the first.
const DOCUMENTS: [&str; 2] = ["guide-livraison.pdf", "product-manual.pdf"];
const SECRET: &str = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:bench";

/// The scene. Dropped, the database is removed.
pub(super) struct Scene {
    user: String,
    token: String,
    /// Settings that a deployed function has in its environment.
    environment: SettingsMap,
    /// Those that it has from its secret.
    secret: SettingsMap,
    secrets_manager: Server,
    _database: TestDatabase,
}

impl Scene {
    /// Signs a tenant up, uploads its documents, and ends everything but the database.
    pub(super) async fn make() -> Result<Self> {
        let stack = Box::pin(testing::stack(TestOptions::default())).await?;
        let at = json!({ "base_url": stack.base_url(), "admin_database_url": stack.database.admin });
        let mut running = Running::new(&at).await?;
        for name in DOCUMENTS {
            let file = fs::read(root().join("docs/samples").join(name));
            let id = running.upload(name, file.with_context(|| format!("{name} cannot be read"))?).await?;
            let document = running.wait(id).await?;
            if document["status"] != "processed" {
                bail!("{name} is not processed: {document}");
            }
        }
        // Who pays may ask without end.
        let statement = "update users set is_pro = true returning id::text";
        let user = sqlx::query_scalar(statement).fetch_one(&mut running.admin).await.context("there is no account")?;
        let secret = texts(&[("DATABASE_URL", &stack.database.app), ("JWT_SECRET", &stack.kept.jwt_secret)]);
        let environment = texts(&[
            ("ENVIRONMENT", "dev"),
            ("LOG_LEVEL", "info"),
            ("AWS_REGION", "eu-west-1"),
            ("AWS_ACCESS_KEY_ID", "local"),
            ("AWS_SECRET_ACCESS_KEY", "local"),
            ("DOCUMENTS_BUCKET", "bench"),
            // Counted, and never reached.
            ("RATE_LIMIT_USER", "1000000"),
            ("RATE_LIMIT_ADDRESS", "1000000"),
            ("INGEST_QUEUE_URL", "https://sqs.eu-west-1.amazonaws.com/123456789012/bench"),
        ]);
        let secrets_manager = secrets_manager(&secret)?;
        let token = running.token.clone();
        drop(running);
        Ok(Self { user, token, environment, secret, secrets_manager, _database: stack.into_database() })
    }

    /// A function's settings as deployed: it fetches its secret.
    pub(super) fn with_secret(&self) -> SettingsMap {
        let mut settings = self.environment.clone();
        settings.insert("SECRET_ARN".to_owned(), SECRET.to_owned());
        settings.insert("AWS_ENDPOINT_URL".to_owned(), format!("http://{}", self.secrets_manager.address()));
        settings
    }

    /// The same settings, all of them given.
    pub(super) fn given(&self) -> SettingsMap {
        let mut settings = self.environment.clone();
        settings.extend(self.secret.clone());
        settings
    }

    /// The same event, sent by another back end: its calls are not counted.
    pub(super) fn by_service(&self, event: &str) -> Result<String> {
        let mut settings = Settings::new(self.secret.clone());
        let token = SigningKey::read(&mut settings).service(Utc::now(), Duration::from_secs(3_600))?;
        Ok(event.replace(&self.token, &token))
    }

    /// A function's event from events/, in the tenant's name; with `route`, a GET of that path instead of its own.
    pub(super) fn event(&self, function: &str, route: Option<&str>) -> Result<String> {
        let path = root().join("events").join(function).with_extension("json");
        let text = fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))?;
        let text = text.replace("${ACCESS_TOKEN}", &self.token).replace("${PUBLIC_USER_ID}", &self.user);
        let mut event: Value = serde_json::from_str(&text).with_context(|| format!("{} is wrong", path.display()))?;
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

/// Secrets Manager's JSON 1.1 answer to GetSecretValue, the one thing that a function asks it.
fn secrets_manager(secret: &SettingsMap) -> Result<Server> {
    let body = json!({
        "ARN": SECRET,
        "Name": "bench",
        "VersionId": "d15a5e1e-0000-4000-8000-000000000000",
        "SecretString": serde_json::to_string(secret)?,
        "VersionStages": ["AWSCURRENT"],
        "CreatedDate": 1_790_000_000.0,
    });
    let body = body.to_string();
    Server::start(move |request| {
        let is_ours = request.body.windows(SECRET.len()).any(|part| part == SECRET.as_bytes());
        is_ours.then(|| Answer {
            status: "200 OK",
            headers: "content-type: application/x-amz-json-1.1\r\n".to_owned(),
            body: body.clone(),
        })
    })
}

fn texts(pairs: &[(&str, &str)]) -> SettingsMap {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}
