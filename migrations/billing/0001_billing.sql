-- Subscriptions and user configuration, kept apart from user data. In a database of their own or beside the app's: no
-- foreign key and no join crosses the two, and in both the schema is lisa_system's alone. migrate makes the schema first,
-- because its ledger stands in it too.

do $$
begin
    if not exists (select from pg_roles where rolname = 'lisa_system') then
        begin
            create role lisa_system login noinherit;
        exception when duplicate_object or unique_violation then null; -- another database of this cluster was quicker
        end;
    end if;
end
$$;

revoke all on schema billing from public;
grant usage on schema billing to lisa_system;

-- Grows with each change of a subscription: an older projection never comes over a newer one.
create sequence billing.subscription_versions;

-- One row a user: the subscription that counts, of all that are in subscription_states.
create table billing.subscriptions (
    id text not null,
    user_id text not null,
    status varchar(20) not null default 'inactive',
    plan varchar(50) not null default 'free',
    stripe_customer_id text,
    stripe_subscription_id text,
    current_period_start timestamptz,
    current_period_end timestamptz,
    cancel_at_period_end boolean not null default false,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    last_event_at timestamptz,
    state_id text not null,
    version bigint not null default nextval('billing.subscription_versions'),
    projected_version bigint,
    constraint subscriptions_pkey primary key (id),
    constraint subscriptions_user_id_key unique (user_id),
    constraint subscriptions_status_known check (status in ('active', 'inactive', 'cancelled', 'expired')),
    constraint subscriptions_plan_known check (plan in ('free', 'pro', 'business')),
    constraint subscriptions_id_length check (length(id) between 1 and 64),
    constraint subscriptions_user_id_length check (length(user_id) between 1 and 200)
);
comment on column billing.subscriptions.last_event_at is 'the watermark: when the newest event that counted was made';
comment on column billing.subscriptions.projected_version is 'null or another than version: still to be projected';
create index subscriptions_unprojected_idx on billing.subscriptions (updated_at)
    where projected_version is distinct from version;

-- Each subscription as it was last heard of, Stripe's and imported ones. What a user has is chosen among them.
create table billing.subscription_states (
    id text not null,
    user_id text,
    stripe_customer_id text,
    status text not null,
    plan text not null,
    price_id text,
    current_period_start timestamptz,
    current_period_end timestamptz,
    cancel_at_period_end boolean not null default false,
    cancel_at timestamptz,
    started_at timestamptz not null,
    is_imported boolean not null default false,
    last_event_at timestamptz,
    last_event_order text not null default '',
    fetches_begun bigint not null default 0,
    fetch_applied bigint not null default 0,
    updated_at timestamptz not null default now(),
    constraint subscription_states_pkey primary key (id),
    constraint subscription_states_status_known check (status in (
        'incomplete', 'incomplete_expired', 'trialing', 'active', 'past_due', 'unpaid', 'canceled', 'paused', 'unknown'
    )),
    constraint subscription_states_plan_known check (plan in ('free', 'pro', 'business')),
    constraint subscription_states_fetches_in_order check (fetch_applied <= fetches_begun)
);
comment on column billing.subscription_states.last_event_order is
    'the place of the event among those of its second, so that their order of arrival does not matter';
comment on column billing.subscription_states.fetches_begun is
    'numbers the questions to Stripe: the answer to an earlier one never comes over that to a later one';
create index subscription_states_user_id_idx on billing.subscription_states (user_id);
create index subscription_states_customer_idx on billing.subscription_states (stripe_customer_id);

-- Whose a customer of Stripe's is: a subscription may be heard of before the checkout that says so.
create table billing.stripe_customers (
    id text not null,
    user_id text not null,
    deleted_at timestamptz,
    created_at timestamptz not null default now(),
    constraint stripe_customers_pkey primary key (id)
);
create index stripe_customers_user_id_idx on billing.stripe_customers (user_id);

-- The ledger: every event once, and how far it came.
create table billing.stripe_events (
    id text not null,
    type text not null,
    created timestamptz not null,
    payload jsonb not null,
    received_at timestamptz not null default now(),
    applied_at timestamptz,
    projected_at timestamptz,
    error text,
    constraint stripe_events_pkey primary key (id),
    constraint stripe_events_id_length check (length(id) between 1 and 255),
    constraint stripe_events_projected_after_applied check (projected_at is null or applied_at is not null)
);
create index stripe_events_unfinished_idx on billing.stripe_events (received_at) where projected_at is null;

-- Where a user's data pod is; the key is sealed.
create table billing.user_config (
    id text not null,
    user_id text not null,
    data_pod_url text,
    data_pod_api_key bytea,
    data_pod_api_key_last4 text,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint user_config_pkey primary key (id),
    constraint user_config_user_id_key unique (user_id),
    constraint user_config_url_length check (length(data_pod_url) <= 2000)
);

grant select, insert, update, delete on billing.subscriptions, billing.subscription_states, billing.stripe_customers,
    billing.stripe_events, billing.user_config to lisa_system;
grant usage on sequence billing.subscription_versions to lisa_system;
