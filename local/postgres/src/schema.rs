//! `migrations/schema.sql`: the migrated database as one file, so that every table, function, trigger, policy and
//! grant has one current definition to open. The text comes from pg_dump and contains no version and no token.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::Postgres;

/// The path of the file, from the root of the workspace.
pub(crate) const SCHEMA_FILE: &str = "migrations/schema.sql";

const HEADER: &str = "\
-- The schema of the migrated database: tables, functions, triggers, policies and grants.
--
-- Generated from the migrations by `cargo prepare-sql`. Do not edit it. Nothing runs this file.
-- Roles belong to the cluster and are in app/0001_roles.sql. The ledgers of the migrations are left out.
";

/// Dumps the schemas of the product from a migrated database.
///
/// # Errors
/// Fails when pg_dump cannot be started or ends with an error.
pub(crate) fn dump(postgres: &Postgres, database: &str) -> Result<String> {
    let mut command = Command::new(postgres.program("pg_dump"));
    command.args(["--schema-only", "--no-owner", "--exclude-table=*._sqlx_migrations"]);
    command.args(["--schema=app", "--schema=public", "--schema=billing", "--schema=auth"]);
    command.arg("--dbname").arg(postgres.admin_url(database));
    let output = command.output().context("pg_dump cannot be started")?;
    if !output.status.success() {
        bail!("the schema cannot be dumped: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(normalize(&String::from_utf8(output.stdout).context("pg_dump wrote bytes that are not text")?))
}

/// Removes what differs between two dumps of one schema and pg_dump's headings, which repeat the statements, and leaves
/// one empty line at most between two lines.
fn normalize(dump: &str) -> String {
    let mut text = HEADER.to_owned();
    let mut is_after_empty = false;
    for line in dump.lines() {
        let line = line.trim_end();
        if line == "--" || is_noise(line) {
            continue;
        }
        if line.is_empty() {
            is_after_empty = true;
            continue;
        }
        if std::mem::take(&mut is_after_empty) {
            text.push('\n');
        }
        text.push_str(line);
        text.push('\n');
    }
    text
}

/// True for a heading, and for a line that depends on the version of pg_dump or on the run, or only sets up a restore.
fn is_noise(line: &str) -> bool {
    const PREFIXES: [&str; 7] = [
        "-- PostgreSQL database dump",
        "-- Dumped ",
        "-- Name: ",
        r"\restrict ",
        r"\unrestrict ",
        // The bodies of functions are in lower case.
        "SET ",
        "SELECT pg_catalog.set_config(",
    ];
    PREFIXES.iter().any(|prefix| line.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dumps_by_two_versions_of_pg_dump_normalize_to_one_text() {
        let dump = |version: &str, token: &str| {
            format!(
                "--\n-- PostgreSQL database dump\n--\n\n\\restrict {token}\n\n-- Dumped from database version {version}\n\
                 -- Dumped by pg_dump version {version}\n\nSET statement_timeout = 0;\n\
                 SELECT pg_catalog.set_config('search_path', '', false);\n\n--\n\
                 -- Name: count(text); Type: FUNCTION; Schema: app; Owner: -\n--\n\n\
                 CREATE FUNCTION app.count(name text) RETURNS integer\n    AS $$\n    -- why\n\n    select 1\n$$;\n\n\n\
                 SET default_tablespace = '';\n\n--\n-- Name: app; Type: SCHEMA; Schema: -; Owner: -\n--\n\n\
                 CREATE SCHEMA app;\n\n--\n-- PostgreSQL database dump complete\n--\n\n\\unrestrict {token}\n\n"
            )
        };
        let text = normalize(&dump("18.1", "abc"));
        assert_eq!(text, normalize(&dump("18.4 (Debian)", "xyz")));
        assert_eq!(
            text.strip_prefix(HEADER).unwrap(),
            "\nCREATE FUNCTION app.count(name text) RETURNS integer\n    AS $$\n    -- why\n\n    select 1\n$$;\n\n\
             CREATE SCHEMA app;\n"
        );
    }
}
