//! What the notary's refusals are over HTTP.

use annals_eventstore::notary::NotaryError;

use crate::http::ApiError;

pub(crate) fn failed(error: NotaryError) -> ApiError {
    let code = match &error {
        NotaryError::Database(_) => {
            return ApiError::unavailable("the log can't be reached at the moment", 2).caused_by(&error);
        }
        NotaryError::NotInTree { .. } => {
            return ApiError::not_found("position in the tree").caused_by(&error);
        }
        NotaryError::Missing { .. } => "EVENT_MISSING",
        NotaryError::Rewritten { .. } => "LOG_REWRITTEN",
        NotaryError::OtherKey { .. } => "NOTARY_KEY",
        NotaryError::Damaged { .. } => "TREE_DAMAGED",
        NotaryError::Origin(_) => return ApiError::internal(&error),
    };
    // It needs a person with the command line, not another try.
    ApiError::conflict(code, error.to_string())
}

/// Nothing was signed yet: the notary of a new log has its first minute.
pub(super) fn nothing_signed() -> ApiError {
    ApiError {
        code: "NOTHING_SIGNED",
        ..ApiError::unavailable("no checkpoint was signed yet; the operator can have one signed at once", 60)
    }
}
