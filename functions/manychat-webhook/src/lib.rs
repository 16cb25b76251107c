//! `POST /api/v1/webhook/manychat`: a contact wrote something. It is stored with the job that answers it, and
//! acknowledged; whatever takes time is the reply-worker's.

use std::time::Duration;

use axum::extract::{FromRef, State};
use serde::Serialize;
use serde_json::Value;
use shared::{
    auth::ManyChatCall,
    conversations::{self, Received, words},
    db::Db,
    error::{ApiError, Result},
    function::{Function, HttpFunction},
    http::Json,
    jobs::ReplyMessage,
    manychat::inbound::Inbound,
    queue::Queue,
    rate_limits::RateLimits,
    routes,
    settings::Settings,
    text::Language,
};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;

/// The function.
pub const FUNCTION: Function = Function::http::<Deps>();

const PATH: &str = "/api/v1/webhook/manychat";

/// What it needs.
#[derive(Debug, Clone, FromRef)]
pub struct Deps {
    db: Db,
    limits: RateLimits,
    reply_queue: Queue,
    /// How long further messages of a burst are waited for.
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
            burst_window: BurstWindow(settings.seconds("BURST_WINDOW_S", 2)),
        }
    }

    fn routes() -> OpenApiRouter<Self> {
        OpenApiRouter::new().routes(routes!(receive))
    }
}

/// What ManyChat shows its contact: a dynamic block, version 2.
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

/// What a ManyChat bot sends: full contact data and the text, composed in its editor. Only the contact's id must be
/// there; ids are numbers or texts, and fields that are not known are passed over.
#[derive(Debug, ToSchema)]
#[allow(dead_code, reason = "describes the body; Inbound reads it more leniently than a type could")]
#[schema(example = json!({
    "id": 132, "name": "Awa Koné", "whatsapp_phone": "+2250700000000", "locale": "fr_FR",
    "last_input_text": "Combien coûte la livraison à Abidjan ?", "last_interaction": "2026-11-23T09:30:06+00:00",
}))]
struct ContactMessage {
    /// The contact.
    id: u64,
    /// The text. Without one, the contact is told that only texts are read.
    last_input_text: Option<String>,
    /// Makes a repetition recognisable, where the bot has one.
    message_id: Option<String>,
    /// Without a `message_id`, what tells two equal texts apart.
    last_interaction: Option<String>,
    name: Option<String>,
    whatsapp_phone: Option<String>,
    locale: Option<String>,
}

/// Takes a message of a contact. It is acknowledged once a burst, and not while a person has the conversation; the
/// answer is pushed through ManyChat later. A repetition of a message changes nothing.
#[utoipa::path(
    post, path = PATH, tag = "webhooks", request_body = ContactMessage, responses((status = 200, body = Block)),
)]
async fn receive(call: ManyChatCall, State(deps): State<Deps>, Json(body): Json<Value>) -> Result<axum::Json<Block>> {
    let message = Inbound::read(&body)?;
    let tenant = call.tenant();
    let received =
        deps.db.tenant(tenant, async |tx| Ok::<_, ApiError>(conversations::receive(tx, &message).await?)).await?;
    if received.job_id.is_some() {
        let job = ReplyMessage {
            customer_id: tenant,
            conversation_id: received.conversation_id,
            message_id: received.message_id,
        };
        deps.reply_queue.offer(&job, deps.burst_window.0).await;
    }
    Ok(axum::Json(Block::new(acknowledgement(&received, &message, call.language()))))
}

/// Said once a burst, and only where the bot is going to answer.
fn acknowledgement(received: &Received, message: &Inbound, language: Language) -> Option<&'static str> {
    let is_said = received.message_id.is_some()
        && received.is_first
        && !received.by_person
        && !received.is_opted_out
        && !words::asks_to_stop(&message.text);
    is_said.then_some(match language {
        Language::English => "OK, got it",
        _ => "OK, bien reçu",
    })
}
