//! Notifications over HTTP against the running program: who is told what, read marks, wishes, mail that
//! can be stopped, what is told live, and the watchdog.

mod inbox;
mod live;
mod mail;
mod preferences;
mod rights;
mod support;
mod watchdog;
