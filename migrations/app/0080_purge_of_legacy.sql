-- The purge also deletes a company's rows of an older project's tables, whose columns differ from project to project.

create function app.purge_legacy(tenant uuid) returns bigint
    language plpgsql security definer set search_path = '' as
$body$
declare
    names constant text[] := array(
        select tenant::text union all
        select mapping.company_id from public.company_mapping mapping where mapping.uuid = tenant
    );
    found record;
    deleted bigint;
    total bigint := 0;
begin
    for found in
        select relation.relname, owner_column.attname
        from pg_catalog.pg_class relation
        join pg_catalog.pg_namespace space on space.oid = relation.relnamespace and space.nspname = 'legacy'
        join pg_catalog.pg_attribute owner_column on owner_column.attrelid = relation.oid
            and owner_column.attname in ('company_id', 'customer_id') and not owner_column.attisdropped
        where relation.relkind = 'r'
    loop
        execute format('delete from legacy.%I old where old.%I::text = any ($1)', found.relname, found.attname) using names;
        get diagnostics deleted = row_count;
        total := total + deleted;
    end loop;
    return total;
end
$body$;
revoke all on function app.purge_legacy(uuid) from public;
grant execute on function app.purge_legacy(uuid) to lisa_system;
