-- no-transaction
-- Conversations whose bot has proposed an order: a product that one of them names is archived instead of deleted.
create index concurrently if not exists conversations_order_draft_idx on conversations (customer_id)
    where order_draft is not null;
