-- Since when a payment is past due, when a subscription ends or has ended, and whether its price is one that is known.

alter table billing.subscription_states
    add column past_due_since timestamptz,
    add column ended_at timestamptz,
    add column is_price_unknown boolean not null default false;
comment on column billing.subscription_states.past_due_since is 'while past_due: when the first event said so';

alter table billing.subscriptions
    add column cancel_at timestamptz,
    add column past_due_since timestamptz,
    add column ended_at timestamptz,
    add column is_price_unknown boolean not null default false;

create index stripe_events_subscription_idx on billing.stripe_events ((payload #>> '{data,object,id}'), created)
    where type like 'customer.subscription.%';
