-- The events of webhooks whose cause is a row of `profiles`. A file for each table: the lock on it ends with the transaction.

set local lock_timeout = '3s';

create trigger profiles_webhook_subscription
    after update of subscription_status, subscription_tier, subscription_current_period_start,
        subscription_current_period_end, subscription_cancel_at_period_end, subscription_cancel_at,
        subscription_access_until on profiles
    for each row when (
        (old.subscription_status, old.subscription_tier, old.subscription_current_period_start,
            old.subscription_current_period_end, old.subscription_cancel_at_period_end, old.subscription_cancel_at,
            old.subscription_access_until)
        is distinct from
        (new.subscription_status, new.subscription_tier, new.subscription_current_period_start,
            new.subscription_current_period_end, new.subscription_cancel_at_period_end, new.subscription_cancel_at,
            new.subscription_access_until)
    )
    execute function app.on_webhook_subscription();
