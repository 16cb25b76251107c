-- Answers: questions of the API are kept in conversations too, so that they can be gone on with; what the documents did
-- not say is listed; and the tenant's own answers come first.

alter table conversations drop constraint conversations_channel_known;
alter table messages drop constraint messages_channel_known;
alter table conversations
    add column user_id uuid,
    add constraint conversations_user_id_fkey foreign key (user_id) references users (id) on delete set null,
    add constraint conversations_channel_known check (channel in ('whatsapp', 'api'));
alter table messages add constraint messages_channel_known check (channel in ('whatsapp', 'api'));
comment on column conversations.user_id is 'of channel api: the member who asks; its contact_id is the conversation''s own id';
create index conversations_user_id_idx on conversations (user_id);
-- The list shows one channel.
create index conversations_channel_last_message_at_idx
    on conversations (customer_id, channel, last_message_at desc, id desc);
drop index conversations_last_message_at_idx;

create or replace view conversation_memory with (security_invoker = true) as
    select mapping.company_id, coalesce(conversation.user_id::text, conversation.contact_id) as user_id,
        case message.direction when 'inbound' then 'user' else 'assistant' end as role,
        message.content, message.created_at as timestamp
    from messages message
    join conversations conversation on conversation.id = message.conversation_id
    join company_mapping mapping on mapping.uuid = message.customer_id;
grant select (user_id) on conversations to authenticated;

-- What was asked and not said: a row an answer, with all the messages that it answers.
create index messages_not_answered_idx on messages (customer_id, created_at desc, id desc) where answered = false;
create view unanswered with (security_invoker = true) as
    select reply.id as message_id, reply.customer_id, reply.conversation_id, reply.channel, asked.question,
        reply.created_at
    from messages reply
    cross join lateral (
        select string_agg(message.content, E'\n' order by message.created_at, message.id) as question
        from messages message
        where message.answered_by = reply.id and message.content <> ''
    ) asked
    where reply.answered = false and asked.question is not null;
revoke all on unanswered from anon, authenticated, service_role;
grant select on unanswered to lisa_tenant;

-- By what a question is known again, however it is worded: its words in their order, without accents, endings, and what is
-- said out of politeness or grammar alone. Words that change the meaning stay: who, where, when, with, without, not; and so
-- do single letters, which are sizes and vitamins where they are not what is left of an elision.
create function app.question_key(question text, stemming regdictionary)
    returns text language sql immutable parallel safe set search_path = '' as
$body$
    select string_agg(coalesce((ts_lexize(stemming, word))[1], word), ' ' order by place)
    from regexp_split_to_table(
        regexp_replace(
            regexp_replace(
                regexp_replace(
                    regexp_replace(normalize(lower(question), NFKD), '[\u0300-\u036f]', '', 'g'), '[’ʼ]', $$'$$, 'g'
                ),
                $$\mcannot\M|(\mca)?n't\M$$, ' not ', 'g'
            ),
            $$\m(c|d|j|l|m|n|s|t|qu|jusqu|lorsqu|puisqu)'|'(s|m|d|re|ve|ll)\M|\mest[- ]ce\M$$, ' ', 'g'
        ),
        '[^[:alnum:]]+'
    ) with ordinality listed (word, place)
    where word <> '' and word <> all (array[
        'a', 'an', 'and', 'are', 'as', 'at', 'be', 'bonjour', 'bonsoir', 'can', 'ce', 'ces', 'cet', 'cette', 'could', 'de',
        'des', 'did', 'do', 'does', 'du', 'elle', 'en', 'et', 'for', 'hello', 'hey', 'hi', 'il', 'is',
        'je', 'la', 'le', 'les', 'ma', 'madame', 'me', 'merci', 'mes', 'mon', 'monsieur', 'my', 'of', 'our', 'peut',
        'peux', 'plait', 'please', 'pourriez', 'pouvez', 'que', 'salut', 'sir', 'sont', 'stp', 'svp', 'te', 'thank',
        'thanks', 'that', 'the', 'this', 'to', 'tu', 'un', 'une', 'vos', 'votre', 'vous', 'was', 'we', 'were',
        'would', 'you', 'your'
    ])
$body$;
revoke all on function app.question_key(text, regdictionary) from public;
grant execute on function app.question_key(text, regdictionary) to lisa_tenant, lisa_system;

create table approved_answers (
    id uuid not null default gen_random_uuid(),
    customer_id uuid not null,
    language text not null default 'fr',
    question text not null,
    answer text not null,
    question_key text not null generated always as (
        app.question_key(
            question,
            case language when 'en' then 'pg_catalog.english_stem'::regdictionary else 'pg_catalog.french_stem' end
        )
    ) stored,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint approved_answers_pkey primary key (id),
    constraint approved_answers_customer_id_fkey foreign key (customer_id) references customers (id) on delete cascade,
    constraint approved_answers_question_key unique (customer_id, language, question_key),
    constraint approved_answers_language_known check (language in ('fr', 'en')),
    constraint approved_answers_question_length check (length(question) between 1 and 1000),
    constraint approved_answers_answer_length check (length(answer) between 1 and 4096)
);
comment on table approved_answers is 'the tenant''s own answers: given as they are to the same question, before documents or models are asked';
comment on column approved_answers.question_key is 'what other wordings of the question have too';
create index approved_answers_created_at_idx on approved_answers (customer_id, created_at desc, id desc);
alter table approved_answers enable row level security;
revoke all on approved_answers from anon, authenticated, service_role;
grant select on approved_answers to lisa_tenant;
create policy approved_answers_tenant on approved_answers to lisa_tenant
    using (customer_id = (select app.current_customer()))
    with check (customer_id = (select app.current_customer()));
grant select, insert, update, delete on approved_answers to lisa_system;
create policy approved_answers_system on approved_answers to lisa_system using (true) with check (true);
