-- What the bot may sell, and what was ordered.

create table products (
    id uuid not null default gen_random_uuid(),
    customer_id uuid not null,
    name text not null,
    description text,
    price numeric(14, 2) not null,
    currency text not null,
    available boolean not null default true,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint products_pkey primary key (id),
    constraint products_customer_id_fkey foreign key (customer_id) references customers (id) on delete cascade,
    constraint products_name_length check (length(name) between 1 and 200),
    constraint products_description_length check (length(description) <= 2000),
    constraint products_price_not_negative check (price >= 0),
    constraint products_currency_format check (currency ~ '^[A-Z]{3}$')
);
create unique index products_name_key on products (customer_id, lower(name));
create index products_created_at_idx on products (customer_id, created_at desc, id desc);

create table orders (
    id uuid not null default gen_random_uuid(),
    company_id uuid not null,
    conversation_id uuid,
    customer_name text,
    total_amount numeric(14, 2) not null,
    currency text not null,
    status text not null default 'pending',
    items jsonb not null,
    needs_review boolean not null default false,
    created_at timestamptz not null default now(),
    updated_at timestamptz not null default now(),
    constraint orders_pkey primary key (id),
    constraint orders_company_id_fkey foreign key (company_id) references company_mapping (uuid) on delete cascade,
    constraint orders_conversation_id_fkey foreign key (conversation_id) references conversations (id) on delete set null,
    constraint orders_status_known check (status in ('pending', 'confirmed', 'preparing', 'delivered', 'cancelled')),
    constraint orders_total_not_negative check (total_amount >= 0),
    constraint orders_currency_format check (currency ~ '^[A-Z]{3}$'),
    constraint orders_customer_name_length check (length(customer_name) <= 200),
    constraint orders_items_are_list check (jsonb_typeof(items) = 'array')
);
comment on column orders.items is '[{product_id?, name, quantity, unit_price}]; without a price: not in the catalogue';
create index orders_created_at_idx on orders (company_id, created_at desc, id desc);
create index orders_status_idx on orders (company_id, status, created_at desc, id desc);
create index orders_conversation_id_idx on orders (conversation_id, created_at desc);

alter table products enable row level security;
alter table orders enable row level security;
revoke all on products, orders from anon, authenticated, service_role;

grant select, insert, update, delete on products to lisa_tenant;
create policy products_tenant on products to lisa_tenant
    using (customer_id = (select app.current_customer()))
    with check (customer_id = (select app.current_customer()));
grant select, insert, update, delete on orders to lisa_tenant;
create policy orders_tenant on orders to lisa_tenant
    using (company_id = (select app.current_customer()))
    with check (company_id = (select app.current_customer()));
grant select, insert, update, delete on products, orders to lisa_system;
create policy products_system on products to lisa_system using (true) with check (true);
create policy orders_system on orders to lisa_system using (true) with check (true);

grant select on orders to authenticated;
create policy orders_own on orders for select to authenticated using (company_id = any ((select app.tenants())::uuid[]));

do $$
begin
    if exists (select from pg_publication where pubname = 'supabase_realtime') then
        alter publication supabase_realtime add table orders;
    end if;
end
$$;
