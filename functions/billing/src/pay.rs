//! `POST /api/v1/billing/checkout` and `POST /api/v1/billing/portal`: links to Stripe's pages.

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use shared::{
    auth::{AccountUser, Caller},
    billing::{
        self, SubscriptionView,
        checkout::{self, PORTAL_PATH, Purchasability},
    },
    error::{ApiError, Result},
    http::{Data, Envelope, Json},
    idempotency::{self, IdempotencyClaim, IdempotencyKey, IdempotencyOutcome},
    logging, plans, quota,
    stripe::{CheckoutRequest, CheckoutSession, CheckoutSessionState, StripeClient, StripeError},
};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::Deps;

const CHECKOUT_PATH: &str = "/api/v1/billing/checkout";

/// Request for a checkout: the plan to buy.
#[derive(Debug, Clone, Copy, Deserialize, Serialize, ToSchema)]
#[schema(example = json!({ "plan": "pro" }))]
pub(crate) struct PlanOrder {
    plan: PaidPlan,
}

/// A plan that can be bought.
#[derive(Debug, Clone, Copy, Deserialize, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
enum PaidPlan {
    Pro,
    Business,
}

impl PaidPlan {
    fn name(self) -> &'static str {
        let [pro, business] = plans::PAID;
        match self {
            Self::Pro => pro,
            Self::Business => business,
        }
    }
}

/// A link to a page of Stripe's.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({ "url": "https://checkout.stripe.com/c/pay/cs_test_a1" }))]
pub(crate) struct PageLink {
    /// URL to open in the browser; valid for a day at most.
    url: String,
}

/// Creates a link to Stripe's Checkout, where a plan is paid for. The link of an earlier call stops working. A repeated
/// call with an `Idempotency-Key` gets the first call's link.
///
/// A company has one subscription at most. While there is one that Stripe collects, or may collect again, the answer is
/// 409 and `details.portal` is the route that opens the Billing Portal: `already_subscribed` for one that runs,
/// `subscription_open` for one that is past due, unpaid, paused or incomplete, `checkout_completed` for one that was
/// paid a moment ago.
#[utoipa::path(
    post, path = CHECKOUT_PATH, tag = "billing", request_body = PlanOrder,
    params(("Idempotency-Key" = Option<String>, Header, min_length = 1, max_length = 255, description = "Kept for 24 hours")),
    responses((status = 200, body = Envelope<PageLink>), (status = 409)),
)]
pub(crate) async fn check_out(
    caller: Caller<AccountUser>,
    State(deps): State<Deps>,
    key: IdempotencyKey,
    Json(order): Json<PlanOrder>,
) -> Result<Response> {
    let stripe = deps.stripe()?;
    let buyer = match deps.start_checkout(&caller, order, key).await? {
        CheckoutStart::Replay(replay) => return Ok(replay.into_response()),
        CheckoutStart::Claimed(buyer) => buyer,
    };
    match deps.replace_session(stripe, &caller, order, &buyer).await {
        Ok(session) => {
            let answer = Envelope { success: true, data: PageLink { url: session.url.clone() } };
            let superseded = deps.record_checkout(&caller, order, &buyer.claim, &session, &answer).await?;
            deps.expire_superseded(stripe, &caller, superseded).await;
            Ok(axum::Json(answer).into_response())
        }
        Err(error) => {
            deps.release_claim(&caller, &buyer.claim).await;
            Err(error)
        }
    }
}

/// Creates a link to Stripe's Billing Portal, where cards and the plan are changed and the subscription is cancelled.
#[utoipa::path(
    post, path = PORTAL_PATH, tag = "billing",
    responses((status = 200, body = Envelope<PageLink>), (status = 409)),
)]
pub(crate) async fn open_portal(caller: Caller<AccountUser>, State(deps): State<Deps>) -> Result<Data<PageLink>> {
    let stripe = deps.stripe()?;
    let owner = caller.owner();
    let subscription =
        deps.db.tenant_tx(caller.tenant(), async |tx| Ok(billing::subscription_view(tx, owner).await?)).await?;
    let Some(customer) = subscription.customer else { return Err(no_customer()) };
    // Each request opens its own portal session. The idempotency key covers only the attempts of this call.
    let opened = stripe.create_portal_session(&customer, &deps.return_url.0, &Uuid::new_v4().to_string()).await;
    match opened {
        Ok(url) => Ok(Data(PageLink { url })),
        Err(error) if error.is_missing() => Err(no_customer().with_source(error)),
        Err(error) => Err(error.into()),
    }
}

/// The error of a company without a customer at Stripe.
fn no_customer() -> ApiError {
    ApiError::conflict("no_subscription", "there is nothing at Stripe yet: buy a plan first")
}

/// Result of starting a checkout.
enum CheckoutStart {
    /// The idempotency key has a stored response.
    Replay(idempotency::Replay),
    /// The checkout can continue; any idempotency key is claimed.
    Claimed(Buyer),
}

/// Data of the company that buys a plan.
struct Buyer {
    /// Claim on the caller's idempotency key.
    claim: IdempotencyClaim,
    /// Id of the plan's price at Stripe.
    price: String,
    /// Subscription as last known, with the owner's email address and the customer at Stripe, when one exists.
    subscription: SubscriptionView,
    /// Permission to buy another subscription, by the state of the stored one.
    purchasability: Purchasability,
    /// Ids of the sessions that can still be paid.
    open_sessions: Vec<String>,
}

impl Deps {
    fn stripe(&self) -> Result<&StripeClient> {
        self.stripe.as_ref().ok_or_else(|| {
            let message = "payments are not set up on this deployment";
            ApiError::new(StatusCode::CONFLICT, "payments_not_configured", message)
        })
    }

    /// Claims the idempotency key, checks that the company can buy the plan, and reads the buyer's data.
    async fn start_checkout(
        &self,
        caller: &Caller<AccountUser>,
        order: PlanOrder,
        key: IdempotencyKey,
    ) -> Result<CheckoutStart> {
        let owner = caller.owner();
        self.db
            .tenant_tx(caller.tenant(), async |tx| {
                let claim = match idempotency::begin(tx, key, CHECKOUT_PATH, &order).await? {
                    IdempotencyOutcome::Replay(replay) => return Ok(CheckoutStart::Replay(replay)),
                    IdempotencyOutcome::Run(claim) => claim,
                };
                let is_pro = quota::status(tx, owner).await?.is_pro;
                let subscription = billing::subscription_view(tx, owner).await?;
                let purchasability = subscription.ensure_purchasable(is_pro)?;
                let Some(price) = plans::stripe_price_id(tx, order.plan.name()).await? else {
                    return Err(ApiError::conflict("plan_not_sold", "this plan cannot be bought on this deployment"));
                };
                let open_sessions = checkout::list_open_sessions(tx).await?;
                Ok(CheckoutStart::Claimed(Buyer { claim, price, subscription, purchasability, open_sessions }))
            })
            .await
    }

    /// Expires the sessions that can still be paid, and creates a new one. Each session that turns out to be paid, and a
    /// subscription that Stripe knows to be live, ends with a 409 instead.
    async fn replace_session(
        &self,
        stripe: &StripeClient,
        caller: &Caller<AccountUser>,
        order: PlanOrder,
        buyer: &Buyer,
    ) -> Result<CheckoutSession> {
        for session in &buyer.open_sessions {
            let state = stripe.expire_checkout_session(session).await?;
            match &state {
                CheckoutSessionState::Open => {
                    return Err(ApiError::unavailable().with_source("a Checkout Session does not expire"));
                }
                CheckoutSessionState::Complete(bought) if is_running(stripe, bought.as_deref()).await? => {
                    return Err(buyer.subscription.checkout_completed());
                }
                CheckoutSessionState::Complete(_) | CheckoutSessionState::Expired => {}
            }
            self.mark_session(caller, session, &state).await?;
        }
        if buyer.purchasability == Purchasability::Unclear
            && let Some(customer) = &buyer.subscription.customer
            && stripe.has_live_subscription(customer).await?
        {
            return Err(buyer.subscription.already_subscribed());
        }
        Ok(self.create_session(stripe, caller, order, buyer).await?)
    }

    async fn mark_session(
        &self,
        caller: &Caller<AccountUser>,
        session: &str,
        state: &CheckoutSessionState,
    ) -> Result<()> {
        self.db.tenant_tx(caller.tenant(), async |tx| Ok(checkout::mark_session(tx, session, state).await?)).await
    }

    /// Expires the sessions of concurrent checkouts, which were stored before this one. What fails is left to the next
    /// checkout; a second payment would be found by its event.
    async fn expire_superseded(&self, stripe: &StripeClient, caller: &Caller<AccountUser>, sessions: Vec<String>) {
        for session in sessions {
            let expired: Result<()> = async {
                let state = stripe.expire_checkout_session(&session).await?;
                self.mark_session(caller, &session, &state).await
            }
            .await;
            if let Err(error) = expired {
                tracing::warn!(error = logging::chain(&error), "a superseded Checkout Session may still be paid");
            }
        }
    }

    /// Creates the Checkout Session at Stripe. When Stripe has deleted the customer, the session
    /// creates a new one.
    async fn create_session(
        &self,
        stripe: &StripeClient,
        caller: &Caller<AccountUser>,
        order: PlanOrder,
        buyer: &Buyer,
    ) -> Result<CheckoutSession, StripeError> {
        let return_url = |outcome: &str| {
            let separator = if self.return_url.0.contains('?') { '&' } else { '?' };
            format!("{}{separator}checkout={outcome}", self.return_url.0)
        };
        let (success_url, cancel_url) = (return_url("success"), return_url("cancelled"));
        let mut checkout = CheckoutRequest {
            price: &buyer.price,
            plan: order.plan.name(),
            user: caller.owner(),
            tenant: caller.tenant(),
            customer: buyer.subscription.customer.as_deref(),
            email: &buyer.subscription.email,
            success_url: &success_url,
            cancel_url: &cancel_url,
        };
        let key = stripe_key(caller.tenant(), buyer.claim.key());
        match stripe.create_checkout_session(&checkout, &key).await {
            Err(error) if error.is_missing() && checkout.customer.is_some() => {
                checkout.customer = None;
                // The fields differ from the first call's, so Stripe requires another idempotency key.
                stripe.create_checkout_session(&checkout, &format!("{key}-new")).await
            }
            result => result,
        }
    }

    /// Stores the session, and the response under the idempotency key, and writes the audit log. Returns the other
    /// sessions that can still be paid.
    async fn record_checkout(
        &self,
        caller: &Caller<AccountUser>,
        order: PlanOrder,
        claim: &IdempotencyClaim,
        session: &CheckoutSession,
        answer: &Envelope<PageLink>,
    ) -> Result<Vec<String>> {
        self.db
            .tenant_tx(caller.tenant(), async |tx| {
                checkout::record_session(tx, session, order.plan.name()).await?;
                claim.finish(tx, 200, answer).await?;
                let details = serde_json::json!({ "plan": order.plan.name() });
                let object = format!("tenant:{}", caller.tenant());
                caller.record(tx, "billing.checkout_begun", object, details).await?;
                let mut others = checkout::list_open_sessions(tx).await?;
                others.retain(|other| other != &session.id);
                Ok(others)
            })
            .await
    }

    /// Frees the idempotency key after a failure, so that a repeated call can try again.
    async fn release_claim(&self, caller: &Caller<AccountUser>, claim: &IdempotencyClaim) {
        if claim.key().is_none() {
            return;
        }
        let released = self.db.tenant_tx(caller.tenant(), async |tx| Ok(claim.release(tx).await?)).await;
        if let Err(error) = released {
            tracing::warn!(error = logging::chain(&error), "the key is free again when its claim runs out");
        }
    }
}

/// Returns true when a paid session's subscription is not over. Without a subscription its payment is under way.
async fn is_running(stripe: &StripeClient, subscription: Option<&str>) -> Result<bool, StripeError> {
    let Some(subscription) = subscription else { return Ok(true) };
    match stripe.get_subscription(subscription).await {
        Ok(subscription) => Ok(!subscription.status.is_ended()),
        Err(error) if error.is_missing() => Ok(false),
        Err(error) => Err(error),
    }
}

/// Derives the `Idempotency-Key` of a call to Stripe.
///
/// Stripe's keys are unique per Stripe account, the callers' keys per tenant. Two tenants may choose equal keys, so
/// the tenant is part of the hash. Without a caller's key, a random one covers only the attempts of this call.
fn stripe_key(tenant: Uuid, key: Option<&str>) -> String {
    match key {
        Some(key) => format!("checkout-{}", hex::encode(Sha256::digest(format!("{tenant}:{key}")))),
        None => format!("checkout-{}", Uuid::new_v4()),
    }
}
