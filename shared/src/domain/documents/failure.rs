//! Reasons why a document could not be processed, each with its code and the advice for the document's owner in French
//! and English.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::MAX_MIB;
use crate::{
    files::{MAX_COLUMNS, MAX_ROWS},
    pdf::MAX_PAGES,
    text::Language,
};

/// Reason why a document could not be processed. A person can act on each of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DocumentFailure {
    /// The file needs a password.
    Encrypted,
    /// The file is damaged beyond repair.
    Corrupt,
    /// The file has no text: images only, or empty pages.
    NoText,
    /// The file has more pages than [`crate::pdf::PdfLimits`] allows.
    TooManyPages,
    /// The file is larger than [`MAX_BYTES`](super::MAX_BYTES), or holds more text than any real document.
    TooLarge,
    /// The text could not be extracted within a minute.
    TimedOut,
    /// The document was announced, but its file was never uploaded.
    NotUploaded,
    /// The embedding provider failed on every attempt.
    EmbeddingFailed,
    /// The vision models failed to read the scanned pages on every attempt.
    ScanFailed,
    /// Reading the scanned pages would exceed the cost limit of one document.
    ScanTooCostly,
    /// The company's model budget for this period ran out before all scanned pages were read. An account without a
    /// confirmed address or a plan may have none, and may read a number of documents a day.
    SpendCapReached,
    /// The file has another size than was announced. It is not kept.
    SizeMismatch,
    /// The file has more chunks of text than the plan allows for one document.
    TooMuchText,
    /// The texts of all documents together would have more characters than the plan allows.
    TextLimitReached,
    /// Processing failed on every attempt, for a reason outside the file.
    ProcessingFailed,
    /// The file is a dynamic XFA form: its pages only ask for another program.
    XfaForm,
    /// The file is a portfolio: its contents are attached files.
    Portfolio,
    /// The reader failed on the file, also in its plainer mode. The file may be sound.
    ReaderFailed,
    /// The content is of another format than the file name says.
    FormatMismatch,
    /// The tables have more rows or columns than [`crate::files`] allows.
    TooManyRows,
    /// The OCR models of the installation are missing or damaged, and the file has scanned pages.
    OcrUnavailable,
}

impl DocumentFailure {
    const ALL: [Self; 21] = [
        Self::Encrypted,
        Self::Corrupt,
        Self::NoText,
        Self::TooManyPages,
        Self::TooLarge,
        Self::TimedOut,
        Self::NotUploaded,
        Self::EmbeddingFailed,
        Self::ScanFailed,
        Self::ScanTooCostly,
        Self::SpendCapReached,
        Self::SizeMismatch,
        Self::TooMuchText,
        Self::TextLimitReached,
        Self::ProcessingFailed,
        Self::XfaForm,
        Self::Portfolio,
        Self::ReaderFailed,
        Self::FormatMismatch,
        Self::TooManyRows,
        Self::OcrUnavailable,
    ];

    /// Returns the error code, as stored in `documents.error_code` and shown in the API.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Encrypted => "encrypted",
            Self::Corrupt => "corrupt",
            Self::NoText => "no_text",
            Self::TooManyPages => "too_many_pages",
            Self::TooLarge => "too_large",
            Self::TimedOut => "timed_out",
            Self::NotUploaded => "not_uploaded",
            Self::EmbeddingFailed => "embedding_failed",
            Self::ScanFailed => "scan_failed",
            Self::ScanTooCostly => "scan_too_costly",
            Self::SpendCapReached => "spend_cap_reached",
            Self::SizeMismatch => "size_mismatch",
            Self::TooMuchText => "too_much_text",
            Self::TextLimitReached => "text_limit_reached",
            Self::ProcessingFailed => "processing_failed",
            Self::XfaForm => "xfa_form",
            Self::Portfolio => "portfolio",
            Self::ReaderFailed => "reader_failed",
            Self::FormatMismatch => "format_mismatch",
            Self::TooManyRows => "too_many_rows",
            Self::OcrUnavailable => "ocr_unavailable",
        }
    }

    /// Returns the failure with this error code; `None` for an unknown code.
    #[must_use]
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|failure| failure.code() == code)
    }

    /// Returns the explanation and advice for the document's owner: in French, or in English for any other language.
    #[must_use]
    pub fn reason(self, language: Language) -> Cow<'static, str> {
        match language {
            Language::French => self.reason_in_french(),
            _ => self.reason_in_english(),
        }
    }

    fn reason_in_french(self) -> Cow<'static, str> {
        let text = match self {
            Self::TooManyPages => {
                return format!("Le fichier a plus de {MAX_PAGES} pages. Divisez-le et envoyez les parties.").into();
            }
            Self::TooLarge => {
                return format!("Le fichier dépasse {MAX_MIB} Mo. Compressez-le ou divisez-le.").into();
            }
            Self::TooManyRows => {
                return format!("Les tableaux du fichier ont plus de {MAX_ROWS} lignes ou {MAX_COLUMNS} colonnes. Divisez-le et envoyez les parties.").into();
            }
            Self::FormatMismatch => {
                "Le contenu du fichier n'est pas du type que son nom indique. Renvoyez-le avec la bonne extension, ou exportez-le à nouveau."
            }
            Self::Encrypted => {
                "Le fichier est protégé par un mot de passe. Enregistrez-le sans mot de passe et renvoyez-le."
            }
            Self::Corrupt => {
                "Le fichier est endommagé ou illisible. Exportez-le à nouveau depuis sa source et renvoyez-le."
            }
            Self::NoText => {
                "Le fichier contient des images mais pas de texte. Passez-le à la reconnaissance de texte (OCR) et renvoyez-le."
            }
            Self::TimedOut => "Le fichier est trop long à lire. Exportez-le à nouveau sous une forme plus simple.",
            Self::NotUploaded => "Le fichier n'est jamais arrivé. Envoyez-le à nouveau.",
            Self::EmbeddingFailed => "Le texte n'a pas pu être indexé pour l'instant. Réessayez plus tard.",
            Self::ScanFailed => "Les pages numérisées n'ont pas pu être lues pour l'instant. Réessayez plus tard.",
            Self::ScanTooCostly => {
                "Le fichier a trop de pages numérisées. Divisez-le, ou passez-le à la reconnaissance de texte (OCR), et renvoyez-le."
            }
            Self::SpendCapReached => {
                "Le budget de la période est épuisé avant la lecture de tout le document. Réessayez à la prochaine période, ou demain si votre adresse n'est pas confirmée, confirmez-la ou changez de formule : les pages déjà lues le restent."
            }
            Self::SizeMismatch => "Le fichier n'a pas la taille annoncée. Envoyez-le à nouveau avec sa taille exacte.",
            Self::TooMuchText => {
                "Le fichier contient plus de texte que la formule n'en permet pour un document. Divisez-le ou changez de formule."
            }
            Self::TextLimitReached => {
                "Les documents contiennent ensemble autant de texte que la formule en permet. Supprimez un document ou changez de formule, puis réessayez."
            }
            Self::ProcessingFailed => "Le fichier n'a pas pu être traité pour l'instant. Réessayez plus tard.",
            Self::XfaForm => {
                "Le fichier est un formulaire dynamique (XFA), que seuls certains programmes affichent. Ouvrez-le, imprimez-le dans un fichier PDF et envoyez celui-ci."
            }
            Self::Portfolio => {
                "Le fichier est un porte-documents PDF, qui contient d'autres fichiers. Enregistrez-les et envoyez-les un par un."
            }
            Self::ReaderFailed => {
                "Notre lecteur a échoué sur ce fichier, qui n'est peut-être pas en cause. Imprimez-le dans un nouveau fichier PDF et envoyez celui-ci."
            }
            Self::OcrUnavailable => {
                "La lecture des pages numérisées est en panne chez nous ; le fichier n'est pas en cause. Signalez-le nous et réessayez plus tard."
            }
        };
        text.into()
    }

    fn reason_in_english(self) -> Cow<'static, str> {
        let text = match self {
            Self::TooManyPages => {
                return format!("The file has more than {MAX_PAGES} pages. Split it and upload the parts.").into();
            }
            Self::TooLarge => {
                return format!("The file is larger than {MAX_MIB} MB. Compress or split it.").into();
            }
            Self::TooManyRows => {
                return format!("The tables of the file have more than {MAX_ROWS} rows or {MAX_COLUMNS} columns. Split it and upload the parts.").into();
            }
            Self::FormatMismatch => {
                "The content of the file is not of the type that its name says. Upload it with the right extension, or export it again."
            }
            Self::Encrypted => "The file is protected by a password. Save it without one and upload it again.",
            Self::Corrupt => {
                "The file is damaged or not readable. Export it again from its source and upload it again."
            }
            Self::NoText => "The file holds images but no text. Run text recognition (OCR) on it and upload it again.",
            Self::TimedOut => "The file took too long to read. Export it again in a simpler form.",
            Self::NotUploaded => "The file never arrived. Upload it again.",
            Self::EmbeddingFailed => "The text could not be indexed for now. Try again later.",
            Self::ScanFailed => "The scanned pages could not be read for now. Try again later.",
            Self::ScanTooCostly => {
                "The file has too many scanned pages. Split it, or run text recognition (OCR) on it, and upload it again."
            }
            Self::SpendCapReached => {
                "This period's budget ran out before the whole document was read. Try again next period, or tomorrow if your address is not confirmed, confirm it or change the plan: pages already read stay read."
            }
            Self::SizeMismatch => "The file does not have the announced size. Upload it again with its exact size.",
            Self::TooMuchText => {
                "The file holds more text than the plan allows for one document. Split it or change the plan."
            }
            Self::TextLimitReached => {
                "The documents together hold as much text as the plan allows. Delete a document or change the plan, then try again."
            }
            Self::ProcessingFailed => "The file could not be processed for now. Try again later.",
            Self::XfaForm => {
                "The file is a dynamic form (XFA), which only some programs display. Open it, print it to a PDF file and upload that."
            }
            Self::Portfolio => "The file is a PDF portfolio of other files. Save them and upload them one by one.",
            Self::ReaderFailed => {
                "Our reader failed on this file, which may be sound. Print it to a new PDF file and upload that."
            }
            Self::OcrUnavailable => {
                "Our reading of scanned pages is out of order; the file is not to blame. Tell us and try again later."
            }
        };
        text.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_failure_has_a_code_and_two_explanations() {
        for failure in DocumentFailure::ALL {
            assert_eq!(DocumentFailure::from_code(failure.code()), Some(failure));
            assert_eq!(serde_json::to_value(failure).unwrap(), failure.code());
            assert_ne!(failure.reason(Language::French), failure.reason(Language::English));
        }
        let reason = |failure: DocumentFailure| failure.reason(Language::French);
        assert!(reason(DocumentFailure::TooManyPages).contains("plus de 200 pages"));
        assert!(reason(DocumentFailure::TooLarge).contains("dépasse 20 Mo"));
    }
}
