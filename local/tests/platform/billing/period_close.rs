//! The close of 10,000 tenants' periods: exact, once, and within a minute.

use std::time::{Duration, Instant};

use chrono::{TimeDelta, Utc};
use local::testing;

use super::{admin, billing, number, run_sql};

const TENANTS: i64 = 10_000;

/// Inserts numbered tenants: a third free, a third pro, a third business. Each has as many requests as its number.
const SEED: &str = r#"
    create temporary table made as
        select number, gen_random_uuid() as customer, gen_random_uuid() as owner,
            (array['free', 'pro', 'business'])[number % 3 + 1] as plan
        from generate_series(1, 10000) number;
    insert into users (id, email) select owner, number || '@example.com' from made;
    insert into user_settings (user_id) select owner from made;
    insert into profiles (id, email) select owner, number || '@example.com' from made;
    insert into customers (id, user_id, name, plan_id)
        select customer, owner, 'tenant ' || number, plans.id from made join plans on plans.name = made.plan;
    update plans set monthly_request_limit = 5000 where name = 'business';
    insert into usage_periods (customer_id, period_start, period_end, plan_id, plan, request_limit,
        overage_cents_per_request, price_cents, currency, requests)
        select customer, now() - interval '31 days', now() - interval '1 day', plans.id, plans.name,
            plans.monthly_request_limit, plans.overage_cents_per_request, plans.price_cents, plans.currency, number
        from made join plans on plans.name = made.plan;
    -- The period that goes on, and one that is still being settled.
    insert into usage_periods (customer_id, period_start, period_end, plan_id, plan, price_cents, currency)
        select customer, now() - interval '1 day', now() + interval '29 days', plans.id, plans.name, plans.price_cents,
            plans.currency
        from made join plans on plans.name = made.plan;
"#;

#[tokio::test]
async fn four_concurrent_runs_bill_ten_thousand_tenants_exactly_once() {
    let database = testing::database().await.unwrap();
    let mut app = admin(&database.urls).await;
    run_sql(&mut app, SEED).await;
    assert_eq!(number(&mut app, "select count(*) from usage_periods").await, 2 * TENANTS);
    let billing = billing(&database.urls, None, 4);
    let now = Utc::now();

    let started = Instant::now();
    let runs = (0..4).map(|_| Box::pin(billing.close_periods(now)));
    let closed = futures::future::try_join_all(runs).await.unwrap();
    let took = started.elapsed();
    println!("4 runs at once over {TENANTS} periods: {took:?}");
    assert!(took < Duration::from_secs(60), "{took:?}");
    assert_eq!(closed.iter().map(|run| run.periods).sum::<i64>(), TENANTS);

    // pro: 1, 4, 7 … 10,000; business: 2, 5, 8 … 9,998.
    let billed = number(&mut app, "select count(*) from made where plan <> 'free'").await;
    let over = number(&mut app, "select count(*) from made where plan = 'business' and number > 5000").await;
    assert_eq!(closed.iter().map(|run| run.records).sum::<i64>(), billed);
    assert_eq!(closed.iter().map(|run| run.items).sum::<i64>(), over);
    let wrong = r#"
        select count(*) from made left join billing_records record on record.customer_id = made.customer
        where case
            when made.plan = 'free' then record.id is not null
            else record.id is null or record.requests <> made.number or record.plan <> made.plan
                or record.amount_cents <> case made.plan when 'pro' then 2900 else 9900 end
                or record.overage_requests <> case made.plan when 'pro' then 0 else greatest(made.number - 5000, 0) end
                or record.overage_cents <> 2 * record.overage_requests
                or record.currency <> 'EUR' or record.status <> 'closed'
        end
    "#;
    assert_eq!(number(&mut app, wrong).await, 0);
    let jobs = "select count(*) from jobs join billing_records record
                on record.id = (payload ->> 'billing_record_id')::uuid and record.overage_cents > 0
                where kind = 'invoice_item'";
    assert_eq!(number(&mut app, jobs).await, over);
    assert_eq!(number(&mut app, "select count(*) from usage_periods where closed_at is not null").await, TENANTS);

    let again = billing.close_periods(now + TimeDelta::days(1)).await.unwrap();
    assert_eq!(again, shared::billing::CloseCounts::default());
    assert_eq!(number(&mut app, "select count(*) from billing_records").await, billed);
    // A run a month later closes the period that has ended meanwhile, and no other.
    let late = billing.close_periods(now + TimeDelta::days(60)).await.unwrap();
    assert_eq!((late.periods, late.records), (TENANTS, billed));
}

#[tokio::test]
async fn a_period_with_a_held_reservation_is_not_closed() {
    let database = testing::database().await.unwrap();
    let mut app = admin(&database.urls).await;
    let tenant = crate::seed::tenant(&mut app, "held", 8).await;
    run_sql(
        &mut app,
        &format!(
            "insert into usage_periods (customer_id, period_start, period_end, plan_id, plan, price_cents, currency, requests)
             select '{0}', now() - interval '31 days', now() - interval '1 day', id, name, price_cents, currency, 3
             from plans where name = 'pro';
             insert into reservations (customer_id, user_id, kind, period_start, expires_at)
             select customer_id, '{1}', 'plan', period_start, now() - interval '1 hour' from usage_periods",
            tenant.customer, tenant.owner
        ),
    )
    .await;
    let billing = billing(&database.urls, None, 1);
    assert_eq!(billing.close_periods(Utc::now()).await.unwrap().periods, 0);
    run_sql(&mut app, "update reservations set state = 'spent'").await;
    // A period is closed ten minutes after its end, so that its last requests can be spent or refunded.
    assert_eq!(billing.close_periods(Utc::now() - TimeDelta::minutes(24 * 60 - 9)).await.unwrap().periods, 0);
    assert_eq!(billing.close_periods(Utc::now()).await.unwrap().records, 1);
}
