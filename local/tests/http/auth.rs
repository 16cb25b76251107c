//! `POST /api/v1/auth/signup`, with accounts in the product's own database.

use serde_json::{Value, json};
use tokio::task::JoinSet;
use uuid::Uuid;

use super::support::{App, PASSWORD, TenantUser, new_email};

const SIGNUP: &str = "/api/v1/auth/signup";

/// A valid body of the sign-up request.
fn signup(email: &str) -> Value {
    json!({ "email": email, "password": PASSWORD, "company_name": "Comptoir Baobab", "full_name": "Awa Koné" })
}

#[tokio::test]
async fn sign_up_creates_an_account_and_its_company() {
    let app = App::start().await;
    let email = new_email();

    let session = app.post(SIGNUP).json(&signup(&email)).await.data(201);

    assert_eq!(session["user"]["email"], email.as_str());
    assert_eq!(session["user"]["full_name"], "Awa Koné");
    assert_eq!(session["customer"]["name"], "Comptoir Baobab");
    assert_eq!(session["customer"]["company_id"], "comptoir-baobab");
    assert_eq!((session["token_type"].as_str(), session["expires_in"].as_u64()), (Some("bearer"), Some(3600)));
    let tenant = TenantUser::from_session(&session);
    let quota = app.get("/api/v1/quota/status").by(&tenant).await.data(200);
    assert_eq!((quota["free_quota_used"].as_i64(), quota["free_quota_limit"].as_i64()), (Some(0), Some(8)));
    let hash =
        format!("select count(*) from credentials where user_id = '{}' and hashed_password like ", tenant.user_id);
    assert_eq!(app.number(&(hash + "'$argon2id$v=19$m=19456,t=2,p=1$%'")).await, 1);
}

#[tokio::test]
async fn the_free_quota_follows_its_setting() {
    let app = App::with_settings(&[("FREE_QUOTA_LIMIT", "3")]).await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    assert_eq!(app.get("/api/v1/quota/status").by(&tenant).await.data(200)["free_quota_limit"], 3);
}

#[tokio::test]
async fn sign_up_with_an_address_in_use_is_refused_whatever_its_letter_case() {
    let app = App::start().await;
    let email = new_email();
    app.post(SIGNUP).json(&signup(&email)).await.data(201);
    for again in [email.clone(), email.to_uppercase(), format!("  {email} ")] {
        app.post(SIGNUP).json(&signup(&again)).await.refused(409, "email_taken");
    }
    assert_eq!(app.number("select count(*) from customers").await, 1);
}

#[tokio::test]
async fn of_twenty_concurrent_sign_ups_with_one_address_one_succeeds_and_the_others_leave_no_rows() {
    let app = App::start().await;
    let email = new_email();
    let mut calls = JoinSet::new();
    for _ in 0..20 {
        calls.spawn(app.post(SIGNUP).json(&signup(&email)).into_future());
    }
    let mut made = 0;
    for answer in calls.join_all().await {
        if answer.status == 201 {
            answer.data(201);
            made += 1;
        } else {
            answer.refused(409, "email_taken");
        }
    }
    assert_eq!(made, 1);
    for table in [
        "users",
        "credentials",
        "user_settings",
        "profiles",
        "refresh_sessions",
        "customers",
        "customer_members",
        "company_mapping",
        "company_rag_configs",
    ] {
        assert_eq!(app.number(&format!("select count(*) from {table}")).await, 1, "{table}");
    }
}

#[tokio::test]
async fn concurrent_sign_ups_with_one_company_name_get_different_company_ids() {
    let app = App::start().await;
    let mut calls = JoinSet::new();
    for _ in 0..5 {
        calls.spawn(app.post(SIGNUP).json(&signup(&new_email())).into_future());
    }
    let mut ids: Vec<_> = calls
        .join_all()
        .await
        .into_iter()
        .map(|answer| TenantUser::from_session(&answer.data(201)).company_id)
        .collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 5, "{ids:?}");
    assert!(ids.iter().all(|id| id.starts_with("comptoir-baobab")), "{ids:?}");
}

#[tokio::test]
async fn every_invalid_sign_up_field_is_named() {
    let app = App::start().await;
    let long = |length| "x".repeat(length);
    for (field, value) in [
        ("email", json!("nobody")),
        ("email", json!("")),
        ("email", json!("a b@example.com")),
        ("email", json!("a\u{0}b@example.com")),
        ("email", json!("a@example.com\nBcc: b@example.com")),
        ("email", json!(format!("a@{}.com", long(320)))),
        ("email", json!(17)),
        ("email", json!(null)),
        ("password", json!("too short")),
        ("password", json!(long(1025))),
        ("password", json!(["a", "list"])),
        ("company_name", json!("")),
        ("company_name", json!("   ")),
        ("company_name", json!("Comptoir\u{0}Baobab")),
        ("company_name", json!("Comptoir\u{1b}[2J")),
        ("company_name", json!(long(201))),
        ("company_name", json!({})),
        ("full_name", json!("Awa\u{0}")),
        ("full_name", json!(long(256))),
        ("full_name", json!("")),
    ] {
        let mut body = signup(&new_email());
        body[field] = value.clone();
        let answer = app.post(SIGNUP).json(&body).await;
        assert_eq!(answer.status, 422, "{field} {value}: {}", answer.text);
        answer.invalid_fields(&[field]);
    }
    for field in ["email", "password"] {
        let mut body = signup(&new_email());
        body.as_object_mut().unwrap().remove(field);
        app.post(SIGNUP).json(&body).await.invalid_fields(&[field]);
    }
    assert_eq!(app.number("select count(*) from users").await, 0);
}

#[tokio::test]
async fn sign_up_needs_either_a_company_name_or_an_invitation() {
    let app = App::start().await;
    let body = json!({ "email": new_email(), "password": PASSWORD });
    app.post(SIGNUP).json(&body).await.invalid_fields(&["company_name"]);
    let mut both = signup(&new_email());
    both["invitation"] = "token".into();
    app.post(SIGNUP).json(&both).await.invalid_fields(&["invitation"]);
}

#[tokio::test]
async fn company_names_in_any_script_are_stored_unchanged() {
    let app = App::start().await;
    for name in ["東京商店", "متجر", "L'Épicerie d'Awa & Fils", "🥭 Mangue"] {
        let mut body = signup(&new_email());
        body["company_name"] = name.into();
        assert_eq!(app.post(SIGNUP).json(&body).await.data(201)["customer"]["name"], name);
    }
}

#[tokio::test]
async fn an_invitation_works_once() {
    let app = App::start().await;
    let owner = app.sign_up("Comptoir Baobab").await;
    let invitation = app.invite(&owner, "1 day").await;
    let join = || json!({ "email": new_email(), "password": PASSWORD, "invitation": invitation });

    let mut calls = JoinSet::new();
    for _ in 0..4 {
        calls.spawn(app.post(SIGNUP).json(&join()).into_future());
    }
    let (joined, refused): (Vec<_>, Vec<_>) =
        calls.join_all().await.into_iter().partition(|answer| answer.status == 201);

    let [joined] = <[_; 1]>::try_from(joined).unwrap();
    let support = TenantUser::from_session(&joined.data(201));
    assert_eq!(support.customer_id, owner.customer_id);
    refused.into_iter().for_each(|answer| answer.invalid_fields(&["invitation"]));
    app.post(SIGNUP).json(&join()).await.invalid_fields(&["invitation"]);
    // A refused sign-up creates no account, so the person can try again with another invitation.
    assert_eq!(app.number("select count(*) from users").await, 2);
    let role =
        format!("select count(*) from customer_members where user_id = '{}' and role = 'support'", support.user_id);
    assert_eq!(app.number(&role).await, 1);
}

#[tokio::test]
async fn an_invitation_that_expired_or_is_for_another_address_is_refused() {
    let app = App::start().await;
    let owner = app.sign_up("Comptoir Baobab").await;
    let mut body = json!({ "email": new_email(), "password": PASSWORD });
    body["invitation"] = app.invite(&owner, "-1 second").await.into();
    app.post(SIGNUP).json(&body).await.invalid_fields(&["invitation"]);
    for unknown in ["", "unknown", "nul\u{0}", &Uuid::new_v4().to_string()] {
        body["invitation"] = unknown.into();
        app.post(SIGNUP).json(&body).await.invalid_fields(&["invitation"]);
    }

    let invitation = app.invite(&owner, "1 day").await;
    app.sql("update invitations set email = 'awa@example.com'").await;
    body["invitation"] = invitation.into();
    app.post(SIGNUP).json(&body).await.invalid_fields(&["invitation"]);
    body["email"] = "Awa@Example.com".into();
    app.post(SIGNUP).json(&body).await.data(201);
}

#[tokio::test]
async fn malformed_json_is_refused() {
    let app = App::start().await;
    let trailing = signup(&new_email()).to_string() + " {}";
    for body in ["", "{", "nonsense", &trailing, "{\"email\":\"\u{1}\"}", r#"{"email":"\ud800"}"#] {
        app.post(SIGNUP).raw_json(body.to_owned()).await.refused(400, "malformed_json");
    }
    app.post(SIGNUP).raw_json(b"{\"email\":\"\xff\xfe\"}".to_vec()).await.refused(400, "malformed_json");
    app.post(SIGNUP).raw_json("[]").await.refused(422, "validation_failed");
    app.post(SIGNUP).raw_json("null").await.refused(422, "validation_failed");
    let deep = "[".repeat(100_000);
    app.post(SIGNUP).raw_json(deep).await.refused(400, "malformed_json");
    let nested = format!("{{\"extra\":{}", "[".repeat(100_000));
    app.post(SIGNUP).raw_json(nested).await.refused(400, "malformed_json");
}

#[tokio::test]
async fn another_content_type_or_a_too_large_body_is_refused() {
    let app = App::start().await;
    let body = signup(&new_email()).to_string();
    for kind in
        ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", "multipart/form-data; boundary=x"]
    {
        app.post(SIGNUP).body(kind, body.clone()).await.refused(415, "unsupported_media_type");
    }
    app.post(SIGNUP).await.refused(415, "unsupported_media_type");

    let mut large = signup(&new_email());
    large["company_name"] = "x".repeat(256 * 1024).into();
    let details = app.post(SIGNUP).json(&large).await.refused(413, "payload_too_large");
    assert_eq!(details["limit_bytes"], 256 * 1024);

    app.post(SIGNUP).body("Application/JSON; charset=utf-8", body).await.data(201);
}
