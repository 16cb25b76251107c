-- Jobs (what must happen later, written with its cause) and reservations (quota taken, not yet spent).

create table jobs (
    id uuid not null default gen_random_uuid(),
    customer_id uuid not null,
    kind text not null,
    payload jsonb not null default '{}',
    status text not null default 'queued',
    attempts integer not null default 0,
    run_after timestamptz not null default now(),
    last_error text,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint jobs_pkey primary key (id),
    constraint jobs_customer_id_fkey foreign key (customer_id) references customers (id) on delete cascade,
    constraint jobs_kind_known check (kind in ('ingest', 'delete_object')),
    constraint jobs_status_known check (status in ('queued', 'running', 'done', 'failed')),
    constraint jobs_attempts_not_negative check (attempts >= 0)
);
comment on column jobs.run_after is 'queued: when it is due; running: when its worker is taken for dead';
create index jobs_due_idx on jobs (run_after) where status in ('queued', 'running');
create index jobs_customer_id_idx on jobs (customer_id);
create unique index jobs_ingest_document_key on jobs ((payload ->> 'document_id')) where kind = 'ingest';

create table reservations (
    id uuid not null default gen_random_uuid(),
    customer_id uuid not null,
    user_id uuid not null,
    kind text not null,
    amount integer not null default 1,
    state text not null default 'held',
    created_at timestamptz not null default now(),
    expires_at timestamptz not null,
    constraint reservations_pkey primary key (id),
    constraint reservations_customer_id_fkey foreign key (customer_id) references customers (id) on delete cascade,
    constraint reservations_user_id_fkey foreign key (user_id) references users (id) on delete cascade,
    constraint reservations_kind_known check (kind in ('free_quota', 'plan')),
    constraint reservations_state_known check (state in ('held', 'spent', 'returned')),
    constraint reservations_amount_positive check (amount > 0)
);
create index reservations_held_idx on reservations (expires_at) where state = 'held';
create index reservations_customer_id_idx on reservations (customer_id);
create index reservations_user_id_idx on reservations (user_id);

alter table jobs enable row level security;
alter table reservations enable row level security;
revoke all on jobs, reservations from anon, authenticated, service_role;

grant select, insert, update on jobs, reservations to lisa_tenant;
create policy jobs_tenant on jobs to lisa_tenant
    using (customer_id = (select app.current_customer()))
    with check (customer_id = (select app.current_customer()));
-- Maintenance gives an expired unit back to whom the row names.
create policy reservations_tenant on reservations to lisa_tenant
    using (customer_id = (select app.current_customer()))
    with check (customer_id = (select app.current_customer()) and user_id = (select app.current_owner()));

-- The system role (auth, maintenance, admin, Stripe) sees every tenant, through policies of its own.
do $$
declare
    name text;
begin
    foreach name in array array['users', 'credentials', 'refresh_sessions', 'user_settings', 'profiles', 'plans',
        'customers', 'customer_members', 'invitations', 'webhook_secrets', 'company_mapping', 'company_rag_configs',
        'config_versions', 'documents', 'document_chunks', 'jobs', 'reservations'] loop
        execute format('grant select, insert, update, delete on %I to lisa_system', name);
        execute format('create policy %I on %I to lisa_system using (true) with check (true)', name || '_system', name);
    end loop;
    -- Types and operators of pgvector stand in `extensions` on Supabase.
    alter role lisa_app set search_path = public, extensions;
    alter role lisa_system set search_path = public, extensions;
    -- A function that was frozen inside a transaction must not keep its locks or its pooler slot.
    alter role lisa_app set idle_in_transaction_session_timeout = '15s';
    alter role lisa_system set idle_in_transaction_session_timeout = '60s';

    -- The fronts of Supabase follow these in real time.
    if exists (select from pg_publication where pubname = 'supabase_realtime') then
        alter publication supabase_realtime add table users (id, is_pro);
        alter publication supabase_realtime add table user_settings (user_id, free_quota_used, free_quota_limit);
    end if;
end
$$;
