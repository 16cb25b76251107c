//! Rows of an export: one page after the other of each table, as JSON, without secrets and vectors.

use uuid::Uuid;

use crate::db::{BillingTx, SystemTx};

/// A row of a table.
#[derive(Debug)]
pub struct ArchivedRow {
    /// The row as one line of JSON.
    pub json: String,
    /// Value of the column that orders the table's pages, as text; the next page begins after it.
    pub key: String,
}

/// Expands to the query of one page: the rows whose key follows `$after`, in the order of the key. All rows with the
/// key of the page's last row are on the page (`with ties`), so a key that several rows share is never divided between
/// two pages. `$least` is a value below every key, for the first page.
macro_rules! page {
    ($tx:expr, $tenant:expr, $after:expr, $limit:expr,
     $select:tt, $table:tt, $condition:tt, $key:tt, $type:tt, $least:tt) => {
        sqlx::query_as!(
            ArchivedRow,
            "select ("
                + $select
                + ")::text as \"json!\", ("
                + $key
                + ")::text as \"key!\" from "
                + $table
                + " t where "
                + $condition
                + " and "
                + $key
                + " > coalesce($2::text, '"
                + $least
                + "')::"
                + $type
                + " order by "
                + $key
                + " fetch first ($3::bigint) rows with ties",
            $tenant,
            $after,
            $limit
        )
        .fetch_all($tx)
        .await
    };
}

/// Returns a page of a company's rows of a table of the schema `public`: those after the key `after`, or the first
/// ones. The page has `limit` rows, and more when further rows have the last row's key.
///
/// # Errors
/// Returns any database error; `RowNotFound` for a table that has no rows in an export.
#[expect(clippy::too_many_lines, reason = "one entry for each table")]
pub async fn read_page(
    tx: &mut SystemTx,
    table: &str,
    tenant: Uuid,
    after: Option<&str>,
    limit: i64,
) -> sqlx::Result<Vec<ArchivedRow>> {
    match table {
        "activities" => page!(
            tx,
            tenant,
            after,
            limit,
            "to_jsonb(t)",
            "activities",
            "t.company_id = $1",
            "t.id",
            "uuid",
            "00000000-0000-0000-0000-000000000000"
        ),
        "approved_answers" => page!(
            tx,
            tenant,
            after,
            limit,
            "to_jsonb(t)",
            "approved_answers",
            "t.customer_id = $1",
            "t.id",
            "uuid",
            "00000000-0000-0000-0000-000000000000"
        ),
        "audit_log" => {
            page!(tx, tenant, after, limit, "to_jsonb(t)", "audit_log", "t.customer_id = $1", "t.id", "bigint", "-1")
        }
        "billing_records" => page!(
            tx,
            tenant,
            after,
            limit,
            "to_jsonb(t)",
            "billing_records",
            "t.customer_id = $1",
            "t.id",
            "uuid",
            "00000000-0000-0000-0000-000000000000"
        ),
        "bot_sessions" => page!(
            tx,
            tenant,
            after,
            limit,
            "to_jsonb(t)",
            "bot_sessions",
            "t.company_id = $1",
            "t.id",
            "uuid",
            "00000000-0000-0000-0000-000000000000"
        ),
        "bot_usage" => page!(
            tx,
            tenant,
            after,
            limit,
            "to_jsonb(t)",
            "bot_usage",
            "t.company_id = $1",
            "t.id",
            "uuid",
            "00000000-0000-0000-0000-000000000000"
        ),
        "checkout_sessions" => page!(
            tx,
            tenant,
            after,
            limit,
            "to_jsonb(t)",
            "checkout_sessions",
            "t.customer_id = $1",
            "t.id",
            "text",
            ""
        ),
        "closed_questions" => page!(
            tx,
            tenant,
            after,
            limit,
            "to_jsonb(t)",
            "closed_questions",
            "t.customer_id = $1",
            "t.message_id",
            "uuid",
            "00000000-0000-0000-0000-000000000000"
        ),
        "company_mapping" => page!(
            tx,
            tenant,
            after,
            limit,
            "to_jsonb(t)",
            "company_mapping",
            "t.uuid = $1",
            "t.uuid",
            "uuid",
            "00000000-0000-0000-0000-000000000000"
        ),
        "company_rag_configs" => page!(
            tx,
            tenant,
            after,
            limit,
            "to_jsonb(t)",
            "company_rag_configs",
            "t.company_id = (select company_id from company_mapping where uuid = $1)",
            "t.id",
            "uuid",
            "00000000-0000-0000-0000-000000000000"
        ),
        "config_versions" => page!(
            tx,
            tenant,
            after,
            limit,
            "to_jsonb(t)",
            "config_versions",
            "t.company_id = (select company_id from company_mapping where uuid = $1)",
            "t.id",
            "bigint",
            "-1"
        ),
        "conversations" => page!(
            tx,
            tenant,
            after,
            limit,
            "to_jsonb(t)",
            "conversations",
            "t.customer_id = $1",
            "t.id",
            "uuid",
            "00000000-0000-0000-0000-000000000000"
        ),
        "customer_members" => page!(
            tx,
            tenant,
            after,
            limit,
            "to_jsonb(t) || (select jsonb_build_object('email', u.email, 'full_name', p.full_name) from users u left join profiles p on p.id = u.id where u.id = t.user_id)",
            "customer_members",
            "t.customer_id = $1",
            "t.user_id",
            "uuid",
            "00000000-0000-0000-0000-000000000000"
        ),
        "customers" => page!(
            tx,
            tenant,
            after,
            limit,
            "to_jsonb(t) - 'manychat_api_key'",
            "customers",
            "t.id = $1",
            "t.id",
            "uuid",
            "00000000-0000-0000-0000-000000000000"
        ),
        "document_chunks" => page!(
            tx,
            tenant,
            after,
            limit,
            "to_jsonb(t) - array['embedding', 'embedding_bits', 'search_text', 'short_bits', 'short_embedding', 'tsv']",
            "document_chunks",
            "t.customer_id = $1",
            "t.id",
            "uuid",
            "00000000-0000-0000-0000-000000000000"
        ),
        "document_pages" => page!(
            tx,
            tenant,
            after,
            limit,
            "to_jsonb(t)",
            "document_pages",
            "t.customer_id = $1",
            "t.document_id",
            "uuid",
            "00000000-0000-0000-0000-000000000000"
        ),
        "documents" => page!(
            tx,
            tenant,
            after,
            limit,
            "to_jsonb(t)",
            "documents",
            "t.customer_id = $1",
            "t.id",
            "uuid",
            "00000000-0000-0000-0000-000000000000"
        ),
        "exports" => page!(
            tx,
            tenant,
            after,
            limit,
            "to_jsonb(t)",
            "exports",
            "t.customer_id = $1",
            "t.id",
            "uuid",
            "00000000-0000-0000-0000-000000000000"
        ),
        "feedback" => page!(
            tx,
            tenant,
            after,
            limit,
            "to_jsonb(t)",
            "feedback",
            "t.customer_id = $1",
            "t.message_id",
            "uuid",
            "00000000-0000-0000-0000-000000000000"
        ),
        "first_answer_times" => page!(
            tx,
            tenant,
            after,
            limit,
            "to_jsonb(t)",
            "first_answer_times",
            "t.company_id = $1",
            "t.date",
            "date",
            "-infinity"
        ),
        "golden_questions" => page!(
            tx,
            tenant,
            after,
            limit,
            "to_jsonb(t)",
            "golden_questions",
            "t.customer_id = $1",
            "t.id",
            "uuid",
            "00000000-0000-0000-0000-000000000000"
        ),
        "invitations" => page!(
            tx,
            tenant,
            after,
            limit,
            "to_jsonb(t) - 'token_sha256'",
            "invitations",
            "t.customer_id = $1",
            "t.id",
            "uuid",
            "00000000-0000-0000-0000-000000000000"
        ),
        "llm_calls" => page!(
            tx,
            tenant,
            after,
            limit,
            "to_jsonb(t)",
            "llm_calls",
            "t.customer_id = $1",
            "t.id",
            "uuid",
            "00000000-0000-0000-0000-000000000000"
        ),
        "messages" => page!(
            tx,
            tenant,
            after,
            limit,
            "to_jsonb(t)",
            "messages",
            "t.customer_id = $1",
            "t.id",
            "uuid",
            "00000000-0000-0000-0000-000000000000"
        ),
        "order_days" => page!(
            tx,
            tenant,
            after,
            limit,
            "to_jsonb(t)",
            "order_days",
            "t.company_id = $1",
            "t.date",
            "date",
            "-infinity"
        ),
        "orders" => page!(
            tx,
            tenant,
            after,
            limit,
            "to_jsonb(t)",
            "orders",
            "t.company_id = $1",
            "t.id",
            "uuid",
            "00000000-0000-0000-0000-000000000000"
        ),
        "outbox" => page!(
            tx,
            tenant,
            after,
            limit,
            "to_jsonb(t)",
            "outbox",
            "t.customer_id = $1",
            "t.message_id",
            "uuid",
            "00000000-0000-0000-0000-000000000000"
        ),
        "preview_counts" => page!(
            tx,
            tenant,
            after,
            limit,
            "to_jsonb(t)",
            "preview_counts",
            "t.customer_id = $1",
            "t.day",
            "date",
            "-infinity"
        ),
        "products" => page!(
            tx,
            tenant,
            after,
            limit,
            "to_jsonb(t)",
            "products",
            "t.customer_id = $1",
            "t.id",
            "uuid",
            "00000000-0000-0000-0000-000000000000"
        ),
        "profiles" => page!(
            tx,
            tenant,
            after,
            limit,
            "to_jsonb(t)",
            "profiles",
            "t.id = (select user_id from customers where id = $1)",
            "t.id",
            "uuid",
            "00000000-0000-0000-0000-000000000000"
        ),
        "reservations" => page!(
            tx,
            tenant,
            after,
            limit,
            "to_jsonb(t)",
            "reservations",
            "t.customer_id = $1",
            "t.id",
            "uuid",
            "00000000-0000-0000-0000-000000000000"
        ),
        "tenant_notices" => {
            page!(tx, tenant, after, limit, "to_jsonb(t)", "tenant_notices", "t.customer_id = $1", "t.kind", "text", "")
        }
        "unread_webhook_bodies" => page!(
            tx,
            tenant,
            after,
            limit,
            "to_jsonb(t)",
            "unread_webhook_bodies",
            "t.customer_id = $1",
            "t.id",
            "uuid",
            "00000000-0000-0000-0000-000000000000"
        ),
        "usage_periods" => page!(
            tx,
            tenant,
            after,
            limit,
            "to_jsonb(t)",
            "usage_periods",
            "t.customer_id = $1",
            "t.period_start",
            "timestamptz",
            "-infinity"
        ),
        "user_settings" => page!(
            tx,
            tenant,
            after,
            limit,
            "to_jsonb(t)",
            "user_settings",
            "t.user_id = (select user_id from customers where id = $1)",
            "t.user_id",
            "uuid",
            "00000000-0000-0000-0000-000000000000"
        ),
        "users" => page!(
            tx,
            tenant,
            after,
            limit,
            "to_jsonb(t)",
            "users",
            "t.id = (select user_id from customers where id = $1)",
            "t.id",
            "uuid",
            "00000000-0000-0000-0000-000000000000"
        ),
        "webhook_deliveries" => page!(
            tx,
            tenant,
            after,
            limit,
            "to_jsonb(t)",
            "webhook_deliveries",
            "t.customer_id = $1",
            "t.id",
            "uuid",
            "00000000-0000-0000-0000-000000000000"
        ),
        "webhook_endpoints" => page!(
            tx,
            tenant,
            after,
            limit,
            "to_jsonb(t) - array['secret', 'previous_secret']",
            "webhook_endpoints",
            "t.customer_id = $1",
            "t.id",
            "uuid",
            "00000000-0000-0000-0000-000000000000"
        ),
        "webhook_secrets" => page!(
            tx,
            tenant,
            after,
            limit,
            "to_jsonb(t) - array['sealed_value', 'sha256']",
            "webhook_secrets",
            "t.customer_id = $1",
            "t.id",
            "uuid",
            "00000000-0000-0000-0000-000000000000"
        ),
        _ => Err(sqlx::Error::RowNotFound),
    }
}

/// Expands to the query of a user's rows of a table of the schema `billing`.
macro_rules! billing_rows {
    ($tx:expr, $user:expr, $select:tt, $table:tt, $key:tt) => {
        sqlx::query_as!(
            ArchivedRow,
            "select ("
                + $select
                + ")::text as \"json!\", ("
                + $key
                + ")::text as \"key!\" from "
                + $table
                + " t where t.user_id = $1 order by "
                + $key,
            $user
        )
        .fetch_all($tx)
        .await
    };
}

/// Returns all rows of a user in a table of the schema `billing`, without pages: a user has a handful.
///
/// # Errors
/// Returns any database error; `RowNotFound` for a table that has no rows in an export.
pub async fn read_billing(tx: &mut BillingTx, table: &str, user: &str) -> sqlx::Result<Vec<ArchivedRow>> {
    match table {
        "duplicate_subscriptions" => {
            billing_rows!(tx, user, "to_jsonb(t)", "billing.duplicate_subscriptions", "t.subscription_id")
        }
        "stripe_customers" => billing_rows!(tx, user, "to_jsonb(t)", "billing.stripe_customers", "t.id"),
        "subscription_states" => billing_rows!(tx, user, "to_jsonb(t)", "billing.subscription_states", "t.id"),
        "subscriptions" => billing_rows!(tx, user, "to_jsonb(t)", "billing.subscriptions", "t.id"),
        "user_config" => billing_rows!(tx, user, "to_jsonb(t) - 'data_pod_api_key'", "billing.user_config", "t.id"),
        _ => Err(sqlx::Error::RowNotFound),
    }
}

/// A document whose file belongs into the archive.
#[derive(Debug)]
pub struct ArchivedFile {
    /// `documents.id`.
    pub id: Uuid,
    /// File name that the company gave.
    pub filename: String,
    /// Key of the file in the bucket.
    pub storage_key: String,
}

/// Returns up to `limit` documents of a company, in the order of their ids, after `after`.
///
/// # Errors
/// Returns any database error.
pub async fn list_files(tx: &mut SystemTx, tenant: Uuid, after: Uuid, limit: i64) -> sqlx::Result<Vec<ArchivedFile>> {
    sqlx::query_as!(
        ArchivedFile,
        r#"
        select id, filename, storage_key from documents
        where customer_id = $1 and id > $2 order by id limit $3
        "#,
        tenant,
        after,
        limit
    )
    .fetch_all(tx)
    .await
}

/// Returns the account owner of a company; `None` when there is no such company.
///
/// # Errors
/// Returns any database error.
pub async fn find_owner(tx: &mut SystemTx, tenant: Uuid) -> sqlx::Result<Option<Uuid>> {
    sqlx::query_scalar!("select user_id from customers where id = $1", tenant).fetch_optional(tx).await
}
