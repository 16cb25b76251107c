//! Transcripts of scanned pages and the claims on them. Owns the table `document_pages`.
//!
//! A worker claims a page before a model reads it, so that no two workers pay for one page. A claim expires, so that
//! another worker can take the page of a dead one.

use std::time::Duration;

use uuid::Uuid;

use crate::db::TenantTx;

/// Text that a model or OCR read from a scanned page.
#[derive(Debug, Clone, PartialEq)]
pub struct PageTranscript {
    /// Page number, from 1.
    pub page: i32,
    /// Text of the page; empty for a blank page, and for one that could not be read.
    pub text: String,
    /// False when the page could not be read, or when its text is cut off.
    pub is_complete: bool,
    /// Confidence of OCR, from 0 to 1; `None` for a page that a language model read, or nobody.
    pub confidence: Option<f32>,
}

/// Returns the transcripts of a document's pages so far, by page number.
///
/// # Errors
/// Returns any database error.
pub async fn page_transcripts(tx: &mut TenantTx, document: Uuid) -> sqlx::Result<Vec<PageTranscript>> {
    sqlx::query_as!(
        PageTranscript,
        r#"
        select page, text as "text!", is_complete, confidence
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

/// Cost of reading a document's scanned pages so far, in millionths of a US dollar.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ScanCost {
    /// Total cost, failed attempts included.
    pub spent_micros: i64,
    /// Cost of the cheapest page read; 0 when no page was read.
    pub cheapest_micros: i64,
}

impl ScanCost {
    /// Returns true when the document cannot be read for `max_micros`: either `max_micros` is spent, or the remaining
    /// pages would exceed it even if each cost only as much as the cheapest page so far.
    #[must_use]
    pub fn exceeds(&self, max_micros: i64, pages_left: usize) -> bool {
        let pages_left = i64::try_from(pages_left).unwrap_or(i64::MAX);
        let min_total_micros = self.spent_micros.saturating_add(self.cheapest_micros.saturating_mul(pages_left));
        self.spent_micros >= max_micros || min_total_micros > max_micros
    }
}

/// Returns the cost of reading a document's scanned pages so far.
///
/// # Errors
/// Returns any database error.
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

/// Outcome of claiming a scanned page.
#[derive(Debug, PartialEq)]
pub enum PageClaim {
    /// The caller holds the claim and may read the page.
    Granted {
        /// Number of claims on the page so far, this one included.
        attempts: i32,
    },
    /// Another worker holds the claim; that worker may be dead.
    HeldByOther {
        /// Time until the claim expires.
        expires_in: Duration,
    },
    /// Another worker has read the page.
    AlreadyRead(PageTranscript),
    /// The document was deleted, or is no longer pending.
    DocumentGone,
}

/// Claims a scanned page for `claim_timeout`. Commit the transaction before reading the page.
///
/// # Errors
/// Returns any database error.
pub async fn claim_page(
    tx: &mut TenantTx,
    document: Uuid,
    page: i32,
    claim_timeout: Duration,
) -> sqlx::Result<PageClaim> {
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
        claim_timeout.as_secs_f64()
    )
    .fetch_one(&mut *tx)
    .await?;
    if !row.is_there {
        return Ok(PageClaim::DocumentGone);
    }
    if let Some(attempts) = row.attempts {
        return Ok(PageClaim::Granted { attempts });
    }
    let other = sqlx::query!(
        r#"
        select text, is_complete, confidence, coalesce(extract(epoch from claimed_until - now()), 0)::float8 as "seconds!"
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
        Some(text) => PageClaim::AlreadyRead(PageTranscript {
            page,
            text,
            is_complete: other.is_complete,
            confidence: other.confidence,
        }),
        None => PageClaim::HeldByOther { expires_in: Duration::try_from_secs_f64(other.seconds).unwrap_or_default() },
    })
}

/// Stores a page's transcript, adds its cost and advances the document's progress. When two workers read one page,
/// the first transcript is kept. Returns the transcript that is kept.
///
/// # Errors
/// Returns any database error.
pub async fn store_page(
    tx: &mut TenantTx,
    document: Uuid,
    read: PageTranscript,
    cost_micros: i64,
) -> sqlx::Result<PageTranscript> {
    let kept = sqlx::query!(
        r#"
        with document as materialized (
            -- First, as whoever claims a page or deletes its document does.
            select id from documents where customer_id = $1 and id = $2 for no key update
        ), read as (
            update document_pages
            set text = coalesce(text, $4), is_complete = case when text is null then $5 else is_complete end,
                confidence = case when text is null then $7 else confidence end,
                claimed_until = null, cost_micros = cost_micros + $6
            where customer_id = $1 and document_id = (select id from document) and page = $3
            returning text, is_complete, confidence
        ), progress as (
            update documents
            -- The last page is done when it is indexed.
            set pages_done = greatest(pages_done, least($3, pages_total - 1))
            where customer_id = $1 and id = $2 and status = 'pending'
        )
        select text as "text!", is_complete, confidence from read
        "#,
        tx.tenant(),
        document,
        read.page,
        read.text,
        read.is_complete,
        cost_micros,
        read.confidence
    )
    .fetch_optional(tx)
    .await?;
    // The row is missing when the document was deleted meanwhile; nobody will use the transcript then.
    Ok(match kept {
        Some(kept) => PageTranscript {
            page: read.page,
            text: kept.text,
            is_complete: kept.is_complete,
            confidence: kept.confidence,
        },
        None => read,
    })
}

/// Releases the caller's claim without a transcript and adds the cost, so that another attempt can read the page.
/// `attempts` is the number returned with the claim: a later claim by another worker stays in force.
///
/// # Errors
/// Returns any database error.
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
    fn a_document_exceeds_its_limit_once_the_cheapest_estimate_does() {
        let cost = |spent_micros, cheapest_micros| ScanCost { spent_micros, cheapest_micros };
        assert!(!cost(0, 0).exceeds(100, 200), "nothing is known before the first page");
        assert!(!cost(20, 10).exceeds(100, 8));
        assert!(cost(20, 10).exceeds(100, 9), "20 and nine times 10 at least");
        assert!(!cost(20, 0).exceeds(100, 200), "an empty page cost nothing: so may the others");
        assert!(cost(100, 0).exceeds(100, 1));
        assert!(cost(1, i64::MAX).exceeds(100, usize::MAX));
    }
}
