//! Outgoing webhooks: endpoints to which a company has its events sent, and their deliveries. Owns the tables
//! `webhook_endpoints` and `webhook_deliveries`.
//!
//! SQL functions: `app.has_webhook_endpoint`, `app.record_webhook_event`, `app.record_quota_event`,
//! `app.webhook_conversation`. Triggers write the events: `messages_webhook_received` (`app.on_webhook_message_received`)
//! and `messages_webhook_waiting` (`app.on_webhook_waiting`) on `messages`; `conversations_webhook_handed_over`
//! (`app.on_webhook_handed_over`) on `conversations`; `orders_webhook_created` and `orders_webhook_updated`
//! (`app.on_webhook_order`) on `orders`; `documents_webhook_ended` (`app.on_webhook_document`) on `documents`;
//! `user_settings_webhook_quota` (`app.on_webhook_free_quota`) on `user_settings`; `usage_periods_webhook_quota`
//! (`app.on_webhook_plan_quota`) on `usage_periods`; `profiles_webhook_subscription` (`app.on_webhook_subscription`) on
//! `profiles`.

mod deliveries;
mod disabling;
mod endpoint;
mod events;
mod sending;
mod signing;

pub use deliveries::{
    DeliveryListing, Replay, ReplayedDeliveries, WebhookDelivery, list_deliveries, remove_old, replay, send_test,
};
pub use disabling::fail_leftovers;
pub use endpoint::{
    EndpointListing, MAX_ENDPOINTS, NewWebhookEndpoint, SECRET_PURPOSE, SealedSecrets, SecretRotation, WebhookEndpoint,
    WebhookEndpointPatch, WebhookEndpointWithSecret, change, create, delete, get, list, lock_all, lock_sealed_secrets,
    remove_previous_secrets, replace_sealed_secrets, rotate_secret, sealed_secrets,
};
pub use events::{
    BODY_VERSION, ChangedSubscription, EventType, QuotaReached, RenderError, TEST_EVENT, WebhookConversation,
    public_event_id, render,
};
pub use sending::{
    AttemptResult, Claim, ClaimOutcome, ClaimedDelivery, DISABLE_AFTER, DeliveryError, FinishedAttempt, MAX_ATTEMPTS,
    MAX_CONCURRENT_SENDS, RETRY_DELAYS, claim, claim_due_endpoints, record_attempts, return_endpoints,
    tenant_tx_with_events, wake_worker,
};
pub use signing::{SigningError, sign};
