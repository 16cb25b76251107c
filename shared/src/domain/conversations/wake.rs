//! Messages to the reply queue, by which a conversation is answered at once.

use std::time::Duration;

use uuid::Uuid;

use crate::{
    db::{Db, TenantTx},
    jobs::ReplyMessage,
    logging,
    queue::Queue,
};

/// Sends a message to the reply queue, after the transaction that queued the conversation's job. When the queue does not
/// take it, the job is made due, so that maintenance sends it within a minute; when that fails too, the job is due a
/// minute after its cause.
pub async fn wake_reply_worker(db: &Db, queue: &Queue, message: &ReplyMessage, delay: Duration) {
    if queue.send_or_log(message, delay).await {
        return;
    }
    let conversation = message.conversation_id;
    let due = db.tenant_tx(message.customer_id, async |tx| Ok(make_reply_job_due(tx, conversation).await?));
    if let Err(error) = due.await {
        tracing::warn!(error = logging::chain(&error), "the job is due a minute after its cause");
    }
}

/// Makes the conversation's reply job due now, because its queue message could not be sent: the next run of maintenance
/// sends it.
///
/// # Errors
/// A database error; the job is then due later.
pub async fn make_reply_job_due(tx: &mut TenantTx, conversation: Uuid) -> sqlx::Result<()> {
    // `updated_at` stays: it tells a worker whether a message came in while it held the lease.
    sqlx::query!(
        r#"
        update jobs set run_after = least(run_after, now())
        where customer_id = $1 and kind = 'reply' and payload ->> 'conversation_id' = $2::text and status = 'queued'
        "#,
        tx.tenant(),
        conversation.to_string()
    )
    .execute(tx)
    .await
    .map(drop)
}
