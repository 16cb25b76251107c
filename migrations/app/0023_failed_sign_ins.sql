-- Refused passwords, counted for the audit log: a stranger who guesses adds two entries an hour to a tenant's chain, and
-- not one for each guess.

create table failed_sign_ins (
    customer_id uuid not null,
    action text not null,
    window_start timestamptz not null,
    failures bigint not null,
    constraint failed_sign_ins_pkey primary key (customer_id, action),
    constraint failed_sign_ins_action_length check (length(action) between 1 and 100),
    constraint failed_sign_ins_failures_not_negative check (failures >= 0)
);
create index failed_sign_ins_window_start_idx on failed_sign_ins (window_start);
comment on column failed_sign_ins.customer_id is 'the nil UUID for accounts without a tenant, and for unknown addresses';

alter table failed_sign_ins enable row level security;
revoke all on failed_sign_ins from anon, authenticated, service_role;

-- Counts a refused password. Logs the first one of an hour, and the number of the hour before. Without an account the
-- same rows are read and written, so that the time does not tell whether an address is known.
create function app.count_failed_sign_in(account uuid, failed_action text, request_id text) returns void
    language plpgsql security definer set search_path = '' as
$body$
declare
    nobody constant uuid := '00000000-0000-0000-0000-000000000000';
    counted constant text := case when account is null then 'auth.unknown_address' else failed_action end;
    tenant uuid;
    counter public.failed_sign_ins;
begin
    select member.customer_id into tenant
    from public.customer_members member
    join public.customers customer on customer.id = member.customer_id
    where member.user_id = coalesce(account, nobody)
    order by customer.deleted_at is not null, customer.created_at, customer.id
    limit 1;
    tenant := coalesce(tenant, nobody);
    insert into public.failed_sign_ins (customer_id, action, window_start, failures) values (tenant, counted, now(), 0)
        on conflict (customer_id, action) do nothing;
    select * into counter from public.failed_sign_ins known
        where known.customer_id = tenant and known.action = counted for update;
    if counter.failures > 0 and counter.window_start > now() - interval '1 hour' then
        update public.failed_sign_ins known set failures = known.failures + 1
            where known.customer_id = tenant and known.action = counted;
        return;
    end if;
    if account is not null then
        if counter.failures > 1 then
            perform app.audit(tenant, null, counted, 'customer:' || tenant, null,
                jsonb_build_object('failures', counter.failures, 'since', counter.window_start));
        end if;
        perform app.audit(tenant, account, counted, 'user:' || account, request_id, '{}');
    end if;
    update public.failed_sign_ins known set window_start = now(), failures = 1
        where known.customer_id = tenant and known.action = counted;
end
$body$;

-- Ends the counters whose hour is over, up to a thousand, and logs those with more than the entry of their beginning.
create function app.report_failed_sign_ins() returns integer
    language plpgsql security definer set search_path = '' as
$body$
declare
    counter public.failed_sign_ins;
    ended integer := 0;
begin
    for counter in
        select * from public.failed_sign_ins known where known.window_start <= now() - interval '1 hour'
        order by known.window_start limit 1000 for update skip locked
    loop
        if counter.failures > 1 and counter.action <> 'auth.unknown_address' then
            perform app.audit(counter.customer_id, null, counter.action, 'customer:' || counter.customer_id, null,
                jsonb_build_object('failures', counter.failures, 'since', counter.window_start));
        end if;
        delete from public.failed_sign_ins known
            where known.customer_id = counter.customer_id and known.action = counter.action;
        ended := ended + 1;
    end loop;
    return ended;
end
$body$;
revoke all on function app.count_failed_sign_in(uuid, text, text), app.report_failed_sign_ins() from public;
grant execute on function app.count_failed_sign_in(uuid, text, text), app.report_failed_sign_ins() to lisa_system;
