//! The close of periods. Each ended period of a priced plan gets one row of the table `billing_records`. A job adds
//! the period's overage as an item to the customer's next invoice at Stripe.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{processor::Billing, projection};
use crate::{
    db::{SystemTx, TenantTx},
    error::ApiError,
    jobs::{self, DueJob},
    paging::{List, Listing, Paging, list_page},
    stripe::{Invoice, InvoiceItem},
};

/// Delay between a period's end and its close. Requests that are reserved at the end are spent or refunded within
/// minutes.
const CLOSE_DELAY: TimeDelta = TimeDelta::minutes(10);
/// Periods per transaction.
const BATCH_SIZE: i64 = 1_000;
/// Attempts for a record whose user has no customer at Stripe.
const MAX_ATTEMPTS: i32 = 24;

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
                return Ok(totals);
            }
        }
    }

    /// Runs a job of the kind `invoice_item`: adds a billing record's overage to the customer's next invoice, once.
    ///
    /// # Errors
    /// Returns an error that a later attempt may overcome.
    pub async fn run_invoice_item_job(&self, job: &DueJob) -> Result<(), ApiError> {
        let record = job.payload["billing_record_id"].as_str().and_then(|id| Uuid::try_parse(id).ok());
        let record = record.ok_or_else(|| ApiError::internal().with_source("a job without a billing record"))?;
        let due = self.app.system_tx(async |tx| Ok(find_due_overage(tx, record).await?)).await?;
        let Some(due) = due else { return self.end_job(job, None).await };
        let Some(stripe) = &self.stripe else {
            return Err(ApiError::unavailable().with_source("an overage waits for STRIPE_SECRET_KEY"));
        };
        let Some(customer) = self.customer_of(due.user_id).await? else {
            if job.attempts < MAX_ATTEMPTS {
                return Err(ApiError::unavailable().with_source("an overage waits for a customer at Stripe"));
            }
            self.app.system_tx(async |tx| Ok(mark_failed(tx, record).await?)).await?;
            return self.end_job(job, Some("no customer at Stripe")).await;
        };
        // Stripe forgets an Idempotency-Key after a day, and a retry may come later than that.
        let existing = if job.attempts > 1 { stripe.find_invoice_item(&customer, record).await? } else { None };
        let item = match existing {
            Some(item) => item,
            None => {
                let description = format!("{} requests over the plan's {}", due.overage_requests, due.request_limit);
                let item = InvoiceItem {
                    customer: &customer,
                    amount: due.overage_cents.into(),
                    currency: &due.currency,
                    description: &description,
                    period: (due.period_start, due.period_end),
                    record,
                };
                stripe.add_invoice_item(&item, &format!("billing-record-{record}")).await?
            }
        };
        self.app.system_tx(async |tx| Ok(mark_invoiced(tx, record, &item).await?)).await?;
        self.end_job(job, None).await
    }

    /// Finds a user's customer at Stripe.
    async fn customer_of(&self, user: Uuid) -> Result<Option<String>, ApiError> {
        let entitlement =
            self.db.billing_tx(async |tx| Ok(projection::find_entitlement(tx, &user.to_string()).await?)).await?;
        Ok(entitlement.and_then(|entitlement| entitlement.customer))
    }

    /// Ends a job, with the reason of its failure if it failed.
    async fn end_job(&self, job: &DueJob, failure: Option<&str>) -> Result<(), ApiError> {
        self.app.system_tx(async |tx| Ok(jobs::end(tx, job.id, failure).await?)).await
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
                greatest(period.requests - period.request_limit, 0) * sign(period.overage_cents_per_request)::integer
                    as over
        ), recorded as (
            insert into billing_records (
                customer_id, period_start, period_end, plan, requests, request_limit, amount_cents, overage_requests,
                overage_cents, currency
            )
            select customer_id, period_start, period_end, plan, requests, request_limit, price_cents,
                coalesce(over, 0), coalesce(over * overage_cents_per_request, 0), currency
            from closed
            where price_cents > 0 or over * overage_cents_per_request > 0
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

/// The overage of a billing record, with the data of the invoice item.
struct DueOverage {
    user_id: Uuid,
    period_start: DateTime<Utc>,
    period_end: DateTime<Utc>,
    request_limit: i32,
    overage_requests: i32,
    overage_cents: i32,
    currency: String,
}

/// Finds the overage of a billing record; `None` when it has none, or Stripe has it already.
async fn find_due_overage(tx: &mut SystemTx, record: Uuid) -> sqlx::Result<Option<DueOverage>> {
    sqlx::query_as!(
        DueOverage,
        r#"
        select tenant.user_id, record.period_start, record.period_end,
            coalesce(record.request_limit, 0) as "request_limit!", record.overage_requests, record.overage_cents,
            record.currency
        from billing_records record
        join customers tenant on tenant.id = record.customer_id
        where record.id = $1 and record.status = 'closed' and record.overage_cents > 0
        "#,
        record
    )
    .fetch_optional(tx)
    .await
}

/// Marks a billing record as invoiced, with the id of its invoice item.
async fn mark_invoiced(tx: &mut SystemTx, record: Uuid, item: &str) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        update billing_records set status = 'invoiced', stripe_invoice_item_id = $2, updated_at = now()
        where id = $1 and status = 'closed'
        "#,
        record,
        item
    )
    .execute(tx)
    .await
    .map(drop)
}

/// Marks a billing record as failed.
async fn mark_failed(tx: &mut SystemTx, record: Uuid) -> sqlx::Result<()> {
    sqlx::query!(
        "update billing_records set status = 'failed', updated_at = now() where id = $1 and status = 'closed'",
        record
    )
    .execute(tx)
    .await
    .map(drop)
}

/// Marks the billing records of an invoice's lines as paid or failed. A paid record never becomes failed, since an
/// event of an older failure may arrive late.
pub(super) async fn record_invoice_payment(tx: &mut SystemTx, invoice: &Invoice) -> sqlx::Result<()> {
    let Some(is_paid) = invoice.is_paid else { return Ok(()) };
    sqlx::query!(
        r#"
        update billing_records
        set status = case when $2 then 'paid' else 'failed' end, stripe_invoice_id = $3, updated_at = now()
        where id = any($1) and status <> 'paid'
        "#,
        &invoice.records,
        is_paid,
        invoice.id
    )
    .execute(tx)
    .await
    .map(drop)
}

/// A billed period.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "id": "7f8b6c2e-2d4a-4d43-9b7e-0c6f5a1b2c3d", "period_start": "2026-10-23T09:30:06Z",
    "period_end": "2026-11-23T09:30:06Z", "plan": "business", "requests": 20150, "request_limit": 20000,
    "amount_cents": 9900, "overage_requests": 150, "overage_cents": 300, "currency": "EUR", "status": "invoiced",
    "stripe_invoice_id": null, "created_at": "2026-11-23T09:45:00Z",
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
    /// Price of the plan, in minor units of the currency.
    pub amount_cents: i32,
    /// Number of requests over the limit.
    pub overage_requests: i32,
    /// Price of the requests over the limit, in minor units of the currency.
    pub overage_cents: i32,
    /// ISO 4217 code of both amounts.
    pub currency: String,
    /// `closed`: there is no overage, or Stripe does not have it yet. `invoiced`: the overage is on the next invoice.
    /// `paid`: the invoice with the overage was paid. `failed`: its payment failed, or there is no customer at Stripe
    /// to invoice.
    #[schema(pattern = "^(closed|invoiced|paid|failed)$")]
    pub status: String,
    /// Invoice at Stripe that contains the overage (`in_…`).
    pub stripe_invoice_id: Option<String>,
    /// Time at which the period was closed.
    pub created_at: DateTime<Utc>,
}

/// Sort orders and filters of the list of billing records.
#[derive(Debug)]
pub struct BillingRecordListing;

impl Listing for BillingRecordListing {
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
            overage_cents, currency, status, stripe_invoice_id, created_at",
        from: "billing_records where customer_id = $1 and ($2::text is null or status = $2)",
        bind: [paging.status],
        order: ["period_start": "period_start" "timestamptz" DateTime<Utc> = period_start],
        id: "id" "uuid" Uuid = id,
    })
}
