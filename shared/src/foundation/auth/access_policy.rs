//! Access policy of a route, taken from its handler's signature. [`crate::routes!`] accepts only handlers whose first
//! argument implements [`AccessPolicy`], and writes that policy into openapi.json. So no route can be left open by
//! mistake, and the documented access is the checked one.

use std::cell::Cell;

use axum::{handler::Handler, routing::MethodRouter};
use utoipa::openapi::{
    PathItem, SecurityRequirement,
    extensions::ExtensionsBuilder,
    path::{Operation, Paths},
};
use utoipa_axum::{PathItemExt, router::UtoipaMethodRouter};

use super::{
    AccountUser, Caller, Identity, ManyChatCall, Public, ReturningAccountUser, SignedInUser, SupportUser, Unmetered,
};
use crate::http::RATE_LIMIT_EXTENSION;

/// Permitted callers of a route.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RouteAccess {
    /// Anybody, without a rate limit.
    Unmetered,
    /// Anybody, rate-limited by IP address.
    Public,
    /// Anybody with a valid token, and with this role when one is given. Rate-limited by user.
    Token(Option<&'static str>),
    /// Another system, authenticated by this security scheme of openapi.json. Rate-limited by webhook source.
    Webhook(&'static str),
}

/// Type that can be a handler's first argument and states the permitted callers.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say who may call",
    note = "a handler's first argument is `Caller<…>`, `MemberOrService`, `SignedInUser`, `Identity`, `StripeEvent`, `Public` or `Unmetered`"
)]
pub trait AccessPolicy {
    /// Permitted callers.
    const ACCESS: RouteAccess;
}

impl AccessPolicy for Unmetered {
    const ACCESS: RouteAccess = RouteAccess::Unmetered;
}

impl AccessPolicy for Public {
    const ACCESS: RouteAccess = RouteAccess::Public;
}

impl AccessPolicy for Identity {
    const ACCESS: RouteAccess = RouteAccess::Token(None);
}

impl AccessPolicy for SignedInUser {
    const ACCESS: RouteAccess = RouteAccess::Token(Some("user"));
}

impl AccessPolicy for ManyChatCall {
    const ACCESS: RouteAccess = RouteAccess::Webhook("manychat");
}

impl AccessPolicy for Caller<SupportUser> {
    const ACCESS: RouteAccess = RouteAccess::Token(Some("support_user"));
}

impl AccessPolicy for Caller<AccountUser> {
    const ACCESS: RouteAccess = RouteAccess::Token(Some("account_user"));
}

impl AccessPolicy for Caller<ReturningAccountUser> {
    const ACCESS: RouteAccess = RouteAccess::Token(Some("account_user"));
}

/// Argument types of a handler as axum's `Handler` trait lists them: a marker, then the arguments.
pub trait HandlerArguments {
    /// Permitted callers according to the first argument.
    const ACCESS: RouteAccess;
}

macro_rules! arguments {
    ($($rest:ident)*) => {
        impl<Marker, First: AccessPolicy, $($rest),*> HandlerArguments for (Marker, First, $($rest,)*) {
            const ACCESS: RouteAccess = First::ACCESS;
        }
    };
}

arguments!();
arguments!(A);
arguments!(A B);
arguments!(A B C);
arguments!(A B C D);
arguments!(A B C D E);
arguments!(A B C D E F);
arguments!(A B C D E F G);

/// Writes the access policy of a handler into the OpenAPI documentation of its route. Called by [`crate::routes!`].
pub fn document_access<H, T, S>(_: H, mut routes: UtoipaMethodRouter<S>) -> UtoipaMethodRouter<S>
where
    H: Handler<T, S>,
    T: HandlerArguments,
{
    for item in routes.1.paths.values_mut() {
        let all = [&mut item.get, &mut item.post, &mut item.put, &mut item.patch, &mut item.delete];
        all.into_iter().flatten().for_each(|operation| write_access(operation, T::ACCESS));
    }
    routes
}

fn write_access(operation: &mut Operation, access: RouteAccess) {
    let (security, limited_by) = match access {
        RouteAccess::Unmetered => (SecurityRequirement::default(), None),
        RouteAccess::Public => (SecurityRequirement::default(), Some("address")),
        RouteAccess::Token(role) => (SecurityRequirement::new("bearer", role), Some("user")),
        RouteAccess::Webhook(scheme) => (SecurityRequirement::new(scheme, [""; 0]), Some("webhook")),
    };
    // An unmetered route may show more to callers with a token; its handler then declares the security itself.
    if access != RouteAccess::Unmetered || operation.security.is_none() {
        operation.security = Some(vec![security]);
    }
    if let Some(limited_by) = limited_by {
        operation.extensions = Some(ExtensionsBuilder::new().add(RATE_LIMIT_EXTENSION, limited_by).build());
    }
}

thread_local! {
    static IS_DOCUMENTING: Cell<bool> = const { Cell::new(false) };
}

/// Builds routes including their OpenAPI documentation. Outside this function, [`crate::routes!`] omits the
/// documentation: a running function does not need it, and building its many small strings and maps takes an eighth
/// of the cold start.
pub fn with_documentation<T>(routes: impl FnOnce() -> T) -> T {
    let before = IS_DOCUMENTING.replace(true);
    let made = routes();
    IS_DOCUMENTING.set(before);
    made
}

/// Returns true inside [`with_documentation`]. Called by [`crate::routes!`].
#[must_use]
pub fn is_documenting() -> bool {
    IS_DOCUMENTING.get()
}

/// Builds the route of a handler without OpenAPI documentation. Called by [`crate::routes!`].
pub fn route_without_docs<P, H, T, S>(handler: H) -> UtoipaMethodRouter<S>
where
    P: utoipa::Path,
    H: Handler<T, S>,
    T: HandlerArguments + 'static,
    S: Clone + Send + Sync + 'static,
{
    let mut paths = Paths::new();
    paths.paths.insert(P::path(), PathItem::default());
    let methods = P::methods()
        .iter()
        .fold(MethodRouter::new(), |methods, method| methods.on(method.to_method_filter(), handler.clone()));
    (Vec::new(), paths, methods)
}

/// Builds the routes of handlers on one path, in the form of `utoipa_axum::routes!`. Includes their OpenAPI
/// documentation only inside `with_documentation`. The first argument of each handler must implement `AccessPolicy`.
#[macro_export]
macro_rules! routes {
    ($first:ident $(, $rest:ident)* $(,)?) => {{
        let routes = $crate::routes!(@one $first);
        $( let routes = $crate::auth::access_policy::merge_routes(routes, $crate::routes!(@one $rest)); )*
        routes
    }};
    (@one $handler:ident) => {
        if $crate::auth::access_policy::is_documenting() {
            $crate::auth::access_policy::document_access($handler, $crate::utoipa_axum::routes!($handler))
        } else {
            $crate::utoipa_axum::paste! {
                $crate::auth::access_policy::route_without_docs::<[<__path_ $handler>], _, _, _>($handler)
            }
        }
    };
}

/// Merges the routes of two handlers on one path. Called by [`crate::routes!`].
pub fn merge_routes<S: Clone + Send + Sync + 'static>(
    mut one: UtoipaMethodRouter<S>,
    other: UtoipaMethodRouter<S>,
) -> UtoipaMethodRouter<S> {
    one.0.extend(other.0);
    one.1.merge(other.1);
    (one.0, one.1, one.2.merge(other.2))
}
