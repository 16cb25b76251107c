-- Accounts that change or end: a Supabase project's accounts are followed when their address changes, when they become
-- permanent and when they are deleted. No trigger here may make a statement on auth.users fail.

set local lock_timeout = '3s';

alter table users add column deleted_at timestamptz;
comment on column users.deleted_at is 'tokens of the account no longer count; its address is free';

-- What stands in users.email for an account without an address, or whose address is another account's now.
create function app.address_placeholder(account uuid) returns text language sql immutable as
    $body$ select account::text || '@accounts.invalid' $body$;
revoke all on function app.address_placeholder(uuid) from public;

-- Free requests of an account that a trigger creates. The function migrate replaces it with FREE_QUOTA_LIMIT.
create function app.free_quota_limit() returns integer language sql immutable as $body$ select 8 $body$;
revoke all on function app.free_quota_limit() from public;

-- True when Supabase's own table is in this database and gives the account this address.
create function app.has_auth_address(account uuid, address text) returns boolean
    language plpgsql stable security definer set search_path = '' as
$body$
begin
    if to_regclass('auth.users') is null then
        return false;
    end if;
    return exists (
        select from auth.users remote
        where remote.id = account and lower(remote.email) = lower(address) and to_jsonb(remote) ->> 'deleted_at' is null
    );
end
$body$;
revoke all on function app.has_auth_address(uuid, text) from public;

-- Makes the rows of a Supabase account, or brings its address up to date. Repeating it changes nothing. The address is
-- taken from an account that has lost it at Supabase; where it cannot be taken, a placeholder stands in users.email.
create function app.synchronize_account(account uuid, address text, account_name text, quota_limit integer)
    returns void language plpgsql security definer set search_path = '' as
$body$
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
$body$;
revoke all on function app.synchronize_account(uuid, text, text, integer) from public;
grant execute on function app.synchronize_account(uuid, text, text, integer) to lisa_system;

-- Ends an account: its tokens no longer count, and its address is free. Its tenant's rows stay.
create function app.end_account(account uuid) returns void language sql security definer set search_path = '' as
$body$
    update public.users set deleted_at = now(), email = app.address_placeholder(id)
        where id = account and deleted_at is null;
    update public.profiles set email = app.address_placeholder(id) where id = account;
    update public.refresh_sessions set ended_at = now() where user_id = account and ended_at is null;
$body$;
revoke all on function app.end_account(uuid) from public;
grant execute on function app.end_account(uuid) to lisa_system;

-- Follow Supabase's accounts. Columns that not every version of Supabase's table has are read by their names.
-- Anonymous and telephone accounts have no address: they get rows with a placeholder, and keep the rows when they give
-- an address. A failure is a warning: the next sign-in through this product synchronizes the account.
-- The trigger that calls the first function stands since an earlier migration: only the table's owner could drop it.
create or replace function app.on_auth_user_created() returns trigger
    language plpgsql security definer set search_path = '' set lock_timeout = '2s' as
$body$
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
$body$;
revoke all on function app.on_auth_user_created() from public;

create function app.on_auth_user_changed() returns trigger
    language plpgsql security definer set search_path = '' set lock_timeout = '2s' as
$body$
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
$body$;
revoke all on function app.on_auth_user_changed() from public;

do $$
begin
    if to_regclass('auth.users') is not null then
        create trigger lisa_on_auth_user_changed after update or delete on auth.users
            for each row execute function app.on_auth_user_changed();
        -- Addresses that changed before.
        perform app.synchronize_account(
            remote.id, remote.email, left(remote.raw_user_meta_data ->> 'full_name', 255), app.free_quota_limit()
        )
        from auth.users remote
        left join public.users known on known.id = remote.id
        where to_jsonb(remote) ->> 'deleted_at' is null
            and known.email is distinct from coalesce(nullif(lower(btrim(remote.email)), ''), app.address_placeholder(remote.id));
    end if;
end
$$;

-- A deleted account is nobody, at the functions and at the frontends that read through Supabase.
create or replace function app.user_role(wanted uuid) returns table (role text)
    language sql stable security definer set search_path = '' as
$body$
    select case when account.deleted_at is null then account.role else 'deleted' end
    from public.users account where account.id = wanted
$body$;

create or replace function app.memberships(caller uuid, wanted uuid)
    returns table (customer_id uuid, owner_id uuid, role text, suspended boolean, deleted boolean)
    language sql stable security definer set search_path = '' as
$body$
    select tenant.id, tenant.user_id, member.role, tenant.suspended_at is not null, tenant.deleted_at is not null
    from public.customer_members member
    join public.users account on account.id = member.user_id and account.deleted_at is null
    join public.customers tenant on tenant.id = member.customer_id
    where member.user_id = caller and (wanted is null or member.customer_id = wanted)
    order by tenant.deleted_at is not null, tenant.created_at, tenant.id
    limit 2
$body$;

create or replace function app.tenants() returns uuid[] language sql stable security definer set search_path = '' as
$body$
    select coalesce(array_agg(member.customer_id), '{}')
    from public.customer_members member
    join public.users account on account.id = member.user_id and account.deleted_at is null
    join public.customers tenant on tenant.id = member.customer_id
    where member.user_id = auth.uid() and tenant.deleted_at is null and tenant.suspended_at is null
$body$;
