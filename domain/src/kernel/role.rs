use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A member's role in an organization, weakest first, so that `<` reads "may grant less".
///
/// `auditor` and `operator` are not steps of this ladder: an auditor reads
/// history and changes nothing; the operator is a right of a user over the
/// installation and no organization grants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Reads everything of the organization, changes nothing.
    Viewer,
    /// Reads history and proofs.
    Auditor,
    /// Creates and manages their own posts.
    User,
    /// Manages members, channels and everybody's content.
    Admin,
    /// Everything; an organization always has exactly one.
    Owner,
}

impl Role {
    pub const ALL: [Role; 5] = [Role::Viewer, Role::Auditor, Role::User, Role::Admin, Role::Owner];

    pub fn as_str(self) -> &'static str {
        match self {
            Role::Viewer => "viewer",
            Role::Auditor => "auditor",
            Role::User => "user",
            Role::Admin => "admin",
            Role::Owner => "owner",
        }
    }
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::str::FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Role::ALL.into_iter().find(|role| role.as_str() == text).ok_or(UnknownRole)
    }
}

#[derive(Debug, thiserror::Error)]
#[error("must be one of viewer, auditor, user, admin, owner")]
pub struct UnknownRole;
