//! The list of conversations for members of the tenant.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::types::Json;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::{
    db::TenantTx,
    error::ApiError,
    input,
    messages::{Phone, pending_sql},
    paging::{List, Listing, Paging},
};

/// Maximum length of a text to search for, in characters: that of a contact's name.
const MAX_SEARCH_CHARS: usize = 200;
/// Conversations that [`count_waiting`] counts at most.
const MAX_COUNTED_WAITING: i64 = 99;

/// A conversation, as shown to members of the tenant.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "id": "7a0c4a6e-0a5c-4e0b-9a57-1d2f3a4b5c6d", "channel": "whatsapp", "contact_id": "132",
    "user_phone": "+2250700000000", "display_name": "Awa", "language": "fr", "handler": "bot", "handover_reason": null,
    "handover_until": null, "opted_out_at": null, "last_message_at": "2026-11-23T09:30:06Z",
    "last_message": "Combien coûte la livraison ?", "unanswered": 1, "waiting_reason": null, "handled_by": null,
    "created_at": "2026-11-23T09:30:06Z",
}))]
pub struct ConversationItem {
    id: Uuid,
    /// `whatsapp` or `api`.
    channel: String,
    /// ManyChat's id of the contact; the conversation's own id on channel `api`.
    contact_id: String,
    user_phone: Option<String>,
    display_name: Option<String>,
    /// The contact's language: `fr` or `en`.
    language: Option<String>,
    /// The side that answers: `bot` or `human`.
    handler: String,
    /// The reason for the handover to a person: `keyword`, `model`, `person`, `outside_hours` or `unsupported`.
    handover_reason: Option<String>,
    /// Time at which the bot answers again.
    handover_until: Option<DateTime<Utc>>,
    /// Time at which the contact asked to receive no more messages.
    opted_out_at: Option<DateTime<Utc>>,
    last_message_at: DateTime<Utc>,
    /// The first 200 characters of the last message.
    last_message: Option<String>,
    /// Number of the contact's messages that wait for an answer, also for one that is not given because no answers are
    /// left.
    unanswered: i64,
    /// `quota` when messages wait for the company, because no answers were left for them; else null.
    waiting_reason: Option<String>,
    /// The member who took the conversation over, or wrote in it since. Null while the bot answers it, and after a
    /// handover that nobody has taken.
    #[schema(value_type = Option<HandlingMember>)]
    handled_by: Option<Json<HandlingMember>>,
    created_at: DateTime<Utc>,
}

/// The member of the company who has a conversation.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(example = json!({ "id": "5d0f3c52-8e7a-4b7e-9a55-6f0a2b1c3d4e", "name": "Awa Koné" }))]
pub struct HandlingMember {
    /// `users.id`.
    id: Uuid,
    /// The full name, else the e-mail address; null for somebody who has left the company.
    name: Option<String>,
}

/// The number of conversations that wait for a person.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({ "count": 3, "has_more": false }))]
pub struct WaitingCount {
    /// Number of the conversations, counted up to 99.
    #[schema(minimum = 0, maximum = 99)]
    count: i64,
    /// True when more than 99 conversations wait.
    has_more: bool,
}

/// The channel of a conversation.
#[derive(Debug, Clone, Copy, Default, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// WhatsApp, with a contact of the tenant.
    #[default]
    Whatsapp,
    /// `POST /api/v1/query`, with a caller of the API.
    Api,
}

impl Channel {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Whatsapp => "whatsapp",
            Self::Api => "api",
        }
    }
}

/// The filter of the list.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ConversationFilter {
    /// The channel: `whatsapp` (the default) or `api`.
    #[serde(default)]
    #[param(inline)]
    channel: Channel,
    /// Only the conversation with this id.
    conversation_id: Option<Uuid>,
    /// Only conversations with this phone number, as `+2250700000000`.
    #[param(value_type = Option<String>)]
    user_phone: Option<Phone>,
    /// Only conversations whose contact's name contains this text, regardless of case and accents, or whose phone number
    /// contains these digits.
    #[param(value_type = Option<String>, min_length = 1, max_length = 200)]
    search: Option<SearchText>,
    /// `true`: only conversations with messages that wait for an answer, of the bot or of a person. `false`: only those
    /// without.
    unanswered: Option<bool>,
    /// `true`: only conversations that wait for a person: handed over and taken by nobody, or taken over, with messages
    /// that wait for an answer. `false`: only the others.
    waiting: Option<bool>,
}

/// A text to search for, 1 to 200 characters.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
struct SearchText(String);

impl TryFrom<String> for SearchText {
    type Error = input::UnusableText;

    fn try_from(text: String) -> Result<Self, input::UnusableText> {
        input::one_line(&text, 1, MAX_SEARCH_CHARS).map(Self)
    }
}

/// The sort fields and the statuses of the list.
#[derive(Debug)]
pub struct ConversationListing;

impl Listing for ConversationListing {
    const NAME: &'static str = "conversations";
    const SORTS: &'static [&'static str] = &["last_message_at"];
    const STATUSES: &'static [&'static str] = &["bot", "human"];
}

/// Returns a page of the tenant's conversations.
///
/// # Errors
/// 422 for a cursor that was tampered with; a database error.
pub async fn list(
    tx: &mut TenantTx,
    filter: &ConversationFilter,
    paging: &Paging,
) -> Result<List<ConversationItem>, ApiError> {
    pending_sql!(list_page!(tx, paging, ConversationItem {
        select: [r#"id, channel, contact_id, user_phone, display_name, language, handler, handover_reason,
            handover_until, opted_out_at, last_message_at, created_at,
            (select left(message.content, 200) from messages message where message.conversation_id = page.id
                order by message.created_at desc, message.id desc limit 1) as last_message,
            (
                select count(*) from messages waiting
                where waiting.conversation_id = page.id and "# + PENDING + r#"
            ) + (
                select count(*) from messages waiting
                where waiting.conversation_id = page.id and waiting.skipped_reason = 'quota'
                  and not exists (select from messages later
                      where later.conversation_id = page.id and later.created_at > waiting.created_at
                        and (later.author = 'agent' or later.answered is not null))
            ) as "unanswered!",
            case when exists (
                select from messages waiting
                where waiting.conversation_id = page.id and waiting.skipped_reason = 'quota'
                  and not exists (select from messages later
                      where later.conversation_id = page.id and later.created_at > waiting.created_at
                        and (later.author = 'agent' or later.answered is not null))
            ) then 'quota' end as waiting_reason,
            case when handler = 'human' and handover_reason = 'person' and handled_by is not null then
                jsonb_build_object('id', handled_by, 'name', (
                    select coalesce(nullif(member.full_name, ''), member.email) from app.own_member(handled_by) member
                ))
            end as "handled_by: Json<HandlingMember>""#],
        from: "(
                select *, exists (
                    select from messages waiting
                    where waiting.conversation_id = conversations.id
                      and direction = 'inbound' and answered_by is null and skipped_reason is null
                ) or exists (
                    select from messages waiting
                    where waiting.conversation_id = conversations.id and waiting.skipped_reason = 'quota'
                      and not exists (select from messages later
                          where later.conversation_id = conversations.id and later.created_at > waiting.created_at
                            and (later.author = 'agent' or later.answered is not null))
                ) as is_unanswered
                from conversations
            ) listed
            where customer_id = $1 and channel = $2 and ($3::text is null or handler = $3)
            and ($4::uuid is null or id = $4) and ($5::text is null or user_phone in ($5, '+' || $5, '00' || $5))
            and ($6::text is null
                or position(app.fold_name($6) in app.fold_name(display_name)) > 0
                or position(nullif(regexp_replace($6, '[^0-9]', '', 'g'), '') in user_phone) > 0)
            and ($7::boolean is null or $7 = is_unanswered)
            and ($8::boolean is null or $8 = (handler = 'human' and (
                handover_reason <> 'person' or (handover_until > now() and is_unanswered)
            )))",
        bind: [
            filter.channel.as_str(), paging.status, filter.conversation_id,
            filter.user_phone.as_ref().map(Phone::digits),
            filter.search.as_ref().map(|search| search.0.as_str()), filter.unanswered, filter.waiting
        ],
        order: ["last_message_at": "last_message_at" "timestamptz" DateTime<Utc> = last_message_at],
        id: "id" "uuid" Uuid = id,
    }))
}

/// Counts the conversations that the list shows with `waiting=true`, up to 99. The cost does not grow with the number
/// of conversations that the company has.
///
/// # Errors
/// A database error.
pub async fn count_waiting(tx: &mut TenantTx) -> sqlx::Result<WaitingCount> {
    let counted = pending_sql!(query_scalar!(
        r#"
        select count(*) as "count!" from (
            (
                select 1 from conversations
                where customer_id = $1 and channel = 'whatsapp' and handler = 'human' and handover_reason <> 'person'
                limit $2
            )
            union all
            (
                select 1 from conversations taken
                where customer_id = $1 and channel = 'whatsapp' and handler = 'human' and handover_reason = 'person'
                  and handover_until > now()
                  and (
                      exists (
                          select from messages waiting
                          where waiting.conversation_id = taken.id and "#
            + PENDING
            + r#"
                      ) or exists (
                          select from messages waiting
                          where waiting.conversation_id = taken.id and waiting.skipped_reason = 'quota'
                            and not exists (
                                select from messages later
                                where later.conversation_id = taken.id and later.created_at > waiting.created_at
                                  and (later.author = 'agent' or later.answered is not null)
                            )
                      )
                  )
                limit $2
            )
            limit $2
        ) counted
        "#,
        tx.tenant(),
        MAX_COUNTED_WAITING + 1
    ))
    .fetch_one(tx)
    .await?;
    Ok(WaitingCount { count: counted.min(MAX_COUNTED_WAITING), has_more: counted > MAX_COUNTED_WAITING })
}

/// Returns one conversation.
///
/// # Errors
/// 404 when there is no such conversation; a database error.
pub async fn get(tx: &mut TenantTx, id: Uuid) -> Result<ConversationItem, ApiError> {
    pending_sql!(query_as!(
        ConversationItem,
        r#"
        select listed.id, channel, contact_id, user_phone, display_name, language, handler, handover_reason,
            handover_until, opted_out_at, last_message_at, created_at,
            (
                select left(message.content, 200) from messages message
                where message.conversation_id = listed.id
                order by message.created_at desc, message.id desc limit 1
            ) as last_message,
            (
                select count(*) from messages waiting
                where waiting.conversation_id = listed.id and "#
            + PENDING
            + r#"
            ) + (
                select count(*) from messages waiting
                where waiting.conversation_id = listed.id and waiting.skipped_reason = 'quota'
                  and not exists (
                      select from messages later
                      where later.conversation_id = listed.id and later.created_at > waiting.created_at
                        and (later.author = 'agent' or later.answered is not null)
                  )
            ) as "unanswered!",
            case when exists (
                select from messages waiting
                where waiting.conversation_id = listed.id and waiting.skipped_reason = 'quota'
                  and not exists (
                      select from messages later
                      where later.conversation_id = listed.id and later.created_at > waiting.created_at
                        and (later.author = 'agent' or later.answered is not null)
                  )
            ) then 'quota' end as waiting_reason,
            case when handler = 'human' and handover_reason = 'person' and handled_by is not null then
                jsonb_build_object('id', handled_by, 'name', (
                    select coalesce(nullif(member.full_name, ''), member.email) from app.own_member(handled_by) member
                ))
            end as "handled_by: Json<HandlingMember>"
        from conversations listed where customer_id = $1 and id = $2
        "#,
        tx.tenant(),
        id
    ))
    .fetch_optional(tx)
    .await?
    .ok_or_else(|| ApiError::not_found("conversation"))
}
