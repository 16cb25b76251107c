-- no-transaction
create index concurrently if not exists document_chunks_short_candidates_idx
    on document_chunks (customer_id, embedding_model)
    include (id, document_id, short_bits)
    where short_bits is not null;
