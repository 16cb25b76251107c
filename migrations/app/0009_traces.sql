-- What the tenant watches: activities, sessions of the bot, its daily figures; what each model call cost; feedback.

create table activities (
    id uuid not null default gen_random_uuid(),
    company_id uuid not null,
    conversation_id uuid,
    type text not null,
    title text not null,
    description text,
    status text not null default 'info',
    metadata jsonb not null default '{}',
    created_at timestamptz not null default clock_timestamp(),
    constraint activities_pkey primary key (id),
    constraint activities_company_id_fkey foreign key (company_id) references company_mapping (uuid) on delete cascade,
    constraint activities_conversation_id_fkey foreign key (conversation_id)
        references conversations (id) on delete set null,
    constraint activities_type_length check (length(type) between 1 and 50),
    constraint activities_title_length check (length(title) between 1 and 200),
    constraint activities_status_known check (status in ('info', 'success', 'warning', 'error'))
);
create index activities_created_at_idx on activities (company_id, created_at desc, id desc);
create index activities_conversation_id_idx on activities (conversation_id);

create table bot_sessions (
    id uuid not null default gen_random_uuid(),
    company_id uuid not null,
    mode text not null,
    started_at timestamptz not null default now(),
    ended_at timestamptz,
    created_at timestamptz not null default now(),
    constraint bot_sessions_pkey primary key (id),
    constraint bot_sessions_company_id_fkey foreign key (company_id) references company_mapping (uuid) on delete cascade,
    constraint bot_sessions_mode_known check (mode in ('live', 'rag')),
    constraint bot_sessions_ends_after_start check (ended_at >= started_at)
);
create unique index bot_sessions_open_key on bot_sessions (company_id) where ended_at is null;
create index bot_sessions_started_at_idx on bot_sessions (company_id, started_at desc, id desc);

create table bot_usage (
    id uuid not null default gen_random_uuid(),
    company_id uuid not null,
    date date not null,
    conversations_count integer not null default 0,
    messages_count integer not null default 0,
    requests_count integer not null default 0,
    orders_count integer not null default 0,
    revenue numeric(14, 2) not null default 0,
    tokens bigint not null default 0,
    cost_micros bigint not null default 0,
    quota_notified boolean not null default false,
    created_at timestamptz not null default now(),
    constraint bot_usage_pkey primary key (id),
    constraint bot_usage_company_id_fkey foreign key (company_id) references company_mapping (uuid) on delete cascade,
    constraint bot_usage_day_key unique (company_id, date)
);
comment on column bot_usage.date is 'in the tenant''s timezone';
comment on column bot_usage.cost_micros is 'of models, in millionths of a US dollar';
comment on column bot_usage.quota_notified is 'whether the tenant was told that day that no more answers are given';

create table llm_calls (
    id uuid not null default gen_random_uuid(),
    customer_id uuid not null,
    conversation_id uuid,
    purpose text not null,
    provider text not null,
    model text not null,
    prompt_tokens integer not null default 0,
    completion_tokens integer not null default 0,
    cost_micros bigint not null default 0,
    latency_ms integer not null default 0,
    status text not null,
    created_at timestamptz not null default clock_timestamp(),
    constraint llm_calls_pkey primary key (id),
    constraint llm_calls_customer_id_fkey foreign key (customer_id) references customers (id) on delete cascade,
    constraint llm_calls_conversation_id_fkey foreign key (conversation_id)
        references conversations (id) on delete set null,
    constraint llm_calls_purpose_length check (length(purpose) between 1 and 50),
    constraint llm_calls_provider_length check (length(provider) between 1 and 50),
    constraint llm_calls_model_length check (length(model) <= 200),
    constraint llm_calls_status_length check (length(status) between 1 and 50),
    constraint llm_calls_numbers_not_negative
        check (prompt_tokens >= 0 and completion_tokens >= 0 and cost_micros >= 0 and latency_ms >= 0)
);
create index llm_calls_created_at_idx on llm_calls (customer_id, created_at desc);
create index llm_calls_conversation_id_idx on llm_calls (conversation_id);

create table feedback (
    message_id uuid not null,
    user_id uuid not null,
    customer_id uuid not null,
    is_helpful boolean not null,
    comment text,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint feedback_pkey primary key (message_id, user_id),
    constraint feedback_message_id_fkey foreign key (message_id) references messages (id) on delete cascade,
    constraint feedback_user_id_fkey foreign key (user_id) references users (id) on delete cascade,
    constraint feedback_customer_id_fkey foreign key (customer_id) references customers (id) on delete cascade,
    constraint feedback_comment_length check (length(comment) <= 2000)
);
create index feedback_user_id_idx on feedback (user_id);
create index feedback_customer_id_idx on feedback (customer_id, created_at desc);

do $$
declare
    name text;
begin
    foreach name in array array['activities', 'bot_sessions', 'bot_usage', 'llm_calls', 'feedback'] loop
        execute format('alter table %I enable row level security', name);
        execute format('revoke all on %I from anon, authenticated, service_role', name);
        execute format('grant select, insert, update, delete on %I to lisa_system', name);
        execute format('create policy %I on %I to lisa_system using (true) with check (true)', name || '_system', name);
    end loop;
    foreach name in array array['activities', 'bot_sessions', 'bot_usage'] loop
        execute format('grant select on %I to authenticated', name);
        execute format(
            'create policy %I on %I for select to authenticated using (company_id = any ((select app.tenants())::uuid[]))',
            name || '_own', name
        );
        execute format(
            'create policy %I on %I to lisa_tenant using (company_id = (select app.current_customer()))
             with check (company_id = (select app.current_customer()))',
            name || '_tenant', name
        );
    end loop;
    foreach name in array array['llm_calls', 'feedback'] loop
        execute format(
            'create policy %I on %I to lisa_tenant using (customer_id = (select app.current_customer()))
             with check (customer_id = (select app.current_customer()))',
            name || '_tenant', name
        );
    end loop;
    if exists (select from pg_publication where pubname = 'supabase_realtime') then
        alter publication supabase_realtime add table activities;
    end if;
end
$$;

-- Append-only for the tenant, but for figures that grow and sessions that end.
grant select, insert on activities, llm_calls to lisa_tenant;
grant select, insert, update on bot_sessions, bot_usage, feedback to lisa_tenant;
