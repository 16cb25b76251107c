-- When a subscription ends, all prices of a plan, and why an overage was given up.

alter table profiles add column subscription_cancel_at timestamptz;
comment on column profiles.subscription_cancel_at is 'when the subscription ends or has ended; null: no end is set';
grant select (subscription_cancel_at) on profiles to lisa_tenant;

-- plans.stripe_price_id is the price that checkout sells. Other prices of a plan are recognised, too: by the year, by the
-- quarter, and those that were sold before.
create table plan_prices (
    stripe_price_id text not null,
    plan_id uuid not null,
    created_at timestamptz not null default now(),
    constraint plan_prices_pkey primary key (stripe_price_id),
    constraint plan_prices_plan_id_fkey foreign key (plan_id) references plans (id),
    constraint plan_prices_id_length check (length(stripe_price_id) between 1 and 255)
);
create index plan_prices_plan_id_idx on plan_prices (plan_id);
alter table plan_prices enable row level security;
revoke all on plan_prices from anon, authenticated, service_role;
grant select, insert, update, delete on plan_prices to lisa_system;
create policy plan_prices_system on plan_prices to lisa_system using (true) with check (true);

-- A price that is no longer sold stays a price of its plan, since its subscriptions go on.
create function app.keep_plan_price() returns trigger language plpgsql security definer set search_path = '' as
$body$
begin
    if old.stripe_price_id <> '' then
        insert into public.plan_prices (stripe_price_id, plan_id) values (old.stripe_price_id, old.id)
            on conflict on constraint plan_prices_pkey do nothing;
    end if;
    return null;
end
$body$;
revoke all on function app.keep_plan_price() from public;
create trigger plans_price_kept after update of stripe_price_id on plans
    for each row when (old.stripe_price_id is distinct from new.stripe_price_id) execute function app.keep_plan_price();

alter table billing_records
    add column failure text,
    add constraint billing_records_failure_with_status check (failure is null or status = 'failed'),
    add constraint billing_records_failure_length check (length(failure) between 1 and 100);
comment on column billing_records.failure is 'the code of the reason why an overage was not collected';
create index billing_records_pending_idx on billing_records (updated_at)
    where status = 'invoiced' and stripe_invoice_id is null;
