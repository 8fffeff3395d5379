//! The outside world behind the ports of `annals-commands`.

pub mod checkpoints;
pub mod feed;
pub mod files;
pub mod mail;
pub mod media;
pub mod net;
pub mod sign_in;
pub mod social;
