//! Invitations: made by an owner, used once at sign-up or by a signed-in user, and refused when they are abused.

use futures::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

use super::support::{App, PASSWORD, TenantUser, TestResponse, new_email, plant};

const INVITATIONS: &str = "/api/v1/customers/me/invitations";
const ACCEPT: &str = "/api/v1/auth/invitations";
const LOOKUP: &str = "/api/v1/auth/invitations/lookup";

async fn invite(app: &App, owner: &TenantUser, body: &Value) -> Value {
    app.post(INVITATIONS).by(owner).json(body).await.data(201)
}

async fn accept(app: &App, user: &TenantUser, token: &Value) -> TestResponse {
    app.post(ACCEPT).by(user).json(&json!({ "invitation": token })).await
}

async fn sign_up_by(app: &App, email: &str, token: &Value) -> TestResponse {
    let body = json!({ "email": email, "password": PASSWORD, "invitation": token });
    app.post("/api/v1/auth/signup").json(&body).await
}

async fn look_up(app: &App, token: &Value) -> TestResponse {
    app.post(LOOKUP).json(&json!({ "invitation": token })).await
}

/// The statuses of the company's invitations, the newest first.
async fn statuses(app: &App, owner: &TenantUser) -> Vec<String> {
    let listed = app.get(INVITATIONS).by(owner).await.data(200);
    listed.as_array().unwrap().iter().map(|one| one["status"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn an_invitation_is_valid_for_72_hours_and_its_token_is_shown_once() {
    let app = App::with_settings(&[("APP_URL", "https://app.example.com")]).await;
    let owner = app.sign_up("Comptoir Baobab").await;
    let created = invite(&app, &owner, &json!({ "role": "support", "email": " Binta@Example.com " })).await;
    let token = created["token"].as_str().unwrap();
    assert!(token.starts_with("inv_") && token.len() == 68, "256 bits");
    assert_eq!(created["link"], format!("https://app.example.com/invitation#token={token}"));
    assert_eq!((&created["role"], &created["email"]), (&json!("support"), &json!("binta@example.com")));
    let hours = "select extract(epoch from expires_at - created_at) / 3600 from invitations";
    assert_eq!(app.number(hours).await, 72);
    let stored = format!("select count(*) from invitations where invitations::text like '%{token}%'");
    assert_eq!(app.number(&stored).await, 0, "only a hash is stored");

    let listed = app.get(INVITATIONS).by(&owner).await;
    assert!(!listed.text.contains(token));
    let expected = json!([{
        "id": created["id"], "role": "support", "email": "binta@example.com", "status": "open",
        "created_by": owner.user_id, "used_by": null, "created_at": listed.body["data"][0]["created_at"],
        "expires_at": created["expires_at"],
    }]);
    assert_eq!(listed.data(200), expected);
    let entries = vec![format!("invitation.created invitation:{}", created["id"].as_str().unwrap())];
    assert_eq!(app.audit_actions(&owner).await, entries);
}

#[tokio::test]
async fn nobody_joins_a_suspended_company() {
    let app = App::start().await;
    let owner = app.sign_up("Comptoir Baobab").await;
    let other = app.sign_up("Chez Koffi").await;
    let token = invite(&app, &owner, &json!({ "role": "support" })).await["token"].clone();
    let suspend = |when: &str| format!("update customers set suspended_at = {when} where id = '{}'", owner.customer_id);
    app.sql(&suspend("now()")).await;
    accept(&app, &other, &token).await.invalid_fields(&["invitation"]);
    app.sql(&suspend("null")).await;
    accept(&app, &other, &token).await.data(200);
}

#[tokio::test]
async fn an_invitation_is_used_once_at_sign_up_with_its_role() {
    let app = App::start().await;
    let owner = app.sign_up("Comptoir Baobab").await;
    for (role, may_configure) in [("support", false), ("owner", true)] {
        let created = invite(&app, &owner, &json!({ "role": role })).await;
        let email = new_email();
        let session = sign_up_by(&app, &email, &created["token"]).await.data(201);
        let member = TenantUser::from_session(&session);
        assert_eq!(member.customer_id, owner.customer_id);
        let status = app.get("/api/v1/customers/me").by(&member).await.status;
        assert_eq!(status == 200, may_configure, "{role}: {status}");
        // The second use makes no account, and the link tells nothing of the company.
        let reused = sign_up_by(&app, &new_email(), &created["token"]).await;
        assert!(!reused.text.contains("Baobab"));
        reused.invalid_fields(&["invitation"]);
        assert_eq!(statuses(&app, &owner).await[0], "used");
    }
    assert_eq!(app.number("select count(*) from users").await, 3, "a refused sign-up leaves no account");
}

#[tokio::test]
async fn a_signed_in_user_joins_and_keeps_the_own_company() {
    let app = App::start().await;
    let owner = app.sign_up("Comptoir Baobab").await;
    let other = app.sign_up("Chez Koffi").await;
    let created = invite(&app, &owner, &json!({ "role": "support", "email": other.email.to_uppercase() })).await;
    let joined = accept(&app, &other, &created["token"]).await.data(200);
    assert_eq!((&joined["id"], &joined["name"]), (&json!(owner.customer_id), &json!("Comptoir Baobab")));
    let in_tenant =
        |tenant: Uuid| app.get("/api/v1/quota/status").by(&other).header("x-customer-id", tenant.to_string());
    in_tenant(owner.customer_id).await.data(200);
    in_tenant(other.customer_id).await.data(200);
    app.get("/api/v1/quota/status").by(&other).await.refused(422, "tenant_required");
    accept(&app, &other, &created["token"]).await.invalid_fields(&["invitation"]);
    let entries = app.audit_actions(&owner).await;
    assert_eq!(entries.last().unwrap(), &format!("member.joined user:{}", other.user_id));
}

#[tokio::test]
async fn an_expired_revoked_unknown_or_foreign_invitation_is_refused_and_nobody_joins() {
    let app = App::start().await;
    let owner = app.sign_up("Comptoir Baobab").await;
    let other = app.sign_up("Chez Koffi").await;
    let members = "select count(*) from customer_members";
    let before = app.number(members).await;

    let expired = invite(&app, &owner, &json!({ "role": "support" })).await;
    app.sql("update invitations set expires_at = now() - interval '1 second'").await;
    let revoked = invite(&app, &owner, &json!({ "role": "owner" })).await;
    let path = format!("{INVITATIONS}/{}", revoked["id"].as_str().unwrap());
    // The other company's owner sees and revokes nothing of it.
    app.delete(&path).by(&other).await.refused(404, "not_found");
    assert_eq!(app.get(INVITATIONS).by(&other).await.data(200), json!([]));
    for _ in 0..2 {
        app.delete(&path).by(&owner).await.no_content();
    }
    let addressed = invite(&app, &owner, &json!({ "role": "support", "email": "binta@example.com" })).await;
    for token in [&expired["token"], &revoked["token"], &addressed["token"], &json!(""), &json!("inv_\u{0}")] {
        accept(&app, &other, token).await.invalid_fields(&["invitation"]);
        sign_up_by(&app, &new_email(), token).await.invalid_fields(&["invitation"]);
    }
    assert_eq!(statuses(&app, &owner).await, ["open", "revoked", "expired"]);
    assert_eq!(app.number(members).await, before);
    // The addressee still can.
    sign_up_by(&app, "binta@example.com", &addressed["token"]).await.data(201);
    let revoke_used = format!("{INVITATIONS}/{}", addressed["id"].as_str().unwrap());
    let details = app.delete(&revoke_used).by(&owner).await.refused(409, "invitation_used");
    assert!(details["used_by"].is_string() && details["used_at"].is_string(), "{details}");
}

#[tokio::test]
async fn of_several_who_use_an_invitation_at_once_one_joins() {
    let app = App::start().await;
    let owner = app.sign_up("Comptoir Baobab").await;
    let created = invite(&app, &owner, &json!({ "role": "support" })).await;
    let users = [app.sign_up("Un").await, app.sign_up("Deux").await, app.sign_up("Trois").await];
    let answers = join_all(users.iter().map(|user| accept(&app, user, &created["token"]))).await;
    let mut statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 422, 422]);
    let members = format!("select count(*) from customer_members where customer_id = '{}'", owner.customer_id);
    assert_eq!(app.number(&members).await, 2);
}

#[tokio::test]
async fn a_member_does_not_use_up_an_invitation_and_is_raised_by_one_for_owners() {
    let app = App::start().await;
    let owner = app.sign_up("Comptoir Baobab").await;
    let support = app.sign_up_support(&owner).await;
    let created = invite(&app, &owner, &json!({ "role": "support" })).await;
    accept(&app, &owner, &created["token"]).await.refused(409, "already_member");
    accept(&app, &support, &created["token"]).await.refused(409, "already_member");
    assert_eq!(statuses(&app, &owner).await[0], "open");
    sign_up_by(&app, &new_email(), &created["token"]).await.data(201);

    let raised = invite(&app, &owner, &json!({ "role": "owner" })).await;
    accept(&app, &support, &raised["token"]).await.data(200);
    app.get("/api/v1/customers/me").by(&support).await.data(200);
}

#[tokio::test]
async fn a_deleted_company_or_account_is_not_joined() {
    let app = App::start().await;
    let owner = app.sign_up("Comptoir Baobab").await;
    let other = app.sign_up("Chez Koffi").await;
    let gone = app.sign_up("Partie").await;
    let created = invite(&app, &owner, &json!({ "role": "support" })).await;
    app.sql(&format!("update users set deleted_at = now() where id = '{}'", gone.user_id)).await;
    accept(&app, &gone, &created["token"]).await.refused(401, "unauthorized");
    app.sql(&format!("update customers set deleted_at = now() where id = '{}'", owner.customer_id)).await;
    accept(&app, &other, &created["token"]).await.invalid_fields(&["invitation"]);
    assert_eq!(app.number("select count(*) from invitations where used_at is not null").await, 0);
}

#[tokio::test]
async fn invalid_invitations_are_named_by_field_and_their_number_is_limited() {
    let app = App::start().await;
    let owner = app.sign_up("Comptoir Baobab").await;
    for (body, fields) in [
        (json!({}), &["role"][..]),
        (json!({ "role": "admin" }), &["role"]),
        (json!({ "role": "support", "email": "nobody" }), &["email"]),
        (json!({ "role": "support", "expires_at": "2030-01-01T00:00:00Z" }), &["expires_at"]),
    ] {
        app.post(INVITATIONS).by(&owner).json(&body).await.invalid_fields(fields);
    }
    app.sql(&format!(
        "insert into invitations (customer_id, token_sha256, expires_at)
         select '{}', sha256(n::text::bytea), now() + interval '1 day' from generate_series(1, 99) n",
        owner.customer_id
    ))
    .await;
    let many =
        join_all((0..3).map(|_| async { app.post(INVITATIONS).by(&owner).json(&json!({ "role": "support" })).await }));
    let mut statuses: Vec<_> = many.await.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409, 409]);
    let refused = app.post(INVITATIONS).by(&owner).json(&json!({ "role": "support" })).await;
    assert_eq!(refused.refused(409, "too_many_invitations"), json!({ "open": 100, "most": 100 }));
}

#[tokio::test]
async fn the_list_filters_by_status_and_its_cursor_covers_every_row_once() {
    let app = App::start().await;
    let owner = app.sign_up("Comptoir Baobab").await;
    for _ in 0..5 {
        invite(&app, &owner, &json!({ "role": "support" })).await;
    }
    app.sql(
        "update invitations set revoked_at = now() where id = (select id from invitations order by created_at limit 1)",
    )
    .await;
    let revoked = app.get(&format!("{INVITATIONS}?status=revoked")).by(&owner).await;
    assert_eq!(revoked.body["meta"]["total"], 1);
    let (mut seen, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let next = cursor.map(|cursor| format!("&cursor={cursor}")).unwrap_or_default();
        let page = app.get(&format!("{INVITATIONS}?limit=2{next}")).by(&owner).await;
        seen.extend(page.body["data"].as_array().unwrap().iter().map(|one| one["id"].as_str().unwrap().to_owned()));
        let Some(after) = page.body["meta"]["next_cursor"].as_str() else { break };
        cursor = Some(after.to_owned());
    }
    let distinct: std::collections::BTreeSet<_> = seen.iter().collect();
    assert_eq!((seen.len(), distinct.len()), (5, 5));
    for (query, field) in [("status=gone", "status"), ("sort=email", "sort"), ("limit=0", "limit"), ("page=0", "page")]
    {
        app.get(&format!("{INVITATIONS}?{query}")).by(&owner).await.invalid_fields(&[field]);
    }
}

#[tokio::test]
async fn of_two_sign_ups_by_one_invitation_at_once_one_makes_an_account() {
    let app = App::start().await;
    let owner = app.sign_up("Comptoir Baobab").await;
    let created = invite(&app, &owner, &json!({ "role": "owner" })).await;
    let emails = [new_email(), new_email()];
    let answers = join_all(emails.iter().map(|email| sign_up_by(&app, email, &created["token"]))).await;
    let mut statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 422]);
    for (email, answer) in emails.iter().zip(&answers) {
        assert_eq!(app.log_in(email, PASSWORD).await.status == 200, answer.status == 201, "{email}");
    }
    assert_eq!(app.number("select count(*) from customer_members").await, 2);
}

/// Whichever comes first: a revoked invitation lets nobody in, and a used one is not revoked.
#[tokio::test]
async fn an_invitation_that_is_used_and_revoked_at_once_is_one_of_both() {
    let app = App::start().await;
    let owner = app.sign_up("Comptoir Baobab").await;
    for company in ["Un", "Deux", "Trois"] {
        let user = app.sign_up(company).await;
        let created = invite(&app, &owner, &json!({ "role": "support" })).await;
        let path = format!("{INVITATIONS}/{}", created["id"].as_str().unwrap());
        let revoke = async { app.delete(&path).by(&owner).await };
        let (used, revoked) = tokio::join!(accept(&app, &user, &created["token"]), revoke);
        let joined = format!(
            "select count(*) from customer_members where customer_id = '{}' and user_id = '{}'",
            owner.customer_id, user.user_id
        );
        let outcome = (used.status, revoked.status, app.number(&joined).await, statuses(&app, &owner).await[0].clone());
        let expected = [(200, 409, 1, "used".to_owned()), (422, 204, 0, "revoked".to_owned())];
        assert!(expected.contains(&outcome), "{outcome:?}");
    }
}

#[tokio::test]
async fn a_link_to_a_new_password_is_no_invitation_and_an_invitation_sets_no_password() {
    let app = App::start().await;
    let owner = app.sign_up("Comptoir Baobab").await;
    let support = app.sign_up_support(&owner).await;
    let invitation = invite(&app, &owner, &json!({ "role": "owner" })).await;
    let path = format!("/api/v1/customers/me/members/{}/password-reset", support.user_id);
    let link = app.post(&path).by(&owner).await.data(201);
    accept(&app, &support, &link["token"]).await.invalid_fields(&["invitation"]);
    let body = json!({ "token": invitation["token"], "new_password": "staple battery horse" });
    app.post("/api/v1/auth/password-reset").json(&body).await.invalid_fields(&["token"]);
    assert_eq!(statuses(&app, &owner).await[0], "open");
    app.log_in(&support.email, PASSWORD).await.data(200);
}

#[tokio::test]
async fn whoever_has_the_token_sees_what_the_invitation_offers_and_it_stays_open() {
    let app = App::start().await;
    let owner = app.sign_up("Comptoir Baobab").await;
    let other = app.sign_up("Chez Koffi").await;
    let created = invite(&app, &owner, &json!({ "role": "support", "email": "binta@example.com" })).await;
    plant(created["token"].as_str().unwrap());
    let mut expected = json!({
        "company_name": "Comptoir Baobab", "invited_by": owner.email, "role": "support", "email": "b…@example.com",
        "expires_at": created["expires_at"],
    });
    assert_eq!(look_up(&app, &created["token"]).await.data(200), expected);
    app.call(Method::PATCH, "/api/v1/profiles/me").by(&owner).json(&json!({ "full_name": "Awa Koné" })).await.data(200);
    expected["invited_by"] = json!("Awa Koné");
    let shown = look_up(&app, &created["token"]).await;
    assert!(!shown.text.contains("binta@"), "the address is masked: {}", shown.text);
    assert_eq!(shown.data(200), expected);
    // Each token shows its own company, whoever is signed in.
    let by_other = app.post(LOOKUP).by(&other).header("x-customer-id", other.customer_id.to_string());
    assert_eq!(by_other.json(&json!({ "invitation": created["token"] })).await.data(200), expected);
    let of_other = invite(&app, &other, &json!({ "role": "owner" })).await;
    let shown = look_up(&app, &of_other["token"]).await.data(200);
    let offer = (&shown["company_name"], &shown["role"], &shown["email"]);
    assert_eq!(offer, (&json!("Chez Koffi"), &json!("owner"), &Value::Null));

    assert_eq!(statuses(&app, &owner).await, ["open"]);
    sign_up_by(&app, "binta@example.com", &created["token"]).await.data(201);
}

#[tokio::test]
async fn an_invitation_that_has_ended_says_why_and_when_and_nothing_of_the_company() {
    let app = App::start().await;
    let owner = app.sign_up("Comptoir Baobab").await;
    let used = invite(&app, &owner, &json!({ "role": "support" })).await;
    let revoked = invite(&app, &owner, &json!({ "role": "support" })).await;
    let expired = invite(&app, &owner, &json!({ "role": "support" })).await;
    sign_up_by(&app, &new_email(), &used["token"]).await.data(201);
    app.delete(&format!("{INVITATIONS}/{}", revoked["id"].as_str().unwrap())).by(&owner).await.no_content();
    let id = expired["id"].as_str().unwrap();
    app.sql(&format!("update invitations set expires_at = '2026-11-26T09:30:06Z' where id = '{id}'")).await;
    for (invitation, code) in
        [(&used, "invitation_used"), (&revoked, "invitation_revoked"), (&expired, "invitation_expired")]
    {
        let answer = look_up(&app, &invitation["token"]).await;
        assert!(!answer.text.contains("Baobab") && !answer.text.contains(&owner.email), "{}", answer.text);
        let details = answer.refused(410, code);
        assert!(details["ended_at"].is_string(), "{code}: {details}");
        if code == "invitation_expired" {
            assert_eq!(details, json!({ "ended_at": "2026-11-26T09:30:06Z" }));
        }
    }
}

#[tokio::test]
async fn an_unknown_token_and_one_of_a_suspended_or_deleted_company_are_not_found() {
    let app = App::start().await;
    let owner = app.sign_up("Comptoir Baobab").await;
    let created = invite(&app, &owner, &json!({ "role": "support" })).await;
    for token in [json!(""), json!("inv_0"), json!("inv_\u{0}"), json!("x".repeat(10_000))] {
        look_up(&app, &token).await.refused(404, "not_found");
    }
    for column in ["suspended_at", "deleted_at"] {
        let set = |when: &str| format!("update customers set {column} = {when} where id = '{}'", owner.customer_id);
        app.sql(&set("now()")).await;
        let closed = look_up(&app, &created["token"]).await;
        assert!(!closed.text.contains("Baobab"));
        closed.refused(404, "not_found");
        app.sql(&set("null")).await;
        look_up(&app, &created["token"]).await.data(200);
    }
    for (body, field) in [
        (json!({}), "invitation"),
        (json!({ "invitation": 1 }), "invitation"),
        (json!({ "invitation": created["token"], "role": "owner" }), "role"),
    ] {
        app.post(LOOKUP).json(&body).await.invalid_fields(&[field]);
    }
    // A token in the address would be logged.
    let in_address = app.post(LOOKUP).query("invitation", created["token"].as_str().unwrap());
    in_address.json(&json!({ "invitation": created["token"] })).await.invalid_fields(&["invitation"]);
    app.get(LOOKUP).await.refused(405, "method_not_allowed");
}

#[tokio::test]
async fn an_inviter_whose_account_is_gone_is_not_named() {
    let app = App::start().await;
    let owner = app.sign_up("Comptoir Baobab").await;
    let created = invite(&app, &owner, &json!({ "role": "support" })).await;
    let inviter = |address: &str, deleted_at: &str| {
        let id = owner.user_id;
        format!("update users set email = '{address}', deleted_at = {deleted_at} where id = '{id}'")
    };
    app.sql(&inviter(&owner.email, "now()")).await;
    assert_eq!(look_up(&app, &created["token"]).await.data(200)["invited_by"], Value::Null);
    app.sql(&inviter(&format!("{}@accounts.invalid", owner.user_id), "null")).await;
    assert_eq!(look_up(&app, &created["token"]).await.data(200)["invited_by"], Value::Null);
}

#[tokio::test]
async fn guesses_of_tokens_are_limited_by_address() {
    let app = App::with_settings(&[("RATE_LIMIT_ADDRESS", "4")]).await;
    // The sign-up is the first call of the address.
    let owner = app.sign_up("Comptoir Baobab").await;
    let created = invite(&app, &owner, &json!({ "role": "support" })).await;
    for guess in ["inv_1", "inv_2"] {
        look_up(&app, &json!(guess)).await.refused(404, "not_found");
    }
    look_up(&app, &created["token"]).await.data(200);
    let refused = look_up(&app, &created["token"]).await;
    assert!(refused.header("retry-after").parse::<u32>().unwrap() > 0);
    refused.refused(429, "rate_limited");
}
