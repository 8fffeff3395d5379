//! The outside world behind the ports of `annals-commands`.

pub mod mail;
pub mod net;
