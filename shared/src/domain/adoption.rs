//! Adoption of an older project's tables: copies their rows from the schema `legacy`, into which `migrate` moved them.
//! Owns the table `legacy.adopted_rows`, which says which rows were copied.
//!
//! A row and its entry in `adopted_rows` are written together. So the adoption can be stopped and repeated at any time, and
//! a row that was deleted here afterwards does not come back.

mod accounts;
mod companies;
mod documents;
mod frontends;
mod messages;
mod old_row;

use std::collections::BTreeMap;

use crate::{
    db::{SystemDb, SystemTx},
    error::ApiError,
};
pub use old_row::AdoptionHints;
use old_row::{MissingParts, OldRow, RowError};

/// Blocks of an old table that one transaction reads. A block has 8 KiB.
const BLOCKS_PER_BATCH: i64 = 16;

/// Tables whose rows are copied, in the order in which they depend on each other.
const TABLES: [Table; 9] = [
    Table::Users,
    Table::UserSettings,
    Table::CompanyRagConfigs,
    Table::CompanyMapping,
    Table::ConversationMemory,
    Table::Documents,
    Table::Orders,
    Table::Activities,
    Table::BotSessions,
];

/// A table of the older project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Table {
    Users,
    UserSettings,
    CompanyRagConfigs,
    CompanyMapping,
    ConversationMemory,
    Documents,
    Orders,
    Activities,
    BotSessions,
    BotUsage,
}

impl Table {
    const fn name(self) -> &'static str {
        match self {
            Self::Users => "users",
            Self::UserSettings => "user_settings",
            Self::CompanyRagConfigs => "company_rag_configs",
            Self::CompanyMapping => "company_mapping",
            Self::ConversationMemory => "conversation_memory",
            Self::Documents => "documents",
            Self::Orders => "orders",
            Self::Activities => "activities",
            Self::BotSessions => "bot_sessions",
            Self::BotUsage => "bot_usage",
        }
    }

    /// The statement that reads the rows of a range of blocks.
    const fn select(self) -> &'static str {
        // Table names take no parameters. A vector is left out: its model is not known, so it is of no use here.
        macro_rules! select {
            ($table:literal) => {
                concat!(
                    "select (to_jsonb(old) - 'embedding')::text from legacy.",
                    $table,
                    " old where ctid >= $1::tid and ctid < $2::tid order by ctid"
                )
            };
        }
        match self {
            Self::Users => select!("users"),
            Self::UserSettings => select!("user_settings"),
            Self::CompanyRagConfigs => select!("company_rag_configs"),
            Self::CompanyMapping => select!("company_mapping"),
            Self::ConversationMemory => select!("conversation_memory"),
            Self::Documents => select!("documents"),
            Self::Orders => select!("orders"),
            Self::Activities => select!("activities"),
            Self::BotSessions => select!("bot_sessions"),
            Self::BotUsage => select!("bot_usage"),
        }
    }

    /// The column that identifies a row.
    const fn key_column(self) -> &'static str {
        match self {
            Self::CompanyRagConfigs | Self::CompanyMapping => "company_id",
            Self::UserSettings => "user_id",
            _ => "id",
        }
    }
}

/// The result for one old table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableReport {
    /// Name of the table.
    pub table: String,
    /// Rows that are here now, by this run or an earlier one.
    pub taken: u64,
    /// Rows, or parts of rows, that were not taken.
    pub refused: Vec<Refusal>,
}

/// A row, or a part of a row, that was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Id of the row, or a hash of the row where it has none.
    pub row: String,
    /// Code of the reason.
    pub reason: String,
    /// True when only a part of the row was refused, and the other parts were taken.
    pub is_part: bool,
}

/// Copies the rows of all old tables, in batches of one transaction each, and returns a report for each table.
///
/// # Errors
/// Returns the database's error. What was copied by then stays, and a repetition goes on from there.
pub async fn adopt(db: &SystemDb, hints: &AdoptionHints) -> Result<Vec<TableReport>, ApiError> {
    let present = db.system_tx(async |tx| Ok(old_tables(tx).await?)).await?;
    let mut reports = Vec::new();
    // The old days of `bot_usage` come last: orders that were copied count into the days here.
    for table in TABLES.into_iter().chain([Table::BotUsage]) {
        if present.contains_key(table.name()) {
            reports.push(adopt_table(db, table, hints).await?);
        }
    }
    let known: Vec<_> = TABLES.into_iter().chain([Table::BotUsage]).map(Table::name).collect();
    for (name, _) in present.iter().filter(|(name, _)| !known.contains(&name.as_str())) {
        let refusal = Refusal { row: "all".to_owned(), reason: "table_not_adopted".to_owned(), is_part: false };
        reports.push(TableReport { table: name.clone(), taken: 0, refused: vec![refusal] });
    }
    Ok(reports)
}

/// The plain tables in `legacy`, with their size in blocks.
async fn old_tables(tx: &mut SystemTx) -> sqlx::Result<BTreeMap<String, i64>> {
    let rows = sqlx::query!(
        r#"
        select relname::text as "name!",
            pg_relation_size(oid) / current_setting('block_size')::bigint as "blocks!"
        from pg_class
        where relnamespace = to_regnamespace('legacy') and relkind = 'r' and relname <> 'adopted_rows'
        "#
    )
    .fetch_all(tx)
    .await?;
    Ok(rows.into_iter().map(|row| (row.name, row.blocks)).collect())
}

async fn adopt_table(db: &SystemDb, table: Table, hints: &AdoptionHints) -> Result<TableReport, ApiError> {
    let blocks =
        db.system_tx(async |tx| Ok(old_tables(tx).await?)).await?.get(table.name()).copied().unwrap_or_default();
    let mut report = TableReport { table: table.name().to_owned(), taken: 0, refused: Vec::new() };
    let mut first = 0;
    while first < blocks {
        let end = first + BLOCKS_PER_BATCH;
        let (taken, refused) = db.system_tx(async |tx| Ok(adopt_blocks(tx, table, (first, end), hints).await?)).await?;
        report.taken += taken;
        report.refused.extend(refused);
        first = end;
    }
    Ok(report)
}

/// Copies the rows of a range of blocks. Nobody writes into the old tables, so their rows stay where they are.
async fn adopt_blocks(
    tx: &mut SystemTx,
    table: Table,
    (first, end): (i64, i64),
    hints: &AdoptionHints,
) -> sqlx::Result<(u64, Vec<Refusal>)> {
    // The company may have an endpoint already, whose receiver would get the events of years.
    sqlx::query("select set_config('app.without_webhook_events', 'on', true)").execute(&mut *tx).await?;
    let rows: Vec<String> = sqlx::query_scalar(table.select())
        .bind(format!("({first},0)"))
        .bind(format!("({end},0)"))
        .fetch_all(&mut *tx)
        .await?;
    let (mut taken, mut refused) = (0, Vec::new());
    for json in rows {
        let row = OldRow::read(json, table.key_column())?;
        let refusal = |reason: &str, is_part| Refusal { row: row.key.clone(), reason: reason.to_owned(), is_part };
        // A statement that fails ends its transaction, unless it goes back to a savepoint.
        sqlx::query("savepoint old_row").execute(&mut *tx).await?;
        match adopt_once(tx, table, &row, hints).await {
            Ok(missing) => {
                sqlx::query("release savepoint old_row").execute(&mut *tx).await?;
                taken += 1;
                refused.extend(missing.into_iter().map(|reason| refusal(reason, true)));
            }
            Err(error) => {
                let reason = match error {
                    RowError::Refused(reason) => reason.to_owned(),
                    RowError::Database(error) => match broken_rule(&error) {
                        Some(rule) => rule,
                        None => return Err(error),
                    },
                };
                sqlx::query("rollback to savepoint old_row").execute(&mut *tx).await?;
                refused.push(refusal(&reason, false));
            }
        }
    }
    Ok((taken, refused))
}

/// The rule that a row breaks: the constraint's name, or the code of a value that is out of range. `None` for an error that
/// is not the row's.
fn broken_rule(error: &sqlx::Error) -> Option<String> {
    let error = error.as_database_error()?;
    let code = error.code()?;
    match (error.constraint(), &code[..2.min(code.len())]) {
        (Some(constraint), "23") => Some(constraint.to_owned()),
        (None, "22" | "23") => Some(format!("sqlstate_{code}")),
        _ => None,
    }
}

/// Copies a row, unless an earlier run did.
async fn adopt_once(
    tx: &mut SystemTx,
    table: Table,
    row: &OldRow,
    hints: &AdoptionHints,
) -> Result<MissingParts, RowError> {
    // The entry comes first: of two runs at once, the second waits for the first here.
    let is_new = sqlx::query!(
        "insert into legacy.adopted_rows (relation, row_key) values ($1, $2) on conflict do nothing",
        table.name(),
        row.key
    )
    .execute(&mut *tx)
    .await?
    .rows_affected()
        > 0;
    // What is missing of a row is reported by each run alike.
    match table {
        Table::Users => accounts::adopt_user(tx, row).await,
        Table::UserSettings => accounts::adopt_settings(tx, row, is_new).await,
        Table::CompanyRagConfigs => companies::adopt_config(tx, row, hints, is_new).await,
        Table::CompanyMapping => companies::adopt_mapping(tx, row, hints, is_new).await,
        _ if !is_new => Ok(Vec::new()),
        Table::ConversationMemory => messages::adopt(tx, row).await,
        Table::Documents => documents::adopt(tx, row).await,
        Table::Orders => frontends::adopt_order(tx, row).await,
        Table::Activities => frontends::adopt_activity(tx, row).await,
        Table::BotSessions => frontends::adopt_session(tx, row).await,
        Table::BotUsage => frontends::adopt_day(tx, row).await,
    }
}
