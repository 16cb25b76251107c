-- One rule for all queries that ask whether a user has a paid plan now. Stripe's events set users.is_pro; the end of
-- the access counts at once, before maintenance has projected it. app.period_of compares the end for another moment.
create function app.has_paid_plan(is_pro boolean, access_until timestamptz) returns boolean language sql stable as
    $body$ select is_pro and coalesce(access_until > now(), true) $body$;
comment on function app.has_paid_plan(boolean, timestamptz) is 'of users.is_pro and profiles.subscription_access_until';
revoke all on function app.has_paid_plan(boolean, timestamptz) from public;
grant execute on function app.has_paid_plan(boolean, timestamptz) to lisa_tenant;

create or replace function app.quota_of(wanted uuid)
    returns table (is_pro boolean, free_quota_used integer, free_quota_limit integer)
    language sql stable security definer set search_path = '' as
$body$
    select app.has_paid_plan(account.is_pro, profile.subscription_access_until),
        settings.free_quota_used, settings.free_quota_limit
    from public.users account
    join public.user_settings settings on settings.user_id = account.id
    left join public.profiles profile on profile.id = account.id
    where account.id = wanted
$body$;
