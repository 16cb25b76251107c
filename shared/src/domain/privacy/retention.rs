//! Retention of conversations: a message is deleted when it is older than `customers.conversation_retention_months`.

use chrono::{DateTime, Utc};

use crate::db::SystemTx;

/// Deletes at most `limit` messages that at `now` are older than `conversation_retention_months` of their company, with
/// their outbox, feedback and closed questions. Returns the number of messages. A deleted company's messages stay until
/// its purge.
///
/// # Errors
/// Returns any database error.
pub async fn remove_old_messages(tx: &mut SystemTx, now: DateTime<Utc>, limit: i64) -> sqlx::Result<u64> {
    sqlx::query!(
        r#"
        delete from messages where id in (
            select old.id from customers tenant
            cross join lateral (
                select message.id from messages message
                where message.customer_id = tenant.id
                  and message.created_at < $1::timestamptz - make_interval(months => tenant.conversation_retention_months)
                order by message.created_at
                limit $2
            ) old
            where tenant.deleted_at is null
            limit $2
        )
        "#,
        now,
        limit
    )
    .execute(tx)
    .await
    .map(|done| done.rows_affected())
}

/// Deletes at most `limit` conversations whose last message at `now` is older than `conversation_retention_months` of
/// their company, with their activities. Orders stay, without the conversation. Returns the number of conversations.
///
/// A conversation with messages waits until [`remove_old_messages`] has deleted them: no row goes by a cascade that nothing
/// bounds. A message that comes in at this moment locks its conversation first, and the conversation stays; or it waits for the
/// deletion and begins a new conversation.
///
/// # Errors
/// Returns any database error.
pub async fn remove_old_conversations(tx: &mut SystemTx, now: DateTime<Utc>, limit: i64) -> sqlx::Result<u64> {
    // The rows are locked by a statement of its own. The deletions below then see what other transactions committed
    // before.
    let old = sqlx::query_scalar!(
        r#"
        select conversation.id from conversations conversation
        join customers tenant on tenant.id = conversation.customer_id
        where conversation.id in (
              select old.id from customers kept
              cross join (values ('whatsapp'), ('api')) kind (channel)
              cross join lateral (
                  select idle.id from conversations idle
                  where idle.customer_id = kept.id and idle.channel = kind.channel
                    and idle.last_message_at < $1::timestamptz - make_interval(months => kept.conversation_retention_months)
                    and not exists (select from messages where messages.conversation_id = idle.id)
                  order by idle.last_message_at
                  limit $2
              ) old
              where kept.deleted_at is null
              limit $2
          )
          -- Checked again when the lock is granted: a message may have come in.
          and conversation.last_message_at < $1::timestamptz - make_interval(months => tenant.conversation_retention_months)
          and (conversation.lease_expires_at is null or conversation.lease_expires_at < now())
        for update of conversation skip locked
        "#,
        now,
        limit
    )
    .fetch_all(&mut *tx)
    .await?;
    sqlx::query!("delete from activities where conversation_id = any ($1)", &old).execute(&mut *tx).await?;
    sqlx::query!("delete from conversations where id = any ($1)", &old)
        .execute(tx)
        .await
        .map(|done| done.rows_affected())
}
