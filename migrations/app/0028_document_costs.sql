-- What bounds the cost of documents: two limits of each plan, the characters of each document, and the slots in which a
-- tenant's documents are worked on.

set local lock_timeout = '3s';

alter table plans
    add column max_document_chunks integer not null default 600,
    add column max_text_chars bigint not null default 5000000,
    add constraint plans_max_document_chunks_positive check (max_document_chunks > 0),
    add constraint plans_max_text_chars_positive check (max_text_chars > 0);
comment on column plans.max_document_chunks is 'chunks of one document';
comment on column plans.max_text_chars is 'characters of the chunks of all documents of a tenant';
update plans
set max_document_chunks = case name when 'pro' then 2000 else 4000 end,
    max_text_chars = case name when 'pro' then 50000000 else 500000000 end
where name in ('pro', 'business');

alter table documents add column chars bigint;
alter table documents
    add constraint documents_chars_not_negative check (chars >= 0) not valid;
comment on column documents.chars is 'characters of its chunks; null until counted: before indexing, and for older documents';
create index documents_chars_missing_idx on documents (id) where chars is null and status = 'processed';

alter table documents drop constraint documents_error_code_known;
alter table documents add constraint documents_error_code_known check (error_code in ('encrypted', 'corrupt', 'no_text',
    'too_many_pages', 'too_large', 'timed_out', 'not_uploaded', 'embedding_failed', 'scan_failed', 'scan_too_costly',
    'spend_cap_reached', 'size_mismatch', 'too_much_text', 'text_limit_reached', 'processing_failed')) not valid;

-- A document that is being worked on, or waits until fewer of its tenant's documents are. The row goes when the document
-- has a final status.
create table ingest_slots (
    document_id uuid not null,
    customer_id uuid not null,
    queued_at timestamptz not null default clock_timestamp(),
    worker uuid,
    held_until timestamptz,
    attempts integer not null default 0,
    constraint ingest_slots_pkey primary key (document_id),
    -- Both columns: keys are checked outside of row-level security, so a policy cannot see to it.
    constraint ingest_slots_document_id_fkey foreign key (document_id, customer_id)
        references documents (id, customer_id) on delete cascade,
    constraint ingest_slots_customer_id_fkey foreign key (customer_id) references customers (id) on delete cascade,
    constraint ingest_slots_attempts_not_negative check (attempts >= 0)
);
comment on column ingest_slots.queued_at is 'first delivery, or the first since another invocation goes on: a tenant''s documents take turns in this order';
comment on column ingest_slots.worker is 'who holds the slot; null while it is kept for a message on its way';
comment on column ingest_slots.held_until is 'then the slot is free again; null: the document waits';
comment on column ingest_slots.attempts is 'how often work has begun, unless progress was made since';
create index ingest_slots_turn_idx on ingest_slots (customer_id, queued_at, document_id);

alter table ingest_slots enable row level security;
revoke all on ingest_slots from anon, authenticated, service_role;
grant select, insert, update, delete on ingest_slots to lisa_tenant, lisa_system;
create policy ingest_slots_tenant on ingest_slots to lisa_tenant
    using (customer_id = (select app.current_customer()))
    with check (customer_id = (select app.current_customer()));
create policy ingest_slots_system on ingest_slots to lisa_system using (true) with check (true);
