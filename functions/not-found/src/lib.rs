//! The `$default` route of API Gateway: 404, 405 with `Allow`, and CORS preflights, for every request that no other
//! function serves.

use axum::{
    http::{Method, header::ALLOW},
    response::{IntoResponse, Response},
    routing::{MethodRouter, any},
};
use shared::{
    error::ApiError,
    function::{Function, HttpFunction},
    settings::Settings,
};
use utoipa_axum::router::OpenApiRouter;

/// The `not-found` Lambda function.
pub const FUNCTION: Function = Function::http::<Deps>();

/// The routes of all other functions. A test compares the file with the code.
const OPENAPI: &str = include_str!("../../../openapi.json");

/// The dependencies of the handlers: none.
#[derive(Debug, Clone)]
pub struct Deps;

impl HttpFunction for Deps {
    const NAME: &'static str = "not-found";

    fn read(_: &mut Settings) -> Self {
        Self
    }

    /// Routes every path of the API, to distinguish a wrong method (405) from a wrong path (404). API Gateway sends
    /// the documented methods of a path to other functions, and `HEAD` where it sends `GET`. Exception: a function with a function URL of its own has
    /// no route in API Gateway, so here its documented methods are 404 too.
    fn routes() -> OpenApiRouter<Self> {
        documented_paths()
            .into_iter()
            .fold(OpenApiRouter::new(), |router, (path, methods)| router.route(&path, methods))
    }
}

/// Returns every path of openapi.json with a handler that refuses all methods.
fn documented_paths() -> Vec<(String, MethodRouter<Deps>)> {
    // The file is compiled in, and a test checks it. If it were not valid JSON, every path would be a 404.
    let document: serde_json::Value = serde_json::from_str(OPENAPI).unwrap_or_default();
    let Some(paths) = document["paths"].as_object() else { return Vec::new() };
    paths
        .iter()
        .filter_map(|(path, item)| {
            let mut methods: Vec<_> = item.as_object()?.keys().map(|method| method.to_uppercase()).collect();
            if methods.iter().any(|method| method == "GET") {
                methods.push("HEAD".to_owned());
            }
            Some((path.clone(), any(async move |method: Method| refuse(&method, &methods))))
        })
        .collect()
}

/// Returns 404 for a documented method and 405 for any other. `Allow` names the methods that API Gateway routes. Each
/// `GET` has a `HEAD`, which openapi.json does not repeat.
fn refuse(method: &Method, methods: &[String]) -> Response {
    if methods.iter().any(|documented| documented == method.as_str()) {
        return ApiError::not_found("route").into_response();
    }
    ([(ALLOW, methods.join(","))], ApiError::method_not_allowed()).into_response()
}
