//! Tenants, inserted with SQL by the owner of the schema.

use anyhow::{Context, Result};
use sqlx::PgConnection;
use uuid::Uuid;

/// A tenant and its owner.
#[derive(Debug, Clone)]
pub struct SeededTenant {
    /// `customers.id`.
    pub customer: Uuid,
    /// `users.id`.
    pub owner: Uuid,
    /// `company_mapping.company_id`.
    pub company: String,
}

/// Inserts a tenant on the free plan with its owner and configuration. `quota_limit` is the owner's free requests.
///
/// # Errors
/// Fails when a statement fails.
pub async fn seed_tenant(admin: &mut PgConnection, name: &str, quota_limit: i32) -> Result<SeededTenant> {
    let (owner, customer, company) = (Uuid::new_v4(), Uuid::new_v4(), format!("company-{name}"));
    sqlx::query("select app.provision_account($1, $2, $3, $4)")
        .bind(owner)
        .bind(format!("{name}@example.com"))
        .bind(name)
        .bind(quota_limit)
        .execute(&mut *admin)
        .await?;
    let statements = [
        "insert into customers (id, user_id, name, plan_id) \
         select $1, $2, $3, (select id from plans where name = 'free')",
        "insert into customer_members (customer_id, user_id, role) select $1, $2, 'owner' where $3::text <> ''",
        "insert into company_mapping (uuid, user_id, company_id) values ($1, $2, $3)",
        "insert into company_rag_configs (user_id, company_id, company_name) \
         select $2, $3, 'a company' where $1::uuid is not null",
    ];
    for statement in statements {
        let query = sqlx::query(statement).bind(customer).bind(owner).bind(&company);
        query.execute(&mut *admin).await.context(statement)?;
    }
    Ok(SeededTenant { customer, owner, company })
}
