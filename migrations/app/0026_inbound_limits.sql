-- What people and templates really send: bodies that cannot be read are kept, one contact cannot use up a company's
-- requests, paid overage has a limit, and ids of contacts are as long as WhatsApp's new ones.
set local lock_timeout = '3s';

-- A body of a ManyChat bot that could not be read. Its contact got no answer, so it is kept for the company.
create table unread_webhook_bodies (
    id uuid not null default gen_random_uuid(),
    customer_id uuid not null,
    reason text not null,
    body bytea not null,
    size_bytes integer not null,
    created_at timestamptz not null default now(),
    constraint unread_webhook_bodies_pkey primary key (id),
    constraint unread_webhook_bodies_customer_id_fkey foreign key (customer_id)
        references customers (id) on delete cascade,
    constraint unread_webhook_bodies_reason_length check (length(reason) between 1 and 50),
    constraint unread_webhook_bodies_body_length check (octet_length(body) <= 16384),
    constraint unread_webhook_bodies_size_not_negative check (size_bytes >= 0)
);
comment on table unread_webhook_bodies is 'kept for 30 days; at most 200 a tenant and day';
comment on column unread_webhook_bodies.body is 'the first 16 KiB';
comment on column unread_webhook_bodies.size_bytes is 'of the whole body';
create index unread_webhook_bodies_listed_idx on unread_webhook_bodies (customer_id, created_at desc, id desc);
create index unread_webhook_bodies_created_at_idx on unread_webhook_bodies (created_at);

alter table unread_webhook_bodies enable row level security;
revoke all on unread_webhook_bodies from anon, authenticated, service_role;
grant select, insert on unread_webhook_bodies to lisa_tenant;
grant select, insert, update, delete on unread_webhook_bodies to lisa_system;
create policy unread_webhook_bodies_tenant on unread_webhook_bodies to lisa_tenant
    using (customer_id = (select app.current_customer()))
    with check (customer_id = (select app.current_customer()));
create policy unread_webhook_bodies_system on unread_webhook_bodies to lisa_system using (true) with check (true);

-- What a company was told once in a day or a period. The row is the right to tell it.
create table tenant_notices (
    customer_id uuid not null,
    kind text not null,
    since timestamptz not null,
    created_at timestamptz not null default now(),
    constraint tenant_notices_pkey primary key (customer_id, kind, since),
    constraint tenant_notices_customer_id_fkey foreign key (customer_id) references customers (id) on delete cascade,
    constraint tenant_notices_kind_length check (length(kind) between 1 and 50)
);
comment on column tenant_notices.since is 'the beginning of the day or the period';
create index tenant_notices_created_at_idx on tenant_notices (created_at);

alter table tenant_notices enable row level security;
revoke all on tenant_notices from anon, authenticated, service_role;
grant select, insert on tenant_notices to lisa_tenant;
grant select, insert, update, delete on tenant_notices to lisa_system;
create policy tenant_notices_tenant on tenant_notices to lisa_tenant
    using (customer_id = (select app.current_customer()))
    with check (customer_id = (select app.current_customer()));
create policy tenant_notices_system on tenant_notices to lisa_system using (true) with check (true);

-- WhatsApp's new ids of users: a country, a point and up to 128 characters. The old constraint is the narrower one, so
-- no row needs to be looked at.
alter table conversations drop constraint conversations_contact_id_length;
alter table conversations
    add constraint conversations_contact_id_length check (length(contact_id) between 1 and 160) not valid;

-- The answers that one contact got, and the workers that were turned away while another one held the lease.
alter table conversations
    add column minute_began_at timestamptz,
    add column minute_answers integer not null default 0,
    add column day_began_on date,
    add column day_answers integer not null default 0,
    add column limit_notice_on date,
    add column lease_is_awaited boolean not null default false;
comment on column conversations.minute_answers is 'answers begun within a minute of minute_began_at';
comment on column conversations.day_answers is 'answers begun on day_began_on, a day of the tenant';
comment on column conversations.limit_notice_on is 'the last day on which the contact was told that it writes too much';
comment on column conversations.lease_is_awaited is 'the holder of the lease sends a queue message when it lets it go';

-- How many requests over the plan's a company pays for in a period. Null: as many as the plan has.
alter table customers
    add column overage_cap_requests integer,
    add constraint customers_overage_cap_not_negative check (overage_cap_requests >= 0);
comment on column customers.overage_cap_requests is 'requests over the plan''s limit in a period; null: as many as the plan has';
grant update (overage_cap_requests) on customers to lisa_tenant;
