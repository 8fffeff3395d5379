//! The platform `discord` against a stub of its documented contract: there is no Discord to run here.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod connecting;
mod faults;
mod publishing;
mod stub;
mod support;
