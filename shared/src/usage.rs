//! What the tenant's bot did and what it cost: `bot_usage`, one row a day in the tenant's timezone, and `llm_calls`, one
//! row a call of a model.

use uuid::Uuid;

use crate::{db::TenantTx, llm::Call};

/// What is added to a day.
#[derive(Debug, Clone, Copy, Default)]
pub struct Used {
    /// Conversations whose first answer of the day this is.
    pub conversations: i32,
    /// Messages, in and out.
    pub messages: i32,
    /// Units of the quota.
    pub requests: i32,
    /// Orders.
    pub orders: i32,
    /// Tokens, read and written.
    pub tokens: i64,
    /// In millionths of a US dollar.
    pub cost_micros: i64,
}

impl Used {
    /// The same with what these calls took.
    #[must_use]
    pub fn with(self, calls: &[Call]) -> Self {
        let tokens = |call: &Call| i64::from(call.usage.prompt_tokens) + i64::from(call.usage.completion_tokens);
        Self {
            tokens: self.tokens + calls.iter().map(tokens).sum::<i64>(),
            cost_micros: self.cost_micros + calls.iter().map(|call| call.cost_micros).sum::<i64>(),
            ..self
        }
    }
}

/// Adds to the tenant's day.
///
/// # Errors
/// The database's.
pub async fn add(tx: &mut TenantTx, used: &Used) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        insert into bot_usage as day (company_id, date, conversations_count, messages_count, requests_count, orders_count,
            tokens, cost_micros)
        select id, (now() at time zone timezone)::date, $2, $3, $4, $5, $6, $7 from customers where id = $1
        on conflict on constraint bot_usage_day_key do update set
            conversations_count = day.conversations_count + excluded.conversations_count,
            messages_count = day.messages_count + excluded.messages_count,
            requests_count = day.requests_count + excluded.requests_count,
            orders_count = day.orders_count + excluded.orders_count,
            tokens = day.tokens + excluded.tokens,
            cost_micros = day.cost_micros + excluded.cost_micros
        "#,
        tx.tenant(),
        used.conversations,
        used.messages,
        used.requests,
        used.orders,
        used.tokens,
        used.cost_micros
    )
    .execute(tx)
    .await
    .map(drop)
}

/// Whether the bot has said nothing yet today, in the tenant's day, in this conversation.
///
/// # Errors
/// The database's.
pub async fn is_first_today(tx: &mut TenantTx, conversation: Uuid) -> sqlx::Result<bool> {
    sqlx::query_scalar!(
        r#"
        select not exists (
            select from messages, customers tenant
            where messages.customer_id = $1 and messages.conversation_id = $2 and messages.direction = 'outbound'
              and tenant.id = $1
              and messages.created_at >= date_trunc('day', now() at time zone tenant.timezone) at time zone tenant.timezone
        ) as "first!"
        "#,
        tx.tenant(),
        conversation
    )
    .fetch_one(tx)
    .await
}

/// The tenant's day, and whether its owner hears only now that no answers are left.
#[derive(Debug)]
pub struct Blocked {
    /// Today, in the tenant's timezone.
    pub today: chrono::NaiveDate,
    /// Whether nobody was told today.
    pub is_news: bool,
}

/// Notes that the quota is used up, once a day.
///
/// # Errors
/// The database's.
pub async fn note_blocked(tx: &mut TenantTx) -> sqlx::Result<Blocked> {
    sqlx::query_as!(
        Blocked,
        r#"
        with today as (
            select (now() at time zone timezone)::date as date from customers where id = $1
        ), noted as (
            insert into bot_usage as day (company_id, date, quota_notified) select $1, date, true from today
            on conflict on constraint bot_usage_day_key do update set quota_notified = true where not day.quota_notified
            returning day.date
        )
        select today.date as "today!", exists (select from noted) as "is_news!" from today
        "#,
        tx.tenant()
    )
    .fetch_one(tx)
    .await
}

/// Writes calls of models into the ledger, those that failed too.
///
/// # Errors
/// The database's.
pub async fn record_calls(
    tx: &mut TenantTx,
    conversation: Option<Uuid>,
    purpose: &'static str,
    calls: &[Call],
) -> sqlx::Result<()> {
    let tokens = |count: u32| i32::try_from(count).unwrap_or(i32::MAX);
    for call in calls {
        sqlx::query!(
            r#"
            insert into llm_calls (customer_id, conversation_id, purpose, provider, model, prompt_tokens,
                completion_tokens, cost_micros, latency_ms, status)
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
            "#,
            tx.tenant(),
            conversation,
            purpose,
            call.provider,
            call.model,
            tokens(call.usage.prompt_tokens),
            tokens(call.usage.completion_tokens),
            call.cost_micros,
            call.latency_ms,
            call.status.as_str()
        )
        .execute(&mut *tx)
        .await?;
    }
    Ok(())
}
