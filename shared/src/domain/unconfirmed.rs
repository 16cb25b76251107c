//! Limits of accounts whose address nobody has confirmed and that have no paid plan. Owns the table `unconfirmed_days`,
//! which counts the requests of all of them together, one row per day. No account has more than a share of them.
//!
//! An account's own requests are its reservations of the day, and the documents that were read. A document is counted in
//! its ingestion job, which outlives the document.
//!
//! SQL functions: `app.own_trust`, `app.is_confirmed`, `app.take_unconfirmed_request`.

use std::convert::Infallible;

use axum::http::StatusCode;
use uuid::Uuid;

use crate::{
    db::{Db, SystemTx, TenantTx},
    error::ApiError,
    settings::Settings,
};

/// Number of accounts that together may use up the day's requests of all unconfirmed accounts.
const ACCOUNTS_PER_BUDGET: i32 = 20;
/// Minimum of an account's requests a day, within those of all accounts.
const MIN_ACCOUNT_REQUESTS: i32 = 10;

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
    /// The account has used up its own share of the day's requests of all unconfirmed accounts.
    #[error("the account's share of the day's requests of unconfirmed accounts is used up")]
    ShareUsedUp,
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
            AdmissionError::ShareUsedUp => Self::new(
                StatusCode::FORBIDDEN,
                "unconfirmed_budget_reached",
                "the account's free requests are used up for today: confirm the address, choose a plan, or try again \
                 tomorrow",
            ),
            AdmissionError::Database(error) => error.into(),
        }
    }
}

/// The kind of a request that is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum CountedRequest {
    /// A question. Its reservation exists already.
    Question,
    /// A document to be read.
    Document,
}

/// The end of a transaction that only looks and is rolled back.
enum Probe {
    Admitted,
    Refused(ApiError),
}

impl From<ApiError> for Probe {
    fn from(error: ApiError) -> Self {
        Self::Refused(error)
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

    /// Counts a question of an account that is neither confirmed nor paid for. Other accounts are admitted without a
    /// count, and so is a request that `costs` nothing, because no model is configured. Comes after the question's
    /// reservation, which counts in the account's share.
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
            self.take(tx, CountedRequest::Question).await?;
        }
        Ok(Admission { may_use_models: self.may_use_models(trust) })
    }

    /// Counts a document that is about to be read, of an account that is neither confirmed nor paid for. A document that
    /// was counted is not counted again, unless it `is_retried`.
    ///
    /// # Errors
    /// [`AdmissionError`].
    pub async fn admit_document(
        self,
        tx: &mut TenantTx,
        document: Uuid,
        is_retried: bool,
    ) -> Result<(), AdmissionError> {
        if trust(tx).await? == Trust::Trusted || (!is_retried && is_counted(tx, document).await?) {
            return Ok(());
        }
        self.take(tx, CountedRequest::Document).await?;
        sqlx::query!(
            r#"
            update jobs set payload = payload || jsonb_build_object(
                'counted_on', (now() at time zone 'utc')::date,
                'counted', 1 + case
                    when payload ->> 'counted_on' = (now() at time zone 'utc')::date::text then (payload ->> 'counted')::integer
                    else 0
                end
            )
            where customer_id = $1 and kind = 'ingest' and payload ->> 'document_id' = $2::uuid::text
            "#,
            tx.tenant(),
            document
        )
        .execute(tx)
        .await?;
        Ok(())
    }

    /// Checks that another document could be counted today. Counts nothing.
    ///
    /// # Errors
    /// 403 `unconfirmed_budget_reached`, or the database's error.
    pub async fn ensure_document_left(self, db: &Db, tenant: Uuid) -> Result<(), ApiError> {
        let probed = db.tenant_tx_with_error(tenant, async |tx| -> Result<Infallible, Probe> {
            if trust(tx).await.map_err(ApiError::from)? != Trust::Trusted {
                self.take(tx, CountedRequest::Document).await.map_err(ApiError::from)?;
            }
            // The error rolls the count back.
            Err(Probe::Admitted)
        });
        match probed.await {
            Ok(never) => match never {},
            Err(Probe::Admitted) => Ok(()),
            Err(Probe::Refused(error)) => Err(error),
        }
    }

    /// Counts a request among those of all accounts, within the account's share.
    async fn take(self, tx: &mut TenantTx, request: CountedRequest) -> Result<(), AdmissionError> {
        let used = own_requests_today(tx).await? - i64::from(request == CountedRequest::Question);
        if used >= i64::from(self.account_requests()) {
            return Err(AdmissionError::ShareUsedUp);
        }
        let is_counted =
            sqlx::query_scalar!(r#"select app.take_unconfirmed_request($1) as "taken!""#, self.daily_requests)
                .fetch_one(tx)
                .await?;
        if is_counted { Ok(()) } else { Err(AdmissionError::BudgetUsedUp) }
    }

    /// Returns the number of requests of one account a day.
    fn account_requests(self) -> i32 {
        (self.daily_requests / ACCOUNTS_PER_BUDGET).max(MIN_ACCOUNT_REQUESTS)
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

/// Returns the requests of the transaction's tenant on this day in UTC. Until the end of the transaction, no other one
/// counts for the tenant.
async fn own_requests_today(tx: &mut TenantTx) -> sqlx::Result<i64> {
    sqlx::query!("select pg_advisory_xact_lock(hashtextextended($1::uuid::text, 30))", tx.tenant())
        .execute(&mut *tx)
        .await?;
    // A statement of its own: it sees what the last holder of the lock committed.
    sqlx::query_scalar!(
        r#"
        select (
            select count(*) from reservations
            where customer_id = $1 and created_at >= date_trunc('day', now() at time zone 'utc') at time zone 'utc'
        ) + (
            select coalesce(sum((payload ->> 'counted')::integer), 0) from jobs
            where customer_id = $1 and kind = 'ingest'
              and payload ->> 'counted_on' = (now() at time zone 'utc')::date::text
        ) as "used!"
        "#,
        tx.tenant()
    )
    .fetch_one(tx)
    .await
}

/// Returns true when a document was counted before.
async fn is_counted(tx: &mut TenantTx, document: Uuid) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"
        select exists (
            select from jobs
            where customer_id = $1 and kind = 'ingest' and payload ->> 'document_id' = $2::uuid::text
              and payload ? 'counted_on'
        ) as "is_counted!"
        "#,
        tx.tenant(),
        document
    )
    .fetch_one(tx)
    .await
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
