//! The migrations of a database beside those of this release. Reads only; `cargo doctor` shows the difference.

use sqlx::{AssertSqlSafe, PgConnection, Row, migrate::Migrator};

use crate::{APP, BILLING};

/// A schema with a table of applied migrations of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Schema {
    /// The schemas `public` and `app`.
    App,
    /// The schema `billing`.
    Billing,
}

impl Schema {
    fn migrator(self) -> &'static Migrator {
        match self {
            Self::App => &APP,
            Self::Billing => &BILLING,
        }
    }

    /// The table of applied migrations.
    #[must_use]
    pub fn ledger(self) -> &'static str {
        match self {
            Self::App => "public._sqlx_migrations",
            Self::Billing => "billing._sqlx_migrations",
        }
    }
}

/// Difference between the migrations of a database and those of this release, by version.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MigrationState {
    /// The newest version that is applied; `None` in a database without the schema.
    pub version: Option<i64>,
    /// Versions of this release that are not applied.
    pub missing: Vec<i64>,
    /// Applied versions whose text differs from that of this release.
    pub changed: Vec<i64>,
    /// Versions that were interrupted, or failed outside a transaction.
    pub unfinished: Vec<i64>,
    /// Applied versions that this release does not contain: those of a newer release.
    pub unknown: Vec<i64>,
}

/// A row of the table of applied migrations.
struct AppliedMigration {
    version: i64,
    checksum: Vec<u8>,
    is_finished: bool,
}

/// Compares the applied migrations of a schema with those of this release. The connection is the owner's.
///
/// # Errors
/// Any error of the database.
pub async fn compare(connection: &mut PgConnection, schema: Schema) -> sqlx::Result<MigrationState> {
    let applied = applied(connection, schema).await?;
    let mut state = MigrationState { version: applied.iter().map(|row| row.version).max(), ..Default::default() };
    for own in schema.migrator().iter() {
        match applied.iter().find(|row| row.version == own.version) {
            None => state.missing.push(own.version),
            Some(row) if !row.is_finished => state.unfinished.push(own.version),
            Some(row) if row.checksum != *own.checksum => state.changed.push(own.version),
            Some(_) => {}
        }
    }
    let is_unknown = |row: &&AppliedMigration| !schema.migrator().version_exists(row.version);
    state.unknown = applied.iter().filter(is_unknown).map(|row| row.version).collect();
    Ok(state)
}

async fn applied(connection: &mut PgConnection, schema: Schema) -> sqlx::Result<Vec<AppliedMigration>> {
    let ledger = schema.ledger();
    // The simple protocol: the connection may lead through a transaction pooler.
    let find = format!("select to_regclass('{ledger}') is not null as is_there");
    let found = sqlx::raw_sql(AssertSqlSafe(find)).fetch_one(&mut *connection).await?;
    if !found.try_get::<bool, _>("is_there")? {
        return Ok(Vec::new());
    }
    let read = format!("select version, checksum, success from {ledger} order by version");
    let rows = sqlx::raw_sql(AssertSqlSafe(read)).fetch_all(&mut *connection).await?;
    let row = |row: &sqlx::postgres::PgRow| {
        Ok(AppliedMigration {
            version: row.try_get("version")?,
            checksum: row.try_get("checksum")?,
            is_finished: row.try_get("success")?,
        })
    };
    rows.iter().map(row).collect()
}
