//! `billing_records`: periods that are over, each billed once. What was used beyond the plan becomes an item of the
//! customer's next invoice at Stripe, by a job.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::{Billing, projection};
use crate::{
    db::{SystemTx, TenantTx},
    error::ApiError,
    jobs::{self, DueJob},
    paging::{COUNTED_EXACTLY, List, Listing, Paging},
    stripe::{Invoice, InvoiceItem},
};

/// Units that are still held when a period ends are spent or returned within minutes.
const SETTLED_AFTER: TimeDelta = TimeDelta::minutes(10);
/// Periods a transaction.
const BATCH: i64 = 1_000;
/// A record whose customer has no way to pay for it is tried this often.
const MOST_ATTEMPTS: i32 = 24;

/// What a run closed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Closed {
    /// Periods that are over.
    pub periods: i64,
    /// Those that are billed: of a plan that has a price.
    pub records: i64,
    /// Those with requests beyond their limit, which become items of invoices.
    pub items: i64,
}

impl Billing {
    /// Closes the periods that were over by `now`. Can be run again, late, and several at a time.
    ///
    /// # Errors
    /// The database's; what was closed before it stays closed.
    pub async fn close_periods(&self, now: DateTime<Utc>) -> Result<Closed, ApiError> {
        let mut all = Closed::default();
        loop {
            let batch = self.app.system(async |tx| Ok::<_, ApiError>(close(tx, now, BATCH).await?)).await?;
            all.periods += batch.periods;
            all.records += batch.records;
            all.items += batch.items;
            if batch.periods < BATCH {
                return Ok(all);
            }
        }
    }

    /// Does a job of the kind `invoice_item`: adds a record's overage to the customer's next invoice, once.
    ///
    /// # Errors
    /// What may go well at the next try.
    pub async fn invoice(&self, job: &DueJob) -> Result<(), ApiError> {
        let record = job.payload["billing_record_id"].as_str().and_then(|id| Uuid::try_parse(id).ok());
        let record = record.ok_or_else(|| ApiError::internal().because("a job without a billing record"))?;
        let due = self.app.system(async |tx| Ok::<_, ApiError>(due(tx, record).await?)).await?;
        let Some(due) = due else { return self.end(job, None).await };
        let Some(stripe) = &self.stripe else {
            return Err(ApiError::unavailable().because("an overage waits for STRIPE_SECRET_KEY"));
        };
        let Some(customer) = self.customer_of(due.user_id).await? else {
            if job.attempts < MOST_ATTEMPTS {
                return Err(ApiError::unavailable().because("an overage waits for a customer at Stripe"));
            }
            self.app.system(async |tx| Ok::<_, ApiError>(failed(tx, record).await?)).await?;
            return self.end(job, Some("no customer at Stripe")).await;
        };
        // Stripe forgets an Idempotency-Key after a day; a job may be tried again after that.
        let known = if job.attempts > 1 { stripe.find_invoice_item(&customer, record).await? } else { None };
        let item = match known {
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
        self.app.system(async |tx| Ok::<_, ApiError>(invoiced(tx, record, &item).await?)).await?;
        self.end(job, None).await
    }

    async fn customer_of(&self, user: Uuid) -> Result<Option<String>, ApiError> {
        let found =
            self.db.billing(async |tx| Ok::<_, ApiError>(projection::find(tx, &user.to_string()).await?)).await?;
        Ok(found.and_then(|entitlement| entitlement.customer))
    }

    async fn end(&self, job: &DueJob, failure: Option<&str>) -> Result<(), ApiError> {
        self.app.system(async |tx| Ok::<_, ApiError>(jobs::end(tx, job.id, failure).await?)).await
    }
}

/// Closes a batch in one statement: the row that is locked is the one that is billed, and the record's constraint is what
/// keeps a second one out.
async fn close(tx: &mut SystemTx, now: DateTime<Utc>, most: i64) -> sqlx::Result<Closed> {
    sqlx::query_as!(
        Closed,
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
        now - SETTLED_AFTER,
        most,
        now
    )
    .fetch_one(tx)
    .await
}

struct Due {
    user_id: Uuid,
    period_start: DateTime<Utc>,
    period_end: DateTime<Utc>,
    request_limit: i32,
    overage_requests: i32,
    overage_cents: i32,
    currency: String,
}

/// A record whose overage is not at Stripe yet.
async fn due(tx: &mut SystemTx, record: Uuid) -> sqlx::Result<Option<Due>> {
    sqlx::query_as!(
        Due,
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

async fn invoiced(tx: &mut SystemTx, record: Uuid, item: &str) -> sqlx::Result<()> {
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

async fn failed(tx: &mut SystemTx, record: Uuid) -> sqlx::Result<()> {
    sqlx::query!(
        "update billing_records set status = 'failed', updated_at = now() where id = $1 and status = 'closed'",
        record
    )
    .execute(tx)
    .await
    .map(drop)
}

/// Notes on the records among an invoice's lines whether it was paid. A payment is never taken back by an older failure.
pub(super) async fn invoice_told(tx: &mut SystemTx, invoice: &Invoice) -> sqlx::Result<()> {
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

/// A period that was billed, as its tenant sees it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "id": "7f8b6c2e-2d4a-4d43-9b7e-0c6f5a1b2c3d", "period_start": "2026-10-23T09:30:06Z",
    "period_end": "2026-11-23T09:30:06Z", "plan": "business", "requests": 20150, "request_limit": 20000,
    "amount_cents": 9900, "overage_requests": 150, "overage_cents": 300, "currency": "EUR", "status": "invoiced",
    "stripe_invoice_id": null, "created_at": "2026-11-23T09:45:00Z",
}))]
pub struct BillingRecord {
    /// The record.
    pub id: Uuid,
    /// From.
    pub period_start: DateTime<Utc>,
    /// To.
    pub period_end: DateTime<Utc>,
    /// The plan of the period.
    pub plan: String,
    /// Requests that were answered in it.
    pub requests: i32,
    /// How many the plan held.
    pub request_limit: Option<i32>,
    /// The plan's price, in minor units.
    pub amount_cents: i32,
    /// Requests beyond the limit.
    pub overage_requests: i32,
    /// What these cost.
    pub overage_cents: i32,
    /// Of both amounts.
    pub currency: String,
    /// `closed`: nothing is due beyond the plan's price, or it is not at Stripe yet; `invoiced`: the overage is on the next
    /// invoice; `paid`, `failed`: that invoice was.
    #[schema(pattern = "^(closed|invoiced|paid|failed)$")]
    pub status: String,
    /// The invoice with the overage.
    pub stripe_invoice_id: Option<String>,
    /// When it was closed.
    pub created_at: DateTime<Utc>,
}

/// The order of the list.
#[derive(Debug)]
pub struct BillingRecordListing;

impl Listing for BillingRecordListing {
    const SORTS: &'static [&'static str] = &["period_start"];
    const CREATED_AT: &'static str = "period_start";
    const STATUSES: &'static [&'static str] = &["closed", "invoiced", "paid", "failed"];
}

/// A page of the tenant's records.
///
/// # Errors
/// 422 for a cursor that was tampered with; the database's.
pub async fn list_records(tx: &mut TenantTx, paging: &Paging) -> Result<List<BillingRecord>, ApiError> {
    let after: Option<(DateTime<Utc>, Uuid)> = paging.after()?;
    let (after_start, after_id) = after.unzip();
    let (fetched, offset) = (paging.fetched(), paging.offset);
    let records = if paging.descending {
        sqlx::query_as!(
            BillingRecord,
            r#"
            select id, period_start, period_end, plan, requests, request_limit, amount_cents, overage_requests,
                overage_cents, currency, status, stripe_invoice_id, created_at
            from billing_records
            where customer_id = $1 and ($2::text is null or status = $2)
              and ($3::timestamptz is null or (period_start, id) < ($3, $4::uuid))
            order by period_start desc, id desc limit $5 offset $6
            "#,
            tx.tenant(),
            paging.status,
            after_start,
            after_id,
            fetched,
            offset
        )
        .fetch_all(&mut *tx)
        .await
    } else {
        sqlx::query_as!(
            BillingRecord,
            r#"
            select id, period_start, period_end, plan, requests, request_limit, amount_cents, overage_requests,
                overage_cents, currency, status, stripe_invoice_id, created_at
            from billing_records
            where customer_id = $1 and ($2::text is null or status = $2)
              and ($3::timestamptz is null or (period_start, id) > ($3, $4::uuid))
            order by period_start, id limit $5 offset $6
            "#,
            tx.tenant(),
            paging.status,
            after_start,
            after_id,
            fetched,
            offset
        )
        .fetch_all(&mut *tx)
        .await
    }
    .map_err(|error| paging.failed(error))?;
    let counted = sqlx::query_scalar!(
        r#"
        select count(*) as "count!"
        from (select from billing_records where customer_id = $1 and ($2::text is null or status = $2) limit $3) counted
        "#,
        tx.tenant(),
        paging.status,
        COUNTED_EXACTLY + 1
    )
    .fetch_one(tx)
    .await?;
    paging.page(records, counted, |last| (last.period_start, last.id))
}
