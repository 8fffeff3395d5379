//! Read models of channels and posts.
