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

/// An account's addresses in `users` and `profiles`, and whether it is deleted.
async fn addresses(project: &mut Project, account: &str) -> (String, String, bool) {
    let statement = "select users.email, profiles.email::text, deleted_at is not null \
                     from users join profiles using (id) where id = $1::uuid";
    sqlx::query_as(statement).bind(account).fetch_one(&mut project.superuser).await.unwrap()
}

/// A connection as the role with which Supabase's sign-in writes its table.
async fn auth_admin(project: &Project) -> PgConnection {
    PgConnection::connect(&project.server.url("supabase_auth_admin", "first", "lisa")).await.unwrap()
}

const FIRST: &str = "00000000-0000-4000-8000-000000000001";
const SECOND: &str = "00000000-0000-4000-8000-000000000002";

fn placeholder(account: &str) -> String {
    format!("{account}@accounts.invalid")
}

#[tokio::test]
async fn field_address_changes_follow_and_another_account_takes_the_old_address() {
    let mut project = project().await;
    let mut auth = auth_admin(&project).await;
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/field/auth/address_changes.sql");
    sqlx::raw_sql(AssertSqlSafe(std::fs::read_to_string(path).unwrap())).execute(&mut auth).await.unwrap();
    let [first, second] = ["first@example.com", "second@example.com"].map(str::to_owned);
    assert_eq!(addresses(&mut project, FIRST).await, (second.clone(), second, false));
    assert_eq!(addresses(&mut project, SECOND).await, (first.clone(), first.clone(), false));

    // Two accounts exchange their addresses in one transaction, and one takes its address back after a deletion.
    let statements = format!(
        "begin;
         update auth.users set email = 'third@example.com' where id = '{FIRST}';
         update auth.users set email = 'second@example.com' where id = '{SECOND}';
         update auth.users set email = 'first@example.com' where id = '{FIRST}';
         commit;
         delete from auth.users where id = '{SECOND}';
         insert into auth.users (id, email) values ('00000000-0000-4000-8000-000000000003', 'Second@example.com')"
    );
    sqlx::raw_sql(AssertSqlSafe(statements)).execute(&mut auth).await.unwrap();
    assert_eq!(addresses(&mut project, FIRST).await, (first.clone(), first, false));
    let gone = placeholder(SECOND);
    assert_eq!(addresses(&mut project, SECOND).await, (gone.clone(), gone, true));
    let new = addresses(&mut project, "00000000-0000-4000-8000-000000000003").await;
    assert_eq!(new, ("second@example.com".to_owned(), "second@example.com".to_owned(), false));
}

#[tokio::test]
async fn accounts_become_permanent_are_deleted_softly_and_come_back() {
    let mut project = project().await;
    let mut auth = auth_admin(&project).await;
    // Columns that newer versions of Supabase have.
    let columns = "alter table auth.users add is_anonymous boolean not null default false, add deleted_at timestamptz";
    sqlx::raw_sql(columns).execute(&mut auth).await.unwrap();
    let run = async |auth: &mut PgConnection, statement: String| {
        sqlx::raw_sql(AssertSqlSafe(statement)).execute(auth).await.unwrap();
    };
    run(&mut auth, format!("insert into auth.users (id, is_anonymous) values ('{FIRST}', true)")).await;
    assert_eq!(addresses(&mut project, FIRST).await.0, placeholder(FIRST));
    let used = format!("update user_settings set free_quota_used = 3 where user_id = '{FIRST}'");
    sqlx::raw_sql(AssertSqlSafe(used)).execute(&mut project.superuser).await.unwrap();
    let permanent = "update auth.users set is_anonymous = false, email = 'Awa@example.com'";
    run(&mut auth, format!("{permanent} where id = '{FIRST}'")).await;
    assert_eq!(addresses(&mut project, FIRST).await.0, "awa@example.com");
    let kept = "select free_quota_used from user_settings where user_id = $1::uuid";
    let kept: i32 = sqlx::query_scalar(kept).bind(FIRST).fetch_one(&mut project.superuser).await.unwrap();
    assert_eq!(kept, 3);

    run(&mut auth, format!("update auth.users set deleted_at = now(), email = 'hash' where id = '{FIRST}'")).await;
    assert_eq!(addresses(&mut project, FIRST).await, (placeholder(FIRST), placeholder(FIRST), true));
    let role = "select role from app.user_role($1::uuid)";
    let role: String = sqlx::query_scalar(role).bind(FIRST).fetch_one(&mut project.superuser).await.unwrap();
    assert_eq!(role, "deleted");
    run(&mut auth, format!("insert into auth.users (id, email) values ('{SECOND}', 'awa@example.com')")).await;
    assert_eq!(addresses(&mut project, SECOND).await.0, "awa@example.com");

    run(&mut auth, format!("update auth.users set deleted_at = null, email = 'b@example.com' where id = '{FIRST}'"))
        .await;
    assert_eq!(addresses(&mut project, FIRST).await, ("b@example.com".to_owned(), "b@example.com".to_owned(), false));
}

#[tokio::test]
async fn no_trigger_makes_a_supabase_sign_up_fail() {
    let mut project = project().await;
    let mut auth = auth_admin(&project).await;
    let insert = "insert into auth.users (id, email) values (gen_random_uuid(), $1) returning id::text";
    // Accounts by single sign-on may share an address. A local account keeps its own.
    let local = "select app.provision_account(gen_random_uuid(), 'local@example.com', null, 8); \
                 insert into credentials (user_id, hashed_password) select id, 'x' from users where email like 'local@%'";
    sqlx::raw_sql(local).execute(&mut project.superuser).await.unwrap();
    for email in ["early@example.com", "EARLY@example.com", "local@example.com"] {
        let id: String = sqlx::query_scalar(insert).bind(email).fetch_one(&mut auth).await.unwrap();
        let found = addresses(&mut project, &id).await;
        assert_eq!(found, (placeholder(&id), email.to_lowercase(), false));
    }
    let long = format!("{}@example.com", "x".repeat(243));
    for email in ["a", "", "  ", &long] {
        let _: String = sqlx::query_scalar(insert).bind(email).fetch_one(&mut auth).await.unwrap();
    }

    // Whatever fails inside, Supabase's statements succeed: here a constraint, a lock, and a missing table.
    let constraint = "alter table user_settings add constraint never check (free_quota_limit < 0) not valid";
    sqlx::raw_sql(constraint).execute(&mut project.superuser).await.unwrap();
    let id: String = sqlx::query_scalar(insert).bind("one@example.com").fetch_one(&mut auth).await.unwrap();
    let rows = "select count(*) from users where id = $1::uuid";
    let found: i64 = sqlx::query_scalar(rows).bind(&id).fetch_one(&mut project.superuser).await.unwrap();
    assert_eq!(found, 0, "all rows or none");
    sqlx::raw_sql("alter table user_settings drop constraint never; begin; lock table users in exclusive mode")
        .execute(&mut project.superuser)
        .await
        .unwrap();
    let _: String = sqlx::query_scalar(insert).bind("two@example.com").fetch_one(&mut auth).await.unwrap();
    sqlx::raw_sql("commit; alter table profiles rename to elsewhere").execute(&mut project.superuser).await.unwrap();
    let _: String = sqlx::query_scalar(insert).bind("three@example.com").fetch_one(&mut auth).await.unwrap();
    sqlx::query("update auth.users set email = 'x' || left(email, 254)").execute(&mut auth).await.unwrap();
    sqlx::query("delete from auth.users").execute(&mut auth).await.unwrap();
}

#[tokio::test]
async fn new_supabase_accounts_get_the_free_requests_of_the_setting() {
    let mut project = project().await;
    let mut auth = auth_admin(&project).await;
    let limit_of = async |project: &mut Project, id: &str| {
        let statement = "select free_quota_limit, credits_remaining from user_settings \
                         join profiles on profiles.id = user_id where user_id = $1::uuid";
        sqlx::query_as::<_, (i32, i32)>(statement).bind(id).fetch_one(&mut project.superuser).await.unwrap()
    };
    let mut insert = async |id: &str| {
        let statement = "insert into auth.users (id, email) values ($1::uuid, $1 || '@example.com')";
        sqlx::query(statement).bind(id).execute(&mut auth).await.unwrap();
    };
    migrate::run_with(&project.urls, &[("FREE_QUOTA_LIMIT", "3")]).await.unwrap();
    insert(FIRST).await;
    assert_eq!(limit_of(&mut project, FIRST).await, (3, 3));
    migrate::run(&project.urls).await.unwrap();
    insert(SECOND).await;
    assert_eq!(limit_of(&mut project, SECOND).await, (8, 8));
    assert_eq!(limit_of(&mut project, FIRST).await, (3, 3), "an account keeps its number");
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
        line("orders", &super::PUBLISHED_ORDER_COLUMNS),
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
        place: None,
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
