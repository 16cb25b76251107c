-- no-transaction
-- Finds the conversations whose messages were left because no answers were, for the list's filter `unanswered`.
create index concurrently if not exists messages_quota_skipped_idx on messages (conversation_id, created_at)
    where skipped_reason = 'quota';
