//! The read side: the projector runtime, and one file per read model with its tables, its
//! projector and its queries; and the relay to Kafka.

pub mod relay;
pub mod runtime;

pub mod engagement;
pub mod history;
pub mod identity;
pub mod publishing;

pub use runtime::{Applied, Projection, ProjectionError, Projector, ProjectorOptions, ReadError, Reader};
