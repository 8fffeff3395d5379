//! Places where checkpoints of the log are made public.

mod file;

pub use file::CheckpointFile;
