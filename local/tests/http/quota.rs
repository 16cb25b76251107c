//! The state of the free quota: GET /v1/quota/{public_user_id} and GET /api/v1/quota/status.

use local::fakes::models::FakeReply;
use serde_json::{Value, json};
use uuid::Uuid;

use super::support::{App, TenantUser, WhatsAppFixture};

async fn set_free_quota_used(app: &App, tenant: &TenantUser, used: i64) {
    app.sql(&format!("update user_settings set free_quota_used = {used} where user_id = '{}'", tenant.user_id)).await;
}

#[tokio::test]
async fn both_quota_routes_return_equal_values_in_their_own_format() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let state = json!({
        "is_pro": false,
        "free_quota_used": 0,
        "free_quota_limit": 8,
        "state": "normal",
        "paywall_should_show": false,
    });

    let mut bare = state.clone();
    bare["public_user_id"] = json!(tenant.user_id);
    assert_eq!(app.get(&format!("/v1/quota/{}", tenant.user_id)).by(&tenant).await.json_body(200), bare);
    assert_eq!(app.get("/api/v1/quota/status").by(&tenant).await.data(200), state);
}

#[tokio::test]
async fn the_quota_of_another_user_is_not_found_like_that_of_an_unknown_user() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let other = app.sign_up("Chez Koffi").await;
    let support = app.sign_up_support(&tenant).await;
    let unknown = Uuid::new_v4();
    for (caller, asked) in [(&tenant, other.user_id), (&support, tenant.user_id), (&tenant, unknown)] {
        let answer = app.get(&format!("/v1/quota/{asked}")).by(caller).await;
        assert_eq!(answer.body["error"]["message"], "user not found");
        answer.refused(404, "not_found");
    }
    for malformed in ["x", "1", "%00", "..%2f", "%ff", "0b9f2c34-5a1f-4a57-9a43-2f6e6f0f6f01x"] {
        app.get(&format!("/v1/quota/{malformed}")).by(&tenant).await.refused(404, "not_found");
    }
}

#[tokio::test]
async fn services_and_administrators_may_read_the_quota_of_any_user() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    for token in [app.service_token(), app.admin_token().await] {
        let quota = app.get(&format!("/v1/quota/{}", tenant.user_id)).by(&token).await.json_body(200);
        assert_eq!(quota["public_user_id"], tenant.user_id.to_string());
        app.get(&format!("/v1/quota/{}", Uuid::new_v4())).by(&token).await.refused(404, "not_found");
    }
}

#[tokio::test]
async fn the_quota_state_changes_from_normal_to_warning_to_blocked() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    for (used, state, paywall) in [
        (0, "normal", false),
        (6, "normal", false),
        (7, "warn_last_free", false),
        (8, "blocked", true),
        (9, "blocked", true),
    ] {
        set_free_quota_used(&app, &tenant, used).await;
        for quota in [
            app.get(&format!("/v1/quota/{}", tenant.user_id)).by(&tenant).await.json_body(200),
            app.get("/api/v1/quota/status").by(&tenant).await.data(200),
        ] {
            assert_eq!((&quota["state"], &quota["paywall_should_show"]), (&json!(state), &json!(paywall)), "{used}");
        }
    }
}

#[tokio::test]
async fn questions_use_up_the_quota_and_the_refusal_reports_it() {
    let app = App::with_settings(&[("FREE_QUOTA_LIMIT", "2")]).await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let asked = |answer: &Value| (answer["quota"]["free_quota_used"].as_i64(), answer["quota"]["state"].clone());

    assert_eq!(asked(&app.ask(&tenant, "Combien ?").await.data(200)), (Some(1), json!("warn_last_free")));
    assert_eq!(asked(&app.ask(&tenant, "Combien ?").await.data(200)), (Some(2), json!("blocked")));
    let details = app.ask(&tenant, "Combien ?").await.refused(402, "quota_exceeded");

    let expected = json!({
        "is_pro": false,
        "free_quota_used": 2,
        "free_quota_limit": 2,
        "state": "blocked",
        "paywall_should_show": true,
    });
    assert_eq!(details, expected);
    assert_eq!(app.get("/api/v1/quota/status").by(&tenant).await.data(200), expected);
    let credits = format!("select credits_remaining from profiles where id = '{}'", tenant.user_id);
    assert_eq!(app.number(&credits).await, 0, "the profile shows it too");
}

#[tokio::test]
async fn a_pro_user_is_not_limited() {
    let app = App::with_settings(&[("FREE_QUOTA_LIMIT", "1")]).await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    app.ask(&tenant, "Combien ?").await.data(200);
    app.ask(&tenant, "Combien ?").await.refused(402, "quota_exceeded");

    app.sql("update users set is_pro = true").await;

    for _ in 0..3 {
        let quota = app.ask(&tenant, "Combien ?").await.data(200)["quota"].clone();
        assert_eq!((&quota["is_pro"], &quota["paywall_should_show"]), (&json!(true), &json!(false)));
        assert_eq!((&quota["free_quota_used"], &quota["state"]), (&json!(1), &json!("normal")));
    }
    // No door shows a paid plan beside a state that blocks.
    for quota in [
        app.get(&format!("/v1/quota/{}", tenant.user_id)).by(&tenant).await.json_body(200),
        app.get("/api/v1/quota/status").by(&tenant).await.data(200),
        app.get("/api/v1/billing/usage").by(&tenant).await.data(200)["quota"].clone(),
    ] {
        assert_eq!((&quota["is_pro"], &quota["state"]), (&json!(true), &json!("normal")), "{quota}");
    }
}

#[tokio::test]
async fn a_unit_of_an_answer_is_not_given_back_by_maintenance() {
    let whatsapp = WhatsAppFixture::start().await;
    let (app, tenant) = (&whatsapp.app, &whatsapp.tenant);
    whatsapp.upload_document("The delivery takes three days.").await;
    whatsapp.models.always(FakeReply::Text("It takes three days [1].".to_owned()));
    let used = async || {
        // As if the time of every reservation were over.
        app.sql("update reservations set expires_at = now() - interval '1 second'").await;
        app.stack.invoke("maintenance", json!({})).await.unwrap();
        app.get("/api/v1/quota/status").by(tenant).await.data(200)["free_quota_used"].clone()
    };
    let question = json!({ "question": "How long does the delivery take?" });

    assert_eq!(app.post("/api/v1/query").by(tenant).json(&question).await.data(200)["answered"], true);
    assert_eq!(used().await, 1);
    let mut stream = app.post("/api/v1/query/stream").by(tenant).json(&question).stream().await.unwrap();
    while stream.next().await.is_some() {}
    assert_eq!(used().await, 2);
    whatsapp.deliver_text(1, "How long does the delivery take?").await.json_body(200);
    whatsapp.wait_for_texts(1, 1).await;
    whatsapp.wait_for_reply_jobs().await;
    assert_eq!(used().await, 3);
}
