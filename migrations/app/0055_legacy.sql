-- The schema `legacy` holds the tables of an older project that had the names of ours. `migrate` moves them there before
-- its migrations, and `cargo adopt` copies their rows in. This table says which rows it has copied: a row that was deleted
-- here since does not come back.

create schema if not exists legacy;
revoke all on schema legacy from public;
grant usage on schema legacy to lisa_system;

create table legacy.adopted_rows (
    relation text not null,
    row_key text not null,
    adopted_at timestamptz not null default now(),
    constraint adopted_rows_pkey primary key (relation, row_key)
);
comment on column legacy.adopted_rows.row_key is 'the row''s id, or a hash of the row where it has none';
revoke all on legacy.adopted_rows from anon, authenticated, service_role;
grant select, insert on legacy.adopted_rows to lisa_system;
