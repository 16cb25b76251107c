//! Settings: a map that each function gets at its start and reads once. One error lists everything missing or
//! malformed. Nothing reads the process environment, because all functions share one process in the local stack.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    str::FromStr,
    time::Duration,
};

use url::Url;

/// The settings of a function by name: environment variables and the keys of its secret.
pub type SettingsMap = BTreeMap<String, String>;

/// A reader of settings. It records every name that is asked for and every problem.
///
/// Reading a wrong value records a problem and returns a harmless stand-in. [`Settings::finish`] then fails with all
/// problems, so no stand-in is ever used.
#[derive(Debug, Default)]
pub struct Settings {
    values: SettingsMap,
    names: BTreeSet<&'static str>,
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

    /// The names asked for so far, sorted. A test compares them with template.yaml.
    #[must_use]
    pub fn names(&self) -> Vec<&'static str> {
        self.names.iter().copied().collect()
    }

    /// Records a problem, for example two settings that exclude each other.
    pub fn problem(&mut self, text: impl fmt::Display) {
        let text = text.to_string();
        // Two clients may read one setting, and would report its problem twice.
        if !self.problems.contains(&text) {
            self.problems.push(text);
        }
    }

    /// Reads an optional text.
    pub fn optional(&mut self, name: &'static str) -> Option<String> {
        self.names.insert(name);
        self.values.get(name).map(|value| value.trim().to_owned())
    }

    /// Reads a required text.
    pub fn required(&mut self, name: &'static str) -> String {
        self.optional(name).unwrap_or_else(|| {
            self.problem(format_args!("{name} is missing"));
            String::new()
        })
    }

    /// Reads a text with a default.
    pub fn text(&mut self, name: &'static str, default: &str) -> String {
        self.optional(name).unwrap_or_else(|| default.to_owned())
    }

    /// Reads a number or another `FromStr` type, with a default.
    pub fn parsed<T: FromStr>(&mut self, name: &'static str, default: T) -> T {
        match self.optional(name).map(|value| value.parse()) {
            None => default,
            Some(Ok(value)) => value,
            Some(Err(_)) => {
                let kind = std::any::type_name::<T>();
                self.problem(format_args!("{name} is not a valid {}", kind.rsplit("::").next().unwrap_or(kind)));
                default
            }
        }
    }

    /// Reads a duration in whole seconds. `default` is in seconds too.
    pub fn seconds(&mut self, name: &'static str, default: u64) -> Duration {
        Duration::from_secs(self.parsed(name, default))
    }

    /// Reads a comma-separated list; empty when the setting is absent.
    pub fn list(&mut self, name: &'static str) -> Vec<String> {
        let text = self.optional(name).unwrap_or_default();
        text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect()
    }

    /// Reads an optional `http` or `https` URL and removes slashes at its end.
    pub fn optional_url(&mut self, name: &'static str) -> Option<String> {
        let value = self.optional(name)?;
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

    /// Reads a required PostgreSQL connection string.
    pub fn database_url(&mut self, name: &'static str) -> String {
        self.required(name);
        self.optional_database_url(name).unwrap_or_default()
    }

    /// Reads an optional PostgreSQL connection string.
    pub fn optional_database_url(&mut self, name: &'static str) -> Option<String> {
        let value = self.optional(name)?;
        if let Err(problem) = check_database_url(&value) {
            self.problem(format_args!("{name} {problem}"));
        }
        Some(value)
    }
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
            log_level: settings.parsed("LOG_LEVEL", tracing::Level::INFO),
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
            "settings are not usable: LOG_LEVEL is not a valid Level; \
             DATABASE_URL does not start with postgresql://; JWT_SECRET is missing; EMPTY is missing"
        );
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
        for url in ["postgresql://localhost", "postgresql:///", "localhost:5432/lisa", ""] {
            assert!(check_database_url(url).is_err(), "{url}");
        }
    }
}
