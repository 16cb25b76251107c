//! Extractors whose refusals are our errors: 400 what cannot be read, 404 a path that names nothing, 413 what is too
//! large, 415 what is not JSON, 422 what is wrong, with the field.

use std::net::{IpAddr, Ipv4Addr};

use axum::{
    body::Body,
    extract::{DefaultBodyLimit, FromRequest, FromRequestParts, Request, rejection::PathRejection},
    http::{header, request::Parts},
};
use http_body_util::BodyExt;
use lambda_http::request::RequestContext;
use serde::de::DeserializeOwned;
use serde_json::Value;
use utoipa::{
    ToSchema,
    openapi::{RefOr, Schema},
};

use crate::{
    error::{ApiError, FieldError},
    text::Language,
};

/// Of what is wrong with a body, no more is named.
const MOST_WRONG: usize = 10;

/// A JSON body: an object.
#[derive(Debug, Clone)]
pub struct Json<T>(pub T);

/// Query parameters.
#[derive(Debug, Clone)]
pub struct Query<T>(pub T);

/// Path parameters. One that does not parse names nothing that exists: 404.
#[derive(Debug, Clone)]
pub struct Path<T>(pub T);

/// The raw body, within the function's limit.
#[derive(Debug, Clone)]
pub struct Bytes(pub bytes::Bytes);

/// The limit that `layers` put on the request.
#[derive(Debug, Clone, Copy)]
pub(super) struct BodyLimit(pub(super) usize);

impl<S: Send + Sync> FromRequest<S> for Bytes {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let limit = request.extensions().get::<BodyLimit>().map_or(256 * 1024, |limit| limit.0);
        let declared =
            request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        if declared.is_some_and(|length: usize| length > limit) {
            return Err(ApiError::payload_too_large(limit));
        }
        let limited = http_body_util::Limited::new(request.into_body(), limit);
        match limited.collect().await {
            Ok(body) => Ok(Self(body.to_bytes())),
            Err(error) if error.is::<http_body_util::LengthLimitError>() => Err(ApiError::payload_too_large(limit)),
            Err(error) => {
                Err(ApiError::bad_request("unreadable_body", "the request body could not be read").because(error))
            }
        }
    }
}

impl<S: Send + Sync, T: DeserializeOwned + ToSchema> FromRequest<S> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self, ApiError> {
        let is_json = request.headers().get(header::CONTENT_TYPE).is_some_and(|value| {
            let essence = value.to_str().unwrap_or_default().split(';').next().unwrap_or_default().trim();
            essence.eq_ignore_ascii_case("application/json") || essence.to_ascii_lowercase().ends_with("+json")
        });
        if !is_json {
            return Err(ApiError::unsupported_media_type("the content type must be application/json"));
        }
        let Bytes(body) = Bytes::from_request(request, state).await?;
        parse(&body).map(Self)
    }
}

/// Parses a JSON object, naming what is wrong with it.
///
/// # Errors
/// 400 when it is not JSON, 422 when it is not what was asked for.
fn parse<T: DeserializeOwned + ToSchema>(body: &[u8]) -> Result<T, ApiError> {
    // Some editors put a byte order mark before a text.
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    // serde takes an array for an object whose fields are in the same order: only by chance is that what was meant.
    let is_object = body.trim_ascii_start().first() == Some(&b'{');
    match serde_json::from_slice(body) {
        Ok(value) if is_object => Ok(value),
        Ok(_) => Err(not_an_object()),
        Err(error) => Err(what_is_wrong::<T>(body, &error)),
    }
}

/// Reads a refused body once more, for everything that is wrong with it; for the first error, where that says no more.
fn what_is_wrong<T: DeserializeOwned + ToSchema>(body: &[u8], first: &serde_json::Error) -> ApiError {
    let mut object = match serde_json::from_slice(body) {
        Ok(Value::Object(object)) => object,
        Ok(_) => return not_an_object(),
        Err(error) => return malformed(&error),
    };
    let missing: Vec<_> = required::<T>().into_iter().filter(|name| !object.contains_key(name)).collect();
    let mut wrong: Vec<FieldError> = Vec::new();
    // Each is left out once it is known, so that the next one shows.
    while wrong.len() < MOST_WRONG {
        let Err(error) = serde_path_to_error::deserialize::<_, T>(Value::Object(object.clone())) else { break };
        let path = error.path().to_string();
        let error = field_error(&path, &error.into_inner());
        let name = error.field.split(['.', '[']).next().unwrap_or_default().to_owned();
        if object.remove(&name).is_none() {
            // One that is missing, from the beginning or by now.
            if wrong.is_empty() && !missing.contains(&name) {
                wrong.push(error);
            }
            break;
        }
        wrong.push(error);
    }
    wrong.extend(missing.into_iter().map(|name| FieldError::new(name, "is required")));
    if wrong.is_empty() {
        // A field that is there twice.
        wrong.push(field_error("", first));
    }
    ApiError::validation(wrong)
}

fn not_an_object() -> ApiError {
    ApiError::field("body", "must be an object")
}

/// The fields that a body must have, as openapi.json names them.
fn required<T: ToSchema>() -> Vec<String> {
    match T::schema() {
        RefOr::T(Schema::Object(object)) => object.required,
        _ => Vec::new(),
    }
}

fn malformed(error: &serde_json::Error) -> ApiError {
    let message = format!("the body is not valid JSON (line {}, column {})", error.line(), error.column());
    ApiError::bad_request("malformed_json", message)
}

fn field_error(path: &str, error: &serde_json::Error) -> FieldError {
    // serde appends a position that says nothing to a client.
    let message = error.to_string();
    let message = message.split(" at line ").next().unwrap_or_default();
    // A missing or unknown field is reported at its parent, with the name in backquotes.
    let named = ["missing field `", "unknown field `", "duplicate field `"]
        .iter()
        .find_map(|prefix| message.strip_prefix(prefix))
        .and_then(|rest| rest.split('`').next());
    match (path, named) {
        ("." | "", Some(name)) => FieldError::new(name, message),
        (parent, Some(name)) if !parent.ends_with(name) => FieldError::new(format!("{parent}.{name}"), message),
        ("." | "", None) => FieldError::new("body", message),
        (path, _) => FieldError::new(path, message),
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        axum::extract::Query::from_request_parts(parts, state).await.map(|query| Self(query.0)).map_err(|rejection| {
            let text = rejection.body_text();
            let text = text.strip_prefix("Failed to deserialize query string: ").unwrap_or(&text).to_owned();
            // `page: invalid digit found in string`
            match text.split_once(": ") {
                Some((field, message)) if !field.contains(' ') => ApiError::field(field, message),
                _ => ApiError::field("query", text),
            }
        })
    }
}

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match axum::extract::Path::from_request_parts(parts, state).await {
            Ok(path) => Ok(Self(path.0)),
            Err(PathRejection::FailedToDeserializePathParams(_)) => Err(ApiError::not_found("resource")),
            Err(error) => Err(ApiError::internal().because(error)),
        }
    }
}

/// The language that the caller prefers to be answered in, by `Accept-Language`.
#[derive(Debug, Clone, Copy)]
pub struct Preferred(pub Language);

impl<S: Send + Sync> FromRequestParts<S> for Preferred {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let header = parts.headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
        Ok(Self(preferred(header.unwrap_or_default())))
    }
}

/// Of the languages that we speak the one of the greatest weight, of equals the first; English otherwise.
fn preferred(accept_language: &str) -> Language {
    let weighed = accept_language.split(',').filter_map(|entry| {
        let (tag, weight) = entry.split_once(";q=").unwrap_or((entry, "1"));
        match Language::from_code(tag.trim()) {
            Language::Other => None,
            language => Some((weight.trim().parse::<f32>().ok()?, language)),
        }
    });
    let best = weighed.reduce(|best, entry| if entry.0 > best.0 { entry } else { best });
    best.map_or(Language::English, |(_, language)| language)
}

/// The id of the request, the same as in the header `x-request-id` of its answer.
#[derive(Debug, Clone)]
pub struct RequestId(pub String);

impl<S: Send + Sync> FromRequestParts<S> for RequestId {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_else(|| Self("none".to_owned())))
    }
}

/// The address that API Gateway saw, never one that the client writes into a header.
#[derive(Debug, Clone, Copy)]
pub struct ClientAddress(pub IpAddr);

impl<S: Send + Sync> FromRequestParts<S> for ClientAddress {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let seen = match parts.extensions.get::<RequestContext>() {
            Some(RequestContext::ApiGatewayV2(context)) => context.http.source_ip.as_deref(),
            _ => None,
        };
        // Whoever comes without one shares an address with all the others who do.
        Ok(Self(seen.and_then(|address| address.parse().ok()).unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))))
    }
}

/// Lifts axum's own limit: ours is judged in [`Bytes`], where it gets our error.
pub(super) fn own_limit() -> DefaultBodyLimit {
    DefaultBodyLimit::disable()
}

/// Sets the limit that [`Bytes`] and [`Json`] obey.
pub(super) fn set_limit(request: &mut http::Request<Body>, limit: usize) {
    request.extensions_mut().insert(BodyLimit(limit));
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize, ToSchema)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code, reason = "only read")]
    struct Order {
        items: Vec<Item>,
        kind: Kind,
        note: Option<String>,
    }

    #[derive(Debug, Deserialize, ToSchema)]
    #[allow(dead_code, reason = "only read")]
    struct Item {
        quantity: u32,
    }

    #[derive(Debug, Deserialize, ToSchema)]
    #[serde(rename_all = "snake_case")]
    enum Kind {
        Retail,
    }

    #[test]
    fn all_that_is_wrong_with_a_body_is_named() {
        for (body, fields) in [
            (r#"{"items":[{"quantity":"two"}],"kind":"retail"}"#, &["items[0].quantity"][..]),
            (r#"{"items":[{}],"kind":"retail"}"#, &["items[0].quantity"]),
            (r"{}", &["items", "kind"]),
            (r#"{"items":[],"kind":null}"#, &["kind"]),
            (r#"{"items":[],"kind":5}"#, &["kind"]),
            (r#"{"items":[],"kind":"retail","extra":1}"#, &["extra"]),
            (r#"{"items":5,"kind":"other","note":7}"#, &["items", "kind", "note"]),
            (r#"{"note":7}"#, &["note", "items", "kind"]),
            (r#"{"items":[],"items":[],"kind":"retail"}"#, &["items"]),
            (r#" [[],"retail",null]"#, &["body"]),
            ("null", &["body"]),
        ] {
            let error = parse::<Order>(body.as_bytes()).unwrap_err();
            assert_eq!(error.status.as_u16(), 422, "{body}");
            let details = error.details.unwrap();
            let named: Vec<_> =
                details.as_array().unwrap().iter().map(|wrong| wrong["field"].as_str().unwrap()).collect();
            assert_eq!(named, fields, "{body}");
        }
    }

    #[test]
    fn what_is_not_json_is_malformed_whatever_else_is_wrong() {
        for body in
            [r#"{"items":"#, r#"{"items":5,"#, r#"{"items":[],"kind":"retail"} trailing"#, "", r#"{"note":"\ud800"}"#]
        {
            assert_eq!(parse::<Order>(body.as_bytes()).unwrap_err().code, "malformed_json", "{body}");
        }
        parse::<Order>(b"\xef\xbb\xbf {\"items\":[{\"quantity\":1}],\"kind\":\"retail\"}").unwrap();
    }

    #[test]
    fn the_language_is_the_preferred_of_those_we_speak() {
        for (header, language) in [
            ("", Language::English),
            ("fr-CI,fr;q=0.9,en;q=0.8", Language::French),
            ("de, en;q=0.5, fr;q=0.7", Language::French),
            ("en, fr", Language::English),
            (";;q=x", Language::English),
        ] {
            assert_eq!(preferred(header), language, "{header:?}");
        }
    }
}
