//! Structure of the tables: row-level security, keys, names and indexes.

use local::testing;
use sqlx::{Connection, PgConnection};

use super::catalog::{self, OWN_SCHEMAS};

/// A database and the superuser's connection to it.
pub(super) async fn admin() -> (testing::TestDatabase, PgConnection) {
    let database = testing::database().await.unwrap();
    let admin = PgConnection::connect(&database.urls.admin).await.unwrap();
    (database, admin)
}

/// The first column of a statement's rows. `{ours}` in the statement stands for the condition on own schemas.
async fn list(admin: &mut PgConnection, statement: &str) -> Vec<String> {
    let statement = statement.replace("{ours}", OWN_SCHEMAS);
    sqlx::query_scalar(sqlx::AssertSqlSafe(statement)).fetch_all(admin).await.unwrap()
}

#[tokio::test]
async fn every_table_has_row_level_security_and_every_granted_table_has_a_policy() {
    let (_database, mut admin) = admin().await;
    let tables = catalog::tables(&mut admin).await;
    assert!(tables.len() > 10, "{tables:?}");
    for table in tables {
        assert!(table.has_rls, "{} has no row-level security", table.name);
        // Without a policy only the owner sees rows, which is right for a table without grants.
        let granted =
            "select count(*) from pg_class, aclexplode(relacl) where oid = $1::regclass and grantee <> grantor";
        let granted: i64 = sqlx::query_scalar(granted).bind(&table.name).fetch_one(&mut admin).await.unwrap();
        assert!(table.policies > 0 || granted == 0, "{} has no policy", table.name);
    }
    // A view without `security_invoker` reads with the rights of its owner.
    let statement = r#"
        select relname::text from pg_class join pg_namespace on pg_namespace.oid = relnamespace
        where {ours} and nspname <> 'auth' and relkind in ('v', 'm')
          and not coalesce(reloptions @> array['security_invoker=true'], false)
          and not exists (select from pg_depend where objid = pg_class.oid and deptype = 'e')
    "#;
    assert_eq!(list(&mut admin, statement).await, Vec::<String>::new());
    // The tests look for tables in the schema public. Only the system role may use the tables of billing and of legacy
    // (`grants`).
    let statement = r#"
        select relname::text from pg_class join pg_namespace on pg_namespace.oid = relnamespace
        where {ours} and nspname not in ('public', 'billing', 'legacy') and relkind in ('r', 'p', 'f')
    "#;
    assert_eq!(list(&mut admin, statement).await, Vec::<String>::new());
}

#[tokio::test]
async fn policies_are_for_the_listed_roles_and_call_their_functions_once_per_statement() {
    let (_database, mut admin) = admin().await;
    // Only the measured forms: a function inside a `select` runs once per statement, and an index serves the
    // comparison.
    let statement = r#"
        select tablename || '.' || policyname from pg_policies
        where schemaname = 'public' and not (
            roles = '{lisa_system}'
            or coalesce(qual, '') || coalesce(with_check, '') ~ 'SELECT (app|auth)\.'
            or tablename = 'plans'
        )
    "#;
    assert_eq!(list(&mut admin, statement).await, Vec::<String>::new());
    let statement = r#"
        select distinct unnest(roles)::text as role from pg_policies order by role
    "#;
    assert_eq!(list(&mut admin, statement).await, ["authenticated", "lisa_system", "lisa_tenant"]);
}

#[tokio::test]
async fn every_table_has_a_primary_key() {
    let (_database, mut admin) = admin().await;
    let statement = r#"
        select relname::text from pg_class join pg_namespace on pg_namespace.oid = relnamespace
        where {ours} and relkind in ('r', 'p')
          and not exists (select from pg_constraint where conrelid = pg_class.oid and contype = 'p')
    "#;
    assert_eq!(list(&mut admin, statement).await, Vec::<String>::new());
}

#[tokio::test]
async fn every_foreign_key_has_an_index_that_begins_with_its_columns() {
    let (_database, mut admin) = admin().await;
    // An index that begins with the column of the other table's primary key is enough: it finds the rows alone.
    let statement = r#"
        select conrelid::regclass || ': ' || conname from pg_constraint
        where contype = 'f' and not exists (
            select from pg_index
            where indrelid = conrelid and indpred is null and indisvalid and (
                (select array_agg(attnum order by attnum)
                 from unnest((indkey::int2[])[0:cardinality(conkey) - 1]) attnum)
                = (select array_agg(attnum order by attnum) from unnest(conkey) attnum)
                or exists (
                    select from pg_constraint other
                    where other.conrelid = pg_constraint.confrelid and other.contype = 'p'
                      and other.conkey = array[pg_constraint.confkey[array_position(pg_constraint.conkey, indkey[0])]]
                )
            )
        )
    "#;
    assert_eq!(list(&mut admin, statement).await, Vec::<String>::new());
}

#[tokio::test]
async fn constraints_and_indexes_have_explicit_names() {
    let (_database, mut admin) = admin().await;
    // Errors for clients are found by the constraint's name. Names that PostgreSQL makes end in _check, _check1,
    // _key1, _idx1 and the like. Not-null constraints may have such names.
    let statement = r#"
        with names as (
            select regexp_replace(conrelid::regclass::text, '^(billing|legacy)[.]', '') as relation, conname::text as name, contype = 'c' as is_check
            from pg_constraint join pg_namespace on pg_namespace.oid = connamespace
            where {ours} and contype <> 'n' and conrelid <> 0
            union all
            select regexp_replace(indrelid::regclass::text, '^(billing|legacy)[.]', ''),
                regexp_replace(indexrelid::regclass::text, '^(billing|legacy)[.]', ''), false
            from pg_index
            join pg_class on pg_class.oid = indexrelid
            join pg_namespace on pg_namespace.oid = relnamespace
            where {ours}
        )
        select relation || ': ' || name from names
        where relation <> '_sqlx_migrations'
          and (name ~ '_check\d*$' or name ~ '_(key|idx|fkey|pkey|excl)\d+$' or not starts_with(name, relation || '_')
               or (not is_check and name !~ '_(key|idx|fkey|pkey)$'))
    "#;
    assert_eq!(list(&mut admin, statement).await, Vec::<String>::new());
}

#[tokio::test]
async fn security_definer_functions_pin_their_search_path_and_are_not_public() {
    let (_database, mut admin) = admin().await;
    let definers = "select p.oid::regprocedure::text from pg_proc p join pg_namespace on pg_namespace.oid = pronamespace \
                    where {ours} and prosecdef";
    assert!(list(&mut admin, definers).await.len() > 5);
    let unpinned = format!(
        "{definers} and not exists (select from unnest(proconfig) setting where setting ~ '^search_path=(\"\"|)$')"
    );
    assert_eq!(list(&mut admin, &unpinned).await, Vec::<String>::new());
    let public = format!(
        "{definers} and exists (select from aclexplode(coalesce(proacl, acldefault('f', proowner))) where grantee = 0)"
    );
    assert_eq!(list(&mut admin, &public).await, Vec::<String>::new());
}
