-- A repeated click on the rotation of the webhook secret gets the secret of the first click again, so the value is kept
-- for a minute, sealed. A subscription whose period is shorter than a month uses its limits by the calendar month.

set local lock_timeout = '3s';

alter table webhook_secrets
    add column sealed_value bytea,
    add constraint webhook_secrets_sealed_value_length check (octet_length(sealed_value) between 30 and 300);
comment on column webhook_secrets.sealed_value is
    'the secret itself, sealed, for repeated calls within a minute of its creation; maintenance removes it';
create index webhook_secrets_sealed_idx on webhook_secrets (created_at) where sealed_value is not null;
grant select (sealed_value), update (sealed_value) on webhook_secrets to lisa_tenant;

-- The month that a moment falls into: a month of Stripe's period while a plan is paid for, else the calendar month in
-- UTC. Months are counted from the period's start; a rest of less than two weeks belongs to the month before it. Stripe
-- may tell of a renewal late, so the next period is taken to be a month. Stripe's clock may be ahead by minutes.
--
-- A period of less than 28 days, as of a price by the week, is no month: its requests count in the calendar month, so that
-- the monthly limit does not begin anew with each of them. A month that a cancellation has shortened is short, too. Its row
-- began before the calendar month, and goes on: a cancellation renews no limit.
create or replace function app.month_of(tenant uuid, moment timestamptz)
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
          and (
              profile.subscription_current_period_end - profile.subscription_current_period_start >= interval '28 days'
              or exists (
                  select from public.usage_periods period
                  where period.customer_id = tenant and period.period_start <= moment and period.period_end > moment
                    and period.period_start < date_trunc('month', moment at time zone 'UTC') at time zone 'UTC'
              )
          )
    ) paid on true
$body$;
