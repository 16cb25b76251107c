//! Verification of tokens that a Supabase project signs with its private keys.

use std::time::Duration;

use jsonwebtoken::{Algorithm, Header};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::support::{App, FakeSupabase, ProjectKey, WAIT_TIMEOUT, unix_time_in, wait_until};

/// A route that verifies the token and needs no company. Unknown users get 404.
fn path(user: Uuid) -> String {
    format!("/v1/quota/{user}")
}

/// Creates an account in the product's database and returns its user id.
async fn provision(app: &App) -> Uuid {
    let user = Uuid::new_v4();
    app.sql(&format!("select app.provision_account('{user}', '{user}@example.com', null, 8)")).await;
    user
}

/// Claims with one claim replaced.
fn with_claim(mut claims: Value, name: &str, value: Value) -> Value {
    claims[name] = value;
    claims
}

#[tokio::test]
async fn tokens_of_elliptic_and_rsa_keys_are_accepted_and_the_key_set_is_fetched_once() {
    let project = FakeSupabase::start().await;
    let app = App::with_settings(&project.settings()).await;
    let user = provision(&app).await;
    let claims = project.claims(user);

    let mut calls = JoinSet::new();
    for key in [project.elliptic_key(), project.rsa_key()].into_iter().cycle().take(20) {
        calls.spawn(app.get(&path(user)).by(key.sign(&claims)).into_future());
    }
    for answer in calls.join_all().await {
        assert_eq!(answer.json_body(200)["public_user_id"], user.to_string());
    }
    assert_eq!(project.key_requests(), 1);
}

#[tokio::test]
async fn tokens_with_unknown_key_ids_cause_at_most_one_fetch_of_the_key_set_a_minute() {
    let project = FakeSupabase::start().await;
    let app = App::with_settings(&project.settings()).await;
    let user = provision(&app).await;
    let claims = project.claims(user);
    for number in 0..20 {
        let token = project.elliptic_key().sign_as(&format!("unknown-{number}"), &claims);
        app.get(&path(user)).by(token).await.refused(401, "unauthorized");
    }
    app.get(&path(user)).by(project.elliptic_key().sign(&claims)).await.json_body(200);
    assert_eq!(project.key_requests(), 1);
}

#[tokio::test]
async fn a_token_signed_with_the_wrong_key_or_algorithm_for_its_key_id_is_refused() {
    let project = FakeSupabase::start().await;
    let app = App::with_settings(&project.settings()).await;
    let user = provision(&app).await;
    let claims = project.claims(user);
    let thief = ProjectKey::elliptic("elliptic");
    let mut stolen = Header::new(Algorithm::HS256);
    stolen.kid = Some("elliptic".to_owned());
    let public = serde_json::to_string(&project.elliptic_key().public).unwrap();
    let by_public_key = app.token_signed_with(&claims, &stolen, &public);
    let by_own_secret = app.token_signed_with(&claims, &stolen, &app.stack.secrets.jwt_secret);

    // In the second round the key set is cached.
    for round in 0..2 {
        for (what, token) in [
            ("an HMAC over the public key", by_public_key.clone()),
            ("another key under its id", thief.sign(&claims)),
            ("another algorithm under its id", project.rsa_key().sign_as("elliptic", &claims)),
            ("the other way round", project.elliptic_key().sign_as("rsa", &claims)),
        ] {
            let answer = app.get(&path(user)).by(token).await;
            assert_eq!(answer.status, 401, "{what}, round {round}");
            answer.refused(401, "unauthorized");
        }
        app.get(&path(user)).by(project.elliptic_key().sign(&claims)).await.json_body(200);
    }
    app.get(&path(user)).by(by_own_secret).await.refused(401, "unauthorized");
    // A token signed with the project's legacy JWT secret, from before it had keys, is accepted without a key id.
    let legacy = app.token(&claims);
    app.get(&path(user)).by(legacy).await.json_body(200);
}

#[tokio::test]
async fn wrong_claims_are_refused_even_when_the_signature_is_valid() {
    let project = FakeSupabase::start().await;
    let app = App::with_settings(&project.settings()).await;
    let user = provision(&app).await;
    let valid = project.claims(user);
    app.get(&path(user)).by(project.rsa_key().sign(&valid)).await.json_body(200);
    for (claim, value) in [
        ("is_anonymous", json!(true)),
        ("nbf", json!(unix_time_in(120))),
        ("iss", json!("https://other.supabase.co/auth/v1")),
        ("aud", json!("other")),
        ("role", json!("anon")),
        ("sub", json!(null)),
    ] {
        for key in [project.elliptic_key(), project.rsa_key()] {
            let answer = app.get(&path(user)).by(key.sign(&with_claim(valid.clone(), claim, value.clone()))).await;
            assert_eq!(answer.status, 401, "{claim} {value}");
            answer.refused(401, "unauthorized");
        }
    }
}

#[tokio::test]
async fn tokens_get_503_instead_of_401_while_the_key_set_is_unreachable() {
    let project = FakeSupabase::start().await;
    let app = App::with_settings(&project.settings()).await;
    let user = provision(&app).await;
    let token = project.elliptic_key().sign(&project.claims(user));

    project.network.refuse().await.unwrap();
    for _ in 0..5 {
        app.get(&path(user)).by(&token).await.refused(503, "unavailable");
    }
    // Tokens that need no key of the project are still judged.
    app.get(&path(user)).by("nonsense").await.refused(401, "unauthorized");
    app.get(&path(user)).by(app.service_token()).await.json_body(200);

    project.network.restore().await.unwrap();
    wait_until("the keys are fetched", WAIT_TIMEOUT, async || {
        (app.get(&path(user)).by(&token).await.status == 200).then_some(())
    })
    .await;

    // Cached keys work while the project is unreachable.
    project.network.refuse().await.unwrap();
    app.get(&path(user)).by(&token).await.json_body(200);
}

#[tokio::test]
async fn a_key_set_that_never_arrives_gives_503_within_five_seconds() {
    let project = FakeSupabase::start().await;
    let app = App::with_settings(&project.settings()).await;
    let user = provision(&app).await;
    let token = project.elliptic_key().sign(&project.claims(user));
    project.network.silence();
    let mut calls = JoinSet::new();
    for _ in 0..10 {
        calls.spawn(app.get(&path(user)).by(&token).into_future());
    }
    let answers = tokio::time::timeout(Duration::from_secs(5), calls.join_all()).await.expect("in under five seconds");
    answers.into_iter().for_each(|answer| drop(answer.refused(503, "unavailable")));
}
