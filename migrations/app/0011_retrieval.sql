-- Retrieval that knows how rare a word is, and that stays quick where a tenant has many chunks.

-- The signs of the vector: near vectors have most of them in common. An index that carries them finds candidates without
-- reading a single row, and only those are compared by their whole vectors. By id within a tenant, which is random: so
-- many of the first ones are a fair sample.
alter table document_chunks
    add column embedding_bits bit(1536) not null generated always as (binary_quantize(embedding)::bit(1536)) stored;
create index document_chunks_candidates_idx on document_chunks (customer_id, embedding_model, id)
    include (document_id, embedding_bits);
drop index document_chunks_customer_id_idx;

alter table documents add column chunks integer;
comment on column documents.chunks is 'how many it has, once processed';
update documents set chunks = (
    select count(*) from document_chunks chunk where chunk.document_id = documents.id
) where status = 'processed';

-- As in 0004, ranked by the sum over the question's words of how rare each is times how much of it a chunk has: what BM25
-- does, with ts_rank of one word for its frequency and the length. Of a tenant with many chunks, only those with one of
-- the rarest words are ranked, and only the best of those by the others too.
create or replace function app.search_chunks(
    question text, question_language text, model text, wanted uuid[], most integer
)
    returns table (chunk_id uuid, rank real)
    -- Its estimates are far too high, and compiling costs more than it takes.
    language plpgsql stable security definer set search_path = '' set jit = off as
$body$
declare
    tenant constant uuid := app.current_customer();
    -- About so many chunks are ranked.
    few constant integer := 4000;
    finalists constant integer := 300;
    sampled constant integer := 1000;
    -- Of a question that is longer, the beginning counts.
    most_words constant integer := 64;
    total bigint;
    words text[];
    -- How many chunks of the sample have each word.
    seen bigint[];
    rare text[];
    chosen tsquery;
begin
    words := array(
        select lexeme
        from unnest(to_tsvector(
            case question_language
                when 'fr' then 'pg_catalog.french'::regconfig
                when 'en' then 'pg_catalog.english'::regconfig
                else 'pg_catalog.simple'::regconfig
            end,
            question
        ))
        order by positions[1]
        limit most_words
    );
    select coalesce(sum(document.chunks), 0) into total from public.documents document
        where document.customer_id = tenant and document.status = 'processed';
    if total <= few then
        rare := words;
    else
        seen := array(
            select count(*) filter (where sample.tsv @@ word.query)
            from (
                select place, quote_literal(lexeme)::tsquery as query
                from unnest(words) with ordinality listed (lexeme, place)
            ) word
            cross join (
                select chunk.tsv from public.document_chunks chunk
                where chunk.customer_id = tenant and chunk.embedding_model = model
                order by chunk.id
                limit sampled
            ) sample
            group by word.place
            order by word.place
        );
        -- The rarest, as long as they are not in too many chunks together.
        rare := array(
            select lexeme
            from (
                select lexeme, sum(count) over by_rarity as together, row_number() over by_rarity as place
                from unnest(words, seen) word (lexeme, count)
                window by_rarity as (order by count, lexeme)
            ) ordered
            where place = 1 or together * total / sampled <= few
        );
    end if;
    select string_agg(quote_literal(word), ' | ')::tsquery into chosen from unnest(rare) word;
    return query
    with matched as materialized (
        -- Unpacked once instead of once a word.
        select chunk.id, chunk.tsv || ''::tsvector as tsv
        from public.document_chunks chunk
        join public.documents document on document.id = chunk.document_id and document.status = 'processed'
        where chunk.customer_id = tenant
          and chunk.embedding_model = model
          and (wanted is null or chunk.document_id = any (wanted))
          and chunk.tsv @@ chosen
    ), counted as materialized (
        select matched.id, word.lexeme, ts_rank(matched.tsv, word.query, 1)::float8 as frequency
        from matched, (select lexeme, quote_literal(lexeme)::tsquery as query from unnest(rare) lexeme) word
    ), weighed as materialized (
        select lexeme, ln(1 + (greatest(total - chunks, 0) + 0.5) / (chunks + 0.5)) as weight
        from (
            select lexeme, count(*) filter (where frequency > 0) as chunks from counted group by lexeme
        ) held
    ), best as materialized (
        select counted.id, sum(counted.frequency * weighed.weight) as score
        from counted join weighed using (lexeme)
        group by counted.id
        order by score desc, counted.id
        limit greatest(finalists, most)
    ), frequent as materialized (
        select quote_literal(word.lexeme)::tsquery as query,
            ln(1 + (sampled - word.count + 0.5) / (word.count + 0.5)) as weight
        from unnest(words, seen) word (lexeme, count)
        where word.lexeme <> all (rare)
    )
    select best.id,
        (best.score + coalesce(
            (select sum(ts_rank(matched.tsv, frequent.query, 1) * frequent.weight) from frequent), 0
        ))::real as score
    from best join matched using (id)
    order by score desc, best.id
    limit most;
end
$body$;
