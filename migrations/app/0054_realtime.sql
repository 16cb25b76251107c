-- Supabase Realtime: the tables and columns that the frontends follow live join the publication `supabase_realtime`.
--
-- Supabase makes the publication with the project, or somebody makes it later. `migrate` calls this function after the
-- migrations of each deployment, so both orders end alike. Members that have the right columns stay as they are.
--
-- Facts that decide the columns:
-- - Each change of a published table is decoded from the WAL (wal_level = logical), once, whoever listens.
-- - The replica identity of these tables is their primary key, the default. A column list must contain it, or an update
--   or a deletion fails with "cannot update table". An old row therefore has its key alone, and a deletion shows no more.
-- - Realtime checks the row-level security of `authenticated` for each changed row, except for a deletion, of which every
--   subscriber gets the key. Keys are random UUIDs, so a deletion tells nothing.
-- - A long value that an update leaves unchanged (TOAST) is not in the WAL and arrives as missing. None of these columns is
--   long but `items` and `metadata`, whose reader asks for the row again.
-- - A publication `for all tables` takes no members and publishes too much: nothing can be added to it.
create function app.publish_realtime() returns void
    language plpgsql set search_path = '' as
$body$
declare
    member record;
begin
    if not exists (select from pg_catalog.pg_publication where pubname = 'supabase_realtime' and not puballtables) then
        return;
    end if;
    for member in
        select wanted.name, wanted.columns, published.columns as present
        from (values
            ('users', array['id', 'is_pro']),
            ('user_settings', array['user_id', 'free_quota_used', 'free_quota_limit']),
            -- The columns that front ends know, without those of lists and counters.
            ('orders', array['id', 'company_id', 'conversation_id', 'customer_name', 'total_amount', 'currency', 'status',
                'items', 'needs_review', 'created_at', 'updated_at']),
            ('activities', null)
        ) wanted (name, columns)
        left join lateral (
            select coalesce((
                select pg_catalog.array_agg(attribute.attname::text order by attribute.attnum)
                from pg_catalog.pg_attribute attribute
                where attribute.attrelid = relation.prrelid and attribute.attnum = any (relation.prattrs)
            ), array[]::text[]) as columns
            from pg_catalog.pg_publication_rel relation
            join pg_catalog.pg_publication publication on publication.oid = relation.prpubid
            where publication.pubname = 'supabase_realtime'
              and relation.prrelid = pg_catalog.format('public.%I', wanted.name)::regclass
        ) published on true
    loop
        continue when member.present is not null and member.present = coalesce(member.columns, array[]::text[]);
        if member.present is not null then
            execute pg_catalog.format('alter publication supabase_realtime drop table public.%I', member.name);
        end if;
        execute pg_catalog.format(
            'alter publication supabase_realtime add table public.%I %s', member.name,
            (select '(' || pg_catalog.string_agg(pg_catalog.quote_ident(name), ', ') || ')'
             from pg_catalog.unnest(member.columns) name)
        );
    end loop;
end
$body$;
revoke all on function app.publish_realtime() from public;

select app.publish_realtime();
