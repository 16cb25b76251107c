-- Orders through the API: search by the customer's name, orders of the list, and the counters of a day's orders, from
-- which the dashboard reads.

set local lock_timeout = '3s';

alter table orders add column customer_name_key text, add column counted_on date;
comment on column orders.customer_name_key is 'app.fold_name(customer_name), by a trigger';
comment on column orders.counted_on is 'day of order_days that counts the order, by a trigger';
-- The orders of before, which the column below writes again in any case.
update orders set customer_name_key = app.fold_name(customer_name),
    counted_on = (orders.created_at at time zone tenant.timezone)::date
from customers tenant where tenant.id = orders.company_id;

create function app.set_customer_name_key() returns trigger language plpgsql set search_path = '' as
$body$
begin
    new.customer_name_key := app.fold_name(new.customer_name);
    return new;
end
$body$;
revoke all on function app.set_customer_name_key() from public;
create trigger orders_customer_name_key before insert or update of customer_name on orders
    for each row execute function app.set_customer_name_key();

-- The day stays when the company changes its timezone.
create function app.set_counted_on() returns trigger language plpgsql security definer set search_path = '' as
$body$
begin
    new.counted_on := (
        select (new.created_at at time zone tenant.timezone)::date from public.customers tenant
        where tenant.id = new.company_id
    );
    return new;
end
$body$;
revoke all on function app.set_counted_on() from public;
create trigger orders_counted_on before insert on orders for each row execute function app.set_counted_on();

-- The frontends that listen keep the columns that they had.
do $$
begin
    if exists (
        select from pg_publication_tables
        where pubname = 'supabase_realtime' and schemaname = 'public' and tablename = 'orders'
    ) then
        alter publication supabase_realtime drop table orders;
        alter publication supabase_realtime add table orders (id, company_id, conversation_id, customer_name, total_amount,
            currency, status, items, needs_review, created_at, updated_at);
    end if;
end
$$;

-- Row-level security keeps an index on an expression of numeric from being searched, but not one on a number.
alter table orders add column total_cents bigint not null generated always as ((total_amount * 100)::bigint) stored;

-- As wide as the sum of a day's orders can be. The table is not written again.
alter table bot_usage alter column revenue type numeric(20, 2);

-- One row a tenant, day and currency. A status counts on the day on which its order was made. Revenue counts on the day
-- on which it changed: it counts at confirmed, and comes off at cancelled. That of an order which is made confirmed
-- counts on the order's own day.
create table order_days (
    company_id uuid not null,
    date date not null,
    currency text not null,
    pending integer not null default 0,
    confirmed integer not null default 0,
    preparing integer not null default 0,
    delivered integer not null default 0,
    cancelled integer not null default 0,
    revenue numeric(20, 2) not null default 0,
    constraint order_days_pkey primary key (company_id, date, currency),
    constraint order_days_company_id_fkey foreign key (company_id) references company_mapping (uuid) on delete cascade,
    constraint order_days_currency_format check (currency ~ '^[A-Z]{3}$')
);
comment on column order_days.date is 'in the tenant''s timezone';
alter table order_days enable row level security;
revoke all on order_days from anon, authenticated, service_role;
grant select on order_days to lisa_tenant;
create policy order_days_tenant on order_days for select to lisa_tenant
    using (company_id = (select app.current_customer()));
grant select, insert, update, delete on order_days to lisa_system;
create policy order_days_system on order_days to lisa_system using (true) with check (true);

-- Adds `step` orders of a status, and an amount of revenue, to a day.
create function app.add_to_order_day(
    company uuid, day date, currency_code text, order_status text, step integer, amount numeric
) returns void language sql set search_path = '' as
$body$
    insert into public.order_days as days (company_id, date, currency, pending, confirmed, preparing, delivered,
        cancelled, revenue)
    values (company, day, currency_code, case order_status when 'pending' then step else 0 end,
        case order_status when 'confirmed' then step else 0 end, case order_status when 'preparing' then step else 0 end,
        case order_status when 'delivered' then step else 0 end, case order_status when 'cancelled' then step else 0 end,
        amount)
    on conflict on constraint order_days_pkey do update set
        pending = days.pending + excluded.pending,
        confirmed = days.confirmed + excluded.confirmed,
        preparing = days.preparing + excluded.preparing,
        delivered = days.delivered + excluded.delivered,
        cancelled = days.cancelled + excluded.cancelled,
        revenue = days.revenue + excluded.revenue
$body$;
revoke all on function app.add_to_order_day(uuid, date, text, text, integer, numeric) from public;

-- Whoever writes an order, it is counted in the transaction that writes it.
create function app.count_order() returns trigger language plpgsql security definer set search_path = '' as
$body$
declare
    counting constant text[] := array['confirmed', 'preparing', 'delivered'];
    zone text;
    before numeric := 0;
    after numeric := 0;
begin
    if tg_op = 'DELETE' then
        -- No new row: the company itself may be what is deleted.
        update public.order_days days set
            pending = days.pending - (old.status = 'pending')::integer,
            confirmed = days.confirmed - (old.status = 'confirmed')::integer,
            preparing = days.preparing - (old.status = 'preparing')::integer,
            delivered = days.delivered - (old.status = 'delivered')::integer,
            cancelled = days.cancelled - (old.status = 'cancelled')::integer
        where days.company_id = old.company_id and days.currency = old.currency
          and days.date = old.counted_on;
        return null;
    end if;
    select timezone into zone from public.customers where id = new.company_id;
    if new.status = any (counting) then
        after := new.total_amount;
    end if;
    if tg_op = 'INSERT' then
        -- An order that was copied from elsewhere may be a year old, with its revenue.
        perform app.add_to_order_day(new.company_id, new.counted_on, new.currency, new.status, 1, after);
        return null;
    end if;
    if old.status = any (counting) then
        before := old.total_amount;
    end if;
    if (old.status, old.currency) is distinct from (new.status, new.currency) then
        perform app.add_to_order_day(old.company_id, old.counted_on, old.currency, old.status, -1, 0);
        perform app.add_to_order_day(new.company_id, new.counted_on, new.currency, new.status, 1, 0);
    end if;
    if old.currency <> new.currency and before <> 0 then
        perform app.add_to_order_day(old.company_id, (now() at time zone zone)::date, old.currency, '', 0, -before);
        before := 0;
    end if;
    if after <> before then
        perform app.add_to_order_day(new.company_id, (now() at time zone zone)::date, new.currency, '', 0,
            after - before);
    end if;
    return null;
end
$body$;
revoke all on function app.count_order() from public;
create trigger orders_count after insert or delete or update of status, currency, total_amount on orders
    for each row execute function app.count_order();

-- What was counted before: statuses from the orders, revenue from the days of the bot.
insert into order_days (company_id, date, currency, pending, confirmed, preparing, delivered, cancelled)
select orders.company_id, orders.counted_on, orders.currency,
    count(*) filter (where status = 'pending'), count(*) filter (where status = 'confirmed'),
    count(*) filter (where status = 'preparing'), count(*) filter (where status = 'delivered'),
    count(*) filter (where status = 'cancelled')
from orders group by 1, 2, 3;
insert into order_days as days (company_id, date, currency, revenue)
select usage.company_id, usage.date, tenant.currency, usage.revenue
from bot_usage usage join customers tenant on tenant.id = usage.company_id
where usage.revenue <> 0
on conflict on constraint order_days_pkey do update set revenue = excluded.revenue;
