-- Outgoing webhooks: the endpoints of a company, and what is delivered to each. A delivery is written in the transaction
-- of its cause (0068) and is the job of the webhook worker: `next_attempt_at` says when it is due.

set local lock_timeout = '3s';

create table webhook_endpoints (
    id uuid not null default gen_random_uuid(),
    customer_id uuid not null,
    url text not null,
    description text,
    events text[] not null default '{}',
    secret bytea not null,
    previous_secret bytea,
    previous_secret_expires_at timestamptz,
    disabled_at timestamptz,
    disabled_reason text,
    failing_since timestamptz,
    failed_batches integer not null default 0,
    paused_until timestamptz,
    wake_at timestamptz,
    created_at timestamptz not null default clock_timestamp(),
    updated_at timestamptz not null default clock_timestamp(),
    constraint webhook_endpoints_pkey primary key (id),
    constraint webhook_endpoints_customer_id_fkey foreign key (customer_id) references customers (id) on delete cascade,
    constraint webhook_endpoints_id_customer_id_key unique (id, customer_id),
    -- Also finds the endpoints of a tenant, when something happens.
    constraint webhook_endpoints_customer_id_url_key unique (customer_id, url),
    constraint webhook_endpoints_url_length check (length(url) between 1 and 2000),
    constraint webhook_endpoints_description_length check (length(description) between 1 and 200),
    constraint webhook_endpoints_events_few check (cardinality(events) <= 20),
    constraint webhook_endpoints_secret_length check (octet_length(secret) between 30 and 300),
    constraint webhook_endpoints_previous_secret_length check (octet_length(previous_secret) between 30 and 300),
    constraint webhook_endpoints_previous_secret_has_end
        check ((previous_secret is null) = (previous_secret_expires_at is null)),
    constraint webhook_endpoints_disabled_has_reason check ((disabled_at is null) = (disabled_reason is null)),
    constraint webhook_endpoints_disabled_reason_known check (disabled_reason in ('owner', 'gone', 'failing')),
    constraint webhook_endpoints_failed_batches_not_negative check (failed_batches >= 0)
);
comment on column webhook_endpoints.events is 'types of events that are delivered; empty: all';
comment on column webhook_endpoints.secret is 'sealed; signs';
comment on column webhook_endpoints.previous_secret is 'sealed; signs too until previous_secret_expires_at';
comment on column webhook_endpoints.failing_since is 'first failure since the last success';
comment on column webhook_endpoints.failed_batches is 'batches without a success since the last one with one';
comment on column webhook_endpoints.paused_until is 'nothing is sent before: the server asked for it, or fails';
comment on column webhook_endpoints.wake_at is 'when a delayed queue message comes, so that one is under way at most';
alter table webhook_endpoints enable row level security;
revoke all on webhook_endpoints from anon, authenticated, service_role;
grant select, insert, update, delete on webhook_endpoints to lisa_tenant;
create policy webhook_endpoints_tenant on webhook_endpoints to lisa_tenant
    using (customer_id = (select app.current_customer()))
    with check (customer_id = (select app.current_customer()));
grant select, insert, update, delete on webhook_endpoints to lisa_system;
create policy webhook_endpoints_system on webhook_endpoints to lisa_system using (true) with check (true);

create table webhook_deliveries (
    id uuid not null default gen_random_uuid(),
    customer_id uuid not null,
    endpoint_id uuid not null,
    event_id uuid not null,
    event_type text not null,
    conversation_id uuid,
    data jsonb,
    occurred_at timestamptz not null default clock_timestamp(),
    status text not null default 'pending',
    attempts integer not null default 0,
    next_attempt_at timestamptz not null default now(),
    claimed_until timestamptz,
    last_attempt_at timestamptz,
    response_status integer,
    latency_ms integer,
    error_code text,
    delivered_at timestamptz,
    created_at timestamptz not null default clock_timestamp(),
    constraint webhook_deliveries_pkey primary key (id),
    constraint webhook_deliveries_endpoint_id_fkey foreign key (endpoint_id, customer_id)
        references webhook_endpoints (id, customer_id) on delete cascade,
    -- A contact's events go with its conversation.
    constraint webhook_deliveries_conversation_id_fkey foreign key (conversation_id, customer_id)
        references conversations (id, customer_id) on delete cascade,
    -- A repeated cause makes no second delivery.
    constraint webhook_deliveries_endpoint_id_event_id_key unique (endpoint_id, event_id),
    constraint webhook_deliveries_event_type_length check (length(event_type) between 1 and 50),
    constraint webhook_deliveries_status_known check (status in ('pending', 'delivered', 'failed')),
    constraint webhook_deliveries_delivered_has_time check ((status = 'delivered') = (delivered_at is not null)),
    constraint webhook_deliveries_undelivered_has_data check (status = 'delivered' or data is not null),
    constraint webhook_deliveries_attempts_not_negative check (attempts >= 0),
    constraint webhook_deliveries_latency_not_negative check (latency_ms >= 0),
    constraint webhook_deliveries_error_code_length check (length(error_code) between 1 and 50)
);
comment on column webhook_deliveries.event_id is 'the same for all endpoints, and for all attempts';
comment on column webhook_deliveries.data is 'the object when the event happened, as the worker renders it; null once delivered';
comment on column webhook_deliveries.claimed_until is 'a worker sends it; after this time the worker is taken for dead';
create index webhook_deliveries_created_idx on webhook_deliveries (endpoint_id, created_at, id);
create index webhook_deliveries_conversation_id_idx on webhook_deliveries (conversation_id);
-- With the id, since a replay makes a thousand deliveries due at one time.
create index webhook_deliveries_endpoint_due_idx on webhook_deliveries (endpoint_id, next_attempt_at, id)
    where status = 'pending';
-- Each claim looks for another worker's first. A backlog of thousands has five claims at most.
create index webhook_deliveries_claimed_idx on webhook_deliveries (endpoint_id, claimed_until)
    where claimed_until is not null;
-- For the retention alone. Rows come in by time, so that a page range has few days.
create index webhook_deliveries_age_idx on webhook_deliveries using brin (created_at);
alter table webhook_deliveries enable row level security;
revoke all on webhook_deliveries from anon, authenticated, service_role;
grant select, insert, update on webhook_deliveries to lisa_tenant;
create policy webhook_deliveries_tenant on webhook_deliveries to lisa_tenant
    using (customer_id = (select app.current_customer()))
    with check (customer_id = (select app.current_customer()));
grant select, insert, update, delete on webhook_deliveries to lisa_system;
create policy webhook_deliveries_system on webhook_deliveries to lisa_system using (true) with check (true);
