//! The server's sessions, seen by the superuser.

use std::time::{Duration, Instant};

use sqlx::PgConnection;

/// The sessions of other clients in this database: process id, state, and the running or last query.
pub(crate) async fn sessions(admin: &mut PgConnection) -> Vec<(i32, String, String)> {
    let statement = r#"
        select pid, coalesce(state, ''), coalesce(query, '')
        from pg_stat_activity
        where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'
    "#;
    sqlx::query_as(statement).fetch_all(admin).await.unwrap()
}

/// Waits until the sessions fulfil `wanted`; returns the waiting time. Panics after `most`.
pub(crate) async fn wait_until(
    admin: &mut PgConnection,
    most: Duration,
    wanted: impl Fn(&[(i32, String, String)]) -> bool,
) -> Duration {
    let started = Instant::now();
    loop {
        let sessions = sessions(admin).await;
        if wanted(&sessions) {
            return started.elapsed();
        }
        assert!(started.elapsed() < most, "after {most:?} there still are {sessions:?}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits until no session is in a transaction, because the server notices the end of a client with a delay.
pub(crate) async fn wait_until_no_transaction_is_open(admin: &mut PgConnection, most: Duration) -> Duration {
    wait_until(admin, most, |sessions| sessions.iter().all(|(_, state, _)| state == "idle")).await
}

/// Terminates all other sessions of the database and waits for their end. Returns their number.
pub(crate) async fn kill_all_sessions(admin: &mut PgConnection) -> usize {
    let before = sessions(admin).await;
    for (pid, _, _) in &before {
        sqlx::query("select pg_terminate_backend($1)").bind(pid).execute(&mut *admin).await.unwrap();
    }
    wait_until(admin, Duration::from_secs(5), |now| {
        now.iter().all(|(pid, _, _)| before.iter().all(|(old, _, _)| old != pid))
    })
    .await;
    before.len()
}
