//! The routes of a company's billing: usage of the plan, billed periods, the subscription, and links to Stripe's
//! Checkout and Billing Portal.

mod pay;

use axum::extract::{FromRef, State};
use chrono::{DateTime, Utc};
use serde::Serialize;
use shared::{
    auth::{AccountUser, Caller, VerificationKeys},
    billing::{self, BillingRecord, BillingRecordListing},
    db::Db,
    error::Result,
    function::{Function, HttpFunction},
    http::{Data, Envelope, Query},
    paging::{List, ListParams, ListParamsOf},
    periods::{self, ModelSpend},
    plans::{self, Plan},
    quota::{self, Quota},
    rate_limits::RateLimits,
    routes,
    settings::Settings,
    stripe::StripeClient,
};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
// `routes!` needs the handlers' `__path_…` items, which hold the OpenAPI description, in scope.
use pay::{__path_check_out, __path_open_portal, check_out, open_portal};

/// The `billing` Lambda function.
pub const FUNCTION: Function = Function::http::<Deps>();

/// Dependencies of the handlers.
#[derive(Debug, Clone, FromRef)]
pub struct Deps {
    db: Db,
    keys: VerificationKeys,
    limits: RateLimits,
    stripe: Option<StripeClient>,
    /// URL that Stripe's pages lead back to.
    return_url: ReturnUrl,
}

/// URL of the front end's subscription page; empty when payments are not configured.
#[derive(Debug, Clone)]
struct ReturnUrl(String);

impl HttpFunction for Deps {
    const NAME: &'static str = "billing";

    fn read(settings: &mut Settings) -> Self {
        let db = Db::read(settings);
        let return_url = settings.optional_url("BILLING_RETURN_URL");
        let stripe = StripeClient::read(settings);
        if stripe.is_some() && return_url.is_none() {
            settings.problem("BILLING_RETURN_URL is missing: with STRIPE_SECRET_KEY, Stripe's pages need a way back");
        }
        Self {
            limits: RateLimits::read(settings, &db),
            keys: VerificationKeys::read(settings),
            db,
            stripe,
            return_url: ReturnUrl(return_url.unwrap_or_default()),
        }
    }

    fn routes() -> OpenApiRouter<Self> {
        OpenApiRouter::new()
            .routes(routes!(usage_now))
            .routes(routes!(invoices))
            .routes(routes!(subscription))
            .routes(routes!(check_out))
            .routes(routes!(open_portal))
    }
}

/// Usage of the current period, with the limits of the plan.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "plan": {
        "name": "pro", "price_cents": 2900, "currency": "EUR", "monthly_request_limit": 2000, "storage_limit_mb": 500,
        "overage_cents_per_request": null, "monthly_spend_cap_micros": 15_000_000,
    },
    "period": { "start": "2026-11-01T00:00:00Z", "end": "2026-12-01T00:00:00Z" },
    "requests": { "used": 126, "limit": 2000, "remaining": 1874, "overage": 0, "overage_cents": 0 },
    "storage": { "used_bytes": 9_437_184, "limit_bytes": 524_288_000 },
    "models": { "cost_micros": 1_730_000, "cap_micros": 15_000_000, "prompt_tokens": 760_000, "completion_tokens": 60_000 },
    "quota": {
        "is_pro": true, "free_quota_used": 8, "free_quota_limit": 8, "state": "normal", "paywall_should_show": false,
    },
}))]
struct PlanUsage {
    plan: Plan,
    period: UsedPeriod,
    requests: RequestUsage,
    storage: StorageUsage,
    models: ModelUsage,
    quota: Quota,
}

/// The current period: a month of Stripe's period with a paid plan, else the calendar month. After a change to a weaker
/// plan, it is the rest of that month.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({ "start": "2026-11-01T00:00:00Z", "end": "2026-12-01T00:00:00Z" }))]
struct UsedPeriod {
    start: DateTime<Utc>,
    end: DateTime<Utc>,
}

/// Answered requests, with the limit.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({ "used": 3, "limit": 8, "remaining": 5, "overage": 0, "overage_cents": 0 }))]
struct RequestUsage {
    /// Requests used in the period; without a paid plan, over the account's lifetime.
    used: i32,
    /// Maximum number of requests; null without a limit.
    limit: Option<i32>,
    /// Requests left; null without a limit.
    remaining: Option<i32>,
    /// Requests over the limit; 0 when the plan sells none.
    overage: i32,
    /// Price of the requests over the limit, in minor units of the plan's currency.
    overage_cents: i64,
}

/// Storage used by files, with the limit, in bytes.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({ "used_bytes": 5120, "limit_bytes": 52_428_800 }))]
struct StorageUsage {
    used_bytes: i64,
    limit_bytes: i64,
}

/// Tokens and cost of model calls in the period, with the cap.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({ "prompt_tokens": 0, "completion_tokens": 0, "cost_micros": 0, "cap_micros": 500_000 }))]
struct ModelUsage {
    #[serde(flatten)]
    spend: ModelSpend,
    /// Maximum cost per period, in millionths of a US dollar; null without a cap.
    cap_micros: Option<i64>,
}

/// Returns the usage of the current period, with the limits of the plan.
#[utoipa::path(
    get, path = "/api/v1/billing/usage", tag = "billing",
    responses((status = 200, body = Envelope<PlanUsage>)),
)]
async fn usage_now(caller: Caller<AccountUser>, State(db): State<Db>) -> Result<Data<PlanUsage>> {
    let owner = caller.owner();
    db.tenant_tx(caller.tenant(), async |tx| {
        let plan = plans::of_tenant(tx).await?;
        let period = periods::current(tx).await?;
        let quota = quota::status(tx, owner).await?;
        let spend = periods::model_spend(tx, period.start).await?;
        Ok(Data(PlanUsage {
            requests: RequestUsage::of(&quota, &period),
            storage: StorageUsage {
                used_bytes: period.bytes,
                limit_bytes: i64::from(plan.storage_limit_mb) * 1024 * 1024,
            },
            models: ModelUsage { spend, cap_micros: plan.monthly_spend_cap_micros },
            period: UsedPeriod { start: period.start, end: period.end },
            plan,
            quota,
        }))
    })
    .await
}

impl RequestUsage {
    fn of(quota: &Quota, period: &periods::Period) -> Self {
        let (used, limit) = if quota.is_pro {
            (period.requests, period.request_limit)
        } else {
            (quota.free_quota_used, Some(quota.free_quota_limit))
        };
        let over_limit = limit.map_or(0, |limit| (used - limit).max(0));
        let price = period.overage_cents_per_request.filter(|_| quota.is_pro);
        Self {
            used,
            limit,
            remaining: limit.map(|limit| (limit - used).max(0)),
            overage: if price.is_some() { over_limit } else { 0 },
            overage_cents: i64::from(price.unwrap_or_default()) * i64::from(over_limit),
        }
    }
}

/// Lists the billed periods, newest first.
#[utoipa::path(
    get, path = "/api/v1/billing/invoices", tag = "billing", params(ListParamsOf<BillingRecordListing>),
    responses((status = 200, body = List<BillingRecord>)),
)]
async fn invoices(
    caller: Caller<AccountUser>,
    State(db): State<Db>,
    Query(params): Query<ListParams>,
) -> Result<List<BillingRecord>> {
    let paging = params.validate::<BillingRecordListing>()?;
    db.tenant_tx(caller.tenant(), async |tx| billing::list_records(tx, &paging).await).await
}

/// The company's subscription, in its last known state.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "plan": "pro", "status": "active", "is_pro": true, "current_period_start": "2026-11-23T09:30:06Z",
    "current_period_end": "2026-12-23T09:30:06Z", "cancel_at_period_end": false, "cancel_at": null,
    "can_open_portal": true,
}))]
struct SubscriptionNow {
    /// Name of the plan: `free`, `pro` or `business`.
    plan: String,
    /// `free` without a subscription; else `trialing`, `active`, `past_due`, `incomplete`, `unpaid`, `paused`,
    /// `cancelled` or `expired`.
    status: String,
    /// True when the subscription gives access now.
    is_pro: bool,
    current_period_start: Option<DateTime<Utc>>,
    current_period_end: Option<DateTime<Utc>>,
    /// True when the subscription ends with the period.
    cancel_at_period_end: bool,
    /// Time at which the subscription ends or has ended; null while no end is set.
    cancel_at: Option<DateTime<Utc>>,
    /// True when the company has a customer at Stripe, so that the Billing Portal can show its cards and invoices.
    can_open_portal: bool,
}

/// Returns the company's subscription.
#[utoipa::path(
    get, path = "/api/v1/billing/subscription", tag = "billing",
    responses((status = 200, body = Envelope<SubscriptionNow>)),
)]
async fn subscription(caller: Caller<AccountUser>, State(db): State<Db>) -> Result<Data<SubscriptionNow>> {
    let owner = caller.owner();
    db.tenant_tx(caller.tenant(), async |tx| {
        let subscription = billing::subscription_view(tx, owner).await?;
        let quota = quota::status(tx, owner).await?;
        Ok(Data(SubscriptionNow {
            plan: plans::of_tenant(tx).await?.name,
            status: subscription.status,
            is_pro: quota.is_pro,
            current_period_start: subscription.period_start,
            current_period_end: subscription.period_end,
            cancel_at_period_end: subscription.cancel_at_period_end,
            cancel_at: subscription.cancel_at,
            can_open_portal: subscription.customer.is_some(),
        }))
    })
    .await
}
