//! What those who run the installation do to it: every admin action is an event, with who did it
//! (the metadata's actor) and why (a [`Reason`]).
//!
//! These aggregates decide on interventions; what an intervention changes (a build's pace, a parked
//! event, a timer's row) is bookkeeping of the read side and of the process managers.
//!
//! | stream | its id | what is recorded |
//! |---|---|---|
//! | [`ProjectionControl`] `operations.projection` | the read model's name | rebuilds, parked keys |
//! | [`TimerControl`] `operations.timer` | the timer's id | tried again, cancelled |
//! | [`Operatorship`] `operations.operator` | the user's id | who may use these tools, and why |
//! | [`Disclosure`] `operations.personal_data` | the opened event's id | who opened personal data, and why |

pub mod disclosure;
pub mod operator;
pub mod projection;
mod reason;
pub mod timer;

#[cfg(test)]
mod samples;

pub use disclosure::{Disclosure, DisclosureCommand, DisclosureError, DisclosureEvent};
pub use operator::{GrantedBy, Operatorship, OperatorshipCommand, OperatorshipError, OperatorshipEvent};
pub use projection::{
    Build, EventsPerSecond, ProjectionControl, ProjectionControlCommand, ProjectionControlError,
    ProjectionControlEvent, SkippedKey,
};
pub use reason::Reason;
pub use timer::{TimerControl, TimerControlCommand, TimerControlError, TimerControlEvent};
