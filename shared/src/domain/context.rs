//! The Context Loader: all that an assistant needs to know of a user and the user's company before it answers, read by
//! one statement.
//!
//! SQL function: `app.own_member`, which returns the member whom the context describes.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use sqlx::types::Json;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{db::TenantTx, error::ApiError, quota::Quota};

/// Messages of the context, at most: the last ones of the company.
const MAX_MESSAGES: i64 = 10;

/// A user with the user's company, as an assistant gets to know them.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "user": {
        "id": "5d0f3c52-8e7a-4b7e-9a55-6f0a2b1c3d4e", "email": "awa@example.com", "full_name": "Awa Koné",
        "role": "owner",
    },
    "quota": {
        "is_pro": false, "free_quota_used": 1, "free_quota_limit": 8, "state": "normal", "paywall_should_show": false,
    },
    "plan": {
        "name": "free", "monthly_request_limit": null, "storage_limit_mb": 50, "subscription_status": "free",
        "current_period_end": null,
    },
    "tenant": {
        "id": "c1a7e2b4-3f5d-4c6e-8a90-1b2c3d4e5f60", "company_id": "comptoir-baobab", "name": "Comptoir Baobab",
        "language": "fr", "currency": "XOF", "timezone": "Africa/Abidjan",
    },
    "mode": "rag",
    "prompts": {
        "ai_name": "Lisa", "prompt_rag": "Réponds brièvement.", "prompt_botlive_groq_70b": null,
        "prompt_botlive_deepseek_v3": null,
    },
    "messages": [{
        "id": "a5b4c3d2-e1f0-4a9b-8c7d-6e5f4a3b2c1d", "conversation_id": "7a0c4a6e-0a5c-4e0b-9a57-1d2f3a4b5c6d",
        "direction": "inbound", "author": "contact", "content": "Livrez-vous à Bouaké ?",
        "created_at": "2026-11-23T09:30:06Z",
    }],
    "documents": { "total": 3, "processed": 2, "pending": 1, "failed": 0 },
    "stream_url": "https://lisa0example.lambda-url.eu-west-1.on.aws/api/v1/query/stream",
}))]
pub struct Context {
    /// The user whom the context is about.
    pub user: ContextUser,
    /// The quota that the company's requests count against, which is its owner's.
    pub quota: Quota,
    /// The company's plan.
    pub plan: ContextPlan,
    /// The company.
    pub tenant: ContextTenant,
    /// Mode of the company's bot: `live` or `rag`.
    pub mode: &'static str,
    /// Prompts in force.
    pub prompts: ContextPrompts,
    /// The last messages of the company's conversations, at most ten, the oldest first.
    pub messages: Vec<ContextMessage>,
    /// Number of the company's documents.
    pub documents: DocumentCounts,
    /// URL of `POST /api/v1/query/stream`, which streams answers; null where it is not deployed.
    pub stream_url: Option<String>,
}

/// A user as a member of the company.
#[derive(Debug, Serialize, ToSchema)]
pub struct ContextUser {
    /// `users.id`, the `public_user_id` of the mobile app.
    pub id: Uuid,
    /// E-mail address.
    pub email: String,
    /// Name of the user; null when none is given.
    pub full_name: Option<String>,
    /// Role in the company: `owner` or `support`.
    pub role: String,
}

/// The plan that limits the company.
#[derive(Debug, Serialize, ToSchema)]
pub struct ContextPlan {
    /// `free`, `pro` or `business`.
    pub name: String,
    /// Requests per period; null when the lifetime quota limits instead.
    pub monthly_request_limit: Option<i32>,
    /// Storage for files, in MiB.
    pub storage_limit_mb: i32,
    /// Status of the owner's subscription; `free` without one.
    pub subscription_status: String,
    /// End of the paid period; null without a subscription.
    pub current_period_end: Option<DateTime<Utc>>,
}

/// The company.
#[derive(Debug, Serialize, ToSchema)]
pub struct ContextTenant {
    /// Identifier of the company.
    pub id: Uuid,
    /// Text identifier of the company, used by the older tables.
    pub company_id: String,
    /// Name of the company.
    pub name: String,
    /// Language for contacts whose own is not known: `fr` or `en`.
    pub language: String,
    /// ISO 4217 code of its prices.
    pub currency: String,
    /// Time zone, as an IANA name.
    pub timezone: String,
}

/// The configuration of the company's bot. A prompt that is null is the product's own.
#[derive(Debug, Serialize, ToSchema)]
pub struct ContextPrompts {
    /// Name of the bot.
    pub ai_name: String,
    /// Prompt for answers from documents (RAG mode).
    pub prompt_rag: Option<String>,
    /// Sales prompt (LIVE mode) for the model at Groq.
    pub prompt_botlive_groq_70b: Option<String>,
    /// Sales prompt (LIVE mode) for the model at DeepSeek.
    pub prompt_botlive_deepseek_v3: Option<String>,
}

/// A message of a conversation.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ContextMessage {
    /// Identifier of the message.
    pub id: Uuid,
    /// Conversation of the message.
    pub conversation_id: Uuid,
    /// `inbound` or `outbound`.
    pub direction: String,
    /// `contact`, `bot`, `agent` or `system`.
    pub author: String,
    /// Text of the message.
    pub content: String,
    /// Time at which the message was stored.
    pub created_at: DateTime<Utc>,
}

/// Numbers of documents by their state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct DocumentCounts {
    /// All documents.
    pub total: i64,
    /// Documents from which questions are answered.
    pub processed: i64,
    /// Documents that are waiting or being read.
    pub pending: i64,
    /// Documents that could not be read.
    pub failed: i64,
}

/// Identifies the reader of a context.
#[derive(Debug, Clone, Copy)]
pub struct ContextReader<'a> {
    /// The member whom the context is about.
    pub user: Uuid,
    /// The tenant's owner.
    pub owner: Uuid,
    /// True when the read belongs into the audit log.
    pub is_audited: bool,
    /// Actor of the audit entry; `None` for a service.
    pub actor: Option<Uuid>,
    /// Id of the request.
    pub request_id: &'a str,
}

/// Reads the context of a member of the transaction's tenant, and records the read in the audit log, with one statement.
///
/// # Errors
/// Returns 404 when the user is no member any more, and any database error.
#[expect(clippy::too_many_lines, reason = "one statement, so that a context costs one round trip")]
pub async fn load(
    tx: &mut TenantTx,
    reader: &ContextReader<'_>,
    stream_url: Option<String>,
) -> Result<Context, ApiError> {
    let row = sqlx::query!(
        r#"
        select member.email as "email!", member.full_name, member.role as "role!",
            app.has_paid_plan(owner.is_pro, profile.subscription_access_until) as "is_pro!",
            settings.free_quota_used, settings.free_quota_limit,
            plan.name as plan_name, plan.monthly_request_limit, plan.storage_limit_mb,
            coalesce(profile.subscription_status, 'free') as "subscription_status!",
            profile.subscription_current_period_end as "current_period_end?",
            mapping.company_id, tenant.name, tenant.currency, tenant.timezone,
            config.language, config.ai_name, config.prompt_rag, config.prompt_botlive_groq_70b,
            config.prompt_botlive_deepseek_v3,
            exists (
                select from bot_sessions session
                where session.company_id = $1 and session.ended_at is null and session.mode = 'live'
            ) as "is_live!",
            documents.total as "total!", documents.processed as "processed!", documents.pending as "pending!",
            documents.failed as "failed!",
            coalesce(recent.messages, '[]') as "messages!: Json<Vec<ContextMessage>>",
            -- The read is recorded in the statement that reads, or there is no answer.
            case when $4 then
                app.audit_own($5, 'context.read', 'user:' || $2::uuid, $6, jsonb_build_object())::text
            end as audited
        from customers tenant
        cross join lateral app.own_member($2) member
        join plans plan on plan.id = tenant.plan_id
        join company_mapping mapping on mapping.uuid = tenant.id
        join company_rag_configs config on config.company_id = mapping.company_id
        join users owner on owner.id = $3
        join user_settings settings on settings.user_id = owner.id
        left join profiles profile on profile.id = owner.id
        cross join lateral (
            select count(*) as total, count(*) filter (where status = 'processed') as processed,
                count(*) filter (where status = 'pending') as pending, count(*) filter (where status = 'failed') as failed
            from documents where customer_id = $1
        ) documents
        cross join lateral (
            select jsonb_agg(to_jsonb(message) order by message.created_at, message.id) as messages
            from (
                select id, conversation_id, direction, author, content, created_at from messages
                where customer_id = $1
                order by created_at desc, id desc
                limit $7
            ) message
        ) recent
        where tenant.id = $1
        "#,
        tx.tenant(),
        reader.user,
        reader.owner,
        reader.is_audited,
        reader.actor,
        reader.request_id,
        MAX_MESSAGES
    )
    .fetch_optional(&mut *tx)
    .await?
    .ok_or_else(|| ApiError::not_found("user"))?;
    Ok(Context {
        user: ContextUser { id: reader.user, email: row.email, full_name: row.full_name, role: row.role },
        quota: Quota::new(row.is_pro, row.free_quota_used, row.free_quota_limit),
        plan: ContextPlan {
            name: row.plan_name,
            monthly_request_limit: row.monthly_request_limit,
            storage_limit_mb: row.storage_limit_mb,
            subscription_status: row.subscription_status,
            current_period_end: row.current_period_end,
        },
        tenant: ContextTenant {
            id: tx.tenant(),
            company_id: row.company_id,
            name: row.name,
            language: row.language,
            currency: row.currency,
            timezone: row.timezone,
        },
        mode: if row.is_live { "live" } else { "rag" },
        prompts: ContextPrompts {
            ai_name: row.ai_name,
            prompt_rag: row.prompt_rag,
            prompt_botlive_groq_70b: row.prompt_botlive_groq_70b,
            prompt_botlive_deepseek_v3: row.prompt_botlive_deepseek_v3,
        },
        messages: row.messages.0,
        documents: DocumentCounts {
            total: row.total,
            processed: row.processed,
            pending: row.pending,
            failed: row.failed,
        },
        stream_url,
    })
}
