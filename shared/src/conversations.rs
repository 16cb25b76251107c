//! `conversations` with a tenant's customers: messages come in ([`receive`]), one worker at a time answers ([`take`],
//! [`release`]), and a person may take over ([`take_over`]). Those of the API are questions and answers alone ([`api`]).

pub mod api;
mod handover;
mod lease;
mod list;
pub mod words;

use axum::http::StatusCode;
use chrono::NaiveDate;
use serde_json::Value;
use uuid::Uuid;

use crate::{
    db::{SystemTx, TenantTx},
    error::ApiError,
    manychat::inbound::Inbound,
    text::Language,
};

pub use handover::{Handler, HandoverReason, give_back, hand_over, leave, take_over};
pub use lease::{Assistant, Conversation, Lease, Next, Standing, Taken, Waiting, hold, let_go, release, take};
pub use list::{Channel, ConversationFilter, ConversationItem, ConversationListing, get, list};

/// What became of a message that came in.
#[derive(Debug)]
pub struct Received {
    /// Its conversation.
    pub conversation_id: Uuid,
    /// The message; `None` when it was there already.
    pub message_id: Option<Uuid>,
    /// The job that answers it; `None` for a repetition whose job is done.
    pub job_id: Option<Uuid>,
    /// Whether nothing else of the contact was waiting for an answer.
    pub is_first: bool,
    /// Whether a person has the conversation.
    pub by_person: bool,
    /// Whether the contact has asked to be left alone.
    pub is_opted_out: bool,
}

/// Stores a message with its conversation and its job; a repetition changes nothing. Who asks to be left alone is left
/// alone from now on, also by what a worker is thinking of or has half sent.
///
/// # Errors
/// The database's.
pub async fn receive(tx: &mut TenantTx, message: &Inbound) -> sqlx::Result<Received> {
    let received = sqlx::query_as!(
        Received,
        r#"
        select conversation_id as "conversation_id!", message_id, job_id, is_first as "is_first!",
            by_person as "by_person!", is_opted_out as "is_opted_out!"
        from app.receive_message($1, $2, $3, $4, $5, $6, $7)
        "#,
        message.contact_id,
        message.phone,
        message.name,
        message.language.map(Language::as_str),
        message.text,
        message.attachment,
        message.external_id
    )
    .fetch_one(&mut *tx)
    .await?;
    let asks = received.message_id.is_some();
    let opted_out = if asks && words::asks_to_stop(&message.text) {
        Some(true)
    } else if asks && received.by_person && words::asks_to_resume(&message.text) {
        // No worker reads it until the conversation is given back.
        Some(false)
    } else {
        None
    };
    if opted_out.is_some() {
        note(tx, received.conversation_id, &Notes { opted_out, ..Notes::default() }).await?;
    }
    Ok(received)
}

/// Makes the conversation's job due, where something waits to be answered or to be sent. The caller then tells the queue.
///
/// # Errors
/// The database's.
pub async fn make_due(tx: &mut TenantTx, conversation: Uuid) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        insert into jobs as job (customer_id, kind, payload, run_after)
        values ($1, 'reply', jsonb_build_object('conversation_id', $2::uuid), now() + interval '1 minute')
        on conflict ((payload ->> 'conversation_id')) where kind = 'reply' do update
            set status = 'queued', attempts = 0, run_after = excluded.run_after, last_error = null,
                updated_at = clock_timestamp()
        "#,
        tx.tenant(),
        conversation
    )
    .execute(tx)
    .await
    .map(drop)
}

/// Gives up what waits in a conversation whose worker failed again and again; the tenant sees it.
///
/// # Errors
/// The database's.
pub async fn give_up(tx: &mut SystemTx, tenant: Uuid, conversation: Uuid) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        with skipped as (
            update messages set skipped_reason = 'failed'
            where customer_id = $1 and conversation_id = $2
              and direction = 'inbound' and answered_by is null and skipped_reason is null
        )
        insert into activities (company_id, conversation_id, type, title, status)
        values ($1, $2, 'bot_failed', 'The bot could not answer a contact', 'error')
        "#,
        tenant,
        conversation
    )
    .execute(tx)
    .await
    .map(drop)
}

/// Notes what the bot's work has changed on a conversation.
#[derive(Debug, Clone, Default)]
pub struct Notes {
    /// The contact was told that it speaks with an assistant.
    pub greeted: bool,
    /// The contact has asked to be left alone, or to be answered again.
    pub opted_out: Option<bool>,
    /// The contact was told today, in the tenant's day, that there is no answer.
    pub quota_notice_on: Option<NaiveDate>,
    /// What is proposed to the contact: `Some(None)` when nothing is any more.
    pub order_draft: Option<Option<Value>>,
}

/// Writes notes.
///
/// # Errors
/// The database's.
pub async fn note(tx: &mut TenantTx, conversation: Uuid, notes: &Notes) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        update conversations set
            greeted_at = case when $3 then coalesce(greeted_at, now()) else greeted_at end,
            opted_out_at = case $4::boolean when true then coalesce(opted_out_at, now()) when false then null
                else opted_out_at end,
            quota_notice_on = coalesce($5, quota_notice_on),
            order_draft = case when $6 then $7 else order_draft end
        where customer_id = $1 and id = $2
        "#,
        tx.tenant(),
        conversation,
        notes.greeted,
        notes.opted_out,
        notes.quota_notice_on,
        notes.order_draft.is_some(),
        notes.order_draft.clone().flatten()
    )
    .execute(tx)
    .await
    .map(drop)
}

/// The language in which a contact is spoken to: its own, or else the tenant's.
///
/// # Errors
/// The database's.
pub async fn language(tx: &mut TenantTx, conversation: Uuid) -> sqlx::Result<Language> {
    let language = sqlx::query_scalar!(
        r#"
        select coalesce(conversation.language, config.language) as "language!"
        from conversations conversation
        join company_rag_configs config on config.company_id = (select app.current_company())
        where conversation.customer_id = $1 and conversation.id = $2
        "#,
        tx.tenant(),
        conversation
    )
    .fetch_optional(tx)
    .await?;
    Ok(Language::from_code(language.as_deref().unwrap_or_default()))
}

/// What an agent's route needs to know of a conversation.
#[derive(Debug)]
pub struct Reach {
    /// Whether WhatsApp still takes a free text.
    pub is_open: bool,
    /// Whether the contact has asked to be left alone.
    pub is_opted_out: bool,
}

/// Locks a conversation and tells whether its contact can be reached.
///
/// # Errors
/// 404, or the database's.
pub async fn reach(tx: &mut TenantTx, conversation: Uuid) -> Result<Reach, ApiError> {
    sqlx::query_as!(
        Reach,
        r#"
        select coalesce(last_inbound_at > now() - interval '24 hours', false) as "is_open!",
            opted_out_at is not null as "is_opted_out!"
        from conversations where customer_id = $1 and id = $2 and channel = 'whatsapp' for update
        "#,
        tx.tenant(),
        conversation
    )
    .fetch_optional(tx)
    .await?
    .ok_or_else(|| ApiError::not_found("conversation"))
}

impl Reach {
    /// Judges whether a person's text may go out.
    ///
    /// # Errors
    /// 409.
    pub fn judge(&self) -> Result<(), ApiError> {
        let conflict = |code, message: &str| Err(ApiError::new(StatusCode::CONFLICT, code, message));
        if self.is_opted_out {
            return conflict("contact_opted_out", "the contact has asked to receive no more messages");
        }
        if !self.is_open {
            let message = "WhatsApp takes free texts for 24 hours after the contact's last message only";
            return conflict("whatsapp_window_closed", message);
        }
        Ok(())
    }
}
