//! The migrations on a database like Supabase's, which has its own roles, schemas and default privileges, and whose
//! owner is no superuser.

use local::environment::DatabaseUrls;
use local_postgres::Postgres;
use shared::{
    documents::{self, NewChunk},
    error::ApiError,
    retrieval::{self, HybridQuery},
    text::Language,
};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use uuid::Uuid;

use super::{grants, migrate};
use crate::{route, seed};

/// Roles that Supabase's image creates. `project` stands for its role `postgres`.
const SUPABASE_ROLES: &str = r#"
    create role anon nologin noinherit;
    create role authenticated nologin noinherit;
    create role service_role nologin noinherit bypassrls;
    create role authenticator login noinherit password 'first';
    grant anon, authenticated, service_role to authenticator;
    create role supabase_auth_admin login noinherit createrole password 'first';
    create role project login createrole createdb bypassrls replication password 'first';
    grant anon, authenticated, service_role to project;
    alter role project set search_path = "$user", public, extensions;
    alter role supabase_auth_admin set search_path = auth;
"#;
/// Schemas, grants, default privileges and one account that a Supabase database has before the migrations.
const SUPABASE_DATABASE: &str = r#"
    alter schema public owner to project;
    grant all on schema public to anon, authenticated, service_role;
    alter default privileges for role project in schema public
        grant all on tables to anon, authenticated, service_role;
    alter default privileges for role project in schema public
        grant all on functions to anon, authenticated, service_role;
    alter default privileges for role project in schema public
        grant all on sequences to anon, authenticated, service_role;

    create schema extensions authorization project;
    grant usage on schema extensions to anon, authenticated, service_role;
    create extension vector with schema extensions;

    create schema auth authorization supabase_auth_admin;
    grant usage on schema auth to anon, authenticated, service_role, project;
    set role supabase_auth_admin;
    create table auth.users (id uuid primary key, email varchar(255), raw_user_meta_data jsonb);
    create function auth.jwt() returns jsonb language sql stable as
        $$ select nullif(current_setting('request.jwt.claims', true), '')::jsonb $$;
    create function auth.uid() returns uuid language sql stable as
        $$ select (nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub')::uuid $$;
    create function auth.role() returns text language sql stable as
        $$ select nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'role' $$;
    grant all on auth.users to project;
    reset role;

    create publication supabase_realtime;
    alter publication supabase_realtime owner to project;
    insert into auth.users values ('00000000-0000-0000-0000-000000000001', 'early@example.com', '{"full_name": "É"}');
"#;

/// A migrated Supabase project.
struct Project {
    server: Postgres,
    urls: DatabaseUrls,
    superuser: PgConnection,
}

/// Starts a server, makes a Supabase database on it and migrates it.
async fn project() -> Project {
    let server = migrate::start_server().await;
    let mut superuser = PgConnection::connect(&server.admin_url("postgres")).await.unwrap();
    sqlx::raw_sql(SUPABASE_ROLES).execute(&mut superuser).await.unwrap();
    sqlx::raw_sql("create database lisa owner project").execute(&mut superuser).await.unwrap();
    let mut superuser = PgConnection::connect(&server.admin_url("lisa")).await.unwrap();
    sqlx::raw_sql(SUPABASE_DATABASE).execute(&mut superuser).await.unwrap();
    let mut urls = migrate::urls(&server, "lisa");
    urls.admin = server.url("project", "first", "lisa");
    let migrated = migrate::run(&urls).await;
    migrated.unwrap_or_else(|error| panic!("{}", shared::logging::chain(error.as_ref())));
    Project { server, urls, superuser }
}

#[tokio::test]
async fn every_supabase_account_gets_its_user_settings_and_profile() {
    let mut project = project().await;
    let new = Uuid::new_v4();
    let url = project.server.url("supabase_auth_admin", "first", "lisa");
    let mut auth = PgConnection::connect(&url).await.unwrap();
    let insert = "insert into auth.users (id, email, raw_user_meta_data) values ($1, $2, $3)";
    for (id, email) in [(new, Some("awa@example.com")), (Uuid::new_v4(), None), (Uuid::new_v4(), Some(""))] {
        let meta = serde_json::json!({ "full_name": "Awa ".repeat(100) });
        sqlx::query(insert).bind(id).bind(email).bind(meta).execute(&mut auth).await.unwrap();
    }
    let statement = r#"
        select account.email, profile.full_name, settings.free_quota_limit, profile.credits_remaining
        from users account
        join user_settings settings on settings.user_id = account.id
        join profiles profile on profile.id = account.id
        order by account.email
    "#;
    let rows: Vec<(String, String, i32, i32)> =
        sqlx::query_as(statement).fetch_all(&mut project.superuser).await.unwrap();
    assert_eq!(rows.len(), 4, "{rows:?}");
    let of = |email: &str| rows.iter().find(|row| row.0 == email).unwrap_or_else(|| panic!("{email}: {rows:?}"));
    // The account that existed before the migrations has its rows too.
    assert_eq!(*of("early@example.com"), ("early@example.com".to_owned(), "É".to_owned(), 8, 8));
    assert_eq!(of("awa@example.com").1.chars().count(), 255);
    assert_eq!(rows.iter().filter(|row| row.0.ends_with("@accounts.invalid")).count(), 2);
}

#[tokio::test]
async fn default_privileges_of_supabase_give_the_frontends_nothing() {
    let mut project = project().await;
    let fronts = |line: &String| ["anon", "authenticated", "service_role"].iter().any(|role| line.starts_with(role));
    let mut found: Vec<_> = grants::list_grants(&mut project.superuser).await.into_iter().filter(fronts).collect();
    // Privileges on schemas are Supabase's own, `create` in public among them. The migrations do not change them.
    found.retain(|line| !line.contains(" on schema "));
    let mut expected: Vec<_> = grants::FRONTEND_GRANTS.iter().filter(|line| !line.contains(" on schema ")).collect();
    expected.sort_unstable();
    found.sort_unstable();
    assert_eq!(found, expected.into_iter().map(|line| (*line).to_owned()).collect::<Vec<_>>());

    // Objects of a later migration get no default privilege either.
    let mut owner = PgConnection::connect(&project.urls.admin).await.unwrap();
    let later = "create table later (id bigint generated always as identity primary key); \
                 create function later() returns integer language sql as 'select 1'";
    sqlx::raw_sql(later).execute(&mut owner).await.unwrap();
    let leaked: Vec<_> = grants::list_grants(&mut project.superuser).await.into_iter().filter(fronts).collect();
    assert!(!leaked.iter().any(|line| line.contains("later")), "{leaked:?}");
}

#[tokio::test]
async fn realtime_publishes_exactly_the_listed_columns() {
    let mut project = project().await;
    let statement = "select tablename::text, attnames::text[] from pg_publication_tables \
                     where pubname = 'supabase_realtime' order by tablename";
    let published: Vec<(String, Vec<String>)> =
        sqlx::query_as(statement).fetch_all(&mut project.superuser).await.unwrap();
    let line =
        |table: &str, columns: &[&str]| (table.to_owned(), columns.iter().map(|name| (*name).to_owned()).collect());
    let expected = [
        line(
            "activities",
            &[
                "id",
                "company_id",
                "conversation_id",
                "type",
                "title",
                "description",
                "status",
                "metadata",
                "created_at",
            ],
        ),
        line(
            "orders",
            &[
                "id",
                "company_id",
                "conversation_id",
                "customer_name",
                "total_amount",
                "currency",
                "status",
                "items",
                "needs_review",
                "created_at",
                "updated_at",
            ],
        ),
        line("user_settings", &["user_id", "free_quota_used", "free_quota_limit"]),
        line("users", &["id", "is_pro"]),
    ];
    assert_eq!(published, expected);
    // An update fails unless the published columns contain the key of its row.
    sqlx::raw_sql("update users set is_pro = true; update user_settings set free_quota_used = 1; delete from users")
        .execute(&mut project.superuser)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_tenant_stores_and_finds_vectors() {
    let mut project = project().await;
    let tenant = seed::tenant(&mut project.superuser, "a", 8).await;
    let insert = format!(
        "insert into documents (customer_id, company_id, filename, bytes, storage_key) \
         values ('{}', '{}', 'a.pdf', 1, 'key') returning id",
        tenant.customer, tenant.company
    );
    let document: Uuid = sqlx::query_scalar(AssertSqlSafe(insert)).fetch_one(&mut project.superuser).await.unwrap();
    let embedding = vec![0.5_f32; 1536];
    let chunk = NewChunk {
        index: 0,
        page_start: 1,
        page_end: 1,
        text: "Delivery costs 2,000 francs.".to_owned(),
        embedding: embedding.clone(),
    };
    let db = route::db(&project.urls.app, 1);
    let found: Result<_, ApiError> = db
        .tenant_tx(tenant.customer, async |tx| {
            documents::begin(tx, document, "model").await?;
            documents::record_page_count(tx, document, 1, 1).await?;
            documents::store_chunks(tx, document, Language::English, "model", &[chunk]).await?;
            documents::finish(tx, document, "model", &[0; 32], Language::English, "Delivery", &[]).await?;
            let search = HybridQuery {
                question: "delivery",
                standalone: "delivery",
                language: Language::English,
                embedding: &embedding,
                model: "model",
                vector_weight: 0.5,
                documents: None,
                limit: 5,
            };
            Ok(retrieval::search(tx, &search).await?)
        })
        .await;
    let found = found.unwrap_or_else(|error| panic!("{}", shared::logging::chain(&error)));
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].document_id, document);
}

#[tokio::test]
async fn a_second_migration_needs_no_superuser() {
    let project = project().await;
    migrate::run(&project.urls).await.unwrap();
}
