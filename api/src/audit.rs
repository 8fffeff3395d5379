//! Proofs over HTTP: checkpoints, inclusion, consistency, the public key, bundles.
//!
//! | routes | file |
//! |---|---|
//! | `audit/checkpoint`, `audit/checkpoints`, `audit/key` | `checkpoints.rs` |
//! | `audit/proof/…` | `proofs.rs` |
//! | `audit/export` | `export.rs` |

mod checkpoints;
mod export;
mod faults;
mod proofs;

use actix_web::{
    HttpResponse,
    http::{
        Method,
        header::{self, HeaderMap},
    },
};
use utoipa::OpenApi;

pub(crate) use faults::failed;

use crate::http::{
    Access::{Anonymous, Right},
    ApiResult, Caller, Routes,
};

/// The write side.
pub fn commands(routes: &mut Routes) {
    routes.command(Method::POST, "/audit/checkpoints", Right("audit", "sign"), checkpoints::sign);
}

/// The read side.
pub fn queries(routes: &mut Routes) {
    routes.query("/audit/key", Anonymous, checkpoints::key);
    routes.query("/audit/checkpoint", Right("audit", "read"), checkpoints::latest);
    routes.query("/audit/checkpoints", Right("audit", "read"), checkpoints::list);
    routes.query("/audit/proof/inclusion/{position}", Right("audit", "read"), proofs::inclusion);
    routes.query("/audit/proof/consistency", Right("audit", "read"), proofs::consistency);
    routes.query("/audit/export", Right("audit", "read"), export::export);
}

/// What the handlers say of themselves.
#[derive(OpenApi)]
#[openapi(
    paths(
        checkpoints::sign,
        checkpoints::key,
        checkpoints::latest,
        checkpoints::list,
        proofs::inclusion,
        proofs::consistency,
        export::export,
    ),
    tags((name = "audit", description = "Proofs that nobody changed what was recorded")),
)]
pub struct Document;

/// Whether the whole log is theirs to see; an organization's auditor sees the organization's events.
fn sees_all(caller: &Caller) -> bool {
    caller.is_operator && caller.may("audit", "sign")
}

/// Whether the caller asks for the text form: that of the specification, for other programs.
fn wants_text(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mut media = accept.split(',').map(|part| part.split(';').next().unwrap_or_default().trim());
    let first = media.find(|media| media.ends_with("/json") || *media == "text/plain");
    first == Some("text/plain")
}

fn text(body: String) -> ApiResult {
    Ok(HttpResponse::Ok()
        .content_type("text/plain; charset=utf-8")
        .insert_header((header::VARY, "Accept"))
        .body(body))
}
