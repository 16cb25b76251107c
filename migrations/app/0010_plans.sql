-- What plans limit: the counter of each period, what was billed for it, and what is known here of a subscription.

-- The projection of billing.subscriptions; the other subscription columns stand since 0002.
alter table profiles
    add column subscription_current_period_start timestamptz,
    add column subscription_cancel_at_period_end boolean not null default false,
    add column subscription_access_until timestamptz,
    add column subscription_version bigint not null default 0;
comment on column profiles.subscription_access_until is 'null where users.is_pro alone decides';
comment on column profiles.subscription_version is 'of billing.subscriptions: an older projection changes nothing';
create index profiles_access_until_idx on profiles (subscription_access_until)
    where subscription_access_until is not null;

-- In millionths of a US dollar, which is how model providers bill.
alter table plans
    add column monthly_spend_cap_micros bigint,
    add constraint plans_spend_cap_not_negative check (monthly_spend_cap_micros >= 0);
comment on column plans.monthly_spend_cap_micros is 'what models may cost a period; null: no cap';
alter table customers
    add column spend_cap_micros bigint,
    add constraint customers_spend_cap_not_negative check (spend_cap_micros >= 0);
comment on column customers.spend_cap_micros is 'stands in for the plan''s';
update plans set monthly_spend_cap_micros = case name when 'free' then 500000 when 'pro' then 15000000 else 60000000 end;

-- The counter that limits: one row a tenant and period, with the terms that hold in it.
create table usage_periods (
    customer_id uuid not null,
    period_start timestamptz not null,
    period_end timestamptz not null,
    plan_id uuid not null,
    plan text not null,
    request_limit integer,
    overage_cents_per_request integer,
    price_cents integer not null,
    currency text not null,
    requests integer not null default 0,
    bytes bigint not null default 0,
    spent_micros bigint not null default 0,
    closed_at timestamptz,
    constraint usage_periods_pkey primary key (customer_id, period_start),
    constraint usage_periods_customer_id_fkey foreign key (customer_id) references customers (id) on delete cascade,
    constraint usage_periods_plan_id_fkey foreign key (plan_id) references plans (id),
    constraint usage_periods_in_order check (period_start < period_end),
    constraint usage_periods_requests_not_negative check (requests >= 0),
    constraint usage_periods_bytes_not_negative check (bytes >= 0),
    constraint usage_periods_spent_not_negative check (spent_micros >= 0)
);
comment on column usage_periods.bytes is 'what the tenant''s files take now; carried over from period to period';
create index usage_periods_plan_id_idx on usage_periods (plan_id);
create index usage_periods_due_idx on usage_periods (period_end) where closed_at is null;

alter table reservations add column period_start timestamptz;
comment on column reservations.period_start is 'of kind plan: the period of usage_periods that it counts in';

-- One a tenant and period. No foreign key: they stay as long as the law wants, longer than the tenant.
create table billing_records (
    id uuid not null default gen_random_uuid(),
    customer_id uuid not null,
    period_start timestamptz not null,
    period_end timestamptz not null,
    plan text not null,
    requests integer not null,
    request_limit integer,
    amount_cents integer not null,
    overage_requests integer not null,
    overage_cents integer not null,
    currency text not null,
    status text not null default 'closed',
    stripe_invoice_item_id text,
    stripe_invoice_id text,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint billing_records_pkey primary key (id),
    constraint billing_records_customer_id_period_start_key unique (customer_id, period_start),
    constraint billing_records_status_known check (status in ('closed', 'invoiced', 'paid', 'failed')),
    constraint billing_records_amounts_not_negative check (
        amount_cents >= 0 and overage_cents >= 0 and overage_requests >= 0 and requests >= 0
    )
);
comment on column billing_records.status is
    'closed: nothing beyond the plan''s price, or not at Stripe yet; invoiced: the overage is an item at Stripe';
create index billing_records_listed_idx on billing_records (customer_id, period_start desc, id);

alter table jobs drop constraint jobs_kind_known;
alter table jobs add constraint jobs_kind_known check (kind in ('ingest', 'delete_object', 'reply', 'invoice_item'));
create unique index jobs_invoice_item_record_key on jobs ((payload ->> 'billing_record_id')) where kind = 'invoice_item';

-- The period that a moment falls into: Stripe's while a plan is paid for, else the calendar month in UTC. Stripe may tell
-- of a renewal late: until then the next period is taken to be a month.
create function app.period_of(tenant uuid, moment timestamptz)
    returns table (period_start timestamptz, period_end timestamptz)
    language sql stable security definer set search_path = '' as
$body$
    select
        coalesce(paid.period_start, date_trunc('month', moment at time zone 'UTC') at time zone 'UTC'),
        coalesce(
            paid.period_end,
            (date_trunc('month', moment at time zone 'UTC') + interval '1 month') at time zone 'UTC'
        )
    from (values (true)) one
    left join (
        select
            case when is_over then profile.subscription_current_period_end
                else profile.subscription_current_period_start end as period_start,
            case when is_over
                then (profile.subscription_current_period_end at time zone 'UTC' + interval '1 month') at time zone 'UTC'
                else profile.subscription_current_period_end end as period_end
        from public.customers tenants
        join public.profiles profile on profile.id = tenants.user_id,
        lateral (select moment >= profile.subscription_current_period_end as is_over) late
        where tenants.id = tenant
          and profile.subscription_access_until > moment
          and profile.subscription_current_period_start <= moment
          and profile.subscription_current_period_end > profile.subscription_current_period_start
    ) paid on true
$body$;

-- Whether the tenant's storage counts a file: one that never came takes no room.
create function app.takes_room(status text, error_code text) returns boolean language sql immutable as
    $body$ select status <> 'failed' or error_code is distinct from 'not_uploaded' $body$;

-- Makes the row of a period, or gives it the terms of a plan that has changed. What files take is counted anew, so that a
-- counter that went wrong is right again a month later.
create function app.open_period(tenant uuid, moment timestamptz) returns void
    language sql security definer set search_path = '' as
$body$
    -- One at a time a tenant, before any row is locked: a row and the profile that shows it are written in this order.
    select pg_advisory_xact_lock(hashtextextended(tenant::text, 10));
    insert into public.usage_periods as known (
        customer_id, period_start, period_end, plan_id, plan, request_limit, overage_cents_per_request, price_cents,
        currency, bytes
    )
    select tenants.id, period.period_start, period.period_end, plan.id, plan.name, plan.monthly_request_limit,
        plan.overage_cents_per_request, plan.price_cents, plan.currency,
        (select coalesce(sum(document.bytes), 0) from public.documents document
         where document.customer_id = tenants.id and app.takes_room(document.status, document.error_code))
    from public.customers tenants
    join public.plans plan on plan.id = tenants.plan_id,
    app.period_of(tenants.id, moment) period
    where tenants.id = tenant
    on conflict on constraint usage_periods_pkey do update
    set period_end = excluded.period_end, plan_id = excluded.plan_id, plan = excluded.plan,
        request_limit = excluded.request_limit, overage_cents_per_request = excluded.overage_cents_per_request,
        price_cents = excluded.price_cents, currency = excluded.currency
    where known.closed_at is null and (known.period_end, known.plan_id) is distinct from (excluded.period_end, excluded.plan_id)
$body$;

-- The same for a tenant's own transaction, which cannot name another.
create function app.own_period() returns table (period_start timestamptz, period_end timestamptz)
    language sql stable security definer set search_path = '' as
    $body$ select * from app.period_of(app.current_customer(), now()) $body$;
create function app.open_own_period() returns void language sql security definer set search_path = '' as
    $body$ select app.open_period(app.current_customer(), now()) $body$;

-- A plan that changes within a period changes its terms.
create function app.on_plan_changed() returns trigger language plpgsql security definer set search_path = '' as
$body$
begin
    perform app.open_period(new.id, now());
    return null;
end
$body$;
create trigger customers_plan_changed after update of plan_id on customers
    for each row when (old.plan_id is distinct from new.plan_id) execute function app.on_plan_changed();

-- Keeps usage_periods.bytes, whoever adds, fails or removes a document. Without a row there is nothing to keep: it begins
-- with what is there.
create function app.count_bytes() returns trigger language plpgsql security definer set search_path = '' as
$body$
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
$body$;
create trigger documents_bytes after insert or delete or update of status, error_code, bytes on documents
    for each row execute function app.count_bytes();

comment on column usage_periods.spent_micros is 'what models cost in it, by llm_calls; limited by the spend cap';

-- Keeps usage_periods.spent_micros, whoever writes into the ledger.
create function app.count_spend() returns trigger language plpgsql security definer set search_path = '' as
$body$
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
$body$;
create trigger llm_calls_spend after insert on llm_calls
    for each row when (new.cost_micros > 0) execute function app.count_spend();

-- profiles.credits_remaining shows what is left: of the period's requests, as long as a plan is paid for.
create function app.project_plan_credits() returns trigger language plpgsql security definer set search_path = '' as
$body$
begin
    update public.profiles profile set credits_remaining = greatest(new.request_limit - new.requests, 0)
        from public.users account, public.customers tenants
        where tenants.id = new.customer_id and account.id = tenants.user_id and profile.id = account.id
          and account.is_pro;
    return null;
end
$body$;
create trigger usage_periods_credits after insert or update of requests, request_limit on usage_periods
    for each row when (new.request_limit is not null) execute function app.project_plan_credits();

-- What models cost a tenant since a moment.
create function app.own_model_spend(since timestamptz)
    returns table (prompt_tokens bigint, completion_tokens bigint, cost_micros bigint)
    language sql stable security definer set search_path = '' as
$body$
    select coalesce(sum(call.prompt_tokens), 0)::bigint, coalesce(sum(call.completion_tokens), 0)::bigint,
        coalesce(sum(call.cost_micros), 0)::bigint
    from public.llm_calls call
    where call.customer_id = app.current_customer() and call.created_at >= since
$body$;

-- As in 0002, and to the second: whose paid time is over is not pro, also before maintenance has said so.
create or replace function app.quota_of(wanted uuid)
    returns table (is_pro boolean, free_quota_used integer, free_quota_limit integer)
    language sql stable security definer set search_path = '' as
$body$
    select account.is_pro and coalesce(profile.subscription_access_until > now(), true),
        settings.free_quota_used, settings.free_quota_limit
    from public.users account
    join public.user_settings settings on settings.user_id = account.id
    left join public.profiles profile on profile.id = account.id
    where account.id = wanted
$body$;

revoke all on function app.period_of(uuid, timestamptz), app.takes_room(text, text),
    app.open_period(uuid, timestamptz), app.own_period(), app.open_own_period(), app.on_plan_changed(),
    app.count_bytes(), app.count_spend(), app.project_plan_credits(), app.own_model_spend(timestamptz) from public;
grant execute on function app.period_of(uuid, timestamptz), app.open_period(uuid, timestamptz) to lisa_system;
grant execute on function app.own_period(), app.open_own_period(), app.own_model_spend(timestamptz) to lisa_tenant;

alter table usage_periods enable row level security;
alter table billing_records enable row level security;
revoke all on usage_periods, billing_records from anon, authenticated, service_role;

grant select, update (requests) on usage_periods to lisa_tenant;
create policy usage_periods_tenant on usage_periods to lisa_tenant
    using (customer_id = (select app.current_customer()))
    with check (customer_id = (select app.current_customer()));
grant select on billing_records to lisa_tenant;
create policy billing_records_tenant on billing_records for select to lisa_tenant
    using (customer_id = (select app.current_customer()));
grant select, insert, update, delete on usage_periods, billing_records to lisa_system;
create policy usage_periods_system on usage_periods to lisa_system using (true) with check (true);
create policy billing_records_system on billing_records to lisa_system using (true) with check (true);

-- The owner's subscription, as far as the tenant's own work needs it.
grant select (id, email, stripe_customer_id, subscription_status, subscription_tier, subscription_current_period_start,
    subscription_current_period_end, subscription_cancel_at_period_end, subscription_access_until) on profiles to lisa_tenant;
create policy profiles_tenant on profiles for select to lisa_tenant using (id = (select app.current_owner()));
