//! What a command of identity answers, also to a retry under its idempotency key.

use annals_eventstore::StoreError;
use serde::{Serialize, de::DeserializeOwned};

use crate::bus::{CommandError, Outcome, Work};

/// A command that took effect.
#[derive(Clone, Debug)]
pub struct Done<T> {
    pub value: T,
    /// For read-your-writes.
    pub position: u64,
    /// Of the aggregate that the command is about; 0 in the answer to a retry.
    pub version: u64,
}

impl<T: DeserializeOwned> Done<T> {
    /// The command's own value, or what the first call under the same key remembered.
    pub(super) fn of(outcome: Outcome<T>) -> Result<Self, CommandError> {
        let Outcome { receipt, version, value } = outcome;
        let value = match (value, &receipt.shown_once) {
            (Some(value), _) => Ok(value),
            (None, Some(sealed)) => serde_json::from_slice(sealed),
            (None, None) => T::deserialize(&receipt.result),
        };
        let value = value.map_err(|error| StoreError::Damaged {
            position: receipt.position,
            why: format!("the remembered answer can't be read: {error}"),
        })?;
        Ok(Self { value, position: receipt.position, version })
    }
}

/// Keeps ids for the answer to a retry.
pub(super) fn remember<T: Serialize>(work: &mut Work, value: &T) {
    if let Ok(json) = serde_json::to_value(value) {
        work.result(json);
    }
}

/// Keeps an answer that holds a secret, sealed, for ten minutes.
pub(super) fn remember_sealed<T: Serialize>(work: &mut Work, value: &T) {
    if let Ok(json) = serde_json::to_vec(value) {
        work.shown_once(json);
    }
}
