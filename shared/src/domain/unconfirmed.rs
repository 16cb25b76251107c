//! Limits of accounts whose address nobody has confirmed and that have no paid plan. Owns the table `unconfirmed_days`,
//! which counts the requests of all of them together, one row per day.
//!
//! SQL functions: `app.own_trust`, `app.is_confirmed`, `app.take_unconfirmed_request`.

use axum::http::StatusCode;

use crate::{
    db::{SystemTx, TenantTx},
    error::ApiError,
    settings::Settings,
};

/// The limits, read from the settings.
#[derive(Debug, Clone, Copy)]
pub struct UnconfirmedLimits {
    daily_requests: i32,
    models: ModelAccess,
}

/// The value of UNCONFIRMED_MODELS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ModelAccess {
    /// Models answer where an address cannot be confirmed by mail, and only there.
    Auto,
    /// Models answer everybody.
    All,
    /// Models answer only after a confirmation or a purchase.
    None,
}

/// Trust in the account of a transaction's tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trust {
    /// The address is confirmed, or a plan is paid for.
    Trusted,
    /// The address is not confirmed.
    Unconfirmed,
    /// The address is not confirmed, and nothing but an operator could confirm it.
    Unconfirmable,
}

/// Access of an admitted request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Admission {
    /// True when models may answer, and read scanned pages. Otherwise answers are extracted from the documents.
    pub may_use_models: bool,
}

/// Reasons not to admit a request.
#[derive(Debug, thiserror::Error)]
pub enum AdmissionError {
    /// The day's requests of all unconfirmed accounts are used up.
    #[error("the day's requests of unconfirmed accounts are used up")]
    BudgetUsedUp,
    /// A query failed.
    #[error(transparent)]
    Database(#[from] sqlx::Error),
}

impl From<AdmissionError> for ApiError {
    fn from(error: AdmissionError) -> Self {
        match error {
            AdmissionError::BudgetUsedUp => Self::new(
                StatusCode::FORBIDDEN,
                "unconfirmed_budget_reached",
                "the free requests of accounts without a confirmed address are used up for today: confirm the address, \
                 choose a plan, or try again tomorrow",
            ),
            AdmissionError::Database(error) => error.into(),
        }
    }
}

impl UnconfirmedLimits {
    /// Reads UNCONFIRMED_DAILY_REQUESTS and UNCONFIRMED_MODELS.
    pub fn read(settings: &mut Settings) -> Self {
        let daily_requests: u32 = settings.number("UNCONFIRMED_DAILY_REQUESTS", 5_000);
        let models = match settings.text("UNCONFIRMED_MODELS", "auto").as_str() {
            "auto" => ModelAccess::Auto,
            "all" => ModelAccess::All,
            "none" => ModelAccess::None,
            _ => {
                settings.problem("UNCONFIRMED_MODELS is neither auto, all nor none");
                ModelAccess::None
            }
        };
        Self { daily_requests: i32::try_from(daily_requests).unwrap_or(i32::MAX), models }
    }

    /// Counts a question or a document of an account that is neither confirmed nor paid for. Other accounts are
    /// admitted without a count, and so is a request that `costs` nothing, because no model is configured.
    ///
    /// The count is part of the transaction, and its row is locked until the end: call it last. A request that is
    /// refunded later stays counted, since its models were called all the same.
    ///
    /// # Errors
    /// [`AdmissionError`].
    pub async fn admit(self, tx: &mut TenantTx, costs: bool) -> Result<Admission, AdmissionError> {
        if !costs {
            return Ok(Admission { may_use_models: true });
        }
        let trust = trust(tx).await?;
        if trust != Trust::Trusted {
            let counted =
                sqlx::query_scalar!(r#"select app.take_unconfirmed_request($1) as "taken!""#, self.daily_requests)
                    .fetch_one(&mut *tx)
                    .await?;
            if !counted {
                return Err(AdmissionError::BudgetUsedUp);
            }
        }
        Ok(Admission { may_use_models: self.may_use_models(trust) })
    }

    /// Returns true when models may work for the transaction's tenant. Counts nothing.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn models_allowed(self, tx: &mut TenantTx) -> sqlx::Result<bool> {
        Ok(self.may_use_models(trust(tx).await?))
    }

    fn may_use_models(self, trust: Trust) -> bool {
        match (trust, self.models) {
            (Trust::Trusted, _) | (_, ModelAccess::All) | (Trust::Unconfirmable, ModelAccess::Auto) => true,
            (Trust::Unconfirmed, ModelAccess::Auto) | (_, ModelAccess::None) => false,
        }
    }
}

async fn trust(tx: &mut TenantTx) -> sqlx::Result<Trust> {
    let trust = sqlx::query_scalar!(r#"select app.own_trust() as "trust""#).fetch_one(tx).await?;
    Ok(match trust.as_deref() {
        Some("trusted") => Trust::Trusted,
        Some("unconfirmable") => Trust::Unconfirmable,
        _ => Trust::Unconfirmed,
    })
}

/// Marks the address of an account as confirmed. Returns false when there is no such account.
///
/// # Errors
/// Returns the database's error.
pub async fn confirm(tx: &mut SystemTx, email: &str) -> sqlx::Result<bool> {
    let confirmed = sqlx::query!(
        "update users set email_confirmed_at = coalesce(email_confirmed_at, now()) where lower(email) = lower($1)",
        email
    )
    .execute(tx)
    .await?;
    Ok(confirmed.rows_affected() > 0)
}
