-- Scanned pages that OCR read: how sure it was, and the code of documents that end because the OCR models are missing.

set local lock_timeout = '3s';

alter table document_pages add column confidence real;
alter table document_pages add constraint document_pages_confidence_share check (confidence between 0 and 1) not valid;
comment on column document_pages.confidence is 'of OCR, from 0 to 1; null where a language model read the page';

alter table documents drop constraint documents_error_code_known;
alter table documents add constraint documents_error_code_known check (error_code in ('encrypted', 'corrupt', 'no_text',
    'too_many_pages', 'too_large', 'timed_out', 'not_uploaded', 'embedding_failed', 'scan_failed', 'scan_too_costly',
    'spend_cap_reached', 'size_mismatch', 'too_much_text', 'text_limit_reached', 'processing_failed', 'xfa_form',
    'portfolio', 'reader_failed', 'format_mismatch', 'too_many_rows', 'ocr_unavailable')) not valid;
