-- Scanned documents: the texts that models read from pictures of pages, and the codes of documents that end because of it.

-- A page that is being read, or was. Kept until the whole document is there: a model is paid for each page, and does not
-- say the same twice.
create table document_pages (
    document_id uuid not null,
    customer_id uuid not null,
    page integer not null,
    text text,
    is_complete boolean not null default true,
    attempts integer not null default 0,
    claimed_until timestamptz,
    cost_micros bigint not null default 0,
    constraint document_pages_pkey primary key (document_id, page),
    -- Both columns: keys are checked outside of row-level security, so a policy cannot see to it.
    constraint document_pages_document_id_fkey foreign key (document_id, customer_id)
        references documents (id, customer_id) on delete cascade,
    constraint document_pages_customer_id_fkey foreign key (customer_id) references customers (id) on delete cascade,
    constraint document_pages_page_positive check (page >= 1),
    constraint document_pages_numbers_not_negative check (attempts >= 0 and cost_micros >= 0)
);
comment on column document_pages.page is 'counted from 1';
comment on column document_pages.text is 'null until it was read; empty where nothing is on the page';
comment on column document_pages.is_complete is 'false where the page could not be read, or not to its end';
comment on column document_pages.claimed_until is 'until then a worker reads it, unless it died';
comment on column document_pages.cost_micros is 'of all attempts, in millionths of a US dollar';
create index document_pages_customer_id_idx on document_pages (customer_id);

alter table document_pages enable row level security;
revoke all on document_pages from anon, authenticated, service_role;
grant select, insert, update, delete on document_pages to lisa_tenant, lisa_system;
create policy document_pages_tenant on document_pages to lisa_tenant
    using (customer_id = (select app.current_customer()))
    with check (customer_id = (select app.current_customer()));
create policy document_pages_system on document_pages to lisa_system using (true) with check (true);

set local lock_timeout = '3s';
alter table documents drop constraint documents_error_code_known;
alter table documents add constraint documents_error_code_known check (error_code in ('encrypted', 'corrupt', 'no_text',
    'too_many_pages', 'too_large', 'timed_out', 'not_uploaded', 'embedding_failed', 'scan_failed', 'scan_too_costly',
    'spend_cap_reached'));
