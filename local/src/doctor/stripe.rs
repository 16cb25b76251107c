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
        Ok(endpoints) => vec![judge_endpoints(&endpoints, target.local_url.as_deref(), target.get("APP_URL"))],
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

/// Where the URL and the events of the webhook endpoint are described.
const ENDPOINT_ADVICE: &str = "docs/DEPLOY.md, Stripe, step 2, lists URL and events.";

/// Judges the webhook endpoints of the account, which several environments may share. An endpoint is known to be the product's
/// when it has the origin of the local stack, or of the front end, where the API is served too. The API's own address, the
/// stack's output ApiUrl, is no setting.
fn judge_endpoints(endpoints: &[WebhookEndpoint], local_url: Option<&str>, app_url: Option<&str>) -> Outcome {
    let origin = |url: &str| Url::parse(url).ok().map(|url| url.origin());
    let is_candidate = |url: &str| Url::parse(url).is_ok_and(|url| url.path().ends_with(WEBHOOK_PATH));
    let candidates: Vec<_> = endpoints.iter().filter(|endpoint| is_candidate(&endpoint.url)).collect();
    let known: Vec<_> = [local_url, app_url].into_iter().flatten().filter_map(origin).collect();
    let is_known = |endpoint: &WebhookEndpoint| origin(&endpoint.url).is_some_and(|origin| known.contains(&origin));
    let ours = candidates.iter().copied().filter(|endpoint| is_known(endpoint));
    if let Some(endpoint) = ours.min_by_key(|endpoint| !endpoint.is_enabled) {
        return judge_endpoint(endpoint, "");
    }
    match (candidates.as_slice(), local_url) {
        ([], _) => {
            let what = format!("no webhook endpoint ends in {WEBHOOK_PATH}: purchases give no access");
            Outcome::error(what, ENDPOINT_ADVICE)
        }
        (_, Some(local_url)) => Outcome::warning(
            format!("no webhook endpoint leads to {local_url}: {}", list(&candidates)),
            "Is one of these forwarded to it? Otherwise purchases give no access here.",
        ),
        ([endpoint], None) => judge_endpoint(endpoint, "; is its host that of this deployment (stack output ApiUrl)?"),
        _ if candidates.iter().all(|endpoint| !endpoint.is_enabled) => Outcome::error(
            format!("all webhook endpoints are disabled: purchases give no access: {}", list(&candidates)),
            "Enable that of this deployment in Stripe's dashboard, and send the failed events again there.",
        ),
        _ => Outcome::warning(
            format!("one of these webhook endpoints has to be that of this deployment: {}", list(&candidates)),
            format!("Compare their hosts with the stack output ApiUrl. {ENDPOINT_ADVICE}"),
        ),
    }
}

/// Judges one webhook endpoint. `question` follows the text of a good one.
fn judge_endpoint(endpoint: &WebhookEndpoint, question: &str) -> Outcome {
    let what = format!("the webhook endpoint {} {}", endpoint.url, state(endpoint));
    if !endpoint.is_enabled {
        return Outcome::error(
            format!("{what}: purchases give no access"),
            "Enable it in Stripe's dashboard, and send the failed events again there.",
        );
    }
    match endpoint.missing_event_types()[..] {
        [] => Outcome::Ok(format!("{what}{question}")),
        _ => Outcome::warning(what, ENDPOINT_ADVICE),
    }
}

/// The state of a webhook endpoint, as the end of a sentence about it.
fn state(endpoint: &WebhookEndpoint) -> String {
    match endpoint.missing_event_types()[..] {
        _ if !endpoint.is_enabled => "is disabled".to_owned(),
        [] => "gets all events".to_owned(),
        ref missing => format!("does not get {}", missing.join(", ")),
    }
}

/// The URLs of webhook endpoints, each with its state.
fn list(endpoints: &[&WebhookEndpoint]) -> String {
    let named: Vec<_> = endpoints.iter().map(|endpoint| format!("{} ({})", endpoint.url, state(endpoint))).collect();
    named.join(", ")
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

    /// An endpoint at this host, with the types of events that it gets.
    fn endpoint(host: &str, is_enabled: bool, event_type: &str) -> WebhookEndpoint {
        let url = format!("https://{host}{WEBHOOK_PATH}");
        WebhookEndpoint { url, is_enabled, event_types: vec![event_type.to_owned()] }
    }

    #[test]
    fn the_endpoint_of_another_environment_is_not_taken_for_that_of_the_deployment() {
        let (dev, staging) =
            (endpoint("dev.example.com", true, "*"), endpoint("app.example.com", true, "invoice.paid"));
        let disabled = endpoint("old.example.com", false, "*");

        // The host of a deployment's API is not known: several endpoints are listed, with their states.
        let outcome = judge_endpoints(&[dev.clone(), staging.clone(), disabled.clone()], None, None);
        let Outcome::Warning(what, advice) = outcome else { panic!("{outcome:?}") };
        assert!(what.contains("https://dev.example.com/api/v1/webhooks/stripe (gets all events), "), "{what}");
        assert!(what.contains("https://app.example.com/api/v1/webhooks/stripe (does not get checkout."), "{what}");
        assert!(what.contains("https://old.example.com/api/v1/webhooks/stripe (is disabled)"), "{what}");
        assert!(advice.contains("ApiUrl"), "{advice}");
        let outcome = judge_endpoints(std::slice::from_ref(&dev), None, None);
        assert!(matches!(&outcome, Outcome::Ok(what) if what.contains("dev.example.com") && what.ends_with('?')));
        let outcome = judge_endpoints(&[disabled.clone(), disabled.clone()], None, None);
        assert!(matches!(&outcome, Outcome::Error(what, _) if what.contains("all webhook endpoints are disabled")));
        let other_path = WebhookEndpoint { url: "https://app.example.com/hooks".to_owned(), ..dev.clone() };
        assert!(judge_endpoints(&[other_path], None, Some("https://app.example.com")).is_error());

        // The front end's origin serves the API, too.
        let app_url = Some("https://app.example.com/");
        let outcome = judge_endpoints(&[dev.clone(), staging.clone()], None, app_url);
        assert!(matches!(&outcome, Outcome::Warning(what, _) if what.starts_with("the webhook endpoint https://app.")));
        let outcome = judge_endpoints(&[dev.clone(), disabled], None, Some("https://old.example.com"));
        assert!(matches!(&outcome, Outcome::Error(what, _) if what.contains("old.example.com")), "{outcome:?}");

        // The address of the local stack is known.
        let outcome = judge_endpoints(&[dev], Some("http://127.0.0.1:9000"), None);
        assert!(
            matches!(&outcome, Outcome::Warning(what, _) if what.contains("leads to http://127.0.0.1:9000: https://"))
        );
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
