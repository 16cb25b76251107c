-- Accounts: users, how they sign in, their lifetime free quota and their public profile.

create table users (
    id uuid not null default gen_random_uuid(),
    email text not null,
    role text not null default 'account_user',
    is_pro boolean not null default false,
    created_at timestamptz not null default now(),
    constraint users_pkey primary key (id),
    constraint users_email_length check (length(email) between 3 and 320),
    constraint users_role_known check (role in ('global_admin', 'account_user', 'support_user'))
);
create unique index users_email_key on users (lower(email));

-- Absent where Supabase Auth signs in.
create table credentials (
    user_id uuid not null,
    hashed_password text not null,
    password_changed_at timestamptz not null default now(),
    constraint credentials_pkey primary key (user_id),
    constraint credentials_user_id_fkey foreign key (user_id) references users (id) on delete cascade
);

-- One row a family of refresh tokens: only the newest token's hash is kept, an older one is a reuse.
create table refresh_sessions (
    id uuid not null default gen_random_uuid(),
    user_id uuid not null,
    token_sha256 bytea not null,
    created_at timestamptz not null default now(),
    rotated_at timestamptz not null default now(),
    expires_at timestamptz not null,
    ended_at timestamptz,
    constraint refresh_sessions_pkey primary key (id),
    constraint refresh_sessions_user_id_fkey foreign key (user_id) references users (id) on delete cascade,
    constraint refresh_sessions_token_length check (length(token_sha256) = 32)
);
create index refresh_sessions_user_id_idx on refresh_sessions (user_id);
create index refresh_sessions_expires_at_idx on refresh_sessions (expires_at);

-- The free quota is for life: nothing ever resets it.
create table user_settings (
    user_id uuid not null,
    free_quota_used integer not null default 0,
    free_quota_limit integer not null default 8,
    constraint user_settings_pkey primary key (user_id),
    constraint user_settings_user_id_fkey foreign key (user_id) references users (id) on delete cascade,
    constraint user_settings_used_not_negative check (free_quota_used >= 0),
    constraint user_settings_limit_not_negative check (free_quota_limit >= 0)
);

create table profiles (
    id uuid not null,
    email varchar(320) not null,
    full_name varchar(255),
    avatar_url text,
    stripe_customer_id varchar(255),
    subscription_status varchar(50) not null default 'free',
    subscription_tier varchar(50),
    subscription_current_period_end timestamptz,
    credits_remaining integer not null default 0,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint profiles_pkey primary key (id),
    constraint profiles_id_fkey foreign key (id) references users (id) on delete cascade,
    constraint profiles_stripe_customer_id_key unique (stripe_customer_id),
    constraint profiles_avatar_url_length check (length(avatar_url) <= 2000)
);

alter table users enable row level security;
alter table credentials enable row level security;
alter table refresh_sessions enable row level security;
alter table user_settings enable row level security;
alter table profiles enable row level security;

revoke all on users, credentials, refresh_sessions, user_settings, profiles from anon, authenticated, service_role;

grant select (id, is_pro) on users to authenticated;
create policy users_own on users for select to authenticated using (id = (select auth.uid()));
grant select on user_settings to authenticated;
create policy user_settings_own on user_settings for select to authenticated using (user_id = (select auth.uid()));
grant select on profiles to authenticated;
grant update (full_name, avatar_url) on profiles to authenticated;
create policy profiles_own on profiles for select to authenticated using (id = (select auth.uid()));
create policy profiles_own_update on profiles for update to authenticated
    using (id = (select auth.uid())) with check (id = (select auth.uid()));

-- profiles.credits_remaining shows what is left: of the free quota, as long as no plan is paid for.
create function app.project_credits() returns trigger
    language plpgsql security definer set search_path = '' as
$body$
begin
    update public.profiles profile
        set credits_remaining = greatest(new.free_quota_limit - new.free_quota_used, 0)
        from public.users account
        where profile.id = new.user_id and account.id = new.user_id and not account.is_pro;
    return null;
end
$body$;
revoke all on function app.project_credits() from public;
create trigger user_settings_credits after update of free_quota_used, free_quota_limit on user_settings
    for each row execute function app.project_credits();

-- Makes the rows that every account has. Called by sign-up, and by the trigger where Supabase Auth keeps the accounts.
-- Repeating it changes nothing; another account's address is refused by users_email_key.
create function app.provision_account(account uuid, account_email text, account_name text, quota_limit integer)
    returns void language sql security definer set search_path = '' as
$body$
    insert into public.users (id, email) values (account, account_email) on conflict (id) do nothing;
    insert into public.user_settings (user_id, free_quota_limit) values (account, quota_limit)
        on conflict (user_id) do nothing;
    insert into public.profiles (id, email, full_name, credits_remaining)
        values (account, account_email, account_name, quota_limit) on conflict (id) do nothing;
$body$;
revoke all on function app.provision_account(uuid, text, text, integer) from public;
grant execute on function app.provision_account(uuid, text, text, integer) to lisa_system;

do $$
begin
    if to_regclass('auth.users') is not null then
        create function app.on_auth_user_created() returns trigger
            language plpgsql security definer set search_path = '' as
        $body$
        begin
            -- Anonymous and phone sign-ins have no address; the id stands in, so that it stays unique.
            perform app.provision_account(
                new.id,
                coalesce(nullif(new.email, ''), new.id::text || '@accounts.invalid'),
                left(new.raw_user_meta_data ->> 'full_name', 255),
                8
            );
            return new;
        end
        $body$;
        revoke all on function app.on_auth_user_created() from public;
        create trigger lisa_on_auth_user_created after insert on auth.users
            for each row execute function app.on_auth_user_created();
        -- Accounts that were there before us.
        perform app.provision_account(
            existing.id,
            coalesce(nullif(existing.email, ''), existing.id::text || '@accounts.invalid'),
            left(existing.raw_user_meta_data ->> 'full_name', 255),
            8
        ) from auth.users existing;
    end if;
end
$$;

-- What /v1/quota shows of any user, and the caller's role beyond a tenant. Like app.memberships they run before there is
-- a tenant; the function that calls them decides who may ask.
create function app.quota_of(wanted uuid)
    returns table (is_pro boolean, free_quota_used integer, free_quota_limit integer)
    language sql stable security definer set search_path = '' as
$body$
    select account.is_pro, settings.free_quota_used, settings.free_quota_limit
    from public.users account
    join public.user_settings settings on settings.user_id = account.id
    where account.id = wanted
$body$;
create function app.user_role(wanted uuid) returns table (role text)
    language sql stable security definer set search_path = '' as
    $body$ select role from public.users where id = wanted $body$;
revoke all on function app.quota_of(uuid), app.user_role(uuid) from public;
grant execute on function app.quota_of(uuid), app.user_role(uuid) to lisa_app;
