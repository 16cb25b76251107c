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
    /// Returns the document's title, with its version where there are several: `tarifs, version du 29/11/2026`.
    #[must_use]
    pub fn versioned_title(&self, language: Language) -> String {
        let title = self.display_title();
        match &self.version {
            None => title,
            Some(version) => format!("{title}, {}", version.label(language)),
        }
    }

    /// Returns the place of a quote in its document: `p. 3`, or `Feuille Tarifs, ligne 12`. An empty quote stands for the
    /// whole passage.
    #[must_use]
    pub fn location(&self, quote: &str, language: Language) -> String {
        match &self.place {
            None => format!("p. {}", self.page_start),
            Some(place) => place.label(quote, language),
        }
    }

    /// Returns the page of the passage, from 1; `None` in a file without pages.
    #[must_use]
    pub fn page(&self) -> Option<i32> {
        self.place.is_none().then_some(self.page_start)
    }

    /// Returns title and place of a quote: `tarifs, p. 3`.
    #[must_use]
    pub fn source(&self, quote: &str, language: Language) -> String {
        format!("{}, {}", self.versioned_title(language), self.location(quote, language))
    }
}
