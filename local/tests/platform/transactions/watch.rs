//! Looks at the server's sessions from outside.

use std::time::{Duration, Instant};

use sqlx::PgConnection;

/// The sessions of other clients in this database: process id, state, and what runs or ran last.
pub(crate) async fn sessions(admin: &mut PgConnection) -> Vec<(i32, String, String)> {
    let statement = r#"
        select pid, coalesce(state, ''), coalesce(query, '')
        from pg_stat_activity
        where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'
    "#;
    sqlx::query_as(statement).fetch_all(admin).await.unwrap()
}

/// Waits until the sessions are as wanted, and tells how long that took. Fails after `most`.
pub(crate) async fn until(
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

/// Waits until no session is in a transaction: the server needs a moment to notice that a client has gone.
pub(crate) async fn until_nobody_is_in_a_transaction(admin: &mut PgConnection, most: Duration) -> Duration {
    until(admin, most, |sessions| sessions.iter().all(|(_, state, _)| state == "idle")).await
}

/// Ends all other sessions of the database, and waits until they have ended.
pub(crate) async fn kill_all(admin: &mut PgConnection) -> usize {
    let before = sessions(admin).await;
    for (pid, _, _) in &before {
        sqlx::query("select pg_terminate_backend($1)").bind(pid).execute(&mut *admin).await.unwrap();
    }
    until(admin, Duration::from_secs(5), |now| {
        now.iter().all(|(pid, _, _)| before.iter().all(|(old, _, _)| old != pid))
    })
    .await;
    before.len()
}
