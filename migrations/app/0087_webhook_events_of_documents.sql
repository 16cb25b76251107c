-- The events of webhooks whose cause is a row of `documents`. A file for each table: the lock on it ends with the transaction.

set local lock_timeout = '3s';

create trigger documents_webhook_ended after update of status on documents
    for each row when (new.status in ('processed', 'failed') and old.status is distinct from new.status)
    execute function app.on_webhook_document();
