//! Others' words as part of sentences of ours.

use url::Url;

/// As much of a server's message as is passed on.
const MESSAGE_CHARS_MAX: usize = 200;

/// A message without control characters, bounded, without the final period.
pub(crate) fn plain(message: &str) -> String {
    let short: String = message.chars().filter(|c| !c.is_control()).take(MESSAGE_CHARS_MAX).collect();
    short.trim().trim_end_matches('.').to_string()
}

/// The host that a server is known by.
pub(crate) fn host(server: &Url) -> &str {
    server.host_str().unwrap_or("the server")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_bounded_and_plain() {
        assert_eq!(plain("Token has expired.\n"), "Token has expired");
        assert_eq!(plain(&"x".repeat(1000)).len(), 200);
    }
}
