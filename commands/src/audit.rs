//! Making the log's checkpoints public.

mod publishing;

pub use publishing::CheckpointPublishing;
