//! Routes of the conversations for people of the company: read messages and conversations, take a conversation over,
//! reply, release it to the bot, and rate the bot's answers.

use std::time::Duration;

use axum::{
    extract::{FromRef, State},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use shared::{
    activities::{self, Activity, ActivityStatus},
    auth::{AuditedRead, Caller, SupportUser, VerificationKeys},
    conversations::{self, ConversationFilter, ConversationItem, ConversationListing, WaitingCount},
    db::{Db, TenantTx},
    error::Result,
    feedback::{self, Feedback, NewFeedback},
    function::{Function, HttpFunction},
    http::{Created, Data, Envelope, Json, Path, Query},
    idempotency::{self, IdempotencyKey, IdempotencyOutcome},
    input,
    jobs::ReplyMessage,
    messages::{self, Author, Message, MessageFilter, MessageItem, MessageListing, NewMessage},
    paging::{List, ListParams, ListParamsOf},
    queue::Queue,
    rate_limits::RateLimits,
    routes,
    settings::Settings,
    unanswered::{self, Unanswered, UnansweredListing},
    unread_bodies::{self, UnreadBody, UnreadBodyListing},
    usage::{self, UsageDelta},
    webhook_endpoints,
};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use uuid::Uuid;

/// The `conversations` Lambda function.
pub const FUNCTION: Function = Function::http::<Deps>();

/// Dependencies of the function.
#[derive(Debug, Clone, FromRef)]
pub struct Deps {
    db: Db,
    keys: VerificationKeys,
    limits: RateLimits,
    reply_queue: Queue,
    #[from_ref(skip)]
    webhook_queue: Queue,
}

impl HttpFunction for Deps {
    const NAME: &'static str = "conversations";

    fn read(settings: &mut Settings) -> Self {
        let db = Db::read(settings);
        Self {
            limits: RateLimits::read(settings, &db),
            db,
            keys: VerificationKeys::read(settings),
            reply_queue: Queue::read(settings, "REPLY_QUEUE_URL"),
            webhook_queue: Queue::read(settings, "WEBHOOK_QUEUE_URL"),
        }
    }

    fn routes() -> OpenApiRouter<Self> {
        OpenApiRouter::new()
            .routes(routes!(list))
            .routes(routes!(list_unanswered))
            .routes(routes!(list_unread))
            .routes(routes!(give_feedback))
            .routes(routes!(list_conversations))
            .routes(routes!(count_waiting))
            .routes(routes!(take_over))
            .routes(routes!(release))
            .routes(routes!(reply))
    }
}

/// Returns a page of the messages, newest first.
#[utoipa::path(
    get, path = "/api/v1/messages", tag = "conversations", params(MessageFilter, ListParamsOf<MessageListing>),
    responses((status = 200, body = List<MessageItem>)),
)]
async fn list(
    caller: Caller<SupportUser>,
    State(db): State<Db>,
    Query(filter): Query<MessageFilter>,
    Query(params): Query<ListParams>,
) -> Result<List<MessageItem>> {
    let paging = params.validate::<MessageListing>()?;
    let read = match filter.conversation() {
        Some(id) => AuditedRead::of("messages.read", "conversation", id),
        None => AuditedRead::of_tenant("messages.read"),
    };
    caller.read_tx(&db, read, async |tx| messages::list(tx, caller.user, &filter, &paging).await).await
}

/// Returns a page of the questions without an answer, newest first. A question that the documents did not answer can be
/// solved by a new document or by an approved answer; one for which no answers were left, by a person or by a plan.
#[utoipa::path(
    get, path = "/api/v1/unanswered-questions", tag = "conversations", params(ListParamsOf<UnansweredListing>),
    responses((status = 200, body = List<Unanswered>)),
)]
async fn list_unanswered(
    caller: Caller<SupportUser>,
    State(db): State<Db>,
    Query(params): Query<ListParams>,
) -> Result<List<Unanswered>> {
    let paging = params.validate::<UnansweredListing>()?;
    let read = AuditedRead::of_tenant("messages.read");
    caller.read_tx(&db, read, async |tx| unanswered::list(tx, &paging).await).await
}

/// Returns a page of the messages from ManyChat that could not be read, newest first, for 30 days: the body of each, as
/// the bot sent it. Their contacts were not answered. `docs/MANYCHAT.md` has a body that escapes its texts.
#[utoipa::path(
    get, path = "/api/v1/unread-messages", tag = "conversations", params(ListParamsOf<UnreadBodyListing>),
    responses((status = 200, body = List<UnreadBody>)),
)]
async fn list_unread(
    caller: Caller<SupportUser>,
    State(db): State<Db>,
    Query(params): Query<ListParams>,
) -> Result<List<UnreadBody>> {
    let paging = params.validate::<UnreadBodyListing>()?;
    let read = AuditedRead::of_tenant("messages.read");
    caller.read_tx(&db, read, async |tx| unread_bodies::list(tx, &paging).await).await
}

/// Returns a page of the conversations on WhatsApp or over the API, ordered by their last message, newest first.
/// `status` selects the side that answers: `bot` or `human`.
#[utoipa::path(
    get, path = "/api/v1/conversations", tag = "conversations", params(ConversationFilter, ListParamsOf<ConversationListing>),
    responses((status = 200, body = List<ConversationItem>)),
)]
async fn list_conversations(
    caller: Caller<SupportUser>,
    State(db): State<Db>,
    Query(filter): Query<ConversationFilter>,
    Query(params): Query<ListParams>,
) -> Result<List<ConversationItem>> {
    let paging = params.validate::<ConversationListing>()?;
    let read = AuditedRead::of_tenant("conversations.read");
    caller.read_tx(&db, read, async |tx| conversations::list(tx, &filter, &paging).await).await
}

/// Counts the conversations that wait for a person, up to 99: those that the list shows with `waiting=true`.
#[utoipa::path(
    get, path = "/api/v1/conversations/waiting-count", tag = "conversations",
    responses((status = 200, body = Envelope<WaitingCount>)),
)]
async fn count_waiting(caller: Caller<SupportUser>, State(db): State<Db>) -> Result<Data<WaitingCount>> {
    db.tenant_tx(caller.tenant(), async |tx| Ok(Data(conversations::count_waiting(tx).await?))).await
}

/// Takes a conversation over. The bot does not answer it until a person releases it, or until no person of the
/// company has written for the configured time. Another takeover restarts that time. 409 `contact_opted_out` when the
/// contact asked to receive no more messages and has written nothing since.
#[utoipa::path(
    post, path = "/api/v1/conversations/{id}/takeover", tag = "conversations", params(("id" = Uuid, Path)),
    responses((status = 200, body = Envelope<ConversationItem>), (status = 409)),
)]
async fn take_over(
    caller: Caller<SupportUser>,
    State(deps): State<Deps>,
    Path(id): Path<Uuid>,
) -> Result<Data<ConversationItem>> {
    let db = &deps.db;
    webhook_endpoints::tenant_tx_with_events(db, &deps.webhook_queue, caller.tenant(), async |tx| {
        conversations::lock_deliverability(tx, id).await?.ensure_wanted()?;
        take_over_and_record(tx, &caller, id).await?;
        conversations::get(tx, id).await.map(Data)
    })
    .await
}

/// Releases a conversation to the bot, which then answers the unanswered messages.
#[utoipa::path(
    post, path = "/api/v1/conversations/{id}/release", tag = "conversations", params(("id" = Uuid, Path)),
    responses((status = 200, body = Envelope<ConversationItem>)),
)]
async fn release(
    caller: Caller<SupportUser>,
    State(deps): State<Deps>,
    Path(id): Path<Uuid>,
) -> Result<Data<ConversationItem>> {
    let (is_released, conversation) = deps
        .db
        .tenant_tx(caller.tenant(), async |tx| {
            let is_released = conversations::release_to_bot(tx, id).await?;
            if is_released {
                let title = "The assistant has the conversation again";
                let activity = Activity::for_conversation(id, "conversation_released", title, ActivityStatus::Info);
                activities::record(tx, &activity.with_metadata(json!({ "user_id": caller.user }))).await?;
            }
            Ok((is_released, conversations::get(tx, id).await?))
        })
        .await?;
    if is_released {
        deps.wake_reply_worker(&caller, id).await;
    }
    Ok(Data(conversation))
}

/// The text of a person's reply: 1 to 4,096 characters.
#[derive(Debug, Deserialize, Serialize)]
#[serde(try_from = "String")]
struct ReplyText(String);

impl TryFrom<String> for ReplyText {
    type Error = input::UnusableText;

    fn try_from(text: String) -> Result<Self, input::UnusableText> {
        input::several_lines(&text, 1, messages::MAX_TEXT_CHARS).map(Self)
    }
}

/// A person's reply.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[schema(example = json!({ "text": "Bonjour, votre colis part ce soir." }))]
struct Reply {
    /// The text, as WhatsApp shows it. A long text is sent in parts.
    #[schema(value_type = String, min_length = 1, max_length = 4_096)]
    text: ReplyText,
}

/// Sends a reply to a contact as a person of the company. Takes the conversation over if the bot answers it. With an
/// `Idempotency-Key`, a repeated request returns the first response and sends nothing. 409 `whatsapp_window_closed`
/// when the contact has written nothing for 24 hours; 409 `contact_opted_out` when the contact asked to receive no
/// more messages and has written nothing since.
#[utoipa::path(
    post, path = "/api/v1/conversations/{id}/reply", tag = "conversations", request_body = Reply,
    params(
        ("id" = Uuid, Path),
        ("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255, description = "Kept for 24 hours"),
    ),
    responses((status = 201, body = Envelope<Message>), (status = 409)),
)]
async fn reply(
    caller: Caller<SupportUser>,
    State(deps): State<Deps>,
    key: IdempotencyKey,
    Path(id): Path<Uuid>,
    Json(reply): Json<Reply>,
) -> Result<Response> {
    let route = format!("/api/v1/conversations/{id}/reply");
    let db = &deps.db;
    let (is_new, response) =
        webhook_endpoints::tenant_tx_with_events(db, &deps.webhook_queue, caller.tenant(), async |tx| {
            let claim = match idempotency::begin(tx, key, &route, &reply).await? {
                IdempotencyOutcome::Replay(replay) => return Ok((false, replay.into_response())),
                IdempotencyOutcome::Run(claim) => claim,
            };
            let answer = Envelope { success: true, data: write_reply(tx, &caller, id, &reply.text.0).await? };
            claim.finish(tx, 201, &answer).await?;
            Ok((true, Created(answer.data).into_response()))
        })
        .await?;
    if is_new {
        deps.wake_reply_worker(&caller, id).await;
    }
    Ok(response)
}

/// Stores whether an answer of the bot was helpful. A second opinion of a user replaces the first.
#[utoipa::path(
    post, path = "/api/v1/messages/{id}/feedback", tag = "conversations", request_body = NewFeedback,
    params(("id" = Uuid, Path)), responses((status = 200, body = Envelope<Feedback>)),
)]
async fn give_feedback(
    caller: Caller<SupportUser>,
    State(db): State<Db>,
    Path(id): Path<Uuid>,
    Json(opinion): Json<NewFeedback>,
) -> Result<Data<Feedback>> {
    let user = caller.user;
    db.tenant_tx(caller.tenant(), async |tx| feedback::upsert(tx, id, user, &opinion).await.map(Data)).await
}

/// Writes a person's reply, takes the conversation over, queues the reply job and records an activity. The lock on
/// the conversation comes first.
async fn write_reply(tx: &mut TenantTx, caller: &Caller<SupportUser>, id: Uuid, text: &str) -> Result<Message> {
    conversations::lock_deliverability(tx, id).await?.ensure_open()?;
    take_over_and_record(tx, caller, id).await?;
    let answers = messages::pending_ids(tx, id).await?;
    let waited_since = messages::waiting_since(tx, id).await?;
    let plain = NewMessage::without_model(id, Author::Agent, text, &answers);
    let message = messages::write(tx, &NewMessage { sent_by: Some(caller.user), ..plain }).await?;
    conversations::queue_reply_job(tx, id).await?;
    let ids = json!({ "user_id": caller.user, "message_id": message });
    let activity =
        Activity::for_conversation(id, "agent_replied", "A person of the company answered", ActivityStatus::Info)
            .with_metadata(ids);
    activities::record(tx, &activity).await?;
    let person_answers = i32::from(!answers.is_empty());
    usage::add(tx, &UsageDelta { person_answers, waited_since, ..UsageDelta::default() }).await?;
    messages::get(tx, message).await
}

/// Takes a conversation over, or restarts the time of the takeover. Records an activity only for a new takeover.
async fn take_over_and_record(tx: &mut TenantTx, caller: &Caller<SupportUser>, id: Uuid) -> Result<()> {
    if conversations::take_over(tx, id, caller.user).await? {
        let title = "A person of the company has taken over";
        let activity = Activity::for_conversation(id, "conversation_taken_over", title, ActivityStatus::Info);
        activities::record(tx, &activity.with_metadata(json!({ "user_id": caller.user }))).await?;
        usage::add(tx, &UsageDelta { handovers: 1, ..UsageDelta::default() }).await?;
    }
    Ok(())
}

impl Deps {
    async fn wake_reply_worker(&self, caller: &Caller<SupportUser>, conversation_id: Uuid) {
        let message = ReplyMessage { customer_id: caller.tenant(), conversation_id, message_id: None };
        conversations::wake_reply_worker(&self.db, &self.reply_queue, &message, Duration::ZERO).await;
    }
}
