//! EventBridge's schedule expressions, such as `rate(5 minutes)` and `cron(0 3 * * ? *)`.

use std::{str::FromStr, time::Duration};

use anyhow::{Context, Error, Result, bail};
use chrono::{DateTime, Datelike, TimeDelta, Timelike, Utc};

/// A schedule that invokes a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Schedule {
    /// A fixed interval.
    Rate(Duration),
    /// Calendar times in UTC.
    Cron(Cron),
}

/// A cron expression as bit sets: one bit for each matching minute, hour, day, month and weekday.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cron {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
}

const MONTHS: [&str; 12] = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const WEEKDAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

impl Schedule {
    /// The time from `now` to the next run; `None` for a date that never comes.
    #[must_use]
    pub fn wait(&self, now: DateTime<Utc>) -> Option<Duration> {
        match self {
            Self::Rate(period) => Some(*period),
            Self::Cron(cron) => (cron.next(now)? - now).to_std().ok(),
        }
    }
}

impl Cron {
    /// The first matching full minute after `now`, within the next four years (enough for a 29th of February).
    fn next(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let mut day = now.date_naive();
        let mut from = now.hour() * 60 + now.minute() + 1;
        for _ in 0..=4 * 366 {
            if contains_bit(self.months, day.month()) && contains_bit(self.days, day.day()) && self.is_weekday(day) {
                let minutes = (from..24 * 60)
                    .find(|minute| contains_bit(self.hours, minute / 60) && contains_bit(self.minutes, minute % 60));
                if let Some(minutes) = minutes {
                    return Some(day.and_time(chrono::NaiveTime::MIN).and_utc() + TimeDelta::minutes(minutes.into()));
                }
            }
            (day, from) = (day.succ_opt()?, 0);
        }
        None
    }

    fn is_weekday(&self, day: chrono::NaiveDate) -> bool {
        // AWS numbers the weekdays from 1 for Sunday.
        contains_bit(self.weekdays, day.weekday().number_from_sunday())
    }
}

impl FromStr for Schedule {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let inside = |name: &str| text.strip_prefix(name)?.strip_prefix('(')?.strip_suffix(')');
        match (inside("rate"), inside("cron")) {
            (Some(rate), _) => read_rate(rate).map(Self::Rate),
            (_, Some(cron)) => read_cron(cron).map(Self::Cron),
            _ => bail!("it is neither rate(…) nor cron(…)"),
        }
        .with_context(|| format!("the schedule {text} is not understood"))
    }
}

fn read_rate(text: &str) -> Result<Duration> {
    let (number, unit) = text.split_once(' ').context("it has no unit")?;
    let seconds = match unit.trim_end_matches('s') {
        "minute" => 60,
        "hour" => 3_600,
        "day" => 86_400,
        _ => bail!("it counts in {unit}, not in minutes, hours or days"),
    };
    let number: u64 = number.parse().context("it counts nothing")?;
    Ok(Duration::from_secs(seconds * number.max(1)))
}

fn read_cron(text: &str) -> Result<Cron> {
    let fields: Vec<_> = text.split_whitespace().collect();
    let [minutes, hours, days, months, weekdays, year] = fields[..] else { bail!("it does not have six fields") };
    if year != "*" {
        bail!("it names a year");
    }
    Ok(Cron {
        minutes: read_field(minutes, 0, 59, &[])?,
        hours: read_field(hours, 0, 23, &[])?,
        days: read_field(days, 1, 31, &[])?,
        months: read_field(months, 1, 12, &MONTHS)?,
        weekdays: read_field(weekdays, 1, 7, &WEEKDAYS)?,
    })
}

/// Parses a field to bits: `*`, `?`, `5`, `1-5`, `MON-FRI`, `0/15`, or several of them separated by commas.
fn read_field(text: &str, first: u32, last: u32, names: &[&str]) -> Result<u64> {
    let number = |text: &str| -> Result<u32> {
        let named = (first..).zip(names).find(|(_, name)| text.eq_ignore_ascii_case(name));
        let number = named.map_or_else(|| text.parse().ok(), |(number, _)| Some(number));
        number.filter(|number| (first..=last).contains(number)).with_context(|| format!("{text} is out of its range"))
    };
    let mut bits = 0;
    for part in text.split(',') {
        let (range, step) = part.split_once('/').map_or((part, None), |(range, step)| (range, Some(step)));
        let (from, to) = match range.split_once('-') {
            _ if matches!(range, "*" | "?") => (first, last),
            Some((from, to)) => (number(from)?, number(to)?),
            None if step.is_some() => (number(range)?, last),
            None => (number(range)?, number(range)?),
        };
        let step = step.map_or(Ok(1), str::parse::<usize>).context("a step is not a number")?;
        bits |= (from..=to).step_by(step.max(1)).fold(0, |bits, number| bits | 1 << number);
    }
    Ok(bits)
}

fn contains_bit(bits: u64, number: u32) -> bool {
    bits >> number & 1 == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn next(schedule: &str, now: &str) -> String {
        let now = now.parse::<DateTime<Utc>>().unwrap();
        let wait = schedule.parse::<Schedule>().unwrap().wait(now).unwrap();
        (now + wait).to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
    }

    #[test]
    fn next_run_follows_the_expression() {
        let now = "2026-11-20T23:50:30Z"; // a Friday
        for (schedule, expected) in [
            ("rate(5 minutes)", "2026-11-20T23:55:30Z"),
            ("rate(1 day)", "2026-11-21T23:50:30Z"),
            ("cron(0 3 * * ? *)", "2026-11-21T03:00:00Z"),
            ("cron(0/15 * * * ? *)", "2026-11-21T00:00:00Z"),
            ("cron(51 23 * * ? *)", "2026-11-20T23:51:00Z"),
            ("cron(0 8 ? * MON-FRI *)", "2026-11-23T08:00:00Z"),
            ("cron(30 2 1 * ? *)", "2026-12-01T02:30:00Z"),
            ("cron(0 0 29 FEB ? *)", "2028-02-29T00:00:00Z"),
        ] {
            assert_eq!(next(schedule, now), expected, "{schedule}");
        }
    }

    #[test]
    fn malformed_expressions_are_rejected() {
        for schedule in
            ["", "rate(5)", "rate(x minutes)", "rate(1 week)", "cron(0 3 * * ?)", "cron(60 * * * ? *)", "at(x)"]
        {
            assert!(schedule.parse::<Schedule>().is_err(), "{schedule}");
        }
    }
}
