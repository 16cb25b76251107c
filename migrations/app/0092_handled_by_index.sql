-- no-transaction
create index concurrently if not exists conversations_handled_by_idx on conversations (handled_by);
