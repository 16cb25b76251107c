//! Tables of an older project whose names the migrations need: they move to the schema `legacy`, from which
//! `cargo adopt` copies their rows.

use std::collections::BTreeSet;

use shared::error::BoxError;
use sqlx::{PgPool, migrate::Migrator};

/// Moves the tables and views named in the setting `lisa.old_relations`, all or none.
///
/// In `legacy` nobody but the owner reaches them: the grants and the row-level security of the old front ends are for the
/// names in `public`. `migrate` lets the role `lisa_system` read them afterwards.
const MOVE: &str = r#"
do $$
declare
    old record;
    publication text;
    grantee text;
begin
    create schema if not exists legacy;
    revoke all on schema legacy from public;
    for old in
        select relation.oid, relation.relname, relation.relkind
        from unnest(string_to_array(current_setting('lisa.old_relations'), ',')) name
        join pg_class relation on relation.relname = name and relation.relnamespace = 'public'::regnamespace
        order by name
    loop
        -- A table stays in its publications when it moves, and Realtime would go on with it.
        for publication in
            select pubname from pg_publication_rel member join pg_publication on pg_publication.oid = member.prpubid
            where member.prrelid = old.oid
        loop
            execute format('alter publication %I drop table public.%I', publication, old.relname);
        end loop;
        for grantee in select 'public' union all select quote_ident(rolname) from pg_roles
            where rolname in ('anon', 'authenticated', 'service_role')
        loop
            execute format('revoke all on public.%I from %s', old.relname, grantee);
        end loop;
        if old.relkind = 'v' then
            execute format('alter view public.%I set schema legacy', old.relname);
        elsif old.relkind = 'm' then
            execute format('alter materialized view public.%I set schema legacy', old.relname);
        elsif old.relkind = 'f' then
            execute format('alter foreign table public.%I set schema legacy', old.relname);
        else
            execute format('alter table public.%I disable row level security', old.relname);
            execute format('alter table public.%I no force row level security', old.relname);
            execute format('alter table public.%I set schema legacy', old.relname);
        end if;
    end loop;
end
$$
"#;

/// Lets the role `lisa_system` read the moved tables, for `cargo adopt`. Repeating it changes nothing.
const OPEN: &str =
    "grant usage on schema legacy to lisa_system; grant select on all tables in schema legacy to lisa_system";

/// Lets rows be deleted from the moved tables in any order and without an effect elsewhere: drops every foreign key from or
/// to one of them, and disables their triggers. A webhook of a Supabase project is such a trigger, and would send the rows
/// of a purged company to the old back end. Repeating it changes nothing.
const DETACH: &str = r#"
do $$
declare
    found record;
begin
    for found in
        select key.conrelid::regclass as relation, key.conname from pg_constraint key
        where key.contype = 'f' and key.conparentid = 0
          and exists (
              select from pg_class old
              where old.oid in (key.conrelid, key.confrelid) and old.relnamespace = 'legacy'::regnamespace
          )
    loop
        execute format('alter table %s drop constraint %I', found.relation, found.conname);
    end loop;
    for found in
        select old.oid::regclass as relation from pg_class old
        where old.relnamespace = 'legacy'::regnamespace and old.relkind in ('r', 'p')
          and exists (
              select from pg_trigger known
              where known.tgrelid = old.oid and not known.tgisinternal and known.tgenabled <> 'D'
          )
    loop
        execute format('alter table %s disable trigger user', found.relation);
    end loop;
end
$$
"#;

/// Moves the relations of `public` that have the name of a table or a view which a migration still has to make, and no
/// migration has made before. Returns their names. On a database of this product there are none.
///
/// # Errors
/// Returns the database's error: for example when `legacy` holds a table of the name already. Nothing has moved then.
pub(crate) async fn move_old_relations(admin: &PgPool, migrations: &Migrator) -> Result<Vec<String>, BoxError> {
    let applied = applied_versions(admin).await?;
    let names_of = |is_applied: bool| -> BTreeSet<&str> {
        let wanted = migrations.iter().filter(|migration| applied.contains(&migration.version) == is_applied);
        wanted.flat_map(|migration| created_relations(migration.sql.as_str())).collect()
    };
    let (made, pending) = (names_of(true), names_of(false));
    let free: Vec<String> = pending.difference(&made).map(|name| (*name).to_owned()).collect();
    let old: Vec<String> = sqlx::query_scalar(
        "select relname::text from pg_class
         where relnamespace = 'public'::regnamespace and relkind in ('r', 'p', 'v', 'm', 'f') and relname = any($1)
           and not exists (select from pg_depend where objid = pg_class.oid and deptype = 'e')
         order by relname",
    )
    .bind(&free)
    .fetch_all(admin)
    .await?;
    if old.is_empty() {
        return Ok(old);
    }
    sqlx::query("select set_config('lisa.old_relations', $1, false)").bind(old.join(",")).execute(admin).await?;
    sqlx::raw_sql(MOVE).execute(admin).await?;
    tracing::warn!(tables = old.join(", "), "tables of an older project were moved to the schema legacy");
    Ok(old)
}

/// Opens the moved tables to `cargo adopt` and to the purge of a company.
///
/// # Errors
/// Returns the database's error.
pub(crate) async fn open_to_adoption_and_purge(admin: &PgPool) -> Result<(), BoxError> {
    sqlx::raw_sql(OPEN).execute(admin).await?;
    sqlx::raw_sql(DETACH).execute(admin).await?;
    Ok(())
}

/// The migrations that the database has.
async fn applied_versions(admin: &PgPool) -> Result<BTreeSet<i64>, BoxError> {
    let has_ledger: bool =
        sqlx::query_scalar("select to_regclass('public._sqlx_migrations') is not null").fetch_one(admin).await?;
    if !has_ledger {
        return Ok(BTreeSet::new());
    }
    let versions: Vec<i64> = sqlx::query_scalar("select version from public._sqlx_migrations").fetch_all(admin).await?;
    Ok(versions.into_iter().collect())
}

/// The names of the tables and views that a migration makes in `public`. Our migrations write such a statement at the
/// beginning of a line, in lower case and without a schema.
fn created_relations(sql: &str) -> impl Iterator<Item = &str> {
    const STATEMENTS: [&str; 3] = ["create table ", "create unlogged table ", "create view "];
    sql.lines().filter_map(|line| {
        let rest = STATEMENTS.iter().find_map(|statement| line.strip_prefix(statement))?;
        let name = rest.split([' ', '(']).next()?;
        (!name.contains('.')).then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_and_views_of_public_are_found_at_the_beginning_of_a_line() {
        let sql = "create table orders (\n    id uuid\n);\n-- create table no (\ncreate view memory with (x) as\n\
                   create unlogged table rates(\n    create table inner_one (\ncreate table legacy.rows (";
        assert_eq!(created_relations(sql).collect::<Vec<_>>(), ["orders", "memory", "rates"]);
        let all: BTreeSet<_> =
            crate::APP.iter().flat_map(|migration| created_relations(migration.sql.as_str())).collect();
        for name in ["users", "documents", "conversation_memory", "company_rag_configs", "orders", "rate_limits"] {
            assert!(all.contains(name), "{name}: {all:?}");
        }
    }
}
