//! Extractors that reject with [`ApiError`]: 400 for a body that cannot be parsed, 404 for a path that names nothing,
//! 413 for a body that is too large, 415 for a body that is not JSON or has an encoding other than gzip, 422 with every
//! wrong field.

use std::{
    io::Read,
    net::{IpAddr, Ipv4Addr},
};

use axum::{
    body::Body,
    extract::{DefaultBodyLimit, FromRequest, FromRequestParts, Request, rejection::PathRejection},
    http::{HeaderMap, header, request::Parts},
};
use flate2::read::MultiGzDecoder;
use http_body_util::BodyExt;
use lambda_http::request::RequestContext;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::time::Instant;
use utoipa::{
    ToSchema,
    openapi::{RefOr, Schema},
};

use super::plain_words::plain_words;
use crate::{
    error::{ApiError, FieldError},
    text::Language,
};

/// Wrong fields that one 422 reports at most; missing fields are not counted.
const MAX_FIELD_ERRORS: usize = 10;

/// A JSON body, which must be an object.
#[derive(Debug, Clone)]
pub struct Json<T>(pub T);

/// Query parameters.
#[derive(Debug, Clone)]
pub struct Query<T>(pub T);

/// Path parameters. A parameter that does not parse names nothing that exists, so it is rejected with 404.
#[derive(Debug, Clone)]
pub struct Path<T>(pub T);

/// The raw body, at most as long as the function's body limit. A body that the client compressed with gzip is
/// decompressed, and the limit holds for both forms.
#[derive(Debug, Clone)]
pub struct Bytes(pub bytes::Bytes);

/// The function's body limit in bytes: a request extension that `layers` sets.
#[derive(Debug, Clone, Copy)]
pub(super) struct BodyLimit(pub(super) usize);

impl<S: Send + Sync> FromRequest<S> for Bytes {
    type Rejection = ApiError;

    async fn from_request(request: Request, _: &S) -> Result<Self, ApiError> {
        let limit = request.extensions().get::<BodyLimit>().map_or(256 * 1024, |limit| limit.0);
        let declared =
            request.headers().get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        let path = request.uri().path().to_owned();
        let too_large = || ApiError::payload_too_large_at(&path, limit);
        if declared.is_some_and(|length: usize| length > limit) {
            return Err(too_large());
        }
        let is_gzip = is_gzip(request.headers())?;
        let limited = http_body_util::Limited::new(request.into_body(), limit);
        match limited.collect().await {
            Ok(body) if is_gzip => decompress(&body.to_bytes(), limit)?.map(Self).ok_or_else(too_large),
            Ok(body) => Ok(Self(body.to_bytes())),
            Err(error) if error.is::<http_body_util::LengthLimitError>() => Err(too_large()),
            Err(error) => {
                Err(ApiError::bad_request("unreadable_body", "the request body could not be read").with_source(error))
            }
        }
    }
}

/// Returns true when the body is compressed with gzip, and false when it is not compressed.
///
/// # Errors
/// 415 for any other encoding, and for two encodings one on the other.
fn is_gzip(headers: &HeaderMap) -> Result<bool, ApiError> {
    let encodings = headers.get_all(header::CONTENT_ENCODING).iter();
    let texts = encodings.map(|value| value.to_str().unwrap_or("?").to_ascii_lowercase());
    let names = texts.collect::<Vec<_>>().join(",");
    let mut names = names.split(',').map(str::trim).filter(|name| !matches!(*name, "" | "identity"));
    match (names.next(), names.next()) {
        (None, _) => Ok(false),
        (Some("gzip" | "x-gzip"), None) => Ok(true),
        _ => Err(ApiError::unsupported_encoding()),
    }
}

/// Decompresses a body, and stops at the first byte above the limit: a small body may stand for gigabytes. Returns `None`
/// for such a body.
fn decompress(body: &[u8], limit: usize) -> Result<Option<bytes::Bytes>, ApiError> {
    let mut plain = Vec::with_capacity(body.len().min(limit));
    // One byte above the limit tells a body of that size from a larger one.
    let most = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    let read = MultiGzDecoder::new(body).take(most).read_to_end(&mut plain);
    read.map_err(|error| {
        ApiError::bad_request("unreadable_body", "the request body is not valid gzip").with_source(error)
    })?;
    Ok((plain.len() <= limit).then(|| plain.into()))
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

/// Parses a JSON object.
///
/// # Errors
/// 400 when the body is not JSON, 422 with the wrong fields when it is not a valid `T`.
fn parse<T: DeserializeOwned + ToSchema>(body: &[u8]) -> Result<T, ApiError> {
    // Some editors put a byte order mark before the text.
    let body = body.strip_prefix(b"\xef\xbb\xbf").unwrap_or(body);
    // serde also accepts an array, as the fields in their order. That would be right only by chance, so it is
    // rejected.
    let is_object = body.trim_ascii_start().first() == Some(&b'{');
    match serde_json::from_slice(body) {
        Ok(value) if is_object => Ok(value),
        Ok(_) => Err(not_an_object()),
        Err(error) => Err(collect_field_errors::<T>(body, &error)),
    }
}

/// Returns the error for a body that serde rejected: 422 with all wrong fields. serde stops at its first error, so
/// the body is parsed again without each wrong field.
///
/// `first` is serde's error. It is used where the second parsing finds nothing.
fn collect_field_errors<T: DeserializeOwned + ToSchema>(body: &[u8], first: &serde_json::Error) -> ApiError {
    let mut object = match serde_json::from_slice(body) {
        Ok(Value::Object(object)) => object,
        Ok(_) => return not_an_object(),
        Err(error) => return malformed(&error),
    };
    let missing: Vec<_> = required::<T>().into_iter().filter(|name| !object.contains_key(name)).collect();
    let mut wrong: Vec<FieldError> = Vec::new();
    // A wrong field is removed, so that the next attempt reports the next one.
    while wrong.len() < MAX_FIELD_ERRORS {
        let Err(error) = serde_path_to_error::deserialize::<_, T>(Value::Object(object.clone())) else { break };
        let path = error.path().to_string();
        let error = field_error(&path, &error.into_inner());
        let name = error.field.split(['.', '[']).next().unwrap_or_default().to_owned();
        if object.remove(&name).is_none() {
            // The error is about a field that the body lacks, or that was removed here.
            if wrong.is_empty() && !missing.contains(&name) {
                wrong.push(error);
            }
            break;
        }
        wrong.push(error);
    }
    wrong.extend(missing.into_iter().map(|name| FieldError::new(name, "is required")));
    if wrong.is_empty() {
        // The body has a field twice; parsing into an object has kept only one of the two.
        wrong.push(field_error("", first));
    }
    ApiError::validation(wrong)
}

fn not_an_object() -> ApiError {
    ApiError::field("body", "must be an object")
}

/// Returns the required fields of `T`, by its OpenAPI schema.
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
    // serde may append a position, which is of no use beside the field's name.
    let message = error.to_string();
    let message = message.split(" at line ").next().unwrap_or_default();
    let plain = plain_words(message);
    // serde reports a missing, unknown or duplicate field at its parent, with the field's name in backquotes.
    let named = ["missing field `", "unknown field `", "duplicate field `"]
        .iter()
        .find_map(|prefix| message.strip_prefix(prefix))
        .and_then(|rest| rest.split('`').next());
    match (path, named) {
        ("." | "", Some(name)) => FieldError::new(name, plain),
        (parent, Some(name)) if !parent.ends_with(name) => FieldError::new(format!("{parent}.{name}"), plain),
        ("." | "", None) => FieldError::new("body", plain),
        (path, _) => FieldError::new(path, plain),
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        axum::extract::Query::from_request_parts(parts, state).await.map(|query| Self(query.0)).map_err(|rejection| {
            let text = rejection.body_text();
            let text = text.strip_prefix("Failed to deserialize query string: ").unwrap_or(&text).to_owned();
            // For example `page: invalid digit found in string`.
            match text.split_once(": ") {
                Some((field, message)) if !field.contains(' ') => ApiError::field(field, plain_words(message)),
                _ => ApiError::field("query", plain_words(&text)),
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
            Err(error) => Err(ApiError::internal().with_source(error)),
        }
    }
}

/// The language of texts in the response, by the header `Accept-Language`.
#[derive(Debug, Clone, Copy)]
pub struct PreferredLanguage(pub Language);

impl<S: Send + Sync> FromRequestParts<S> for PreferredLanguage {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let header = parts.headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
        Ok(Self(preferred_language(header.unwrap_or_default())))
    }
}

/// Returns the supported language with the greatest weight; the first of several with one weight; English when none
/// is supported.
fn preferred_language(accept_language: &str) -> Language {
    let weighted = accept_language.split(',').filter_map(|entry| {
        let (tag, weight) = entry.split_once(";q=").unwrap_or((entry, "1"));
        match Language::from_code(tag.trim()) {
            Language::Other => None,
            language => Some((weight.trim().parse::<f32>().ok()?, language)),
        }
    });
    let best = weighted.reduce(|best, entry| if entry.0 > best.0 { entry } else { best });
    best.map_or(Language::English, |(_, language)| language)
}

/// The id of the request, which the response carries in the header `x-request-id`.
#[derive(Debug, Clone)]
pub struct RequestId(pub String);

impl<S: Send + Sync> FromRequestParts<S> for RequestId {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_else(|| Self("none".to_owned())))
    }
}

/// The time at which the function received the request. A deadline of the whole request counts from it, so that the
/// checks before the handler are in it.
#[derive(Debug, Clone, Copy)]
pub struct ReceivedAt(pub Instant);

impl<S: Send + Sync> FromRequestParts<S> for ReceivedAt {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(parts.extensions.get::<Self>().copied().unwrap_or_else(|| Self(Instant::now())))
    }
}

/// The source address that API Gateway reports, or the one that the content delivery network states ([`super::Edge`]);
/// never one that the client writes into a header.
#[derive(Debug, Clone, Copy)]
pub struct ClientAddress(pub IpAddr);

impl<S: Send + Sync> FromRequestParts<S> for ClientAddress {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        if let Some(stated) = parts.extensions.get::<Self>() {
            return Ok(*stated);
        }
        let source_ip = match parts.extensions.get::<RequestContext>() {
            Some(RequestContext::ApiGatewayV2(context)) => context.http.source_ip.as_deref(),
            _ => None,
        };
        // All requests without a source address share the address 0.0.0.0, and so one rate limit.
        Ok(Self(source_ip.and_then(|address| address.parse().ok()).unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED))))
    }
}

/// Disables axum's body limit. [`Bytes`] enforces the function's limit instead, with an [`ApiError`].
pub(super) fn disable_axum_limit() -> DefaultBodyLimit {
    DefaultBodyLimit::disable()
}

/// Sets the body limit, in bytes, that [`Bytes`] and [`Json`] enforce.
pub(super) fn set_body_limit(request: &mut http::Request<Body>, limit: usize) {
    request.extensions_mut().insert(BodyLimit(limit));
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Deserialize, ToSchema)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only read")]
    struct Order {
        items: Vec<Item>,
        kind: Kind,
        note: Option<String>,
    }

    #[derive(Debug, Deserialize, ToSchema)]
    #[expect(dead_code, reason = "only read")]
    struct Item {
        quantity: u32,
    }

    #[derive(Debug, Deserialize, ToSchema)]
    #[serde(rename_all = "snake_case")]
    enum Kind {
        Retail,
    }

    #[test]
    fn every_wrong_field_of_a_body_is_reported() {
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
    fn a_body_that_is_not_json_is_malformed_json_whatever_else_is_wrong() {
        for body in
            [r#"{"items":"#, r#"{"items":5,"#, r#"{"items":[],"kind":"retail"} trailing"#, "", r#"{"note":"\ud800"}"#]
        {
            assert_eq!(parse::<Order>(body.as_bytes()).unwrap_err().code, "malformed_json", "{body}");
        }
        parse::<Order>(b"\xef\xbb\xbf {\"items\":[{\"quantity\":1}],\"kind\":\"retail\"}").unwrap();
    }

    #[test]
    fn the_preferred_supported_language_is_used() {
        for (header, language) in [
            ("", Language::English),
            ("fr-CI,fr;q=0.9,en;q=0.8", Language::French),
            ("de, en;q=0.5, fr;q=0.7", Language::French),
            ("en, fr", Language::English),
            (";;q=x", Language::English),
        ] {
            assert_eq!(preferred_language(header), language, "{header:?}");
        }
    }
}
