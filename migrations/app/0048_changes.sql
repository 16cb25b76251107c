-- The changes feed: what changed for a tenant, for whoever shows it live. Triggers write it in the transaction that
-- changes, and maintenance deletes it after seven days.

set local lock_timeout = '3s';

create table changes (
    customer_id uuid not null,
    sequence bigint generated always as identity,
    kind text not null,
    id uuid not null,
    is_deleted boolean not null default false,
    at timestamptz not null default clock_timestamp(),
    constraint changes_pkey primary key (customer_id, sequence),
    constraint changes_customer_id_fkey foreign key (customer_id) references customers (id) on delete cascade,
    constraint changes_kind_known check (kind in ('conversation', 'message', 'document', 'order', 'activity'))
);
-- For the retention alone. Rows come in by time, so that a page range has few days.
create index changes_at_idx on changes using brin (at);
alter table changes enable row level security;
revoke all on changes from anon, authenticated, service_role;
grant select on changes to lisa_tenant;
create policy changes_tenant on changes for select to lisa_tenant
    using (customer_id = (select app.current_customer()));
grant select, insert, update, delete on changes to lisa_system;
create policy changes_system on changes to lisa_system using (true) with check (true);

-- The first half of the key of a tenant's advisory locks. Readers of two tenants with one key wait for the writers of both.
create function app.change_lock_key(tenant uuid) returns integer
    language sql immutable strict parallel safe set search_path = '' as
    $body$ select ('x' || left(replace(tenant::text, '-', ''), 8))::bit(32)::integer $body$;
revoke all on function app.change_lock_key(uuid) from public;

-- Writes a change. Numbers are taken in another order than transactions commit, so a reader could pass a number that is
-- not committed yet, and miss it for ever. Before a transaction takes its first number for a tenant, it takes a shared
-- lock whose key is the last number that was taken; all of its own are greater. A reader stops at the least such key.
-- The lock ends with the transaction.
create function app.record_change(tenant uuid, kind text, object uuid, is_deleted boolean)
    returns void language plpgsql set search_path = '' as
$body$
declare
    locked text := coalesce(current_setting('app.changing_tenants', true), '');
    last bigint;
begin
    if position(tenant::text in locked) = 0 then
        select case when is_called then last_value else 0 end into last from public.changes_sequence_seq;
        perform pg_advisory_xact_lock_shared(app.change_lock_key(tenant), (last & 2147483647)::integer);
        perform set_config('app.changing_tenants', locked || ' ' || tenant::text, true);
    end if;
    -- Where the tenant itself is deleted, rows of its tables change on the way, and there is nobody to tell.
    insert into public.changes (customer_id, kind, id, is_deleted)
    select customers.id, record_change.kind, object, record_change.is_deleted
    from public.customers where customers.id = tenant;
end
$body$;
revoke all on function app.record_change(uuid, text, uuid, boolean) from public;

-- `tg_argv`: the kind, and the column of the tenant.
create function app.on_change() returns trigger language plpgsql security definer set search_path = '' as
$body$
begin
    if tg_op = 'DELETE' then
        perform app.record_change((to_jsonb(old) ->> tg_argv[1])::uuid, tg_argv[0], old.id, true);
    elsif tg_argv[1] = 'company_id' then
        perform app.record_change(new.company_id, tg_argv[0], new.id, false);
    else
        perform app.record_change(new.customer_id, tg_argv[0], new.id, false);
    end if;
    return null;
end
$body$;
revoke all on function app.on_change() from public;

-- What members see of a conversation; leases and times of sending are the workers' own.
create trigger conversations_change after insert on conversations
    for each row execute function app.on_change('conversation', 'customer_id');
create trigger conversations_update_change
    after update of handler, handover_until, handover_reason, display_name, user_phone, language, opted_out_at,
        last_message_at on conversations
    for each row when (
        (old.handler, old.handover_until, old.handover_reason, old.display_name, old.user_phone, old.language,
            old.opted_out_at, old.last_message_at)
        is distinct from
        (new.handler, new.handover_until, new.handover_reason, new.display_name, new.user_phone, new.language,
            new.opted_out_at, new.last_message_at)
    )
    execute function app.on_change('conversation', 'customer_id');
create trigger messages_change after insert on messages
    for each row execute function app.on_change('message', 'customer_id');
create trigger messages_update_change
    after update of answered_by, skipped_reason, sent_at, error_code, content on messages
    for each row when (
        (old.answered_by, old.skipped_reason, old.sent_at, old.error_code, old.content)
        is distinct from
        (new.answered_by, new.skipped_reason, new.sent_at, new.error_code, new.content)
    )
    execute function app.on_change('message', 'customer_id');
create trigger documents_change after insert or delete on documents
    for each row execute function app.on_change('document', 'customer_id');
create trigger documents_update_change
    after update of filename, status, error_code, pages_total, pages_done, replaces on documents
    for each row when (
        (old.filename, old.status, old.error_code, old.pages_total, old.pages_done, old.replaces)
        is distinct from
        (new.filename, new.status, new.error_code, new.pages_total, new.pages_done, new.replaces)
    )
    execute function app.on_change('document', 'customer_id');
create trigger orders_change after insert or update or delete on orders
    for each row execute function app.on_change('order', 'company_id');
create trigger activities_change after insert on activities
    for each row execute function app.on_change('activity', 'company_id');

-- The number up to which no transaction of the tenant is open. First the greatest number that was taken is read, then
-- whose transactions are open: one that takes its first lock later takes greater numbers.
create function app.changes_bound() returns bigint
    language plpgsql volatile security definer set search_path = '' as
$body$
declare
    bound bigint;
    least_open bigint;
begin
    select case when is_called then last_value else 0 end into bound from public.changes_sequence_seq;
    -- The second half of a key has 31 bits of a number. A key ahead of the bound belongs to a later transaction.
    select min(bound - ((bound - held.objid::bigint) & 2147483647)) into least_open
    from pg_catalog.pg_locks held
    where held.locktype = 'advisory' and held.objsubid = 2
      and held.database = (select oid from pg_catalog.pg_database where datname = current_database())
      and held.classid::bigint = (app.change_lock_key(app.current_customer())::bigint & 4294967295)
      and ((bound - held.objid::bigint) & 2147483647) < 1073741824;
    return least(bound, coalesce(least_open, bound));
end
$body$;
revoke all on function app.changes_bound() from public;
grant execute on function app.changes_bound() to lisa_tenant;

-- The changes of the transaction's tenant after a number, at most `most`, in their order. Each statement of the function
-- sees what was committed before it: a transaction that ended after the bound was read is in the rows.
create function app.changes_after(after bigint, most integer)
    returns table (sequence bigint, kind text, id uuid, is_deleted boolean, at timestamptz)
    language plpgsql volatile security definer set search_path = '' as
$body$
#variable_conflict use_column
declare
    tenant constant uuid := app.current_customer();
    bound bigint;
begin
    -- Without a row there is nothing to stop before. The list of all locks costs more than this look.
    -- In the order of the index: without it, the planner reads the changes of all tenants when there is none.
    perform from public.changes change
        where change.customer_id = tenant and change.sequence > after order by change.sequence limit 1;
    if not found then
        return;
    end if;
    bound := app.changes_bound();
    return query
        select change.sequence, change.kind, change.id, change.is_deleted, change.at
        from public.changes change
        where change.customer_id = tenant and change.sequence > after and change.sequence <= bound
        order by change.sequence
        limit most;
end
$body$;
revoke all on function app.changes_after(bigint, integer) from public;
grant execute on function app.changes_after(bigint, integer) to lisa_tenant;
