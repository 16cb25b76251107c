-- What every function stands on: rate limits, idempotency keys, and the audit log.

-- Counters of a sliding window. Unlogged: a crash of the server forgets at most a minute of counting.
create unlogged table rate_limits (
    key text not null,
    window_start timestamptz not null,
    count integer not null,
    previous integer not null,
    constraint rate_limits_pkey primary key (key),
    constraint rate_limits_key_length check (length(key) <= 200)
) with (fillfactor = 50);

-- Takes one of `most` calls in `seconds`, or tells when there is one again. The window slides: of the window before, the
-- part that is still in sight counts. A window begins with its first call, so a burst from nothing gets exactly `most`.
create function app.take_rate(wanted text, most integer, seconds integer)
    returns table (allowed boolean, remaining integer, reset_s double precision, retry_after_s double precision)
    language plpgsql security definer set search_path = '' as
$body$
declare
    state public.rate_limits;
    at timestamptz;
    elapsed double precision;
    used double precision;
begin
    loop
        select * into state from public.rate_limits where key = wanted for update;
        -- New, or removed while this call waited for it.
        exit when found;
        insert into public.rate_limits (key, window_start, count, previous)
            values (wanted, clock_timestamp(), 0, 0) on conflict (key) do nothing;
    end loop;
    -- Read only now: others were served while this call waited for the row.
    at := clock_timestamp();
    elapsed := extract(epoch from at - state.window_start) / seconds;
    if elapsed >= 2 then
        state.window_start := at;
        state.count := 0;
        state.previous := 0;
        elapsed := 0;
    elsif elapsed >= 1 then
        state.window_start := state.window_start + make_interval(secs => seconds);
        state.previous := state.count;
        state.count := 0;
        elapsed := elapsed - 1;
    end if;
    used := state.previous * (1 - elapsed) + state.count;
    allowed := used + 1 <= most;
    if allowed then
        update public.rate_limits rates
            set window_start = state.window_start, count = state.count + 1, previous = state.previous
            where rates.key = wanted;
        used := used + 1;
    end if;
    remaining := greatest(floor(most - used), 0);
    reset_s := seconds * (1 - elapsed);
    retry_after_s := case
        when allowed then 0
        -- In the next window this one's calls count less with every moment.
        when state.count >= most then seconds * (1 - elapsed + (state.count - most + 1)::double precision / state.count)
        else seconds * (1 - (most - 1 - state.count)::double precision / state.previous - elapsed)
    end;
    return next;
end
$body$;
revoke all on function app.take_rate(text, integer, integer) from public;
grant execute on function app.take_rate(text, integer, integer) to lisa_app, lisa_system;

create table idempotency_keys (
    customer_id uuid not null,
    key text not null,
    request_sha256 bytea not null,
    state text not null default 'in_progress',
    status integer,
    response jsonb,
    locked_until timestamptz not null,
    expires_at timestamptz not null,
    constraint idempotency_keys_pkey primary key (customer_id, key),
    constraint idempotency_keys_customer_id_fkey foreign key (customer_id) references customers (id) on delete cascade,
    constraint idempotency_keys_key_length check (length(key) between 1 and 255),
    constraint idempotency_keys_state_known check (state in ('in_progress', 'finished')),
    constraint idempotency_keys_finished_has_answer check ((state = 'finished') = (status is not null)),
    constraint idempotency_keys_sha256_length check (length(request_sha256) = 32)
);
create index idempotency_keys_expires_at_idx on idempotency_keys (expires_at);

-- Append-only, and chained tenant by tenant: each entry's hash covers the one before. Ids only, no foreign keys: it
-- outlives what it tells of. Entries of no tenant have the nil UUID.
create table audit_log (
    id bigint generated always as identity,
    customer_id uuid not null,
    at timestamptz not null,
    actor uuid,
    action text not null,
    object text not null,
    request_id text,
    details jsonb not null default '{}',
    prev_hash bytea not null,
    hash bytea not null,
    constraint audit_log_pkey primary key (id),
    constraint audit_log_action_length check (length(action) between 1 and 100),
    constraint audit_log_object_length check (length(object) <= 200)
);
create index audit_log_customer_id_idx on audit_log (customer_id, id desc);

-- How long each chain is and how it ends: otherwise nobody would miss its last entries.
create table audit_heads (
    customer_id uuid not null,
    entries bigint not null,
    hash bytea not null,
    constraint audit_heads_pkey primary key (customer_id)
);

-- What an entry's hash covers.
create function app.audit_digest(entry public.audit_log) returns bytea
    language sql immutable set search_path = '' as
$body$
    select sha256(entry.prev_hash || convert_to(jsonb_build_array(
        entry.id, entry.customer_id, extract(epoch from entry.at), entry.actor, entry.action, entry.object,
        entry.request_id, entry.details
    )::text, 'UTF8'))
$body$;

-- The one way to write an entry. Entries of a chain wait for each other until their transactions end.
create function app.audit(tenant uuid, actor uuid, action text, object text, request_id text, details jsonb)
    returns void language plpgsql security definer set search_path = '' as
$body$
declare
    entry public.audit_log;
begin
    insert into public.audit_heads (customer_id, entries, hash) values (tenant, 0, sha256(''))
        on conflict (customer_id) do nothing;
    select heads.hash into entry.prev_hash from public.audit_heads heads where heads.customer_id = tenant for update;
    entry.id := nextval(pg_get_serial_sequence('public.audit_log', 'id'));
    entry.customer_id := tenant;
    entry.at := clock_timestamp();
    entry.actor := actor;
    entry.action := action;
    entry.object := object;
    entry.request_id := request_id;
    entry.details := coalesce(details, '{}');
    entry.hash := app.audit_digest(entry);
    insert into public.audit_log overriding system value select entry.*;
    update public.audit_heads heads set entries = heads.entries + 1, hash = entry.hash where heads.customer_id = tenant;
end
$body$;

-- The same for a tenant's own transaction, which cannot write into another chain.
create function app.audit_own(actor uuid, action text, object text, request_id text, details jsonb)
    returns void language sql security definer set search_path = '' as
    $body$ select app.audit(app.current_customer(), actor, action, object, request_id, details) $body$;

-- The first entry of each chain that does not fit: altered, removed, or put in between; by id, 0 where the end is missing.
create function app.audit_faults() returns table (customer_id uuid, entry bigint, fault text)
    language sql stable security definer set search_path = '' as
$body$
    with links as (
        select entry.customer_id, entry.id, entry.hash, entry.prev_hash,
            lag(entry.hash, 1, sha256('')) over (partition by entry.customer_id order by entry.id) as expected,
            app.audit_digest(entry) as digest
        from public.audit_log entry
    ), broken as (
        select links.customer_id, links.id,
            case when links.digest <> links.hash then 'altered' else 'an entry before it is missing' end as fault
        from links where links.digest <> links.hash or links.prev_hash <> links.expected
    ), ends as (
        select heads.customer_id, 0::bigint as id, 'the end is missing' as fault
        from public.audit_heads heads
        left join lateral (
            select entry.hash from public.audit_log entry
            where entry.customer_id = heads.customer_id order by entry.id desc limit 1
        ) last on true
        where heads.entries <> (select count(*) from public.audit_log entry where entry.customer_id = heads.customer_id)
           or last.hash is distinct from heads.hash
    ), unheaded as (
        select distinct entry.customer_id, 0::bigint as id, 'the chain is not known' as fault
        from public.audit_log entry
        where not exists (select from public.audit_heads heads where heads.customer_id = entry.customer_id)
    )
    select * from broken union all select * from ends union all select * from unheaded order by 1, 2
$body$;

revoke all on function app.audit_digest(public.audit_log), app.audit(uuid, uuid, text, text, text, jsonb),
    app.audit_own(uuid, text, text, text, jsonb), app.audit_faults() from public;
grant execute on function app.audit(uuid, uuid, text, text, text, jsonb), app.audit_faults() to lisa_system;
grant execute on function app.audit_own(uuid, text, text, text, jsonb) to lisa_tenant;

alter table rate_limits enable row level security;
alter table idempotency_keys enable row level security;
alter table audit_log enable row level security;
alter table audit_heads enable row level security;
revoke all on rate_limits, idempotency_keys, audit_log, audit_heads from anon, authenticated, service_role;

grant select, insert, update, delete on idempotency_keys to lisa_tenant, lisa_system;
create policy idempotency_keys_tenant on idempotency_keys to lisa_tenant
    using (customer_id = (select app.current_customer()))
    with check (customer_id = (select app.current_customer()));
create policy idempotency_keys_system on idempotency_keys to lisa_system using (true) with check (true);

grant select, delete on rate_limits to lisa_system;
create policy rate_limits_system on rate_limits to lisa_system using (true);

grant select on audit_log to lisa_tenant, lisa_system;
create policy audit_log_tenant on audit_log for select to lisa_tenant using (customer_id = (select app.current_customer()));
create policy audit_log_system on audit_log for select to lisa_system using (true);
