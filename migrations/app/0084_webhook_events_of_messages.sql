-- The events of webhooks whose cause is a row of `messages`. A file for each table: the lock on it ends with the transaction.

set local lock_timeout = '3s';

create trigger messages_webhook_received after insert on messages
    for each row when (new.direction = 'inbound' and new.channel = 'whatsapp')
    execute function app.on_webhook_message_received();

create trigger messages_webhook_waiting after update of skipped_reason on messages
    for each row when (new.skipped_reason = 'quota' and old.skipped_reason is distinct from new.skipped_reason)
    execute function app.on_webhook_waiting();
