use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::kernel::{InvalidText, bounded};

/// Why somebody intervened: one line of 1 to 500 characters, for whoever reads the history.
///
/// It stays in the log for ever and is not sealed: it names no person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
pub struct Reason(String);

impl Reason {
    pub const MAX_CHARS: usize = 500;

    /// # Errors
    /// If it is empty, too long or holds control characters.
    pub fn parse(text: &str) -> Result<Self, InvalidText> {
        bounded(text, Self::MAX_CHARS).map(Self)
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_one_bounded_line() {
        assert_eq!(
            Reason::parse("  the fix is out ").map(|reason| reason.0).as_deref(),
            Ok("the fix is out")
        );
        assert!(Reason::parse(&"x".repeat(Reason::MAX_CHARS)).is_ok());
        for wrong in ["", "   ", "two\nlines", "a\u{0}b", &"x".repeat(Reason::MAX_CHARS + 1)] {
            assert!(Reason::parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
