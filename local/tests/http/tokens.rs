//! Access tokens signed with the product's own secret, the choice of the tenant, and roles.

use jsonwebtoken::{Algorithm, Header};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::support::{App, TenantUser, TestRequest, repository_file, small_pdf, unix_time_in};

const STATUS: &str = "/api/v1/quota/status";
const UNKNOWN_ID: &str = "0b9f2c34-5a1f-4a57-9a43-2f6e6f0f6f01";

/// One call of every route that needs a token, with the route's name.
fn protected_calls(app: &App) -> Vec<(&'static str, TestRequest)> {
    let id = format!("/api/v1/documents/{UNKNOWN_ID}");
    let announcement = json!({ "filename": "guide.pdf", "size_bytes": 100 });
    let passwords = json!({ "current_password": "wrong horse battery", "new_password": "right horse battery" });
    vec![
        ("GET /v1/quota/{id}", app.get(&format!("/v1/quota/{UNKNOWN_ID}"))),
        ("GET /api/v1/quota/status", app.get(STATUS)),
        ("GET /api/v1/documents", app.get("/api/v1/documents")),
        ("GET /api/v1/documents/{id}", app.get(&id)),
        ("DELETE /api/v1/documents/{id}", app.delete(&id)),
        ("POST /api/v1/documents/{id}/retry", app.post(&format!("{id}/retry"))),
        (
            "POST /api/v1/documents/{id}/replace",
            app.post(&format!("{id}/replace")).json(&json!({ "replaces": UNKNOWN_ID })),
        ),
        ("POST /api/v1/documents/upload", app.post("/api/v1/documents/upload").json(&announcement)),
        ("POST /api/v1/query", app.post("/api/v1/query").json(&json!({ "question": "Combien ?" }))),
        ("POST /api/v1/auth/logout", app.post("/api/v1/auth/logout")),
        ("POST /api/v1/auth/password", app.post("/api/v1/auth/password").json(&passwords)),
        ("GET /health?deep=1", app.get("/health?deep=1")),
    ]
}

#[tokio::test]
async fn protected_routes_refuse_missing_and_invalid_tokens() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let expired = app.token(&with_claim(tenant.claims(), "exp", json!(unix_time_in(-62))));
    let foreign = app.token_signed_with(&tenant.claims(), &Header::default(), &"f".repeat(64));
    for (route, call) in protected_calls(&app) {
        let answer = call.await;
        assert_eq!(answer.status, 401, "{route}");
        answer.refused(401, "unauthorized");
    }
    for (token, code) in [(&expired, "token_expired"), (&foreign, "unauthorized")] {
        for (route, call) in protected_calls(&app) {
            let answer = call.by(token).await;
            assert_eq!(answer.status, 401, "{route}");
            answer.refused(401, code);
        }
    }
}

#[tokio::test]
async fn field_claims_are_accepted_or_refused_as_listed() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let lines = String::from_utf8(repository_file("local/fixtures/field/auth/claims.jsonl")).unwrap();
    let mut tried = 0;
    for line in lines.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let mut claims = case["claims"].clone();
        for claim in claims.as_object_mut().unwrap().values_mut() {
            let Some(text) = claim.as_str() else { continue };
            *claim = match text {
                "USER_ID" => json!(tenant.user_id),
                "ISSUER" => json!("lisa"),
                _ => match text.strip_prefix("NOW") {
                    Some(offset) => json!(unix_time_in(0) as f64 + offset.parse::<f64>().unwrap()),
                    None => continue,
                },
            };
        }
        let answer = app.get(STATUS).by(app.token(&claims)).await;
        assert_eq!(answer.status == 200, case["accepted"].as_bool().unwrap(), "{case}: {}", answer.text);
        tried += 1;
    }
    assert_eq!(tried, 3);
}

#[tokio::test]
async fn an_expired_token_is_told_apart_only_when_it_was_ours() {
    let app = App::with_settings(&[("RATE_LIMIT_ADDRESS", "2")]).await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let expired = with_claim(tenant.claims(), "exp", json!(unix_time_in(-62)));
    // More calls than strangers have: the open pages of an office meet the end of their tokens together.
    for _ in 0..5 {
        app.get(STATUS).by(app.token(&expired)).await.refused(401, "token_expired");
    }
    let next = TenantUser::from_session(&app.refresh(&tenant.refresh_token).await.data(200));
    app.get(STATUS).by(&next).await.data(200);
}

/// Claims with one of them replaced.
fn with_claim(mut claims: Value, name: &str, value: Value) -> Value {
    claims[name] = value;
    claims
}

#[tokio::test]
async fn tokens_with_wrong_or_missing_claims_are_refused() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let valid_claims = tenant.claims();
    app.get(STATUS).by(app.token(&valid_claims)).await.data(200);

    for (claim, value) in [
        ("exp", json!(null)),
        ("exp", json!("tomorrow")),
        ("nbf", json!(unix_time_in(120))),
        ("iss", json!("somebody")),
        ("iss", json!(null)),
        ("aud", json!("anon")),
        ("aud", json!(null)),
        ("aud", json!(["one", "another"])),
        ("role", json!("anon")),
        ("role", json!(null)),
        ("sub", json!(null)),
        ("sub", json!("")),
        ("sub", json!("' or 1=1 --")),
    ] {
        let answer = app.get(STATUS).by(app.token(&with_claim(valid_claims.clone(), claim, value.clone()))).await;
        assert_eq!(answer.status, 401, "{claim} {value}: {}", answer.text);
        answer.refused(401, "unauthorized");
    }
}

#[tokio::test]
async fn only_the_configured_signing_algorithm_is_accepted() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let valid_claims = tenant.claims();
    let secret = &app.stack.secrets.jwt_secret;
    let signed = app.token(&valid_claims);
    let [_, body, signature] = <[_; 3]>::try_from(signed.split('.').collect::<Vec<_>>()).unwrap();
    let mut named = Header::new(Algorithm::HS256);
    named.kid = Some("unknown".to_owned());
    // The key id is ignored when tokens are signed with the product's own secret.
    app.get(STATUS).by(app.token_signed_with(&valid_claims, &named, secret)).await.data(200);

    for token in [
        app.token_signed_with(&valid_claims, &Header::new(Algorithm::HS512), secret),
        app.token_signed_with(&valid_claims, &Header::new(Algorithm::HS384), secret),
        // {"alg":"none","typ":"JWT"}, without a signature and with that of the valid token
        format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{body}."),
        format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{body}.{signature}"),
        // {"alg":"NONE"}
        format!("eyJhbGciOiJOT05FIn0.{body}."),
        // {"alg":"ES256"}: without a Supabase project there is no public key.
        format!("eyJhbGciOiJFUzI1NiJ9.{body}.{signature}"),
        format!("{signed}x"),
        format!("{signed}."),
        signed[..signed.len() - 1].to_owned(),
        "a.b.c".to_owned(),
        "null".to_owned(),
        "x".repeat(7000),
    ] {
        app.get(STATUS).by(token).await.refused(401, "unauthorized");
    }
}

#[tokio::test]
async fn only_a_single_bearer_authorization_header_is_accepted() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let bearer = format!("Bearer {}", tenant.token);

    app.get(STATUS).header("authorization", format!("bearer {}", tenant.token)).await.data(200);
    for header in ["", "Bearer", "Bearer ", &tenant.token, &format!("Basic {}", tenant.token), "Bearer \u{e9}"] {
        app.get(STATUS).header("authorization", header).await.refused(401, "unauthorized");
    }
    let twice = app.get(STATUS).header("authorization", &bearer).header("authorization", &bearer);
    twice.await.refused(401, "unauthorized");
    app.get(&format!("{STATUS}?access_token={}", tenant.token)).await.refused(401, "unauthorized");
}

#[tokio::test]
async fn a_member_of_several_companies_must_name_one() {
    let app = App::start().await;
    let one = app.sign_up("Comptoir Baobab").await;
    let two = app.sign_up("Chez Koffi").await;
    let stranger = app.sign_up("Autre").await;
    app.sql(&format!(
        "insert into customer_members (customer_id, user_id, role) values ('{}', '{}', 'support')",
        two.customer_id, one.user_id
    ))
    .await;
    let status = |customer: &str| app.get(STATUS).by(&one).header("x-customer-id", customer);

    app.get(STATUS).by(&one).await.refused(422, "tenant_required");
    app.ask(&one, "Combien ?").await.refused(422, "tenant_required");
    status(&one.customer_id.to_string()).await.data(200);
    status(&format!(" {} ", two.customer_id)).await.data(200);

    status(&stranger.customer_id.to_string()).await.refused(404, "not_found");
    status(UNKNOWN_ID).await.refused(404, "not_found");
    for malformed in ["", "x", "1", "null", "0b9f2c34-5a1f-4a57-9a43", "' or 1=1 --"] {
        status(malformed).await.invalid_fields(&["X-Customer-Id"]);
    }
    // The role of the named company applies.
    let announcement = json!({ "filename": "guide.pdf", "size_bytes": 100 });
    let announce = |customer: Uuid| {
        let call = app.post("/api/v1/documents/upload").by(&one).json(&announcement);
        call.header("x-customer-id", customer.to_string())
    };
    announce(one.customer_id).await.data(201);
    announce(two.customer_id).await.refused(403, "forbidden");
    // After one company is deleted, the other one need not be named.
    app.sql(&format!("update customers set deleted_at = now() where id = '{}'", two.customer_id)).await;
    app.get(STATUS).by(&one).await.data(200);
    status(&two.customer_id.to_string()).await.refused(403, "tenant_deleted");
}

#[tokio::test]
async fn a_suspended_or_deleted_company_is_closed_to_all_its_users() {
    let app = App::start().await;
    let owner = app.sign_up("Comptoir Baobab").await;
    let support = app.sign_up_support(&owner).await;
    for (column, code) in [("suspended_at", "tenant_suspended"), ("deleted_at", "tenant_deleted")] {
        app.sql(&format!("update customers set {column} = now()")).await;
        for token in [&owner, &support] {
            app.get(STATUS).by(token).await.refused(403, code);
            app.get("/api/v1/documents").by(token).await.refused(403, code);
            app.ask(token, "Combien ?").await.refused(403, code);
        }
        // Sign-in still works, so that the owner can see the reason or restore the company.
        app.log_in(&owner.email, super::support::PASSWORD).await.data(200);
    }
    app.sql("update customers set suspended_at = null, deleted_at = null").await;
    app.get(STATUS).by(&owner).await.data(200);
}

#[tokio::test]
async fn a_user_without_a_company_gets_tenant_required() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    app.sql("delete from customer_members").await;
    app.get(STATUS).by(&tenant).await.refused(422, "tenant_required");
    let unknown = with_claim(tenant.claims(), "sub", json!(Uuid::new_v4()));
    app.get(STATUS).by(app.token(&unknown)).await.refused(422, "tenant_required");
}

#[tokio::test]
async fn support_users_may_read_and_ask_but_not_change_documents() {
    let app = App::start().await;
    let owner = app.sign_up("Comptoir Baobab").await;
    let support = app.sign_up_support(&owner).await;
    let id = app.upload_and_process(&owner, "guide.pdf", small_pdf("The delivery takes three days.")).await;
    let path = format!("/api/v1/documents/{id}");

    app.get(&path).by(&support).await.data(200);
    app.get("/api/v1/documents").by(&support).await.data(200);
    let quota = app.ask(&support, "How long does the delivery take?").await.data(200)["quota"].clone();
    assert_eq!(quota["free_quota_used"], 1, "the owner's quota is used");
    assert_eq!(app.get(STATUS).by(&owner).await.data(200)["free_quota_used"], 1);

    for (method, path) in [(Method::DELETE, path.clone()), (Method::POST, format!("{path}/retry"))] {
        app.call(method, &path).by(&support).await.refused(403, "forbidden");
    }
    let announcement = json!({ "filename": "guide.pdf", "size_bytes": 100 });
    app.post("/api/v1/documents/upload").by(&support).json(&announcement).await.refused(403, "forbidden");
    assert_eq!(app.number("select count(*) from documents").await, 1);
}

#[tokio::test]
async fn service_tokens_are_forbidden_on_tenant_routes() {
    let app = App::start().await;
    app.sign_up("Comptoir Baobab").await;
    let service = app.service_token();
    for (route, call) in protected_calls(&app) {
        if route.contains("/quota/{id}") || route.contains("/health") {
            continue;
        }
        let answer = call.by(&service).await;
        assert_eq!(answer.status, 403, "{route}: {}", answer.text);
        answer.refused(403, "forbidden");
    }
}
