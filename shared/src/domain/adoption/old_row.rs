//! A row of an old table, of which only the wanted columns are known.

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveDateTime, Utc};
use serde_json::Value;
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// Facts that the old tables lack.
#[derive(Debug, Clone, Default)]
pub struct AdoptionHints {
    /// The owners of companies whose rows name no user, by their old `company_id`: `users.id`.
    pub owners: BTreeMap<String, Uuid>,
}

/// Reason why a row is not taken.
#[derive(Debug)]
pub(super) enum RowError {
    /// The row is refused for this reason.
    Refused(&'static str),
    /// A statement failed.
    Database(sqlx::Error),
}

impl From<sqlx::Error> for RowError {
    fn from(error: sqlx::Error) -> Self {
        Self::Database(error)
    }
}

/// Parts of a row that were not taken, each as the code of its reason.
pub(super) type MissingParts = Vec<&'static str>;

/// A row as JSON.
#[derive(Debug)]
pub(super) struct OldRow {
    /// Id of the row, or a hash of the row where it has none.
    pub(super) key: String,
    /// The row as PostgreSQL wrote it, for values that JSON numbers of 64 bits cannot hold.
    pub(super) json: String,
    columns: Value,
}

impl OldRow {
    /// Reads a row as `to_jsonb` writes it.
    pub(super) fn read(json: String, key_column: &str) -> sqlx::Result<Self> {
        let columns: Value = serde_json::from_str(&json).map_err(|error| sqlx::Error::Decode(error.into()))?;
        let key = match &columns[key_column] {
            Value::String(key) => key.clone(),
            Value::Number(key) => key.to_string(),
            _ => format!("sha256:{}", hex::encode(Sha256::digest(json.as_bytes()))),
        };
        Ok(Self { key, json, columns })
    }

    /// A text; `None` for null, a missing column, or a text without visible characters.
    pub(super) fn text(&self, column: &str) -> Option<&str> {
        self.columns[column].as_str().filter(|text| !text.trim().is_empty())
    }

    /// The text of an id, which may be a number.
    pub(super) fn id(&self, column: &str) -> Option<String> {
        match &self.columns[column] {
            Value::String(id) if !id.trim().is_empty() => Some(id.trim().to_owned()),
            Value::Number(id) => Some(id.to_string()),
            _ => None,
        }
    }

    pub(super) fn uuid(&self, column: &str) -> Option<Uuid> {
        self.text(column).and_then(|text| Uuid::try_parse(text.trim()).ok())
    }

    pub(super) fn integer(&self, column: &str) -> Option<i64> {
        self.columns[column].as_i64()
    }

    pub(super) fn is_true(&self, column: &str) -> bool {
        self.columns[column] == true
    }

    pub(super) fn json(&self, column: &str) -> &Value {
        &self.columns[column]
    }

    /// A time. One without a zone is taken for UTC.
    pub(super) fn time(&self, column: &str) -> Option<DateTime<Utc>> {
        let text = self.text(column)?;
        let with_zone = DateTime::parse_from_rfc3339(text).map(|time| time.to_utc());
        with_zone.ok().or_else(|| Some(text.parse::<NaiveDateTime>().ok()?.and_utc()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_times_are_read_in_the_forms_of_old_columns() {
        let row = |json: &str| OldRow::read(json.to_owned(), "id").unwrap();
        assert_eq!(row(r#"{"id": 7}"#).key, "7");
        assert_eq!(row(r#"{"id": "a"}"#).key, "a");
        let without = row(r#"{"content": "x"}"#);
        assert!(without.key.starts_with("sha256:") && without.key == row(r#"{"content": "x"}"#).key);
        let times = row(r#"{"a": "2026-01-02T03:04:05.5+02:00", "b": "2026-01-02T03:04:05", "c": "soon", "d": null}"#);
        assert_eq!(times.time("a").unwrap().to_rfc3339(), "2026-01-02T01:04:05.500+00:00");
        assert_eq!(times.time("b").unwrap().to_rfc3339(), "2026-01-02T03:04:05+00:00");
        assert_eq!((times.time("c"), times.time("d"), times.time("e")), (None, None, None));
    }
}
