//! The watchdog: finds what should have been published and was not, whatever the cause.
//!
//! - [`DueDeliveries`] is a process manager that keeps a table of what is due when, from events alone.
//! - [`Watchdog`] looks through it every now and then. What is late is decided by the post (invariant 9),
//!   recorded once for each time that it was due, and told to its author from there. A timer that is
//!   missing is set again.
//!
//! It does not go by timers itself: lost ones are among what it is to find.

mod deliveries;
mod sweep;

pub use deliveries::DueDeliveries;
pub use sweep::{Found, Watchdog, WatchdogOptions};
