//! The table `billing_notices`: what was told or recorded about a payment, so that a repeated event tells nothing again.

use crate::db::SystemTx;

/// Claims a notice. Returns true for the first call with this key. The notice must be written in the same transaction.
pub(super) async fn claim(tx: &mut SystemTx, key: &str) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        "insert into billing_notices (key) values ($1) on conflict on constraint billing_notices_pkey do nothing",
        key
    )
    .execute(tx)
    .await?;
    Ok(done.rows_affected() > 0)
}
