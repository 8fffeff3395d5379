//! What a failed call means: whether the other side may have acted, and when to come back.

use std::{error::Error, time::Duration};

use annals_commands::ports::social::FailureClass;
use chrono::{DateTime, Utc};
use reqwest::{
    StatusCode,
    header::{HeaderMap, RETRY_AFTER},
};

use super::policy::ForbiddenUrl;

/// The longest wait that a server can ask for.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// Whether a call changes something on the other side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// It can be repeated without harm.
    Read,
    /// If the answer is lost, nobody knows whether it acted.
    Write,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// The policy forbids the URL, an address behind it, or where it redirects to. Nothing was sent there.
    #[error("the address {0}")]
    Forbidden(#[from] ForbiddenUrl),
    /// No connection: the name does not resolve, nobody listens, TLS fails. Nothing was sent.
    #[error("the server can't be reached")]
    NotReached(#[source] Box<dyn Error + Send + Sync>),
    /// The time for the call was used up before it was sent.
    #[error("there was no time left for the call")]
    OutOfTime,
    /// The request was sent and no whole answer came back.
    #[error("the server broke off before it had answered")]
    Broken(#[source] Box<dyn Error + Send + Sync>),
    #[error("the answer has more than {bytes_max} bytes")]
    TooLarge { bytes_max: usize },
    #[error("the server redirects in circles or to nowhere")]
    BadRedirect,
}

impl NetError {
    /// What this means for the next attempt.
    pub fn class(&self, effect: Effect) -> FailureClass {
        match (self, effect) {
            // It will be as forbidden next time: the user has to name another address.
            (Self::Forbidden(_) | Self::BadRedirect, _) => FailureClass::Disconnected,
            (Self::NotReached(_) | Self::OutOfTime, _) => FailureClass::Retry,
            (Self::Broken(_) | Self::TooLarge { .. }, Effect::Read) => FailureClass::Retry,
            (Self::Broken(_) | Self::TooLarge { .. }, Effect::Write) => FailureClass::OutcomeUnknown,
        }
    }

    pub(super) fn from_reqwest(error: reqwest::Error) -> Self {
        if let Some(forbidden) = forbidden_within(&error) {
            return Self::Forbidden(forbidden);
        }
        // The URL can hold a query with a token, and the message goes into logs.
        let error = error.without_url();
        if error.is_connect() || error.is_builder() {
            Self::NotReached(error.into())
        } else {
            Self::Broken(error.into())
        }
    }
}

/// The refusal of our own resolver, which arrives wrapped into errors of the HTTP client.
fn forbidden_within(error: &reqwest::Error) -> Option<ForbiddenUrl> {
    let mut source: Option<&(dyn Error + 'static)> = error.source();
    while let Some(error) = source {
        if let Some(forbidden) = error.downcast_ref::<ForbiddenUrl>() {
            return Some(forbidden.clone());
        }
        source = error.source();
    }
    None
}

/// What a status means by itself; a platform's error body can say it better. `None` for a success.
pub fn class_of_status(status: StatusCode, headers: &HeaderMap, effect: Effect) -> Option<FailureClass> {
    let lost = match effect {
        Effect::Read => FailureClass::Retry,
        Effect::Write => FailureClass::OutcomeUnknown,
    };
    match status {
        status if status.is_success() => None,
        StatusCode::TOO_MANY_REQUESTS => Some(FailureClass::Retry),
        // Who says when to come back has turned the call away; a bare 503 can come from a proxy that gave
        // up waiting.
        StatusCode::SERVICE_UNAVAILABLE if headers.contains_key(RETRY_AFTER) => Some(FailureClass::Retry),
        StatusCode::REQUEST_TIMEOUT => Some(lost),
        status if status.is_server_error() => Some(lost),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Some(FailureClass::Disconnected),
        // A redirect that was not followed: what was connected is elsewhere now.
        status if status.is_redirection() => Some(FailureClass::Disconnected),
        _ => Some(FailureClass::BadContent),
    }
}

/// When to come back, as `Retry-After` (seconds or a date), `ratelimit-reset` (Unix seconds, as AT Protocol
/// servers write it) or `x-ratelimit-reset` (RFC 3339, as Mastodon writes it) say; at most a day.
pub fn retry_after(headers: &HeaderMap, now: DateTime<Utc>) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok().map(str::trim);
    let until = |at: DateTime<Utc>| (at - now).to_std().unwrap_or_default();
    let wait = match text("retry-after") {
        Some(value) => match value.parse::<u64>() {
            Ok(seconds) => Duration::from_secs(seconds),
            Err(_) => until(DateTime::parse_from_rfc2822(value).ok()?.to_utc()),
        },
        None => match text("ratelimit-reset") {
            Some(seconds) => until(DateTime::from_timestamp(seconds.parse().ok()?, 0)?),
            None => until(DateTime::parse_from_rfc3339(text("x-ratelimit-reset")?).ok()?.to_utc()),
        },
    };
    Some(wait.min(RETRY_AFTER_MAX))
}
