//! `activities`: what happened, as the tenant's dashboard shows it, in real time where Supabase publishes it. Types and
//! ids; no text of a contact.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::db::{SystemTx, TenantTx, Tx};

/// Something that happened.
#[derive(Debug, Clone)]
pub struct Activity {
    /// `noun_verb`, for programs.
    pub kind: &'static str,
    /// One line, for people.
    pub title: &'static str,
    /// How much it matters.
    pub status: Status,
    /// Where.
    pub conversation: Option<Uuid>,
    /// Ids and codes.
    pub metadata: Value,
}

/// How much an activity matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// For information.
    Info,
    /// Good news.
    Success,
    /// Somebody should look.
    Warning,
    /// Something failed.
    Error,
}

impl Status {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Success => "success",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

impl Activity {
    /// An activity of a conversation.
    #[must_use]
    pub fn of(conversation: Uuid, kind: &'static str, title: &'static str, status: Status) -> Self {
        Self { kind, title, status, conversation: Some(conversation), metadata: json!({}) }
    }

    /// The same with ids and codes.
    #[must_use]
    pub fn with(self, metadata: Value) -> Self {
        Self { metadata, ..self }
    }
}

/// Records an activity.
///
/// # Errors
/// The database's.
pub async fn record(tx: &mut TenantTx, activity: &Activity) -> sqlx::Result<()> {
    let tenant = tx.tenant();
    insert(tx, tenant, activity).await
}

/// Records an activity of a tenant, where no tenant is at work.
///
/// # Errors
/// The database's.
pub async fn record_for(tx: &mut SystemTx, tenant: Uuid, activity: &Activity) -> sqlx::Result<()> {
    insert(tx, tenant, activity).await
}

async fn insert<Scope: Send + std::fmt::Debug>(
    tx: &mut Tx<Scope>,
    tenant: Uuid,
    activity: &Activity,
) -> sqlx::Result<()> {
    sqlx::query!(
        "insert into activities (company_id, conversation_id, type, title, status, metadata) values ($1, $2, $3, $4, $5, $6)",
        tenant,
        activity.conversation,
        activity.kind,
        activity.title,
        activity.status.as_str(),
        activity.metadata
    )
    .execute(tx)
    .await
    .map(drop)
}
