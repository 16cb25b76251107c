//! The old `conversation_memory`: one row a message, of a contact of a company.
//!
//! Retention would delete an old row minutes after it was copied, and nobody was here to choose another one. So the company's
//! retention is raised to a year and the row's age, in full months, unless the company has set it itself.

use super::{
    companies,
    old_row::{MissingParts, OldRow, RowError},
};
use crate::{db::SystemTx, text};

/// Maximum length of a message, in characters.
const MAX_CONTENT_CHARS: usize = 20_000;
/// Maximum length of a contact's id, in characters.
const MAX_CONTACT_CHARS: usize = 160;

/// Copies a message, with the conversation that it belongs to.
pub(super) async fn adopt(tx: &mut SystemTx, row: &OldRow) -> Result<MissingParts, RowError> {
    let (tenant, _) = companies::find_by_company_id(tx, row).await?;
    let contact = row.id("user_id").ok_or(RowError::Refused("no_user_id"))?;
    if contact.chars().count() > MAX_CONTACT_CHARS {
        return Err(RowError::Refused("user_id_too_long"));
    }
    let (direction, author) = match row.text("role").map(str::trim) {
        Some("user" | "human") => ("inbound", "contact"),
        Some("assistant" | "bot" | "ai") => ("outbound", "bot"),
        _ => return Err(RowError::Refused("unknown_role")),
    };
    let content = text::clean(row.text("content").ok_or(RowError::Refused("no_content"))?);
    if content.chars().count() > MAX_CONTENT_CHARS {
        return Err(RowError::Refused("content_too_long"));
    }
    let time = row.time("timestamp").or_else(|| row.time("created_at")).ok_or(RowError::Refused("no_timestamp"))?;
    let is_inbound = direction == "inbound";
    sqlx::query!(
        r#"
        with retention as (
            select least(60, 12 + 12 * extract(year from age(now(), $3)) + extract(month from age(now(), $3)))::integer
                as months
        ), kept as (
            update customers set conversation_retention_months = retention.months from retention
            where customers.id = $1 and customers.conversation_retention_months < retention.months
              and not exists (
                  select from audit_log
                  where audit_log.customer_id = $1 and audit_log.action = 'customer.changed'
                    and audit_log.details -> 'fields' ? 'conversation_retention_months'
              )
        ), conversation as (
            insert into conversations as known
                (customer_id, channel, contact_id, user_phone, last_message_at, created_at)
            values ($1, 'whatsapp', $2, case when $2 ~ '^\+?[0-9]{8,15}$' then $2 end, $3, $3)
            on conflict on constraint conversations_contact_key do update
            set last_message_at = greatest(known.last_message_at, excluded.last_message_at),
                created_at = least(known.created_at, excluded.created_at)
            returning id
        )
        insert into messages
            (customer_id, conversation_id, direction, author, content, external_id, skipped_reason, sent_at, created_at)
        -- An old question waits for no answer: the next message of the contact would be answered together with it.
        select $1, id, $4, $5, $6, $7, case when $8 then 'superseded' end, case when not $8 then $3::timestamptz end, $3
        from conversation
        "#,
        tenant,
        contact,
        time,
        direction,
        author,
        content,
        format!("legacy:{}", row.key),
        is_inbound
    )
    .execute(tx)
    .await?;
    Ok(Vec::new())
}
