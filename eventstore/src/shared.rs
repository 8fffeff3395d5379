//! What the parts of one node's store have in common.

use std::sync::Arc;

use sqlx::PgPool;

use crate::{StoreOptions, aggregates::Aggregates, follow::Follower, keyring::Keyring};

pub(crate) struct Shared {
    pub(crate) pool: PgPool,
    pub(crate) options: StoreOptions,
    pub(crate) keyring: Keyring,
    pub(crate) aggregates: Arc<Aggregates>,
    pub(crate) follower: Follower,
}

impl Shared {
    /// The keys of an owner were destroyed: nothing they opened may stay in memory.
    pub(crate) fn forget(&self, owner: &str) {
        self.keyring.evict(owner);
        self.aggregates.forget(owner);
    }
}
