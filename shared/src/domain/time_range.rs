//! Ranges of time in query strings, by instants or by days of the tenant's timezone.

use chrono::{DateTime, NaiveDate, Utc};
use serde::Deserialize;

use crate::{db::TenantTx, error::ApiError};

/// A bound of a range: an instant (RFC 3339), or a day of the tenant's timezone (`2026-11-23`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum TimeBound {
    /// An instant.
    Instant(DateTime<Utc>),
    /// A whole day.
    Day(NaiveDate),
}

/// The error for a text that is neither an instant nor a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a day such as 2026-11-23, or a time such as 2026-11-23T09:30:06Z")]
pub struct NotATime;

impl TryFrom<String> for TimeBound {
    type Error = NotATime;

    fn try_from(text: String) -> Result<Self, NotATime> {
        if let Some(day) = parse_day(&text) {
            return Ok(Self::Day(day));
        }
        // In a query string, the plus sign of an offset arrives as a space.
        let instant = DateTime::parse_from_rfc3339(&text.replace(' ', "+")).or(Err(NotATime))?;
        Ok(Self::Instant(instant.to_utc()))
    }
}

/// Parses a day of four, two and two digits; `None` for another text.
#[must_use]
pub fn parse_day(text: &str) -> Option<NaiveDate> {
    let is_written_out = text.len() == 10 && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().filter(|_| is_written_out)
}

impl TimeBound {
    const fn parts(self) -> (Option<DateTime<Utc>>, Option<NaiveDate>) {
        match self {
            Self::Instant(instant) => (Some(instant), None),
            Self::Day(day) => (None, Some(day)),
        }
    }
}

/// Returns the instants of a range: its begin, and its end, which is not in it. A day as the end is in it as a whole.
///
/// # Errors
/// 422 when the range ends before it begins; a database error.
pub async fn resolve(
    tx: &mut TenantTx,
    from: Option<TimeBound>,
    to: Option<TimeBound>,
) -> Result<(Option<DateTime<Utc>>, Option<DateTime<Utc>>), ApiError> {
    if from.is_none() && to.is_none() {
        return Ok((None, None));
    }
    let (from, from_day) = from.map_or((None, None), TimeBound::parts);
    let (to, to_day) = to.map_or((None, None), TimeBound::parts);
    let range = sqlx::query!(
        r#"
        select coalesce($2, ($3::date)::timestamp at time zone timezone) as "begins",
            coalesce($4, ($5::date + 1)::timestamp at time zone timezone) as "ends"
        from customers where id = $1
        "#,
        tx.tenant(),
        from,
        from_day,
        to,
        to_day
    )
    .fetch_one(tx)
    .await?;
    match (range.begins, range.ends) {
        // An instant may be both ends of an empty range; a day is never empty.
        (Some(begin), Some(end)) if end < begin || (to_day.is_some() && end <= begin) => {
            Err(ApiError::field("to", "must not be before from"))
        }
        range => Ok(range),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_is_a_day_or_an_instant() {
        let bound = |text: &str| TimeBound::try_from(text.to_owned());
        assert_eq!(bound("2026-11-23"), Ok(TimeBound::Day(NaiveDate::from_ymd_opt(2026, 11, 23).unwrap())));
        for text in ["2026-11-23T10:30:06+01:00", "2026-11-23T10:30:06 01:00", "2026-11-23T09:30:06Z"] {
            let instant = DateTime::from_timestamp(1_795_426_206, 0).unwrap();
            assert_eq!(bound(text), Ok(TimeBound::Instant(instant)), "{text}");
        }
        for text in ["", "yesterday", "2026-02-30", "2026-1-1", "+12026-1-1", "2026-11-23T09:30", "1795426206"] {
            assert_eq!(bound(text), Err(NotATime), "{text}");
        }
    }
}
