//! Channels, posts and the media they show.

pub mod figures;
pub mod import;
pub mod integration;
pub mod media;
pub mod post;
pub mod posting_month;
pub mod posting_schedule;
pub mod series;
pub mod tags;

mod invalid;
#[cfg(test)]
mod samples;

pub use figures::{
    ChannelFigures, ChannelFiguresCommand, ChannelFiguresEvent, FiguresError, PostFigures,
    PostFiguresCommand, PostFiguresEvent,
};
pub use import::{Import, ImportCommand, ImportError, ImportEvent};
pub use integration::{
    Integration, IntegrationCommand, IntegrationError, IntegrationEvent, IntegrationStatus,
};
pub use invalid::{Invalid, InvalidField};
pub use media::{
    MediaAsset, MediaAssetCommand, MediaAssetError, MediaAssetEvent, MediaLibrary, MediaLibraryCommand,
    MediaLibraryError, MediaLibraryEvent,
};
pub use post::{Post, PostCommand, PostError, PostEvent, PostStatus};
pub use posting_month::{PostingMonth, PostingMonthCommand, PostingMonthEvent};
pub use posting_schedule::{
    PostingSchedule, PostingScheduleCommand, PostingScheduleError, PostingScheduleEvent,
};
pub use series::{Series, SeriesCommand, SeriesError, SeriesEvent, SeriesStatus};
pub use tags::{TagBook, TagBookCommand, TagBookError, TagBookEvent};
