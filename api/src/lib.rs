//! Annals over HTTP, and the program `annals`.

pub mod health;
pub mod http;
pub mod identity;
pub mod openapi;
pub mod publishing;
pub mod read_models;
pub mod rights;
pub mod server;
pub mod state;
