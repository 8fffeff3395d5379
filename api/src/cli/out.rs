//! The one writer of what commands print; log lines go through `tracing`.

use std::io::Write as _;

/// Prints a result. A reader that went away (`annals config | head`) is no failure.
pub(super) fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    if out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_err() {
        tracing::debug!("nobody reads the output");
    }
}

pub(super) fn error(text: &str) {
    let mut out = std::io::stderr().lock();
    if out.write_all(text.as_bytes()).is_err() {
        tracing::debug!("nobody reads the errors");
    }
}
