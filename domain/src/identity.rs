//! People and their organizations: users, sessions, organizations, API keys.
//!
//! Who is a member where stands on both streams, the organization's (with the role) and the
//! user's (so that deleting an account knows what to leave); both are written in one append.

pub mod api_key;
mod external;
pub mod holdings;
pub mod organization;
pub mod session;
pub mod user;
mod values;

#[cfg(test)]
mod samples;

pub use api_key::{ApiKey, ApiKeyCommand, ApiKeyError, ApiKeyEvent};
pub use external::{ExternalAccount, ExternalSubject, Issuer, ProviderName};
pub use holdings::{Held, Holdings, HoldingsCommand, HoldingsEvent};
pub use organization::{Organization, OrganizationCommand, OrganizationError, OrganizationEvent};
pub use session::{Session, SessionCommand, SessionError, SessionEvent};
pub use user::{ExternalIdentity, User, UserCommand, UserError, UserEvent, VerificationOccasion};
pub use values::*;
