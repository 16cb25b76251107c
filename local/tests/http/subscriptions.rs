//! Subscriptions as they are sold in the field: end dates, intervals, several items, unknown prices, late payments.

use chrono::{DateTime, Datelike, Months, NaiveTime, TimeDelta, Utc};
use local_postgres::root;
use serde_json::{Value, json};

use super::{
    billing::{add_model_call, usage},
    stripe::event,
    support::{App, TenantUser},
};

const DAY: i64 = 86_400;
/// The present of the field files, in Unix seconds.
const FIELD_NOW: i64 = 1_795_900_000;

/// An event of a field file, for this tenant and at the present time.
fn field_event(name: &str, tenant: &TenantUser) -> Value {
    let path = root().join("local/fixtures/field/stripe").join(name);
    let text = std::fs::read_to_string(path).unwrap();
    let text = text
        .replace("USER_ID", &tenant.user_id.to_string())
        .replace("PRICE_PRO", "price_local_pro")
        .replace("PRICE_BUSINESS", "price_local_business");
    let mut event = serde_json::from_str(&text).unwrap();
    shift_times(&mut event, Utc::now().timestamp() - FIELD_NOW);
    event
}

/// Adds seconds to every Unix time of a JSON value.
fn shift_times(value: &mut Value, seconds: i64) {
    match value {
        Value::Number(number) => {
            if let Some(time) = number.as_i64().filter(|time| *time > 1_700_000_000) {
                *value = json!(time + seconds);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| shift_times(item, seconds)),
        Value::Object(fields) => fields.values_mut().for_each(|field| shift_times(field, seconds)),
        _ => {}
    }
}

/// The object of an event, to change it.
fn object(event: &mut Value) -> &mut Value {
    &mut event["data"]["object"]
}

/// An event of the same object, `seconds_ago`, with these fields of the object changed.
fn next_event(earlier: &Value, seconds_ago: i64, fields: &Value) -> Value {
    let mut object = earlier["data"]["object"].clone();
    for (name, value) in fields.as_object().unwrap() {
        object[name] = value.clone();
    }
    event("customer.subscription.updated", seconds_ago, object)
}

fn time(seconds: &Value) -> DateTime<Utc> {
    DateTime::from_timestamp(seconds.as_i64().unwrap(), 0).unwrap()
}

fn read_time(text: &Value) -> DateTime<Utc> {
    text.as_str().unwrap().parse().unwrap()
}

/// The prices of the plans are those of the fake Stripe, and no API key is set.
async fn start() -> (App, TenantUser) {
    let app = App::start().await;
    app.sql("update plans set stripe_price_id = 'price_local_' || name where price_cents > 0").await;
    let tenant = app.sign_up("Comptoir Baobab").await;
    (app, tenant)
}

async fn shown(app: &App, tenant: &TenantUser) -> Value {
    app.get("/api/v1/billing/subscription").by(tenant).await.data(200)
}

#[tokio::test]
async fn a_subscription_that_is_cancelled_by_a_date_shows_that_it_ends_and_when() {
    let (app, tenant) = start().await;
    let cancelled = field_event("portal_cancellation_flexible.json", &tenant);
    let end = &cancelled["data"]["object"]["cancel_at"];
    app.deliver_stripe_event(&cancelled).await.data(200);
    let answer = shown(&app, &tenant).await;
    assert_eq!(
        (&answer["is_pro"], &answer["status"], &answer["plan"]),
        (&json!(true), &json!("active"), &json!("pro"))
    );
    assert_eq!(answer["cancel_at_period_end"], true);
    assert_eq!(read_time(&answer["cancel_at"]), time(end));
    assert_eq!(read_time(&answer["current_period_end"]), time(end));

    // The access ends at the date, without the grace of a late renewal.
    let access = "select extract(epoch from subscription_access_until) from profiles where id = ";
    let access = async || app.number(&format!("{access}'{}'", tenant.user_id)).await;
    assert_eq!(access().await, end.as_i64().unwrap());

    // A date after this period is an end, too; and the cancellation can be taken back.
    let later = end.as_i64().unwrap() + 90 * DAY;
    app.deliver_stripe_event(&next_event(&cancelled, -1, &json!({ "cancel_at": later }))).await.data(200);
    let answer = shown(&app, &tenant).await;
    assert_eq!(
        (&answer["cancel_at_period_end"], read_time(&answer["cancel_at"])),
        (&json!(false), time(&json!(later)))
    );
    app.deliver_stripe_event(&next_event(&cancelled, -2, &json!({ "cancel_at": null }))).await.data(200);
    let answer = shown(&app, &tenant).await;
    assert_eq!((&answer["cancel_at_period_end"], &answer["cancel_at"]), (&json!(false), &Value::Null));
    assert_eq!(access().await, end.as_i64().unwrap() + 7 * DAY);

    // In classic mode the flag says so without a date.
    let classic = json!({ "cancel_at": null, "cancel_at_period_end": true });
    app.deliver_stripe_event(&next_event(&cancelled, -3, &classic)).await.data(200);
    let answer = shown(&app, &tenant).await;
    assert_eq!((&answer["cancel_at_period_end"], read_time(&answer["cancel_at"])), (&json!(true), time(end)));
}

#[tokio::test]
async fn a_cancelled_subscription_shows_its_end_and_no_period_to_come() {
    let (app, tenant) = start().await;
    let cancelled = field_event("portal_cancellation_flexible.json", &tenant);
    app.deliver_stripe_event(&cancelled).await.data(200);
    let ended_at = Utc::now().timestamp() - 5;
    let fields = json!({ "status": "canceled", "cancel_at_period_end": true, "ended_at": ended_at });
    let mut ended = next_event(&cancelled, -1, &fields);
    ended["type"] = json!("customer.subscription.deleted");
    app.deliver_stripe_event(&ended).await.data(200);
    let answer = shown(&app, &tenant).await;
    assert_eq!(
        (&answer["is_pro"], &answer["status"], &answer["cancel_at_period_end"]),
        (&json!(false), &json!("cancelled"), &json!(false))
    );
    assert_eq!(read_time(&answer["cancel_at"]), time(&json!(ended_at)));
    assert_eq!(read_time(&answer["current_period_end"]), time(&json!(ended_at)));
}

#[tokio::test]
async fn a_price_by_the_year_has_monthly_limits() {
    let (app, tenant) = start().await;
    let bought = field_event("year.json", &tenant);
    let item = &bought["data"]["object"]["items"]["data"][0];
    let (start, end) = (time(&item["current_period_start"]), time(&item["current_period_end"]));
    app.deliver_stripe_event(&bought).await.data(200);
    // The subscription began forty days ago.
    let shown_usage = usage(&app, &tenant).await;
    assert_eq!(read_time(&shown_usage["period"]["start"]), start + Months::new(1));
    assert_eq!(read_time(&shown_usage["period"]["end"]), start + Months::new(2));
    assert_eq!(read_time(&shown(&app, &tenant).await["current_period_end"]), end);

    // Requests and model spend of last month do not count, those of this month do.
    add_model_call(&app, &tenant, 15_000_000, "now() - interval '35 days'").await;
    app.sql("update usage_periods set requests = 1999 where plan = 'pro' and period_end > now()").await;
    app.ask(&tenant, "Combien ?").await.data(200);
    let details = app.ask(&tenant, "Combien ?").await.refused(402, "plan_limit");
    assert_eq!(details, json!({ "limit": "requests", "plan": "pro", "used": 2000, "most": 2000, "wanted": 1 }));
    assert!(usage(&app, &tenant).await["models"]["cost_micros"].as_i64().unwrap() < 15_000_000);
    app.sql("update usage_periods set requests = 0 where period_end > now()").await;
    add_model_call(&app, &tenant, 15_000_000, "now()").await;
    assert_eq!(app.ask(&tenant, "Combien ?").await.refused(402, "plan_limit")["limit"], "model_spend_micros");

    // The next month of the year begins anew.
    let month = format!(
        "update profiles set subscription_current_period_start = subscription_current_period_start - interval '31 days'
             where id = '{0}';
         delete from usage_periods where customer_id = '{1}' and period_end <= now();
         update usage_periods set period_start = period_start - interval '31 days', period_end = period_end - interval '31 days'
             where customer_id = '{1}'",
        tenant.user_id, tenant.customer_id
    );
    app.sql(&month).await;
    app.stack.invoke("maintenance", json!({})).await.unwrap();
    // Maintenance has made the row of the month, since it is billed without requests, too.
    let open = "select count(*) from usage_periods where plan = 'pro' and closed_at is null and period_end > now()";
    assert_eq!(app.number(open).await, 1);
    app.ask(&tenant, "Combien ?").await.data(200);
    assert_eq!(usage(&app, &tenant).await["requests"]["used"], 1);
}

#[tokio::test]
async fn periods_of_other_lengths_are_divided_into_whole_months() {
    let (app, tenant) = start().await;
    let mut bought = field_event("year.json", &tenant);
    let now = Utc::now();
    // The begin of the period in days from now, its length in months or days, and the present month's place.
    for (number, (days_ago, end, months, until)) in [
        (70, Months::new(3), 2, Some(3)),
        (5, Months::new(3), 0, Some(1)),
        (20, Months::new(1), 0, None),
        (100, Months::new(6), 3, Some(4)),
        (400, Months::new(36), 13, Some(14)),
    ]
    .into_iter()
    .enumerate()
    {
        let start = DateTime::from_timestamp((now - TimeDelta::days(days_ago)).timestamp(), 0).unwrap();
        let end = start + end;
        let object = object(&mut bought);
        object["id"] = json!(format!("sub_{number}"));
        object["created"] = json!(start.timestamp() + i64::try_from(number).unwrap());
        object["items"]["data"][0]["current_period_start"] = json!(start.timestamp());
        object["items"]["data"][0]["current_period_end"] = json!(end.timestamp());
        let created = i64::try_from(number).unwrap();
        let told = next_event(&bought, -created, &json!({ "created": now.timestamp() + created }));
        app.deliver_stripe_event(&told).await.data(200);
        app.sql("delete from usage_periods").await;
        let period = &usage(&app, &tenant).await["period"];
        assert_eq!(read_time(&period["start"]), start + Months::new(months), "{days_ago}");
        assert_eq!(read_time(&period["end"]), until.map_or(end, |until| start + Months::new(until)), "{days_ago}");
    }
}

/// An event of a subscription whose paid period begins and ends so many seconds from now.
fn event_of_period(bought: &Value, seconds_ago: i64, begin: i64, end: i64) -> Value {
    let now = Utc::now().timestamp();
    let mut items = bought["data"]["object"]["items"].clone();
    items["data"][0]["current_period_start"] = json!(now + begin);
    items["data"][0]["current_period_end"] = json!(now + end);
    next_event(bought, seconds_ago, &json!({ "items": items }))
}

#[tokio::test]
async fn a_price_by_the_week_has_limits_by_the_calendar_month() {
    let (app, tenant) = start().await;
    let bought = field_event("year.json", &tenant);
    let assert_period = async || {
        let month = Utc::now().date_naive().with_day(1).unwrap().and_time(NaiveTime::MIN).and_utc();
        let answer = usage(&app, &tenant).await;
        assert_eq!(read_time(&answer["period"]["start"]), month);
        assert_eq!(read_time(&answer["period"]["end"]), month + Months::new(1));
        answer
    };
    app.deliver_stripe_event(&event_of_period(&bought, 9, -5 * DAY, 2 * DAY)).await.data(200);
    assert_eq!(assert_period().await["requests"]["limit"], 2_000);
    assert!(read_time(&shown(&app, &tenant).await["current_period_end"]) < Utc::now() + TimeDelta::days(3));
    app.sql("update usage_periods set requests = 1999 where period_end > now()").await;
    app.ask(&tenant, "Combien ?").await.data(200);
    app.ask(&tenant, "Combien ?").await.refused(402, "plan_limit");

    // The next week has no limit of its own: neither when it is paid, nor while Stripe has not told of it.
    app.deliver_stripe_event(&event_of_period(&bought, 8, -8 * DAY, -DAY)).await.data(200);
    let details = app.ask(&tenant, "Combien ?").await.refused(402, "plan_limit");
    assert_eq!(details, json!({ "limit": "requests", "plan": "pro", "used": 2000, "most": 2000, "wanted": 1 }));
    app.deliver_stripe_event(&event_of_period(&bought, 7, -1, 7 * DAY - 1)).await.data(200);
    app.ask(&tenant, "Combien ?").await.refused(402, "plan_limit");
    // The spend cap holds over the weeks, too.
    app.sql("update usage_periods set requests = 0 where period_end > now()").await;
    add_model_call(&app, &tenant, 15_000_000, "now()").await;
    app.deliver_stripe_event(&event_of_period(&bought, 6, -2, 7 * DAY - 2)).await.data(200);
    assert_eq!(app.ask(&tenant, "Combien ?").await.refused(402, "plan_limit")["limit"], "model_spend_micros");
    // Nor does a cancellation renew a limit, with or without its withdrawal.
    for (seconds_ago, cancel_at) in [(5, json!(Utc::now().timestamp() + 7 * DAY - 2)), (4, Value::Null)] {
        let mut told = event_of_period(&bought, seconds_ago, -2, 7 * DAY - 2);
        object(&mut told)["cancel_at"] = cancel_at;
        app.deliver_stripe_event(&told).await.data(200);
        app.ask(&tenant, "Combien ?").await.refused(402, "plan_limit");
    }
    assert_period().await;

    // The next month does. It is billed without requests, too.
    app.sql("update usage_periods set period_start = period_start - interval '1 month', period_end = period_start")
        .await;
    app.stack.invoke("maintenance", json!({})).await.unwrap();
    let open = "select count(*) from usage_periods where plan = 'pro' and closed_at is null and period_end > now()";
    assert_eq!(app.number(open).await, 1);
    app.ask(&tenant, "Combien ?").await.data(200);
    assert_eq!(assert_period().await["requests"]["used"], 1);
}

#[tokio::test]
async fn a_month_that_a_cancellation_shortens_keeps_its_count() {
    let (app, tenant) = start().await;
    let bought = field_event("year.json", &tenant);
    app.deliver_stripe_event(&event_of_period(&bought, 9, -15 * DAY, 15 * DAY)).await.data(200);
    let start = read_time(&usage(&app, &tenant).await["period"]["start"]);
    app.sql("update usage_periods set requests = 2000 where plan = 'pro' and period_end > now()").await;
    app.ask(&tenant, "Combien ?").await.refused(402, "plan_limit");
    let mut cancelled = event_of_period(&bought, 8, -15 * DAY, 3 * DAY);
    object(&mut cancelled)["cancel_at"] = json!(Utc::now().timestamp() + 3 * DAY);
    app.deliver_stripe_event(&cancelled).await.data(200);
    app.ask(&tenant, "Combien ?").await.refused(402, "plan_limit");
    let answer = usage(&app, &tenant).await;
    assert_eq!((read_time(&answer["period"]["start"]), &answer["requests"]["used"]), (start, &json!(2000)));
}

#[tokio::test]
async fn a_short_period_counts_in_the_calendar_month_unless_its_row_began_before() {
    let (app, tenant) = start().await;
    let (november, december) = (("2026-11-01", "2026-12-01"), ("2026-12-01", "2027-01-01"));
    // The paid period, the row of the usage, a moment, and the month that the moment falls into.
    for (period, row, moment, month) in [
        // A week, within a month and over its end.
        (("2026-11-09", "2026-11-16"), None, "2026-11-12", november),
        (("2026-11-28", "2026-12-05"), Some(november), "2026-11-30", november),
        (("2026-11-28", "2026-12-05"), Some(november), "2026-12-01", december),
        // Two weeks, and a week whose renewal Stripe has not told.
        (("2026-11-20", "2026-12-04"), None, "2026-11-21", november),
        (("2026-11-09", "2026-11-16"), None, "2026-11-18", november),
        // Four weeks are a month. So is February.
        (("2026-11-09", "2026-12-07"), None, "2026-11-12", ("2026-11-09", "2026-12-07")),
        (("2026-01-31", "2026-02-28"), None, "2026-02-03", ("2026-01-31", "2026-02-28")),
        // A month that was shortened, whose row goes on.
        (("2026-11-20", "2026-12-10"), Some(("2026-11-20", "2026-12-20")), "2026-12-05", ("2026-11-20", "2026-12-10")),
        (("2026-11-05", "2026-11-20"), Some(("2026-11-05", "2026-12-05")), "2026-11-12", november),
    ] {
        let day = |day: &str| format!("timestamptz '{day} UTC'");
        let (user, customer) = (tenant.user_id, tenant.customer_id);
        app.sql(&format!(
            "update profiles set subscription_current_period_start = {}, subscription_current_period_end = {},
                 subscription_access_until = 'infinity' where id = '{user}';
             delete from usage_periods where customer_id = '{customer}'",
            day(period.0),
            day(period.1)
        ))
        .await;
        if let Some((begin, end)) = row {
            app.sql(&format!(
                "insert into usage_periods (customer_id, period_start, period_end, plan_id, plan, price_cents, currency)
                 select '{customer}', {}, {}, id, name, price_cents, currency from plans where name = 'pro'",
                day(begin),
                day(end)
            ))
            .await;
        }
        let found = format!(
            "select count(*) from app.month_of('{customer}', {}) where month_start = {} and month_end = {}",
            day(moment),
            day(month.0),
            day(month.1)
        );
        assert_eq!(app.number(&found).await, 1, "{period:?} at {moment}");
    }
}

#[tokio::test]
async fn of_several_items_the_best_plan_counts_with_its_period() {
    let (app, tenant) = start().await;
    let mut two = field_event("two_plans_in_one.json", &tenant);
    for (round, is_turned) in [false, true, false].into_iter().enumerate() {
        let items = object(&mut two)["items"]["data"].as_array_mut().unwrap();
        items.rotate_left(usize::from(is_turned));
        // The item of the weaker plan ends first.
        let end = items.iter().map(|item| item["current_period_end"].as_i64().unwrap()).max().unwrap();
        for item in items.iter_mut() {
            let is_pro = item["price"]["id"] == "price_local_pro";
            item["current_period_end"] = json!(end - if is_pro { 10 * DAY } else { 0 });
        }
        let told = next_event(&two, -i64::try_from(round).unwrap(), &json!({}));
        app.deliver_stripe_event(&told).await.data(200);
        let answer = shown(&app, &tenant).await;
        assert_eq!((&answer["plan"], &answer["is_pro"]), (&json!("business"), &json!(true)), "{answer}");
        assert_eq!(read_time(&answer["current_period_end"]), time(&json!(end)));
        assert_eq!(usage(&app, &tenant).await["requests"]["limit"], 20_000);
    }
}

#[tokio::test]
async fn a_price_of_no_plan_gives_nothing_and_is_told() {
    let (app, tenant) = start().await;
    let switched = field_event("portal_to_unknown_price.json", &tenant);
    let with_price = |seconds_ago: i64, price: Value| {
        let mut items = switched["data"]["object"]["items"].clone();
        items["data"][0]["price"] = price;
        next_event(&switched, seconds_ago, &json!({ "items": items }))
    };
    app.deliver_stripe_event(&with_price(9, json!({ "id": "price_local_pro" }))).await.data(200);
    assert_eq!(shown(&app, &tenant).await["is_pro"], true);
    app.deliver_stripe_event(&switched).await.data(200);
    let answer = shown(&app, &tenant).await;
    assert_eq!((&answer["is_pro"], &answer["plan"]), (&json!(false), &json!("free")), "{answer}");
    assert_eq!(app.activities(&tenant).await, ["subscription_changed", "subscription_price_unknown"]);
    let audit = app.get("/api/v1/audit").by(&tenant).await;
    assert_eq!(audit.body["data"][0]["details"]["is_price_unknown"], true);
    assert_eq!(app.billing_number("select count(*) from billing.subscriptions where is_price_unknown").await, 1);

    // The same without a lookup key; then a price that was sold before, which stays one of the plan.
    app.deliver_stripe_event(&with_price(-1, json!({ "id": "price_of_nothing" }))).await.data(200);
    assert_eq!(shown(&app, &tenant).await["is_pro"], false);
    app.sql("update plans set stripe_price_id = 'price_dearer' where name = 'pro'").await;
    app.deliver_stripe_event(&with_price(-2, json!({ "id": "price_local_pro" }))).await.data(200);
    assert_eq!(shown(&app, &tenant).await["plan"], "pro");
    app.sql("insert into plan_prices (stripe_price_id, plan_id) select 'price_yearly', id from plans where name = 'business'")
        .await;
    app.deliver_stripe_event(&with_price(-3, json!({ "id": "price_yearly" }))).await.data(200);
    assert_eq!(shown(&app, &tenant).await["plan"], "business");
}

#[tokio::test]
async fn grace_begins_when_past_due_began() {
    let (app, tenant) = start().await;
    let late = field_event("past_due_beyond_grace.json", &tenant);
    let until = async || {
        let query = "select extract(epoch from subscription_access_until) from profiles where id = ";
        app.number(&format!("{query}'{}'", tenant.user_id)).await
    };
    // The period began nine days ago, and the payment is late since five days.
    let begun = Utc::now().timestamp() - 5 * DAY;
    let event_at = |seconds_ago: i64, status: &str| next_event(&late, seconds_ago, &json!({ "status": status }));
    app.deliver_stripe_event(&event_at(9 * DAY, "active")).await.data(200);
    // A later event of an equal state arrives first. The grace does not begin anew with it.
    app.deliver_stripe_event(&event_at(2 * DAY, "past_due")).await.data(200);
    app.deliver_stripe_event(&event_at(5 * DAY, "past_due")).await.data(200);
    assert!((until().await - begun - 7 * DAY).abs() < 60);
    let answer = shown(&app, &tenant).await;
    assert_eq!((&answer["is_pro"], &answer["status"]), (&json!(true), &json!("past_due")));
    app.deliver_stripe_event(&event_at(DAY, "past_due")).await.data(200);
    assert!((until().await - begun - 7 * DAY).abs() < 60);
    // Paid, and late again: a new grace.
    app.deliver_stripe_event(&event_at(7200, "active")).await.data(200);
    app.deliver_stripe_event(&event_at(3600, "past_due")).await.data(200);
    assert!((until().await + 3600 - Utc::now().timestamp() - 7 * DAY).abs() < 60);
}

#[tokio::test]
async fn the_retention_of_events_does_not_grant_the_grace_anew() {
    let (app, tenant) = start().await;
    let late = field_event("past_due_beyond_grace.json", &tenant);
    let event_at = |seconds_ago: i64, status: &str| next_event(&late, seconds_ago, &json!({ "status": status }));
    let since = "select extract(epoch from past_due_since)::bigint from billing.subscription_states";
    let events = "select count(*) from billing.stripe_events";
    let age = "update billing.stripe_events set received_at = received_at - interval '91 days'";
    app.deliver_stripe_event(&event_at(5 * DAY, "past_due")).await.data(200);
    let begun = app.billing_number(since).await;
    app.billing_sql(age).await;
    app.stack.invoke("maintenance", json!({})).await.unwrap();
    app.deliver_stripe_event(&event_at(DAY, "past_due")).await.data(200);
    assert_eq!((app.billing_number(since).await, app.billing_number(events).await), (begun, 2));
    // Once it is paid, its old events are deleted as others are.
    app.deliver_stripe_event(&event_at(3600, "active")).await.data(200);
    app.billing_sql(age).await;
    app.stack.invoke("maintenance", json!({})).await.unwrap();
    assert_eq!(app.billing_number(events).await, 0);
}

#[tokio::test]
async fn a_projection_without_a_change_stores_its_version() {
    let (app, tenant) = start().await;
    let bought = field_event("year.json", &tenant);
    app.deliver_stripe_event(&bought).await.data(200);
    let shown_version = format!("select subscription_version from profiles where id = '{}'", tenant.user_id);
    let version = "select version from billing.subscriptions";
    let first = app.number(&shown_version).await;
    assert_eq!(first, app.billing_number(version).await);
    app.deliver_stripe_event(&next_event(&bought, -1, &json!({}))).await.data(200);
    let second = app.billing_number(version).await;
    assert!(second > first);
    assert_eq!(app.number(&shown_version).await, second);
    // An older version that is projected late changes nothing.
    app.billing_sql(&format!(
        "update billing.subscriptions set version = {first}, plan = 'business', projected_version = null"
    ))
    .await;
    app.stack.invoke("maintenance", json!({})).await.unwrap();
    assert_eq!(shown(&app, &tenant).await["plan"], "pro");
    assert_eq!(app.number(&shown_version).await, second);
}
