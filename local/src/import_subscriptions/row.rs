//! Parses and validates the rows of the old subscriptions table.

use std::collections::HashMap;

use anyhow::{Context, Result, bail};
use chrono::{DateTime, NaiveDateTime, Utc};
use shared::billing::OldSubscription;

use super::csv;

const COLUMNS: [&str; 11] = [
    "id",
    "user_id",
    "status",
    "plan",
    "stripe_customer_id",
    "stripe_subscription_id",
    "current_period_start",
    "current_period_end",
    "cancel_at_period_end",
    "created_at",
    "updated_at",
];
const REQUIRED_COLUMNS: [&str; 4] = ["id", "user_id", "status", "plan"];

/// The problems of bad rows, each with the row's first line.
pub(super) type RowProblems = Vec<(usize, String)>;

/// Parses a file into good rows and the problems of bad ones.
///
/// # Errors
/// Fails when the header is missing or lacks a required column.
pub(super) fn read(text: &str) -> Result<(Vec<OldSubscription>, RowProblems)> {
    let mut records = csv::records(text.trim_start_matches('\u{feff}')).into_iter();
    let (_, header) = records.next().context("it is empty")?;
    let header = header.map_err(anyhow::Error::msg).context("its header cannot be read")?;
    let names: Vec<_> = header.iter().map(|name| name.as_deref().unwrap_or_default().trim()).collect();
    if let Some(missing) = REQUIRED_COLUMNS.iter().find(|name| !names.contains(name)) {
        bail!("its header has no column {missing}: write it with COPY … CSV HEADER");
    }
    let mut seen: HashMap<String, usize> = HashMap::new();
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    for (line, record) in records {
        let validated = record.map_err(|problem| vec![problem.to_owned()]).and_then(|fields| validate(&names, &fields));
        let validated = validated.and_then(|row| {
            for key in
                [Some(("user_id", &row.user_id)), row.stripe_subscription_id.as_ref().map(|id| ("subscription", id))]
                    .into_iter()
                    .flatten()
            {
                let first = *seen.entry(format!("{} {}", key.0, key.1)).or_insert(line);
                if first != line {
                    return Err(vec![format!("{} {} is in line {first} already", key.0, key.1)]);
                }
            }
            Ok(row)
        });
        match validated {
            Ok(row) => good.push(row),
            Err(problems) => bad.push((line, problems.join("; "))),
        }
    }
    Ok((good, bad))
}

fn validate(names: &[&str], fields: &[Option<String>]) -> Result<OldSubscription, Vec<String>> {
    if fields.len() != names.len() {
        return Err(vec![format!("it has {} fields instead of {}", fields.len(), names.len())]);
    }
    let mut problems = Vec::new();
    let field = |name: &str| {
        let place = names.iter().position(|column| *column == name)?;
        fields[place].as_deref().map(str::trim).filter(|value| !value.is_empty())
    };
    check_texts(field, &mut problems);
    let mut one_of = |name: &str, default: &str, known: &[&str]| {
        let value = field(name).unwrap_or(default);
        if !known.contains(&value) {
            problems.push(format!("{name} {value} is not known: {}", known.join(", ")));
        }
        value.to_owned()
    };
    let status = one_of("status", "inactive", &["active", "inactive", "cancelled", "expired"]);
    let plan = one_of("plan", "free", &["free", "pro", "business"]);
    let cancels = one_of("cancel_at_period_end", "f", &["t", "f", "true", "false"]);
    let mut time = |name: &str| {
        let value = field(name)?;
        let read = read_time(value);
        if read.is_none() {
            problems.push(format!("{name} {value} is not a time"));
        }
        read
    };
    let (start, end) = (time("current_period_start"), time("current_period_end"));
    let (created_at, updated_at) = (time("created_at"), time("updated_at"));
    if start.zip(end).is_some_and(|(start, end)| end <= start) {
        problems.push("its period ends before it begins".to_owned());
    }
    if !problems.is_empty() {
        return Err(problems);
    }
    let text = |name: &str| field(name).map(str::to_owned);
    Ok(OldSubscription {
        id: text("id").unwrap_or_default(),
        user_id: text("user_id").unwrap_or_default(),
        status,
        plan,
        stripe_customer_id: text("stripe_customer_id"),
        stripe_subscription_id: text("stripe_subscription_id"),
        current_period_start: start,
        current_period_end: end,
        cancel_at_period_end: cancels.starts_with('t'),
        created_at: created_at.or(updated_at).or(start).unwrap_or_default(),
    })
}

/// Checks the lengths and the presence of texts.
fn check_texts<'f>(field: impl Fn(&str) -> Option<&'f str>, problems: &mut Vec<String>) {
    for (name, value) in COLUMNS.iter().filter_map(|name| Some((name, field(name)?))) {
        if value.len() > 200 {
            problems.push(format!("{name} is longer than 200 characters"));
        } else if value.contains('\0') {
            problems.push(format!("{name} holds a NUL"));
        }
    }
    for name in ["id", "user_id"] {
        if field(name).is_none() {
            problems.push(format!("{name} is empty"));
        }
    }
    if field("id").is_some_and(|id| id.len() > 64) {
        problems.push("id is longer than 64 characters".to_owned());
    }
}

/// Parses a `timestamptz`, or a `timestamp`, which the old system wrote in UTC.
fn read_time(text: &str) -> Option<DateTime<Utc>> {
    let zoned = ["%Y-%m-%d %H:%M:%S%.f%#z", "%Y-%m-%dT%H:%M:%S%.f%#z"];
    if let Some(time) = zoned.iter().find_map(|form| DateTime::parse_from_str(text, form).ok()) {
        return Some(time.to_utc());
    }
    let plain = ["%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M:%S%.f"];
    plain.iter().find_map(|form| NaiveDateTime::parse_from_str(text, form).ok()).map(|time| time.and_utc())
}
