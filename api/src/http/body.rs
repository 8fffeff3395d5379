//! JSON bodies and queries, checked: unknown fields, depth, U+0000, size, content type.

use std::{future::Ready, ops::Deref};

use actix_web::{FromRequest, HttpRequest, dev::Payload};
use serde::de::DeserializeOwned;

use super::answer::ApiError;

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

#[expect(clippy::todo, unused_variables, reason = "the body is being written")]
impl<T: DeserializeOwned> FromRequest for Body<T> {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>; // becomes a boxed future

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        todo!()
    }
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

#[expect(clippy::todo, unused_variables, reason = "the body is being written")]
impl<T: DeserializeOwned> FromRequest for Query<T> {
    type Error = ApiError;
    type Future = Ready<Result<Self, ApiError>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        todo!()
    }
}
