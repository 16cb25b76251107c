//! Request and response bodies of the auth routes.

use serde::{Deserialize, Serialize};
use shared::{
    accounts::{Email, FullName, TypedEmail, User},
    auth::passwords::Password,
    error::{ApiError, Result},
    tenants::{CompanyName, Customer},
};
use utoipa::ToSchema;

use crate::{strength, wrong_current_password};

/// A new account. Exactly one of `company_name`, for a new company, and `invitation`, for an existing one, is
/// required.
#[derive(Debug, Deserialize, ToSchema)]
#[schema(example = json!({
    "email": "awa@example.com", "password": "correct horse battery", "company_name": "Comptoir Baobab",
}))]
pub(crate) struct Signup {
    email: Email,
    password: Password,
    company_name: Option<CompanyName>,
    /// Token of an invitation link.
    invitation: Option<String>,
    full_name: Option<FullName>,
}

/// Person of a new account.
#[derive(Debug)]
pub(crate) struct NewPerson {
    pub(crate) email: Email,
    pub(crate) password: Password,
    pub(crate) full_name: Option<FullName>,
}

/// Company of a new account.
#[derive(Debug)]
pub(crate) enum CompanyChoice {
    /// Creates a company of this name.
    NewCompany(CompanyName),
    /// Joins a company by this invitation token.
    Invitation(String),
}

impl Signup {
    /// Splits the request into the person and the company.
    ///
    /// # Errors
    /// Returns 422 unless exactly one of `company_name` and `invitation` is there, and for a password that is easy to
    /// guess.
    pub(crate) fn split(self) -> Result<(NewPerson, CompanyChoice)> {
        let joining = match (self.company_name, self.invitation) {
            (Some(name), None) => CompanyChoice::NewCompany(name),
            (None, Some(token)) => CompanyChoice::Invitation(token),
            (None, None) => return Err(ApiError::field("company_name", "is required, or an invitation instead")),
            (Some(_), Some(_)) => {
                return Err(ApiError::field("invitation", "cannot be used together with company_name"));
            }
        };
        let mut names = vec![self.email.as_str()];
        names.extend(self.full_name.as_ref().map(FullName::as_str));
        if let CompanyChoice::NewCompany(name) = &joining {
            names.push(name.as_str());
        }
        strength::check("password", &self.password, &names)?;
        Ok((NewPerson { email: self.email, password: self.password, full_name: self.full_name }, joining))
    }
}

/// E-mail address and password of an account.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({ "email": "awa@example.com", "password": "correct horse battery" }))]
pub(crate) struct Login {
    #[schema(format = Email)]
    email: String,
    #[schema(format = Password)]
    password: String,
}

impl Login {
    /// Splits the request into the address and the password. `None` when no account can have them.
    pub(crate) fn split(self) -> Option<(TypedEmail, Password)> {
        TypedEmail::read(&self.email).zip(Password::typed(self.password))
    }
}

/// A refresh token.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({ "refresh_token": "2f7c1d0b9a8e4f53…" }))]
pub(crate) struct Refresh {
    pub(crate) refresh_token: String,
}

/// Current password and new password.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({
    "current_password": "correct horse battery", "new_password": "staple battery horse",
}))]
pub(crate) struct PasswordChange {
    #[schema(format = Password)]
    current_password: String,
    new_password: Password,
}

impl PasswordChange {
    /// Splits the request into the current and the new password. `names` are the address and the names that belong to
    /// the account.
    ///
    /// # Errors
    /// Returns 422 for a current password that no account can have, and for a new one that is the current one or is easy
    /// to guess.
    pub(crate) fn split(self, names: &[&str]) -> Result<(Password, Password)> {
        if self.new_password.expose() == self.current_password {
            return Err(ApiError::field("new_password", "must differ from the current one"));
        }
        strength::check("new_password", &self.new_password, names)?;
        let current = Password::typed(self.current_password).ok_or_else(wrong_current_password)?;
        Ok((current, self.new_password))
    }
}

/// Invitation that somebody looks up, or that a signed-in user accepts.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "invitation": "inv_0a1b2c3d4e5f60718293a4b5c6d7e8f9" }))]
pub(crate) struct InvitationToken {
    /// Token of the invitation.
    pub(crate) invitation: String,
}

/// Company of a signed-in user who owns none.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "name": "Comptoir Baobab" }))]
pub(crate) struct NewCompany {
    pub(crate) name: CompanyName,
}

/// Address of an account whose password is forgotten.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "email": "awa@example.com" }))]
pub(crate) struct ForgottenPassword {
    #[schema(format = Email)]
    email: String,
}

impl ForgottenPassword {
    /// Returns the address.
    ///
    /// # Errors
    /// Returns 422 for a text that no account can have as its address.
    pub(crate) fn email(&self) -> Result<TypedEmail> {
        TypedEmail::read(&self.email).ok_or_else(|| ApiError::field("email", "is not an e-mail address"))
    }
}

/// A new password, with the token of a one-time link.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "token": "pwr_0a1b2c3d4e5f60718293a4b5c6d7e8f9", "new_password": "staple battery horse" }))]
pub(crate) struct PasswordReset {
    /// Token of the link.
    pub(crate) token: String,
    pub(crate) new_password: Password,
}

/// Signed-in user with the company and the tokens. For a user of several companies, the oldest is shown.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "user": {
        "id": "5d0f3c52-8e7a-4b7e-9a55-6f0a2b1c3d4e", "email": "awa@example.com", "full_name": "Awa Koné",
        "created_at": "2026-11-23T09:30:06Z",
    },
    "customer": {
        "id": "c1a7e2b4-3f5d-4c6e-8a90-1b2c3d4e5f60", "name": "Comptoir Baobab", "company_id": "comptoir-baobab",
        "created_at": "2026-11-23T09:30:06Z",
    },
    "access_token": "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.…", "refresh_token": "2f7c1d0b9a8e4f53…",
    "token_type": "bearer", "expires_in": 3600,
}))]
pub(crate) struct Session {
    pub(crate) user: User,
    /// Null for a user who belongs to no company yet.
    pub(crate) customer: Option<Customer>,
    /// Access token, for the header `Authorization: Bearer …`.
    pub(crate) access_token: String,
    /// Refresh token, for one call of `POST /api/v1/auth/refresh`. Absent when the cookie `lisa_refresh` carries it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) refresh_token: Option<String>,
    /// Always `bearer`.
    pub(crate) token_type: &'static str,
    /// Validity of the access token, in seconds.
    pub(crate) expires_in: u64,
}

/// Result of a sign-up: a session, or the request to confirm the e-mail address first.
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

/// A user whose e-mail address is not confirmed yet.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Unconfirmed {
    pub(crate) email: String,
}
