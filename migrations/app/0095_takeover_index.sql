-- no-transaction
-- Counts the takeovers that have not ended. A takeover that has ended stays in the row until the contact writes again.
create index concurrently if not exists conversations_takeover_idx on conversations (customer_id, handover_until)
    where handler = 'human' and handover_reason = 'person';
