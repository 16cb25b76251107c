//! Successful responses, in the envelope `{"success":true,"data":…}`.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

/// The envelope of a successful response.
#[derive(Debug, Serialize, ToSchema)]
pub struct Envelope<T> {
    /// Always true.
    #[schema(example = true)]
    pub success: bool,
    /// The requested data.
    pub data: T,
}

/// A 200 response: the value in an [`Envelope`].
#[derive(Debug)]
pub struct Data<T>(pub T);

/// A 201 response: the value in an [`Envelope`].
#[derive(Debug)]
pub struct Created<T>(pub T);

/// A 202 response for work that goes on: the value in an [`Envelope`].
#[derive(Debug)]
pub struct Accepted<T>(pub T);

/// A 204 response, without a body.
#[derive(Debug)]
pub struct NoContent;

impl<T: Serialize> IntoResponse for Data<T> {
    fn into_response(self) -> Response {
        Json(Envelope { success: true, data: self.0 }).into_response()
    }
}

impl<T: Serialize> IntoResponse for Created<T> {
    fn into_response(self) -> Response {
        (StatusCode::CREATED, Data(self.0)).into_response()
    }
}

impl<T: Serialize> IntoResponse for Accepted<T> {
    fn into_response(self) -> Response {
        (StatusCode::ACCEPTED, Data(self.0)).into_response()
    }
}

impl IntoResponse for NoContent {
    fn into_response(self) -> Response {
        StatusCode::NO_CONTENT.into_response()
    }
}
