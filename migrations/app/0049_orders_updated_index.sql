-- no-transaction
create index concurrently if not exists orders_updated_at_idx on orders (company_id, updated_at desc, id desc);
