//! Files that people send: taken in, told apart and looked through before anything is done with them.

mod container;
mod film;
mod inspect;
mod screening;
mod sniff;
mod spool;
mod workshop;

pub use film::Ffmpeg;
pub use inspect::{Inspector, PixelLimits};
pub use sniff::{is_named_as, sniff};
pub use spool::{Spool, SpoolError, Spooled, Spooling};
pub use workshop::ImageWorkshop;

/// Why a file is not taken, in words that follow "the file".
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadFile(pub String);

impl BadFile {
    pub(crate) fn new(why: impl Into<String>) -> Self {
        Self(why.into())
    }
}
