-- Every older row passes: the kinds that were allowed before are allowed still, and the new columns have their defaults.
alter table jobs validate constraint jobs_kind_known;
alter table customers validate constraint customers_purge_after_deletion;
alter table customers validate constraint customers_conversation_retention_known;
