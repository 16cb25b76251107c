//! Login, refresh, logout and password change, with accounts in the product's own database.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering},
};

use axum::{body::Body, http::Request};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use shared::function::Handler;
use tokio::task::JoinSet;
use tower::ServiceExt;
use uuid::Uuid;

use super::support::{App, PASSWORD, TenantUser, TestResponse, WAIT_TIMEOUT, new_email, wait_until};

const NEW_PASSWORD: &str = "another horse, another battery";

async fn change_password(app: &App, tenant: &TenantUser, current: &str, new: &str) -> TestResponse {
    let body = json!({ "current_password": current, "new_password": new });
    app.post("/api/v1/auth/password").by(tenant).json(&body).await
}

#[tokio::test]
async fn sign_in_returns_tokens_that_work_and_can_be_refreshed() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;

    let first = TenantUser::from_session(&app.log_in(&tenant.email.to_uppercase(), PASSWORD).await.data(200));
    let second = TenantUser::from_session(&app.refresh(&first.refresh_token).await.data(200));
    let third = TenantUser::from_session(&app.refresh(&second.refresh_token).await.data(200));

    for session in [&first, &second, &third] {
        assert_eq!((session.user_id, session.customer_id), (tenant.user_id, tenant.customer_id));
        app.get("/api/v1/quota/status").by(session).await.data(200);
    }
    assert_ne!(first.refresh_token, second.refresh_token);
    assert_ne!(second.refresh_token, third.refresh_token);
}

#[tokio::test]
async fn a_reused_refresh_token_ends_its_own_session_only() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let other = TenantUser::from_session(&app.log_in(&tenant.email, PASSWORD).await.data(200));
    let next = TenantUser::from_session(&app.refresh(&tenant.refresh_token).await.data(200));

    app.refresh(&tenant.refresh_token).await.refused(401, "invalid_refresh_token");

    app.refresh(&next.refresh_token).await.refused(401, "invalid_refresh_token");
    app.refresh(&other.refresh_token).await.data(200);
}

#[tokio::test]
async fn of_two_concurrent_refreshes_one_succeeds_and_the_session_ends() {
    let app = App::start().await;
    for _ in 0..5 {
        let tenant = app.sign_up("Comptoir Baobab").await;
        let (one, two) = tokio::join!(app.refresh(&tenant.refresh_token), app.refresh(&tenant.refresh_token));
        let (won, lost) = if one.status == 200 { (one, two) } else { (two, one) };
        lost.refused(401, "invalid_refresh_token");
        // The refresh token may have been stolen, so its session ends for both.
        let next = TenantUser::from_session(&won.data(200));
        app.refresh(&next.refresh_token).await.refused(401, "invalid_refresh_token");
    }
}

#[tokio::test]
async fn invalid_refresh_tokens_all_get_the_same_error() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let foreign = "A".repeat(tenant.refresh_token.len());
    for token in ["", "x", "é", "nul\u{0}", &foreign, &tenant.token, &"A".repeat(10_000)] {
        app.refresh(token).await.refused(401, "invalid_refresh_token");
    }
    app.post("/api/v1/auth/refresh").json(&json!({})).await.invalid_fields(&["refresh_token"]);
    app.sql("update refresh_sessions set expires_at = now() - interval '1 second'").await;
    app.refresh(&tenant.refresh_token).await.refused(401, "invalid_refresh_token");
}

#[tokio::test]
async fn sign_out_ends_its_own_session_only() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let other = TenantUser::from_session(&app.log_in(&tenant.email, PASSWORD).await.data(200));

    app.post("/api/v1/auth/logout").by(&tenant).await.no_content();
    app.post("/api/v1/auth/logout").by(&tenant).await.no_content();

    app.refresh(&tenant.refresh_token).await.refused(401, "invalid_refresh_token");
    app.refresh(&other.refresh_token).await.data(200);
    app.post("/api/v1/auth/logout").await.refused(401, "unauthorized");
}

#[tokio::test]
async fn a_password_change_ends_all_sessions_and_the_old_password() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let other = TenantUser::from_session(&app.log_in(&tenant.email, PASSWORD).await.data(200));

    change_password(&app, &tenant, "wrong horse battery", NEW_PASSWORD).await.invalid_fields(&["current_password"]);
    change_password(&app, &tenant, PASSWORD, "short").await.invalid_fields(&["new_password"]);
    change_password(&app, &tenant, PASSWORD, NEW_PASSWORD).await.no_content();

    for session in [&tenant, &other] {
        app.refresh(&session.refresh_token).await.refused(401, "invalid_refresh_token");
    }
    app.log_in(&tenant.email, PASSWORD).await.refused(401, "invalid_credentials");
    app.log_in(&tenant.email, NEW_PASSWORD).await.data(200);
    let body = json!({ "current_password": PASSWORD, "new_password": NEW_PASSWORD });
    app.post("/api/v1/auth/password").json(&body).await.refused(401, "unauthorized");
}

/// The body of a sign-in.
fn credentials(email: &str, password: &str) -> Value {
    json!({ "email": email, "password": password })
}

#[tokio::test]
async fn sign_ins_that_race_with_a_password_change_leave_no_session_of_the_old_password() {
    let app = Arc::new(App::start().await);
    let tenant = app.sign_up("Comptoir Baobab").await;
    let is_over = Arc::new(AtomicBool::new(false));
    let mut clients = JoinSet::new();
    for _ in 0..6 {
        let (app, is_over, body) = (app.clone(), is_over.clone(), credentials(&tenant.email, PASSWORD));
        clients.spawn(async move {
            let mut tokens = Vec::new();
            while !is_over.load(Ordering::Relaxed) {
                let answer = app.post("/api/v1/auth/login").json(&body).await;
                if answer.status == 200 {
                    tokens.push(TenantUser::from_session(&answer.data(200)).refresh_token);
                } else {
                    answer.refused(401, "invalid_credentials");
                }
            }
            tokens
        });
    }
    wait_until("a client has signed in", WAIT_TIMEOUT, async || {
        (app.number("select count(*) from refresh_sessions").await > 1).then_some(())
    })
    .await;

    change_password(&app, &tenant, PASSWORD, NEW_PASSWORD).await.no_content();

    is_over.store(true, Ordering::Relaxed);
    let tokens = clients.join_all().await.concat();
    assert!(!tokens.is_empty());
    for token in tokens {
        app.refresh(&token).await.refused(401, "invalid_refresh_token");
    }
    assert_eq!(app.number("select count(*) from refresh_sessions where ended_at is null").await, 0);
}

#[tokio::test]
async fn a_password_change_waits_for_a_sign_in_and_ends_its_session() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let mut hold = app.hold_statements("before insert on refresh_sessions for each row").await;
    let mut login = JoinSet::new();
    login.spawn(app.post("/api/v1/auth/login").json(&credentials(&tenant.email, PASSWORD)).into_future());
    hold.wait_for_held_statement().await;
    let body = json!({ "current_password": PASSWORD, "new_password": NEW_PASSWORD });
    let mut change = JoinSet::new();
    change.spawn(app.post("/api/v1/auth/password").by(&tenant).json(&body).into_future());
    wait_until("the change waits", WAIT_TIMEOUT, async || {
        let waiting = "select count(*) from pg_stat_activity
                       where datname = current_database() and wait_event_type = 'Lock' and query like '%credentials%'";
        (app.number(waiting).await > 0).then_some(())
    })
    .await;
    hold.release().await;

    let session = TenantUser::from_session(&login.join_next().await.unwrap().unwrap().data(200));
    change.join_next().await.unwrap().unwrap().no_content();
    app.refresh(&session.refresh_token).await.refused(401, "invalid_refresh_token");
}

#[tokio::test]
async fn a_sign_in_that_verified_the_old_password_is_refused_after_the_change() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    // The change holds the lock on the password while the sign-in reads and verifies the old hash.
    let mut hold = app.hold_commits("after update on credentials deferrable initially deferred for each row").await;
    let body = json!({ "current_password": PASSWORD, "new_password": NEW_PASSWORD });
    let mut change = JoinSet::new();
    change.spawn(app.post("/api/v1/auth/password").by(&tenant).json(&body).into_future());
    hold.wait_for_held_statement().await;
    let mut login = JoinSet::new();
    login.spawn(app.post("/api/v1/auth/login").json(&credentials(&tenant.email, PASSWORD)).into_future());
    wait_until("the sign-in waits", WAIT_TIMEOUT, async || {
        let waiting = "select count(*) from pg_stat_activity
                       where datname = current_database() and wait_event_type = 'Lock' and query like '%for share%'";
        (app.number(waiting).await > 0).then_some(())
    })
    .await;
    hold.release().await;

    change.join_next().await.unwrap().unwrap().no_content();
    login.join_next().await.unwrap().unwrap().refused(401, "invalid_credentials");
}

#[tokio::test]
async fn of_ten_concurrent_password_changes_one_wins() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let mut sessions = vec![tenant.clone()];
    for _ in 0..4 {
        sessions.push(TenantUser::from_session(&app.log_in(&tenant.email, PASSWORD).await.data(200)));
    }
    let passwords: Vec<_> = (0..10).map(|number| format!("racing horses, battery {number}")).collect();
    let mut changes = JoinSet::new();
    for (number, password) in passwords.iter().enumerate() {
        let body = json!({ "current_password": PASSWORD, "new_password": password });
        changes.spawn(app.post("/api/v1/auth/password").by(&sessions[number % 5]).json(&body).into_future());
    }
    let answers = changes.join_all().await;
    let statuses: Vec<_> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 204).count(), 1, "{statuses:?}");
    assert!(statuses.iter().all(|status| matches!(status, 204 | 401 | 409)), "{statuses:?}");
    let mut valid = 0;
    for password in &passwords {
        valid += usize::from(app.log_in(&tenant.email, password).await.status == 200);
    }
    assert_eq!(valid, 1);
    app.log_in(&tenant.email, PASSWORD).await.refused(401, "invalid_credentials");
}

#[tokio::test]
async fn a_forged_refresh_token_does_not_end_the_session_that_it_names() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let mut forged = URL_SAFE_NO_PAD.decode(&tenant.refresh_token).unwrap();
    for at in 16..48 {
        forged[at] ^= 1;
        app.refresh(&URL_SAFE_NO_PAD.encode(&forged)).await.refused(401, "invalid_refresh_token");
    }
    app.refresh(&tenant.refresh_token).await.data(200);
}

#[tokio::test]
async fn an_address_has_one_form_at_sign_up_and_sign_in() {
    let app = App::start().await;
    let local = Uuid::new_v4().simple();
    let body = json!({
        "email": format!("{local}É@Example.com \u{200b}"), "password": PASSWORD, "company_name": "Comptoir Baobab",
    });
    let session = app.post("/api/v1/auth/signup").json(&body).await.data(201);
    assert_eq!(session["user"]["email"], format!("{local}é@example.com"));
    for typed in [
        format!("{local}é@example.com"),
        format!("{local}É@EXAMPLE.COM"),
        format!(" {local}e\u{301}@example.com\n"),
        format!("\u{feff}{local}é@example.com\u{a0}"),
    ] {
        app.log_in(&typed, PASSWORD).await.data(200);
        let again = json!({ "email": typed, "password": PASSWORD, "company_name": "Encore" });
        app.post("/api/v1/auth/signup").json(&again).await.refused(409, "email_taken");
    }
    // The form holds for an invitation that somebody wrote by hand, too.
    let owner = TenantUser::from_session(&session);
    let invitation = app.invite(&owner, "1 day").await;
    app.sql("update invitations set email = ' Awa@Example.com '").await;
    let join = json!({ "email": " aWa@example.com", "password": PASSWORD, "invitation": invitation });
    app.post("/api/v1/auth/signup").json(&join).await.data(201);
}

#[tokio::test]
async fn a_password_with_a_suffix_beyond_the_maximum_length_is_refused() {
    let app = App::start().await;
    let longest = "correct horse battery, ".repeat(45)[..1024].to_owned();
    let email = new_email();
    let body = json!({ "email": email, "password": longest, "company_name": "Comptoir Baobab" });
    let tenant = TenantUser::from_session(&app.post("/api/v1/auth/signup").json(&body).await.data(201));
    let suffixed = format!("{longest}x");

    app.log_in(&email, &suffixed).await.refused(401, "invalid_credentials");
    change_password(&app, &tenant, &suffixed, NEW_PASSWORD).await.invalid_fields(&["current_password"]);
    change_password(&app, &tenant, &longest, &suffixed).await.invalid_fields(&["new_password"]);
    app.log_in(&email, &longest).await.data(200);
}

#[tokio::test]
async fn common_passwords_and_names_are_refused_at_sign_up_and_change() {
    let app = App::start().await;
    let email = new_email();
    let (local, _) = email.split_once('@').unwrap();
    let signup = |password: &str| json!({ "email": email, "password": password, "company_name": "Comptoir Baobab", "full_name": "Awa Koné" });
    let weak = ["motdepasse123", "password12345", "1q2w3e4r5t", &email, local, "ComptoirBaobab2026", "awa kone 225"];
    for password in weak {
        let answer = app.post("/api/v1/auth/signup").json(&signup(password)).await;
        assert!(answer.text.contains("use four words"), "{password}: {}", answer.text);
        answer.invalid_fields(&["password"]);
    }
    assert_eq!(app.number("select count(*) from users").await, 0);
    let tenant = TenantUser::from_session(&app.post("/api/v1/auth/signup").json(&signup(PASSWORD)).await.data(201));
    for password in weak {
        change_password(&app, &tenant, PASSWORD, password).await.invalid_fields(&["new_password"]);
    }
    change_password(&app, &tenant, PASSWORD, PASSWORD).await.invalid_fields(&["new_password"]);
    let invitation = app.invite(&tenant, "1 day").await;
    let join = json!({ "email": new_email(), "password": "comptoirbaobab", "invitation": invitation });
    app.post("/api/v1/auth/signup").json(&join).await.invalid_fields(&["password"]);
    // The refused sign-up did not use the invitation up.
    let join = json!({ "email": new_email(), "password": PASSWORD, "invitation": invitation });
    app.post("/api/v1/auth/signup").json(&join).await.data(201);
}

#[tokio::test]
async fn guesses_of_the_current_password_with_a_token_are_limited_like_sign_ins() {
    let app = App::with_settings(&[("RATE_LIMIT_SIGN_IN", "3")]).await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let other = app.sign_up("Chez Koffi").await;
    for _ in 0..3 {
        change_password(&app, &tenant, "wrong horse battery", NEW_PASSWORD).await.invalid_fields(&["current_password"]);
    }
    change_password(&app, &tenant, PASSWORD, NEW_PASSWORD).await.refused(429, "rate_limited");
    change_password(&app, &other, PASSWORD, NEW_PASSWORD).await.no_content();
}

/// The statements and the hashes of passwords that one request causes.
struct WorkCounter(Arc<[AtomicUsize; 2]>);

impl tracing::Subscriber for WorkCounter {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        matches!(metadata.target(), "sqlx::query" | "shared::argon2")
    }

    fn event(&self, event: &tracing::Event<'_>) {
        let at = usize::from(event.metadata().target() == "shared::argon2");
        self.0[at].fetch_add(1, Ordering::Relaxed);
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}
    fn enter(&self, _: &tracing::span::Id) {}
    fn exit(&self, _: &tracing::span::Id) {}
}

#[tokio::test]
async fn a_sign_in_does_the_same_work_for_known_and_unknown_addresses() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let settings = [
        ("SYSTEM_DATABASE_URL", app.stack.database.system.as_str()),
        ("JWT_SECRET", &app.stack.secrets.jwt_secret),
        ("RATE_LIMIT_ADDRESS", "1000"),
        ("RATE_LIMIT_SIGN_IN", "1000"),
    ];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let Handler::Http(router) = auth::FUNCTION.start(settings).await.unwrap().handler else {
        panic!("auth answers HTTP requests")
    };
    let counts = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
    let counter = tracing::Dispatch::new(WorkCounter(counts.clone()));
    // While there is one dispatcher only, tracing asks the default one of the thread that comes first to a place in the
    // code, and keeps "not wanted" for all threads. Threads of other tests have no default one.
    let _second = tracing::Dispatch::new(WorkCounter(counts.clone()));
    let _guard = tracing::dispatcher::set_default(&counter);
    let unknown = new_email();
    let mut works = Vec::new();
    // The first failure of a tenant in an hour also opens its entry in the audit log.
    for (round, email) in [&tenant.email, &unknown, &tenant.email, &unknown, &tenant.email, &unknown].iter().enumerate()
    {
        let body = credentials(email, "wrong horse battery").to_string();
        let request = Request::post("/api/v1/auth/login").header("content-type", "application/json");
        let answer = router.clone().oneshot(request.body(Body::from(body)).unwrap()).await.unwrap();
        assert_eq!(answer.status(), 401);
        let work = counts.each_ref().map(|count| count.swap(0, Ordering::Relaxed));
        assert!(work[0] >= 4 && work[1] == 1, "round {round}: {work:?} statements and hashes");
        works.push(work);
    }
    works.dedup();
    assert_eq!(works.len(), 1, "{works:?}");
    // Inside the server, both count in a row of the same table.
    let counters = "select count(*) from failed_sign_ins where failures = 3";
    assert_eq!(app.number(counters).await, 2);
}

#[tokio::test]
async fn an_account_with_an_address_of_an_older_form_can_sign_in() {
    let app = App::start().await;
    for (number, stored) in ["awa@Bücher.example", "\"awa kone\"@example.com"].into_iter().enumerate() {
        let tenant = app.sign_up(&format!("Comptoir Baobab {number}")).await;
        app.sql(&format!("update users set email = '{stored}' where id = '{}'", tenant.user_id)).await;
        for typed in [stored.to_owned(), format!(" {} ", stored.to_ascii_uppercase())] {
            assert_eq!(app.log_in(&typed, PASSWORD).await.status, 200, "{typed}");
        }
    }
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_email_get_the_same_answer() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let mut answers = Vec::new();
    for (email, password) in [
        (tenant.email.as_str(), "wrong horse battery"),
        (&tenant.email, ""),
        (&tenant.email, &"x".repeat(5000)),
        ("nobody@example.com", PASSWORD),
        ("no address", PASSWORD),
        ("", ""),
        ("nul\u{0}@example.com", PASSWORD),
        (&tenant.email, "nul\u{0}"),
    ] {
        let mut answer = app.log_in(email, password).await;
        let message = answer.body["error"]["message"].clone();
        assert_eq!(answer.status, 401, "{email:?}: {}", answer.text);
        answer.headers.remove("www-authenticate");
        answers.push((answer.status, answer.body["error"]["code"].clone(), message));
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
    app.log_in("nobody@example.com", PASSWORD).await.refused(401, "invalid_credentials");
    app.post("/api/v1/auth/login").json(&json!({ "email": tenant.email })).await.invalid_fields(&["password"]);
    app.post("/api/v1/auth/login").json(&json!({ "password": PASSWORD })).await.invalid_fields(&["email"]);
}

#[tokio::test]
async fn concurrent_sign_ins_all_succeed() {
    let app = App::start().await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    let mut calls = JoinSet::new();
    for _ in 0..20 {
        let body = json!({ "email": tenant.email, "password": PASSWORD });
        calls.spawn(app.post("/api/v1/auth/login").json(&body).into_future());
    }
    for answer in calls.join_all().await {
        answer.data(200);
    }
}
