//! Purge of a deleted account: 30 days after the deletion, the rows and files of the company are deleted, except for
//! the tables that [`super::inventory`] keeps, and the audit log says how many rows of each table. Each batch is one
//! transaction that also counts the rows. After a run that died, the next run continues where it stopped.
//!
//! Owns the table `purges`.
//!
//! SQL functions: `app.purge_legacy`, `app.legacy_condition`, `app.legacy_rank`, `app.has_subscription`.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{account::GRACE, erasure};
use crate::{
    audit::{self, NewAuditEntry},
    db::{BillingDb, BillingTx, SystemDb, SystemTx},
    error::ApiError,
};

/// Duration of a run's hold on a purge, in seconds. Each batch extends the hold, so it must be longer than one batch
/// only.
const HOLD_S: f64 = 120.0;
/// Time from the deletion of the rows to the second deletion of files, which finds late uploads: an upload URL is valid
/// for 15 minutes, and an upload that began in time may end later.
const SWEEP_DELAY: TimeDelta = TimeDelta::hours(1);

/// Tables whose rows are deleted in batches. A table whose rows go with those of another one stands before it: a batch would
/// delete them uncounted, and without a bound. The table `changes` is the last one, since the deletions before it may write
/// it.
pub const BATCHED_TABLES: &[&str] = &[
    "webhook_deliveries",
    "outbox",
    "feedback",
    "closed_questions",
    "activities",
    "messages",
    "golden_questions",
    "approved_answers",
    "reembedded_chunks",
    "document_chunks",
    "document_pages",
    "ingest_slots",
    "documents",
    "orders",
    "order_days",
    "products",
    "reservations",
    "llm_calls",
    "idempotency_keys",
    "conversations",
    "bot_sessions",
    "bot_usage",
    "first_answer_times",
    "unread_webhook_bodies",
    "tenant_notices",
    "preview_counts",
    "checkout_sessions",
    "usage_periods",
    "webhook_secrets",
    "webhook_endpoints",
    "invitations",
    "failed_sign_ins",
    "exports",
    "config_versions",
    "company_rag_configs",
    "jobs",
    "changes",
];

/// A purge that is held by this run.
#[derive(Debug)]
pub struct HeldPurge {
    /// The company.
    pub customer_id: Uuid,
    /// True when the rows are deleted, and only the second deletion of files is left.
    pub are_rows_deleted: bool,
}

/// Begins the purges of at most `limit` companies that were deleted 30 days before `now`, and returns their number. A
/// company whose subscription is not cancelled yet waits: nobody could cancel it afterwards.
///
/// # Errors
/// Returns any database error.
pub async fn begin_due(tx: &mut SystemTx, now: DateTime<Utc>, limit: i64) -> sqlx::Result<usize> {
    let begun = sqlx::query_scalar!(
        r#"
        with due as (
            select customer.id from customers customer
            where customer.deleted_at <= $1 and customer.purge_started_at is null
              and not exists (
                  select from jobs job
                  where job.customer_id = customer.id and job.kind = 'collection' and job.status in ('queued', 'running')
              )
            order by customer.deleted_at
            limit $3
            for no key update of customer skip locked
        ), begun as (
            update customers set purge_started_at = $2 from due where customers.id = due.id returning customers.id
        )
        insert into purges (customer_id, started_at) select id, $2 from begun
        on conflict on constraint purges_pkey do nothing
        returning customer_id
        "#,
        now - GRACE,
        now,
        limit
    )
    .fetch_all(&mut *tx)
    .await?;
    for tenant in &begun {
        record(tx, *tenant, "account.purge_started", json!({})).await?;
    }
    Ok(begun.len())
}

/// Holds one purge that is due at `now` and that no other run holds; `None` when there is none.
///
/// # Errors
/// Returns any database error.
pub async fn hold_next(tx: &mut SystemTx, now: DateTime<Utc>) -> sqlx::Result<Option<HeldPurge>> {
    sqlx::query_as!(
        HeldPurge,
        r#"
        with next as (
            select customer_id from purges
            where finished_at is null and (sweep_after is null or sweep_after <= $1)
              and (held_until is null or held_until < now())
              -- Whatever wrote the row: nothing is deleted of a company whose purge has not begun.
              and not exists (
                  select from customers where customers.id = purges.customer_id and customers.purge_started_at is null
              )
            order by started_at
            limit 1
            for update skip locked
        )
        update purges set held_until = now() + make_interval(secs => $2)
        from next where purges.customer_id = next.customer_id
        returning purges.customer_id, purges.rows_deleted_at is not null as "are_rows_deleted!"
        "#,
        now,
        HOLD_S
    )
    .fetch_optional(tx)
    .await
}

/// Ends the hold on a purge, so that another run may continue it at once.
///
/// # Errors
/// Returns any database error.
pub async fn release(tx: &mut SystemTx, tenant: Uuid) -> sqlx::Result<()> {
    sqlx::query!("update purges set held_until = null where customer_id = $1", tenant).execute(tx).await.map(drop)
}

/// Expands to the deletion of one batch of a company's rows.
macro_rules! delete {
    ($tx:expr, $tenant:expr, $table:tt, $condition:tt) => {
        sqlx::query!(
            "delete from "
                + $table
                + " where ctid = any (array(select ctid from "
                + $table
                + " where "
                + $condition
                + " limit $2))",
            $tenant,
            BATCH_ROWS
        )
        .execute(&mut *$tx)
        .await
    };
}

/// Number of rows of the named table that one transaction deletes. Rows that refer to them with `on delete cascade`
/// come in addition.
pub const BATCH_ROWS: i64 = 1_000;

/// Deletes one batch of a company's rows of a table of [`BATCHED_TABLES`], counts them, and extends the hold on the
/// purge. Returns the number of rows: fewer than [`BATCH_ROWS`] when none are left.
///
/// # Errors
/// Returns any database error; `RowNotFound` for a table that is not in [`BATCHED_TABLES`].
pub async fn delete_batch(tx: &mut SystemTx, table: &'static str, tenant: Uuid) -> sqlx::Result<u64> {
    let deleted = match table {
        "outbox" => delete!(tx, tenant, "outbox", "customer_id = $1"),
        "feedback" => delete!(tx, tenant, "feedback", "customer_id = $1"),
        "closed_questions" => delete!(tx, tenant, "closed_questions", "customer_id = $1"),
        "activities" => delete!(tx, tenant, "activities", "company_id = $1"),
        "messages" => delete!(tx, tenant, "messages", "customer_id = $1"),
        "golden_questions" => delete!(tx, tenant, "golden_questions", "customer_id = $1"),
        "approved_answers" => delete!(tx, tenant, "approved_answers", "customer_id = $1"),
        "reembedded_chunks" => delete!(tx, tenant, "reembedded_chunks", "customer_id = $1"),
        "document_chunks" => delete!(tx, tenant, "document_chunks", "customer_id = $1"),
        "document_pages" => delete!(tx, tenant, "document_pages", "customer_id = $1"),
        "ingest_slots" => delete!(tx, tenant, "ingest_slots", "customer_id = $1"),
        "documents" => delete!(tx, tenant, "documents", "customer_id = $1"),
        "orders" => delete!(tx, tenant, "orders", "company_id = $1"),
        "order_days" => delete!(tx, tenant, "order_days", "company_id = $1"),
        "products" => delete!(tx, tenant, "products", "customer_id = $1"),
        "reservations" => delete!(tx, tenant, "reservations", "customer_id = $1"),
        "llm_calls" => delete!(tx, tenant, "llm_calls", "customer_id = $1"),
        "idempotency_keys" => delete!(tx, tenant, "idempotency_keys", "customer_id = $1"),
        "conversations" => delete!(tx, tenant, "conversations", "customer_id = $1"),
        "bot_sessions" => delete!(tx, tenant, "bot_sessions", "company_id = $1"),
        "bot_usage" => delete!(tx, tenant, "bot_usage", "company_id = $1"),
        "first_answer_times" => delete!(tx, tenant, "first_answer_times", "company_id = $1"),
        "unread_webhook_bodies" => delete!(tx, tenant, "unread_webhook_bodies", "customer_id = $1"),
        "tenant_notices" => delete!(tx, tenant, "tenant_notices", "customer_id = $1"),
        "preview_counts" => delete!(tx, tenant, "preview_counts", "customer_id = $1"),
        "checkout_sessions" => delete!(tx, tenant, "checkout_sessions", "customer_id = $1"),
        "usage_periods" => delete!(tx, tenant, "usage_periods", "customer_id = $1"),
        "webhook_secrets" => delete!(tx, tenant, "webhook_secrets", "customer_id = $1"),
        "webhook_deliveries" => delete!(
            tx,
            tenant,
            "webhook_deliveries",
            "endpoint_id in (select id from webhook_endpoints where customer_id = $1)"
        ),
        "webhook_endpoints" => delete!(tx, tenant, "webhook_endpoints", "customer_id = $1"),
        "invitations" => delete!(tx, tenant, "invitations", "customer_id = $1"),
        "failed_sign_ins" => delete!(tx, tenant, "failed_sign_ins", "customer_id = $1"),
        "exports" => delete!(tx, tenant, "exports", "customer_id = $1"),
        "config_versions" => delete!(
            tx,
            tenant,
            "config_versions",
            "company_id = (select company_id from company_mapping where uuid = $1)"
        ),
        "company_rag_configs" => delete!(
            tx,
            tenant,
            "company_rag_configs",
            "company_id = (select company_id from company_mapping where uuid = $1)"
        ),
        "jobs" => delete!(tx, tenant, "jobs", "customer_id = $1"),
        "changes" => delete!(tx, tenant, "changes", "customer_id = $1"),
        _ => Err(sqlx::Error::RowNotFound),
    }?
    .rows_affected();
    count(tx, tenant, table, deleted).await?;
    Ok(deleted)
}

/// Adds `deleted` to the count `name` in `purges.counts`, and extends the hold on the purge. `name` is a table or
/// `files`.
async fn count(tx: &mut SystemTx, tenant: Uuid, name: &str, deleted: u64) -> sqlx::Result<()> {
    let deleted = i64::try_from(deleted).unwrap_or(i64::MAX);
    sqlx::query!(
        r#"
        update purges
        set counts = counts || jsonb_build_object($2::text, coalesce((counts ->> $2)::bigint, 0) + $3::bigint),
            held_until = now() + make_interval(secs => $4)
        where customer_id = $1
        "#,
        tenant,
        name,
        deleted,
        HOLD_S
    )
    .execute(tx)
    .await
    .map(drop)
}

/// Rows of a table of an older project that one transaction deletes. Nothing refers to them, and each batch reads its table
/// from the beginning, since only the old project knows its indexes.
pub const LEGACY_BATCH_ROWS: i64 = 10_000;

/// Lists the tables of an older project, those with rows by which others are found last.
///
/// # Errors
/// Returns any database error.
pub async fn list_legacy_tables(tx: &mut SystemTx) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar!(
        r#"
        select relname::text as "name!" from pg_class
        where relnamespace = to_regnamespace('legacy') and relkind in ('r', 'p') and relname <> 'adopted_rows'
        order by app.legacy_rank(relname::text) desc, relname
        "#
    )
    .fetch_all(tx)
    .await
}

/// Deletes one batch of the rows of a company, and of the accounts that belong to it alone, of a table of an older project.
/// Counts them, and holds the purge on. Returns the number of rows; fewer than [`LEGACY_BATCH_ROWS`] when none are left.
///
/// # Errors
/// Returns any database error.
pub async fn delete_legacy_batch(tx: &mut SystemTx, table: &str, tenant: Uuid) -> sqlx::Result<u64> {
    let accounts = accounts_of_tenant_only(tx, tenant).await?;
    let deleted = sqlx::query_scalar!(
        r#"select app.purge_legacy($1, $2, $3, $4) as "deleted!""#,
        table,
        tenant,
        &accounts,
        LEGACY_BATCH_ROWS
    )
    .fetch_one(&mut *tx)
    .await?;
    let deleted = u64::try_from(deleted).unwrap_or_default();
    count(tx, tenant, "legacy", deleted).await?;
    Ok(deleted)
}

/// Counts deleted files, and holds the purge on.
///
/// # Errors
/// Returns any database error.
pub async fn count_files(tx: &mut SystemTx, tenant: Uuid, deleted: u64) -> sqlx::Result<()> {
    count(tx, tenant, "files", deleted).await
}

/// Deletes the rows that the batches leave: rows of an older project, the memberships, the company itself, and the
/// accounts that belong to no other company, with their rows in the billing database. Writes the counts into the audit
/// log, and schedules the second deletion of files for an hour after `now`.
///
/// # Errors
/// Returns any database error.
pub async fn finish_rows(db: &SystemDb, billing: &BillingDb, tenant: Uuid, now: DateTime<Utc>) -> Result<(), ApiError> {
    let candidates = db.system_tx(async |tx| Ok(accounts_of_tenant_only(tx, tenant).await?)).await?;
    let mut erased = Vec::new();
    for user in candidates {
        if !db.system_tx(async |tx| Ok(erase_account(tx, tenant, user).await?)).await? {
            continue;
        }
        // The notices are named by what billing knows, so they go first.
        let names = billing.billing_tx(async |tx| Ok(names_in_billing(tx, user).await?)).await?;
        db.system_tx(async |tx| Ok(delete_notices(tx, tenant, &names).await?)).await?;
        // Another database: it is done before the rows of the accounts are gone, since nobody finds the rows after that.
        let deleted = billing.billing_tx(async |tx| Ok(delete_billing(tx, user).await?)).await?;
        db.system_tx(async |tx| {
            for (table, rows) in deleted {
                count(tx, tenant, table, rows).await?;
            }
            Ok(())
        })
        .await?;
        erased.push(user);
    }
    db.system_tx(async |tx| {
        delete_company(tx, tenant).await?;
        for user in &erased {
            delete_account(tx, tenant, *user).await?;
        }
        let counts = sqlx::query_scalar!(
            r#"
            update purges set rows_deleted_at = $2, sweep_after = $3, held_until = null
            where customer_id = $1 and rows_deleted_at is null
            returning counts
            "#,
            tenant,
            now,
            now + SWEEP_DELAY
        )
        .fetch_optional(&mut *tx)
        .await?;
        if let Some(counts) = counts {
            record(tx, tenant, "account.purged", json!({ "deleted": counts })).await?;
        }
        Ok(())
    })
    .await
}

/// Ends a purge after the second deletion of files, and records in the audit log how many files that one found.
///
/// # Errors
/// Returns any database error.
pub async fn finish(tx: &mut SystemTx, tenant: Uuid, late_files: u64, now: DateTime<Utc>) -> sqlx::Result<()> {
    let finished = sqlx::query!(
        "update purges set finished_at = $2, held_until = null where customer_id = $1 and finished_at is null",
        tenant,
        now
    )
    .execute(&mut *tx)
    .await?;
    if finished.rows_affected() > 0 {
        record(tx, tenant, "account.purge_finished", json!({ "late_files": late_files })).await?;
    }
    Ok(())
}

/// The accounts that belong to this company alone: its owner and its members. Administrators stay, and so does a member who
/// pays for a subscription: nobody else could cancel it.
async fn accounts_of_tenant_only(tx: &mut SystemTx, tenant: Uuid) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar!(
        r#"
        select account.id from users account
        where account.role <> 'global_admin'
          and account.id in (
              select user_id from customers where id = $1
              union all select user_id from customer_members where customer_id = $1
          )
          and not exists (select from customers other where other.user_id = account.id and other.id <> $1)
          and not exists (
              select from customer_members other where other.user_id = account.id and other.customer_id <> $1
          )
          -- The subscription of the owner was cancelled before the purge began, whatever the projection says.
          and (
              exists (select from customers owned where owned.id = $1 and owned.user_id = account.id)
              or not app.has_subscription(account.id)
          )
        order by account.id
        "#,
        tenant
    )
    .fetch_all(tx)
    .await
}

/// Erases an account, so that nobody signs in with it any more and it joins no other company. Returns false for one that
/// has joined another company, or has a subscription, by now. A repetition changes nothing.
async fn erase_account(tx: &mut SystemTx, tenant: Uuid, user: Uuid) -> sqlx::Result<bool> {
    // The lock comes first, by a statement of its own: the next one sees what the lock was waited for.
    sqlx::query!("select from users where id = $1 for update", user).execute(&mut *tx).await?;
    if !accounts_of_tenant_only(tx, tenant).await?.contains(&user) {
        return Ok(false);
    }
    let rows = sqlx::query!(
        r#"
        select (select count(*) from credentials where user_id = $1) as "credentials!",
            (select count(*) from refresh_sessions where user_id = $1) as "refresh_sessions!",
            (select count(*) from password_resets where user_id = $1) as "password_resets!"
        "#,
        user
    )
    .fetch_one(&mut *tx)
    .await?;
    erasure::erase_account(tx, user).await?;
    for (table, number) in [
        ("credentials", rows.credentials),
        ("refresh_sessions", rows.refresh_sessions),
        ("password_resets", rows.password_resets),
    ] {
        count(tx, tenant, table, u64::try_from(number).unwrap_or_default()).await?;
    }
    Ok(true)
}

async fn delete_company(tx: &mut SystemTx, tenant: Uuid) -> sqlx::Result<()> {
    let members = sqlx::query!("delete from customer_members where customer_id = $1", tenant);
    let members = members.execute(&mut *tx).await?.rows_affected();
    count(tx, tenant, "customer_members", members).await?;
    let mapping = sqlx::query!("delete from company_mapping where uuid = $1", tenant);
    let mapping = mapping.execute(&mut *tx).await?.rows_affected();
    count(tx, tenant, "company_mapping", mapping).await?;
    let links = sqlx::query!("delete from password_resets where customer_id = $1", tenant);
    let links = links.execute(&mut *tx).await?.rows_affected();
    count(tx, tenant, "password_resets", links).await?;
    // Rows that a worker wrote after the batches are deleted with the company, by their foreign keys.
    let customers = sqlx::query!("delete from customers where id = $1", tenant);
    let customers = customers.execute(&mut *tx).await?.rows_affected();
    count(tx, tenant, "customers", customers).await
}

/// Deletes the row of an erased account. When rows of another company name the user, an empty row with the id stays.
async fn delete_account(tx: &mut SystemTx, tenant: Uuid, user: Uuid) -> sqlx::Result<()> {
    let rows = sqlx::query!(
        r#"
        select (select count(*) from profiles where id = $1) as "profiles!",
            (select count(*) from user_settings where user_id = $1) as "user_settings!"
        "#,
        user
    )
    .fetch_one(&mut *tx)
    .await?;
    let is_deleted = erasure::delete_account(tx, user).await?;
    let (with_row, kept) = if is_deleted { (1, 0) } else { (0, 1) };
    for (table, number) in [
        ("profiles", rows.profiles * with_row),
        ("user_settings", rows.user_settings * with_row),
        ("users", with_row),
        ("users_kept_as_id", kept),
    ] {
        count(tx, tenant, table, u64::try_from(number).unwrap_or_default()).await?;
    }
    Ok(())
}

/// Returns the ids by which billing's tables and the keys of notices name a user: the user's own id, and the ids of its
/// customers and subscriptions at Stripe.
async fn names_in_billing(tx: &mut BillingTx, user: Uuid) -> sqlx::Result<Vec<String>> {
    sqlx::query_scalar!(
        r#"
        select $1::text as "name!"
        union select id from billing.stripe_customers where user_id = $1
        union select id from billing.subscription_states where user_id = $1
        union select stripe_customer_id from billing.subscription_states
        where user_id = $1 and stripe_customer_id is not null
        union select subscription_id from billing.duplicate_subscriptions where user_id = $1
        "#,
        user.to_string()
    )
    .fetch_all(tx)
    .await
}

/// Deletes the rows of `billing_notices` whose key contains one of these ids, and counts them.
async fn delete_notices(tx: &mut SystemTx, tenant: Uuid, names: &[String]) -> sqlx::Result<()> {
    let notices = sqlx::query!(
        "delete from billing_notices where exists (select from unnest($1::text[]) name where strpos(key, name) > 0)",
        names
    );
    let notices = notices.execute(&mut *tx).await?.rows_affected();
    count(tx, tenant, "billing_notices", notices).await
}

/// Deletes a user's rows of the schema `billing`, and returns the number of rows of each table.
async fn delete_billing(tx: &mut BillingTx, user: Uuid) -> sqlx::Result<Vec<(&'static str, u64)>> {
    let config = erasure::delete_user_config(tx, user).await?;
    let user = user.to_string();
    // Events come first: the rows deleted below say which customers and subscriptions at Stripe are the user's.
    let events = sqlx::query!(
        r#"
        delete from billing.stripe_events event
        where event.payload #>> '{data,object,customer}' in (
                select id from billing.stripe_customers where user_id = $1
                union all
                select stripe_customer_id from billing.subscription_states
                where user_id = $1 and stripe_customer_id is not null
            )
           or event.payload #>> '{data,object,id}' in (
                select id from billing.stripe_customers where user_id = $1
                union all select id from billing.subscription_states where user_id = $1
            )
           or event.payload #>> '{data,object,client_reference_id}' = $1
           or event.payload #>> '{data,object,metadata,user_id}' = $1
        "#,
        user
    )
    .execute(&mut *tx)
    .await?
    .rows_affected();
    let duplicates = sqlx::query!("delete from billing.duplicate_subscriptions where user_id = $1", user);
    let duplicates = duplicates.execute(&mut *tx).await?.rows_affected();
    let subscriptions = sqlx::query!("delete from billing.subscriptions where user_id = $1", user);
    let subscriptions = subscriptions.execute(&mut *tx).await?.rows_affected();
    let states = sqlx::query!("delete from billing.subscription_states where user_id = $1", user);
    let states = states.execute(&mut *tx).await?.rows_affected();
    let customers = sqlx::query!("delete from billing.stripe_customers where user_id = $1", user);
    let customers = customers.execute(tx).await?.rows_affected();
    Ok(vec![
        ("user_config", config),
        ("stripe_events", events),
        ("duplicate_subscriptions", duplicates),
        ("subscriptions", subscriptions),
        ("subscription_states", states),
        ("stripe_customers", customers),
    ])
}

async fn record(tx: &mut SystemTx, tenant: Uuid, action: &'static str, details: Value) -> sqlx::Result<()> {
    let object = format!("customer:{tenant}");
    audit::record_for(tx, Some(tenant), &NewAuditEntry { actor: None, action, object, request_id: None, details }).await
}
