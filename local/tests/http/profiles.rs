//! GET and PATCH /api/v1/profiles/me: the profile of the signed-in user, and its cache.

use local::testing;
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    purchases::Shop,
    support::{App, TenantUser, TestResponse},
};

const ME: &str = "/api/v1/profiles/me";

async fn patch(app: &App, user: &TenantUser, body: &Value) -> TestResponse {
    app.call(Method::PATCH, ME).by(user).json(body).await
}

async fn profile(app: &App, user: &TenantUser) -> Value {
    app.get(ME).by(user).await.data(200)
}

#[tokio::test]
async fn the_companies_that_a_user_may_open_are_listed_also_while_the_profile_is_cached() {
    let app = App::start().await;
    let first = app.sign_up("Comptoir Baobab").await;
    let second = app.sign_up("Chez Koffi").await;
    let support = app.sign_up_support(&first).await;
    let companies = async |user: &TenantUser| profile(&app, user).await["companies"].clone();
    let of = |owner: &TenantUser, name: &str, role: &str, status: &str| json!({ "id": owner.customer_id, "name": name, "role": role, "status": status, "purge_after": null });
    assert_eq!(companies(&support).await, json!([of(&first, "Comptoir Baobab", "support", "active")]));

    app.sql(&format!(
        "insert into customer_members (customer_id, user_id, role) values ('{}', '{}', 'support')",
        second.customer_id, support.user_id
    ))
    .await;
    app.sql(&format!("update customers set suspended_at = now() where id = '{}'", first.customer_id)).await;
    app.sql(&format!("update users set role = 'global_admin' where id = '{}'", second.user_id)).await;

    let both = [of(&first, "Comptoir Baobab", "support", "suspended"), of(&second, "Chez Koffi", "support", "active")];
    assert_eq!(companies(&support).await, json!(both));
    assert_eq!(profile(&app, &second).await["is_administrator"], true);
    assert_eq!(profile(&app, &support).await["is_administrator"], false);
}

#[tokio::test]
async fn a_profile_has_the_name_the_subscription_and_the_requests_left() {
    let app = App::start().await;
    let owner = app.sign_up("Comptoir Baobab").await;
    let shown = profile(&app, &owner).await;
    let expected = json!({
        "id": owner.user_id, "email": owner.email, "full_name": null, "avatar_url": null,
        "subscription_status": "free", "subscription_tier": null, "subscription_current_period_end": null,
        "credits_remaining": 8, "created_at": shown["created_at"], "updated_at": shown["updated_at"],
        "companies": [
            {
                "id": owner.customer_id, "name": "Comptoir Baobab", "role": "owner", "status": "active",
                "purge_after": null,
            },
        ],
        "is_administrator": false,
    });
    assert_eq!(shown, expected);
    let support = app.sign_up_support(&owner).await;
    assert_eq!(profile(&app, &support).await["id"], support.user_id.to_string(), "each has their own");
}

#[tokio::test]
async fn a_patch_changes_the_name_and_the_picture_only() {
    let app = App::start().await;
    let owner = app.sign_up("Comptoir Baobab").await;
    profile(&app, &owner).await;
    let picture = "https://example.com/awa.png";
    let changed = patch(&app, &owner, &json!({ "full_name": " Awa Koné ", "avatar_url": picture })).await.data(200);
    assert_eq!((&changed["full_name"], &changed["avatar_url"]), (&json!("Awa Koné"), &json!(picture)));
    let expect_shown = async |expected: &Value, what: &str| {
        let shown = profile(&app, &owner).await;
        for (field, value) in expected.as_object().unwrap() {
            assert_eq!(&shown[field], value, "{field}: {what}");
        }
    };
    expect_shown(&changed, "the profile is shown as changed").await;
    let removed = patch(&app, &owner, &json!({ "avatar_url": null })).await.data(200);
    assert_eq!((&removed["full_name"], &removed["avatar_url"]), (&json!("Awa Koné"), &Value::Null));
    patch(&app, &owner, &json!({})).await.data(200);
    expect_shown(&removed, "an empty patch changes nothing, not even the time").await;
    let entries = vec![format!("profile.changed user:{}", owner.user_id); 2];
    assert_eq!(app.audit_actions(&owner).await, entries);
    let leaked = "select count(*) from audit_log entry where entry::text ~ 'Awa|awa.png'";
    assert_eq!(app.number(leaked).await, 0, "the log has names of fields and no values");
}

#[tokio::test]
async fn another_or_an_invalid_field_is_named_and_nothing_changes() {
    let app = App::start().await;
    let owner = app.sign_up("Comptoir Baobab").await;
    let before = profile(&app, &owner).await;
    for (field, value) in [
        ("email", json!("other@example.com")),
        ("id", json!(owner.customer_id)),
        ("credits_remaining", json!(1_000)),
        ("subscription_status", json!("active")),
        ("full_name", json!("")),
        ("full_name", json!("a\u{0}b")),
        ("full_name", json!("é".repeat(256))),
        ("full_name", json!(7)),
        ("avatar_url", json!("http://example.com/a.png")),
        ("avatar_url", json!("javascript:alert(1)")),
        ("avatar_url", json!("https://169.254.169.254/a.png")),
        ("avatar_url", json!(format!("https://example.com/{}", "a".repeat(2_000)))),
    ] {
        // A valid field beside it is not changed either.
        let other = if field == "full_name" { "avatar_url" } else { "full_name" };
        patch(&app, &owner, &json!({ field: value, other: null })).await.invalid_fields(&[field]);
    }
    app.call(Method::PATCH, ME).by(&owner).raw_json("{").await.refused(400, "malformed_json");
    app.call(Method::PATCH, ME).by(&owner).body("text/plain", "{}").await.refused(415, "unsupported_media_type");
    assert_eq!(profile(&app, &owner).await, before);
}

#[tokio::test]
async fn the_profile_of_a_deleted_account_is_not_shown_although_it_was_cached() {
    let app = App::start().await;
    let owner = app.sign_up("Comptoir Baobab").await;
    profile(&app, &owner).await;
    app.sql(&format!("update users set deleted_at = now() where id = '{}'", owner.user_id)).await;
    app.get(ME).by(&owner).await.refused(401, "unauthorized");
    patch(&app, &owner, &json!({ "full_name": "A" })).await.refused(401, "unauthorized");
    // A token of a Supabase project may name a user whose rows do not exist yet.
    let mut claims = owner.claims();
    claims["sub"] = json!(owner.customer_id);
    app.get(ME).by(app.token(&claims)).await.refused(404, "not_found");
}

/// Each change that is not made by PATCH is shown at the next GET, although the profile was cached before it.
async fn assert_each_change_is_shown(shop: &Shop) {
    let (app, owner) = (&shop.app, &shop.owner);
    assert_eq!(profile(app, owner).await["credits_remaining"], 8);
    // A question of the free quota.
    app.sql(&format!("update user_settings set free_quota_used = 3 where user_id = '{}'", owner.user_id)).await;
    assert_eq!(profile(app, owner).await["credits_remaining"], 5);
    // A front end through Supabase.
    app.sql(&format!("update profiles set full_name = 'Awa' where id = '{}'", owner.user_id)).await;
    assert_eq!(profile(app, owner).await["full_name"], "Awa");
    // The projection of a subscription, by another function.
    shop.buy("pro").await;
    let paid = profile(app, owner).await;
    assert_eq!((&paid["subscription_status"], &paid["subscription_tier"]), (&json!("active"), &json!("pro")));
    assert_eq!(paid["credits_remaining"], 2_000);
    assert_eq!(profile(app, owner).await, paid);
}

#[tokio::test]
async fn each_change_is_shown_at_once_with_the_cache_in_memory() {
    let shop = Shop::open(&[]).await;
    shop.send_events();
    assert_each_change_is_shown(&shop).await;
}

#[tokio::test]
async fn each_change_is_shown_at_once_with_the_cache_in_redis() {
    let Some(redis) = testing::redis().await.unwrap() else { return };
    let url = format!("redis://{}", redis.address());
    let shop = Shop::open(&[("REDIS_URL", &url)]).await;
    shop.send_events();
    assert_each_change_is_shown(&shop).await;

    let client = redis::Client::open(url).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let key = format!("lisa:profile:{}", shop.owner.user_id);
    let lifetime: i64 = redis::cmd("TTL").arg(&key).query_async(&mut connection).await.unwrap();
    assert!((1..=300).contains(&lifetime), "{lifetime}");
    // The copy in Redis is the one that is shown, as long as its version is the row's.
    let copy: String = redis::cmd("GET").arg(&key).query_async(&mut connection).await.unwrap();
    let marked = copy.replace("\"Awa\"", "\"of the cache\"");
    assert_ne!(marked, copy);
    let () = redis::cmd("SET").arg(&key).arg(&marked).query_async(&mut connection).await.unwrap();
    assert_eq!(profile(&shop.app, &shop.owner).await["full_name"], "of the cache");
    patch(&shop.app, &shop.owner, &json!({ "full_name": "Binta" })).await.data(200);
    let dropped: bool = redis::cmd("EXISTS").arg(&key).query_async(&mut connection).await.unwrap();
    assert!(!dropped, "a change drops the copy");
    assert_eq!(profile(&shop.app, &shop.owner).await["full_name"], "Binta");
    // An entry of an older release is not understood, and no error.
    let () = redis::cmd("SET").arg(&key).arg("{\"form\":1}").query_async(&mut connection).await.unwrap();
    assert_eq!(profile(&shop.app, &shop.owner).await["full_name"], "Binta");
    drop(redis);
    assert_eq!(profile(&shop.app, &shop.owner).await["full_name"], "Binta", "without Redis, nothing is cached");
}
