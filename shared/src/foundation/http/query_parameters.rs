//! Query parameters that a route does not have. They are refused by their names: a misspelt filter would return everything,
//! and nobody would notice.

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
};

use axum::{
    extract::MatchedPath,
    http::{Method, request::Parts},
};
use url::form_urlencoded;
use utoipa::openapi::{
    OpenApi, RefOr,
    path::{Operation, ParameterIn},
};

use crate::error::{ApiError, FieldError};

/// OpenAPI extension of an operation with the key of its rate limit: `address`, `user` or `webhook`.
pub const RATE_LIMIT_EXTENSION: &str = "x-rate-limit";
/// Wrong parameters that one response names at most.
const MAX_NAMED_PARAMETERS: usize = 20;
/// Characters of a parameter's name that a response repeats at most. A query has room for thousands.
const MAX_NAME_CHARS: usize = 100;

/// The names of the query parameters of each method, by path.
type ParametersByPath = BTreeMap<String, Vec<(Method, Vec<String>)>>;

/// The query parameters of a function's routes, as its OpenAPI description has them.
///
/// The description is built at the first request with a query: building it at the start would take an eighth of a cold
/// start, and most functions get few queries.
#[derive(Clone)]
pub(super) struct QueryParameters {
    describe: fn() -> OpenApi,
    known: Arc<OnceLock<ParametersByPath>>,
}

impl QueryParameters {
    pub(super) fn new(describe: fn() -> OpenApi) -> Self {
        Self { describe, known: Arc::default() }
    }

    /// Returns the error for the parameters that the request's route does not have; `None` when it has all of them, when the
    /// path or the method is no route, and for a route that takes any parameter.
    fn refusal(&self, parts: &Parts) -> Option<ApiError> {
        let query = parts.uri.query().filter(|query| !query.is_empty())?;
        let path = parts.extensions.get::<MatchedPath>()?;
        let known = self.known.get_or_init(|| parameters_by_path((self.describe)()));
        // A HEAD request is served by the route of GET.
        let method = if parts.method == Method::HEAD { &Method::GET } else { &parts.method };
        let (_, names) = known.get(path.as_str())?.iter().find(|(known, _)| known == method)?;
        let mut wrong: Vec<String> = Vec::new();
        for (name, _) in form_urlencoded::parse(query.as_bytes()) {
            if wrong.len() == MAX_NAMED_PARAMETERS {
                break;
            }
            let shown: String = name.chars().take(MAX_NAME_CHARS).collect();
            if !names.iter().any(|known| *known == name) && !wrong.contains(&shown) {
                wrong.push(shown);
            }
        }
        let message = match names.as_slice() {
            [] => "is no query parameter of this route, which has none".to_owned(),
            names => format!("is no query parameter of this route, which has {}", names.join(", ")),
        };
        let errors: Vec<_> = wrong.into_iter().map(|name| FieldError::new(name, message.clone())).collect();
        (!errors.is_empty()).then(|| ApiError::validation(errors))
    }
}

/// Refuses a request with a query parameter that its route does not have. Called by the extractors that say who calls, after
/// they know it, so that a caller without a valid token learns that first.
///
/// # Errors
/// 422 with the names of the parameters.
pub(crate) fn refuse_unknown_parameters(parts: &Parts) -> Result<(), ApiError> {
    let parameters = parts.extensions.get::<QueryParameters>();
    parameters.and_then(|parameters| parameters.refusal(parts)).map_or(Ok(()), Err)
}

/// Collects the names of the query parameters of all routes that refuse others.
fn parameters_by_path(document: OpenApi) -> ParametersByPath {
    let paths = document.paths.paths.into_iter().map(|(path, item)| {
        let operations = [
            (Method::GET, item.get),
            (Method::POST, item.post),
            (Method::PUT, item.put),
            (Method::PATCH, item.patch),
            (Method::DELETE, item.delete),
        ];
        let refusing = operations.into_iter().filter_map(|(method, operation)| {
            let operation = operation.filter(refuses_unknown_parameters)?;
            Some((method, query_parameters(operation)))
        });
        (path, refusing.collect())
    });
    paths.collect()
}

/// Returns true for the routes that clients of the API call: those with a rate limit by user or address. The others take any
/// parameter. Vendors write the URLs of webhooks, and a message that is refused for its URL would be lost; monitors and mail
/// programs add parameters to the pages and to the health check.
fn refuses_unknown_parameters(operation: &Operation) -> bool {
    let extensions = operation.extensions.as_ref();
    let limit = extensions.and_then(|extensions| extensions.get(RATE_LIMIT_EXTENSION)).and_then(|key| key.as_str());
    matches!(limit, Some("user" | "address"))
}

fn query_parameters(operation: Operation) -> Vec<String> {
    let parameters = operation.parameters.into_iter().flatten();
    parameters
        .filter_map(|parameter| match parameter {
            // A function's own description has no references: `cargo openapi` adds the one to X-Customer-Id, a header.
            RefOr::T(parameter) if matches!(parameter.parameter_in, ParameterIn::Query) => Some(parameter.name),
            _ => None,
        })
        .collect()
}
