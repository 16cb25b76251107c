-- Indexes by which maintenance finds rows past their retention, and where a task of maintenance goes on. Constraints of
-- 0028 are checked for the rows that were there before.

set local lock_timeout = '3s';

create index jobs_ended_idx on jobs (updated_at) where status in ('done', 'failed');
create index reservations_ended_idx on reservations (created_at) where state <> 'held';
create index llm_calls_age_idx on llm_calls (created_at);

alter table documents validate constraint documents_chars_not_negative;
alter table documents validate constraint documents_error_code_known;

-- How far a long task has come, so that the next run goes on from there.
create table task_progress (
    task text not null,
    position jsonb not null,
    started_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint task_progress_pkey primary key (task),
    constraint task_progress_task_length check (length(task) between 1 and 50)
);
alter table task_progress enable row level security;
revoke all on task_progress from anon, authenticated, service_role;
grant select, insert, update, delete on task_progress to lisa_system;
create policy task_progress_system on task_progress to lisa_system using (true) with check (true);
