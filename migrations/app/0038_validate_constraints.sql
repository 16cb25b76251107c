-- Validates the constraints that 0034 to 0037 added unvalidated: reads the tables without a lock against writes.
alter table documents validate constraint documents_format_known;
alter table documents validate constraint documents_error_code_known;
alter table document_pages validate constraint document_pages_confidence_share;
alter table document_chunks validate constraint document_chunks_one_embedding;
alter table document_chunks validate constraint document_chunks_short_bits_of_embedding;
alter table reembedded_chunks validate constraint reembedded_chunks_one_embedding;
