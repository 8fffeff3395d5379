//! A platform's failure, in words for a person and for the metrics.

use annals_domain::publishing::post::{Failure, FailureClass as Why};

use crate::ports::social::{FailureClass, ProviderError};

/// What a platform's refusal means for the person who wrote the post.
pub(super) fn failure(error: ProviderError) -> Failure {
    let (class, what_to_do) = match error.class {
        FailureClass::BadContent => (Why::BadContent, "change the text and post it again"),
        FailureClass::Disconnected | FailureClass::RefreshToken => {
            (Why::Disconnected, "connect the channel again, then retry the post")
        }
        FailureClass::Unsupported => {
            (Why::Unsupported, "the platform does not offer this: use another channel")
        }
        FailureClass::Retry | FailureClass::OutcomeUnknown => {
            (Why::NotActed, "retry the post when the platform is well again")
        }
    };
    Failure { class, reason: error.message, what_to_do: what_to_do.to_string() }
}

/// The metrics' and log's word for it.
pub(super) fn class_word(class: FailureClass) -> &'static str {
    match class {
        FailureClass::Retry => "not_acted",
        FailureClass::RefreshToken | FailureClass::Disconnected => "disconnected",
        FailureClass::BadContent => "bad_content",
        FailureClass::OutcomeUnknown => "unknown",
        FailureClass::Unsupported => "unsupported",
    }
}
