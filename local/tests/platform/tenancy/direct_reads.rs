//! The frontends' direct reads through Supabase, as the role `authenticated` with the claims of a token: exactly the listed
//! tables and columns, own rows only. Everything else in the database is closed, what is made later included.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use uuid::Uuid;

use super::{catalog::OWN_SCHEMAS, isolation::StatementOutcome, rows};
use crate::{route::DatabaseRoute, seed::SeededTenant};

/// A relation that the frontends read, with the columns and the condition of own rows: the column and whose id it holds.
struct DirectRead {
    relation: &'static str,
    /// The readable columns; all when empty.
    columns: &'static [&'static str],
    owner_column: &'static str,
    owner: fn(&SeededTenant) -> String,
}

fn customer(tenant: &SeededTenant) -> String {
    tenant.customer.to_string()
}

fn company(tenant: &SeededTenant) -> String {
    tenant.company.clone()
}

fn user(tenant: &SeededTenant) -> String {
    tenant.owner.to_string()
}

const DIRECT_READS: [DirectRead; 13] = [
    DirectRead { relation: "users", columns: &["id", "is_pro"], owner_column: "id", owner: user },
    DirectRead { relation: "user_settings", columns: &[], owner_column: "user_id", owner: user },
    DirectRead { relation: "profiles", columns: &[], owner_column: "id", owner: user },
    DirectRead { relation: "company_mapping", columns: &[], owner_column: "uuid", owner: customer },
    DirectRead { relation: "company_rag_configs", columns: &[], owner_column: "company_id", owner: company },
    DirectRead { relation: "conversation_memory", columns: &[], owner_column: "company_id", owner: company },
    DirectRead {
        relation: "documents",
        columns: &[
            "id",
            "filename",
            "status",
            "content",
            "metadata",
            "company_id",
            "upload_date",
            "pages_total",
            "pages_done",
        ],
        owner_column: "company_id",
        owner: company,
    },
    DirectRead { relation: "orders", columns: &[], owner_column: "company_id", owner: customer },
    DirectRead { relation: "activities", columns: &[], owner_column: "company_id", owner: customer },
    DirectRead { relation: "bot_sessions", columns: &[], owner_column: "company_id", owner: customer },
    DirectRead { relation: "bot_usage", columns: &[], owner_column: "company_id", owner: customer },
    // conversation_memory reads these columns with the rights of its caller (security_invoker).
    DirectRead {
        relation: "conversations",
        columns: &["id", "customer_id", "contact_id", "user_id"],
        owner_column: "customer_id",
        owner: customer,
    },
    DirectRead {
        relation: "messages",
        columns: &["content", "conversation_id", "created_at", "customer_id", "direction"],
        owner_column: "customer_id",
        owner: customer,
    },
];

/// The functions that the frontends may execute: those that the policies call, and Supabase's own.
const FUNCTIONS: [&str; 5] = ["app.companies()", "app.tenants()", "auth.jwt()", "auth.role()", "auth.uid()"];

/// Runs a statement that selects one number, as a frontend does, and rolls it back.
async fn count_as(admin: &mut PgConnection, role: &str, user: Option<Uuid>, statement: &str) -> StatementOutcome {
    let mut tx = admin.begin().await.unwrap();
    let claims = user.map_or_else(String::new, |user| json!({ "sub": user, "role": role }).to_string());
    let begin = format!("set local role {role}; select set_config('request.jwt.claims', '{claims}', true)");
    sqlx::raw_sql(AssertSqlSafe(begin)).execute(&mut *tx).await.unwrap();
    let outcome = sqlx::query_scalar(AssertSqlSafe(statement.to_owned())).fetch_one(&mut *tx).await;
    tx.rollback().await.unwrap();
    outcome.map_or_else(|error| StatementOutcome::from_error(&error), StatementOutcome::Rows)
}

/// All relations with their columns, by `schema.name`.
async fn relations(admin: &mut PgConnection) -> BTreeMap<String, BTreeSet<String>> {
    let statement = r#"
        select format('%I.%I', nspname, relname), array_remove(array_agg(attname::text), null)
        from pg_class join pg_namespace on pg_namespace.oid = relnamespace
        left join pg_attribute on attrelid = pg_class.oid and attnum > 0 and not attisdropped
        where {ours} and relkind in ('r', 'p', 'v', 'm', 'f')
        group by 1
    "#;
    let statement = statement.replace("{ours}", OWN_SCHEMAS);
    let found: Vec<(String, Vec<String>)> = sqlx::query_as(AssertSqlSafe(statement)).fetch_all(admin).await.unwrap();
    found.into_iter().map(|(name, columns)| (name, columns.into_iter().collect())).collect()
}

#[tokio::test]
async fn own_rows_are_seen_and_no_others() {
    let route = DatabaseRoute::direct().await;
    let mut admin = route.admin().await;
    let [mine, theirs] = rows::two_tenants(&mut admin).await;
    for read in &DIRECT_READS {
        let count = |condition: &str| {
            format!("select count(*) from {} where {}::text {condition}", read.relation, read.owner_column)
        };
        for (tenant, other) in [(&mine, &theirs), (&theirs, &mine)] {
            let (own, foreign) = ((read.owner)(tenant), (read.owner)(other));
            let user = Some(tenant.owner);
            let seen = count_as(&mut admin, "authenticated", user, &count(&format!("= '{own}'"))).await;
            assert!(matches!(seen, StatementOutcome::Rows(1..)), "{}: {seen:?}", read.relation);
            for condition in [format!("= '{foreign}'"), format!("<> '{own}'")] {
                let seen = count_as(&mut admin, "authenticated", user, &count(&condition)).await;
                assert!(matches!(seen, StatementOutcome::Rows(0)), "{} {condition}: {seen:?}", read.relation);
            }
        }
        for (role, user) in [("authenticated", None), ("authenticated", Some(Uuid::new_v4())), ("anon", None)] {
            let seen = count_as(&mut admin, role, user, &count("is not null")).await;
            assert!(seen.touches_nothing(), "{} by {role}: {seen:?}", read.relation);
        }
    }
}

#[tokio::test]
async fn every_other_column_relation_and_function_is_closed() {
    let route = DatabaseRoute::direct().await;
    let mut admin = route.admin().await;
    let [mine, _] = rows::two_tenants(&mut admin).await;
    let relations = relations(&mut admin).await;
    assert!(relations.len() > 40, "{relations:?}");
    let mut tried = 0;
    for (relation, columns) in &relations {
        let listed = DIRECT_READS.iter().find(|read| *relation == format!("public.{}", read.relation));
        for column in columns {
            let is_listed =
                listed.is_some_and(|read| read.columns.is_empty() || read.columns.contains(&column.as_str()));
            let statement = format!("select count({column:?}) from {relation}");
            let seen = count_as(&mut admin, "authenticated", Some(mine.owner), &statement).await;
            let is_open = matches!(seen, StatementOutcome::Rows(_));
            assert!(is_open || matches!(seen, StatementOutcome::Refused), "{statement}: {seen:?}");
            assert_eq!(is_open, is_listed, "{statement}: {seen:?}");
            for role in ["anon", "service_role"] {
                let seen = count_as(&mut admin, role, Some(mine.owner), &statement).await;
                assert!(matches!(seen, StatementOutcome::Refused), "{statement} by {role}: {seen:?}");
            }
            tried += 1;
        }
    }
    assert!(tried > 300, "{tried}");
    for read in &DIRECT_READS {
        let columns = &relations[&format!("public.{}", read.relation)];
        assert!(read.columns.iter().all(|column| columns.contains(*column)), "{}: {columns:?}", read.relation);
    }
    assert_eq!(executable(&mut admin, "authenticated").await, FUNCTIONS);
    for role in ["anon", "service_role"] {
        assert_eq!(executable(&mut admin, role).await, ["auth.jwt()", "auth.role()", "auth.uid()"], "{role}");
    }
}

/// The functions that a role may execute, without those of extensions.
async fn executable(admin: &mut PgConnection, role: &str) -> Vec<String> {
    let statement = r#"
        select p.oid::regprocedure::text from pg_proc p join pg_namespace on pg_namespace.oid = pronamespace
        where {ours} and not exists (select from pg_depend where objid = p.oid and deptype = 'e')
          and has_function_privilege($1, p.oid, 'execute')
        order by 1
    "#;
    let statement = statement.replace("{ours}", OWN_SCHEMAS);
    sqlx::query_scalar(AssertSqlSafe(statement)).bind(role).fetch_all(admin).await.unwrap()
}

#[tokio::test]
async fn what_is_made_later_is_closed_by_default() {
    let route = DatabaseRoute::direct().await;
    let mut admin = route.admin().await;
    let before: BTreeMap<_, _> = {
        let mut all = BTreeMap::new();
        for role in ["anon", "authenticated", "service_role", "lisa_app", "lisa_tenant", "lisa_system"] {
            all.insert(role, executable(&mut admin, role).await);
        }
        all
    };
    for schema in ["public", "app", "legacy", "billing"] {
        let make = format!(
            "create table {schema}.later (id bigint generated always as identity primary key, secret text);
             insert into {schema}.later (secret) values ('x');
             create view {schema}.later_view as select * from {schema}.later;
             create function {schema}.later_function() returns bigint language sql security definer as 'select 1::bigint';
             create sequence {schema}.later_sequence"
        );
        sqlx::raw_sql(AssertSqlSafe(make)).execute(&mut admin).await.unwrap();
        for role in ["anon", "authenticated", "service_role"] {
            for statement in [
                format!("select count(*) from {schema}.later"),
                format!("select count(*) from {schema}.later_view"),
                format!("select {schema}.later_function()"),
                format!("select nextval('{schema}.later_sequence')"),
            ] {
                let seen = count_as(&mut admin, role, Some(Uuid::new_v4()), &statement).await;
                assert!(matches!(seen, StatementOutcome::Refused), "{statement} by {role}: {seen:?}");
            }
        }
    }
    for (role, functions) in before {
        assert_eq!(executable(&mut admin, role).await, functions, "{role}");
    }
}
