-- Counters of a day for the dashboard: what was answered and by whom, handovers, thumbs, and how long contacts waited for
-- their first answer.

set local lock_timeout = '3s';

alter table bot_usage add column bot_answers integer not null default 0;
alter table bot_usage add column person_answers integer not null default 0;
alter table bot_usage add column unanswered integer not null default 0;
alter table bot_usage add column handovers integer not null default 0;
alter table bot_usage add column thumbs_up integer not null default 0;
alter table bot_usage add column thumbs_down integer not null default 0;
comment on column bot_usage.unanswered is 'questions to which the bot found no answer, or for which none was left';
comment on column bot_usage.handovers is 'conversations that went from the bot to a person';

-- How many bursts of messages waited how long for their first answer: a bucket holds the waits up to 0.25 s × 1.25^bucket.
create table first_answer_times (
    company_id uuid not null,
    date date not null,
    bucket smallint not null,
    answers integer not null default 0,
    constraint first_answer_times_pkey primary key (company_id, date, bucket),
    constraint first_answer_times_company_id_fkey foreign key (company_id)
        references company_mapping (uuid) on delete cascade,
    constraint first_answer_times_bucket_known check (bucket between 1 and 64)
);
comment on column first_answer_times.date is 'of the answer, in the tenant''s timezone';
alter table first_answer_times enable row level security;
revoke all on first_answer_times from anon, authenticated, service_role;
grant select, insert, update on first_answer_times to lisa_tenant;
create policy first_answer_times_tenant on first_answer_times to lisa_tenant
    using (company_id = (select app.current_customer()))
    with check (company_id = (select app.current_customer()));
grant select, insert, update, delete on first_answer_times to lisa_system;
create policy first_answer_times_system on first_answer_times to lisa_system using (true) with check (true);

create function app.wait_bucket(seconds double precision) returns smallint
    language sql immutable strict parallel safe set search_path = '' as
    $body$ select least(64, greatest(1, ceil(ln(greatest(seconds, 0.25) / 0.25) / ln(1.25)::double precision)))::smallint $body$;
revoke all on function app.wait_bucket(double precision) from public;
grant execute on function app.wait_bucket(double precision) to lisa_tenant, lisa_system;

-- A thumb counts on the day of a user's first opinion; another opinion moves it on that day.
create function app.count_thumb() returns trigger language plpgsql security definer set search_path = '' as
$body$
declare
    was_up boolean := null;
begin
    if tg_op = 'UPDATE' then
        was_up := old.is_helpful;
    end if;
    if was_up is distinct from new.is_helpful then
        insert into public.bot_usage as day (company_id, date, thumbs_up, thumbs_down)
        select tenant.id, (new.created_at at time zone tenant.timezone)::date,
            new.is_helpful::integer - coalesce(was_up, false)::integer,
            (not new.is_helpful)::integer - coalesce(not was_up, false)::integer
        from public.customers tenant where tenant.id = new.customer_id
        on conflict on constraint bot_usage_day_key do update set
            thumbs_up = day.thumbs_up + excluded.thumbs_up, thumbs_down = day.thumbs_down + excluded.thumbs_down;
    end if;
    return null;
end
$body$;
revoke all on function app.count_thumb() from public;
create trigger feedback_count after insert or update of is_helpful on feedback
    for each row execute function app.count_thumb();
