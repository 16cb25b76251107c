//! What is said in conversations, and who answers: people of the company look on, take over, answer, and give back.

use std::time::Duration;

use axum::{
    extract::{FromRef, State},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use shared::{
    activities::{self, Activity, Status},
    audit,
    auth::{Caller, SupportUser, VerificationKeys},
    conversations::{self, ConversationFilter, ConversationItem, ConversationListing},
    db::{Db, TenantTx},
    error::{ApiError, Result},
    feedback::{self, Feedback, NewFeedback},
    function::{Function, HttpFunction},
    http::{Created, Data, Envelope, Json, Path, Query},
    idempotency::{self, IdempotencyKey, Outcome},
    input,
    jobs::ReplyMessage,
    messages::{self, Author, Message, MessageFilter, MessageListing, NewMessage},
    paging::{List, ListParams},
    queue::Queue,
    rate_limits::RateLimits,
    routes,
    settings::Settings,
    unanswered::{self, Unanswered, UnansweredListing},
};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use uuid::Uuid;

/// The function.
pub const FUNCTION: Function = Function::http::<Deps>();

/// What it needs.
#[derive(Debug, Clone, FromRef)]
pub struct Deps {
    db: Db,
    keys: VerificationKeys,
    limits: RateLimits,
    reply_queue: Queue,
}

impl HttpFunction for Deps {
    const NAME: &'static str = "messages";

    fn read(settings: &mut Settings) -> Self {
        let db = Db::read(settings);
        Self {
            limits: RateLimits::read(settings, &db),
            db,
            keys: VerificationKeys::read(settings),
            reply_queue: Queue::read(settings, "REPLY_QUEUE_URL"),
        }
    }

    fn routes() -> OpenApiRouter<Self> {
        OpenApiRouter::new()
            .routes(routes!(list))
            .routes(routes!(list_unanswered))
            .routes(routes!(give_feedback))
            .routes(routes!(list_conversations))
            .routes(routes!(take_over))
            .routes(routes!(release))
            .routes(routes!(reply))
    }
}

/// A page of the messages, newest first.
#[utoipa::path(
    get, path = "/api/v1/messages", tag = "conversations", params(MessageFilter, ListParams),
    responses((status = 200, body = List<Message>)),
)]
async fn list(
    caller: Caller<SupportUser>,
    State(db): State<Db>,
    Query(filter): Query<MessageFilter>,
    Query(params): Query<ListParams>,
) -> Result<List<Message>> {
    let paging = params.of::<MessageListing>()?;
    db.tenant(caller.tenant(), async |tx| {
        note_read(tx, &caller, "messages.read", filter.conversation()).await?;
        messages::list(tx, &filter, &paging).await
    })
    .await
}

/// A page of the questions that the documents did not answer, newest first: what to write a document about, or an answer
/// to approve.
#[utoipa::path(
    get, path = "/api/v1/unanswered-questions", tag = "conversations", params(ListParams),
    responses((status = 200, body = List<Unanswered>)),
)]
async fn list_unanswered(
    caller: Caller<SupportUser>,
    State(db): State<Db>,
    Query(params): Query<ListParams>,
) -> Result<List<Unanswered>> {
    let paging = params.of::<UnansweredListing>()?;
    db.tenant(caller.tenant(), async |tx| {
        note_read(tx, &caller, "messages.read", None).await?;
        unanswered::list(tx, &paging).await
    })
    .await
}

/// A page of the conversations on WhatsApp, or of those over the API, the one with the newest message first. `status` says
/// who has them: `bot` or `human`.
#[utoipa::path(
    get, path = "/api/v1/conversations", tag = "conversations", params(ConversationFilter, ListParams),
    responses((status = 200, body = List<ConversationItem>)),
)]
async fn list_conversations(
    caller: Caller<SupportUser>,
    State(db): State<Db>,
    Query(filter): Query<ConversationFilter>,
    Query(params): Query<ListParams>,
) -> Result<List<ConversationItem>> {
    let paging = params.of::<ConversationListing>()?;
    db.tenant(caller.tenant(), async |tx| {
        note_read(tx, &caller, "conversations.read", None).await?;
        conversations::list(tx, &filter, &paging).await
    })
    .await
}

/// Takes a conversation over: the bot is silent in it until it is given back, or until nobody of the company has said
/// anything for the time that the company configured. Taking it again begins that time anew.
#[utoipa::path(
    post, path = "/api/v1/conversations/{id}/takeover", tag = "conversations", params(("id" = Uuid, Path)),
    responses((status = 200, body = Envelope<ConversationItem>)),
)]
async fn take_over(
    caller: Caller<SupportUser>,
    State(db): State<Db>,
    Path(id): Path<Uuid>,
) -> Result<Data<ConversationItem>> {
    db.tenant(caller.tenant(), async |tx| {
        take_over_noted(tx, &caller, id).await?;
        conversations::get(tx, id).await.map(Data)
    })
    .await
}

/// Gives a conversation back to the bot, which then answers what is unanswered.
#[utoipa::path(
    post, path = "/api/v1/conversations/{id}/release", tag = "conversations", params(("id" = Uuid, Path)),
    responses((status = 200, body = Envelope<ConversationItem>)),
)]
async fn release(
    caller: Caller<SupportUser>,
    State(deps): State<Deps>,
    Path(id): Path<Uuid>,
) -> Result<Data<ConversationItem>> {
    let (is_left, conversation) = deps
        .db
        .tenant(caller.tenant(), async |tx| {
            let is_left = conversations::leave(tx, id).await?;
            if is_left {
                let title = "The assistant has the conversation again";
                let activity = Activity::of(id, "conversation_released", title, Status::Info);
                activities::record(tx, &activity.with(json!({ "user_id": caller.user }))).await?;
            }
            Ok::<_, ApiError>((is_left, conversations::get(tx, id).await?))
        })
        .await?;
    if is_left {
        deps.tell_worker(&caller, id).await;
    }
    Ok(Data(conversation))
}

/// What a person answers.
#[derive(Debug, Deserialize, Serialize)]
#[serde(try_from = "String")]
struct ReplyText(String);

impl TryFrom<String> for ReplyText {
    type Error = input::UnusableText;

    fn try_from(text: String) -> Result<Self, input::UnusableText> {
        input::several_lines(&text, 1, 4_096).map(Self)
    }
}

/// A person's answer.
#[derive(Debug, Deserialize, Serialize, ToSchema)]
#[schema(example = json!({ "text": "Bonjour, votre colis part ce soir." }))]
struct Reply {
    /// As WhatsApp shows it; long ones are sent in parts.
    #[schema(value_type = String, min_length = 1, max_length = 4_096)]
    text: ReplyText,
}

/// Answers a contact as a person of the company. Takes the conversation over where the bot has it. With an
/// `Idempotency-Key`, a repetition gets the first answer again and sends nothing. 409 `whatsapp_window_closed` when the
/// contact has written nothing for 24 hours, `contact_opted_out` when it has asked to be left alone.
#[utoipa::path(
    post, path = "/api/v1/conversations/{id}/reply", tag = "conversations", request_body = Reply,
    params(
        ("id" = Uuid, Path),
        ("Idempotency-Key" = Option<String>, Header, description = "Kept for 24 hours"),
    ),
    responses((status = 201, body = Envelope<Message>), (status = 409)),
)]
async fn reply(
    caller: Caller<SupportUser>,
    State(deps): State<Deps>,
    IdempotencyKey(key): IdempotencyKey,
    Path(id): Path<Uuid>,
    Json(reply): Json<Reply>,
) -> Result<Response> {
    let fingerprint = idempotency::fingerprint(&format!("/api/v1/conversations/{id}/reply"), &reply);
    let (is_said_now, response) = deps
        .db
        .tenant(caller.tenant(), async |tx| {
            let claim = match key {
                None => None,
                Some(key) => match idempotency::claim(tx, key, &fingerprint).await? {
                    Outcome::Finished(replay) => return Ok::<_, ApiError>((false, replay.into_response())),
                    Outcome::Claimed(claim) => Some(claim),
                },
            };
            let answer = Envelope { success: true, data: say(tx, &caller, id, &reply.text.0).await? };
            if let Some(claim) = &claim {
                idempotency::finish(tx, claim, 201, &answer).await?;
            }
            Ok((true, Created(answer.data).into_response()))
        })
        .await?;
    if is_said_now {
        deps.tell_worker(&caller, id).await;
    }
    Ok(response)
}

/// Says whether an answer of the bot was helpful; a second opinion replaces the first.
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
    db.tenant(caller.tenant(), async |tx| feedback::give(tx, id, user, &opinion).await.map(Data)).await
}

/// Writes a person's answer with everything that follows from it; the lock on the conversation comes first.
async fn say(tx: &mut TenantTx, caller: &Caller<SupportUser>, id: Uuid, text: &str) -> Result<Message> {
    conversations::reach(tx, id).await?.judge()?;
    take_over_noted(tx, caller, id).await?;
    let answers = messages::waiting(tx, id).await?;
    let plain = NewMessage::plain(id, Author::Agent, text, &answers);
    let message = messages::write(tx, &NewMessage { sent_by: Some(caller.user), ..plain }).await?;
    conversations::make_due(tx, id).await?;
    let ids = json!({ "user_id": caller.user, "message_id": message });
    let activity = Activity::of(id, "agent_replied", "A person of the company answered", Status::Info).with(ids);
    activities::record(tx, &activity).await?;
    messages::get(tx, message).await
}

/// Takes a conversation over, or begins its time anew; an activity tells of the first.
async fn take_over_noted(tx: &mut TenantTx, caller: &Caller<SupportUser>, id: Uuid) -> Result<()> {
    if conversations::take_over(tx, id).await? {
        let title = "A person of the company has taken over";
        let activity = Activity::of(id, "conversation_taken_over", title, Status::Info);
        activities::record(tx, &activity.with(json!({ "user_id": caller.user }))).await?;
    }
    Ok(())
}

/// Tells what a support user reads; the owner's reading is the owner's own business.
async fn note_read(
    tx: &mut TenantTx,
    caller: &Caller<SupportUser>,
    action: &'static str,
    conversation: Option<Uuid>,
) -> Result<()> {
    if caller.is_support() {
        let of_tenant = || format!("tenant:{}", caller.tenant());
        let entry = audit::Entry {
            actor: Some(caller.user),
            action,
            object: conversation.map_or_else(of_tenant, |id| format!("conversation:{id}")),
            request_id: Some(&caller.request_id),
            details: Value::Object(serde_json::Map::new()),
        };
        audit::record(tx, &entry).await?;
    }
    Ok(())
}

impl Deps {
    /// Tells the worker that something waits.
    async fn tell_worker(&self, caller: &Caller<SupportUser>, conversation_id: Uuid) {
        let message = ReplyMessage { customer_id: caller.tenant(), conversation_id, message_id: None };
        self.reply_queue.offer(&message, Duration::ZERO).await;
    }
}
