-- Tenants: plans, customers, who belongs to them, their webhook secrets, and the bridge to the TEXT company_id.

create table plans (
    id uuid not null default gen_random_uuid(),
    name text not null,
    monthly_request_limit integer,
    storage_limit_mb integer not null,
    price_cents integer not null,
    currency text not null default 'EUR',
    overage_cents_per_request integer,
    stripe_price_id text,
    created_at timestamptz not null default now(),
    constraint plans_pkey primary key (id),
    constraint plans_name_key unique (name),
    constraint plans_name_length check (length(name) between 1 and 50),
    constraint plans_request_limit_not_negative check (monthly_request_limit >= 0),
    constraint plans_storage_limit_not_negative check (storage_limit_mb >= 0),
    constraint plans_price_not_negative check (price_cents >= 0),
    constraint plans_overage_not_negative check (overage_cents_per_request >= 0)
);
comment on column plans.monthly_request_limit is 'null: the lifetime quota of user_settings limits instead';
comment on column plans.overage_cents_per_request is 'null: requests over the limit are refused';

insert into plans (name, monthly_request_limit, storage_limit_mb, price_cents, overage_cents_per_request) values
    ('free', null, 50, 0, null),
    ('pro', 2000, 500, 2900, null),
    ('business', 20000, 5000, 9900, 2);

create table customers (
    id uuid not null default gen_random_uuid(),
    user_id uuid not null,
    name text not null,
    plan_id uuid not null,
    manychat_api_key bytea,
    manychat_api_key_last4 text,
    webhook_url text,
    currency text not null default 'XOF',
    timezone text not null default 'UTC',
    suspended_at timestamptz,
    deleted_at timestamptz,
    created_at timestamptz not null default now(),
    constraint customers_pkey primary key (id),
    constraint customers_user_id_key unique (user_id),
    constraint customers_user_id_fkey foreign key (user_id) references users (id),
    constraint customers_plan_id_fkey foreign key (plan_id) references plans (id),
    constraint customers_name_length check (length(name) between 1 and 200),
    constraint customers_currency_format check (currency ~ '^[A-Z]{3}$'),
    constraint customers_webhook_url_length check (length(webhook_url) <= 2000)
);
create index customers_plan_id_idx on customers (plan_id);
create index customers_created_at_idx on customers (created_at desc, id);

create table customer_members (
    customer_id uuid not null,
    user_id uuid not null,
    role text not null,
    created_at timestamptz not null default now(),
    constraint customer_members_pkey primary key (customer_id, user_id),
    constraint customer_members_customer_id_fkey foreign key (customer_id) references customers (id) on delete cascade,
    constraint customer_members_user_id_fkey foreign key (user_id) references users (id) on delete cascade,
    constraint customer_members_role_known check (role in ('owner', 'support'))
);
create index customer_members_user_id_idx on customer_members (user_id);

create table invitations (
    id uuid not null default gen_random_uuid(),
    customer_id uuid not null,
    token_sha256 bytea not null,
    email text,
    created_by uuid,
    created_at timestamptz not null default now(),
    expires_at timestamptz not null,
    used_at timestamptz,
    used_by uuid,
    constraint invitations_pkey primary key (id),
    constraint invitations_token_sha256_key unique (token_sha256),
    constraint invitations_token_length check (length(token_sha256) = 32),
    constraint invitations_customer_id_fkey foreign key (customer_id) references customers (id) on delete cascade,
    constraint invitations_created_by_fkey foreign key (created_by) references users (id) on delete set null,
    constraint invitations_used_by_fkey foreign key (used_by) references users (id) on delete set null
);
create index invitations_customer_id_idx on invitations (customer_id, created_at desc);
create index invitations_created_by_idx on invitations (created_by);
create index invitations_used_by_idx on invitations (used_by);

-- Two may live at once, while one is rotated out.
create table webhook_secrets (
    id uuid not null default gen_random_uuid(),
    customer_id uuid not null,
    sha256 bytea not null,
    created_at timestamptz not null default now(),
    expires_at timestamptz,
    constraint webhook_secrets_pkey primary key (id),
    constraint webhook_secrets_sha256_key unique (sha256),
    constraint webhook_secrets_sha256_length check (length(sha256) = 32),
    constraint webhook_secrets_customer_id_fkey foreign key (customer_id) references customers (id) on delete cascade
);
create index webhook_secrets_customer_id_idx on webhook_secrets (customer_id);

-- customers.id (UUID) is the tenant; the older tables and the fronts know it by a TEXT company_id.
create table company_mapping (
    uuid uuid not null,
    company_id text not null,
    user_id uuid not null,
    created_at timestamptz not null default now(),
    constraint company_mapping_pkey primary key (uuid),
    constraint company_mapping_uuid_fkey foreign key (uuid) references customers (id) on delete cascade,
    constraint company_mapping_company_id_key unique (company_id),
    constraint company_mapping_company_id_length check (length(company_id) between 1 and 100),
    constraint company_mapping_user_id_fkey foreign key (user_id) references users (id)
);
create index company_mapping_user_id_idx on company_mapping (user_id);

create table company_rag_configs (
    id uuid not null default gen_random_uuid(),
    company_id text not null,
    user_id uuid not null,
    company_name text not null,
    ai_name text not null default 'Lisa',
    prompt_botlive_groq_70b text,
    prompt_botlive_deepseek_v3 text,
    prompt_rag text,
    language text not null default 'fr',
    handover_keywords text[] not null default '{}',
    business_hours jsonb,
    embedding_model text,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint company_rag_configs_pkey primary key (id),
    constraint company_rag_configs_company_id_key unique (company_id),
    constraint company_rag_configs_user_id_key unique (user_id),
    constraint company_rag_configs_company_id_fkey foreign key (company_id)
        references company_mapping (company_id) on delete cascade on update cascade,
    constraint company_rag_configs_user_id_fkey foreign key (user_id) references users (id),
    constraint company_rag_configs_groq_length check (length(prompt_botlive_groq_70b) <= 20000),
    constraint company_rag_configs_deepseek_length check (length(prompt_botlive_deepseek_v3) <= 20000),
    constraint company_rag_configs_rag_length check (length(prompt_rag) <= 20000),
    constraint company_rag_configs_names_length check (length(company_name) <= 200 and length(ai_name) between 1 and 100),
    constraint company_rag_configs_language_known check (language in ('fr', 'en'))
);

create table config_versions (
    id bigint generated always as identity,
    company_id text not null,
    config jsonb not null,
    changed_by uuid,
    created_at timestamptz not null default now(),
    constraint config_versions_pkey primary key (id),
    constraint config_versions_company_id_fkey foreign key (company_id)
        references company_mapping (company_id) on delete cascade on update cascade
);
create index config_versions_company_id_idx on config_versions (company_id, id desc);

-- Keeps the last 20 versions, whoever edits: the API, or a front through Supabase.
create function app.keep_config_version() returns trigger
    language plpgsql security definer set search_path = '' as
$body$
begin
    new.updated_at := now();
    insert into public.config_versions (company_id, config, changed_by)
        values (old.company_id, to_jsonb(old), auth.uid());
    delete from public.config_versions stale
        where stale.company_id = old.company_id
          and stale.id <= (
              select kept.id from public.config_versions kept
              where kept.company_id = old.company_id order by kept.id desc offset 20 limit 1
          );
    return new;
end
$body$;
revoke all on function app.keep_config_version() from public;
create trigger company_rag_configs_version before update on company_rag_configs
    for each row when (old.* is distinct from new.*) execute function app.keep_config_version();

-- The tenants of the signed-in user, for policies of the fronts. As an array, so that an index serves it.
create function app.tenants() returns uuid[] language sql stable security definer set search_path = '' as
$body$
    select coalesce(array_agg(member.customer_id), '{}')
    from public.customer_members member
    join public.customers tenant on tenant.id = member.customer_id
    where member.user_id = auth.uid() and tenant.deleted_at is null and tenant.suspended_at is null
$body$;
revoke all on function app.tenants() from public;
grant execute on function app.tenants() to authenticated;

-- The same by the TEXT name.
create function app.companies() returns text[] language sql stable security definer set search_path = '' as
$body$
    select coalesce(array_agg(mapping.company_id), '{}')
    from public.company_mapping mapping where mapping.uuid = any (app.tenants())
$body$;
revoke all on function app.companies() from public;
grant execute on function app.companies() to authenticated;

create function app.current_company() returns text language sql stable security definer set search_path = '' as
    $body$ select company_id from public.company_mapping where uuid = app.current_customer() $body$;
create function app.current_owner() returns uuid language sql stable security definer set search_path = '' as
    $body$ select user_id from public.customers where id = app.current_customer() $body$;
revoke all on function app.current_company(), app.current_owner() from public;
grant execute on function app.current_company(), app.current_owner() to lisa_tenant;

-- Who is calling: the tenants a user belongs to, those in use first. Two rows are enough to know that one must be named.
-- Runs before there is a tenant, so it is the one thing that lisa_app may do by itself.
create function app.memberships(caller uuid, wanted uuid)
    returns table (customer_id uuid, owner_id uuid, role text, suspended boolean, deleted boolean)
    language sql stable security definer set search_path = '' as
$body$
    select tenant.id, tenant.user_id, member.role, tenant.suspended_at is not null, tenant.deleted_at is not null
    from public.customer_members member
    join public.customers tenant on tenant.id = member.customer_id
    where member.user_id = caller and (wanted is null or member.customer_id = wanted)
    order by tenant.deleted_at is not null, tenant.created_at, tenant.id
    limit 2
$body$;
revoke all on function app.memberships(uuid, uuid) from public;
grant execute on function app.memberships(uuid, uuid) to lisa_app, lisa_system;

alter table plans enable row level security;
alter table customers enable row level security;
alter table customer_members enable row level security;
alter table invitations enable row level security;
alter table webhook_secrets enable row level security;
alter table company_mapping enable row level security;
alter table company_rag_configs enable row level security;
alter table config_versions enable row level security;

revoke all on plans, customers, customer_members, invitations, webhook_secrets, company_mapping,
    company_rag_configs, config_versions from anon, authenticated, service_role;

grant select on plans to lisa_tenant;
create policy plans_tenant on plans for select to lisa_tenant using (true);

grant select on customers to lisa_tenant;
create policy customers_tenant on customers for select to lisa_tenant using (id = (select app.current_customer()));
grant select on customer_members to lisa_tenant;
create policy customer_members_tenant on customer_members for select to lisa_tenant
    using (customer_id = (select app.current_customer()));

grant select on company_mapping to lisa_tenant, authenticated;
create policy company_mapping_tenant on company_mapping for select to lisa_tenant
    using (uuid = (select app.current_customer()));
create policy company_mapping_own on company_mapping for select to authenticated
    using (uuid = any ((select app.tenants())::uuid[]));

grant select on company_rag_configs to lisa_tenant, authenticated;
grant update (prompt_botlive_groq_70b, prompt_botlive_deepseek_v3) on company_rag_configs to authenticated;
create policy company_rag_configs_tenant on company_rag_configs for select to lisa_tenant
    using (company_id = (select app.current_company()));
create policy company_rag_configs_own on company_rag_configs for select to authenticated
    using (company_id = any ((select app.companies())::text[]));
-- Support users read the prompts; the owner writes them.
create policy company_rag_configs_own_update on company_rag_configs for update to authenticated
    using (user_id = (select auth.uid()) and company_id = any ((select app.companies())::text[]))
    with check (user_id = (select auth.uid()));

-- The owner's settings and account, as far as the tenant's own work needs them.
grant select, update (free_quota_used) on user_settings to lisa_tenant;
create policy user_settings_tenant on user_settings to lisa_tenant using (user_id = (select app.current_owner()));
grant select (id, is_pro) on users to lisa_tenant;
create policy users_tenant on users for select to lisa_tenant using (id = (select app.current_owner()));
