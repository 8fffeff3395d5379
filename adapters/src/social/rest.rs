//! JSON over HTTP, as most platforms speak it: one call, and what its failure means.

use std::time::Duration;

use annals_commands::ports::social::{FailureClass, ProviderError};
use chrono::Utc;
use reqwest::{
    Method, StatusCode,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue},
};
use serde::de::DeserializeOwned;
use serde_json::Value;
use url::{Url, form_urlencoded};

use super::words::{host, plain};
use crate::net::{Deadline, Effect, HttpClient, HttpRequest, HttpResponse, class_of_status, retry_after};

/// Where errors of a platform stand in its answers.
pub(crate) type ErrorWords = fn(&Value) -> Option<String>;

/// What a platform's refusals mean, where it says more than its status.
pub(crate) type Judge = fn(&Refused<'_>) -> Verdict;

/// A call that was not accepted.
pub(crate) struct Refused<'r> {
    pub(crate) status: StatusCode,
    pub(crate) headers: &'r HeaderMap,
    /// A text if it is a word or a line and no JSON, and null if it is more.
    pub(crate) body: &'r Value,
    /// What the status means by itself.
    class: FailureClass,
}

/// What that means.
#[derive(Clone, Copy)]
pub(crate) struct Verdict {
    pub(crate) class: FailureClass,
    /// When the platform said to come back; counts if it did not act.
    pub(crate) retry_after: Option<Duration>,
}

impl Verdict {
    /// By status and headers alone.
    pub(crate) fn by_status(refused: &Refused<'_>) -> Self {
        Self { class: refused.class, retry_after: retry_after(refused.headers, Utc::now()) }
    }
}

/// Calls to one kind of platform. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Rest {
    http: HttpClient,
    /// As in a sentence: `a Mastodon server`.
    kind: &'static str,
    words: ErrorWords,
    judge: Judge,
}

/// One call; GET and without a body unless said otherwise.
pub(crate) struct RestCall {
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: Option<Vec<u8>>,
    effect: Effect,
    deadline: Deadline,
}

impl RestCall {
    pub(crate) fn get(url: Url, deadline: Deadline) -> Self {
        let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static("application/json"))]);
        Self { method: Method::GET, url, headers, body: None, effect: Effect::Read, deadline }
    }

    /// A call whose lost answer leaves open whether it acted.
    pub(crate) fn writes(method: Method, url: Url, deadline: Deadline) -> Self {
        Self { method, effect: Effect::Write, ..Self::get(url, deadline) }
    }

    /// A `POST` that may be repeated without harm.
    pub(crate) fn asks(url: Url, deadline: Deadline) -> Self {
        Self { method: Method::POST, ..Self::get(url, deadline) }
    }

    pub(crate) fn query(mut self, pairs: &[(&str, &str)]) -> Self {
        self.url.query_pairs_mut().extend_pairs(pairs);
        self
    }

    pub(crate) fn bearer(self, token: &str) -> Self {
        self.secret(AUTHORIZATION, &format!("Bearer {token}"))
    }

    /// A header that is not shown in logs; one that can't be sent is left out, and the platform says so.
    pub(crate) fn secret(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(mut value) = HeaderValue::from_str(value) {
            value.set_sensitive(true);
            self.headers.insert(name, value);
        }
        self
    }

    pub(crate) fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    pub(crate) fn form(self, pairs: &[(&str, &str)]) -> Self {
        let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        self.body("application/x-www-form-urlencoded", body.into_bytes())
    }

    pub(crate) fn json(self, body: &impl serde::Serialize) -> Self {
        let body = serde_json::to_vec(body).expect("our own bodies serialize");
        self.body("application/json", body)
    }

    pub(crate) fn body(mut self, media_type: &str, body: Vec<u8>) -> Self {
        if let Ok(media_type) = HeaderValue::from_str(media_type) {
            self.headers.insert(CONTENT_TYPE, media_type);
        }
        self.body = Some(body);
        self
    }
}

impl Rest {
    pub(crate) fn new(http: HttpClient, kind: &'static str, words: ErrorWords) -> Self {
        Self { http, kind, words, judge: Verdict::by_status }
    }

    #[must_use]
    pub(crate) fn judged_by(self, judge: Judge) -> Self {
        Self { judge, ..self }
    }

    /// Refuses what the policy forbids, before anything is sent.
    pub(crate) fn check(&self, server: &Url) -> Result<(), crate::net::ForbiddenUrl> {
        self.http.policy().check(server)
    }

    pub(crate) async fn call<T: DeserializeOwned>(&self, call: RestCall) -> Result<T, ProviderError> {
        let (url, effect) = (call.url.clone(), call.effect);
        let response = self.send(call).await?;
        // An empty answer stands for null.
        let body: &[u8] = if response.body.is_empty() { b"null" } else { &response.body };
        serde_json::from_slice(body).map_err(|error| {
            let class = match effect {
                Effect::Read => FailureClass::Retry,
                Effect::Write => FailureClass::OutcomeUnknown,
            };
            let message = format!("{} did not answer as {} does", host(&url), self.kind);
            ProviderError::new(class, message).caused_by(error)
        })
    }

    /// The answer to a call that was accepted, whatever it says.
    pub(crate) async fn send(&self, call: RestCall) -> Result<HttpResponse, ProviderError> {
        let RestCall { method, url, headers, body, effect, deadline } = call;
        let request = HttpRequest { method, url: url.clone(), headers, body, deadline };
        let response = self.http.send(request).await.map_err(|error| {
            let message = format!("{}: {error}", host(&url));
            ProviderError::new(error.class(effect), message).caused_by(error)
        })?;
        match class_of_status(response.status, &response.headers, effect) {
            None => Ok(response),
            Some(class) => Err(self.refused(&url, class, &response)),
        }
    }

    fn refused(&self, url: &Url, class: FailureClass, response: &HttpResponse) -> ProviderError {
        let body = refusal(&response.body);
        let said = (self.words)(&body);
        let said = said.as_deref().filter(|said| !said.trim().is_empty());
        let said = said.or(response.status.canonical_reason()).unwrap_or("an unknown error");
        let message = format!("{} answered {}: {}", host(url), response.status.as_u16(), plain(said));
        let refused = Refused { status: response.status, headers: &response.headers, body: &body, class };
        let Verdict { class, retry_after } = (self.judge)(&refused);
        let mut failure = ProviderError::new(class, message);
        failure.retry_after = retry_after.filter(|_| class == FailureClass::Retry);
        failure
    }
}

fn refusal(body: &[u8]) -> Value {
    let line = || std::str::from_utf8(body).ok().map(str::trim).filter(|text| text.len() <= 200);
    let line = || line().filter(|text| !text.starts_with('<')).map(|text| Value::String(text.to_string()));
    serde_json::from_slice(body).ok().or_else(line).unwrap_or_default()
}

/// A `multipart/form-data` body (RFC 7578) of one file and fields beside it, with its media type.
pub(crate) fn multipart(
    fields: &[(&str, &str)],
    (name, file_name, media_type, bytes): (&str, &str, &str, &[u8]),
) -> (String, Vec<u8>) {
    // Random: no file holds it by chance.
    let boundary = format!("annals-{}", uuid::Uuid::new_v4().simple());
    let mut body = Vec::with_capacity(bytes.len() + 1024);
    for (field, value) in fields {
        let head = format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{field}\"\r\n\r\n");
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(value.as_bytes());
        body.extend_from_slice(b"\r\n");
    }
    let head = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"; filename=\"{file_name}\"\r\n\
         Content-Type: {media_type}\r\n\r\n"
    );
    body.extend_from_slice(head.as_bytes());
    body.extend_from_slice(bytes);
    body.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    (format!("multipart/form-data; boundary={boundary}"), body)
}
