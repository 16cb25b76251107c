-- no-transaction
create unique index concurrently if not exists jobs_collection_customer_key on jobs (customer_id)
    where kind = 'collection';
