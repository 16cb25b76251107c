-- no-transaction
-- Serves the lists of the conversations that a person answers, and of those that wait for one.
create index concurrently if not exists conversations_handover_idx
    on conversations (customer_id, channel, last_message_at desc, id desc) where handler = 'human';
