-- Versions of a document: several documents of one name, of which the newest goes first, and documents that replace
-- others once they are processed.

set local lock_timeout = '3s';

alter table documents add column name_key text;
comment on column documents.name_key is
    'the file name without differences of case and Unicode form; null for older documents until maintenance fills it';
alter table documents add column replaces uuid[] not null default '{}';
comment on column documents.replaces is 'documents that are deleted when this one is processed, and those that were';

create index documents_name_key_idx on documents (customer_id, name_key, upload_date desc, id desc);
create index documents_name_key_missing_idx on documents (id) where name_key is null;
