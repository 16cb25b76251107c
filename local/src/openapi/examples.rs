//! Examples of requests and responses. Each is composed from the examples of the schemas, which stand beside the types in
//! the code, and then changed where an operation's answer differs from its schema's example.

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Map, Value, json};

use super::operations_mut;

/// Differences between the body of an operation and the example of its schema: the operation, the status of the response or
/// `request`, and what is different.
const DIFFERENCES: &[(&str, &str, &str)] = &[
    (
        "POST /api/v1/admin/customers/{id}/suspend",
        "200",
        r#"{"data": {"status": "suspended", "suspended_at": "2026-11-23T09:31:00Z", "collection": "paused"}}"#,
    ),
    (
        "POST /api/v1/conversations/{id}/takeover",
        "200",
        r#"{"data": {
            "handler": "human", "handover_reason": "person", "handover_until": "2026-11-23T13:30:06Z",
            "handled_by": {"id": "5d0f3c52-8e7a-4b7e-9a55-6f0a2b1c3d4e", "name": "Awa Koné"}
        }}"#,
    ),
    (
        "POST /api/v1/conversations/{id}/reply",
        "201",
        r#"{"data": {
            "author": "agent", "content": "Bonjour, votre colis part ce soir.", "answered": null, "model": null,
            "citations": null, "sent_at": null, "sent_by": "5d0f3c52-8e7a-4b7e-9a55-6f0a2b1c3d4e"
        }}"#,
    ),
    (
        "POST /api/v1/documents/upload",
        "200",
        r#"{"data": {"upload": null, "document": {
            "status": "processed", "pages_total": 2, "pages_done": 2,
            "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"
        }}}"#,
    ),
    (
        "POST /api/v1/documents/{id}/replace",
        "200",
        r#"{"data": {"replaces": ["1f7e6d5c-4b3a-4291-8070-6f5e4d3c2b1a"]}}"#,
    ),
    ("POST /api/v1/documents/{id}/retry", "200", r#"{"data": {"status": "pending", "pages_done": 0}}"#),
    (
        "PATCH /api/v1/orders/{id}",
        "200",
        r#"{"data": {
            "status": "confirmed", "conversation_id": "7a0c4a6e-0a5c-4e0b-9a57-1d2f3a4b5c6d", "customer_notice": "queued"
        }}"#,
    ),
    ("PATCH /api/v1/products/{id}", "200", r#"{"data": {"available": false, "price": "2750"}}"#),
    ("PATCH /api/v1/approved-answers/{id}", "200", r#"{"data": {"answer": "Oui, en trois jours."}}"#),
    ("GET /api/v1/privacy/exports", "200", r#"{"data": [{"download": null}]}"#),
    (
        "POST /api/v1/privacy/exports",
        "202",
        r#"{"data": {"status": "queued", "finished_at": null, "expires_at": null, "size_bytes": null, "download": null}}"#,
    ),
    (
        "POST /api/v1/webhook-endpoints/{id}/secret",
        "201",
        r#"{"data": {"previous_secret_expires_at": "2026-11-24T09:30:06Z"}}"#,
    ),
    (
        "POST /api/v1/webhook-endpoints/{id}/test",
        "201",
        r#"{"data": {
            "event_type": "webhook.test", "status": "pending", "attempts": 0, "delivered_at": null, "last_attempt_at": null,
            "latency_ms": null, "response_status": null, "next_attempt_at": "2026-11-23T09:30:06Z"
        }}"#,
    ),
    ("POST /api/v1/billing/portal", "200", r#"{"data": {"url": "https://billing.stripe.com/p/session/test_a1"}}"#),
    (
        "GET /health",
        "503",
        r#"{"status": "degraded", "checks": {
            "database": {"up": false, "latency_ms": 2000.0}, "queue": {"up": true, "latency_ms": 3.1},
            "storage": {"up": true, "latency_ms": 4.7}
        }}"#,
    ),
    (
        "POST message.received",
        "request",
        r#"{"data": {
            "direction": "inbound", "author": "contact", "content": "Combien coûte la livraison à Abidjan ?",
            "answered": null, "model": null, "citations": null, "sent_at": null
        }}"#,
    ),
    (
        "POST conversation.waiting",
        "request",
        r#"{"data": {"handler": "bot", "handover_reason": null, "handover_until": null, "waiting_reason": "quota"}}"#,
    ),
    ("POST order.updated", "request", r#"{"data": {"status": "confirmed"}}"#),
    (
        "POST document.failed",
        "request",
        r#"{"data": {
            "status": "failed", "pages_total": null, "pages_done": 0, "error_code": "encrypted",
            "error": "Le fichier est protégé par un mot de passe."
        }}"#,
    ),
    ("POST quota.exhausted", "request", r#"{"data": {"used": 2000}}"#),
];

/// Adds an example to each body of a request and of a response that has none.
///
/// # Errors
/// Fails when a schema has no example and none can be composed, and for a difference that names no response.
pub(super) fn add(document: &mut Value) -> Result<()> {
    let schemas = document["components"]["schemas"].clone();
    for part in ["paths", "webhooks"] {
        for (name, operation) in operations_mut(&mut document[part]) {
            add_to_operation(operation, &schemas).with_context(|| format!("{name} needs an example"))?;
        }
    }
    for (name, place, difference) in DIFFERENCES {
        let part = if name.contains(" /") { "paths" } else { "webhooks" };
        let mut all = operations_mut(&mut document[part]);
        let (_, operation) = all.find(|(found, _)| found == name).with_context(|| format!("no operation {name}"))?;
        let body = match *place {
            "request" => &mut operation["requestBody"],
            status => &mut operation["responses"][status],
        };
        let example = &mut body["content"]["application/json"]["example"];
        ensure!(example.is_object(), "{name} has no example of {place}");
        merge(example, serde_json::from_str(difference).with_context(|| format!("the difference of {name}"))?);
    }
    Ok(())
}

fn add_to_operation(operation: &mut Value, schemas: &Value) -> Result<()> {
    if let Some(request) = operation.get_mut("requestBody") {
        add_to_body(request, schemas)?;
    }
    for response in operation["responses"].as_object_mut().into_iter().flat_map(Map::values_mut) {
        add_to_body(response, schemas)?;
    }
    Ok(())
}

fn add_to_body(body: &mut Value, schemas: &Value) -> Result<()> {
    for (kind, media) in body.get_mut("content").and_then(Value::as_object_mut).into_iter().flatten() {
        if media["example"].is_null() {
            media["example"] = compose(&media["schema"], schemas).with_context(|| kind.clone())?;
        }
    }
    Ok(())
}

/// Returns the example of a schema, or one composed from the examples of its parts.
fn compose(schema: &Value, schemas: &Value) -> Result<Value> {
    if let Some(example) = schema.get("example").or_else(|| schema.get("const")) {
        return Ok(example.clone());
    }
    if let Some(reference) = schema["$ref"].as_str() {
        let name = reference.rsplit('/').next().unwrap_or_default();
        return compose(&schemas[name], schemas).with_context(|| name.to_owned());
    }
    if let Some(parts) = schema["allOf"].as_array() {
        let mut whole = json!({});
        for part in parts {
            merge(&mut whole, compose(part, schemas)?);
        }
        return Ok(whole);
    }
    if let Some(one) = schema["oneOf"].as_array().and_then(|all| all.iter().find(|one| one["type"] != "null")) {
        return compose(one, schemas);
    }
    if let Some(properties) = schema["properties"].as_object() {
        let property = |(name, schema): (&String, &Value)| {
            Ok((name.clone(), compose(schema, schemas).with_context(|| name.clone())?))
        };
        return properties.iter().map(property).collect::<Result<Map<_, _>>>().map(Value::Object);
    }
    if schema["items"].is_object() {
        return Ok(json!([compose(&schema["items"], schemas)?]));
    }
    if let Some(value) = schema["enum"].as_array().and_then(|all| all.first()) {
        return Ok(value.clone());
    }
    bail!("its schema has no example: add `#[schema(example = json!(…))]`")
}

/// Merges a JSON merge patch into a value. A null stays: the answers have their absent values as null. The rows of a list
/// are merged one by one.
fn merge(value: &mut Value, patch: Value) {
    match (value, patch) {
        (Value::Object(value), Value::Object(patch)) => {
            for (name, inner) in patch {
                merge(value.entry(name).or_insert(Value::Null), inner);
            }
        }
        (Value::Array(rows), Value::Array(patches)) if rows.len() == patches.len() => {
            for (row, patch) in rows.iter_mut().zip(patches) {
                merge(row, patch);
            }
        }
        (value, patch) => *value = patch,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_example_is_composed_from_the_parts_of_a_schema() {
        let schemas = json!({
            "Order": { "type": "object", "properties": { "id": { "type": "string" } }, "example": { "id": "a" } },
            "Priced": { "allOf": [
                { "$ref": "#/components/schemas/Order" },
                { "properties": { "price": { "type": "integer", "example": 5 } } },
            ] },
        });
        let list = json!({ "properties": {
            "data": { "type": "array", "items": { "oneOf": [{ "type": "null" }, { "$ref": "#/components/schemas/Priced" }] } },
            "mode": { "type": "string", "enum": ["live", "rag"] },
        } });
        assert_eq!(compose(&list, &schemas).unwrap(), json!({ "data": [{ "id": "a", "price": 5 }], "mode": "live" }));
    }

    #[test]
    fn a_part_without_an_example_is_named() {
        let schemas = json!({ "Order": { "properties": { "id": { "type": "string" } } } });
        let error = compose(&json!({ "$ref": "#/components/schemas/Order" }), &schemas).unwrap_err();
        assert!(format!("{error:#}").starts_with("Order: id: its schema has no example"), "{error:#}");
    }

    #[test]
    fn a_difference_replaces_values_and_keeps_the_rest() {
        let mut value = json!({ "data": { "status": "active", "name": "Awa", "at": "now" } });
        merge(&mut value, json!({ "data": { "status": "suspended", "at": null } }));
        assert_eq!(value, json!({ "data": { "status": "suspended", "name": "Awa", "at": null } }));
    }
}
