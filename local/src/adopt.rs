//! `cargo adopt`: copies the rows of an older project's tables, which `migrate` moved to the schema `legacy`. Can be stopped
//! and repeated at any time; a repetition reports the same.

use std::{fs, path::PathBuf};

use anyhow::{Context, Result, ensure};
use clap::Args;
use shared::{
    administrators,
    adoption::{self, AdoptionHints, TableReport},
    db::SystemDb,
    input,
    settings::Settings,
};

use crate::operator;

/// Refused rows that are printed for each table. The file of `--report` has all.
const MAX_PRINTED_ROWS: usize = 20;

/// Copies an older project's tables from the schema `legacy`, and reports what could not be taken.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Owner of an old company whose rows name no user, as `company_id=address`. Can be repeated.
    #[arg(long = "owner", value_name = "COMPANY=ADDRESS")]
    owners: Vec<String>,
    /// CSV file to write with every row, or part of a row, that was not taken: table, id, reason, part.
    #[arg(long)]
    report: Option<PathBuf>,
    #[command(flatten)]
    connection: operator::ConnectionArguments,
}

/// Runs the adoption and prints its report.
///
/// # Errors
/// Fails when an owner has no account, or when the database cannot be reached. What was copied by then stays.
pub async fn run(arguments: Arguments) -> Result<()> {
    let mut settings = Settings::new(arguments.connection.settings()?);
    let db = SystemDb::read(&mut settings).with_operator_timeout();
    settings.finish()?;
    let mut hints = AdoptionHints::default();
    for owner in &arguments.owners {
        let (company, address) =
            owner.rsplit_once('=').with_context(|| format!("{owner} is not of the form company_id=address"))?;
        let user = db.system_tx(async |tx| Ok(administrators::find(tx, address).await?)).await?;
        let user = user.with_context(|| format!("there is no account with the address {address}"))?;
        hints.owners.insert(company.to_owned(), user.id);
    }
    let reports = adoption::adopt(&db, &hints).await?;
    if let Some(file) = &arguments.report {
        fs::write(file, csv(&reports)).with_context(|| format!("{} cannot be written", file.display()))?;
    }
    ensure!(!reports.is_empty(), "the schema legacy has no tables: nothing is to be adopted");
    for report in &reports {
        print(report);
    }
    Ok(())
}

fn print(report: &TableReport) {
    let refused = report.refused.iter().filter(|refusal| !refusal.is_part).count();
    println!("  {}: {} rows taken, {refused} not taken", report.table, report.taken);
    for refusal in report.refused.iter().take(MAX_PRINTED_ROWS) {
        let what = if refusal.is_part { "a part was not taken" } else { "was not taken" };
        println!("    {}: {what}: {}", refusal.row, refusal.reason);
    }
    if let Some(more) = report.refused.len().checked_sub(MAX_PRINTED_ROWS).filter(|more| *more > 0) {
        println!("    … {more} more: --report writes them to a file");
    }
}

/// The refused rows as CSV. Ids may be texts of the old project, so every field is quoted, and none is a formula of a
/// spreadsheet.
fn csv(reports: &[TableReport]) -> String {
    let field = |text: &str| format!("\"{}\"", input::escape_formulas(text).replace('"', "\"\""));
    let mut lines = vec!["table,row,reason,part".to_owned()];
    for report in reports {
        for refusal in &report.refused {
            let part = if refusal.is_part { "true" } else { "false" };
            lines.push(format!("{},{},{},{part}", field(&report.table), field(&refusal.row), field(&refusal.reason)));
        }
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use shared::adoption::Refusal;

    use super::*;

    #[test]
    fn a_refused_row_is_no_formula_of_a_spreadsheet() {
        let refusal = |row: &str| Refusal { row: row.to_owned(), reason: "no_owner".to_owned(), is_part: false };
        let refused = vec![refusal("=cmd|' /C calc'!A0"), refusal("a;@b\""), refusal("+225 07")];
        let report = TableReport { table: "documents".to_owned(), taken: 0, refused };
        assert_eq!(
            csv(&[report]),
            "table,row,reason,part\n\"documents\",\"'=cmd|' /C calc'!A0\",\"no_owner\",false\n\
             \"documents\",\"a;'@b\"\"\",\"no_owner\",false\n\"documents\",\"'+225 07\",\"no_owner\",false\n"
        );
    }
}
