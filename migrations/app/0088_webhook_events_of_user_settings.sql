-- The events of webhooks whose cause is a row of `user_settings`. A file for each table: the lock on it ends with the transaction.

set local lock_timeout = '3s';

create trigger user_settings_webhook_quota after update of free_quota_used on user_settings
    for each row when (
        new.free_quota_used > old.free_quota_used and new.free_quota_limit - new.free_quota_used <= 1
    )
    execute function app.on_webhook_free_quota();
