//! Metrics in the embedded metric format, which CloudWatch reads from standard output.

use jsonwebtoken::{EncodingKey, Header, encode};
use local::testing;
use local_postgres::free_port;
use serde_json::{Value, json};
use shared::settings::SettingsMap;
use sqlx::{Connection, PgConnection};
use uuid::Uuid;

use super::{build, flow::event_file, runtime_api};
use crate::seed;

#[tokio::test]
async fn a_failure_of_the_rate_limit_store_writes_one_metric() {
    let database = testing::database().await.unwrap();
    let tenant = seed::tenant(&mut PgConnection::connect(&database.urls.admin).await.unwrap(), "a", 8).await;
    let secret = Uuid::new_v4().simple().to_string() + &Uuid::new_v4().simple().to_string();
    let unreachable_redis = format!("redis://127.0.0.1:{}", free_port().unwrap());
    let settings = [
        ("ENVIRONMENT", "dev"),
        ("DATABASE_URL", &database.urls.app),
        ("JWT_SECRET", &secret),
        ("REDIS_URL", &unreachable_redis),
    ];
    let settings: SettingsMap = settings.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let expires = chrono::Utc::now().timestamp() + 600;
    let claims = json!({
        "sub": tenant.owner, "role": "authenticated", "iss": "lisa", "aud": "authenticated", "exp": expires,
    });
    let token = encode(&Header::default(), &claims, &EncodingKey::from_secret(secret.as_bytes())).unwrap();
    let event = std::fs::read_to_string(event_file("quota")).unwrap();
    let event = event.replace("${ACCESS_TOKEN}", &token).replace("${PUBLIC_USER_ID}", &tenant.owner.to_string());
    let mut event: Value = serde_json::from_str(&event).unwrap();
    let program = &build::programs().await["quota"];

    let run = runtime_api::run(program, &settings, event.clone()).await;
    assert_eq!(run.response()["statusCode"], 200, "{}", run.logs.text);
    let lines = run.logs.text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let metrics: Vec<_> = lines.filter(|line| line["_aws"].is_object()).collect();
    let [metric] = metrics.as_slice() else { panic!("{}", run.logs.text) };
    let directive = &metric["_aws"]["CloudWatchMetrics"][0];
    assert_eq!(
        *directive,
        json!({
            "Namespace": "Lisa/dev",
            "Dimensions": [[]],
            "Metrics": [{ "Name": "RateLimitStoreFailures", "Unit": "Count" }],
        })
    );
    assert_eq!(metric["RateLimitStoreFailures"], 1.0);
    assert!(metric["_aws"]["Timestamp"].as_i64().unwrap() > 1_700_000_000_000);
    let warned = run.logs.lines.iter().find(|line| line["level"] == "WARN").unwrap();
    assert_eq!(warned["message"], "served without a rate limit");

    // Without a rate limit, a call without a token gets 503, and the log has the error.
    event["headers"].as_object_mut().unwrap().remove("authorization");
    let run = runtime_api::run(program, &settings, event).await;
    assert_eq!(run.response()["statusCode"], 503, "{}", run.logs.text);
    assert!(run.logs.lines.iter().any(|line| line["level"] == "ERROR" && line["code"] == "unavailable"));
}
