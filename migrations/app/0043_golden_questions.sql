-- Golden questions of a company: questions whose answers are known, by which it tries a prompt before it is used. Approved
-- answers that the company writes, and questions without an answer that it has closed.
set local lock_timeout = '3s';

grant insert (customer_id, language, question, answer), update (language, question, answer, updated_at), delete
    on approved_answers to lisa_tenant;
alter table approved_answers add constraint approved_answers_id_customer_id_key unique (id, customer_id);

create table golden_questions (
    id uuid not null default gen_random_uuid(),
    customer_id uuid not null,
    question text not null,
    document_id uuid,
    page integer,
    approved_answer_id uuid,
    last_passed boolean,
    last_run_at timestamptz,
    created_at timestamptz not null default now(),
    constraint golden_questions_pkey primary key (id),
    constraint golden_questions_customer_id_fkey foreign key (customer_id) references customers (id) on delete cascade,
    constraint golden_questions_document_id_fkey foreign key (document_id, customer_id)
        references documents (id, customer_id) on delete cascade,
    constraint golden_questions_approved_answer_id_fkey foreign key (approved_answer_id, customer_id)
        references approved_answers (id, customer_id) on delete cascade,
    constraint golden_questions_question_length check (length(question) between 1 and 1000),
    constraint golden_questions_page_positive check (page >= 1),
    constraint golden_questions_one_expectation check (
        num_nonnulls(document_id, approved_answer_id) = 1 and (page is null or document_id is not null)
    )
);
comment on table golden_questions is 'questions with known answers, by which a company tries a prompt';
comment on column golden_questions.last_passed is 'result of the last run for a saved prompt; null before the first one';
create index golden_questions_created_at_idx on golden_questions (customer_id, created_at desc, id desc);
create index golden_questions_document_id_idx on golden_questions (document_id, customer_id);
create index golden_questions_approved_answer_id_idx on golden_questions (approved_answer_id, customer_id);
alter table golden_questions enable row level security;
create policy golden_questions_tenant on golden_questions to lisa_tenant
    using (customer_id = (select app.current_customer())) with check (customer_id = (select app.current_customer()));
create policy golden_questions_system on golden_questions to lisa_system using (true) with check (true);
grant select, insert, delete, update on golden_questions to lisa_tenant;
grant select, insert, update, delete on golden_questions to lisa_system;

-- Questions that a company's previews have asked of models on a day, in UTC. They are counted before they are asked.
create table preview_counts (
    customer_id uuid not null,
    day date not null,
    questions integer not null,
    constraint preview_counts_pkey primary key (customer_id),
    constraint preview_counts_customer_id_fkey foreign key (customer_id) references customers (id) on delete cascade,
    constraint preview_counts_questions_positive check (questions >= 0)
);
comment on table preview_counts is 'questions that a company''s previews have asked of models today';
alter table preview_counts enable row level security;
create policy preview_counts_tenant on preview_counts to lisa_tenant
    using (customer_id = (select app.current_customer())) with check (customer_id = (select app.current_customer()));
create policy preview_counts_system on preview_counts to lisa_system using (true) with check (true);
grant select, insert, update on preview_counts to lisa_tenant;
grant select, insert, update, delete on preview_counts to lisa_system;

-- Questions without an answer that a person has closed by an approved answer. The message is the one that the list of
-- unanswered questions names.
create table closed_questions (
    message_id uuid not null,
    customer_id uuid not null,
    approved_answer_id uuid,
    closed_by uuid,
    created_at timestamptz not null default now(),
    constraint closed_questions_pkey primary key (message_id),
    constraint closed_questions_message_id_fkey foreign key (message_id) references messages (id) on delete cascade,
    constraint closed_questions_customer_id_fkey foreign key (customer_id) references customers (id) on delete cascade,
    constraint closed_questions_approved_answer_id_fkey foreign key (approved_answer_id)
        references approved_answers (id) on delete set null,
    constraint closed_questions_closed_by_fkey foreign key (closed_by) references users (id) on delete set null
);
comment on table closed_questions is 'unanswered questions that a person has closed';
create index closed_questions_customer_id_idx on closed_questions (customer_id);
create index closed_questions_approved_answer_id_idx on closed_questions (approved_answer_id);
create index closed_questions_closed_by_idx on closed_questions (closed_by);
alter table closed_questions enable row level security;
create policy closed_questions_tenant on closed_questions to lisa_tenant
    using (customer_id = (select app.current_customer())) with check (customer_id = (select app.current_customer()));
create policy closed_questions_system on closed_questions to lisa_system using (true) with check (true);
grant select, insert, update (approved_answer_id) on closed_questions to lisa_tenant;
grant select, insert, update, delete on closed_questions to lisa_system;
