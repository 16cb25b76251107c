-- The purge also deletes a company's rows of an older project's tables, whose columns differ from project to project.

-- The place of a table among those by whose rows the rows of others are found: a table is found by those of lower ranks.
create function app.legacy_rank(relation text) returns integer
    language sql immutable set search_path = '' as
    $body$
    select case relation when 'conversations' then 1 when 'documents' then 2 when 'orders' then 2 when 'messages' then 3
        else 4 end
    $body$;
revoke all on function app.legacy_rank(text) from public;
grant execute on function app.legacy_rank(text) to lisa_system;

-- The condition for the rows `old` of a table of `legacy` that belong to a company or to its accounts: $1 has the names of
-- the company, $2 the ids of the accounts, and $3 their addresses. Empty for a table without a column that says so.
create function app.legacy_condition(relation text) returns text
    language plpgsql stable set search_path = '' as
$body$
declare
    columns constant text[] := array(
        select known.attname from pg_catalog.pg_attribute known
        join pg_catalog.pg_class of_table on of_table.oid = known.attrelid and of_table.relname = relation
        where of_table.relnamespace = to_regnamespace('legacy') and known.attnum > 0 and not known.attisdropped
    );
    owner_column text;
    parent record;
    parts text[] := '{}';
begin
    foreach owner_column in array array['company_id', 'customer_id'] loop
        if owner_column = any (columns) then
            parts := parts || format('old.%I::text = any ($1)', owner_column);
        end if;
    end loop;
    if relation in ('companies', 'customers') and 'id' = any (columns) then
        parts := parts || 'old.id::text = any ($1)'::text;
    end if;
    if relation in ('users', 'profiles') and 'id' = any (columns) then
        parts := parts || 'old.id::text = any ($2)'::text;
    end if;
    if 'user_id' = any (columns) then
        parts := parts || 'old.user_id::text = any ($2)'::text;
    end if;
    -- In a table of companies an address may be that of a contact of another company.
    if 'email' = any (columns) and not columns && array['company_id', 'customer_id'] then
        parts := parts || 'lower(old.email::text) = any ($3)'::text;
    end if;
    for parent in
        select link.column_name, link.table_name, app.legacy_condition(link.table_name) as condition
        from (values ('conversation_id', 'conversations'), ('document_id', 'documents'), ('order_id', 'orders'),
            ('message_id', 'messages')) link (column_name, table_name)
        where link.column_name = any (columns) and app.legacy_rank(link.table_name) < app.legacy_rank(relation)
          and exists (
              select from pg_catalog.pg_class of_table
              join pg_catalog.pg_attribute known on known.attrelid = of_table.oid and known.attname = 'id'
              where of_table.relname = link.table_name and of_table.relnamespace = to_regnamespace('legacy')
                and of_table.relkind in ('r', 'p') and not known.attisdropped
          )
    loop
        if parent.condition <> '' then
            parts := parts || format('old.%I::text in (select old.id::text from legacy.%I old where %s)',
                parent.column_name, parent.table_name, parent.condition);
        end if;
    end loop;
    return array_to_string(parts, ' or ');
end
$body$;
revoke all on function app.legacy_condition(text) from public;

create function app.purge_legacy(relation text, tenant uuid, accounts uuid[], most bigint) returns bigint
    language plpgsql security definer set search_path = '' as
$body$
declare
    names constant text[] := array(
        select tenant::text union all
        select mapping.company_id from public.company_mapping mapping where mapping.uuid = tenant
    );
    addresses constant text[] := array(select lower(known.email) from public.users known where known.id = any (accounts));
    belongs constant text := app.legacy_condition(relation);
    deleted bigint := 0;
begin
    if belongs <> '' then
        execute format(
            'delete from legacy.%1$I where (tableoid, ctid) in (select tableoid, ctid from legacy.%1$I old where %2$s limit $4)',
            relation, belongs) using names, accounts::text[], addresses, most;
        get diagnostics deleted = row_count;
    end if;
    return deleted;
end
$body$;
revoke all on function app.purge_legacy(text, uuid, uuid[], bigint) from public;
grant execute on function app.purge_legacy(text, uuid, uuid[], bigint) to lisa_system;
