use crate::{Refusal, RefusalKind, identity::Scope};

/// Why an API key's command is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApiKeyError {
    #[error("there is no such api key")]
    NotFound,
    #[error("there is an api key with this id already")]
    AlreadyCreated,
    #[error("must have at most {} scopes", Scope::PER_KEY_MAX)]
    TooManyScopes,
}

impl Refusal for ApiKeyError {
    fn kind(&self) -> RefusalKind {
        match self {
            Self::NotFound => RefusalKind::NotFound,
            Self::AlreadyCreated => RefusalKind::Conflict,
            Self::TooManyScopes => RefusalKind::Invalid,
        }
    }

    fn code(&self) -> &'static str {
        match self {
            Self::NotFound => "API_KEY_NOT_FOUND",
            Self::AlreadyCreated => "API_KEY_ALREADY_CREATED",
            Self::TooManyScopes => "VALIDATION_ERROR",
        }
    }

    fn field(&self) -> Option<&str> {
        matches!(self, Self::TooManyScopes).then_some("scopes")
    }
}
