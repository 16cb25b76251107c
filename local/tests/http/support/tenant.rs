//! Accounts, made as anybody makes one.

use serde_json::{Value, json};
use uuid::Uuid;

use super::App;

pub(crate) const PASSWORD: &str = "correct horse battery";

/// A signed-in user, and the company worked for.
#[derive(Debug, Clone)]
pub(crate) struct Tenant {
    pub(crate) email: String,
    pub(crate) token: String,
    pub(crate) refresh_token: String,
    pub(crate) user_id: Uuid,
    pub(crate) customer_id: Uuid,
    pub(crate) company_id: String,
}

impl AsRef<str> for Tenant {
    fn as_ref(&self) -> &str {
        &self.token
    }
}

impl Tenant {
    pub(crate) fn of(session: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap().to_owned();
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

/// An address that nobody has.
pub(crate) fn new_address() -> String {
    format!("{}@example.com", Uuid::new_v4().simple())
}

impl App {
    /// A new account with a new company.
    pub(crate) async fn sign_up(&self, company: &str) -> Tenant {
        let body = json!({ "email": new_address(), "password": PASSWORD, "company_name": company });
        Tenant::of(&self.post("/api/v1/auth/signup").json(&body).await.data(201))
    }

    /// A new account that joined a company by an invitation.
    pub(crate) async fn sign_up_support(&self, owner: &Tenant) -> Tenant {
        let invitation = self.invite(owner, "1 day").await;
        let body = json!({ "email": new_address(), "password": PASSWORD, "invitation": invitation });
        Tenant::of(&self.post("/api/v1/auth/signup").json(&body).await.data(201))
    }

    /// Writes an invitation that is good for so long, in SQL's words, and returns its token. No route makes one yet.
    pub(crate) async fn invite(&self, owner: &Tenant, good_for: &str) -> String {
        let token = Uuid::new_v4().simple().to_string();
        self.sql(&format!(
            "insert into invitations (customer_id, token_sha256, expires_at)
             values ('{}', sha256('{token}'), now() + interval '{good_for}')",
            owner.customer_id
        ))
        .await;
        token
    }

    /// Writes a webhook secret of a tenant and returns it.
    pub(crate) async fn webhook_secret(&self, owner: &Tenant) -> String {
        let secret = format!("whs_{}", Uuid::new_v4().simple());
        let customer = owner.customer_id;
        let insert =
            format!("insert into webhook_secrets (customer_id, sha256) values ('{customer}', sha256('{secret}'))");
        self.sql(&insert).await;
        secret
    }

    /// Signs in.
    pub(crate) async fn log_in(&self, email: &str, password: &str) -> super::Answer {
        self.post("/api/v1/auth/login").json(&json!({ "email": email, "password": password })).await
    }

    /// Exchanges a refresh token.
    pub(crate) async fn refresh(&self, token: &str) -> super::Answer {
        self.post("/api/v1/auth/refresh").json(&json!({ "refresh_token": token })).await
    }
}
