//! Reads `.env.example`: sections, and settings with their defaults and descriptions.

use anyhow::{Result, bail, ensure};

/// A place where a deployment keeps a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// The function's environment, in template.yaml.
    Environment,
    /// The secret `lisa/<environment>/app`.
    AppSecret,
    /// The secret `lisa/<environment>/ingest`.
    IngestSecret,
    /// The secret `lisa/<environment>/system`.
    SystemSecret,
    /// The environment variables that Lambda sets by itself.
    Lambda,
}

impl Place {
    const ALL: [Self; 5] = [Self::Environment, Self::AppSecret, Self::IngestSecret, Self::SystemSecret, Self::Lambda];

    /// The mark at the beginning of a description.
    const fn mark(self) -> &'static str {
        match self {
            Self::Environment => "[env]",
            Self::AppSecret => "[app]",
            Self::IngestSecret => "[ingest]",
            Self::SystemSecret => "[system]",
            Self::Lambda => "[lambda]",
        }
    }

    /// The words for the table.
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Environment => "environment",
            Self::AppSecret => "the app secret",
            Self::IngestSecret => "the ingest secret",
            Self::SystemSecret => "the system secret",
            Self::Lambda => "set by Lambda",
        }
    }
}

/// A setting as .env.example describes it.
#[derive(Debug)]
pub(super) struct DescribedSetting {
    /// The name.
    pub(super) name: String,
    /// The value; empty without a default.
    pub(super) default: String,
    /// The heading above it.
    pub(super) section: String,
    /// The places where a deployment keeps it.
    pub(super) places: Vec<Place>,
    /// The comment above it, without the places.
    pub(super) description: String,
}

/// Parses the text of .env.example. The comment before the first section belongs to no setting.
///
/// # Errors
/// Fails for a setting without a section or a description, for a setting that stands there twice, and for a comment
/// without a setting.
pub(super) fn parse(text: &str) -> Result<Vec<DescribedSetting>> {
    let mut settings: Vec<DescribedSetting> = Vec::new();
    let (mut section, mut comment) = (String::new(), String::new());
    for line in text.lines().map(str::trim) {
        if let Some(title) = line.strip_prefix("# ---- ").and_then(|rest| rest.strip_suffix(" ----")) {
            title.clone_into(&mut section);
        } else if let Some(more) = line.strip_prefix('#') {
            comment.push_str(if comment.is_empty() { "" } else { " " });
            comment.push_str(more.trim());
        } else if let Some((name, default)) = line.split_once('=') {
            ensure!(!section.is_empty(), "{name} is in no section");
            ensure!(settings.iter().all(|setting| setting.name != name), "{name} stands there twice");
            let (places, description) = split_places(&comment);
            ensure!(!description.is_empty(), "{name} has no description");
            settings.push(DescribedSetting {
                name: name.to_owned(),
                default: default.to_owned(),
                section: section.clone(),
                places,
                description: description.to_owned(),
            });
            comment.clear();
        } else if line.is_empty() {
            ensure!(section.is_empty() || comment.is_empty(), "this comment describes no setting: {comment}");
            comment.clear();
        } else {
            bail!("this is neither a comment nor a setting: {line}");
        }
    }
    Ok(settings)
}

/// Splits the places off the beginning of a description.
fn split_places(comment: &str) -> (Vec<Place>, &str) {
    let (mut places, mut rest) = (Vec::new(), comment);
    while let Some((place, after)) =
        Place::ALL.into_iter().find_map(|place| Some((place, rest.strip_prefix(place.mark())?)))
    {
        places.push(place);
        rest = after.trim_start();
    }
    (places, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_has_its_section_places_description_and_default() {
        let text = "# About this file.\n\n# ---- Models ----\n\n# [app] [system] A key, made\n# by hand.\nKEY=\n\
                    # Names = values.\nNAMES=a,b=c\n";
        let settings = parse(text).unwrap();
        let (key, names) = (&settings[0], &settings[1]);
        assert_eq!((key.name.as_str(), key.default.as_str(), key.section.as_str()), ("KEY", "", "Models"));
        assert_eq!(key.places, [Place::AppSecret, Place::SystemSecret]);
        assert_eq!(key.description, "A key, made by hand.");
        assert_eq!((names.default.as_str(), names.description.as_str()), ("a,b=c", "Names = values."));
        assert!(names.places.is_empty());
    }

    #[test]
    fn a_setting_without_a_description_and_a_comment_without_a_setting_are_refused() {
        for (text, problem) in [
            ("# A key.\nKEY=\n", "KEY is in no section"),
            ("# ---- Keys ----\nKEY=\n", "KEY has no description"),
            ("# ---- Keys ----\n# [app]\nKEY=\n", "KEY has no description"),
            ("# ---- Keys ----\n# A.\nKEY=\n# B.\nKEY=\n", "KEY stands there twice"),
            ("# ---- Keys ----\n# A key.\n\nKEY=\n", "this comment describes no setting: A key."),
            ("# ---- Keys ----\nexport KEY\n", "this is neither a comment nor a setting: export KEY"),
        ] {
            assert_eq!(parse(text).unwrap_err().to_string(), problem);
        }
    }
}
