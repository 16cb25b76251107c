//! The function `migrate`. Each test has its own server, because roles and their passwords belong to a whole server.

use local::environment::{BillingDatabaseUrls, DatabaseUrls};
use local_postgres::{Cluster, Postgres, ProgressOutput, Python};
use serde_json::{Value, json};
use shared::{error::BoxError, function::Handler};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

/// Starts a server without migrations.
pub(crate) async fn start_server() -> Postgres {
    let python = Python::ensure(ProgressOutput::Silent).unwrap();
    Postgres::start(Cluster::temporary(&python).unwrap(), ProgressOutput::Silent).await.unwrap()
}

/// Connection strings of a database on such a server. The schema's owner is the superuser.
pub(crate) fn urls(server: &Postgres, database: &str) -> DatabaseUrls {
    DatabaseUrls {
        app: server.url("lisa_app", "first", database),
        system: server.url("lisa_system", "first", database),
        admin: server.admin_url(database),
        billing: None,
    }
}

/// Runs the function as a deployment does.
pub(crate) async fn run(urls: &DatabaseUrls) -> Result<Value, BoxError> {
    run_with(urls, &[]).await
}

/// Runs the function with further settings.
pub(crate) async fn run_with(urls: &DatabaseUrls, settings: &[(&str, &str)]) -> Result<Value, BoxError> {
    let mut all = urls.migrate_settings();
    all.extend(settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    let started = migrate::FUNCTION.start(all).await.unwrap();
    let Handler::Event(handle) = started.handler else { panic!("it takes events") };
    handle(json!({})).await
}

/// All objects of the schema with their OIDs, definitions and grants, from the catalog.
async fn schema(admin: &mut PgConnection) -> Vec<String> {
    let statement = r#"
        select oid || ' ' || relname || coalesce(relacl::text, '') from pg_class where relname !~ '^pg_'
        union all select oid || pg_get_functiondef(oid) || coalesce(proacl::text, '')
            from pg_proc where pronamespace = to_regnamespace('app')
        union all select polname || coalesce(pg_get_expr(polqual, polrelid), '') from pg_policy
        order by 1
    "#;
    sqlx::query_scalar(statement).fetch_all(admin).await.unwrap()
}

#[tokio::test]
async fn a_second_migration_changes_nothing() {
    let server = start_server().await;
    server.create_database("lisa").await.unwrap();
    let urls = urls(&server, "lisa");
    let first = run(&urls).await.unwrap();
    assert!(first["app"]["version"].as_i64().unwrap() >= 5, "{first}");
    assert!(first["billing"]["version"].as_i64().unwrap() >= 1, "{first}");
    let mut admin = PgConnection::connect(&urls.admin).await.unwrap();
    let before = schema(&mut admin).await;
    assert_eq!(run(&urls).await.unwrap(), first);
    assert_eq!(schema(&mut admin).await, before);
}

#[tokio::test]
async fn billing_is_migrated_in_the_app_database_or_in_a_second_one() {
    const SCHEMAS: &str = "select count(*) filter (where nspname = 'app'), count(*) filter (where nspname = 'billing') \
                           from pg_namespace";
    let server = start_server().await;
    for database in ["together", "apart", "billing"] {
        server.create_database(database).await.unwrap();
    }
    let together = urls(&server, "together");
    // A second database on the same server, so that the login roles have equal passwords.
    let billing = urls(&server, "billing");
    let billing = BillingDatabaseUrls { system: billing.system, admin: billing.admin };
    let apart = DatabaseUrls { billing: Some(billing), ..urls(&server, "apart") };
    run(&together).await.unwrap();
    let first = run(&apart).await.unwrap();
    assert_eq!(run(&apart).await.unwrap(), first);
    for (url, expected) in
        [(&together.admin, (1, 1)), (&apart.admin, (1, 0)), (&apart.billing.as_ref().unwrap().admin, (0, 1))]
    {
        let mut admin = PgConnection::connect(url).await.unwrap();
        let found: (i64, i64) = sqlx::query_as(SCHEMAS).fetch_one(&mut admin).await.unwrap();
        assert_eq!(found, expected, "{url}");
    }
    let mut system = PgConnection::connect(&apart.billing.as_ref().unwrap().system).await.unwrap();
    sqlx::raw_sql("select * from billing.subscriptions").execute(&mut system).await.unwrap();

    // With only one of the two settings, the tables would be created in a database that no function reads.
    for name in ["BACKEND_APP_DATABASE_URL", "MIGRATE_BACKEND_APP_DATABASE_URL"] {
        let mut settings = apart.migrate_settings();
        settings.remove(name);
        let error = migrate::FUNCTION.start(settings).await.err().unwrap().to_string();
        assert!(error.contains("must be set together"), "{error}");
    }
}

#[tokio::test]
async fn the_login_roles_get_the_passwords_of_their_connection_strings() {
    let server = start_server().await;
    server.create_database("lisa").await.unwrap();
    let mut urls = urls(&server, "lisa");
    run(&urls).await.unwrap();
    for url in [&urls.app, &urls.system] {
        PgConnection::connect(url).await.unwrap();
    }
    // The new password contains characters with a meaning in SQL and in URLs.
    let old = urls.app.clone();
    let awkward = r#"it''s "50%" \ $$ é"#;
    let encoded = "it%27%27s%20%2250%25%22%20%5C%20%24%24%20%C3%A9";
    urls.app = old.replace(":first@", &format!(":{encoded}@"));
    run(&urls).await.unwrap();
    assert!(PgConnection::connect(&old).await.is_err());
    PgConnection::connect(&urls.app).await.unwrap();
    let options: sqlx::postgres::PgConnectOptions = old.parse().unwrap();
    PgConnection::connect_with(&options.password(awkward)).await.unwrap();
}

/// A server that would store an MD5 hash of a password that it is sent stores the verifier that was sent in its place.
#[tokio::test]
async fn the_server_is_sent_a_verifier_and_no_password() {
    let server = start_server().await;
    server.create_database("lisa").await.unwrap();
    let urls = urls(&server, "lisa");
    let mut admin = PgConnection::connect(&urls.admin).await.unwrap();
    sqlx::raw_sql("alter system set password_encryption = 'md5'").execute(&mut admin).await.unwrap();
    sqlx::raw_sql("select pg_reload_conf()").execute(&mut admin).await.unwrap();
    run(&urls).await.unwrap();
    let stored: Vec<String> =
        sqlx::query_scalar("select rolpassword from pg_authid where rolname in ('lisa_app', 'lisa_system')")
            .fetch_all(&mut admin)
            .await
            .unwrap();
    assert_eq!(stored.len(), 2);
    assert!(stored.iter().all(|verifier| verifier.starts_with("SCRAM-SHA-256$4096:")), "{stored:?}");
    PgConnection::connect(&urls.app).await.unwrap();
}

#[tokio::test]
async fn a_connection_string_of_another_role_or_without_a_password_is_refused() {
    let server = start_server().await;
    server.create_database("lisa").await.unwrap();
    let good = urls(&server, "lisa");
    run(&good).await.unwrap();
    let mut swapped = good.clone();
    std::mem::swap(&mut swapped.app, &mut swapped.system);
    let error = run(&swapped).await.unwrap_err().to_string();
    assert_eq!(error, "the connection string of lisa_app logs in as another role");
    let owner = DatabaseUrls { app: good.admin.clone(), ..good.clone() };
    assert!(run(&owner).await.unwrap_err().to_string().contains("logs in as another role"));
    let open = DatabaseUrls { system: good.system.replace(":first@", "@"), ..good.clone() };
    let error = run(&open).await.unwrap_err().to_string();
    assert_eq!(error, "the connection string of lisa_system holds no password");
    // A shared pooler needs the project in the login name.
    let named = DatabaseUrls { app: good.app.replace("lisa_app:", "lisa_app.abcdefgh:"), ..good.clone() };
    run(&named).await.unwrap();
}

#[tokio::test]
async fn a_migration_by_a_role_without_rights_fails_with_permission_denied() {
    let server = start_server().await;
    server.create_database("lisa").await.unwrap();
    let good = urls(&server, "lisa");
    let mut admin = PgConnection::connect(&good.admin).await.unwrap();
    let weak = "create role weak login password 'first'";
    sqlx::raw_sql(AssertSqlSafe(weak)).execute(&mut admin).await.unwrap();
    let error = run(&DatabaseUrls { admin: server.url("weak", "first", "lisa"), ..good }).await.unwrap_err();
    let chain = shared::logging::chain(error.as_ref());
    assert!(chain.contains("permission denied"), "{chain}");
}
