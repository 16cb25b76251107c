-- The index by which maintenance finds events past their retention.

create index stripe_events_done_idx on billing.stripe_events (received_at) where projected_at is not null;
