//! Annals over HTTP, and the program `annals`.

pub mod http;
pub mod rights;
pub mod server;
pub mod state;
pub mod telemetry;
