//! The `$default` route: 404, 405 with `Allow`, and CORS preflights, for everything that no other function serves.

use axum::{
    http::{Method, header::ALLOW},
    response::{IntoResponse, Response},
    routing::{MethodFilter, MethodRouter, on},
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
            let item = item.as_object()?;
            let methods = item.keys().filter_map(|method| filter(method)).reduce(MethodFilter::or)?;
            let allow = item.keys().map(|method| method.to_uppercase()).collect::<Vec<_>>().join(",");
            Some((path.clone(), on(methods, async |method: Method| refuse(&method, allow))))
        })
        .collect()
}

/// axum takes HEAD for GET; the gateway does not, so HEAD is the one method that may come here on a path with GET.
fn refuse(method: &Method, allow: String) -> Response {
    if method == Method::HEAD {
        return ([(ALLOW, allow)], ApiError::method_not_allowed()).into_response();
    }
    ApiError::not_found("route").into_response()
}

fn filter(method: &str) -> Option<MethodFilter> {
    Some(match method {
        "get" => MethodFilter::GET,
        "post" => MethodFilter::POST,
        "put" => MethodFilter::PUT,
        "patch" => MethodFilter::PATCH,
        "delete" => MethodFilter::DELETE,
        _ => return None,
    })
}
