//! The nightly comparison with Stripe, and with the app.

use chrono::Utc;
use local::{
    fakes::stripe::{FakeStripe, StripeFault},
    testing,
};

use super::{admin, base, billing, billing_admin, event, held, number, object, receive, run};
use crate::seed;

#[tokio::test]
async fn what_webhooks_never_told_is_found_repaired_and_told() {
    let stripe = FakeStripe::start(None).await.unwrap();
    let database = testing::two_databases().await.unwrap();
    let (mut app, mut books) = (admin(&database.urls).await, billing_admin(&database.urls).await);
    let told = billing(&database.urls, None, 2);
    let asking = billing(&database.urls, Some(&stripe), 2);
    let (now, start) = (Utc::now(), base().timestamp());
    let mut tenants = Vec::new();
    // More than a page.
    for number in 0..130 {
        let tenant = seed::tenant(&mut app, &format!("night-{number}"), 8).await;
        let id = format!("sub_{number:03}");
        let object = object(&id, tenant.owner, "active", start, start, false);
        receive(&told, &event(&format!("evt_{number}"), "customer.subscription.created", start, &object), now).await;
        stripe.put_subscription(object);
        tenants.push((tenant.owner, id));
    }
    assert_eq!(asking.reconcile(now).await.unwrap().repaired, Vec::<String>::new());

    // One was cancelled, one bought, and nobody told us; one is not at Stripe; one projection was overwritten.
    let cancelled = object(&tenants[0].1, tenants[0].0, "canceled", start, start, false);
    stripe.put_subscription(cancelled);
    let buyer = seed::tenant(&mut app, "night-buyer", 8).await;
    stripe.put_subscription(object("sub_bought", buyer.owner, "active", start, start, false));
    let lost = seed::tenant(&mut app, "night-lost", 8).await;
    let gone = object("sub_gone", lost.owner, "active", start, start, false);
    receive(&told, &event("evt_gone", "customer.subscription.created", start, &gone), now).await;
    run(&mut app, &format!("update users set is_pro = false where id = '{}'", tenants[5].0)).await;

    // Stripe is away for a moment: the next night does it.
    stripe.fail([StripeFault::Refuse(503); 3]);
    asking.reconcile(now).await.unwrap_err();
    let report = asking.reconcile(now).await.unwrap();
    assert_eq!(report.subscriptions_checked, 131);
    let mut repaired = report.repaired.clone();
    repaired.sort();
    assert_eq!(repaired, ["sub_000", "sub_bought"]);
    assert_eq!(report.missing, ["sub_gone"]);
    assert!(!held(&mut app, &mut books, tenants[0].0).await.is_pro);
    assert!(held(&mut app, &mut books, buyer.owner).await.is_pro);
    assert!(held(&mut app, &mut books, tenants[5].0).await.is_pro, "the projection is repaired");

    let again = asking.reconcile(now).await.unwrap();
    assert_eq!((again.repaired.len(), again.projections_repaired), (0, 0));
    let due = "select count(*) from billing.subscriptions where projected_version is distinct from version";
    assert_eq!(number(&mut books, due).await, 0);
}

/// An answer that was asked for before another one, and arrives after it, is older.
#[tokio::test]
async fn an_older_answer_never_comes_over_a_newer_one() {
    let stripe = FakeStripe::start(None).await.unwrap();
    let database = testing::database().await.unwrap();
    let (mut app, mut books) = (admin(&database.urls).await, billing_admin(&database.urls).await);
    let billing = billing(&database.urls, Some(&stripe), 2);
    let (now, start) = (Utc::now(), base().timestamp());
    let tenant = seed::tenant(&mut app, "older", 8).await;
    let active = object("sub_1", tenant.owner, "active", start, start, false);
    let unpaid = object("sub_1", tenant.owner, "unpaid", start, start, false);
    stripe.put_subscription(active.clone());
    stripe.fail([StripeFault::HoldAnswer]);
    let first = event("evt_1", "customer.subscription.created", start, &active);
    let second = event("evt_2", "customer.subscription.updated", start + 1, &unpaid);
    let slow = async {
        receive(&billing, &first, now).await;
    };
    let fast = async {
        while stripe.requests().is_empty() {
            tokio::task::yield_now().await;
        }
        stripe.put_subscription(unpaid.clone());
        receive(&billing, &second, now).await;
        assert!(!held(&mut app, &mut books, tenant.owner).await.is_pro);
        stripe.release();
    };
    tokio::join!(Box::pin(slow), Box::pin(fast));
    let found = held(&mut app, &mut books, tenant.owner).await;
    assert_eq!((found.is_pro, found.profile_status.as_str()), (false, "unpaid"));
    assert_eq!(number(&mut books, "select fetch_applied from billing.subscription_states").await, 2);
}
