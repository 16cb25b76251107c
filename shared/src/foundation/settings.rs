//! Settings: a map that each function gets at its start and reads once. One error lists everything missing or
//! malformed. Nothing reads the process environment, because all functions share one process in the local stack.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    str::FromStr,
    time::Duration,
};

use sqlx::postgres::PgConnectOptions;
use url::Url;

/// The settings of a function by name: environment variables and the keys of its secret.
pub type SettingsMap = BTreeMap<String, String>;

/// The form of a setting's value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SettingKind {
    /// Any text.
    Text,
    /// An `http` or `https` URL.
    Url,
    /// A URL that names a server, a user and a password.
    ConnectionString,
    /// A whole number.
    Number,
    /// A duration in whole seconds.
    Seconds,
    /// A level of severity in the log.
    LogLevel,
    /// Texts, separated by commas.
    List,
    /// A JSON object.
    Json,
    /// A text that must not be shown.
    Secret,
    /// Secrets, separated by commas.
    SecretList,
}

impl SettingKind {
    /// The words for a table of settings.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Url => "URL",
            Self::ConnectionString => "connection string",
            Self::Number => "number",
            Self::Seconds => "seconds",
            Self::LogLevel => "log level",
            Self::List => "list",
            Self::Json => "JSON",
            Self::Secret => "secret",
            Self::SecretList => "list of secrets",
        }
    }
}

/// A setting as code reads it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SettingSpec {
    /// The name.
    pub name: &'static str,
    /// The form of the value.
    pub kind: SettingKind,
    /// The value that counts when the setting is absent, as it would be written; `None` without a default.
    pub default: Option<String>,
}

/// Record of the settings that a function reads.
#[derive(Debug, Clone, Default)]
pub struct SettingsRead {
    /// The settings. Two reads of one setting in two ways are two entries.
    pub specs: BTreeSet<SettingSpec>,
    /// The names of the settings that were reported as missing.
    pub missing: BTreeSet<&'static str>,
    /// Everything missing or malformed, one text each, without values. Empty when a function starts with these settings.
    pub problems: Vec<String>,
}

impl SettingsRead {
    /// The names of the settings, sorted.
    #[must_use]
    pub fn names(&self) -> BTreeSet<&'static str> {
        self.specs.iter().map(|spec| spec.name).collect()
    }
}

/// A reader of settings. It records every setting that is asked for and every problem.
///
/// Reading a wrong value records a problem and returns a harmless stand-in. [`Settings::finish`] then fails with all
/// problems, so no stand-in is ever used.
#[derive(Debug, Default)]
pub struct Settings {
    values: SettingsMap,
    read: SettingsRead,
    problems: Vec<String>,
}

/// All problems of a function's settings, one text each.
#[derive(Debug, thiserror::Error)]
#[error("settings are not usable: {}", .0.join("; "))]
pub struct InvalidSettings(pub Vec<String>);

impl Settings {
    /// A reader of `values`. An empty value counts as absent, like `NAME=` in an environment file.
    #[must_use]
    pub fn new(mut values: SettingsMap) -> Self {
        values.retain(|_, value| !value.trim().is_empty());
        Self { values, ..Self::default() }
    }

    /// Ends reading.
    ///
    /// # Errors
    /// [`InvalidSettings`] with every missing or malformed setting. It never contains values, which may be secrets.
    pub fn finish(self) -> Result<(), InvalidSettings> {
        if self.problems.is_empty() { Ok(()) } else { Err(InvalidSettings(self.problems)) }
    }

    /// Ends reading and returns what was asked for. `docs/SETTINGS.md` is generated from it.
    #[must_use]
    pub fn into_read(self) -> SettingsRead {
        SettingsRead { problems: self.problems, ..self.read }
    }

    /// Records a problem, for example two settings that exclude each other.
    pub fn problem(&mut self, text: impl fmt::Display) {
        let text = text.to_string();
        // Two clients may read one setting, and would report its problem twice.
        if !self.problems.contains(&text) {
            self.problems.push(text);
        }
    }

    /// Records that a setting is missing. `hint` follows in the problem's text; it is empty or begins with a space.
    pub fn missing(&mut self, name: &'static str, hint: &str) {
        self.read.missing.insert(name);
        self.problem(format_args!("{name} is missing{hint}"));
    }

    /// Reads an optional text.
    pub fn optional(&mut self, name: &'static str) -> Option<String> {
        self.optional_of(SettingKind::Text, name)
    }

    /// Reads an optional value of another form. The form is not checked here.
    pub fn optional_of(&mut self, kind: SettingKind, name: &'static str) -> Option<String> {
        self.value(kind, name, None)
    }

    /// Reads a required text.
    pub fn required(&mut self, name: &'static str) -> String {
        self.required_of(SettingKind::Text, name)
    }

    /// Reads a required value of another form. The form is not checked here.
    pub fn required_of(&mut self, kind: SettingKind, name: &'static str) -> String {
        self.optional_of(kind, name).unwrap_or_else(|| {
            self.missing(name, "");
            String::new()
        })
    }

    /// Reads a text with a default.
    pub fn text(&mut self, name: &'static str, default: &str) -> String {
        self.value(SettingKind::Text, name, Some(default.to_owned())).unwrap_or_else(|| default.to_owned())
    }

    /// Reads an optional secret.
    pub fn optional_secret(&mut self, name: &'static str) -> Option<String> {
        self.optional_of(SettingKind::Secret, name)
    }

    /// Reads a comma-separated list of secrets; empty when the setting is absent.
    pub fn secrets(&mut self, name: &'static str) -> Vec<String> {
        split_list(&self.optional_of(SettingKind::SecretList, name).unwrap_or_default())
    }

    /// Reads a number with a default.
    pub fn number<T: FromStr<Err: fmt::Display> + fmt::Display>(&mut self, name: &'static str, default: T) -> T {
        let value = self.value(SettingKind::Number, name, Some(default.to_string()));
        self.parse(name, value).unwrap_or(default)
    }

    /// Reads an optional number.
    pub fn optional_number<T: FromStr<Err: fmt::Display>>(&mut self, name: &'static str) -> Option<T> {
        let value = self.optional_of(SettingKind::Number, name);
        self.parse(name, value)
    }

    /// Reads a duration in whole seconds. `default` is in seconds too.
    pub fn seconds(&mut self, name: &'static str, default: u64) -> Duration {
        let value = self.value(SettingKind::Seconds, name, Some(default.to_string()));
        Duration::from_secs(self.parse(name, value).unwrap_or(default))
    }

    /// Reads a level of severity with a default.
    fn log_level(&mut self, name: &'static str, default: tracing::Level) -> tracing::Level {
        let value = self.value(SettingKind::LogLevel, name, Some(default.to_string().to_lowercase()));
        self.parse(name, value).unwrap_or(default)
    }

    /// Reads a comma-separated list with a default.
    pub fn list(&mut self, name: &'static str, default: &[&str]) -> Vec<String> {
        let written = Some(default.join(",")).filter(|written| !written.is_empty());
        let items = split_list(&self.value(SettingKind::List, name, written).unwrap_or_default());
        if items.is_empty() { default.iter().map(|&item| item.to_owned()).collect() } else { items }
    }

    /// Reads an optional `http` or `https` URL and removes slashes at its end.
    pub fn optional_url(&mut self, name: &'static str) -> Option<String> {
        let value = self.optional_of(SettingKind::Url, name);
        self.check_url(name, value)
    }

    /// Reads an `http` or `https` URL with a default and removes slashes at its end.
    pub fn url(&mut self, name: &'static str, default: &str) -> String {
        let value = self.value(SettingKind::Url, name, Some(default.to_owned()));
        self.check_url(name, value).unwrap_or_else(|| default.to_owned())
    }

    /// Reads a required PostgreSQL connection string.
    pub fn database_url(&mut self, name: &'static str) -> String {
        self.required_of(SettingKind::ConnectionString, name);
        self.optional_database_url(name).unwrap_or_default()
    }

    /// Reads an optional PostgreSQL connection string.
    pub fn optional_database_url(&mut self, name: &'static str) -> Option<String> {
        let value = self.optional_of(SettingKind::ConnectionString, name)?;
        if let Err(problem) = check_database_url(&value) {
            self.problem(format_args!("{name} {problem}"));
        }
        Some(value)
    }

    /// Records the setting and returns its value.
    fn value(&mut self, kind: SettingKind, name: &'static str, default: Option<String>) -> Option<String> {
        self.read.specs.insert(SettingSpec { name, kind, default });
        self.values.get(name).map(|value| value.trim().to_owned())
    }

    /// Parses a value. The error of a number or a level names what is expected, and does not quote the value.
    fn parse<T: FromStr<Err: fmt::Display>>(&mut self, name: &'static str, value: Option<String>) -> Option<T> {
        match value?.parse() {
            Ok(parsed) => Some(parsed),
            Err(error) => {
                self.problem(format_args!("{name} is not valid: {error}"));
                None
            }
        }
    }

    fn check_url(&mut self, name: &'static str, value: Option<String>) -> Option<String> {
        let value = value?;
        match Url::parse(&value) {
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => {
                Some(value.trim_end_matches('/').to_owned())
            }
            _ => {
                self.problem(format_args!("{name} is not an http(s) URL"));
                None
            }
        }
    }
}

fn split_list(text: &str) -> Vec<String> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
}

/// Validates a connection string. The error describes the problem without quoting the string.
fn check_database_url(value: &str) -> Result<(), &'static str> {
    const BRACKETS: &str = "still has its password in square brackets: put the password itself, without [ and ]";
    // Supabase shows the connection string with `[YOUR-PASSWORD]`. Brackets also break URL parsing, so they are
    // checked first.
    let authority = value.split_once("://").map_or("", |(_, rest)| rest.split('/').next().unwrap_or(rest));
    if let Some((credentials, _)) = authority.rsplit_once('@')
        && (credentials.contains('[') || credentials.contains(']'))
    {
        return Err(BRACKETS);
    }
    let url = Url::parse(value).or(Err("is not a URL of the form postgresql://user:password@host:5432/database"))?;
    if !matches!(url.scheme(), "postgres" | "postgresql") {
        return Err("does not start with postgresql://");
    }
    if !url.has_host() {
        return Err("names no host");
    }
    if url.password().is_some_and(|password| password.starts_with("%5B") && password.ends_with("%5D")) {
        return Err(BRACKETS);
    }
    if url.path().trim_matches('/').is_empty() {
        return Err("names no database");
    }
    // The client that connects reads the options after the question mark, too.
    if PgConnectOptions::from_str(value).is_err() {
        return Err("has an option with a value that is not known: sslmode is disable, allow, prefer, require, \
                    verify-ca or verify-full");
    }
    Ok(())
}

/// The settings that every function reads.
#[derive(Debug, Clone)]
pub struct CommonSettings {
    /// Environment name: `dev`, `staging` or `prod`. `GET /health` shows it.
    pub environment: String,
    /// Least severe level that is logged.
    pub log_level: tracing::Level,
}

impl CommonSettings {
    /// Reads ENVIRONMENT and LOG_LEVEL.
    pub fn read(settings: &mut Settings) -> Self {
        Self {
            environment: settings.text("ENVIRONMENT", "dev"),
            log_level: settings.log_level("LOG_LEVEL", tracing::Level::INFO),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &[(&str, &str)]) -> Settings {
        Settings::new(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    #[test]
    fn one_error_lists_every_wrong_setting() {
        let mut settings = settings(&[("LOG_LEVEL", "loud"), ("DATABASE_URL", "mysql://a:b@c/d"), ("EMPTY", " ")]);
        CommonSettings::read(&mut settings);
        settings.database_url("DATABASE_URL");
        settings.required("JWT_SECRET");
        settings.required("EMPTY");

        let message = settings.finish().unwrap_err().to_string();

        assert_eq!(
            message,
            "settings are not usable: LOG_LEVEL is not valid: error parsing level: expected one of \"error\", \"warn\", \
             \"info\", \"debug\", \"trace\", or a number 1-5; \
             DATABASE_URL does not start with postgresql://; JWT_SECRET is missing; EMPTY is missing"
        );
    }

    #[test]
    fn a_reader_returns_kind_and_default_of_every_setting_and_what_was_missing() {
        let mut settings = settings(&[("RETRIES", "5"), ("MODELS", "a, b"), ("BASE_URL", "http://127.0.0.1:1/")]);
        assert_eq!(settings.number("RETRIES", 3_u16), 5);
        assert_eq!(settings.list("MODELS", &["x", "y"]), ["a", "b"]);
        assert_eq!(settings.url("BASE_URL", "https://example.com"), "http://127.0.0.1:1");
        assert_eq!(settings.seconds("WAIT_S", 20), Duration::from_secs(20));
        assert_eq!(settings.list("OTHERS", &["x", "y"]), ["x", "y"]);
        assert_eq!(settings.secrets("KEYS"), Vec::<String>::new());
        settings.required("BUCKET");
        CommonSettings::read(&mut settings);

        let read = settings.into_read();

        let specs: Vec<_> =
            read.specs.iter().map(|spec| (spec.name, spec.kind.label(), spec.default.as_deref())).collect();
        assert_eq!(
            specs,
            [
                ("BASE_URL", "URL", Some("https://example.com")),
                ("BUCKET", "text", None),
                ("ENVIRONMENT", "text", Some("dev")),
                ("KEYS", "list of secrets", None),
                ("LOG_LEVEL", "log level", Some("info")),
                ("MODELS", "list", Some("x,y")),
                ("OTHERS", "list", Some("x,y")),
                ("RETRIES", "number", Some("3")),
                ("WAIT_S", "seconds", Some("20")),
            ]
        );
        assert_eq!(read.missing, BTreeSet::from(["BUCKET"]));
        assert_eq!(read.problems, ["BUCKET is missing"]);
    }

    #[test]
    fn a_password_in_brackets_is_reported_without_being_shown() {
        for url in [
            "postgresql://postgres:[YOUR-PASSWORD]@db.ref.supabase.co:5432/postgres",
            "postgresql://postgres:[hunter2]@localhost/postgres",
            "postgresql://postgres:%5Bhunter2%5D@localhost/postgres",
        ] {
            let mut settings = settings(&[("DATABASE_URL", url)]);
            settings.database_url("DATABASE_URL");
            let message = settings.finish().unwrap_err().to_string();
            assert!(message.contains("square brackets"), "{message}");
            assert!(!message.contains("hunter2"), "{message}");
        }
    }

    #[test]
    fn valid_connection_strings_pass_and_invalid_ones_fail() {
        for url in [
            "postgresql://lisa_app:p%40ss@127.0.0.1:5432/lisa",
            "postgres://lisa_app.ref:x@aws-0-eu.pooler.supabase.com:6543/postgres?sslmode=require",
            "postgresql://u:p@[::1]:5432/lisa",
        ] {
            assert_eq!(check_database_url(url), Ok(()), "{url}");
        }
        for url in [
            "postgresql://localhost",
            "postgresql:///",
            "localhost:5432/lisa",
            "",
            "postgresql://lisa_app:p@127.0.0.1:5432/lisa?sslmode=always",
        ] {
            assert!(check_database_url(url).is_err(), "{url}");
        }
    }
}
