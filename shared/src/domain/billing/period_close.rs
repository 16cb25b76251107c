//! The close of periods. Each ended period of a priced plan gets one row of the table `billing_records`. A job of
//! [`super::overages`] collects the period's overage at Stripe.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::processor::Billing;
use crate::{
    db::{SystemTx, TenantTx},
    error::ApiError,
    paging::{List, Listing, Paging, list_page},
};

/// Delay between a period's end and its close. Requests that are reserved at the end are spent or refunded within
/// minutes.
const CLOSE_DELAY: TimeDelta = TimeDelta::minutes(10);
/// Periods per transaction.
const BATCH_SIZE: i64 = 1_000;

/// Numbers of periods that a run closed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CloseCounts {
    /// Closed periods.
    pub periods: i64,
    /// New billing records, of the closed periods that cost something.
    pub records: i64,
    /// New billing records with an overage, each of which becomes an item of an invoice.
    pub items: i64,
}

impl Billing {
    /// Closes the periods that have ended by `now`. Repeated, late and concurrent runs are safe.
    ///
    /// # Errors
    /// Returns the database's error. The batches before it stay closed.
    pub async fn close_periods(&self, now: DateTime<Utc>) -> Result<CloseCounts, ApiError> {
        let mut totals = CloseCounts::default();
        loop {
            let batch = self.app.system_tx(async |tx| Ok(close(tx, now, BATCH_SIZE).await?)).await?;
            totals.periods += batch.periods;
            totals.records += batch.records;
            totals.items += batch.items;
            if batch.periods < BATCH_SIZE {
                break;
            }
        }
        while self.app.system_tx(async |tx| Ok(open_months(tx, now, BATCH_SIZE).await?)).await? == BATCH_SIZE {}
        Ok(totals)
    }
}

/// Closes up to `limit` periods in one statement. The statement bills the rows that it locks, and the unique
/// constraint of `billing_records` prevents a second record of a period.
async fn close(tx: &mut SystemTx, now: DateTime<Utc>, limit: i64) -> sqlx::Result<CloseCounts> {
    sqlx::query_as!(
        CloseCounts,
        r#"
        with due as (
            select customer_id, period_start from usage_periods period
            where closed_at is null and period_end <= $1
              and not exists (
                  select from reservations
                  where reservations.customer_id = period.customer_id and kind = 'plan' and state = 'held'
                    and reservations.period_start = period.period_start
              )
            order by period_end
            limit $2
            for update skip locked
        ), closed as (
            update usage_periods period set closed_at = $3
            from due
            where period.customer_id = due.customer_id and period.period_start = due.period_start
              and period.closed_at is null
            returning period.*,
                -- Carried requests are billed in the part of the month that counted them first.
                greatest(period.requests - greatest(period.request_limit, period.carried_requests), 0)
                    * sign(period.overage_cents_per_request)::integer * (period.request_limit is not null)::integer
                    as over
        ), recorded as (
            insert into billing_records (
                customer_id, period_start, period_end, plan, requests, request_limit, amount_cents, overage_requests,
                overage_cents, currency
            )
            select customer_id, period_start, period_end, plan, requests - carried_requests, request_limit, price_cents,
                coalesce(over, 0), coalesce(over * overage_cents_per_request, 0), currency
            from closed
            where price_cents > 0 or over * overage_cents_per_request > 0
                or plan <> 'free' and requests > carried_requests
            on conflict on constraint billing_records_customer_id_period_start_key do nothing
            returning id, customer_id, overage_cents
        ), queued as (
            insert into jobs (customer_id, kind, payload)
            select customer_id, 'invoice_item', jsonb_build_object('billing_record_id', id)
            from recorded where overage_cents > 0
            returning id
        )
        select (select count(*) from closed) as "periods!", (select count(*) from recorded) as "records!",
            (select count(*) from queued) as "items!"
        "#,
        now - CLOSE_DELAY,
        limit,
        now
    )
    .fetch_one(tx)
    .await
}

/// Makes the rows of the present months of subscriptions whose period is longer or shorter than a month, at most `limit`. A
/// month without requests is billed, too. Returns the number of rows.
async fn open_months(tx: &mut SystemTx, now: DateTime<Utc>, limit: i64) -> sqlx::Result<i64> {
    sqlx::query_scalar!(
        r#"
        select count(*) as "count!" from (
            select app.open_period(tenant.id, $1)
            from customers tenant
            join users account on account.id = tenant.user_id and account.is_pro
            join profiles profile on profile.id = account.id
            where profile.subscription_access_until > $1
              and profile.subscription_current_period_end - profile.subscription_current_period_start
                not between interval '28 days' and interval '45 days'
              and not exists (
                  select from usage_periods period
                  where period.customer_id = tenant.id and period.period_start <= $1 and period.period_end > $1
              )
            limit $2
        ) opened
        "#,
        now,
        limit
    )
    .fetch_one(tx)
    .await
}

/// A billed period.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "id": "7f8b6c2e-2d4a-4d43-9b7e-0c6f5a1b2c3d", "period_start": "2026-10-23T09:30:06Z",
    "period_end": "2026-11-23T09:30:06Z", "plan": "business", "requests": 20150, "request_limit": 20000,
    "amount_cents": 9900, "overage_requests": 150, "overage_cents": 300, "currency": "EUR", "status": "invoiced",
    "stripe_invoice_id": null, "failure": null, "created_at": "2026-11-23T09:45:00Z",
}))]
pub struct BillingRecord {
    /// Id of the billing record.
    pub id: Uuid,
    /// Start of the period.
    pub period_start: DateTime<Utc>,
    /// End of the period.
    pub period_end: DateTime<Utc>,
    /// Name of the period's plan.
    pub plan: String,
    /// Requests that were answered in the period.
    pub requests: i32,
    /// Maximum number of requests of the plan; null without a limit.
    pub request_limit: Option<i32>,
    /// Price of the plan, in minor units of the currency. Of a month with several plans, the first part has its plan's
    /// price, and a later part what its plan costs more. Stripe's invoices have the exact amounts.
    pub amount_cents: i32,
    /// Number of requests over the limit.
    pub overage_requests: i32,
    /// Price of the requests over the limit, in minor units of the currency.
    pub overage_cents: i32,
    /// ISO 4217 code of both amounts.
    pub currency: String,
    /// `closed`: there is no overage, or Stripe does not have it yet. `invoiced`: the overage is on an invoice, or on the
    /// next one. `paid`: the invoice with the overage was paid. `failed`: the overage was not collected; `failure` says
    /// why.
    #[schema(pattern = "^(closed|invoiced|paid|failed)$")]
    pub status: String,
    /// Invoice at Stripe that contains the overage (`in_…`).
    pub stripe_invoice_id: Option<String>,
    /// Reason of the status `failed`: `payment_failed`, `no_customer`, `customer_deleted`, `other_currency`,
    /// `item_deleted`, `invoice_void`, `refused` by Stripe for another reason, or `unavailable` for a week.
    pub failure: Option<String>,
    /// Time at which the period was closed.
    pub created_at: DateTime<Utc>,
}

/// Sort orders and filters of the list of billing records.
#[derive(Debug)]
pub struct BillingRecordListing;

impl Listing for BillingRecordListing {
    const NAME: &'static str = "invoices";
    const SORTS: &'static [&'static str] = &["period_start"];
    const CREATED_AT: &'static str = "period_start";
    const STATUSES: &'static [&'static str] = &["closed", "invoiced", "paid", "failed"];
}

/// Lists a page of the tenant's billing records.
///
/// # Errors
/// Returns 422 for an invalid cursor, or the database's error.
pub async fn list_records(tx: &mut TenantTx, paging: &Paging) -> Result<List<BillingRecord>, ApiError> {
    list_page!(tx, paging, BillingRecord {
        select: "id, period_start, period_end, plan, requests, request_limit, amount_cents, overage_requests,
            overage_cents, currency, status, stripe_invoice_id, failure, created_at",
        from: "billing_records where customer_id = $1 and ($2::text is null or status = $2)",
        bind: [paging.status],
        order: ["period_start": "period_start" "timestamptz" DateTime<Utc> = period_start],
        id: "id" "uuid" Uuid = id,
    })
}
