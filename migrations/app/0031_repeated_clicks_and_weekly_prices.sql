-- A repeated click on the rotation of the webhook secret gets the secret of the first click again, so the value is kept
-- for a minute, sealed.

set local lock_timeout = '3s';

alter table webhook_secrets
    add column sealed_value bytea,
    add constraint webhook_secrets_sealed_value_length check (octet_length(sealed_value) between 30 and 300);
comment on column webhook_secrets.sealed_value is
    'the secret itself, sealed, for repeated calls within a minute of its creation; maintenance removes it';
create index webhook_secrets_sealed_idx on webhook_secrets (created_at) where sealed_value is not null;
grant select (sealed_value), update (sealed_value) on webhook_secrets to lisa_tenant;
