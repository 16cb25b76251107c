//! Progress of long tasks, so that the next run goes on where one stopped. Owns the table `task_progress`.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Serialize, de::DeserializeOwned};

use crate::db::SystemTx;

/// Progress of a task that has begun and not ended.
#[derive(Debug)]
pub struct TaskProgress<P> {
    /// Time of the first step.
    pub started_at: DateTime<Utc>,
    /// Place from which the task goes on.
    pub position: P,
}

/// Finds the progress of a task; `None` when the task has not begun, when it has ended, or when another version of the
/// code stored a position that this one cannot read. Leaves out a task whose progress was saved less than `min_age`
/// ago: another run works on it.
///
/// # Errors
/// Returns any database error.
pub async fn find<P: DeserializeOwned>(
    tx: &mut SystemTx,
    task: &str,
    min_age: Duration,
) -> sqlx::Result<Option<TaskProgress<P>>> {
    let row = sqlx::query!(
        r#"
        select started_at, position from task_progress
        where task = $1 and updated_at <= now() - make_interval(secs => $2)
        "#,
        task,
        min_age.as_secs_f64()
    )
    .fetch_optional(tx)
    .await?;
    Ok(row.and_then(|row| {
        let position = serde_json::from_value(row.position).ok()?;
        Some(TaskProgress { started_at: row.started_at, position })
    }))
}

/// Stores the progress of a task.
///
/// # Errors
/// Returns any database error.
pub async fn save(tx: &mut SystemTx, task: &str, position: &(impl Serialize + Sync)) -> sqlx::Result<()> {
    let position = serde_json::to_value(position).map_err(|error| sqlx::Error::Encode(error.into()))?;
    sqlx::query!(
        r#"
        insert into task_progress (task, position) values ($1, $2)
        on conflict on constraint task_progress_pkey do update set position = excluded.position, updated_at = now()
        "#,
        task,
        position
    )
    .execute(tx)
    .await
    .map(drop)
}

/// Ends a task: the next run begins at the start.
///
/// # Errors
/// Returns any database error.
pub async fn clear(tx: &mut SystemTx, task: &str) -> sqlx::Result<()> {
    sqlx::query!("delete from task_progress where task = $1", task).execute(tx).await.map(drop)
}
