//! One-time links to a new password: issued by an owner or an administrator, and refused when they are abused.

use futures::future::join_all;
use serde_json::{Value, json};
use uuid::Uuid;

use super::support::{App, PASSWORD, TenantUser, TestResponse};

const RESET: &str = "/api/v1/auth/password-reset";
const ADMIN: &str = "/api/v1/admin/password-resets";
const NEW_PASSWORD: &str = "staple battery horse";

fn issue_path(user: Uuid) -> String {
    format!("/api/v1/customers/me/members/{user}/password-reset")
}

async fn issue(app: &App, owner: &TenantUser, user: Uuid) -> Value {
    app.post(&issue_path(user)).by(owner).await.data(201)
}

async fn reset(app: &App, token: &Value, password: &str) -> TestResponse {
    app.post(RESET).json(&json!({ "token": token, "new_password": password })).await
}

#[tokio::test]
async fn a_link_of_an_owner_sets_a_new_password_once_and_ends_the_sessions() {
    let app = App::with_settings(&[("APP_URL", "https://app.example.com/")]).await;
    let owner = app.sign_up("Comptoir Baobab").await;
    let support = app.sign_up_support(&owner).await;
    let link = issue(&app, &owner, support.user_id).await;
    let token = link["token"].as_str().unwrap();
    assert!(token.starts_with("pwr_") && token.len() == 68, "256 bits");
    assert_eq!(link["link"], format!("https://app.example.com/password-reset#token={token}"));
    assert_eq!((&link["user_id"], &link["valid_hours"]), (&json!(support.user_id), &json!(24)));
    let stored = format!("select count(*) from password_resets where password_resets::text like '%{token}%'");
    assert_eq!(app.number(&stored).await, 0, "only a hash is stored");

    // A weak password is refused, and the link stays.
    reset(&app, &link["token"], "short").await.invalid_fields(&["new_password"]);
    reset(&app, &link["token"], "password12").await.invalid_fields(&["new_password"]);
    reset(&app, &link["token"], NEW_PASSWORD).await.no_content();
    app.log_in(&support.email, PASSWORD).await.refused(401, "invalid_credentials");
    app.log_in(&support.email, NEW_PASSWORD).await.data(200);
    app.refresh(&support.refresh_token).await.refused(401, "invalid_refresh_token");
    reset(&app, &link["token"], "another battery horse").await.invalid_fields(&["token"]);
    app.log_in(&support.email, NEW_PASSWORD).await.data(200);
    let entries = vec![format!("password_reset.issued user:{}", support.user_id)];
    assert_eq!(app.audit_actions(&owner).await, entries);
    let used = "select count(*) from audit_log where action = 'auth.password_reset'";
    assert_eq!(app.number(used).await, 1);
}

#[tokio::test]
async fn an_expired_unknown_or_superseded_link_sets_nothing() {
    let app = App::start().await;
    let owner = app.sign_up("Comptoir Baobab").await;
    let support = app.sign_up_support(&owner).await;
    let first = issue(&app, &owner, support.user_id).await;
    let second = issue(&app, &owner, support.user_id).await;
    reset(&app, &first["token"], NEW_PASSWORD).await.invalid_fields(&["token"]);
    for token in ["", "pwr_0", "pwr_\u{0}", second["user_id"].as_str().unwrap()] {
        reset(&app, &json!(token), NEW_PASSWORD).await.invalid_fields(&["token"]);
    }
    app.sql("update password_resets set expires_at = now() - interval '1 second'").await;
    reset(&app, &second["token"], NEW_PASSWORD).await.invalid_fields(&["token"]);
    // A change of the password by its owner ends the links too.
    let third = issue(&app, &owner, support.user_id).await;
    let change = json!({ "current_password": PASSWORD, "new_password": "quartier lumineux 7" });
    app.post("/api/v1/auth/password").by(&support).json(&change).await.no_content();
    reset(&app, &third["token"], NEW_PASSWORD).await.invalid_fields(&["token"]);
    app.log_in(&support.email, "quartier lumineux 7").await.data(200);
}

#[tokio::test]
async fn of_several_uses_of_a_link_at_once_one_sets_the_password() {
    let app = App::start().await;
    let owner = app.sign_up("Comptoir Baobab").await;
    let support = app.sign_up_support(&owner).await;
    let link = issue(&app, &owner, support.user_id).await;
    let passwords = ["premiere vague calme", "deuxieme vague calme", "troisieme vague calme"];
    let answers = join_all(passwords.map(|password| reset(&app, &link["token"], password))).await;
    let done: Vec<_> = answers.iter().map(|answer| answer.status == 204).collect();
    assert_eq!(done.iter().filter(|done| **done).count(), 1, "{answers:?}");
    for (password, done) in passwords.into_iter().zip(done) {
        assert_eq!(app.log_in(&support.email, password).await.status == 200, done, "{password}");
    }
}

/// With a link for them, the owner could sign in to another company, or as the account's owner.
#[tokio::test]
async fn an_owner_gets_no_link_for_whom_other_companies_trust() {
    let app = App::start().await;
    let owner = app.sign_up("Comptoir Baobab").await;
    let other = app.sign_up("Chez Koffi").await;
    let theirs = app.sign_up_support(&other).await;
    for user in [other.user_id, theirs.user_id, Uuid::new_v4()] {
        app.post(&issue_path(user)).by(&owner).await.refused(404, "not_found");
    }
    app.post(&issue_path(owner.user_id)).by(&owner).await.refused(409, "account_owner");
    let join = async |user: &TenantUser, role: &str| {
        let insert = "insert into customer_members (customer_id, user_id, role) values";
        app.sql(&format!("{insert} ('{}', '{}', '{role}')", owner.customer_id, user.user_id)).await;
    };
    join(&other, "support").await;
    join(&theirs, "owner").await;
    app.post(&issue_path(other.user_id)).by(&owner).await.refused(409, "member_elsewhere");
    app.post(&issue_path(theirs.user_id)).by(&owner).await.refused(409, "account_owner");
    // A co-owner gets none for the account owner.
    let named = app.post(&issue_path(owner.user_id)).by(&theirs).header("x-customer-id", owner.customer_id.to_string());
    named.await.refused(409, "account_owner");
    assert_eq!(app.number("select count(*) from password_resets").await, 0);
}

#[tokio::test]
async fn a_link_ends_when_its_user_leaves_or_joins_another_company() {
    let app = App::start().await;
    let owner = app.sign_up("Comptoir Baobab").await;
    let other = app.sign_up("Chez Koffi").await;
    let (leaving, joining) = (app.sign_up_support(&owner).await, app.sign_up_support(&owner).await);
    let links = [issue(&app, &owner, leaving.user_id).await, issue(&app, &owner, joining.user_id).await];
    app.delete(&format!("/api/v1/customers/me/members/{}", leaving.user_id)).by(&owner).await.no_content();
    let invitation = app.post("/api/v1/customers/me/invitations").by(&other).json(&json!({ "role": "owner" })).await;
    let accepted = json!({ "invitation": invitation.data(201)["token"] });
    app.post("/api/v1/auth/invitations").by(&joining).json(&accepted).await.data(200);
    for link in links {
        reset(&app, &link["token"], NEW_PASSWORD).await.invalid_fields(&["token"]);
    }
    app.log_in(&joining.email, PASSWORD).await.data(200);
}

#[tokio::test]
async fn an_administrator_issues_a_link_for_an_owner_by_address() {
    let app = App::start().await;
    let owner = app.sign_up("Comptoir Baobab").await;
    let admin = app.admin_token().await;
    let body = json!({ "email": owner.email.to_uppercase() });
    app.post(ADMIN).by(&owner).json(&body).await.refused(403, "forbidden");
    app.post(ADMIN).by(&admin).json(&json!({ "email": "nobody@example.com" })).await.refused(404, "not_found");
    app.post(ADMIN).by(&admin).json(&json!({ "email": "x" })).await.invalid_fields(&["email"]);
    let link = app.post(ADMIN).by(&admin).json(&body).await.data(201);
    assert_eq!((&link["user_id"], &link["link"]), (&json!(owner.user_id), &Value::Null));
    reset(&app, &link["token"], NEW_PASSWORD).await.no_content();
    app.log_in(&owner.email, NEW_PASSWORD).await.data(200);
    let entries = vec![format!("password_reset.issued user:{}", owner.user_id)];
    assert_eq!(app.audit_actions(&owner).await, entries);
    app.sql(&format!("update users set role = 'global_admin' where id = '{}'", owner.user_id)).await;
    app.post(ADMIN).by(&admin).json(&body).await.refused(409, "administrator");
    app.sql(&format!("update users set deleted_at = now() where id = '{}'", owner.user_id)).await;
    app.post(ADMIN).by(&admin).json(&body).await.refused(404, "not_found");
}

#[tokio::test]
async fn without_mail_a_forgotten_password_leads_to_a_person() {
    let app = App::start().await;
    let owner = app.sign_up("Comptoir Baobab").await;
    for email in [owner.email.as_str(), "nobody@example.com"] {
        app.post("/api/v1/auth/forgot").json(&json!({ "email": email })).await.refused(409, "no_mail");
    }
    app.post("/api/v1/auth/forgot").json(&json!({ "email": "x" })).await.invalid_fields(&["email"]);
}

#[tokio::test]
async fn of_a_link_and_its_revocation_at_once_one_wins() {
    let app = App::start().await;
    let owner = app.sign_up("Comptoir Baobab").await;
    for password in ["premiere vague calme", "deuxieme vague calme", "troisieme vague calme"] {
        let support = app.sign_up_support(&owner).await;
        let link = issue(&app, &owner, support.user_id).await;
        let path = format!("/api/v1/customers/me/members/{}", support.user_id);
        let remove = async { app.delete(&path).by(&owner).await };
        let (used, removed) = tokio::join!(reset(&app, &link["token"], password), remove);
        removed.no_content();
        assert!([204, 422].contains(&used.status), "{used:?}");
        assert_eq!(app.log_in(&support.email, password).await.status == 200, used.status == 204);
        // After the removal, the link is nothing more.
        reset(&app, &link["token"], "staple battery horse").await.invalid_fields(&["token"]);
    }
}

#[tokio::test]
async fn of_two_links_issued_at_once_at_most_one_works() {
    let app = App::start().await;
    let owner = app.sign_up("Comptoir Baobab").await;
    let support = app.sign_up_support(&owner).await;
    let path = issue_path(support.user_id);
    let issued = join_all((0..3).map(|_| async { app.post(&path).by(&owner).await.data(201) })).await;
    let open = "select count(*) from password_resets where used_at is null and revoked_at is null";
    assert_eq!(app.number(open).await, 1);
    let mut used = 0;
    for link in &issued {
        used += i32::from(reset(&app, &link["token"], NEW_PASSWORD).await.status == 204);
    }
    assert_eq!(used, 1);
    assert_eq!(app.number(open).await, 0);
}
