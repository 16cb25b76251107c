//! Stops a statement of the product in its middle for as long as a test wants.

use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::{App, SOON, wait_until};

/// Holds the statements that the trigger is for. Dropped, they go on.
pub(crate) struct Hold {
    db: PgConnection,
}

impl App {
    /// Makes statements wait, by a trigger: `before insert on documents for each row`.
    pub(crate) async fn hold(&self, trigger: &str) -> Hold {
        self.hold_in(&self.stack.database.admin, trigger).await
    }

    /// The same in another database.
    pub(crate) async fn hold_in(&self, url: &str, trigger: &str) -> Hold {
        let mut db = PgConnection::connect(url).await.unwrap();
        // The lock is the database's own, and each test has one.
        let made = format!(
            "create function public.hold() returns trigger language plpgsql as
                 'begin perform pg_advisory_xact_lock_shared(1); return new; end';
             create trigger hold {trigger} execute function public.hold();"
        );
        sqlx::raw_sql(AssertSqlSafe(made)).execute(&mut db).await.unwrap();
        sqlx::raw_sql("select pg_advisory_lock(1)").execute(&mut db).await.unwrap();
        Hold { db }
    }
}

impl Hold {
    /// Waits until a statement is held.
    pub(crate) async fn is_met(&mut self) {
        let held = "select count(*) from pg_locks where locktype = 'advisory' and not granted
                    and database = (select oid from pg_database where datname = current_database())";
        wait_until("a statement is held", SOON, async || {
            let held: i64 = sqlx::query_scalar(AssertSqlSafe(held)).fetch_one(&mut self.db).await.unwrap();
            (held > 0).then_some(())
        })
        .await;
    }

    /// Lets them go on.
    pub(crate) async fn release(mut self) {
        sqlx::raw_sql("select pg_advisory_unlock(1)").execute(&mut self.db).await.unwrap();
    }
}
