-- The schema of the migrated database: tables, functions, triggers, policies and grants.
--
-- Generated from the migrations by `cargo prepare-sql`. Do not edit it. Nothing runs this file.
-- Roles belong to the cluster and are in app/0001_roles.sql. The ledgers of the migrations are left out.

CREATE SCHEMA app;

CREATE SCHEMA auth;

CREATE SCHEMA billing;

CREATE SCHEMA public;

COMMENT ON SCHEMA public IS 'standard public schema';

CREATE FUNCTION app.add_months(moment timestamp with time zone, months integer) RETURNS timestamp with time zone
    LANGUAGE sql IMMUTABLE
    AS $$ select (moment at time zone 'UTC' + make_interval(months => months)) at time zone 'UTC' $$;

CREATE FUNCTION app.add_to_order_day(company uuid, day date, currency_code text, order_status text, step integer, amount numeric) RETURNS void
    LANGUAGE sql
    SET search_path TO ''
    AS $$
    insert into public.order_days as days (company_id, date, currency, pending, confirmed, preparing, delivered,
        cancelled, revenue)
    values (company, day, currency_code, case order_status when 'pending' then step else 0 end,
        case order_status when 'confirmed' then step else 0 end, case order_status when 'preparing' then step else 0 end,
        case order_status when 'delivered' then step else 0 end, case order_status when 'cancelled' then step else 0 end,
        amount)
    on conflict on constraint order_days_pkey do update set
        pending = days.pending + excluded.pending,
        confirmed = days.confirmed + excluded.confirmed,
        preparing = days.preparing + excluded.preparing,
        delivered = days.delivered + excluded.delivered,
        cancelled = days.cancelled + excluded.cancelled,
        revenue = days.revenue + excluded.revenue
$$;

CREATE FUNCTION app.address_placeholder(account uuid) RETURNS text
    LANGUAGE sql IMMUTABLE
    AS $$ select account::text || '@accounts.invalid' $$;

CREATE FUNCTION app.audit(tenant uuid, actor uuid, action text, object text, request_id text, details jsonb) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    AS $$
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
$$;

CREATE TABLE public.audit_log (
    id bigint NOT NULL,
    customer_id uuid NOT NULL,
    at timestamp with time zone NOT NULL,
    actor uuid,
    action text NOT NULL,
    object text NOT NULL,
    request_id text,
    details jsonb DEFAULT '{}'::jsonb NOT NULL,
    prev_hash bytea NOT NULL,
    hash bytea NOT NULL,
    CONSTRAINT audit_log_action_length CHECK (((length(action) >= 1) AND (length(action) <= 100))),
    CONSTRAINT audit_log_object_length CHECK ((length(object) <= 200))
);

CREATE FUNCTION app.audit_digest(entry public.audit_log) RETURNS bytea
    LANGUAGE sql IMMUTABLE
    SET search_path TO ''
    AS $$
    select sha256(entry.prev_hash || convert_to(jsonb_build_array(
        entry.id, entry.customer_id, extract(epoch from entry.at), entry.actor, entry.action, entry.object,
        entry.request_id, entry.details
    )::text, 'UTF8'))
$$;

CREATE FUNCTION app.audit_faults() RETURNS TABLE(customer_id uuid, entry bigint, fault text)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO ''
    AS $$
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
$$;

CREATE FUNCTION app.audit_own(actor uuid, action text, object text, request_id text, details jsonb) RETURNS void
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO ''
    AS $$ select app.audit(app.current_customer(), actor, action, object, request_id, details) $$;

CREATE FUNCTION app.change_lock_key(tenant uuid) RETURNS integer
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    SET search_path TO ''
    AS $$ select ('x' || left(replace(tenant::text, '-', ''), 8))::bit(32)::integer $$;

CREATE FUNCTION app.changes_after(after bigint, most integer) RETURNS TABLE(sequence bigint, kind text, id uuid, is_deleted boolean, at timestamp with time zone)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    AS $$
#variable_conflict use_column
declare
    tenant constant uuid := app.current_customer();
    bound bigint;
begin
    -- Without a row there is nothing to stop before. The list of all locks costs more than this look.
    -- In the order of the index: without it, the planner reads the changes of all tenants when there is none.
    perform from public.changes change
        where change.customer_id = tenant and change.sequence > after order by change.sequence limit 1;
    if not found then
        return;
    end if;
    bound := app.changes_bound();
    return query
        select change.sequence, change.kind, change.id, change.is_deleted, change.at
        from public.changes change
        where change.customer_id = tenant and change.sequence > after and change.sequence <= bound
        order by change.sequence
        limit most;
end
$$;

CREATE FUNCTION app.changes_bound() RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    AS $$
declare
    bound bigint;
    least_open bigint;
begin
    select case when is_called then last_value else 0 end into bound from public.changes_sequence_seq;
    -- The second half of a key has 31 bits of a number. A key ahead of the bound belongs to a later transaction.
    select min(bound - ((bound - held.objid::bigint) & 2147483647)) into least_open
    from pg_catalog.pg_locks held
    where held.locktype = 'advisory' and held.objsubid = 2
      and held.database = (select oid from pg_catalog.pg_database where datname = current_database())
      and held.classid::bigint = (app.change_lock_key(app.current_customer())::bigint & 4294967295)
      and ((bound - held.objid::bigint) & 2147483647) < 1073741824;
    return least(bound, coalesce(least_open, bound));
end
$$;

CREATE FUNCTION app.companies() RETURNS text[]
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO ''
    AS $$
    select coalesce(array_agg(mapping.company_id), '{}')
    from public.company_mapping mapping where mapping.uuid = any (app.tenants())
$$;

CREATE FUNCTION app.count_bytes() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    AS $$
declare
    change bigint := 0;
    tenant uuid;
begin
    if tg_op <> 'INSERT' then
        tenant := old.customer_id;
        if app.takes_room(old.status, old.error_code) then change := change - old.bytes; end if;
    end if;
    if tg_op <> 'DELETE' then
        tenant := new.customer_id;
        if app.takes_room(new.status, new.error_code) then change := change + new.bytes; end if;
    end if;
    if change <> 0 then
        update public.usage_periods counted set bytes = greatest(counted.bytes + change, 0)
            where counted.customer_id = tenant
              and counted.period_start = (select current.period_start from app.period_of(tenant, now()) current);
    end if;
    return null;
end
$$;

CREATE FUNCTION app.count_failed_sign_in(account uuid, failed_action text, request_id text) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    AS $$
declare
    nobody constant uuid := '00000000-0000-0000-0000-000000000000';
    counted constant text := case when account is null then 'auth.unknown_address' else failed_action end;
    tenant uuid;
    counter public.failed_sign_ins;
begin
    select member.customer_id into tenant
    from public.customer_members member
    join public.customers customer on customer.id = member.customer_id
    where member.user_id = coalesce(account, nobody)
    order by customer.deleted_at is not null, customer.created_at, customer.id
    limit 1;
    tenant := coalesce(tenant, nobody);
    insert into public.failed_sign_ins (customer_id, action, window_start, failures) values (tenant, counted, now(), 0)
        on conflict (customer_id, action) do nothing;
    select * into counter from public.failed_sign_ins known
        where known.customer_id = tenant and known.action = counted for update;
    if counter.failures > 0 and counter.window_start > now() - interval '1 hour' then
        update public.failed_sign_ins known set failures = known.failures + 1
            where known.customer_id = tenant and known.action = counted;
        return;
    end if;
    if account is not null then
        if counter.failures > 1 then
            perform app.audit(tenant, null, counted, 'customer:' || tenant, null,
                jsonb_build_object('failures', counter.failures, 'since', counter.window_start));
        end if;
        perform app.audit(tenant, account, counted, 'user:' || account, request_id, '{}');
    end if;
    update public.failed_sign_ins known set window_start = now(), failures = 1
        where known.customer_id = tenant and known.action = counted;
end
$$;

CREATE FUNCTION app.count_order() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    AS $$
declare
    counting constant text[] := array['confirmed', 'preparing', 'delivered'];
    zone text;
    before numeric := 0;
    after numeric := 0;
begin
    if tg_op = 'DELETE' then
        -- No new row: the company itself may be what is deleted.
        update public.order_days days set
            pending = days.pending - (old.status = 'pending')::integer,
            confirmed = days.confirmed - (old.status = 'confirmed')::integer,
            preparing = days.preparing - (old.status = 'preparing')::integer,
            delivered = days.delivered - (old.status = 'delivered')::integer,
            cancelled = days.cancelled - (old.status = 'cancelled')::integer
        where days.company_id = old.company_id and days.currency = old.currency
          and days.date = old.counted_on;
        return null;
    end if;
    select timezone into zone from public.customers where id = new.company_id;
    if new.status = any (counting) then
        after := new.total_amount;
    end if;
    if tg_op = 'INSERT' then
        -- An order that was copied from elsewhere may be a year old, with its revenue.
        perform app.add_to_order_day(new.company_id, new.counted_on, new.currency, new.status, 1, after);
        return null;
    end if;
    if old.status = any (counting) then
        before := old.total_amount;
    end if;
    if (old.status, old.currency) is distinct from (new.status, new.currency) then
        perform app.add_to_order_day(old.company_id, old.counted_on, old.currency, old.status, -1, 0);
        perform app.add_to_order_day(new.company_id, new.counted_on, new.currency, new.status, 1, 0);
    end if;
    if old.currency <> new.currency and before <> 0 then
        perform app.add_to_order_day(old.company_id, (now() at time zone zone)::date, old.currency, '', 0, -before);
        before := 0;
    end if;
    if after <> before then
        perform app.add_to_order_day(new.company_id, (now() at time zone zone)::date, new.currency, '', 0,
            after - before);
    end if;
    return null;
end
$$;

CREATE FUNCTION app.count_profile_change() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    new.version := old.version + 1;
    new.updated_at := now();
    return new;
end
$$;

CREATE FUNCTION app.count_spend() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    AS $$
declare
    current timestamptz := (select period.period_start from app.period_of(new.customer_id, new.created_at) period);
begin
    update public.usage_periods period set spent_micros = period.spent_micros + new.cost_micros
        where period.customer_id = new.customer_id and period.period_start = current;
    if not found then
        perform app.open_period(new.customer_id, new.created_at);
        update public.usage_periods period set spent_micros = period.spent_micros + new.cost_micros
            where period.customer_id = new.customer_id and period.period_start = current;
    end if;
    return null;
end
$$;

CREATE FUNCTION app.count_thumb() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    AS $$
declare
    was_up boolean := null;
begin
    if tg_op = 'UPDATE' then
        was_up := old.is_helpful;
    end if;
    if was_up is distinct from new.is_helpful then
        insert into public.bot_usage as day (company_id, date, thumbs_up, thumbs_down)
        select tenant.id, (new.created_at at time zone tenant.timezone)::date,
            new.is_helpful::integer - coalesce(was_up, false)::integer,
            (not new.is_helpful)::integer - coalesce(not was_up, false)::integer
        from public.customers tenant where tenant.id = new.customer_id
        on conflict on constraint bot_usage_day_key do update set
            thumbs_up = day.thumbs_up + excluded.thumbs_up, thumbs_down = day.thumbs_down + excluded.thumbs_down;
    end if;
    return null;
end
$$;

CREATE FUNCTION app.current_company() RETURNS text
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO ''
    AS $$ select company_id from public.company_mapping where uuid = app.current_customer() $$;

CREATE FUNCTION app.current_customer() RETURNS uuid
    LANGUAGE sql STABLE
    AS $$ select nullif(current_setting('app.customer_id', true), '')::uuid $$;

CREATE FUNCTION app.current_owner() RETURNS uuid
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO ''
    AS $$ select user_id from public.customers where id = app.current_customer() $$;

CREATE FUNCTION app.deleted_membership(caller uuid) RETURNS TABLE(customer_id uuid, owner_id uuid, role text, suspended boolean, deleted boolean)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO ''
    AS $$
    select tenant.id, tenant.user_id, member.role, tenant.suspended_at is not null, true
    from public.customer_members member
    join public.users account on account.id = member.user_id and account.deleted_at is null
    join public.customers tenant on tenant.id = member.customer_id and tenant.deleted_at is not null
    where member.user_id = caller and member.role = 'owner'
    order by tenant.deleted_at desc, tenant.id
    limit 1
    $$;

CREATE FUNCTION app.end_account(account uuid) RETURNS void
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO ''
    AS $$
    update public.users set deleted_at = now(), email = app.address_placeholder(id)
        where id = account and deleted_at is null;
    update public.profiles set email = app.address_placeholder(id) where id = account;
    update public.refresh_sessions set ended_at = now() where user_id = account and ended_at is null;
$$;

CREATE FUNCTION app.fold_name(name text) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    SET search_path TO ''
    AS $$
    select btrim(regexp_replace(
        replace(replace(replace(
            lower(regexp_replace(normalize(name, NFKD), '[\u0300-\u036f]', '', 'g')), 'œ', 'oe'), 'æ', 'ae'), 'ß', 'ss'),
        '[\s''’]+', ' ', 'g'))
$$;

CREATE FUNCTION app.free_quota_limit() RETURNS integer
    LANGUAGE sql IMMUTABLE
    AS $$ select 8 $$;

CREATE FUNCTION app.has_auth_address(account uuid, address text) RETURNS boolean
    LANGUAGE plpgsql STABLE SECURITY DEFINER
    SET search_path TO ''
    AS $$
begin
    if to_regclass('auth.users') is null then
        return false;
    end if;
    return exists (
        select from auth.users remote
        where remote.id = account and lower(remote.email) = lower(address) and to_jsonb(remote) ->> 'deleted_at' is null
    );
end
$$;

CREATE FUNCTION app.has_paid_plan(is_pro boolean, access_until timestamp with time zone) RETURNS boolean
    LANGUAGE sql STABLE
    AS $$ select is_pro and coalesce(access_until > now(), true) $$;

COMMENT ON FUNCTION app.has_paid_plan(is_pro boolean, access_until timestamp with time zone) IS 'of users.is_pro and profiles.subscription_access_until';

CREATE FUNCTION app.has_subscription(account uuid) RETURNS boolean
    LANGUAGE sql STABLE
    SET search_path TO ''
    AS $$
    select known.is_pro or coalesce(
        profile.subscription_status in ('active', 'trialing', 'past_due', 'unpaid', 'paused', 'incomplete'), false)
    from public.users known left join public.profiles profile on profile.id = known.id
    where known.id = account
    $$;

CREATE FUNCTION app.has_webhook_endpoint(tenant uuid) RETURNS boolean
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO ''
    AS $$
    select coalesce(current_setting('app.without_webhook_events', true), '') <> 'on' and exists (
        select from public.webhook_endpoints endpoint where endpoint.customer_id = tenant and endpoint.disabled_at is null
    )
    $$;

CREATE FUNCTION app.is_confirmed(account uuid) RETURNS boolean
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO ''
    AS $$
            select true from public.users where id = account and email_confirmed_at is not null
        $$;

CREATE FUNCTION app.is_only_support_of(tenant uuid, account uuid) RETURNS boolean
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO ''
    AS $$
    select exists (
        select from public.customer_members member
        join public.users known on known.id = member.user_id and known.deleted_at is null
        where member.user_id = account and member.customer_id = tenant and member.role = 'support'
          and known.role <> 'global_admin'
          and not exists (
              select from public.customer_members other
              where other.user_id = account and other.customer_id <> tenant
          )
    )
$$;

CREATE FUNCTION app.issue_password_reset(member uuid, issuer uuid, token_sha256 bytea, hours integer) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    AS $$
declare
    tenant uuid := app.current_customer();
begin
    -- A removal of the issuer waits for this lock, or is seen after it.
    perform from public.customers where id = tenant for no key update;
    perform from public.customer_members known
        join public.users account on account.id = known.user_id and account.deleted_at is null
        where known.customer_id = tenant and known.user_id = member for share of known;
    if not found or not exists (
        select from public.customer_members owner
        where owner.customer_id = tenant and owner.user_id = issuer and owner.role = 'owner'
    ) then
        return 'not_a_member';
    end if;
    if not app.is_only_support_of(tenant, member) then
        return case when exists (
            select from public.customer_members known
            where known.customer_id = tenant and known.user_id = member and known.role = 'owner'
        ) then 'is_owner' else 'belongs_elsewhere' end;
    end if;
    -- The lock on the credentials serialises the issue of links with a change of the password.
    perform from public.credentials known where known.user_id = member for update;
    if not found then
        return 'no_password';
    end if;
    update public.password_resets reset set revoked_at = now()
        where reset.user_id = member and reset.used_at is null and reset.revoked_at is null;
    insert into public.password_resets (user_id, customer_id, token_sha256, created_by, expires_at)
        values (member, tenant, token_sha256, issuer, now() + make_interval(hours => hours));
    return 'issued';
end
$$;

CREATE FUNCTION app.keep_config_version() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    AS $$
begin
    new.updated_at := now();
    insert into public.config_versions (company_id, config, changed_by)
        values (old.company_id, to_jsonb(old),
            coalesce(auth.uid(), nullif(current_setting('app.user_id', true), '')::uuid));
    delete from public.config_versions stale
        where stale.company_id = old.company_id
          and stale.id <= (
              select kept.id from public.config_versions kept
              where kept.company_id = old.company_id order by kept.id desc offset 20 limit 1
          );
    return new;
end
$$;

CREATE FUNCTION app.keep_plan_price() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    AS $$
begin
    if old.stripe_price_id <> '' then
        insert into public.plan_prices (stripe_price_id, plan_id) values (old.stripe_price_id, old.id)
            on conflict on constraint plan_prices_pkey do nothing;
    end if;
    return null;
end
$$;

CREATE FUNCTION app.legacy_condition(relation text) RETURNS text
    LANGUAGE plpgsql STABLE
    SET search_path TO ''
    AS $_$
declare
    columns constant text[] := array(
        select known.attname from pg_catalog.pg_attribute known
        join pg_catalog.pg_class of_table on of_table.oid = known.attrelid and of_table.relname = relation
        where of_table.relnamespace = to_regnamespace('legacy') and known.attnum > 0 and not known.attisdropped
    );
    owner_column text;
    parent record;
    parts text[] := '{}';
begin
    foreach owner_column in array array['company_id', 'customer_id'] loop
        if owner_column = any (columns) then
            parts := parts || format('old.%I::text = any ($1)', owner_column);
        end if;
    end loop;
    if relation in ('companies', 'customers') and 'id' = any (columns) then
        parts := parts || 'old.id::text = any ($1)'::text;
    end if;
    if relation in ('users', 'profiles') and 'id' = any (columns) then
        parts := parts || 'old.id::text = any ($2)'::text;
    end if;
    if 'user_id' = any (columns) then
        parts := parts || 'old.user_id::text = any ($2)'::text;
    end if;
    -- In a table of companies an address may be that of a contact of another company.
    if 'email' = any (columns) and not columns && array['company_id', 'customer_id'] then
        parts := parts || 'lower(old.email::text) = any ($3)'::text;
    end if;
    for parent in
        select link.column_name, link.table_name, app.legacy_condition(link.table_name) as condition
        from (values ('conversation_id', 'conversations'), ('document_id', 'documents'), ('order_id', 'orders'),
            ('message_id', 'messages')) link (column_name, table_name)
        where link.column_name = any (columns) and app.legacy_rank(link.table_name) < app.legacy_rank(relation)
          and exists (
              select from pg_catalog.pg_class of_table
              join pg_catalog.pg_attribute known on known.attrelid = of_table.oid and known.attname = 'id'
              where of_table.relname = link.table_name and of_table.relnamespace = to_regnamespace('legacy')
                and of_table.relkind in ('r', 'p') and not known.attisdropped
          )
    loop
        if parent.condition <> '' then
            parts := parts || format('old.%I::text in (select old.id::text from legacy.%I old where %s)',
                parent.column_name, parent.table_name, parent.condition);
        end if;
    end loop;
    return array_to_string(parts, ' or ');
end
$_$;

CREATE FUNCTION app.legacy_rank(relation text) RETURNS integer
    LANGUAGE sql IMMUTABLE
    SET search_path TO ''
    AS $$
    select case relation when 'conversations' then 1 when 'documents' then 2 when 'orders' then 2 when 'messages' then 3
        else 4 end
    $$;

CREATE FUNCTION app.memberships(caller uuid, wanted uuid) RETURNS TABLE(customer_id uuid, owner_id uuid, role text, suspended boolean, deleted boolean)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO ''
    AS $$
    select tenant.id, tenant.user_id, member.role, tenant.suspended_at is not null, tenant.deleted_at is not null
    from public.customer_members member
    join public.users account on account.id = member.user_id and account.deleted_at is null
    join public.customers tenant on tenant.id = member.customer_id
    where member.user_id = caller and (wanted is null or member.customer_id = wanted)
    order by tenant.deleted_at is not null, tenant.created_at, tenant.id
    limit 2
$$;

CREATE FUNCTION app.month_of(tenant uuid, moment timestamp with time zone) RETURNS TABLE(month_start timestamp with time zone, month_end timestamp with time zone)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO ''
    AS $$
    select
        coalesce(paid.month_start, date_trunc('month', moment at time zone 'UTC') at time zone 'UTC'),
        coalesce(paid.month_end, app.add_months(date_trunc('month', moment at time zone 'UTC') at time zone 'UTC', 1))
    from (values (true)) one
    left join (
        select
            case when late.is_over then profile.subscription_current_period_end else month.starts end as month_start,
            case when late.is_over then app.add_months(profile.subscription_current_period_end, 1)
                else month.ends end as month_end
        from public.customers tenants
        join public.profiles profile on profile.id = tenants.user_id,
        lateral (select moment >= profile.subscription_current_period_end as is_over) late,
        lateral (
            select
                coalesce(
                    max(boundary.starts) filter (where boundary.starts <= moment), profile.subscription_current_period_start
                ) as starts,
                coalesce(
                    min(boundary.starts) filter (
                        where boundary.starts > greatest(moment, profile.subscription_current_period_start)
                    ),
                    profile.subscription_current_period_end
                ) as ends
            from generate_series(0, least(1200, extract(epoch from
                profile.subscription_current_period_end - profile.subscription_current_period_start
            ) / 2419200)::integer) number,
            lateral (select app.add_months(profile.subscription_current_period_start, number) as starts) boundary
            where number = 0 or boundary.starts <= profile.subscription_current_period_end - interval '14 days'
        ) month
        where tenants.id = tenant
          and profile.subscription_access_until > moment
          and profile.subscription_current_period_start <= moment + interval '5 minutes'
          and profile.subscription_current_period_end > profile.subscription_current_period_start
          and (
              profile.subscription_current_period_end - profile.subscription_current_period_start >= interval '28 days'
              or exists (
                  select from public.usage_periods period
                  where period.customer_id = tenant and period.period_start <= moment and period.period_end > moment
                    and period.period_start < date_trunc('month', moment at time zone 'UTC') at time zone 'UTC'
              )
          )
    ) paid on true
$$;

CREATE FUNCTION app.nearest_chunks(question real[], model text, wanted uuid[], most integer) RETURNS TABLE(chunk_id uuid, nearness double precision)
    LANGUAGE plpgsql STABLE ROWS 50
    SET jit TO 'off'
    AS $$
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
$$;

CREATE FUNCTION app.nearest_short_chunks(question real[], model text, wanted uuid[], most integer) RETURNS TABLE(chunk_id uuid, nearness double precision)
    LANGUAGE plpgsql STABLE ROWS 50
    SET jit TO 'off'
    AS $$
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

CREATE FUNCTION app.on_auth_user_changed() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    SET lock_timeout TO '2s'
    AS $$
begin
    -- Supabase updates the row at every sign-in.
    if tg_op = 'UPDATE' and new.email is not distinct from old.email
        and to_jsonb(new) ->> 'deleted_at' is not distinct from to_jsonb(old) ->> 'deleted_at' then
        return null;
    end if;
    begin
        if tg_op = 'DELETE' then
            perform app.end_account(old.id);
        elsif to_jsonb(new) ->> 'deleted_at' is not null then
            perform app.end_account(new.id);
        else
            perform app.synchronize_account(
                new.id, new.email, left(new.raw_user_meta_data ->> 'full_name', 255), app.free_quota_limit()
            );
        end if;
    exception when others then
        raise warning 'an account was not synchronized: % (%)', old.id, sqlstate;
    end;
    return null;
end
$$;

CREATE FUNCTION app.on_auth_user_created() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    SET lock_timeout TO '2s'
    AS $$
begin
    begin
        perform app.synchronize_account(
            new.id, new.email, left(new.raw_user_meta_data ->> 'full_name', 255), app.free_quota_limit()
        );
    exception when others then
        raise warning 'an account was not synchronized: % (%)', new.id, sqlstate;
    end;
    return new;
end
$$;

CREATE FUNCTION app.on_change() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    AS $$
begin
    if tg_op = 'DELETE' then
        perform app.record_change((to_jsonb(old) ->> tg_argv[1])::uuid, tg_argv[0], old.id, true);
    elsif tg_argv[1] = 'company_id' then
        perform app.record_change(new.company_id, tg_argv[0], new.id, false);
    else
        perform app.record_change(new.customer_id, tg_argv[0], new.id, false);
    end if;
    return null;
end
$$;

CREATE FUNCTION app.on_customer_renamed() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    AS $$
begin
    update public.company_rag_configs config set company_name = new.name
    from public.company_mapping mapping
    where mapping.uuid = new.id and config.company_id = mapping.company_id
      and config.company_name is distinct from new.name;
    return null;
end
$$;

CREATE FUNCTION app.on_plan_changed() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    AS $$
begin
    perform app.open_period(new.id, now());
    return null;
end
$$;

CREATE FUNCTION app.on_webhook_document() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    AS $$
begin
    if app.has_webhook_endpoint(new.customer_id) then
        perform app.record_webhook_event(new.customer_id, 'document.' || new.status,
            new.id::text || ':' || extract(epoch from now())::text, null,
            jsonb_build_object(
                'id', new.id, 'filename', new.filename, 'status', new.status, 'upload_date', new.upload_date,
                'bytes', new.bytes, 'pages_total', new.pages_total, 'pages_done', new.pages_done,
                'pages_unread', to_jsonb(new.pages_unread), 'error_code', new.error_code,
                'sha256', encode(new.sha256, 'hex'), 'replaces', to_jsonb(new.replaces), 'format', new.format,
                'language', (
                    select config.language from public.company_rag_configs config
                    where config.company_id = new.company_id
                )),
            true);
    end if;
    return null;
end
$$;

CREATE FUNCTION app.on_webhook_free_quota() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    AS $$
declare
    tenant uuid;
begin
    for tenant in select owned.id from public.customers owned where owned.user_id = new.user_id loop
        if app.has_webhook_endpoint(tenant) then
            perform app.record_quota_event(tenant,
                case when new.free_quota_used >= new.free_quota_limit then 'quota.exhausted' else 'quota.warning' end,
                'free_requests', new.free_quota_used, new.free_quota_limit, 'free', null, null);
        end if;
    end loop;
    return null;
end
$$;

CREATE FUNCTION app.on_webhook_handed_over() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    AS $$
begin
    if app.has_webhook_endpoint(new.customer_id) then
        perform app.record_webhook_event(new.customer_id, 'conversation.handed_over',
            new.id::text || ':' || new.handover_until::text, new.id, app.webhook_conversation(to_jsonb(new), null), true);
    end if;
    return null;
end
$$;

CREATE FUNCTION app.on_webhook_message_received() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    AS $$
begin
    if app.has_webhook_endpoint(new.customer_id) then
        perform app.record_webhook_event(new.customer_id, 'message.received', new.id::text, new.conversation_id,
            jsonb_build_object(
                'id', new.id, 'conversation_id', new.conversation_id, 'direction', new.direction, 'author', new.author,
                'content', new.content, 'attachment', new.attachment, 'citations', new.citations,
                'answered', new.answered, 'model', new.model, 'sent_by', new.sent_by, 'answered_by', new.answered_by,
                'skipped_reason', new.skipped_reason, 'sent_at', new.sent_at, 'error_code', new.error_code,
                'created_at', new.created_at), false);
    end if;
    return null;
end
$$;

CREATE FUNCTION app.on_webhook_order() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    AS $$
declare
    is_new constant boolean := tg_op = 'INSERT';
begin
    if app.has_webhook_endpoint(new.company_id) then
        perform app.record_webhook_event(new.company_id, case when is_new then 'order.created' else 'order.updated' end,
            new.id::text || case when is_new then '' else ':' || extract(epoch from now())::text end,
            new.conversation_id,
            jsonb_build_object(
                'id', new.id, 'conversation_id', new.conversation_id, 'customer_name', new.customer_name,
                'status', new.status, 'items', new.items, 'total_cents', new.total_cents, 'currency', new.currency,
                'needs_review', new.needs_review, 'created_at', new.created_at, 'updated_at', new.updated_at),
            not is_new);
    end if;
    return null;
end
$$;

CREATE FUNCTION app.on_webhook_plan_quota() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    AS $$
declare
    most bigint := new.request_limit;
    cap bigint;
begin
    if not app.has_webhook_endpoint(new.customer_id) then
        return null;
    end if;
    select coalesce(tenant.spend_cap_micros, plan.monthly_spend_cap_micros),
        most + case when new.overage_cents_per_request is null then 0
            else coalesce(tenant.overage_cap_requests, new.request_limit) end
        into cap, most
        from public.customers tenant join public.plans plan on plan.id = tenant.plan_id
        where tenant.id = new.customer_id;
    if old.requests < most and new.requests >= most then
        perform app.record_quota_event(new.customer_id, 'quota.exhausted', 'plan_requests', new.requests, most,
            new.plan, new.period_start, new.period_end);
    elsif old.requests * 100::bigint < new.request_limit * 80::bigint
        and new.requests * 100::bigint >= new.request_limit * 80::bigint then
        perform app.record_quota_event(new.customer_id, 'quota.warning', 'plan_requests', new.requests,
            new.request_limit, new.plan, new.period_start, new.period_end);
    end if;
    if old.spent_micros < cap and new.spent_micros >= cap then
        perform app.record_quota_event(new.customer_id, 'quota.exhausted', 'model_spend', new.spent_micros, cap,
            new.plan, new.period_start, new.period_end);
    elsif old.spent_micros * 100::numeric < cap * 80::numeric and new.spent_micros * 100::numeric >= cap * 80::numeric then
        perform app.record_quota_event(new.customer_id, 'quota.warning', 'model_spend', new.spent_micros, cap,
            new.plan, new.period_start, new.period_end);
    end if;
    return null;
end
$$;

CREATE FUNCTION app.on_webhook_subscription() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    AS $$
declare
    tenant uuid;
begin
    for tenant in select owned.id from public.customers owned where owned.user_id = new.id loop
        if app.has_webhook_endpoint(tenant) then
            perform app.record_webhook_event(tenant, 'subscription.changed',
                new.id::text || ':' || extract(epoch from now())::text, null,
                jsonb_build_object(
                    'plan', coalesce(new.subscription_tier, 'free'), 'status', new.subscription_status,
                    'current_period_start', new.subscription_current_period_start,
                    'current_period_end', new.subscription_current_period_end,
                    'cancel_at_period_end', new.subscription_cancel_at_period_end,
                    'cancel_at', new.subscription_cancel_at, 'access_until', new.subscription_access_until),
                true);
        end if;
    end loop;
    return null;
end
$$;

CREATE FUNCTION app.on_webhook_waiting() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    AS $$
declare
    first_waiting uuid;
    conversation jsonb;
begin
    if not app.has_webhook_endpoint(new.customer_id) then
        return null;
    end if;
    select waiting.id into first_waiting from public.messages waiting
        where waiting.conversation_id = new.conversation_id and waiting.skipped_reason = 'quota'
          and not exists (
              select from public.messages later
              where later.conversation_id = waiting.conversation_id and later.created_at > waiting.created_at
                and (later.author = 'agent' or later.answered is not null)
          )
        order by waiting.created_at, waiting.id
        limit 1;
    if first_waiting is null then
        return null;
    end if;
    select to_jsonb(known) into conversation from public.conversations known where known.id = new.conversation_id;
    perform app.record_webhook_event(new.customer_id, 'conversation.waiting', first_waiting::text, new.conversation_id,
        app.webhook_conversation(conversation, new.skipped_reason), false);
    return null;
end
$$;

CREATE FUNCTION app.open_own_period() RETURNS void
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO ''
    AS $$
    select pg_advisory_xact_lock(hashtextextended(app.current_customer()::text, 10));
    select from public.users account where account.id = app.current_owner() for share;
    select app.open_period(app.current_customer(), now());
$$;

CREATE FUNCTION app.open_period(tenant uuid, moment timestamp with time zone) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    AS $$
declare
    month record;
    terms public.plans;
    last public.usage_periods;
    earlier record;
    starts timestamptz;
    priced integer;
    is_same_row boolean := false;
begin
    -- One at a time a tenant, before any row is locked: a row and the profile that shows it are written in this order.
    perform pg_advisory_xact_lock(hashtextextended(tenant::text, 10));
    select plan.* into terms
        from public.customers tenants join public.plans plan on plan.id = tenants.plan_id where tenants.id = tenant;
    if not found then return; end if;
    select * into month from app.month_of(tenant, moment);
    -- A call that is entered late concerns a moment of the past and ends nothing.
    if moment > now() - interval '1 hour' then
        update public.usage_periods period
            set period_end = greatest(moment, period.period_start + interval '1 microsecond')
            where period.customer_id = tenant and period.closed_at is null
              and period.period_start < month.month_start and period.period_end > moment;
    end if;
    select period.* into last from public.usage_periods period
        where period.customer_id = tenant and period.period_start >= month.month_start
          and period.period_start < month.month_end
        order by period.period_start desc limit 1
        for update;
    if last.period_start is null then
        starts := month.month_start;
    elsif last.period_end <= moment then
        starts := last.period_end;
    elsif last.plan_id = terms.id then
        update public.usage_periods period set period_end = month.month_end
            where period.customer_id = tenant and period.period_start = last.period_start and period.closed_at is null
              and period.period_end <> month.month_end;
        return;
    elsif last.closed_at is null and (
        last.period_start >= moment
        or not exists (
            select from public.plans known where known.id = last.plan_id and (
                terms.price_cents < known.price_cents
                or terms.monthly_request_limit < last.request_limit
                or (last.request_limit is not null and last.overage_cents_per_request > 0
                    and last.requests > greatest(last.request_limit, last.carried_requests))
            )
        )
    ) then
        starts := last.period_start;
        is_same_row := true;
    else
        update public.usage_periods period set period_end = moment
            where period.customer_id = tenant and period.period_start = last.period_start and period.closed_at is null;
        starts := moment;
    end if;
    select used.* into earlier from app.used_before(tenant, terms.id, month.month_start, starts) used;
    -- The parts of a month together have the price of its dearest plan.
    select coalesce(sum(period.price_cents), 0) into priced from public.usage_periods period
        where period.customer_id = tenant and period.period_start >= month.month_start and period.period_start < starts;
    if is_same_row then
        update public.usage_periods period
            set period_end = month.month_end, plan_id = terms.id, plan = terms.name,
                request_limit = terms.monthly_request_limit,
                overage_cents_per_request = terms.overage_cents_per_request,
                price_cents = greatest(terms.price_cents - priced, 0), currency = terms.currency,
                requests = greatest(period.requests - period.carried_requests, 0) + earlier.requests,
                carried_requests = earlier.requests,
                spent_micros = greatest(period.spent_micros - period.carried_micros, 0) + earlier.spent_micros,
                carried_micros = earlier.spent_micros,
                replaced_plans = period.replaced_plans || jsonb_build_object(period.plan_id::text, jsonb_build_object(
                    'requests', greatest(period.requests - period.carried_requests, 0),
                    'carried_requests', period.carried_requests, 'spent_micros', period.spent_micros
                ))
            where period.customer_id = tenant and period.period_start = starts;
        return;
    end if;
    insert into public.usage_periods (
        customer_id, period_start, period_end, plan_id, plan, request_limit, overage_cents_per_request, price_cents,
        currency, requests, carried_requests, spent_micros, carried_micros, bytes
    )
    select tenant, starts, month.month_end, terms.id, terms.name, terms.monthly_request_limit,
        terms.overage_cents_per_request, greatest(terms.price_cents - priced, 0), terms.currency,
        earlier.requests, earlier.requests, earlier.spent_micros, earlier.spent_micros,
        (select coalesce(sum(document.bytes), 0) from public.documents document
         where document.customer_id = tenant and app.takes_room(document.status, document.error_code))
    on conflict on constraint usage_periods_pkey do nothing;
end
$$;

CREATE FUNCTION app.own_member(wanted uuid) RETURNS TABLE(email text, full_name text, avatar_url text, role text)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO ''
    AS $$
    select account.email, profile.full_name::text, profile.avatar_url, member.role
    from public.customer_members member
    join public.users account on account.id = member.user_id and account.deleted_at is null
    left join public.profiles profile on profile.id = member.user_id
    where member.customer_id = app.current_customer() and member.user_id = wanted
$$;

CREATE FUNCTION app.own_members() RETURNS TABLE(customer_id uuid, user_id uuid, email text, full_name text, role text, is_account_owner boolean, created_at timestamp with time zone)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO ''
    AS $$
    select member.customer_id, member.user_id, account.email, profile.full_name::text, member.role,
        tenant.user_id = member.user_id, member.created_at
    from public.customer_members member
    join public.customers tenant on tenant.id = member.customer_id
    join public.users account on account.id = member.user_id and account.deleted_at is null
    left join public.profiles profile on profile.id = member.user_id
    where member.customer_id = app.current_customer()
$$;

CREATE FUNCTION app.own_model_spend(since timestamp with time zone) RETURNS TABLE(prompt_tokens bigint, completion_tokens bigint, cost_micros bigint)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO ''
    AS $$
    select coalesce(sum(call.prompt_tokens), 0)::bigint, coalesce(sum(call.completion_tokens), 0)::bigint,
        coalesce(sum(call.cost_micros), 0)::bigint
    from public.llm_calls call
    where call.customer_id = app.current_customer() and call.created_at >= since
$$;

CREATE FUNCTION app.own_period() RETURNS TABLE(period_start timestamp with time zone, period_end timestamp with time zone)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO ''
    AS $$ select * from app.period_of(app.current_customer(), now()) $$;

CREATE FUNCTION app.own_trust() RETURNS text
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO ''
    AS $$
    select case
        when app.has_paid_plan(account.is_pro, profile.subscription_access_until) then 'trusted'
        when app.is_confirmed(account.id) is null then 'unconfirmable'
        when app.is_confirmed(account.id) then 'trusted'
        else 'unconfirmed'
    end
    from public.customers tenant
    join public.users account on account.id = tenant.user_id
    left join public.profiles profile on profile.id = account.id
    where tenant.id = app.current_customer()
$$;

CREATE FUNCTION app.period_of(tenant uuid, moment timestamp with time zone) RETURNS TABLE(period_start timestamp with time zone, period_end timestamp with time zone)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO ''
    AS $$
    select
        case
            when last.period_start is null then month.month_start
            when last.period_end > moment then last.period_start
            else last.period_end
        end,
        month.month_end
    from app.month_of(tenant, moment) month
    left join lateral (
        select period.period_start, period.period_end from public.usage_periods period
        where period.customer_id = tenant and period.period_start >= month.month_start
          and period.period_start < month.month_end
        order by period.period_start desc
        limit 1
    ) last on true
$$;

CREATE FUNCTION app.project_credits() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    AS $$
declare
    is_paying boolean;
begin
    select account.is_pro into is_paying from public.users account where account.id = new.user_id for share;
    if not is_paying then
        update public.profiles profile
            set credits_remaining = greatest(new.free_quota_limit - new.free_quota_used, 0)
            where profile.id = new.user_id;
    end if;
    return null;
end
$$;

CREATE FUNCTION app.project_plan_credits() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    AS $$
begin
    update public.profiles profile set credits_remaining = greatest(new.request_limit - new.requests, 0)
        from public.users account, public.customers tenants
        where tenants.id = new.customer_id and account.id = tenants.user_id and profile.id = account.id
          and account.is_pro
          and not exists (
              select from public.usage_periods later
              where later.customer_id = new.customer_id and later.period_start > new.period_start
          );
    return null;
end
$$;

CREATE FUNCTION app.provision_account(account uuid, account_email text, account_name text, quota_limit integer) RETURNS void
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO ''
    AS $$
    insert into public.users (id, email) values (account, account_email) on conflict (id) do nothing;
    insert into public.user_settings (user_id, free_quota_limit) values (account, quota_limit)
        on conflict (user_id) do nothing;
    insert into public.profiles (id, email, full_name, credits_remaining)
        values (account, account_email, account_name, quota_limit) on conflict (id) do nothing;
$$;

CREATE FUNCTION app.public_plans() RETURNS TABLE(name text, monthly_request_limit integer, storage_limit_mb integer, price_cents integer, currency text, overage_cents_per_request integer, is_sold boolean)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO ''
    AS $$
    select plan.name, plan.monthly_request_limit, plan.storage_limit_mb, plan.price_cents, plan.currency,
        plan.overage_cents_per_request, coalesce(plan.stripe_price_id, '') <> ''
    from public.plans plan order by plan.price_cents, plan.name
$$;

CREATE FUNCTION app.publish_realtime() RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    member record;
begin
    if not exists (select from pg_catalog.pg_publication where pubname = 'supabase_realtime' and not puballtables) then
        return;
    end if;
    for member in
        select wanted.name, wanted.columns, published.columns as present
        from (values
            ('users', array['id', 'is_pro']),
            ('user_settings', array['user_id', 'free_quota_used', 'free_quota_limit']),
            -- The columns that front ends know, without those of lists and counters.
            ('orders', array['id', 'company_id', 'conversation_id', 'customer_name', 'total_amount', 'currency', 'status',
                'items', 'needs_review', 'created_at', 'updated_at']),
            ('activities', null)
        ) wanted (name, columns)
        left join lateral (
            select coalesce((
                select pg_catalog.array_agg(attribute.attname::text order by attribute.attnum)
                from pg_catalog.pg_attribute attribute
                where attribute.attrelid = relation.prrelid and attribute.attnum = any (relation.prattrs)
            ), array[]::text[]) as columns
            from pg_catalog.pg_publication_rel relation
            join pg_catalog.pg_publication publication on publication.oid = relation.prpubid
            where publication.pubname = 'supabase_realtime'
              and relation.prrelid = pg_catalog.format('public.%I', wanted.name)::regclass
        ) published on true
    loop
        continue when member.present is not null and member.present = coalesce(member.columns, array[]::text[]);
        if member.present is not null then
            execute pg_catalog.format('alter publication supabase_realtime drop table public.%I', member.name);
        end if;
        execute pg_catalog.format(
            'alter publication supabase_realtime add table public.%I %s', member.name,
            (select '(' || pg_catalog.string_agg(pg_catalog.quote_ident(name), ', ') || ')'
             from pg_catalog.unnest(member.columns) name)
        );
    end loop;
end
$$;

CREATE FUNCTION app.purge_legacy(relation text, tenant uuid, accounts uuid[], most bigint) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    AS $_$
declare
    names constant text[] := array(
        select tenant::text union all
        select mapping.company_id from public.company_mapping mapping where mapping.uuid = tenant
    );
    addresses constant text[] := array(select lower(known.email) from public.users known where known.id = any (accounts));
    belongs constant text := app.legacy_condition(relation);
    deleted bigint := 0;
begin
    if belongs <> '' then
        execute format(
            'delete from legacy.%1$I where (tableoid, ctid) in (select tableoid, ctid from legacy.%1$I old where %2$s limit $4)',
            relation, belongs) using names, accounts::text[], addresses, most;
        get diagnostics deleted = row_count;
    end if;
    return deleted;
end
$_$;

CREATE FUNCTION app.question_key(question text, stemming regdictionary) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path TO ''
    AS $_$
    select string_agg(coalesce((ts_lexize(stemming, word))[1], word), ' ' order by place)
    from regexp_split_to_table(
        regexp_replace(
            regexp_replace(
                regexp_replace(
                    regexp_replace(normalize(lower(question), NFKD), '[\u0300-\u036f]', '', 'g'), '[’ʼ]', $$'$$, 'g'
                ),
                $$\mcannot\M|(\mca)?n't\M$$, ' not ', 'g'
            ),
            $$\m(c|d|j|l|m|n|s|t|qu|jusqu|lorsqu|puisqu)'|'(s|m|d|re|ve|ll)\M|\mest[- ]ce\M$$, ' ', 'g'
        ),
        '[^[:alnum:]]+'
    ) with ordinality listed (word, place)
    where word <> '' and word <> all (array[
        'a', 'an', 'and', 'are', 'as', 'at', 'be', 'bonjour', 'bonsoir', 'can', 'ce', 'ces', 'cet', 'cette', 'could', 'de',
        'des', 'did', 'do', 'does', 'du', 'elle', 'en', 'et', 'for', 'hello', 'hey', 'hi', 'il', 'is',
        'je', 'la', 'le', 'les', 'ma', 'madame', 'me', 'merci', 'mes', 'mon', 'monsieur', 'my', 'of', 'our', 'peut',
        'peux', 'plait', 'please', 'pourriez', 'pouvez', 'que', 'salut', 'sir', 'sont', 'stp', 'svp', 'te', 'thank',
        'thanks', 'that', 'the', 'this', 'to', 'tu', 'un', 'une', 'vos', 'votre', 'vous', 'was', 'we', 'were',
        'would', 'you', 'your'
    ])
$_$;

CREATE FUNCTION app.quota_of(wanted uuid) RETURNS TABLE(is_pro boolean, free_quota_used integer, free_quota_limit integer)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO ''
    AS $$
    select app.has_paid_plan(account.is_pro, profile.subscription_access_until),
        settings.free_quota_used, settings.free_quota_limit
    from public.users account
    join public.user_settings settings on settings.user_id = account.id
    left join public.profiles profile on profile.id = account.id
    where account.id = wanted
$$;

CREATE FUNCTION app.receive_message(contact text, phone text, name text, spoken text, body text, attached text, external text) RETURNS TABLE(conversation_id uuid, message_id uuid, job_id uuid, is_first boolean, by_person boolean, is_opted_out boolean)
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    tenant constant uuid := app.current_customer();
    conversation public.conversations;
begin
    -- Locks the row: messages of one contact come in one after the other.
    loop
        select * into conversation from public.conversations known
            where known.customer_id = tenant and known.channel = 'whatsapp' and known.contact_id = contact for update;
        exit when found;
        insert into public.conversations (customer_id, contact_id, user_phone, display_name, language)
            values (tenant, contact, phone, name, spoken)
            on conflict on constraint conversations_contact_key do nothing;
    end loop;
    -- Without an id, the same text within ten seconds is the same message.
    if external is null then
        select known.id into message_id from public.messages known
            where known.conversation_id = conversation.id and known.direction = 'inbound' and known.content = body
              and known.attachment is not distinct from attached
              and known.created_at > clock_timestamp() - interval '10 seconds'
            limit 1;
    else
        select known.id into message_id from public.messages known
            where known.customer_id = tenant and known.channel = conversation.channel and known.external_id = external;
    end if;
    is_first := not exists (
        select from public.messages waiting
        where waiting.conversation_id = conversation.id and waiting.direction = 'inbound'
          and waiting.answered_by is null and waiting.skipped_reason is null
    );
    conversation_id := conversation.id;
    by_person := conversation.handler = 'human' and conversation.handover_until > now();
    is_opted_out := conversation.opted_out_at is not null;
    if message_id is not null then
        -- Whoever delivered it first may have died before it told the queue.
        message_id := null;
        select job.id into job_id from public.jobs job
            where job.customer_id = tenant and job.kind = 'reply' and job.status = 'queued'
              and job.payload ->> 'conversation_id' = conversation.id::text;
        return next;
        return;
    end if;
    insert into public.messages as made
            (customer_id, conversation_id, user_phone, direction, author, content, attachment, external_id)
        values (tenant, conversation.id, coalesce(phone, conversation.user_phone), 'inbound', 'contact', body, attached,
            external)
        returning made.id into message_id;
    update public.conversations known set
            last_message_at = now(),
            last_inbound_at = now(),
            user_phone = coalesce(phone, known.user_phone),
            display_name = coalesce(name, known.display_name),
            language = coalesce(spoken, known.language)
        where known.id = conversation.id;
    insert into public.jobs as job (customer_id, kind, payload, run_after)
        values (tenant, 'reply', jsonb_build_object('conversation_id', conversation.id), now() + interval '1 minute')
        on conflict ((payload ->> 'conversation_id')) where kind = 'reply' do update
            set status = 'queued', attempts = 0, run_after = excluded.run_after, last_error = null,
                updated_at = clock_timestamp()
        returning job.id into job_id;
    return next;
end
$$;

CREATE FUNCTION app.record_change(tenant uuid, kind text, object uuid, is_deleted boolean) RETURNS void
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
declare
    locked text := coalesce(current_setting('app.changing_tenants', true), '');
    last bigint;
begin
    if position(tenant::text in locked) = 0 then
        select case when is_called then last_value else 0 end into last from public.changes_sequence_seq;
        perform pg_advisory_xact_lock_shared(app.change_lock_key(tenant), (last & 2147483647)::integer);
        perform set_config('app.changing_tenants', locked || ' ' || tenant::text, true);
    end if;
    -- Where the tenant itself is deleted, rows of its tables change on the way, and there is nobody to tell.
    insert into public.changes (customer_id, kind, id, is_deleted)
    select customers.id, record_change.kind, object, record_change.is_deleted
    from public.customers where customers.id = tenant and customers.deleted_at is null;
end
$$;

CREATE FUNCTION app.record_quota_event(tenant uuid, kind text, limit_name text, used bigint, most bigint, plan text, period_start timestamp with time zone, period_end timestamp with time zone) RETURNS void
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO ''
    AS $$
    select app.record_webhook_event(tenant, kind,
        concat_ws(':', tenant, limit_name, most, extract(epoch from period_start)), null,
        jsonb_build_object('limit', limit_name, 'used', used, 'most', most, 'plan', plan,
            'period_start', period_start, 'period_end', period_end), false)
    $$;

CREATE FUNCTION app.record_webhook_event(tenant uuid, kind text, key text, conversation uuid, object jsonb, replaces boolean) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    AS $$
declare
    endpoints text;
begin
    with wanted as (
        -- Locked, so that an endpoint that is deleted meanwhile gets no delivery and does not break the transaction.
        select endpoint.id from public.webhook_endpoints endpoint
        where endpoint.customer_id = tenant and endpoint.disabled_at is null
          and (endpoint.events = '{}' or kind = any (endpoint.events))
          -- The insertion below would lock the delivery of an earlier transaction.
          and (replaces or not exists (
              select from public.webhook_deliveries known
              where known.endpoint_id = endpoint.id and known.event_id = md5(kind || ':' || key)::uuid
          ))
        for key share
    ), written as (
        insert into public.webhook_deliveries as delivery
            (customer_id, endpoint_id, event_id, event_type, conversation_id, data)
        select tenant, wanted.id, md5(kind || ':' || key)::uuid, kind, conversation, object from wanted
        on conflict on constraint webhook_deliveries_endpoint_id_event_id_key do update
            set data = excluded.data, occurred_at = excluded.occurred_at
            where replaces and delivery.status = 'pending' and delivery.attempts = 0
        returning delivery.endpoint_id
    )
    select string_agg(written.endpoint_id::text, ' ') into endpoints from written;
    if endpoints is not null then
        perform set_config('app.webhook_endpoints',
            concat_ws(' ', nullif(current_setting('app.webhook_endpoints', true), ''), endpoints), true);
    end if;
end
$$;

CREATE FUNCTION app.report_failed_sign_ins() RETURNS integer
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    AS $$
declare
    counter public.failed_sign_ins;
    ended integer := 0;
begin
    for counter in
        select * from public.failed_sign_ins known where known.window_start <= now() - interval '1 hour'
        order by known.window_start limit 1000 for update skip locked
    loop
        if counter.failures > 1 and counter.action <> 'auth.unknown_address' then
            perform app.audit(counter.customer_id, null, counter.action, 'customer:' || counter.customer_id, null,
                jsonb_build_object('failures', counter.failures, 'since', counter.window_start));
        end if;
        delete from public.failed_sign_ins known
            where known.customer_id = counter.customer_id and known.action = counter.action;
        ended := ended + 1;
    end loop;
    return ended;
end
$$;

CREATE FUNCTION app.revoke_made_by(member uuid) RETURNS void
    LANGUAGE sql SECURITY DEFINER
    SET search_path TO ''
    AS $$
    -- It expires, too: the code of before knows no revocation, and may run for minutes longer.
    update public.invitations set revoked_at = now(), expires_at = least(expires_at, now())
        where customer_id = app.current_customer() and created_by = member and used_at is null and revoked_at is null;
    update public.password_resets set revoked_at = now()
        where customer_id = app.current_customer() and (created_by = member or user_id = member)
          and used_at is null and revoked_at is null;
$$;

CREATE FUNCTION app.search_chunks(question text, question_language text, model text, wanted uuid[], most integer) RETURNS TABLE(chunk_id uuid, rank real)
    LANGUAGE plpgsql STABLE SECURITY DEFINER ROWS 50
    SET search_path TO ''
    SET jit TO 'off'
    AS $$
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
$$;

CREATE FUNCTION app.set_counted_on() RETURNS trigger
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    AS $$
begin
    new.counted_on := (
        select (new.created_at at time zone tenant.timezone)::date from public.customers tenant
        where tenant.id = new.company_id
    );
    return new;
end
$$;

CREATE FUNCTION app.set_customer_name_key() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    new.customer_name_key := app.fold_name(new.customer_name);
    return new;
end
$$;

CREATE FUNCTION app.set_product_name_key() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    new.name_key := app.fold_name(new.name);
    return new;
end
$$;

CREATE FUNCTION app.synchronize_account(account uuid, address text, account_name text, quota_limit integer) RETURNS void
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    AS $$
declare
    typed constant text := lower(btrim(address));
    own constant text := case when length(typed) between 3 and 320 then typed else app.address_placeholder(account) end;
    wanted text := own;
begin
    for attempt in 1..3 loop
        begin
            insert into public.users (id, email) values (account, wanted) on conflict (id) do nothing;
            update public.users known set email = wanted, deleted_at = null
                where known.id = account and (known.email <> wanted or known.deleted_at is not null);
            exit;
        exception when unique_violation then
            if attempt = 1 then
                -- One at a time, and with no row of its own locked: two accounts may exchange their addresses.
                perform pg_advisory_xact_lock(hashtext('app.synchronize_account'));
                with holder as (
                    update public.users other set email = app.address_placeholder(other.id)
                    where lower(other.email) = wanted and other.id <> account
                        and not exists (select from public.credentials where credentials.user_id = other.id)
                        and not app.has_auth_address(other.id, wanted)
                    returning other.id
                )
                update public.profiles profile set email = app.address_placeholder(holder.id)
                    from holder where profile.id = holder.id;
            else
                wanted := app.address_placeholder(account);
            end if;
        end;
    end loop;
    insert into public.user_settings (user_id, free_quota_limit) values (account, quota_limit)
        on conflict (user_id) do nothing;
    insert into public.profiles as profile (id, email, full_name, credits_remaining)
        values (account, own, account_name, quota_limit)
        on conflict (id) do update set email = excluded.email where profile.email <> excluded.email;
end
$$;

CREATE FUNCTION app.take_rate(wanted text, most integer, seconds integer) RETURNS TABLE(allowed boolean, remaining integer, reset_s double precision, retry_after_s double precision)
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    AS $$
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
$$;

CREATE FUNCTION app.take_unconfirmed_request(daily_limit integer) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    AS $$
begin
    if daily_limit < 1 then
        return false;
    end if;
    insert into public.unconfirmed_days as today (day, requests) values ((now() at time zone 'utc')::date, 1)
        on conflict on constraint unconfirmed_days_pkey
        do update set requests = today.requests + 1 where today.requests < daily_limit;
    return found;
end
$$;

CREATE FUNCTION app.takes_room(status text, error_code text) RETURNS boolean
    LANGUAGE sql IMMUTABLE
    AS $$ select status <> 'failed' or error_code is distinct from 'not_uploaded' $$;

CREATE FUNCTION app.tenants() RETURNS uuid[]
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO ''
    AS $$
    select coalesce(array_agg(member.customer_id), '{}')
    from public.customer_members member
    join public.users account on account.id = member.user_id and account.deleted_at is null
    join public.customers tenant on tenant.id = member.customer_id
    where member.user_id = auth.uid() and tenant.deleted_at is null and tenant.suspended_at is null
$$;

CREATE FUNCTION app.transfer_ownership(old_owner uuid, new_owner uuid) RETURNS text
    LANGUAGE plpgsql SECURITY DEFINER
    SET search_path TO ''
    AS $$
declare
    tenant uuid := app.current_customer();
begin
    if old_owner = new_owner then
        return 'is_owner';
    end if;
    -- The projection of a subscription locks the users first, then the tenant.
    perform from public.users account where account.id in (old_owner, new_owner) order by account.id for update;
    perform from public.customers customer where customer.id = tenant and customer.user_id = old_owner for update;
    if not found then
        return 'changed_meanwhile';
    end if;
    perform from public.customer_members member
        join public.users account on account.id = member.user_id and account.deleted_at is null
        where member.customer_id = tenant and member.user_id = new_owner for update of member;
    if not found then
        return 'not_a_member';
    end if;
    if exists (select from public.customers other where other.user_id = new_owner) then
        return 'owns_company';
    end if;
    -- A subscription belongs to the user who pays for it.
    if exists (
        select from public.users account join public.profiles profile on profile.id = account.id
        where account.id in (old_owner, new_owner)
          and (account.is_pro or profile.subscription_status in ('active', 'trialing', 'past_due', 'unpaid', 'paused',
              'incomplete'))
    ) then
        return 'subscription';
    end if;
    update public.customers set user_id = new_owner where id = tenant;
    update public.company_rag_configs config set user_id = new_owner
        from public.company_mapping mapping
        where mapping.uuid = tenant and config.company_id = mapping.company_id;
    update public.company_mapping set user_id = new_owner where uuid = tenant;
    update public.customer_members member
        set role = case when member.user_id = new_owner then 'owner' else 'support' end
        where member.customer_id = tenant and member.user_id in (old_owner, new_owner);
    update public.user_settings settings set free_quota_used = greatest(settings.free_quota_used, former.free_quota_used)
        from public.user_settings former
        where settings.user_id = new_owner and former.user_id = old_owner;
    -- What is under way is charged or refunded to the owner whose quota counts now.
    update public.reservations set user_id = new_owner where customer_id = tenant and user_id = old_owner;
    -- An invitation of the former owner would be a way back to the role.
    perform app.revoke_made_by(old_owner);
    return 'transferred';
end
$$;

CREATE FUNCTION app.used_before(tenant uuid, wanted uuid, month_start timestamp with time zone, moment timestamp with time zone) RETURNS TABLE(requests integer, spent_micros bigint)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO ''
    AS $$
    select coalesce(max(used.requests), 0)::integer, coalesce(max(used.spent_micros), 0)::bigint
    from public.usage_periods period, lateral (
        select period.requests, period.spent_micros where period.plan_id = wanted
        union all
        select (replaced ->> 'carried_requests')::integer + case
                when period.overage_cents_per_request > 0 and period.request_limit is not null then least(
                    (replaced ->> 'requests')::integer, greatest(period.request_limit - period.carried_requests, 0)
                )
                else (replaced ->> 'requests')::integer
            end,
            (replaced ->> 'spent_micros')::bigint
        from (select period.replaced_plans -> wanted::text) row_of_plan (replaced)
        where replaced is not null
    ) used
    where period.customer_id = tenant and period.period_start >= month_start and period.period_start < moment
$$;

CREATE FUNCTION app.user_role(wanted uuid) RETURNS TABLE(role text)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO ''
    AS $$
    select case when account.deleted_at is null then account.role else 'deleted' end
    from public.users account where account.id = wanted
$$;

CREATE FUNCTION app.wait_bucket(seconds double precision) RETURNS smallint
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    SET search_path TO ''
    AS $$ select least(64, greatest(1, ceil(ln(greatest(seconds, 0.25) / 0.25) / ln(1.25)::double precision)))::smallint $$;

CREATE FUNCTION app.webhook_conversation(conversation jsonb, waiting_reason text) RETURNS jsonb
    LANGUAGE sql IMMUTABLE
    SET search_path TO ''
    AS $$
    select jsonb_object_agg(field.key, field.value) || jsonb_build_object('waiting_reason', waiting_reason)
    from jsonb_each(conversation) field
    where field.key in ('id', 'channel', 'contact_id', 'user_phone', 'display_name', 'language', 'handler',
        'handover_reason', 'handover_until', 'opted_out_at', 'last_message_at', 'created_at')
    $$;

CREATE FUNCTION app.webhook_tenant(secret_sha256 text) RETURNS TABLE(customer_id uuid, suspended boolean, deleted boolean, language text)
    LANGUAGE sql STABLE SECURITY DEFINER
    SET search_path TO ''
    AS $$
    select tenant.id, tenant.suspended_at is not null, tenant.deleted_at is not null, config.language
    from public.webhook_secrets secret
    join public.customers tenant on tenant.id = secret.customer_id
    join public.company_mapping mapping on mapping.uuid = tenant.id
    join public.company_rag_configs config on config.company_id = mapping.company_id
    where secret.sha256 = decode(secret_sha256, 'hex') and (secret.expires_at is null or secret.expires_at > now())
$$;

CREATE FUNCTION app.word_keys(tenant uuid, words text[]) RETURNS bigint[]
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    SET search_path TO ''
    AS $$ select array(select hashtextextended(word, uuid_hash_extended(tenant, 0)) from unnest(words) word) $$;

CREATE FUNCTION auth.jwt() RETURNS jsonb
    LANGUAGE sql STABLE
    AS $$ select nullif(current_setting('request.jwt.claims', true), '')::jsonb $$;

CREATE FUNCTION auth.role() RETURNS text
    LANGUAGE sql STABLE
    AS $$ select nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'role' $$;

CREATE FUNCTION auth.uid() RETURNS uuid
    LANGUAGE sql STABLE
    AS $$ select nullif(nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub', '')::uuid $$;

CREATE FUNCTION billing.keep_assigned_user() RETURNS trigger
    LANGUAGE plpgsql
    SET search_path TO ''
    AS $$
begin
    new.user_id := new.assigned_user_id;
    return new;
end
$$;

CREATE TABLE billing.duplicate_subscriptions (
    subscription_id text NOT NULL,
    user_id text NOT NULL,
    kept_subscription_id text NOT NULL,
    status text DEFAULT 'open'::text NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    next_attempt_at timestamp with time zone DEFAULT now() NOT NULL,
    error text,
    found_at timestamp with time zone DEFAULT now() NOT NULL,
    reported_at timestamp with time zone,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT duplicate_subscriptions_attempts_not_negative CHECK ((attempts >= 0)),
    CONSTRAINT duplicate_subscriptions_status_known CHECK ((status = ANY (ARRAY['open'::text, 'cancelled'::text, 'kept'::text, 'failed'::text])))
);

COMMENT ON COLUMN billing.duplicate_subscriptions.status IS 'open: it still runs at Stripe; kept: it no longer was one too many when it was to be cancelled';

CREATE TABLE billing.stripe_customers (
    id text NOT NULL,
    user_id text NOT NULL,
    deleted_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE billing.stripe_events (
    id text NOT NULL,
    type text NOT NULL,
    created timestamp with time zone NOT NULL,
    payload jsonb NOT NULL,
    received_at timestamp with time zone DEFAULT now() NOT NULL,
    applied_at timestamp with time zone,
    projected_at timestamp with time zone,
    error text,
    CONSTRAINT stripe_events_id_length CHECK (((length(id) >= 1) AND (length(id) <= 255))),
    CONSTRAINT stripe_events_projected_after_applied CHECK (((projected_at IS NULL) OR (applied_at IS NOT NULL)))
);

CREATE TABLE billing.subscription_states (
    id text NOT NULL,
    user_id text,
    stripe_customer_id text,
    status text NOT NULL,
    plan text NOT NULL,
    price_id text,
    current_period_start timestamp with time zone,
    current_period_end timestamp with time zone,
    cancel_at_period_end boolean DEFAULT false NOT NULL,
    cancel_at timestamp with time zone,
    started_at timestamp with time zone NOT NULL,
    is_imported boolean DEFAULT false NOT NULL,
    last_event_at timestamp with time zone,
    last_event_order text DEFAULT ''::text NOT NULL,
    fetches_begun bigint DEFAULT 0 NOT NULL,
    fetch_applied bigint DEFAULT 0 NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    past_due_since timestamp with time zone,
    ended_at timestamp with time zone,
    is_price_unknown boolean DEFAULT false NOT NULL,
    assigned_user_id text,
    assigned_by text,
    assigned_at timestamp with time zone,
    CONSTRAINT subscription_states_fetches_in_order CHECK ((fetch_applied <= fetches_begun)),
    CONSTRAINT subscription_states_plan_known CHECK ((plan = ANY (ARRAY['free'::text, 'pro'::text, 'business'::text]))),
    CONSTRAINT subscription_states_status_known CHECK ((status = ANY (ARRAY['incomplete'::text, 'incomplete_expired'::text, 'trialing'::text, 'active'::text, 'past_due'::text, 'unpaid'::text, 'canceled'::text, 'paused'::text, 'unknown'::text])))
);

COMMENT ON COLUMN billing.subscription_states.last_event_order IS 'the place of the event among those of its second, so that their order of arrival does not matter';

COMMENT ON COLUMN billing.subscription_states.fetches_begun IS 'numbers the questions to Stripe: the answer to an earlier one never comes over that to a later one';

COMMENT ON COLUMN billing.subscription_states.past_due_since IS 'while past_due: when the first event said so';

COMMENT ON COLUMN billing.subscription_states.assigned_user_id IS 'the user whom an administrator assigned; counts for more than what Stripe''s metadata say';

CREATE SEQUENCE billing.subscription_versions
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

CREATE TABLE billing.subscriptions (
    id text NOT NULL,
    user_id text NOT NULL,
    status character varying(20) DEFAULT 'inactive'::character varying NOT NULL,
    plan character varying(50) DEFAULT 'free'::character varying NOT NULL,
    stripe_customer_id text,
    stripe_subscription_id text,
    current_period_start timestamp with time zone,
    current_period_end timestamp with time zone,
    cancel_at_period_end boolean DEFAULT false NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    last_event_at timestamp with time zone,
    state_id text NOT NULL,
    version bigint DEFAULT nextval('billing.subscription_versions'::regclass) NOT NULL,
    projected_version bigint,
    cancel_at timestamp with time zone,
    past_due_since timestamp with time zone,
    ended_at timestamp with time zone,
    is_price_unknown boolean DEFAULT false NOT NULL,
    CONSTRAINT subscriptions_id_length CHECK (((length(id) >= 1) AND (length(id) <= 64))),
    CONSTRAINT subscriptions_plan_known CHECK (((plan)::text = ANY ((ARRAY['free'::character varying, 'pro'::character varying, 'business'::character varying])::text[]))),
    CONSTRAINT subscriptions_status_known CHECK (((status)::text = ANY ((ARRAY['active'::character varying, 'inactive'::character varying, 'cancelled'::character varying, 'expired'::character varying])::text[]))),
    CONSTRAINT subscriptions_user_id_length CHECK (((length(user_id) >= 1) AND (length(user_id) <= 200)))
);

COMMENT ON COLUMN billing.subscriptions.last_event_at IS 'the watermark: when the newest event that counted was made';

COMMENT ON COLUMN billing.subscriptions.projected_version IS 'null or another than version: still to be projected';

CREATE TABLE billing.user_config (
    id text NOT NULL,
    user_id text NOT NULL,
    data_pod_url text,
    data_pod_api_key bytea,
    data_pod_api_key_last4 text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT user_config_url_length CHECK ((length(data_pod_url) <= 2000))
);

CREATE TABLE public.activities (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    company_id uuid NOT NULL,
    conversation_id uuid,
    type text NOT NULL,
    title text NOT NULL,
    description text,
    status text DEFAULT 'info'::text NOT NULL,
    metadata jsonb DEFAULT '{}'::jsonb NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT activities_status_known CHECK ((status = ANY (ARRAY['info'::text, 'success'::text, 'warning'::text, 'error'::text]))),
    CONSTRAINT activities_title_length CHECK (((length(title) >= 1) AND (length(title) <= 200))),
    CONSTRAINT activities_type_length CHECK (((length(type) >= 1) AND (length(type) <= 50)))
);

CREATE TABLE public.approved_answers (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    customer_id uuid NOT NULL,
    language text DEFAULT 'fr'::text NOT NULL,
    question text NOT NULL,
    answer text NOT NULL,
    question_key text GENERATED ALWAYS AS (app.question_key(question,
CASE language
    WHEN 'en'::text THEN 'english_stem'::regdictionary
    ELSE 'french_stem'::regdictionary
END)) STORED NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT approved_answers_answer_length CHECK (((length(answer) >= 1) AND (length(answer) <= 4096))),
    CONSTRAINT approved_answers_language_known CHECK ((language = ANY (ARRAY['fr'::text, 'en'::text]))),
    CONSTRAINT approved_answers_question_length CHECK (((length(question) >= 1) AND (length(question) <= 1000)))
);

COMMENT ON TABLE public.approved_answers IS 'the tenant''s own answers: given as they are to the same question, before documents or models are asked';

COMMENT ON COLUMN public.approved_answers.question_key IS 'what other wordings of the question have too';

CREATE TABLE public.audit_heads (
    customer_id uuid NOT NULL,
    entries bigint NOT NULL,
    hash bytea NOT NULL
);

ALTER TABLE public.audit_log ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.audit_log_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.billing_notices (
    key text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT billing_notices_key_length CHECK (((length(key) >= 1) AND (length(key) <= 600)))
);

CREATE TABLE public.billing_records (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    customer_id uuid NOT NULL,
    period_start timestamp with time zone NOT NULL,
    period_end timestamp with time zone NOT NULL,
    plan text NOT NULL,
    requests integer NOT NULL,
    request_limit integer,
    amount_cents integer NOT NULL,
    overage_requests integer NOT NULL,
    overage_cents integer NOT NULL,
    currency text NOT NULL,
    status text DEFAULT 'closed'::text NOT NULL,
    stripe_invoice_item_id text,
    stripe_invoice_id text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    failure text,
    CONSTRAINT billing_records_amounts_not_negative CHECK (((amount_cents >= 0) AND (overage_cents >= 0) AND (overage_requests >= 0) AND (requests >= 0))),
    CONSTRAINT billing_records_failure_length CHECK (((length(failure) >= 1) AND (length(failure) <= 100))),
    CONSTRAINT billing_records_failure_with_status CHECK (((failure IS NULL) OR (status = 'failed'::text))),
    CONSTRAINT billing_records_status_known CHECK ((status = ANY (ARRAY['closed'::text, 'invoiced'::text, 'paid'::text, 'failed'::text])))
);

COMMENT ON COLUMN public.billing_records.status IS 'closed: nothing beyond the plan''s price, or not at Stripe yet; invoiced: the overage is an item at Stripe';

COMMENT ON COLUMN public.billing_records.failure IS 'the code of the reason why an overage was not collected';

CREATE TABLE public.bot_sessions (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    company_id uuid NOT NULL,
    mode text NOT NULL,
    started_at timestamp with time zone DEFAULT now() NOT NULL,
    ended_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT bot_sessions_ends_after_start CHECK ((ended_at >= started_at)),
    CONSTRAINT bot_sessions_mode_known CHECK ((mode = ANY (ARRAY['live'::text, 'rag'::text])))
);

CREATE TABLE public.bot_usage (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    company_id uuid NOT NULL,
    date date NOT NULL,
    conversations_count integer DEFAULT 0 NOT NULL,
    messages_count integer DEFAULT 0 NOT NULL,
    requests_count integer DEFAULT 0 NOT NULL,
    orders_count integer DEFAULT 0 NOT NULL,
    revenue numeric(20,2) DEFAULT 0 NOT NULL,
    tokens bigint DEFAULT 0 NOT NULL,
    cost_micros bigint DEFAULT 0 NOT NULL,
    quota_notified boolean DEFAULT false NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    bot_answers integer DEFAULT 0 NOT NULL,
    person_answers integer DEFAULT 0 NOT NULL,
    unanswered integer DEFAULT 0 NOT NULL,
    handovers integer DEFAULT 0 NOT NULL,
    thumbs_up integer DEFAULT 0 NOT NULL,
    thumbs_down integer DEFAULT 0 NOT NULL
);

COMMENT ON COLUMN public.bot_usage.date IS 'in the tenant''s timezone';

COMMENT ON COLUMN public.bot_usage.cost_micros IS 'of models, in millionths of a US dollar';

COMMENT ON COLUMN public.bot_usage.quota_notified IS 'whether the tenant was told that day that no more answers are given';

COMMENT ON COLUMN public.bot_usage.unanswered IS 'questions to which the bot found no answer, or for which none was left';

COMMENT ON COLUMN public.bot_usage.handovers IS 'conversations that went from the bot to a person';

CREATE TABLE public.changes (
    customer_id uuid NOT NULL,
    sequence bigint NOT NULL,
    kind text NOT NULL,
    id uuid NOT NULL,
    is_deleted boolean DEFAULT false NOT NULL,
    at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT changes_kind_known CHECK ((kind = ANY (ARRAY['conversation'::text, 'message'::text, 'document'::text, 'order'::text, 'activity'::text])))
);

ALTER TABLE public.changes ALTER COLUMN sequence ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.changes_sequence_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.checkout_sessions (
    id text NOT NULL,
    customer_id uuid NOT NULL,
    plan text NOT NULL,
    status text DEFAULT 'open'::text NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT checkout_sessions_id_length CHECK (((length(id) >= 1) AND (length(id) <= 255))),
    CONSTRAINT checkout_sessions_status_known CHECK ((status = ANY (ARRAY['open'::text, 'superseded'::text, 'expired'::text, 'complete'::text])))
);

COMMENT ON COLUMN public.checkout_sessions.status IS 'superseded: a later session took its place, and it is not known yet that Stripe has expired it';

CREATE TABLE public.closed_questions (
    message_id uuid NOT NULL,
    customer_id uuid NOT NULL,
    approved_answer_id uuid,
    closed_by uuid,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);

COMMENT ON TABLE public.closed_questions IS 'unanswered questions that a person has closed';

CREATE TABLE public.company_mapping (
    uuid uuid NOT NULL,
    company_id text NOT NULL,
    user_id uuid NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT company_mapping_company_id_length CHECK (((length(company_id) >= 1) AND (length(company_id) <= 100)))
);

CREATE TABLE public.company_rag_configs (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    company_id text NOT NULL,
    user_id uuid NOT NULL,
    company_name text NOT NULL,
    ai_name text DEFAULT 'Lisa'::text NOT NULL,
    prompt_botlive_groq_70b text,
    prompt_botlive_deepseek_v3 text,
    prompt_rag text,
    language text DEFAULT 'fr'::text NOT NULL,
    handover_keywords text[] DEFAULT '{}'::text[] NOT NULL,
    business_hours jsonb,
    embedding_model text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    show_sources boolean DEFAULT true NOT NULL,
    unsupported_messages text DEFAULT 'reply'::text NOT NULL,
    outside_hours text DEFAULT 'answer'::text NOT NULL,
    handover_minutes integer DEFAULT 240 NOT NULL,
    customer_texts jsonb DEFAULT '{}'::jsonb NOT NULL,
    CONSTRAINT company_rag_configs_customer_texts_object CHECK (((jsonb_typeof(customer_texts) = 'object'::text) AND (length((customer_texts)::text) <= 20000))),
    CONSTRAINT company_rag_configs_deepseek_length CHECK ((length(prompt_botlive_deepseek_v3) <= 20000)),
    CONSTRAINT company_rag_configs_groq_length CHECK ((length(prompt_botlive_groq_70b) <= 20000)),
    CONSTRAINT company_rag_configs_handover_positive CHECK (((handover_minutes >= 1) AND (handover_minutes <= 10080))),
    CONSTRAINT company_rag_configs_language_known CHECK ((language = ANY (ARRAY['fr'::text, 'en'::text]))),
    CONSTRAINT company_rag_configs_names_length CHECK (((length(company_name) <= 200) AND ((length(ai_name) >= 1) AND (length(ai_name) <= 100)))),
    CONSTRAINT company_rag_configs_outside_known CHECK ((outside_hours = ANY (ARRAY['answer'::text, 'hand_over'::text]))),
    CONSTRAINT company_rag_configs_rag_length CHECK ((length(prompt_rag) <= 20000)),
    CONSTRAINT company_rag_configs_unsupported_known CHECK ((unsupported_messages = ANY (ARRAY['reply'::text, 'hand_over'::text])))
);

COMMENT ON COLUMN public.company_rag_configs.show_sources IS 'whether an answer ends with the file and the page that it is from';

COMMENT ON COLUMN public.company_rag_configs.unsupported_messages IS 'what a voice message, an image or a location leads to';

COMMENT ON COLUMN public.company_rag_configs.outside_hours IS 'what a message outside business_hours leads to';

COMMENT ON COLUMN public.company_rag_configs.handover_minutes IS 'after how long without a word of a person the bot takes over again';

COMMENT ON COLUMN public.company_rag_configs.customer_texts IS 'the company''s own greeting, refusal and handover, each by language; the product''s where one is missing';

CREATE TABLE public.config_versions (
    id bigint NOT NULL,
    company_id text NOT NULL,
    config jsonb NOT NULL,
    changed_by uuid,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);

ALTER TABLE public.config_versions ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME public.config_versions_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);

CREATE TABLE public.conversations (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    customer_id uuid NOT NULL,
    channel text DEFAULT 'whatsapp'::text NOT NULL,
    contact_id text NOT NULL,
    user_phone text,
    display_name text,
    language text,
    handler text DEFAULT 'bot'::text NOT NULL,
    handover_reason text,
    handover_until timestamp with time zone,
    opted_out_at timestamp with time zone,
    greeted_at timestamp with time zone,
    quota_notice_on date,
    order_draft jsonb,
    last_message_at timestamp with time zone DEFAULT now() NOT NULL,
    last_inbound_at timestamp with time zone,
    next_send_at timestamp with time zone DEFAULT now() NOT NULL,
    lease_token uuid,
    lease_expires_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    user_id uuid,
    released_at timestamp with time zone,
    opt_changed_at timestamp with time zone,
    minute_began_at timestamp with time zone,
    minute_answers integer DEFAULT 0 NOT NULL,
    day_began_on date,
    day_answers integer DEFAULT 0 NOT NULL,
    limit_notice_on date,
    lease_is_awaited boolean DEFAULT false NOT NULL,
    handled_by uuid,
    CONSTRAINT conversations_channel_known CHECK ((channel = ANY (ARRAY['whatsapp'::text, 'api'::text]))),
    CONSTRAINT conversations_contact_id_length CHECK (((length(contact_id) >= 1) AND (length(contact_id) <= 160))),
    CONSTRAINT conversations_display_name_length CHECK ((length(display_name) <= 200)),
    CONSTRAINT conversations_handler_known CHECK ((handler = ANY (ARRAY['bot'::text, 'human'::text]))),
    CONSTRAINT conversations_handover_has_end CHECK (((handler = 'human'::text) = (handover_until IS NOT NULL))),
    CONSTRAINT conversations_handover_reason_known CHECK ((handover_reason = ANY (ARRAY['keyword'::text, 'model'::text, 'person'::text, 'outside_hours'::text, 'unsupported'::text]))),
    CONSTRAINT conversations_language_known CHECK ((language = ANY (ARRAY['fr'::text, 'en'::text]))),
    CONSTRAINT conversations_lease_has_end CHECK (((lease_token IS NULL) = (lease_expires_at IS NULL))),
    CONSTRAINT conversations_user_phone_length CHECK ((length(user_phone) <= 50))
);

COMMENT ON COLUMN public.conversations.quota_notice_on IS 'the last day on which the contact was told that no answer can be given';

COMMENT ON COLUMN public.conversations.order_draft IS 'what the bot has proposed and the contact has not confirmed yet';

COMMENT ON COLUMN public.conversations.next_send_at IS 'WhatsApp takes about one message in six seconds a contact';

COMMENT ON COLUMN public.conversations.lease_token IS 'of the worker that answers; after lease_expires_at it is taken for dead';

COMMENT ON COLUMN public.conversations.user_id IS 'of channel api: the member who asks; its contact_id is the conversation''s own id';

COMMENT ON COLUMN public.conversations.released_at IS 'when the bot last took over from a person';

COMMENT ON COLUMN public.conversations.opt_changed_at IS 'when the contact wrote the last STOP or START that counted; null when ManyChat did not say';

COMMENT ON COLUMN public.conversations.minute_answers IS 'answers begun within a minute of minute_began_at';

COMMENT ON COLUMN public.conversations.day_answers IS 'answers begun on day_began_on, a day of the tenant';

COMMENT ON COLUMN public.conversations.limit_notice_on IS 'the last day on which the contact was told that it writes too much';

COMMENT ON COLUMN public.conversations.lease_is_awaited IS 'the holder of the lease sends a queue message when it lets it go';

CREATE TABLE public.messages (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    customer_id uuid NOT NULL,
    conversation_id uuid NOT NULL,
    channel text DEFAULT 'whatsapp'::text NOT NULL,
    user_phone text,
    direction text NOT NULL,
    author text NOT NULL,
    content text NOT NULL,
    external_id text,
    attachment text,
    citations jsonb,
    answered boolean,
    model text,
    prompt_tokens integer,
    completion_tokens integer,
    sent_by uuid,
    answered_by uuid,
    skipped_reason text,
    sent_at timestamp with time zone,
    error_code text,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    interacted_at timestamp with time zone,
    CONSTRAINT messages_attachment_length CHECK ((length(attachment) <= 50)),
    CONSTRAINT messages_author_has_direction CHECK (((direction = 'inbound'::text) = (author = 'contact'::text))),
    CONSTRAINT messages_author_known CHECK ((author = ANY (ARRAY['contact'::text, 'bot'::text, 'agent'::text, 'system'::text]))),
    CONSTRAINT messages_channel_known CHECK ((channel = ANY (ARRAY['whatsapp'::text, 'api'::text]))),
    CONSTRAINT messages_content_length CHECK ((length(content) <= 20000)),
    CONSTRAINT messages_direction_known CHECK ((direction = ANY (ARRAY['inbound'::text, 'outbound'::text]))),
    CONSTRAINT messages_external_id_length CHECK (((length(external_id) >= 1) AND (length(external_id) <= 200))),
    CONSTRAINT messages_skipped_reason_known CHECK ((skipped_reason = ANY (ARRAY['quota'::text, 'opted_out'::text, 'failed'::text, 'superseded'::text, 'courtesy'::text])))
);

COMMENT ON COLUMN public.messages.attachment IS 'what came instead of a text: audio, image, location …';

COMMENT ON COLUMN public.messages.answered IS 'of a bot''s message: whether the documents said so';

COMMENT ON COLUMN public.messages.answered_by IS 'of a contact''s message: the message that answers it; null and not skipped, it waits for one';

COMMENT ON COLUMN public.messages.error_code IS 'why it did not reach the contact';

COMMENT ON COLUMN public.messages.interacted_at IS 'of a contact''s message: last_interaction as ManyChat sent it; null when it sent none that can be read';

CREATE VIEW public.conversation_memory WITH (security_invoker='true') AS
 SELECT mapping.company_id,
    COALESCE((conversation.user_id)::text, conversation.contact_id) AS user_id,
        CASE message.direction
            WHEN 'inbound'::text THEN 'user'::text
            ELSE 'assistant'::text
        END AS role,
    message.content,
    message.created_at AS "timestamp"
   FROM ((public.messages message
     JOIN public.conversations conversation ON ((conversation.id = message.conversation_id)))
     JOIN public.company_mapping mapping ON ((mapping.uuid = message.customer_id)));

CREATE TABLE public.credentials (
    user_id uuid NOT NULL,
    hashed_password text NOT NULL,
    password_changed_at timestamp with time zone DEFAULT now() NOT NULL
);

CREATE TABLE public.customer_members (
    customer_id uuid NOT NULL,
    user_id uuid NOT NULL,
    role text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT customer_members_role_known CHECK ((role = ANY (ARRAY['owner'::text, 'support'::text])))
);

CREATE TABLE public.customers (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    user_id uuid NOT NULL,
    name text NOT NULL,
    plan_id uuid NOT NULL,
    manychat_api_key bytea,
    manychat_api_key_last4 text,
    webhook_url text,
    currency text DEFAULT 'XOF'::text NOT NULL,
    timezone text DEFAULT 'UTC'::text NOT NULL,
    suspended_at timestamp with time zone,
    deleted_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    spend_cap_micros bigint,
    embedding_model text,
    overage_cap_requests integer,
    muted_notices text[] DEFAULT '{}'::text[] NOT NULL,
    purge_started_at timestamp with time zone,
    conversation_retention_months integer DEFAULT 12 NOT NULL,
    CONSTRAINT customers_conversation_retention_known CHECK (((conversation_retention_months >= 1) AND (conversation_retention_months <= 60))),
    CONSTRAINT customers_currency_format CHECK ((currency ~ '^[A-Z]{3}$'::text)),
    CONSTRAINT customers_embedding_model_not_empty CHECK ((embedding_model <> ''::text)),
    CONSTRAINT customers_muted_notices_few CHECK ((cardinality(muted_notices) <= 50)),
    CONSTRAINT customers_name_length CHECK (((length(name) >= 1) AND (length(name) <= 200))),
    CONSTRAINT customers_overage_cap_not_negative CHECK ((overage_cap_requests >= 0)),
    CONSTRAINT customers_purge_after_deletion CHECK (((purge_started_at IS NULL) OR (deleted_at IS NOT NULL))),
    CONSTRAINT customers_spend_cap_not_negative CHECK ((spend_cap_micros >= 0)),
    CONSTRAINT customers_webhook_url_length CHECK ((length(webhook_url) <= 2000))
);

COMMENT ON COLUMN public.customers.spend_cap_micros IS 'stands in for the plan''s';

COMMENT ON COLUMN public.customers.embedding_model IS 'of the vectors of all its processed documents; null before the first one';

COMMENT ON COLUMN public.customers.overage_cap_requests IS 'requests over the plan''s limit in a period; null: as many as the plan has';

COMMENT ON COLUMN public.customers.muted_notices IS 'types of activities that the company does not want to be told';

COMMENT ON COLUMN public.customers.purge_started_at IS 'from this time on, the deletion of the account cannot be undone';

CREATE TABLE public.document_chunks (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    document_id uuid NOT NULL,
    customer_id uuid NOT NULL,
    chunk_index integer NOT NULL,
    page_start integer NOT NULL,
    page_end integer NOT NULL,
    text_chunk text NOT NULL,
    search_text text NOT NULL,
    language text NOT NULL,
    tsv tsvector GENERATED ALWAYS AS (to_tsvector(
CASE language
    WHEN 'fr'::text THEN 'french'::regconfig
    WHEN 'en'::text THEN 'english'::regconfig
    ELSE 'simple'::regconfig
END, search_text)) STORED NOT NULL,
    embedding public.vector(1536),
    embedding_model text NOT NULL,
    embedding_bits bit(1536) GENERATED ALWAYS AS ((public.binary_quantize(embedding))::bit(1536)) STORED,
    file_place jsonb,
    short_embedding public.vector(384),
    short_bits bit(384),
    CONSTRAINT document_chunks_language_known CHECK ((language = ANY (ARRAY['fr'::text, 'en'::text, 'other'::text]))),
    CONSTRAINT document_chunks_one_embedding CHECK ((num_nonnulls(embedding, short_embedding) = 1)),
    CONSTRAINT document_chunks_pages_ordered CHECK (((page_start >= 1) AND (page_start <= page_end))),
    CONSTRAINT document_chunks_short_bits_of_embedding CHECK ((NOT (short_bits IS DISTINCT FROM (public.binary_quantize(short_embedding))::bit(384))))
)
WITH (toast_tuple_target='4096');
ALTER TABLE ONLY public.document_chunks ALTER COLUMN tsv SET STORAGE MAIN;
ALTER TABLE ONLY public.document_chunks ALTER COLUMN short_embedding SET STORAGE MAIN;

COMMENT ON COLUMN public.document_chunks.file_place IS 'place in a file without pages: kind, name of the sheet or heading, number of each of the last lines; else null';

CREATE TABLE public.document_pages (
    document_id uuid NOT NULL,
    customer_id uuid NOT NULL,
    page integer NOT NULL,
    text text,
    is_complete boolean DEFAULT true NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    claimed_until timestamp with time zone,
    cost_micros bigint DEFAULT 0 NOT NULL,
    confidence real,
    CONSTRAINT document_pages_confidence_share CHECK (((confidence >= (0)::double precision) AND (confidence <= (1)::double precision))),
    CONSTRAINT document_pages_numbers_not_negative CHECK (((attempts >= 0) AND (cost_micros >= 0))),
    CONSTRAINT document_pages_page_positive CHECK ((page >= 1))
);

COMMENT ON COLUMN public.document_pages.page IS 'counted from 1';

COMMENT ON COLUMN public.document_pages.text IS 'null until it was read; empty where nothing is on the page';

COMMENT ON COLUMN public.document_pages.is_complete IS 'false where the page could not be read, or not to its end';

COMMENT ON COLUMN public.document_pages.claimed_until IS 'until then a worker reads it, unless it died';

COMMENT ON COLUMN public.document_pages.cost_micros IS 'of all attempts, in millionths of a US dollar';

COMMENT ON COLUMN public.document_pages.confidence IS 'of OCR, from 0 to 1; null where a language model read the page';

CREATE TABLE public.documents (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    customer_id uuid NOT NULL,
    company_id text NOT NULL,
    filename text NOT NULL,
    upload_date timestamp with time zone DEFAULT now() NOT NULL,
    status text DEFAULT 'pending'::text NOT NULL,
    error_code text,
    error text,
    pages_total integer,
    pages_done integer DEFAULT 0 NOT NULL,
    bytes bigint NOT NULL,
    sha256 bytea,
    storage_key text NOT NULL,
    language text,
    embedding_model text,
    content text,
    metadata jsonb DEFAULT '{}'::jsonb NOT NULL,
    processed_at timestamp with time zone,
    chunks integer,
    chars bigint,
    pages_unread integer[] DEFAULT '{}'::integer[] NOT NULL,
    name_key text,
    replaces uuid[] DEFAULT '{}'::uuid[] NOT NULL,
    format text,
    CONSTRAINT documents_bytes_not_negative CHECK ((bytes >= 0)),
    CONSTRAINT documents_chars_not_negative CHECK ((chars >= 0)),
    CONSTRAINT documents_error_code_known CHECK ((error_code = ANY (ARRAY['encrypted'::text, 'corrupt'::text, 'no_text'::text, 'too_many_pages'::text, 'too_large'::text, 'timed_out'::text, 'not_uploaded'::text, 'embedding_failed'::text, 'scan_failed'::text, 'scan_too_costly'::text, 'spend_cap_reached'::text, 'size_mismatch'::text, 'too_much_text'::text, 'text_limit_reached'::text, 'processing_failed'::text, 'xfa_form'::text, 'portfolio'::text, 'reader_failed'::text, 'format_mismatch'::text, 'too_many_rows'::text, 'ocr_unavailable'::text]))),
    CONSTRAINT documents_error_when_failed CHECK (((status = 'failed'::text) = (error_code IS NOT NULL))),
    CONSTRAINT documents_filename_length CHECK (((length(filename) >= 1) AND (length(filename) <= 255))),
    CONSTRAINT documents_format_known CHECK ((format = ANY (ARRAY['pdf'::text, 'docx'::text, 'xlsx'::text, 'csv'::text, 'txt'::text, 'md'::text, 'html'::text]))),
    CONSTRAINT documents_pages_not_negative CHECK (((pages_done >= 0) AND (pages_total >= 0))),
    CONSTRAINT documents_sha256_length CHECK ((length(sha256) = 32)),
    CONSTRAINT documents_status_known CHECK ((status = ANY (ARRAY['pending'::text, 'processed'::text, 'failed'::text])))
);

COMMENT ON COLUMN public.documents.sha256 IS 'of the stored bytes: as declared while pending, verified once processed';

COMMENT ON COLUMN public.documents.chunks IS 'how many it has, once processed';

COMMENT ON COLUMN public.documents.chars IS 'characters of its chunks; null until counted: before indexing, and for older documents';

COMMENT ON COLUMN public.documents.pages_unread IS 'pages whose text was not read or not read whole, ascending, once processed';

COMMENT ON COLUMN public.documents.name_key IS 'the file name without differences of case and Unicode form; null for older documents until maintenance fills it';

COMMENT ON COLUMN public.documents.replaces IS 'documents that are deleted when this one is processed, and those that were';

COMMENT ON COLUMN public.documents.format IS 'format of the file, as its name says; null for older documents, which are PDF files';

CREATE TABLE public.exports (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    customer_id uuid NOT NULL,
    requested_by uuid,
    status text DEFAULT 'queued'::text NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    worker uuid,
    held_until timestamp with time zone,
    size_bytes bigint,
    error_code text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    finished_at timestamp with time zone,
    expires_at timestamp with time zone,
    link_issued_at timestamp with time zone,
    link_issued_to uuid,
    CONSTRAINT exports_attempts_not_negative CHECK ((attempts >= 0)),
    CONSTRAINT exports_error_when_failed CHECK (((status = 'failed'::text) = (error_code IS NOT NULL))),
    CONSTRAINT exports_ready_is_complete CHECK (((status <> 'ready'::text) OR ((size_bytes IS NOT NULL) AND (finished_at IS NOT NULL) AND (expires_at IS NOT NULL)))),
    CONSTRAINT exports_size_not_negative CHECK ((size_bytes >= 0)),
    CONSTRAINT exports_status_known CHECK ((status = ANY (ARRAY['queued'::text, 'running'::text, 'ready'::text, 'failed'::text, 'expired'::text])))
);

COMMENT ON COLUMN public.exports.requested_by IS 'users.id of the owner who asked; stays when the account is gone';

COMMENT ON COLUMN public.exports.expires_at IS 'when the archive is deleted; of a failed export, while one may be left in the bucket';

COMMENT ON COLUMN public.exports.link_issued_to IS 'users.id of the owner whose link the audit log has last';

CREATE TABLE public.failed_sign_ins (
    customer_id uuid NOT NULL,
    action text NOT NULL,
    window_start timestamp with time zone NOT NULL,
    failures bigint NOT NULL,
    CONSTRAINT failed_sign_ins_action_length CHECK (((length(action) >= 1) AND (length(action) <= 100))),
    CONSTRAINT failed_sign_ins_failures_not_negative CHECK ((failures >= 0))
);

COMMENT ON COLUMN public.failed_sign_ins.customer_id IS 'the nil UUID for accounts without a tenant, and for unknown addresses';

CREATE TABLE public.feedback (
    message_id uuid NOT NULL,
    user_id uuid NOT NULL,
    customer_id uuid NOT NULL,
    is_helpful boolean NOT NULL,
    comment text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT feedback_comment_length CHECK ((length(comment) <= 2000))
);

CREATE TABLE public.first_answer_times (
    company_id uuid NOT NULL,
    date date NOT NULL,
    bucket smallint NOT NULL,
    answers integer DEFAULT 0 NOT NULL,
    CONSTRAINT first_answer_times_bucket_known CHECK (((bucket >= 1) AND (bucket <= 64)))
);

COMMENT ON COLUMN public.first_answer_times.date IS 'of the answer, in the tenant''s timezone';

CREATE TABLE public.golden_questions (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    customer_id uuid NOT NULL,
    question text NOT NULL,
    document_id uuid,
    page integer,
    approved_answer_id uuid,
    last_passed boolean,
    last_run_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT golden_questions_one_expectation CHECK (((num_nonnulls(document_id, approved_answer_id) = 1) AND ((page IS NULL) OR (document_id IS NOT NULL)))),
    CONSTRAINT golden_questions_page_positive CHECK ((page >= 1)),
    CONSTRAINT golden_questions_question_length CHECK (((length(question) >= 1) AND (length(question) <= 1000)))
);

COMMENT ON TABLE public.golden_questions IS 'questions with known answers, by which a company tries a prompt';

COMMENT ON COLUMN public.golden_questions.last_passed IS 'result of the last run for a saved prompt; null before the first one';

CREATE TABLE public.idempotency_keys (
    customer_id uuid NOT NULL,
    key text NOT NULL,
    request_sha256 bytea NOT NULL,
    state text DEFAULT 'in_progress'::text NOT NULL,
    status integer,
    response jsonb,
    locked_until timestamp with time zone NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    CONSTRAINT idempotency_keys_finished_has_answer CHECK (((state = 'finished'::text) = (status IS NOT NULL))),
    CONSTRAINT idempotency_keys_key_length CHECK (((length(key) >= 1) AND (length(key) <= 255))),
    CONSTRAINT idempotency_keys_sha256_length CHECK ((length(request_sha256) = 32)),
    CONSTRAINT idempotency_keys_state_known CHECK ((state = ANY (ARRAY['in_progress'::text, 'finished'::text])))
);

CREATE TABLE public.ingest_slots (
    document_id uuid NOT NULL,
    customer_id uuid NOT NULL,
    queued_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    worker uuid,
    held_until timestamp with time zone,
    attempts integer DEFAULT 0 NOT NULL,
    CONSTRAINT ingest_slots_attempts_not_negative CHECK ((attempts >= 0))
);

COMMENT ON COLUMN public.ingest_slots.queued_at IS 'first delivery, or the first since another invocation goes on: a tenant''s documents take turns in this order';

COMMENT ON COLUMN public.ingest_slots.worker IS 'who holds the slot; null while it is kept for a message on its way';

COMMENT ON COLUMN public.ingest_slots.held_until IS 'then the slot is free again; null: the document waits';

COMMENT ON COLUMN public.ingest_slots.attempts IS 'how often work has begun, unless progress was made since';

CREATE TABLE public.invitations (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    customer_id uuid NOT NULL,
    token_sha256 bytea NOT NULL,
    email text,
    created_by uuid,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    used_at timestamp with time zone,
    used_by uuid,
    role text DEFAULT 'support'::text NOT NULL,
    revoked_at timestamp with time zone,
    CONSTRAINT invitations_role_known CHECK ((role = ANY (ARRAY['owner'::text, 'support'::text]))),
    CONSTRAINT invitations_token_length CHECK ((length(token_sha256) = 32))
);

CREATE TABLE public.jobs (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    customer_id uuid NOT NULL,
    kind text NOT NULL,
    payload jsonb DEFAULT '{}'::jsonb NOT NULL,
    status text DEFAULT 'queued'::text NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    run_after timestamp with time zone DEFAULT now() NOT NULL,
    last_error text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT jobs_attempts_not_negative CHECK ((attempts >= 0)),
    CONSTRAINT jobs_kind_known CHECK ((kind = ANY (ARRAY['ingest'::text, 'delete_object'::text, 'reply'::text, 'invoice_item'::text, 'collection'::text, 'export'::text]))),
    CONSTRAINT jobs_status_known CHECK ((status = ANY (ARRAY['queued'::text, 'running'::text, 'done'::text, 'failed'::text])))
);

COMMENT ON COLUMN public.jobs.run_after IS 'queued: when it is due; running: when its worker is taken for dead';

CREATE TABLE public.llm_calls (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    customer_id uuid NOT NULL,
    conversation_id uuid,
    purpose text NOT NULL,
    provider text NOT NULL,
    model text NOT NULL,
    prompt_tokens integer DEFAULT 0 NOT NULL,
    completion_tokens integer DEFAULT 0 NOT NULL,
    cost_micros bigint DEFAULT 0 NOT NULL,
    latency_ms integer DEFAULT 0 NOT NULL,
    status text NOT NULL,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT llm_calls_model_length CHECK ((length(model) <= 200)),
    CONSTRAINT llm_calls_numbers_not_negative CHECK (((prompt_tokens >= 0) AND (completion_tokens >= 0) AND (cost_micros >= 0) AND (latency_ms >= 0))),
    CONSTRAINT llm_calls_provider_length CHECK (((length(provider) >= 1) AND (length(provider) <= 50))),
    CONSTRAINT llm_calls_purpose_length CHECK (((length(purpose) >= 1) AND (length(purpose) <= 50))),
    CONSTRAINT llm_calls_status_length CHECK (((length(status) >= 1) AND (length(status) <= 50)))
);

CREATE TABLE public.order_days (
    company_id uuid NOT NULL,
    date date NOT NULL,
    currency text NOT NULL,
    pending integer DEFAULT 0 NOT NULL,
    confirmed integer DEFAULT 0 NOT NULL,
    preparing integer DEFAULT 0 NOT NULL,
    delivered integer DEFAULT 0 NOT NULL,
    cancelled integer DEFAULT 0 NOT NULL,
    revenue numeric(20,2) DEFAULT 0 NOT NULL,
    CONSTRAINT order_days_currency_format CHECK ((currency ~ '^[A-Z]{3}$'::text))
);

COMMENT ON COLUMN public.order_days.date IS 'in the tenant''s timezone';

CREATE TABLE public.orders (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    company_id uuid NOT NULL,
    conversation_id uuid,
    customer_name text,
    total_amount numeric(14,2) NOT NULL,
    currency text NOT NULL,
    status text DEFAULT 'pending'::text NOT NULL,
    items jsonb NOT NULL,
    needs_review boolean DEFAULT false NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    customer_name_key text,
    counted_on date,
    total_cents bigint GENERATED ALWAYS AS (((total_amount * (100)::numeric))::bigint) STORED NOT NULL,
    CONSTRAINT orders_currency_format CHECK ((currency ~ '^[A-Z]{3}$'::text)),
    CONSTRAINT orders_customer_name_length CHECK ((length(customer_name) <= 200)),
    CONSTRAINT orders_items_are_list CHECK ((jsonb_typeof(items) = 'array'::text)),
    CONSTRAINT orders_status_known CHECK ((status = ANY (ARRAY['pending'::text, 'confirmed'::text, 'preparing'::text, 'delivered'::text, 'cancelled'::text]))),
    CONSTRAINT orders_total_not_negative CHECK ((total_amount >= (0)::numeric))
);

COMMENT ON COLUMN public.orders.items IS '[{product_id?, name, quantity, unit_price}]; without a price: not in the catalogue';

COMMENT ON COLUMN public.orders.customer_name_key IS 'app.fold_name(customer_name), by a trigger';

COMMENT ON COLUMN public.orders.counted_on IS 'day of order_days that counts the order, by a trigger';

CREATE TABLE public.outbox (
    message_id uuid NOT NULL,
    part integer NOT NULL,
    customer_id uuid NOT NULL,
    conversation_id uuid NOT NULL,
    content text NOT NULL,
    state text DEFAULT 'queued'::text NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    not_before timestamp with time zone DEFAULT now() NOT NULL,
    sent_at timestamp with time zone,
    error_code text,
    error text,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT outbox_content_length CHECK (((length(content) >= 1) AND (length(content) <= 4096))),
    CONSTRAINT outbox_part_not_negative CHECK ((part >= 0)),
    CONSTRAINT outbox_sent_has_time CHECK (((state = 'sent'::text) = (sent_at IS NOT NULL))),
    CONSTRAINT outbox_state_known CHECK ((state = ANY (ARRAY['queued'::text, 'sent'::text, 'failed'::text, 'cancelled'::text])))
);

CREATE TABLE public.password_resets (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    user_id uuid NOT NULL,
    customer_id uuid,
    token_sha256 bytea NOT NULL,
    created_by uuid,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    used_at timestamp with time zone,
    revoked_at timestamp with time zone,
    CONSTRAINT password_resets_token_length CHECK ((length(token_sha256) = 32))
);

COMMENT ON TABLE public.password_resets IS 'one-time links by which a user sets a new password';

CREATE TABLE public.plan_prices (
    stripe_price_id text NOT NULL,
    plan_id uuid NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT plan_prices_id_length CHECK (((length(stripe_price_id) >= 1) AND (length(stripe_price_id) <= 255)))
);

CREATE TABLE public.plans (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    name text NOT NULL,
    monthly_request_limit integer,
    storage_limit_mb integer NOT NULL,
    price_cents integer NOT NULL,
    currency text DEFAULT 'EUR'::text NOT NULL,
    overage_cents_per_request integer,
    stripe_price_id text,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    monthly_spend_cap_micros bigint,
    max_document_chunks integer DEFAULT 600 NOT NULL,
    max_text_chars bigint DEFAULT 5000000 NOT NULL,
    CONSTRAINT plans_max_document_chunks_positive CHECK ((max_document_chunks > 0)),
    CONSTRAINT plans_max_text_chars_positive CHECK ((max_text_chars > 0)),
    CONSTRAINT plans_name_length CHECK (((length(name) >= 1) AND (length(name) <= 50))),
    CONSTRAINT plans_overage_not_negative CHECK ((overage_cents_per_request >= 0)),
    CONSTRAINT plans_price_not_negative CHECK ((price_cents >= 0)),
    CONSTRAINT plans_request_limit_not_negative CHECK ((monthly_request_limit >= 0)),
    CONSTRAINT plans_spend_cap_not_negative CHECK ((monthly_spend_cap_micros >= 0)),
    CONSTRAINT plans_storage_limit_not_negative CHECK ((storage_limit_mb >= 0))
);

COMMENT ON COLUMN public.plans.monthly_request_limit IS 'null: the lifetime quota of user_settings limits instead';

COMMENT ON COLUMN public.plans.overage_cents_per_request IS 'null: requests over the limit are refused';

COMMENT ON COLUMN public.plans.monthly_spend_cap_micros IS 'what models may cost a period; null: no cap';

COMMENT ON COLUMN public.plans.max_document_chunks IS 'chunks of one document';

COMMENT ON COLUMN public.plans.max_text_chars IS 'characters of the chunks of all documents of a tenant';

CREATE TABLE public.preview_counts (
    customer_id uuid NOT NULL,
    day date NOT NULL,
    questions integer NOT NULL,
    CONSTRAINT preview_counts_questions_positive CHECK ((questions >= 0))
);

COMMENT ON TABLE public.preview_counts IS 'questions that a company''s previews have asked of models today';

CREATE TABLE public.products (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    customer_id uuid NOT NULL,
    name text NOT NULL,
    description text,
    price numeric(14,2) NOT NULL,
    currency text NOT NULL,
    available boolean DEFAULT true NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    archived_at timestamp with time zone,
    name_key text,
    CONSTRAINT products_archived_is_unavailable CHECK (((archived_at IS NULL) OR (NOT available))),
    CONSTRAINT products_currency_format CHECK ((currency ~ '^[A-Z]{3}$'::text)),
    CONSTRAINT products_description_length CHECK ((length(description) <= 2000)),
    CONSTRAINT products_name_length CHECK (((length(name) >= 1) AND (length(name) <= 200))),
    CONSTRAINT products_price_not_negative CHECK ((price >= (0)::numeric))
);

COMMENT ON COLUMN public.products.archived_at IS 'when the product was taken out of the catalogue; orders still name it';

COMMENT ON COLUMN public.products.name_key IS 'app.fold_name(name), by a trigger; null for an older product whose name another one has';

CREATE TABLE public.profiles (
    id uuid NOT NULL,
    email character varying(320) NOT NULL,
    full_name character varying(255),
    avatar_url text,
    stripe_customer_id character varying(255),
    subscription_status character varying(50) DEFAULT 'free'::character varying NOT NULL,
    subscription_tier character varying(50),
    subscription_current_period_end timestamp with time zone,
    credits_remaining integer DEFAULT 0 NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    subscription_current_period_start timestamp with time zone,
    subscription_cancel_at_period_end boolean DEFAULT false NOT NULL,
    subscription_access_until timestamp with time zone,
    subscription_version bigint DEFAULT 0 NOT NULL,
    subscription_cancel_at timestamp with time zone,
    version bigint DEFAULT 1 NOT NULL,
    CONSTRAINT profiles_avatar_url_length CHECK ((length(avatar_url) <= 2000))
);

COMMENT ON COLUMN public.profiles.subscription_access_until IS 'null where users.is_pro alone decides';

COMMENT ON COLUMN public.profiles.subscription_version IS 'of billing.subscriptions: an older projection changes nothing';

COMMENT ON COLUMN public.profiles.subscription_cancel_at IS 'when the subscription ends or has ended; null: no end is set';

COMMENT ON COLUMN public.profiles.version IS 'number of the row''s changes: a cached copy with another version is out of date';

CREATE TABLE public.purges (
    customer_id uuid NOT NULL,
    started_at timestamp with time zone DEFAULT now() NOT NULL,
    held_until timestamp with time zone,
    counts jsonb DEFAULT '{}'::jsonb NOT NULL,
    rows_deleted_at timestamp with time zone,
    sweep_after timestamp with time zone,
    finished_at timestamp with time zone,
    CONSTRAINT purges_counts_object CHECK ((jsonb_typeof(counts) = 'object'::text))
);

COMMENT ON COLUMN public.purges.counts IS 'the number of deleted rows by table, and of deleted files';

CREATE UNLOGGED TABLE public.rate_limits (
    key text NOT NULL,
    window_start timestamp with time zone NOT NULL,
    count integer NOT NULL,
    previous integer NOT NULL,
    CONSTRAINT rate_limits_key_length CHECK ((length(key) <= 200))
)
WITH (fillfactor='50');

CREATE TABLE public.reembedded_chunks (
    chunk_id uuid NOT NULL,
    customer_id uuid NOT NULL,
    embedding_model text NOT NULL,
    embedding public.vector(1536),
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    short_embedding public.vector(384),
    CONSTRAINT reembedded_chunks_one_embedding CHECK ((num_nonnulls(embedding, short_embedding) = 1))
);

COMMENT ON TABLE public.reembedded_chunks IS 'new vectors of chunks, until their tenant goes over to the model';

CREATE TABLE public.refresh_sessions (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    user_id uuid NOT NULL,
    token_sha256 bytea NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    rotated_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    ended_at timestamp with time zone,
    CONSTRAINT refresh_sessions_token_length CHECK ((length(token_sha256) = 32))
);

CREATE TABLE public.reservations (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    customer_id uuid NOT NULL,
    user_id uuid NOT NULL,
    kind text NOT NULL,
    amount integer DEFAULT 1 NOT NULL,
    state text DEFAULT 'held'::text NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone NOT NULL,
    conversation_id uuid,
    period_start timestamp with time zone,
    CONSTRAINT reservations_amount_positive CHECK ((amount > 0)),
    CONSTRAINT reservations_kind_known CHECK ((kind = ANY (ARRAY['free_quota'::text, 'plan'::text]))),
    CONSTRAINT reservations_state_known CHECK ((state = ANY (ARRAY['held'::text, 'spent'::text, 'returned'::text])))
);

COMMENT ON COLUMN public.reservations.period_start IS 'of kind plan: the period of usage_periods that it counts in';

CREATE TABLE public.task_progress (
    task text NOT NULL,
    "position" jsonb NOT NULL,
    started_at timestamp with time zone DEFAULT now() NOT NULL,
    updated_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT task_progress_task_length CHECK (((length(task) >= 1) AND (length(task) <= 50)))
);

CREATE TABLE public.tenant_notices (
    customer_id uuid NOT NULL,
    kind text NOT NULL,
    since timestamp with time zone NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT tenant_notices_kind_length CHECK (((length(kind) >= 1) AND (length(kind) <= 50)))
);

COMMENT ON COLUMN public.tenant_notices.since IS 'the beginning of the day or the period';

CREATE VIEW public.unanswered WITH (security_invoker='true') AS
 SELECT reply.id AS message_id,
    reply.customer_id,
    reply.conversation_id,
    reply.channel,
    asked.question,
    reply.created_at
   FROM (public.messages reply
     CROSS JOIN LATERAL ( SELECT string_agg(message.content, '
'::text ORDER BY message.created_at, message.id) AS question
           FROM public.messages message
          WHERE ((message.answered_by = reply.id) AND (message.content <> ''::text))) asked)
  WHERE ((reply.answered = false) AND (asked.question IS NOT NULL) AND (NOT (EXISTS ( SELECT
           FROM public.closed_questions closed
          WHERE (closed.message_id = reply.id)))));

CREATE TABLE public.unconfirmed_days (
    day date NOT NULL,
    requests integer NOT NULL,
    CONSTRAINT unconfirmed_days_requests_positive CHECK ((requests > 0))
);

COMMENT ON TABLE public.unconfirmed_days IS 'requests of all accounts together that are neither confirmed nor paid for, by day in UTC';

CREATE TABLE public.unread_webhook_bodies (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    customer_id uuid NOT NULL,
    reason text NOT NULL,
    body bytea NOT NULL,
    size_bytes integer NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    CONSTRAINT unread_webhook_bodies_body_length CHECK ((octet_length(body) <= 16384)),
    CONSTRAINT unread_webhook_bodies_reason_length CHECK (((length(reason) >= 1) AND (length(reason) <= 50))),
    CONSTRAINT unread_webhook_bodies_size_not_negative CHECK ((size_bytes >= 0))
);

COMMENT ON TABLE public.unread_webhook_bodies IS 'kept for 30 days; at most 200 a tenant and day';

COMMENT ON COLUMN public.unread_webhook_bodies.body IS 'the first 16 KiB';

COMMENT ON COLUMN public.unread_webhook_bodies.size_bytes IS 'of the whole body';

CREATE TABLE public.usage_periods (
    customer_id uuid NOT NULL,
    period_start timestamp with time zone NOT NULL,
    period_end timestamp with time zone NOT NULL,
    plan_id uuid NOT NULL,
    plan text NOT NULL,
    request_limit integer,
    overage_cents_per_request integer,
    price_cents integer NOT NULL,
    currency text NOT NULL,
    requests integer DEFAULT 0 NOT NULL,
    bytes bigint DEFAULT 0 NOT NULL,
    spent_micros bigint DEFAULT 0 NOT NULL,
    closed_at timestamp with time zone,
    carried_requests integer DEFAULT 0 NOT NULL,
    carried_micros bigint DEFAULT 0 NOT NULL,
    replaced_plans jsonb DEFAULT '{}'::jsonb NOT NULL,
    CONSTRAINT usage_periods_bytes_not_negative CHECK ((bytes >= 0)),
    CONSTRAINT usage_periods_carried_micros_not_negative CHECK ((carried_micros >= 0)),
    CONSTRAINT usage_periods_carried_requests_not_negative CHECK ((carried_requests >= 0)),
    CONSTRAINT usage_periods_in_order CHECK ((period_start < period_end)),
    CONSTRAINT usage_periods_requests_not_negative CHECK ((requests >= 0)),
    CONSTRAINT usage_periods_spent_not_negative CHECK ((spent_micros >= 0))
);

COMMENT ON COLUMN public.usage_periods.bytes IS 'what the tenant''s files take now; carried over from period to period';

COMMENT ON COLUMN public.usage_periods.spent_micros IS 'what models cost in it, by llm_calls; limited by the spend cap';

COMMENT ON COLUMN public.usage_periods.carried_requests IS 'of requests: those of an earlier part of the month with this plan; they count for the limit and are billed there';

COMMENT ON COLUMN public.usage_periods.carried_micros IS 'of spent_micros: those of an earlier part of the month with this plan';

COMMENT ON COLUMN public.usage_periods.replaced_plans IS 'plans whose terms this row had before stronger ones: by id, the requests of the row itself (requests), those carried into it (carried_requests) and spent_micros; they count again in a later part with that plan';

CREATE TABLE public.user_settings (
    user_id uuid NOT NULL,
    free_quota_used integer DEFAULT 0 NOT NULL,
    free_quota_limit integer DEFAULT 8 NOT NULL,
    CONSTRAINT user_settings_limit_not_negative CHECK ((free_quota_limit >= 0)),
    CONSTRAINT user_settings_used_not_negative CHECK ((free_quota_used >= 0))
);

CREATE TABLE public.users (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    email text NOT NULL,
    role text DEFAULT 'account_user'::text NOT NULL,
    is_pro boolean DEFAULT false NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    deleted_at timestamp with time zone,
    email_confirmed_at timestamp with time zone,
    CONSTRAINT users_email_length CHECK (((length(email) >= 3) AND (length(email) <= 320))),
    CONSTRAINT users_role_known CHECK ((role = ANY (ARRAY['global_admin'::text, 'account_user'::text, 'support_user'::text])))
);

COMMENT ON COLUMN public.users.deleted_at IS 'tokens of the account no longer count; its address is free';

COMMENT ON COLUMN public.users.email_confirmed_at IS 'when the address was confirmed, or a person vouched for it; Supabase''s own accounts have theirs in auth.users';

CREATE TABLE public.webhook_deliveries (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    customer_id uuid NOT NULL,
    endpoint_id uuid NOT NULL,
    event_id uuid NOT NULL,
    event_type text NOT NULL,
    conversation_id uuid,
    data jsonb,
    occurred_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    status text DEFAULT 'pending'::text NOT NULL,
    attempts integer DEFAULT 0 NOT NULL,
    next_attempt_at timestamp with time zone DEFAULT now() NOT NULL,
    claimed_until timestamp with time zone,
    last_attempt_at timestamp with time zone,
    response_status integer,
    latency_ms integer,
    error_code text,
    delivered_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT webhook_deliveries_attempts_not_negative CHECK ((attempts >= 0)),
    CONSTRAINT webhook_deliveries_delivered_has_time CHECK (((status = 'delivered'::text) = (delivered_at IS NOT NULL))),
    CONSTRAINT webhook_deliveries_error_code_length CHECK (((length(error_code) >= 1) AND (length(error_code) <= 50))),
    CONSTRAINT webhook_deliveries_event_type_length CHECK (((length(event_type) >= 1) AND (length(event_type) <= 50))),
    CONSTRAINT webhook_deliveries_latency_not_negative CHECK ((latency_ms >= 0)),
    CONSTRAINT webhook_deliveries_status_known CHECK ((status = ANY (ARRAY['pending'::text, 'delivered'::text, 'failed'::text]))),
    CONSTRAINT webhook_deliveries_undelivered_has_data CHECK (((status = 'delivered'::text) OR (data IS NOT NULL)))
);

COMMENT ON COLUMN public.webhook_deliveries.event_id IS 'the same for all endpoints, and for all attempts';

COMMENT ON COLUMN public.webhook_deliveries.data IS 'the object when the event happened, as the worker renders it; null once delivered';

COMMENT ON COLUMN public.webhook_deliveries.claimed_until IS 'a worker sends it; after this time the worker is taken for dead';

CREATE TABLE public.webhook_endpoints (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    customer_id uuid NOT NULL,
    url text NOT NULL,
    description text,
    events text[] DEFAULT '{}'::text[] NOT NULL,
    secret bytea NOT NULL,
    previous_secret bytea,
    previous_secret_expires_at timestamp with time zone,
    disabled_at timestamp with time zone,
    disabled_reason text,
    failing_since timestamp with time zone,
    failed_batches integer DEFAULT 0 NOT NULL,
    paused_until timestamp with time zone,
    wake_at timestamp with time zone,
    created_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    updated_at timestamp with time zone DEFAULT clock_timestamp() NOT NULL,
    CONSTRAINT webhook_endpoints_description_length CHECK (((length(description) >= 1) AND (length(description) <= 200))),
    CONSTRAINT webhook_endpoints_disabled_has_reason CHECK (((disabled_at IS NULL) = (disabled_reason IS NULL))),
    CONSTRAINT webhook_endpoints_disabled_reason_known CHECK ((disabled_reason = ANY (ARRAY['owner'::text, 'gone'::text, 'failing'::text]))),
    CONSTRAINT webhook_endpoints_events_few CHECK ((cardinality(events) <= 20)),
    CONSTRAINT webhook_endpoints_failed_batches_not_negative CHECK ((failed_batches >= 0)),
    CONSTRAINT webhook_endpoints_previous_secret_has_end CHECK (((previous_secret IS NULL) = (previous_secret_expires_at IS NULL))),
    CONSTRAINT webhook_endpoints_previous_secret_length CHECK (((octet_length(previous_secret) >= 30) AND (octet_length(previous_secret) <= 300))),
    CONSTRAINT webhook_endpoints_secret_length CHECK (((octet_length(secret) >= 30) AND (octet_length(secret) <= 300))),
    CONSTRAINT webhook_endpoints_url_length CHECK (((length(url) >= 1) AND (length(url) <= 2000)))
);

COMMENT ON COLUMN public.webhook_endpoints.events IS 'types of events that are delivered; empty: all';

COMMENT ON COLUMN public.webhook_endpoints.secret IS 'sealed; signs';

COMMENT ON COLUMN public.webhook_endpoints.previous_secret IS 'sealed; signs too until previous_secret_expires_at';

COMMENT ON COLUMN public.webhook_endpoints.failing_since IS 'first failure since the last success';

COMMENT ON COLUMN public.webhook_endpoints.failed_batches IS 'batches without a success since the last one with one';

COMMENT ON COLUMN public.webhook_endpoints.paused_until IS 'nothing is sent before: the server asked for it, or fails';

COMMENT ON COLUMN public.webhook_endpoints.wake_at IS 'when a delayed queue message comes, so that one is under way at most';

CREATE TABLE public.webhook_secrets (
    id uuid DEFAULT gen_random_uuid() NOT NULL,
    customer_id uuid NOT NULL,
    sha256 bytea NOT NULL,
    created_at timestamp with time zone DEFAULT now() NOT NULL,
    expires_at timestamp with time zone,
    sealed_value bytea,
    CONSTRAINT webhook_secrets_sealed_value_length CHECK (((octet_length(sealed_value) >= 30) AND (octet_length(sealed_value) <= 300))),
    CONSTRAINT webhook_secrets_sha256_length CHECK ((length(sha256) = 32))
);

COMMENT ON COLUMN public.webhook_secrets.sealed_value IS 'the secret itself, sealed, for repeated calls within a minute of its creation; maintenance removes it';

ALTER TABLE ONLY billing.duplicate_subscriptions
    ADD CONSTRAINT duplicate_subscriptions_pkey PRIMARY KEY (subscription_id);

ALTER TABLE ONLY billing.stripe_customers
    ADD CONSTRAINT stripe_customers_pkey PRIMARY KEY (id);

ALTER TABLE ONLY billing.stripe_events
    ADD CONSTRAINT stripe_events_pkey PRIMARY KEY (id);

ALTER TABLE ONLY billing.subscription_states
    ADD CONSTRAINT subscription_states_pkey PRIMARY KEY (id);

ALTER TABLE ONLY billing.subscriptions
    ADD CONSTRAINT subscriptions_pkey PRIMARY KEY (id);

ALTER TABLE ONLY billing.subscriptions
    ADD CONSTRAINT subscriptions_user_id_key UNIQUE (user_id);

ALTER TABLE ONLY billing.user_config
    ADD CONSTRAINT user_config_pkey PRIMARY KEY (id);

ALTER TABLE ONLY billing.user_config
    ADD CONSTRAINT user_config_user_id_key UNIQUE (user_id);

ALTER TABLE ONLY public.activities
    ADD CONSTRAINT activities_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.approved_answers
    ADD CONSTRAINT approved_answers_id_customer_id_key UNIQUE (id, customer_id);

ALTER TABLE ONLY public.approved_answers
    ADD CONSTRAINT approved_answers_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.approved_answers
    ADD CONSTRAINT approved_answers_question_key UNIQUE (customer_id, language, question_key);

ALTER TABLE ONLY public.audit_heads
    ADD CONSTRAINT audit_heads_pkey PRIMARY KEY (customer_id);

ALTER TABLE ONLY public.audit_log
    ADD CONSTRAINT audit_log_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.billing_notices
    ADD CONSTRAINT billing_notices_pkey PRIMARY KEY (key);

ALTER TABLE ONLY public.billing_records
    ADD CONSTRAINT billing_records_customer_id_period_start_key UNIQUE (customer_id, period_start);

ALTER TABLE ONLY public.billing_records
    ADD CONSTRAINT billing_records_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.bot_sessions
    ADD CONSTRAINT bot_sessions_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.bot_usage
    ADD CONSTRAINT bot_usage_day_key UNIQUE (company_id, date);

ALTER TABLE ONLY public.bot_usage
    ADD CONSTRAINT bot_usage_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.changes
    ADD CONSTRAINT changes_pkey PRIMARY KEY (customer_id, sequence);

ALTER TABLE ONLY public.checkout_sessions
    ADD CONSTRAINT checkout_sessions_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.closed_questions
    ADD CONSTRAINT closed_questions_pkey PRIMARY KEY (message_id);

ALTER TABLE ONLY public.company_mapping
    ADD CONSTRAINT company_mapping_company_id_key UNIQUE (company_id);

ALTER TABLE ONLY public.company_mapping
    ADD CONSTRAINT company_mapping_pkey PRIMARY KEY (uuid);

ALTER TABLE ONLY public.company_rag_configs
    ADD CONSTRAINT company_rag_configs_company_id_key UNIQUE (company_id);

ALTER TABLE ONLY public.company_rag_configs
    ADD CONSTRAINT company_rag_configs_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.company_rag_configs
    ADD CONSTRAINT company_rag_configs_user_id_key UNIQUE (user_id);

ALTER TABLE ONLY public.config_versions
    ADD CONSTRAINT config_versions_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.conversations
    ADD CONSTRAINT conversations_contact_key UNIQUE (customer_id, channel, contact_id);

ALTER TABLE ONLY public.conversations
    ADD CONSTRAINT conversations_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.conversations
    ADD CONSTRAINT conversations_tenant_key UNIQUE (id, customer_id);

ALTER TABLE ONLY public.credentials
    ADD CONSTRAINT credentials_pkey PRIMARY KEY (user_id);

ALTER TABLE ONLY public.customer_members
    ADD CONSTRAINT customer_members_pkey PRIMARY KEY (customer_id, user_id);

ALTER TABLE ONLY public.customers
    ADD CONSTRAINT customers_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.customers
    ADD CONSTRAINT customers_user_id_key UNIQUE (user_id);

ALTER TABLE ONLY public.document_chunks
    ADD CONSTRAINT document_chunks_document_id_index_key UNIQUE (document_id, chunk_index);

ALTER TABLE ONLY public.document_chunks
    ADD CONSTRAINT document_chunks_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.document_pages
    ADD CONSTRAINT document_pages_pkey PRIMARY KEY (document_id, page);

ALTER TABLE ONLY public.documents
    ADD CONSTRAINT documents_id_customer_id_key UNIQUE (id, customer_id);

ALTER TABLE ONLY public.documents
    ADD CONSTRAINT documents_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.documents
    ADD CONSTRAINT documents_storage_key_key UNIQUE (storage_key);

ALTER TABLE ONLY public.exports
    ADD CONSTRAINT exports_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.failed_sign_ins
    ADD CONSTRAINT failed_sign_ins_pkey PRIMARY KEY (customer_id, action);

ALTER TABLE ONLY public.feedback
    ADD CONSTRAINT feedback_pkey PRIMARY KEY (message_id, user_id);

ALTER TABLE ONLY public.first_answer_times
    ADD CONSTRAINT first_answer_times_pkey PRIMARY KEY (company_id, date, bucket);

ALTER TABLE ONLY public.golden_questions
    ADD CONSTRAINT golden_questions_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.idempotency_keys
    ADD CONSTRAINT idempotency_keys_pkey PRIMARY KEY (customer_id, key);

ALTER TABLE ONLY public.ingest_slots
    ADD CONSTRAINT ingest_slots_pkey PRIMARY KEY (document_id);

ALTER TABLE ONLY public.invitations
    ADD CONSTRAINT invitations_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.invitations
    ADD CONSTRAINT invitations_token_sha256_key UNIQUE (token_sha256);

ALTER TABLE ONLY public.jobs
    ADD CONSTRAINT jobs_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.llm_calls
    ADD CONSTRAINT llm_calls_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.messages
    ADD CONSTRAINT messages_external_id_key UNIQUE (customer_id, channel, external_id);

ALTER TABLE ONLY public.messages
    ADD CONSTRAINT messages_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.order_days
    ADD CONSTRAINT order_days_pkey PRIMARY KEY (company_id, date, currency);

ALTER TABLE ONLY public.orders
    ADD CONSTRAINT orders_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.outbox
    ADD CONSTRAINT outbox_pkey PRIMARY KEY (message_id, part);

ALTER TABLE ONLY public.password_resets
    ADD CONSTRAINT password_resets_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.password_resets
    ADD CONSTRAINT password_resets_token_sha256_key UNIQUE (token_sha256);

ALTER TABLE ONLY public.plan_prices
    ADD CONSTRAINT plan_prices_pkey PRIMARY KEY (stripe_price_id);

ALTER TABLE ONLY public.plans
    ADD CONSTRAINT plans_name_key UNIQUE (name);

ALTER TABLE ONLY public.plans
    ADD CONSTRAINT plans_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.preview_counts
    ADD CONSTRAINT preview_counts_pkey PRIMARY KEY (customer_id);

ALTER TABLE ONLY public.products
    ADD CONSTRAINT products_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.profiles
    ADD CONSTRAINT profiles_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.profiles
    ADD CONSTRAINT profiles_stripe_customer_id_key UNIQUE (stripe_customer_id);

ALTER TABLE ONLY public.purges
    ADD CONSTRAINT purges_pkey PRIMARY KEY (customer_id);

ALTER TABLE ONLY public.rate_limits
    ADD CONSTRAINT rate_limits_pkey PRIMARY KEY (key);

ALTER TABLE ONLY public.reembedded_chunks
    ADD CONSTRAINT reembedded_chunks_pkey PRIMARY KEY (chunk_id, embedding_model);

ALTER TABLE ONLY public.refresh_sessions
    ADD CONSTRAINT refresh_sessions_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.reservations
    ADD CONSTRAINT reservations_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.task_progress
    ADD CONSTRAINT task_progress_pkey PRIMARY KEY (task);

ALTER TABLE ONLY public.tenant_notices
    ADD CONSTRAINT tenant_notices_pkey PRIMARY KEY (customer_id, kind, since);

ALTER TABLE ONLY public.unconfirmed_days
    ADD CONSTRAINT unconfirmed_days_pkey PRIMARY KEY (day);

ALTER TABLE ONLY public.unread_webhook_bodies
    ADD CONSTRAINT unread_webhook_bodies_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.usage_periods
    ADD CONSTRAINT usage_periods_pkey PRIMARY KEY (customer_id, period_start);

ALTER TABLE ONLY public.user_settings
    ADD CONSTRAINT user_settings_pkey PRIMARY KEY (user_id);

ALTER TABLE ONLY public.users
    ADD CONSTRAINT users_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.webhook_deliveries
    ADD CONSTRAINT webhook_deliveries_endpoint_id_event_id_key UNIQUE (endpoint_id, event_id);

ALTER TABLE ONLY public.webhook_deliveries
    ADD CONSTRAINT webhook_deliveries_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.webhook_endpoints
    ADD CONSTRAINT webhook_endpoints_customer_id_url_key UNIQUE (customer_id, url);

ALTER TABLE ONLY public.webhook_endpoints
    ADD CONSTRAINT webhook_endpoints_id_customer_id_key UNIQUE (id, customer_id);

ALTER TABLE ONLY public.webhook_endpoints
    ADD CONSTRAINT webhook_endpoints_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.webhook_secrets
    ADD CONSTRAINT webhook_secrets_pkey PRIMARY KEY (id);

ALTER TABLE ONLY public.webhook_secrets
    ADD CONSTRAINT webhook_secrets_sha256_key UNIQUE (sha256);

CREATE INDEX duplicate_subscriptions_due_idx ON billing.duplicate_subscriptions USING btree (next_attempt_at) WHERE ((status = 'open'::text) OR (reported_at IS NULL));

CREATE INDEX duplicate_subscriptions_user_id_idx ON billing.duplicate_subscriptions USING btree (user_id);

CREATE INDEX stripe_customers_user_id_idx ON billing.stripe_customers USING btree (user_id);

CREATE INDEX stripe_events_done_idx ON billing.stripe_events USING btree (received_at) WHERE (projected_at IS NOT NULL);

CREATE INDEX stripe_events_subscription_idx ON billing.stripe_events USING btree (((payload #>> '{data,object,id}'::text[])), created) WHERE (type ~~ 'customer.subscription.%'::text);

CREATE INDEX stripe_events_unfinished_idx ON billing.stripe_events USING btree (received_at) WHERE (projected_at IS NULL);

CREATE INDEX subscription_states_customer_idx ON billing.subscription_states USING btree (stripe_customer_id);

CREATE INDEX subscription_states_started_at_idx ON billing.subscription_states USING btree (started_at, id) WHERE (plan <> 'free'::text);

CREATE INDEX subscription_states_user_id_idx ON billing.subscription_states USING btree (user_id);

CREATE INDEX subscriptions_unprojected_idx ON billing.subscriptions USING btree (updated_at) WHERE (projected_version IS DISTINCT FROM version);

CREATE INDEX activities_conversation_id_idx ON public.activities USING btree (conversation_id);

CREATE INDEX activities_created_at_idx ON public.activities USING btree (company_id, created_at DESC, id DESC);

CREATE INDEX activities_type_idx ON public.activities USING btree (company_id, type, created_at DESC, id DESC);

CREATE INDEX approved_answers_created_at_idx ON public.approved_answers USING btree (customer_id, created_at DESC, id DESC);

CREATE INDEX audit_log_customer_id_idx ON public.audit_log USING btree (customer_id, id DESC);

CREATE INDEX billing_records_listed_idx ON public.billing_records USING btree (customer_id, period_start DESC, id);

CREATE INDEX billing_records_pending_idx ON public.billing_records USING btree (updated_at) WHERE ((status = 'invoiced'::text) AND (stripe_invoice_id IS NULL));

CREATE UNIQUE INDEX bot_sessions_open_key ON public.bot_sessions USING btree (company_id) WHERE (ended_at IS NULL);

CREATE INDEX bot_sessions_started_at_idx ON public.bot_sessions USING btree (company_id, started_at DESC, id DESC);

CREATE INDEX changes_at_idx ON public.changes USING brin (at);

CREATE INDEX checkout_sessions_customer_id_idx ON public.checkout_sessions USING btree (customer_id, status);

CREATE UNIQUE INDEX checkout_sessions_one_open_key ON public.checkout_sessions USING btree (customer_id) WHERE (status = 'open'::text);

CREATE INDEX closed_questions_approved_answer_id_idx ON public.closed_questions USING btree (approved_answer_id);

CREATE INDEX closed_questions_closed_by_idx ON public.closed_questions USING btree (closed_by);

CREATE INDEX closed_questions_customer_id_idx ON public.closed_questions USING btree (customer_id);

CREATE INDEX company_mapping_user_id_idx ON public.company_mapping USING btree (user_id);

CREATE INDEX config_versions_company_id_idx ON public.config_versions USING btree (company_id, id DESC);

CREATE INDEX conversations_channel_last_message_at_idx ON public.conversations USING btree (customer_id, channel, last_message_at DESC, id DESC);

CREATE INDEX conversations_handled_by_idx ON public.conversations USING btree (handled_by);

CREATE INDEX conversations_handover_idx ON public.conversations USING btree (customer_id, channel, last_message_at DESC, id DESC) WHERE (handler = 'human'::text);

CREATE INDEX conversations_order_draft_idx ON public.conversations USING btree (customer_id) WHERE (order_draft IS NOT NULL);

CREATE INDEX conversations_takeover_idx ON public.conversations USING btree (customer_id, handover_until) WHERE ((handler = 'human'::text) AND (handover_reason = 'person'::text));

CREATE INDEX conversations_unclaimed_handover_idx ON public.conversations USING btree (customer_id) WHERE ((handler = 'human'::text) AND (handover_reason <> 'person'::text));

CREATE INDEX conversations_user_id_idx ON public.conversations USING btree (user_id);

CREATE INDEX conversations_user_phone_idx ON public.conversations USING btree (customer_id, user_phone, last_message_at DESC, id DESC);

CREATE INDEX customer_members_created_at_idx ON public.customer_members USING btree (customer_id, created_at DESC, user_id DESC);

CREATE INDEX customer_members_user_id_idx ON public.customer_members USING btree (user_id);

CREATE INDEX customers_created_at_idx ON public.customers USING btree (created_at DESC, id);

CREATE INDEX customers_deleted_at_idx ON public.customers USING btree (deleted_at) WHERE (deleted_at IS NOT NULL);

CREATE INDEX customers_plan_id_idx ON public.customers USING btree (plan_id);

CREATE INDEX document_chunks_candidates_idx ON public.document_chunks USING btree (customer_id, embedding_model) INCLUDE (id, document_id, embedding_bits);

CREATE INDEX document_chunks_short_candidates_idx ON public.document_chunks USING btree (customer_id, embedding_model) INCLUDE (id, document_id, short_bits) WHERE (short_bits IS NOT NULL);

CREATE INDEX document_chunks_words_idx ON public.document_chunks USING gin (app.word_keys(customer_id, tsvector_to_array(tsv))) WITH (fastupdate=off);

CREATE INDEX document_pages_customer_id_idx ON public.document_pages USING btree (customer_id);

CREATE INDEX documents_chars_missing_idx ON public.documents USING btree (id) WHERE ((chars IS NULL) AND (status = 'processed'::text));

CREATE INDEX documents_company_id_idx ON public.documents USING btree (company_id);

CREATE INDEX documents_filename_idx ON public.documents USING btree (customer_id, filename, id);

CREATE INDEX documents_name_key_idx ON public.documents USING btree (customer_id, name_key, upload_date DESC, id DESC);

CREATE INDEX documents_name_key_missing_idx ON public.documents USING btree (id) WHERE (name_key IS NULL);

CREATE INDEX documents_pending_idx ON public.documents USING btree (upload_date) WHERE (status = 'pending'::text);

CREATE INDEX documents_sha256_idx ON public.documents USING btree (customer_id, sha256) WHERE (status = 'processed'::text);

CREATE INDEX documents_status_idx ON public.documents USING btree (customer_id, status, upload_date DESC, id DESC);

CREATE INDEX documents_unread_idx ON public.documents USING btree (customer_id, upload_date DESC, id DESC) WHERE (cardinality(pages_unread) > 0);

CREATE INDEX documents_upload_date_idx ON public.documents USING btree (customer_id, upload_date DESC, id DESC);

CREATE INDEX exports_created_at_idx ON public.exports USING btree (customer_id, created_at DESC, id DESC);

CREATE INDEX exports_expires_at_idx ON public.exports USING btree (expires_at) WHERE (status = ANY (ARRAY['ready'::text, 'failed'::text]));

CREATE UNIQUE INDEX exports_open_key ON public.exports USING btree (customer_id) WHERE (status = ANY (ARRAY['queued'::text, 'running'::text]));

CREATE INDEX failed_sign_ins_window_start_idx ON public.failed_sign_ins USING btree (window_start);

CREATE INDEX feedback_customer_id_idx ON public.feedback USING btree (customer_id, created_at DESC);

CREATE INDEX feedback_user_id_idx ON public.feedback USING btree (user_id);

CREATE INDEX golden_questions_approved_answer_id_idx ON public.golden_questions USING btree (approved_answer_id, customer_id);

CREATE INDEX golden_questions_created_at_idx ON public.golden_questions USING btree (customer_id, created_at DESC, id DESC);

CREATE INDEX golden_questions_document_id_idx ON public.golden_questions USING btree (document_id, customer_id);

CREATE INDEX idempotency_keys_expires_at_idx ON public.idempotency_keys USING btree (expires_at);

CREATE INDEX ingest_slots_turn_idx ON public.ingest_slots USING btree (customer_id, queued_at, document_id);

CREATE INDEX invitations_created_by_idx ON public.invitations USING btree (created_by);

CREATE INDEX invitations_customer_id_idx ON public.invitations USING btree (customer_id, created_at DESC);

CREATE INDEX invitations_expires_at_idx ON public.invitations USING btree (expires_at);

CREATE INDEX invitations_used_by_idx ON public.invitations USING btree (used_by);

CREATE UNIQUE INDEX jobs_collection_customer_key ON public.jobs USING btree (customer_id) WHERE (kind = 'collection'::text);

CREATE INDEX jobs_customer_id_idx ON public.jobs USING btree (customer_id);

CREATE INDEX jobs_due_idx ON public.jobs USING btree (run_after) WHERE (status = ANY (ARRAY['queued'::text, 'running'::text]));

CREATE INDEX jobs_ended_idx ON public.jobs USING btree (updated_at) WHERE (status = ANY (ARRAY['done'::text, 'failed'::text]));

CREATE UNIQUE INDEX jobs_export_key ON public.jobs USING btree (((payload ->> 'export_id'::text))) WHERE (kind = 'export'::text);

CREATE UNIQUE INDEX jobs_ingest_document_key ON public.jobs USING btree (((payload ->> 'document_id'::text))) WHERE (kind = 'ingest'::text);

CREATE UNIQUE INDEX jobs_invoice_item_record_key ON public.jobs USING btree (((payload ->> 'billing_record_id'::text))) WHERE (kind = 'invoice_item'::text);

CREATE UNIQUE INDEX jobs_reply_conversation_key ON public.jobs USING btree (((payload ->> 'conversation_id'::text))) WHERE (kind = 'reply'::text);

CREATE INDEX llm_calls_age_idx ON public.llm_calls USING btree (created_at);

CREATE INDEX llm_calls_conversation_id_idx ON public.llm_calls USING btree (conversation_id);

CREATE INDEX llm_calls_created_at_idx ON public.llm_calls USING btree (customer_id, created_at DESC);

CREATE INDEX messages_answered_by_idx ON public.messages USING btree (answered_by);

CREATE INDEX messages_conversation_idx ON public.messages USING btree (conversation_id, created_at DESC, id DESC);

CREATE INDEX messages_created_at_idx ON public.messages USING btree (customer_id, created_at DESC, id DESC);

CREATE INDEX messages_not_answered_idx ON public.messages USING btree (customer_id, created_at DESC, id DESC) WHERE (answered = false);

CREATE INDEX messages_quota_skipped_idx ON public.messages USING btree (conversation_id, created_at) WHERE (skipped_reason = 'quota'::text);

CREATE INDEX messages_sent_by_idx ON public.messages USING btree (sent_by);

CREATE INDEX messages_unanswered_idx ON public.messages USING btree (conversation_id, created_at) WHERE ((direction = 'inbound'::text) AND (answered_by IS NULL) AND (skipped_reason IS NULL));

CREATE INDEX messages_user_phone_idx ON public.messages USING btree (customer_id, user_phone, created_at DESC, id DESC);

CREATE INDEX orders_conversation_id_idx ON public.orders USING btree (conversation_id, created_at DESC);

CREATE INDEX orders_created_at_idx ON public.orders USING btree (company_id, created_at DESC, id DESC);

CREATE INDEX orders_status_idx ON public.orders USING btree (company_id, status, created_at DESC, id DESC);

CREATE INDEX orders_total_cents_idx ON public.orders USING btree (company_id, total_cents DESC, id DESC);

CREATE INDEX orders_updated_at_idx ON public.orders USING btree (company_id, updated_at DESC, id DESC);

CREATE INDEX outbox_conversation_id_idx ON public.outbox USING btree (conversation_id);

CREATE INDEX outbox_customer_id_idx ON public.outbox USING btree (customer_id);

CREATE INDEX outbox_queued_idx ON public.outbox USING btree (conversation_id, created_at, part) WHERE (state = 'queued'::text);

CREATE INDEX password_resets_created_by_idx ON public.password_resets USING btree (created_by);

CREATE INDEX password_resets_customer_id_idx ON public.password_resets USING btree (customer_id);

CREATE INDEX password_resets_expires_at_idx ON public.password_resets USING btree (expires_at);

CREATE INDEX password_resets_user_id_idx ON public.password_resets USING btree (user_id);

CREATE INDEX plan_prices_plan_id_idx ON public.plan_prices USING btree (plan_id);

CREATE INDEX products_created_at_idx ON public.products USING btree (customer_id, created_at DESC, id DESC);

CREATE INDEX products_name_idx ON public.products USING btree (customer_id, name, id);

CREATE UNIQUE INDEX products_name_key ON public.products USING btree (customer_id, name_key) WHERE (archived_at IS NULL);

CREATE INDEX profiles_access_until_idx ON public.profiles USING btree (subscription_access_until) WHERE (subscription_access_until IS NOT NULL);

CREATE INDEX purges_open_idx ON public.purges USING btree (started_at) WHERE (finished_at IS NULL);

CREATE INDEX reembedded_chunks_customer_id_idx ON public.reembedded_chunks USING btree (customer_id, embedding_model);

CREATE INDEX refresh_sessions_expires_at_idx ON public.refresh_sessions USING btree (expires_at);

CREATE INDEX refresh_sessions_user_id_idx ON public.refresh_sessions USING btree (user_id);

CREATE UNIQUE INDEX reservations_conversation_held_key ON public.reservations USING btree (conversation_id) WHERE (state = 'held'::text);

CREATE INDEX reservations_conversation_id_idx ON public.reservations USING btree (conversation_id);

CREATE INDEX reservations_customer_id_idx ON public.reservations USING btree (customer_id);

CREATE INDEX reservations_ended_idx ON public.reservations USING btree (created_at) WHERE (state <> 'held'::text);

CREATE INDEX reservations_held_idx ON public.reservations USING btree (expires_at) WHERE (state = 'held'::text);

CREATE INDEX reservations_user_id_idx ON public.reservations USING btree (user_id);

CREATE INDEX tenant_notices_created_at_idx ON public.tenant_notices USING btree (created_at);

CREATE INDEX unread_webhook_bodies_created_at_idx ON public.unread_webhook_bodies USING btree (created_at);

CREATE INDEX unread_webhook_bodies_listed_idx ON public.unread_webhook_bodies USING btree (customer_id, created_at DESC, id DESC);

CREATE INDEX usage_periods_due_idx ON public.usage_periods USING btree (period_end) WHERE (closed_at IS NULL);

CREATE INDEX usage_periods_plan_id_idx ON public.usage_periods USING btree (plan_id);

CREATE UNIQUE INDEX users_email_key ON public.users USING btree (lower(email));

CREATE INDEX webhook_deliveries_age_idx ON public.webhook_deliveries USING brin (created_at);

CREATE INDEX webhook_deliveries_claimed_idx ON public.webhook_deliveries USING btree (endpoint_id, claimed_until) WHERE (claimed_until IS NOT NULL);

CREATE INDEX webhook_deliveries_conversation_id_idx ON public.webhook_deliveries USING btree (conversation_id);

CREATE INDEX webhook_deliveries_created_idx ON public.webhook_deliveries USING btree (endpoint_id, created_at, id);

CREATE INDEX webhook_deliveries_endpoint_due_idx ON public.webhook_deliveries USING btree (endpoint_id, next_attempt_at, id) WHERE (status = 'pending'::text);

CREATE INDEX webhook_secrets_customer_id_idx ON public.webhook_secrets USING btree (customer_id);

CREATE INDEX webhook_secrets_sealed_idx ON public.webhook_secrets USING btree (created_at) WHERE (sealed_value IS NOT NULL);

CREATE TRIGGER subscription_states_assigned BEFORE INSERT OR UPDATE ON billing.subscription_states FOR EACH ROW WHEN ((new.assigned_user_id IS NOT NULL)) EXECUTE FUNCTION billing.keep_assigned_user();

CREATE TRIGGER activities_change AFTER INSERT ON public.activities FOR EACH ROW EXECUTE FUNCTION app.on_change('activity', 'company_id');

CREATE TRIGGER company_rag_configs_version BEFORE UPDATE ON public.company_rag_configs FOR EACH ROW WHEN ((old.* IS DISTINCT FROM new.*)) EXECUTE FUNCTION app.keep_config_version();

CREATE TRIGGER conversations_change AFTER INSERT ON public.conversations FOR EACH ROW EXECUTE FUNCTION app.on_change('conversation', 'customer_id');

CREATE TRIGGER conversations_delete_change AFTER DELETE ON public.conversations FOR EACH ROW EXECUTE FUNCTION app.on_change('conversation', 'customer_id');

CREATE TRIGGER conversations_update_change AFTER UPDATE OF handler, handover_until, handover_reason, display_name, user_phone, language, opted_out_at, last_message_at ON public.conversations FOR EACH ROW WHEN (((((((((old.handler IS DISTINCT FROM new.handler) OR (old.handover_until IS DISTINCT FROM new.handover_until)) OR (old.handover_reason IS DISTINCT FROM new.handover_reason)) OR (old.display_name IS DISTINCT FROM new.display_name)) OR (old.user_phone IS DISTINCT FROM new.user_phone)) OR (old.language IS DISTINCT FROM new.language)) OR (old.opted_out_at IS DISTINCT FROM new.opted_out_at)) OR (old.last_message_at IS DISTINCT FROM new.last_message_at))) EXECUTE FUNCTION app.on_change('conversation', 'customer_id');

CREATE TRIGGER conversations_webhook_handed_over AFTER UPDATE OF handler, handover_reason, handover_until ON public.conversations FOR EACH ROW WHEN (((new.handler = 'human'::text) AND ((old.handler <> 'human'::text) OR (old.handover_until <= now()) OR (old.handover_reason IS DISTINCT FROM new.handover_reason)))) EXECUTE FUNCTION app.on_webhook_handed_over();

CREATE TRIGGER customers_plan_changed AFTER UPDATE OF plan_id ON public.customers FOR EACH ROW WHEN ((old.plan_id IS DISTINCT FROM new.plan_id)) EXECUTE FUNCTION app.on_plan_changed();

CREATE TRIGGER customers_renamed AFTER UPDATE OF name ON public.customers FOR EACH ROW WHEN ((old.name IS DISTINCT FROM new.name)) EXECUTE FUNCTION app.on_customer_renamed();

CREATE TRIGGER documents_bytes AFTER INSERT OR DELETE OR UPDATE OF status, error_code, bytes ON public.documents FOR EACH ROW EXECUTE FUNCTION app.count_bytes();

CREATE TRIGGER documents_change AFTER INSERT OR DELETE ON public.documents FOR EACH ROW EXECUTE FUNCTION app.on_change('document', 'customer_id');

CREATE TRIGGER documents_update_change AFTER UPDATE OF filename, status, error_code, pages_total, pages_done, replaces ON public.documents FOR EACH ROW WHEN (((((((old.filename IS DISTINCT FROM new.filename) OR (old.status IS DISTINCT FROM new.status)) OR (old.error_code IS DISTINCT FROM new.error_code)) OR (old.pages_total IS DISTINCT FROM new.pages_total)) OR (old.pages_done IS DISTINCT FROM new.pages_done)) OR (old.replaces IS DISTINCT FROM new.replaces))) EXECUTE FUNCTION app.on_change('document', 'customer_id');

CREATE TRIGGER documents_webhook_ended AFTER UPDATE OF status ON public.documents FOR EACH ROW WHEN (((new.status = ANY (ARRAY['processed'::text, 'failed'::text])) AND (old.status IS DISTINCT FROM new.status))) EXECUTE FUNCTION app.on_webhook_document();

CREATE TRIGGER feedback_count AFTER INSERT OR UPDATE OF is_helpful ON public.feedback FOR EACH ROW EXECUTE FUNCTION app.count_thumb();

CREATE TRIGGER llm_calls_spend AFTER INSERT ON public.llm_calls FOR EACH ROW WHEN ((new.cost_micros > 0)) EXECUTE FUNCTION app.count_spend();

CREATE TRIGGER messages_change AFTER INSERT ON public.messages FOR EACH ROW EXECUTE FUNCTION app.on_change('message', 'customer_id');

CREATE TRIGGER messages_delete_change AFTER DELETE ON public.messages FOR EACH ROW EXECUTE FUNCTION app.on_change('message', 'customer_id');

CREATE TRIGGER messages_update_change AFTER UPDATE OF answered_by, skipped_reason, sent_at, error_code, content ON public.messages FOR EACH ROW WHEN ((((((old.answered_by IS DISTINCT FROM new.answered_by) OR (old.skipped_reason IS DISTINCT FROM new.skipped_reason)) OR (old.sent_at IS DISTINCT FROM new.sent_at)) OR (old.error_code IS DISTINCT FROM new.error_code)) OR (old.content IS DISTINCT FROM new.content))) EXECUTE FUNCTION app.on_change('message', 'customer_id');

CREATE TRIGGER messages_webhook_received AFTER INSERT ON public.messages FOR EACH ROW WHEN (((new.direction = 'inbound'::text) AND (new.channel = 'whatsapp'::text))) EXECUTE FUNCTION app.on_webhook_message_received();

CREATE TRIGGER messages_webhook_waiting AFTER UPDATE OF skipped_reason ON public.messages FOR EACH ROW WHEN (((new.skipped_reason = 'quota'::text) AND (old.skipped_reason IS DISTINCT FROM new.skipped_reason))) EXECUTE FUNCTION app.on_webhook_waiting();

CREATE TRIGGER orders_change AFTER INSERT OR DELETE OR UPDATE ON public.orders FOR EACH ROW EXECUTE FUNCTION app.on_change('order', 'company_id');

CREATE TRIGGER orders_count AFTER INSERT OR DELETE OR UPDATE OF status, currency, total_amount ON public.orders FOR EACH ROW EXECUTE FUNCTION app.count_order();

CREATE TRIGGER orders_counted_on BEFORE INSERT ON public.orders FOR EACH ROW EXECUTE FUNCTION app.set_counted_on();

CREATE TRIGGER orders_customer_name_key BEFORE INSERT OR UPDATE OF customer_name ON public.orders FOR EACH ROW EXECUTE FUNCTION app.set_customer_name_key();

CREATE TRIGGER orders_webhook_created AFTER INSERT ON public.orders FOR EACH ROW EXECUTE FUNCTION app.on_webhook_order();

CREATE TRIGGER orders_webhook_updated AFTER UPDATE OF status, items, total_amount, currency, customer_name, needs_review ON public.orders FOR EACH ROW WHEN (((((((old.status IS DISTINCT FROM new.status) OR (old.items IS DISTINCT FROM new.items)) OR (old.total_amount IS DISTINCT FROM new.total_amount)) OR (old.currency IS DISTINCT FROM new.currency)) OR (old.customer_name IS DISTINCT FROM new.customer_name)) OR (old.needs_review IS DISTINCT FROM new.needs_review))) EXECUTE FUNCTION app.on_webhook_order();

CREATE TRIGGER plans_price_kept AFTER UPDATE OF stripe_price_id ON public.plans FOR EACH ROW WHEN ((old.stripe_price_id IS DISTINCT FROM new.stripe_price_id)) EXECUTE FUNCTION app.keep_plan_price();

CREATE TRIGGER products_name_key BEFORE INSERT OR UPDATE OF name ON public.products FOR EACH ROW EXECUTE FUNCTION app.set_product_name_key();

CREATE TRIGGER profiles_version BEFORE UPDATE ON public.profiles FOR EACH ROW WHEN ((old.* IS DISTINCT FROM new.*)) EXECUTE FUNCTION app.count_profile_change();

CREATE TRIGGER profiles_webhook_subscription AFTER UPDATE OF subscription_status, subscription_tier, subscription_current_period_start, subscription_current_period_end, subscription_cancel_at_period_end, subscription_cancel_at, subscription_access_until ON public.profiles FOR EACH ROW WHEN (((((((((old.subscription_status)::text IS DISTINCT FROM (new.subscription_status)::text) OR ((old.subscription_tier)::text IS DISTINCT FROM (new.subscription_tier)::text)) OR (old.subscription_current_period_start IS DISTINCT FROM new.subscription_current_period_start)) OR (old.subscription_current_period_end IS DISTINCT FROM new.subscription_current_period_end)) OR (old.subscription_cancel_at_period_end IS DISTINCT FROM new.subscription_cancel_at_period_end)) OR (old.subscription_cancel_at IS DISTINCT FROM new.subscription_cancel_at)) OR (old.subscription_access_until IS DISTINCT FROM new.subscription_access_until))) EXECUTE FUNCTION app.on_webhook_subscription();

CREATE TRIGGER usage_periods_credits AFTER INSERT OR UPDATE OF requests, request_limit ON public.usage_periods FOR EACH ROW WHEN ((new.request_limit IS NOT NULL)) EXECUTE FUNCTION app.project_plan_credits();

CREATE TRIGGER usage_periods_webhook_quota AFTER UPDATE OF requests, spent_micros ON public.usage_periods FOR EACH ROW WHEN (((new.requests > old.requests) OR (new.spent_micros > old.spent_micros))) EXECUTE FUNCTION app.on_webhook_plan_quota();

CREATE TRIGGER user_settings_credits AFTER UPDATE OF free_quota_used, free_quota_limit ON public.user_settings FOR EACH ROW EXECUTE FUNCTION app.project_credits();

CREATE TRIGGER user_settings_webhook_quota AFTER UPDATE OF free_quota_used ON public.user_settings FOR EACH ROW WHEN (((new.free_quota_used > old.free_quota_used) AND ((new.free_quota_limit - new.free_quota_used) <= 1))) EXECUTE FUNCTION app.on_webhook_free_quota();

ALTER TABLE ONLY public.activities
    ADD CONSTRAINT activities_company_id_fkey FOREIGN KEY (company_id) REFERENCES public.company_mapping(uuid) ON DELETE CASCADE;

ALTER TABLE ONLY public.activities
    ADD CONSTRAINT activities_conversation_id_fkey FOREIGN KEY (conversation_id) REFERENCES public.conversations(id) ON DELETE SET NULL;

ALTER TABLE ONLY public.approved_answers
    ADD CONSTRAINT approved_answers_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES public.customers(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.bot_sessions
    ADD CONSTRAINT bot_sessions_company_id_fkey FOREIGN KEY (company_id) REFERENCES public.company_mapping(uuid) ON DELETE CASCADE;

ALTER TABLE ONLY public.bot_usage
    ADD CONSTRAINT bot_usage_company_id_fkey FOREIGN KEY (company_id) REFERENCES public.company_mapping(uuid) ON DELETE CASCADE;

ALTER TABLE ONLY public.changes
    ADD CONSTRAINT changes_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES public.customers(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.checkout_sessions
    ADD CONSTRAINT checkout_sessions_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES public.customers(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.closed_questions
    ADD CONSTRAINT closed_questions_approved_answer_id_fkey FOREIGN KEY (approved_answer_id) REFERENCES public.approved_answers(id) ON DELETE SET NULL;

ALTER TABLE ONLY public.closed_questions
    ADD CONSTRAINT closed_questions_closed_by_fkey FOREIGN KEY (closed_by) REFERENCES public.users(id) ON DELETE SET NULL;

ALTER TABLE ONLY public.closed_questions
    ADD CONSTRAINT closed_questions_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES public.customers(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.closed_questions
    ADD CONSTRAINT closed_questions_message_id_fkey FOREIGN KEY (message_id) REFERENCES public.messages(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.company_mapping
    ADD CONSTRAINT company_mapping_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id);

ALTER TABLE ONLY public.company_mapping
    ADD CONSTRAINT company_mapping_uuid_fkey FOREIGN KEY (uuid) REFERENCES public.customers(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.company_rag_configs
    ADD CONSTRAINT company_rag_configs_company_id_fkey FOREIGN KEY (company_id) REFERENCES public.company_mapping(company_id) ON UPDATE CASCADE ON DELETE CASCADE;

ALTER TABLE ONLY public.company_rag_configs
    ADD CONSTRAINT company_rag_configs_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id);

ALTER TABLE ONLY public.config_versions
    ADD CONSTRAINT config_versions_company_id_fkey FOREIGN KEY (company_id) REFERENCES public.company_mapping(company_id) ON UPDATE CASCADE ON DELETE CASCADE;

ALTER TABLE ONLY public.conversations
    ADD CONSTRAINT conversations_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES public.customers(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.conversations
    ADD CONSTRAINT conversations_handled_by_fkey FOREIGN KEY (handled_by) REFERENCES public.users(id) ON DELETE SET NULL;

ALTER TABLE ONLY public.conversations
    ADD CONSTRAINT conversations_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE SET NULL;

ALTER TABLE ONLY public.credentials
    ADD CONSTRAINT credentials_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.customer_members
    ADD CONSTRAINT customer_members_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES public.customers(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.customer_members
    ADD CONSTRAINT customer_members_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.customers
    ADD CONSTRAINT customers_plan_id_fkey FOREIGN KEY (plan_id) REFERENCES public.plans(id);

ALTER TABLE ONLY public.customers
    ADD CONSTRAINT customers_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id);

ALTER TABLE ONLY public.document_chunks
    ADD CONSTRAINT document_chunks_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES public.customers(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.document_chunks
    ADD CONSTRAINT document_chunks_document_id_fkey FOREIGN KEY (document_id, customer_id) REFERENCES public.documents(id, customer_id) ON DELETE CASCADE;

ALTER TABLE ONLY public.document_pages
    ADD CONSTRAINT document_pages_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES public.customers(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.document_pages
    ADD CONSTRAINT document_pages_document_id_fkey FOREIGN KEY (document_id, customer_id) REFERENCES public.documents(id, customer_id) ON DELETE CASCADE;

ALTER TABLE ONLY public.documents
    ADD CONSTRAINT documents_company_id_fkey FOREIGN KEY (company_id) REFERENCES public.company_mapping(company_id) ON UPDATE CASCADE ON DELETE CASCADE;

ALTER TABLE ONLY public.documents
    ADD CONSTRAINT documents_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES public.customers(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.exports
    ADD CONSTRAINT exports_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES public.customers(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.feedback
    ADD CONSTRAINT feedback_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES public.customers(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.feedback
    ADD CONSTRAINT feedback_message_id_fkey FOREIGN KEY (message_id) REFERENCES public.messages(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.feedback
    ADD CONSTRAINT feedback_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.first_answer_times
    ADD CONSTRAINT first_answer_times_company_id_fkey FOREIGN KEY (company_id) REFERENCES public.company_mapping(uuid) ON DELETE CASCADE;

ALTER TABLE ONLY public.golden_questions
    ADD CONSTRAINT golden_questions_approved_answer_id_fkey FOREIGN KEY (approved_answer_id, customer_id) REFERENCES public.approved_answers(id, customer_id) ON DELETE CASCADE;

ALTER TABLE ONLY public.golden_questions
    ADD CONSTRAINT golden_questions_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES public.customers(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.golden_questions
    ADD CONSTRAINT golden_questions_document_id_fkey FOREIGN KEY (document_id, customer_id) REFERENCES public.documents(id, customer_id) ON DELETE CASCADE;

ALTER TABLE ONLY public.idempotency_keys
    ADD CONSTRAINT idempotency_keys_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES public.customers(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.ingest_slots
    ADD CONSTRAINT ingest_slots_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES public.customers(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.ingest_slots
    ADD CONSTRAINT ingest_slots_document_id_fkey FOREIGN KEY (document_id, customer_id) REFERENCES public.documents(id, customer_id) ON DELETE CASCADE;

ALTER TABLE ONLY public.invitations
    ADD CONSTRAINT invitations_created_by_fkey FOREIGN KEY (created_by) REFERENCES public.users(id) ON DELETE SET NULL;

ALTER TABLE ONLY public.invitations
    ADD CONSTRAINT invitations_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES public.customers(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.invitations
    ADD CONSTRAINT invitations_used_by_fkey FOREIGN KEY (used_by) REFERENCES public.users(id) ON DELETE SET NULL;

ALTER TABLE ONLY public.jobs
    ADD CONSTRAINT jobs_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES public.customers(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.llm_calls
    ADD CONSTRAINT llm_calls_conversation_id_fkey FOREIGN KEY (conversation_id) REFERENCES public.conversations(id) ON DELETE SET NULL;

ALTER TABLE ONLY public.llm_calls
    ADD CONSTRAINT llm_calls_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES public.customers(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.messages
    ADD CONSTRAINT messages_answered_by_fkey FOREIGN KEY (answered_by) REFERENCES public.messages(id) ON DELETE SET NULL;

ALTER TABLE ONLY public.messages
    ADD CONSTRAINT messages_conversation_id_fkey FOREIGN KEY (conversation_id, customer_id) REFERENCES public.conversations(id, customer_id) ON DELETE CASCADE;

ALTER TABLE ONLY public.messages
    ADD CONSTRAINT messages_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES public.customers(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.messages
    ADD CONSTRAINT messages_sent_by_fkey FOREIGN KEY (sent_by) REFERENCES public.users(id) ON DELETE SET NULL;

ALTER TABLE ONLY public.order_days
    ADD CONSTRAINT order_days_company_id_fkey FOREIGN KEY (company_id) REFERENCES public.company_mapping(uuid) ON DELETE CASCADE;

ALTER TABLE ONLY public.orders
    ADD CONSTRAINT orders_company_id_fkey FOREIGN KEY (company_id) REFERENCES public.company_mapping(uuid) ON DELETE CASCADE;

ALTER TABLE ONLY public.orders
    ADD CONSTRAINT orders_conversation_id_fkey FOREIGN KEY (conversation_id) REFERENCES public.conversations(id) ON DELETE SET NULL;

ALTER TABLE ONLY public.outbox
    ADD CONSTRAINT outbox_conversation_id_fkey FOREIGN KEY (conversation_id, customer_id) REFERENCES public.conversations(id, customer_id) ON DELETE CASCADE;

ALTER TABLE ONLY public.outbox
    ADD CONSTRAINT outbox_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES public.customers(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.outbox
    ADD CONSTRAINT outbox_message_id_fkey FOREIGN KEY (message_id) REFERENCES public.messages(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.password_resets
    ADD CONSTRAINT password_resets_created_by_fkey FOREIGN KEY (created_by) REFERENCES public.users(id) ON DELETE SET NULL;

ALTER TABLE ONLY public.password_resets
    ADD CONSTRAINT password_resets_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES public.customers(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.password_resets
    ADD CONSTRAINT password_resets_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.plan_prices
    ADD CONSTRAINT plan_prices_plan_id_fkey FOREIGN KEY (plan_id) REFERENCES public.plans(id);

ALTER TABLE ONLY public.preview_counts
    ADD CONSTRAINT preview_counts_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES public.customers(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.products
    ADD CONSTRAINT products_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES public.customers(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.profiles
    ADD CONSTRAINT profiles_id_fkey FOREIGN KEY (id) REFERENCES public.users(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.reembedded_chunks
    ADD CONSTRAINT reembedded_chunks_chunk_id_fkey FOREIGN KEY (chunk_id) REFERENCES public.document_chunks(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.reembedded_chunks
    ADD CONSTRAINT reembedded_chunks_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES public.customers(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.refresh_sessions
    ADD CONSTRAINT refresh_sessions_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.reservations
    ADD CONSTRAINT reservations_conversation_id_fkey FOREIGN KEY (conversation_id) REFERENCES public.conversations(id) ON DELETE SET NULL;

ALTER TABLE ONLY public.reservations
    ADD CONSTRAINT reservations_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES public.customers(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.reservations
    ADD CONSTRAINT reservations_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.tenant_notices
    ADD CONSTRAINT tenant_notices_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES public.customers(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.unread_webhook_bodies
    ADD CONSTRAINT unread_webhook_bodies_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES public.customers(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.usage_periods
    ADD CONSTRAINT usage_periods_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES public.customers(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.usage_periods
    ADD CONSTRAINT usage_periods_plan_id_fkey FOREIGN KEY (plan_id) REFERENCES public.plans(id);

ALTER TABLE ONLY public.user_settings
    ADD CONSTRAINT user_settings_user_id_fkey FOREIGN KEY (user_id) REFERENCES public.users(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.webhook_deliveries
    ADD CONSTRAINT webhook_deliveries_conversation_id_fkey FOREIGN KEY (conversation_id, customer_id) REFERENCES public.conversations(id, customer_id) ON DELETE CASCADE;

ALTER TABLE ONLY public.webhook_deliveries
    ADD CONSTRAINT webhook_deliveries_endpoint_id_fkey FOREIGN KEY (endpoint_id, customer_id) REFERENCES public.webhook_endpoints(id, customer_id) ON DELETE CASCADE;

ALTER TABLE ONLY public.webhook_endpoints
    ADD CONSTRAINT webhook_endpoints_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES public.customers(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.webhook_secrets
    ADD CONSTRAINT webhook_secrets_customer_id_fkey FOREIGN KEY (customer_id) REFERENCES public.customers(id) ON DELETE CASCADE;

ALTER TABLE public.activities ENABLE ROW LEVEL SECURITY;

CREATE POLICY activities_own ON public.activities FOR SELECT TO authenticated USING ((company_id = ANY (( SELECT app.tenants() AS tenants)::uuid[])));

CREATE POLICY activities_system ON public.activities TO lisa_system USING (true) WITH CHECK (true);

CREATE POLICY activities_tenant ON public.activities TO lisa_tenant USING ((company_id = ( SELECT app.current_customer() AS current_customer))) WITH CHECK ((company_id = ( SELECT app.current_customer() AS current_customer)));

ALTER TABLE public.approved_answers ENABLE ROW LEVEL SECURITY;

CREATE POLICY approved_answers_system ON public.approved_answers TO lisa_system USING (true) WITH CHECK (true);

CREATE POLICY approved_answers_tenant ON public.approved_answers TO lisa_tenant USING ((customer_id = ( SELECT app.current_customer() AS current_customer))) WITH CHECK ((customer_id = ( SELECT app.current_customer() AS current_customer)));

ALTER TABLE public.audit_heads ENABLE ROW LEVEL SECURITY;

ALTER TABLE public.audit_log ENABLE ROW LEVEL SECURITY;

CREATE POLICY audit_log_system ON public.audit_log FOR SELECT TO lisa_system USING (true);

CREATE POLICY audit_log_tenant ON public.audit_log FOR SELECT TO lisa_tenant USING ((customer_id = ( SELECT app.current_customer() AS current_customer)));

ALTER TABLE public.billing_notices ENABLE ROW LEVEL SECURITY;

CREATE POLICY billing_notices_system ON public.billing_notices TO lisa_system USING (true) WITH CHECK (true);

ALTER TABLE public.billing_records ENABLE ROW LEVEL SECURITY;

CREATE POLICY billing_records_system ON public.billing_records TO lisa_system USING (true) WITH CHECK (true);

CREATE POLICY billing_records_tenant ON public.billing_records FOR SELECT TO lisa_tenant USING ((customer_id = ( SELECT app.current_customer() AS current_customer)));

ALTER TABLE public.bot_sessions ENABLE ROW LEVEL SECURITY;

CREATE POLICY bot_sessions_own ON public.bot_sessions FOR SELECT TO authenticated USING ((company_id = ANY (( SELECT app.tenants() AS tenants)::uuid[])));

CREATE POLICY bot_sessions_system ON public.bot_sessions TO lisa_system USING (true) WITH CHECK (true);

CREATE POLICY bot_sessions_tenant ON public.bot_sessions TO lisa_tenant USING ((company_id = ( SELECT app.current_customer() AS current_customer))) WITH CHECK ((company_id = ( SELECT app.current_customer() AS current_customer)));

ALTER TABLE public.bot_usage ENABLE ROW LEVEL SECURITY;

CREATE POLICY bot_usage_own ON public.bot_usage FOR SELECT TO authenticated USING ((company_id = ANY (( SELECT app.tenants() AS tenants)::uuid[])));

CREATE POLICY bot_usage_system ON public.bot_usage TO lisa_system USING (true) WITH CHECK (true);

CREATE POLICY bot_usage_tenant ON public.bot_usage TO lisa_tenant USING ((company_id = ( SELECT app.current_customer() AS current_customer))) WITH CHECK ((company_id = ( SELECT app.current_customer() AS current_customer)));

ALTER TABLE public.changes ENABLE ROW LEVEL SECURITY;

CREATE POLICY changes_system ON public.changes TO lisa_system USING (true) WITH CHECK (true);

CREATE POLICY changes_tenant ON public.changes FOR SELECT TO lisa_tenant USING ((customer_id = ( SELECT app.current_customer() AS current_customer)));

ALTER TABLE public.checkout_sessions ENABLE ROW LEVEL SECURITY;

CREATE POLICY checkout_sessions_system ON public.checkout_sessions TO lisa_system USING (true) WITH CHECK (true);

CREATE POLICY checkout_sessions_tenant ON public.checkout_sessions TO lisa_tenant USING ((customer_id = ( SELECT app.current_customer() AS current_customer))) WITH CHECK ((customer_id = ( SELECT app.current_customer() AS current_customer)));

ALTER TABLE public.closed_questions ENABLE ROW LEVEL SECURITY;

CREATE POLICY closed_questions_system ON public.closed_questions TO lisa_system USING (true) WITH CHECK (true);

CREATE POLICY closed_questions_tenant ON public.closed_questions TO lisa_tenant USING ((customer_id = ( SELECT app.current_customer() AS current_customer))) WITH CHECK ((customer_id = ( SELECT app.current_customer() AS current_customer)));

ALTER TABLE public.company_mapping ENABLE ROW LEVEL SECURITY;

CREATE POLICY company_mapping_own ON public.company_mapping FOR SELECT TO authenticated USING ((uuid = ANY (( SELECT app.tenants() AS tenants)::uuid[])));

CREATE POLICY company_mapping_system ON public.company_mapping TO lisa_system USING (true) WITH CHECK (true);

CREATE POLICY company_mapping_tenant ON public.company_mapping FOR SELECT TO lisa_tenant USING ((uuid = ( SELECT app.current_customer() AS current_customer)));

ALTER TABLE public.company_rag_configs ENABLE ROW LEVEL SECURITY;

CREATE POLICY company_rag_configs_own ON public.company_rag_configs FOR SELECT TO authenticated USING ((company_id = ANY (( SELECT app.companies() AS companies)::text[])));

CREATE POLICY company_rag_configs_own_update ON public.company_rag_configs FOR UPDATE TO authenticated USING (((user_id = ( SELECT auth.uid() AS uid)) AND (company_id = ANY (( SELECT app.companies() AS companies)::text[])))) WITH CHECK ((user_id = ( SELECT auth.uid() AS uid)));

CREATE POLICY company_rag_configs_system ON public.company_rag_configs TO lisa_system USING (true) WITH CHECK (true);

CREATE POLICY company_rag_configs_tenant ON public.company_rag_configs FOR SELECT TO lisa_tenant USING ((company_id = ( SELECT app.current_company() AS current_company)));

CREATE POLICY company_rag_configs_tenant_update ON public.company_rag_configs FOR UPDATE TO lisa_tenant USING ((company_id = ( SELECT app.current_company() AS current_company))) WITH CHECK ((company_id = ( SELECT app.current_company() AS current_company)));

ALTER TABLE public.config_versions ENABLE ROW LEVEL SECURITY;

CREATE POLICY config_versions_system ON public.config_versions TO lisa_system USING (true) WITH CHECK (true);

CREATE POLICY config_versions_tenant ON public.config_versions FOR SELECT TO lisa_tenant USING ((company_id = ( SELECT app.current_company() AS current_company)));

ALTER TABLE public.conversations ENABLE ROW LEVEL SECURITY;

CREATE POLICY conversations_own ON public.conversations FOR SELECT TO authenticated USING ((customer_id = ANY (( SELECT app.tenants() AS tenants)::uuid[])));

CREATE POLICY conversations_system ON public.conversations TO lisa_system USING (true) WITH CHECK (true);

CREATE POLICY conversations_tenant ON public.conversations TO lisa_tenant USING ((customer_id = ( SELECT app.current_customer() AS current_customer))) WITH CHECK ((customer_id = ( SELECT app.current_customer() AS current_customer)));

ALTER TABLE public.credentials ENABLE ROW LEVEL SECURITY;

CREATE POLICY credentials_system ON public.credentials TO lisa_system USING (true) WITH CHECK (true);

ALTER TABLE public.customer_members ENABLE ROW LEVEL SECURITY;

CREATE POLICY customer_members_system ON public.customer_members TO lisa_system USING (true) WITH CHECK (true);

CREATE POLICY customer_members_tenant ON public.customer_members FOR SELECT TO lisa_tenant USING ((customer_id = ( SELECT app.current_customer() AS current_customer)));

CREATE POLICY customer_members_tenant_delete ON public.customer_members FOR DELETE TO lisa_tenant USING (((customer_id = ( SELECT app.current_customer() AS current_customer)) AND (user_id <> ( SELECT app.current_owner() AS current_owner))));

ALTER TABLE public.customers ENABLE ROW LEVEL SECURITY;

CREATE POLICY customers_system ON public.customers TO lisa_system USING (true) WITH CHECK (true);

CREATE POLICY customers_tenant ON public.customers FOR SELECT TO lisa_tenant USING ((id = ( SELECT app.current_customer() AS current_customer)));

CREATE POLICY customers_tenant_update ON public.customers FOR UPDATE TO lisa_tenant USING ((id = ( SELECT app.current_customer() AS current_customer))) WITH CHECK ((id = ( SELECT app.current_customer() AS current_customer)));

ALTER TABLE public.document_chunks ENABLE ROW LEVEL SECURITY;

CREATE POLICY document_chunks_system ON public.document_chunks TO lisa_system USING (true) WITH CHECK (true);

CREATE POLICY document_chunks_tenant ON public.document_chunks TO lisa_tenant USING ((customer_id = ( SELECT app.current_customer() AS current_customer))) WITH CHECK ((customer_id = ( SELECT app.current_customer() AS current_customer)));

ALTER TABLE public.document_pages ENABLE ROW LEVEL SECURITY;

CREATE POLICY document_pages_system ON public.document_pages TO lisa_system USING (true) WITH CHECK (true);

CREATE POLICY document_pages_tenant ON public.document_pages TO lisa_tenant USING ((customer_id = ( SELECT app.current_customer() AS current_customer))) WITH CHECK ((customer_id = ( SELECT app.current_customer() AS current_customer)));

ALTER TABLE public.documents ENABLE ROW LEVEL SECURITY;

CREATE POLICY documents_own ON public.documents FOR SELECT TO authenticated USING ((customer_id = ANY (( SELECT app.tenants() AS tenants)::uuid[])));

CREATE POLICY documents_system ON public.documents TO lisa_system USING (true) WITH CHECK (true);

CREATE POLICY documents_tenant ON public.documents TO lisa_tenant USING ((customer_id = ( SELECT app.current_customer() AS current_customer))) WITH CHECK (((customer_id = ( SELECT app.current_customer() AS current_customer)) AND (company_id = ( SELECT app.current_company() AS current_company))));

ALTER TABLE public.exports ENABLE ROW LEVEL SECURITY;

CREATE POLICY exports_system ON public.exports TO lisa_system USING (true) WITH CHECK (true);

CREATE POLICY exports_tenant ON public.exports TO lisa_tenant USING ((customer_id = ( SELECT app.current_customer() AS current_customer))) WITH CHECK ((customer_id = ( SELECT app.current_customer() AS current_customer)));

ALTER TABLE public.failed_sign_ins ENABLE ROW LEVEL SECURITY;

CREATE POLICY failed_sign_ins_system ON public.failed_sign_ins TO lisa_system USING (true) WITH CHECK (true);

ALTER TABLE public.feedback ENABLE ROW LEVEL SECURITY;

CREATE POLICY feedback_system ON public.feedback TO lisa_system USING (true) WITH CHECK (true);

CREATE POLICY feedback_tenant ON public.feedback TO lisa_tenant USING ((customer_id = ( SELECT app.current_customer() AS current_customer))) WITH CHECK ((customer_id = ( SELECT app.current_customer() AS current_customer)));

ALTER TABLE public.first_answer_times ENABLE ROW LEVEL SECURITY;

CREATE POLICY first_answer_times_system ON public.first_answer_times TO lisa_system USING (true) WITH CHECK (true);

CREATE POLICY first_answer_times_tenant ON public.first_answer_times TO lisa_tenant USING ((company_id = ( SELECT app.current_customer() AS current_customer))) WITH CHECK ((company_id = ( SELECT app.current_customer() AS current_customer)));

ALTER TABLE public.golden_questions ENABLE ROW LEVEL SECURITY;

CREATE POLICY golden_questions_system ON public.golden_questions TO lisa_system USING (true) WITH CHECK (true);

CREATE POLICY golden_questions_tenant ON public.golden_questions TO lisa_tenant USING ((customer_id = ( SELECT app.current_customer() AS current_customer))) WITH CHECK ((customer_id = ( SELECT app.current_customer() AS current_customer)));

ALTER TABLE public.idempotency_keys ENABLE ROW LEVEL SECURITY;

CREATE POLICY idempotency_keys_system ON public.idempotency_keys TO lisa_system USING (true) WITH CHECK (true);

CREATE POLICY idempotency_keys_tenant ON public.idempotency_keys TO lisa_tenant USING ((customer_id = ( SELECT app.current_customer() AS current_customer))) WITH CHECK ((customer_id = ( SELECT app.current_customer() AS current_customer)));

ALTER TABLE public.ingest_slots ENABLE ROW LEVEL SECURITY;

CREATE POLICY ingest_slots_system ON public.ingest_slots TO lisa_system USING (true) WITH CHECK (true);

CREATE POLICY ingest_slots_tenant ON public.ingest_slots TO lisa_tenant USING ((customer_id = ( SELECT app.current_customer() AS current_customer))) WITH CHECK ((customer_id = ( SELECT app.current_customer() AS current_customer)));

ALTER TABLE public.invitations ENABLE ROW LEVEL SECURITY;

CREATE POLICY invitations_system ON public.invitations TO lisa_system USING (true) WITH CHECK (true);

CREATE POLICY invitations_tenant ON public.invitations TO lisa_tenant USING ((customer_id = ( SELECT app.current_customer() AS current_customer))) WITH CHECK ((customer_id = ( SELECT app.current_customer() AS current_customer)));

ALTER TABLE public.jobs ENABLE ROW LEVEL SECURITY;

CREATE POLICY jobs_system ON public.jobs TO lisa_system USING (true) WITH CHECK (true);

CREATE POLICY jobs_tenant ON public.jobs TO lisa_tenant USING ((customer_id = ( SELECT app.current_customer() AS current_customer))) WITH CHECK ((customer_id = ( SELECT app.current_customer() AS current_customer)));

ALTER TABLE public.llm_calls ENABLE ROW LEVEL SECURITY;

CREATE POLICY llm_calls_system ON public.llm_calls TO lisa_system USING (true) WITH CHECK (true);

CREATE POLICY llm_calls_tenant ON public.llm_calls TO lisa_tenant USING ((customer_id = ( SELECT app.current_customer() AS current_customer))) WITH CHECK ((customer_id = ( SELECT app.current_customer() AS current_customer)));

ALTER TABLE public.messages ENABLE ROW LEVEL SECURITY;

CREATE POLICY messages_own ON public.messages FOR SELECT TO authenticated USING ((customer_id = ANY (( SELECT app.tenants() AS tenants)::uuid[])));

CREATE POLICY messages_system ON public.messages TO lisa_system USING (true) WITH CHECK (true);

CREATE POLICY messages_tenant ON public.messages TO lisa_tenant USING ((customer_id = ( SELECT app.current_customer() AS current_customer))) WITH CHECK ((customer_id = ( SELECT app.current_customer() AS current_customer)));

ALTER TABLE public.order_days ENABLE ROW LEVEL SECURITY;

CREATE POLICY order_days_system ON public.order_days TO lisa_system USING (true) WITH CHECK (true);

CREATE POLICY order_days_tenant ON public.order_days FOR SELECT TO lisa_tenant USING ((company_id = ( SELECT app.current_customer() AS current_customer)));

ALTER TABLE public.orders ENABLE ROW LEVEL SECURITY;

CREATE POLICY orders_own ON public.orders FOR SELECT TO authenticated USING ((company_id = ANY (( SELECT app.tenants() AS tenants)::uuid[])));

CREATE POLICY orders_system ON public.orders TO lisa_system USING (true) WITH CHECK (true);

CREATE POLICY orders_tenant ON public.orders TO lisa_tenant USING ((company_id = ( SELECT app.current_customer() AS current_customer))) WITH CHECK ((company_id = ( SELECT app.current_customer() AS current_customer)));

ALTER TABLE public.outbox ENABLE ROW LEVEL SECURITY;

CREATE POLICY outbox_system ON public.outbox TO lisa_system USING (true) WITH CHECK (true);

CREATE POLICY outbox_tenant ON public.outbox TO lisa_tenant USING ((customer_id = ( SELECT app.current_customer() AS current_customer))) WITH CHECK ((customer_id = ( SELECT app.current_customer() AS current_customer)));

ALTER TABLE public.password_resets ENABLE ROW LEVEL SECURITY;

CREATE POLICY password_resets_system ON public.password_resets TO lisa_system USING (true) WITH CHECK (true);

ALTER TABLE public.plan_prices ENABLE ROW LEVEL SECURITY;

CREATE POLICY plan_prices_system ON public.plan_prices TO lisa_system USING (true) WITH CHECK (true);

ALTER TABLE public.plans ENABLE ROW LEVEL SECURITY;

CREATE POLICY plans_system ON public.plans TO lisa_system USING (true) WITH CHECK (true);

CREATE POLICY plans_tenant ON public.plans FOR SELECT TO lisa_tenant USING (true);

ALTER TABLE public.preview_counts ENABLE ROW LEVEL SECURITY;

CREATE POLICY preview_counts_system ON public.preview_counts TO lisa_system USING (true) WITH CHECK (true);

CREATE POLICY preview_counts_tenant ON public.preview_counts TO lisa_tenant USING ((customer_id = ( SELECT app.current_customer() AS current_customer))) WITH CHECK ((customer_id = ( SELECT app.current_customer() AS current_customer)));

ALTER TABLE public.products ENABLE ROW LEVEL SECURITY;

CREATE POLICY products_system ON public.products TO lisa_system USING (true) WITH CHECK (true);

CREATE POLICY products_tenant ON public.products TO lisa_tenant USING ((customer_id = ( SELECT app.current_customer() AS current_customer))) WITH CHECK ((customer_id = ( SELECT app.current_customer() AS current_customer)));

ALTER TABLE public.profiles ENABLE ROW LEVEL SECURITY;

CREATE POLICY profiles_own ON public.profiles FOR SELECT TO authenticated USING ((id = ( SELECT auth.uid() AS uid)));

CREATE POLICY profiles_own_update ON public.profiles FOR UPDATE TO authenticated USING ((id = ( SELECT auth.uid() AS uid))) WITH CHECK ((id = ( SELECT auth.uid() AS uid)));

CREATE POLICY profiles_system ON public.profiles TO lisa_system USING (true) WITH CHECK (true);

CREATE POLICY profiles_tenant ON public.profiles FOR SELECT TO lisa_tenant USING ((id = ( SELECT app.current_owner() AS current_owner)));

ALTER TABLE public.purges ENABLE ROW LEVEL SECURITY;

CREATE POLICY purges_system ON public.purges TO lisa_system USING (true) WITH CHECK (true);

ALTER TABLE public.rate_limits ENABLE ROW LEVEL SECURITY;

CREATE POLICY rate_limits_system ON public.rate_limits TO lisa_system USING (true);

ALTER TABLE public.reembedded_chunks ENABLE ROW LEVEL SECURITY;

CREATE POLICY reembedded_chunks_system ON public.reembedded_chunks TO lisa_system USING (true) WITH CHECK (true);

ALTER TABLE public.refresh_sessions ENABLE ROW LEVEL SECURITY;

CREATE POLICY refresh_sessions_system ON public.refresh_sessions TO lisa_system USING (true) WITH CHECK (true);

ALTER TABLE public.reservations ENABLE ROW LEVEL SECURITY;

CREATE POLICY reservations_system ON public.reservations TO lisa_system USING (true) WITH CHECK (true);

CREATE POLICY reservations_tenant ON public.reservations TO lisa_tenant USING ((customer_id = ( SELECT app.current_customer() AS current_customer))) WITH CHECK (((customer_id = ( SELECT app.current_customer() AS current_customer)) AND (user_id = ( SELECT app.current_owner() AS current_owner))));

ALTER TABLE public.task_progress ENABLE ROW LEVEL SECURITY;

CREATE POLICY task_progress_system ON public.task_progress TO lisa_system USING (true) WITH CHECK (true);

ALTER TABLE public.tenant_notices ENABLE ROW LEVEL SECURITY;

CREATE POLICY tenant_notices_system ON public.tenant_notices TO lisa_system USING (true) WITH CHECK (true);

CREATE POLICY tenant_notices_tenant ON public.tenant_notices TO lisa_tenant USING ((customer_id = ( SELECT app.current_customer() AS current_customer))) WITH CHECK ((customer_id = ( SELECT app.current_customer() AS current_customer)));

ALTER TABLE public.unconfirmed_days ENABLE ROW LEVEL SECURITY;

CREATE POLICY unconfirmed_days_system ON public.unconfirmed_days TO lisa_system USING (true) WITH CHECK (true);

ALTER TABLE public.unread_webhook_bodies ENABLE ROW LEVEL SECURITY;

CREATE POLICY unread_webhook_bodies_system ON public.unread_webhook_bodies TO lisa_system USING (true) WITH CHECK (true);

CREATE POLICY unread_webhook_bodies_tenant ON public.unread_webhook_bodies TO lisa_tenant USING ((customer_id = ( SELECT app.current_customer() AS current_customer))) WITH CHECK ((customer_id = ( SELECT app.current_customer() AS current_customer)));

ALTER TABLE public.usage_periods ENABLE ROW LEVEL SECURITY;

CREATE POLICY usage_periods_system ON public.usage_periods TO lisa_system USING (true) WITH CHECK (true);

CREATE POLICY usage_periods_tenant ON public.usage_periods TO lisa_tenant USING ((customer_id = ( SELECT app.current_customer() AS current_customer))) WITH CHECK ((customer_id = ( SELECT app.current_customer() AS current_customer)));

ALTER TABLE public.user_settings ENABLE ROW LEVEL SECURITY;

CREATE POLICY user_settings_own ON public.user_settings FOR SELECT TO authenticated USING ((user_id = ( SELECT auth.uid() AS uid)));

CREATE POLICY user_settings_system ON public.user_settings TO lisa_system USING (true) WITH CHECK (true);

CREATE POLICY user_settings_tenant ON public.user_settings TO lisa_tenant USING ((user_id = ( SELECT app.current_owner() AS current_owner)));

ALTER TABLE public.users ENABLE ROW LEVEL SECURITY;

CREATE POLICY users_own ON public.users FOR SELECT TO authenticated USING ((id = ( SELECT auth.uid() AS uid)));

CREATE POLICY users_system ON public.users TO lisa_system USING (true) WITH CHECK (true);

CREATE POLICY users_tenant ON public.users FOR SELECT TO lisa_tenant USING ((id = ( SELECT app.current_owner() AS current_owner)));

ALTER TABLE public.webhook_deliveries ENABLE ROW LEVEL SECURITY;

CREATE POLICY webhook_deliveries_system ON public.webhook_deliveries TO lisa_system USING (true) WITH CHECK (true);

CREATE POLICY webhook_deliveries_tenant ON public.webhook_deliveries TO lisa_tenant USING ((customer_id = ( SELECT app.current_customer() AS current_customer))) WITH CHECK ((customer_id = ( SELECT app.current_customer() AS current_customer)));

ALTER TABLE public.webhook_endpoints ENABLE ROW LEVEL SECURITY;

CREATE POLICY webhook_endpoints_system ON public.webhook_endpoints TO lisa_system USING (true) WITH CHECK (true);

CREATE POLICY webhook_endpoints_tenant ON public.webhook_endpoints TO lisa_tenant USING ((customer_id = ( SELECT app.current_customer() AS current_customer))) WITH CHECK ((customer_id = ( SELECT app.current_customer() AS current_customer)));

ALTER TABLE public.webhook_secrets ENABLE ROW LEVEL SECURITY;

CREATE POLICY webhook_secrets_system ON public.webhook_secrets TO lisa_system USING (true) WITH CHECK (true);

CREATE POLICY webhook_secrets_tenant ON public.webhook_secrets TO lisa_tenant USING ((customer_id = ( SELECT app.current_customer() AS current_customer))) WITH CHECK ((customer_id = ( SELECT app.current_customer() AS current_customer)));

GRANT USAGE ON SCHEMA app TO lisa_app;
GRANT USAGE ON SCHEMA app TO lisa_tenant;
GRANT USAGE ON SCHEMA app TO lisa_system;
GRANT USAGE ON SCHEMA app TO authenticated;

GRANT USAGE ON SCHEMA auth TO anon;
GRANT USAGE ON SCHEMA auth TO authenticated;
GRANT USAGE ON SCHEMA auth TO service_role;

GRANT USAGE ON SCHEMA billing TO lisa_system;

GRANT USAGE ON SCHEMA public TO lisa_app;
GRANT USAGE ON SCHEMA public TO lisa_tenant;
GRANT USAGE ON SCHEMA public TO lisa_system;
GRANT USAGE ON SCHEMA public TO anon;
GRANT USAGE ON SCHEMA public TO authenticated;
GRANT USAGE ON SCHEMA public TO service_role;

REVOKE ALL ON FUNCTION app.add_months(moment timestamp with time zone, months integer) FROM PUBLIC;

REVOKE ALL ON FUNCTION app.add_to_order_day(company uuid, day date, currency_code text, order_status text, step integer, amount numeric) FROM PUBLIC;

REVOKE ALL ON FUNCTION app.address_placeholder(account uuid) FROM PUBLIC;

REVOKE ALL ON FUNCTION app.audit(tenant uuid, actor uuid, action text, object text, request_id text, details jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION app.audit(tenant uuid, actor uuid, action text, object text, request_id text, details jsonb) TO lisa_system;

GRANT SELECT ON TABLE public.audit_log TO lisa_tenant;
GRANT SELECT ON TABLE public.audit_log TO lisa_system;

REVOKE ALL ON FUNCTION app.audit_digest(entry public.audit_log) FROM PUBLIC;

REVOKE ALL ON FUNCTION app.audit_faults() FROM PUBLIC;
GRANT ALL ON FUNCTION app.audit_faults() TO lisa_system;

REVOKE ALL ON FUNCTION app.audit_own(actor uuid, action text, object text, request_id text, details jsonb) FROM PUBLIC;
GRANT ALL ON FUNCTION app.audit_own(actor uuid, action text, object text, request_id text, details jsonb) TO lisa_tenant;

REVOKE ALL ON FUNCTION app.change_lock_key(tenant uuid) FROM PUBLIC;

REVOKE ALL ON FUNCTION app.changes_after(after bigint, most integer) FROM PUBLIC;
GRANT ALL ON FUNCTION app.changes_after(after bigint, most integer) TO lisa_tenant;

REVOKE ALL ON FUNCTION app.changes_bound() FROM PUBLIC;
GRANT ALL ON FUNCTION app.changes_bound() TO lisa_tenant;

REVOKE ALL ON FUNCTION app.companies() FROM PUBLIC;
GRANT ALL ON FUNCTION app.companies() TO authenticated;

REVOKE ALL ON FUNCTION app.count_bytes() FROM PUBLIC;

REVOKE ALL ON FUNCTION app.count_failed_sign_in(account uuid, failed_action text, request_id text) FROM PUBLIC;
GRANT ALL ON FUNCTION app.count_failed_sign_in(account uuid, failed_action text, request_id text) TO lisa_system;

REVOKE ALL ON FUNCTION app.count_order() FROM PUBLIC;

REVOKE ALL ON FUNCTION app.count_profile_change() FROM PUBLIC;

REVOKE ALL ON FUNCTION app.count_spend() FROM PUBLIC;

REVOKE ALL ON FUNCTION app.count_thumb() FROM PUBLIC;

REVOKE ALL ON FUNCTION app.current_company() FROM PUBLIC;
GRANT ALL ON FUNCTION app.current_company() TO lisa_tenant;

REVOKE ALL ON FUNCTION app.current_customer() FROM PUBLIC;
GRANT ALL ON FUNCTION app.current_customer() TO lisa_tenant;
GRANT ALL ON FUNCTION app.current_customer() TO lisa_system;

REVOKE ALL ON FUNCTION app.current_owner() FROM PUBLIC;
GRANT ALL ON FUNCTION app.current_owner() TO lisa_tenant;

REVOKE ALL ON FUNCTION app.deleted_membership(caller uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION app.deleted_membership(caller uuid) TO lisa_app;

REVOKE ALL ON FUNCTION app.end_account(account uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION app.end_account(account uuid) TO lisa_system;

REVOKE ALL ON FUNCTION app.fold_name(name text) FROM PUBLIC;
GRANT ALL ON FUNCTION app.fold_name(name text) TO lisa_tenant;
GRANT ALL ON FUNCTION app.fold_name(name text) TO lisa_system;

REVOKE ALL ON FUNCTION app.free_quota_limit() FROM PUBLIC;

REVOKE ALL ON FUNCTION app.has_auth_address(account uuid, address text) FROM PUBLIC;

REVOKE ALL ON FUNCTION app.has_paid_plan(is_pro boolean, access_until timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION app.has_paid_plan(is_pro boolean, access_until timestamp with time zone) TO lisa_tenant;

REVOKE ALL ON FUNCTION app.has_subscription(account uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION app.has_subscription(account uuid) TO lisa_system;

REVOKE ALL ON FUNCTION app.has_webhook_endpoint(tenant uuid) FROM PUBLIC;

REVOKE ALL ON FUNCTION app.is_confirmed(account uuid) FROM PUBLIC;

REVOKE ALL ON FUNCTION app.is_only_support_of(tenant uuid, account uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION app.is_only_support_of(tenant uuid, account uuid) TO lisa_system;

REVOKE ALL ON FUNCTION app.issue_password_reset(member uuid, issuer uuid, token_sha256 bytea, hours integer) FROM PUBLIC;
GRANT ALL ON FUNCTION app.issue_password_reset(member uuid, issuer uuid, token_sha256 bytea, hours integer) TO lisa_tenant;

REVOKE ALL ON FUNCTION app.keep_config_version() FROM PUBLIC;

REVOKE ALL ON FUNCTION app.keep_plan_price() FROM PUBLIC;

REVOKE ALL ON FUNCTION app.legacy_condition(relation text) FROM PUBLIC;

REVOKE ALL ON FUNCTION app.legacy_rank(relation text) FROM PUBLIC;
GRANT ALL ON FUNCTION app.legacy_rank(relation text) TO lisa_system;

REVOKE ALL ON FUNCTION app.memberships(caller uuid, wanted uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION app.memberships(caller uuid, wanted uuid) TO lisa_app;
GRANT ALL ON FUNCTION app.memberships(caller uuid, wanted uuid) TO lisa_system;

REVOKE ALL ON FUNCTION app.month_of(tenant uuid, moment timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION app.nearest_chunks(question real[], model text, wanted uuid[], most integer) FROM PUBLIC;
GRANT ALL ON FUNCTION app.nearest_chunks(question real[], model text, wanted uuid[], most integer) TO lisa_tenant;

REVOKE ALL ON FUNCTION app.nearest_short_chunks(question real[], model text, wanted uuid[], most integer) FROM PUBLIC;
GRANT ALL ON FUNCTION app.nearest_short_chunks(question real[], model text, wanted uuid[], most integer) TO lisa_tenant;

REVOKE ALL ON FUNCTION app.on_auth_user_changed() FROM PUBLIC;

REVOKE ALL ON FUNCTION app.on_auth_user_created() FROM PUBLIC;

REVOKE ALL ON FUNCTION app.on_change() FROM PUBLIC;

REVOKE ALL ON FUNCTION app.on_customer_renamed() FROM PUBLIC;

REVOKE ALL ON FUNCTION app.on_plan_changed() FROM PUBLIC;

REVOKE ALL ON FUNCTION app.on_webhook_document() FROM PUBLIC;

REVOKE ALL ON FUNCTION app.on_webhook_free_quota() FROM PUBLIC;

REVOKE ALL ON FUNCTION app.on_webhook_handed_over() FROM PUBLIC;

REVOKE ALL ON FUNCTION app.on_webhook_message_received() FROM PUBLIC;

REVOKE ALL ON FUNCTION app.on_webhook_order() FROM PUBLIC;

REVOKE ALL ON FUNCTION app.on_webhook_plan_quota() FROM PUBLIC;

REVOKE ALL ON FUNCTION app.on_webhook_subscription() FROM PUBLIC;

REVOKE ALL ON FUNCTION app.on_webhook_waiting() FROM PUBLIC;

REVOKE ALL ON FUNCTION app.open_own_period() FROM PUBLIC;
GRANT ALL ON FUNCTION app.open_own_period() TO lisa_tenant;

REVOKE ALL ON FUNCTION app.open_period(tenant uuid, moment timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION app.open_period(tenant uuid, moment timestamp with time zone) TO lisa_system;

REVOKE ALL ON FUNCTION app.own_member(wanted uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION app.own_member(wanted uuid) TO lisa_tenant;

REVOKE ALL ON FUNCTION app.own_members() FROM PUBLIC;
GRANT ALL ON FUNCTION app.own_members() TO lisa_tenant;

REVOKE ALL ON FUNCTION app.own_model_spend(since timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION app.own_model_spend(since timestamp with time zone) TO lisa_tenant;

REVOKE ALL ON FUNCTION app.own_period() FROM PUBLIC;
GRANT ALL ON FUNCTION app.own_period() TO lisa_tenant;

REVOKE ALL ON FUNCTION app.own_trust() FROM PUBLIC;
GRANT ALL ON FUNCTION app.own_trust() TO lisa_tenant;

REVOKE ALL ON FUNCTION app.period_of(tenant uuid, moment timestamp with time zone) FROM PUBLIC;
GRANT ALL ON FUNCTION app.period_of(tenant uuid, moment timestamp with time zone) TO lisa_system;

REVOKE ALL ON FUNCTION app.project_credits() FROM PUBLIC;

REVOKE ALL ON FUNCTION app.project_plan_credits() FROM PUBLIC;

REVOKE ALL ON FUNCTION app.provision_account(account uuid, account_email text, account_name text, quota_limit integer) FROM PUBLIC;
GRANT ALL ON FUNCTION app.provision_account(account uuid, account_email text, account_name text, quota_limit integer) TO lisa_system;

REVOKE ALL ON FUNCTION app.public_plans() FROM PUBLIC;
GRANT ALL ON FUNCTION app.public_plans() TO lisa_app;

REVOKE ALL ON FUNCTION app.publish_realtime() FROM PUBLIC;

REVOKE ALL ON FUNCTION app.purge_legacy(relation text, tenant uuid, accounts uuid[], most bigint) FROM PUBLIC;
GRANT ALL ON FUNCTION app.purge_legacy(relation text, tenant uuid, accounts uuid[], most bigint) TO lisa_system;

REVOKE ALL ON FUNCTION app.question_key(question text, stemming regdictionary) FROM PUBLIC;
GRANT ALL ON FUNCTION app.question_key(question text, stemming regdictionary) TO lisa_tenant;
GRANT ALL ON FUNCTION app.question_key(question text, stemming regdictionary) TO lisa_system;

REVOKE ALL ON FUNCTION app.quota_of(wanted uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION app.quota_of(wanted uuid) TO lisa_app;

REVOKE ALL ON FUNCTION app.receive_message(contact text, phone text, name text, spoken text, body text, attached text, external text) FROM PUBLIC;
GRANT ALL ON FUNCTION app.receive_message(contact text, phone text, name text, spoken text, body text, attached text, external text) TO lisa_tenant;

REVOKE ALL ON FUNCTION app.record_change(tenant uuid, kind text, object uuid, is_deleted boolean) FROM PUBLIC;

REVOKE ALL ON FUNCTION app.record_quota_event(tenant uuid, kind text, limit_name text, used bigint, most bigint, plan text, period_start timestamp with time zone, period_end timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION app.record_webhook_event(tenant uuid, kind text, key text, conversation uuid, object jsonb, replaces boolean) FROM PUBLIC;

REVOKE ALL ON FUNCTION app.report_failed_sign_ins() FROM PUBLIC;
GRANT ALL ON FUNCTION app.report_failed_sign_ins() TO lisa_system;

REVOKE ALL ON FUNCTION app.revoke_made_by(member uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION app.revoke_made_by(member uuid) TO lisa_tenant;

REVOKE ALL ON FUNCTION app.search_chunks(question text, question_language text, model text, wanted uuid[], most integer) FROM PUBLIC;
GRANT ALL ON FUNCTION app.search_chunks(question text, question_language text, model text, wanted uuid[], most integer) TO lisa_tenant;

REVOKE ALL ON FUNCTION app.set_counted_on() FROM PUBLIC;

REVOKE ALL ON FUNCTION app.set_customer_name_key() FROM PUBLIC;

REVOKE ALL ON FUNCTION app.set_product_name_key() FROM PUBLIC;

REVOKE ALL ON FUNCTION app.synchronize_account(account uuid, address text, account_name text, quota_limit integer) FROM PUBLIC;
GRANT ALL ON FUNCTION app.synchronize_account(account uuid, address text, account_name text, quota_limit integer) TO lisa_system;

REVOKE ALL ON FUNCTION app.take_rate(wanted text, most integer, seconds integer) FROM PUBLIC;
GRANT ALL ON FUNCTION app.take_rate(wanted text, most integer, seconds integer) TO lisa_app;
GRANT ALL ON FUNCTION app.take_rate(wanted text, most integer, seconds integer) TO lisa_system;

REVOKE ALL ON FUNCTION app.take_unconfirmed_request(daily_limit integer) FROM PUBLIC;
GRANT ALL ON FUNCTION app.take_unconfirmed_request(daily_limit integer) TO lisa_tenant;

REVOKE ALL ON FUNCTION app.takes_room(status text, error_code text) FROM PUBLIC;

REVOKE ALL ON FUNCTION app.tenants() FROM PUBLIC;
GRANT ALL ON FUNCTION app.tenants() TO authenticated;

REVOKE ALL ON FUNCTION app.transfer_ownership(old_owner uuid, new_owner uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION app.transfer_ownership(old_owner uuid, new_owner uuid) TO lisa_tenant;

REVOKE ALL ON FUNCTION app.used_before(tenant uuid, wanted uuid, month_start timestamp with time zone, moment timestamp with time zone) FROM PUBLIC;

REVOKE ALL ON FUNCTION app.user_role(wanted uuid) FROM PUBLIC;
GRANT ALL ON FUNCTION app.user_role(wanted uuid) TO lisa_app;

REVOKE ALL ON FUNCTION app.wait_bucket(seconds double precision) FROM PUBLIC;
GRANT ALL ON FUNCTION app.wait_bucket(seconds double precision) TO lisa_tenant;
GRANT ALL ON FUNCTION app.wait_bucket(seconds double precision) TO lisa_system;

REVOKE ALL ON FUNCTION app.webhook_conversation(conversation jsonb, waiting_reason text) FROM PUBLIC;

REVOKE ALL ON FUNCTION app.webhook_tenant(secret_sha256 text) FROM PUBLIC;
GRANT ALL ON FUNCTION app.webhook_tenant(secret_sha256 text) TO lisa_app;

REVOKE ALL ON FUNCTION app.word_keys(tenant uuid, words text[]) FROM PUBLIC;
GRANT ALL ON FUNCTION app.word_keys(tenant uuid, words text[]) TO lisa_tenant;
GRANT ALL ON FUNCTION app.word_keys(tenant uuid, words text[]) TO lisa_system;

REVOKE ALL ON FUNCTION billing.keep_assigned_user() FROM PUBLIC;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE billing.duplicate_subscriptions TO lisa_system;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE billing.stripe_customers TO lisa_system;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE billing.stripe_events TO lisa_system;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE billing.subscription_states TO lisa_system;

GRANT USAGE ON SEQUENCE billing.subscription_versions TO lisa_system;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE billing.subscriptions TO lisa_system;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE billing.user_config TO lisa_system;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.activities TO lisa_system;
GRANT SELECT ON TABLE public.activities TO authenticated;
GRANT SELECT,INSERT,DELETE ON TABLE public.activities TO lisa_tenant;

GRANT SELECT,DELETE ON TABLE public.approved_answers TO lisa_tenant;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.approved_answers TO lisa_system;

GRANT INSERT(customer_id) ON TABLE public.approved_answers TO lisa_tenant;

GRANT INSERT(language),UPDATE(language) ON TABLE public.approved_answers TO lisa_tenant;

GRANT INSERT(question),UPDATE(question) ON TABLE public.approved_answers TO lisa_tenant;

GRANT INSERT(answer),UPDATE(answer) ON TABLE public.approved_answers TO lisa_tenant;

GRANT UPDATE(updated_at) ON TABLE public.approved_answers TO lisa_tenant;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.billing_notices TO lisa_system;

GRANT SELECT ON TABLE public.billing_records TO lisa_tenant;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.billing_records TO lisa_system;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.bot_sessions TO lisa_system;
GRANT SELECT ON TABLE public.bot_sessions TO authenticated;
GRANT SELECT,INSERT,UPDATE ON TABLE public.bot_sessions TO lisa_tenant;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.bot_usage TO lisa_system;
GRANT SELECT ON TABLE public.bot_usage TO authenticated;
GRANT SELECT,INSERT,UPDATE ON TABLE public.bot_usage TO lisa_tenant;

GRANT SELECT ON TABLE public.changes TO lisa_tenant;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.changes TO lisa_system;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.checkout_sessions TO lisa_tenant;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.checkout_sessions TO lisa_system;

GRANT SELECT,INSERT ON TABLE public.closed_questions TO lisa_tenant;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.closed_questions TO lisa_system;

GRANT UPDATE(approved_answer_id) ON TABLE public.closed_questions TO lisa_tenant;

GRANT SELECT ON TABLE public.company_mapping TO lisa_tenant;
GRANT SELECT ON TABLE public.company_mapping TO authenticated;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.company_mapping TO lisa_system;

GRANT SELECT ON TABLE public.company_rag_configs TO lisa_tenant;
GRANT SELECT ON TABLE public.company_rag_configs TO authenticated;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.company_rag_configs TO lisa_system;

GRANT UPDATE(ai_name) ON TABLE public.company_rag_configs TO lisa_tenant;

GRANT UPDATE(prompt_botlive_groq_70b) ON TABLE public.company_rag_configs TO authenticated;
GRANT UPDATE(prompt_botlive_groq_70b) ON TABLE public.company_rag_configs TO lisa_tenant;

GRANT UPDATE(prompt_botlive_deepseek_v3) ON TABLE public.company_rag_configs TO authenticated;
GRANT UPDATE(prompt_botlive_deepseek_v3) ON TABLE public.company_rag_configs TO lisa_tenant;

GRANT UPDATE(prompt_rag) ON TABLE public.company_rag_configs TO lisa_tenant;

GRANT UPDATE(language) ON TABLE public.company_rag_configs TO lisa_tenant;

GRANT UPDATE(handover_keywords) ON TABLE public.company_rag_configs TO lisa_tenant;

GRANT UPDATE(business_hours) ON TABLE public.company_rag_configs TO lisa_tenant;

GRANT UPDATE(show_sources) ON TABLE public.company_rag_configs TO lisa_tenant;

GRANT UPDATE(unsupported_messages) ON TABLE public.company_rag_configs TO lisa_tenant;

GRANT UPDATE(outside_hours) ON TABLE public.company_rag_configs TO lisa_tenant;

GRANT UPDATE(handover_minutes) ON TABLE public.company_rag_configs TO lisa_tenant;

GRANT UPDATE(customer_texts) ON TABLE public.company_rag_configs TO lisa_tenant;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.config_versions TO lisa_system;
GRANT SELECT ON TABLE public.config_versions TO lisa_tenant;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.conversations TO lisa_tenant;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.conversations TO lisa_system;

GRANT SELECT(id) ON TABLE public.conversations TO authenticated;

GRANT SELECT(customer_id) ON TABLE public.conversations TO authenticated;

GRANT SELECT(contact_id) ON TABLE public.conversations TO authenticated;

GRANT SELECT(user_id) ON TABLE public.conversations TO authenticated;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.messages TO lisa_tenant;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.messages TO lisa_system;

GRANT SELECT(customer_id) ON TABLE public.messages TO authenticated;

GRANT SELECT(conversation_id) ON TABLE public.messages TO authenticated;

GRANT SELECT(direction) ON TABLE public.messages TO authenticated;

GRANT SELECT(content) ON TABLE public.messages TO authenticated;

GRANT SELECT(created_at) ON TABLE public.messages TO authenticated;

GRANT SELECT ON TABLE public.conversation_memory TO authenticated;
GRANT SELECT ON TABLE public.conversation_memory TO lisa_tenant;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.credentials TO lisa_system;

GRANT SELECT,DELETE ON TABLE public.customer_members TO lisa_tenant;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.customer_members TO lisa_system;

GRANT SELECT ON TABLE public.customers TO lisa_tenant;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.customers TO lisa_system;

GRANT UPDATE(name) ON TABLE public.customers TO lisa_tenant;

GRANT UPDATE(manychat_api_key) ON TABLE public.customers TO lisa_tenant;

GRANT UPDATE(manychat_api_key_last4) ON TABLE public.customers TO lisa_tenant;

GRANT UPDATE(webhook_url) ON TABLE public.customers TO lisa_tenant;

GRANT UPDATE(currency) ON TABLE public.customers TO lisa_tenant;

GRANT UPDATE(timezone) ON TABLE public.customers TO lisa_tenant;

GRANT UPDATE(deleted_at) ON TABLE public.customers TO lisa_tenant;

GRANT UPDATE(embedding_model) ON TABLE public.customers TO lisa_tenant;

GRANT UPDATE(overage_cap_requests) ON TABLE public.customers TO lisa_tenant;

GRANT UPDATE(muted_notices) ON TABLE public.customers TO lisa_tenant;

GRANT UPDATE(conversation_retention_months) ON TABLE public.customers TO lisa_tenant;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.document_chunks TO lisa_tenant;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.document_chunks TO lisa_system;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.document_pages TO lisa_tenant;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.document_pages TO lisa_system;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.documents TO lisa_tenant;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.documents TO lisa_system;

GRANT SELECT(id) ON TABLE public.documents TO authenticated;

GRANT SELECT(company_id) ON TABLE public.documents TO authenticated;

GRANT SELECT(filename) ON TABLE public.documents TO authenticated;

GRANT SELECT(upload_date) ON TABLE public.documents TO authenticated;

GRANT SELECT(status) ON TABLE public.documents TO authenticated;

GRANT SELECT(pages_total) ON TABLE public.documents TO authenticated;

GRANT SELECT(pages_done) ON TABLE public.documents TO authenticated;

GRANT SELECT(content) ON TABLE public.documents TO authenticated;

GRANT SELECT(metadata) ON TABLE public.documents TO authenticated;

GRANT SELECT ON TABLE public.exports TO lisa_tenant;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.exports TO lisa_system;

GRANT INSERT(id) ON TABLE public.exports TO lisa_tenant;

GRANT INSERT(customer_id) ON TABLE public.exports TO lisa_tenant;

GRANT INSERT(requested_by) ON TABLE public.exports TO lisa_tenant;

GRANT UPDATE(worker) ON TABLE public.exports TO lisa_tenant;

GRANT UPDATE(held_until) ON TABLE public.exports TO lisa_tenant;

GRANT UPDATE(expires_at) ON TABLE public.exports TO lisa_tenant;

GRANT UPDATE(link_issued_at) ON TABLE public.exports TO lisa_tenant;

GRANT UPDATE(link_issued_to) ON TABLE public.exports TO lisa_tenant;

GRANT SELECT,DELETE ON TABLE public.failed_sign_ins TO lisa_system;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.feedback TO lisa_system;
GRANT SELECT,INSERT,UPDATE ON TABLE public.feedback TO lisa_tenant;

GRANT SELECT,INSERT,UPDATE ON TABLE public.first_answer_times TO lisa_tenant;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.first_answer_times TO lisa_system;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.golden_questions TO lisa_tenant;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.golden_questions TO lisa_system;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.idempotency_keys TO lisa_tenant;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.idempotency_keys TO lisa_system;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.ingest_slots TO lisa_tenant;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.ingest_slots TO lisa_system;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.invitations TO lisa_system;

GRANT SELECT(id) ON TABLE public.invitations TO lisa_tenant;

GRANT SELECT(customer_id),INSERT(customer_id) ON TABLE public.invitations TO lisa_tenant;

GRANT INSERT(token_sha256) ON TABLE public.invitations TO lisa_tenant;

GRANT SELECT(email),INSERT(email) ON TABLE public.invitations TO lisa_tenant;

GRANT SELECT(created_by),INSERT(created_by) ON TABLE public.invitations TO lisa_tenant;

GRANT SELECT(created_at) ON TABLE public.invitations TO lisa_tenant;

GRANT SELECT(expires_at),INSERT(expires_at),UPDATE(expires_at) ON TABLE public.invitations TO lisa_tenant;

GRANT SELECT(used_at) ON TABLE public.invitations TO lisa_tenant;

GRANT SELECT(used_by) ON TABLE public.invitations TO lisa_tenant;

GRANT SELECT(role),INSERT(role) ON TABLE public.invitations TO lisa_tenant;

GRANT SELECT(revoked_at),UPDATE(revoked_at) ON TABLE public.invitations TO lisa_tenant;

GRANT SELECT,INSERT,UPDATE ON TABLE public.jobs TO lisa_tenant;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.jobs TO lisa_system;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.llm_calls TO lisa_system;
GRANT SELECT,INSERT ON TABLE public.llm_calls TO lisa_tenant;

GRANT SELECT ON TABLE public.order_days TO lisa_tenant;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.order_days TO lisa_system;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.orders TO lisa_tenant;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.orders TO lisa_system;
GRANT SELECT ON TABLE public.orders TO authenticated;

GRANT SELECT,INSERT,UPDATE ON TABLE public.outbox TO lisa_tenant;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.outbox TO lisa_system;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.password_resets TO lisa_system;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.plan_prices TO lisa_system;

GRANT SELECT ON TABLE public.plans TO lisa_tenant;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.plans TO lisa_system;

GRANT SELECT,INSERT,UPDATE ON TABLE public.preview_counts TO lisa_tenant;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.preview_counts TO lisa_system;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.products TO lisa_tenant;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.products TO lisa_system;

GRANT SELECT ON TABLE public.profiles TO authenticated;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.profiles TO lisa_system;

GRANT SELECT(id) ON TABLE public.profiles TO lisa_tenant;

GRANT SELECT(email) ON TABLE public.profiles TO lisa_tenant;

GRANT UPDATE(full_name) ON TABLE public.profiles TO authenticated;

GRANT UPDATE(avatar_url) ON TABLE public.profiles TO authenticated;

GRANT SELECT(stripe_customer_id) ON TABLE public.profiles TO lisa_tenant;

GRANT SELECT(subscription_status) ON TABLE public.profiles TO lisa_tenant;

GRANT SELECT(subscription_tier) ON TABLE public.profiles TO lisa_tenant;

GRANT SELECT(subscription_current_period_end) ON TABLE public.profiles TO lisa_tenant;

GRANT SELECT(subscription_current_period_start) ON TABLE public.profiles TO lisa_tenant;

GRANT SELECT(subscription_cancel_at_period_end) ON TABLE public.profiles TO lisa_tenant;

GRANT SELECT(subscription_access_until) ON TABLE public.profiles TO lisa_tenant;

GRANT SELECT(subscription_cancel_at) ON TABLE public.profiles TO lisa_tenant;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.purges TO lisa_system;

GRANT SELECT,DELETE ON TABLE public.rate_limits TO lisa_system;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.reembedded_chunks TO lisa_system;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.refresh_sessions TO lisa_system;

GRANT SELECT,INSERT,UPDATE ON TABLE public.reservations TO lisa_tenant;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.reservations TO lisa_system;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.task_progress TO lisa_system;

GRANT SELECT,INSERT ON TABLE public.tenant_notices TO lisa_tenant;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.tenant_notices TO lisa_system;

GRANT SELECT ON TABLE public.unanswered TO lisa_tenant;

GRANT SELECT,DELETE ON TABLE public.unconfirmed_days TO lisa_system;

GRANT SELECT,INSERT,DELETE ON TABLE public.unread_webhook_bodies TO lisa_tenant;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.unread_webhook_bodies TO lisa_system;

GRANT SELECT ON TABLE public.usage_periods TO lisa_tenant;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.usage_periods TO lisa_system;

GRANT UPDATE(requests) ON TABLE public.usage_periods TO lisa_tenant;

GRANT SELECT ON TABLE public.user_settings TO authenticated;
GRANT SELECT ON TABLE public.user_settings TO lisa_tenant;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.user_settings TO lisa_system;

GRANT UPDATE(free_quota_used) ON TABLE public.user_settings TO lisa_tenant;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.users TO lisa_system;

GRANT SELECT(id) ON TABLE public.users TO authenticated;
GRANT SELECT(id) ON TABLE public.users TO lisa_tenant;

GRANT SELECT(is_pro) ON TABLE public.users TO authenticated;
GRANT SELECT(is_pro) ON TABLE public.users TO lisa_tenant;

GRANT SELECT,INSERT,UPDATE ON TABLE public.webhook_deliveries TO lisa_tenant;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.webhook_deliveries TO lisa_system;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.webhook_endpoints TO lisa_tenant;
GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.webhook_endpoints TO lisa_system;

GRANT SELECT,INSERT,DELETE,UPDATE ON TABLE public.webhook_secrets TO lisa_system;
GRANT INSERT,DELETE ON TABLE public.webhook_secrets TO lisa_tenant;

GRANT SELECT(id) ON TABLE public.webhook_secrets TO lisa_tenant;

GRANT SELECT(customer_id) ON TABLE public.webhook_secrets TO lisa_tenant;

GRANT SELECT(created_at) ON TABLE public.webhook_secrets TO lisa_tenant;

GRANT SELECT(expires_at),UPDATE(expires_at) ON TABLE public.webhook_secrets TO lisa_tenant;

GRANT SELECT(sealed_value),UPDATE(sealed_value) ON TABLE public.webhook_secrets TO lisa_tenant;
