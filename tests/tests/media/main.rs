//! The media library over HTTP: what comes in, what is refused, what can be read by whom, what goes.

mod files;
mod library;
mod postiz;
mod refused;
mod support;
mod used;
mod variants;
