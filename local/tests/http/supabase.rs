//! Sign-up and sign-in with accounts in a Supabase project; the companies are in the product's own database.

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::support::{App, FakeSupabase, PASSWORD, TenantUser, WAIT_TIMEOUT, new_email, wait_until};

const SIGNUP: &str = "/api/v1/auth/signup";

fn signup(email: &str) -> Value {
    json!({ "email": email, "password": PASSWORD, "company_name": "Comptoir Baobab", "full_name": "Awa Koné" })
}

#[tokio::test]
async fn sign_up_without_confirmation_creates_the_company_and_signs_in() {
    let project = FakeSupabase::start().await;
    let app = App::with_settings(&project.settings()).await;
    let email = new_email();

    let session = app.post(SIGNUP).json(&signup(&email)).await.data(201);

    assert_eq!((&session["user"]["email"], &session["user"]["full_name"]), (&json!(email), &json!("Awa Koné")));
    assert_eq!(session["customer"]["name"], "Comptoir Baobab");
    assert_eq!((session["token_type"].as_str(), session["expires_in"].as_u64()), (Some("bearer"), Some(3600)));
    let tenant = TenantUser::from_session(&session);
    app.get("/api/v1/quota/status").by(&tenant).await.data(200);
    assert_eq!(app.number("select count(*) from credentials").await, 0, "the password is the project's business");

    app.post(SIGNUP).json(&signup(&email)).await.refused(409, "email_taken");
    let again = TenantUser::from_session(&app.log_in(&email, PASSWORD).await.data(200));
    assert_eq!((again.user_id, again.customer_id), (tenant.user_id, tenant.customer_id));
    assert_eq!(app.number("select count(*) from customers").await, 1);
}

#[tokio::test]
async fn the_company_is_created_at_the_first_sign_in_after_confirmation() {
    let project = FakeSupabase::start().await;
    project.require_confirmation();
    let app = App::with_settings(&project.settings()).await;
    let email = new_email();

    let data = app.post(SIGNUP).json(&signup(&email)).await.data(201);
    assert_eq!(data, json!({ "user": { "email": email }, "confirmation_required": true }));
    // A second sign-up gets an equal answer, so that it does not reveal that the account exists.
    assert_eq!(app.post(SIGNUP).json(&signup(&email)).await.data(201), data);
    assert_eq!(app.number("select count(*) from users").await, 0);
    app.log_in(&email, PASSWORD).await.refused(403, "email_not_confirmed");

    project.confirm(&email);
    let session = app.log_in(&email, PASSWORD).await.data(200);
    assert_eq!(
        (&session["customer"]["name"], &session["user"]["full_name"]),
        (&json!("Comptoir Baobab"), &json!("Awa Koné"))
    );
    let tenant = TenantUser::from_session(&session);
    app.get("/api/v1/quota/status").by(&tenant).await.data(200);
    let again = TenantUser::from_session(&app.log_in(&email, PASSWORD).await.data(200));
    assert_eq!(again.customer_id, tenant.customer_id);
}

#[tokio::test]
async fn concurrent_first_sign_ins_create_one_company() {
    let project = FakeSupabase::start().await;
    let app = App::with_settings(&project.settings()).await;
    for _ in 0..3 {
        let email = new_email();
        project.add_account(&email, PASSWORD, json!({ "company_name": "Comptoir Baobab" }));
        let mut calls = JoinSet::new();
        for _ in 0..8 {
            let body = json!({ "email": email, "password": PASSWORD });
            calls.spawn(app.post("/api/v1/auth/login").json(&body).into_future());
        }
        let mut companies: Vec<_> = calls
            .join_all()
            .await
            .into_iter()
            .map(|answer| TenantUser::from_session(&answer.data(200)).customer_id)
            .collect();
        companies.dedup();
        assert_eq!(companies.len(), 1);
    }
    assert_eq!(app.number("select count(*) from customers").await, 3);
}

#[tokio::test]
async fn an_invitation_is_accepted_at_the_first_sign_in() {
    let project = FakeSupabase::start().await;
    project.require_confirmation();
    let app = App::with_settings(&project.settings()).await;
    let owner_email = new_email();
    project.add_account(&owner_email, PASSWORD, json!({ "company_name": "Comptoir Baobab" }));
    let owner = TenantUser::from_session(&app.log_in(&owner_email, PASSWORD).await.data(200));
    let email = new_email();
    let invitation = app.invite(&owner, "1 day").await;
    let body = json!({ "email": email, "password": PASSWORD, "invitation": invitation });
    app.post(SIGNUP).json(&body).await.data(201);
    project.confirm(&email);

    let support = TenantUser::from_session(&app.log_in(&email, PASSWORD).await.data(200));

    assert_eq!(support.customer_id, owner.customer_id);
    let announcement = json!({ "filename": "guide.pdf", "size_bytes": 100 });
    app.post("/api/v1/documents/upload").by(&support).json(&announcement).await.refused(403, "forbidden");
}

#[tokio::test]
async fn user_metadata_grants_neither_a_company_nor_a_role() {
    let project = FakeSupabase::start().await;
    let app = App::with_settings(&project.settings()).await;
    for metadata in [
        Value::Null,
        json!({}),
        json!([]),
        json!({ "company_name": 17, "full_name": ["x"], "invitation": {} }),
        json!({ "company_name": "nul\u{0}", "full_name": "nul\u{0}" }),
        json!({ "company_name": "x".repeat(201) }),
        json!({ "invitation": "unknown" }),
        json!({ "role": "service_role", "customer_id": "0b9f2c34-5a1f-4a57-9a43-2f6e6f0f6f01" }),
    ] {
        let email = new_email();
        project.add_account(&email, PASSWORD, metadata.clone());
        let answer = app.log_in(&email, PASSWORD).await;
        assert_eq!(answer.status, 200, "{metadata}: {}", answer.text);
        let session = answer.data(200);
        assert_eq!((&session["customer"], &session["user"]["full_name"]), (&Value::Null, &Value::Null), "{metadata}");
        let token = session["access_token"].as_str().unwrap();
        app.get("/api/v1/quota/status").by(token).await.refused(422, "tenant_required");
    }
}

#[tokio::test]
async fn refresh_and_logout_use_the_sessions_of_the_supabase_project() {
    let project = FakeSupabase::start().await;
    let app = App::with_settings(&project.settings()).await;
    let tenant = app.sign_up("Comptoir Baobab").await;

    let next = TenantUser::from_session(&app.refresh(&tenant.refresh_token).await.data(200));
    assert_eq!(next.customer_id, tenant.customer_id);
    app.refresh(&tenant.refresh_token).await.refused(401, "invalid_refresh_token");
    app.refresh("").await.refused(401, "invalid_refresh_token");

    app.post("/api/v1/auth/logout").by(&next).await.no_content();
    app.refresh(&next.refresh_token).await.refused(401, "invalid_refresh_token");
    app.post("/api/v1/auth/logout").by(&next).await.no_content();
    assert_eq!(project.logouts(), ["local"], "other sessions go on");
}

#[tokio::test]
async fn a_password_change_goes_to_the_supabase_project_and_ends_all_sessions() {
    let project = FakeSupabase::start().await;
    let app = App::with_settings(&project.settings()).await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let change = async |current: &str, new: &str| {
        let body = json!({ "current_password": current, "new_password": new });
        app.post("/api/v1/auth/password").by(&tenant).json(&body).await
    };
    change("wrong horse battery", "another horse battery").await.invalid_fields(&["current_password"]);
    change(PASSWORD, PASSWORD).await.invalid_fields(&["new_password"]);
    change(PASSWORD, "another horse battery").await.no_content();
    assert_eq!(project.logouts(), ["global"]);
    app.log_in(&tenant.email, PASSWORD).await.refused(401, "invalid_credentials");
    app.log_in(&tenant.email, "another horse battery").await.data(200);
}

/// Creates Supabase's table of accounts, with the triggers that the migrations create on it, and copies an account.
async fn create_auth_users(app: &App, tenant: &TenantUser) {
    app.sql(&format!(
        "create table auth.users (id uuid primary key, email varchar(255), raw_user_meta_data jsonb);
         create trigger lisa_on_auth_user_created after insert on auth.users
             for each row execute function app.on_auth_user_created();
         create trigger lisa_on_auth_user_changed after update or delete on auth.users
             for each row execute function app.on_auth_user_changed();
         insert into auth.users values ('{}', '{}')",
        tenant.user_id, tenant.email
    ))
    .await;
}

#[tokio::test]
async fn a_changed_address_follows_and_the_old_one_is_free() {
    let project = FakeSupabase::start().await;
    let app = App::with_settings(&project.settings()).await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let (new, address) = (new_email(), "select count(*) from users join profiles using (id, email) where email = ");
    project.change_address(&tenant.email, &new);

    let session = app.refresh(&tenant.refresh_token).await.data(200);

    assert_eq!(session["user"]["email"], new.as_str());
    assert_eq!(app.number(&format!("{address} '{new}' and id = '{}'", tenant.user_id)).await, 1);
    let body = signup(&tenant.email);
    let second = TenantUser::from_session(&app.post(SIGNUP).json(&body).await.data(201));
    assert_ne!((second.user_id, second.customer_id), (tenant.user_id, tenant.customer_id));
    assert_eq!(app.log_in(&new, PASSWORD).await.data(200)["user"]["id"], tenant.user_id.to_string());
}

#[tokio::test]
async fn an_address_is_another_accounts_before_its_first_owner_signs_in_again() {
    let project = FakeSupabase::start().await;
    let app = App::with_settings(&project.settings()).await;
    let first = app.sign_up("Comptoir Baobab").await;
    let new = new_email();
    project.change_address(&first.email, &new);
    let second = TenantUser::from_session(&app.post(SIGNUP).json(&signup(&first.email)).await.data(201));
    assert_ne!(second.user_id, first.user_id);
    let placeholder = format!("select count(*) from users where email = '{}@accounts.invalid'", first.user_id);
    assert_eq!(app.number(&placeholder).await, 1);

    // The password of the first account changes, not that of the account that has the address now.
    let next = "another horse battery";
    let change = json!({ "current_password": PASSWORD, "new_password": next });
    app.post("/api/v1/auth/password").by(&first).json(&change).await.invalid_fields(&["current_password"]);
    app.log_in(&second.email, PASSWORD).await.data(200);
    let first = TenantUser::from_session(&app.refresh(&first.refresh_token).await.data(200));
    assert_eq!(first.email, new);
    app.post("/api/v1/auth/password").by(&first).json(&change).await.no_content();
    app.log_in(&new, next).await.data(200);
    app.log_in(&second.email, PASSWORD).await.data(200);
}

#[tokio::test]
async fn a_deleted_accounts_token_stops_counting_and_its_address_signs_up_again() {
    let project = FakeSupabase::start().await;
    let app = App::with_settings(&project.settings()).await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let stays = app.sign_up_support(&tenant).await;
    create_auth_users(&app, &tenant).await;
    app.get("/api/v1/quota/status").by(&tenant).await.data(200);
    project.delete_account(&tenant.email);
    app.sql("delete from auth.users").await;

    for path in ["/api/v1/quota/status", "/api/v1/documents", "/api/v1/customers/me"] {
        app.get(path).by(&tenant).await.refused(401, "unauthorized");
    }
    app.get(&format!("/v1/quota/{}", tenant.user_id)).by(&tenant).await.refused(401, "unauthorized");
    let change = json!({ "current_password": PASSWORD, "new_password": "another horse battery" });
    app.post("/api/v1/auth/password").by(&tenant).json(&change).await.refused(401, "unauthorized");
    app.log_in(&tenant.email, PASSWORD).await.refused(401, "invalid_credentials");
    // The company goes on for its other members.
    app.get("/api/v1/quota/status").by(&stays).await.data(200);

    let again = TenantUser::from_session(&app.post(SIGNUP).json(&signup(&tenant.email)).await.data(201));
    assert_ne!((again.user_id, again.customer_id), (tenant.user_id, tenant.customer_id));
    app.get("/api/v1/quota/status").by(&again).await.data(200);
}

#[tokio::test]
async fn a_deleted_accounts_address_signs_up_again_where_no_trigger_told_of_the_deletion() {
    let project = FakeSupabase::start().await;
    let app = App::with_settings(&project.settings()).await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    project.delete_account(&tenant.email);
    let again = TenantUser::from_session(&app.post(SIGNUP).json(&signup(&tenant.email)).await.data(201));
    assert_ne!(again.user_id, tenant.user_id);
    assert_eq!(again.email, tenant.email);
}

#[tokio::test]
async fn an_anonymous_user_is_nobody_until_it_has_an_address() {
    let project = FakeSupabase::start().await;
    let app = App::with_settings(&project.settings()).await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    create_auth_users(&app, &tenant).await;
    let (user, refresh_token) = project.add_anonymous_account();
    app.sql(&format!("insert into auth.users (id) values ('{user}')")).await;
    let mut claims = project.claims(user);
    claims["is_anonymous"] = json!(true);
    claims["email"] = json!("");
    let token = project.elliptic_key().sign(&claims);
    for path in ["/api/v1/quota/status".to_owned(), format!("/v1/quota/{user}")] {
        app.get(&path).by(&token).await.refused(401, "unauthorized");
    }
    app.refresh(&refresh_token).await.refused(403, "anonymous_account");
    app.sql(&format!("update user_settings set free_quota_used = 3 where user_id = '{user}'")).await;

    let email = new_email();
    project.change_address("", &email);
    app.sql(&format!("update auth.users set email = '{email}' where id = '{user}'")).await;
    claims["is_anonymous"] = json!(false);
    let quota = app.get(&format!("/v1/quota/{user}")).by(project.elliptic_key().sign(&claims)).await.json_body(200);
    assert_eq!(quota["free_quota_used"], 3, "its rows are kept");
    assert_eq!(app.number(&format!("select count(*) from users where id = '{user}' and email = '{email}'")).await, 1);
}

#[tokio::test]
async fn addresses_reach_the_supabase_project_in_their_normal_form() {
    let project = FakeSupabase::start().await;
    let app = App::with_settings(&project.settings()).await;
    let email = new_email();
    let session = app.post(SIGNUP).json(&signup(&format!(" {}\u{200b}", email.to_uppercase()))).await.data(201);
    assert_eq!(session["user"]["email"], email.as_str());
    app.log_in(&format!("\t{} ", email.to_uppercase()), PASSWORD).await.data(200);
}

#[tokio::test]
async fn errors_of_the_supabase_project_map_to_our_error_codes() {
    let project = FakeSupabase::start().await;
    let app = App::with_settings(&project.settings()).await;
    let mut weak = signup(&new_email());
    weak["password"] = "password12345".into();
    app.post(SIGNUP).json(&weak).await.invalid_fields(&["password"]);
    app.log_in("nobody@example.com", PASSWORD).await.refused(401, "invalid_credentials");
    app.log_in("", "").await.refused(401, "invalid_credentials");

    let gotrue = |status: u16, code: &str| json!({ "code": status, "error_code": code, "msg": "inside" });
    for (status, code, expected) in [
        (429, "over_request_rate_limit", (429, "rate_limited")),
        (429, "over_email_send_rate_limit", (429, "rate_limited")),
        (400, "user_banned", (403, "forbidden")),
        (422, "signup_disabled", (403, "signup_disabled")),
        (400, "email_address_invalid", (422, "validation_failed")),
        (422, "validation_failed", (422, "validation_failed")),
        (500, "unexpected_failure", (503, "unavailable")),
        (504, "request_timeout", (503, "unavailable")),
    ] {
        project.fail_with(status, gotrue(status, code));
        let answer = app.post(SIGNUP).json(&signup(&new_email())).await;
        assert!(!answer.text.contains("inside"), "{}", answer.text);
        assert_eq!((answer.status, answer.body["error"]["code"].as_str()), (expected.0, Some(expected.1)), "{code}");
        if expected.0 == 429 {
            assert!(!answer.header("retry-after").is_empty());
        }
        answer.refused(expected.0, expected.1);
    }
    // Undocumented responses, such as those of a proxy before the project, count as unavailable.
    for (status, body) in
        [(200, json!([])), (200, json!("hello")), (502, json!({ "message": "bad gateway" })), (403, json!({}))]
    {
        project.fail_with(status, body);
        app.log_in("a@example.com", PASSWORD).await.refused(503, "unavailable");
    }
    project.recover();
    app.post(SIGNUP).json(&signup(&new_email())).await.data(201);
}

#[tokio::test]
async fn an_unreachable_supabase_project_causes_503s_until_it_is_back() {
    let project = FakeSupabase::start().await;
    let app = App::with_settings(&project.settings()).await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    project.network.refuse().await.unwrap();
    app.log_in(&tenant.email, PASSWORD).await.refused(503, "unavailable");
    app.refresh(&tenant.refresh_token).await.refused(503, "unavailable");
    app.post(SIGNUP).json(&signup(&new_email())).await.refused(503, "unavailable");
    project.network.restore().await.unwrap();
    wait_until("the project is found again", WAIT_TIMEOUT, async || {
        (app.log_in(&tenant.email, PASSWORD).await.status == 200).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_forgotten_password_is_sent_by_the_project_which_tells_nobody_of_accounts() {
    let project = FakeSupabase::start().await;
    let app = App::with_settings(&project.settings()).await;
    let email = new_email();
    let session = app.post(SIGNUP).json(&signup(&email)).await.data(201);
    let owner = TenantUser::from_session(&session);
    for address in [email.as_str(), "nobody@example.com"] {
        app.post("/api/v1/auth/forgot").json(&json!({ "email": address })).await.no_content();
    }
    assert_eq!(project.recoveries(), std::slice::from_ref(&email));
    // The project limits the links to an address, and has such a limit only for an address with an account.
    project.fail_with(429, json!({ "code": 429, "error_code": "over_email_send_rate_limit", "msg": "wait" }));
    app.post("/api/v1/auth/forgot").json(&json!({ "email": email })).await.no_content();
    project.recover();
    // The project sets passwords, so this product has no links to them.
    let reset = json!({ "token": "pwr_0", "new_password": "staple battery horse" });
    app.post("/api/v1/auth/password-reset").json(&reset).await.refused(409, "no_password");
    let invitation = app.invite(&owner, "1 day").await;
    let member = json!({ "email": new_email(), "password": PASSWORD, "invitation": invitation });
    let member = TenantUser::from_session(&app.post(SIGNUP).json(&member).await.data(201));
    let path = format!("/api/v1/customers/me/members/{}/password-reset", member.user_id);
    app.post(&path).by(&owner).await.refused(409, "no_password");
}

#[tokio::test]
async fn an_account_without_a_company_creates_one_and_an_ended_account_does_not() {
    let project = FakeSupabase::start().await;
    let app = App::with_settings(&project.settings()).await;
    let email = new_email();
    let user = project.add_account(&email, PASSWORD, json!({}));
    // The account never signed in through this API, only at Supabase.
    let mut claims = project.claims(user);
    claims["email"] = json!(email);
    let token = project.elliptic_key().sign(&claims);
    let create = async |name: &str| app.post("/api/v1/customers").by(&token).json(&json!({ "name": name })).await;

    create("").await.invalid_fields(&["name"]);
    let customer = create("Comptoir Baobab").await.data(201);
    assert_eq!(customer["name"], "Comptoir Baobab");
    create("Another").await.refused(409, "company_exists");

    let session = app.log_in(&email, PASSWORD).await.data(200);
    assert_eq!(session["customer"]["id"], customer["id"]);
    assert_eq!(session["user"]["email"], json!(email));
    app.get("/api/v1/quota/status").by(&token).await.data(200);

    app.sql(&format!("delete from customers; select app.end_account('{user}')")).await;
    create("Comptoir Baobab").await.refused(401, "unauthorized");
    assert_eq!(app.number("select count(*) from users where deleted_at is null").await, 0);
    app.post("/api/v1/customers").json(&json!({ "name": "x" })).await.refused(401, "unauthorized");
}

#[tokio::test]
async fn of_two_companies_created_at_once_one_is_made() {
    let project = FakeSupabase::start().await;
    let app = App::with_settings(&project.settings()).await;
    let token = project.elliptic_key().sign(&project.claims(project.add_account(&new_email(), PASSWORD, json!({}))));
    let create = || app.post("/api/v1/customers").by(&token).json(&json!({ "name": "Comptoir Baobab" }));
    let (one, two) = tokio::join!(create(), create());
    let mut statuses = [one.status, two.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409]);
    assert_eq!(app.number("select count(*) from customers").await, 1);
}
