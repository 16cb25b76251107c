//! Companies as administrators see them, with plan, usage and cost, and their suspension. Writes `customers.suspended_at`
//! and the job that stops or resumes the collection of the company's subscription.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::{
    audit::{self, NewAuditEntry},
    auth::Administrator,
    db::SystemTx,
    error::ApiError,
    input, jobs,
    paging::{List, Listing, Paging, list_page},
};

/// Maximum length of a search, in characters.
const MAX_SEARCH_CHARS: usize = 200;

/// A company in the list of all companies.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "id": "c1a7e2b4-3f5d-4c6e-8a90-1b2c3d4e5f60", "company_id": "comptoir-baobab", "name": "Comptoir Baobab",
    "owner_email": "awa@example.com", "plan": "pro", "status": "active", "requests_this_month": 412,
    "created_at": "2026-11-23T09:30:06Z", "suspended_at": null, "deleted_at": null,
}))]
pub struct CustomerSummary {
    /// Identifier of the company.
    pub id: Uuid,
    /// Text identifier of the company, used by the older tables.
    pub company_id: String,
    /// Name of the company.
    pub name: String,
    /// E-mail address of the owner.
    pub owner_email: String,
    /// Name of the plan whose limits apply.
    pub plan: String,
    /// `active`, `suspended` or `deleted`.
    pub status: String,
    /// Answered questions since the first day of the month, in the company's time zone.
    pub requests_this_month: i64,
    /// Time of creation.
    pub created_at: DateTime<Utc>,
    /// Time of the suspension; null when the company is not suspended.
    pub suspended_at: Option<DateTime<Utc>>,
    /// Time of the deletion; null when the company is not deleted.
    pub deleted_at: Option<DateTime<Utc>>,
}

/// A company with its usage and cost.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "id": "c1a7e2b4-3f5d-4c6e-8a90-1b2c3d4e5f60", "company_id": "comptoir-baobab", "name": "Comptoir Baobab",
    "owner_id": "5d0f3c52-8e7a-4b7e-9a55-6f0a2b1c3d4e", "owner_email": "awa@example.com", "plan": "pro",
    "subscription_status": "active", "current_period_end": "2026-12-23T09:30:06Z", "status": "active",
    "collection": "active", "currency": "XOF", "timezone": "Africa/Abidjan",
    "usage": {
        "month": "2026-11-01", "requests": 412, "messages": 1_240, "conversations": 180, "orders": 12,
        "tokens": 820_000, "cost_micros": 1_730_000, "documents": 14, "document_bytes": 9_437_184, "members": 3,
    },
    "created_at": "2026-11-23T09:30:06Z", "suspended_at": null, "deleted_at": null,
}))]
pub struct CustomerRecord {
    /// Identifier of the company.
    pub id: Uuid,
    /// Text identifier of the company, used by the older tables.
    pub company_id: String,
    /// Name of the company.
    pub name: String,
    /// `users.id` of the owner.
    pub owner_id: Uuid,
    /// E-mail address of the owner.
    pub owner_email: String,
    /// Name of the plan whose limits apply.
    pub plan: String,
    /// Status of the owner's subscription; `free` without one.
    pub subscription_status: String,
    /// End of the paid period; null without a subscription.
    pub current_period_end: Option<DateTime<Utc>>,
    /// `active`, `suspended` or `deleted`.
    pub status: String,
    /// Collection of the subscription at Stripe: `active`, `pausing`, `paused` or `resuming`.
    pub collection: String,
    /// ISO 4217 code of the company's prices.
    pub currency: String,
    /// Time zone, as an IANA name.
    pub timezone: String,
    /// Usage of the present month.
    pub usage: MonthlyUsage,
    /// Time of creation.
    pub created_at: DateTime<Utc>,
    /// Time of the suspension; null when the company is not suspended.
    pub suspended_at: Option<DateTime<Utc>>,
    /// Time of the deletion; null when the company is not deleted.
    pub deleted_at: Option<DateTime<Utc>>,
}

/// A company's usage since the first day of the month, in its time zone, and its storage.
#[derive(Debug, Serialize, ToSchema)]
pub struct MonthlyUsage {
    /// First day of the month.
    pub month: chrono::NaiveDate,
    /// Answered questions.
    pub requests: i64,
    /// Messages, inbound and outbound.
    pub messages: i64,
    /// Conversations that had an answer, counted on each day.
    pub conversations: i64,
    /// Orders placed.
    pub orders: i64,
    /// Tokens of model calls, sent and generated.
    pub tokens: i64,
    /// Cost of model calls, in millionths of a US dollar.
    pub cost_micros: i64,
    /// Documents of any state.
    pub documents: i64,
    /// Size of the documents, in bytes.
    pub document_bytes: i64,
    /// Members, the owner included.
    pub members: i64,
}

/// The filter of the list of companies.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct CustomerFilter {
    /// Only companies whose name, `company_id` or owner's e-mail address contains this text, in any case; or the company
    /// with this id.
    #[param(value_type = Option<String>, min_length = 1, max_length = 200)]
    search: Option<SearchText>,
}

/// A text to search for.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
struct SearchText(String);

impl TryFrom<String> for SearchText {
    type Error = input::UnusableText;

    fn try_from(text: String) -> Result<Self, input::UnusableText> {
        input::one_line(&text, 1, MAX_SEARCH_CHARS).map(Self)
    }
}

impl SearchText {
    /// The text as a pattern of `like`, in which its own `%` and `_` stand for themselves.
    fn pattern(&self) -> String {
        let escaped = self.0.to_lowercase().replace('\\', r"\\").replace('%', r"\%").replace('_', r"\_");
        format!("%{escaped}%")
    }
}

/// The sort fields and the statuses of the list of companies.
#[derive(Debug)]
pub struct CustomerListing;

impl Listing for CustomerListing {
    const NAME: &'static str = "customers";
    const SORTS: &'static [&'static str] = &["created_at"];
    const STATUSES: &'static [&'static str] = &["active", "suspended", "deleted"];
}

/// The tenant that [`list_page!`] passes to a query. A system transaction has none.
trait WithoutTenant {
    fn tenant(&self) -> Uuid;
}

impl WithoutTenant for SystemTx {
    fn tenant(&self) -> Uuid {
        Uuid::nil()
    }
}

/// Returns a page of all companies, and records the read in the audit log.
///
/// # Errors
/// Returns 422 for an invalid cursor, or any database error.
pub async fn list(
    tx: &mut SystemTx,
    administrator: &Administrator,
    filter: &CustomerFilter,
    paging: &Paging,
) -> Result<List<CustomerSummary>, ApiError> {
    let pattern = filter.search.as_ref().map(SearchText::pattern);
    let id = filter.search.as_ref().and_then(|search| Uuid::try_parse(&search.0).ok());
    let listed = list_page!(tx, paging, CustomerSummary {
        select: r#"page.id, (select company_id from company_mapping where uuid = page.id) as "company_id!", page.name,
            (select email from users where users.id = page.user_id) as "owner_email!",
            (select plans.name from plans where plans.id = page.plan_id) as "plan!",
            case when page.deleted_at is not null then 'deleted' when page.suspended_at is not null then 'suspended'
                else 'active' end as "status!",
            coalesce((
                select sum(day.requests_count) from bot_usage day
                where day.company_id = page.id
                  and day.date >= date_trunc('month', now() at time zone page.timezone)::date
            ), 0)::bigint as "requests_this_month!",
            page.created_at, page.suspended_at, page.deleted_at"#,
        from: "customers
            where $1::uuid is not null
              and ($2::text is null or $2 = case when deleted_at is not null then 'deleted'
                  when suspended_at is not null then 'suspended' else 'active' end)
              and ($3::text is null or lower(name) like $3 or id = $4
                  or exists (select from company_mapping where uuid = customers.id and company_id like $3)
                  or exists (select from users where users.id = customers.user_id and lower(email) like $3))",
        bind: [paging.status, pattern, id],
        order: ["created_at": "created_at" "timestamptz" DateTime<Utc> = created_at],
        id: "id" "uuid" Uuid = id,
    })?;
    record(tx, None, administrator, "customers.listed", "customers:all".to_owned()).await?;
    Ok(listed)
}

/// Returns one company with its usage and cost, and records the read in its audit log.
///
/// # Errors
/// Returns 404 when there is no such company, or any database error.
pub async fn get(tx: &mut SystemTx, administrator: &Administrator, id: Uuid) -> Result<CustomerRecord, ApiError> {
    let found = find(tx, id).await?;
    record(tx, Some(id), administrator, "customer.read_by_administrator", format!("customer:{id}")).await?;
    Ok(found)
}

#[expect(clippy::too_many_lines, reason = "one statement with all that is shown")]
async fn find(tx: &mut SystemTx, id: Uuid) -> Result<CustomerRecord, ApiError> {
    let row = sqlx::query!(
        r#"
        select tenant.id, mapping.company_id, tenant.name, tenant.user_id, owner.email, plan.name as plan,
            coalesce(profile.subscription_status, 'free') as "subscription_status!",
            profile.subscription_current_period_end as "current_period_end?",
            case when tenant.deleted_at is not null then 'deleted' when tenant.suspended_at is not null then 'suspended'
                else 'active' end as "status!",
            case
                when tenant.suspended_at is null and job.status in ('queued', 'running') then 'resuming'
                when tenant.suspended_at is null then 'active'
                when job.status = 'done' then 'paused'
                else 'pausing'
            end as "collection!",
            tenant.currency, tenant.timezone, tenant.created_at, tenant.suspended_at, tenant.deleted_at,
            month.begins as "month!", days.requests as "requests!", days.messages as "messages!",
            days.conversations as "conversations!", days.orders as "orders!", calls.tokens as "tokens!",
            calls.cost_micros as "cost_micros!", files.documents as "documents!", files.bytes as "bytes!",
            (select count(*) from customer_members where customer_id = tenant.id) as "members!"
        from customers tenant
        join company_mapping mapping on mapping.uuid = tenant.id
        join users owner on owner.id = tenant.user_id
        join plans plan on plan.id = tenant.plan_id
        left join profiles profile on profile.id = owner.id
        left join jobs job on job.customer_id = tenant.id and job.kind = 'collection'
        cross join lateral (
            select date_trunc('month', now() at time zone tenant.timezone)::date as begins
        ) month
        cross join lateral (
            select coalesce(sum(requests_count), 0)::bigint as requests,
                coalesce(sum(messages_count), 0)::bigint as messages,
                coalesce(sum(conversations_count), 0)::bigint as conversations,
                coalesce(sum(orders_count), 0)::bigint as orders
            from bot_usage where company_id = tenant.id and date >= month.begins
        ) days
        cross join lateral (
            select coalesce(sum(prompt_tokens::bigint + completion_tokens), 0)::bigint as tokens,
                coalesce(sum(cost_micros), 0)::bigint as cost_micros
            from llm_calls
            where customer_id = tenant.id and created_at >= month.begins::timestamp at time zone tenant.timezone
        ) calls
        cross join lateral (
            select count(*) as documents, coalesce(sum(bytes), 0)::bigint as bytes
            from documents where customer_id = tenant.id
        ) files
        where tenant.id = $1
        "#,
        id
    )
    .fetch_optional(tx)
    .await?
    .ok_or_else(|| ApiError::not_found("customer"))?;
    Ok(CustomerRecord {
        id: row.id,
        company_id: row.company_id,
        name: row.name,
        owner_id: row.user_id,
        owner_email: row.email,
        plan: row.plan,
        subscription_status: row.subscription_status,
        current_period_end: row.current_period_end,
        status: row.status,
        collection: row.collection,
        currency: row.currency,
        timezone: row.timezone,
        usage: MonthlyUsage {
            month: row.month,
            requests: row.requests,
            messages: row.messages,
            conversations: row.conversations,
            orders: row.orders,
            tokens: row.tokens,
            cost_micros: row.cost_micros,
            documents: row.documents,
            document_bytes: row.bytes,
            members: row.members,
        },
        created_at: row.created_at,
        suspended_at: row.suspended_at,
        deleted_at: row.deleted_at,
    })
}

/// Suspends a company, or ends its suspension, and makes the job due that stops or resumes the collection of its
/// subscription. A repetition changes nothing. Returns true when something changed.
///
/// # Errors
/// Returns 404 when there is no such company, 409 when it is deleted, or any database error.
pub async fn set_suspended(
    tx: &mut SystemTx,
    administrator: &Administrator,
    id: Uuid,
    is_suspended: bool,
) -> Result<bool, ApiError> {
    let before = sqlx::query!("select suspended_at, deleted_at from customers where id = $1 for no key update", id)
        .fetch_optional(&mut *tx)
        .await?
        .ok_or_else(|| ApiError::not_found("customer"))?;
    if before.deleted_at.is_some() {
        return Err(ApiError::conflict("customer_deleted", "the company is deleted"));
    }
    if before.suspended_at.is_some() == is_suspended {
        return Ok(false);
    }
    sqlx::query!("update customers set suspended_at = case when $2 then now() end where id = $1", id, is_suspended)
        .execute(&mut *tx)
        .await?;
    jobs::enqueue_collection(tx, id).await?;
    let action = if is_suspended { "customer.suspended" } else { "customer.unsuspended" };
    record(tx, Some(id), administrator, action, format!("customer:{id}")).await?;
    Ok(true)
}

/// Writes an audit entry into the company's chain, or into the chain of those without one.
async fn record(
    tx: &mut SystemTx,
    tenant: Option<Uuid>,
    administrator: &Administrator,
    action: &'static str,
    object: String,
) -> Result<(), ApiError> {
    let (actor, request_id) = (Some(administrator.user), Some(administrator.request_id.as_str()));
    let entry = NewAuditEntry { actor, action, object, request_id, details: json!({}) };
    Ok(audit::record_for(tx, tenant, &entry).await?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_of_a_pattern_stand_for_themselves_in_a_search() {
        let search = |text: &str| SearchText::try_from(text.to_owned()).map(|search| search.pattern());
        assert_eq!(search("  Éva 100%_\\ ").unwrap(), r"%éva 100\%\_\\%");
        assert!(search("").is_err() && search(" \u{200b} ").is_err() && search("a\u{0}").is_err());
    }
}
