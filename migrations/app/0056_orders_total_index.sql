-- no-transaction
create index concurrently if not exists orders_total_cents_idx on orders (company_id, total_cents desc, id desc);
