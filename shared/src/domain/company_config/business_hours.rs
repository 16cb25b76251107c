//! Opening times of a company: for each day of the week, spans from one time to another.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Maximum number of spans of a day.
const MAX_SPANS: usize = 5;
/// Minutes of a day.
const DAY_MINUTES: u16 = 24 * 60;

/// Day of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Day {
    Mon,
    Tue,
    Wed,
    Thu,
    Fri,
    Sat,
    Sun,
}

/// Opening times by day. A company is closed on a day that is missing. A span whose end is before its start ends on the next
/// day; `24:00` is the end of the day.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(try_from = "BTreeMap<Day, Vec<(String, String)>>")]
#[schema(
    value_type = std::collections::HashMap<String, Vec<Vec<String>>>,
    example = json!({ "mon": [["08:00", "12:00"], ["14:00", "18:00"]] }),
)]
pub struct BusinessHours(BTreeMap<Day, Vec<(String, String)>>);

impl TryFrom<BTreeMap<Day, Vec<(String, String)>>> for BusinessHours {
    type Error = &'static str;

    fn try_from(days: BTreeMap<Day, Vec<(String, String)>>) -> Result<Self, &'static str> {
        for spans in days.values() {
            if spans.len() > MAX_SPANS {
                return Err("must have at most 5 spans a day");
            }
            for (from, to) in spans {
                let (Some(from), Some(to)) = (minutes(from), minutes(to)) else {
                    return Err("must have times such as 08:00, and 24:00 for the end of a day");
                };
                if from == to || from == DAY_MINUTES {
                    return Err("must have spans that are longer than nothing");
                }
            }
        }
        Ok(Self(days))
    }
}

impl BusinessHours {
    /// Returns the form of the database.
    pub(super) fn to_json(&self) -> serde_json::Value {
        serde_json::json!(self.0)
    }
}

/// Parses `HH:MM` into the minutes since midnight.
fn minutes(time: &str) -> Option<u16> {
    let (hours, minutes) = time.split_once(':')?;
    let is_number = |text: &str| text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number(hours) || !is_number(minutes) {
        return None;
    }
    let (hours, minutes): (u16, u16) = (hours.parse().ok()?, minutes.parse().ok()?);
    let total = hours * 60 + minutes;
    (minutes < 60 && total <= DAY_MINUTES).then_some(total)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn times_and_days_are_checked() {
        let hours = json!({ "mon": [["08:00", "12:00"], ["14:00", "24:00"]], "fri": [["20:00", "02:00"]], "sun": [] });
        assert_eq!(serde_json::from_value::<BusinessHours>(hours.clone()).unwrap().to_json(), hours);
        for wrong in [
            json!({ "monday": [] }),
            json!({ "mon": [["8:00", "12:00"]] }),
            json!({ "mon": [["08:00", "24:01"]] }),
            json!({ "mon": [["08:60", "12:00"]] }),
            json!({ "mon": [["08:00", "08:00"]] }),
            json!({ "mon": [["24:00", "08:00"]] }),
            json!({ "mon": [["08:00"]] }),
            json!({ "mon": [["+8:00", "12:00"]] }),
            json!({ "mon": vec![["08:00", "09:00"]; 6] }),
            json!([]),
        ] {
            assert!(serde_json::from_value::<BusinessHours>(wrong.clone()).is_err(), "{wrong}");
        }
    }
}
