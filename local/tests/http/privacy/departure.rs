//! `DELETE /api/v1/privacy/me`.

use serde_json::json;

use super::{
    super::support::{App, PASSWORD},
    ME,
};

#[tokio::test]
async fn a_support_user_is_forgotten_and_its_traces_keep_the_id_only() {
    let app = App::start().await;
    let owner = app.sign_up("Comptoir Baobab").await;
    let other = app.sign_up("Lumaworks").await;
    let support = app.sign_up_support(&owner).await;
    app.sql(&format!(
        "insert into customer_members (customer_id, user_id, role) values ('{}', '{}', 'support');
         update profiles set full_name = 'Awa Koné', avatar_url = 'https://example.com/awa.png' where id = '{1}';
         insert into billing.user_config (id, user_id, data_pod_url) values ('c1', '{1}', 'https://pod.example.com');
         update invitations set email = '{2}'",
        other.customer_id, support.user_id, support.email
    ))
    .await;
    let conversation = app.store_contact_message(&owner, "132", "Bonjour").await;
    app.sql(&format!(
        "insert into messages (customer_id, conversation_id, direction, author, content, sent_by)
         values ('{}', '{conversation}', 'outbound', 'agent', 'Bonjour', '{}')",
        owner.customer_id, support.user_id
    ))
    .await;

    app.delete(ME).by(&support).await.no_content();

    app.delete(ME).by(&support).await.refused(401, "unauthorized");
    app.get("/api/v1/documents").by(&support).await.refused(401, "unauthorized");
    app.log_in(&support.email, PASSWORD).await.refused(401, "invalid_credentials");
    let refresh = json!({ "refresh_token": support.refresh_token });
    assert_eq!(app.post("/api/v1/auth/refresh").json(&refresh).await.status, 401);
    for (table, column) in
        [("customer_members", "user_id"), ("credentials", "user_id"), ("refresh_sessions", "user_id")]
    {
        let rows = format!("select count(*) from {table} where {column} = '{}'", support.user_id);
        assert_eq!(app.number(&rows).await, 0, "{table}");
    }
    for (table, text) in [("users", &support.email), ("profiles", &support.email), ("invitations", &support.email)] {
        let rows = format!("select count(*) from {table} t where strpos(to_jsonb(t)::text, '{text}') > 0");
        assert_eq!(app.number(&rows).await, 0, "{table}");
    }
    let profile = format!(
        "select count(*) from profiles where id = '{}' and full_name is null and avatar_url is null",
        support.user_id
    );
    assert_eq!(app.number(&profile).await, 1);
    assert_eq!(app.number("select count(*) from billing.user_config").await, 0);
    let sent = format!("select count(*) from messages where sent_by = '{}'", support.user_id);
    assert_eq!(app.number(&sent).await, 1);
    for tenant in [&owner, &other] {
        let left = format!("member.left user:{}", support.user_id);
        assert_eq!(app.audit_actions(tenant).await.iter().filter(|line| **line == left).count(), 1);
    }
    // The address is free: somebody may sign up with it.
    let signup = json!({ "email": support.email, "password": PASSWORD, "company_name": "Nouvelle" });
    app.post("/api/v1/auth/signup").json(&signup).await.data(201);
}

#[tokio::test]
async fn an_invitation_of_another_company_to_somebody_who_leaves_admits_nobody() {
    let app = App::start().await;
    let (owner, other) = (app.sign_up("Comptoir Baobab").await, app.sign_up("Lumaworks").await);
    let support = app.sign_up_support(&owner).await;
    let stranger = app.sign_up("Chez Koffi").await;
    let invite = async |email: &str| {
        let body = json!({ "role": "owner", "email": email });
        app.post("/api/v1/customers/me/invitations").by(&other).json(&body).await.data(201)["token"].clone()
    };
    let (for_support, for_stranger) = (invite(&support.email).await, invite(&stranger.email).await);
    let accept = |token: &serde_json::Value| {
        app.post("/api/v1/auth/invitations").by(&stranger).json(&json!({ "invitation": token }))
    };
    accept(&for_support).await.invalid_fields(&["invitation"]);

    app.delete(ME).by(&support).await.no_content();

    accept(&for_support).await.invalid_fields(&["invitation"]);
    let listed = app.get("/api/v1/customers/me/invitations").by(&other).await.data(200);
    assert_eq!((&listed[1]["status"], &listed[1]["email"]), (&json!("revoked"), &serde_json::Value::Null));
    assert_eq!((&listed[0]["status"], &listed[0]["email"]), (&json!("open"), &json!(stranger.email)));
    accept(&for_stranger).await.data(200);
}

#[tokio::test]
async fn an_owner_an_administrator_and_a_payer_are_refused_with_a_sentence() {
    let app = App::start().await;
    let owner = app.sign_up("Comptoir Baobab").await;
    let support = app.sign_up_support(&owner).await;
    app.sql("insert into billing.user_config (id, user_id) select 'c' || row_number() over (), id::text from users")
        .await;
    let refused = app.delete(ME).by(&owner).await;
    let sentence = "you own the company: transfer the ownership to a member or delete the account first";
    assert_eq!(refused.body["error"]["message"], sentence);
    refused.refused(409, "account_owner");
    app.delete(ME).by(app.admin_token().await).await.refused(403, "forbidden");
    app.sql(&format!("update profiles set subscription_status = 'past_due' where id = '{}'", support.user_id)).await;
    app.delete(ME).by(&support).await.refused(409, "subscription_open");
    app.delete(ME).by(app.service_token()).await.refused(403, "forbidden");
    assert_eq!(app.number("select count(*) from billing.user_config").await, 2, "whoever is refused loses nothing");
    app.log_in(&support.email, PASSWORD).await.data(200);
}

#[tokio::test]
async fn a_user_who_leaves_twice_at_once_is_recorded_once() {
    let app = App::start().await;
    let owner = app.sign_up("Comptoir Baobab").await;
    let support = app.sign_up_support(&owner).await;
    let (one, two) = tokio::join!(app.delete(ME).by(&support).into_future(), app.delete(ME).by(&support).into_future());
    let mut statuses = [one.status, two.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [204, 401]);
    assert_eq!(app.number("select count(*) from audit_log where action = 'member.left'").await, 1);
}

#[tokio::test]
async fn of_a_departure_and_a_transfer_of_the_ownership_at_once_one_happens() {
    let app = App::start().await;
    let owner = app.sign_up("Comptoir Baobab").await;
    let support = app.sign_up_support(&owner).await;
    let transfer = app.post("/api/v1/customers/me/owner").by(&owner).json(&json!({ "user_id": support.user_id }));
    let (left, transferred) = tokio::join!(app.delete(ME).by(&support).into_future(), transfer.into_future());
    match (left.status, transferred.status) {
        (204, 404) | (409, 200) => {}
        other => panic!("{other:?}: {} {}", left.text, transferred.text),
    }
    let owners =
        "select count(*) from customers join users on users.id = customers.user_id where users.deleted_at is null";
    assert_eq!(app.number(owners).await, 1, "a company always has an owner");
}
