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

    /// Makes the commits of transactions wait, by a trigger: `after insert on documents deferrable initially deferred for
    /// each row`.
    pub(crate) async fn hold_commit(&self, trigger: &str) -> Hold {
        Hold::by(&self.stack.database.admin, "constraint trigger", trigger).await
    }

    /// The same in another database.
    pub(crate) async fn hold_in(&self, url: &str, trigger: &str) -> Hold {
        Hold::by(url, "trigger", trigger).await
    }
}

impl Hold {
    async fn by(url: &str, kind: &str, trigger: &str) -> Self {
        let mut db = PgConnection::connect(url).await.unwrap();
        // The lock is the database's own, and each test has one.
        let made = format!(
            "drop sequence if exists public.holds;
             create sequence public.holds;
             create function public.hold() returns trigger language plpgsql security definer as
                 'begin perform nextval(''public.holds''), pg_advisory_xact_lock_shared(1); return new; end';
             create {kind} hold {trigger} execute function public.hold();"
        );
        sqlx::raw_sql(AssertSqlSafe(made)).execute(&mut db).await.unwrap();
        sqlx::raw_sql("select pg_advisory_lock(1)").execute(&mut db).await.unwrap();
        Self { db }
    }

    /// Waits until a statement is held.
    pub(crate) async fn is_met(&mut self) {
        self.is_met_times(1).await;
    }

    /// Waits until so many statements were held, those included that were given up.
    pub(crate) async fn is_met_times(&mut self, times: i64) {
        let met = "select count(*) filter (where not granted) > 0 and (select last_value from public.holds) >= $1
                   from pg_locks where locktype = 'advisory'
                     and database = (select oid from pg_database where datname = current_database())";
        wait_until("a statement is held", SOON, async || {
            let is_met: bool = sqlx::query_scalar(met).bind(times).fetch_one(&mut self.db).await.unwrap();
            is_met.then_some(())
        })
        .await;
    }

    /// Lets them go on.
    pub(crate) async fn release(mut self) {
        sqlx::raw_sql("select pg_advisory_unlock(1)").execute(&mut self.db).await.unwrap();
    }
}
