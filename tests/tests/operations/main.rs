//! The operator's tools over HTTP and on the command line, against the running program.

mod commands;
mod input;
mod nodes;
mod parked;
mod rebuild;
mod rights;
mod setup;
mod support;
mod timers;
