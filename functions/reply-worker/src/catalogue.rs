//! Mode LIVE without a language model: quotes the catalogue. Nobody takes an order then but a person.

use serde_json::json;
use shared::{
    customer_texts,
    llm::{ModelCall, Usage},
    products::{self, CatalogueMatch, Product},
};

use crate::{
    Deps,
    generation::{GeneratedReply, ReplyError, ReplyRequest},
};

/// Maximum number of products in a list of the catalogue.
const MAX_LISTED: usize = 10;

impl Deps {
    /// Answers the pending messages with the products that they name, or with the catalogue when they ask for it. Other
    /// questions are answered from the documents, and where these say nothing, the answer shows what the company sells.
    /// Appends the calls of embedding models to `calls`, also when it fails.
    pub(crate) async fn quote_catalogue(
        &self,
        request: &ReplyRequest<'_>,
        calls: &mut Vec<ModelCall>,
    ) -> Result<GeneratedReply, ReplyError> {
        let said = &request.standalone;
        let catalogue =
            self.db.tenant_tx(request.tenant, async |tx| Ok(products::list_available(tx, said).await?)).await?;
        let CatalogueMatch { named, wants_to_buy, is_about_catalogue } = find_products(&catalogue, request);
        let quoted = if named.is_empty() { catalogue.iter().take(MAX_LISTED).collect() } else { named.clone() };
        if quoted.is_empty() {
            return self.answer_from_documents(request, calls).await;
        }
        let lines = customer_texts::product_lines(&quoted, request.language);
        let quote = format!("{lines}\n\n{}", customer_texts::how_to_order(request.language));
        if is_about_catalogue {
            return Ok(from_catalogue(quote));
        }
        let answer = self.answer_from_documents(request, calls).await?;
        match (answer.answered, named.is_empty()) {
            (true, true) => Ok(answer),
            (true, false) => Ok(GeneratedReply { text: format!("{}\n\n{quote}", answer.text), ..answer }),
            (false, false) if wants_to_buy => Ok(from_catalogue(quote)),
            (false, _) => {
                let intro = customer_texts::what_we_sell(request.language);
                Ok(GeneratedReply { text: format!("{}\n\n{intro}\n{lines}", answer.text), ..answer })
            }
        }
    }
}

/// Finds the products that the pending messages name, or else those that the question before them named.
fn find_products<'p>(catalogue: &'p [Product], request: &ReplyRequest<'_>) -> CatalogueMatch<'p> {
    let found = products::match_catalogue(catalogue, request.question, request.language);
    if found.named.is_empty() && request.standalone != request.question {
        let earlier = products::match_catalogue(catalogue, &request.standalone, request.language);
        if !earlier.named.is_empty() {
            return earlier;
        }
    }
    found
}

fn from_catalogue(text: String) -> GeneratedReply {
    GeneratedReply {
        text,
        citations: Some(json!([])),
        answered: true,
        model: products::QUOTE_MODEL.to_owned(),
        usage: Usage::default(),
        draft: None,
        hands_over: false,
    }
}
