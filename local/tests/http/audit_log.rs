//! GET /api/v1/audit: who may read the audit log.

use super::support::App;

#[tokio::test]
async fn an_owner_reads_only_the_audit_log_of_their_company() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    app.sign_up("Chez Koffi").await;

    let answer = app.get("/api/v1/audit").by(&tenant).await.data(200);

    let actions: Vec<_> = answer.as_array().unwrap().iter().map(|entry| entry["action"].clone()).collect();
    assert_eq!(actions, ["auth.signup"]);
    assert_eq!(answer[0]["actor"], tenant.user_id.to_string());
}

#[tokio::test]
async fn a_support_user_may_not_read_the_audit_log() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let support = app.sign_up_support(&tenant).await;

    app.get("/api/v1/audit").by(&support).await.refused(403, "forbidden");
}
