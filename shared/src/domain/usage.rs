//! Counters of the tenant's bot, for statistics: the table `bot_usage`, one row per day in the tenant's timezone, and
//! the table `llm_calls`, one row per model call.
//!
//! Owns the table `first_answer_times`, too: how long contacts waited for their first answer.
//!
//! SQL functions: `app.own_model_spend`, `app.wait_bucket`. Trigger `feedback_count` on `feedback` (`app.count_thumb`). Trigger: `llm_calls_spend` on `llm_calls` (`app.count_spend`), which counts
//! into `usage_periods`.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::{
    db::{SystemTx, TenantTx, Tx},
    llm::ModelCall,
};

/// Amounts to add to the counters of the tenant's present day.
#[derive(Debug, Clone, Copy, Default)]
pub struct UsageDelta {
    /// Conversations with their first answer of the day.
    pub conversations: i32,
    /// Messages, inbound and outbound.
    pub messages: i32,
    /// Requests charged to the quota: one for each answered question.
    pub requests: i32,
    /// Orders placed.
    pub orders: i32,
    /// Questions that the bot answered.
    pub bot_answers: i32,
    /// Answers of persons of the company to messages that waited.
    pub person_answers: i32,
    /// Questions to which the bot found no answer, or for which none was left.
    pub unanswered: i32,
    /// Conversations that went from the bot to a person.
    pub handovers: i32,
    /// Time since which the messages waited that are answered for the first time; `None` without such an answer.
    pub waited_since: Option<DateTime<Utc>>,
    /// Tokens, sent and generated.
    pub tokens: i64,
    /// Cost of model calls, in millionths of a US dollar.
    pub cost_micros: i64,
}

impl UsageDelta {
    /// Adds the tokens and the cost of model calls.
    #[must_use]
    pub fn with_calls(self, calls: &[ModelCall]) -> Self {
        let tokens = |call: &ModelCall| i64::from(call.usage.prompt_tokens) + i64::from(call.usage.completion_tokens);
        Self {
            tokens: self.tokens + calls.iter().map(tokens).sum::<i64>(),
            cost_micros: self.cost_micros + calls.iter().map(|call| call.cost_micros).sum::<i64>(),
            ..self
        }
    }
}

/// Adds amounts to the counters of the tenant's present day.
///
/// # Errors
/// Returns the database's error.
pub async fn add(tx: &mut TenantTx, used: &UsageDelta) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        with counted as (
            insert into bot_usage as day (company_id, date, conversations_count, messages_count, requests_count,
                orders_count, tokens, cost_micros, bot_answers, person_answers, unanswered, handovers)
            select id, (now() at time zone timezone)::date, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11
            from customers where id = $1
            on conflict on constraint bot_usage_day_key do update set
                conversations_count = day.conversations_count + excluded.conversations_count,
                messages_count = day.messages_count + excluded.messages_count,
                requests_count = day.requests_count + excluded.requests_count,
                orders_count = day.orders_count + excluded.orders_count,
                tokens = day.tokens + excluded.tokens,
                cost_micros = day.cost_micros + excluded.cost_micros,
                bot_answers = day.bot_answers + excluded.bot_answers,
                person_answers = day.person_answers + excluded.person_answers,
                unanswered = day.unanswered + excluded.unanswered,
                handovers = day.handovers + excluded.handovers
            returning day.company_id, day.date
        )
        insert into first_answer_times as known (company_id, date, bucket, answers)
        select company_id, date, app.wait_bucket(extract(epoch from clock_timestamp() - $12::timestamptz)::double precision), 1
        from counted where $12::timestamptz is not null
        on conflict on constraint first_answer_times_pkey do update set answers = known.answers + 1
        "#,
        tx.tenant(),
        used.conversations,
        used.messages,
        used.requests,
        used.orders,
        used.tokens,
        used.cost_micros,
        used.bot_answers,
        used.person_answers,
        used.unanswered,
        used.handovers,
        used.waited_since
    )
    .execute(tx)
    .await
    .map(drop)
}

/// Returns the wait in seconds for which a bucket of `first_answer_times` stands: the middle of its ratio. The SQL function
/// `app.wait_bucket` has the bounds: 0.25 s × 1.25^bucket.
#[must_use]
pub fn wait_of_bucket(bucket: i32) -> f64 {
    0.25 * 1.25_f64.powf(f64::from(bucket) - 0.5)
}

/// Returns true when the conversation has no outbound message yet today, in the tenant's timezone.
///
/// # Errors
/// Returns the database's error.
pub async fn has_no_outbound_today(tx: &mut TenantTx, conversation: Uuid) -> sqlx::Result<bool> {
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

/// The day for which the tenant was notified that its quota is used up.
#[derive(Debug)]
pub struct QuotaNotice {
    /// Present day in the tenant's timezone.
    pub today: chrono::NaiveDate,
    /// True when this is the day's first notice.
    pub is_news: bool,
}

/// Records that the quota is used up, once per day.
///
/// # Errors
/// Returns the database's error.
pub async fn record_quota_notice(tx: &mut TenantTx) -> sqlx::Result<QuotaNotice> {
    sqlx::query_as!(
        QuotaNotice,
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

/// Inserts model calls, failed ones included, into the cost ledger `llm_calls`.
///
/// # Errors
/// Returns the database's error.
pub async fn record_calls(
    tx: &mut TenantTx,
    conversation: Option<Uuid>,
    purpose: &'static str,
    calls: &[ModelCall],
) -> sqlx::Result<()> {
    let tenant = tx.tenant();
    insert_calls(tx, tenant, conversation, purpose, calls).await
}

/// Inserts model calls of any tenant into the cost ledger, in a system transaction.
///
/// # Errors
/// Returns the database's error.
pub async fn record_calls_for(
    tx: &mut SystemTx,
    tenant: Uuid,
    purpose: &'static str,
    calls: &[ModelCall],
) -> sqlx::Result<()> {
    insert_calls(tx, tenant, None, purpose, calls).await
}

async fn insert_calls<Scope: Send + std::fmt::Debug>(
    tx: &mut Tx<Scope>,
    tenant: Uuid,
    conversation: Option<Uuid>,
    purpose: &'static str,
    calls: &[ModelCall],
) -> sqlx::Result<()> {
    let saturate = |count: u32| i32::try_from(count).unwrap_or(i32::MAX);
    for call in calls {
        sqlx::query!(
            r#"
            insert into llm_calls (customer_id, conversation_id, purpose, provider, model, prompt_tokens,
                completion_tokens, cost_micros, latency_ms, status)
            values ($1, (
                -- Null when the contact was deleted while the model thought.
                select known.id from conversations known where known.customer_id = $1 and known.id = $2 for key share
            ), $3, $4, $5, $6, $7, $8, $9, $10)
            "#,
            tenant,
            conversation,
            purpose,
            call.provider,
            call.model,
            saturate(call.usage.prompt_tokens),
            saturate(call.usage.completion_tokens),
            call.cost_micros,
            call.latency_ms,
            call.status.as_str()
        )
        .execute(&mut *tx)
        .await?;
    }
    Ok(())
}

/// Deletes at most `limit` model calls that are older than `days`, and returns their number. What they cost stays in
/// `usage_periods` and `bot_usage`.
///
/// # Errors
/// Returns the database's error.
pub async fn remove_old_calls(tx: &mut SystemTx, days: i32, limit: i64) -> sqlx::Result<u64> {
    sqlx::query!(
        r#"
        delete from llm_calls where id in (
            select id from llm_calls where created_at < now() - make_interval(days => $1)
            order by created_at
            limit $2
        )
        "#,
        days,
        limit
    )
    .execute(tx)
    .await
    .map(|done| done.rows_affected())
}
