//! The media library over HTTP: what comes in, what is refused, what can be read by whom, what goes.

mod avatars;
mod files;
mod library;
mod platforms;
mod postiz;
mod refused;
mod support;
mod used;
mod variants;
mod videos;
