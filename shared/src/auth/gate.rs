//! Who a route is for, read off its handler's signature: [`crate::routes!`] takes only handlers whose first argument is
//! one of the callers of this module, and says in openapi.json which one. So no route opens by forgetting, and what is
//! documented is what is checked.

use std::cell::Cell;

use axum::{handler::Handler, routing::MethodRouter};
use utoipa::openapi::{
    PathItem, SecurityRequirement,
    extensions::ExtensionsBuilder,
    path::{Operation, Paths},
};
use utoipa_axum::{PathItemExt, router::UtoipaMethodRouter};

use super::{AccountUser, Caller, Identity, ManyChatCall, Open, Public, SignedIn, SupportUser};
use crate::stripe::StripeEvent;

/// The extension of an operation that tells what counts its calls: `address`, `user` or `webhook`.
pub const RATE_LIMIT: &str = "x-rate-limit";

/// Who a route is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Anybody; not counted.
    Open,
    /// Anybody; counted by address.
    Public,
    /// Whoever has a valid token; of this role, where there is one.
    Token(Option<&'static str>),
    /// Another system, which proves itself by this scheme of openapi.json; counted by source.
    Webhook(&'static str),
}

/// A caller that a handler may name first.
#[diagnostic::on_unimplemented(
    message = "`{Self}` does not say who may call",
    note = "a handler's first argument is `Caller<…>`, `SignedIn`, `Identity`, `StripeEvent`, `Public` or `Open`"
)]
pub trait Gate {
    /// Whom it lets through.
    const ACCESS: Access;
}

impl Gate for Open {
    const ACCESS: Access = Access::Open;
}

impl Gate for Public {
    const ACCESS: Access = Access::Public;
}

impl Gate for Identity {
    const ACCESS: Access = Access::Token(None);
}

impl Gate for SignedIn {
    const ACCESS: Access = Access::Token(Some("user"));
}

impl Gate for ManyChatCall {
    const ACCESS: Access = Access::Webhook("manychat");
}

impl Gate for Caller<SupportUser> {
    const ACCESS: Access = Access::Token(Some("support_user"));
}

impl Gate for Caller<AccountUser> {
    const ACCESS: Access = Access::Token(Some("account_user"));
}

impl<Deps> Gate for StripeEvent<Deps> {
    const ACCESS: Access = Access::Webhook("stripeSignature");
}

/// The arguments of a handler, as axum lists them: a marker, then their types.
pub trait Arguments {
    /// What the first one says.
    const ACCESS: Access;
}

macro_rules! arguments {
    ($($rest:ident)*) => {
        impl<Marker, First: Gate, $($rest),*> Arguments for (Marker, First, $($rest,)*) {
            const ACCESS: Access = First::ACCESS;
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

/// Writes into the documentation of a handler's route who may call it. [`crate::routes!`] calls this.
pub fn documented<H, T, S>(_: H, mut routes: UtoipaMethodRouter<S>) -> UtoipaMethodRouter<S>
where
    H: Handler<T, S>,
    T: Arguments,
{
    for item in routes.1.paths.values_mut() {
        let all = [&mut item.get, &mut item.post, &mut item.put, &mut item.patch, &mut item.delete];
        all.into_iter().flatten().for_each(|operation| document(operation, T::ACCESS));
    }
    routes
}

fn document(operation: &mut Operation, access: Access) {
    let (security, counted) = match access {
        Access::Open => (SecurityRequirement::default(), None),
        Access::Public => (SecurityRequirement::default(), Some("address")),
        Access::Token(role) => (SecurityRequirement::new("bearer", role), Some("user")),
        Access::Webhook(scheme) => (SecurityRequirement::new(scheme, [""; 0]), Some("webhook")),
    };
    // What is open may offer more to some; the handler says to whom.
    if access != Access::Open || operation.security.is_none() {
        operation.security = Some(vec![security]);
    }
    if let Some(counted) = counted {
        operation.extensions = Some(ExtensionsBuilder::new().add(RATE_LIMIT, counted).build());
    }
}

thread_local! {
    static IS_DOCUMENTING: Cell<bool> = const { Cell::new(false) };
}

/// Makes routes with their documentation. Elsewhere [`crate::routes!`] leaves it out: it is a tree of small strings and
/// maps, which nobody reads at the start of a function, and takes an eighth of that start.
pub fn documenting<T>(routes: impl FnOnce() -> T) -> T {
    let before = IS_DOCUMENTING.replace(true);
    let made = routes();
    IS_DOCUMENTING.set(before);
    made
}

/// Whether routes are being documented. [`crate::routes!`] calls this.
#[must_use]
pub fn is_documenting() -> bool {
    IS_DOCUMENTING.get()
}

/// The route of a handler, without its documentation. [`crate::routes!`] calls this.
pub fn undocumented<P, H, T, S>(handler: H) -> UtoipaMethodRouter<S>
where
    P: utoipa::Path,
    H: Handler<T, S>,
    T: Arguments + 'static,
    S: Clone + Send + Sync + 'static,
{
    let mut paths = Paths::new();
    paths.paths.insert(P::path(), PathItem::default());
    let methods = P::methods()
        .iter()
        .fold(MethodRouter::new(), |methods, method| methods.on(method.to_method_filter(), handler.clone()));
    (Vec::new(), paths, methods)
}

/// The routes of handlers on one path, with their documentation where it is asked for ([`documenting`]), as `utoipa_axum::routes!` collects them. Each handler's
/// first argument must say who may call it; see [`auth::gate`](crate::auth::gate).
#[macro_export]
macro_rules! routes {
    ($first:ident $(, $rest:ident)* $(,)?) => {{
        let routes = $crate::routes!(@one $first);
        $( let routes = $crate::auth::gate::joined(routes, $crate::routes!(@one $rest)); )*
        routes
    }};
    (@one $handler:ident) => {
        if $crate::auth::gate::is_documenting() {
            $crate::auth::gate::documented($handler, $crate::utoipa_axum::routes!($handler))
        } else {
            $crate::utoipa_axum::paste! {
                $crate::auth::gate::undocumented::<[<__path_ $handler>], _, _, _>($handler)
            }
        }
    };
}

/// Two handlers of one path. [`crate::routes!`] calls this.
pub fn joined<S: Clone + Send + Sync + 'static>(
    mut one: UtoipaMethodRouter<S>,
    other: UtoipaMethodRouter<S>,
) -> UtoipaMethodRouter<S> {
    one.0.extend(other.0);
    one.1.merge(other.1);
    (one.0, one.1, one.2.merge(other.2))
}
