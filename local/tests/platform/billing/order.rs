//! The order of a subscription's events. In every order of arrival, and with repeated deliveries, the final state
//! equals that of a model that knows the true order.

use chrono::{DateTime, Utc};
use local::{fakes::stripe::FakeStripe, random::SplitMix64, testing};
use serde_json::Value;
use shared::{billing::Billing, stripe::Event};
use uuid::Uuid;

use super::{
    DAY, StoredSubscription, admin, billing, billing_admin, event, one_hour_ago, receive, stored_subscription,
    subscription_object,
};
use crate::seed::{self, SeededTenant};

/// One event of a subscription: its type, its time in seconds after the start, the status, the number of the period,
/// and true when the subscription ends with the period.
type SubscriptionStep = (&'static str, i64, &'static str, i64, bool);

/// The history of a subscription: created, on trial, active, past due at the renewal, active again with a
/// cancellation for the period's end, and canceled. Two pairs of events share a second.
const HISTORY: [SubscriptionStep; 6] = [
    ("customer.subscription.created", 0, "incomplete", 0, false),
    ("customer.subscription.updated", 0, "trialing", 0, false),
    ("customer.subscription.updated", 10, "active", 1, false),
    ("customer.subscription.updated", 20, "past_due", 2, false),
    ("customer.subscription.updated", 30, "active", 2, true),
    ("customer.subscription.deleted", 30, "canceled", 2, true),
];

/// The model: the last step determines the state. It shares nothing with the code except the table of statuses.
fn model(steps: &[SubscriptionStep], start: i64, subscription: &str) -> StoredSubscription {
    let &(_, _, status, period, cancels) = steps.last().unwrap();
    let (is_pro, profile, row) = match status {
        "trialing" | "active" | "past_due" => (true, status, "active"),
        "canceled" => (false, "cancelled", "cancelled"),
        other => (false, other, "inactive"),
    };
    StoredSubscription {
        is_pro,
        profile_status: profile.to_owned(),
        plan: if is_pro { "pro" } else { "free" }.to_owned(),
        status: row.to_owned(),
        period_start: DateTime::from_timestamp(start + period * 60, 0),
        cancels,
        subscription: Some(subscription.to_owned()),
    }
}

/// A tenant's subscription with the Stripe object and the event of each step.
struct SubscriptionHistory {
    tenant: SeededTenant,
    /// Stripe's id.
    subscription: String,
    objects: Vec<Value>,
    events: Vec<Event>,
}

impl SubscriptionHistory {
    fn new(tenant: SeededTenant, subscription: &str, steps: &[SubscriptionStep], start: i64) -> Self {
        let objects: Vec<_> = steps
            .iter()
            .map(|(_, _, status, period, cancels)| {
                subscription_object(subscription, tenant.owner, status, start, start + period * 60, *cancels)
            })
            .collect();
        let events = steps
            .iter()
            .zip(&objects)
            .map(|((kind, at, ..), object)| {
                event(&format!("evt_{}", Uuid::new_v4().simple()), kind, start + at, object)
            })
            .collect();
        Self { tenant, subscription: subscription.to_owned(), objects, events }
    }
}

/// All orders of the numbers below `count`, by Heap's algorithm.
fn permutations(count: usize) -> Vec<Vec<usize>> {
    fn heap(size: usize, order: &mut Vec<usize>, all: &mut Vec<Vec<usize>>) {
        if size <= 1 {
            return all.push(order.clone());
        }
        for place in 0..size {
            heap(size - 1, order, all);
            order.swap(if size.is_multiple_of(2) { place } else { 0 }, size - 1);
        }
    }
    let mut all = Vec::new();
    heap(count, &mut (0..count).collect(), &mut all);
    all
}

/// An order with a second delivery of each event, at a random place after the first.
fn with_repetitions(order: &[usize], random: &mut SplitMix64) -> Vec<usize> {
    let mut all = order.to_vec();
    for step in order {
        let first = all.iter().position(|one| one == step).unwrap();
        let place = first + 1 + random.below(all.len() - first);
        all.insert(place, *step);
    }
    all
}

/// Every order of the first step, of the first two steps, and so on to all six.
#[tokio::test]
async fn every_order_of_events_ends_in_the_state_of_the_model() {
    const WORKERS: usize = 6;
    let database = testing::two_databases().await.unwrap();
    let billing = billing(&database.urls, None, 4);
    let (now, start) = (Utc::now(), one_hour_ago().timestamp());
    let all = (1..=HISTORY.len()).flat_map(permutations).enumerate();
    let all: Vec<_> = all.collect();
    assert_eq!(all.len(), 1 + 2 + 6 + 24 + 120 + 720);
    let mut workers = tokio::task::JoinSet::new();
    for worker in 0..WORKERS {
        let own: Vec<_> = all.iter().skip(worker).step_by(WORKERS).cloned().collect();
        let (mut app, mut books) = (admin(&database.urls).await, billing_admin(&database.urls).await);
        let billing = billing.clone();
        workers.spawn(async move {
            for (number, order) in own {
                let tenant = seed::tenant(&mut app, &format!("life-{number}"), 8).await;
                let steps = &HISTORY[..order.len()];
                let history = SubscriptionHistory::new(tenant, &format!("sub_{number}"), steps, start);
                for step in with_repetitions(&order, &mut SplitMix64::new(number as u64)) {
                    Box::pin(receive(&billing, &history.events[step], now)).await;
                }
                let found = stored_subscription(&mut app, &mut books, history.tenant.owner).await;
                assert_eq!(found, model(steps, start, &history.subscription), "order {order:?}");
            }
        });
    }
    workers.join_all().await;
}

/// With fetches from Stripe: the subscription changes at Stripe while earlier events are still on their way. Each
/// event arrives after its change, twice.
#[tokio::test]
async fn with_fetches_from_stripe_every_schedule_ends_in_the_state_of_the_model() {
    let stripe = FakeStripe::start(None).await.unwrap();
    let database = testing::database().await.unwrap();
    let (mut app, mut books) = (admin(&database.urls).await, billing_admin(&database.urls).await);
    let billing = billing(&database.urls, Some(&stripe), 2);
    let (now, start) = (Utc::now(), one_hour_ago().timestamp());
    let mut random = SplitMix64::new(11);
    for tried in 0..240 {
        let length = tried % HISTORY.len() + 1;
        let tenant = seed::tenant(&mut app, &format!("asked-{tried}"), 8).await;
        let history = SubscriptionHistory::new(tenant, &format!("sub_asked_{tried}"), &HISTORY[..length], start);
        let (mut happened, mut waiting) = (0, Vec::new());
        while happened < length || !waiting.is_empty() {
            if happened < length && (waiting.is_empty() || random.below(2) == 0) {
                stripe.put_subscription(history.objects[happened].clone());
                waiting.extend([happened, happened]);
                happened += 1;
            } else {
                let step: usize = waiting.swap_remove(random.below(waiting.len()));
                receive(&billing, &history.events[step], now).await;
            }
        }
        let found = stored_subscription(&mut app, &mut books, history.tenant.owner).await;
        assert_eq!(found, model(&HISTORY[..length], start, &history.subscription), "schedule {tried}");
    }
}

/// All events of a subscription at once, each twice, because Stripe delivers concurrently.
#[tokio::test]
async fn concurrent_events_end_in_the_state_of_the_model() {
    for asks in [false, true] {
        let stripe = FakeStripe::start(None).await.unwrap();
        let database = testing::database().await.unwrap();
        let (mut app, mut books) = (admin(&database.urls).await, billing_admin(&database.urls).await);
        let billing = billing(&database.urls, asks.then_some(&stripe), 8);
        let (now, start) = (Utc::now(), one_hour_ago().timestamp());
        for round in 0..15 {
            let length = round % HISTORY.len() + 1;
            let tenant = seed::tenant(&mut app, &format!("at-once-{round}"), 8).await;
            let history = SubscriptionHistory::new(tenant, &format!("sub_at_once_{round}"), &HISTORY[..length], start);
            stripe.put_subscription(history.objects[length - 1].clone());
            let mut delivering = tokio::task::JoinSet::new();
            for event in history.events.iter().chain(&history.events) {
                let (billing, event): (Billing, Event) = (billing.clone(), event.clone());
                delivering.spawn(async move { Box::pin(receive(&billing, &event, now)).await });
            }
            delivering.join_all().await;
            let found = stored_subscription(&mut app, &mut books, history.tenant.owner).await;
            assert_eq!(found, model(&HISTORY[..length], start, &history.subscription), "round {round}, asks: {asks}");
        }
    }
}

/// The end of an older subscription does not end the access of a newer one. A newer subscription that is never paid
/// does not end the access of an older one.
#[tokio::test]
async fn of_two_subscriptions_the_paid_one_counts_in_every_order_of_events() {
    let database = testing::database().await.unwrap();
    let (mut app, mut books) = (admin(&database.urls).await, billing_admin(&database.urls).await);
    let billing = billing(&database.urls, None, 2);
    let now: DateTime<Utc> = Utc::now();
    let start = one_hour_ago().timestamp();
    let older_ends: [(&str, SubscriptionStep); 5] = [
        ("old", ("customer.subscription.created", 0, "active", 0, false)),
        ("old", ("customer.subscription.updated", 5, "past_due", 0, false)),
        ("old", ("customer.subscription.deleted", 40, "canceled", 0, false)),
        ("new", ("customer.subscription.created", 20, "incomplete", 3, false)),
        ("new", ("customer.subscription.updated", 21, "active", 3, false)),
    ];
    let newer_fails: [(&str, SubscriptionStep); 4] = [
        ("old", ("customer.subscription.created", 0, "active", 0, false)),
        ("new", ("customer.subscription.created", 20, "incomplete", 3, false)),
        ("new", ("customer.subscription.updated", 40, "incomplete_expired", 3, false)),
        ("old", ("customer.subscription.updated", 41, "active", 1, false)),
    ];
    let mut tried = 0;
    for (steps, counts) in [(&older_ends[..], "new"), (&newer_fails[..], "old")] {
        for order in permutations(steps.len()) {
            let tenant = seed::tenant(&mut app, &format!("two-{tried}"), 8).await;
            let events: Vec<_> = steps
                .iter()
                .map(|(which, (kind, at, status, period, cancels))| {
                    let created = if *which == "old" { start - 90 * DAY } else { start + 20 };
                    let id = format!("sub_{which}_{tried}");
                    let object = subscription_object(&id, tenant.owner, status, created, start + period * 60, *cancels);
                    event(&format!("evt_{}", Uuid::new_v4().simple()), kind, start + at, &object)
                })
                .collect();
            for step in &order {
                receive(&billing, &events[*step], now).await;
            }
            let found = stored_subscription(&mut app, &mut books, tenant.owner).await;
            assert!(found.is_pro && found.plan == "pro", "{found:?} in order {order:?}");
            assert_eq!(found.subscription, Some(format!("sub_{counts}_{tried}")), "order {order:?}");
            tried += 1;
        }
    }
    assert_eq!(tried, 120 + 24);
}
