//! The past over HTTP: events, streams, what an aggregate was, what changed.
//!
//! | routes | file |
//! |---|---|
//! | `events`, `events/{position}` | `events.rs`, as lines of JSON `lines.rs` |
//! | `events/{position}/open` | `open.rs` |
//! | `streams/{type}/{id}`, `…/state`, `…/difference` | `streams.rs` |
//!
//! Who asks sees what [`Scope`] lets through, and nothing that is sealed. The functions beneath the
//! handlers are for the console and the command line too.

pub mod aggregates;
pub mod causation;
pub mod difference;
pub mod events;
pub mod lines;
mod moment;
mod open;
pub mod query;
mod scope;
pub mod streams;
mod view;

use actix_web::http::Method;
use utoipa::{OpenApi, openapi::OpenApi as Document};

pub use moment::{Moment, NoMoment};
pub use scope::{RESOURCE, Scope, of_organization};
pub use view::{Doer, EventView};

use crate::http::{Access, Routes};

/// The write side.
pub fn commands(routes: &mut Routes) {
    let open = Access::Right(RESOURCE, "open");
    routes.command(Method::POST, "/events/{position}/open", open, open::open);
}

/// The read side.
pub fn queries(routes: &mut Routes) {
    let read = Access::Right(RESOURCE, "read");
    routes.query("/events", read, events::list);
    routes.query("/events/{position}", read, events::show);
    routes.query("/streams/{type}/{id}", read, streams::show);
    routes.query("/streams/{type}/{id}/state", read, streams::state);
    routes.query("/streams/{type}/{id}/difference", read, streams::changes);
}

#[derive(OpenApi)]
#[openapi(
    paths(events::list, events::show, open::open, streams::show, streams::state, streams::changes),
    tags((name = "history", description = "What happened, for auditors: the log itself, sealed values erased")),
)]
struct Documented;

/// What the handlers say of themselves.
pub fn document() -> Document {
    Documented::openapi()
}
