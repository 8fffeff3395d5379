//! Identity over HTTP: real servers on real Postgres, with read models, process managers and a
//! clock that tests move.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod accounts;
mod api_keys;
mod bad_input;
mod forgetting;
mod invitations;
mod members;
mod nodes;
mod recovery;
mod sessions;
mod support;
