-- Terms are never weakened inside a period: a change to weaker terms ends the period there, and what it owes stays due.
-- A subscription's period that is longer than a month is divided into months.

alter table usage_periods
    add column carried_requests integer not null default 0,
    add column carried_micros bigint not null default 0,
    add column replaced_plans jsonb not null default '{}',
    add constraint usage_periods_carried_requests_not_negative check (carried_requests >= 0),
    add constraint usage_periods_carried_micros_not_negative check (carried_micros >= 0);
comment on column usage_periods.carried_requests is
    'of requests: those of an earlier part of the month with this plan; they count for the limit and are billed there';
comment on column usage_periods.carried_micros is 'of spent_micros: those of an earlier part of the month with this plan';
comment on column usage_periods.replaced_plans is
    'plans whose terms this row had before stronger ones: by id, the requests of the row itself (requests), those carried '
    'into it (carried_requests) and spent_micros; they count again in a later part with that plan';

create function app.add_months(moment timestamptz, months integer) returns timestamptz
    language sql immutable as
    $body$ select (moment at time zone 'UTC' + make_interval(months => months)) at time zone 'UTC' $body$;

-- The month that a moment falls into: a month of Stripe's period while a plan is paid for, else the calendar month in
-- UTC. Months are counted from the period's start; a rest of less than two weeks belongs to the month before it. Stripe
-- may tell of a renewal late, so the next period is taken to be a month. Stripe's clock may be ahead by minutes.
create function app.month_of(tenant uuid, moment timestamptz)
    returns table (month_start timestamptz, month_end timestamptz)
    language sql stable security definer set search_path = '' as
$body$
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
    ) paid on true
$body$;

-- The period that a moment falls into: the last part of its month.
create or replace function app.period_of(tenant uuid, moment timestamptz)
    returns table (period_start timestamptz, period_end timestamptz)
    language sql stable security definer set search_path = '' as
$body$
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
$body$;

-- What a tenant has used of a plan in a month's parts before a moment. Each part contains what was carried into it, so the
-- greatest counts. Where stronger terms have replaced the plan's, requests that were billed by them do not count.
create function app.used_before(tenant uuid, wanted uuid, month_start timestamptz, moment timestamptz)
    returns table (requests integer, spent_micros bigint)
    language sql stable security definer set search_path = '' as
$body$
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
$body$;

-- Makes the row of a period. When the plan has changed since the row was made, stronger terms replace its terms. Weaker
-- terms, or an overage that is due already, end the period at the moment, and the row that follows has the new terms. What
-- was used earlier in the month with the same plan counts for the limit again, so that no change of plans renews a limit: a
-- row whose terms are replaced remembers what was used with the plan that it had. A period that the subscription has left
-- ends at the moment, too. What files take is counted anew.
create or replace function app.open_period(tenant uuid, moment timestamptz) returns void
    language plpgsql security definer set search_path = '' as
$body$
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
$body$;

-- As in 0010; of a period that another one has followed, nothing is shown.
create or replace function app.project_plan_credits() returns trigger
    language plpgsql security definer set search_path = '' as
$body$
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
$body$;

revoke all on function app.add_months(timestamptz, integer), app.month_of(uuid, timestamptz),
    app.used_before(uuid, uuid, timestamptz, timestamptz) from public;
