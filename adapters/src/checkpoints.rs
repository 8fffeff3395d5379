//! Places where checkpoints of the log are made public.

mod bucket;
mod file;

pub use bucket::CheckpointBucket;
pub use file::CheckpointFile;
