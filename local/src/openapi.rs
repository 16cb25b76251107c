//! `cargo openapi`: writes `openapi.json`, one document with the routes of all functions. Adds what holds for every
//! operation: the error responses follow from the operation's inputs and its authorization; examples and links follow from
//! the schemas and the paths.

mod examples;
mod links;
mod texts;

use std::{collections::BTreeMap, fs};

use anyhow::{Context, Result, anyhow, bail, ensure};
use clap::Args;
use local_postgres::root;
use serde_json::{Map, Value, json};
use shared::{
    documents::Document,
    error::{ApiError, ErrorBody, ErrorDetail},
    function::Function,
    http::RATE_LIMIT_EXTENSION,
    messages::Message,
    orders::OrderDetails,
    webhook_endpoints::{self, ChangedSubscription, EventType, QuotaReached, WebhookConversation},
};
use utoipa::openapi::ComponentsBuilder;

use self::texts::{ROLES, TAGS};
use crate::functions;

const DESCRIPTION: &str = "A WhatsApp assistant that answers from its tenants' documents. JSON over HTTPS. A success \
    answers `{\"success\":true,\"data\":…}`. A failure answers `{\"success\":false,\"error\":{…}}` with a stable \
    `code`, a message and the request's id. Times are RFC 3339 in UTC. A query parameter that an operation does not have \
    is refused with 422; the webhooks, the health check and the two pages of this documentation ignore it.";

/// Renamed functions, each with its former name. Operation ids begin with the former name, because generated clients
/// name their methods by operation id.
const FORMER_NAMES: [(&str, &str); 2] = [("audit-log", "privacy"), ("conversations", "messages")];

/// Generates openapi.json from the code.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Write nothing; fail when openapi.json is out of date.
    #[arg(long)]
    check: bool,
}

/// Writes or checks openapi.json.
///
/// # Errors
/// With `--check`, fails when openapi.json is out of date.
pub fn run(arguments: &Arguments) -> Result<()> {
    let path = root().join("openapi.json");
    let shown = path.display();
    let text = document()?;
    if arguments.check {
        if fs::read_to_string(&path).unwrap_or_default() != text {
            bail!("openapi.json is stale: run `cargo openapi` and commit it");
        }
        return Ok(());
    }
    fs::write(&path, text).with_context(|| format!("{shown} cannot be written"))
}

/// The document with sorted keys, so that its text changes only when the code does.
///
/// # Errors
/// Fails when two functions use one schema name for different schemas.
pub fn document() -> Result<String> {
    let mut paths = Map::new();
    let own = ComponentsBuilder::new().schema_from::<ErrorBody>().schema_from::<ErrorDetail>();
    let own = own.schema_from::<Message>().schema_from::<OrderDetails>().schema_from::<Document>();
    let own =
        own.schema_from::<WebhookConversation>().schema_from::<QuotaReached>().schema_from::<ChangedSubscription>();
    let mut schemas = json!(own.build())["schemas"].take();
    for function in functions::ALL {
        add(function, &mut paths, &mut schemas).with_context(|| function.name)?;
    }
    refer_to_components(&mut schemas);
    let tags = tags(&paths)?;
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Lisa",
            "version": env!("CARGO_PKG_VERSION"),
            "description": DESCRIPTION,
            "contact": { "name": "The operator of the deployment that serves this document" },
            "license": { "name": "MIT", "identifier": "MIT" },
        },
        "servers": [{ "url": "/", "description": "The deployment that serves this document" }],
        "security": [{ "bearer": [] }],
        "tags": tags,
        "paths": paths,
        "webhooks": EventType::ALL.iter().map(|event| (event.as_str(), webhook(*event))).collect::<BTreeMap<_, _>>(),
        "components": {
            "schemas": schemas,
            "responses": errors()
                .into_iter()
                .map(|error| (name(&error), response(&error)))
                .chain([("Throttled".to_owned(), throttled())])
                .collect::<Map<_, _>>(),
            "parameters": { "Company": company_parameter() },
            "headers": headers(),
            "securitySchemes": { "bearer": {
                "type": "http",
                "scheme": "bearer",
                "bearerFormat": "JWT",
                "description": bearer_description(),
                // For /docs, which explains the roles in a list.
                "x-roles": ROLES.iter().map(|(role, about)| json!({ "name": role, "description": about })).collect::<Vec<_>>(),
            }, "manychat": {
                "type": "apiKey",
                "in": "header",
                "name": "X-Webhook-Secret",
                "description": "The company's webhook secret, which its ManyChat bot sends.",
            }, "stripeSignature": {
                "type": "apiKey",
                "in": "header",
                "name": "Stripe-Signature",
                "description": "`t=<unix>,v1=<hex>`: HMAC-SHA256 over `<t>.<raw body>`, keyed with the endpoint's secret.",
            } },
        },
    });
    examples::add(&mut document)?;
    links::add(&mut document)?;
    Ok(serde_json::to_string_pretty(&document).context("the document cannot be written")? + "\n")
}

/// The tags that operations have, each with its description.
fn tags(paths: &Map<String, Value>) -> Result<Vec<Value>> {
    for (_, operation) in paths.values().flat_map(operations) {
        let tag = operation["tags"][0].as_str().unwrap_or_default();
        let is_described = TAGS.iter().any(|(name, _)| *name == tag);
        ensure!(is_described, "the tag {tag} has no description: add it to local/src/openapi/texts.rs");
    }
    let used = |tag: &str| paths.values().flat_map(operations).any(|(_, operation)| operation["tags"][0] == tag);
    let tags = TAGS.iter().filter(|(name, _)| used(name));
    Ok(tags.map(|(name, about)| json!({ "name": name, "description": about })).collect())
}

fn operations(item: &Value) -> impl Iterator<Item = (&String, &Value)> {
    item.as_object().into_iter().flatten()
}

/// The operations below `paths` or `webhooks`, with their names, such as `GET /health`.
fn operations_mut(paths: &mut Value) -> impl Iterator<Item = (String, &mut Value)> {
    paths.as_object_mut().into_iter().flatten().flat_map(|(path, item)| {
        let operations = item.as_object_mut().into_iter().flatten();
        operations.map(move |(method, operation)| (format!("{} {path}", method.to_uppercase()), operation))
    })
}

fn bearer_description() -> String {
    let roles: Vec<_> = ROLES.iter().map(|(role, about)| format!("- `{role}`: {about}")).collect();
    format!(
        "The `access_token` of `POST /api/v1/auth/login`, or one of the Supabase project. The name in an operation's \
         requirement is the least role that may call it:\n\n{}",
        roles.join("\n"),
    )
}

/// Replaces the data of the envelopes and lists, which are written out, by references to their components.
fn refer_to_components(schemas: &mut Value) {
    let names: Vec<_> = operations(schemas).map(|(name, _)| name.clone()).collect();
    for wrapper in &names {
        let Some(name) = wrapper.strip_prefix("Envelope_").or_else(|| wrapper.strip_prefix("List_")) else { continue };
        let name = name.strip_prefix("Vec_").unwrap_or(name);
        let component = schemas[name].clone();
        let data = &mut schemas[wrapper]["properties"]["data"];
        let data = if data["items"].is_object() { &mut data["items"] } else { data };
        if *data == component {
            *data = json!({ "$ref": format!("#/components/schemas/{name}") });
        }
    }
}

/// Adds a function's paths and schemas to the document.
fn add(function: &Function, paths: &mut Map<String, Value>, schemas: &mut Value) -> Result<()> {
    let Some(openapi) = function.openapi else { return Ok(()) };
    let mut own = json!(openapi());
    for (name, schema) in own["components"]["schemas"].as_object().into_iter().flatten() {
        match &schemas[name] {
            Value::Null => schemas[name] = schema.clone(),
            known if known == schema => {}
            _ => bail!("its schema {name} is another one than that of a function before: rename it"),
        }
    }
    for (path, item) in own["paths"].as_object_mut().into_iter().flatten() {
        for (method, operation) in item.as_object_mut().into_iter().flatten() {
            add_shared_parts(path, operation).with_context(|| format!("{method} {path}"))?;
            // Operation ids are unique only within a function: several functions have a `list`.
            let id = operation["operationId"].as_str().unwrap_or_default();
            operation["operationId"] = json!(format!("{}_{id}", operation_id_prefix(function.name)));
            paths.entry(path).or_insert_with(|| json!({}))[method] = operation.take();
        }
    }
    Ok(())
}

/// Returns the entry of `webhooks` in the document: the request that a company's endpoint gets for an event.
fn webhook(event: EventType) -> Value {
    let header = |name: &str, about: &str| {
        let schema = json!({ "type": "string" });
        json!({ "name": name, "in": "header", "required": true, "description": about, "schema": schema })
    };
    let body = json!({
        "type": "object",
        "required": ["id", "type", "version", "timestamp", "data"],
        "properties": {
            "id": {
                "type": "string",
                "description": "The header `webhook-id`; the same at every attempt.",
                "example": "evt_3f1d2c4b0c7e4a538a4e5d2f9b1c5a69",
            },
            "type": { "type": "string", "const": event.as_str() },
            "version": { "type": "integer", "const": webhook_endpoints::BODY_VERSION },
            "timestamp": {
                "type": "string",
                "format": "date-time",
                "description": "Time of the event.",
                "example": "2026-11-23T09:30:06Z",
            },
            "data": { "$ref": format!("#/components/schemas/{}", event.data_schema()) },
        },
    });
    json!({ "post": {
        "operationId": format!("on_{}", event.as_str().replace('.', "_")),
        "tags": ["webhook-endpoints"],
        "summary": texts::summary(event.description()),
        "description": event.description(),
        "security": [],
        "parameters": [
            header("webhook-id", "Id of the event, by which a receiver notices a repetition."),
            header("webhook-timestamp", "Time of the attempt, in seconds since 1970."),
            header("webhook-signature", "`v1,<base64>`, for each secret that signs, separated by spaces."),
        ],
        "requestBody": { "required": true, "content": { "application/json": { "schema": body } } },
        "responses": {
            "2XX": { "description": "The event was taken. The body of the answer is not read." },
            "410": { "description": "The endpoint is gone, and is switched off." },
        },
    } })
}

/// Returns the first part of a function's operation ids, such as `live_mode`.
fn operation_id_prefix(function: &str) -> String {
    let former = FORMER_NAMES.iter().find(|(name, _)| *name == function);
    former.map_or(function, |(_, former)| former).replace('-', "_")
}

/// Adds the error responses, the response headers and the `X-Customer-Id` parameter to an operation.
fn add_shared_parts(path: &str, operation: &mut Value) -> Result<()> {
    let scopes =
        operation["security"].as_array().ok_or_else(|| anyhow!("use shared::routes!: it says who may call"))?;
    let role = scopes.iter().find_map(|one| one["bearer"].as_array()).map(|roles| roles.first().cloned());
    let is_public = scopes.iter().any(|one| one == &json!({}));
    let access = texts::access(&operation["security"]);
    let asks_for = |scheme: &str| scopes.iter().any(|one| one.get(scheme).is_some());
    let (has_secret, is_signed) = (asks_for("manychat"), asks_for("stripeSignature"));
    let is_tenant_scoped =
        matches!(role.as_ref().and_then(Option::as_ref), Some(Value::String(role)) if role.ends_with("_user"));
    let is_rate_limited = operation[RATE_LIMIT_EXTENSION].is_string();
    let refuses_parameters = is_rate_limited && operation[RATE_LIMIT_EXTENSION] != "webhook";
    describe(operation, &access);
    if is_public && role.is_none() {
        // An empty list overrides the document's default security requirement.
        operation["security"] = json!([]);
    }
    for parameter in operation.get_mut("parameters").and_then(Value::as_array_mut).into_iter().flatten() {
        // An `Option` in the code is an optional parameter, not a nullable one.
        if let Some([kind, Value::String(null)]) = parameter["schema"]["type"].as_array().map(Vec::as_slice)
            && null == "null"
        {
            parameter["schema"]["type"] = kind.clone();
        }
    }
    if is_tenant_scoped {
        let parameters = operation.as_object_mut().map(|operation| operation.entry("parameters").or_insert(json!([])));
        let company = json!({ "$ref": "#/components/parameters/Company" });
        parameters.and_then(Value::as_array_mut).into_iter().for_each(|all| all.push(company.clone()));
    }
    let takes = |place: &str| {
        operation["parameters"].as_array().into_iter().flatten().any(|one| one["in"] == place || one["name"] == place)
    };
    let has_key = takes("Idempotency-Key");
    let rules = [
        (500, true),
        (429, is_rate_limited),
        (503, is_rate_limited || role.is_some()),
        (401, role.is_some() || has_secret),
        // Tokens that are valid but not sufficient: of a service instead of a person, of too low a role, or of a
        // closed company.
        (403, matches!(role, Some(Some(_))) || has_secret),
        (404, is_tenant_scoped || path.contains('{')),
        // A query parameter that the operation does not have is refused, except where vendors write the URL.
        (422, is_tenant_scoped || takes("query") || has_key || refuses_parameters),
        (409, has_key),
    ];
    // A signed body is accepted under any content type and in any shape.
    let body_rules = [(400, true), (413, true), (415, true), (422, !is_signed)]
        .map(|(status, holds)| (status, holds && operation["requestBody"].is_object()));
    let statuses = rules.into_iter().chain(body_rules).filter(|(_, holds)| *holds);
    let statuses: Vec<String> = statuses.map(|(status, _)| status.to_string()).collect();
    let responses = operation["responses"].as_object_mut().context("it has no responses")?;
    for status in statuses {
        responses.entry(status).or_insert(Value::Null);
    }
    complete_responses(responses, is_rate_limited)?;
    if !is_rate_limited {
        responses.insert("429".to_owned(), json!({ "$ref": "#/components/responses/Throttled" }));
    }
    Ok(())
}

/// Sets the summary to the first statement of the handler's documentation, and the description to all of it, with who may
/// call.
fn describe(operation: &mut Value, access: &str) {
    let parts = ["summary", "description"].map(|part| operation[part].as_str().unwrap_or_default().to_owned());
    operation["summary"] = json!(texts::summary(&parts[0]));
    let parts = parts.iter().map(String::as_str).chain([access]).filter(|part| !part.is_empty());
    operation["description"] = json!(parts.collect::<Vec<_>>().join("\n\n"));
}

/// Adds headers and a description to the successes, and the shared body to the errors that have none.
fn complete_responses(responses: &mut serde_json::Map<String, Value>, is_rate_limited: bool) -> Result<()> {
    for (status, response) in responses {
        let is_error = status.parse::<u16>().is_ok_and(|status| status >= 400);
        if is_error && response["content"].is_null() {
            // A handler may declare an error by its status alone.
            let error = errors().into_iter().find(|error| error.status.as_str() == status);
            let error =
                error.with_context(|| format!("{status} is no error of ours: add it to local/src/openapi.rs"))?;
            *response = json!({ "$ref": format!("#/components/responses/{}", name(&error)) });
            continue;
        }
        response["headers"]["x-request-id"] = header("x-request-id");
        // The body of a stream is a text of events. Its schema describes their data, by the names of the events, which
        // OpenAPI 3.1 has no place for.
        if let Some(stream) = response.pointer_mut("/content/text~1event-stream") {
            let events = stream["schema"].take();
            stream["schema"] =
                json!({ "type": "string", "contentMediaType": "text/event-stream", "contentSchema": events });
            stream["x-events"] = events;
        }
        for name in
            ["RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"].into_iter().filter(|_| is_rate_limited)
        {
            response["headers"][name] = header(name);
        }
        if response["description"].as_str().is_none_or(str::is_empty) {
            response["description"] = json!(if status == "204" { "Done; there is no body" } else { "Success" });
        }
    }
    Ok(())
}

/// One example error per status, built by the code that builds the real ones.
fn errors() -> Vec<ApiError> {
    let quota = json!({
        "is_pro": false, "free_quota_used": 8, "free_quota_limit": 8, "state": "blocked", "paywall_should_show": true,
    });
    let mut limited = error(429, "rate_limited", "too many requests, try again later");
    limited.retry_after_s = Some(12);
    vec![
        ApiError::bad_request("malformed_json", "the body is not JSON"),
        ApiError::unauthorized(),
        error(402, "quota_exceeded", "the free quota is used up: a plan lifts the limit").with_details(quota),
        ApiError::forbidden("forbidden", "only the owner of the company may do this"),
        ApiError::not_found("document"),
        ApiError::conflict("idempotency_key_reused", "this Idempotency-Key was used for another request"),
        ApiError::gone("invitation_expired", "the invitation has expired")
            .with_details(json!({ "ended_at": "2026-11-26T09:30:06Z" })),
        ApiError::payload_too_large(262_144),
        ApiError::unsupported_media_type("the content type must be application/json"),
        ApiError::field("question", "must have 1 to 10000 characters"),
        limited,
        ApiError::internal(),
        ApiError::unavailable(),
    ]
}

fn error(status: u16, code: &'static str, message: &str) -> ApiError {
    let mut error = ApiError::bad_request(code, message);
    error.status = status.try_into().unwrap_or(error.status);
    error
}

/// The component name of an error: `NotFound` for `404 Not Found`.
fn name(error: &ApiError) -> String {
    error.status.canonical_reason().unwrap_or_default().replace(' ', "")
}

fn response(error: &ApiError) -> Value {
    let about = match error.status.as_u16() {
        400 => "The request cannot be read",
        401 => "The token or secret is missing or not valid; after `token_expired`, exchange the refresh token",
        402 => "The quota is used up, or the plan's limit reached; `details` holds the state",
        403 => "The role is too low, or the company is suspended (`tenant_suspended`) or deleted (`tenant_deleted`)",
        404 => "The object does not exist, or belongs to another company",
        409 => "The request conflicts with the current state",
        410 => "The object has ended and cannot be used any more; `code` says why",
        413 => "The body is too large; `details` names the limit, and the two steps that upload a larger file",
        415 => "Another content type or content encoding is expected",
        422 => "Some fields are not valid, `details` names them; or a company must be named (`tenant_required`)",
        429 => "Too many requests",
        500 => "Internal error",
        _ => "A dependency is down; the same call may work in a moment",
    };
    let mut headers = json!({ "x-request-id": header("x-request-id") });
    if error.status == 401 {
        headers["WWW-Authenticate"] = header("WWW-Authenticate");
    }
    if error.status == 429 {
        for name in ["RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"] {
            headers[name] = header(name);
        }
    }
    if error.retry_after_s.is_some() {
        headers["Retry-After"] = header("Retry-After");
    }
    let schema = json!({ "$ref": "#/components/schemas/ErrorBody" });
    json!({
        "description": about,
        "headers": headers,
        "content": { "application/json": { "schema": schema, "example": error.body("JKJaXmPLvHcESHA=") } },
    })
}

/// The answer of API Gateway, which knows neither the envelope nor the request's id, above its limit for the whole API.
fn throttled() -> Value {
    let message = json!({ "type": "string", "description": "One sentence for people." });
    let schema = json!({ "type": "object", "required": ["message"], "properties": { "message": message } });
    json!({
        "description": "Too many requests to the whole API: the gateway answers by itself",
        "content": { "application/json": { "schema": schema, "example": { "message": "Too Many Requests" } } },
    })
}

fn header(name: &str) -> Value {
    json!({ "$ref": format!("#/components/headers/{name}") })
}

fn headers() -> Value {
    let integer = |about: &str, example: u32| json!({ "description": about, "schema": { "type": "integer", "minimum": 0 }, "example": example });
    let text = |about: &str, example: &str| json!({ "description": about, "schema": { "type": "string" }, "example": example });
    json!({
        "x-request-id": text("The request's id, for support requests; every response has it.", "JKJaXmPLvHcESHA="),
        "RateLimit-Limit": integer("The number of requests allowed per minute.", 100),
        "RateLimit-Remaining": integer("The number of requests left now.", 99),
        "RateLimit-Reset": integer("Seconds until the full number is available again.", 1),
        "Retry-After": integer("Seconds to wait before a retry.", 5),
        "WWW-Authenticate": text("Always `Bearer`.", "Bearer"),
    })
}

fn company_parameter() -> Value {
    json!({
        "name": "X-Customer-Id",
        "in": "header",
        "required": false,
        "description": "The company to act for, required for members of several; by default the caller's own.",
        "schema": { "type": "string", "format": "uuid" },
    })
}
