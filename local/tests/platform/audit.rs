//! The chains of the audit log. Every altered, removed or inserted entry is reported, and only the database writes
//! entries.

use shared::{
    audit::{self, AuditFault},
    db::{Db, SystemDb},
    error::ApiError,
};
use sqlx::{AssertSqlSafe, PgConnection};
use tokio::task::JoinSet;
use uuid::Uuid;

use crate::{
    route::{DatabaseRoute, both_ways},
    seed::{self, SeededTenant},
};

both_ways!(
    every_manipulation_of_a_chain_is_reported,
    concurrent_writes_leave_the_chains_intact,
    a_failed_transaction_leaves_no_gap_in_the_chain,
    roles_cannot_write_audit_tables_and_a_tenant_reads_its_own_entries_only,
);

fn entry(number: usize) -> audit::NewAuditEntry<'static> {
    audit::NewAuditEntry {
        actor: Some(Uuid::nil()),
        action: "test.done",
        object: format!("number:{number}"),
        request_id: Some("request"),
        details: serde_json::json!({ "number": number }),
    }
}

async fn record_in_system_tx(system: &SystemDb, tenant: Uuid, number: usize) {
    let outcome: Result<(), ApiError> =
        system.system_tx(async |tx| Ok(audit::record_for(tx, Some(tenant), &entry(number)).await?)).await;
    outcome.unwrap();
}

async fn record_in_tenant_tx(db: &Db, tenant: Uuid, number: usize) {
    let outcome: Result<(), ApiError> =
        db.tenant_tx(tenant, async |tx| Ok(audit::record(tx, &entry(number)).await?)).await;
    outcome.unwrap();
}

async fn faults(system: &SystemDb) -> Vec<AuditFault> {
    let found: Result<_, ApiError> = system.system_tx(async |tx| Ok(audit::verify(tx).await?)).await;
    found.unwrap()
}

async fn run(admin: &mut PgConnection, statements: &str) {
    let outcome = sqlx::raw_sql(AssertSqlSafe(statements.to_owned())).execute(admin).await;
    outcome.unwrap_or_else(|error| panic!("{statements}: {error}"));
}

async fn two_tenants(admin: &mut PgConnection) -> [SeededTenant; 2] {
    [seed::tenant(admin, "a", 8).await, seed::tenant(admin, "b", 8).await]
}

#[expect(clippy::too_many_lines, reason = "a table of manipulations, each with its report")]
async fn every_manipulation_of_a_chain_is_reported(route: DatabaseRoute) {
    let mut admin = route.admin().await;
    let [mine, theirs] = two_tenants(&mut admin).await;
    let system = route.system(1);
    assert_eq!(faults(&system).await, []);
    for number in 1..=5 {
        record_in_system_tx(&system, mine.customer, number).await;
        record_in_system_tx(&system, theirs.customer, number).await;
        // The chain of no tenant, as when an account without a company signs in.
        record_in_system_tx(&system, Uuid::nil(), number).await;
    }
    assert_eq!(faults(&system).await, []);
    let keep = "create table kept_log as table audit_log; create table kept_heads as table audit_heads";
    let restore = "delete from audit_log; delete from audit_heads; insert into audit_heads table kept_heads;
                   insert into audit_log overriding system value table kept_log";
    run(&mut admin, keep).await;

    let (altered, missing, end) = ("altered", "an entry before it is missing", "the end is missing");
    // Faults are (number of the entry of `mine`, fault). Number 0 stands for a fault at the end of the chain.
    let id =
        |number: usize| format!("(select id from kept_log where customer_id = '{{}}' and object = 'number:{number}')");
    let tamperings = [
        (format!("update audit_log set details = '{{\"number\": 7}}' where id = {}", id(2)), vec![(2, altered)]),
        (format!("update audit_log set details = '[]' where id = {}", id(5)), vec![(5, altered)]),
        (format!("update audit_log set at = at + interval '1 microsecond' where id = {}", id(2)), vec![(2, altered)]),
        (format!("update audit_log set actor = null where id = {}", id(1)), vec![(1, altered)]),
        (format!("update audit_log set action = 'test.undone' where id = {}", id(3)), vec![(3, altered)]),
        (format!("update audit_log set object = 'number:9' where id = {}", id(3)), vec![(3, altered)]),
        (format!("update audit_log set request_id = 'another' where id = {}", id(3)), vec![(3, altered)]),
        (format!("update audit_log set hash = sha256('x') where id = {}", id(3)), vec![(3, altered), (4, missing)]),
        (format!("delete from audit_log where id = {}", id(3)), vec![(0, end), (4, missing)]),
        (format!("delete from audit_log where id = {}", id(1)), vec![(0, end), (2, missing)]),
        (format!("delete from audit_log where id = {}", id(5)), vec![(0, end)]),
        ("delete from audit_log where customer_id = '{}'".to_owned(), vec![(0, end)]),
        ("delete from audit_heads where customer_id = '{}'".to_owned(), vec![(0, "the chain is not known")]),
        // The last two entries are removed, and the head gets the right number of entries but keeps its hash.
        (
            format!(
                "delete from audit_log where customer_id = '{{}}' and id >= {};
                 update audit_heads set entries = 3 where customer_id = '{{}}'",
                id(4)
            ),
            vec![(0, end)],
        ),
        // Two entries swap their ids and keep all their other columns.
        (
            format!(
                "update audit_log set id = -1 where id = {0};
                 update audit_log set id = {0} where id = {1};
                 update audit_log set id = {1} where id = -1",
                id(2),
                id(3)
            ),
            vec![(2, altered), (3, altered), (4, missing)],
        ),
        // An entry in the middle is replaced by a forged one whose own hash is computed correctly.
        (
            format!(
                "delete from audit_log where id = {0};
                 insert into audit_log overriding system value
                     select id, customer_id, at, actor, 'test.forged', object, request_id, details, prev_hash, hash
                     from kept_log where id = {0};
                 update audit_log forged set hash = app.audit_digest(forged) where id = {0}",
                id(3)
            ),
            vec![(4, missing)],
        ),
        // A forged entry with a correct own hash follows the last entry.
        (
            format!(
                "insert into audit_log (customer_id, at, action, object, prev_hash, hash)
                     select customer_id, now(), 'test.forged', 'number:6', hash, hash from kept_log where id = {};
                 update audit_log forged set hash = app.audit_digest(forged) where object = 'number:6'",
                id(5)
            ),
            vec![(0, end)],
        ),
        // An entry moves from one chain into another.
        (format!("update audit_log set customer_id = '{}' where id = {}", Uuid::from_u128(7), id(5)), vec![(0, end)]),
    ];
    for (statements, expected) in tamperings {
        let statements = statements.replace("{}", &mine.customer.to_string());
        run(&mut admin, "alter table audit_log alter id drop identity if exists").await;
        run(&mut admin, "alter table audit_log alter id add generated by default as identity (start 1000)").await;
        run(&mut admin, &format!("begin; {statements}; commit")).await;
        let found = faults(&system).await;
        let mut reported = Vec::new();
        for fault in found.iter().filter(|fault| fault.customer_id == mine.customer) {
            let number = "select coalesce((select substr(object, 8)::int from kept_log where id = $1), 0)";
            let number: i32 = sqlx::query_scalar(number).bind(fault.entry).fetch_one(&mut admin).await.unwrap();
            reported.push((number, fault.fault.as_str()));
        }
        assert_eq!(reported, expected, "{statements}: {found:?}");
        // The other chains have no fault, except the chain that received a moved entry.
        let others = found.iter().filter(|fault| ![mine.customer, Uuid::from_u128(7)].contains(&fault.customer_id));
        assert_eq!(others.count(), 0, "{statements}: {found:?}");
        run(&mut admin, restore).await;
        assert_eq!(faults(&system).await, [], "after {statements}");
    }
}

async fn concurrent_writes_leave_the_chains_intact(route: DatabaseRoute) {
    let mut admin = route.admin().await;
    let [mine, theirs] = two_tenants(&mut admin).await;
    let (db, system) = (route.db(8), route.system(8));
    let mut writers = JoinSet::new();
    for number in 0..20 {
        for tenant in [mine.customer, theirs.customer] {
            let (db, system) = (db.clone(), system.clone());
            writers.spawn(async move {
                if number % 2 == 0 {
                    record_in_tenant_tx(&db, tenant, number).await;
                } else {
                    record_in_system_tx(&system, tenant, number).await;
                }
            });
        }
    }
    writers.join_all().await;
    assert_eq!(faults(&system).await, []);
    let chains = "select customer_id, count(*), count(distinct prev_hash), count(distinct object) from audit_log
                  group by customer_id";
    let chains: Vec<(Uuid, i64, i64, i64)> = sqlx::query_as(chains).fetch_all(&mut admin).await.unwrap();
    assert_eq!(chains.len(), 2);
    for chain in chains {
        assert_eq!((chain.1, chain.2, chain.3), (20, 20, 20), "{chain:?}");
    }
}

async fn a_failed_transaction_leaves_no_gap_in_the_chain(route: DatabaseRoute) {
    let mut admin = route.admin().await;
    let [mine, _] = two_tenants(&mut admin).await;
    let (db, system) = (route.db(2), route.system(1));
    for number in 1..=3 {
        let failed: Result<(), ApiError> = db
            .tenant_tx(mine.customer, async |tx| {
                audit::record(tx, &entry(0)).await?;
                audit::record(tx, &entry(0)).await?;
                Err(ApiError::internal())
            })
            .await;
        failed.unwrap_err();
        record_in_tenant_tx(&db, mine.customer, number).await;
    }
    assert_eq!(faults(&system).await, []);
    let entries: i64 = sqlx::query_scalar("select count(*) from audit_log").fetch_one(&mut admin).await.unwrap();
    assert_eq!(entries, 3);
}

/// Error chain of a refused statement.
async fn refusal(outcome: Result<u64, ApiError>) -> String {
    let error = outcome.unwrap_err();
    shared::logging::chain(&error)
}

async fn roles_cannot_write_audit_tables_and_a_tenant_reads_its_own_entries_only(route: DatabaseRoute) {
    let mut admin = route.admin().await;
    let [mine, theirs] = two_tenants(&mut admin).await;
    let (db, system) = (route.db(1), route.system(1));
    record_in_system_tx(&system, mine.customer, 1).await;
    record_in_system_tx(&system, theirs.customer, 1).await;
    let forged = format!(
        "insert into audit_log (customer_id, at, action, object, prev_hash, hash)
         values ('{}', now(), 'test.forged', 'x', '', '')",
        mine.customer
    );
    let statements = [
        "update audit_log set action = 'test.undone'",
        "delete from audit_log",
        "truncate audit_log",
        &forged,
        "update audit_heads set entries = 0",
        "delete from audit_heads",
        "select * from audit_heads",
    ];
    let other = format!("select app.audit('{}', null, 'test.forged', 'x', null, '{{}}')", theirs.customer);
    for statement in statements.iter().copied().chain([other.as_str()]) {
        let sql = AssertSqlSafe(statement.to_owned());
        let outcome: Result<u64, ApiError> =
            db.tenant_tx(mine.customer, async |tx| Ok(sqlx::query(sql).execute(tx).await?.rows_affected())).await;
        assert!(refusal(outcome).await.contains("permission denied"), "{statement}");
    }
    for statement in statements {
        let sql = AssertSqlSafe(statement.to_owned());
        let outcome: Result<u64, ApiError> =
            system.system_tx(async |tx| Ok(sqlx::query(sql).execute(tx).await?.rows_affected())).await;
        assert!(refusal(outcome).await.contains("permission denied"), "{statement}");
    }
    // A tenant writes entries of its own, and sees no others.
    record_in_tenant_tx(&db, mine.customer, 2).await;
    let seen: Result<Vec<Uuid>, ApiError> = db
        .tenant_tx(mine.customer, async |tx| {
            Ok(sqlx::query_scalar("select customer_id from audit_log").fetch_all(tx).await?)
        })
        .await;
    assert_eq!(seen.unwrap(), [mine.customer; 2]);
    assert_eq!(faults(&system).await, []);
}
