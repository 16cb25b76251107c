-- Documents and their chunks: what answers are made from.

create table documents (
    id uuid not null default gen_random_uuid(),
    customer_id uuid not null,
    company_id text not null,
    filename text not null,
    upload_date timestamptz not null default now(),
    status text not null default 'pending',
    error_code text,
    error text,
    pages_total integer,
    pages_done integer not null default 0,
    bytes bigint not null,
    sha256 bytea,
    storage_key text not null,
    language text,
    embedding_model text,
    content text,
    metadata jsonb not null default '{}',
    processed_at timestamptz,
    constraint documents_pkey primary key (id),
    -- For the foreign key of chunks.
    constraint documents_id_customer_id_key unique (id, customer_id),
    constraint documents_customer_id_fkey foreign key (customer_id) references customers (id) on delete cascade,
    constraint documents_company_id_fkey foreign key (company_id)
        references company_mapping (company_id) on delete cascade on update cascade,
    constraint documents_storage_key_key unique (storage_key),
    constraint documents_filename_length check (length(filename) between 1 and 255),
    constraint documents_status_known check (status in ('pending', 'processed', 'failed')),
    constraint documents_error_code_known check (error_code in ('encrypted', 'corrupt', 'no_text', 'too_many_pages',
        'too_large', 'timed_out', 'not_uploaded', 'embedding_failed')),
    constraint documents_error_when_failed check ((status = 'failed') = (error_code is not null)),
    constraint documents_bytes_not_negative check (bytes >= 0),
    constraint documents_pages_not_negative check (pages_done >= 0 and pages_total >= 0),
    constraint documents_sha256_length check (length(sha256) = 32)
);
comment on column documents.sha256 is 'of the stored bytes: as declared while pending, verified once processed';
create index documents_upload_date_idx on documents (customer_id, upload_date desc, id desc);
create index documents_filename_idx on documents (customer_id, filename, id);
create index documents_status_idx on documents (customer_id, status, upload_date desc, id desc);
create index documents_sha256_idx on documents (customer_id, sha256) where status = 'processed';
create index documents_company_id_idx on documents (company_id);
create index documents_pending_idx on documents (upload_date) where status = 'pending';

create table document_chunks (
    id uuid not null default gen_random_uuid(),
    document_id uuid not null,
    customer_id uuid not null,
    chunk_index integer not null,
    page_start integer not null,
    page_end integer not null,
    text_chunk text not null,
    -- Accents folded by the application: the extension unaccent is not on every server.
    search_text text not null,
    language text not null,
    tsv tsvector not null generated always as (
        to_tsvector(
            case language
                when 'fr' then 'pg_catalog.french'::regconfig
                when 'en' then 'pg_catalog.english'::regconfig
                else 'pg_catalog.simple'::regconfig
            end,
            search_text
        )
    ) stored,
    embedding vector(1536) not null,
    embedding_model text not null,
    constraint document_chunks_pkey primary key (id),
    constraint document_chunks_document_id_index_key unique (document_id, chunk_index),
    -- Both columns: keys are checked outside of row-level security, so a policy cannot see to it.
    constraint document_chunks_document_id_fkey foreign key (document_id, customer_id)
        references documents (id, customer_id) on delete cascade,
    constraint document_chunks_customer_id_fkey foreign key (customer_id) references customers (id) on delete cascade,
    constraint document_chunks_pages_ordered check (page_start between 1 and page_end),
    constraint document_chunks_language_known check (language in ('fr', 'en', 'other'))
);
create index document_chunks_customer_id_idx on document_chunks (customer_id, embedding_model);
create index document_chunks_tsv_idx on document_chunks using gin (tsv);

alter table documents enable row level security;
alter table document_chunks enable row level security;
revoke all on documents, document_chunks from anon, authenticated, service_role;

grant select, insert, update, delete on documents, document_chunks to lisa_tenant;
create policy documents_tenant on documents to lisa_tenant
    using (customer_id = (select app.current_customer()))
    with check (customer_id = (select app.current_customer()) and company_id = (select app.current_company()));
create policy document_chunks_tenant on document_chunks to lisa_tenant
    using (customer_id = (select app.current_customer()))
    with check (customer_id = (select app.current_customer()));

grant select (id, filename, status, content, metadata, company_id, upload_date, pages_total, pages_done)
    on documents to authenticated;
create policy documents_own on documents for select to authenticated
    using (customer_id = any ((select app.tenants())::uuid[]));

-- Full-text search of the running transaction's tenant. `@@` is not leakproof, so under row-level security it would
-- never use its index: this function stands outside of it and names the tenant itself.
-- The question's words are joined by OR: with AND, most natural questions find nothing (docs/DECISIONS.md).
create function app.search_chunks(question text, question_language text, model text, wanted uuid[], most integer)
    returns table (chunk_id uuid, rank real)
    language sql stable security definer set search_path = '' as
$body$
    with configuration as (
        select case question_language
            when 'fr' then 'pg_catalog.french'::regconfig
            when 'en' then 'pg_catalog.english'::regconfig
            else 'pg_catalog.simple'::regconfig
        end as name
    ), terms as (
        select string_agg(quote_literal(lexeme), ' | ')::tsquery as query
        from configuration, unnest(to_tsvector(configuration.name, question))
    )
    select chunk.id, ts_rank(chunk.tsv, terms.query, 1) as rank
    from terms, public.document_chunks chunk
    join public.documents document on document.id = chunk.document_id and document.status = 'processed'
    where chunk.customer_id = app.current_customer()
      and chunk.embedding_model = model
      and (wanted is null or chunk.document_id = any (wanted))
      and chunk.tsv @@ terms.query
    order by rank desc, chunk.id
    limit most
$body$;
revoke all on function app.search_chunks(text, text, text, uuid[], integer) from public;
grant execute on function app.search_chunks(text, text, text, uuid[], integer) to lisa_tenant;
