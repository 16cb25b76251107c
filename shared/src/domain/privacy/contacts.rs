//! Export and deletion of one contact: the conversation with all that belongs to it, and the personal fields of its orders.
//!
//! Both go in steps that fit into a request, however busy the contact was: an answer of the export has a bounded size, and a
//! transaction of the deletion a bounded number of messages.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Datelike, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

use super::exports;
use crate::{db::TenantTx, error::ApiError, webhook_endpoints};

/// Size of the rows in one answer, in bytes. A function's answer has at most 6 MB.
const MAX_ANSWER_BYTES: i64 = 2_500_000;
/// Messages that one transaction of a deletion deletes, with what belongs to them. A transaction of a request has 3.8 s.
const BATCH_MESSAGES: i64 = 1_000;

/// All that a company stores about one contact, or the next part of it. Every object has the columns of its table.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "conversation": { "id": "7a0c4a6e-0a5c-4e0b-9a57-1d2f3a4b5c6d", "contact_id": "132", "user_phone": "+2250700000000" },
    "messages": [{ "direction": "inbound", "content": "Bonjour", "created_at": "2026-11-29T09:30:06Z" }],
    "next": null, "orders": [], "feedback": [], "closed_questions": [], "outbox": [], "activities": [], "model_calls": [],
}))]
pub struct ContactExport {
    /// The conversation with the contact's id, telephone number and name.
    #[schema(value_type = Object)]
    conversation: Value,
    /// Messages, the oldest first.
    #[schema(value_type = Vec<Object>)]
    messages: Vec<Value>,
    /// Value of the parameter `after` for the next answer; null when this is the last one. Each list goes on where the answer
    /// before has ended.
    #[schema(pattern = "^[A-Za-z0-9_-]+$")]
    next: Option<String>,
    /// Orders of the conversation.
    #[schema(value_type = Vec<Object>)]
    orders: Vec<Value>,
    /// Thumbs and comments of members on its messages.
    #[schema(value_type = Vec<Object>)]
    feedback: Vec<Value>,
    /// Unanswered questions that were closed.
    #[schema(value_type = Vec<Object>)]
    closed_questions: Vec<Value>,
    /// Delivery of each part of a message, without the text, which is in the message.
    #[schema(value_type = Vec<Object>)]
    outbox: Vec<Value>,
    /// Activities about the conversation.
    #[schema(value_type = Vec<Object>)]
    activities: Vec<Value>,
    /// Calls of models for the conversation: numbers, no text.
    #[schema(value_type = Vec<Object>)]
    model_calls: Vec<Value>,
}

/// A list of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ContactList {
    Messages,
    Orders,
    Feedback,
    ClosedQuestions,
    Outbox,
    Activities,
    ModelCalls,
}

/// The lists in the order in which answers are filled.
const LISTS: [ContactList; 7] = [
    ContactList::Messages,
    ContactList::Orders,
    ContactList::Feedback,
    ContactList::ClosedQuestions,
    ContactList::Outbox,
    ContactList::Activities,
    ContactList::ModelCalls,
];

/// The place at which the next answer begins: a list, and the time and the id of its last row that was returned.
#[derive(Debug, Serialize, Deserialize)]
struct Place {
    list: ContactList,
    after: Option<(DateTime<Utc>, String)>,
}

impl Place {
    fn encode(&self) -> Result<String, ApiError> {
        let json = serde_json::to_vec(self).map_err(|error| ApiError::internal().with_source(error))?;
        Ok(URL_SAFE_NO_PAD.encode(json))
    }

    fn decode(text: &str) -> Result<Self, ApiError> {
        let place = URL_SAFE_NO_PAD.decode(text).ok().and_then(|json| serde_json::from_slice::<Self>(&json).ok());
        // The database refuses other years and a NUL.
        let is_storable = |place: &Self| {
            place.after.as_ref().is_none_or(|(time, id)| (1..=9999).contains(&time.year()) && !id.contains('\0'))
        };
        place.filter(is_storable).ok_or_else(|| ApiError::field("after", "is not the value of `next` of an answer"))
    }
}

/// A row of a list.
struct ListRow {
    row: Value,
    created_at: DateTime<Utc>,
    id: String,
    /// Bytes of the rows up to this one.
    size: i64,
    /// Rows that the query has found, this page's and those after it.
    found: i64,
}

/// Expands to the query of a list's rows after a place: as many as have room, and one at least.
macro_rules! list_rows {
    ($tx:expr, $conversation:expr, $after:expr, $room:expr, $rows:tt, $id:tt, $json:tt) => {{
        let (since, id) = $after.map(|(since, id)| (*since, id.as_str())).unzip();
        let tenant = $tx.tenant();
        sqlx::query_as!(
            ListRow,
            "with page as (
                select t.*, (" + $id + ") as place from " + $rows + "
                  and ($3::timestamptz is null or (t.created_at, " + $id + ") > ($3, $4::text))
                -- One more than an answer has, to know whether it is the last one.
                order by t.created_at, " + $id + " limit 2001
            ), measured as (
                select row, created_at, place, row_number() over written as number, count(*) over () as found,
                    sum(octet_length(row::text)) over written as size
                from (select (" + $json + ") as row, page.created_at, page.place from page) rows
                window written as (order by created_at, place)
            )
            select row as \"row!\", created_at as \"created_at!\", place as \"id!\", size as \"size!\", found as \"found!\"
            from measured where number <= 2000 and (size <= $5 or number = 1)
            order by number",
            tenant,
            $conversation,
            since,
            id,
            $room
        )
        .fetch_all($tx)
        .await
    }};
}

#[expect(clippy::too_many_lines, reason = "one entry for each list")]
async fn read_list(
    tx: &mut TenantTx,
    conversation: Uuid,
    list: ContactList,
    after: Option<&(DateTime<Utc>, String)>,
    room: i64,
) -> sqlx::Result<Vec<ListRow>> {
    match list {
        ContactList::Messages => list_rows!(
            tx,
            conversation,
            after,
            room,
            "messages t where t.customer_id = $1 and t.conversation_id = $2",
            "t.id::text",
            "to_jsonb(page) - 'place'"
        ),
        ContactList::Orders => list_rows!(
            tx,
            conversation,
            after,
            room,
            "orders t where t.company_id = $1 and t.conversation_id = $2",
            "t.id::text",
            "to_jsonb(page) - 'place'"
        ),
        ContactList::Feedback => list_rows!(
            tx,
            conversation,
            after,
            room,
            "feedback t where t.customer_id = $1
                and t.message_id in (select message.id from messages message where message.conversation_id = $2)",
            "t.message_id::text || t.user_id::text",
            "to_jsonb(page) - 'place'"
        ),
        ContactList::ClosedQuestions => list_rows!(
            tx,
            conversation,
            after,
            room,
            "closed_questions t where t.customer_id = $1
                and t.message_id in (select message.id from messages message where message.conversation_id = $2)",
            "t.message_id::text",
            "to_jsonb(page) - 'place'"
        ),
        ContactList::Outbox => list_rows!(
            tx,
            conversation,
            after,
            room,
            "outbox t where t.customer_id = $1 and t.conversation_id = $2",
            "t.message_id::text || lpad(t.part::text, 10, '0')",
            "to_jsonb(page) - array['place', 'content']"
        ),
        ContactList::Activities => list_rows!(
            tx,
            conversation,
            after,
            room,
            "activities t where t.company_id = $1 and t.conversation_id = $2",
            "t.id::text",
            "to_jsonb(page) - 'place'"
        ),
        ContactList::ModelCalls => list_rows!(
            tx,
            conversation,
            after,
            room,
            "llm_calls t where t.customer_id = $1 and t.conversation_id = $2",
            "t.id::text",
            "to_jsonb(page) - 'place'"
        ),
    }
}

/// Returns all that the transaction's tenant stores about the contact of a conversation, or what follows an answer whose
/// `next` is `after`. An answer has rows of about 2.5 MB.
///
/// # Errors
/// Returns 404 for another tenant's conversation, 422 for a place that no answer has named, and any database error.
pub async fn export(tx: &mut TenantTx, conversation: Uuid, after: Option<&str>) -> Result<ContactExport, ApiError> {
    let mut place = match after {
        None => Place { list: ContactList::Messages, after: None },
        Some(text) => Place::decode(text)?,
    };
    let row = sqlx::query_scalar!(
        r#"
        select to_jsonb(conversation) - array['lease_token', 'lease_expires_at', 'lease_is_awaited'] as "row!"
        from conversations conversation where customer_id = $1 and id = $2
        "#,
        tx.tenant(),
        conversation
    )
    .fetch_optional(&mut *tx)
    .await?
    .ok_or_else(not_found)?;
    let mut export = ContactExport {
        conversation: row,
        messages: Vec::new(),
        next: None,
        orders: Vec::new(),
        feedback: Vec::new(),
        closed_questions: Vec::new(),
        outbox: Vec::new(),
        activities: Vec::new(),
        model_calls: Vec::new(),
    };
    let (first_list, mut room) = (place.list, MAX_ANSWER_BYTES);
    for list in LISTS.into_iter().skip_while(|list| *list != first_list) {
        if list != place.list {
            place = Place { list, after: None };
        }
        let rows = read_list(tx, conversation, list, place.after.as_ref(), room).await?;
        let (Some(first), Some(last)) = (rows.first(), rows.last()) else { continue };
        // The first row of an answer is in it, whatever its size.
        if first.size > room && room < MAX_ANSWER_BYTES {
            export.next = Some(place.encode()?);
            break;
        }
        let is_last = last.found == i64::try_from(rows.len()).unwrap_or(i64::MAX);
        room -= last.size;
        place.after = Some((last.created_at, last.id.clone()));
        let values = rows.into_iter().map(|row| row.row).collect();
        match list {
            ContactList::Messages => export.messages = values,
            ContactList::Orders => export.orders = values,
            ContactList::Feedback => export.feedback = values,
            ContactList::ClosedQuestions => export.closed_questions = values,
            ContactList::Outbox => export.outbox = values,
            ContactList::Activities => export.activities = values,
            ContactList::ModelCalls => export.model_calls = values,
        }
        if !is_last {
            export.next = Some(place.encode()?);
            break;
        }
    }
    Ok(export)
}

fn not_found() -> ApiError {
    ApiError::not_found("conversation")
}

/// Numbers of deleted and changed rows, for the audit log.
#[derive(Debug, Default, Serialize)]
pub struct ContactDeletion {
    messages: i64,
    outbox: i64,
    feedback: i64,
    closed_questions: i64,
    webhook_deliveries: i64,
    activities: u64,
    unread_webhook_bodies: u64,
    idempotency_keys: u64,
    /// Orders that stay without the name and the conversation.
    orders_without_name: u64,
}

/// The outcome of a transaction of a deletion.
#[derive(Debug)]
pub enum DeletionStep {
    /// Nothing is left.
    Done,
    /// Messages are left, and nothing else. True for the first such step of a contact.
    MessagesLeft {
        /// True when this step has taken the contact's name and number from the conversation.
        is_first: bool,
    },
}

/// Deletes a conversation of the transaction's tenant with all that belongs to it, or the next 1,000 messages of
/// it, and adds to the counts. Orders stay as bookings, without the name and the conversation. Archives of the company end, and
/// one that is being made is begun anew.
///
/// The conversation's row is locked first, for an update: a message that comes in meanwhile waits, finds no conversation and
/// begins a new one. A worker that thinks about an answer loses its lease with the row, and commits nothing. When messages
/// are left, the row stays for them without the contact's id, so that the two hold already.
///
/// # Errors
/// Returns 404 for another tenant's conversation, and any database error.
pub async fn delete(
    tx: &mut TenantTx,
    conversation: Uuid,
    deletion: &mut ContactDeletion,
) -> Result<DeletionStep, ApiError> {
    let contact = sqlx::query!(
        "select channel, contact_id, user_phone from conversations where customer_id = $1 and id = $2 for update",
        tx.tenant(),
        conversation
    )
    .fetch_optional(&mut *tx)
    .await?
    .ok_or_else(not_found)?;
    let placeholder = format!("deleted:{conversation}");
    let is_first = contact.contact_id != placeholder;
    if is_first {
        delete_rest(tx, conversation, deletion).await?;
        if contact.channel == "whatsapp" {
            deletion.unread_webhook_bodies +=
                delete_unread_bodies(tx, &contact.contact_id, contact.user_phone.as_deref()).await?;
        }
    }
    if delete_messages(tx, conversation, deletion).await? < BATCH_MESSAGES {
        // The contact's events go with the conversation, in an order that another transaction on deliveries does not have.
        webhook_endpoints::lock_all(tx).await?;
        sqlx::query!("delete from conversations where customer_id = $1 and id = $2", tx.tenant(), conversation)
            .execute(&mut *tx)
            .await?;
        // An archive would keep the contact for a week.
        exports::withdraw(tx).await?;
        return Ok(DeletionStep::Done);
    }
    if is_first {
        sqlx::query!(
            r#"
            update conversations
            set contact_id = $3, user_phone = null, display_name = null, order_draft = null, lease_token = null,
                lease_expires_at = null, lease_is_awaited = false
            where customer_id = $1 and id = $2
            "#,
            tx.tenant(),
            conversation,
            placeholder
        )
        .execute(tx)
        .await?;
    }
    Ok(DeletionStep::MessagesLeft { is_first })
}

/// Deletes what belongs to a conversation besides its messages, takes the name from its orders, and ends its job.
async fn delete_rest(tx: &mut TenantTx, conversation: Uuid, deletion: &mut ContactDeletion) -> sqlx::Result<()> {
    deletion.orders_without_name += sqlx::query!(
        "update orders set customer_name = null, conversation_id = null where company_id = $1 and conversation_id = $2",
        tx.tenant(),
        conversation
    )
    .execute(&mut *tx)
    .await?
    .rows_affected();
    deletion.activities += sqlx::query!(
        "delete from activities where company_id = $1 and conversation_id = $2",
        tx.tenant(),
        conversation
    )
    .execute(&mut *tx)
    .await?
    .rows_affected();
    deletion.idempotency_keys += delete_kept_answers(tx, conversation).await?;
    // They go with the conversation.
    deletion.webhook_deliveries += sqlx::query_scalar!(
        r#"select count(*) as "count!" from webhook_deliveries where customer_id = $1 and conversation_id = $2"#,
        tx.tenant(),
        conversation
    )
    .fetch_one(&mut *tx)
    .await?;
    sqlx::query!(
        r#"
        update jobs set status = 'done', last_error = null, updated_at = clock_timestamp()
        where customer_id = $1 and kind = 'reply' and payload ->> 'conversation_id' = $2
        "#,
        tx.tenant(),
        conversation.to_string()
    )
    .execute(tx)
    .await
    .map(drop)
}

/// Deletes the oldest messages of a conversation with what belongs to them, and returns their number. An answer is deleted
/// after its question, which refers to it.
async fn delete_messages(tx: &mut TenantTx, conversation: Uuid, deletion: &mut ContactDeletion) -> sqlx::Result<i64> {
    let messages = sqlx::query_scalar!(
        r#"
        select id from messages where customer_id = $1 and conversation_id = $2
        order by created_at, id limit $3
        "#,
        tx.tenant(),
        conversation,
        BATCH_MESSAGES
    )
    .fetch_all(&mut *tx)
    .await?;
    let counts = sqlx::query!(
        r#"
        select (select count(*) from outbox where message_id = any ($1)) as "outbox!",
            (select count(*) from feedback where message_id = any ($1)) as "feedback!",
            (select count(*) from closed_questions where message_id = any ($1)) as "closed_questions!"
        "#,
        &messages
    )
    .fetch_one(&mut *tx)
    .await?;
    sqlx::query!("delete from messages where customer_id = $1 and id = any ($2)", tx.tenant(), &messages)
        .execute(tx)
        .await?;
    let deleted = i64::try_from(messages.len()).unwrap_or(i64::MAX);
    deletion.messages += deleted;
    deletion.outbox += counts.outbox;
    deletion.feedback += counts.feedback;
    deletion.closed_questions += counts.closed_questions;
    Ok(deleted)
}

/// Deletes the responses in `idempotency_keys` that name a conversation. They are kept for a day, for repeated
/// requests.
async fn delete_kept_answers(tx: &mut TenantTx, conversation: Uuid) -> sqlx::Result<u64> {
    sqlx::query!(
        "delete from idempotency_keys where customer_id = $1 and strpos(response::text, $2) > 0",
        tx.tenant(),
        conversation.to_string()
    )
    .execute(tx)
    .await
    .map(|done| done.rows_affected())
}

/// Deletes the rows of `unread_webhook_bodies` whose body holds the contact's id or telephone number as a separate
/// word. These bodies could not be parsed, so no column names their contact. Returns the number of rows.
async fn delete_unread_bodies(tx: &mut TenantTx, contact: &str, phone: Option<&str>) -> sqlx::Result<u64> {
    sqlx::query!(
        r#"
        delete from unread_webhook_bodies
        where customer_id = $1
          -- Cheap, and true of few: the expression below reads the whole body.
          and (
              position(convert_to($2, 'UTF8') in body) > 0
              or ltrim($3, '+') <> '' and position(convert_to(ltrim($3, '+'), 'UTF8') in body) > 0
          )
          and encode(body, 'escape') ~ any (
              select '(^|[^0-9A-Za-z])' || regexp_replace(word, '([^0-9A-Za-z])', '\\\1', 'g') || '([^0-9A-Za-z]|$)'
              from unnest(array[$2, ltrim($3, '+')]) word where word <> ''
          )
        "#,
        tx.tenant(),
        contact,
        phone
    )
    .execute(tx)
    .await
    .map(|done| done.rows_affected())
}
