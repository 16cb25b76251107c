//! Tokens that a Supabase project signs with its private keys.

use std::time::Duration;

use jsonwebtoken::{Algorithm, Header};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::support::{App, Key, SOON, Supabase, in_seconds, wait_until};

/// Verifies tokens and needs no company; unknown users are not found.
fn path(user: Uuid) -> String {
    format!("/v1/quota/{user}")
}

async fn provision(app: &App) -> Uuid {
    let user = Uuid::new_v4();
    app.sql(&format!("select app.provision_account('{user}', '{user}@example.com', null, 8)")).await;
    user
}

fn with(mut claims: Value, name: &str, value: Value) -> Value {
    claims[name] = value;
    claims
}

#[tokio::test]
async fn tokens_of_both_kinds_of_keys_are_accepted_and_the_keys_fetched_once() {
    let project = Supabase::start().await;
    let app = App::with(&project.settings()).await;
    let user = provision(&app).await;
    let claims = project.claims(user);

    let mut calls = JoinSet::new();
    for key in [project.elliptic(), project.rsa()].into_iter().cycle().take(20) {
        calls.spawn(app.get(&path(user)).by(key.sign(&claims)).into_future());
    }
    for answer in calls.join_all().await {
        assert_eq!(answer.bare(200)["public_user_id"], user.to_string());
    }
    assert_eq!(project.key_requests(), 1);
}

#[tokio::test]
async fn unknown_keys_make_the_keys_be_fetched_at_most_once_a_minute() {
    let project = Supabase::start().await;
    let app = App::with(&project.settings()).await;
    let user = provision(&app).await;
    let claims = project.claims(user);
    for number in 0..20 {
        let token = project.elliptic().sign_as(&format!("unknown-{number}"), &claims);
        app.get(&path(user)).by(token).await.refused(401, "unauthorized");
    }
    app.get(&path(user)).by(project.elliptic().sign(&claims)).await.bare(200);
    assert_eq!(project.key_requests(), 1);
}

#[tokio::test]
async fn a_key_is_for_its_own_algorithm_and_its_own_id() {
    let project = Supabase::start().await;
    let app = App::with(&project.settings()).await;
    let user = provision(&app).await;
    let claims = project.claims(user);
    let thief = Key::elliptic("elliptic");
    let mut stolen = Header::new(Algorithm::HS256);
    stolen.kid = Some("elliptic".to_owned());
    let public = serde_json::to_string(&project.elliptic().public).unwrap();
    let by_public_key = app.token_by(&claims, &stolen, &public);
    let by_own_secret = app.token_by(&claims, &stolen, &app.stack.secrets.jwt_secret);

    // The second round knows the keys.
    for round in 0..2 {
        for (what, token) in [
            ("an HMAC over the public key", by_public_key.clone()),
            ("another key under its id", thief.sign(&claims)),
            ("another algorithm under its id", project.rsa().sign_as("elliptic", &claims)),
            ("the other way round", project.elliptic().sign_as("rsa", &claims)),
        ] {
            let answer = app.get(&path(user)).by(token).await;
            assert_eq!(answer.status, 401, "{what}, round {round}");
            answer.refused(401, "unauthorized");
        }
        app.get(&path(user)).by(project.elliptic().sign(&claims)).await.bare(200);
    }
    app.get(&path(user)).by(by_own_secret).await.refused(401, "unauthorized");
    // The project's own secret, as it signed before it had keys, is good without that id.
    let legacy = app.token(&claims);
    app.get(&path(user)).by(legacy).await.bare(200);
}

#[tokio::test]
async fn wrong_claims_are_refused_whoever_signed_them() {
    let project = Supabase::start().await;
    let app = App::with(&project.settings()).await;
    let user = provision(&app).await;
    let honest = project.claims(user);
    app.get(&path(user)).by(project.rsa().sign(&honest)).await.bare(200);
    for (claim, value) in [
        ("exp", json!(in_seconds(-61))),
        ("nbf", json!(in_seconds(120))),
        ("iss", json!("https://other.supabase.co/auth/v1")),
        ("aud", json!("other")),
        ("role", json!("anon")),
        ("sub", json!(null)),
    ] {
        for key in [project.elliptic(), project.rsa()] {
            let answer = app.get(&path(user)).by(key.sign(&with(honest.clone(), claim, value.clone()))).await;
            assert_eq!(answer.status, 401, "{claim} {value}");
            answer.refused(401, "unauthorized");
        }
    }
}

#[tokio::test]
async fn while_the_keys_are_out_of_reach_nobody_is_called_a_stranger() {
    let project = Supabase::start().await;
    let app = App::with(&project.settings()).await;
    let user = provision(&app).await;
    let token = project.elliptic().sign(&project.claims(user));

    project.network.refuse().await;
    for _ in 0..5 {
        app.get(&path(user)).by(&token).await.refused(503, "unavailable");
    }
    // What needs no key is judged all the same.
    app.get(&path(user)).by("nonsense").await.refused(401, "unauthorized");
    app.get(&path(user)).by(app.service_token()).await.bare(200);

    project.network.restore().await;
    wait_until("the keys are fetched", SOON, async || {
        (app.get(&path(user)).by(&token).await.status == 200).then_some(())
    })
    .await;

    // Keys that are known are good without the project.
    project.network.refuse().await;
    app.get(&path(user)).by(&token).await.bare(200);
}

#[tokio::test]
async fn keys_that_do_not_come_are_waited_for_only_so_long() {
    let project = Supabase::start().await;
    let app = App::with(&project.settings()).await;
    let user = provision(&app).await;
    let token = project.elliptic().sign(&project.claims(user));
    project.network.silence();
    let mut calls = JoinSet::new();
    for _ in 0..10 {
        calls.spawn(app.get(&path(user)).by(&token).into_future());
    }
    let answers = tokio::time::timeout(Duration::from_secs(5), calls.join_all()).await.expect("in under five seconds");
    answers.into_iter().for_each(|answer| drop(answer.refused(503, "unavailable")));
}
