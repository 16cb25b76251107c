-- The events of webhooks whose cause is a row of `orders`. A file for each table: the lock on it ends with the transaction.

set local lock_timeout = '3s';

create trigger orders_webhook_created after insert on orders
    for each row execute function app.on_webhook_order();

create trigger orders_webhook_updated
    after update of status, items, total_amount, currency, customer_name, needs_review on orders
    for each row when (
        (old.status, old.items, old.total_amount, old.currency, old.customer_name, old.needs_review)
        is distinct from
        (new.status, new.items, new.total_amount, new.currency, new.customer_name, new.needs_review)
    )
    execute function app.on_webhook_order();
