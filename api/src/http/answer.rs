//! The one envelope of success and failure. Errors are mapped to HTTP here and nowhere else.

use actix_web::{HttpResponse, ResponseError, http::StatusCode};
use annals_commands::bus::CommandError;
use annals_projections::ReadError;
use serde::Serialize;

/// `{field, message}`: which input is at fault, as the body or query names it (`integrations[0].id`).
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct FieldError {
    pub field: String,
    pub message: String,
}

impl FieldError {
    pub fn new(field: impl Into<String>, message: impl ToString) -> Self {
        Self { field: field.into(), message: message.to_string() }
    }
}

/// An error answer: its status, its stable code, words for a person, the fields at fault.
#[derive(Debug)]
pub struct ApiError {
    pub status: StatusCode,
    pub code: &'static str,
    pub message: String,
    pub errors: Vec<FieldError>,
    /// `Retry-After`, in seconds.
    pub retry_after_s: Option<u64>,
    /// The stream's current version, with 409 and 412.
    pub current_version: Option<u64>,
}

impl ApiError {
    pub fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
            errors: Vec::new(),
            retry_after_s: None,
            current_version: None,
        }
    }

    /// 400 `VALIDATION_ERROR` with the fields at fault.
    pub fn validation(errors: Vec<FieldError>) -> Self {
        Self { errors, ..Self::new(StatusCode::BAD_REQUEST, "VALIDATION_ERROR", "the request is not valid") }
    }

    /// 400 for one field.
    pub fn field(field: impl Into<String>, message: impl ToString) -> Self {
        Self::validation(vec![FieldError::new(field, message)])
    }

    /// 404: there is no such thing, or none that the caller may see.
    pub fn not_found(what: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "NOT_FOUND", format!("there is no such {what}"))
    }

    pub fn unauthorized(message: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", message)
    }

    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, "FORBIDDEN", message)
    }

    pub fn conflict(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, code, message)
    }
}

impl std::fmt::Display for ApiError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

#[expect(clippy::todo, unused_variables, reason = "the bodies are being written")]
impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        todo!()
    }
}

#[expect(clippy::todo, unused_variables, reason = "the body is being written")]
impl From<CommandError> for ApiError {
    fn from(error: CommandError) -> Self {
        todo!()
    }
}

#[expect(clippy::todo, unused_variables, reason = "the body is being written")]
impl From<ReadError> for ApiError {
    fn from(error: ReadError) -> Self {
        todo!()
    }
}

/// What every handler returns.
pub type ApiResult = Result<HttpResponse, ApiError>;

/// Paging of a list, in the envelope's `meta`.
#[derive(Clone, Copy, Debug, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Page {
    pub total: u64,
    pub page: u64,
    pub per_page: u64,
    pub total_pages: u64,
}

/// A success: `200 {"success":true,"data":…,"meta"?}`, built up and then `.into()` a response.
#[derive(Debug)]
pub struct Answer<T> {
    pub status: StatusCode,
    pub data: T,
    /// Of a command: `meta.position` and the `Annals-Position` header.
    pub position: Option<u64>,
    /// ETag.
    pub version: Option<u64>,
    pub page: Option<Page>,
    /// Of a keyset-paged list: `meta.nextCursor`.
    pub next_cursor: Option<String>,
}

impl<T: Serialize> Answer<T> {
    pub fn ok(data: T) -> Self {
        Self { status: StatusCode::OK, data, position: None, version: None, page: None, next_cursor: None }
    }

    pub fn created(data: T) -> Self {
        Self { status: StatusCode::CREATED, ..Self::ok(data) }
    }

    #[must_use]
    pub fn position(mut self, position: u64) -> Self {
        self.position = Some(position);
        self
    }

    #[must_use]
    pub fn version(mut self, version: u64) -> Self {
        self.version = Some(version);
        self
    }

    #[must_use]
    pub fn page(mut self, page: Page) -> Self {
        self.page = Some(page);
        self
    }

    #[must_use]
    pub fn next_cursor(mut self, cursor: Option<String>) -> Self {
        self.next_cursor = cursor;
        self
    }
}

impl<T: Serialize> Answer<T> {
    /// The response, ready to return from a handler.
    ///
    /// # Errors
    /// Never in practice; a handler ends with `Answer::ok(data).respond()`.
    #[expect(clippy::todo, reason = "the body is being written")]
    pub fn respond(self) -> ApiResult {
        todo!()
    }
}
