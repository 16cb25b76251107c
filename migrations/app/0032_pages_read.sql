-- How much of a document was read: the pages whose text was not read, and new reasons for which none of it was.

set local lock_timeout = '3s';

alter table documents add column pages_unread integer[] not null default '{}';
comment on column documents.pages_unread is 'pages whose text was not read or not read whole, ascending, once processed';

alter table documents drop constraint documents_error_code_known;
alter table documents add constraint documents_error_code_known check (error_code in ('encrypted', 'corrupt', 'no_text',
    'too_many_pages', 'too_large', 'timed_out', 'not_uploaded', 'embedding_failed', 'scan_failed', 'scan_too_costly',
    'spend_cap_reached', 'size_mismatch', 'too_much_text', 'text_limit_reached', 'processing_failed', 'xfa_form',
    'portfolio', 'reader_failed')) not valid;

create index documents_unread_idx on documents (customer_id, upload_date desc, id desc)
    where cardinality(pages_unread) > 0;
