//! What an organization's tier lets it have, and how often it may call: the running program over HTTP and
//! on the command line.

mod commands;
mod limits;
mod nodes;
mod operator;
mod quotas;
mod support;
