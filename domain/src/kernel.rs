//! What every context shares: ids, sealed values, refusals, bounded text.

mod confidential;
mod events;
mod ids;
mod quota;
mod refusal;
mod role;
mod text;

pub(crate) use events::named_events;

pub use confidential::{Owner, Personal, Secret, Subject};
pub use ids::*;
pub use quota::{Allowance, Month, Quota, QuotaExceeded, TierName};
pub use refusal::{Refusal, RefusalKind};
pub use role::Role;
pub use text::{EmailAddress, InvalidText, TimeZone, bounded};
