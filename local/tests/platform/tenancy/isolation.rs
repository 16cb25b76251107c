//! A tenant's transaction against the rows of another tenant: every table, every kind of statement.

use shared::{db::Db, error::ApiError};
use sqlx::{AssertSqlSafe, PgConnection};
use uuid::Uuid;

use super::{
    catalog::{self, Table},
    rows,
};
use crate::{route::Route, seed::Tenant};

/// What became of a statement.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// So many rows, or the number that it selected.
    Rows(i64),
    /// By a grant or by a policy.
    Refused,
    /// Otherwise: a test that provokes these says nothing.
    Failed(String),
}

impl Outcome {
    pub(crate) fn of(error: &sqlx::Error) -> Self {
        match error.as_database_error().and_then(|error| error.code()) {
            Some(code) if code == "42501" => Self::Refused,
            _ => Self::Failed(error.to_string()),
        }
    }

    pub(crate) fn touches_nothing(&self) -> bool {
        matches!(self, Self::Rows(0) | Self::Refused)
    }
}

impl From<ApiError> for Outcome {
    fn from(error: ApiError) -> Self {
        Self::Failed(shared::logging::chain(&error))
    }
}

/// Runs one statement in a transaction of a tenant, which is rolled back.
async fn attempt(db: &Db, tenant: &Tenant, statement: &str) -> Outcome {
    let sql = AssertSqlSafe(statement.to_owned());
    let outcome: Result<(), Outcome> = db
        .tenant_tx(tenant.customer, async |tx| {
            // An error, so that it is rolled back.
            Err(if statement.starts_with("select") {
                sqlx::query_scalar(sql).fetch_one(tx).await.map_or_else(|error| Outcome::of(&error), Outcome::Rows)
            } else {
                sqlx::query(sql).execute(tx).await.map_or_else(
                    |error| Outcome::of(&error),
                    |done| Outcome::Rows(i64::try_from(done.rows_affected()).unwrap()),
                )
            })
        })
        .await;
    outcome.unwrap_err()
}

/// Statements on the rows of `theirs` that must come to nothing, by whoever is `mine`.
pub(crate) async fn statements(admin: &mut PgConnection, table: &Table, mine: &Tenant, theirs: &Tenant) -> Vec<String> {
    let (Some(own), Some(other)) = (table.of(mine), table.of(theirs)) else { return Vec::new() };
    let name = &table.name;
    let mut statements = vec![
        format!("select count(*) from {name} where {other}"),
        format!("select count(*) from {name} where ({own}) is not true"),
        // Without a word on whose: a policy alone decides.
        format!("select count(*) - count(*) filter (where {own}) from {name}"),
        format!("delete from {name} where {other}"),
        format!("delete from {name} where ({own}) is not true"),
        table.copy_of(admin, theirs).await,
    ];
    let (key, value) = table.owner(theirs).unwrap();
    for column in table.columns.iter().filter(|column| column.is_plain) {
        statements.push(format!("update {name} set {0} = {0} where {other}", column.name));
        if column.name == key {
            // One's own row, given away.
            statements.push(format!("update {name} set {key} = '{value}' where {own}"));
        }
    }
    statements
}

#[tokio::test]
async fn no_statement_of_a_tenant_reaches_a_row_of_another() {
    let route = Route::direct().await;
    let mut admin = route.admin().await;
    let [mine, theirs] = rows::two_tenants(&mut admin).await;
    let db = route.db(1);
    let mut tried = 0;
    for table in catalog::tables(&mut admin).await {
        for (mine, theirs) in [(&mine, &theirs), (&theirs, &mine)] {
            for statement in statements(&mut admin, &table, mine, theirs).await {
                let outcome = attempt(&db, mine, &statement).await;
                assert!(outcome.touches_nothing(), "{statement}: {outcome:?}");
                tried += 1;
            }
        }
    }
    assert!(tried > 200, "only {tried} statements were tried");
}

/// Without it the test above would say nothing.
#[tokio::test]
async fn a_tenant_sees_its_own_rows_wherever_it_may_select() {
    let route = Route::direct().await;
    let mut admin = route.admin().await;
    let tenants = rows::two_tenants(&mut admin).await;
    let db = route.db(1);
    let mut seen = 0;
    for table in catalog::tables(&mut admin).await {
        let may: bool = sqlx::query_scalar("select has_any_column_privilege('lisa_tenant', $1, 'select')")
            .bind(&table.name)
            .fetch_one(&mut admin)
            .await
            .unwrap();
        for tenant in &tenants {
            let Some(own) = table.of(tenant).filter(|_| may) else { continue };
            let statement = format!("select count(*) from {} where {own}", table.name);
            let outcome = attempt(&db, tenant, &statement).await;
            assert!(matches!(outcome, Outcome::Rows(1..)), "{statement}: {outcome:?}");
            seen += 1;
        }
    }
    assert!(seen >= 20, "only {seen} tables were seen");
}

#[tokio::test]
async fn a_transaction_of_no_tenant_sees_nothing() {
    let route = Route::direct().await;
    let mut admin = route.admin().await;
    let [mine, theirs] = rows::two_tenants(&mut admin).await;
    let nobody = Tenant { customer: Uuid::new_v4(), owner: Uuid::new_v4(), company: "nobody".to_owned() };
    let db = route.db(1);
    for table in catalog::tables(&mut admin).await {
        for theirs in [&mine, &theirs] {
            for statement in statements(&mut admin, &table, &nobody, theirs).await {
                let outcome = attempt(&db, &nobody, &statement).await;
                assert!(outcome.touches_nothing(), "{statement}: {outcome:?}");
            }
        }
    }
}

#[tokio::test]
async fn the_full_text_search_stays_within_the_tenant() {
    let route = Route::direct().await;
    let mut admin = route.admin().await;
    let [mine, theirs] = rows::two_tenants(&mut admin).await;
    let db = route.db(1);
    let document = format!("(select id from documents where customer_id = '{}')", theirs.customer);
    let document: Uuid =
        sqlx::query_scalar(AssertSqlSafe(format!("select {document}"))).fetch_one(&mut admin).await.unwrap();
    let search = |wanted: &str| format!("select count(*) from app.search_chunks('delivery', 'en', 'm', {wanted}, 10)");
    assert!(matches!(attempt(&db, &mine, &search("null")).await, Outcome::Rows(1)));
    let named = search(&format!("array['{document}'::uuid]"));
    assert!(attempt(&db, &mine, &named).await.touches_nothing());
    assert!(matches!(attempt(&db, &theirs, &named).await, Outcome::Rows(1)));
}

/// A view with the rights of whoever reads it, so that its tables' policies hold; as the owner of the schema one sees two.
#[tokio::test]
async fn what_was_said_is_remembered_for_its_own_tenant_alone() {
    let route = Route::direct().await;
    let mut admin = route.admin().await;
    let tenants = rows::two_tenants(&mut admin).await;
    let all = "select count(distinct company_id) from conversation_memory";
    assert_eq!(sqlx::query_scalar::<_, i64>(all).fetch_one(&mut admin).await.unwrap(), 2);
    let db = route.db(1);
    for tenant in &tenants {
        let own = format!("select count(*) from conversation_memory where company_id = '{}'", tenant.company);
        assert!(matches!(attempt(&db, tenant, &own).await, Outcome::Rows(1..)), "{own}");
        let others = format!("select count(*) from conversation_memory where company_id <> '{}'", tenant.company);
        assert!(matches!(attempt(&db, tenant, &others).await, Outcome::Rows(0)), "{others}");
    }
}

#[tokio::test]
async fn a_reservation_of_a_tenant_is_its_own_owners() {
    let route = Route::direct().await;
    let mut admin = route.admin().await;
    let [mine, theirs] = rows::two_tenants(&mut admin).await;
    let db = route.db(1);
    let reserve = |owner: Uuid| {
        format!(
            "insert into reservations (customer_id, user_id, kind, expires_at) \
             values ('{}', '{owner}', 'free_quota', now())",
            mine.customer
        )
    };
    // Maintenance would give the unit back to whom the row names.
    let outcome = attempt(&db, &mine, &reserve(theirs.owner)).await;
    assert!(matches!(outcome, Outcome::Refused), "{outcome:?}");
    assert!(matches!(attempt(&db, &mine, &reserve(mine.owner)).await, Outcome::Rows(1)));
}

#[tokio::test]
async fn a_chunk_belongs_to_a_document_of_its_own_tenant() {
    let route = Route::direct().await;
    let mut admin = route.admin().await;
    let [mine, theirs] = rows::two_tenants(&mut admin).await;
    let db = route.db(1);
    let statement = "update document_chunks set document_id = $1, chunk_index = 99 where customer_id = $2";
    let document: Uuid = sqlx::query_scalar("select id from documents where customer_id = $1")
        .bind(theirs.customer)
        .fetch_one(&mut admin)
        .await
        .unwrap();
    let statement = statement.replace("$1", &format!("'{document}'")).replace("$2", &format!("'{}'", mine.customer));
    let outcome = attempt(&db, &mine, &statement).await;
    assert!(
        matches!(&outcome, Outcome::Failed(error) if error.contains("document_chunks_document_id_fkey")),
        "{outcome:?}"
    );
}
