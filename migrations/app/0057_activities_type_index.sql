-- no-transaction
create index concurrently if not exists activities_type_idx on activities (company_id, type, created_at desc, id desc);
