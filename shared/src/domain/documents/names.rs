//! File names by which documents are versions of one another, and the lock under which they replace one another.

use unicode_normalization::UnicodeNormalization;

use crate::db::{SystemTx, TenantTx};

/// Returns the name by which two files are versions of one another: `Tarifs.pdf` and `tarifs.PDF` are, also in another
/// Unicode form or with other spaces. `tarifs (1).pdf` and `tarifs.xlsx` have names of their own.
pub(super) fn name_key(filename: &str) -> String {
    let lower = filename.nfc().collect::<String>().to_lowercase();
    lower.split_whitespace().collect::<Vec<_>>().join(" ").nfc().collect()
}

/// Makes replacements of the tenant's documents wait for one another until the end of the transaction. Comes before the
/// lock of any document's row: a replacement locks several.
///
/// # Errors
/// Returns any database error.
pub(super) async fn lock_versions(tx: &mut TenantTx) -> sqlx::Result<()> {
    sqlx::query!("select pg_advisory_xact_lock(hashtextextended($1::uuid::text, 33))", tx.tenant())
        .execute(tx)
        .await
        .map(drop)
}

/// Fills the name keys of at most `limit` documents that were announced before names were compared. Returns their
/// number.
///
/// # Errors
/// Returns any database error.
pub async fn fill_name_keys(tx: &mut SystemTx, limit: i64) -> sqlx::Result<u64> {
    let rows = sqlx::query!("select id, filename from documents where name_key is null limit $1", limit)
        .fetch_all(&mut *tx)
        .await?;
    let ids: Vec<_> = rows.iter().map(|row| row.id).collect();
    let keys: Vec<_> = rows.iter().map(|row| name_key(&row.filename)).collect();
    sqlx::query!(
        r#"
        update documents set name_key = filled.key
        from unnest($1::uuid[], $2::text[]) as filled (id, key)
        where documents.id = filled.id and documents.name_key is null
        "#,
        &ids,
        &keys
    )
    .execute(tx)
    .await
    .map(|done| done.rows_affected())
}

#[cfg(test)]
mod tests {
    use super::name_key;

    #[test]
    fn names_are_compared_without_case_and_unicode_form() {
        for (left, right) in [
            ("Tarifs.pdf", "TARIFS.PDF"),
            ("Été 2026.pdf", "e\u{301}te\u{301} 2026.PDF"),
            ("tarifs\u{a0}2026.pdf", "Tarifs  2026.pdf"),
        ] {
            assert_eq!(name_key(left), name_key(right), "{left} {right}");
        }
        for other in ["tarifs (1).pdf", "tarifs-v2.pdf", "tarifs.xlsx", "tarif.pdf", "tarifs²"] {
            assert_ne!(name_key(other), name_key("tarifs.pdf"), "{other}");
        }
        assert_ne!(name_key("tarifs²"), name_key("tarifs2"));
    }
}
