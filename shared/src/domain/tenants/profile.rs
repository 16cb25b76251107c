//! Company profile that a tenant's owner can read and change, with the ManyChat key.

use std::{fmt, ops::RangeInclusive};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{
    CompanyName, MANYCHAT_KEY_PURPOSE,
    texts::{self, CompanyLanguage, LocalizedTextPatch, SentencesInForce, TextsPatch, identity},
    webhook_secrets::{WebhookSecret, valid_webhook_secrets},
};
use crate::{
    currency::Currency,
    db::TenantTx,
    error::ApiError,
    input,
    notices::{self, NoticeSwitches},
    outbound::TenantUrl,
    sealed::{self, KeyRing, MASK, SealingError},
};

/// The company's profile and connections, without secrets.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "id": "c1a7e2b4-3f5d-4c6e-8a90-1b2c3d4e5f60", "name": "Comptoir Baobab", "company_id": "comptoir-baobab",
    "plan": "free", "currency": "XOF", "timezone": "Africa/Abidjan", "webhook_url": "https://example.com/lisa",
    "manychat_api_key": "••••9f3c", "overage_cap_requests": null, "conversation_retention_months": 12, "language": "fr",
    "greeting": { "fr": "Bonjour ! Je suis Lisa, l’assistant virtuel de Comptoir Baobab.",
                  "en": "Hello! I am Lisa, the virtual assistant of Comptoir Baobab." },
    "refusal": { "fr": "Je n’ai pas trouvé la réponse dans nos documents.", "en": "Our documents do not say." },
    "handover": { "fr": "Une personne de notre équipe vous répondra ici.", "en": "A person will answer you here." },
    "notices": { "quota_blocked": true, "contact_limited": false }, "created_at": "2026-11-23T09:30:06Z", "webhook_secrets": [{
        "id": "d4c3b2a1-0f9e-4d8c-b7a6-958473625140", "created_at": "2026-11-23T09:30:06Z", "expires_at": null,
    }],
}))]
pub struct CustomerDetails {
    id: Uuid,
    name: String,
    company_id: String,
    /// The plan's name.
    plan: String,
    /// Currency of the prices, as an ISO 4217 code.
    currency: String,
    /// Time zone, as an IANA name.
    timezone: String,
    /// URL that the company keeps here, of which the product makes no use. `POST /api/v1/webhook-endpoints` has events sent.
    webhook_url: Option<String>,
    /// Last four characters of the ManyChat key after a mask; null when no key is set.
    manychat_api_key: Option<String>,
    /// Maximum number of requests over the plan's limit that are answered and paid in a period; null for as many as the
    /// plan has.
    overage_cap_requests: Option<i32>,
    /// Number of months after which messages and idle conversations are deleted.
    conversation_retention_months: i32,
    /// Language for customers whose own language is not known: `fr` or `en`.
    language: String,
    /// Sentences in force, the company's own or the product's.
    #[serde(flatten)]
    sentences: SentencesInForce,
    /// Notices to the company by their type, as `GET /api/v1/activities` lists them; false for those that it muted.
    notices: NoticeSwitches,
    /// Valid webhook secrets, newest first, without their values.
    webhook_secrets: Vec<WebhookSecret>,
    created_at: DateTime<Utc>,
}

/// Returns the profile of the transaction's tenant.
///
/// # Errors
/// Returns any database error.
pub async fn details(tx: &mut TenantTx) -> sqlx::Result<CustomerDetails> {
    let row = sqlx::query!(
        r#"
        select tenant.id, tenant.name, mapping.company_id, plan.name as plan, tenant.currency, tenant.timezone,
            tenant.webhook_url, tenant.manychat_api_key is not null as "has_key!", tenant.manychat_api_key_last4,
            tenant.overage_cap_requests, tenant.conversation_retention_months, tenant.muted_notices, tenant.created_at
        from customers tenant
        join company_mapping mapping on mapping.uuid = tenant.id
        join plans plan on plan.id = tenant.plan_id
        where tenant.id = $1
        "#,
        tx.tenant()
    )
    .fetch_one(&mut *tx)
    .await?;
    let identity = identity(tx).await?;
    let webhook_secrets = valid_webhook_secrets(tx).await?;
    let end = row.manychat_api_key_last4.unwrap_or_default();
    Ok(CustomerDetails {
        id: row.id,
        name: row.name,
        company_id: row.company_id,
        plan: row.plan,
        currency: row.currency,
        timezone: row.timezone,
        webhook_url: row.webhook_url,
        manychat_api_key: row.has_key.then(|| format!("{MASK}{end}")),
        overage_cap_requests: row.overage_cap_requests,
        conversation_retention_months: row.conversation_retention_months,
        language: identity.language.as_str().to_owned(),
        sentences: SentencesInForce::of(&identity),
        notices: NoticeSwitches::of(&row.muted_notices),
        webhook_secrets,
        created_at: row.created_at,
    })
}

/// ManyChat API key in plain text: 12 to 200 visible ASCII characters. Hidden in debug output.
#[derive(Clone, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(value_type = String, min_length = 12, max_length = 200)]
pub struct ManyChatKey(String);

impl TryFrom<String> for ManyChatKey {
    type Error = &'static str;

    fn try_from(key: String) -> Result<Self, Self::Error> {
        let key = key.trim();
        let is_key = (12..=200).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic());
        if is_key { Ok(Self(key.to_owned())) } else { Err("must have 12 to 200 visible ASCII characters") }
    }
}

impl fmt::Debug for ManyChatKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("ManyChatKey(…)")
    }
}

impl ManyChatKey {
    /// Returns the plain key, for testing it against ManyChat.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// A new ManyChat key, sealed (encrypted) for its tenant.
#[derive(Debug)]
pub struct NewManyChatKey {
    sealed: Vec<u8>,
    last4: String,
}

impl NewManyChatKey {
    /// Seals a key for a tenant.
    ///
    /// # Errors
    /// Returns any error of [`KeyRing::seal`].
    pub fn seal(keys: &KeyRing, tenant: Uuid, key: &ManyChatKey) -> Result<Self, SealingError> {
        Ok(Self { sealed: keys.seal(tenant, MANYCHAT_KEY_PURPOSE, &key.0)?, last4: sealed::last4(&key.0) })
    }
}

/// Changes to the company's profile. Omitted fields stay unchanged.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "name": "Comptoir Baobab", "currency": "XOF", "timezone": "Africa/Abidjan" }))]
pub struct CustomerPatch {
    name: Option<CompanyName>,
    currency: Option<Currency>,
    /// Time zone, as an IANA name such as `Africa/Abidjan`.
    timezone: Option<String>,
    /// Public https URL that the company keeps here; null removes it.
    #[serde(default, deserialize_with = "input::nullable")]
    #[schema(value_type = Option<TenantUrl>)]
    webhook_url: Option<Option<TenantUrl>>,
    /// ManyChat API key, tested against ManyChat before it is stored; null removes it. Only its last four characters
    /// are shown later.
    #[serde(default, deserialize_with = "input::nullable")]
    #[schema(value_type = Option<ManyChatKey>)]
    pub manychat_api_key: Option<Option<ManyChatKey>>,
    /// Maximum number of requests over the plan's limit that are answered and paid in a period; null for as many as the
    /// plan has.
    #[serde(default, deserialize_with = "input::nullable")]
    #[schema(value_type = Option<u32>, maximum = 1_000_000)]
    overage_cap_requests: Option<Option<OverageCap>>,
    /// Number of months after which messages and idle conversations are deleted, 1 to 60. A shorter one deletes within
    /// minutes what is older.
    conversation_retention_months: Option<RetentionMonths>,
    /// Language for customers whose own language is not known.
    language: Option<CompanyLanguage>,
    /// First words of the assistant to a customer; null for the product's. `{assistant}` and `{company}` stand for the
    /// names.
    #[serde(default, deserialize_with = "input::nullable")]
    #[schema(value_type = Option<LocalizedTextPatch>)]
    greeting: Option<Option<LocalizedTextPatch>>,
    /// Answer when the documents hold none; null for the product's.
    #[serde(default, deserialize_with = "input::nullable")]
    #[schema(value_type = Option<LocalizedTextPatch>)]
    refusal: Option<Option<LocalizedTextPatch>>,
    /// Notice of a handover to a person within the business hours; null for the product's.
    #[serde(default, deserialize_with = "input::nullable")]
    #[schema(value_type = Option<LocalizedTextPatch>)]
    handover: Option<Option<LocalizedTextPatch>>,
    /// Notices to switch on or off, by their type. An omitted type stays unchanged.
    notices: Option<NoticeSwitches>,
}

impl CustomerPatch {
    /// Returns the changes to the language and the sentences.
    fn texts_patch(&self) -> TextsPatch<'_> {
        TextsPatch {
            language: self.language,
            greeting: self.greeting.as_ref(),
            refusal: self.refusal.as_ref(),
            handover: self.handover.as_ref(),
        }
    }

    /// Returns the notices that the company does not want after the patch.
    fn muted_notices(&self, before: &[String]) -> Vec<String> {
        self.notices.as_ref().map_or_else(|| before.to_vec(), |switches| notices::switch(before, switches))
    }
}

/// Maximum of [`CustomerPatch::overage_cap_requests`].
const MAX_OVERAGE_CAP: i32 = 1_000_000;

/// A number of requests over the plan's limit, 0 to 1,000,000.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(try_from = "i64")]
struct OverageCap(i32);

impl TryFrom<i64> for OverageCap {
    type Error = String;

    fn try_from(requests: i64) -> Result<Self, String> {
        let valid = i32::try_from(requests).ok().filter(|requests| (0..=MAX_OVERAGE_CAP).contains(requests));
        valid.map(Self).ok_or_else(|| format!("must be between 0 and {MAX_OVERAGE_CAP}"))
    }
}

/// Least and greatest retention of conversations, in months. Without a retention, no message could wait for an answer, and
/// without an end, personal data would be kept for ever.
const RETENTION_MONTHS: RangeInclusive<i32> = 1..=60;

/// Number of months for which a company keeps its conversations, 1 to 60.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
#[serde(try_from = "i64")]
#[schema(value_type = u32, minimum = 1, maximum = 60)]
struct RetentionMonths(i32);

impl TryFrom<i64> for RetentionMonths {
    type Error = String;

    fn try_from(months: i64) -> Result<Self, String> {
        let valid = i32::try_from(months).ok().filter(|months| RETENTION_MONTHS.contains(months));
        let (least, most) = (RETENTION_MONTHS.start(), RETENTION_MONTHS.end());
        valid.map(Self).ok_or_else(|| format!("must be between {least} and {most}"))
    }
}

/// Checks that the database knows a time zone.
async fn check_timezone(tx: &mut TenantTx, timezone: Option<&str>) -> Result<(), ApiError> {
    let Some(timezone) = timezone else { return Ok(()) };
    // PostgreSQL rejects a parameter with NUL, which would be a 500 and not a 422.
    let is_text = !timezone.contains('\0');
    let known = sqlx::query_scalar!(
        r#"select exists (select from pg_timezone_names where name = $1) as "known!""#,
        timezone.replace('\0', "")
    );
    if !is_text || !known.fetch_one(tx).await? {
        return Err(ApiError::field("timezone", "must be the name of a timezone, such as Africa/Abidjan"));
    }
    Ok(())
}

/// Updates the profile of the transaction's tenant and returns the names of the changed fields. `key` is the patch's
/// ManyChat key, sealed; `actor` is the user who makes the change.
///
/// # Errors
/// Returns 422 for a time zone unknown to the database, and any database error.
#[expect(clippy::too_many_lines, reason = "one statement with all fields, and their comparison")]
pub async fn change(
    tx: &mut TenantTx,
    actor: Uuid,
    patch: &CustomerPatch,
    key: Option<&NewManyChatKey>,
) -> Result<Vec<&'static str>, ApiError> {
    check_timezone(tx, patch.timezone.as_deref()).await?;
    let before = sqlx::query!(
        r#"
        select name, currency, timezone, webhook_url, overage_cap_requests, conversation_retention_months, muted_notices,
            manychat_api_key is not null as "has_key!"
        from customers where id = $1 for no key update
        "#,
        tx.tenant()
    )
    .fetch_one(&mut *tx)
    .await?;
    let name = patch.name.as_ref().map(CompanyName::as_str);
    let currency = patch.currency.as_ref().map(Currency::as_str);
    let overage_cap = patch.overage_cap_requests.map(|cap| cap.map(|OverageCap(requests)| requests));
    let webhook_url = patch.webhook_url.as_ref().map(|url| url.as_ref().map(TenantUrl::as_str));
    let muted = patch.muted_notices(&before.muted_notices);
    let retention = patch.conversation_retention_months.map(|RetentionMonths(months)| months);
    sqlx::query!(
        r#"
        update customers set
            name = coalesce($2, name),
            currency = coalesce($3, currency),
            timezone = coalesce($4, timezone),
            webhook_url = case when $5 then $6 else webhook_url end,
            manychat_api_key = case when $7 then $8 else manychat_api_key end,
            manychat_api_key_last4 = case when $7 then $9 else manychat_api_key_last4 end,
            overage_cap_requests = case when $10 then $11 else overage_cap_requests end,
            muted_notices = $12,
            conversation_retention_months = coalesce($13, conversation_retention_months)
        where id = $1
        "#,
        tx.tenant(),
        name,
        currency,
        patch.timezone,
        webhook_url.is_some(),
        webhook_url.flatten(),
        patch.manychat_api_key.is_some(),
        key.map(|key| key.sealed.as_slice()),
        key.map(|key| key.last4.as_str()),
        overage_cap.is_some(),
        overage_cap.flatten(),
        &muted,
        retention
    )
    .execute(&mut *tx)
    .await?;
    let changed = [
        ("name", name.is_some_and(|name| name != before.name)),
        ("currency", currency.is_some_and(|currency| currency != before.currency)),
        ("timezone", patch.timezone.as_ref().is_some_and(|timezone| *timezone != before.timezone)),
        ("webhook_url", webhook_url.is_some_and(|url| url != before.webhook_url.as_deref())),
        ("overage_cap_requests", overage_cap.is_some_and(|cap| cap != before.overage_cap_requests)),
        (
            "conversation_retention_months",
            retention.is_some_and(|months| months != before.conversation_retention_months),
        ),
        ("notices", muted != before.muted_notices),
        // Two sealings of one key differ, so any new key counts as changed.
        ("manychat_api_key", key.is_some() || (patch.manychat_api_key.is_some() && before.has_key)),
    ];
    let mut fields: Vec<_> =
        changed.into_iter().filter(|(_, is_changed)| *is_changed).map(|(field, _)| field).collect();
    fields.extend(texts::change(tx, actor, &patch.texts_patch()).await?);
    Ok(fields)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn patch(body: Value) -> Result<CustomerPatch, serde_json::Error> {
        serde_json::from_value(body)
    }

    #[test]
    fn omitted_fields_are_unchanged_and_null_removes_a_value() {
        let empty = patch(json!({})).unwrap();
        assert!(empty.webhook_url.is_none() && empty.manychat_api_key.is_none());
        let null = patch(json!({ "name": null, "webhook_url": null, "manychat_api_key": null })).unwrap();
        assert!(null.name.is_none());
        assert!(matches!((null.webhook_url, null.manychat_api_key), (Some(None), Some(None))));
    }

    #[test]
    fn a_key_fits_a_header_and_is_hidden_in_debug_output() {
        let key = "1234567:0a1b2c3d4e5f";
        let read = patch(json!({ "manychat_api_key": format!(" {key}\n") })).unwrap();
        assert!(!format!("{read:?}").contains("0a1b2c"), "{read:?}");
        assert_eq!(read.manychat_api_key.unwrap().unwrap().expose(), key);
        for key in ["", "short", "1234567:0a1b2c 3d4e5f", "1234567:clé-secrète", "1234567:\u{0}a1b2c3d4e5f"] {
            assert!(patch(json!({ "manychat_api_key": key })).is_err(), "{key}");
        }
        assert!(patch(json!({ "manychat_api_key": "k".repeat(201) })).is_err());
    }
}
