//! Brings the database to the newest schema; invoked once per deploy, before the new code takes requests.
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
    postgres::{PgConnectOptions, PgPoolOptions},
};
use url::Url;

/// The function.
pub const FUNCTION: Function = Function::event::<Migrate>();

/// The schema, as it is compiled in.
static APP: sqlx::migrate::Migrator = sqlx::migrate!("../../migrations/app");

/// Its connection strings.
#[derive(Debug, Clone)]
pub struct Migrate {
    /// The owner of the schema; direct or in session mode, since the migrator holds an advisory lock.
    admin_url: String,
    /// Those of the roles that the functions log in with.
    login_urls: [String; 2],
}

impl EventFunction for Migrate {
    const NAME: &'static str = "migrate";

    fn read(settings: &mut Settings) -> Self {
        Self {
            admin_url: settings.database_url("MIGRATE_DATABASE_URL"),
            login_urls: [settings.database_url("DATABASE_URL"), settings.database_url("SYSTEM_DATABASE_URL")],
        }
    }

    async fn handle(&self, _: Value) -> Result<Value, BoxError> {
        let admin = PgPoolOptions::new()
            .max_connections(1)
            .acquire_timeout(Duration::from_secs(10))
            .connect_with(PgConnectOptions::from_str(&self.admin_url)?)
            .await?;
        APP.run(&admin).await?;
        for (url, role) in self.login_urls.iter().zip(["lisa_app", "lisa_system"]) {
            set_password(&admin, role, url).await?;
        }
        admin.close().await;
        let version = APP.iter().map(|migration| migration.version).max();
        tracing::info!(version, "the schema is current");
        Ok(json!({ "app": { "version": version } }))
    }
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
