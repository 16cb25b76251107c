//! Isolation of tenants: a tenant's transaction runs every kind of statement on another tenant's rows in every table.

use shared::{db::Db, error::ApiError};
use sqlx::{AssertSqlSafe, PgConnection};
use uuid::Uuid;

use super::{
    catalog::{self, Table},
    rows,
};
use crate::{route::DatabaseRoute, seed::SeededTenant};

/// Result of a statement.
#[derive(Debug)]
pub(crate) enum StatementOutcome {
    /// Number of changed rows, or the number that the statement selected.
    Rows(i64),
    /// Refused by a missing grant or by a policy.
    Refused,
    /// Another error. A test whose statements fail like this proves nothing.
    Failed(String),
}

impl StatementOutcome {
    /// Distinguishes a refusal (SQLSTATE 42501) from other errors.
    pub(crate) fn from_error(error: &sqlx::Error) -> Self {
        match error.as_database_error().and_then(|error| error.code()) {
            Some(code) if code == "42501" => Self::Refused,
            _ => Self::Failed(error.to_string()),
        }
    }

    /// True when the statement was refused, or reached no row.
    pub(crate) fn touches_nothing(&self) -> bool {
        matches!(self, Self::Rows(0) | Self::Refused)
    }
}

impl From<ApiError> for StatementOutcome {
    fn from(error: ApiError) -> Self {
        Self::Failed(shared::logging::chain(&error))
    }
}

/// Runs one statement in a transaction of a tenant, which is rolled back.
async fn run_as_tenant(db: &Db, tenant: &SeededTenant, statement: &str) -> StatementOutcome {
    let sql = AssertSqlSafe(statement.to_owned());
    let outcome: Result<(), StatementOutcome> = db
        .tenant_tx_with_error(tenant.customer, async |tx| {
            // The result is returned as an error, so that the transaction is rolled back.
            Err(if statement.starts_with("select") {
                sqlx::query_scalar(sql)
                    .fetch_one(tx)
                    .await
                    .map_or_else(|error| StatementOutcome::from_error(&error), StatementOutcome::Rows)
            } else {
                sqlx::query(sql).execute(tx).await.map_or_else(
                    |error| StatementOutcome::from_error(&error),
                    |done| StatementOutcome::Rows(i64::try_from(done.rows_affected()).unwrap()),
                )
            })
        })
        .await;
    outcome.unwrap_err()
}

/// Statements on rows of `theirs` that must reach no row when `mine` runs them.
pub(crate) async fn statements_on_foreign_rows(
    admin: &mut PgConnection,
    table: &Table,
    mine: &SeededTenant,
    theirs: &SeededTenant,
) -> Vec<String> {
    let (Some(own), Some(other)) = (table.rows_condition(mine), table.rows_condition(theirs)) else {
        return Vec::new();
    };
    let name = &table.name;
    let mut statements = vec![
        format!("select count(*) from {name} where {other}"),
        format!("select count(*) from {name} where ({own}) is not true"),
        // Without a condition on the owner, only a policy hides the rows.
        format!("select count(*) - count(*) filter (where {own}) from {name}"),
        format!("delete from {name} where {other}"),
        format!("delete from {name} where ({own}) is not true"),
        table.insert_copy_sql(admin, theirs).await,
    ];
    let (key, value) = table.owner_column(theirs).unwrap();
    for column in table.columns.iter().filter(|column| column.is_plain) {
        statements.push(format!("update {name} set {0} = {0} where {other}", column.name));
        if column.name == key {
            // An own row is given to the other tenant.
            statements.push(format!("update {name} set {key} = '{value}' where {own}"));
        }
    }
    statements
}

#[tokio::test]
async fn no_statement_of_a_tenant_reaches_a_row_of_another() {
    let route = DatabaseRoute::direct().await;
    let mut admin = route.admin().await;
    let [mine, theirs] = rows::two_tenants(&mut admin).await;
    let db = route.db(1);
    let mut tried = 0;
    for table in catalog::tables(&mut admin).await {
        for (mine, theirs) in [(&mine, &theirs), (&theirs, &mine)] {
            for statement in statements_on_foreign_rows(&mut admin, &table, mine, theirs).await {
                let outcome = run_as_tenant(&db, mine, &statement).await;
                assert!(outcome.touches_nothing(), "{statement}: {outcome:?}");
                tried += 1;
            }
        }
    }
    assert!(tried > 200, "only {tried} statements were tried");
}

/// Shows that the statements of the test above could reach rows.
#[tokio::test]
async fn a_tenant_sees_its_own_rows_wherever_it_may_select() {
    let route = DatabaseRoute::direct().await;
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
            let Some(own) = table.rows_condition(tenant).filter(|_| may) else { continue };
            let statement = format!("select count(*) from {} where {own}", table.name);
            let outcome = run_as_tenant(&db, tenant, &statement).await;
            assert!(matches!(outcome, StatementOutcome::Rows(1..)), "{statement}: {outcome:?}");
            seen += 1;
        }
    }
    assert!(seen >= 20, "only {seen} tables were seen");
}

#[tokio::test]
async fn a_transaction_of_an_unknown_tenant_reaches_nothing() {
    let route = DatabaseRoute::direct().await;
    let mut admin = route.admin().await;
    let [mine, theirs] = rows::two_tenants(&mut admin).await;
    let nobody = SeededTenant { customer: Uuid::new_v4(), owner: Uuid::new_v4(), company: "nobody".to_owned() };
    let db = route.db(1);
    for table in catalog::tables(&mut admin).await {
        for theirs in [&mine, &theirs] {
            for statement in statements_on_foreign_rows(&mut admin, &table, &nobody, theirs).await {
                let outcome = run_as_tenant(&db, &nobody, &statement).await;
                assert!(outcome.touches_nothing(), "{statement}: {outcome:?}");
            }
        }
    }
}

#[tokio::test]
async fn the_full_text_search_stays_within_the_tenant() {
    let route = DatabaseRoute::direct().await;
    let mut admin = route.admin().await;
    let [mine, theirs] = rows::two_tenants(&mut admin).await;
    let db = route.db(1);
    let document = format!("(select id from documents where customer_id = '{}')", theirs.customer);
    let document: Uuid =
        sqlx::query_scalar(AssertSqlSafe(format!("select {document}"))).fetch_one(&mut admin).await.unwrap();
    let search = |wanted: &str| format!("select count(*) from app.search_chunks('delivery', 'en', 'm', {wanted}, 10)");
    assert!(matches!(run_as_tenant(&db, &mine, &search("null")).await, StatementOutcome::Rows(1)));
    let named = search(&format!("array['{document}'::uuid]"));
    assert!(run_as_tenant(&db, &mine, &named).await.touches_nothing());
    assert!(matches!(run_as_tenant(&db, &theirs, &named).await, StatementOutcome::Rows(1)));
}

/// The view has the rights of its reader, so that the policies of its tables apply. The owner of the schema sees the
/// rows of both tenants.
#[tokio::test]
async fn the_conversation_memory_shows_a_tenant_its_own_rows_only() {
    let route = DatabaseRoute::direct().await;
    let mut admin = route.admin().await;
    let tenants = rows::two_tenants(&mut admin).await;
    let all = "select count(distinct company_id) from conversation_memory";
    assert_eq!(sqlx::query_scalar::<_, i64>(all).fetch_one(&mut admin).await.unwrap(), 2);
    let db = route.db(1);
    for tenant in &tenants {
        let own = format!("select count(*) from conversation_memory where company_id = '{}'", tenant.company);
        assert!(matches!(run_as_tenant(&db, tenant, &own).await, StatementOutcome::Rows(1..)), "{own}");
        let others = format!("select count(*) from conversation_memory where company_id <> '{}'", tenant.company);
        assert!(matches!(run_as_tenant(&db, tenant, &others).await, StatementOutcome::Rows(0)), "{others}");
    }
}

#[tokio::test]
async fn a_reservation_for_the_owner_of_another_tenant_is_refused() {
    let route = DatabaseRoute::direct().await;
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
    // Maintenance would refund the request to the user that the row names.
    let outcome = run_as_tenant(&db, &mine, &reserve(theirs.owner)).await;
    assert!(matches!(outcome, StatementOutcome::Refused), "{outcome:?}");
    assert!(matches!(run_as_tenant(&db, &mine, &reserve(mine.owner)).await, StatementOutcome::Rows(1)));
}

#[tokio::test]
async fn a_chunk_cannot_move_to_a_document_of_another_tenant() {
    let route = DatabaseRoute::direct().await;
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
    let outcome = run_as_tenant(&db, &mine, &statement).await;
    assert!(
        matches!(&outcome, StatementOutcome::Failed(error) if error.contains("document_chunks_document_id_fkey")),
        "{outcome:?}"
    );
}
