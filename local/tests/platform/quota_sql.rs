//! The quota's SQL under concurrency, against a model: in every schedule, no request is lost and none is counted
//! twice.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use local::random::SplitMix64;
use shared::{
    db::{Db, SystemDb},
    error::ApiError,
    plans::LimitExceeded,
    quota::{self, QuotaError, Reservation},
};
use sqlx::PgConnection;
use tokio::{sync::Barrier, task::JoinSet};

use crate::{
    route::{DatabaseRoute, both_ways},
    seed::{self, SeededTenant},
};

both_ways!(
    two_hundred_concurrent_reservations_take_exactly_the_free_quota,
    concurrent_refunds_of_one_request_refund_it_once,
    concurrent_sweeps_of_expired_reservations_do_not_deadlock,
    random_schedules_neither_lose_nor_double_a_request,
    paid_requests_over_the_plan_end_at_the_tenants_cap,
);

/// Connections of a test's handle: more than the pooler's server connections, so that clients share backends.
const CONNECTIONS: u32 = 8;

async fn reserve(db: &Db, tenant: &SeededTenant) -> Result<Reservation, ReserveError> {
    db.tenant_tx_with_error(tenant.customer, async |tx| Ok(quota::reserve(tx, None).await?)).await
}

async fn spend(db: &Db, tenant: &SeededTenant, reservation: &Reservation) {
    let spent: Result<(), ApiError> =
        db.tenant_tx(tenant.customer, async |tx| Ok(quota::charge(tx, reservation).await?)).await;
    spent.unwrap_or_else(|error| panic!("{}", shared::logging::chain(&error)));
}

async fn refund(db: &Db, tenant: &SeededTenant, reservation: &Reservation) {
    let refunded: Result<(), ApiError> =
        db.tenant_tx(tenant.customer, async |tx| Ok(quota::refund(tx, reservation).await?)).await;
    refunded.unwrap_or_else(|error| panic!("{}", shared::logging::chain(&error)));
}

async fn refund_expired(system: &SystemDb, limit: i64) -> u64 {
    let refunded: Result<u64, ApiError> =
        system.system_tx(async |tx| Ok(quota::refund_expired(tx, limit).await?)).await;
    refunded.unwrap_or_else(|error| panic!("{}", shared::logging::chain(&error)))
}

/// Reason why a reservation was not made.
#[derive(Debug)]
enum ReserveError {
    /// The free quota is used up, which the tests expect.
    Exceeded(quota::Quota),
    /// The plan's limit or the tenant's cap is reached.
    PlanLimit(LimitExceeded),
    /// The plan changed meanwhile.
    PlanChanged,
    /// The test rolled the transaction back.
    RolledBack,
    /// Another error, which fails the test.
    Failed(String),
}

impl From<QuotaError> for ReserveError {
    fn from(error: QuotaError) -> Self {
        match error {
            QuotaError::Exceeded(quota) => Self::Exceeded(quota),
            QuotaError::PlanLimit(limit) => Self::PlanLimit(limit),
            QuotaError::PlanChanged => Self::PlanChanged,
            error @ QuotaError::Database(_) => Self::Failed(error.to_string()),
        }
    }
}

impl From<ApiError> for ReserveError {
    fn from(error: ApiError) -> Self {
        Self::Failed(shared::logging::chain(&error))
    }
}

/// Reads, in one statement: `user_settings.free_quota_used`, the free requests held, those spent, and all
/// reservations ever made.
async fn quota_counts(admin: &mut PgConnection, tenant: &SeededTenant) -> (i32, i64, i64, i64) {
    let statement = r#"
        select free_quota_used,
            (select count(*) from reservations where user_id = $1 and kind = 'free_quota' and state = 'held'),
            (select count(*) from reservations where user_id = $1 and kind = 'free_quota' and state = 'spent'),
            (select count(*) from reservations where user_id = $1)
        from user_settings where user_id = $1
    "#;
    sqlx::query_as(statement).bind(tenant.owner).fetch_one(admin).await.unwrap()
}

async fn expire_all(admin: &mut PgConnection) {
    sqlx::raw_sql("update reservations set expires_at = now() - interval '1 second' where state = 'held'")
        .execute(admin)
        .await
        .unwrap();
}

async fn two_hundred_concurrent_reservations_take_exactly_the_free_quota(route: DatabaseRoute) {
    let mut admin = route.admin().await;
    let tenant = seed::tenant(&mut admin, "a", 8).await;
    let db = route.db(CONNECTIONS);
    let mut clients = JoinSet::new();
    for _ in 0..200 {
        let (db, tenant) = (db.clone(), tenant.clone());
        clients.spawn(async move { reserve(&db, &tenant).await });
    }
    let (taken, refused): (Vec<_>, Vec<_>) = clients.join_all().await.into_iter().partition(Result::is_ok);
    assert_eq!((taken.len(), refused.len()), (8, 192));
    let mut used: Vec<_> = taken.iter().map(|taken| taken.as_ref().unwrap().quota.free_quota_used).collect();
    used.sort_unstable();
    // Each reservation has its own number, so that the warning of the last free request comes once.
    assert_eq!(used, (1..=8).collect::<Vec<_>>());
    for refusal in refused {
        let Err(ReserveError::Exceeded(quota)) = refusal else { panic!("{refusal:?}") };
        assert_eq!((quota.free_quota_used, quota.paywall_should_show), (8, true));
    }
    assert_eq!(quota_counts(&mut admin, &tenant).await, (8, 8, 0, 8));
}

async fn concurrent_refunds_of_one_request_refund_it_once(route: DatabaseRoute) {
    let mut admin = route.admin().await;
    let tenant = seed::tenant(&mut admin, "a", 8).await;
    let (db, system) = (route.db(CONNECTIONS), route.system(CONNECTIONS));
    for round in 0..10 {
        let kept = reserve(&db, &tenant).await.unwrap();
        let reservation = reserve(&db, &tenant).await.unwrap();
        spend(&db, &tenant, &kept).await;
        expire_all(&mut admin).await;
        let functions = async {
            tokio::join!(
                refund(&db, &tenant, &reservation),
                refund(&db, &tenant, &reservation),
                refund(&db, &tenant, &kept),
            )
        };
        let sweeps = async { tokio::join!(refund_expired(&system, 10), refund_expired(&system, 10)) };
        let (_, (one, other)) = tokio::join!(Box::pin(functions), Box::pin(sweeps));
        assert!(one + other <= 1, "{one} {other}");
        let (used, held, spent, _) = quota_counts(&mut admin, &tenant).await;
        assert_eq!((i64::from(used), held, spent), (1, 0, 1), "round {round}");
        sqlx::raw_sql("update user_settings set free_quota_used = 0; delete from reservations")
            .execute(&mut admin)
            .await
            .unwrap();
    }
}

/// Two sweeps refund requests of many owners. The order of the rows differs in every round, so that sweeps that lock
/// rows in the order in which they find them would deadlock.
async fn concurrent_sweeps_of_expired_reservations_do_not_deadlock(route: DatabaseRoute) {
    const OWNERS: i64 = 40;
    let mut admin = route.admin().await;
    for number in 0..OWNERS {
        seed::tenant(&mut admin, &format!("owner-{number}"), 8).await;
    }
    let system = route.system(2);
    let open_periods = r#"
        insert into usage_periods (customer_id, period_start, period_end, plan_id, plan, price_cents, currency)
        select customers.id, timestamptz '2026-11-01', timestamptz '2026-12-01', plans.id, plans.name, 0, 'USD'
        from customers join plans on plans.id = customers.plan_id
    "#;
    sqlx::raw_sql(open_periods).execute(&mut admin).await.unwrap();
    let take_two_each = r#"
        update user_settings set free_quota_used = 1;
        update usage_periods set requests = 1;
        insert into reservations (customer_id, user_id, kind, period_start, expires_at)
        select customers.id, customers.user_id, kind, case kind when 'plan' then timestamptz '2026-11-01' end,
            now() - interval '1 second'
        from customers, unnest(array['free_quota', 'plan']) kind
        order by random()
    "#;
    let used = "select (select sum(free_quota_used) from user_settings) + (select sum(requests) from usage_periods)";
    for round in 0..100 {
        sqlx::raw_sql(take_two_each).execute(&mut admin).await.unwrap();
        let sweeps = async { tokio::join!(refund_expired(&system, OWNERS), refund_expired(&system, OWNERS)) };
        let (one, other) = Box::pin(sweeps).await;
        // A sweep skips the rows that the other sweep has locked: repeat until none is left.
        while refund_expired(&system, OWNERS).await > 0 {}
        let left: i64 = sqlx::query_scalar(used).fetch_one(&mut admin).await.unwrap();
        assert_eq!(left, 0, "round {round}: {one} and {other}");
    }
}

async fn random_schedules_neither_lose_nor_double_a_request(route: DatabaseRoute) {
    for seed in 1..=3 {
        random_schedule(&route, seed).await;
    }
}

const CLIENTS: u64 = 12;
const STEPS: usize = 30;

async fn random_schedule(route: &DatabaseRoute, seed: u64) {
    let mut admin = route.admin().await;
    let mut tenants = Vec::new();
    for limit in [3, 8, 40] {
        tenants.push(seed::tenant(&mut admin, &format!("seed-{seed}-limit-{limit}"), limit).await);
    }
    let tenants = Arc::new(tenants);
    let is_over = Arc::new(AtomicBool::new(false));
    let watching = Box::pin(check_counts_until_over(route.admin().await, Arc::clone(&tenants), Arc::clone(&is_over)));
    let (db, system) = (route.db(CONNECTIONS), route.system(2));
    let ready = Arc::new(Barrier::new(CLIENTS as usize));
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        let random = SplitMix64::new(seed * 1_000 + number);
        let client = QuotaClient { db: db.clone(), system: system.clone(), admin: route.admin().await, random };
        let (tenants, ready) = (Arc::clone(&tenants), Arc::clone(&ready));
        clients.spawn(async move {
            ready.wait().await;
            Box::pin(client.run(&tenants)).await
        });
    }
    let run = async {
        let taken = clients.join_all().await;
        is_over.store(true, Ordering::Relaxed);
        taken
    };
    let (taken, snapshots) = tokio::join!(run, watching);
    assert!(snapshots > 10, "seed {seed}: the books were looked at {snapshots} times only");

    for (tenant_index, tenant) in tenants.iter().enumerate() {
        let (used, held, spent, all) = quota_counts(&mut admin, tenant).await;
        assert_eq!(i64::from(used), held + spent, "seed {seed}, {tenant:?}");
        // The database has every request that a client reserved, and no other.
        let given: i64 = taken.iter().map(|taken| taken[tenant_index]).sum();
        assert_eq!(all, given, "seed {seed}, {tenant:?}");
    }
    // The requests still held stand for clients that were killed: they are refunded, and can be reserved again.
    sqlx::raw_sql("update users set is_pro = false").execute(&mut admin).await.unwrap();
    expire_all(&mut admin).await;
    while refund_expired(&system, 4).await > 0 {}
    for tenant in tenants.iter() {
        let (used, held, spent, _) = quota_counts(&mut admin, tenant).await;
        assert_eq!((i64::from(used), held), (spent, 0), "seed {seed}, {tenant:?}");
        let mut again = 0;
        while reserve(&db, tenant).await.is_ok() {
            again += 1;
        }
        let (after, ..) = quota_counts(&mut admin, tenant).await;
        let limit: i32 = sqlx::query_scalar("select free_quota_limit from user_settings where user_id = $1")
            .bind(tenant.owner)
            .fetch_one(&mut admin)
            .await
            .unwrap();
        assert_eq!((used + again, after), (limit, limit), "seed {seed}, {tenant:?}");
    }
}

/// Checks the counts while the clients run, because they must be right at every moment and not only at the end.
/// Returns the number of checks.
async fn check_counts_until_over(
    mut admin: PgConnection,
    tenants: Arc<Vec<SeededTenant>>,
    is_over: Arc<AtomicBool>,
) -> usize {
    let mut snapshots = 0;
    while !is_over.load(Ordering::Relaxed) {
        for tenant in tenants.iter() {
            let (used, held, spent, _) = quota_counts(&mut admin, tenant).await;
            assert_eq!(i64::from(used), held + spent, "{tenant:?}");
            snapshots += 1;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    snapshots
}

/// One of the clients that reserve requests at the same time.
struct QuotaClient {
    db: Db,
    system: SystemDb,
    admin: PgConnection,
    random: SplitMix64,
}

impl QuotaClient {
    /// Runs random actions; returns the number of requests reserved of each tenant.
    async fn run(mut self, tenants: &[SeededTenant]) -> Vec<i64> {
        let mut taken = vec![0; tenants.len()];
        let mut held: Vec<(usize, Reservation)> = Vec::new();
        for _ in 0..STEPS {
            let tenant_index = self.random.below(tenants.len());
            let tenant = &tenants[tenant_index];
            match self.random.below(20) {
                0..8 => match reserve(&self.db, tenant).await {
                    Ok(reservation) => {
                        taken[tenant_index] += 1;
                        held.push((tenant_index, reservation));
                    }
                    Err(ReserveError::Exceeded(quota)) => assert!(!quota.is_pro, "{quota:?}"),
                    Err(ReserveError::PlanChanged) => {}
                    Err(ReserveError::PlanLimit(limit)) => panic!("{limit:?}"),
                    Err(ReserveError::Failed(error)) => panic!("{error}"),
                    Err(ReserveError::RolledBack) => unreachable!("only the other kind is cancelled"),
                },
                8..10 => self.reserve_and_roll_back(tenant).await,
                10..13 => {
                    if let Some((tenant_index, reservation)) = held.pop() {
                        spend(&self.db, &tenants[tenant_index], &reservation).await;
                    }
                }
                13..16 => {
                    if let Some((tenant_index, reservation)) = held.pop() {
                        let tenant = &tenants[tenant_index];
                        tokio::join!(refund(&self.db, tenant, &reservation), refund(&self.db, tenant, &reservation));
                    }
                }
                16 => self.expire_some().await,
                17 => self.change_plan(tenant).await,
                _ => {
                    let limit = i64::try_from(self.random.below(5) + 1).unwrap();
                    refund_expired(&self.system, limit).await;
                }
            }
        }
        taken
    }

    /// Reserves a request in a transaction that is rolled back.
    async fn reserve_and_roll_back(&self, tenant: &SeededTenant) {
        let outcome: Result<(), ReserveError> = self
            .db
            .tenant_tx_with_error(tenant.customer, async |tx| {
                let _rolled_back = quota::reserve(tx, None).await?;
                Err(ReserveError::RolledBack)
            })
            .await;
        assert!(
            matches!(outcome, Err(ReserveError::RolledBack | ReserveError::PlanChanged | ReserveError::Exceeded(_))),
            "{outcome:?}"
        );
    }

    /// Expires three held reservations, also of clients that still run.
    async fn expire_some(&mut self) {
        let statement = r#"
            update reservations set expires_at = now() - interval '1 second'
            where id in (select id from reservations where state = 'held' order by random() limit 3)
        "#;
        sqlx::query(statement).execute(&mut self.admin).await.unwrap();
    }

    /// Starts or ends the paid plan of the owner.
    async fn change_plan(&mut self, tenant: &SeededTenant) {
        sqlx::query("update users set is_pro = not is_pro where id = $1")
            .bind(tenant.owner)
            .execute(&mut self.admin)
            .await
            .unwrap();
    }
}

/// Waits until `count` statements wait for a lock. `last` is the one that began last.
async fn wait_for_waiting(admin: &mut PgConnection, count: i64, last: &str) {
    let waiting =
        "select count(*) from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'";
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    while sqlx::query_scalar::<_, i64>(waiting).fetch_one(&mut *admin).await.unwrap() < count {
        assert!(tokio::time::Instant::now() < deadline, "{last} does not wait");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The end of a plan waits for a request that opens the plan's period. Otherwise that request would hold the profile and
/// wait for the free quota, and a free request the other way round.
#[tokio::test]
async fn a_plan_that_ends_while_a_request_opens_its_period_waits_for_the_request() {
    let route = DatabaseRoute::direct().await;
    let (mut admin, mut holding, mut ending) = (route.admin().await, route.admin().await, route.admin().await);
    let tenant = seed::tenant(&mut admin, "race", 8).await;
    give_limited_plan(&mut admin).await;
    // The change of the plan has opened a period; the next month's one is not there.
    sqlx::raw_sql("delete from usage_periods").execute(&mut admin).await.unwrap();
    let hold = format!("begin; select from profiles where id = '{}' for update", tenant.owner);
    sqlx::raw_sql(sqlx::AssertSqlSafe(hold)).execute(&mut holding).await.unwrap();
    let db = route.db(CONNECTIONS);
    let asked = reserve(&db, &tenant);
    let ended = sqlx::raw_sql("update users set is_pro = false").execute(&mut ending);
    let look = async {
        wait_for_waiting(&mut admin, 1, "the request").await;
        let free = "update user_settings set free_quota_used = free_quota_used + 1";
        let look_on = async {
            wait_for_waiting(&mut admin, 2, "the end of the plan").await;
            sqlx::raw_sql(free).execute(&mut admin).await.unwrap();
            sqlx::raw_sql("commit").execute(&mut holding).await.unwrap();
        };
        let (ended, ()) = tokio::join!(ended, look_on);
        ended.unwrap();
    };
    let (reserved, ()) = tokio::join!(asked, look);
    assert!(reserved.unwrap().quota.is_pro);
    let counted = "select requests from usage_periods";
    assert_eq!(sqlx::query_scalar::<_, i32>(counted).fetch_one(&mut admin).await.unwrap(), 1);
    let used = "select free_quota_used from user_settings";
    assert_eq!(sqlx::query_scalar::<_, i32>(used).fetch_one(&mut admin).await.unwrap(), 1);
}

/// Gives all companies a plan with a limit, whose rest the profile shows.
async fn give_limited_plan(admin: &mut PgConnection) {
    let give = "update users set is_pro = true;
                update customers set plan_id = (select id from plans where monthly_request_limit > 0 limit 1)";
    sqlx::raw_sql(give).execute(admin).await.unwrap();
}

/// A request that found the free quota used up, and a plan bought meanwhile, holds the free quota and takes the period. A
/// sweep that returns requests of both kinds takes them in the same order.
#[tokio::test]
async fn a_sweep_and_a_request_during_a_purchase_do_not_wait_for_each_other() {
    let route = DatabaseRoute::direct().await;
    let (mut admin, mut holding) = (route.admin().await, route.admin().await);
    let tenant = seed::tenant(&mut admin, "race", 2).await;
    let (db, system) = (route.db(CONNECTIONS), route.system(2));
    let _left = reserve(&db, &tenant).await.unwrap();
    give_limited_plan(&mut admin).await;
    let _left = reserve(&db, &tenant).await.unwrap();
    sqlx::raw_sql("update users set is_pro = false").execute(&mut admin).await.unwrap();
    expire_all(&mut admin).await;
    sqlx::raw_sql("begin; select from user_settings for update").execute(&mut holding).await.unwrap();
    let look = async {
        wait_for_waiting(&mut admin, 1, "the request").await;
        sqlx::raw_sql("update users set is_pro = true").execute(&mut admin).await.unwrap();
        let last_is_taken = async {
            wait_for_waiting(&mut admin, 2, "the sweep").await;
            let take = "update user_settings set free_quota_used = free_quota_limit; commit";
            sqlx::raw_sql(take).execute(&mut holding).await.unwrap();
        };
        tokio::join!(refund_expired(&system, 4), last_is_taken).0
    };
    let (reserved, refunded) = tokio::join!(reserve(&db, &tenant), look);
    assert!(reserved.unwrap().quota.is_pro);
    assert_eq!(refunded, 2);
    let counts = "select (select requests from usage_periods), (select free_quota_used from user_settings)";
    // The purchase's request stays; of the free ones, both were used and one is returned.
    assert_eq!(sqlx::query_as::<_, (i32, i32)>(counts).fetch_one(&mut admin).await.unwrap(), (1, 1));
}

/// A free request that is counted while the plan is being bought waits for the purchase, and then leaves the plan's
/// credits as they are.
#[tokio::test]
async fn a_free_request_during_a_purchase_does_not_overwrite_the_credits_of_the_plan() {
    let route = DatabaseRoute::direct().await;
    let (mut admin, mut buying, mut asking) = (route.admin().await, route.admin().await, route.admin().await);
    let tenant = seed::tenant(&mut admin, "race", 8).await;
    let purchase = format!(
        "begin; select from users where id = '{0}' for update; update users set is_pro = true where id = '{0}';
         update profiles set credits_remaining = 2000 where id = '{0}'",
        tenant.owner
    );
    sqlx::raw_sql(sqlx::AssertSqlSafe(purchase)).execute(&mut buying).await.unwrap();
    let request = "update user_settings set free_quota_used = free_quota_used + 1 where user_id = $1";
    let asked = async { sqlx::query(request).bind(tenant.owner).execute(&mut asking).await.unwrap() };
    let bought = async {
        wait_for_waiting(&mut admin, 1, "the request").await;
        sqlx::raw_sql("commit").execute(&mut buying).await.unwrap();
    };
    tokio::join!(asked, bought);
    let credits = "select credits_remaining from profiles where id = $1";
    let left: i32 = sqlx::query_scalar(credits).bind(tenant.owner).fetch_one(&mut admin).await.unwrap();
    assert_eq!(left, 2000);
}

/// Of concurrent requests over the plan's limit, exactly as many are taken as the cap says, and the tenant is told once
/// at 80 % and once at 100 %.
async fn paid_requests_over_the_plan_end_at_the_tenants_cap(route: DatabaseRoute) {
    let mut admin = route.admin().await;
    let tenant = seed::tenant(&mut admin, "a", 8).await;
    let other = seed::tenant(&mut admin, "b", 8).await;
    let pay = r#"
        update users set is_pro = true;
        update plans set monthly_request_limit = 20, overage_cents_per_request = 2, monthly_spend_cap_micros = null
        where name = 'business';
        update customers set plan_id = (select id from plans where name = 'business');
        update customers set overage_cap_requests = 10 where name = 'company-a'
    "#;
    sqlx::raw_sql(pay).execute(&mut admin).await.unwrap();
    let db = route.db(CONNECTIONS);
    for (tenant, taken_at_most) in [(&tenant, 30), (&other, 40)] {
        let mut clients = JoinSet::new();
        for _ in 0..60 {
            let (db, tenant) = (db.clone(), tenant.clone());
            clients.spawn(async move { reserve(&db, &tenant).await });
        }
        let (taken, refused): (Vec<_>, Vec<_>) = clients.join_all().await.into_iter().partition(Result::is_ok);
        assert_eq!(taken.len(), taken_at_most, "without a cap of its own, as many as the plan has");
        for refusal in refused {
            let Err(ReserveError::PlanLimit(limit)) = refusal else { panic!("{refusal:?}") };
            let cap = i64::try_from(taken_at_most).unwrap() - 20;
            assert_eq!((limit.limit, limit.used, limit.most), ("overage_requests", cap, cap));
        }
        let told = "select type from activities where company_id = $1 order by type";
        let told: Vec<String> = sqlx::query_scalar(told).bind(tenant.customer).fetch_all(&mut admin).await.unwrap();
        assert_eq!(told, ["overage_cap_near", "overage_cap_reached"]);
        // A refund makes room for one more.
        let reservation = taken.into_iter().next().unwrap().unwrap();
        refund(&db, tenant, &reservation).await;
        assert!(reserve(&db, tenant).await.is_ok());
        assert!(reserve(&db, tenant).await.is_err());
    }
}
