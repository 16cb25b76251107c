//! Tenants, inserted with SQL by the owner of the schema.

use sqlx::PgConnection;
use uuid::Uuid;

/// A tenant and its owner: `customers.id`, `users.id` and the `company_id`.
#[derive(Debug, Clone)]
pub(crate) struct SeededTenant {
    pub(crate) customer: Uuid,
    pub(crate) owner: Uuid,
    pub(crate) company: String,
}

/// Inserts a tenant on the free plan with its owner and configuration. `quota_limit` is the owner's free requests.
pub(crate) async fn tenant(admin: &mut PgConnection, name: &str, quota_limit: i32) -> SeededTenant {
    let (owner, customer, company) = (Uuid::new_v4(), Uuid::new_v4(), format!("company-{name}"));
    sqlx::query("select app.provision_account($1, $2, $3, $4)")
        .bind(owner)
        .bind(format!("{name}@example.com"))
        .bind(name)
        .bind(quota_limit)
        .execute(&mut *admin)
        .await
        .unwrap();
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
        query.execute(&mut *admin).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
    SeededTenant { customer, owner, company }
}
