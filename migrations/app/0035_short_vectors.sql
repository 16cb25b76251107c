-- Vectors of 384 numbers, in columns of their own: the model inside the functions has no more, and a search of a large
-- tenant reads a quarter of the bytes. A chunk has a vector of one length. Rows of other models stay as they are.
--
-- No column is generated, for that would write every row of the table again: whoever stores a short vector stores its
-- signs with it, and a constraint compares them. Vectors of 1,536 numbers become optional; code that knows only these
-- finds no chunk of the new model, whose name it does not know either.

set local lock_timeout = '3s';

alter table document_chunks
    alter column embedding drop not null,
    alter column embedding_bits drop not null,
    add column short_embedding vector(384),
    add column short_bits bit(384);
-- In the row, not beside it: rescoring reads hundreds of vectors of a search.
alter table document_chunks alter column short_embedding set storage main;
alter table document_chunks add constraint document_chunks_one_embedding
    check (num_nonnulls(embedding, short_embedding) = 1) not valid;
alter table document_chunks add constraint document_chunks_short_bits_of_embedding
    check (short_bits is not distinct from binary_quantize(short_embedding)::bit(384)) not valid;

alter table reembedded_chunks
    alter column embedding drop not null,
    add column short_embedding vector(384);
alter table reembedded_chunks add constraint reembedded_chunks_one_embedding
    check (num_nonnulls(embedding, short_embedding) = 1) not valid;

-- The chunks nearest to a question's vector of 384 numbers, as app.nearest_chunks finds them for 1,536: the signs of all
-- chunks are compared with the question at four thresholds, then the whole vectors of the best.
create function app.nearest_short_chunks(question real[], model text, wanted uuid[], most integer)
    returns table (chunk_id uuid, nearness double precision)
    language plpgsql stable rows 50
    set jit = off
    as $$
declare
    asked constant vector(384) := question;
    -- The usual size of the question's numbers that are not 0.
    usual constant real := (select 1 / sqrt(nullif(count(*), 0)) from unnest(question) number where number <> 0);
    total constant bigint := (
        select coalesce(sum(document.chunks), 0) from documents document
        where document.customer_id = app.current_customer() and document.status = 'processed'
    );
    -- How many whole vectors are compared: among more chunks, more are alike.
    rescored constant integer := 500 + total / 175;
    -- So many chunks tell what distance is far, and so many times more than are wanted may be nearer than that.
    sampled constant integer := 1500;
    spare constant real := 2.5;
    farthest double precision := 'infinity';
    candidates uuid[];
    near vector(384);
    far vector(384);
    lowest bit(384);
    low bit(384);
    high bit(384);
    highest bit(384);
begin
    -- Nothing is near a vector without a direction.
    if usual is null then
        return;
    end if;
    near := array_fill(0.25::real * usual, array[384]);
    far := array_fill(0.9::real * usual, array[384]);
    lowest := binary_quantize(asked + far);
    low := binary_quantize(asked + near);
    high := binary_quantize(asked - near);
    highest := binary_quantize(asked - far);
    -- Most chunks are far. To keep them out of the sort, which copies each, takes less than to sort them.
    if wanted is null and total > 16 * rescored then
        farthest := (
            select distance
            from (
                select (chunk.short_bits <~> lowest) + (chunk.short_bits <~> low)
                    + (chunk.short_bits <~> high) + (chunk.short_bits <~> highest) as distance
                from document_chunks chunk
                where chunk.customer_id = app.current_customer()
                  and chunk.embedding_model = model
                  and chunk.short_bits is not null
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
              and chunk.short_bits is not null
              and (wanted is null or chunk.document_id = any (wanted))
              and chunk.document_id not in (
                  select document.id from documents document
                  where document.customer_id = app.current_customer() and document.status <> 'processed'
              )
              and (chunk.short_bits <~> lowest) + (chunk.short_bits <~> low)
                  + (chunk.short_bits <~> high) + (chunk.short_bits <~> highest) <= farthest
            order by (chunk.short_bits <~> lowest) + (chunk.short_bits <~> low)
                + (chunk.short_bits <~> high) + (chunk.short_bits <~> highest)
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
            select chunk.id, 1 - (chunk.short_embedding <=> asked) as nearness
            from document_chunks chunk
            where chunk.id = alike.id
            offset 0
        ) one
    )
    -- A vector without a direction is near to nothing: its distance is NaN, which would come first.
    select compared.id, compared.nearness from compared where compared.nearness <> 'NaN'
    order by compared.nearness desc, compared.id limit most;
end
$$;
revoke all on function app.nearest_short_chunks(real[], text, uuid[], integer) from public;
grant execute on function app.nearest_short_chunks(real[], text, uuid[], integer) to lisa_tenant;
