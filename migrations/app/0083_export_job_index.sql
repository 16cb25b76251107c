-- no-transaction
-- An export has one job, which is found by the export. The table is written with every message, so that the index is made
-- without a lock.
create unique index concurrently if not exists jobs_export_key on jobs ((payload ->> 'export_id')) where kind = 'export';
