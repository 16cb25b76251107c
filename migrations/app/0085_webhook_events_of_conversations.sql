-- The events of webhooks whose cause is a row of `conversations`. A file for each table: the lock on it ends with the transaction.

set local lock_timeout = '3s';

create trigger conversations_webhook_handed_over
    after update of handler, handover_reason, handover_until on conversations
    for each row when (
        new.handler = 'human' and (old.handler <> 'human' or old.handover_until <= now()
            or old.handover_reason is distinct from new.handover_reason)
    )
    execute function app.on_webhook_handed_over();
