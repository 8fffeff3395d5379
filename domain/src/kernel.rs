//! What every context shares: ids, sealed values, refusals, bounded text.

mod confidential;
mod events;
mod ids;
mod refusal;
mod role;
mod text;

pub(crate) use events::named_events;

pub use confidential::{Owner, Personal, Secret, Subject};
pub use ids::*;
pub use refusal::{Refusal, RefusalKind};
pub use role::Role;
pub use text::{EmailAddress, InvalidText, TimeZone, bounded};
