//! Mode LIVE: the tenant's sales prompt, with tools to order and to hand over.

use shared::{
    llm::ModelCall,
    orders, products,
    sales::{self, SalesError, SalesPrompts, SalesRequest},
};

use crate::{
    Deps,
    generation::{GeneratedReply, ReplyError, ReplyRequest},
    triage,
};

impl Deps {
    /// Answers the pending messages with the sales prompt and its tools. Appends the model calls made to `calls`,
    /// also when it fails.
    pub(crate) async fn reply_in_live_mode(
        &self,
        request: &ReplyRequest<'_>,
        calls: &mut Vec<ModelCall>,
    ) -> Result<GeneratedReply, ReplyError> {
        let (assistant, conversation) = (&request.lease.assistant, &request.lease.conversation);
        let earlier = request.history.iter().map(|turn| turn.text.as_str());
        let said = earlier.chain([request.question]).collect::<Vec<_>>().join("\n");
        let (catalogue, open_order) = self
            .db
            .tenant_tx(request.tenant, async |tx| {
                let catalogue = products::list_available(tx, &said).await?;
                Ok((catalogue, orders::find_changeable(tx, conversation.id).await?))
            })
            .await?;
        let passages = self.retrieve_passages(request, sales::MAX_PASSAGES, calls).await?;
        let prompts =
            SalesPrompts { groq: assistant.prompt_groq.as_deref(), deepseek: assistant.prompt_deepseek.as_deref() };
        let result = sales::reply(
            &self.provider,
            &SalesRequest {
                identity: &assistant.identity,
                prompt: prompts.choose(self.provider.name()).map(|(_, prompt)| prompt),
                question: request.question,
                language: request.language,
                history: request.history,
                catalogue: &catalogue,
                open_order: open_order.as_ref(),
                proposed: triage::valid_draft(request.lease).as_ref(),
                passages: &passages,
                currency: &assistant.currency,
                customer_name: conversation.display_name.as_deref(),
                now: request.lease.now,
                deadline: request.deadline,
            },
        )
        .await;
        calls.extend(result.calls);
        let reply = result.outcome.map_err(|error| match error {
            SalesError::Model(error) => ReplyError::from(error),
            SalesError::Empty | SalesError::RepeatsInstructions => ReplyError::Model(error.into()),
        })?;
        Ok(GeneratedReply {
            text: reply.text,
            citations: None,
            answered: true,
            model: result.model,
            usage: result.usage,
            draft: reply.draft,
            hands_over: reply.hands_over,
        })
    }
}
