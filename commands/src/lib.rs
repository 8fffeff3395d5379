//! The write side: the command bus, process managers, timers, and the ports to the outside world.

pub mod authorization;
pub mod bus;
pub mod claims;
mod migrate;
pub mod nodes;
pub mod ports;
pub mod process;
pub mod restore;
mod running;
pub mod tiers;
pub mod timers;

pub mod audit;
pub mod engagement;
pub mod identity;
pub mod publishing;

pub use migrate::migrate;
pub use running::Running;
