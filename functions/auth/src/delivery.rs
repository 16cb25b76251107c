//! Delivery of the refresh token: in the body, or in a cookie for pages of the API's own origin, whose scripts then never
//! see it.
//!
//! Another site cannot use the cookie: `SameSite=Strict` keeps the browser from sending it, and each route that reads it
//! demands the header `X-Session`, which no form can send and no other origin is allowed to.

use axum::{
    extract::{FromRef, FromRequest, FromRequestParts, Request},
    http::{HeaderMap, HeaderName, HeaderValue, header, request::Parts},
    response::{IntoResponseParts, ResponseParts},
};
use cookie::{Cookie, SameSite, time::Duration};
use shared::{
    accounts::OnReuse,
    auth::{
        Public,
        access_policy::{AccessPolicy, RouteAccess},
    },
    error::{ApiError, Result},
    http::Json,
    rate_limits::{RateLimitKey, RateLimits},
};

use crate::{
    Accounts,
    requests::{Refresh, Session},
    wrong_refresh_token,
};

/// Header by which a client asks for the cookie.
const SESSION: HeaderName = HeaderName::from_static("x-session");
/// Header in which API Gateway states the scheme of the client's request.
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
/// Name of the cookie.
const COOKIE: &str = "lisa_refresh";
/// Path of the routes that read the cookie.
const COOKIE_PATH: &str = "/api/v1/auth";
/// Lifetime of the cookie: as long as a refresh token is valid, which each exchange renews.
const COOKIE_LIFETIME: Duration = Duration::days(30);

/// Delivery of the refresh token that the client asks for.
#[derive(Debug, Clone, Copy)]
pub(crate) enum TokenDelivery {
    /// In the body.
    Body,
    /// In a cookie.
    Cookie {
        /// True unless the client came by plain HTTP, as on one machine.
        is_secure: bool,
    },
}

impl<S: Send + Sync> FromRequestParts<S> for TokenDelivery {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        match parts.headers.get(SESSION).map(HeaderValue::as_bytes) {
            None => Ok(Self::Body),
            Some(b"cookie") => {
                let scheme = parts.headers.get(FORWARDED_PROTO).map(HeaderValue::as_bytes);
                Ok(Self::Cookie { is_secure: scheme != Some(b"http") })
            }
            Some(_) => Err(ApiError::field("X-Session", "must be cookie, or left out")),
        }
    }
}

impl TokenDelivery {
    /// Moves the session's refresh token to a cookie, if the client asks for one.
    pub(crate) fn deliver(self, session: &mut Session) -> SetCookie {
        match self {
            Self::Body => SetCookie(None),
            Self::Cookie { is_secure } => SetCookie(
                session
                    .refresh_token
                    .take()
                    .map(|token| base_cookie(token, is_secure).max_age(COOKIE_LIFETIME).build()),
            ),
        }
    }

    /// Lets the browser forget the cookie.
    pub(crate) fn clear(self) -> SetCookie {
        match self {
            Self::Body => SetCookie(None),
            Self::Cookie { is_secure } => {
                SetCookie(Some(base_cookie(String::new(), is_secure).max_age(Duration::ZERO).build()))
            }
        }
    }
}

fn base_cookie(value: String, is_secure: bool) -> cookie::CookieBuilder<'static> {
    Cookie::build((COOKIE, value)).path(COOKIE_PATH).http_only(true).same_site(SameSite::Strict).secure(is_secure)
}

/// The header `Set-Cookie` of a response, or nothing.
#[derive(Debug)]
pub(crate) struct SetCookie(Option<Cookie<'static>>);

impl SetCookie {
    /// Leaves the browser's cookie as it is.
    pub(crate) fn none() -> Self {
        Self(None)
    }
}

impl IntoResponseParts for SetCookie {
    type Error = ApiError;

    fn into_response_parts(self, mut response: ResponseParts) -> Result<ResponseParts> {
        if let Some(cookie) = self.0 {
            let value = HeaderValue::try_from(cookie.encoded().to_string());
            let value = value.map_err(|error| ApiError::internal().with_source(error))?;
            response.headers_mut().append(header::SET_COOKIE, value);
        }
        Ok(response)
    }
}

/// A refresh token that a client presents, by cookie or in the body.
pub(crate) struct PresentedToken {
    pub(crate) token: String,
    pub(crate) delivery: TokenDelivery,
}

impl PresentedToken {
    /// Returns the consequence of presenting the token twice.
    pub(crate) fn on_reuse(&self) -> OnReuse {
        match self.delivery {
            TokenDelivery::Body => OnReuse::EndsSession,
            TokenDelivery::Cookie { .. } => OnReuse::RepeatsAnswer,
        }
    }
}

impl<S: Send + Sync> FromRequest<S> for PresentedToken {
    type Rejection = ApiError;

    async fn from_request(request: Request, state: &S) -> Result<Self> {
        let (mut parts, body) = request.into_parts();
        let delivery = TokenDelivery::from_request_parts(&mut parts, state).await?;
        let token = match delivery {
            TokenDelivery::Cookie { .. } => cookie_token(&parts.headers).ok_or_else(wrong_refresh_token)?,
            TokenDelivery::Body => {
                let Json(Refresh { refresh_token }) =
                    Json::from_request(Request::from_parts(parts, body), state).await?;
                refresh_token
            }
        };
        Ok(Self { token, delivery })
    }
}

/// Anybody who refreshes a session. A browser with a cookie that this project issued is limited by its session, and
/// everybody else by address: the pages of a whole office have one address.
#[derive(Debug)]
pub(crate) struct RefreshCaller;

impl AccessPolicy for RefreshCaller {
    const ACCESS: RouteAccess = RouteAccess::Public;
}

impl<S> FromRequestParts<S> for RefreshCaller
where
    S: Send + Sync,
    RateLimits: FromRef<S>,
    Accounts: FromRef<S>,
{
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let delivery = TokenDelivery::from_request_parts(parts, state).await?;
        let cookie = match delivery {
            TokenDelivery::Cookie { .. } => cookie_token(&parts.headers),
            TokenDelivery::Body => None,
        };
        let session = match (Accounts::from_ref(state), cookie) {
            (Accounts::Local(local), Some(token)) => local.issued_session(&token),
            _ => None,
        };
        match session {
            Some(session) => {
                RateLimits::from_ref(state).check_anonymous(&RateLimitKey::Session(session)).await?;
            }
            None => {
                Public::from_request_parts(parts, state).await?;
            }
        }
        Ok(Self)
    }
}

/// Returns the refresh token in the request's cookies.
fn cookie_token(headers: &HeaderMap) -> Option<String> {
    let texts = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    let mut cookies = texts.flat_map(|text| Cookie::split_parse_encoded(text).flatten());
    cookies.find(|cookie| cookie.name() == COOKIE).map(|cookie| cookie.value().to_owned())
}
