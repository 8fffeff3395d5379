//! Annals over HTTP, and the program `annals`.

pub mod http;
