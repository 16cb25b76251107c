//! Every route of the product, called by those who may not.

use std::{collections::BTreeSet, time::Duration};

use chrono::Utc;
use local::{openapi, testing};
use serde_json::Value;
use shared::{
    auth::tokens::SigningKey,
    settings::{Settings, SettingsMap},
};
use uuid::Uuid;

/// What anybody may call. This list only ever gets shorter.
const PUBLIC: [&str; 4] =
    ["get /health", "post /api/v1/auth/login", "post /api/v1/auth/refresh", "post /api/v1/auth/signup"];

/// All routes, as `get /health`.
fn routes() -> BTreeSet<String> {
    let document: Value = serde_json::from_str(&openapi::document().unwrap()).unwrap();
    let paths = document["paths"].as_object().unwrap().iter();
    let routes = paths.flat_map(|(path, item)| {
        let methods = item.as_object().unwrap().keys().filter(|name| *name != "parameters");
        methods.map(move |method| format!("{method} {path}"))
    });
    routes.collect()
}

fn token(secret: &str, age: chrono::Duration) -> String {
    let mut settings = Settings::new(SettingsMap::from([("JWT_SECRET".to_owned(), secret.to_owned())]));
    let key = SigningKey::read(&mut settings);
    settings.finish().unwrap();
    let hour = Duration::from_secs(60 * 60);
    key.person(Uuid::new_v4(), "somebody@example.com", Uuid::new_v4(), Utc::now() - age, hour).unwrap()
}

#[tokio::test]
async fn no_route_but_the_public_ones_answers_without_a_token_that_counts() {
    let stack = testing::stack(testing::TestOptions::default()).await.unwrap();
    let client = reqwest::Client::builder().timeout(Duration::from_secs(30)).build().unwrap();
    let foreign = Uuid::new_v4().simple().to_string() + &Uuid::new_v4().simple().to_string();
    let now = chrono::Duration::zero();
    let tokens = [
        ("none", None),
        ("not a token", Some("x".to_owned())),
        ("signed by somebody else", Some(token(&foreign, now))),
        ("expired", Some(token(&stack.kept.jwt_secret, chrono::Duration::hours(2)))),
    ];
    let routes = routes();
    assert!(routes.len() >= 10, "{routes:?}");
    let mut open = BTreeSet::new();
    for route in &routes {
        let (method, path) = route.split_once(' ').unwrap();
        let url = format!("{}{}", stack.base_url(), with_ids(path));
        for (what, token) in &tokens {
            let mut request = client.request(method.to_uppercase().parse().unwrap(), &url);
            if let Some(token) = token {
                request = request.bearer_auth(token);
            }
            let answer = request.send().await.unwrap();
            if answer.status() != 401 {
                assert!(PUBLIC.contains(&route.as_str()), "{route} answers {} ({what})", answer.status());
                open.insert(route.as_str());
                continue;
            }
            assert_eq!(answer.headers()["www-authenticate"], "Bearer", "{route} ({what})");
        }
    }
    assert_eq!(open, BTreeSet::from(PUBLIC), "not public any more: take it from the list");
}

/// A token that counts, of a user who has no company: nothing is found, or a company must be named first.
#[tokio::test]
async fn no_route_but_the_public_ones_serves_somebody_without_a_company() {
    let stack = testing::stack(testing::TestOptions::default()).await.unwrap();
    let client = reqwest::Client::builder().timeout(Duration::from_secs(30)).build().unwrap();
    let stranger = token(&stack.kept.jwt_secret, chrono::Duration::zero());
    for route in routes() {
        // Ends the session of whoever calls.
        if PUBLIC.contains(&route.as_str()) || route == "post /api/v1/auth/logout" {
            continue;
        }
        let (method, path) = route.split_once(' ').unwrap();
        let request =
            client.request(method.to_uppercase().parse().unwrap(), format!("{}{}", stack.base_url(), with_ids(path)));
        let status = request.bearer_auth(&stranger).json(&serde_json::json!({})).send().await.unwrap().status();
        assert!([401, 403, 404, 422].contains(&status.as_u16()), "{route} answers {status}");
    }
}

/// A path whose parameters are ids of nothing.
fn with_ids(path: &str) -> String {
    let segment =
        |segment: &str| if segment.starts_with('{') { Uuid::new_v4().to_string() } else { segment.to_owned() };
    path.split('/').map(segment).collect::<Vec<_>>().join("/")
}
