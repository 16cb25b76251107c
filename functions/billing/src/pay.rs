//! `POST /api/v1/billing/checkout` and `POST /api/v1/billing/portal`: links to Stripe's pages.

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use shared::{
    audit,
    auth::{AccountUser, Caller},
    billing,
    error::{ApiError, Result},
    http::{Data, Envelope, Json},
    idempotency::{self, IdempotencyClaim, IdempotencyKey, IdempotencyOutcome},
    logging, plans, quota,
    stripe::{CheckoutRequest, StripeClient, StripeError},
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

/// Creates a link to Stripe's Checkout, where a plan is paid for. A repeated call with an `Idempotency-Key` gets the
/// first call's link.
#[utoipa::path(
    post, path = CHECKOUT_PATH, tag = "billing", request_body = PlanOrder,
    params(("Idempotency-Key" = Option<String>, Header, description = "Kept for 24 hours")),
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
    let link = deps.create_session(stripe, &caller, order, &buyer).await;
    match link {
        Ok(url) => {
            let answer = Envelope { success: true, data: PageLink { url } };
            deps.record_checkout(&caller, order, &buyer.claim, &answer).await?;
            Ok(axum::Json(answer).into_response())
        }
        Err(error) => {
            deps.release_claim(&caller, &buyer.claim).await;
            Err(error.into())
        }
    }
}

/// Creates a link to Stripe's Billing Portal, where cards and the plan are changed and the subscription is cancelled.
#[utoipa::path(
    post, path = "/api/v1/billing/portal", tag = "billing",
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
    /// Customer at Stripe, when one exists.
    customer: Option<String>,
    /// Email address of the owner.
    email: String,
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
                if quota::status(tx, owner).await?.is_pro {
                    let message = "there is a subscription already: change its plan in the portal";
                    return Err(ApiError::conflict("already_subscribed", message));
                }
                let Some(price) = plans::stripe_price_id(tx, order.plan.name()).await? else {
                    return Err(ApiError::conflict("plan_not_sold", "this plan cannot be bought on this deployment"));
                };
                let subscription = billing::subscription_view(tx, owner).await?;
                Ok(CheckoutStart::Claimed(Buyer {
                    claim,
                    price,
                    customer: subscription.customer,
                    email: subscription.email,
                }))
            })
            .await
    }

    /// Creates the Checkout Session at Stripe and returns its URL. When Stripe has deleted the customer, the session
    /// creates a new one.
    async fn create_session(
        &self,
        stripe: &StripeClient,
        caller: &Caller<AccountUser>,
        order: PlanOrder,
        buyer: &Buyer,
    ) -> Result<String, StripeError> {
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
            customer: buyer.customer.as_deref(),
            email: &buyer.email,
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
        .map(|(_, url)| url)
    }

    /// Stores the response under the idempotency key, and writes the audit log.
    async fn record_checkout(
        &self,
        caller: &Caller<AccountUser>,
        order: PlanOrder,
        claim: &IdempotencyClaim,
        answer: &Envelope<PageLink>,
    ) -> Result<()> {
        self.db
            .tenant_tx(caller.tenant(), async |tx| {
                claim.finish(tx, 200, answer).await?;
                let entry = audit::NewAuditEntry {
                    actor: Some(caller.user),
                    action: "billing.checkout_begun",
                    object: format!("tenant:{}", caller.tenant()),
                    request_id: Some(&caller.request_id),
                    details: serde_json::json!({ "plan": order.plan.name() }),
                };
                audit::record(tx, &entry).await?;
                Ok(())
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
