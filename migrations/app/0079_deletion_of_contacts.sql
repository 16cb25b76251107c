-- Deletion of one contact, and of conversations past their retention: what a tenant's transaction may delete, and the
-- changes that tell of it.

set local lock_timeout = '3s';

-- The outbox, feedback and closed questions go with their messages, by their foreign keys.
grant delete on conversations to lisa_tenant;
grant delete on messages to lisa_tenant;
grant delete on activities to lisa_tenant;
grant delete on unread_webhook_bodies to lisa_tenant;

create trigger conversations_delete_change after delete on conversations
    for each row execute function app.on_change('conversation', 'customer_id');
create trigger messages_delete_change after delete on messages
    for each row execute function app.on_change('message', 'customer_id');
