//! Tokens, honest and forged.

use chrono::Utc;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{App, Tenant};

impl App {
    /// A token with these claims, signed with the product's own secret.
    pub(crate) fn token(&self, claims: &Value) -> String {
        self.token_by(claims, &Header::new(Algorithm::HS256), &self.stack.secrets.jwt_secret)
    }

    /// A token with these claims and this header, signed with any secret.
    pub(crate) fn token_by(&self, claims: &Value, header: &Header, secret: &str) -> String {
        encode(header, claims, &EncodingKey::from_secret(secret.as_bytes())).unwrap()
    }

    /// A token of another back end, in the form of Supabase's service key.
    pub(crate) fn service_token(&self) -> String {
        self.token(&json!({ "role": "service_role", "iss": "supabase", "exp": in_seconds(600) }))
    }

    /// A token of a new global administrator. No route makes one.
    pub(crate) async fn admin_token(&self) -> String {
        let id = Uuid::new_v4();
        self.sql(&format!("insert into users (id, email, role) values ('{id}', '{id}@example.com', 'global_admin')"))
            .await;
        self.token(&claims(id))
    }
}

impl Tenant {
    /// What an honest token of the owner says.
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
        "exp": in_seconds(600),
    })
}

/// Seconds since the epoch, so many from now.
pub(crate) fn in_seconds(seconds: i64) -> i64 {
    Utc::now().timestamp() + seconds
}
