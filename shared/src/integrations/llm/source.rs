//! Sources as customers read them: a document's name, its version where there are several, and the place in it.

use super::types::{DocumentVersion, Passage};
use crate::text::Language;

impl DocumentVersion {
    /// Returns the version's date, with the time where the date alone does not tell it apart: `version du 29/11/2026`, or
    /// `version of 2026-11-29`.
    #[must_use]
    pub fn label(&self, language: Language) -> String {
        let format = match (language, self.shares_day) {
            (Language::French, false) => "version du %d/%m/%Y",
            (Language::French, true) => "version du %d/%m/%Y à %H:%M:%S",
            (_, false) => "version of %Y-%m-%d",
            (_, true) => "version of %Y-%m-%d at %H:%M:%S",
        };
        self.uploaded.format(format).to_string()
    }
}

impl Passage {
    /// Returns the document's name, with its version where there are several: `tarifs.pdf, version du 29/11/2026`.
    #[must_use]
    pub fn title(&self, language: Language) -> String {
        match &self.version {
            None => self.filename.clone(),
            Some(version) => format!("{}, {}", self.filename, version.label(language)),
        }
    }

    /// Returns the place of the passage in its document: `p. 3`.
    #[must_use]
    pub fn location(&self) -> String {
        format!("p. {}", self.page_start)
    }

    /// Returns title and place: `tarifs.pdf, p. 3`.
    #[must_use]
    pub fn source(&self, language: Language) -> String {
        format!("{}, {}", self.title(language), self.location())
    }
}
