//! The product's tables, read from the database's catalog.

use sqlx::PgConnection;
use uuid::Uuid;

use crate::seed::SeededTenant;

/// SQL condition on `nspname` for schemas other than PostgreSQL's own.
pub(crate) const OWN_SCHEMAS: &str =
    "nspname not in ('pg_catalog', 'information_schema') and nspname !~ '^pg_(toast|temp)'";

/// Tables without rows of tenants: the plans and their prices, the applied migrations, the counters of rate limits and of
/// unconfirmed accounts, the progress of maintenance, and what billing has to tell to users whose company is not known
/// yet.
const TABLES_WITHOUT_TENANT: [&str; 7] =
    ["plans", "plan_prices", "_sqlx_migrations", "rate_limits", "unconfirmed_days", "task_progress", "billing_notices"];

/// A table of the schema public.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    pub(crate) name: String,
    /// True when row-level security is enabled.
    pub(crate) has_rls: bool,
    /// Number of policies.
    pub(crate) policies: i64,
    pub(crate) columns: Vec<Column>,
}

/// A column of a table.
#[derive(Debug, Clone)]
pub(crate) struct Column {
    pub(crate) name: String,
    /// True when a statement may set the value.
    pub(crate) is_plain: bool,
    /// True for a generated key `id` of type UUID.
    pub(crate) is_key: bool,
}

/// All tables of the schema public, by name.
pub(crate) async fn tables(admin: &mut PgConnection) -> Vec<Table> {
    let statement = r#"
        select relname::text, relrowsecurity, (select count(*) from pg_policy where polrelid = relation.oid)
        from pg_class relation join pg_namespace on pg_namespace.oid = relnamespace
        where nspname = 'public' and relkind in ('r', 'p')
        order by relname
    "#;
    let found: Vec<(String, bool, i64)> = sqlx::query_as(statement).fetch_all(&mut *admin).await.unwrap();
    let mut tables = Vec::new();
    for (name, has_rls, policies) in found {
        let columns = columns(admin, &name).await;
        tables.push(Table { name, has_rls, policies, columns });
    }
    tables
}

async fn columns(admin: &mut PgConnection, table: &str) -> Vec<Column> {
    let statement = r#"
        select column_name::text, is_generated = 'NEVER' and coalesce(identity_generation, '') <> 'ALWAYS',
            column_name = 'id' and data_type = 'uuid' and column_default is not null
        from information_schema.columns
        where table_schema = 'public' and table_name = $1
        order by ordinal_position
    "#;
    let columns: Vec<(String, bool, bool)> = sqlx::query_as(statement).bind(table).fetch_all(admin).await.unwrap();
    columns.into_iter().map(|(name, is_plain, is_key)| Column { name, is_plain, is_key }).collect()
}

impl Table {
    fn has(&self, column: &str) -> bool {
        self.columns.iter().any(|found| found.name == column)
    }

    /// The column that names the owner of a row, and its value for `tenant`. `None` for a table in
    /// `TABLES_WITHOUT_TENANT`; panics for any other table without such a column, which must be added here.
    pub(crate) fn owner_column(&self, tenant: &SeededTenant) -> Option<(&'static str, String)> {
        let (customer, owner) = (tenant.customer.to_string(), tenant.owner.to_string());
        match self.name.as_str() {
            "customers" => return Some(("id", customer)),
            "users" | "profiles" => return Some(("id", owner)),
            // In the frontends' tables, `company_id` is the tenant's UUID.
            "activities" | "bot_sessions" | "bot_usage" | "first_answer_times" | "orders" | "order_days" => {
                return Some(("company_id", customer));
            }
            _ => {}
        }
        if self.has("customer_id") {
            Some(("customer_id", customer))
        } else if self.has("company_id") {
            Some(("company_id", tenant.company.clone()))
        } else if self.has("user_id") {
            Some(("user_id", owner))
        } else {
            assert!(TABLES_WITHOUT_TENANT.contains(&self.name.as_str()), "whose are the rows of {}?", self.name);
            None
        }
    }

    /// SQL condition for the rows of a tenant.
    pub(crate) fn rows_condition(&self, tenant: &SeededTenant) -> Option<String> {
        self.owner_column(tenant).map(|(column, value)| format!("{column} = '{value}'"))
    }

    /// True when the rows belong to tenants and not to users.
    pub(crate) fn is_of_tenants(&self) -> bool {
        self.name == "customers" || self.has("customer_id") || self.has("company_id")
    }

    /// An `insert` that copies a row of a tenant, with a new key where the key is generated.
    pub(crate) async fn insert_copy_sql(&self, admin: &mut PgConnection, tenant: &SeededTenant) -> String {
        let condition = self.rows_condition(tenant).unwrap();
        let read = format!("select to_jsonb(original)::text from {} original where {condition} limit 1", self.name);
        let row: String = sqlx::query_scalar(sqlx::AssertSqlSafe(read)).fetch_one(admin).await.unwrap();
        let mut row: serde_json::Value = serde_json::from_str(&row).unwrap();
        for key in
            self.columns.iter().filter(|column| column.is_key && self.owner_column(tenant).unwrap().0 != column.name)
        {
            row[&key.name] = serde_json::json!(Uuid::new_v4());
        }
        let columns: Vec<_> =
            self.columns.iter().filter(|column| column.is_plain).map(|column| column.name.as_str()).collect();
        let columns = columns.join(", ");
        let row = row.to_string().replace('\'', "''");
        format!(
            "insert into {0} ({columns}) select {columns} from jsonb_populate_record(null::{0}, '{row}'::jsonb)",
            self.name
        )
    }
}
