-- The events of webhooks whose cause is a row of `usage_periods`. A file for each table: the lock on it ends with the transaction.

set local lock_timeout = '3s';

create trigger usage_periods_webhook_quota after update of requests, spent_micros on usage_periods
    for each row when (new.requests > old.requests or new.spent_micros > old.spent_micros)
    execute function app.on_webhook_plan_quota();
