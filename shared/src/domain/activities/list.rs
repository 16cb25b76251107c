//! The list of activities for members of the tenant.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use crate::{
    db::TenantTx,
    error::ApiError,
    paging::{List, Listing, Paging, list_page},
    time_range::{self, TimeBound},
};

/// Maximum length of an activity's type, in characters.
const MAX_TYPE_CHARS: usize = 50;

/// An event on the tenant's dashboard, as shown to its members.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "id": "9b1c5a69-0c7e-4a53-8a4e-5d2f3f1d2c4b", "type": "order_created", "title": "A contact has ordered",
    "description": null, "status": "success", "conversation_id": "7a0c4a6e-0a5c-4e0b-9a57-1d2f3a4b5c6d",
    "metadata": { "order_id": "3f1d2c4b-0c7e-4a53-8a4e-5d2f9b1c5a69" }, "created_at": "2026-11-23T09:30:06Z",
}))]
pub struct ActivityItem {
    id: Uuid,
    /// Machine-readable type, as `noun_verb`.
    r#type: String,
    /// One line of text for people.
    title: String,
    #[schema(required)]
    description: Option<String>,
    /// Severity: `info`, `success`, `warning` or `error`.
    status: String,
    #[schema(required)]
    conversation_id: Option<Uuid>,
    /// Ids and codes.
    #[schema(value_type = Object)]
    metadata: Value,
    created_at: DateTime<Utc>,
}

/// Type of an activity in a query string: lower-case letters, digits and underscores.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "String")]
struct ActivityType(String);

/// The error for a text that cannot be the type of an activity.
#[derive(Debug, thiserror::Error)]
#[error("must be the type of an activity, such as order_created")]
struct NotAType;

impl TryFrom<String> for ActivityType {
    type Error = NotAType;

    fn try_from(text: String) -> Result<Self, NotAType> {
        let is_known_form = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        let is_type = (1..=MAX_TYPE_CHARS).contains(&text.len()) && text.bytes().all(is_known_form);
        if is_type { Ok(Self(text)) } else { Err(NotAType) }
    }
}

/// The filter of the list.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ActivityFilter {
    /// Only activities of this type.
    #[param(value_type = Option<String>, pattern = "^[a-z0-9_]{1,50}$", example = "order_created")]
    r#type: Option<ActivityType>,
    /// Only activities of this time or later: a time (RFC 3339), or a day in the company's timezone.
    #[param(value_type = Option<String>, example = "2026-11-23T09:30:06Z")]
    since: Option<TimeBound>,
}

/// The sort fields and the statuses of the list.
#[derive(Debug)]
pub struct ActivityListing;

impl Listing for ActivityListing {
    const NAME: &'static str = "activities";
    const SORTS: &'static [&'static str] = &["created_at"];
    const STATUSES: &'static [&'static str] = &["info", "success", "warning", "error"];
}

/// Returns a page of the tenant's activities.
///
/// # Errors
/// 422 for a cursor that was tampered with; a database error.
pub async fn list(tx: &mut TenantTx, filter: &ActivityFilter, paging: &Paging) -> Result<List<ActivityItem>, ApiError> {
    let (since, _) = time_range::resolve(tx, filter.since, None).await?;
    list_page!(tx, paging, ActivityItem {
        select: "id, type, title, description, status, conversation_id, metadata, created_at",
        from: "activities where company_id = $1 and ($2::text is null or status = $2)
            and ($3::text is null or type = $3) and ($4::timestamptz is null or created_at >= $4)",
        bind: [paging.status, filter.r#type.as_ref().map(|wanted| wanted.0.as_str()), since],
        order: ["created_at": "created_at" "timestamptz" DateTime<Utc> = created_at],
        id: "id" "uuid" Uuid = id,
    })
}
