//! What the catalog says of the tables that are ours.

use sqlx::PgConnection;
use uuid::Uuid;

use crate::seed::Tenant;

/// Schemas that are not PostgreSQL's own.
pub(crate) const OURS: &str = "nspname not in ('pg_catalog', 'information_schema') and nspname !~ '^pg_(toast|temp)'";

/// Rows that belong to no tenant: what the plans are, which migrations ran, and how often who called.
pub(crate) const SHARED: [&str; 3] = ["plans", "_sqlx_migrations", "rate_limits"];

/// A table of the schema public.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    pub(crate) name: String,
    pub(crate) has_rls: bool,
    pub(crate) policies: i64,
    pub(crate) columns: Vec<Column>,
}

#[derive(Debug, Clone)]
pub(crate) struct Column {
    pub(crate) name: String,
    /// Whether a statement may give it a value.
    pub(crate) is_plain: bool,
    /// A generated key: `gen_random_uuid()`.
    pub(crate) is_key: bool,
}

/// All tables, in order.
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

    /// The column that says whose a row is, and what it then holds. A table without one is [`SHARED`], or must be told
    /// here.
    pub(crate) fn owner(&self, tenant: &Tenant) -> Option<(&'static str, String)> {
        let (customer, owner) = (tenant.customer.to_string(), tenant.owner.to_string());
        match self.name.as_str() {
            "customers" => return Some(("id", customer)),
            "users" | "profiles" => return Some(("id", owner)),
            // The fronts' tables name the company by its UUID.
            "activities" | "bot_sessions" | "bot_usage" | "orders" => return Some(("company_id", customer)),
            _ => {}
        }
        if self.has("customer_id") {
            Some(("customer_id", customer))
        } else if self.has("company_id") {
            Some(("company_id", tenant.company.clone()))
        } else if self.has("user_id") {
            Some(("user_id", owner))
        } else {
            assert!(SHARED.contains(&self.name.as_str()), "whose are the rows of {}?", self.name);
            None
        }
    }

    /// The rows of a tenant, as a condition.
    pub(crate) fn of(&self, tenant: &Tenant) -> Option<String> {
        self.owner(tenant).map(|(column, value)| format!("{column} = '{value}'"))
    }

    /// Whether the rows go with the tenant, rather than with a person.
    pub(crate) fn is_of_tenants(&self) -> bool {
        self.name == "customers" || self.has("customer_id") || self.has("company_id")
    }

    /// An insert of a copy of a row of a tenant, under a new key where the key is generated.
    pub(crate) async fn copy_of(&self, admin: &mut PgConnection, tenant: &Tenant) -> String {
        let condition = self.of(tenant).unwrap();
        let read = format!("select to_jsonb(original)::text from {} original where {condition} limit 1", self.name);
        let row: String = sqlx::query_scalar(sqlx::AssertSqlSafe(read)).fetch_one(admin).await.unwrap();
        let mut row: serde_json::Value = serde_json::from_str(&row).unwrap();
        for key in self.columns.iter().filter(|column| column.is_key && self.owner(tenant).unwrap().0 != column.name) {
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
