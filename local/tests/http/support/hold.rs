//! Blocks a statement of the product in its middle until a test releases it.

use std::time::Duration;

use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::{App, WAIT_TIMEOUT, wait_until};

/// A trigger that blocks the statements it fires for. Dropping the value unblocks them.
pub(crate) struct StatementHold {
    db: PgConnection,
}

impl App {
    /// Blocks statements by a trigger, such as `before insert on documents for each row`.
    pub(crate) async fn hold_statements(&self, trigger: &str) -> StatementHold {
        self.hold_statements_in(&self.stack.database.admin, trigger).await
    }

    /// Blocks the commits of transactions by a trigger, such as
    /// `after insert on documents deferrable initially deferred for each row`.
    pub(crate) async fn hold_commits(&self, trigger: &str) -> StatementHold {
        StatementHold::create(&self.stack.database.admin, "constraint trigger", trigger).await
    }

    /// Blocks statements by a trigger in the database at `url`.
    pub(crate) async fn hold_statements_in(&self, url: &str, trigger: &str) -> StatementHold {
        StatementHold::create(url, "trigger", trigger).await
    }
}

impl StatementHold {
    async fn create(url: &str, kind: &str, trigger: &str) -> Self {
        let mut db = PgConnection::connect(url).await.unwrap();
        // Advisory locks are local to a database, and each test has its own database.
        let create = format!(
            "drop sequence if exists public.holds;
             create sequence public.holds;
             create function public.hold() returns trigger language plpgsql security definer as
                 'begin perform nextval(''public.holds''), pg_advisory_xact_lock_shared(1); return coalesce(new, old); end';
             create {kind} hold {trigger} execute function public.hold();"
        );
        sqlx::raw_sql(AssertSqlSafe(create)).execute(&mut db).await.unwrap();
        sqlx::raw_sql("select pg_advisory_lock(1)").execute(&mut db).await.unwrap();
        Self { db }
    }

    /// Waits until a statement is blocked.
    pub(crate) async fn wait_for_held_statement(&mut self) {
        self.wait_for_held_statements(1).await;
    }

    /// Waits until a statement is blocked and `times` statements were blocked in total, including cancelled ones.
    pub(crate) async fn wait_for_held_statements(&mut self, times: i64) {
        self.wait_for_held_statements_within(WAIT_TIMEOUT, times).await;
    }

    /// Waits as `wait_for_held_statements` does, for at most `timeout`.
    pub(crate) async fn wait_for_held_statements_within(&mut self, timeout: Duration, times: i64) {
        let met = "select count(*) filter (where not granted) > 0 and (select last_value from public.holds) >= $1
                   from pg_locks where locktype = 'advisory'
                     and database = (select oid from pg_database where datname = current_database())";
        wait_until("a statement is held", timeout, async || {
            let is_met: bool = sqlx::query_scalar(met).bind(times).fetch_one(&mut self.db).await.unwrap();
            is_met.then_some(())
        })
        .await;
    }

    /// Unblocks the statements.
    pub(crate) async fn release(mut self) {
        sqlx::raw_sql("select pg_advisory_unlock(1)").execute(&mut self.db).await.unwrap();
    }
}
