//! Accounts, created through the public sign-up route.

use serde_json::{Value, json};
use uuid::Uuid;

use super::{App, plant};

pub(crate) const PASSWORD: &str = "correct horse battery";

/// A signed-in user and the tenant that the user belongs to.
#[derive(Debug, Clone)]
pub(crate) struct TenantUser {
    pub(crate) email: String,
    pub(crate) token: String,
    pub(crate) refresh_token: String,
    pub(crate) user_id: Uuid,
    pub(crate) customer_id: Uuid,
    pub(crate) company_id: String,
}

impl AsRef<str> for TenantUser {
    fn as_ref(&self) -> &str {
        &self.token
    }
}

impl TenantUser {
    /// Reads the `data` of the response to a sign-up or a login.
    pub(crate) fn from_session(session: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        for secret in [&session["user"]["email"], &session["access_token"], &session["refresh_token"]] {
            plant(secret.as_str().unwrap());
        }
        Self {
            email: text(&session["user"]["email"]),
            token: text(&session["access_token"]),
            refresh_token: text(&session["refresh_token"]),
            user_id: text(&session["user"]["id"]).parse().unwrap(),
            customer_id: text(&session["customer"]["id"]).parse().unwrap(),
            company_id: text(&session["customer"]["company_id"]),
        }
    }
}

/// An email address without an account.
pub(crate) fn new_email() -> String {
    format!("{}@example.com", Uuid::new_v4().simple())
}

impl App {
    /// Signs up a new account with a new company, whose owner it becomes.
    pub(crate) async fn sign_up(&self, company: &str) -> TenantUser {
        let body = json!({ "email": new_email(), "password": PASSWORD, "company_name": company });
        TenantUser::from_session(&self.post("/api/v1/auth/signup").json(&body).await.data(201))
    }

    /// Signs up a new account that joins the owner's company by an invitation, as a support user.
    pub(crate) async fn sign_up_support(&self, owner: &TenantUser) -> TenantUser {
        let invitation = self.invite(owner, "1 day").await;
        let body = json!({ "email": new_email(), "password": PASSWORD, "invitation": invitation });
        TenantUser::from_session(&self.post("/api/v1/auth/signup").json(&body).await.data(201))
    }

    /// Inserts an invitation that is valid for the SQL interval `good_for`, and returns its token. No route creates
    /// invitations yet.
    pub(crate) async fn invite(&self, owner: &TenantUser, good_for: &str) -> String {
        let token = Uuid::new_v4().simple().to_string();
        plant(&token);
        self.sql(&format!(
            "insert into invitations (customer_id, token_sha256, expires_at)
             values ('{}', sha256('{token}'), now() + interval '{good_for}')",
            owner.customer_id
        ))
        .await;
        token
    }

    /// Inserts a webhook secret of a tenant and returns it.
    pub(crate) async fn webhook_secret(&self, owner: &TenantUser) -> String {
        let secret = format!("whs_{}", Uuid::new_v4().simple());
        plant(&secret);
        let customer = owner.customer_id;
        let insert =
            format!("insert into webhook_secrets (customer_id, sha256) values ('{customer}', sha256('{secret}'))");
        self.sql(&insert).await;
        secret
    }

    /// Signs in with email and password.
    pub(crate) async fn log_in(&self, email: &str, password: &str) -> super::TestResponse {
        self.post("/api/v1/auth/login").json(&json!({ "email": email, "password": password })).await
    }

    /// Exchanges a refresh token.
    pub(crate) async fn refresh(&self, token: &str) -> super::TestResponse {
        self.post("/api/v1/auth/refresh").json(&json!({ "refresh_token": token })).await
    }
}
