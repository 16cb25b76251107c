//! Who is let in: tokens of our own secret, the tenant they lead to, and roles in it.

use jsonwebtoken::{Algorithm, Header};
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::support::{App, Call, in_seconds, small_pdf};

const STATUS: &str = "/api/v1/quota/status";
const SOMEBODY: &str = "0b9f2c34-5a1f-4a57-9a43-2f6e6f0f6f01";

/// Every route that needs a token, and whether only an owner may call it.
fn protected(app: &App) -> Vec<(&'static str, Call)> {
    let id = format!("/api/v1/documents/{SOMEBODY}");
    let announcement = json!({ "filename": "guide.pdf", "size_bytes": 100 });
    let passwords = json!({ "current_password": "wrong horse battery", "new_password": "right horse battery" });
    vec![
        ("GET /v1/quota/{id}", app.get(&format!("/v1/quota/{SOMEBODY}"))),
        ("GET /api/v1/quota/status", app.get(STATUS)),
        ("GET /api/v1/documents", app.get("/api/v1/documents")),
        ("GET /api/v1/documents/{id}", app.get(&id)),
        ("DELETE /api/v1/documents/{id}", app.delete(&id)),
        ("POST /api/v1/documents/{id}/retry", app.post(&format!("{id}/retry"))),
        ("POST /api/v1/documents/upload", app.post("/api/v1/documents/upload").json(&announcement)),
        ("POST /api/v1/query", app.post("/api/v1/query").json(&json!({ "question": "Combien ?" }))),
        ("POST /api/v1/auth/logout", app.post("/api/v1/auth/logout")),
        ("POST /api/v1/auth/password", app.post("/api/v1/auth/password").json(&passwords)),
        ("GET /health?deep=1", app.get("/health?deep=1")),
    ]
}

#[tokio::test]
async fn without_a_token_or_with_a_bad_one_no_route_opens() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let expired = app.token(&with(tenant.claims(), "exp", json!(in_seconds(-61))));
    let foreign = app.token_by(&tenant.claims(), &Header::default(), &"f".repeat(64));
    for (route, call) in protected(&app) {
        let answer = call.await;
        assert_eq!(answer.status, 401, "{route}");
        answer.refused(401, "unauthorized");
    }
    for token in [&expired, &foreign] {
        for (route, call) in protected(&app) {
            let answer = call.by(token).await;
            assert_eq!(answer.status, 401, "{route}");
            answer.refused(401, "unauthorized");
        }
    }
}

fn with(mut claims: Value, name: &str, value: Value) -> Value {
    claims[name] = value;
    claims
}

#[tokio::test]
async fn tokens_that_are_not_ours_or_not_good_now_are_refused() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let honest = tenant.claims();
    app.get(STATUS).by(app.token(&honest)).await.data(200);

    for (claim, value) in [
        ("exp", json!(in_seconds(-61))),
        ("exp", json!(null)),
        ("exp", json!("tomorrow")),
        ("nbf", json!(in_seconds(120))),
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
        let answer = app.get(STATUS).by(app.token(&with(honest.clone(), claim, value.clone()))).await;
        assert_eq!(answer.status, 401, "{claim} {value}: {}", answer.text);
        answer.refused(401, "unauthorized");
    }
}

#[tokio::test]
async fn the_algorithm_is_ours_to_choose() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let honest = tenant.claims();
    let secret = &app.stack.secrets.jwt_secret;
    let signed = app.token(&honest);
    let [_, body, signature] = <[_; 3]>::try_from(signed.split('.').collect::<Vec<_>>()).unwrap();
    let mut named = Header::new(Algorithm::HS256);
    named.kid = Some("unknown".to_owned());
    // The id of a key decides nothing where all keys are ours.
    app.get(STATUS).by(app.token_by(&honest, &named, secret)).await.data(200);

    for token in [
        app.token_by(&honest, &Header::new(Algorithm::HS512), secret),
        app.token_by(&honest, &Header::new(Algorithm::HS384), secret),
        // {"alg":"none","typ":"JWT"}, with and without the signature of the honest one
        format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{body}."),
        format!("eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.{body}.{signature}"),
        // {"alg":"NONE"}
        format!("eyJhbGciOiJOT05FIn0.{body}."),
        // {"alg":"ES256"}: there is no public key without a project.
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
async fn one_authorization_header_of_one_form_is_taken() {
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
async fn a_member_of_several_companies_names_one() {
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
    status(SOMEBODY).await.refused(404, "not_found");
    for malformed in ["", "x", "1", "null", "0b9f2c34-5a1f-4a57-9a43", "' or 1=1 --"] {
        status(malformed).await.names(&["X-Customer-Id"]);
    }
    // The role is that of the company that was named.
    let announcement = json!({ "filename": "guide.pdf", "size_bytes": 100 });
    let announce = |customer: Uuid| {
        let call = app.post("/api/v1/documents/upload").by(&one).json(&announcement);
        call.header("x-customer-id", customer.to_string())
    };
    announce(one.customer_id).await.data(201);
    announce(two.customer_id).await.refused(403, "forbidden");
    // A company that is deleted does not make the other one ambiguous.
    app.sql(&format!("update customers set deleted_at = now() where id = '{}'", two.customer_id)).await;
    app.get(STATUS).by(&one).await.data(200);
    status(&two.customer_id.to_string()).await.refused(403, "tenant_deleted");
}

#[tokio::test]
async fn companies_out_of_use_are_closed_to_all_who_work_for_them() {
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
        // Signing in still works, so that the owner can see why, or restore it.
        app.log_in(&owner.email, super::support::PASSWORD).await.data(200);
    }
    app.sql("update customers set suspended_at = null, deleted_at = null").await;
    app.get(STATUS).by(&owner).await.data(200);
}

#[tokio::test]
async fn who_belongs_to_no_company_is_told_so() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    app.sql("delete from customer_members").await;
    app.get(STATUS).by(&tenant).await.refused(422, "tenant_required");
    let unknown = with(tenant.claims(), "sub", json!(Uuid::new_v4()));
    app.get(STATUS).by(app.token(&unknown)).await.refused(422, "tenant_required");
}

#[tokio::test]
async fn support_users_read_and_ask_and_change_nothing() {
    let app = App::start().await;
    let owner = app.sign_up("Comptoir Baobab").await;
    let support = app.sign_up_support(&owner).await;
    let id = app.learn(&owner, "guide.pdf", small_pdf("The delivery takes three days.")).await;
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
async fn services_are_no_members_of_a_company() {
    let app = App::start().await;
    app.sign_up("Comptoir Baobab").await;
    let service = app.service_token();
    for (route, call) in protected(&app) {
        if route.contains("/quota/{id}") || route.contains("/health") {
            continue;
        }
        let answer = call.by(&service).await;
        assert_eq!(answer.status, 403, "{route}: {}", answer.text);
        answer.refused(403, "forbidden");
    }
}
