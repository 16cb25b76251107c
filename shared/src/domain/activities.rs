//! Table `activities`: the events on the tenant's dashboard. Supabase can publish the table, so that they appear in
//! real time. A row holds types and ids, and no text of a contact.

mod list;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::db::{SystemTx, TenantTx, Tx};

pub use list::{ActivityFilter, ActivityItem, ActivityListing, list};

/// An event on the tenant's dashboard.
#[derive(Debug, Clone)]
pub struct Activity {
    /// Machine-readable type, as `noun_verb`.
    pub kind: &'static str,
    /// One line of text for people.
    pub title: &'static str,
    /// The event's severity.
    pub status: ActivityStatus,
    /// The conversation that the event belongs to, if any.
    pub conversation: Option<Uuid>,
    /// Ids and codes, as a JSON object.
    pub metadata: Value,
}

/// The severity of an activity (`activities.status`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActivityStatus {
    /// Information.
    Info,
    /// A success.
    Success,
    /// A problem that a person should look at.
    Warning,
    /// A failure.
    Error,
}

impl ActivityStatus {
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
    /// Creates an activity of a conversation, without metadata.
    #[must_use]
    pub fn for_conversation(
        conversation: Uuid,
        kind: &'static str,
        title: &'static str,
        status: ActivityStatus,
    ) -> Self {
        Self { kind, title, status, conversation: Some(conversation), metadata: json!({}) }
    }

    /// Returns the activity with this metadata (ids and codes).
    #[must_use]
    pub fn with_metadata(self, metadata: Value) -> Self {
        Self { metadata, ..self }
    }
}

/// Records an activity of the transaction's tenant, unless it is a notice that the tenant has muted.
///
/// # Errors
/// A database error.
pub async fn record(tx: &mut TenantTx, activity: &Activity) -> sqlx::Result<()> {
    let tenant = tx.tenant();
    insert(tx, tenant, activity).await
}

/// Records an activity of any tenant, in a system transaction.
///
/// # Errors
/// A database error.
pub async fn record_for(tx: &mut SystemTx, tenant: Uuid, activity: &Activity) -> sqlx::Result<()> {
    insert(tx, tenant, activity).await
}

async fn insert<Scope: Send + std::fmt::Debug>(
    tx: &mut Tx<Scope>,
    tenant: Uuid,
    activity: &Activity,
) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        insert into activities (company_id, conversation_id, type, title, status, metadata)
        select $1, $2, $3::text, $4, $5, $6
        where not exists (select from customers where id = $1 and $3::text = any (muted_notices))
        "#,
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
