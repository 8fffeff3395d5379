//! Read your writes: which position a caller's queries wait for.

use std::{fmt, time::Duration};

use actix_web::http::header::HeaderMap;
use annals_domain::kernel::UserId;
use moka::sync::Cache;

use super::answer::ApiError;

/// Users whose last command is remembered, and for how long: a read model that is further behind
/// than this waits for nobody.
const USERS_MAX: u64 = 100_000;
const KEPT: Duration = Duration::from_secs(30);

/// The position of each user's last command on this node.
#[derive(Clone)]
pub struct OwnWrites {
    positions: Cache<UserId, u64>,
}

impl fmt::Debug for OwnWrites {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OwnWrites({} users)", self.positions.entry_count())
    }
}

impl Default for OwnWrites {
    fn default() -> Self {
        Self { positions: Cache::builder().max_capacity(USERS_MAX).time_to_live(KEPT).build() }
    }
}

impl OwnWrites {
    pub fn record(&self, user: UserId, position: u64) {
        self.positions
            .entry(user)
            .and_upsert_with(|old| old.map_or(position, |old| old.into_value().max(position)));
    }

    pub fn last(&self, user: UserId) -> Option<u64> {
        self.positions.get(&user)
    }
}

/// What a query waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadAfter {
    /// `Annals-After`: 503 if it is not reached in time.
    Asked(u64),
    /// The caller's own last command: waited for a moment, then answered with what there is.
    Own(u64),
    /// Nothing: only that the read model was ever built.
    Anything,
}

/// Who queries: a caller, or nobody in particular.
pub trait Reads {
    fn read_after(&self) -> ReadAfter;
}

/// `Annals-After`, if it was sent.
///
/// # Errors
/// 400 if it is no position.
pub(super) fn asked(headers: &HeaderMap) -> Result<Option<u64>, ApiError> {
    let Some(value) = headers.get("annals-after") else { return Ok(None) };
    value
        .to_str()
        .ok()
        .and_then(|text| text.parse().ok())
        .map(Some)
        .ok_or_else(|| ApiError::field("Annals-After", "must be a position, as a command's answer gave it"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_position_of_a_user_is_kept() {
        let own = OwnWrites::default();
        let user = UserId::default();
        assert_eq!(own.last(user), None);
        own.record(user, 7);
        own.record(user, 5);
        assert_eq!(own.last(user), Some(7));
    }
}
