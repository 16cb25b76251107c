-- Exports of all that a company stores: a ZIP archive in the bucket, made by the export-worker.

set local lock_timeout = '3s';

create table exports (
    id uuid not null default gen_random_uuid(),
    customer_id uuid not null,
    requested_by uuid,
    status text not null default 'queued',
    attempts integer not null default 0,
    worker uuid,
    held_until timestamptz,
    size_bytes bigint,
    error_code text,
    created_at timestamptz not null default now(),
    finished_at timestamptz,
    expires_at timestamptz,
    link_issued_at timestamptz,
    link_issued_to uuid,
    constraint exports_pkey primary key (id),
    constraint exports_customer_id_fkey foreign key (customer_id) references customers (id) on delete cascade,
    constraint exports_status_known check (status in ('queued', 'running', 'ready', 'failed', 'expired')),
    constraint exports_attempts_not_negative check (attempts >= 0),
    constraint exports_size_not_negative check (size_bytes >= 0),
    constraint exports_ready_is_complete
        check (status <> 'ready' or (size_bytes is not null and finished_at is not null and expires_at is not null)),
    constraint exports_error_when_failed check ((status = 'failed') = (error_code is not null))
);
comment on column exports.expires_at is 'when the archive is deleted; of a failed export, while one may be left in the bucket';
comment on column exports.link_issued_to is 'users.id of the owner whose link the audit log has last';
comment on column exports.requested_by is 'users.id of the owner who asked; stays when the account is gone';
-- A company has one export in work: a repeated request gets it.
create unique index exports_open_key on exports (customer_id) where status in ('queued', 'running');
create index exports_created_at_idx on exports (customer_id, created_at desc, id desc);
create index exports_expires_at_idx on exports (expires_at) where status in ('ready', 'failed');
alter table exports enable row level security;
revoke all on exports from anon, authenticated, service_role;
grant select on exports to lisa_tenant;
grant insert (id, customer_id, requested_by) on exports to lisa_tenant;
-- The deletion of a contact ends the archives that hold it.
grant update (worker, held_until, expires_at, link_issued_at, link_issued_to) on exports to lisa_tenant;
create policy exports_tenant on exports to lisa_tenant
    using (customer_id = (select app.current_customer())) with check (customer_id = (select app.current_customer()));
grant select, insert, update, delete on exports to lisa_system;
create policy exports_system on exports to lisa_system using (true) with check (true);

alter table jobs drop constraint jobs_kind_known;
alter table jobs add constraint jobs_kind_known
    check (kind in ('ingest', 'delete_object', 'reply', 'invoice_item', 'collection', 'export')) not valid;
