//! What an aggregate answers when it does not do what it was asked.

use super::QuotaExceeded;

/// How a refusal is to be understood, whatever carries it (HTTP, MCP, a log).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalKind {
    /// The command itself is wrong; [`Refusal::field`] names the culprit.
    Invalid,
    /// Who asks is not known, or their proof is wrong.
    Unauthorized,
    /// Who asks is known, and may not.
    Forbidden,
    /// There is no such thing, or none that the caller may see.
    NotFound,
    /// The thing is not in a state that allows it.
    Conflict,
}

/// An error of an aggregate, in words for the person who gave the command.
///
/// Messages are lowercase, without a final period, and say what to do.
pub trait Refusal: std::error::Error + Send + Sync + 'static {
    fn kind(&self) -> RefusalKind;

    /// A stable upper-case code that clients may match on, such as `POST_ALREADY_PUBLISHED`.
    fn code(&self) -> &'static str;

    /// The field of the command at fault, as the HTTP body names it.
    fn field(&self) -> Option<&str> {
        None
    }

    /// Every field at fault with its words, for a refusal that found several at once.
    fn fields(&self) -> Vec<(String, String)> {
        self.field().map(|field| (field.to_string(), self.to_string())).into_iter().collect()
    }

    /// Which limit of the organization's tier is in the way, if one is.
    fn quota(&self) -> Option<&QuotaExceeded> {
        None
    }
}
