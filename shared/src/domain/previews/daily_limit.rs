//! Number of questions that a company's previews ask of models in a day, in UTC. Owns the table `preview_counts`.

use chrono::NaiveDate;

use crate::db::TenantTx;

/// Questions that a company's previews ask of models in a day.
pub(super) const MAX_QUESTIONS_PER_DAY: i32 = 300;

/// Questions that were counted before they were asked.
#[derive(Debug, Clone, Copy)]
pub(super) struct ReservedQuestions {
    day: NaiveDate,
    questions: i32,
}

/// Counts questions that are about to be asked; `None` when they would go beyond the day's limit.
pub(super) async fn reserve(tx: &mut TenantTx, questions: i32) -> sqlx::Result<Option<ReservedQuestions>> {
    // A transaction that began before midnight may come after one of the next day, and counts in that day.
    let day = sqlx::query_scalar!(
        r#"
        insert into preview_counts as counted (customer_id, day, questions)
        select $1, (now() at time zone 'utc')::date, $2::integer where $2::integer <= $3::integer
        on conflict on constraint preview_counts_pkey do update set
            day = greatest(counted.day, excluded.day),
            questions = case when counted.day < excluded.day then 0 else counted.questions end + excluded.questions
        where counted.day < excluded.day or counted.questions + excluded.questions <= $3::integer
        returning day
        "#,
        tx.tenant(),
        questions,
        MAX_QUESTIONS_PER_DAY
    )
    .fetch_optional(tx)
    .await?;
    Ok(day.map(|day| ReservedQuestions { day, questions }))
}

/// Gives back the questions that were counted and not asked.
pub(super) async fn give_back(tx: &mut TenantTx, reserved: ReservedQuestions, asked: i32) -> sqlx::Result<()> {
    sqlx::query!(
        r#"
        update preview_counts set questions = questions - least(questions, $3)
        where customer_id = $1 and day = $2
        "#,
        tx.tenant(),
        reserved.day,
        (reserved.questions - asked).max(0)
    )
    .execute(tx)
    .await
    .map(drop)
}
