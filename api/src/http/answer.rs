//! The one envelope of success and failure. What the rooms' errors become is in `failure.rs`.

use actix_web::{
    HttpResponse, ResponseError,
    http::{
        StatusCode,
        header::{self, HeaderName},
    },
};
use annals_domain::kernel::QuotaExceeded;
use chrono::SubsecRound as _;
use serde::Serialize;
use serde_json::Map;

use super::observe;

/// The position of a command's last event; of a query, `Annals-After` asks for it.
pub const POSITION_HEADER: HeaderName = HeaderName::from_static("annals-position");

/// `{field, message}`: which input is at fault, as the body or query names it (`integrations[0].id`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
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
    pub retry_after_s: Option<u32>,
    /// The stream's current version, with 409.
    pub current_version: Option<u64>,
    /// The limit that is in the way, with 409.
    pub quota: Option<Box<QuotaFailure>>,
    /// What happened inside, for the log only: the caller is not told.
    pub cause: Option<Box<str>>,
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
            quota: None,
            cause: None,
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

    /// 503 with `Retry-After`: nothing was done, and it may work in a moment.
    pub fn unavailable(message: impl Into<String>, retry_after_s: u32) -> Self {
        Self {
            retry_after_s: Some(retry_after_s),
            ..Self::new(StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE", message)
        }
    }

    /// 500: our fault. The caller learns the request id, the log learns the cause.
    pub fn internal(cause: &(dyn std::error::Error + 'static)) -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "INTERNAL_ERROR",
            "something went wrong here; the request id leads to it in the log",
        )
        .caused_by(cause)
    }

    /// The envelope, as it is sent.
    pub(crate) fn body(&self) -> Failure {
        Failure {
            success: false,
            status_code: self.status.as_u16(),
            code: self.code.to_string(),
            message: self.message.clone(),
            errors: self.errors.clone(),
            current_version: self.current_version,
            quota: self.quota.as_deref().cloned(),
            timestamp: chrono::Utc::now().trunc_subsecs(3),
            request_id: observe::request_id(),
        }
    }

    /// Leaves what happened inside with the answer, for its log line.
    pub(super) fn log_with(&self, response: &mut HttpResponse) {
        if let Some(cause) = &self.cause {
            response.extensions_mut().insert(LoggedCause(cause.clone()));
        }
    }

    /// Keeps an error and what caused it for the log.
    #[must_use]
    pub fn caused_by(mut self, cause: &(dyn std::error::Error + 'static)) -> Self {
        let mut words = cause.to_string();
        let mut next = cause.source();
        while let Some(error) = next {
            words.push_str(": ");
            words.push_str(&error.to_string());
            next = error.source();
        }
        self.cause = Some(words.into());
        self
    }
}

impl std::fmt::Display for ApiError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.code, self.message)
    }
}

/// In a response's extensions: what [`ApiError`] kept for the log line.
#[derive(Clone, Debug)]
pub(super) struct LoggedCause(pub(super) Box<str>);

impl ResponseError for ApiError {
    fn status_code(&self) -> StatusCode {
        self.status
    }

    fn error_response(&self) -> HttpResponse {
        let mut response = HttpResponse::build(self.status);
        if let Some(seconds) = self.retry_after_s {
            response.insert_header((header::RETRY_AFTER, seconds.to_string()));
        }
        if let Some(version) = self.current_version {
            response.insert_header((header::ETAG, format!("\"{version}\"")));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            response.insert_header((header::WWW_AUTHENTICATE, "Bearer"));
        }
        response.insert_header((header::CACHE_CONTROL, "no-store"));
        let mut response = response.json(self.body());
        self.log_with(&mut response);
        response
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

impl Page {
    /// Page `page` (from 1) of `total` rows at `per_page` each.
    pub fn of(total: u64, page: u64, per_page: u64) -> Self {
        Self { total, page, per_page, total_pages: total.div_ceil(per_page.max(1)) }
    }
}

/// A success: `200 {"success":true,"data":…,"meta"?}`, built up and then `.respond()`.
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
    /// Of notifications: `meta.unread`.
    pub unread: Option<u64>,
}

impl<T: Serialize> Answer<T> {
    pub fn ok(data: T) -> Self {
        let status = StatusCode::OK;
        Self { status, data, position: None, version: None, page: None, next_cursor: None, unread: None }
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

    #[must_use]
    pub fn unread(mut self, unread: u64) -> Self {
        self.unread = Some(unread);
        self
    }

    /// The response, ready to return from a handler: `Answer::ok(data).respond()`.
    ///
    /// # Errors
    /// 500 if the data can't be written as JSON (a map with keys that are no strings).
    pub fn respond(self) -> ApiResult {
        let mut meta = Map::new();
        let mut response = HttpResponse::build(self.status);
        if let Some(position) = self.position {
            meta.insert("position".into(), position.into());
            response.insert_header((POSITION_HEADER, position.to_string()));
        }
        if let Some(page) = self.page {
            meta.insert("total".into(), page.total.into());
            meta.insert("page".into(), page.page.into());
            meta.insert("perPage".into(), page.per_page.into());
            meta.insert("totalPages".into(), page.total_pages.into());
        }
        if let Some(cursor) = self.next_cursor {
            meta.insert("nextCursor".into(), cursor.into());
        }
        if let Some(unread) = self.unread {
            meta.insert("unread".into(), unread.into());
        }
        if let Some(version) = self.version {
            response.insert_header((header::ETAG, format!("\"{version}\"")));
        }
        let body = Envelope { success: true, data: self.data, meta };
        let body = serde_json::to_vec(&body).map_err(|error| ApiError::internal(&error))?;
        Ok(response.content_type("application/json").body(body))
    }
}

#[derive(Serialize)]
struct Envelope<T> {
    success: bool,
    data: T,
    #[serde(skip_serializing_if = "Map::is_empty")]
    meta: Map<String, serde_json::Value>,
}

/// The success envelope in the OpenAPI document: `body = Success<SessionView>`.
#[derive(Serialize, utoipa::ToSchema)]
pub struct Success<T> {
    #[schema(example = true)]
    pub success: bool,
    pub data: T,
    #[schema(nullable = false)]
    pub meta: Option<Meta>,
}

/// Beside `data`: where the log stands after a command, or where a list's page stands.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Meta {
    /// Of a command: send it as `Annals-After` with a query to read your write.
    pub position: Option<u64>,
    pub total: Option<u64>,
    pub page: Option<u64>,
    pub per_page: Option<u64>,
    pub total_pages: Option<u64>,
    pub next_cursor: Option<String>,
    /// Of notifications: how many are not read.
    pub unread: Option<u64>,
}

/// Which limit of a tier is in the way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct QuotaFailure {
    /// `channels`, `posts_per_month`, `members`, `media_bytes` or `api_keys`.
    #[schema(example = "channels")]
    pub name: &'static str,
    #[schema(example = "free")]
    pub tier: String,
    #[schema(example = 3)]
    pub limit: u64,
    #[schema(example = 3)]
    pub used: u64,
    /// The month of UTC that is full, of what begins anew each month.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub month: Option<String>,
    /// The next tier that has more; left out if none has.
    #[schema(nullable = false, example = "standard")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub more_in: Option<String>,
}

impl From<&QuotaExceeded> for QuotaFailure {
    fn from(exceeded: &QuotaExceeded) -> Self {
        Self {
            name: exceeded.quota.as_str(),
            tier: exceeded.tier.as_str().to_string(),
            limit: exceeded.limit,
            used: exceeded.used,
            month: exceeded.month.as_ref().map(|month| month.as_str().to_string()),
            more_in: exceeded.more_in.as_ref().map(|tier| tier.as_str().to_string()),
        }
    }
}

/// The error envelope in the OpenAPI document.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Failure {
    #[schema(example = false)]
    pub success: bool,
    #[schema(example = 400)]
    pub status_code: u16,
    /// Stable: clients may match on it.
    #[schema(example = "VALIDATION_ERROR")]
    pub code: String,
    pub message: String,
    pub errors: Vec<FieldError>,
    /// With 409 of a stale version: what `If-Match` would have had to be.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current_version: Option<u64>,
    /// With 409 `QUOTA_EXCEEDED`: what the organization's tier has no more of.
    #[schema(nullable = false)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quota: Option<QuotaFailure>,
    pub timestamp: chrono::DateTime<chrono::Utc>,
    pub request_id: String,
}
