//! What every route shares: the envelope, errors, bodies, who calls, what they may.
//!
//! A request's way: [`observe`] (request id, log line, metrics, panics, time limit), CORS and
//! headers ([`crate::server`]), [`gate`] (rate limit, who calls, their right, the body), the handler.

pub mod answer;
pub mod body;
pub mod caller;
pub mod conditional;
pub mod config;
pub mod context;
pub mod csrf;
mod failure;
pub mod gate;
pub(crate) mod landing;
pub mod limits;
pub mod observe;
pub mod own_writes;
pub mod pages;
pub mod routes;
pub mod security;
pub(crate) mod strict_json;
pub mod tokens;
mod trace;
mod who;

#[cfg(test)]
pub(crate) mod tests;

pub use answer::{Answer, ApiError, ApiResult, FieldError, Page};
pub use body::{Body, MaybeBody, Query};
pub use caller::{Anonymous, Caller, Credential};
pub use routes::{Access, Routes};
