//! The old tables of accounts. The accounts themselves come from Supabase Auth; their free quota is for life, so what an
//! old project has counted stays counted.

use super::old_row::{MissingParts, OldRow, RowError};
use crate::db::SystemTx;

/// Checks that an old user has an account. A paid subscription does not come from this table.
pub(super) async fn adopt_user(tx: &mut SystemTx, row: &OldRow) -> Result<MissingParts, RowError> {
    let user = row.uuid("id").ok_or(RowError::Refused("id_is_no_uuid"))?;
    let is_pro = sqlx::query_scalar!("select is_pro from users where id = $1", user).fetch_optional(tx).await?;
    match is_pro.ok_or(RowError::Refused("no_account"))? {
        // `cargo import-subscriptions` brings the subscription, from which `is_pro` follows.
        false if row.is_true("is_pro") => Ok(vec!["subscription_not_imported"]),
        _ => Ok(Vec::new()),
    }
}

/// Copies the counter of free requests. A counter here that is higher stays.
pub(super) async fn adopt_settings(tx: &mut SystemTx, row: &OldRow, is_new: bool) -> Result<MissingParts, RowError> {
    let user = row.uuid("user_id").ok_or(RowError::Refused("user_id_is_no_uuid"))?;
    if !is_new {
        return Ok(Vec::new());
    }
    let number = |column| row.integer(column).map(i32::try_from).transpose().or(Err(RowError::Refused("out_of_range")));
    let (used, limit) = (number("free_quota_used")?, number("free_quota_limit")?);
    let changed = sqlx::query!(
        r#"
        update user_settings
        set free_quota_used = greatest(free_quota_used, $2), free_quota_limit = coalesce($3, free_quota_limit)
        where user_id = $1
        "#,
        user,
        used,
        limit
    )
    .execute(tx)
    .await?;
    if changed.rows_affected() == 0 { Err(RowError::Refused("no_account")) } else { Ok(Vec::new()) }
}
