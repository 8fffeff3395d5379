//! Figures of what was published: platforms are asked at times that grow rarer, and what is new is recorded.
//!
//! [`FiguresKeeper`] follows the log and keeps a list of whom to ask about ([`watch`]), with one timer per
//! channel. [`FiguresTimer`] asks for everything of the channel that is due at once, records it in one
//! append, and sets the next time by [`schedule`].

mod keeper;
mod look;
mod schedule;
mod timer;
mod watch;

pub use keeper::FiguresKeeper;
pub use timer::FiguresTimer;

/// The kind of its timers.
const KIND: &str = "publishing.figures";
