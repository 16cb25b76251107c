//! GET /api/v1/plans: the plans with their prices and limits, for anybody.

use serde_json::json;

use super::support::App;

#[tokio::test]
async fn anybody_sees_the_plans_with_prices_and_limits_and_nothing_more() {
    let app = App::start().await;
    app.sql("update plans set stripe_price_id = 'price_1' where name = 'pro'").await;
    let answer = app.get("/api/v1/plans").await;
    assert_eq!(answer.header("cache-control"), "public, max-age=300");
    assert!(!answer.text.contains("price_1"), "the ids of Stripe are not shown");
    let expected = json!([
        { "name": "free", "price_cents": 0, "currency": "EUR", "monthly_request_limit": null, "storage_limit_mb": 50,
          "overage_cents_per_request": null, "is_sold": false },
        { "name": "pro", "price_cents": 2900, "currency": "EUR", "monthly_request_limit": 2000, "storage_limit_mb": 500,
          "overage_cents_per_request": null, "is_sold": true },
        { "name": "business", "price_cents": 9900, "currency": "EUR", "monthly_request_limit": 20000,
          "storage_limit_mb": 5000, "overage_cents_per_request": 2, "is_sold": false },
    ]);
    assert_eq!(answer.data(200), expected);
}
