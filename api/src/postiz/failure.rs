//! Refusals in Postiz's words: `{statusCode, msg}`, and of a fault in the input its `name` besides.

use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::http::{ApiError, FieldError};

/// What clients of Postiz read of a refusal.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Refusal {
    status_code: u16,
    msg: String,
    /// The same, for clients that look for it here.
    message: String,
    /// Which input is at fault: `posts[0].integration.id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// The platform that refuses the content; none where it is not one platform's rule.
    #[serde(skip_serializing_if = "Option::is_none")]
    provider: Option<String>,
}

impl Refusal {
    fn of(error: &ApiError) -> Self {
        let fault = error.errors.first();
        let words = match fault {
            Some(fault) => format!("{} {}", fault.field, fault.message),
            None => error.message.clone(),
        };
        Self {
            status_code: error.status.as_u16(),
            msg: words.clone(),
            message: words,
            name: fault.map(|fault| fault.field.clone()),
            provider: None,
        }
    }
}

/// A refusal, as a response.
pub(super) fn tell(_: &HttpRequest, error: &ApiError) -> HttpResponse {
    let mut response = HttpResponse::build(error.status);
    if let Some(seconds) = error.retry_after_s {
        response.insert_header((header::RETRY_AFTER, seconds.to_string()));
    }
    if error.status == StatusCode::UNAUTHORIZED {
        response.insert_header((header::WWW_AUTHENTICATE, "Bearer"));
    }
    response.insert_header((header::CACHE_CONTROL, "no-store"));
    response.json(Refusal::of(error))
}

/// Faults by the names that the input has here: `content` is `posts[0].value[0].content`.
pub(super) fn renamed(error: ApiError) -> ApiError {
    let errors = error.errors.into_iter();
    let errors = errors.map(|fault| FieldError { field: name(&fault.field), ..fault }).collect();
    ApiError { errors, ..error }
}

fn name(field: &str) -> String {
    if let Some(index) = indexed(field, "integrations[") {
        let (index, rest) = index;
        return match rest {
            "content" => format!("posts[{index}].value[0].content"),
            rest => format!("posts[{index}].integration.{rest}"),
        };
    }
    if let Some((index, _)) = indexed(field, "thread[") {
        return format!("posts[0].value[{}].content", index + 1);
    }
    match field {
        "content" => "posts[0].value[0].content".to_string(),
        "integrations" => "posts".to_string(),
        "scheduledAt" => "date".to_string(),
        other => other.to_string(),
    }
}

/// The number in `prefix` + `3].rest`, and the rest.
fn indexed<'f>(field: &'f str, prefix: &str) -> Option<(usize, &'f str)> {
    let (index, rest) = field.strip_prefix(prefix)?.split_once(']')?;
    Some((index.parse().ok()?, rest.trim_start_matches('.')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_have_the_names_of_the_input() {
        let names = ["content", "integrations[2].id", "integrations[1].content", "thread[0]", "scheduledAt"];
        let expected = [
            "posts[0].value[0].content",
            "posts[2].integration.id",
            "posts[1].value[0].content",
            "posts[0].value[1].content",
            "date",
        ];
        assert_eq!(names.map(name), expected);
        assert_eq!(name("tags[0]"), "tags[0]");
    }
}
