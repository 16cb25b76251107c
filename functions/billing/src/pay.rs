//! `POST /api/v1/billing/checkout` and `/portal`: links to Stripe's pages.

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
    idempotency::{self, Claim, IdempotencyKey, Outcome},
    logging, plans, quota,
    stripe::{Checkout, Client, StripeError},
};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::Deps;

const CHECKOUT: &str = "/api/v1/billing/checkout";

/// What is to be bought.
#[derive(Debug, Clone, Copy, Deserialize, Serialize, ToSchema)]
#[schema(example = json!({ "plan": "pro" }))]
pub(crate) struct PlanOrder {
    plan: PaidPlan,
}

/// A plan that may be bought.
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

/// Stripe's page.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({ "url": "https://checkout.stripe.com/c/pay/cs_test_a1" }))]
pub(crate) struct PageLink {
    /// To open in the browser; good for a day at most.
    url: String,
}

/// A link to Stripe's Checkout, where a plan is paid for. With an `Idempotency-Key`, a repetition gets the same link.
#[utoipa::path(
    post, path = CHECKOUT, tag = "billing", request_body = PlanOrder,
    params(("Idempotency-Key" = Option<String>, Header, description = "Kept for 24 hours")),
    responses((status = 200, body = Envelope<PageLink>), (status = 409)),
)]
pub(crate) async fn check_out(
    caller: Caller<AccountUser>,
    State(deps): State<Deps>,
    IdempotencyKey(key): IdempotencyKey,
    Json(order): Json<PlanOrder>,
) -> Result<Response> {
    let stripe = deps.stripe()?;
    let buyer = match deps.begin(&caller, order, key.clone()).await? {
        Begun::Replay(replay) => return Ok(replay.into_response()),
        Begun::Claimed(buyer) => buyer,
    };
    let link = deps.session(stripe, &caller, order, &buyer, key.as_deref()).await;
    match link {
        Ok(url) => {
            let answer = Envelope { success: true, data: PageLink { url } };
            deps.finish(&caller, order, buyer.claim.as_ref(), &answer).await?;
            Ok(axum::Json(answer).into_response())
        }
        Err(error) => {
            deps.release(&caller, buyer.claim.as_ref()).await;
            Err(error.into())
        }
    }
}

/// A link to Stripe's Billing Portal, where cards, plan and cancellation are.
#[utoipa::path(
    post, path = "/api/v1/billing/portal", tag = "billing",
    responses((status = 200, body = Envelope<PageLink>), (status = 409)),
)]
pub(crate) async fn open_portal(caller: Caller<AccountUser>, State(deps): State<Deps>) -> Result<Data<PageLink>> {
    let stripe = deps.stripe()?;
    let owner = caller.owner();
    let known = deps
        .db
        .tenant(caller.tenant(), async |tx| Ok::<_, ApiError>(billing::known_to_tenant(tx, owner).await?))
        .await?;
    let Some(customer) = known.customer else { return Err(nothing_to_show()) };
    // Each call opens a session of its own; the key covers the tries of this one.
    let opened = stripe.open_portal(&customer, &deps.return_url.0, &Uuid::new_v4().to_string()).await;
    match opened {
        Ok(url) => Ok(Data(PageLink { url })),
        Err(error) if error.is_missing() => Err(nothing_to_show().because(error)),
        Err(error) => Err(error.into()),
    }
}

fn nothing_to_show() -> ApiError {
    ApiError::conflict("no_subscription", "there is nothing at Stripe yet: buy a plan first")
}

/// How a checkout begins.
enum Begun {
    /// It was answered before.
    Replay(idempotency::Replay),
    /// Its key is claimed, and this is who buys.
    Claimed(Buyer),
}

struct Buyer {
    claim: Option<Claim>,
    price: String,
    customer: Option<String>,
    email: String,
}

impl Deps {
    fn stripe(&self) -> Result<&Client> {
        self.stripe.as_ref().ok_or_else(|| {
            let message = "payments are not set up on this deployment";
            ApiError::new(StatusCode::CONFLICT, "payments_not_configured", message)
        })
    }

    async fn begin(&self, caller: &Caller<AccountUser>, order: PlanOrder, key: Option<String>) -> Result<Begun> {
        let owner = caller.owner();
        self.db
            .tenant(caller.tenant(), async |tx| {
                let claim = match key {
                    None => None,
                    Some(key) => {
                        match idempotency::claim(tx, key, &idempotency::fingerprint(CHECKOUT, &order)).await? {
                            Outcome::Finished(replay) => return Ok(Begun::Replay(replay)),
                            Outcome::Claimed(claim) => Some(claim),
                        }
                    }
                };
                if quota::status(tx, owner).await?.is_pro {
                    let message = "there is a subscription already: change its plan in the portal";
                    return Err(ApiError::conflict("already_subscribed", message));
                }
                let Some(price) = plans::price(tx, order.plan.name()).await? else {
                    return Err(ApiError::conflict("plan_not_sold", "this plan cannot be bought on this deployment"));
                };
                let known = billing::known_to_tenant(tx, owner).await?;
                Ok(Begun::Claimed(Buyer { claim, price, customer: known.customer, email: known.email }))
            })
            .await
    }

    /// Has Stripe make the session. A customer that was deleted there is made anew.
    async fn session(
        &self,
        stripe: &Client,
        caller: &Caller<AccountUser>,
        order: PlanOrder,
        buyer: &Buyer,
        key: Option<&str>,
    ) -> Result<String, StripeError> {
        let back = |outcome: &str| {
            let joint = if self.return_url.0.contains('?') { '&' } else { '?' };
            format!("{}{joint}checkout={outcome}", self.return_url.0)
        };
        let (success_url, cancel_url) = (back("success"), back("cancelled"));
        let mut checkout = Checkout {
            price: &buyer.price,
            plan: order.plan.name(),
            user: caller.owner(),
            tenant: caller.tenant(),
            customer: buyer.customer.as_deref(),
            email: &buyer.email,
            success_url: &success_url,
            cancel_url: &cancel_url,
        };
        let key = stripe_key(caller.tenant(), key);
        match stripe.check_out(&checkout, &key).await {
            Err(error) if error.is_missing() && checkout.customer.is_some() => {
                checkout.customer = None;
                // Another request, so another key.
                stripe.check_out(&checkout, &format!("{key}-new")).await
            }
            made => made,
        }
        .map(|(_, url)| url)
    }

    async fn finish(
        &self,
        caller: &Caller<AccountUser>,
        order: PlanOrder,
        claim: Option<&Claim>,
        answer: &Envelope<PageLink>,
    ) -> Result<()> {
        self.db
            .tenant(caller.tenant(), async |tx| {
                if let Some(claim) = claim {
                    idempotency::finish(tx, claim, 200, answer).await?;
                }
                let entry = audit::Entry {
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

    async fn release(&self, caller: &Caller<AccountUser>, claim: Option<&Claim>) {
        let Some(claim) = claim else { return };
        let released: Result<()> =
            self.db.tenant(caller.tenant(), async |tx| Ok(idempotency::release(tx, claim).await?)).await;
        if let Err(error) = released {
            tracing::warn!(error = logging::chain(&error), "the key is free again when its claim runs out");
        }
    }
}

/// Stripe's keys are the account's, ours a tenant's: two tenants may choose the same. Without one of the caller's, the key
/// covers the tries of this call alone.
fn stripe_key(tenant: Uuid, key: Option<&str>) -> String {
    match key {
        Some(key) => format!("checkout-{}", hex::encode(Sha256::digest(format!("{tenant}:{key}")))),
        None => format!("checkout-{}", Uuid::new_v4()),
    }
}
