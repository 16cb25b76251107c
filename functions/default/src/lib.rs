//! The `$default` route: 404, 405 with `Allow`, and CORS preflights, for everything that no other function serves.

use shared::{
    function::{Function, HttpFunction},
    settings::Settings,
};
use utoipa_axum::router::OpenApiRouter;

/// The function.
pub const FUNCTION: Function = Function::http::<Deps>();

/// It needs nothing.
#[derive(Debug, Clone)]
pub struct Deps;

impl HttpFunction for Deps {
    const NAME: &'static str = "default";

    fn read(_: &mut Settings) -> Self {
        Self
    }

    fn routes() -> OpenApiRouter<Self> {
        OpenApiRouter::new()
    }
}
