//! The outside world behind the ports of `annals-commands`.

pub mod checkpoints;
pub mod feed;
pub mod mail;
pub mod net;
pub mod social;
