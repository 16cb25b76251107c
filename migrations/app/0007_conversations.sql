-- WhatsApp: conversations with a tenant's customers, their messages, and the parts that are still to be sent.

-- How the tenant wants its assistant to behave; the routes for it come with the company's side.
alter table company_rag_configs
    add column show_sources boolean not null default true,
    add column unsupported_messages text not null default 'reply',
    add column outside_hours text not null default 'answer',
    add column handover_minutes integer not null default 240,
    add constraint company_rag_configs_unsupported_known check (unsupported_messages in ('reply', 'hand_over')),
    add constraint company_rag_configs_outside_known check (outside_hours in ('answer', 'hand_over')),
    add constraint company_rag_configs_handover_positive check (handover_minutes between 1 and 10080);
comment on column company_rag_configs.show_sources is 'whether an answer ends with the file and the page that it is from';
comment on column company_rag_configs.unsupported_messages is 'what a voice message, an image or a location leads to';
comment on column company_rag_configs.outside_hours is 'what a message outside business_hours leads to';
comment on column company_rag_configs.handover_minutes is 'after how long without a word of a person the bot takes over again';

create table conversations (
    id uuid not null default gen_random_uuid(),
    customer_id uuid not null,
    channel text not null default 'whatsapp',
    contact_id text not null,
    user_phone text,
    display_name text,
    language text,
    handler text not null default 'bot',
    handover_reason text,
    handover_until timestamptz,
    opted_out_at timestamptz,
    greeted_at timestamptz,
    quota_notice_on date,
    order_draft jsonb,
    last_message_at timestamptz not null default now(),
    last_inbound_at timestamptz,
    next_send_at timestamptz not null default now(),
    lease_token uuid,
    lease_expires_at timestamptz,
    created_at timestamptz not null default now(),
    constraint conversations_pkey primary key (id),
    constraint conversations_customer_id_fkey foreign key (customer_id) references customers (id) on delete cascade,
    constraint conversations_contact_key unique (customer_id, channel, contact_id),
    constraint conversations_tenant_key unique (id, customer_id),
    constraint conversations_channel_known check (channel in ('whatsapp')),
    constraint conversations_contact_id_length check (length(contact_id) between 1 and 100),
    constraint conversations_user_phone_length check (length(user_phone) <= 50),
    constraint conversations_display_name_length check (length(display_name) <= 200),
    constraint conversations_language_known check (language in ('fr', 'en')),
    constraint conversations_handler_known check (handler in ('bot', 'human')),
    constraint conversations_handover_reason_known
        check (handover_reason in ('keyword', 'model', 'person', 'outside_hours', 'unsupported')),
    constraint conversations_handover_has_end check ((handler = 'human') = (handover_until is not null)),
    constraint conversations_lease_has_end check ((lease_token is null) = (lease_expires_at is null))
);
comment on column conversations.quota_notice_on is 'the last day on which the contact was told that no answer can be given';
comment on column conversations.order_draft is 'what the bot has proposed and the contact has not confirmed yet';
comment on column conversations.next_send_at is 'WhatsApp takes about one message in six seconds a contact';
comment on column conversations.lease_token is 'of the worker that answers; after lease_expires_at it is taken for dead';
create index conversations_last_message_at_idx on conversations (customer_id, last_message_at desc, id desc);

create table messages (
    id uuid not null default gen_random_uuid(),
    customer_id uuid not null,
    conversation_id uuid not null,
    channel text not null default 'whatsapp',
    user_phone text,
    direction text not null,
    author text not null,
    content text not null,
    external_id text,
    attachment text,
    citations jsonb,
    answered boolean,
    model text,
    prompt_tokens integer,
    completion_tokens integer,
    sent_by uuid,
    answered_by uuid,
    skipped_reason text,
    sent_at timestamptz,
    error_code text,
    created_at timestamptz not null default clock_timestamp(),
    constraint messages_pkey primary key (id),
    constraint messages_customer_id_fkey foreign key (customer_id) references customers (id) on delete cascade,
    -- With the tenant, so that no message can stand in another tenant's conversation.
    constraint messages_conversation_id_fkey foreign key (conversation_id, customer_id)
        references conversations (id, customer_id) on delete cascade,
    constraint messages_answered_by_fkey foreign key (answered_by) references messages (id) on delete set null,
    constraint messages_sent_by_fkey foreign key (sent_by) references users (id) on delete set null,
    constraint messages_external_id_key unique (customer_id, channel, external_id),
    constraint messages_channel_known check (channel in ('whatsapp')),
    constraint messages_direction_known check (direction in ('inbound', 'outbound')),
    constraint messages_author_known check (author in ('contact', 'bot', 'agent', 'system')),
    constraint messages_author_has_direction check ((direction = 'inbound') = (author = 'contact')),
    constraint messages_content_length check (length(content) <= 20000),
    constraint messages_external_id_length check (length(external_id) between 1 and 200),
    constraint messages_attachment_length check (length(attachment) <= 50),
    constraint messages_skipped_reason_known check (skipped_reason in ('quota', 'opted_out', 'failed', 'superseded'))
);
comment on column messages.attachment is 'what came instead of a text: audio, image, location …';
comment on column messages.answered is 'of a bot''s message: whether the documents said so';
comment on column messages.answered_by is 'of a contact''s message: the message that answers it; null and not skipped, it waits for one';
comment on column messages.error_code is 'why it did not reach the contact';
create index messages_conversation_idx on messages (conversation_id, created_at desc, id desc);
create index messages_created_at_idx on messages (customer_id, created_at desc, id desc);
create index messages_user_phone_idx on messages (customer_id, user_phone, created_at desc, id desc);
create index messages_unanswered_idx on messages (conversation_id, created_at)
    where direction = 'inbound' and answered_by is null and skipped_reason is null;
create index messages_answered_by_idx on messages (answered_by);
create index messages_sent_by_idx on messages (sent_by);

create table outbox (
    message_id uuid not null,
    part integer not null,
    customer_id uuid not null,
    conversation_id uuid not null,
    content text not null,
    state text not null default 'queued',
    attempts integer not null default 0,
    not_before timestamptz not null default now(),
    sent_at timestamptz,
    error_code text,
    error text,
    created_at timestamptz not null default clock_timestamp(),
    constraint outbox_pkey primary key (message_id, part),
    constraint outbox_message_id_fkey foreign key (message_id) references messages (id) on delete cascade,
    constraint outbox_customer_id_fkey foreign key (customer_id) references customers (id) on delete cascade,
    constraint outbox_conversation_id_fkey foreign key (conversation_id, customer_id)
        references conversations (id, customer_id) on delete cascade,
    constraint outbox_state_known check (state in ('queued', 'sent', 'failed', 'cancelled')),
    constraint outbox_sent_has_time check ((state = 'sent') = (sent_at is not null)),
    constraint outbox_part_not_negative check (part >= 0),
    constraint outbox_content_length check (length(content) between 1 and 4096)
);
create index outbox_queued_idx on outbox (conversation_id, created_at, part) where state = 'queued';
create index outbox_conversation_id_idx on outbox (conversation_id);
create index outbox_customer_id_idx on outbox (customer_id);

-- A unit that was taken for a conversation whose worker died is the one that its successor uses.
alter table reservations add column conversation_id uuid,
    add constraint reservations_conversation_id_fkey foreign key (conversation_id)
        references conversations (id) on delete set null;
create unique index reservations_conversation_held_key on reservations (conversation_id) where state = 'held';
create index reservations_conversation_id_idx on reservations (conversation_id);

-- One job a conversation: a new message makes it due again.
alter table jobs drop constraint jobs_kind_known;
alter table jobs add constraint jobs_kind_known check (kind in ('ingest', 'delete_object', 'reply'));
create unique index jobs_reply_conversation_key on jobs ((payload ->> 'conversation_id')) where kind = 'reply';

-- The tenant of a webhook secret, and in which language it speaks. Runs before there is a tenant.
create function app.webhook_tenant(secret_sha256 text)
    returns table (customer_id uuid, suspended boolean, deleted boolean, language text)
    language sql stable security definer set search_path = '' as
$body$
    select tenant.id, tenant.suspended_at is not null, tenant.deleted_at is not null, config.language
    from public.webhook_secrets secret
    join public.customers tenant on tenant.id = secret.customer_id
    join public.company_mapping mapping on mapping.uuid = tenant.id
    join public.company_rag_configs config on config.company_id = mapping.company_id
    where secret.sha256 = decode(secret_sha256, 'hex') and (secret.expires_at is null or secret.expires_at > now())
$body$;
revoke all on function app.webhook_tenant(text) from public;
grant execute on function app.webhook_tenant(text) to lisa_app;

-- Stores a message of a contact with its conversation and its job; a repeat changes nothing. As a function, because each
-- step needs to see the one before, and the caller waits for one round trip only.
create function app.receive_message(
    contact text, phone text, name text, spoken text, body text, attached text, external text
) returns table (
    conversation_id uuid, message_id uuid, job_id uuid, is_first boolean, by_person boolean, is_opted_out boolean
) language plpgsql security invoker set search_path = '' as
$body$
declare
    tenant constant uuid := app.current_customer();
    conversation public.conversations;
begin
    -- Locks the row: messages of one contact come in one after the other.
    loop
        select * into conversation from public.conversations known
            where known.customer_id = tenant and known.channel = 'whatsapp' and known.contact_id = contact for update;
        exit when found;
        insert into public.conversations (customer_id, contact_id, user_phone, display_name, language)
            values (tenant, contact, phone, name, spoken)
            on conflict on constraint conversations_contact_key do nothing;
    end loop;
    -- Without an id, the same text within ten seconds is the same message.
    if external is null then
        select known.id into message_id from public.messages known
            where known.conversation_id = conversation.id and known.direction = 'inbound' and known.content = body
              and known.attachment is not distinct from attached
              and known.created_at > clock_timestamp() - interval '10 seconds'
            limit 1;
    else
        select known.id into message_id from public.messages known
            where known.customer_id = tenant and known.channel = conversation.channel and known.external_id = external;
    end if;
    is_first := not exists (
        select from public.messages waiting
        where waiting.conversation_id = conversation.id and waiting.direction = 'inbound'
          and waiting.answered_by is null and waiting.skipped_reason is null
    );
    conversation_id := conversation.id;
    by_person := conversation.handler = 'human' and conversation.handover_until > now();
    is_opted_out := conversation.opted_out_at is not null;
    if message_id is not null then
        -- Whoever delivered it first may have died before it told the queue.
        message_id := null;
        select job.id into job_id from public.jobs job
            where job.customer_id = tenant and job.kind = 'reply' and job.status = 'queued'
              and job.payload ->> 'conversation_id' = conversation.id::text;
        return next;
        return;
    end if;
    insert into public.messages as made
            (customer_id, conversation_id, user_phone, direction, author, content, attachment, external_id)
        values (tenant, conversation.id, coalesce(phone, conversation.user_phone), 'inbound', 'contact', body, attached,
            external)
        returning made.id into message_id;
    update public.conversations known set
            last_message_at = now(),
            last_inbound_at = now(),
            user_phone = coalesce(phone, known.user_phone),
            display_name = coalesce(name, known.display_name),
            language = coalesce(spoken, known.language)
        where known.id = conversation.id;
    insert into public.jobs as job (customer_id, kind, payload, run_after)
        values (tenant, 'reply', jsonb_build_object('conversation_id', conversation.id), now() + interval '1 minute')
        on conflict ((payload ->> 'conversation_id')) where kind = 'reply' do update
            set status = 'queued', attempts = 0, run_after = excluded.run_after, last_error = null,
                updated_at = clock_timestamp()
        returning job.id into job_id;
    return next;
end
$body$;
revoke all on function app.receive_message(text, text, text, text, text, text, text) from public;
grant execute on function app.receive_message(text, text, text, text, text, text, text) to lisa_tenant;

-- The owner connects ManyChat.
grant update (name, currency, timezone, webhook_url, manychat_api_key, manychat_api_key_last4) on customers to lisa_tenant;
create policy customers_tenant_update on customers for update to lisa_tenant
    using (id = (select app.current_customer())) with check (id = (select app.current_customer()));
grant select (id, customer_id, created_at, expires_at), insert, update (expires_at), delete on webhook_secrets to lisa_tenant;
create policy webhook_secrets_tenant on webhook_secrets to lisa_tenant
    using (customer_id = (select app.current_customer()))
    with check (customer_id = (select app.current_customer()));

alter table conversations enable row level security;
alter table messages enable row level security;
alter table outbox enable row level security;
revoke all on conversations, messages, outbox from anon, authenticated, service_role;

grant select, insert, update on conversations, messages, outbox to lisa_tenant;
create policy conversations_tenant on conversations to lisa_tenant
    using (customer_id = (select app.current_customer()))
    with check (customer_id = (select app.current_customer()));
create policy messages_tenant on messages to lisa_tenant
    using (customer_id = (select app.current_customer()))
    with check (customer_id = (select app.current_customer()));
create policy outbox_tenant on outbox to lisa_tenant
    using (customer_id = (select app.current_customer()))
    with check (customer_id = (select app.current_customer()));

grant select, insert, update, delete on conversations, messages, outbox to lisa_system;
create policy conversations_system on conversations to lisa_system using (true) with check (true);
create policy messages_system on messages to lisa_system using (true) with check (true);
create policy outbox_system on outbox to lisa_system using (true) with check (true);

-- What the fronts know a conversation by. As the caller: hence the columns that it may read below.
create view conversation_memory with (security_invoker = true) as
    select mapping.company_id, conversation.contact_id as user_id,
        case message.direction when 'inbound' then 'user' else 'assistant' end as role,
        message.content, message.created_at as timestamp
    from messages message
    join conversations conversation on conversation.id = message.conversation_id
    join company_mapping mapping on mapping.uuid = message.customer_id;
revoke all on conversation_memory from anon, authenticated, service_role;
grant select on conversation_memory to authenticated, lisa_tenant;
grant select (customer_id, conversation_id, direction, content, created_at) on messages to authenticated;
grant select (id, customer_id, contact_id) on conversations to authenticated;
create policy messages_own on messages for select to authenticated
    using (customer_id = any ((select app.tenants())::uuid[]));
create policy conversations_own on conversations for select to authenticated
    using (customer_id = any ((select app.tenants())::uuid[]));
