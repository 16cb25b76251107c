//! `POST /api/v1/webhook/manychat`: receives a contact's message from ManyChat. Stores the message together with its
//! reply job and acknowledges it; the reply-worker does the slow work.

use std::time::Duration;

use axum::extract::{FromRef, State};
use futures::future::join;
use serde::Serialize;
use shared::{
    auth::ManyChatCall,
    conversations::{
        self, ReceiveOutcome,
        courtesies::{self, Courtesy},
        keywords,
    },
    customer_texts,
    db::Db,
    error::{ApiError, Result},
    function::{Function, HttpFunction},
    http::Bytes,
    jobs::{ReplyMessage, WebhookMessage},
    logging,
    manychat::inbound::InboundMessage,
    opt_outs,
    queue::Queue,
    rate_limits::RateLimits,
    routes,
    settings::Settings,
    text::Language,
    unread_bodies, webhook_endpoints,
};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use uuid::Uuid;

/// The `manychat-webhook` Lambda function.
pub const FUNCTION: Function = Function::http::<Deps>();

const PATH: &str = "/api/v1/webhook/manychat";

/// Dependencies of the function.
#[derive(Debug, Clone, FromRef)]
pub struct Deps {
    db: Db,
    limits: RateLimits,
    reply_queue: Queue,
    #[from_ref(skip)]
    webhook_queue: Queue,
    /// Time to wait for further messages of a burst.
    burst_window: BurstWindow,
}

#[derive(Debug, Clone, Copy)]
struct BurstWindow(Duration);

impl HttpFunction for Deps {
    const NAME: &'static str = "manychat-webhook";

    fn read(settings: &mut Settings) -> Self {
        let db = Db::read(settings);
        Self {
            limits: RateLimits::read(settings, &db),
            db,
            reply_queue: Queue::read(settings, "REPLY_QUEUE_URL"),
            webhook_queue: Queue::read(settings, "WEBHOOK_QUEUE_URL"),
            burst_window: BurstWindow(settings.seconds("BURST_WINDOW_S", 2)),
        }
    }

    fn routes() -> OpenApiRouter<Self> {
        OpenApiRouter::new().routes(routes!(receive))
    }
}

/// ManyChat's dynamic block, version 2: the response that ManyChat shows to the contact.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "version": "v2",
    "content": {
        "type": "whatsapp", "messages": [{ "type": "text", "text": "OK, bien reçu" }], "actions": [], "quick_replies": [],
    },
}))]
struct Block {
    version: &'static str,
    content: Content,
}

#[derive(Debug, Serialize, ToSchema)]
struct Content {
    r#type: &'static str,
    /// One acknowledgement, or none.
    messages: Vec<Text>,
    actions: [&'static str; 0],
    quick_replies: [&'static str; 0],
}

#[derive(Debug, Serialize, ToSchema)]
struct Text {
    r#type: &'static str,
    text: &'static str,
}

impl Block {
    fn new(text: Option<&'static str>) -> Self {
        let messages = text.map(|text| Text { r#type: "text", text }).into_iter().collect();
        Self { version: "v2", content: Content { r#type: "whatsapp", messages, actions: [], quick_replies: [] } }
    }
}

/// The body that a ManyChat bot sends: full contact data and the text, composed in ManyChat's editor. Only the
/// contact's id is required. Ids are numbers or strings; unknown fields are ignored.
#[derive(Debug, ToSchema)]
#[expect(dead_code, reason = "describes the body; Inbound reads it more leniently than a type could")]
#[schema(example = json!({
    "id": 132, "name": "Awa Koné", "whatsapp_phone": "+2250700000000", "locale": "fr_FR",
    "last_input_text": "Combien coûte la livraison à Abidjan ?", "last_interaction": "2026-11-23T09:30:06+00:00",
}))]
struct ContactMessage {
    /// ManyChat's id of the contact.
    id: u64,
    /// The text. Without a text, the contact is told that only texts are read.
    last_input_text: Option<String>,
    /// Identifies a repeated delivery of the message, if the bot has an id.
    message_id: Option<String>,
    /// Distinguishes two equal texts when there is no `message_id`.
    last_interaction: Option<String>,
    name: Option<String>,
    whatsapp_phone: Option<String>,
    locale: Option<String>,
}

/// Receives a message of a contact. The first message of a burst is acknowledged, unless a person answers the
/// conversation. The answer is sent through ManyChat later. A repeated delivery of a message changes nothing.
///
/// A body that is not valid JSON, because its template does not escape the text, is read where it can be. A body that
/// cannot be read is refused and kept: `GET /api/v1/unread-messages` lists it.
#[utoipa::path(
    post, path = PATH, tag = "webhooks", request_body = ContactMessage, responses((status = 200, body = Block)),
)]
async fn receive(call: ManyChatCall, State(deps): State<Deps>, Bytes(body): Bytes) -> Result<axum::Json<Block>> {
    let tenant = call.tenant();
    let (message, is_repaired) = match InboundMessage::parse(&body) {
        Ok(parsed) => parsed,
        Err(refusal) => return Err(deps.keep_unread(tenant, &body, refusal).await),
    };
    let received = deps
        .db
        .tenant_tx(tenant, async |tx| {
            let received = opt_outs::receive(tx, &message).await?;
            if is_repaired {
                unread_bodies::report_repaired(tx, received.conversation_id).await?;
            }
            Ok(received)
        })
        .await?;
    // Both messages are sent at the same time, because the contact waits for the acknowledgement.
    join(deps.notify_worker(tenant, &received), deps.wake_webhook_worker(tenant, &received)).await;
    Ok(axum::Json(Block::new(acknowledgement(&received, &message, call.language()))))
}

impl Deps {
    /// Keeps a body that could not be read, and returns the error for the bot: `refusal`, or a 503 when the body could
    /// not be kept, so that it is not lost without a word.
    async fn keep_unread(&self, tenant: Uuid, body: &[u8], refusal: ApiError) -> ApiError {
        logging::metric("UnreadWebhookBodies", 1.0);
        let reason = refusal.code;
        let kept = self.db.tenant_tx(tenant, async |tx| Ok(unread_bodies::keep(tx, reason, body).await?)).await;
        kept.err().unwrap_or(refusal)
    }

    /// Sends a queue message for each endpoint of the tenant that the message is sent to.
    async fn wake_webhook_worker(&self, tenant: Uuid, received: &ReceiveOutcome) {
        let messages = WebhookMessage::parse_all(tenant, received.webhook_endpoints.as_deref());
        webhook_endpoints::wake_worker(&self.webhook_queue, &messages).await;
    }

    /// Sends a queue message for the message's conversation, delayed by the burst window, unless a repeated delivery's job
    /// is done.
    async fn notify_worker(&self, tenant: Uuid, received: &ReceiveOutcome) {
        if received.job_id.is_none() {
            return;
        }
        let conversation_id = received.conversation_id;
        let message = ReplyMessage { customer_id: tenant, conversation_id, message_id: received.message_id };
        conversations::wake_reply_worker(&self.db, &self.reply_queue, &message, self.burst_window.0).await;
    }
}

/// Returns the acknowledgement of a burst's first message; `None` for a repeated delivery, for STOP, for thanks and the
/// like, for a contact who has opted out, and while a person answers.
fn acknowledgement(received: &ReceiveOutcome, message: &InboundMessage, language: Language) -> Option<&'static str> {
    let is_acknowledged = received.message_id.is_some()
        && received.is_first
        && !received.by_person
        && !received.is_opted_out
        && !keywords::asks_to_stop(&message.text)
        && matches!(courtesies::recognize(&message.text, &[]), None | Some(Courtesy::Greeting));
    is_acknowledged.then_some(customer_texts::acknowledged(language))
}
