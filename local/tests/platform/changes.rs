//! The changes feed under concurrent writers: each change is read exactly once, whatever commits when.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::{AtomicUsize, Ordering},
};

use chrono::Utc;
use futures::future::join_all;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use shared::{
    changes::{self, Change, ChangeCursor},
    db::Db,
};
use sqlx::{AssertSqlSafe, Connection, PgConnection};
use uuid::Uuid;

use crate::{route::DatabaseRoute, seed};

/// Rows that each writer tries to insert.
const TRANSACTIONS_PER_WRITER: usize = 40;
const WRITERS: u64 = 8;

async fn read(db: &Db, tenant: Uuid, cursor: ChangeCursor, limit: i32) -> Vec<Change> {
    db.tenant_tx(tenant, async |tx| Ok(changes::list(tx, cursor, limit).await?)).await.unwrap()
}

fn after(change: i64) -> ChangeCursor {
    ChangeCursor::after(change, Utc::now())
}

async fn insert_activity(db: &mut PgConnection, tenant: Uuid) -> Uuid {
    let insert = "insert into activities (company_id, type, title) values ($1, 'test', 'test') returning id";
    sqlx::query_scalar(insert).bind(tenant).fetch_one(db).await.unwrap()
}

/// Writes activities in transactions of random length, some of which are rolled back. Returns the committed ids.
async fn write(url: &str, tenant: Uuid, seed: u64) -> Vec<Uuid> {
    let (mut db, mut random) = (PgConnection::connect(url).await.unwrap(), StdRng::seed_from_u64(seed));
    let mut committed = Vec::new();
    for _ in 0..TRANSACTIONS_PER_WRITER {
        let mut tx = db.begin().await.unwrap();
        let mut written = Vec::new();
        for _ in 0..random.random_range(1..4) {
            written.push(insert_activity(&mut tx, tenant).await);
            // The database waits, so that transactions overlap in every order.
            let pause = format!("select pg_sleep({})", f64::from(random.random_range(0..20)) / 1e3);
            sqlx::raw_sql(AssertSqlSafe(pause)).execute(&mut *tx).await.unwrap();
        }
        if random.random_bool(0.2) {
            tx.rollback().await.unwrap();
        } else {
            tx.commit().await.unwrap();
            committed.extend(written);
        }
    }
    committed
}

/// Reads the feed with random limits until `is_done` says that nothing more comes and a page is empty.
async fn follow(db: &Db, tenant: Uuid, is_done: impl Fn() -> bool) -> Vec<Change> {
    let (mut seen, mut last, mut random) = (Vec::new(), 0, StdRng::seed_from_u64(7));
    loop {
        let was_done = is_done();
        let page = read(db, tenant, after(last), random.random_range(1..20)).await;
        if page.is_empty() && was_done {
            return seen;
        }
        last = page.last().map_or(last, |change| change.version);
        seen.extend(page);
    }
}

#[tokio::test]
async fn a_cursor_passes_every_change_exactly_once_while_transactions_overlap() {
    let route = DatabaseRoute::direct().await;
    let mut admin = route.admin().await;
    let tenants =
        [seed::tenant(&mut admin, "mine", 8).await.customer, seed::tenant(&mut admin, "theirs", 8).await.customer];
    let url = route.database.urls.admin.clone();
    let db = route.db(2);
    let finished = AtomicUsize::new(0);
    let writers = join_all((0..WRITERS).map(|writer| {
        let (url, finished) = (&url, &finished);
        async move {
            let tenant = tenants[usize::from(writer % 2 == 1)];
            let committed = write(url, tenant, writer).await;
            finished.fetch_add(1, Ordering::SeqCst);
            (tenant, committed)
        }
    }));
    let is_done = || finished.load(Ordering::SeqCst) == usize::try_from(WRITERS).unwrap();
    let (written, mine, theirs) =
        tokio::join!(writers, follow(&db, tenants[0], is_done), follow(&db, tenants[1], is_done));
    for (tenant, seen) in [(tenants[0], mine), (tenants[1], theirs)] {
        let expected: BTreeSet<Uuid> =
            written.iter().filter(|(of, _)| *of == tenant).flat_map(|(_, ids)| ids.iter().copied()).collect();
        let ids: BTreeSet<Uuid> = seen.iter().map(|change| change.id).collect();
        assert_eq!(seen.len(), ids.len(), "a change came twice");
        assert_eq!(ids, expected);
        assert!(seen.is_sorted_by_key(|change| change.version));
        assert!(expected.len() > 100);
    }
}

#[tokio::test]
async fn an_open_transaction_holds_its_own_tenants_feed_only() {
    let route = DatabaseRoute::direct().await;
    let mut admin = route.admin().await;
    let mine = seed::tenant(&mut admin, "mine", 8).await.customer;
    let theirs = seed::tenant(&mut admin, "theirs", 8).await.customer;
    let (db, mut slow) = (route.db(1), route.admin().await);
    let ids = |changes: Vec<Change>| changes.into_iter().map(|change| change.id).collect::<Vec<_>>();

    let first = insert_activity(&mut admin, mine).await;
    let mut open = slow.begin().await.unwrap();
    let second = insert_activity(&mut open, mine).await;
    let third = insert_activity(&mut admin, mine).await;
    let other = insert_activity(&mut admin, theirs).await;
    // The third is committed, and its number is behind that of the open transaction.
    assert_eq!(ids(read(&db, mine, after(0), 10).await), [first]);
    assert_eq!(ids(read(&db, theirs, after(0), 10).await), [other]);
    let end = db.tenant_tx(mine, async |tx| changes::end(tx, Utc::now()).await).await.unwrap();
    open.commit().await.unwrap();
    assert_eq!(ids(read(&db, mine, after(0), 10).await), [first, second, third]);
    assert_eq!(ids(read(&db, mine, end, 10).await), [second, third], "the present end is before what is open");

    // A rolled back transaction leaves a gap that is passed; so does a part of one.
    let mut open = slow.begin().await.unwrap();
    insert_activity(&mut open, mine).await;
    open.rollback().await.unwrap();
    let mut open = slow.begin().await.unwrap();
    let mut part = open.begin().await.unwrap();
    insert_activity(&mut part, mine).await;
    part.rollback().await.unwrap();
    let fourth = insert_activity(&mut open, mine).await;
    let fifth = insert_activity(&mut admin, mine).await;
    assert_eq!(ids(read(&db, mine, end, 10).await), [second, third]);
    open.commit().await.unwrap();
    assert_eq!(ids(read(&db, mine, end, 10).await), [second, third, fourth, fifth]);
}

#[tokio::test]
async fn a_tenant_with_its_changes_can_be_deleted() {
    let route = DatabaseRoute::direct().await;
    let mut admin = route.admin().await;
    let tenant = seed::tenant(&mut admin, "mine", 8).await.customer;
    for statement in [
        format!("insert into conversations (customer_id, contact_id) values ('{tenant}', '1')"),
        format!(
            "insert into messages (customer_id, conversation_id, direction, author, content)
             select '{tenant}', id, 'inbound', 'contact', 'hello' from conversations"
        ),
        format!(
            "insert into messages (customer_id, conversation_id, direction, author, content)
             select '{tenant}', id, 'outbound', 'bot', 'hello' from conversations"
        ),
        "update messages set answered_by = (select id from messages where author = 'bot') where author = 'contact'"
            .into(),
        format!(
            "insert into orders (company_id, conversation_id, total_amount, currency, status, items)
             select '{tenant}', id, 5, 'XOF', 'confirmed', '[]' from conversations"
        ),
        "delete from customers".to_owned(),
    ] {
        let done = sqlx::raw_sql(AssertSqlSafe(statement.clone())).execute(&mut admin).await;
        done.unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
    let left: i64 = sqlx::query_scalar("select (select count(*) from changes) + (select count(*) from order_days)")
        .fetch_one(&mut admin)
        .await
        .unwrap();
    assert_eq!(left, 0);
}

#[tokio::test]
async fn the_feed_of_many_changes_is_read_by_its_index() {
    let route = DatabaseRoute::direct().await;
    let mut admin = route.admin().await;
    let mine = seed::tenant(&mut admin, "mine", 8).await.customer;
    let theirs = seed::tenant(&mut admin, "theirs", 8).await.customer;
    let fill = "insert into changes (customer_id, kind, id)
                select case when n % 100 = 0 then $1 else $2 end, 'message', gen_random_uuid()
                from generate_series(1, 100000) n";
    sqlx::query(fill).bind(mine).bind(theirs).execute(&mut admin).await.unwrap();
    sqlx::raw_sql("analyze changes").execute(&mut admin).await.unwrap();
    let db = route.db(1);
    let page = read(&db, mine, after(50_000), 100).await;
    assert_eq!(
        page.iter().map(|change| change.version).collect::<Vec<_>>(),
        (501..=600).map(|n| n * 100).collect::<Vec<_>>()
    );
    let plan = format!(
        "explain (costs off) select * from changes where customer_id = '{mine}' and sequence > 50000
         and sequence <= 100000 order by sequence limit 100"
    );
    let plan: Vec<String> = sqlx::query_scalar(AssertSqlSafe(plan)).fetch_all(&mut admin).await.unwrap();
    assert!(plan.iter().any(|line| line.contains("changes_pkey")), "{plan:?}");
}

/// A change of an order that was committed: its id, and true when it was deleted.
type OrderChange = (Uuid, bool);

/// Makes, changes and deletes orders of its own, several in a transaction, some of which are rolled back. Returns the
/// committed changes in their order.
async fn write_orders(url: &str, tenant: Uuid, seed: u64) -> Vec<OrderChange> {
    let (mut db, mut random) = (PgConnection::connect(url).await.unwrap(), StdRng::seed_from_u64(seed));
    let (mut committed, mut open) = (Vec::new(), Vec::<Uuid>::new());
    for _ in 0..TRANSACTIONS_PER_WRITER {
        let mut tx = db.begin().await.unwrap();
        let (mut written, mut left) = (Vec::new(), open.clone());
        for _ in 0..random.random_range(1..4) {
            let place = random.random_range(0..=left.len());
            let change = match left.get(place).copied() {
                None => {
                    let insert = "insert into orders (company_id, total_amount, currency, items)
                                  values ($1, 5, 'XOF', '[]') returning id";
                    let id = sqlx::query_scalar(insert).bind(tenant).fetch_one(&mut *tx).await.unwrap();
                    left.push(id);
                    (id, false)
                }
                Some(id) if random.random_bool(0.3) => {
                    sqlx::query("delete from orders where id = $1").bind(id).execute(&mut *tx).await.unwrap();
                    left.remove(place);
                    (id, true)
                }
                Some(id) => {
                    let touch = "update orders set updated_at = clock_timestamp() where id = $1";
                    sqlx::query(touch).bind(id).execute(&mut *tx).await.unwrap();
                    (id, false)
                }
            };
            written.push(change);
            let pause = format!("select pg_sleep({})", f64::from(random.random_range(0..10)) / 1e3);
            sqlx::raw_sql(AssertSqlSafe(pause)).execute(&mut *tx).await.unwrap();
        }
        if random.random_bool(0.2) {
            tx.rollback().await.unwrap();
        } else {
            tx.commit().await.unwrap();
            committed.extend(written);
            open = left;
        }
    }
    committed
}

#[tokio::test]
async fn each_change_of_an_order_is_read_once_and_its_deletion_last() {
    let route = DatabaseRoute::direct().await;
    let tenant = seed::tenant(&mut route.admin().await, "mine", 8).await.customer;
    let (url, db, finished) = (route.database.urls.admin.clone(), route.db(2), AtomicUsize::new(0));
    let writers = join_all((0..WRITERS).map(|writer| {
        let (url, finished) = (&url, &finished);
        async move {
            let committed = write_orders(url, tenant, 100 + writer).await;
            finished.fetch_add(1, Ordering::SeqCst);
            committed
        }
    }));
    let is_done = || finished.load(Ordering::SeqCst) == usize::try_from(WRITERS).unwrap();
    let (written, seen) = tokio::join!(writers, follow(&db, tenant, is_done));
    assert!(seen.iter().all(|change| change.kind == "order"));
    // Each order has one writer, so that its own changes have one order.
    let mut expected: BTreeMap<Uuid, Vec<bool>> = BTreeMap::new();
    for (id, is_deleted) in written.into_iter().flatten() {
        expected.entry(id).or_default().push(is_deleted);
    }
    let mut found: BTreeMap<Uuid, Vec<bool>> = BTreeMap::new();
    for change in &seen {
        found.entry(change.id).or_default().push(change.is_deleted);
    }
    assert_eq!(found, expected);
    assert!(seen.is_sorted_by_key(|change| change.version));
    let deleted = expected.values().filter(|changes| changes.last() == Some(&true)).count();
    assert!(deleted > 20 && expected.len() > deleted, "{deleted} of {}", expected.len());
}
