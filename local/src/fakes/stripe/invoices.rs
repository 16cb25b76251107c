//! Invoice items and the invoices that contain them.

use anyhow::Result;
use chrono::Utc;
use serde_json::{Value, json};

use super::{
    SentEvent, StripeData, StripeServer,
    api::{Fields, StripeErrorResponse, known_customer, missing, page, required, unrecognized},
    events::event,
    new_id, seconds,
};

/// Executes a request about invoice items or invoices.
pub(super) fn execute(state: &mut StripeData, route: &str, fields: &Fields) -> Result<Value, StripeErrorResponse> {
    let parts: Vec<_> = route.split(['/', ' ']).filter(|part| !part.is_empty()).collect();
    match parts[..] {
        ["POST", "v1", "invoiceitems"] => add_item(state, fields),
        ["GET", "v1", "invoiceitems"] => {
            let customer = required(fields, "customer")?;
            let items: Vec<_> = state.invoice_items.iter().rev().filter(|item| item["customer"] == customer).collect();
            Ok(page(&items, fields, "/v1/invoiceitems"))
        }
        ["GET", "v1", "invoiceitems", id] => {
            let found = state.invoice_items.iter().find(|item| item["id"] == id);
            found.cloned().ok_or_else(|| missing("invoiceitem", "id", id))
        }
        ["POST", "v1", "invoices"] => create(state, fields),
        ["GET", "v1", "invoices", id] => {
            let found = state.invoices.iter().find(|invoice| invoice["id"] == id);
            found.cloned().ok_or_else(|| missing("invoice", "id", id))
        }
        ["POST", "v1", "invoices", id, "finalize"] => {
            let found = state.invoices.iter_mut().find(|invoice| invoice["id"] == id);
            let invoice = found.ok_or_else(|| missing("invoice", "id", id))?;
            if invoice["status"] != "draft" {
                let message = "This invoice is already finalized, you can't re-finalize a non-draft invoice.";
                return Err(StripeErrorResponse(400, "invalid_request_error", "", "", message.to_owned()));
            }
            invoice["status"] = json!("open");
            Ok(invoice.clone())
        }
        _ => Err(unrecognized(route)),
    }
}

/// Adds a pending item. A customer is billed in one currency.
fn add_item(state: &mut StripeData, fields: &Fields) -> Result<Value, StripeErrorResponse> {
    let customer = known_customer(state, required(fields, "customer")?)?;
    let amount: Option<i64> = required(fields, "amount")?.parse().ok();
    let amount = amount.ok_or_else(|| {
        let message = "Invalid integer".to_owned();
        StripeErrorResponse(400, "invalid_request_error", "parameter_invalid_integer", "amount", message)
    })?;
    let currency = required(fields, "currency")?;
    check_currency(state, &customer, currency)?;
    let item = json!({
        "id": new_id("ii"), "object": "invoiceitem", "customer": customer, "amount": amount, "currency": currency,
        "description": fields.get("description"), "invoice": null,
        "metadata": { "billing_record_id": fields.get("metadata[billing_record_id]") }, "livemode": false,
    });
    state.invoice_items.push(item.clone());
    Ok(item)
}

fn check_currency(state: &StripeData, customer: &str, currency: &str) -> Result<(), StripeErrorResponse> {
    match state.customers.get(customer).and_then(|customer| customer["currency"].as_str()) {
        Some(known) if known != currency => {
            let message = format!(
                "You cannot combine currencies on a single customer. This customer has an active subscription, \
                 subscription schedule, discount, quote, or invoice item with currency {known}"
            );
            Err(StripeErrorResponse(400, "invalid_request_error", "", "", message))
        }
        _ => Ok(()),
    }
}

/// Creates a draft invoice, with the customer's pending items when these are to be included.
fn create(state: &mut StripeData, fields: &Fields) -> Result<Value, StripeErrorResponse> {
    let customer = known_customer(state, required(fields, "customer")?)?;
    let currency = fields.get("currency").map_or("eur", String::as_str);
    check_currency(state, &customer, currency)?;
    let method = fields.get("default_payment_method");
    if let Some(method) = method.filter(|method| method.starts_with("pm_detached")) {
        return Err(missing("PaymentMethod", "default_payment_method", method));
    }
    let is_included = fields.get("pending_invoice_items_behavior").is_some_and(|value| value == "include");
    let id = new_id("in");
    let lines = if is_included { take_pending(state, &customer, currency, &id) } else { Vec::new() };
    let total: i64 = lines.iter().filter_map(|line| line["amount"].as_i64()).sum();
    let invoice = json!({
        "id": id, "object": "invoice", "customer": customer, "status": "draft", "currency": currency,
        "auto_advance": fields.get("auto_advance").is_some_and(|value| value == "true"), "amount_due": total,
        "default_payment_method": method, "created": seconds(Utc::now()), "parent": null, "livemode": false,
        "metadata": { "billing_record_id": fields.get("metadata[billing_record_id]") },
        "lines": { "object": "list", "has_more": false, "data": lines },
    });
    state.invoices.push(invoice.clone());
    Ok(invoice)
}

/// Moves a customer's pending items to an invoice; returns the invoice's lines.
pub(super) fn take_pending(state: &mut StripeData, customer: &str, currency: &str, invoice: &str) -> Vec<Value> {
    let pending = state
        .invoice_items
        .iter_mut()
        .filter(|item| item["customer"] == customer && item["currency"] == currency && item["invoice"].is_null());
    pending
        .map(|item| {
            item["invoice"] = json!(invoice);
            json!({
                "id": new_id("il"), "object": "line_item", "amount": item["amount"], "currency": item["currency"],
                "description": item["description"], "invoice": invoice, "metadata": item["metadata"],
                "parent": { "type": "invoice_item_details", "invoice_item_details": { "invoice_item": item["id"] } },
            })
        })
        .collect()
}

impl StripeServer {
    /// Collects the open invoices, and sends the events.
    pub(super) async fn collect_invoices(&self, is_paid: bool) -> Result<Vec<SentEvent>> {
        let events = {
            let mut state = self.state();
            let open = state.invoices.iter_mut().filter(|invoice| invoice["status"] == "open");
            let events = open.map(|invoice| {
                invoice["status"] = json!(if is_paid { "paid" } else { "open" });
                event(if is_paid { "invoice.paid" } else { "invoice.payment_failed" }, invoice)
            });
            let events: Vec<_> = events.collect();
            self.keep(&state)?;
            events
        };
        self.send(events).await
    }
}
