//! Sealed values: personal data under its subject's key, secrets under their owner's.

/// How much of an event a reader may see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// Sealed values read as `null`.
    Nothing,
    /// Personal data is opened, secrets are not: for projectors.
    Personal,
    /// Both: only for the aggregate that owns them.
    Everything,
}

/// The key that wraps all others: 32 bytes from the operator or from the data folder.
#[derive(Clone)]
pub struct MasterKey {
    pub(crate) bytes: [u8; 32],
}

impl Drop for MasterKey {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.bytes);
    }
}

impl MasterKey {
    pub fn new(bytes: [u8; 32]) -> Self {
        Self { bytes }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum KeyringError {
    #[error("the master key does not open this log's keys: is it another installation's?")]
    WrongMasterKey,
    #[error("a sealed value is damaged")]
    Damaged,
}
