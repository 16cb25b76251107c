-- Embedding a tenant's chunks anew by another model: the new vectors wait beside the old ones, and a tenant goes over to
-- them in one transaction. Until then it is asked, and goes on uploading, by the model that its chunks have.

alter table customers
    add column embedding_model text constraint customers_embedding_model_not_empty check (embedding_model <> '');
comment on column customers.embedding_model is 'of the vectors of all its processed documents; null before the first one';
-- That of the newest document: to count the chunks of each would hold the tenants' rows for as long as that takes.
update customers set embedding_model = (
    select chunk.embedding_model
    from documents document
    cross join lateral (
        select one.embedding_model from document_chunks one where one.document_id = document.id limit 1
    ) chunk
    where document.customer_id = customers.id and document.status = 'processed'
    order by document.processed_at desc, document.id desc
    limit 1
);
grant update (embedding_model) on customers to lisa_tenant;

create table reembedded_chunks (
    chunk_id uuid not null,
    customer_id uuid not null,
    embedding_model text not null,
    embedding vector(1536) not null,
    created_at timestamptz not null default now(),
    constraint reembedded_chunks_pkey primary key (chunk_id, embedding_model),
    constraint reembedded_chunks_chunk_id_fkey foreign key (chunk_id) references document_chunks (id) on delete cascade,
    constraint reembedded_chunks_customer_id_fkey foreign key (customer_id) references customers (id) on delete cascade
);
comment on table reembedded_chunks is 'new vectors of chunks, until their tenant goes over to the model';
create index reembedded_chunks_customer_id_idx on reembedded_chunks (customer_id, embedding_model);

alter table reembedded_chunks enable row level security;
revoke all on reembedded_chunks from anon, authenticated, service_role;
-- An operator's command writes them; a tenant's transaction has no use for them.
grant select, insert, update, delete on reembedded_chunks to lisa_system;
create policy reembedded_chunks_system on reembedded_chunks to lisa_system using (true) with check (true);
