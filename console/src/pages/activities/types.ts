/** The types of activities that the back end records, by what they are about. A newer one is shown with the API's own title. */
export const TYPES = {
  orders: ["order_created", "order_changed", "order_pending", "order_confirmed", "order_preparing", "order_delivered", "order_cancelled", "order_deleted"],
  conversations: [
    "conversation_handed_over",
    "conversation_taken_over",
    "conversation_released",
    "agent_replied",
    "contact_limited",
    "contact_not_answered",
    "contact_opted_out",
    "erasure_requested",
  ],
  failures: ["bot_failed", "message_not_delivered", "manychat_key_missing", "webhook_body_unread", "webhook_body_repaired", "webhook_endpoint_disabled"],
  plan: [
    "quota_last_free",
    "quota_used_up",
    "quota_blocked",
    "overage_cap_near",
    "overage_cap_reached",
    "overage_not_collected",
    "subscription_changed",
    "subscription_price_unknown",
    "subscription_duplicate",
    "subscription_duplicate_cancelled",
    "subscription_duplicate_left",
  ],
  settings: ["mode_changed"],
} as const;

export type Group = keyof typeof TYPES;
export type ActivityType = (typeof TYPES)[Group][number];

export const GROUPS = Object.keys(TYPES) as Group[];
export const ALL_TYPES: readonly ActivityType[] = GROUPS.flatMap((group) => TYPES[group]);

export const STATUSES = ["info", "success", "warning", "error"] as const;
