//! What reaches people from here.
//!
//! - [`Notifier`] is the process manager that decides who is told of what; [`Notifications`] is what people
//!   do with it, and [`Words`] what it says.
//! - [`MailRoom`] is the process manager: it sets a timer for each event that calls for a mail, and takes
//!   back what is not to be kept.
//! - [`MailTimer`] sends it: attempted, sent, recorded (invariant 6).
//! - `letters.rs` says which event calls for what; everything in a mail, its token too, is made of the
//!   event again when it is sent, so that nothing secret lies anywhere.

mod letters;
mod mail_room;
mod mail_timer;
mod notifications;
mod notifier;
mod words;

pub use mail_room::MailRoom;
pub use mail_timer::MailTimer;
pub use notifications::Notifications;
pub use notifier::Notifier;
pub use words::{Facts, Words, sentence};
