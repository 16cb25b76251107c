//! Tenants of these tests.

use local::testing;
pub(crate) use local::testing::SeededTenant;
use sqlx::PgConnection;

/// Inserts a tenant on the free plan with its owner and configuration. `quota_limit` is the owner's free requests.
pub(crate) async fn tenant(admin: &mut PgConnection, name: &str, quota_limit: i32) -> SeededTenant {
    testing::seed_tenant(admin, name, quota_limit).await.unwrap()
}
