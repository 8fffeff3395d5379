//! Read models of channels and posts.

pub mod activity;
pub mod channels;
pub mod feeds;
pub mod figures;
pub mod media;
pub mod overview;
pub mod people;
pub mod posts;
pub mod tags;

pub use activity::Activity;
pub use channels::Channels;
pub use figures::Figures;
pub use media::Media;
pub use posts::Posts;
pub use tags::Tags;
