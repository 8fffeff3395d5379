//! The outside world as the write side sees it: traits that `annals-adapters` implements.

pub mod checkpoints;
pub mod clock;
pub mod files;
pub mod mail;
pub mod media;
pub mod sign_in;
pub mod social;
