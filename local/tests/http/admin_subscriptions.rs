//! GET /api/v1/admin/subscriptions and POST /api/v1/admin/subscriptions/assign: paid subscriptions that are nobody's.

use chrono::Utc;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    purchases::{Shop, field_event},
    support::{App, TenantUser, TestResponse},
};

const LIST: &str = "/api/v1/admin/subscriptions";

async fn listed(app: &App, admin: &str) -> Vec<String> {
    let list = app.get(LIST).by(admin).await.data(200);
    list.as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect()
}

async fn assign(app: &App, admin: &str, subscription: &str, user: Uuid) -> TestResponse {
    let body = json!({ "subscription_id": subscription, "user_id": user });
    app.post(&format!("{LIST}/assign")).by(admin).json(&body).await
}

async fn is_pro(app: &App, tenant: &TenantUser) -> bool {
    app.get("/api/v1/quota/status").by(tenant).await.data(200)["is_pro"] == true
}

/// The field event of a subscription that is nobody's, with this id and customer.
fn nobodys(number: u32) -> Value {
    let mut event = field_event("nobodys_subscription.json", Uuid::nil());
    event["id"] = json!(format!("evt_{number}"));
    event["data"]["object"]["id"] = json!(format!("sub_{number}"));
    event["data"]["object"]["customer"] = json!(format!("cus_{number}"));
    event
}

#[tokio::test]
async fn a_paid_subscription_that_is_nobodys_is_listed_counted_and_assigned() {
    let shop = Shop::open(&[]).await;
    let (app, owner, admin) = (&shop.app, &shop.owner, shop.app.admin_token().await);
    assert_eq!(listed(app, &admin).await, [""; 0]);
    let created = field_event("nobodys_subscription.json", owner.user_id);
    assert_eq!(app.deliver_stripe_event(&created).await.data(200)["outcome"], "done");
    let list = app.get(LIST).by(&admin).await.data(200);
    assert_eq!(
        (&list[0]["id"], &list[0]["plan"], &list[0]["status"], &list[0]["user_id"], &list[0]["stripe_customer_id"]),
        (&json!("sub_field_nobody"), &json!("pro"), &json!("active"), &Value::Null, &json!("cus_field_nobody"))
    );
    // Its owner may still be on the way for ten minutes.
    let report = app.stack.invoke("maintenance", json!({})).await.unwrap();
    assert_eq!(report["subscriptions_unassigned"], 0);
    app.billing_sql("update billing.subscription_states set updated_at = now() - interval '11 minutes'").await;
    let report = app.stack.invoke("maintenance", json!({})).await.unwrap();
    assert_eq!(report["subscriptions_unassigned"], 1);

    for _ in 0..2 {
        let assigned = assign(app, &admin, "sub_field_nobody", owner.user_id).await.data(200);
        assert_eq!(assigned, json!({ "subscription_id": "sub_field_nobody", "user_id": owner.user_id }));
    }
    assert!(is_pro(app, owner).await);
    assert_eq!(listed(app, &admin).await, [""; 0]);
    let entries = format!(
        "select count(*) from audit_log where customer_id = '{}' and action = 'subscription.assigned'
             and actor in (select id from users where role = 'global_admin')",
        owner.customer_id
    );
    assert_eq!(app.number(&entries).await, 1);
    // A later event without metadata is the user's too.
    let mut ended = created;
    ended["id"] = json!("evt_later");
    ended["type"] = json!("customer.subscription.deleted");
    ended["created"] = json!(Utc::now().timestamp() + 1);
    app.deliver_stripe_event(&ended).await.data(200);
    assert!(!is_pro(app, owner).await);
    assert_eq!(listed(app, &admin).await, [""; 0]);
}

#[tokio::test]
async fn a_subscription_of_a_user_who_does_not_exist_is_nobodys() {
    let shop = Shop::open(&[]).await;
    let (app, owner, admin) = (&shop.app, &shop.owner, shop.app.admin_token().await);
    let mut created = nobodys(1);
    created["data"]["object"]["metadata"] = json!({ "user_id": Uuid::from_u128(7), "plan": "pro" });
    app.deliver_stripe_event(&created).await.data(200);
    let list = app.get(LIST).by(&admin).await.data(200);
    assert_eq!((&list[0]["id"], &list[0]["user_id"]), (&json!("sub_1"), &json!(Uuid::from_u128(7))));
    assign(app, &admin, "sub_1", owner.user_id).await.data(200);
    assert!(is_pro(app, owner).await);
    // The metadata still name the other user, and an administrator's choice stays.
    created["id"] = json!("evt_renewed");
    created["created"] = json!(Utc::now().timestamp() + 1);
    created["type"] = json!("customer.subscription.updated");
    app.deliver_stripe_event(&created).await.data(200);
    assert!(is_pro(app, owner).await);
    assert_eq!(listed(app, &admin).await, [""; 0]);
    // The account is gone while the subscription is paid on.
    app.sql(&format!("select app.end_account('{}')", owner.user_id)).await;
    app.stack.invoke("maintenance", json!({ "task": "reconcile" })).await.unwrap();
    assert_eq!(listed(app, &admin).await, ["sub_1"]);
}

#[tokio::test]
async fn an_assignment_is_refused_for_what_is_somebodys_or_over_and_for_a_second_one() {
    let shop = Shop::open(&[]).await;
    let (app, owner, admin) = (&shop.app, &shop.owner, shop.app.admin_token().await);
    let other = app.sign_up("Chez Koffi").await;
    for number in 1..=3 {
        app.deliver_stripe_event(&nobodys(number)).await.data(200);
    }
    assign(app, &admin, "sub_unknown", owner.user_id).await.refused(404, "not_found");
    assign(app, &admin, "sub_1", Uuid::new_v4()).await.refused(404, "not_found");
    assign(app, &admin, "", owner.user_id).await.invalid_fields(&["subscription_id"]);
    assign(app, &admin, "sub_1", owner.user_id).await.data(200);
    assign(app, &admin, "sub_1", other.user_id).await.refused(409, "subscription_assigned");
    assign(app, &admin, "sub_2", owner.user_id).await.refused(409, "already_subscribed");
    let mut over = nobodys(3);
    over["id"] = json!("evt_over");
    over["type"] = json!("customer.subscription.deleted");
    app.deliver_stripe_event(&over).await.data(200);
    assign(app, &admin, "sub_3", other.user_id).await.refused(409, "subscription_ended");
    for (caller, token) in [("an owner", app.token(&owner.claims())), ("a service", app.service_token())] {
        let answer = app.get(LIST).by(&token).await;
        assert_eq!(answer.status, 403, "{caller}");
        let answer = assign(app, &token, "sub_2", owner.user_id).await;
        assert_eq!(answer.status, 403, "{caller}");
    }
    assert_eq!(listed(app, &admin).await, ["sub_2"]);
    assert!(!is_pro(app, &other).await);
}

#[tokio::test]
async fn an_administrator_whose_account_was_deleted_is_refused() {
    let shop = Shop::open(&[]).await;
    let (app, admin) = (&shop.app, shop.app.admin_token().await);
    assert_eq!(listed(app, &admin).await, [""; 0]);
    app.sql("select app.end_account(id) from users where role = 'global_admin'").await;
    assert_eq!(app.get(LIST).by(&admin).await.status, 403);
}

#[tokio::test]
async fn of_concurrent_assignments_one_wins() {
    let shop = Shop::open(&[]).await;
    let (app, owner, admin) = (&shop.app, &shop.owner, shop.app.admin_token().await);
    let other = app.sign_up("Chez Koffi").await;
    for number in 1..=3 {
        app.deliver_stripe_event(&nobodys(number)).await.data(200);
    }
    // One subscription, two users.
    let (one, two) =
        tokio::join!(assign(app, &admin, "sub_1", owner.user_id), assign(app, &admin, "sub_1", other.user_id));
    let mut statuses = [one.status, two.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409]);
    // Two subscriptions, one user.
    let free = if one.status == 200 { &other } else { owner };
    let (one, two) =
        tokio::join!(assign(app, &admin, "sub_2", free.user_id), assign(app, &admin, "sub_3", free.user_id));
    let mut statuses = [one.status, two.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409]);
    assert!(is_pro(app, owner).await && is_pro(app, &other).await);
    assert_eq!(listed(app, &admin).await.len(), 1);
}

#[tokio::test]
async fn the_cursor_lists_every_subscription_that_is_nobodys() {
    let shop = Shop::open(&[]).await;
    let (app, admin) = (&shop.app, shop.app.admin_token().await);
    for number in 1..=5 {
        app.deliver_stripe_event(&nobodys(number)).await.data(200);
    }
    let (mut seen, mut path) = (Vec::new(), format!("{LIST}?limit=2"));
    loop {
        let page = app.get(&path).by(&admin).await.body;
        seen.extend(page["data"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()));
        let Some(cursor) = page["meta"]["next_cursor"].as_str() else { break };
        path = format!("{LIST}?limit=2&cursor={cursor}");
    }
    assert_eq!(seen, ["sub_5", "sub_4", "sub_3", "sub_2", "sub_1"]);
    app.get(&format!("{LIST}?status=active")).by(&admin).await.invalid_fields(&["status"]);
    app.get(&format!("{LIST}?sort=plan")).by(&admin).await.invalid_fields(&["sort"]);
}
