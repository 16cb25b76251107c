//! The figures of the dashboard, from counters of days: the tables `bot_usage`, `order_days` and `first_answer_times`.
//! The number of a tenant's messages and orders makes no difference.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use crate::{currency::decimal_amount, db::TenantTx, error::ApiError, time_range, usage::wait_of_bucket};

/// Maximum number of days of a range.
const MAX_DAYS: i32 = 366;
/// Days of the range by default, up to the last one.
const DEFAULT_DAYS: i32 = 30;

/// A day in a query string.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "String")]
struct Day(NaiveDate);

/// The error for a text that is no day.
#[derive(Debug, thiserror::Error)]
#[error("must be a day such as 2026-11-23")]
struct NotADay;

impl TryFrom<String> for Day {
    type Error = NotADay;

    fn try_from(text: String) -> Result<Self, NotADay> {
        time_range::parse_day(&text).map(Self).ok_or(NotADay)
    }
}

/// The range of the figures.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct StatsRange {
    /// First day, in the company's timezone; by default 29 days before `to`.
    #[param(value_type = Option<String>, format = Date, example = "2026-11-01")]
    from: Option<Day>,
    /// Last day, today by default. A range has 366 days at most.
    #[param(value_type = Option<String>, format = Date, example = "2026-11-30")]
    to: Option<Day>,
}

/// The figures of a range of days.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "from": "2026-11-23", "to": "2026-11-23", "timezone": "Africa/Abidjan",
    "totals": {
        "conversations": 12, "messages": 80, "requests": 34, "orders": 5, "revenue": [{ "currency": "XOF", "amount": "45000" }],
        "tokens": 51200, "cost_micros": 8300, "unanswered": 3, "bot_answers": 30, "person_answers": 7, "handovers": 4,
        "thumbs_up": 9, "thumbs_down": 1, "share_answered_by_bot": 0.75,
        "first_answer": { "answers": 37, "median_s": 3.9, "p95_s": 310.4 },
        "orders_by_status": { "pending": 1, "confirmed": 1, "preparing": 1, "delivered": 2, "cancelled": 0 },
    },
    "days": [{
        "date": "2026-11-23", "conversations": 12, "messages": 80, "requests": 34, "orders": 5,
        "revenue": [{ "currency": "XOF", "amount": "45000" }], "tokens": 51200, "cost_micros": 8300, "unanswered": 3,
        "bot_answers": 30, "person_answers": 7, "handovers": 4, "thumbs_up": 9, "thumbs_down": 1,
    }],
}))]
pub struct Stats {
    from: NaiveDate,
    to: NaiveDate,
    /// Timezone of the days, as an IANA name.
    timezone: String,
    totals: Totals,
    /// The days of the range, oldest first, also those on which nothing happened.
    days: Vec<DayStats>,
}

/// Figures that are summed over days.
#[derive(Debug, Clone, Default, Serialize, ToSchema)]
pub struct Figures {
    /// Conversations with their first answer of a day.
    conversations: i64,
    /// Messages of contacts that were answered, and answers.
    messages: i64,
    /// Requests charged to the quota.
    requests: i64,
    /// Orders made.
    orders: i64,
    /// Totals of orders that were confirmed, less those that were cancelled afterwards, by currency.
    revenue: Vec<Revenue>,
    /// Tokens of language models, sent and generated.
    tokens: i64,
    /// Cost of models, in millionths of a US dollar.
    cost_micros: i64,
    /// Questions to which the bot found no answer, or for which no answers were left.
    unanswered: i64,
    /// Answers of the bot.
    bot_answers: i64,
    /// Answers of persons of the company to messages that waited.
    person_answers: i64,
    /// Conversations that went from the bot to a person.
    handovers: i64,
    thumbs_up: i64,
    thumbs_down: i64,
    #[serde(skip)]
    revenue_cents: BTreeMap<String, i64>,
}

/// An amount of revenue.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Revenue {
    /// ISO 4217 code.
    currency: String,
    /// Decimal number with the digits of the currency; negative when more was cancelled than confirmed.
    amount: String,
}

/// The figures of one day.
#[derive(Debug, Serialize, ToSchema)]
pub struct DayStats {
    date: NaiveDate,
    #[serde(flatten)]
    figures: Figures,
}

/// The sums of the range.
#[derive(Debug, Serialize, ToSchema)]
pub struct Totals {
    #[serde(flatten)]
    figures: Figures,
    /// Answers of the bot, as a share of those and of `person_answers` and `unanswered`; null where there are none.
    #[schema(required)]
    share_answered_by_bot: Option<f64>,
    /// Null where nothing was answered.
    #[schema(required)]
    first_answer: Option<FirstAnswer>,
    /// Present status of the orders that were made in the range.
    orders_by_status: OrdersByStatus,
}

/// Waiting times of contacts until the first answer to their messages, in seconds, each within an eighth of the true one.
#[derive(Debug, Serialize, ToSchema)]
pub struct FirstAnswer {
    /// Number of first answers.
    answers: i64,
    /// In seconds.
    median_s: f64,
    /// In seconds: 95 of 100 waited no longer.
    p95_s: f64,
}

/// Numbers of orders.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct OrdersByStatus {
    pending: i64,
    confirmed: i64,
    preparing: i64,
    delivered: i64,
    cancelled: i64,
}

/// The orders of a day in one currency, as the query returns them.
#[derive(Debug, Deserialize)]
struct OrderDay {
    currency: String,
    pending: i64,
    confirmed: i64,
    preparing: i64,
    delivered: i64,
    cancelled: i64,
    revenue_cents: i64,
}

/// A day, as the query returns it.
struct DayRow {
    timezone: String,
    date: NaiveDate,
    conversations: i32,
    messages: i32,
    requests: i32,
    orders: i32,
    tokens: i64,
    cost_micros: i64,
    unanswered: i32,
    bot_answers: i32,
    person_answers: i32,
    handovers: i32,
    thumbs_up: i32,
    thumbs_down: i32,
    order_days: Option<Value>,
    waits: Option<Value>,
}

/// Returns the figures of a range of days, by one query on the counters of the days.
///
/// # Errors
/// 422 for a range that ends before it begins or is too long; a database error.
pub async fn stats(tx: &mut TenantTx, range: &StatsRange) -> Result<Stats, ApiError> {
    let rows = sqlx::query_as!(
        DayRow,
        r#"
        select tenant.timezone as "timezone!", day.date as "date!",
            coalesce(usage.conversations_count, 0) as "conversations!", coalesce(usage.messages_count, 0) as "messages!",
            coalesce(usage.requests_count, 0) as "requests!", coalesce(usage.orders_count, 0) as "orders!",
            coalesce(usage.tokens, 0) as "tokens!", coalesce(usage.cost_micros, 0) as "cost_micros!",
            coalesce(usage.unanswered, 0) as "unanswered!", coalesce(usage.bot_answers, 0) as "bot_answers!",
            coalesce(usage.person_answers, 0) as "person_answers!", coalesce(usage.handovers, 0) as "handovers!",
            coalesce(usage.thumbs_up, 0) as "thumbs_up!", coalesce(usage.thumbs_down, 0) as "thumbs_down!",
            (
                select jsonb_agg(jsonb_build_object(
                    'currency', currency, 'pending', pending, 'confirmed', confirmed, 'preparing', preparing,
                    'delivered', delivered, 'cancelled', cancelled, 'revenue_cents', (revenue * 100)::bigint
                ))
                from order_days where company_id = $1 and order_days.date = day.date
            ) as order_days,
            (
                select jsonb_object_agg(bucket, answers)
                from first_answer_times where company_id = $1 and first_answer_times.date = day.date
            ) as waits
        from customers tenant
        cross join lateral (
            select coalesce($3, greatest((now() at time zone tenant.timezone)::date, $2)) as last
        ) ends
        cross join lateral (
            select series::date as date
            from generate_series(
                coalesce($2, ends.last - $4::integer)::timestamp,
                -- Days beyond the most are not made, to be refused.
                least(ends.last, coalesce($2, ends.last - $4::integer) + $5::integer)::timestamp, interval '1 day'
            ) series
        ) day
        left join bot_usage usage on usage.company_id = $1 and usage.date = day.date
        where tenant.id = $1
        order by day.date
        "#,
        tx.tenant(),
        range.from.map(|day| day.0),
        range.to.map(|day| day.0),
        DEFAULT_DAYS - 1,
        MAX_DAYS
    )
    .fetch_all(tx)
    .await?;
    let (Some(first), Some(last)) = (rows.first(), rows.last()) else {
        return Err(ApiError::field("to", "must not be before from"));
    };
    if rows.len() > usize::try_from(MAX_DAYS).unwrap_or(usize::MAX) {
        return Err(ApiError::field("from", format!("must not be more than {MAX_DAYS} days before the end of to")));
    }
    let (from, to, timezone) = (first.date, last.date, first.timezone.clone());
    let mut sums = Sums::default();
    let days = rows.into_iter().map(|row| sums.add(row)).collect::<Result<Vec<_>, _>>()?;
    Ok(Stats { from, to, timezone, totals: sums.into_totals(), days })
}

/// The sums of the days that were added.
#[derive(Debug, Default)]
struct Sums {
    figures: Figures,
    by_status: OrdersByStatus,
    /// Number of first answers, by the bucket of their wait.
    waits: BTreeMap<i32, i64>,
}

impl Sums {
    /// Adds a day, and returns its figures.
    fn add(&mut self, row: DayRow) -> Result<DayStats, ApiError> {
        let unreadable = |error: serde_json::Error| ApiError::internal().with_source(error);
        let orders: Vec<OrderDay> =
            row.order_days.map_or(Ok(Vec::new()), serde_json::from_value).map_err(unreadable)?;
        let waits: BTreeMap<i32, i64> =
            row.waits.map_or(Ok(BTreeMap::new()), serde_json::from_value).map_err(unreadable)?;
        for (bucket, answers) in waits {
            *self.waits.entry(bucket).or_default() += answers;
        }
        let mut figures = Figures {
            conversations: row.conversations.into(),
            messages: row.messages.into(),
            requests: row.requests.into(),
            orders: row.orders.into(),
            tokens: row.tokens,
            cost_micros: row.cost_micros,
            unanswered: row.unanswered.into(),
            bot_answers: row.bot_answers.into(),
            person_answers: row.person_answers.into(),
            handovers: row.handovers.into(),
            thumbs_up: row.thumbs_up.into(),
            thumbs_down: row.thumbs_down.into(),
            ..Figures::default()
        };
        for day in orders {
            self.by_status.pending += day.pending;
            self.by_status.confirmed += day.confirmed;
            self.by_status.preparing += day.preparing;
            self.by_status.delivered += day.delivered;
            self.by_status.cancelled += day.cancelled;
            if day.revenue_cents != 0 {
                figures.revenue_cents.insert(day.currency, day.revenue_cents);
            }
        }
        self.figures.add(&figures);
        Ok(DayStats { date: row.date, figures: figures.with_revenue() })
    }

    fn into_totals(self) -> Totals {
        let figures = &self.figures;
        let questions = figures.bot_answers + figures.person_answers + figures.unanswered;
        // Four digits are as many as a count of ten thousand has.
        let share = |part: i64| (part as f64 / questions as f64 * 1e4).round() / 1e4;
        Totals {
            share_answered_by_bot: (questions > 0).then(|| share(figures.bot_answers)),
            first_answer: first_answer(&self.waits),
            orders_by_status: self.by_status,
            figures: self.figures.with_revenue(),
        }
    }
}

impl Figures {
    fn add(&mut self, day: &Self) {
        self.conversations += day.conversations;
        self.messages += day.messages;
        self.requests += day.requests;
        self.orders += day.orders;
        self.tokens += day.tokens;
        self.cost_micros += day.cost_micros;
        self.unanswered += day.unanswered;
        self.bot_answers += day.bot_answers;
        self.person_answers += day.person_answers;
        self.handovers += day.handovers;
        self.thumbs_up += day.thumbs_up;
        self.thumbs_down += day.thumbs_down;
        for (currency, cents) in &day.revenue_cents {
            *self.revenue_cents.entry(currency.clone()).or_default() += cents;
        }
    }

    /// Writes the revenue as decimal numbers.
    fn with_revenue(mut self) -> Self {
        let amounts = self.revenue_cents.iter();
        self.revenue = amounts
            .map(|(currency, cents)| Revenue { currency: currency.clone(), amount: decimal_amount(*cents, currency) })
            .collect();
        self
    }
}

/// Returns median and 95th percentile of waits that are counted in buckets.
fn first_answer(waits: &BTreeMap<i32, i64>) -> Option<FirstAnswer> {
    let answers: i64 = waits.values().sum();
    let percentile = |per_cent: i64| {
        // The least bucket up to which at least that share of the answers is.
        let wanted = (answers * per_cent + 99) / 100;
        let mut seen = 0;
        let bucket = waits.iter().find(|(_, count)| {
            seen += **count;
            seen >= wanted
        });
        bucket.map(|(bucket, _)| (wait_of_bucket(*bucket) * 10.0).round() / 10.0)
    };
    if answers == 0 {
        return None;
    }
    Some(FirstAnswer { answers, median_s: percentile(50)?, p95_s: percentile(95)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_those_of_the_buckets() {
        assert!(first_answer(&BTreeMap::new()).is_none());
        let waits = BTreeMap::from([(10, 50), (20, 44), (40, 6)]);
        let found = first_answer(&waits).unwrap();
        let rounded = |bucket| (wait_of_bucket(bucket) * 10.0).round() / 10.0;
        assert_eq!((found.answers, found.median_s, found.p95_s), (100, rounded(10), rounded(40)));
        let one = first_answer(&BTreeMap::from([(13, 1)])).unwrap();
        assert_eq!((one.median_s, one.p95_s), (rounded(13), rounded(13)));
    }
}
