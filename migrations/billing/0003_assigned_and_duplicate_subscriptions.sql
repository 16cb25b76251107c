-- Subscriptions that are nobody's are assigned by an administrator, and of two paid subscriptions of a user one is
-- cancelled.

alter table billing.subscription_states
    add column assigned_user_id text,
    add column assigned_by text,
    add column assigned_at timestamptz;
comment on column billing.subscription_states.assigned_user_id is
    'the user whom an administrator assigned; counts for more than what Stripe''s metadata say';

-- Events and snapshots write the user of the metadata. An administrator's choice stays.
create function billing.keep_assigned_user() returns trigger
    language plpgsql set search_path = '' as
$body$
begin
    new.user_id := new.assigned_user_id;
    return new;
end
$body$;
revoke all on function billing.keep_assigned_user() from public;
create trigger subscription_states_assigned before insert or update on billing.subscription_states
    for each row when (new.assigned_user_id is not null) execute function billing.keep_assigned_user();

-- For the list of subscriptions that are nobody's.
create index subscription_states_started_at_idx on billing.subscription_states (started_at, id)
    where plan <> 'free';

-- Paid subscriptions of users who have another one that counts.
create table billing.duplicate_subscriptions (
    subscription_id text not null,
    user_id text not null,
    kept_subscription_id text not null,
    status text not null default 'open',
    attempts integer not null default 0,
    next_attempt_at timestamptz not null default now(),
    error text,
    found_at timestamptz not null default now(),
    reported_at timestamptz,
    updated_at timestamptz not null default now(),
    constraint duplicate_subscriptions_pkey primary key (subscription_id),
    constraint duplicate_subscriptions_status_known check (status in ('open', 'cancelled', 'kept', 'failed')),
    constraint duplicate_subscriptions_attempts_not_negative check (attempts >= 0)
);
comment on column billing.duplicate_subscriptions.status is
    'open: it still runs at Stripe; kept: it no longer was one too many when it was to be cancelled';
create index duplicate_subscriptions_user_id_idx on billing.duplicate_subscriptions (user_id);
create index duplicate_subscriptions_due_idx on billing.duplicate_subscriptions (next_attempt_at)
    where status = 'open' or reported_at is null;
grant select, insert, update, delete on billing.duplicate_subscriptions to lisa_system;
