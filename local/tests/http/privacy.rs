//! GET /api/v1/audit

use reqwest::Method;
use serde_json::json;

use super::support::App;

#[tokio::test]
async fn a_member_is_told_the_own_company() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;

    let answer = app.call(Method::GET, "/api/v1/audit").by(&tenant).await.data(200);

    assert_eq!(answer, json!({ "customer_id": tenant.customer_id }));
}
