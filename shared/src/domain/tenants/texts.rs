//! The sentences by which a company speaks to its customers: the greeting, the refusal when the documents hold no answer,
//! and the notice of a handover. Each has a default per language. The column `company_rag_configs.customer_texts` has
//! the company's own.

use serde::{Deserialize, Serialize};
use sqlx::types::Json;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{audit, db::TenantTx, input, text::Language};

/// Maximum length of a sentence, in characters. A part of a message on WhatsApp has at most 1,500.
const MAX_SENTENCE_CHARS: usize = 1_000;
/// Place of the assistant's name in a greeting.
const ASSISTANT_PLACE: &str = "{assistant}";
/// Place of the company's name in a greeting.
const COMPANY_PLACE: &str = "{company}";

/// Language of a company.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub enum CompanyLanguage {
    /// French.
    #[serde(rename = "fr")]
    French,
    /// English.
    #[serde(rename = "en")]
    English,
}

impl CompanyLanguage {
    /// Returns the ISO 639-1 code.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::French => "fr",
            Self::English => "en",
        }
    }
}

/// A sentence of a company, 1 to 1,000 characters.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(value_type = String, min_length = 1, max_length = 1000)]
pub struct Sentence(String);

impl TryFrom<String> for Sentence {
    type Error = input::UnusableText;

    fn try_from(text: String) -> Result<Self, input::UnusableText> {
        input::several_lines(&text, 1, MAX_SENTENCE_CHARS).map(Self)
    }
}

/// A text in the languages of the product.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct LocalizedText {
    /// In French.
    #[serde(skip_serializing_if = "Option::is_none")]
    fr: Option<String>,
    /// In English.
    #[serde(skip_serializing_if = "Option::is_none")]
    en: Option<String>,
}

impl LocalizedText {
    fn get(&self, language: Language) -> Option<&str> {
        match language {
            Language::English => self.en.as_deref(),
            _ => self.fr.as_deref(),
        }
    }

    fn apply(&mut self, patch: Option<&Option<LocalizedTextPatch>>) {
        match patch {
            None => {}
            Some(None) => *self = Self::default(),
            Some(Some(patch)) => {
                for (text, change) in [(&mut self.fr, &patch.fr), (&mut self.en, &patch.en)] {
                    if let Some(change) = change {
                        *text = change.as_ref().map(|Sentence(text)| text.clone());
                    }
                }
            }
        }
    }
}

/// Change of a text. An omitted language stays unchanged.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LocalizedTextPatch {
    /// In French; null for the product's sentence.
    #[serde(default, deserialize_with = "input::nullable")]
    #[schema(value_type = Option<Sentence>)]
    fr: Option<Option<Sentence>>,
    /// In English; null for the product's sentence.
    #[serde(default, deserialize_with = "input::nullable")]
    #[schema(value_type = Option<Sentence>)]
    en: Option<Option<Sentence>>,
}

/// The own sentences of a company.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CompanyTexts {
    greeting: LocalizedText,
    refusal: LocalizedText,
    handover: LocalizedText,
}

/// The names and the language by which a company speaks to its customers.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The company's name: `customers.name`, which is the only one.
    pub company: String,
    /// The assistant's name.
    pub assistant: String,
    /// The language for customers whose own language is not known.
    pub language: Language,
    /// The company's own sentences.
    pub texts: CompanyTexts,
}

impl Identity {
    /// The names by which a customer may address the company, the longer one first.
    #[must_use]
    pub fn names(&self) -> [&str; 2] {
        if self.company.len() > self.assistant.len() {
            [&self.company, &self.assistant]
        } else {
            [&self.assistant, &self.company]
        }
    }
}

/// Returns how the transaction's tenant speaks to its customers.
///
/// # Errors
/// Returns any database error.
pub async fn identity(tx: &mut TenantTx) -> sqlx::Result<Identity> {
    let row = sqlx::query!(
        r#"
        select tenant.name, config.ai_name, config.language, config.customer_texts as "texts: Json<CompanyTexts>"
        from customers tenant
        join company_rag_configs config on config.company_id = (select app.current_company())
        where tenant.id = $1
        "#,
        tx.tenant()
    )
    .fetch_one(tx)
    .await?;
    Ok(Identity {
        company: row.name,
        assistant: row.ai_name,
        language: Language::from_code(&row.language),
        texts: row.texts.0,
    })
}

impl Identity {
    /// Returns the introduction of the assistant. `{assistant}` and `{company}` in the company's own stand for the names.
    #[must_use]
    pub fn greeting(&self, language: Language) -> String {
        let Self { assistant, company, .. } = self;
        match (self.texts.greeting.get(language), language) {
            (Some(own), _) => own.replace(ASSISTANT_PLACE, assistant).replace(COMPANY_PLACE, company),
            (None, Language::English) => format!("Hello! I am {assistant}, the virtual assistant of {company}."),
            (None, _) => format!("Bonjour ! Je suis {assistant}, l’assistant virtuel de {company}."),
        }
    }

    /// Returns the company's own refusal; `None` where the product's is given.
    #[must_use]
    pub fn own_refusal(&self, language: Language) -> Option<String> {
        self.texts.refusal.get(language).map(str::to_owned)
    }

    /// Returns the answer on WhatsApp when the documents hold none.
    #[must_use]
    pub fn refusal(&self, language: Language) -> String {
        self.own_refusal(language).unwrap_or_else(|| {
            match language {
                Language::English => {
                    "I could not find the answer in our documents. Could you be more specific? Write HUMAN to speak with \
                     a person."
                }
                _ => {
                    "Je n’ai pas trouvé la réponse dans nos documents. Pouvez-vous préciser votre question ? Écrivez \
                     CONSEILLER pour parler à une personne."
                }
            }
            .to_owned()
        })
    }

    /// Returns the notice of a handover to a person within the business hours.
    #[must_use]
    pub fn handover(&self, language: Language) -> String {
        let default = match language {
            Language::English => "I am handing you over to a person of our team, who will answer you here.",
            _ => "Je vous mets en relation avec une personne de notre équipe, qui vous répondra ici.",
        };
        self.texts.handover.get(language).unwrap_or(default).to_owned()
    }
}

/// The sentences in force, in both languages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct SentencesInForce {
    /// First words of the assistant to a customer.
    pub greeting: BothLanguages,
    /// Answer when the documents hold none.
    pub refusal: BothLanguages,
    /// Notice of a handover to a person.
    pub handover: BothLanguages,
}

/// A sentence in both languages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct BothLanguages {
    /// In French.
    fr: String,
    /// In English.
    en: String,
}

impl SentencesInForce {
    pub(super) fn of(identity: &Identity) -> Self {
        let both = |sentence: &dyn Fn(Language) -> String| BothLanguages {
            fr: sentence(Language::French),
            en: sentence(Language::English),
        };
        Self {
            greeting: both(&|language| identity.greeting(language)),
            refusal: both(&|language| identity.refusal(language)),
            handover: both(&|language| identity.handover(language)),
        }
    }
}

/// Changes to the language and the sentences of a company.
pub(super) struct TextsPatch<'a> {
    pub(super) language: Option<CompanyLanguage>,
    pub(super) greeting: Option<&'a Option<LocalizedTextPatch>>,
    pub(super) refusal: Option<&'a Option<LocalizedTextPatch>>,
    pub(super) handover: Option<&'a Option<LocalizedTextPatch>>,
}

/// Updates the language and the sentences of the transaction's tenant, and returns the names of the changed fields. A
/// change makes a version of the configuration, by `actor`.
pub(super) async fn change(tx: &mut TenantTx, actor: Uuid, patch: &TextsPatch<'_>) -> sqlx::Result<Vec<&'static str>> {
    let before = sqlx::query!(
        r#"
        select language, customer_texts as "customer_texts: Json<CompanyTexts>" from company_rag_configs
        where company_id = (select app.current_company()) for no key update
        "#
    )
    .fetch_one(&mut *tx)
    .await?;
    let mut texts = before.customer_texts.0.clone();
    texts.greeting.apply(patch.greeting);
    texts.refusal.apply(patch.refusal);
    texts.handover.apply(patch.handover);
    let language = patch.language.map_or(before.language.as_str(), |language| language.as_str());
    let known = &before.customer_texts.0;
    let changed = [
        ("language", language != before.language),
        ("greeting", texts.greeting != known.greeting),
        ("refusal", texts.refusal != known.refusal),
        ("handover", texts.handover != known.handover),
    ];
    let changed: Vec<_> = changed.into_iter().filter(|(_, is_changed)| *is_changed).map(|(field, _)| field).collect();
    if !changed.is_empty() {
        audit::set_actor(tx, actor).await?;
        sqlx::query!(
            r#"
            update company_rag_configs set language = $1, customer_texts = $2
            where company_id = (select app.current_company())
            "#,
            language,
            Json(&texts) as _
        )
        .execute(tx)
        .await?;
    }
    Ok(changed)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn identity(texts: serde_json::Value) -> Identity {
        Identity {
            company: "Comptoir Baobab".to_owned(),
            assistant: "Lisa".to_owned(),
            language: Language::French,
            texts: serde_json::from_value(texts).unwrap(),
        }
    }

    #[test]
    fn a_missing_sentence_is_the_default_of_its_language() {
        let identity = identity(json!({ "greeting": { "en": "Hi, {assistant} of {company} here." } }));
        assert_eq!(identity.greeting(Language::English), "Hi, Lisa of Comptoir Baobab here.");
        let french = "Bonjour ! Je suis Lisa, l’assistant virtuel de Comptoir Baobab.";
        assert_eq!(identity.greeting(Language::French), french);
        assert_eq!(identity.greeting(Language::Other), french);
        assert!(identity.refusal(Language::English).starts_with("I could not find"));
        assert_eq!(identity.own_refusal(Language::French), None);
    }

    #[test]
    fn a_patch_changes_one_language_and_null_restores_the_default() {
        let mut text = LocalizedText { fr: Some("a".to_owned()), en: Some("b".to_owned()) };
        let patch = |body| serde_json::from_value::<LocalizedTextPatch>(body).unwrap();
        text.apply(Some(&Some(patch(json!({ "fr": " c " })))));
        assert_eq!(text, LocalizedText { fr: Some("c".to_owned()), en: Some("b".to_owned()) });
        text.apply(Some(&Some(patch(json!({ "en": null })))));
        assert_eq!(text, LocalizedText { fr: Some("c".to_owned()), en: None });
        text.apply(None);
        assert_eq!(text.fr.as_deref(), Some("c"));
        text.apply(Some(&None));
        assert_eq!(text, LocalizedText::default());
        assert!(serde_json::from_value::<LocalizedTextPatch>(json!({ "de": "x" })).is_err());
    }
}
