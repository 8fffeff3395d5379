//! Read models of the log itself.

pub mod causation;

pub use causation::Causation;
