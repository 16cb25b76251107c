-- Jobs of the kind `collection` stop and resume the collection of a company's subscription at Stripe. A company has one,
-- which its suspension and the end of its suspension make due again.
set local lock_timeout = '3s';

alter table jobs drop constraint jobs_kind_known;
alter table jobs add constraint jobs_kind_known
    check (kind in ('ingest', 'delete_object', 'reply', 'invoice_item', 'collection')) not valid;
