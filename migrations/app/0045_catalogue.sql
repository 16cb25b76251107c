-- The catalogue through the API: a product that an order names is archived, and two products that a contact cannot tell
-- apart by their names are refused.

set local lock_timeout = '3s';

-- A name as people compare it: lower case, without accents, with single spaces. The library behind `unaccent` is not on
-- every server.
create function app.fold_name(name text) returns text
    language sql immutable strict parallel safe set search_path = '' as
$body$
    select btrim(regexp_replace(
        replace(replace(replace(
            lower(regexp_replace(normalize(name, NFKD), '[\u0300-\u036f]', '', 'g')), 'œ', 'oe'), 'æ', 'ae'), 'ß', 'ss'),
        '[\s''’]+', ' ', 'g'))
$body$;
revoke all on function app.fold_name(text) from public;
grant execute on function app.fold_name(text) to lisa_tenant, lisa_system;

alter table products add column archived_at timestamptz;
alter table products add column name_key text;
comment on column products.archived_at is 'when the product was taken out of the catalogue; orders still name it';
comment on column products.name_key is 'app.fold_name(name), by a trigger; null for an older product whose name another one has';
alter table products add constraint products_archived_is_unavailable check (archived_at is null or not available);

create function app.set_product_name_key() returns trigger language plpgsql set search_path = '' as
$body$
begin
    new.name_key := app.fold_name(new.name);
    return new;
end
$body$;
revoke all on function app.set_product_name_key() from public;

-- Of older products with one name, the first keeps it as its key.
update products set name_key = folded.name_key
from (
    select id, app.fold_name(name) as name_key,
        row_number() over (partition by customer_id, app.fold_name(name) order by created_at, id) as nth
    from products
) folded
where folded.id = products.id and folded.nth = 1;

create trigger products_name_key before insert or update of name on products
    for each row execute function app.set_product_name_key();

drop index products_name_key;
create unique index products_name_key on products (customer_id, name_key) where archived_at is null;
create index products_name_idx on products (customer_id, name, id);
