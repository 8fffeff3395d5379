//! Read models of channels and posts.

pub mod activity;
pub mod channels;
pub mod feeds;
pub mod figures;
pub mod imports;
pub mod media;
pub mod origins;
pub mod overview;
pub mod people;
pub mod posting_times;
pub mod posts;
pub mod series;
pub mod tags;

pub use activity::Activity;
pub use channels::Channels;
pub use figures::Figures;
pub use imports::Imports;
pub use media::Media;
pub use origins::PostOrigins;
pub use posting_times::PostingTimes;
pub use posts::Posts;
pub use series::Series;
pub use tags::Tags;
