//! Decisions: what may happen to a user, an organization, a channel, a post.
//!
//! One folder per context, one file per aggregate. No I/O, no clock, no
//! randomness: times and ids come in with the command. Every aggregate is a
//! [`cqrs_es::Aggregate`]; what it refuses, it refuses with a [`Refusal`].

pub mod engagement;
pub mod identity;
pub mod kernel;
pub mod operations;
pub mod publishing;
pub mod schemas;

pub use kernel::{Refusal, RefusalKind};
