//! XRPC, the HTTP of the AT Protocol: calls, and what their errors mean.

use annals_commands::ports::social::{FailureClass, ProviderError};
use chrono::Utc;
use reqwest::{
    Method, StatusCode,
    header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderValue},
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;
use url::Url;

pub(super) use super::super::words::host;
use super::super::words::plain;
use crate::net::{Deadline, Effect, HttpClient, HttpRequest, HttpResponse, class_of_status, retry_after};

/// The errors that one method or another wants to know by name.
pub(super) const RECORD_NOT_FOUND: &str = "RecordNotFound";

pub(super) struct Xrpc {
    http: HttpClient,
}

/// Which method is called where, as whom.
#[derive(Clone, Copy)]
pub(super) struct Call<'c> {
    pub(super) server: &'c Url,
    pub(super) method: &'c str,
    pub(super) token: Option<&'c str>,
    pub(super) effect: Effect,
    pub(super) deadline: Deadline,
}

pub(super) enum Payload {
    Nothing,
    Json(Value),
    Bytes { media_type: String, bytes: Vec<u8> },
}

/// A failure, with the name that the server gave it.
#[derive(Debug)]
pub(super) struct XrpcError {
    pub(super) name: Option<String>,
    pub(super) failure: ProviderError,
}

impl From<XrpcError> for ProviderError {
    fn from(error: XrpcError) -> Self {
        error.failure
    }
}

impl XrpcError {
    pub(super) fn is(&self, name: &str) -> bool {
        self.name.as_deref() == Some(name)
    }

    fn new(class: FailureClass, message: impl Into<String>) -> Self {
        Self { name: None, failure: ProviderError::new(class, message) }
    }
}

impl Xrpc {
    pub(super) fn new(http: HttpClient) -> Self {
        Self { http }
    }

    /// Refuses what the policy forbids, before anything is sent.
    pub(super) fn check(&self, server: &Url) -> Result<(), crate::net::ForbiddenUrl> {
        self.http.policy().check(server)
    }

    pub(super) async fn query<T: DeserializeOwned>(
        &self,
        call: Call<'_>,
        parameters: &[(&str, &str)],
    ) -> Result<T, XrpcError> {
        self.send(Method::GET, call, parameters, Payload::Nothing).await
    }

    pub(super) async fn procedure<T: DeserializeOwned>(
        &self,
        call: Call<'_>,
        payload: Payload,
    ) -> Result<T, XrpcError> {
        self.send(Method::POST, call, &[], payload).await
    }

    async fn send<T: DeserializeOwned>(
        &self,
        method: Method,
        call: Call<'_>,
        parameters: &[(&str, &str)],
        payload: Payload,
    ) -> Result<T, XrpcError> {
        let mut url = call.server.clone();
        url.set_path(&format!("/xrpc/{}", call.method));
        if !parameters.is_empty() {
            url.query_pairs_mut().extend_pairs(parameters);
        }
        let (headers, body) = written(call, payload)?;
        let request = HttpRequest { method, url, headers, body, deadline: call.deadline };
        let response = self.http.send(request).await.map_err(|error| {
            let mut failed =
                XrpcError::new(error.class(call.effect), format!("{}: {error}", host(call.server)));
            failed.failure.source = Some(error.into());
            failed
        })?;
        if !response.status.is_success() {
            return Err(refused(call, &response));
        }
        serde_json::from_slice(&response.body).map_err(|error| {
            let class = match call.effect {
                Effect::Read => FailureClass::Retry,
                Effect::Write => FailureClass::OutcomeUnknown,
            };
            let message = format!("{} did not answer as an AT Protocol server does", host(call.server));
            let mut failed = XrpcError::new(class, message);
            failed.failure.source = Some(error.into());
            failed
        })
    }
}

fn written(call: Call<'_>, payload: Payload) -> Result<(HeaderMap, Option<Vec<u8>>), XrpcError> {
    let malformed = |what: &str| XrpcError::new(FailureClass::BadContent, format!("the {what} is malformed"));
    let mut headers = HeaderMap::new();
    if let Some(token) = call.token {
        let mut value = HeaderValue::from_str(&format!("Bearer {token}"))
            .map_err(|_| XrpcError::new(FailureClass::RefreshToken, "the access token is malformed"))?;
        value.set_sensitive(true);
        headers.insert(AUTHORIZATION, value);
    }
    let body = match payload {
        Payload::Nothing => None,
        Payload::Json(value) => {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            Some(value.to_string().into_bytes())
        }
        Payload::Bytes { media_type, bytes } => {
            let media_type = HeaderValue::from_str(&media_type).map_err(|_| malformed("media type"))?;
            headers.insert(CONTENT_TYPE, media_type);
            Some(bytes)
        }
    };
    Ok((headers, body))
}

/// An error as XRPC writes it.
#[derive(Default, Deserialize)]
struct ErrorBody {
    error: Option<String>,
    message: Option<String>,
}

fn refused(call: Call<'_>, response: &HttpResponse) -> XrpcError {
    let body: ErrorBody = serde_json::from_slice(&response.body).unwrap_or_default();
    let message = body.message.as_deref().unwrap_or_default();
    let class = class(body.error.as_deref(), message, response, call.effect);
    let said = match (message, &body.error) {
        ("", Some(name)) => name.as_str(),
        ("", None) => response.status.canonical_reason().unwrap_or("an unknown error"),
        (message, _) => message,
    };
    let message = format!("{} answered {}: {}", host(call.server), response.status.as_u16(), plain(said));
    let mut failure = ProviderError::new(class, message);
    if class == FailureClass::Retry {
        failure.retry_after = retry_after(&response.headers, Utc::now());
    }
    XrpcError { name: body.error, failure }
}

fn class(name: Option<&str>, message: &str, response: &HttpResponse, effect: Effect) -> FailureClass {
    let by_status = class_of_status(response.status, &response.headers, effect);
    match name {
        // Nobody serves this method there: it is no PDS, or none any more.
        _ if response.status == StatusCode::NOT_IMPLEMENTED => FailureClass::Disconnected,
        _ if response.status.is_server_error() => by_status.unwrap_or(FailureClass::OutcomeUnknown),
        Some("ExpiredToken" | "InvalidToken") => FailureClass::RefreshToken,
        Some("RateLimitExceeded") => FailureClass::Retry,
        Some(
            "AuthenticationRequired"
            | "AuthMissing"
            | "AuthFactorTokenRequired"
            | "AccountTakedown"
            | "AccountSuspended"
            | "AccountDeactivated"
            | "AccountNotFound"
            | "RepoNotFound"
            | "RepoTakendown"
            | "RepoSuspended"
            | "RepoDeactivated",
        ) => FailureClass::Disconnected,
        // The reference PDS says so of a deleted account, with the name it also has for bad content.
        Some("InvalidRequest") if message.starts_with("Could not find repo") => FailureClass::Disconnected,
        _ => by_status.unwrap_or(FailureClass::BadContent),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn classified(status: u16, body: &str, effect: Effect) -> FailureClass {
        let server = "https://pds.example".parse().expect("a URL");
        let deadline = Deadline::within(std::time::Duration::from_secs(1));
        let call = Call { server: &server, method: "a.b.c", token: None, effect, deadline };
        let status = StatusCode::from_u16(status).expect("a status");
        let response = HttpResponse { status, headers: HeaderMap::new(), body: body.as_bytes().to_vec() };
        refused(call, &response).failure.class
    }

    #[test]
    fn errors_are_classified_by_name_before_status() {
        let write =
            |status, name: &str| classified(status, &format!(r#"{{"error":"{name}"}}"#), Effect::Write);
        assert_eq!(write(400, "ExpiredToken"), FailureClass::RefreshToken);
        assert_eq!(write(400, "InvalidToken"), FailureClass::RefreshToken);
        assert_eq!(write(401, "AuthenticationRequired"), FailureClass::Disconnected);
        assert_eq!(write(400, "AccountTakedown"), FailureClass::Disconnected);
        assert_eq!(write(400, "AccountDeactivated"), FailureClass::Disconnected);
        assert_eq!(write(400, "InvalidRequest"), FailureClass::BadContent);
        assert_eq!(write(413, "PayloadTooLarge"), FailureClass::BadContent);
        assert_eq!(write(429, "RateLimitExceeded"), FailureClass::Retry);
        assert_eq!(write(500, "InternalServerError"), FailureClass::OutcomeUnknown);
        assert_eq!(write(502, "UpstreamFailure"), FailureClass::OutcomeUnknown);
        assert_eq!(write(501, "MethodNotImplemented"), FailureClass::Disconnected);
    }

    #[test]
    fn an_error_without_a_name_is_classified_by_status() {
        assert_eq!(classified(404, "<html>", Effect::Write), FailureClass::BadContent);
        assert_eq!(classified(504, "", Effect::Write), FailureClass::OutcomeUnknown);
        assert_eq!(classified(504, "", Effect::Read), FailureClass::Retry);
    }
}
