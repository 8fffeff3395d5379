//! JSON bodies and queries, checked: unknown fields, depth, U+0000, size, content type.

use std::{
    future::{Ready, ready},
    ops::Deref,
};

use actix_web::{
    FromRequest, HttpMessage, HttpRequest,
    dev::Payload,
    http::{StatusCode, header},
    web::Bytes,
};
use serde::de::DeserializeOwned;

use super::{answer::ApiError, strict_json};

/// The request's bytes as [`super::gate`] read them, in the request's extensions: for this
/// extractor and for the idempotency key's digest.
#[derive(Clone, Debug)]
pub struct RawBody(pub Bytes);

/// A JSON body as a wire struct (`#[serde(deny_unknown_fields, rename_all = "camelCase")]`).
///
/// Refuses, naming the field: a wrong type, an unknown field, U+0000, nesting past 32; and 413 for
/// too big, 415 for another content type, 400 for invalid JSON or UTF-8.
#[derive(Debug)]
pub struct Body<T>(pub T);

impl<T> Deref for Body<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: DeserializeOwned> FromRequest for Body<T> {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(parse(request).map(Self))
    }
}

/// The same for a body that may be left out.
#[derive(Debug)]
pub struct MaybeBody<T>(pub Option<T>);

impl<T: DeserializeOwned> FromRequest for MaybeBody<T> {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        if raw(request).is_empty() {
            return ready(Ok(Self(None)));
        }
        ready(parse(request).map(|body| Self(Some(body))))
    }
}

fn raw(request: &HttpRequest) -> Bytes {
    request.extensions().get::<RawBody>().map(|raw| raw.0.clone()).unwrap_or_default()
}

fn parse<T: DeserializeOwned>(request: &HttpRequest) -> Result<T, ApiError> {
    let bytes = raw(request);
    if bytes.is_empty() {
        return Err(ApiError::field("body", "is required: send a JSON object"));
    }
    check_content_type(request)?;
    strict_json::parse(&bytes)
}

fn check_content_type(request: &HttpRequest) -> Result<(), ApiError> {
    let value = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let mut parts = value.unwrap_or_default().split(';').map(str::trim);
    let is_json = parts.next().is_some_and(|kind| kind.eq_ignore_ascii_case("application/json"));
    let is_utf8 = parts.all(|parameter| {
        parameter
            .to_ascii_lowercase()
            .strip_prefix("charset=")
            .is_none_or(|set| set.trim_matches('"') == "utf-8")
    });
    // Nobody's two kilobytes unfold to a gigabyte here.
    let is_plain = request.headers().get(header::CONTENT_ENCODING).is_none_or(|coding| coding == "identity");
    if is_json && is_utf8 && is_plain {
        return Ok(());
    }
    Err(ApiError::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "UNSUPPORTED_MEDIA_TYPE",
        "the body must be sent as application/json in UTF-8, not compressed",
    ))
}

/// A query string as a wire struct; unknown parameters and wrong types are refused by name.
#[derive(Debug)]
pub struct Query<T>(pub T);

impl<T> Deref for Query<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: DeserializeOwned> FromRequest for Query<T> {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(parse_query(request.query_string()).map(Self))
    }
}

fn parse_query<T: DeserializeOwned>(query: &str) -> Result<T, ApiError> {
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        for part in [name, value] {
            let decoded = percent_decode(part);
            let fault = match std::str::from_utf8(&decoded) {
                Err(_) => "must be UTF-8",
                Ok(text) if text.contains('\0') => "must not contain U+0000",
                Ok(_) => continue,
            };
            let name = String::from_utf8_lossy(&percent_decode(name)).replace('\0', "\u{2400}");
            return Err(ApiError::field(name, fault));
        }
    }
    let pairs = url::form_urlencoded::parse(query.as_bytes());
    serde_path_to_error::deserialize(serde_urlencoded::Deserializer::new(pairs)).map_err(|error| {
        let path = error.path().to_string();
        let mut fault = strict_json::name_fault(&path, &error.into_inner().to_string());
        if fault.field == "body" {
            fault.field = "query".to_string();
        }
        ApiError::validation(vec![fault])
    })
}

/// The bytes behind `%41` and `+`. What is no escape stays as it is, as browsers take it.
fn percent_decode(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let escape = bytes.get(at + 1..at + 3).and_then(|hex| std::str::from_utf8(hex).ok());
        match (bytes[at], escape.and_then(|hex| u8::from_str_radix(hex, 16).ok())) {
            (b'%', Some(byte)) => {
                decoded.push(byte);
                at += 3;
            }
            (b'+', _) => {
                decoded.push(b' ');
                at += 1;
            }
            (byte, _) => {
                decoded.push(byte);
                at += 1;
            }
        }
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, serde::Deserialize)]
    #[serde(deny_unknown_fields, rename_all = "camelCase")]
    struct Filter {
        #[serde(default)]
        per_page: Option<u32>,
        #[serde(default)]
        text: Option<String>,
    }

    #[track_caller]
    fn check_fault(query: &str, field: &str, message: &str) {
        let error = parse_query::<Filter>(query).expect_err("is refused");
        assert_eq!((error.status.as_u16(), error.errors[0].field.as_str()), (400, field));
        assert!(error.errors[0].message.contains(message), "{}", error.errors[0].message);
    }

    #[test]
    fn a_query_is_parsed_with_its_escapes() {
        let filter: Filter = parse_query("perPage=20&text=gr%C3%BC%C3%9Fe+dich").expect("is fine");
        assert_eq!(filter, Filter { per_page: Some(20), text: Some("grüße dich".into()) });
        assert_eq!(parse_query::<Filter>("").expect("is fine"), Filter { per_page: None, text: None });
    }

    #[test]
    fn a_parameter_at_fault_is_named() {
        check_fault("perPage=lots", "perPage", "must be a whole number");
        check_fault("per_page=1", "per_page", "not a known field");
        check_fault("text=a%00b", "text", "U+0000");
        check_fault("text=%FF", "text", "UTF-8");
        check_fault("text=a&text=b", "text", "once");
    }
}
