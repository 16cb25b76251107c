//! Versions of a company's configuration: each change with its time, its author and what differs.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;
use uuid::Uuid;

use super::ConfigPatch;
use crate::{
    db::TenantTx,
    error::ApiError,
    paging::{List, Listing, Paging, list_page},
};

/// Fields of a configuration that can be restored. The company's name is not among them: it belongs to the company.
const FIELDS: [&str; 11] = [
    "ai_name",
    "prompt_rag",
    "prompt_botlive_groq_70b",
    "prompt_botlive_deepseek_v3",
    "language",
    "handover_keywords",
    "business_hours",
    "show_sources",
    "unsupported_messages",
    "outside_hours",
    "handover_minutes",
];
/// Fields that the versions show and that another route changes.
const OTHER_FIELDS: [&str; 2] = ["company_name", "customer_texts"];

/// A change of the configuration.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "id": 17, "at": "2026-11-23T09:30:06Z", "changed_by": "5d0f3c52-8e7a-4b7e-9a55-6f0a2b1c3d4e",
    "changes": [{ "field": "prompt_rag", "before": null, "after": "Tutoie les clients." }],
}))]
pub struct ConfigVersion {
    /// Identifier of the version: the configuration before the change, which can be restored.
    pub id: i64,
    /// Time of the change.
    at: DateTime<Utc>,
    /// User who made the change; null for the system.
    changed_by: Option<Uuid>,
    /// The fields that the change set, each with its value before and after.
    changes: Vec<ConfigChange>,
}

/// A field that a change made different.
#[derive(Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct ConfigChange {
    /// Name of the field.
    field: &'static str,
    /// Value before the change.
    before: Value,
    /// Value after the change.
    after: Value,
}

/// A change as it is stored.
#[derive(Debug, Serialize)]
struct StoredVersion {
    id: i64,
    at: DateTime<Utc>,
    changed_by: Option<Uuid>,
    before: Value,
    after: Value,
}

/// Order of the versions: by the time of the change.
#[derive(Debug)]
pub struct VersionListing;

impl Listing for VersionListing {
    const NAME: &'static str = "config-versions";
    const SORTS: &'static [&'static str] = &["at"];
    const CREATED_AT: &'static str = "at";
}

/// Returns one page of the versions of the tenant's configuration.
///
/// # Errors
/// Returns 422 for a cursor of the wrong form, and any database error.
pub async fn list_versions(tx: &mut TenantTx, paging: &Paging) -> Result<List<ConfigVersion>, ApiError> {
    let stored: Result<List<StoredVersion>, ApiError> = list_page!(tx, paging, StoredVersion {
        select: r#"id as "id!", at as "at!", changed_by, before as "before!", after as "after!""#,
        from: "(
                select version.id, version.created_at as at, version.changed_by, version.config as before,
                    lead(version.config, 1, to_jsonb(present)) over (order by version.id) as after,
                    mapping.uuid as customer_id
                from config_versions version
                join company_mapping mapping on mapping.company_id = version.company_id
                join company_rag_configs present on present.company_id = version.company_id
                where version.company_id = (select app.current_company())
            ) listed where customer_id = $1",
        bind: [],
        id: "id" "bigint" i64 = id,
    });
    Ok(stored?.map(|stored| ConfigVersion {
        id: stored.id,
        at: stored.at,
        changed_by: stored.changed_by,
        changes: differences(&stored.before, &stored.after),
    }))
}

/// Returns the fields in which two stored configurations differ.
fn differences(before: &Value, after: &Value) -> Vec<ConfigChange> {
    let fields = FIELDS.into_iter().chain(OTHER_FIELDS).filter(|field| before[*field] != after[*field]);
    fields.map(|field| ConfigChange { field, before: before[field].clone(), after: after[field].clone() }).collect()
}

/// Returns the patch that restores a version. Fields that the version does not have stay unchanged.
///
/// # Errors
/// Returns 404 for an unknown version, and any database error.
pub async fn restore_patch(tx: &mut TenantTx, id: i64, accept_regressions: bool) -> Result<ConfigPatch, ApiError> {
    let config = sqlx::query_scalar!(
        "select config from config_versions where company_id = (select app.current_company()) and id = $1",
        id
    )
    .fetch_optional(tx)
    .await?
    .ok_or_else(|| ApiError::not_found("version"))?;
    let known = FIELDS.into_iter().filter(|field| config.get(field).is_some());
    let mut body: serde_json::Map<_, _> = known.map(|field| (field.to_owned(), config[field].clone())).collect();
    body.insert("accept_regressions".to_owned(), json!(accept_regressions));
    // A front end writes prompts past this product's rules. What cannot be read is no version of this product.
    serde_json::from_value(Value::Object(body)).map_err(|error| {
        ApiError::conflict("version_unusable", "this version has values that are not valid any more").with_source(error)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_name_configured_fields_only() {
        let before = json!({ "prompt_rag": null, "ai_name": "Lisa", "updated_at": 1, "embedding_model": "a" });
        let after = json!({ "prompt_rag": "Tutoie.", "ai_name": "Lisa", "updated_at": 2, "embedding_model": "b" });
        let expected = ConfigChange { field: "prompt_rag", before: Value::Null, after: json!("Tutoie.") };
        assert_eq!(differences(&before, &after), [expected]);
    }
}
