//! The write side: the command bus, process managers, timers, and the ports to the outside world.

pub mod bus;
pub mod ports;
pub mod process;
pub mod timers;

pub mod identity;
pub mod publishing;
