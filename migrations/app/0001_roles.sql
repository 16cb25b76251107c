-- Roles, the identity functions that policies read, and the schema `app` that holds our own.
-- Everything is created only where it is missing: on Supabase most of it stands already.

do $$
declare
    missing text;
begin
    foreach missing in array array['anon', 'authenticated', 'service_role', 'lisa_tenant'] loop
        if not exists (select from pg_roles where rolname = missing) then
            begin
                execute format('create role %I nologin noinherit', missing);
            exception when duplicate_object or unique_violation then null; -- another database of this cluster was quicker
            end;
        end if;
    end loop;
    -- Login roles; the migrate function gives them the passwords that the connection strings name.
    foreach missing in array array['lisa_app', 'lisa_system'] loop
        if not exists (select from pg_roles where rolname = missing) then
            begin
                execute format('create role %I login noinherit', missing);
            exception when duplicate_object or unique_violation then null;
            end;
        end if;
    end loop;
    begin
        -- lisa_app owns nothing and may do nothing until it takes the role of a tenant.
        grant lisa_tenant to lisa_app;
    exception when unique_violation then null;
    end;
end
$$;

do $$
begin
    if to_regnamespace('auth') is null then
        create schema auth;
        grant usage on schema auth to anon, authenticated, service_role;
    end if;
    if to_regprocedure('auth.jwt()') is null then
        create function auth.jwt() returns jsonb language sql stable as
            $body$ select nullif(current_setting('request.jwt.claims', true), '')::jsonb $body$;
    end if;
    if to_regprocedure('auth.uid()') is null then
        create function auth.uid() returns uuid language sql stable as
            $body$ select nullif(nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'sub', '')::uuid $body$;
    end if;
    if to_regprocedure('auth.role()') is null then
        create function auth.role() returns text language sql stable as
            $body$ select nullif(current_setting('request.jwt.claims', true), '')::jsonb ->> 'role' $body$;
    end if;

    -- Supabase keeps extensions in a schema of their own.
    if not exists (select from pg_extension where extname = 'vector') then
        if to_regnamespace('extensions') is not null then
            create extension vector with schema extensions;
        else
            create extension vector;
        end if;
    end if;
    -- There only Supabase's own roles may look into it.
    execute format(
        'grant usage on schema %I to lisa_app, lisa_tenant, lisa_system',
        (select extnamespace::regnamespace::text from pg_extension where extname = 'vector')
    );
end
$$;

-- Nobody but the owner makes objects in public: security-definer functions resolve names there.
revoke create on schema public from public;
grant usage on schema public to anon, authenticated, service_role, lisa_tenant, lisa_system;

create schema app;
grant usage on schema app to lisa_app, lisa_tenant, lisa_system, authenticated;

-- The tenant of the running transaction, set by its first statement; null outside of one.
create function app.current_customer() returns uuid language sql stable as
    $body$ select nullif(current_setting('app.customer_id', true), '')::uuid $body$;

revoke all on function app.current_customer() from public;
grant execute on function app.current_customer() to lisa_tenant, lisa_system;

do $$
begin
    -- Supabase grants all on new tables to the fronts by default; ours are granted one by one.
    alter default privileges in schema public revoke all on tables from anon, authenticated, service_role;
    alter default privileges in schema public revoke all on functions from anon, authenticated, service_role;
    alter default privileges in schema public revoke all on sequences from anon, authenticated, service_role;
    -- The ledger of migrations was made before this could be said.
    if to_regclass('public._sqlx_migrations') is not null then
        alter table public._sqlx_migrations enable row level security;
        revoke all on public._sqlx_migrations from anon, authenticated, service_role;
    end if;
end
$$;
