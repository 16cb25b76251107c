//! Stripe: the key, its mode, and the webhook endpoint. Reads only.

use shared::stripe::{StripeClient, StripeError, WebhookEndpoint};
use url::Url;

use super::{Target, report::Outcome};

/// Path that Stripe's events are sent to.
const WEBHOOK_PATH: &str = "/api/v1/webhooks/stripe";

/// Checks the key and the webhook endpoint.
pub(super) async fn check(target: &Target) -> Vec<Outcome> {
    let mut settings = target.reader();
    let Some(client) = StripeClient::read(&mut settings) else {
        return vec![Outcome::skipped("STRIPE_SECRET_KEY is not set: nothing can be bought")];
    };
    if let Err(error) = client.ping().await {
        return vec![describe(&error)];
    }
    let mut outcomes = vec![Outcome::Ok("the key is valid".to_owned())];
    outcomes.extend(judge_mode(client.is_live(), target.get("ENVIRONMENT").unwrap_or("dev"), target.is_local()));
    let secrets = target.get("STRIPE_WEBHOOK_SECRET").unwrap_or_default();
    if secrets.split(',').any(|secret| !secret.trim().is_empty() && !secret.trim().starts_with("whsec_")) {
        outcomes.push(Outcome::warning(
            "STRIPE_WEBHOOK_SECRET does not begin with whsec_: events are refused unless it is the endpoint's secret",
            "Copy the signing secret of the endpoint: Stripe's dashboard, Developers, Webhooks.",
        ));
    }
    outcomes.extend(match client.list_webhook_endpoints().await {
        Ok(endpoints) => judge_endpoints(&endpoints),
        Err(StripeError::Refused { status: 401 | 403, .. }) => vec![Outcome::skipped(
            "the key may not read webhook endpoints, so the endpoint is not checked: give the restricted key read access to \
             Webhook Endpoints to have it checked",
        )],
        Err(error) => vec![describe(&error)],
    });
    outcomes
}

/// Judges the mode of the key by the environment.
fn judge_mode(is_live: bool, environment: &str, is_local: bool) -> Option<Outcome> {
    match (is_live, environment) {
        (false, "prod") if !is_local => Some(Outcome::warning(
            "the key is of Stripe's test mode, and ENVIRONMENT is prod: nobody is charged",
            "Put a key of the live mode (sk_live_… or rk_live_…) into the secrets.",
        )),
        (true, environment) if environment != "prod" => Some(Outcome::warning(
            format!("the key is of Stripe's live mode, and ENVIRONMENT is {environment}: trials cost real money"),
            "Put a key of the test mode (sk_test_… or rk_test_…) into the secrets.",
        )),
        _ => None,
    }
}

fn judge_endpoints(endpoints: &[WebhookEndpoint]) -> Vec<Outcome> {
    let is_ours = |url: &str| Url::parse(url).is_ok_and(|url| url.path().ends_with(WEBHOOK_PATH));
    let ours: Vec<_> = endpoints.iter().filter(|endpoint| is_ours(&endpoint.url)).collect();
    let advice = "docs/DEPLOY.md, Stripe, step 2, lists URL and events.";
    let Some(endpoint) = ours.iter().find(|endpoint| endpoint.is_enabled).or(ours.first()) else {
        let what = format!("no webhook endpoint ends in {WEBHOOK_PATH}: purchases give no access");
        return vec![Outcome::error(what, advice)];
    };
    if !endpoint.is_enabled {
        let what = format!("the webhook endpoint {} is disabled: purchases give no access", endpoint.url);
        return vec![Outcome::error(what, "Enable it in Stripe's dashboard, and send the failed events again there.")];
    }
    match endpoint.missing_event_types()[..] {
        [] => vec![Outcome::Ok(format!("the webhook endpoint {} gets all events", endpoint.url))],
        ref missing => {
            let what = format!("the webhook endpoint {} does not get {}", endpoint.url, missing.join(", "));
            vec![Outcome::warning(what, advice)]
        }
    }
}

/// Says why a call fails.
fn describe(error: &StripeError) -> Outcome {
    match error {
        StripeError::Refused { code, .. } if code == "api_key_expired" => Outcome::error(
            "the key in STRIPE_SECRET_KEY has expired",
            "Make a new key in Stripe's dashboard, put it into both secrets, and start new instances (docs/DEPLOY.md, \
             Rotating a secret).",
        ),
        StripeError::Refused { status: 401, .. } => Outcome::error(
            "Stripe does not know the key in STRIPE_SECRET_KEY",
            "Copy the secret or restricted key from Stripe's dashboard: Developers, API keys.",
        ),
        StripeError::Refused { status: 403, .. } => Outcome::error(
            "the restricted key in STRIPE_SECRET_KEY may not read subscriptions",
            "docs/DEPLOY.md, Stripe, step 3, lists the rights that it needs.",
        ),
        StripeError::Unreachable(_) => Outcome::error(
            "Stripe cannot be reached",
            "Is there a way to api.stripe.com, and is STRIPE_BASE_URL, if it is set, the right address?",
        ),
        other => Outcome::error(other.to_string(), "https://status.stripe.com shows disturbances of Stripe."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_the_wrong_mode_is_a_warning() {
        assert!(judge_mode(false, "prod", false).is_some());
        assert!(judge_mode(true, "staging", false).is_some());
        assert!(judge_mode(true, "prod", false).is_none());
        assert!(judge_mode(false, "staging", false).is_none());
    }

    #[test]
    fn errors_of_stripe_are_put_into_plain_words() {
        let refused = |status, code: &str| StripeError::Refused {
            status,
            kind: String::new(),
            code: code.to_owned(),
            param: String::new(),
            message: String::new(),
        };
        for (error, words) in [
            (refused(401, "api_key_expired"), "has expired"),
            (refused(401, ""), "does not know the key"),
            (refused(403, ""), "may not read subscriptions"),
            (StripeError::Unreachable(None), "cannot be reached"),
        ] {
            let outcome = describe(&error);
            assert!(matches!(&outcome, Outcome::Error(what, _) if what.contains(words)), "{outcome:?}");
        }
    }
}
