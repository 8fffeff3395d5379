//! The edge without a log behind it: what happens to a request before and after its handler.

mod access;
mod coverage;
mod envelope;
mod forms;
mod lines;
mod pages;
pub(crate) mod support;
