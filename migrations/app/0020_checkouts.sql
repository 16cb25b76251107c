-- One live subscription a user: the open Checkout Session is known, so that the next one expires it. And what the owner
-- is told about payments is told once, whatever is repeated.

-- Checkout Sessions at Stripe. At most one of a tenant can be paid as far as this table knows.
create table checkout_sessions (
    id text not null,
    customer_id uuid not null,
    plan text not null,
    status text not null default 'open',
    expires_at timestamptz not null,
    created_at timestamptz not null default now(),
    constraint checkout_sessions_pkey primary key (id),
    constraint checkout_sessions_customer_id_fkey foreign key (customer_id) references customers (id) on delete cascade,
    constraint checkout_sessions_id_length check (length(id) between 1 and 255),
    constraint checkout_sessions_status_known check (status in ('open', 'superseded', 'expired', 'complete'))
);
comment on column checkout_sessions.status is
    'superseded: a later session took its place, and it is not known yet that Stripe has expired it';
create index checkout_sessions_customer_id_idx on checkout_sessions (customer_id, status);
create unique index checkout_sessions_one_open_key on checkout_sessions (customer_id) where status = 'open';
alter table checkout_sessions enable row level security;
create policy checkout_sessions_tenant on checkout_sessions to lisa_tenant
    using (customer_id = (select app.current_customer()))
    with check (customer_id = (select app.current_customer()));
create policy checkout_sessions_system on checkout_sessions to lisa_system using (true) with check (true);
grant select, insert, update, delete on checkout_sessions to lisa_tenant, lisa_system;

-- What was told or recorded about a payment, by a key that says what it is about. The row is written in the transaction
-- of its activity and its audit entry, so a repeated event writes neither again.
create table billing_notices (
    key text not null,
    created_at timestamptz not null default now(),
    constraint billing_notices_pkey primary key (key),
    constraint billing_notices_key_length check (length(key) between 1 and 600)
);
alter table billing_notices enable row level security;
create policy billing_notices_system on billing_notices to lisa_system using (true) with check (true);
grant select, insert, update, delete on billing_notices to lisa_system;

-- A free request that is counted while a plan is bought waited for the profile and then wrote the free quota's rest over
-- that of the plan: the join had read the account before it waited. The account is locked and read first now.
create or replace function app.project_credits() returns trigger
    language plpgsql security definer set search_path = '' as
$body$
declare
    is_paying boolean;
begin
    select account.is_pro into is_paying from public.users account where account.id = new.user_id for share;
    if not is_paying then
        update public.profiles profile
            set credits_remaining = greatest(new.free_quota_limit - new.free_quota_used, 0)
            where profile.id = new.user_id;
    end if;
    return null;
end
$body$;
