//! `document_pages`: pages that are pictures, each read once. A page is claimed before it is read, so that two workers
//! never pay for the same one; a claim runs out, so that a worker that died leaves its page to the next one.

use std::time::Duration;

use uuid::Uuid;

use crate::db::TenantTx;

/// A page that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadPage {
    /// Counted from 1.
    pub page: i32,
    /// Empty where nothing is on it, or nothing could be read.
    pub text: String,
    /// False where it could not be read, or not to its end.
    pub is_complete: bool,
}

/// The pages of a document that were read so far.
///
/// # Errors
/// The database's.
pub async fn read_pages(tx: &mut TenantTx, document: Uuid) -> sqlx::Result<Vec<ReadPage>> {
    sqlx::query_as!(
        ReadPage,
        r#"
        select page, text as "text!", is_complete
        from document_pages
        where customer_id = $1 and document_id = $2 and text is not null
        order by page
        "#,
        tx.tenant(),
        document
    )
    .fetch_all(tx)
    .await
}

/// What reading a document cost so far, in millionths of a US dollar.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ScanCost {
    /// All of it, attempts that failed included.
    pub spent_micros: i64,
    /// The cheapest page that was read; nothing where none was.
    pub cheapest_micros: i64,
}

impl ScanCost {
    /// Whether a document can no longer be read for `most_micros`: that much is spent, or the pages that are left would
    /// exceed it even if each were as cheap as the cheapest so far.
    #[must_use]
    pub fn exceeds(&self, most_micros: i64, pages_left: usize) -> bool {
        let pages_left = i64::try_from(pages_left).unwrap_or(i64::MAX);
        let least = self.spent_micros.saturating_add(self.cheapest_micros.saturating_mul(pages_left));
        self.spent_micros >= most_micros || least > most_micros
    }
}

/// What reading a document cost so far.
///
/// # Errors
/// The database's.
pub async fn scan_cost(tx: &mut TenantTx, document: Uuid) -> sqlx::Result<ScanCost> {
    sqlx::query_as!(
        ScanCost,
        r#"
        select coalesce(sum(cost_micros), 0)::bigint as "spent_micros!",
            coalesce(min(cost_micros) filter (where text is not null), 0) as "cheapest_micros!"
        from document_pages
        where customer_id = $1 and document_id = $2
        "#,
        tx.tenant(),
        document
    )
    .fetch_one(tx)
    .await
}

/// What came of claiming a page.
#[derive(Debug, PartialEq, Eq)]
pub enum Claim {
    /// It is the caller's to read, for so many times now.
    Granted {
        /// How often it was claimed, this time included.
        attempts: i32,
    },
    /// Another worker reads it, or died over it.
    Taken {
        /// How long its claim goes on.
        for_at_most: Duration,
    },
    /// Another worker has read it.
    Read(ReadPage),
    /// The document is not pending any more.
    Gone,
}

/// Claims a page for as long as reading it may take. Commit before reading.
///
/// # Errors
/// The database's.
pub async fn claim_page(tx: &mut TenantTx, document: Uuid, page: i32, time: Duration) -> sqlx::Result<Claim> {
    let row = sqlx::query!(
        r#"
        with document as (
            -- Locked, so that it is not deleted between this look and the claim.
            select id from documents where customer_id = $1 and id = $2 and status = 'pending' for no key update
        ), claimed as (
            insert into document_pages as known (document_id, customer_id, page, attempts, claimed_until)
            select id, $1, $3, 1, now() + make_interval(secs => $4) from document
            on conflict on constraint document_pages_pkey do update
            set attempts = known.attempts + 1, claimed_until = excluded.claimed_until
            where known.text is null and coalesce(known.claimed_until <= now(), true)
            returning attempts
        )
        select exists (select from document) as "is_there!", (select attempts from claimed) as attempts
        "#,
        tx.tenant(),
        document,
        page,
        time.as_secs_f64()
    )
    .fetch_one(&mut *tx)
    .await?;
    if !row.is_there {
        return Ok(Claim::Gone);
    }
    if let Some(attempts) = row.attempts {
        return Ok(Claim::Granted { attempts });
    }
    let other = sqlx::query!(
        r#"
        select text, is_complete, coalesce(extract(epoch from claimed_until - now()), 0)::float8 as "seconds!"
        from document_pages
        where customer_id = $1 and document_id = $2 and page = $3
        "#,
        tx.tenant(),
        document,
        page
    )
    .fetch_one(tx)
    .await?;
    Ok(match other.text {
        Some(text) => Claim::Read(ReadPage { page, text, is_complete: other.is_complete }),
        None => Claim::Taken { for_at_most: Duration::try_from_secs_f64(other.seconds).unwrap_or_default() },
    })
}

/// Keeps what was read of a page, with what that cost, and moves the progress. Of two workers that read the same page
/// after all, the first counts: returns what is kept.
///
/// # Errors
/// The database's.
pub async fn store_page(tx: &mut TenantTx, document: Uuid, read: ReadPage, cost_micros: i64) -> sqlx::Result<ReadPage> {
    let kept = sqlx::query!(
        r#"
        with document as materialized (
            -- First, as whoever claims a page or deletes its document does.
            select id from documents where customer_id = $1 and id = $2 for no key update
        ), read as (
            update document_pages
            set text = coalesce(text, $4), is_complete = case when text is null then $5 else is_complete end,
                claimed_until = null, cost_micros = cost_micros + $6
            where customer_id = $1 and document_id = (select id from document) and page = $3
            returning text, is_complete
        ), progress as (
            update documents
            -- The last page is done when it is indexed.
            set pages_done = greatest(pages_done, least($3, pages_total - 1))
            where customer_id = $1 and id = $2 and status = 'pending'
        )
        select text as "text!", is_complete from read
        "#,
        tx.tenant(),
        document,
        read.page,
        read.text,
        read.is_complete,
        cost_micros
    )
    .fetch_optional(tx)
    .await?;
    // Deleted with its document, it is not needed any more.
    Ok(match kept {
        Some(kept) => ReadPage { page: read.page, text: kept.text, is_complete: kept.is_complete },
        None => read,
    })
}

/// Gives up the claim that was the page's `attempts`th, without a text: another attempt may read the page. A claim that
/// ran out meanwhile, and became another worker's, stays that worker's.
///
/// # Errors
/// The database's.
pub async fn release_page(
    tx: &mut TenantTx,
    document: Uuid,
    page: i32,
    attempts: i32,
    cost_micros: i64,
) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        update document_pages
        set claimed_until = case when attempts > $4 then claimed_until end, cost_micros = cost_micros + $5
        where customer_id = $1 and document_id = $2 and page = $3
        "#,
        tx.tenant(),
        document,
        page,
        attempts,
        cost_micros
    )
    .execute(tx)
    .await
    .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_too_costly_as_soon_as_that_is_certain() {
        let cost = |spent_micros, cheapest_micros| ScanCost { spent_micros, cheapest_micros };
        assert!(!cost(0, 0).exceeds(100, 200), "nothing is known before the first page");
        assert!(!cost(20, 10).exceeds(100, 8));
        assert!(cost(20, 10).exceeds(100, 9), "20 and nine times 10 at least");
        assert!(!cost(20, 0).exceeds(100, 200), "an empty page cost nothing: so may the others");
        assert!(cost(100, 0).exceeds(100, 1));
        assert!(cost(1, i64::MAX).exceeds(100, usize::MAX));
    }
}
