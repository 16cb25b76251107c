//! Applies the migrations of the app's and billing's schemas. Invoked once per deployment, before the new code takes
//! requests. Each schema has its own table of applied migrations. The two schemas may be in one database or in two.
//!
//! The function also sets the passwords of the login roles to those in the connection strings, and the free requests of
//! a Supabase project's new accounts, so that a deployment needs no `psql`. The server gets a verifier of each password,
//! not the password itself. Tables of an older project that have the names of ours are moved out of the way first.

mod legacy;
mod scram;
pub mod state;

use std::{str::FromStr, time::Duration};

use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use shared::{
    accounts::DEFAULT_FREE_QUOTA_LIMIT,
    error::BoxError,
    function::{EventFunction, Function},
    settings::Settings,
};
use sqlx::{
    AssertSqlSafe, PgPool,
    migrate::Migrator,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use url::Url;

/// The `migrate` Lambda function.
pub const FUNCTION: Function = Function::event::<Migrate>();

/// The compiled-in migrations.
static APP: Migrator = sqlx::migrate!("../../migrations/app");
static BILLING: Migrator = sqlx::migrate!("../../migrations/billing");

/// The connection strings of the function.
#[derive(Debug, Clone)]
pub struct Migrate {
    /// Connection of the schema's owner. It must be direct or in session mode, since the migrator holds an advisory
    /// lock.
    admin_url: String,
    /// Connections of the login roles `lisa_app` and `lisa_system`.
    login_urls: [String; 2],
    /// Connections of the owner and of `lisa_system` on billing's database; `None` when billing is in the app's
    /// database.
    billing: Option<[String; 2]>,
    /// Free requests of an account that the trigger on a Supabase project's accounts creates.
    free_quota_limit: u16,
}

impl EventFunction for Migrate {
    const NAME: &'static str = "migrate";

    fn read(settings: &mut Settings) -> Self {
        let [owner, system] = ["MIGRATE_BACKEND_APP_DATABASE_URL", "BACKEND_APP_DATABASE_URL"];
        let billing = match (settings.optional_database_url(owner), settings.optional_database_url(system)) {
            (Some(owner_url), Some(system_url)) => Some([owner_url, system_url]),
            (None, None) => None,
            // With only one of the two, the tables would be created in one database and used in another.
            _ => {
                settings.problem(format_args!("{owner} and {system} must be set together, or neither"));
                None
            }
        };
        Self {
            admin_url: settings.database_url("MIGRATE_DATABASE_URL"),
            login_urls: [settings.database_url("DATABASE_URL"), settings.database_url("SYSTEM_DATABASE_URL")],
            billing,
            free_quota_limit: settings.number("FREE_QUOTA_LIMIT", DEFAULT_FREE_QUOTA_LIMIT),
        }
    }

    async fn handle(&self, _: Value) -> Result<Value, BoxError> {
        let admin = connect(&self.admin_url).await?;
        let moved = legacy::move_old_relations(&admin, &APP).await?;
        APP.run(&admin).await?;
        legacy::open_to_adoption_and_purge(&admin).await?;
        set_free_quota_limit(&admin, self.free_quota_limit).await?;
        // The publication may be newer than the migrations.
        sqlx::raw_sql("select app.publish_realtime()").execute(&admin).await?;
        for (url, role) in self.login_urls.iter().zip(["lisa_app", "lisa_system"]) {
            set_password(&admin, role, url).await?;
        }
        match &self.billing {
            None => billing_migrator().run(&admin).await?,
            Some([owner_url, system_url]) => {
                let owner = connect(owner_url).await?;
                billing_migrator().run(&owner).await?;
                set_password(&owner, "lisa_system", system_url).await?;
                owner.close().await;
            }
        }
        admin.close().await;
        let [app, billing] = [&APP, &BILLING].map(|set| set.iter().map(|migration| migration.version).max());
        tracing::info!(app, billing, "the schemas are current");
        Ok(json!({ "app": { "version": app }, "billing": { "version": billing }, "moved_to_legacy": moved }))
    }
}

async fn connect(url: &str) -> Result<PgPool, BoxError> {
    let options = PgConnectOptions::from_str(url)?;
    let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(Duration::from_secs(10));
    Ok(pool.connect_with(options).await?)
}

/// Returns billing's migrations, with their table `_sqlx_migrations` in the schema `billing`. The app's table of that
/// name is in `public`, maybe in the same database.
fn billing_migrator() -> Migrator {
    let mut migrator = Migrator::with_migrations(BILLING.iter().cloned().collect());
    migrator.create_schema("billing");
    migrator.dangerous_set_table_name("billing._sqlx_migrations");
    migrator
}

/// Makes `app.free_quota_limit` return the limit. Repeating the call changes nothing.
async fn set_free_quota_limit(admin: &PgPool, limit: u16) -> Result<(), BoxError> {
    let current: i32 = sqlx::query_scalar("select app.free_quota_limit()").fetch_one(admin).await?;
    if current != i32::from(limit) {
        let statement = format!(
            "create or replace function app.free_quota_limit() returns integer language sql immutable as \
             $body$ select {limit} $body$"
        );
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(admin).await?;
    }
    Ok(())
}

/// Sets the password of a login role to that of its connection string. Repeating the call changes nothing.
async fn set_password(admin: &PgPool, role: &'static str, url: &str) -> Result<(), BoxError> {
    let url = Url::parse(url)?;
    // For a shared pooler, the user name ends with the project: `lisa_app.abcdefgh`.
    let url_role = url.username().split('.').next().unwrap_or_default();
    if url_role != role {
        return Err(format!("the connection string of {role} logs in as another role").into());
    }
    let password = url.password().ok_or_else(|| format!("the connection string of {role} holds no password"))?;
    let password = percent_decode_str(password).decode_utf8()?.into_owned();
    // The statement is written to the server's log where it logs DDL, and to the views of running statements. The
    // verifier in it logs nobody in. DDL takes no parameters, so the server quotes the verifier with `format`.
    let statement: String = sqlx::query_scalar("select format('alter role %I login password %L', $1::text, $2::text)")
        .bind(role)
        .bind(scram::verifier(&password)?)
        .fetch_one(admin)
        .await?;
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(admin).await?;
    Ok(())
}
