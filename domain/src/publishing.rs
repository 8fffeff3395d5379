//! Channels and posts.
