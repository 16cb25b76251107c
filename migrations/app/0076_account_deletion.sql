-- Deletion of accounts: since when a purge has been deleting a company's rows, the progress of the purges, and for how long
-- a company keeps its conversations.

set local lock_timeout = '3s';

alter table customers add column purge_started_at timestamptz;
comment on column customers.purge_started_at is 'from this time on, the deletion of the account cannot be undone';
alter table customers add constraint customers_purge_after_deletion
    check (purge_started_at is null or deleted_at is not null) not valid;
create index customers_deleted_at_idx on customers (deleted_at) where deleted_at is not null;

alter table customers add column conversation_retention_months integer not null default 12;
alter table customers add constraint customers_conversation_retention_known
    check (conversation_retention_months between 1 and 60) not valid;
grant update (deleted_at, conversation_retention_months) on customers to lisa_tenant;

-- A company whose rows are being deleted. The row outlives the company, so it refers to none, and holds ids and counts only.
create table purges (
    customer_id uuid not null,
    started_at timestamptz not null default now(),
    held_until timestamptz,
    counts jsonb not null default '{}',
    rows_deleted_at timestamptz,
    sweep_after timestamptz,
    finished_at timestamptz,
    constraint purges_pkey primary key (customer_id),
    constraint purges_counts_object check (jsonb_typeof(counts) = 'object')
);
create index purges_open_idx on purges (started_at) where finished_at is null;
comment on column purges.counts is 'the number of deleted rows by table, and of deleted files';
alter table purges enable row level security;
revoke all on purges from anon, authenticated, service_role;
grant select, insert, update, delete on purges to lisa_system;
create policy purges_system on purges to lisa_system using (true) with check (true);

-- The deleted company of an owner who names none: app.memberships returns two companies at most, deleted ones last.
create function app.deleted_membership(caller uuid)
    returns table (customer_id uuid, owner_id uuid, role text, suspended boolean, deleted boolean)
    language sql stable security definer set search_path = '' as
    $body$
    select tenant.id, tenant.user_id, member.role, tenant.suspended_at is not null, true
    from public.customer_members member
    join public.users account on account.id = member.user_id and account.deleted_at is null
    join public.customers tenant on tenant.id = member.customer_id and tenant.deleted_at is not null
    where member.user_id = caller and member.role = 'owner'
    order by tenant.deleted_at desc, tenant.id
    limit 1
    $body$;
revoke all on function app.deleted_membership(uuid) from public;
grant execute on function app.deleted_membership(uuid) to lisa_app;

-- Whoever pays for a subscription has to cancel it before the account can be erased.
create function app.has_subscription(account uuid) returns boolean
    language sql stable set search_path = '' as
    $body$
    select known.is_pro or coalesce(
        profile.subscription_status in ('active', 'trialing', 'past_due', 'unpaid', 'paused', 'incomplete'), false)
    from public.users known left join public.profiles profile on profile.id = known.id
    where known.id = account
    $body$;
revoke all on function app.has_subscription(uuid) from public;
grant execute on function app.has_subscription(uuid) to lisa_system;

grant select, delete on failed_sign_ins to lisa_system;
create policy failed_sign_ins_system on failed_sign_ins to lisa_system using (true) with check (true);

-- A deleted company has nobody who reads its changes. Its purge would write one for each row that it deletes.
create or replace function app.record_change(tenant uuid, kind text, object uuid, is_deleted boolean)
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
    from public.customers where customers.id = tenant and customers.deleted_at is null;
end
$body$;
