//! The `$default` route: 404, 405 with `Allow`, and CORS preflights, for everything that no other function serves.

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

/// The function.
pub const FUNCTION: Function = Function::http::<Deps>();

/// The routes of all the others, as they are documented; a test holds the file against the code.
const OPENAPI: &str = include_str!("../../../openapi.json");

/// It needs nothing.
#[derive(Debug, Clone)]
pub struct Deps;

impl HttpFunction for Deps {
    const NAME: &'static str = "default";

    fn read(_: &mut Settings) -> Self {
        Self
    }

    /// Knows every path, so that a wrong method is told apart from a wrong path. The methods it knows are served by
    /// other functions and never come here, but for those of a function with a URL of its own: that is not here, so 404.
    fn routes() -> OpenApiRouter<Self> {
        known().into_iter().fold(OpenApiRouter::new(), |router, (path, methods)| router.route(&path, methods))
    }
}

fn known() -> Vec<(String, MethodRouter<Deps>)> {
    // The file is compiled in and checked by a test: were it broken, every path would be unknown, which is 404.
    let document: serde_json::Value = serde_json::from_str(OPENAPI).unwrap_or_default();
    let Some(paths) = document["paths"].as_object() else { return Vec::new() };
    paths
        .iter()
        .filter_map(|(path, item)| {
            let methods: Vec<_> = item.as_object()?.keys().map(|method| method.to_uppercase()).collect();
            Some((path.clone(), any(async move |method: Method| refuse(&method, &methods))))
        })
        .collect()
}

/// What the gateway serves is what `Allow` names: not HEAD, which axum would add to GET.
fn refuse(method: &Method, methods: &[String]) -> Response {
    if methods.iter().any(|known| known == method.as_str()) {
        return ApiError::not_found("route").into_response();
    }
    ([(ALLOW, methods.join(","))], ApiError::method_not_allowed()).into_response()
}
