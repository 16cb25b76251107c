-- Checks the rows from before 0024_contact_words.sql without a lock that stops anybody.
alter table messages validate constraint messages_skipped_reason_known;
