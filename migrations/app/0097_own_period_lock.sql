-- A request that opens the period of a plan holds the profile. When the plan ended before the request was counted, the
-- request went on to the free quota, while a free request held the free quota and waited for the profile: a deadlock. The
-- end of a plan now waits for the request. The order of the locks is that of `app.open_period` and of the projection of
-- subscriptions: the tenant's advisory lock, then the account.
create or replace function app.open_own_period() returns void
language sql security definer set search_path to '' as $$
    select pg_advisory_xact_lock(hashtextextended(app.current_customer()::text, 10));
    select from public.users account where account.id = app.current_owner() for share;
    select app.open_period(app.current_customer(), now());
$$;
