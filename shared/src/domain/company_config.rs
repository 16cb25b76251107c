//! Configuration of a company's assistant: names, prompts, language, handover keywords and business hours. Owns the tables
//! `company_rag_configs`, which the front ends also edit through Supabase, and `config_versions`.
//!
//! A trigger (`app.keep_config_version`) keeps the last 20 versions, whoever makes a change.

mod business_hours;
mod versions;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    audit,
    db::TenantTx,
    error::{ApiError, FieldError},
    input,
    tenants::{CompanyLanguage, CompanyName},
};

pub use business_hours::BusinessHours;
pub use versions::{ConfigChange, ConfigVersion, VersionListing, list_versions, restore_patch};

/// Maximum length of a prompt, in characters.
const MAX_PROMPT_CHARS: usize = 20_000;
/// Maximum length of the assistant's name, in characters.
const MAX_AI_NAME_CHARS: usize = 100;
/// Maximum number of handover keywords.
const MAX_KEYWORDS: usize = 50;
/// Maximum length of a handover keyword, in characters.
const MAX_KEYWORD_CHARS: usize = 50;
/// Maximum time of a handover without a word of a person, in minutes: a week.
const MAX_HANDOVER_MINUTES: i32 = 10_080;

/// Reaction to a message without text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum UnsupportedMessages {
    /// The bot says that it reads texts only.
    Reply,
    /// A person answers.
    HandOver,
}

/// Reaction to a message outside the business hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum OutsideHours {
    /// The bot answers.
    Answer,
    /// A person answers when the company opens.
    HandOver,
}

/// Prompt of a configuration, by its column in `company_rag_configs`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub enum PromptField {
    /// Instructions for answers from documents.
    #[serde(rename = "prompt_rag")]
    Rag,
    /// Sales prompt for Groq's models.
    #[serde(rename = "prompt_botlive_groq_70b")]
    Groq,
    /// Sales prompt for DeepSeek's models.
    #[serde(rename = "prompt_botlive_deepseek_v3")]
    DeepSeek,
}

/// Configuration of a company's assistant.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(example = json!({
    "company_id": "comptoir-baobab", "company_name": "Comptoir Baobab", "ai_name": "Lisa", "prompt_rag": "Tutoie les clients.",
    "prompt_botlive_groq_70b": null, "prompt_botlive_deepseek_v3": null, "language": "fr",
    "handover_keywords": ["conseiller"], "business_hours": { "mon": [["08:00", "18:00"]] }, "show_sources": true,
    "unsupported_messages": "reply", "outside_hours": "answer", "handover_minutes": 240,
    "updated_at": "2026-11-23T09:30:06Z",
}))]
pub struct CompanyConfig {
    /// Text identifier of the company.
    company_id: String,
    company_name: String,
    /// Name of the assistant.
    pub ai_name: String,
    /// Instructions for answers from documents.
    pub prompt_rag: Option<String>,
    /// Sales prompt for Groq's models.
    pub prompt_botlive_groq_70b: Option<String>,
    /// Sales prompt for DeepSeek's models.
    pub prompt_botlive_deepseek_v3: Option<String>,
    /// Language for customers whose own language is not known: `fr` or `en`.
    pub language: String,
    /// Words by which a contact asks for a person.
    handover_keywords: Vec<String>,
    /// Opening times by day, in the company's time zone; null for always.
    #[schema(value_type = Option<BusinessHours>)]
    business_hours: Option<serde_json::Value>,
    /// True when an answer ends with its sources.
    show_sources: bool,
    /// Reaction to a message without text: `reply` or `hand_over`.
    unsupported_messages: String,
    /// Reaction to a message outside the business hours: `answer` or `hand_over`.
    outside_hours: String,
    /// Minutes without a word of a person after which the bot answers again.
    handover_minutes: i32,
    updated_at: chrono::DateTime<chrono::Utc>,
}

/// Prompt of a company, up to 20,000 characters.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(value_type = String, min_length = 1, max_length = 20000)]
pub struct Prompt(String);

impl TryFrom<String> for Prompt {
    type Error = input::UnusableText;

    fn try_from(text: String) -> Result<Self, input::UnusableText> {
        input::several_lines(&text, 1, MAX_PROMPT_CHARS).map(Self)
    }
}

impl Prompt {
    /// Returns the text of the prompt.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Name of an assistant, 1 to 100 characters.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(value_type = String, min_length = 1, max_length = 100)]
pub struct AssistantName(String);

impl TryFrom<String> for AssistantName {
    type Error = input::UnusableText;

    fn try_from(name: String) -> Result<Self, input::UnusableText> {
        input::one_line(&name, 1, MAX_AI_NAME_CHARS).map(Self)
    }
}

impl AssistantName {
    /// Returns the name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Word by which a contact asks for a person, 1 to 50 characters.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(value_type = String, min_length = 1, max_length = 50)]
pub struct HandoverKeyword(String);

impl TryFrom<String> for HandoverKeyword {
    type Error = input::UnusableText;

    fn try_from(word: String) -> Result<Self, input::UnusableText> {
        input::one_line(&word, 1, MAX_KEYWORD_CHARS).map(Self)
    }
}

/// Changes to the configuration. Omitted fields stay unchanged.
#[derive(Debug, Clone, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({ "ai_name": "Lisa", "prompt_rag": "Tutoie les clients.", "accept_regressions": true }))]
pub struct ConfigPatch {
    /// Name of the company.
    pub company_name: Option<CompanyName>,
    /// Name of the assistant.
    pub ai_name: Option<AssistantName>,
    /// Instructions for answers from documents; null removes them.
    #[serde(default, deserialize_with = "input::nullable")]
    #[schema(value_type = Option<Prompt>)]
    pub prompt_rag: Option<Option<Prompt>>,
    /// Sales prompt for Groq's models; null removes it.
    #[serde(default, deserialize_with = "input::nullable")]
    #[schema(value_type = Option<Prompt>)]
    pub prompt_botlive_groq_70b: Option<Option<Prompt>>,
    /// Sales prompt for DeepSeek's models; null removes it.
    #[serde(default, deserialize_with = "input::nullable")]
    #[schema(value_type = Option<Prompt>)]
    pub prompt_botlive_deepseek_v3: Option<Option<Prompt>>,
    /// Language for customers whose own language is not known.
    language: Option<CompanyLanguage>,
    /// Words by which a contact asks for a person, at most 50.
    #[schema(max_items = 50)]
    handover_keywords: Option<Vec<HandoverKeyword>>,
    /// Opening times by day; null for always.
    #[serde(default, deserialize_with = "input::nullable")]
    #[schema(value_type = Option<BusinessHours>)]
    business_hours: Option<Option<BusinessHours>>,
    /// True when an answer ends with its sources.
    show_sources: Option<bool>,
    /// Reaction to a message without text.
    unsupported_messages: Option<UnsupportedMessages>,
    /// Reaction to a message outside the business hours.
    outside_hours: Option<OutsideHours>,
    /// Minutes without a word of a person after which the bot answers again, 1 to 10,080.
    #[schema(minimum = 1, maximum = 10080)]
    handover_minutes: Option<i32>,
    /// True to save a prompt although golden questions that pass now would fail.
    #[serde(default)]
    pub accept_regressions: bool,
}

impl ConfigPatch {
    /// Validates what the types do not.
    ///
    /// # Errors
    /// Returns 422 with the wrong fields.
    pub fn validate(&self) -> Result<(), ApiError> {
        let mut wrong = Vec::new();
        if self.handover_keywords.as_ref().is_some_and(|words| words.len() > MAX_KEYWORDS) {
            wrong.push(FieldError::new("handover_keywords", format!("must have at most {MAX_KEYWORDS} words")));
        }
        if self.handover_minutes.is_some_and(|minutes| !(1..=MAX_HANDOVER_MINUTES).contains(&minutes)) {
            wrong.push(FieldError::new("handover_minutes", format!("must be between 1 and {MAX_HANDOVER_MINUTES}")));
        }
        if wrong.is_empty() { Ok(()) } else { Err(ApiError::validation(wrong)) }
    }

    /// Returns true when the patch has a sales prompt, or removes one.
    #[must_use]
    pub fn changes_sales_prompts(&self) -> bool {
        self.prompt_botlive_groq_70b.is_some() || self.prompt_botlive_deepseek_v3.is_some()
    }

    /// Returns true when the patch would change what a model that answers from documents is told about `config`.
    #[must_use]
    pub fn changes_answers(&self, config: &CompanyConfig) -> bool {
        let prompt = self.prompt_rag.as_ref().map(|prompt| prompt.as_ref().map(Prompt::as_str));
        prompt.is_some_and(|prompt| prompt != config.prompt_rag.as_deref())
            || self.ai_name.as_ref().is_some_and(|name| name.as_str() != config.ai_name)
    }
}

/// Returns the configuration of the transaction's tenant.
///
/// # Errors
/// Returns any database error.
pub async fn get(tx: &mut TenantTx) -> sqlx::Result<CompanyConfig> {
    sqlx::query_as!(
        CompanyConfig,
        r#"
        select config.company_id, tenant.name as company_name, config.ai_name, config.prompt_rag,
            config.prompt_botlive_groq_70b, config.prompt_botlive_deepseek_v3, config.language, config.handover_keywords,
            config.business_hours, config.show_sources, config.unsupported_messages, config.outside_hours,
            config.handover_minutes, config.updated_at
        from customers tenant
        join company_rag_configs config on config.company_id = (select app.current_company())
        where tenant.id = $1
        "#,
        tx.tenant()
    )
    .fetch_one(tx)
    .await
}

/// Locks the configuration until the transaction ends. A change of the company's name locks the company first.
async fn lock(tx: &mut TenantTx) -> sqlx::Result<()> {
    sqlx::query!("select from customers where id = $1 for no key update", tx.tenant()).execute(&mut *tx).await?;
    sqlx::query!("select from company_rag_configs where company_id = (select app.current_company()) for no key update")
        .execute(tx)
        .await
        .map(drop)
}

/// Changes the configuration of the transaction's tenant and returns it with the names of the changed fields. A change
/// makes a version, by `actor`. `expected` is the configuration against which golden questions were run.
///
/// # Errors
/// Returns 409 `config_changed` when the prompt or the name is no longer that of `expected`, and any database error.
pub async fn change(
    tx: &mut TenantTx,
    actor: Uuid,
    patch: &ConfigPatch,
    expected: &CompanyConfig,
) -> Result<(CompanyConfig, Vec<&'static str>), ApiError> {
    lock(tx).await?;
    let before = get(tx).await?;
    if patch.changes_answers(&before)
        && (&before.prompt_rag, &before.ai_name) != (&expected.prompt_rag, &expected.ai_name)
    {
        let message = "the configuration was changed in the meantime: read it and try again";
        return Err(ApiError::conflict("config_changed", message));
    }
    audit::set_actor(tx, actor).await?;
    if let Some(name) = patch.company_name.as_ref().filter(|name| name.as_str() != before.company_name) {
        sqlx::query!("update customers set name = $2 where id = $1", tx.tenant(), name.as_str())
            .execute(&mut *tx)
            .await?;
    }
    let applied = patch.apply(&before);
    if applied.differs(&before) {
        applied.write(tx).await?;
    }
    let after = get(tx).await?;
    let fields = changed_fields(&before, &after);
    Ok((after, fields))
}

/// Returns the names of the fields in which two configurations differ.
fn changed_fields(before: &CompanyConfig, after: &CompanyConfig) -> Vec<&'static str> {
    let changed = [
        ("company_name", before.company_name != after.company_name),
        ("ai_name", before.ai_name != after.ai_name),
        ("prompt_rag", before.prompt_rag != after.prompt_rag),
        ("prompt_botlive_groq_70b", before.prompt_botlive_groq_70b != after.prompt_botlive_groq_70b),
        ("prompt_botlive_deepseek_v3", before.prompt_botlive_deepseek_v3 != after.prompt_botlive_deepseek_v3),
        ("language", before.language != after.language),
        ("handover_keywords", before.handover_keywords != after.handover_keywords),
        ("business_hours", before.business_hours != after.business_hours),
        ("show_sources", before.show_sources != after.show_sources),
        ("unsupported_messages", before.unsupported_messages != after.unsupported_messages),
        ("outside_hours", before.outside_hours != after.outside_hours),
        ("handover_minutes", before.handover_minutes != after.handover_minutes),
    ];
    changed.into_iter().filter(|(_, is_changed)| *is_changed).map(|(field, _)| field).collect()
}

impl ConfigPatch {
    /// Returns the configuration after the patch. Its company's name is written elsewhere.
    fn apply(&self, before: &CompanyConfig) -> CompanyConfig {
        let prompt = |change: &Option<Option<Prompt>>, before: &Option<String>| match change {
            Some(change) => change.as_ref().map(|Prompt(text)| text.clone()),
            None => before.clone(),
        };
        let keywords = self.handover_keywords.as_ref();
        CompanyConfig {
            ai_name: self.ai_name.as_ref().map_or_else(|| before.ai_name.clone(), |name| name.0.clone()),
            prompt_rag: prompt(&self.prompt_rag, &before.prompt_rag),
            prompt_botlive_groq_70b: prompt(&self.prompt_botlive_groq_70b, &before.prompt_botlive_groq_70b),
            prompt_botlive_deepseek_v3: prompt(&self.prompt_botlive_deepseek_v3, &before.prompt_botlive_deepseek_v3),
            language: self.language.map_or_else(|| before.language.clone(), |language| language.as_str().to_owned()),
            handover_keywords: keywords.map_or_else(
                || before.handover_keywords.clone(),
                |words| words.iter().map(|HandoverKeyword(word)| word.clone()).collect(),
            ),
            business_hours: match &self.business_hours {
                Some(hours) => hours.as_ref().map(BusinessHours::to_json),
                None => before.business_hours.clone(),
            },
            show_sources: self.show_sources.unwrap_or(before.show_sources),
            unsupported_messages: match self.unsupported_messages {
                Some(UnsupportedMessages::Reply) => "reply".to_owned(),
                Some(UnsupportedMessages::HandOver) => "hand_over".to_owned(),
                None => before.unsupported_messages.clone(),
            },
            outside_hours: match self.outside_hours {
                Some(OutsideHours::Answer) => "answer".to_owned(),
                Some(OutsideHours::HandOver) => "hand_over".to_owned(),
                None => before.outside_hours.clone(),
            },
            handover_minutes: self.handover_minutes.unwrap_or(before.handover_minutes),
            ..before.clone()
        }
    }
}

impl CompanyConfig {
    /// Returns true when a field of the table differs.
    fn differs(&self, other: &Self) -> bool {
        !changed_fields(other, self).is_empty()
    }

    async fn write(&self, tx: &mut TenantTx) -> sqlx::Result<()> {
        sqlx::query!(
            r#"
            update company_rag_configs set ai_name = $1, prompt_rag = $2, prompt_botlive_groq_70b = $3,
                prompt_botlive_deepseek_v3 = $4, language = $5, handover_keywords = $6, business_hours = $7,
                show_sources = $8, unsupported_messages = $9, outside_hours = $10, handover_minutes = $11
            where company_id = (select app.current_company())
            "#,
            self.ai_name,
            self.prompt_rag,
            self.prompt_botlive_groq_70b,
            self.prompt_botlive_deepseek_v3,
            self.language,
            &self.handover_keywords,
            self.business_hours,
            self.show_sources,
            self.unsupported_messages,
            self.outside_hours,
            self.handover_minutes
        )
        .execute(tx)
        .await
        .map(drop)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn patch(body: Value) -> Result<ConfigPatch, serde_json::Error> {
        serde_json::from_value(body)
    }

    #[test]
    fn a_patch_refuses_unknown_fields_and_values_out_of_range() {
        for body in [
            json!({ "embedding_model": "x" }),
            json!({ "ai_name": "" }),
            json!({ "prompt_rag": "x".repeat(20_001) }),
            json!({ "language": "de" }),
            json!({ "handover_keywords": [""] }),
            json!({ "outside_hours": "sleep" }),
        ] {
            assert!(patch(body.clone()).is_err(), "{body}");
        }
        for body in [json!({ "handover_minutes": 0 }), json!({ "handover_keywords": vec!["a"; 51] })] {
            assert!(patch(body.clone()).unwrap().validate().is_err(), "{body}");
        }
        assert!(matches!(patch(json!({ "prompt_rag": null })).unwrap().prompt_rag, Some(None)));
    }
}
