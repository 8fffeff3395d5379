//! Outgoing HTTP to URLs that users name: bounded, never to a private address unless configured, and with
//! errors that say whether the other side may have acted.

mod address;
mod client;
mod failure;
mod policy;
mod resolver;
#[cfg(test)]
mod tests;
mod websocket;

pub use address::is_public;
pub use client::{Deadline, HttpClient, HttpRequest, HttpResponse, HttpStream};
pub use failure::{Effect, NetError, class_of_status, retry_after};
pub use policy::{AllowedHost, ForbiddenUrl, InvalidAllowedHost, OutboundPolicy};
pub use websocket::WebSocket;
