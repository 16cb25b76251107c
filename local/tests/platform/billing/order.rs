//! Whatever the order in which a subscription's events arrive, and however often: the same end, that of a model which
//! knows the true order.

use chrono::{DateTime, Utc};
use local::{fakes::stripe::FakeStripe, testing};
use serde_json::Value;
use shared::{billing::Billing, stripe::Event};
use uuid::Uuid;

use super::{DAY, Held, admin, base, billing, billing_admin, event, held, object, receive};
use crate::seed::{self, Tenant};

/// A step of a life: the event's type, its second, the status, the period and whether it ends with it.
type Step = (&'static str, i64, &'static str, i64, bool);

/// Created, on trial, paid for, failed at the renewal, paid after all with a cancellation in the same second as the
/// failure's notice, and ended. Two pairs share a second.
const LIFE: [Step; 6] = [
    ("customer.subscription.created", 0, "incomplete", 0, false),
    ("customer.subscription.updated", 0, "trialing", 0, false),
    ("customer.subscription.updated", 10, "active", 1, false),
    ("customer.subscription.updated", 20, "past_due", 2, false),
    ("customer.subscription.updated", 30, "active", 2, true),
    ("customer.subscription.deleted", 30, "canceled", 2, true),
];

/// The model: the last step is what holds. It shares nothing with the code but the table of statuses.
fn model(life: &[Step], start: i64, subscription: &str) -> Held {
    let &(_, _, status, period, cancels) = life.last().unwrap();
    let (is_pro, profile, row) = match status {
        "trialing" | "active" | "past_due" => (true, status, "active"),
        "canceled" => (false, "cancelled", "cancelled"),
        other => (false, other, "inactive"),
    };
    Held {
        is_pro,
        profile_status: profile.to_owned(),
        plan: if is_pro { "pro" } else { "free" }.to_owned(),
        status: row.to_owned(),
        period_start: DateTime::from_timestamp(start + period * 60, 0),
        cancels,
        subscription: Some(subscription.to_owned()),
    }
}

struct Life {
    tenant: Tenant,
    subscription: String,
    objects: Vec<Value>,
    events: Vec<Event>,
}

impl Life {
    fn of(tenant: Tenant, subscription: &str, steps: &[Step], start: i64) -> Self {
        let objects: Vec<_> = steps
            .iter()
            .map(|(_, _, status, period, cancels)| {
                object(subscription, tenant.owner, status, start, start + period * 60, *cancels)
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

/// All orders of so many things, by Heap's algorithm.
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

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, most: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        usize::try_from((mixed ^ (mixed >> 31)) % u64::try_from(most).unwrap()).unwrap()
    }
}

/// An order with each delivery once more, somewhere after the first.
fn with_repetitions(order: &[usize], random: &mut Random) -> Vec<usize> {
    let mut all = order.to_vec();
    for step in order {
        let first = all.iter().position(|one| one == step).unwrap();
        let place = first + 1 + random.below(all.len() - first);
        all.insert(place, *step);
    }
    all
}

/// Every permutation of every life: of one that is only created, of one that goes as far as its trial, and so on.
#[tokio::test]
async fn every_order_of_every_life_ends_where_the_model_does() {
    const WORKERS: usize = 6;
    let database = testing::two_databases().await.unwrap();
    let billing = billing(&database.urls, None, 4);
    let (now, start) = (Utc::now(), base().timestamp());
    let all = (1..=LIFE.len()).flat_map(permutations).enumerate();
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
                let steps = &LIFE[..order.len()];
                let life = Life::of(tenant, &format!("sub_{number}"), steps, start);
                for step in with_repetitions(&order, &mut Random(number as u64)) {
                    Box::pin(receive(&billing, &life.events[step], now)).await;
                }
                let found = held(&mut app, &mut books, life.tenant.owner).await;
                assert_eq!(found, model(steps, start, &life.subscription), "order {order:?}");
            }
        });
    }
    workers.join_all().await;
}

/// The same where Stripe is asked: its subscription goes on while events are under way, and each arrives after it happened.
#[tokio::test]
async fn every_schedule_ends_where_the_model_does_when_stripe_is_asked() {
    let stripe = FakeStripe::start(None).await.unwrap();
    let database = testing::database().await.unwrap();
    let (mut app, mut books) = (admin(&database.urls).await, billing_admin(&database.urls).await);
    let billing = billing(&database.urls, Some(&stripe), 2);
    let (now, start) = (Utc::now(), base().timestamp());
    let mut random = Random(11);
    for tried in 0..240 {
        let length = tried % LIFE.len() + 1;
        let tenant = seed::tenant(&mut app, &format!("asked-{tried}"), 8).await;
        let life = Life::of(tenant, &format!("sub_asked_{tried}"), &LIFE[..length], start);
        let (mut happened, mut waiting) = (0, Vec::new());
        while happened < length || !waiting.is_empty() {
            if happened < length && (waiting.is_empty() || random.below(2) == 0) {
                stripe.put_subscription(life.objects[happened].clone());
                waiting.extend([happened, happened]);
                happened += 1;
            } else {
                let step: usize = waiting.swap_remove(random.below(waiting.len()));
                receive(&billing, &life.events[step], now).await;
            }
        }
        let found = held(&mut app, &mut books, life.tenant.owner).await;
        assert_eq!(found, model(&LIFE[..length], start, &life.subscription), "schedule {tried}");
    }
}

/// Several at once, as Stripe delivers them.
#[tokio::test]
async fn events_that_arrive_at_once_end_where_the_model_does() {
    for asks in [false, true] {
        let stripe = FakeStripe::start(None).await.unwrap();
        let database = testing::database().await.unwrap();
        let (mut app, mut books) = (admin(&database.urls).await, billing_admin(&database.urls).await);
        let billing = billing(&database.urls, asks.then_some(&stripe), 8);
        let (now, start) = (Utc::now(), base().timestamp());
        for round in 0..15 {
            let length = round % LIFE.len() + 1;
            let tenant = seed::tenant(&mut app, &format!("at-once-{round}"), 8).await;
            let life = Life::of(tenant, &format!("sub_at_once_{round}"), &LIFE[..length], start);
            stripe.put_subscription(life.objects[length - 1].clone());
            let mut delivering = tokio::task::JoinSet::new();
            for event in life.events.iter().chain(&life.events) {
                let (billing, event): (Billing, Event) = (billing.clone(), event.clone());
                delivering.spawn(async move { Box::pin(receive(&billing, &event, now)).await });
            }
            delivering.join_all().await;
            let found = held(&mut app, &mut books, life.tenant.owner).await;
            assert_eq!(found, model(&LIFE[..length], start, &life.subscription), "round {round}, asks: {asks}");
        }
    }
}

/// An older subscription never ends a newer one, and a newer one that comes to nothing does not end an older one.
#[tokio::test]
async fn of_two_subscriptions_the_one_that_is_paid_for_counts_in_any_order() {
    let database = testing::database().await.unwrap();
    let (mut app, mut books) = (admin(&database.urls).await, billing_admin(&database.urls).await);
    let billing = billing(&database.urls, None, 2);
    let now: DateTime<Utc> = Utc::now();
    let start = base().timestamp();
    let older_ends: [(&str, Step); 5] = [
        ("old", ("customer.subscription.created", 0, "active", 0, false)),
        ("old", ("customer.subscription.updated", 5, "past_due", 0, false)),
        ("old", ("customer.subscription.deleted", 40, "canceled", 0, false)),
        ("new", ("customer.subscription.created", 20, "incomplete", 3, false)),
        ("new", ("customer.subscription.updated", 21, "active", 3, false)),
    ];
    let newer_fails: [(&str, Step); 4] = [
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
                    let object = object(&id, tenant.owner, status, created, start + period * 60, *cancels);
                    event(&format!("evt_{}", Uuid::new_v4().simple()), kind, start + at, &object)
                })
                .collect();
            for step in &order {
                receive(&billing, &events[*step], now).await;
            }
            let found = held(&mut app, &mut books, tenant.owner).await;
            assert!(found.is_pro && found.plan == "pro", "{found:?} in order {order:?}");
            assert_eq!(found.subscription, Some(format!("sub_{counts}_{tried}")), "order {order:?}");
            tried += 1;
        }
    }
    assert_eq!(tried, 120 + 24);
}
