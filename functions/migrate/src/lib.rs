//! Brings the databases to their newest schemas; invoked once per deploy, before the new code takes requests. The app's
//! and billing's migrations have a ledger each, and may stand in one database or in two.
//!
//! It also gives the login roles the passwords that the connection strings name, so that a deploy needs no `psql`.

use std::{str::FromStr, time::Duration};

use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use shared::{
    function::{BoxError, EventFunction, Function},
    settings::Settings,
};
use sqlx::{
    AssertSqlSafe, PgPool,
    migrate::Migrator,
    postgres::{PgConnectOptions, PgPoolOptions},
};
use url::Url;

/// The function.
pub const FUNCTION: Function = Function::event::<Migrate>();

/// The schemas, as they are compiled in.
static APP: Migrator = sqlx::migrate!("../../migrations/app");
static BILLING: Migrator = sqlx::migrate!("../../migrations/billing");

/// Its connection strings.
#[derive(Debug, Clone)]
pub struct Migrate {
    /// The owner of the schema; direct or in session mode, since the migrator holds an advisory lock.
    admin_url: String,
    /// Those of the roles that the functions log in with.
    login_urls: [String; 2],
    /// The owner and `lisa_system` of billing's database, where it is another one.
    billing: Option<[String; 2]>,
}

impl EventFunction for Migrate {
    const NAME: &'static str = "migrate";

    fn read(settings: &mut Settings) -> Self {
        let [owner, system] = ["MIGRATE_BACKEND_APP_DATABASE_URL", "BACKEND_APP_DATABASE_URL"];
        let billing = match (settings.optional_database_url(owner), settings.optional_database_url(system)) {
            (Some(owner_url), Some(system_url)) => Some([owner_url, system_url]),
            (None, None) => None,
            // With the other one's fallback the tables would be made where nobody looks for them.
            _ => {
                settings.problem(format_args!("{owner} and {system} must be set together, or neither"));
                None
            }
        };
        Self {
            admin_url: settings.database_url("MIGRATE_DATABASE_URL"),
            login_urls: [settings.database_url("DATABASE_URL"), settings.database_url("SYSTEM_DATABASE_URL")],
            billing,
        }
    }

    async fn handle(&self, _: Value) -> Result<Value, BoxError> {
        let admin = connect(&self.admin_url).await?;
        APP.run(&admin).await?;
        for (url, role) in self.login_urls.iter().zip(["lisa_app", "lisa_system"]) {
            set_password(&admin, role, url).await?;
        }
        match &self.billing {
            None => billing().run(&admin).await?,
            Some([owner_url, system_url]) => {
                let owner = connect(owner_url).await?;
                billing().run(&owner).await?;
                set_password(&owner, "lisa_system", system_url).await?;
                owner.close().await;
            }
        }
        admin.close().await;
        let [app, billing] = [&APP, &BILLING].map(|set| set.iter().map(|migration| migration.version).max());
        tracing::info!(app, billing, "the schemas are current");
        Ok(json!({ "app": { "version": app }, "billing": { "version": billing } }))
    }
}

async fn connect(url: &str) -> Result<PgPool, BoxError> {
    let options = PgConnectOptions::from_str(url)?;
    let pool = PgPoolOptions::new().max_connections(1).acquire_timeout(Duration::from_secs(10));
    Ok(pool.connect_with(options).await?)
}

/// Billing's set, with its ledger in its own schema: beside the app's there is another one in `public`.
fn billing() -> Migrator {
    let mut billing = Migrator::with_migrations(BILLING.iter().cloned().collect());
    billing.create_schema("billing");
    billing.dangerous_set_table_name("billing._sqlx_migrations");
    billing
}

/// Gives a login role the password of its connection string. Repeating it changes nothing.
async fn set_password(admin: &PgPool, role: &'static str, url: &str) -> Result<(), BoxError> {
    let url = Url::parse(url)?;
    // A shared pooler wants the project beside the name: lisa_app.abcdefgh
    let named = url.username().split('.').next().unwrap_or_default();
    if named != role {
        return Err(format!("the connection string of {role} logs in as another role").into());
    }
    let password = url.password().ok_or_else(|| format!("the connection string of {role} holds no password"))?;
    let password = percent_decode_str(password).decode_utf8()?.into_owned();
    // DDL takes no parameters: the server itself quotes the password.
    let statement: String = sqlx::query_scalar("select format('alter role %I login password %L', $1::text, $2::text)")
        .bind(role)
        .bind(password)
        .fetch_one(admin)
        .await?;
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(admin).await?;
    Ok(())
}
