//! What happens, as it happens: Server-Sent Events and WebSocket.
//!
//! | what | file |
//! |---|---|
//! | the routes, their answers | `answer.rs` |
//! | one-use tickets for browsers | `tickets.rs` |
//! | one listener: where it is, what it may see, when it is let go | `listener.rs` |
//! | the node's one subscription, which feeds all | `hub.rs` |
//! | what a listener is told | `word.rs` |
//!
//! `docs/live.md` is for those who listen.

mod answer;
mod hub;
mod listener;
mod tickets;
mod word;

use actix_web::http::Method;
use utoipa::{OpenApi, openapi::OpenApi as Document};

pub(crate) use answer::listen_from_page;
pub use hub::Hub;

use crate::http::{Access, Routes};

/// The resource of the policy that this is about; its action is `read`.
pub const RESOURCE: &str = "live";

/// Tickets are asked for with a token, and change nothing.
pub fn commands(routes: &mut Routes) {
    routes.command(Method::POST, "/live/tickets", Access::Right(RESOURCE, "read"), tickets::issue);
}

/// The streams.
pub fn queries(routes: &mut Routes) {
    routes.query("/live", Access::Right(RESOURCE, "read"), answer::listen).takes_tickets();
}

#[derive(OpenApi)]
#[openapi(
    paths(answer::listen, tickets::issue),
    tags((name = "live", description = "What happens, as it happens")),
)]
struct Documented;

/// What the handlers say of themselves.
pub fn document() -> Document {
    Documented::openapi()
}
