//! Table `unread_webhook_bodies`: bodies of a ManyChat bot that could not be read. A contact wrote each of them and got
//! no answer, so it is kept for the company, within limits.

use chrono::{DateTime, Utc};
use serde::{Serialize, Serializer};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::{
    activities::{Activity, ActivityStatus},
    db::{SystemTx, TenantTx},
    error::ApiError,
    manychat::body,
    notices,
    paging::{List, Listing, Paging, list_page},
};

/// Maximum size of the kept part of a body, in bytes.
const MAX_KEPT_BYTES: usize = 16 * 1024;
/// Bodies that are kept of one tenant in 24 hours. A broken template breaks every message.
const MAX_BODIES_PER_DAY: i64 = 200;
/// Further bodies in 24 hours whose contact can be seen.
const MAX_FURTHER_BODIES_PER_DAY: i64 = 200;
/// Bodies that are kept of one contact in 24 hours. A contact may break bodies on purpose, and must not use up the room of
/// the others.
const MAX_BODIES_PER_CONTACT: i64 = 20;

/// A body that could not be read.
#[derive(Debug, Serialize, ToSchema)]
#[schema(example = json!({
    "id": "5c0f2c34-5a1f-4a57-9a43-2f6e6f0f6f07", "reason": "malformed_json", "body": "id=1101&text=Bonjour",
    "size_bytes": 20, "created_at": "2026-11-23T09:30:06Z",
}))]
pub struct UnreadBody {
    id: Uuid,
    /// The code of the error that the bot got: `malformed_json` or `validation_failed`.
    reason: String,
    /// The first 16 KiB of the body, as text.
    body: String,
    /// Size of the whole body.
    size_bytes: i32,
    created_at: DateTime<Utc>,
}

#[derive(Serialize)]
struct UnreadBodyRow {
    id: Uuid,
    reason: String,
    /// The page is bounded by the size of the text, in which a control byte takes six.
    #[serde(serialize_with = "serialize_as_text")]
    body: Vec<u8>,
    size_bytes: i32,
    created_at: DateTime<Utc>,
}

fn serialize_as_text<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&String::from_utf8_lossy(bytes))
}

/// Sort keys of the list.
#[derive(Debug)]
pub struct UnreadBodyListing;

impl Listing for UnreadBodyListing {
    const NAME: &'static str = "unread-messages";
    const SORTS: &'static [&'static str] = &["created_at"];
}

/// Keeps a body that was refused with the error code `reason`, unless the tenant has `MAX_BODIES_PER_DAY` of them, or its
/// contact `MAX_BODIES_PER_CONTACT`. Tells the tenant once a day.
///
/// # Errors
/// A database error.
pub async fn keep(tx: &mut TenantTx, reason: &'static str, body: &[u8]) -> sqlx::Result<()> {
    let size_bytes = i32::try_from(body.len()).unwrap_or(i32::MAX);
    // The end of a longer body is not kept, so that others could not be compared with it.
    let sender = (body.len() <= MAX_KEPT_BYTES).then(|| body::sender(body)).flatten();
    let most = MAX_BODIES_PER_DAY + if sender.is_some() { MAX_FURTHER_BODIES_PER_DAY } else { 0 };
    let (mark, tail) = sender.map_or((None, None), |mark| (Some(mark.bytes), mark.tail_bytes));
    sqlx::query!(
        r#"
        with known as materialized (
            select body from unread_webhook_bodies
            where customer_id = $1 and created_at > now() - interval '24 hours'
            order by created_at desc limit $5
        )
        insert into unread_webhook_bodies (customer_id, reason, body, size_bytes)
        select $1, $2, $3, $4
        where (select count(*) from known) < $5 and (
            select count(*) from known
            where case
                when $7::integer is null then substring(known.body for octet_length($6::bytea)) = $6
                else position($6::bytea in substring(known.body from greatest(octet_length(known.body) - $7 + 1, 1))) > 0
            end
        ) < $8
        "#,
        tx.tenant(),
        reason,
        &body[..body.len().min(MAX_KEPT_BYTES)],
        size_bytes,
        most,
        mark,
        tail.map(|bytes| i32::try_from(bytes).unwrap_or(i32::MAX)),
        MAX_BODIES_PER_CONTACT
    )
    .execute(&mut *tx)
    .await?;
    let activity = Activity {
        kind: "webhook_body_unread",
        title: "A message from ManyChat could not be read: its contact was not answered",
        status: ActivityStatus::Error,
        conversation: None,
        metadata: serde_json::json!({ "reason": reason, "size_bytes": size_bytes }),
    };
    notices::record_once_a_day(tx, &activity).await.map(drop)
}

/// Tells the tenant, once a day, that its bot sends bodies that are not valid JSON, although this one could be read.
///
/// # Errors
/// A database error.
pub async fn report_repaired(tx: &mut TenantTx, conversation: Uuid) -> sqlx::Result<()> {
    let activity = Activity::for_conversation(
        conversation,
        "webhook_body_repaired",
        "ManyChat sends texts that are not escaped: they were read, but may be incomplete",
        ActivityStatus::Warning,
    );
    notices::record_once_a_day(tx, &activity).await.map(drop)
}

/// Returns a page of the bodies that could not be read.
///
/// # Errors
/// 422 for a cursor that was tampered with; a database error.
pub async fn list(tx: &mut TenantTx, paging: &Paging) -> Result<List<UnreadBody>, ApiError> {
    let page: Result<List<UnreadBodyRow>, ApiError> = list_page!(tx, paging, UnreadBodyRow {
        select: "id, reason, body, size_bytes, created_at",
        from: "unread_webhook_bodies where customer_id = $1",
        bind: [],
        order: ["created_at": "created_at" "timestamptz" DateTime<Utc> = created_at],
        id: "id" "uuid" Uuid = id,
    });
    Ok(page?.map(|row| UnreadBody {
        id: row.id,
        reason: row.reason,
        body: String::from_utf8_lossy(&row.body).into_owned(),
        size_bytes: row.size_bytes,
        created_at: row.created_at,
    }))
}

/// Deletes the bodies that are older than 30 days, at most `limit` of them. Returns their number.
///
/// # Errors
/// A database error.
pub async fn remove_old(tx: &mut SystemTx, limit: i64) -> sqlx::Result<u64> {
    sqlx::query!(
        r#"
        delete from unread_webhook_bodies where id in (
            select id from unread_webhook_bodies
            where created_at < now() - interval '30 days' order by created_at limit $1
        )
        "#,
        limit
    )
    .execute(tx)
    .await
    .map(|done| done.rows_affected())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_of_a_row_is_that_of_its_text() {
        let row = |body: &[u8]| UnreadBodyRow {
            id: Uuid::nil(),
            reason: String::new(),
            body: body.to_vec(),
            size_bytes: 0,
            created_at: DateTime::UNIX_EPOCH,
        };
        let size = |body: &[u8]| serde_json::to_string(&row(body)).unwrap().len();
        assert_eq!(size(&[1; 100]) - size(b""), 600);
        assert_eq!(size(&[0xff; 100]) - size(b""), 300);
    }
}
