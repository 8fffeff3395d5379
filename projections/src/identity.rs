//! Read models of people and their organizations. When somebody is forgotten, their rows go in the
//! same transaction that moves the checkpoint past the deletion of their account.

pub mod api_keys;
pub mod external_identities;
pub mod organizations;
pub mod sessions;
pub mod usage;
pub mod users;

pub use api_keys::ApiKeys;
pub use external_identities::ExternalIdentities;
pub use organizations::Organizations;
pub use sessions::Sessions;
pub use usage::Usage;
pub use users::Users;

use annals_eventstore::Filter;

const USER: &str = "identity.user";
const SESSION: &str = "identity.session";
const ORGANIZATION: &str = "identity.organization";
const API_KEY: &str = "identity.api_key";

const EXTERNAL_IDENTITY_LINKED: &str = "identity.user.external_identity_linked";
const EXTERNAL_IDENTITY_UNLINKED: &str = "identity.user.external_identity_unlinked";
const USER_DELETED: &str = "identity.user.deleted";

/// A number of the log as Postgres has it; neither gets near the end of its range.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn events(types: impl IntoIterator<Item = &'static str>) -> Filter {
    Filter { event_types: types.into_iter().map(String::from).collect(), ..Filter::default() }
}
