//! The nightly reconciliation of billing with Stripe and with the app.

use chrono::Utc;
use local::{
    fakes::stripe::{FakeStripe, StripeFault},
    testing,
};

use super::{
    admin, billing, billing_admin, event, number, one_hour_ago, receive, run_sql, stored_subscription,
    subscription_object,
};
use crate::seed;

#[tokio::test]
async fn missed_webhooks_are_found_repaired_and_reported() {
    let stripe = FakeStripe::start(None).await.unwrap();
    let database = testing::two_databases().await.unwrap();
    let (mut app, mut books) = (admin(&database.urls).await, billing_admin(&database.urls).await);
    let without_fetches = billing(&database.urls, None, 2);
    let with_fetches = billing(&database.urls, Some(&stripe), 2);
    let (now, start) = (Utc::now(), one_hour_ago().timestamp());
    let mut tenants = Vec::new();
    // More than one page of Stripe's list.
    for number in 0..130 {
        let tenant = seed::tenant(&mut app, &format!("night-{number}"), 8).await;
        let id = format!("sub_{number:03}");
        let object = subscription_object(&id, tenant.owner, "active", start, start, false);
        receive(
            &without_fetches,
            &event(&format!("evt_{number}"), "customer.subscription.created", start, &object),
            now,
        )
        .await;
        stripe.put_subscription(object);
        tenants.push((tenant.owner, id));
    }
    assert_eq!(with_fetches.reconcile(now).await.unwrap().repaired, Vec::<String>::new());

    // No webhook came for one cancelled and one bought subscription. One subscription is unknown to Stripe, and one
    // projection in the app was overwritten.
    let cancelled = subscription_object(&tenants[0].1, tenants[0].0, "canceled", start, start, false);
    stripe.put_subscription(cancelled);
    let buyer = seed::tenant(&mut app, "night-buyer", 8).await;
    stripe.put_subscription(subscription_object("sub_bought", buyer.owner, "active", start, start, false));
    let lost = seed::tenant(&mut app, "night-lost", 8).await;
    let gone = subscription_object("sub_gone", lost.owner, "active", start, start, false);
    receive(&without_fetches, &event("evt_gone", "customer.subscription.created", start, &gone), now).await;
    run_sql(&mut app, &format!("update users set is_pro = false where id = '{}'", tenants[5].0)).await;

    // Stripe answers 503, so that the run fails; the next run repairs.
    stripe.fail([StripeFault::Refuse(503); 3]);
    with_fetches.reconcile(now).await.unwrap_err();
    let report = with_fetches.reconcile(now).await.unwrap();
    assert_eq!(report.subscriptions_checked, 131);
    let mut repaired = report.repaired.clone();
    repaired.sort();
    assert_eq!(repaired, ["sub_000", "sub_bought"]);
    assert_eq!(report.missing, ["sub_gone"]);
    assert!(!stored_subscription(&mut app, &mut books, tenants[0].0).await.is_pro);
    assert!(stored_subscription(&mut app, &mut books, buyer.owner).await.is_pro);
    assert!(stored_subscription(&mut app, &mut books, tenants[5].0).await.is_pro, "the projection is repaired");

    let again = with_fetches.reconcile(now).await.unwrap();
    assert_eq!((again.repaired.len(), again.projections_repaired), (0, 0));
    let due = "select count(*) from billing.subscriptions where projected_version is distinct from version";
    assert_eq!(number(&mut books, due).await, 0);
}

/// Two fetches overlap: the first request gets its answer last, and that answer is the older one.
#[tokio::test]
async fn an_older_fetch_never_overwrites_a_newer_one() {
    let stripe = FakeStripe::start(None).await.unwrap();
    let database = testing::database().await.unwrap();
    let (mut app, mut books) = (admin(&database.urls).await, billing_admin(&database.urls).await);
    let billing = billing(&database.urls, Some(&stripe), 2);
    let (now, start) = (Utc::now(), one_hour_ago().timestamp());
    let tenant = seed::tenant(&mut app, "older", 8).await;
    let active = subscription_object("sub_1", tenant.owner, "active", start, start, false);
    let unpaid = subscription_object("sub_1", tenant.owner, "unpaid", start, start, false);
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
        assert!(!stored_subscription(&mut app, &mut books, tenant.owner).await.is_pro);
        stripe.release();
    };
    tokio::join!(Box::pin(slow), Box::pin(fast));
    let found = stored_subscription(&mut app, &mut books, tenant.owner).await;
    assert_eq!((found.is_pro, found.profile_status.as_str()), (false, "unpaid"));
    assert_eq!(number(&mut books, "select fetch_applied from billing.subscription_states").await, 2);
}

/// Stripe answers the first page of its list, and then fails.
#[tokio::test]
async fn a_reconcile_that_stopped_goes_on_where_it_was() {
    let stripe = FakeStripe::start(None).await.unwrap();
    let database = testing::two_databases().await.unwrap();
    let mut app = admin(&database.urls).await;
    let without_fetches = billing(&database.urls, None, 2);
    let with_fetches = billing(&database.urls, Some(&stripe), 2);
    let (now, start) = (Utc::now(), one_hour_ago().timestamp());
    let mut owners = Vec::new();
    for number in 0..130 {
        let tenant = seed::tenant(&mut app, &format!("stop-{number}"), 8).await;
        let object = subscription_object(&format!("sub_{number:03}"), tenant.owner, "active", start, start, false);
        let created = event(&format!("evt_{number}"), "customer.subscription.created", start, &object);
        receive(&without_fetches, &created, now).await;
        // The last one is unknown to Stripe.
        if number < 129 {
            stripe.put_subscription(object);
        }
        owners.push(tenant.owner);
    }
    // One that differs is on the second page.
    stripe.put_subscription(subscription_object("sub_120", owners[120], "canceled", start, start, false));
    stripe.release();
    stripe.fail([
        StripeFault::HoldAnswer,
        StripeFault::Refuse(503),
        StripeFault::Refuse(503),
        StripeFault::Refuse(503),
    ]);
    with_fetches.reconcile(now).await.unwrap_err();
    assert_eq!(number(&mut app, "select count(*) from task_progress").await, 1);
    let asked = stripe.requests().len();

    assert_eq!(with_fetches.continue_reconcile(now).await.unwrap(), None, "the first run may still be at work");
    assert_eq!(stripe.requests().len(), asked);
    run_sql(&mut app, "update task_progress set updated_at = now() - interval '241 seconds'").await;
    let report = with_fetches.continue_reconcile(now).await.unwrap().unwrap();

    assert_eq!(report.subscriptions_checked, 29, "the first hundred were compared before");
    assert_eq!(report.repaired, ["sub_120"]);
    assert_eq!(report.missing, ["sub_129"], "what the first run compared is not missing");
    assert_eq!(report.projections_repaired, 1);
    assert_eq!(stripe.requests()[asked].fields["starting_after"], "sub_099");
    assert_eq!(number(&mut app, "select count(*) from task_progress").await, 0);
    assert_eq!(with_fetches.continue_reconcile(now).await.unwrap(), None);

    // One that did not end by the next night is given up.
    stripe.fail([StripeFault::Refuse(503); 3]);
    with_fetches.reconcile(now).await.unwrap_err();
    run_sql(
        &mut app,
        "update task_progress set started_at = now() - interval '21 hours', updated_at = now() - interval '1 hour'",
    )
    .await;
    assert_eq!(with_fetches.continue_reconcile(now).await.unwrap(), None);
    assert_eq!(with_fetches.reconcile(now).await.unwrap().subscriptions_checked, 129);
}
