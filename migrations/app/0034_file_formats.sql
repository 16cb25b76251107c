-- Documents of other formats than PDF, whose passages are cited by headings, sheets and rows instead of pages.

set local lock_timeout = '3s';

alter table documents add column format text;
comment on column documents.format is 'format of the file, as its name says; null for older documents, which are PDF files';
alter table documents add constraint documents_format_known
    check (format in ('pdf', 'docx', 'xlsx', 'csv', 'txt', 'md', 'html')) not valid;

alter table documents drop constraint documents_error_code_known;
alter table documents add constraint documents_error_code_known check (error_code in ('encrypted', 'corrupt', 'no_text',
    'too_many_pages', 'too_large', 'timed_out', 'not_uploaded', 'embedding_failed', 'scan_failed', 'scan_too_costly',
    'spend_cap_reached', 'size_mismatch', 'too_much_text', 'text_limit_reached', 'processing_failed', 'xfa_form',
    'portfolio', 'reader_failed', 'format_mismatch', 'too_many_rows')) not valid;

alter table document_chunks add column file_place jsonb;
comment on column document_chunks.file_place is
    'place in a file without pages: kind, name of the sheet or heading, number of each of the last lines; else null';
