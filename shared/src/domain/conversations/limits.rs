//! Limits of one contact: how many answers it gets in a minute and in a day. Beyond them no request of the quota is used
//! and no model is called.

use chrono::NaiveDate;
use uuid::Uuid;

use crate::{db::TenantTx, settings::Settings};

/// The configured limits of a contact.
#[derive(Debug, Clone, Copy)]
pub struct ContactLimits {
    per_minute: i32,
    per_day: i32,
}

impl ContactLimits {
    /// Reads CONTACT_ANSWERS_PER_MINUTE (default: 20) and CONTACT_ANSWERS_PER_DAY (default: 100).
    pub fn read(settings: &mut Settings) -> Self {
        let mut read_limit = |name, default| {
            let limit: u16 = settings.number(name, default);
            if limit == 0 {
                settings.problem(format_args!("{name} must be 1 or more"));
            }
            i32::from(limit)
        };
        Self {
            per_minute: read_limit("CONTACT_ANSWERS_PER_MINUTE", 20),
            per_day: read_limit("CONTACT_ANSWERS_PER_DAY", 100),
        }
    }
}

/// A limit that a contact has reached.
#[derive(Debug, Clone, Copy)]
pub struct ReachedLimit {
    /// True for the limit of the day, which ends at midnight in the tenant's timezone.
    pub is_daily: bool,
    /// True when the contact was told so today.
    pub is_told: bool,
    /// The present day in the tenant's timezone.
    pub today: NaiveDate,
}

/// Counts an answer that a worker begins, and returns the limit that the contact has reached, if any: then nothing is
/// counted. One statement under the lock on the conversation ([`super::lock`]), so no two workers count the last answer.
///
/// # Errors
/// A database error.
pub async fn count_answer(
    tx: &mut TenantTx,
    conversation: Uuid,
    limits: ContactLimits,
) -> sqlx::Result<Option<ReachedLimit>> {
    let row = sqlx::query!(
        r#"
        with known as (
            select conversation.id, (now() at time zone tenant.timezone)::date as today, conversation.limit_notice_on,
                case when conversation.minute_began_at > now() - interval '1 minute'
                    then conversation.minute_answers else 0 end as in_minute,
                case when conversation.day_began_on = (now() at time zone tenant.timezone)::date
                    then conversation.day_answers else 0 end as in_day
            from conversations conversation
            join customers tenant on tenant.id = conversation.customer_id
            where conversation.customer_id = $1 and conversation.id = $2
            for no key update of conversation
        ), counted as (
            update conversations set
                minute_began_at = case when known.in_minute = 0 then now() else minute_began_at end,
                minute_answers = known.in_minute + 1, day_began_on = known.today, day_answers = known.in_day + 1
            from known
            where conversations.customer_id = $1 and conversations.id = known.id
              and known.in_minute < $3 and known.in_day < $4
        )
        select today as "today!", in_minute >= $3 as "is_over_minute!", in_day >= $4 as "is_over_day!",
            coalesce(limit_notice_on = today, false) as "is_told!"
        from known
        "#,
        tx.tenant(),
        conversation,
        limits.per_minute,
        limits.per_day
    )
    .fetch_optional(tx)
    .await?;
    Ok(row.filter(|row| row.is_over_minute || row.is_over_day).map(|row| ReachedLimit {
        is_daily: row.is_over_day,
        is_told: row.is_told,
        today: row.today,
    }))
}
