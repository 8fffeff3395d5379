//! Channels and posts.

pub mod integration;
pub mod post;
pub mod tags;

mod invalid;
#[cfg(test)]
mod samples;

pub use integration::{
    Integration, IntegrationCommand, IntegrationError, IntegrationEvent, IntegrationStatus,
};
pub use invalid::{Invalid, InvalidField};
pub use post::{Post, PostCommand, PostError, PostEvent, PostStatus};
pub use tags::{TagBook, TagBookCommand, TagBookError, TagBookEvent};
