//! `cargo import-subscriptions <file>`: imports the old system's `subscriptions.csv`, as written by `COPY
//! subscriptions TO … CSV HEADER`. Imports all rows or none: a file with bad rows changes nothing, and each bad row
//! is reported with its line. The import can be repeated at any time; newer data from Stripe is not overwritten.

mod csv;
mod row;

use std::{fs, path::PathBuf};

use anyhow::{Context, Result, bail};
use chrono::Utc;
use clap::Args;
use shared::{
    billing::{self, Billing, ProjectionOutcome},
    settings::Settings,
};

use crate::operator;

/// Imports the old system's subscriptions.csv (COPY … CSV HEADER): all rows or none.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The CSV file.
    file: PathBuf,
    /// Only validate the file; change nothing.
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    connection: operator::ConnectionArguments,
}

/// Parses a file without importing it. Returns the numbers of its good and of its bad rows.
///
/// # Errors
/// Fails when the header is missing or lacks a required column.
pub(crate) fn count_rows(text: &str) -> Result<(usize, usize)> {
    let (good, bad) = row::read(text)?;
    Ok((good.len(), bad.len()))
}

/// Imports the file and projects its rows. Rows of users who do not exist yet wait until the user exists.
///
/// # Errors
/// Fails when the file cannot be read, a row is bad, or the database cannot be reached.
pub async fn run(arguments: Arguments) -> Result<()> {
    let shown = arguments.file.display();
    let text = fs::read_to_string(&arguments.file).with_context(|| format!("{shown} cannot be read"))?;
    let (rows, bad) = row::read(&text).with_context(|| format!("{shown} is not such a file"))?;
    for (line, problem) in &bad {
        println!("  line {line}: {problem}");
    }
    if !bad.is_empty() {
        bail!("{} of {} rows are bad: nothing was imported", bad.len(), rows.len() + bad.len());
    }
    if arguments.check {
        println!("  {} rows are good; nothing was imported", rows.len());
        return Ok(());
    }
    let mut settings = Settings::new(arguments.connection.settings()?);
    let billing = Billing::read(&mut settings).with_background_timeout();
    settings.finish()?;
    let imported = billing::import(&billing, &rows).await?;
    let (mut projected, mut waiting) = (0, 0);
    for row in &rows {
        match billing.project(&row.user_id, Utc::now()).await? {
            ProjectionOutcome::UserUnknown => waiting += 1,
            ProjectionOutcome::Changed | ProjectionOutcome::Unchanged => projected += 1,
        }
    }
    println!("  {} rows written, {} unchanged", imported.written, imported.unchanged);
    println!("  {projected} projected, {waiting} of users who are not there yet");
    Ok(())
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::row;

    const HEADER: &str = "id,user_id,status,plan,stripe_customer_id,stripe_subscription_id,current_period_start,\
                          current_period_end,cancel_at_period_end,created_at,updated_at\n";

    fn read(rows: &str) -> (usize, Vec<(usize, String)>) {
        let (good, bad) = row::read(&format!("{HEADER}{rows}")).unwrap();
        (good.len(), bad)
    }

    #[test]
    fn row_written_by_copy_is_parsed() {
        let text = format!(
            "{HEADER}c1,u1,active,pro,cus_1,sub_1,2025-01-31 12:00:00.5,2025-02-28 12:00:00,t,2025-01-31 12:00:00,\
             2025-01-31 12:00:00\n\"c\"\"2\",\"u,2\",cancelled,free,,,,,,2025-01-31 12:00:00+00,\n"
        );
        let (rows, bad) = row::read(&text).unwrap();
        assert_eq!(bad, []);
        assert_eq!((rows[0].stripe_subscription_id.as_deref(), rows[0].cancel_at_period_end), (Some("sub_1"), true));
        assert_eq!(rows[0].current_period_end, DateTime::from_timestamp(1_740_744_000, 0));
        assert_eq!((rows[1].id.as_str(), rows[1].user_id.as_str()), ("c\"2", "u,2"));
        assert_eq!((&rows[1].stripe_customer_id, rows[1].current_period_start), (&None, None));
        assert_eq!(rows[1].created_at, rows[0].created_at);
    }

    #[test]
    fn any_column_order_and_line_ending_is_accepted() {
        let text = "plan,user_id,id,status,created_at\r\npro,u1,c1,active,2025-01-31 12:00:00\r\n";
        let (rows, bad) = row::read(text).unwrap();
        assert_eq!((rows.len(), bad.len(), rows[0].plan.as_str()), (1, 0, "pro"));
        assert!(row::read("id,status\n").unwrap_err().to_string().contains("user_id"));
        assert!(row::read("").is_err());
    }

    #[test]
    fn each_bad_row_is_reported_with_its_first_line() {
        let (good, bad) = read(
            "c1,u1,active,pro,,,,,f,2025-01-31 12:00:00,\n\
             \"c\n2\",u2,sleeping,pro,,,,,f,2025-01-31 12:00:00,\n\
             c3,,active,gold,,,soon,,maybe,,\n\
             c4,u4,active\n\
             c5,u1,active,pro,,,,,f,2025-01-31 12:00:00,\n\
             c6,u6,active,pro,,,2025-02-01 00:00:00,2025-01-01 00:00:00,f,2025-01-31 12:00:00,\n\
             c7,u7,active,pro,,,,,f,2025-01-31 12:00:00,\"\n",
        );
        assert_eq!(good, 1);
        let lines: Vec<_> = bad.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [3, 5, 6, 7, 8, 9], "{bad:?}");
        for (place, problem) in [
            (0, "status"),
            (1, "user_id is empty; plan gold is not known: free, pro, business; cancel_at_period_end maybe"),
            (2, "3 fields instead of 11"),
            (3, "user_id u1 is in line 2 already"),
            (4, "ends before it begins"),
            (5, "quote"),
        ] {
            assert!(bad[place].1.contains(problem), "{:?}", bad[place]);
        }
    }
}
