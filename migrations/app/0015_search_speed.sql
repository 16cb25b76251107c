-- The same searches as in 0011, quicker among many chunks.

-- Each word is parsed once instead of once a chunk, a chunk is ranked for the words that it has instead of for all, and the
-- documents that are not to be found are asked for once.
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
    queries tsquery[];
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
    queries := array(
        select quote_literal(lexeme)::tsquery
        from unnest(words) with ordinality listed (lexeme, place)
        order by place
    );
    select coalesce(sum(document.chunks), 0) into total from public.documents document
        where document.customer_id = tenant and document.status = 'processed';
    if total <= few then
        rare := words;
    else
        seen := array(
            select count(*) filter (where sample.tsv @@ word.query)
            from unnest(queries) with ordinality word (query, place)
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
                    select chunk.tsv
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
        select distinct on (found.id) found.id, found.tsv
        from found
        where found.customer_id = tenant
          and found.embedding_model = model
          and found.document_id not in (
              select document.id from public.documents document
              where document.customer_id = tenant and document.status <> 'processed'
          )
          and (wanted is null or found.document_id = any (wanted))
        order by found.id
    ), counted as materialized (
        select matched.id, word.place, ts_rank(matched.tsv, word.query, 1)::float8 as frequency
        from matched cross join unnest(queries) with ordinality word (query, place)
        where matched.tsv @@ word.query
    ), weighed as materialized (
        select place, ln(1 + (greatest(total - chunks, 0) + 0.5) / (chunks + 0.5)) as weight
        from (
            -- All chunks that have a rare word were found; those that have another one are known from the sample.
            select place, case
                when words[place] = any (rare) then count(*)
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

-- What is far by its signs is left out before the candidates are put in order.
create or replace function app.nearest_chunks(question real[], model text, wanted uuid[], most integer)
    returns table (chunk_id uuid, nearness double precision)
    language plpgsql stable rows 50 set jit = off as
$body$
declare
    asked constant vector(1536) := question;
    -- The usual size of the question's numbers that are not 0.
    usual constant real := (select 1 / sqrt(nullif(count(*), 0)) from unnest(question) number where number <> 0);
    total constant bigint := (
        select coalesce(sum(document.chunks), 0) from documents document
        where document.customer_id = app.current_customer() and document.status = 'processed'
    );
    -- How many whole vectors are compared: among more chunks, more are alike.
    rescored constant integer := 300 + total / 175;
    -- So many chunks tell what distance is far, and so many times more than are wanted may be nearer than that.
    sampled constant integer := 1500;
    spare constant real := 2.5;
    farthest double precision := 'infinity';
    candidates uuid[];
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
    -- Most chunks are far. To keep them out of the sort, which copies each, takes less than to sort them.
    if wanted is null and total > 16 * rescored then
        farthest := (
            select distance
            from (
                select (chunk.embedding_bits <~> lowest) + (chunk.embedding_bits <~> low)
                    + (chunk.embedding_bits <~> high) + (chunk.embedding_bits <~> highest) as distance
                from document_chunks chunk
                where chunk.customer_id = app.current_customer()
                  and chunk.embedding_model = model
                limit sampled
            ) sample
            order by distance
            offset (spare * rescored * sampled / total)::bigint
            limit 1
        );
    end if;
    loop
        candidates := array(
            select chunk.id
            from document_chunks chunk
            where chunk.customer_id = app.current_customer()
              and chunk.embedding_model = model
              and (wanted is null or chunk.document_id = any (wanted))
              and chunk.document_id not in (
                  select document.id from documents document
                  where document.customer_id = app.current_customer() and document.status <> 'processed'
              )
              and (chunk.embedding_bits <~> lowest) + (chunk.embedding_bits <~> low)
                  + (chunk.embedding_bits <~> high) + (chunk.embedding_bits <~> highest) <= farthest
            order by (chunk.embedding_bits <~> lowest) + (chunk.embedding_bits <~> low)
                + (chunk.embedding_bits <~> high) + (chunk.embedding_bits <~> highest)
            limit rescored
        );
        exit when farthest = 'infinity' or cardinality(candidates) = rescored;
        -- The sample was nearer than the others are.
        farthest := 'infinity';
    end loop;
    return query
    with compared as materialized (
        -- One by one: the planner takes tenants for smaller than the largest are, and would read all of their chunks.
        select one.id, one.nearness
        from unnest(candidates) alike (id) cross join lateral (
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
