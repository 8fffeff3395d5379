//! The past over HTTP: what auditors, the operator and nobody else see of it.

mod events;
mod opening;
mod replay;
mod streams;
