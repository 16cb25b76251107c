//! The collection of overages at Stripe, by the jobs of the kind `invoice_item`.
//!
//! The overage of a billing record becomes an invoice item. The next invoice of a live subscription contains it. Without
//! such an invoice within [`MAX_WAIT`], an invoice of its own is made and finalised. Each call has an `Idempotency-Key`
//! with the record's id, and each attempt first looks at what an earlier one has made, since Stripe forgets keys after
//! a day.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;
use uuid::Uuid;

use super::{processor::Billing, projection};
use crate::{
    activities::{self, Activity, ActivityStatus},
    audit::{self, NewAuditEntry},
    db::SystemTx,
    error::ApiError,
    jobs::{self, DueJob},
    logging,
    stripe::{Invoice, InvoiceItem, InvoiceItemState, InvoiceState, NewInvoice, StripeClient, StripeError},
};

/// Longest time that an overage waits for the next invoice of a subscription. A subscription by the year is invoiced
/// later than that.
const MAX_WAIT: TimeDelta = TimeDelta::days(45);
/// Attempts of a job that Stripe refuses for good, over half an hour.
const MAX_REFUSALS: i32 = 5;
/// Attempts for a record whose user has no customer at Stripe, over a day.
const MAX_ATTEMPTS_WITHOUT_CUSTOMER: i32 = 24;
/// Attempts of a job while Stripe does not answer or does not accept the API key, over a week.
const MAX_ATTEMPTS: i32 = 168;
/// Pending items that are looked at again per run.
const REQUEUE_LIMIT: i64 = 200;

/// Reason why an overage is not collected yet.
enum CollectError {
    /// The user has no customer at Stripe.
    NoCustomer,
    /// An operator deleted the invoice item at Stripe, or the invoice was voided.
    Withdrawn(&'static str),
    /// Stripe refused a call, or did not answer.
    Stripe(StripeError),
    /// A database failed, or the configuration lacks Stripe's key.
    Other(ApiError),
}

impl From<StripeError> for CollectError {
    fn from(error: StripeError) -> Self {
        Self::Stripe(error)
    }
}

impl From<ApiError> for CollectError {
    fn from(error: ApiError) -> Self {
        Self::Other(error)
    }
}

impl CollectError {
    /// Returns the code for `billing_records.failure`, and the number of attempts after which the record fails.
    fn limit(&self) -> (&'static str, i32) {
        match self {
            Self::NoCustomer => ("no_customer", MAX_ATTEMPTS_WITHOUT_CUSTOMER),
            Self::Withdrawn(code) => (code, 1),
            Self::Stripe(error) if error.is_final() => {
                let code = if error.is_missing_param("customer") {
                    "customer_deleted"
                } else if error.is_about_currencies() {
                    "other_currency"
                } else {
                    "refused"
                };
                (code, MAX_REFUSALS)
            }
            Self::Stripe(_) | Self::Other(_) => ("unavailable", MAX_ATTEMPTS),
        }
    }

    fn into_api_error(self) -> ApiError {
        match self {
            Self::NoCustomer => ApiError::unavailable().with_source("an overage waits for a customer at Stripe"),
            Self::Withdrawn(_) => ApiError::internal().with_source("an overage was withdrawn at Stripe"),
            Self::Stripe(error) => error.into(),
            Self::Other(error) => error,
        }
    }
}

/// Invoice item of an overage at Stripe, and the invoice that holds the item.
struct Collected {
    item: String,
    /// Invoice with the item; `None` while the item waits for the next one.
    invoice: Option<InvoiceState>,
}

impl Billing {
    /// Runs a job of the kind `invoice_item`: collects a billing record's overage, once.
    ///
    /// # Errors
    /// Returns an error that a later attempt may overcome. After the last attempt the record is `failed`, and operators
    /// and the company are told.
    pub async fn run_invoice_item_job(&self, job: &DueJob) -> Result<(), ApiError> {
        let record = job.payload["billing_record_id"].as_str().and_then(|id| Uuid::try_parse(id).ok());
        let record = record.ok_or_else(|| ApiError::internal().with_source("a job without a billing record"))?;
        let due = self.app.system_tx(async |tx| Ok(find_due_overage(tx, record).await?)).await?;
        let Some(due) = due else {
            return self.app.system_tx(async |tx| Ok(jobs::end(tx, job.id, None).await?)).await;
        };
        let error = match self.collect(&due, job).await {
            Ok(collected) => {
                return self
                    .app
                    .system_tx(async |tx| {
                        mark_invoiced(tx, record, &collected).await?;
                        Ok(jobs::end(tx, job.id, None).await?)
                    })
                    .await;
            }
            Err(error) => error,
        };
        let (failure, limit) = error.limit();
        if job.attempts < limit {
            return Err(error.into_api_error());
        }
        tracing::error!(
            billing_record = %record, failure, error = logging::chain(&error.into_api_error()),
            "an overage is not collected"
        );
        self.app
            .system_tx(async |tx| {
                mark_failed(tx, &due, failure).await?;
                Ok(jobs::end(tx, job.id, Some(failure)).await?)
            })
            .await?;
        logging::metric("OveragesNotCollected", 1.0);
        Ok(())
    }

    /// Makes the invoice item, and the invoice where no other one will contain the item.
    async fn collect(&self, due: &DueOverage, job: &DueJob) -> Result<Collected, CollectError> {
        let Some(stripe) = &self.stripe else {
            return Err(ApiError::unavailable().with_source("an overage waits for STRIPE_SECRET_KEY").into());
        };
        let user = due.user_id.to_string();
        let entitlement = self.db.billing_tx(async |tx| Ok(projection::find_entitlement(tx, &user).await?)).await?;
        let subscription = entitlement.as_ref().and_then(|entitlement| entitlement.subscription.clone());
        let customer = entitlement.and_then(|entitlement| entitlement.customer).ok_or(CollectError::NoCustomer)?;
        let item = self.find_or_add_item(stripe, due, &customer, job.attempts > 1).await?;
        let invoice = match &item.invoice {
            Some(invoice) => stripe.get_invoice(invoice).await?,
            None if has_next_invoice(stripe, &item.customer).await? => {
                return Ok(Collected { item: item.id, invoice: None });
            }
            None => {
                // An item that was added before may be another customer's than the present subscription.
                let subscription = subscription.filter(|_| item.customer == customer);
                invoice_item(stripe, due, &item, subscription.as_deref()).await?
            }
        };
        // Only an invoice of an overage is finalised here. That of a renewal is Stripe's.
        let invoice = if invoice.is_draft() && invoice.is_of_overage {
            stripe.finalize_invoice(&invoice.id, &format!("billing-record-{}-finalize", due.id)).await?
        } else {
            invoice
        };
        if invoice.is_withdrawn() {
            return Err(CollectError::Withdrawn("invoice_void"));
        }
        Ok(Collected { item: item.id, invoice: Some(invoice) })
    }

    /// Finds the invoice item of an earlier attempt, or adds it.
    async fn find_or_add_item(
        &self,
        stripe: &StripeClient,
        due: &DueOverage,
        customer: &str,
        is_repeated: bool,
    ) -> Result<InvoiceItemState, CollectError> {
        let record = due.id;
        if let Some(item) = &due.item {
            return match stripe.get_invoice_item(item).await {
                Err(error) if error.is_missing() => Err(CollectError::Withdrawn("item_deleted")),
                found => Ok(found?),
            };
        }
        // Stripe forgets an Idempotency-Key after a day, and a retry may come later than that.
        let existing =
            if is_repeated || due.is_changed { stripe.find_invoice_item(customer, record).await? } else { None };
        let item = match existing {
            Some(item) => item,
            None => {
                let description = format!("{} requests over the plan's {}", due.overage_requests, due.request_limit);
                let item = InvoiceItem {
                    customer,
                    amount: due.overage_cents.into(),
                    currency: &due.currency,
                    description: &description,
                    period: (due.period_start, due.period_end),
                    record,
                };
                stripe.add_invoice_item(&item, &format!("billing-record-{record}")).await?
            }
        };
        self.app.system_tx(async |tx| Ok(store_item(tx, record, &item.id).await?)).await?;
        Ok(item)
    }

    /// Queues the jobs of overages that wait for an invoice: when the user's access has ended since, and once a day.
    /// Returns their number.
    ///
    /// # Errors
    /// Returns the database's error.
    pub async fn requeue_pending_overages(&self) -> Result<u64, ApiError> {
        self.app.system_tx(async |tx| Ok(requeue_pending(tx, REQUEUE_LIMIT).await?)).await
    }
}

/// Returns true when Stripe will make an invoice for the customer within [`MAX_WAIT`].
async fn has_next_invoice(stripe: &StripeClient, customer: &str) -> Result<bool, StripeError> {
    let latest = crate::clock::now() + MAX_WAIT;
    let subscriptions = stripe.list_open_subscriptions(customer).await?;
    Ok(subscriptions.iter().filter_map(|subscription| subscription.next_invoice_at()).any(|next| next < latest))
}

/// Makes the invoice of a pending item, and checks that it contains the item.
async fn invoice_item(
    stripe: &StripeClient,
    due: &DueOverage,
    item: &InvoiceItemState,
    subscription: Option<&str>,
) -> Result<InvoiceState, CollectError> {
    let invoice = create_invoice(stripe, due, &item.customer, subscription).await?;
    let invoiced = stripe.get_invoice_item(&item.id).await?;
    if invoiced.invoice.as_ref() != Some(&invoice.id) {
        return Err(ApiError::unavailable().with_source("the invoice of an overage does not contain it").into());
    }
    Ok(invoice)
}

/// Makes a draft invoice of the customer's pending items. It is charged to the payment method of the subscription, since
/// the customer may have no other one.
async fn create_invoice(
    stripe: &StripeClient,
    due: &DueOverage,
    customer: &str,
    subscription: Option<&str>,
) -> Result<InvoiceState, StripeError> {
    let payment_method = match subscription {
        Some(id) => match stripe.get_subscription(id).await {
            Ok(subscription) => subscription.payment_method,
            Err(error) if error.is_missing() => None,
            Err(error) => return Err(error),
        },
        None => None,
    };
    let invoice = NewInvoice { customer, currency: &due.currency, payment_method, record: due.id };
    let key = format!("billing-record-{}-invoice", due.id);
    match stripe.create_invoice(&invoice, &key).await {
        // The payment method was removed from the customer. Another request needs another key.
        Err(error) if error.is_missing_param("default_payment_method") => {
            let invoice = NewInvoice { payment_method: None, ..invoice };
            stripe.create_invoice(&invoice, &format!("{key}-of-customer")).await
        }
        made => made,
    }
}

/// The overage of a billing record, with the data of the invoice item.
struct DueOverage {
    id: Uuid,
    customer_id: Uuid,
    user_id: Uuid,
    period_start: DateTime<Utc>,
    period_end: DateTime<Utc>,
    request_limit: i32,
    overage_requests: i32,
    overage_cents: i32,
    currency: String,
    /// Invoice item at Stripe (`ii_…`).
    item: Option<String>,
    /// True when the record was written since it was made.
    is_changed: bool,
}

/// Finds the overage of a billing record; `None` when it has none, or an invoice contains it already.
async fn find_due_overage(tx: &mut SystemTx, record: Uuid) -> sqlx::Result<Option<DueOverage>> {
    sqlx::query_as!(
        DueOverage,
        r#"
        select record.id, record.customer_id, tenant.user_id, record.period_start, record.period_end,
            coalesce(record.request_limit, 0) as "request_limit!", record.overage_requests, record.overage_cents,
            record.currency, record.stripe_invoice_item_id as item,
            record.updated_at <> record.created_at as "is_changed!"
        from billing_records record
        join customers tenant on tenant.id = record.customer_id
        where record.id = $1 and record.status in ('closed', 'invoiced') and record.stripe_invoice_id is null
          and record.overage_cents > 0
        "#,
        record
    )
    .fetch_optional(tx)
    .await
}

/// Stores the id of a record's invoice item.
async fn store_item(tx: &mut SystemTx, record: Uuid, item: &str) -> sqlx::Result<()> {
    sqlx::query!(
        "update billing_records set stripe_invoice_item_id = $2, updated_at = now() where id = $1",
        record,
        item
    )
    .execute(tx)
    .await
    .map(drop)
}

/// Marks a billing record as invoiced, or as paid when its invoice is.
async fn mark_invoiced(tx: &mut SystemTx, record: Uuid, collected: &Collected) -> sqlx::Result<()> {
    let invoice = collected.invoice.as_ref();
    sqlx::query!(
        r#"
        update billing_records
        set status = case when $4 then 'paid' else 'invoiced' end, stripe_invoice_item_id = $2,
            stripe_invoice_id = $3, updated_at = now()
        where id = $1 and status in ('closed', 'invoiced')
        "#,
        record,
        collected.item,
        invoice.map(|invoice| invoice.id.as_str()),
        invoice.is_some_and(InvoiceState::is_paid)
    )
    .execute(tx)
    .await
    .map(drop)
}

/// Marks a billing record as failed, and tells the company and the audit log.
async fn mark_failed(tx: &mut SystemTx, due: &DueOverage, failure: &'static str) -> sqlx::Result<()> {
    let marked = sqlx::query!(
        r#"
        update billing_records set status = 'failed', failure = $2, updated_at = now()
        where id = $1 and status in ('closed', 'invoiced')
        "#,
        due.id,
        failure
    )
    .execute(&mut *tx)
    .await?;
    if marked.rows_affected() == 0 {
        return Ok(());
    }
    let details = json!({
        "failure": failure, "overage_cents": due.overage_cents, "currency": due.currency,
    });
    let activity = Activity {
        kind: "overage_not_collected",
        title: "Requests over the plan's limit could not be invoiced",
        status: ActivityStatus::Error,
        conversation: None,
        metadata: details.clone(),
    };
    activities::record_for(tx, due.customer_id, &activity).await?;
    let object = format!("billing_record:{}", due.id);
    let entry = NewAuditEntry { actor: None, action: "overage.not_collected", object, request_id: None, details };
    audit::record_for(tx, Some(due.customer_id), &entry).await
}

/// Queues up to `limit` jobs of records whose item is on no invoice yet.
async fn requeue_pending(tx: &mut SystemTx, limit: i64) -> sqlx::Result<u64> {
    let requeued = sqlx::query!(
        r#"
        with pending as (
            select job.id
            from billing_records record
            join customers tenant on tenant.id = record.customer_id
            join users account on account.id = tenant.user_id
            join profiles profile on profile.id = account.id
            join jobs job on job.kind = 'invoice_item' and job.payload ->> 'billing_record_id' = record.id::text
            where record.status = 'invoiced' and record.stripe_invoice_id is null and job.status = 'done'
              and (job.updated_at < now() - interval '1 day'
                   or not account.is_pro and profile.updated_at >= job.updated_at)
            order by record.updated_at
            limit $1
            for update of job skip locked
        )
        update jobs set status = 'queued', attempts = 0, run_after = now(), updated_at = now()
        from pending where jobs.id = pending.id
        "#,
        limit
    )
    .execute(tx)
    .await?;
    Ok(requeued.rows_affected())
}

/// Marks the billing records of an invoice's lines as paid or failed, where they are of one of `users`: the invoice of
/// another customer says nothing about them. A paid record never becomes failed, since an event of an older failure may
/// arrive late.
pub(super) async fn record_invoice_payment(tx: &mut SystemTx, invoice: &Invoice, users: &[String]) -> sqlx::Result<()> {
    let Some(is_paid) = invoice.is_paid else { return Ok(()) };
    let users: Vec<Uuid> = users.iter().filter_map(|user| Uuid::try_parse(user).ok()).collect();
    sqlx::query!(
        r#"
        update billing_records
        set status = case when $2 then 'paid' else 'failed' end, failure = case when not $2 then 'payment_failed' end,
            stripe_invoice_id = $3, updated_at = now()
        where id = any($1) and status <> 'paid'
          and customer_id in (select id from customers where user_id = any($4))
        "#,
        &invoice.records,
        is_paid,
        invoice.id,
        &users
    )
    .execute(tx)
    .await
    .map(drop)
}
