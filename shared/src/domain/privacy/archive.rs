//! Rows of an export: one page after the other of each table, as JSON, without secrets and vectors.
//!
//! A page is found by an index of its table, so that the time of an export grows with the rows of its company, not with the
//! pages before, and not with other companies. JSON is made of the rows of the page alone.

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

/// Place and size of a page.
struct Page<'p> {
    tenant: Uuid,
    after: Option<&'p str>,
    limit: i64,
}

/// Expands to the query of one page: rows in the order of a key, with their JSON and their keys. The company is `$1`, the key
/// of the last row before `$2`, and the size of the page `$3`.
macro_rules! page {
    ($tx:expr, $page:expr, [$($rows:tt)+], [$($json:tt)+], [$($key:tt)+], [$($order:tt)+]) => {
        sqlx::query_as!(
            ArchivedRow,
            "select (" + $($json)+ + ")::text as \"json!\", (" + $($key)+ + ")::text as \"key!\" from ("
                + $($rows)+ + ") t order by " + $($order)+,
            $page.tenant,
            $page.after,
            $page.limit
        )
        .fetch_all($tx)
        .await
    };
}

/// A page of a table that is small, or has an index on the company and the key. Rows with the key of the last one are on its
/// page, so that a key that several rows have splits over no two pages.
macro_rules! by_key {
    ($tx:expr, $page:expr, $table:tt, $condition:tt, $key:tt, $type:tt, $least:tt) => {
        by_key!($tx, $page, $table, $condition, $key, $type, $least, "to_jsonb(t)")
    };
    ($tx:expr, $page:expr, $table:tt, $condition:tt, $key:tt, $type:tt, $least:tt, $json:tt) => {
        page!(
            $tx,
            $page,
            ["select t.* from "
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
                + " fetch first ($3::bigint) rows with ties"],
            [$json],
            [$key],
            [$key]
        )
    };
}

/// A page of a table by its column `id`.
macro_rules! by_id {
    ($tx:expr, $page:expr, $table:tt, $condition:tt) => {
        by_id!($tx, $page, $table, $condition, "to_jsonb(t)")
    };
    ($tx:expr, $page:expr, $table:tt, $condition:tt, $json:tt) => {
        by_key!($tx, $page, $table, $condition, "t.id", "uuid", "00000000-0000-0000-0000-000000000000", $json)
    };
}

/// A page of a table that has an index on the company, `created_at` and `id`.
macro_rules! by_time {
    ($tx:expr, $page:expr, $table:tt, $condition:tt) => {
        page!(
            $tx,
            $page,
            ["select t.* from "
                + $table
                + " t where "
                + $condition
                + " and (t.created_at, t.id) > (coalesce(split_part($2::text, '|', 1), '-infinity')::timestamptz,
                        coalesce(split_part($2::text, '|', 2), '00000000-0000-0000-0000-000000000000')::uuid)
                    order by t.created_at, t.id limit $3"],
            ["to_jsonb(t)"],
            ["t.created_at || '|' || t.id"],
            ["t.created_at, t.id"]
        )
    };
}

/// A page of a table that has no index on the company, but one on another table's row and a number.
macro_rules! by_parent {
    ($tx:expr, $page:expr, $columns:tt, $table:tt, $parent:tt, $column:tt, $number:tt) => {
        page!(
            $tx,
            $page,
            [
                "select t.* from (
                    select parent.id from " + $parent + " parent
                    where parent.customer_id = $1 and parent.id >= coalesce(split_part($2::text, '|', 1),
                        '00000000-0000-0000-0000-000000000000')::uuid
                    order by parent.id
                ) parent cross join lateral (
                    select " + $columns + " from " + $table + " t
                    where t." + $column + " = parent.id and t." + $number + " > case
                        when parent.id::text = split_part($2::text, '|', 1) then split_part($2::text, '|', 2)::integer else -1 end
                    order by t." + $number + " limit $3
                ) t
                order by parent.id, t." + $number + " limit $3"
            ],
            ["to_jsonb(t)"],
            ["t." + $column + " || '|' || t." + $number],
            ["t." + $column + ", t." + $number]
        )
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
    let page = Page { tenant, after, limit };
    match table {
        "activities" => by_time!(tx, page, "activities", "t.company_id = $1"),
        "approved_answers" => by_id!(tx, page, "approved_answers", "t.customer_id = $1"),
        "audit_log" => by_key!(tx, page, "audit_log", "t.customer_id = $1", "t.id", "bigint", "-1"),
        "billing_records" => by_id!(tx, page, "billing_records", "t.customer_id = $1"),
        "bot_sessions" => by_id!(tx, page, "bot_sessions", "t.company_id = $1"),
        "bot_usage" => by_id!(tx, page, "bot_usage", "t.company_id = $1"),
        "checkout_sessions" => by_key!(tx, page, "checkout_sessions", "t.customer_id = $1", "t.id", "text", ""),
        "closed_questions" => by_key!(
            tx,
            page,
            "closed_questions",
            "t.customer_id = $1",
            "t.message_id",
            "uuid",
            "00000000-0000-0000-0000-000000000000"
        ),
        "company_mapping" => by_key!(tx, page, "company_mapping", "t.uuid = $1", "t.company_id", "text", ""),
        "company_rag_configs" => by_id!(
            tx,
            page,
            "company_rag_configs",
            "t.company_id = (select company_id from company_mapping where uuid = $1)"
        ),
        "config_versions" => by_key!(
            tx,
            page,
            "config_versions",
            "t.company_id = (select company_id from company_mapping where uuid = $1)",
            "t.id",
            "bigint",
            "-1"
        ),
        "conversations" => page!(
            tx,
            page,
            [
                "select t.* from conversations t
                where t.customer_id = $1 and (t.channel, t.contact_id) > (coalesce(split_part($2::text, '|', 1), ''),
                    coalesce(substr($2::text, strpos($2::text, '|') + 1), ''))
                order by t.channel, t.contact_id limit $3"
            ],
            ["to_jsonb(t)"],
            ["t.channel || '|' || t.contact_id"],
            ["t.channel, t.contact_id"]
        ),
        "customer_members" => by_key!(
            tx,
            page,
            "customer_members",
            "t.customer_id = $1",
            "t.user_id",
            "uuid",
            "00000000-0000-0000-0000-000000000000",
            "to_jsonb(t) || (select jsonb_build_object('email', u.email, 'full_name', p.full_name) from users u left join profiles p on p.id = u.id where u.id = t.user_id)"
        ),
        "customers" => by_id!(tx, page, "customers", "t.id = $1", "to_jsonb(t) - 'manychat_api_key'"),
        // Without the vectors, which would be read from their own pages of the table.
        "document_chunks" => by_parent!(
            tx,
            page,
            "t.id, t.document_id, t.customer_id, t.chunk_index, t.page_start, t.page_end, t.text_chunk, t.language, t.embedding_model, t.file_place",
            "document_chunks",
            "documents",
            "document_id",
            "chunk_index"
        ),
        "document_pages" => by_parent!(tx, page, "t.*", "document_pages", "documents", "document_id", "page"),
        "documents" => by_id!(tx, page, "documents", "t.customer_id = $1"),
        "exports" => by_id!(tx, page, "exports", "t.customer_id = $1"),
        "feedback" => by_key!(tx, page, "feedback", "t.customer_id = $1", "t.created_at", "timestamptz", "-infinity"),
        "first_answer_times" => {
            by_key!(tx, page, "first_answer_times", "t.company_id = $1", "t.date", "date", "-infinity")
        }
        "golden_questions" => by_id!(tx, page, "golden_questions", "t.customer_id = $1"),
        "invitations" => by_id!(tx, page, "invitations", "t.customer_id = $1", "to_jsonb(t) - 'token_sha256'"),
        "llm_calls" => by_key!(tx, page, "llm_calls", "t.customer_id = $1", "t.created_at", "timestamptz", "-infinity"),
        "messages" => by_time!(tx, page, "messages", "t.customer_id = $1"),
        "order_days" => by_key!(tx, page, "order_days", "t.company_id = $1", "t.date", "date", "-infinity"),
        "orders" => by_time!(tx, page, "orders", "t.company_id = $1"),
        // In the order of the messages, whose index serves the page.
        "outbox" => page!(
            tx,
            page,
            [
                "select t.*, message.created_at as message_created_at from messages message
                join outbox t on t.message_id = message.id
                where message.customer_id = $1 and (message.created_at, message.id) > (
                    coalesce(split_part($2::text, '|', 1), '-infinity')::timestamptz,
                    coalesce(split_part($2::text, '|', 2), '00000000-0000-0000-0000-000000000000')::uuid)
                order by message.created_at, message.id fetch first ($3::bigint) rows with ties"
            ],
            ["to_jsonb(t) - 'message_created_at'"],
            ["t.message_created_at || '|' || t.message_id"],
            ["t.message_created_at, t.message_id, t.part"]
        ),
        "preview_counts" => by_key!(tx, page, "preview_counts", "t.customer_id = $1", "t.day", "date", "-infinity"),
        "products" => by_id!(tx, page, "products", "t.customer_id = $1"),
        "profiles" => by_id!(tx, page, "profiles", "t.id = (select user_id from customers where id = $1)"),
        "reservations" => by_id!(tx, page, "reservations", "t.customer_id = $1"),
        "tenant_notices" => by_key!(tx, page, "tenant_notices", "t.customer_id = $1", "t.kind", "text", ""),
        "unread_webhook_bodies" => by_time!(tx, page, "unread_webhook_bodies", "t.customer_id = $1"),
        "usage_periods" => {
            by_key!(tx, page, "usage_periods", "t.customer_id = $1", "t.period_start", "timestamptz", "-infinity")
        }
        "user_settings" => by_key!(
            tx,
            page,
            "user_settings",
            "t.user_id = (select user_id from customers where id = $1)",
            "t.user_id",
            "uuid",
            "00000000-0000-0000-0000-000000000000"
        ),
        "users" => by_id!(tx, page, "users", "t.id = (select user_id from customers where id = $1)"),
        "webhook_deliveries" => page!(
            tx,
            page,
            [
                "select t.* from (
                    select parent.id from webhook_endpoints parent
                    where parent.customer_id = $1 and parent.id >= coalesce(split_part($2::text, '|', 1),
                        '00000000-0000-0000-0000-000000000000')::uuid
                    order by parent.id
                ) parent cross join lateral (
                    select t.* from webhook_deliveries t
                    where t.endpoint_id = parent.id and (t.created_at, t.id) > (
                        case when parent.id::text = split_part($2::text, '|', 1)
                            then split_part($2::text, '|', 2)::timestamptz else '-infinity'::timestamptz end,
                        case when parent.id::text = split_part($2::text, '|', 1)
                            then split_part($2::text, '|', 3)::uuid else '00000000-0000-0000-0000-000000000000'::uuid end
                    )
                    order by t.created_at, t.id limit $3
                ) t
                order by parent.id, t.created_at, t.id limit $3"
            ],
            ["to_jsonb(t)"],
            ["t.endpoint_id || '|' || t.created_at || '|' || t.id"],
            ["t.endpoint_id, t.created_at, t.id"]
        ),
        "webhook_endpoints" => by_id!(
            tx,
            page,
            "webhook_endpoints",
            "t.customer_id = $1",
            "to_jsonb(t) - array['secret', 'previous_secret']"
        ),
        "webhook_secrets" => by_id!(
            tx,
            page,
            "webhook_secrets",
            "t.customer_id = $1",
            "to_jsonb(t) - array['sealed_value', 'sha256']"
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
