//! `cargo openapi`: the routes of all functions in one document, `openapi.json`. What holds for all of them is said here,
//! once: the errors that an operation may answer follow from what it takes and whom it is for.

use std::fs;

use anyhow::{Context, Result, anyhow, bail};
use clap::Args;
use local_postgres::root;
use serde_json::{Map, Value, json};
use shared::{
    auth::gate::RATE_LIMIT,
    error::{ApiError, ErrorBody, ErrorDetail},
    function::Function,
};
use utoipa::openapi::ComponentsBuilder;

use crate::functions;

const DESCRIPTION: &str = "A WhatsApp assistant that answers from its tenants' documents. JSON over HTTPS; what succeeds \
    answers `{\"success\":true,\"data\":…}`, what fails `{\"success\":false,\"error\":{…}}` with a stable `code`, a \
    sentence and the request's id. Times are RFC 3339 in UTC.";

/// The groups of the operations, in the order in which one meets them.
const TAGS: [(&str, &str); 12] = [
    ("auth", "Accounts, and the tokens that everything else asks for."),
    ("quota", "How many questions are left."),
    ("documents", "The PDFs that answers are taken from."),
    ("query", "Questions, answered from the documents with the page."),
    ("webhooks", "What other systems call."),
    ("conversations", "What customers write on WhatsApp, and who answers: the assistant, or a person."),
    ("live-mode", "Whether the assistant sells, or answers from documents."),
    ("customer", "The company, and what it is connected with."),
    ("billing", "What is used of the plan, what was billed, and the ways to pay."),
    ("privacy", "Who did what to the company's data."),
    ("health", "Whether the API is up."),
    ("docs", "This document, and a page to read and try it."),
];

/// Writes openapi.json anew from the code.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Write nothing; fail when openapi.json is stale.
    #[arg(long)]
    check: bool,
}

/// Writes or checks the document.
///
/// # Errors
/// With `--check`, a document that is stale.
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

/// The document, its keys sorted, so that it changes only where the code does.
///
/// # Errors
/// Two functions that use one name for two things.
pub fn document() -> Result<String> {
    let mut paths = Map::new();
    let body = ComponentsBuilder::new().schema_from::<ErrorBody>().schema_from::<ErrorDetail>();
    let mut schemas = json!(body.build())["schemas"].take();
    for function in functions::ALL {
        add(function, &mut paths, &mut schemas).with_context(|| function.name)?;
    }
    let used = |tag: &str| paths.values().flat_map(operations).any(|(_, operation)| operation["tags"][0] == tag);
    let tags: Vec<_> = TAGS.iter().filter(|(name, _)| used(name)).collect();
    let document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Lisa",
            "version": env!("CARGO_PKG_VERSION"),
            "description": DESCRIPTION,
            "license": { "name": "MIT", "identifier": "MIT" },
        },
        "servers": [{ "url": "/", "description": "The deployment that serves this document" }],
        "security": [{ "bearer": [] }],
        "tags": tags.iter().map(|(name, about)| json!({ "name": name, "description": about })).collect::<Vec<_>>(),
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": errors().into_iter().map(|error| (name(&error), response(&error))).collect::<Map<_, _>>(),
            "parameters": { "Company": company() },
            "headers": headers(),
            "securitySchemes": { "bearer": {
                "type": "http",
                "scheme": "bearer",
                "bearerFormat": "JWT",
                "description": "The `access_token` of `POST /api/v1/auth/login`, or one of the Supabase project. The \
                    name in an operation's requirement is the least role that may call it: `user`, a person; \
                    `support_user`, a member of the company; `account_user`, its owner; `service`, another back end.",
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
    Ok(serde_json::to_string_pretty(&document).context("the document cannot be written")? + "\n")
}

fn operations(item: &Value) -> impl Iterator<Item = (&String, &Value)> {
    item.as_object().into_iter().flatten()
}

/// Adds a function's routes and schemas.
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
            complete(path, operation).with_context(|| format!("{method} {path}"))?;
            // Handlers are named within their function: `list` there is many an operation here.
            let id = operation["operationId"].as_str().unwrap_or_default();
            operation["operationId"] = json!(format!("{}_{id}", function.name.replace('-', "_")));
            paths.entry(path).or_insert_with(|| json!({}))[method] = operation.take();
        }
    }
    Ok(())
}

/// Adds what follows from a rule: errors, headers, and the parameter that names the company.
fn complete(path: &str, operation: &mut Value) -> Result<()> {
    let scopes =
        operation["security"].as_array().ok_or_else(|| anyhow!("use shared::routes!: it says who may call"))?;
    let role = scopes.iter().find_map(|one| one["bearer"].as_array()).map(|roles| roles.first().cloned());
    let is_public = scopes.iter().any(|one| one == &json!({}));
    let asks_for = |scheme: &str| scopes.iter().any(|one| one.get(scheme).is_some());
    let (has_secret, is_signed) = (asks_for("manychat"), asks_for("stripeSignature"));
    let is_of_a_company =
        matches!(role.as_ref().and_then(Option::as_ref), Some(Value::String(role)) if role.ends_with("_user"));
    let is_counted = operation[RATE_LIMIT].is_string();
    if is_public && role.is_none() {
        // OpenAPI's way to say that the requirement of all others does not hold here.
        operation["security"] = json!([]);
    }
    for parameter in operation.get_mut("parameters").and_then(Value::as_array_mut).into_iter().flatten() {
        // An `Option` in the code is a parameter that may be left out, not one whose value may be null.
        if let Some([kind, Value::String(null)]) = parameter["schema"]["type"].as_array().map(Vec::as_slice)
            && null == "null"
        {
            parameter["schema"]["type"] = kind.clone();
        }
    }
    if is_of_a_company {
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
        (429, is_counted),
        (503, is_counted || role.is_some()),
        (401, role.is_some() || has_secret),
        // A token of the wrong kind: of a service where a person is asked for, of another role, of a closed company.
        (403, matches!(role, Some(Some(_))) || has_secret),
        (404, is_of_a_company || path.contains('{')),
        (422, is_of_a_company || takes("query") || has_key),
        (409, has_key),
    ];
    // What its sender signed is taken, whatever it calls it.
    let of_a_body = [(400, true), (413, true), (415, !is_signed), (422, !is_signed)]
        .map(|(status, holds)| (status, holds && operation["requestBody"].is_object()));
    let statuses = rules.into_iter().chain(of_a_body).filter(|(_, holds)| *holds);
    let statuses: Vec<String> = statuses.map(|(status, _)| status.to_string()).collect();
    let responses = operation["responses"].as_object_mut().context("it has no responses")?;
    for status in statuses {
        responses.entry(status).or_insert(Value::Null);
    }
    for (status, response) in responses {
        let is_error = status.parse::<u16>().is_ok_and(|status| status >= 400);
        if is_error && response["content"].is_null() {
            // A handler may name an error of its own by its status alone.
            let error = errors().into_iter().find(|error| error.status.as_str() == status);
            let error =
                error.with_context(|| format!("{status} is no error of ours: add it to local/src/openapi.rs"))?;
            *response = json!({ "$ref": format!("#/components/responses/{}", name(&error)) });
            continue;
        }
        response["headers"]["x-request-id"] = header("x-request-id");
        for name in ["RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"].into_iter().filter(|_| is_counted) {
            response["headers"][name] = header(name);
        }
        if response["description"].as_str().is_none_or(str::is_empty) {
            response["description"] = json!(if status == "204" { "Done; there is no body" } else { "Success" });
        }
    }
    Ok(())
}

/// An error of each status that a client may meet, as the code makes it.
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

/// `404 Not Found` is `NotFound`.
fn name(error: &ApiError) -> String {
    error.status.canonical_reason().unwrap_or_default().replace(' ', "")
}

fn response(error: &ApiError) -> Value {
    let about = match error.status.as_u16() {
        400 => "The request cannot be read",
        401 => "No token or secret, or none that counts",
        402 => "The quota is used up, or the plan's limit reached; `details` holds the state",
        403 => "The role is too low, or the company is suspended (`tenant_suspended`) or deleted (`tenant_deleted`)",
        404 => "Unknown, or somebody else's",
        409 => "Right in itself, but not now",
        413 => "The body is too large; `details` names the limit",
        415 => "Another content type is expected",
        422 => "Some fields are not valid, `details` names them; or a company must be named (`tenant_required`)",
        429 => "Too many requests",
        500 => "Something went wrong here",
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

fn header(name: &str) -> Value {
    json!({ "$ref": format!("#/components/headers/{name}") })
}

fn headers() -> Value {
    let integer = |about: &str, example: u32| json!({ "description": about, "schema": { "type": "integer", "minimum": 0 }, "example": example });
    let text = |about: &str, example: &str| json!({ "description": about, "schema": { "type": "string" }, "example": example });
    json!({
        "x-request-id": text("What to name when asking for help; every answer has it.", "JKJaXmPLvHcESHA="),
        "RateLimit-Limit": integer("Requests a minute.", 100),
        "RateLimit-Remaining": integer("Requests that are left now.", 99),
        "RateLimit-Reset": integer("Seconds until all are there again.", 1),
        "Retry-After": integer("Seconds after which a repetition makes sense.", 5),
        "WWW-Authenticate": text("Always `Bearer`.", "Bearer"),
    })
}

fn company() -> Value {
    json!({
        "name": "X-Customer-Id",
        "in": "header",
        "required": false,
        "description": "Which company, for members of several; their own otherwise.",
        "schema": { "type": "string", "format": "uuid" },
    })
}
