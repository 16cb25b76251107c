//! The rows of the two companies. They are written by SQL with triggers and foreign keys off, since a million messages by
//! the API would take hours; what triggers would have counted is written beside them.

use std::fmt::{self, Display, Formatter};

use anyhow::{Context, Result};
use chrono::{NaiveDate, Utc};
use shared::changes::ChangeCursor;
use sqlx::PgConnection;
use uuid::Uuid;

/// Messages of a conversation of the large company.
const MESSAGES_PER_CONVERSATION: i32 = 40;
/// Changes of a page of the feed.
const FEED_PAGE: i64 = 100;

/// The numbers of a company's rows.
#[derive(Debug, Clone, Copy)]
pub(super) struct TenantRows {
    orders: i32,
    /// Even: each question of a contact has its answer.
    messages: i32,
    conversations: i32,
    activities: i32,
    changes: i32,
    /// Days with counters, up to today.
    days: i32,
}

impl TenantRows {
    /// The company with ten rows of each kind.
    pub(super) const SMALL: Self =
        Self { orders: 10, messages: 20, conversations: 10, activities: 10, changes: 10, days: 10 };

    /// The company with many rows and a year of counters.
    pub(super) fn large(orders: u32, messages: u32, changes: u32) -> Self {
        let number = |count: u32| i32::try_from(count).unwrap_or(i32::MAX);
        Self {
            orders: number(orders),
            messages: number(messages) / 2 * 2,
            conversations: number(messages) / MESSAGES_PER_CONVERSATION,
            activities: number(orders).saturating_mul(2),
            changes: number(changes),
            days: 365,
        }
    }
}

impl Display for TenantRows {
    fn fmt(&self, formatter: &mut Formatter<'_>) -> fmt::Result {
        let Self { orders, messages, conversations, activities, changes, days } = self;
        write!(
            formatter,
            "{orders} orders, {messages} messages in {conversations} conversations, {activities} activities, \
             {days} days of counters, {changes} changes"
        )
    }
}

/// Conversations, numbered in the order of their last message, which [`LAST_MESSAGES`] sets.
const CONVERSATIONS: &str = "
    insert into conversations (customer_id, contact_id, user_phone, display_name, language, created_at)
    select $1, n::text, '+22507' || lpad(n::text, 8, '0'), 'Contact ' || n, 'fr', now() - interval '365 days'
    from generate_series(1, $2) n";

/// Questions and answers over a year, of all conversations in turn.
const MESSAGES: &str = "
    with pairs as materialized (
        select n, gen_random_uuid() as question, gen_random_uuid() as answer,
            now() - interval '365 days' * (($2 - n)::double precision / $2) as at
        from generate_series(1, $2) n
    )
    insert into messages (id, customer_id, conversation_id, user_phone, direction, author, content, answered, model,
        answered_by, sent_at, created_at)
    select message.id, $1, conversation.id, conversation.user_phone, message.direction, message.author, message.content,
        message.answered, message.model, message.answered_by, message.sent_at, message.at
    from pairs
    join conversations conversation
        on conversation.customer_id = $1 and conversation.contact_id = ((pairs.n + $3 - 1 - $2 % $3) % $3 + 1)::text
    cross join lateral (values
        (question, 'inbound', 'contact', 'Combien coûte la livraison du colis ' || n || ' à Abidjan ?', null::boolean,
            null::text, answer, null::timestamptz, at),
        (answer, 'outbound', 'bot', 'La livraison du colis ' || n || ' à Abidjan coûte 1 500 F CFA.', true,
            'extractive-1', null, at + interval '2 seconds', at + interval '2 seconds')
    ) message (id, direction, author, content, answered, model, answered_by, sent_at, at)";

const LAST_MESSAGES: &str = "
    update conversations set last_message_at = last.at
    from (select conversation_id, max(created_at) as at from messages where customer_id = $1 group by 1) last
    where last.conversation_id = conversations.id";

const ORDERS: &str = "
    insert into orders (company_id, customer_name, customer_name_key, total_amount, currency, status, items, created_at,
        updated_at)
    select $1, named.name, app.fold_name(named.name), price.amount, 'XOF',
        (array['delivered', 'delivered', 'delivered', 'cancelled', 'preparing', 'confirmed', 'pending'])[n % 7 + 1],
        jsonb_build_array(jsonb_build_object('product_id', null, 'name', 'Café moulu 250 g', 'quantity', 1 + n % 3,
            'unit_price', (price.amount / (1 + n % 3))::numeric(14, 2)::text)),
        made.at, made.at + interval '1 hour'
    from generate_series(1, $2) n
    cross join lateral (select 'Awa Koné ' || n as name) named
    cross join lateral (select (500 * (1 + n % 997) * (1 + n % 3))::numeric(14, 2) as amount) price
    cross join lateral (select now() - interval '365 days' * (($2 - n)::double precision / $2) as at) made";

const ACTIVITIES: &str = "
    insert into activities (company_id, type, title, status, metadata, created_at)
    select $1, (array['order_created', 'order_confirmed', 'conversation_taken_over'])[n % 3 + 1], 'Something happened',
        (array['info', 'success', 'warning'])[n % 3 + 1], jsonb_build_object('order_id', gen_random_uuid()),
        now() - interval '365 days' * (($2 - n)::double precision / $2)
    from generate_series(1, $2) n";

const CHANGES: &str = "
    insert into changes (customer_id, kind, id, at)
    select $1, (array['message', 'conversation', 'order', 'activity', 'document'])[n % 5 + 1], gen_random_uuid(),
        now() - interval '6 days' * (($2 - n)::double precision / $2)
    from generate_series(1, $2) n";

const USAGE_DAYS: &str = "
    insert into bot_usage (company_id, date, conversations_count, messages_count, requests_count, orders_count, revenue,
        tokens, cost_micros, bot_answers, person_answers, unanswered, handovers, thumbs_up, thumbs_down)
    select $1, current_date - n, 60, 2740, 1370, 274, 750000, 500000, 90000, 1200, 100, 70, 20, 50, 5
    from generate_series(0, $2 - 1) n
    on conflict on constraint bot_usage_day_key do nothing";

const ORDER_DAYS: &str = "
    insert into order_days (company_id, date, currency, pending, confirmed, preparing, delivered, cancelled, revenue)
    select $1, current_date - n, currency, 39, 39, 39, 118, 39, 750000
    from generate_series(0, $2 - 1) n, (values ('XOF'), ('EUR')) known (currency)";

const FIRST_ANSWERS: &str = "
    insert into first_answer_times (company_id, date, bucket, answers)
    select $1, current_date - n, bucket, 30 from generate_series(0, $2 - 1) n, generate_series(5, 45) bucket";

/// Writes the rows of a company.
///
/// # Errors
/// A database error.
pub(super) async fn fill(admin: &mut PgConnection, tenant: Uuid, rows: &TenantRows) -> Result<()> {
    sqlx::query("set session_replication_role = replica").execute(&mut *admin).await?;
    let write = sqlx::query(CONVERSATIONS).bind(tenant).bind(rows.conversations);
    write.execute(&mut *admin).await.context("conversations")?;
    let write = sqlx::query(MESSAGES).bind(tenant).bind(rows.messages / 2).bind(rows.conversations);
    write.execute(&mut *admin).await.context("messages")?;
    sqlx::query(LAST_MESSAGES).bind(tenant).execute(&mut *admin).await.context("last messages")?;
    for (statement, count) in [
        (ORDERS, rows.orders),
        (ACTIVITIES, rows.activities),
        (CHANGES, rows.changes),
        (USAGE_DAYS, rows.days),
        (ORDER_DAYS, rows.days),
        (FIRST_ANSWERS, rows.days),
    ] {
        let write = sqlx::query(statement).bind(tenant).bind(count);
        write.execute(&mut *admin).await.with_context(|| statement.to_owned())?;
    }
    sqlx::query("set session_replication_role = origin").execute(admin).await?;
    Ok(())
}

/// Does what autovacuum does on a server that has run for a while, so that it does not begin while requests are measured.
///
/// # Errors
/// A database error.
pub(super) async fn tidy(admin: &mut PgConnection) -> Result<()> {
    let tables = "vacuum analyze conversations, messages, orders, activities, changes, bot_usage, order_days,
        first_answer_times";
    sqlx::query(tables).execute(&mut *admin).await?;
    sqlx::query("checkpoint").execute(admin).await?;
    Ok(())
}

/// Returns the first and the last day of the year that ends today, by the database's clock.
///
/// # Errors
/// A database error.
pub(super) async fn year(admin: &mut PgConnection) -> Result<(NaiveDate, NaiveDate)> {
    Ok(sqlx::query_as("select current_date - 364, current_date").fetch_one(admin).await?)
}

/// Places in the changes feed.
pub(super) struct FeedCursors {
    /// Behind the last change.
    pub(super) end: String,
    /// Before the last hundred changes, or before all where there are fewer.
    pub(super) before_last: String,
}

/// Returns the cursors at the end of a company's feed. Following the feed to its end would take 10,000 requests.
///
/// # Errors
/// A database error.
pub(super) async fn cursors(admin: &mut PgConnection, tenant: Uuid) -> Result<FeedCursors> {
    let places = "select max(sequence), coalesce(min(sequence) filter (where place > $2), min(sequence) - 1)
        from (
            select sequence, row_number() over (order by sequence desc) as place
            from changes where customer_id = $1 order by sequence desc limit $2 + 1
        ) last";
    let places = sqlx::query_as(places).bind(tenant).bind(FEED_PAGE);
    let (last, before_last): (i64, i64) = places.fetch_one(admin).await?;
    let cursor = |after| ChangeCursor::after(after, Utc::now()).encode();
    Ok(FeedCursors { end: cursor(last), before_last: cursor(before_last) })
}
