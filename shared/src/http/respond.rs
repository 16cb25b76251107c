//! Successful answers, in the envelope.

use axum::{
    Json,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

/// `{"success":true,"data":…}`, as the body is described in openapi.json.
#[derive(Debug, Serialize, ToSchema)]
pub struct Envelope<T> {
    /// Always true.
    pub success: bool,
    /// The answer.
    pub data: T,
}

/// 200 with the envelope around it.
#[derive(Debug)]
pub struct Data<T>(pub T);

/// 201 with the envelope around it.
#[derive(Debug)]
pub struct Created<T>(pub T);

/// 204 without a body.
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

impl IntoResponse for NoContent {
    fn into_response(self) -> Response {
        StatusCode::NO_CONTENT.into_response()
    }
}
