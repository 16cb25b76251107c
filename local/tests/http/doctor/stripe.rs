//! The check of Stripe: the key, its mode, the webhook endpoint, and the types of events that it has to get.

use std::time::Duration;

use local::{
    doctor::{Finding, Status, Target, examine},
    fakes::stripe::{EXPIRED_KEY, FakeStripe, LIVE_KEY, StripeFault},
};
use serde_json::json;
use shared::stripe::WebhookEndpoint;

use super::{
    super::{stripe::event, support::App},
    assert_fault, changed, examine_with, faults,
};

const WEBHOOK_PATH: &str = "/api/v1/webhooks/stripe";

#[tokio::test]
async fn an_expired_key_of_stripe_and_a_bad_webhook_endpoint_are_named() {
    let stripe = FakeStripe::start(None).await.unwrap();
    let app = App::start().await;
    let base_url = stripe.base_url();
    let webhook_url = format!("{}{WEBHOOK_PATH}", app.stack.base_url());
    let with_key =
        async |key: &str| examine_with(&app, &[("STRIPE_BASE_URL", &base_url), ("STRIPE_SECRET_KEY", key)]).await;
    assert_fault(&with_key(EXPIRED_KEY).await, "Stripe", Status::Error, "has expired");
    assert_fault(&with_key("sk_test_unknown").await, "Stripe", Status::Error, "does not know the key");
    assert_eq!(with_key("").await.of("Stripe").next().unwrap().status, Status::Skipped);

    let report = with_key(LIVE_KEY).await;
    let found: Vec<_> = faults(&report, "Stripe").iter().map(|finding| finding.message.as_str()).collect();
    let [mode, endpoint] = found[..] else { panic!("{found:?}") };
    assert!(mode.contains("live mode, and ENVIRONMENT is dev"), "{mode}");
    assert!(endpoint.contains("no webhook endpoint"), "{endpoint}");

    let key = &stripe.settings()["STRIPE_SECRET_KEY"];
    stripe.send_to(&webhook_url, "whsec_x");
    assert_eq!(faults(&with_key(key).await, "Stripe"), Vec::<&Finding>::new());
    stripe.change_webhook(&json!({ "enabled_events": ["invoice.paid", "customer.deleted"] }));
    assert_fault(&with_key(key).await, "Stripe", Status::Warning, "does not get checkout.session.completed");
    stripe.change_webhook(&json!({ "status": "disabled" }));
    assert_fault(&with_key(key).await, "Stripe", Status::Error, "is disabled");

    stripe.fail_route("webhook_endpoints", &[StripeFault::Refuse(403)]);
    let report = with_key(key).await;
    assert_eq!(faults(&report, "Stripe"), Vec::<&Finding>::new());
    assert!(report.of("Stripe").any(|finding| finding.status == Status::Skipped), "{}", report.to_text());
    // Each call is made three times at most.
    stripe.fail([StripeFault::Refuse(503); 3]);
    assert_fault(&with_key(key).await, "Stripe", Status::Error, "503");
}

#[tokio::test]
async fn the_webhook_endpoint_of_another_host_is_shown_for_comparison() {
    let stripe = FakeStripe::start(None).await.unwrap();
    let app = App::start().await;
    let settings = stripe.settings();
    let settings: Vec<_> = settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let url = format!("https://lisa.example.com{WEBHOOK_PATH}");
    stripe.send_to(&url, "whsec_x");

    let report = examine_with(&app, &settings).await;
    let words = format!("no webhook endpoint leads to {}: {url} (gets all events)", app.stack.base_url());
    assert_fault(&report, "Stripe", Status::Warning, &words);

    let deployment = Target {
        settings: changed(&app, &settings),
        names_in_file: Vec::new(),
        secrets: Vec::new(),
        local_url: None,
        timeout: Duration::from_secs(10),
    };
    let report = examine(deployment).await;
    assert_eq!(faults(&report, "Stripe"), Vec::<&Finding>::new());
    let words = format!("the webhook endpoint {url} gets all events; is its host that of this deployment");
    assert!(report.of("Stripe").any(|finding| finding.message.starts_with(&words)), "{}", report.to_text());
}

#[tokio::test]
async fn every_type_of_a_reversal_is_one_that_billing_reads() {
    let app = App::start().await;
    let endpoint = WebhookEndpoint { url: String::new(), is_enabled: true, event_types: Vec::new() };
    let types = endpoint.missing_event_types();
    let is_reversal = |kind: &&&str| kind.starts_with("charge.") || kind.starts_with("refund.");
    let reversals: Vec<_> = types.iter().filter(is_reversal).collect();
    assert_eq!(reversals.len(), 4, "{types:?}");
    for kind in reversals {
        let object = json!({
            "id": "x_1", "charge": "ch_1", "status": "needs_response", "amount": 500, "currency": "eur",
        });
        // A type that billing does not read is `unknown`.
        assert_eq!(app.deliver_stripe_event(&event(kind, 1, object)).await.data(200)["outcome"], "done", "{kind}");
    }
}
