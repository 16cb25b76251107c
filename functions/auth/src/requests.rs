//! What is sent to the auth routes, and what they answer.

use serde::{Deserialize, Serialize};
use shared::{
    accounts::{Email, FullName, User},
    auth::passwords::Password,
    error::{ApiError, Result},
    tenants::{CompanyName, Customer},
};
use utoipa::ToSchema;

/// A new account: with `company_name` it owns a new company, with `invitation` it joins one.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({
    "email": "awa@example.com", "password": "correct horse battery", "company_name": "Comptoir Baobab",
}))]
pub(crate) struct Signup {
    email: Email,
    password: Password,
    company_name: Option<CompanyName>,
    /// The token of an invitation link.
    invitation: Option<String>,
    full_name: Option<FullName>,
}

/// The person of a new account.
#[derive(Debug)]
pub(crate) struct NewPerson {
    pub(crate) email: Email,
    pub(crate) password: Password,
    pub(crate) full_name: Option<FullName>,
}

/// What a new account is for.
#[derive(Debug)]
pub(crate) enum Joining {
    NewCompany(CompanyName),
    Invitation(String),
}

impl Signup {
    /// # Errors
    /// 422 unless exactly one of `company_name` and `invitation` is there.
    pub(crate) fn split(self) -> Result<(NewPerson, Joining)> {
        let joining = match (self.company_name, self.invitation) {
            (Some(name), None) => Joining::NewCompany(name),
            (None, Some(token)) => Joining::Invitation(token),
            (None, None) => return Err(ApiError::field("company_name", "is required, or an invitation instead")),
            (Some(_), Some(_)) => {
                return Err(ApiError::field("invitation", "cannot be used together with company_name"));
            }
        };
        Ok((NewPerson { email: self.email, password: self.password, full_name: self.full_name }, joining))
    }
}

/// An address and its password.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({ "email": "awa@example.com", "password": "correct horse battery" }))]
pub(crate) struct Login {
    #[schema(format = Email)]
    pub(crate) email: String,
    #[schema(format = Password)]
    pub(crate) password: String,
}

/// A refresh token.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({ "refresh_token": "the refresh_token of the last answer" }))]
pub(crate) struct Refresh {
    pub(crate) refresh_token: String,
}

/// The old password and the new one.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({
    "current_password": "correct horse battery", "new_password": "staple battery horse",
}))]
pub(crate) struct PasswordChange {
    #[schema(format = Password)]
    pub(crate) current_password: String,
    pub(crate) new_password: Password,
}

/// A signed-in user, the company first worked for, and the tokens.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Session {
    pub(crate) user: User,
    /// Null for a user who belongs to no company yet.
    pub(crate) customer: Option<Customer>,
    /// For `Authorization: Bearer …`.
    #[schema(example = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.…")]
    pub(crate) access_token: String,
    /// For `POST /api/v1/auth/refresh`, once.
    #[schema(example = "2f7c1d0b9a8e4f53…")]
    pub(crate) refresh_token: String,
    /// Always `bearer`.
    #[schema(example = "bearer")]
    pub(crate) token_type: &'static str,
    /// Seconds for which the access token is good.
    #[schema(example = 3600)]
    pub(crate) expires_in: u64,
}

/// Signed in at once, or asked to confirm the address first.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum SignupAnswer {
    SignedIn(Box<Session>),
    ConfirmationRequired {
        user: Unconfirmed,
        /// Always true.
        confirmation_required: bool,
    },
}

/// A user whose address is not confirmed yet.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Unconfirmed {
    pub(crate) email: String,
}
