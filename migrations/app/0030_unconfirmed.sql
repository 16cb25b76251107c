-- Accounts whose address nobody has confirmed cost money before anybody pays, and anybody can make a thousand of them.
-- All of them together have a number of free requests a day.

alter table users add column email_confirmed_at timestamptz;
comment on column users.email_confirmed_at is
    'when the address was confirmed, or a person vouched for it; Supabase''s own accounts have theirs in auth.users';
-- Accounts that were there before keep what they had.
update users set email_confirmed_at = created_at;

create table unconfirmed_days (
    day date not null,
    requests integer not null,
    constraint unconfirmed_days_pkey primary key (day),
    constraint unconfirmed_days_requests_positive check (requests > 0)
);
comment on table unconfirmed_days is 'requests of all accounts together that are neither confirmed nor paid for, by day in UTC';
alter table unconfirmed_days enable row level security;
revoke all on unconfirmed_days from anon, authenticated, service_role;
grant select, delete on unconfirmed_days to lisa_system;
create policy unconfirmed_days_system on unconfirmed_days to lisa_system using (true) with check (true);

-- True when the account's address is confirmed. Null when it is not, and nothing in this deployment could confirm it but
-- an operator: accounts of our own have no confirmation by mail.
do $$
begin
    if to_regclass('auth.users') is null then
        create function app.is_confirmed(account uuid) returns boolean
            language sql stable security definer set search_path = '' as
        $body$
            select true from public.users where id = account and email_confirmed_at is not null
        $body$;
    else
        -- As JSON, because the columns differ between versions of Supabase Auth.
        create function app.is_confirmed(account uuid) returns boolean
            language sql stable security definer set search_path = '' as
        $body$
            select exists (select from public.users where id = account and email_confirmed_at is not null)
                or exists (
                    select from auth.users known
                    where known.id = account
                      and coalesce(to_jsonb(known) ->> 'email_confirmed_at', to_jsonb(known) ->> 'phone_confirmed_at') is not null
                )
        $body$;
    end if;
end
$$;
revoke all on function app.is_confirmed(uuid) from public;

-- How far the transaction's tenant is trusted: 'trusted' with a confirmed address or a paid plan of its owner, else
-- 'unconfirmed', or 'unconfirmable' where the address cannot be confirmed by mail.
create function app.own_trust() returns text language sql stable security definer set search_path = '' as
$body$
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
$body$;
revoke all on function app.own_trust() from public;
grant execute on function app.own_trust() to lisa_tenant;

-- Counts a request of the accounts that are not trusted, all together, unless that would exceed the day's limit. One
-- statement on one row: of a thousand requests at once, no more than the limit are counted.
create function app.take_unconfirmed_request(daily_limit integer) returns boolean
    language plpgsql security definer set search_path = '' as
$body$
begin
    if daily_limit < 1 then
        return false;
    end if;
    insert into public.unconfirmed_days as today (day, requests) values ((now() at time zone 'utc')::date, 1)
        on conflict on constraint unconfirmed_days_pkey
        do update set requests = today.requests + 1 where today.requests < daily_limit;
    return found;
end
$body$;
revoke all on function app.take_unconfirmed_request(integer) from public;
grant execute on function app.take_unconfirmed_request(integer) to lisa_tenant;
