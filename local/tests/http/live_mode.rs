//! Switching the bot between LIVE mode (it sells) and RAG mode (it answers from documents), and the bot sessions.

use futures::future::join_all;
use serde_json::{Value, json};

use super::support::{App, TenantUser, TestRequest};

const TOGGLE: &str = "/api/v1/toggle-live-mode";
const SESSIONS: &str = "/api/v1/bot-sessions";

fn toggle(app: &App, tenant: &TenantUser, enabled: bool) -> TestRequest {
    app.post(TOGGLE).by(tenant).json(&json!({ "enabled": enabled }))
}

/// The modes of all bot sessions, newest first. Ended sessions are in parentheses.
async fn sessions(app: &App, tenant: &TenantUser) -> Vec<String> {
    let list = app.get(&format!("{SESSIONS}?limit=100")).by(tenant).await.data(200);
    let name = |session: &Value| match (session["mode"].as_str().unwrap(), session["ended_at"].is_null()) {
        (mode, true) => mode.to_owned(),
        (mode, false) => format!("({mode})"),
    };
    list.as_array().unwrap().iter().map(name).collect()
}

#[tokio::test]
async fn switching_the_mode_ends_the_session_and_starts_another() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let other = app.sign_up("Chez Koffi").await;

    let live = toggle(&app, &tenant, true).await.data(200);
    assert_eq!((&live["mode"], &live["ended_at"]), (&json!("live"), &Value::Null));
    // No model is configured, and nobody but a model takes orders.
    assert!(live["warning"].as_str().unwrap().starts_with("no language model is configured"), "{live}");
    // The path that the mobile app uses.
    let rag = app.post("/toggle-live-mode").by(&tenant).json(&json!({ "enabled": false })).await.data(200);
    assert_eq!((&rag["mode"], &rag["warning"]), (&json!("rag"), &Value::Null));

    assert_eq!(sessions(&app, &tenant).await, ["rag", "(live)"]);
    assert_eq!(sessions(&app, &other).await, [""; 0]);
    assert_eq!(app.activities(&tenant).await, ["mode_changed"; 2]);
    assert_eq!(app.audit_actions(&tenant).await, vec![format!("mode.changed tenant:{}", tenant.customer_id); 2]);
    let live_only = app.get(&format!("{SESSIONS}?status=live")).by(&tenant).await.data(200);
    assert_eq!((live_only.as_array().unwrap().len(), &live_only[0]["id"]), (1, &live["id"]));
    app.get(&format!("{SESSIONS}?status=sales")).by(&tenant).await.invalid_fields(&["status"]);
}

#[tokio::test]
async fn switching_to_the_current_mode_changes_nothing() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    // Without a bot session the mode is RAG.
    let rag = toggle(&app, &tenant, false).await.data(200);
    assert_eq!(toggle(&app, &tenant, false).await.data(200), rag);
    assert_eq!((app.activities(&tenant).await.len(), app.audit_actions(&tenant).await.len()), (0, 0));

    let live = toggle(&app, &tenant, true).await.data(200);
    assert_eq!(toggle(&app, &tenant, true).await.data(200), live);
    assert_eq!(sessions(&app, &tenant).await, ["live", "(rag)"]);
    assert_eq!((app.activities(&tenant).await.len(), app.audit_actions(&tenant).await.len()), (1, 1));
}

#[tokio::test]
async fn each_of_several_concurrent_switches_is_answered_with_its_own_mode() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;

    let same = join_all((0..8).map(|_| async { toggle(&app, &tenant, true).await.data(200) })).await;
    assert!(same.iter().all(|session| session["id"] == same[0]["id"]), "one session: {same:?}");
    assert_eq!(app.activities(&tenant).await, ["mode_changed"]);

    let mixed = [true, false].repeat(8).into_iter();
    let calls = mixed.map(|enabled| {
        let call = toggle(&app, &tenant, enabled);
        async move { (enabled, call.await.data(200)) }
    });
    for (enabled, session) in join_all(calls).await {
        assert_eq!(session["mode"], if enabled { "live" } else { "rag" });
    }
    let open = "select count(*) from bot_sessions where ended_at is null";
    assert_eq!(app.number(open).await, 1);
    let all = app.number("select count(*) from bot_sessions").await;
    assert_eq!(app.activities(&tenant).await.len(), usize::try_from(all).unwrap(), "an activity a session");
}

#[tokio::test]
async fn a_switch_by_a_support_user_or_with_an_invalid_body_is_refused() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let support = app.sign_up_support(&tenant).await;
    toggle(&app, &support, true).await.refused(403, "forbidden");
    app.get(SESSIONS).by(&support).await.refused(403, "forbidden");
    for body in [json!({}), json!({ "enabled": "yes" }), json!({ "enabled": null }), json!({ "enabled": 1 })] {
        app.post(TOGGLE).by(&tenant).json(&body).await.invalid_fields(&["enabled"]);
    }
    assert_eq!(sessions(&app, &tenant).await, [""; 0]);
}

#[tokio::test]
async fn a_switch_fails_when_the_audit_entry_cannot_be_written() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    app.sql("revoke execute on function app.audit_own(uuid, text, text, text, jsonb) from lisa_tenant").await;
    toggle(&app, &tenant, true).await.refused(500, "internal");
    assert_eq!(sessions(&app, &tenant).await, [""; 0]);
    assert_eq!(app.activities(&tenant).await, [""; 0]);
}

#[tokio::test]
async fn with_a_model_live_mode_has_no_warning() {
    let app = App::with_settings(&[("LLM_PROVIDER", "groq"), ("GROQ_API_KEY", "test")]).await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    assert_eq!(toggle(&app, &tenant, true).await.data(200)["warning"], Value::Null);
}
