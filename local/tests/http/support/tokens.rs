//! Access tokens, valid and forged.

use chrono::Utc;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{App, TenantUser};

impl App {
    /// A token with these claims, signed with the product's own JWT secret.
    pub(crate) fn token(&self, claims: &Value) -> String {
        self.token_signed_with(claims, &Header::new(Algorithm::HS256), &self.stack.secrets.jwt_secret)
    }

    /// A token with these claims and this header, signed with this secret.
    pub(crate) fn token_signed_with(&self, claims: &Value, header: &Header, secret: &str) -> String {
        encode(header, claims, &EncodingKey::from_secret(secret.as_bytes())).unwrap()
    }

    /// A token of another back-end service, in the form of Supabase's service key.
    pub(crate) fn service_token(&self) -> String {
        self.token(&json!({ "role": "service_role", "iss": "supabase", "exp": unix_time_in(600) }))
    }

    /// A token of a newly inserted global administrator. No route creates one.
    pub(crate) async fn admin_token(&self) -> String {
        let id = Uuid::new_v4();
        self.sql(&format!(
            "insert into users (id, email, role) values ('{id}', '{id}@example.com', 'global_admin');
             select app.provision_account('{id}', '{id}@example.com', null, 8)"
        ))
        .await;
        self.token(&claims(id))
    }
}

impl TenantUser {
    /// Valid claims for this user.
    pub(crate) fn claims(&self) -> Value {
        claims(self.user_id)
    }
}

fn claims(user: Uuid) -> Value {
    json!({
        "sub": user,
        "role": "authenticated",
        "iss": "lisa",
        "aud": "authenticated",
        "exp": unix_time_in(600),
    })
}

/// The Unix time in seconds, `seconds` from now.
pub(crate) fn unix_time_in(seconds: i64) -> i64 {
    Utc::now().timestamp() + seconds
}
