//! A type per id, so that a post's id can't be passed where a channel's is meant.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            pub const fn new(id: Uuid) -> Self {
                Self(id)
            }

            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }
    )+};
}

ids! {
    /// A person with an account.
    UserId,
    /// One sign-in of a user on one device, through all its refreshes.
    SessionId,
    /// An organization: the tenant that owns channels and posts.
    OrganizationId,
    /// An invitation of an address into an organization.
    InvitationId,
    /// An account at another provider that is linked to a user.
    ExternalIdentityId,
    /// A key for programs.
    ApiKeyId,
    /// A connected channel (an account on a platform).
    IntegrationId,
    /// A post, for one or more channels.
    PostId,
    /// A post that recurs.
    SeriesId,
    /// Many posts at once, from a file.
    ImportId,
    /// A label for posts.
    TagId,
    /// A file of the media library.
    MediaId,
    /// One thing that one person was told of.
    NotificationId,
    /// One try to publish a post on one channel.
    AttemptId,
}
