//! Drafts of orders without a model: the question before a cancellation, and the order of a draft that the contact
//! confirmed.

use serde_json::json;
use shared::{
    activities::ActivityStatus,
    conversations::{self, ConversationPatch, HandoverReason, Lease},
    customer_texts,
    db::TenantTx,
    error::{ApiError, BoxError},
    jobs,
    messages::Author,
    orders::{self, OrderDraft},
    text::Language,
    webhook_endpoints,
};
use uuid::Uuid;

use crate::{
    Deps,
    commit::{CommitStatus, OutgoingMessage, ReplyOutcome},
};

impl Deps {
    /// Returns the outcome of a wish to cancel, which no model reads: the question whether the contact means it. When there
    /// is no order that can still be cancelled, a shop says so, and an assistant that only answers questions looks the
    /// wish up in the documents (`None`). An order that is being prepared is a person's matter.
    pub(crate) async fn cancellation_outcome(
        &self,
        tenant: Uuid,
        lease: &Lease,
        language: Language,
    ) -> Result<Option<ReplyOutcome>, ApiError> {
        let conversation = lease.conversation.id;
        let (order, is_in_preparation) = self
            .db
            .tenant_tx(tenant, async |tx| {
                let order = orders::find_changeable(tx, conversation).await?;
                Ok((order, orders::is_in_preparation(tx, conversation).await?))
            })
            .await?;
        let Some(order) = order else {
            if is_in_preparation {
                return Ok(Some(Self::handover_outcome(&lease.assistant.identity, HandoverReason::Keyword, language)));
            }
            let none = || OutgoingMessage::new(Author::Bot, customer_texts::cannot_be_changed(language).to_owned());
            return Ok(lease.assistant.is_live.then(|| ReplyOutcome::send(none())));
        };
        let mut draft = OrderDraft::cancellation(&order, lease.now);
        let message = OutgoingMessage::new(Author::Bot, customer_texts::proposal(&draft, language));
        draft.message_id = Some(message.id);
        let order_draft = Some(serde_json::to_value(&draft).ok());
        let patch = ConversationPatch { order_draft, ..ConversationPatch::default() };
        Ok(Some(ReplyOutcome::send(message).with_patch(patch)))
    }

    /// Creates, changes or cancels the order of the draft that the contact confirmed, and writes the answer, in one
    /// transaction.
    pub(crate) async fn confirm(
        &self,
        tenant: Uuid,
        lease: &Lease,
        draft: &OrderDraft,
        language: Language,
    ) -> Result<(), BoxError> {
        let conversation = lease.conversation.id;
        let confirmed = self
            .db
            .tenant_tx_with_error(tenant, async |tx| {
                conversations::lock(tx, conversation).await.map_err(ApiError::from)?;
                let executed = execute_draft(tx, conversation, draft, language).await?;
                let outcome = ReplyOutcome::send(OutgoingMessage::new(Author::Bot, executed.text));
                let mut outcome = match executed.activity {
                    Some((kind, title, order)) => outcome
                        .with_activity(
                            kind,
                            title,
                            if draft.needs_review() { ActivityStatus::Warning } else { ActivityStatus::Success },
                        )
                        .with_metadata(json!({ "order_id": order, "needs_review": draft.needs_review() })),
                    None => outcome,
                };
                outcome.used.orders = i32::from(executed.is_new);
                match Self::write_outcome(tx, lease, language, &outcome).await? {
                    CommitStatus::Committed | CommitStatus::AlreadyCommitted => {
                        Ok(jobs::webhook_messages(tx).await.map_err(ApiError::from)?)
                    }
                    // The error rolls the order back too: a person or another worker has the conversation.
                    CommitStatus::Discarded => Err(ConfirmError::LeaseLost),
                }
            })
            .await;
        match confirmed {
            Ok(messages) => webhook_endpoints::wake_worker(&self.webhook_queue, &messages).await,
            Err(ConfirmError::LeaseLost) => {}
            Err(ConfirmError::Failed(error)) => return Err(error.into()),
        }
        Ok(())
    }
}

/// The error of a confirmation.
#[derive(Debug, thiserror::Error)]
enum ConfirmError {
    #[error("the lease of the conversation was lost")]
    LeaseLost,
    #[error(transparent)]
    Failed(#[from] ApiError),
}

/// The result of a confirmed draft.
struct ExecutedDraft {
    text: String,
    /// Type and title of the activity, and the order's id.
    activity: Option<(&'static str, &'static str, Uuid)>,
    /// True when an order was created.
    is_new: bool,
}

/// Creates, changes or cancels the order of a draft.
async fn execute_draft(
    tx: &mut TenantTx,
    conversation: Uuid,
    draft: &OrderDraft,
    language: Language,
) -> Result<ExecutedDraft, ApiError> {
    let done = |text, kind, title, order: &orders::Order| ExecutedDraft {
        text,
        activity: Some((kind, title, order.id)),
        is_new: kind == "order_created",
    };
    let Some(order) = draft.order_id else {
        let order = orders::create(tx, conversation, draft).await?;
        let text = customer_texts::ordered(&order, draft.needs_review(), language);
        return Ok(done(text, "order_created", "A contact has ordered", &order));
    };
    let changed = if draft.cancels {
        orders::cancel(tx, conversation, order).await?
    } else {
        orders::change(tx, conversation, order, draft).await?
    };
    Ok(match changed {
        Some(order) if draft.cancels => done(
            customer_texts::cancelled(&order, language),
            "order_cancelled",
            "A contact has cancelled an order",
            &order,
        ),
        Some(order) => {
            done(customer_texts::changed(&order, language), "order_changed", "A contact has changed an order", &order)
        }
        None => ExecutedDraft {
            text: customer_texts::cannot_be_changed(language).to_owned(),
            activity: None,
            is_new: false,
        },
    })
}
