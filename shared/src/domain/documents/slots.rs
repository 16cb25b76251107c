//! Slots: how many documents of one tenant are worked on at once. Owns the table `ingest_slots`.
//!
//! A document that finds no slot free waits as a row, without a message in the queue. Whoever frees a slot sends the
//! message of the tenant's next document. A slot expires, so that a dead worker's slot becomes free, and maintenance
//! sends what was not sent. A tenant's documents take turns in the order in which they began to wait. One that another
//! invocation continues, such as a long scan, begins to wait anew, behind the others.

use std::time::Duration;

use uuid::Uuid;

use crate::{
    db::{SystemTx, TenantTx},
    jobs::IngestMessage,
    settings::Settings,
};

/// Reads INGEST_SLOTS_PER_TENANT, the number of one tenant's documents that are worked on at once.
pub fn read_slots_per_tenant(settings: &mut Settings) -> i64 {
    let slots: u16 = settings.number("INGEST_SLOTS_PER_TENANT", 2);
    if slots == 0 {
        settings.problem("INGEST_SLOTS_PER_TENANT is 0: no document would be worked on");
    }
    slots.into()
}

/// A worker's request for a slot.
#[derive(Debug, Clone, Copy)]
pub struct SlotRequest {
    /// Identifier of this invocation of the worker.
    pub worker: Uuid,
    /// Number of slots of a tenant.
    pub slots_per_tenant: i64,
    /// Time until the slot expires. A worker that exceeds it is dead.
    pub hold: Duration,
}

/// Outcome of a worker's request for a slot.
#[derive(Debug, PartialEq, Eq)]
pub enum SlotClaim {
    /// The worker holds a slot.
    Granted {
        /// Number of times that work on the document has begun, this one included.
        attempts: i32,
    },
    /// Another worker works on the document.
    HeldByOther,
    /// All slots of the tenant are taken, or other documents wait for longer. Holds the messages of the documents whose
    /// turn it is.
    Waiting(Vec<IngestMessage>),
    /// The document has a final status.
    Finished {
        /// False when the file was refused, so that it must not be kept.
        keeps_file: bool,
    },
    /// The document was deleted, or never announced.
    NoDocument,
}

/// Makes the tenant's other claims and releases of slots wait until the end of the transaction. Comes before the lock
/// of a document's row, and that one before the lock of its slot.
///
/// # Errors
/// Returns any database error.
pub async fn lock_slots(tx: &mut TenantTx) -> sqlx::Result<()> {
    sqlx::query!("select pg_advisory_xact_lock(hashtextextended($1::uuid::text, 28))", tx.tenant())
        .execute(tx)
        .await
        .map(drop)
}

/// Claims a slot for a document, or lets it wait. Commit the transaction before the work, and send the messages of
/// [`SlotClaim::Waiting`] after the commit.
///
/// # Errors
/// Returns any database error.
pub async fn claim_slot(tx: &mut TenantTx, document: Uuid, request: SlotRequest) -> sqlx::Result<SlotClaim> {
    lock_slots(tx).await?;
    match enter(tx, document).await? {
        None => return Ok(SlotClaim::NoDocument),
        Some(entered) if !entered.is_open => return Ok(SlotClaim::Finished { keeps_file: entered.keeps_file }),
        Some(_) => {}
    }
    let slot = look_up(tx, document).await?;
    let is_own = slot.worker == Some(request.worker);
    if slot.is_held && slot.worker.is_some() && !is_own {
        // A dead worker's slot expires before the queue delivers its message again, and maintenance gives it on.
        return Ok(SlotClaim::HeldByOther);
    }
    if !slot.is_held && slot.held + slot.waiting_before >= request.slots_per_tenant {
        wait_for_slot(tx, document).await?;
        return Ok(SlotClaim::Waiting(take_turns(tx, request.slots_per_tenant).await?));
    }
    let attempts = sqlx::query_scalar!(
        r#"
        update ingest_slots
        set worker = $3, held_until = now() + make_interval(secs => $4), attempts = attempts + $5
        where customer_id = $1 and document_id = $2
        returning attempts
        "#,
        tx.tenant(),
        document,
        request.worker,
        request.hold.as_secs_f64(),
        i32::from(!is_own)
    )
    .fetch_one(tx)
    .await?;
    Ok(SlotClaim::Granted { attempts })
}

/// State of a document whose file was announced by the queue.
struct EnteredDocument {
    /// True when the document may be worked on.
    is_open: bool,
    keeps_file: bool,
}

/// Inserts a document's row unless it has one or has a final status. Returns `None` when there is no such document.
async fn enter(tx: &mut TenantTx, document: Uuid) -> sqlx::Result<Option<EnteredDocument>> {
    sqlx::query_as!(
        EnteredDocument,
        r#"
        with document as (
            -- Locked before the slot, as whoever deletes the document does.
            -- A deleted company's documents wait: maintenance goes on with them when the account is restored.
            select id, (status = 'pending' or coalesce(error_code = 'not_uploaded', false))
                    and exists (select from customers where customers.id = $1 and customers.deleted_at is null) as is_open,
                coalesce(error_code <> 'size_mismatch', true) as keeps_file
            from documents where customer_id = $1 and id = $2
            for no key update
        ), entered as (
            insert into ingest_slots (document_id, customer_id) select id, $1 from document where is_open
            on conflict on constraint ingest_slots_pkey do nothing
        )
        select is_open as "is_open!", keeps_file as "keeps_file!" from document
        "#,
        tx.tenant(),
        document
    )
    .fetch_optional(tx)
    .await
}

/// A document's slot, beside those of the tenant's other documents.
struct SlotState {
    is_held: bool,
    worker: Option<Uuid>,
    /// Number of other documents with a slot.
    held: i64,
    /// Number of other documents that wait for longer.
    waiting_before: i64,
}

async fn look_up(tx: &mut TenantTx, document: Uuid) -> sqlx::Result<SlotState> {
    sqlx::query_as!(
        SlotState,
        r#"
        select coalesce(slot.held_until > now(), false) as "is_held!", slot.worker, (
                select count(*) from ingest_slots other join documents on documents.id = other.document_id
                where other.customer_id = $1 and other.document_id <> $2 and documents.status = 'pending'
                  and other.held_until > now()
            ) as "held!", (
                select count(*) from ingest_slots other join documents on documents.id = other.document_id
                where other.customer_id = $1 and documents.status = 'pending'
                  and coalesce(other.held_until <= now(), true)
                  and (other.queued_at, other.document_id) < (slot.queued_at, slot.document_id)
            ) as "waiting_before!"
        from ingest_slots slot
        where slot.customer_id = $1 and slot.document_id = $2
        "#,
        tx.tenant(),
        document
    )
    .fetch_one(tx)
    .await
}

/// Lets a document wait for its turn. Its job stays as the last resort.
async fn wait_for_slot(tx: &mut TenantTx, document: Uuid) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        with arrived as (
            -- Its upload arrived after all.
            update documents set status = 'pending', error_code = null, error = null
            where customer_id = $1 and id = $2 and status = 'failed'
        ), waiting as (
            update ingest_slots set worker = null, held_until = null where customer_id = $1 and document_id = $2
        )
        update jobs set status = 'queued', attempts = 0, run_after = now() + interval '1 hour', updated_at = now()
        where customer_id = $1 and kind = 'ingest' and payload ->> 'document_id' = $2::uuid::text
        "#,
        tx.tenant(),
        document
    )
    .execute(tx)
    .await
    .map(drop)
}

/// Gives the tenant's free slots to the documents that have waited longest, for two minutes, and returns their queue
/// messages.
async fn take_turns(tx: &mut TenantTx, slots_per_tenant: i64) -> sqlx::Result<Vec<IngestMessage>> {
    sqlx::query_as!(
        IngestMessage,
        r#"
        with pending as (
            select slot.document_id, slot.queued_at, coalesce(slot.held_until > now(), false) as is_held
            from ingest_slots slot join documents on documents.id = slot.document_id
            where slot.customer_id = $1 and documents.customer_id = $1 and documents.status = 'pending'
        ), next as (
            select document_id from pending where not is_held order by queued_at, document_id
            limit greatest($2 - (select count(*) from pending where is_held), 0)
        ), turn as (
            update ingest_slots set worker = null, held_until = now() + interval '2 minutes'
            where customer_id = $1 and document_id in (select document_id from next)
              -- Checked again on the row's newest version: a worker may have claimed the slot meanwhile.
              and coalesce(held_until <= now(), true)
            returning document_id
        )
        select job.id as "job_id!", job.customer_id as "customer_id!", turn.document_id as "document_id!"
        from turn join jobs job on job.kind = 'ingest' and job.payload ->> 'document_id' = turn.document_id::text
        where job.customer_id = $1
        "#,
        tx.tenant(),
        slots_per_tenant
    )
    .fetch_all(tx)
    .await
}

/// Ends a worker's work on a document, and returns the queue messages of the documents whose turn it is.
///
/// # Errors
/// Returns any database error.
pub async fn release_slot(
    tx: &mut TenantTx,
    document: Uuid,
    worker: Uuid,
    slots_per_tenant: i64,
) -> sqlx::Result<Vec<IngestMessage>> {
    lock_slots(tx).await?;
    sqlx::query!(
        "delete from ingest_slots where customer_id = $1 and document_id = $2 and worker = $3",
        tx.tenant(),
        document,
        worker
    )
    .execute(&mut *tx)
    .await?;
    take_turns(tx, slots_per_tenant).await
}

/// Keeps the slot of a document whose attempt failed until the queue delivers its message again after `delay`.
/// Without `counts`, the attempt is not counted: nothing was done in it.
///
/// # Errors
/// Returns any database error.
pub async fn keep_slot(
    tx: &mut TenantTx,
    document: Uuid,
    worker: Uuid,
    delay: Duration,
    counts: bool,
) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        update ingest_slots
        set worker = null, held_until = now() + make_interval(secs => $4) + interval '1 minute',
            attempts = greatest(attempts - $5, 0)
        where customer_id = $1 and document_id = $2 and worker = $3
        "#,
        tx.tenant(),
        document,
        worker,
        delay.as_secs_f64(),
        i32::from(!counts)
    )
    .execute(tx)
    .await
    .map(drop)
}

/// Gives the free slots of all tenants to the documents that have waited longest, for two minutes, and returns the
/// queue messages of at most `limit` of them. For messages that were lost, and slots of dead workers.
///
/// # Errors
/// Returns any database error.
pub async fn take_all_turns(tx: &mut SystemTx, slots_per_tenant: i64, limit: i64) -> sqlx::Result<Vec<IngestMessage>> {
    sqlx::query_as!(
        IngestMessage,
        r#"
        with pending as (
            select slot.document_id, slot.customer_id, slot.queued_at,
                coalesce(slot.held_until > now(), false) as is_held
            from ingest_slots slot join documents on documents.id = slot.document_id
            where documents.status = 'pending'
        ), held as (
            select customer_id, count(*) as slots from pending where is_held group by customer_id
        ), waiting as (
            select document_id, customer_id, queued_at,
                row_number() over (partition by customer_id order by queued_at, document_id) as place
            from pending where not is_held
        ), next as (
            select waiting.document_id from waiting left join held on held.customer_id = waiting.customer_id
            where waiting.place <= $1 - coalesce(held.slots, 0)
            order by waiting.queued_at
            limit $2
        ), turn as (
            update ingest_slots set worker = null, held_until = now() + interval '2 minutes'
            where document_id in (select document_id from next)
              -- Checked again on the row's newest version: a worker may have claimed the slot meanwhile.
              and coalesce(held_until <= now(), true)
            returning document_id
        )
        select job.id as "job_id!", job.customer_id as "customer_id!", turn.document_id as "document_id!"
        from turn join jobs job on job.kind = 'ingest' and job.payload ->> 'document_id' = turn.document_id::text
        "#,
        slots_per_tenant,
        limit
    )
    .fetch_all(tx)
    .await
}

/// Deletes at most `limit` slots of documents that have a final status, whose workers died before they released them.
///
/// # Errors
/// Returns any database error.
pub async fn remove_ended_slots(tx: &mut SystemTx, limit: i64) -> sqlx::Result<u64> {
    sqlx::query!(
        r#"
        delete from ingest_slots where document_id in (
            select slot.document_id from ingest_slots slot join documents on documents.id = slot.document_id
            where documents.status <> 'pending' and coalesce(slot.held_until < now(), true)
            limit $1
        )
        "#,
        limit
    )
    .execute(tx)
    .await
    .map(|done| done.rows_affected())
}
