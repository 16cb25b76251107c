-- Retrieval that knows how rare a word is, and that stays quick where a tenant has many chunks.

-- The signs of the vector: near vectors have most of them in common. An index that carries them finds candidates without
-- reading a single row, and only those are compared by their whole vectors. Its entries are in the order of the rows, so
-- that the visibility map is gone through once, instead of back and forth.
alter table document_chunks
    add column embedding_bits bit(1536) not null generated always as (binary_quantize(embedding)::bit(1536)) stored;
create index document_chunks_candidates_idx on document_chunks (customer_id, embedding_model)
    include (id, document_id, embedding_bits);
drop index document_chunks_customer_id_idx;

alter table documents add column chunks integer;
comment on column documents.chunks is 'how many it has, once processed';
update documents set chunks = (
    select count(*) from document_chunks chunk where chunk.document_id = documents.id
) where status = 'processed';

-- The words of a chunk, each with its tenant in one number: an index of them finds a tenant's chunks without going through
-- those of all the others that have the same word. (btree_gin, which could index both columns, is not on every server.)
create function app.word_keys(tenant uuid, words text[]) returns bigint[]
    language sql immutable parallel safe set search_path = '' as
    $body$ select array(select hashtextextended(word, uuid_hash_extended(tenant, 0)) from unnest(words) word) $body$;
revoke all on function app.word_keys(uuid, text[]) from public;
grant execute on function app.word_keys(uuid, text[]) to lisa_tenant, lisa_system;
-- Without a list of pending entries, which each search would have to go through.
create index document_chunks_words_idx on document_chunks
    using gin (app.word_keys(customer_id, tsvector_to_array(tsv))) with (fastupdate = off);
drop index document_chunks_tsv_idx;
-- Searches read it of many chunks: it stays in the row, as it is.
alter table document_chunks alter column tsv set storage main, set (toast_tuple_target = 4096);

-- As in 0004, ranked by the sum over the question's words of how rare each is times how much of it a chunk has: what BM25
-- does, with ts_rank of one word for its frequency and the length. Of a tenant with many chunks, only those with one of
-- the rarest words are ranked, and only the best of those by the others too.
create or replace function app.search_chunks(
    question text, question_language text, model text, wanted uuid[], most integer
)
    returns table (chunk_id uuid, rank real)
    -- Its estimates are far too high, and compiling costs more than it takes.
    language plpgsql stable security definer rows 50 set search_path = '' set jit = off as
$body$
declare
    tenant constant uuid := app.current_customer();
    -- About so many chunks are ranked for their rare words, and as many for two of the others.
    few constant integer := 500;
    most_pairs constant integer := 32;
    -- Of a word that stands alone there may be more: no more than these are ranked, whichever they are.
    most_found constant integer := 4000;
    sampled constant integer := 300;
    -- Of a question that is longer, the beginning counts.
    most_words constant integer := 64;
    total bigint;
    words text[];
    -- How many chunks of the sample have each word.
    seen bigint[];
    rare text[];
begin
    words := array(
        select lexeme
        from unnest(case question_language
                when 'fr' then array['pg_catalog.french']
                when 'en' then array['pg_catalog.english']
                -- Chunks are stemmed by their own language, which may be any.
                else array['pg_catalog.french', 'pg_catalog.english', 'pg_catalog.simple']
            end::regconfig[]) configuration,
            unnest(to_tsvector(configuration, question))
        group by lexeme
        order by min(positions[1]), lexeme
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
                -- At even distances, through all documents.
                select of_place.tsv
                from (
                    select document.id, document.chunks,
                        sum(document.chunks) over (order by document.id) - document.chunks as before
                    from public.documents document
                    where document.customer_id = tenant and document.status = 'processed'
                ) document
                cross join generate_series(
                    (before * sampled + total - 1) / total, ((before + chunks) * sampled + total - 1) / total - 1
                ) place
                cross join lateral (
                    select chunk.tsv || ''::tsvector as tsv
                    from public.document_chunks chunk
                    where chunk.document_id = document.id
                      and chunk.chunk_index = (place * total / sampled - before)::integer
                    offset 0
                ) of_place
            ) sample
            group by word.place
            order by word.place
        );
        -- The rarest, as long as they are not in too many chunks together. A word alone is never too frequent, nor is one
        -- beside words that no chunk has.
        rare := array(
            select lexeme
            from (
                select lexeme, sum(count) over (order by count, lexeme) as together,
                    count(*) filter (where count > 0) over () as found_words
                from unnest(words, seen) word (lexeme, count)
            ) ordered
            where found_words <= 1 or together * total / sampled <= few
        );
    end if;
    return query
    with pair as materialized (
        select app.word_keys(tenant, array[one, other]) as keys
        from (
            select one.lexeme as one, other.lexeme as other,
                sum(one.count * other.count) over by_rarity as together, row_number() over by_rarity as place
            from unnest(words, seen) one (lexeme, count)
            join unnest(words, seen) other (lexeme, count) on one.lexeme < other.lexeme
            where one.lexeme <> all (rare) and other.lexeme <> all (rare)
            window by_rarity as (order by one.count * other.count, one.lexeme, other.lexeme)
        ) ordered
        where place = 1 or place <= most_pairs and together * total / sampled / sampled <= few
    ), found as materialized (
        -- By the words alone, which hold the tenant: asked for the tenant too, all its chunks would be looked up.
        (select chunk.id, chunk.customer_id, chunk.document_id, chunk.embedding_model, chunk.tsv
        from public.document_chunks chunk
        where app.word_keys(chunk.customer_id, tsvector_to_array(chunk.tsv)) && app.word_keys(tenant, rare)
          and (wanted is null or chunk.document_id = any (wanted))
        limit most_found)
        union all
        select of_pair.*
        from pair cross join lateral (
            select chunk.id, chunk.customer_id, chunk.document_id, chunk.embedding_model, chunk.tsv
            from public.document_chunks chunk
            where app.word_keys(chunk.customer_id, tsvector_to_array(chunk.tsv)) @> pair.keys
              and (wanted is null or chunk.document_id = any (wanted))
            limit few
        ) of_pair
    ), matched as materialized (
        -- Unpacked once instead of once a word.
        select distinct on (found.id) found.id, found.tsv || ''::tsvector as tsv
        from found
        join public.documents document on document.id = found.document_id and document.status = 'processed'
        where found.customer_id = tenant
          and found.embedding_model = model
          and (wanted is null or found.document_id = any (wanted))
        order by found.id
    ), counted as materialized (
        select matched.id, word.place, ts_rank(matched.tsv, word.query, 1)::float8 as frequency
        from matched, (
            select place, quote_literal(lexeme)::tsquery as query
            from unnest(words) with ordinality listed (lexeme, place)
        ) word
    ), weighed as materialized (
        select place, ln(1 + (greatest(total - chunks, 0) + 0.5) / (chunks + 0.5)) as weight
        from (
            -- All chunks that have a rare word were found; those that have another one are known from the sample.
            select place, case
                when words[place] = any (rare) then count(*) filter (where frequency > 0)
                else seen[place] * total / sampled
            end as chunks
            from counted
            group by place
        ) held
    )
    select counted.id, sum(counted.frequency * weighed.weight)::real as score
    from counted join weighed using (place)
    group by counted.id
    order by score desc, counted.id
    limit most;
end
$body$;

-- The chunks whose vectors are nearest to the question's. Their signs are compared out of the index, and only the most alike
-- by their whole vectors.
--
-- Of the question more is known than its signs. Compared with its signs about several thresholds, instead of about 0, a
-- chunk's signs count by the size of the question's number, and not at all where that is 0, as most are that an embedder
-- makes of a few hashed words.
create function app.nearest_chunks(question real[], model text, wanted uuid[], most integer)
    returns table (chunk_id uuid, nearness double precision)
    language plpgsql stable rows 50 set jit = off as
$body$
declare
    asked constant vector(1536) := question;
    -- The usual size of the question's numbers that are not 0.
    usual constant real := (select 1 / sqrt(nullif(count(*), 0)) from unnest(question) number where number <> 0);
    -- How many whole vectors are compared: among more chunks, more are alike.
    rescored constant integer := (
        select 400 + coalesce(sum(document.chunks), 0) / 200 from documents document
        where document.customer_id = app.current_customer() and document.status = 'processed'
    );
    near vector(1536);
    far vector(1536);
    lowest bit(1536);
    low bit(1536);
    high bit(1536);
    highest bit(1536);
begin
    -- Nothing is near a vector without a direction.
    if usual is null then
        return;
    end if;
    near := array_fill(0.25::real * usual, array[1536]);
    far := array_fill(0.9::real * usual, array[1536]);
    lowest := binary_quantize(asked + far);
    low := binary_quantize(asked + near);
    high := binary_quantize(asked - near);
    highest := binary_quantize(asked - far);
    return query
    with alike as materialized (
        select chunk.id
        from document_chunks chunk
        where chunk.customer_id = app.current_customer()
          and chunk.embedding_model = model
          and (wanted is null or chunk.document_id = any (wanted))
          and chunk.document_id not in (
              select document.id from documents document
              where document.customer_id = app.current_customer() and document.status <> 'processed'
          )
        order by (chunk.embedding_bits <~> lowest) + (chunk.embedding_bits <~> low)
            + (chunk.embedding_bits <~> high) + (chunk.embedding_bits <~> highest)
        limit rescored
    ), compared as materialized (
        -- One by one: the planner takes tenants for smaller than the largest are, and would read all of their chunks.
        select one.id, one.nearness
        from alike cross join lateral (
            select chunk.id, 1 - (chunk.embedding <=> asked) as nearness
            from document_chunks chunk
            where chunk.id = alike.id
            offset 0
        ) one
    )
    -- A vector without a direction is near to nothing: its distance is NaN, which would come first.
    select compared.id, compared.nearness from compared where compared.nearness <> 'NaN'
    order by compared.nearness desc, compared.id limit most;
end
$body$;
revoke all on function app.nearest_chunks(real[], text, uuid[], integer) from public;
grant execute on function app.nearest_chunks(real[], text, uuid[], integer) to lisa_tenant;
