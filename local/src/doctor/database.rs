//! The databases: connections, TLS, clock, migrations, roles and row-level security.

use std::{net::IpAddr, str::FromStr};

use chrono::{DateTime, TimeDelta, Utc};
use migrate::state::{self, MigrationState, Schema};
use shared::{
    clock,
    db::{Db, SystemDb},
    error::ApiError,
    logging,
};
use sqlx::{
    AssertSqlSafe, Connection, PgConnection, Row,
    postgres::{PgConnectOptions, PgRow, PgSslMode},
};
use uuid::Uuid;

use super::{Target, report::Outcome};

/// The settings with connection strings, and the role that each logs in as; `None` for the schema's owner.
const CONNECTIONS: [(&str, Option<&str>); 5] = [
    ("DATABASE_URL", Some("lisa_app")),
    ("SYSTEM_DATABASE_URL", Some("lisa_system")),
    ("MIGRATE_DATABASE_URL", None),
    ("BACKEND_APP_DATABASE_URL", Some("lisa_system")),
    ("MIGRATE_BACKEND_APP_DATABASE_URL", None),
];

/// Oldest version of PostgreSQL that the migrations suit, as `server_version_num` counts.
const MIN_SERVER_VERSION: i32 = 150_000;

/// Difference of the clocks from which a warning is given.
const MAX_GOOD_SKEW: TimeDelta = TimeDelta::seconds(5);
/// Difference of the clocks from which tokens are refused (`shared::auth::tokens`).
const MAX_SKEW: TimeDelta = TimeDelta::seconds(60);

/// Returns the options of a connection string; `None` when the setting is absent or malformed.
fn options(target: &Target, setting: &str) -> Option<PgConnectOptions> {
    PgConnectOptions::from_str(target.get(setting)?.trim()).ok()
}

/// Opens a connection. The caller's check has a timeout.
async fn connect(options: &PgConnectOptions) -> sqlx::Result<PgConnection> {
    let options = options.clone().statement_cache_capacity(0).application_name("lisa doctor");
    PgConnection::connect_with(&options).await
}

/// Runs one statement in the simple protocol, which every pooler passes on, and returns its only row.
async fn fetch_one(connection: &mut PgConnection, statement: &str) -> sqlx::Result<PgRow> {
    sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).fetch_one(connection).await
}

fn address(options: &PgConnectOptions) -> String {
    match options.get_socket() {
        Some(socket) => socket.display().to_string(),
        None => format!("{}:{}", options.get_host(), options.get_port()),
    }
}

fn is_loopback(options: &PgConnectOptions) -> bool {
    let host = options.get_host().trim_start_matches('[').trim_end_matches(']');
    options.get_socket().is_some()
        || host == "localhost"
        || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Checks that a database answers and that the role is the right one.
pub(super) async fn check_connection(target: &Target, setting: &'static str) -> Vec<Outcome> {
    let Some(options) = options(target, setting) else { return vec![missing(target, setting)] };
    let role = CONNECTIONS.iter().find(|(name, _)| *name == setting).and_then(|(_, role)| *role);
    vec![match look(&options).await {
        Ok(server) => judge_server(&options, setting, role, &server),
        Err(error) => describe(&error, &options, setting),
    }]
}

fn missing(target: &Target, setting: &str) -> Outcome {
    match target.get(setting) {
        None => Outcome::skipped(format!("{setting} is not set")),
        Some(_) => Outcome::skipped(format!("{setting} is malformed: see the settings")),
    }
}

/// What a server says of itself and of the role.
struct ServerFacts {
    role: String,
    /// True for a role that row-level security does not restrict.
    is_above_rls: bool,
    version_number: i32,
    version: String,
}

async fn look(options: &PgConnectOptions) -> sqlx::Result<ServerFacts> {
    let mut connection = connect(options).await?;
    let statement = "select current_user::text as role, rolsuper or rolbypassrls as is_above_rls, \
                     current_setting('server_version_num')::integer as number, \
                     split_part(current_setting('server_version'), ' ', 1) as version \
                     from pg_roles where rolname = current_user";
    let row = fetch_one(&mut connection, statement).await?;
    connection.close().await?;
    Ok(ServerFacts {
        role: row.try_get("role")?,
        is_above_rls: row.try_get("is_above_rls")?,
        version_number: row.try_get("number")?,
        version: row.try_get("version")?,
    })
}

fn judge_server(options: &PgConnectOptions, setting: &str, role: Option<&str>, server: &ServerFacts) -> Outcome {
    if let Some(role) = role {
        if server.role != role {
            let what = format!("{setting} logs in as {} instead of {role}", server.role);
            return Outcome::error(
                what,
                format!("Put the connection string of {role} there (docs/DEPLOY.md, Secrets)."),
            );
        }
        if server.is_above_rls {
            let what = format!("{role} is a superuser, or may pass row-level security");
            let advice = format!("As the owner of the schema: alter role {role} nosuperuser nobypassrls;");
            return Outcome::error(what, advice);
        }
    }
    if server.version_number < MIN_SERVER_VERSION {
        let advice = "Move to PostgreSQL 15 or newer.";
        return Outcome::error(format!("PostgreSQL {} is too old", server.version), advice);
    }
    Outcome::Ok(format!("PostgreSQL {} at {} answers {}", server.version, address(options), server.role))
}

/// Says why a connection fails.
fn describe(error: &sqlx::Error, options: &PgConnectOptions, setting: &str) -> Outcome {
    let (at, user) = (address(options), options.get_username());
    match error {
        sqlx::Error::Io(io) => match io.kind() {
            std::io::ErrorKind::ConnectionRefused => Outcome::error(
                format!("nothing listens on {at}"),
                format!("Is the server running, and are host and port of {setting} right? Locally: start `cargo dev`."),
            ),
            _ => Outcome::error(
                format!("{at} cannot be reached: {io}"),
                format!("Are the host and the port of {setting} right, and does a firewall let this machine in?"),
            ),
        },
        sqlx::Error::Tls(reason) => Outcome::error(
            format!("the TLS certificate of {at} is not accepted: {reason}"),
            format!("Does sslrootcert of {setting} name the certificate authority of the server?"),
        ),
        sqlx::Error::Database(refusal) => {
            describe_refusal(refusal.code().as_deref().unwrap_or_default(), refusal.message(), &at, user, setting)
        }
        other => Outcome::error(format!("{at} cannot be used: {}", logging::chain(other)), "docs/DEPLOY.md, Secrets"),
    }
}

/// Says why the server refuses. Codes: <https://www.postgresql.org/docs/current/errcodes-appendix.html>.
fn describe_refusal(code: &str, message: &str, at: &str, user: &str, setting: &str) -> Outcome {
    match code {
        "28P01" => Outcome::error(
            format!("{at} refuses the password of {user}"),
            format!(
                "Put the right password into {setting}, percent-encoded. For lisa_app and lisa_system, invoking `migrate` \
                 sets the passwords of the connection strings."
            ),
        ),
        "28000" => Outcome::error(
            format!("{at} does not let {user} in"),
            "Does the role exist, and may it log in from here? Invoking `migrate` makes lisa_app and lisa_system.",
        ),
        "3D000" => Outcome::error(
            format!("the database of {setting} does not exist at {at}"),
            "Is the name after the last slash right? On Supabase it is postgres.",
        ),
        "53300" => Outcome::error(
            format!("{at} has no connection left"),
            "Raise the pooler's number of clients (docs/DEPLOY.md, Database connections), or look for clients that keep \
             connections.",
        ),
        // Supabase's pooler: the user name names no project.
        "XX000" if message.contains("not found") => Outcome::error(
            format!("the pooler at {at} does not know {user}"),
            "On Supabase's pooler the user name ends with the project: lisa_app.<ref>.",
        ),
        code => Outcome::error(format!("{at} refuses {user}: {message} ({code})"), "docs/DEPLOY.md, Secrets"),
    }
}

/// Checks that connections outside this machine are encrypted, and that the server's certificate is verified.
pub(super) fn check_tls(target: &Target) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    let mut verified = 0;
    for (setting, _) in CONNECTIONS {
        let Some(options) = options(target, setting) else { continue };
        if is_loopback(&options) {
            continue;
        }
        let host = options.get_host();
        let advice = format!(
            "Append sslmode=verify-full to {setting}, and sslrootcert=<file> where the certificate authority is the host's \
             own (Supabase: Project Settings, Database, SSL)."
        );
        match options.get_ssl_mode() {
            PgSslMode::VerifyFull => verified += 1,
            PgSslMode::VerifyCa => {
                let what = format!("{setting}: the certificate is verified, but not that it is the one of {host}");
                outcomes.push(Outcome::warning(what, advice));
            }
            PgSslMode::Require => {
                let what = format!(
                    "{setting}: encrypted, but the certificate of {host} is not verified: somebody between \
                                    can pose as the server"
                );
                outcomes.push(Outcome::warning(what, advice));
            }
            PgSslMode::Disable | PgSslMode::Allow | PgSslMode::Prefer => {
                let what = format!("{setting}: passwords and data may travel to {host} unencrypted");
                outcomes.push(Outcome::error(what, advice));
            }
        }
    }
    if verified > 0 {
        outcomes.insert(0, Outcome::Ok(format!("{verified} connections verify the server's certificate and name")));
    }
    if outcomes.is_empty() {
        outcomes.push(Outcome::skipped("every database is on this machine"));
    }
    outcomes
}

/// Compares this machine's clock with that of the database.
pub(super) async fn check_clock(target: &Target) -> Vec<Outcome> {
    let found = CONNECTIONS.iter().find_map(|(setting, _)| options(target, setting).map(|options| (*setting, options)));
    let Some((setting, options)) = found else { return vec![Outcome::skipped("no connection string is set")] };
    let read = async {
        let mut connection = connect(&options).await?;
        let before = clock::now();
        let row = fetch_one(&mut connection, "select clock_timestamp() as now").await?;
        let round_trip = clock::now() - before;
        connection.close().await?;
        // The server read its clock about half a round trip ago.
        Ok::<_, sqlx::Error>(row.try_get::<DateTime<Utc>, _>("now")? - (before + round_trip / 2))
    };
    vec![match read.await {
        Ok(ahead) => judge_skew(ahead),
        Err(_) => Outcome::skipped(format!("the database of {setting} does not answer")),
    }]
}

/// Judges the time by which the database's clock is ahead.
fn judge_skew(ahead: TimeDelta) -> Outcome {
    let seconds = ahead.num_milliseconds().unsigned_abs() as f64 / 1e3;
    let direction = if ahead < TimeDelta::zero() { "ahead of" } else { "behind" };
    let what = format!("this machine's clock is {seconds:.1} s {direction} the database's");
    let advice = "Set the clocks by NTP (timedatectl set-ntp true). Tokens are refused beyond 60 s, events of Stripe and \
                  requests to AWS beyond 5 min.";
    match ahead.abs() {
        skew if skew > MAX_SKEW => Outcome::error(what, advice),
        skew if skew > MAX_GOOD_SKEW => Outcome::warning(what, advice),
        _ => Outcome::Ok(what),
    }
}

/// Compares the applied migrations with those of this release.
pub(super) async fn check_migrations(target: &Target) -> Vec<Outcome> {
    let billing = match target.get("MIGRATE_BACKEND_APP_DATABASE_URL") {
        Some(_) => "MIGRATE_BACKEND_APP_DATABASE_URL",
        None => "MIGRATE_DATABASE_URL",
    };
    let mut outcomes = Vec::new();
    for (schema, setting) in [(Schema::App, "MIGRATE_DATABASE_URL"), (Schema::Billing, billing)] {
        let Some(options) = options(target, setting) else {
            outcomes.push(missing(target, setting));
            continue;
        };
        let compare = async {
            let mut connection = connect(&options).await?;
            let state = state::compare(&mut connection, schema).await?;
            connection.close().await?;
            Ok::<_, sqlx::Error>(state)
        };
        match compare.await {
            Ok(state) => outcomes.extend(judge_migrations(schema, &state)),
            Err(_) => outcomes.push(Outcome::skipped(format!("the database of {setting} does not answer"))),
        }
    }
    outcomes.dedup();
    outcomes
}

fn judge_migrations(schema: Schema, state: &MigrationState) -> Vec<Outcome> {
    let name = match schema {
        Schema::App => "app",
        Schema::Billing => "billing",
    };
    let list = |versions: &[i64]| versions.iter().map(|version| format!("{version:04}")).collect::<Vec<_>>().join(", ");
    let mut outcomes = Vec::new();
    if let [first, ..] = state.missing[..] {
        let what = format!("{name}: {} migrations are missing, from {first:04} on", state.missing.len());
        let advice = "Invoke `migrate`: aws lambda invoke --function-name lisa-$ENV-migrate --cli-read-timeout 0 /dev/stdout \
                      (docs/DEPLOY.md, The schema). Locally, start `cargo dev` again.";
        outcomes.push(Outcome::error(what, advice));
    }
    if !state.unfinished.is_empty() {
        let what = format!("{name}: interrupted migrations: {}", list(&state.unfinished));
        let advice = format!(
            "Mend what the migration left, then delete its row from {} and invoke `migrate` (docs/DEPLOY.md, The schema).",
            schema.ledger()
        );
        outcomes.push(Outcome::error(what, advice));
    }
    if !state.changed.is_empty() {
        let what = format!("{name}: applied migrations differ from those of this release: {}", list(&state.changed));
        outcomes
            .push(Outcome::error(what, "Check out the commit that is deployed. Landed migrations are never edited."));
    }
    if !state.unknown.is_empty() {
        let what = format!("{name}: the database has migrations of a newer release: {}", list(&state.unknown));
        outcomes.push(Outcome::warning(
            what,
            "Check out the commit that is deployed. After a rollback this is as it should be.",
        ));
    }
    if outcomes.is_empty() {
        outcomes.push(Outcome::Ok(format!("{name} is current: {:04}", state.version.unwrap_or_default())));
    }
    outcomes
}

/// Checks that the roles separate the tenants: with the product's own transactions, for a tenant that does not exist.
pub(super) async fn check_isolation(target: &Target) -> Vec<Outcome> {
    let Some(options) = options(target, "DATABASE_URL") else { return vec![missing(target, "DATABASE_URL")] };
    if connect(&options).await.is_err() {
        return vec![Outcome::skipped("the database of DATABASE_URL does not answer")];
    }
    let mut outcomes = Vec::new();
    outcomes.extend(check_without_tenant(&options).await);
    let mut settings = target.reader();
    let db = Db::read(&mut settings);
    outcomes.extend(check_with_tenant(&db).await);
    db.close().await;
    if target.get("SYSTEM_DATABASE_URL").is_some() {
        outcomes.extend(check_system_role(&SystemDb::read(&mut settings)).await);
    }
    if outcomes.is_empty() {
        outcomes.push(Outcome::Ok(
            "lisa_app sees nothing without a tenant, and only the tenant's rows with one".to_owned(),
        ));
    }
    outcomes
}

/// SQLSTATE of a missing right.
const INSUFFICIENT_PRIVILEGE: &str = "42501";

/// Counts the tables and views of the product on which the connection's role has a right of any kind, by the table or by a
/// column, and names the first ones. A right of another role counts where the connection's role inherits it. What an extension
/// made is not the product's.
const TABLES_WITH_RIGHTS: &str = "
    with relations as (
        select coalesce(nullif(nspname, 'public') || '.', '') || relname as name
        from pg_class join pg_namespace on pg_namespace.oid = relnamespace
        where nspname in ('public', 'app', 'billing') and relkind in ('r', 'p', 'v', 'm')
          and (has_any_column_privilege(current_user, pg_class.oid, 'select, insert, update, references')
            or has_table_privilege(current_user, pg_class.oid, 'delete, truncate, trigger'))
          and not exists (
              select from pg_depend
              where classid = 'pg_class'::regclass and objid = pg_class.oid and deptype = 'e'
          )
    )
    select current_user::text as role, count(*) as count,
        coalesce(array_to_string((array_agg(name order by name))[1:5], ', '), '') as names
    from relations";

/// Number of tables that [`TABLES_WITH_RIGHTS`] names.
const MAX_NAMED_TABLES: i64 = 5;

/// `lisa_app` has a right on no table before it takes the role of a tenant. It is a member of `lisa_tenant`, and inherits
/// nothing of it.
async fn check_without_tenant(options: &PgConnectOptions) -> Option<Outcome> {
    let read = async {
        let mut connection = connect(options).await?;
        let row = fetch_one(&mut connection, TABLES_WITH_RIGHTS).await?;
        connection.close().await?;
        let (role, names): (String, String) = (row.try_get("role")?, row.try_get("names")?);
        Ok::<_, sqlx::Error>((role, row.try_get::<i64, _>("count")?, names))
    };
    match read.await {
        Ok((_, 0, _)) => None,
        Ok((role, count, names)) => {
            let more = match count - MAX_NAMED_TABLES {
                more @ 1.. => format!(" and {more} more"),
                _ => String::new(),
            };
            let advice = format!(
                "As the owner of the schema: revoke all on these tables from {role} and from public. Where {role} inherits \
                 the rights of lisa_tenant: alter role {role} noinherit, and from PostgreSQL 16 on also grant lisa_tenant to \
                 {role} with inherit false. Then compare the grants with migrations/schema.sql."
            );
            Some(Outcome::error(format!("{role} has rights without a tenant on {names}{more}"), advice))
        }
        Err(error) => Some(schema_error(&error)),
    }
}

/// A transaction of a tenant that does not exist sees no row, and row-level security is on for each table that it may read,
/// be it a column alone.
async fn check_with_tenant(db: &Db) -> Vec<Outcome> {
    let statement = "select coalesce((
            select string_agg(relname, ', ' order by relname) from pg_class
            where relnamespace = 'public'::regnamespace and relkind in ('r', 'p') and not relrowsecurity
              and has_any_column_privilege(current_user, oid, 'select')
        ), '') as open_tables,
        exists (select from customers) or exists (select from documents) or exists (select from messages) as sees_rows";
    let looked = db.tenant_tx(Uuid::new_v4(), async |tx| Ok(sqlx::query(statement).fetch_one(&mut *tx).await?)).await;
    let row = match looked {
        Ok(row) => row,
        Err(error) => return vec![describe_transaction(&error)],
    };
    let mut outcomes = Vec::new();
    let advice = "Invoke `migrate`, and compare the policies with migrations/schema.sql. Until then one tenant can see \
                  another's data.";
    let open = row.try_get::<String, _>("open_tables").unwrap_or_default();
    if !open.is_empty() {
        outcomes.push(Outcome::error(format!("row-level security is off on {open}"), advice));
    }
    if row.try_get("sees_rows").unwrap_or(true) {
        outcomes.push(Outcome::error("a transaction of one tenant sees the rows of others", advice));
    }
    outcomes
}

/// `lisa_system` can read all tenants.
async fn check_system_role(db: &SystemDb) -> Option<Outcome> {
    let statement = "select from customers limit 1";
    let looked = db.system_tx(async |tx| Ok(sqlx::query(statement).fetch_optional(&mut *tx).await?)).await;
    looked.err().map(|error| describe_transaction(&error))
}

/// Says why a transaction fails.
fn describe_transaction(error: &ApiError) -> Outcome {
    match error.source.as_deref().and_then(|source| source.downcast_ref::<sqlx::Error>()) {
        Some(error) => schema_error(error),
        None => Outcome::error("the database does not answer in time", "Is it overloaded? Look at pg_stat_activity."),
    }
}

fn schema_error(error: &sqlx::Error) -> Outcome {
    let what = match sql_state(error).as_deref() {
        Some("42P01") => "the tables are missing".to_owned(),
        Some(INSUFFICIENT_PRIVILEGE) => format!("a right is missing: {}", logging::chain(error)),
        _ => logging::chain(error),
    };
    Outcome::error(what, "Invoke `migrate`, which makes tables, roles and rights (docs/DEPLOY.md, The schema).")
}

fn sql_state(error: &sqlx::Error) -> Option<String> {
    error.as_database_error().and_then(|error| error.code()).map(|code| code.into_owned())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn tls(url: &str) -> Vec<Outcome> {
        let settings = [("DATABASE_URL".to_owned(), url.to_owned())].into();
        let timeout = Duration::from_secs(1);
        let (names_in_file, secrets) = (Vec::new(), Vec::new());
        check_tls(&Target { settings, names_in_file, secrets, local_url: None, timeout })
    }

    #[test]
    fn a_connection_over_a_network_is_encrypted_and_verified() {
        for (options, is_error) in
            [("", true), ("?sslmode=disable", true), ("?sslmode=prefer", true), ("?sslmode=require", false)]
        {
            let outcomes = tls(&format!("postgresql://u:p@db.example.com:6543/postgres{options}"));
            assert!(outcomes.len() == 1 && outcomes[0].is_error() == is_error, "{options}: {outcomes:?}");
        }
        let verified = tls("postgresql://u:p@db.example.com/postgres?sslmode=verify-full");
        assert!(matches!(verified[..], [Outcome::Ok(_)]), "{verified:?}");
        for host in ["127.0.0.1", "localhost", "[::1]"] {
            let local = tls(&format!("postgresql://u:p@{host}:5432/lisa"));
            assert!(matches!(local[..], [Outcome::Skipped(_)]), "{host}: {local:?}");
        }
    }

    #[test]
    fn refusals_of_servers_are_put_into_plain_words() {
        for (code, message, words) in [
            ("28P01", "", "refuses the password of lisa_app"),
            ("28000", "", "does not let lisa_app in"),
            ("3D000", "", "does not exist"),
            ("53300", "", "no connection left"),
            ("XX000", "Tenant or user not found", "does not know lisa_app"),
            ("57P03", "the database system is starting up", "starting up (57P03)"),
        ] {
            let outcome = describe_refusal(code, message, "db:5432", "lisa_app", "DATABASE_URL");
            assert!(matches!(&outcome, Outcome::Error(what, _) if what.contains(words)), "{outcome:?}");
        }
    }

    #[test]
    fn a_difference_of_the_clocks_is_judged_by_what_it_breaks() {
        assert!(matches!(judge_skew(TimeDelta::seconds(-4)), Outcome::Ok(_)));
        assert!(matches!(judge_skew(TimeDelta::seconds(30)), Outcome::Warning(..)));
        let outcome = judge_skew(TimeDelta::seconds(-3_600));
        let Outcome::Error(what, _) = outcome else { panic!("{outcome:?}") };
        assert_eq!(what, "this machine's clock is 3600.0 s ahead of the database's");
    }
}
