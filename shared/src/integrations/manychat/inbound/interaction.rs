//! The time at which a contact wrote a message: `last_interaction` of a webhook body.

use chrono::{DateTime, Datelike, NaiveDateTime, Utc};
use serde_json::Value;

/// Years in which a time is believed. PostgreSQL could not store every time that a body may hold.
const YEARS: std::ops::Range<i32> = 2000..2200;
/// Unix times above this are in milliseconds. In seconds, it is the year 5138.
const MAX_UNIX_SECONDS: i64 = 99_999_999_999;

/// Returns the `last_interaction` of the first object that has one, in any form that ManyChat's editor can produce: ISO 8601 with or
/// without an offset, or a Unix time in seconds or milliseconds. Without an offset the time is in UTC.
pub(super) fn time<'a>(objects: impl Iterator<Item = &'a Value>) -> Option<DateTime<Utc>> {
    let value = objects
        .flat_map(|place| [place.get("last_interaction"), place.get("last_interaction_at")])
        .flatten()
        .find(|value| !value.is_null())?;
    let time = match value {
        Value::Number(number) => from_unix(number.as_i64()?),
        Value::String(text) => from_text(text.trim()),
        _ => None,
    };
    time.filter(|time| YEARS.contains(&time.year()))
}

fn from_text(text: &str) -> Option<DateTime<Utc>> {
    if let Ok(unix) = text.parse() {
        return from_unix(unix);
    }
    let with_offset = ["%Y-%m-%dT%H:%M:%S%.f%#z", "%Y-%m-%d %H:%M:%S%.f%#z", "%Y-%m-%d %H:%M:%S%.f %#z"];
    let without_offset = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"];
    DateTime::parse_from_rfc3339(text)
        .ok()
        .or_else(|| with_offset.iter().find_map(|format| DateTime::parse_from_str(text, format).ok()))
        .map(|time| time.to_utc())
        .or_else(|| {
            let local = without_offset.iter().find_map(|format| NaiveDateTime::parse_from_str(text, format).ok());
            local.map(|time| time.and_utc())
        })
}

fn from_unix(time: i64) -> Option<DateTime<Utc>> {
    if time > MAX_UNIX_SECONDS { DateTime::from_timestamp_millis(time) } else { DateTime::from_timestamp(time, 0) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(body: &Value) -> Option<DateTime<Utc>> {
        time([&Value::Null, body].into_iter())
    }

    #[test]
    fn every_form_of_a_time_is_read_and_anything_else_is_none() {
        let expected = DateTime::parse_from_rfc3339("2026-11-28T17:40:02Z").unwrap().to_utc();
        for value in [
            json!("2026-11-28T17:40:02Z"),
            json!("2026-11-28T17:40:02.000+00:00"),
            json!(" 2026-11-28T18:40:02+0100 "),
            json!("2026-11-28T17:40:02"),
            json!("2026-11-28 17:40:02"),
            json!("2026-11-28 17:40:02+00:00"),
            json!(expected.timestamp()),
            json!(expected.timestamp_millis()),
            json!(expected.timestamp().to_string()),
        ] {
            assert_eq!(read(&json!({ "id": 1, "last_interaction": value })), Some(expected), "{value}");
        }
        assert_eq!(read(&json!({ "last_interaction_at": "2026-11-28T17:40:02Z" })), Some(expected));
        for odd in [
            json!(null),
            json!(""),
            json!("{{last_interaction}}"),
            json!("yesterday"),
            json!("0001-01-01T00:00:00Z"),
            json!("+99999-01-01T00:00:00Z"),
            json!(0),
            json!(-1),
            json!(1.5),
            json!(i64::MAX),
            json!("9223372036854775808"),
            json!(["2026-11-28T17:40:02Z"]),
            json!({}),
        ] {
            assert_eq!(read(&json!({ "id": 1, "last_interaction": odd })), None, "{odd}");
        }
        assert_eq!(read(&json!([])), None);
    }
}
