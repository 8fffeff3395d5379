//! Commands of people and organizations: what several aggregates do together in one append.
//!
//! - [`Identity`] is the handle, one per node. Each method is one command; it takes the caller's
//!   [`Context`](crate::bus::Context) and answers with [`Done`].
//! - Passwords are hashed here ([`PasswordHasher`]), tokens made and read here; the domain sees
//!   hashes and digests only.
//! - [`InvitationExpiry`] is the process manager; mail is [`crate::engagement`]'s.

mod access;
mod account;
mod api_keys;
pub mod avatars;
mod done;
mod expiry;
pub mod external;
mod hashing;
mod invitations;
pub mod links;
mod noting;
mod operator;
mod organizations;
mod recovery;
mod refusal;
mod sessions;
mod sign_in;
pub(crate) mod tokens;

use annals_domain::{
    identity::{ApiKey, Holdings, Organization, Session, User},
    kernel::{OrganizationId, UserId},
};
use annals_eventstore::{Actor, ActorKind, ClaimKey, EventStore, SnapshotPolicy};
use cqrs_es::Aggregate;

pub use access::KeyAccess;
pub use account::{Change, PasswordChange};
pub use api_keys::{CreateApiKey, CreatedApiKey};
pub use done::Done;
pub use expiry::{ExpireInvitations, InvitationExpiry};
pub use external::ExternalSignIn;
pub(crate) use external::{EXTERNAL_CLAIMS, external_claim};
pub use hashing::PasswordHasher;
pub use invitations::{Accepted, Invite, Invited};
pub use noting::HoldingsKeeper;
pub(crate) use operator::first_operator;
pub use organizations::{NewOrganization, SetTier};
pub use refusal::IdentityRefusal;
pub use sessions::RefreshToken;
pub use sign_in::{LogIn, Register, SignedIn};

use crate::bus::{CommandBus, Context};

/// Claims of mail addresses.
pub(crate) const EMAIL_CLAIMS: &str = "identity.email";
/// The claim of whoever came first.
pub(crate) const OPERATOR_CLAIMS: &str = "identity.operator";

pub(crate) fn email_claim(store: &EventStore, canonical_address: &str) -> ClaimKey {
    store.claim_key(EMAIL_CLAIMS, canonical_address)
}

/// The commands of identity. One per node, cheap to clone.
#[derive(Clone)]
pub struct Identity {
    bus: CommandBus,
    hasher: PasswordHasher,
    options: IdentityOptions,
}

#[derive(Clone, Copy, Debug, Default)]
pub struct IdentityOptions {
    pub first_account: FirstAccount,
}

/// What the first account of an installation is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FirstAccount {
    #[default]
    Ordinary,
    /// On an installation that only this machine reaches, who comes first runs it.
    Operator,
}

impl Identity {
    pub fn new(bus: CommandBus, hasher: PasswordHasher, options: IdentityOptions) -> Self {
        Self { bus, hasher, options }
    }

    pub fn bus(&self) -> &CommandBus {
        &self.bus
    }

    /// The claim of a mail address: who holds it is its user.
    fn email_claim(&self, canonical_address: &str) -> ClaimKey {
        email_claim(self.bus.store(), canonical_address)
    }
}

/// How identity's aggregates are snapshot, for [`annals_eventstore::StoreOptions::snapshots`].
pub fn snapshot_policies() -> [(&'static str, SnapshotPolicy); 5] {
    let policy = |every, fingerprint| SnapshotPolicy { every, fingerprint };
    [
        (User::TYPE, policy(100, User::SNAPSHOT_FINGERPRINT)),
        (Session::TYPE, policy(100, Session::SNAPSHOT_FINGERPRINT)),
        // Loaded on nearly every request, and big where there are many members.
        (Organization::TYPE, policy(200, Organization::SNAPSHOT_FINGERPRINT)),
        (ApiKey::TYPE, policy(200, ApiKey::SNAPSHOT_FINGERPRINT)),
        (Holdings::TYPE, policy(200, Holdings::SNAPSHOT_FINGERPRINT)),
    ]
}

/// The caller's context, once it is known who they are.
fn signed_in_as(context: &Context, user: UserId, organization: Option<OrganizationId>) -> Context {
    let mut context = context.clone();
    context.actor = Actor { kind: ActorKind::User, id: Some(user.to_string()) };
    context.organization_id = organization.map(OrganizationId::uuid).or(context.organization_id);
    context.client_subject = Some(format!("user:{user}"));
    context
}
