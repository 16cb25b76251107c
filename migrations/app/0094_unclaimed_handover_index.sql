-- no-transaction
-- Counts the handovers that nobody has taken, without those that somebody took.
create index concurrently if not exists conversations_unclaimed_handover_idx on conversations (customer_id)
    where handler = 'human' and handover_reason <> 'person';
