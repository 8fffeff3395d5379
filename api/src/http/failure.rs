//! What the rooms' errors become on HTTP: here and nowhere else.

use actix_web::http::StatusCode;
use annals_commands::bus::CommandError;
use annals_domain::{Refusal, RefusalKind};
use annals_eventstore::{AppendError, ClaimKey, LoadError, StoreError};
use annals_projections::ReadError;

use super::answer::{ApiError, FieldError};

impl From<CommandError> for ApiError {
    fn from(error: CommandError) -> Self {
        match error {
            CommandError::Refused(refusal) => refused(&*refusal),
            CommandError::VersionConflict { expected, actual } => stale(expected, actual),
            CommandError::ClaimTaken(key) => taken(&key),
            CommandError::KeyReused => key_reused(),
            CommandError::AnswerExpired => Self::conflict(
                "ANSWER_EXPIRED",
                "the first call with this idempotency key succeeded, and what it showed is no longer kept",
            ),
            CommandError::Append(error) => error.into(),
            CommandError::Load(error) => error.into(),
            CommandError::Store(error) => error.into(),
        }
    }
}

impl From<AppendError> for ApiError {
    fn from(error: AppendError) -> Self {
        match &error {
            AppendError::VersionConflict { expected, actual, .. } => stale(*expected, *actual),
            AppendError::ClaimTaken { key, .. } => taken(key),
            AppendError::AssertFailed { .. } => Self::conflict(
                "CONFLICT",
                "something this depends on changed meanwhile; read it again and retry",
            ),
            AppendError::KeyReused => key_reused(),
            AppendError::TooLarge { limit, .. } => Self::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                "TOO_LARGE",
                format!("what would be recorded is larger than {limit} bytes"),
            ),
            AppendError::Forgotten { .. } => Self::conflict(
                "FORGOTTEN",
                "whom this is about was forgotten; nothing can be recorded of them",
            ),
            AppendError::Unavailable(_) => log_unavailable().caused_by(&error),
            AppendError::DuplicateEvent { .. } | AppendError::Malformed { .. } => Self::internal(&error),
        }
    }
}

impl From<LoadError> for ApiError {
    fn from(error: LoadError) -> Self {
        match error {
            LoadError::Store(error) => error.into(),
            LoadError::Decode { .. } => Self::internal(&error),
        }
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::Database(cause) if is_passing(cause) => log_unavailable().caused_by(&error),
            _ => Self::internal(&error),
        }
    }
}

impl From<ReadError> for ApiError {
    fn from(error: ReadError) -> Self {
        match &error {
            ReadError::NotBuilt { name, position, head } => Self {
                code: "READ_MODEL_BUILDING",
                ..Self::unavailable(
                    format!("the read model {name} is being built: it is at {position} of {head}"),
                    2,
                )
            },
            ReadError::Behind { name, wanted } => Self {
                code: "READ_MODEL_BEHIND",
                ..Self::unavailable(
                    format!("the read model {name} has not reached position {wanted} yet; ask again"),
                    1,
                )
            },
            ReadError::Database(cause) => database(cause),
        }
    }
}

/// For handlers that query `read.*` views themselves.
impl From<sqlx::Error> for ApiError {
    fn from(error: sqlx::Error) -> Self {
        database(&error)
    }
}

fn database(error: &sqlx::Error) -> ApiError {
    if is_passing(error) { log_unavailable().caused_by(error) } else { ApiError::internal(error) }
}

/// Whether the database is away, overloaded or restarting, rather than asked something wrong.
fn is_passing(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => true,
        // 08: connection, 40: rolled back by a deadlock, 53: out of resources, 57: shut down or cancelled.
        sqlx::Error::Database(error) => error
            .code()
            .is_some_and(|code| ["08", "40", "53", "57"].iter().any(|class| code.starts_with(class))),
        _ => false,
    }
}

fn refused(refusal: &dyn Refusal) -> ApiError {
    let status = match refusal.kind() {
        RefusalKind::Invalid => StatusCode::BAD_REQUEST,
        RefusalKind::Unauthorized => StatusCode::UNAUTHORIZED,
        RefusalKind::Forbidden => StatusCode::FORBIDDEN,
        RefusalKind::NotFound => StatusCode::NOT_FOUND,
        RefusalKind::Conflict => StatusCode::CONFLICT,
    };
    let message = refusal.to_string();
    let errors =
        refusal.fields().into_iter().map(|(field, message)| FieldError::new(field, message)).collect();
    let quota = refusal.quota().map(|exceeded| Box::new(exceeded.into()));
    ApiError { errors, quota, ..ApiError::new(status, refusal.code(), message) }
}

fn stale(expected: u64, actual: u64) -> ApiError {
    ApiError {
        current_version: Some(actual),
        ..ApiError::conflict(
            "VERSION_CONFLICT",
            format!("it is at version {actual}, not {expected}; read it again and retry"),
        )
    }
}

/// `identity.email` reads as: the field `email` is taken.
fn taken(key: &ClaimKey) -> ApiError {
    let field = key.namespace().rsplit('.').next().unwrap_or_default();
    ApiError {
        errors: vec![FieldError::new(field, "is taken")],
        ..ApiError::conflict("ALREADY_TAKEN", format!("this {field} is taken"))
    }
}

fn key_reused() -> ApiError {
    ApiError::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "IDEMPOTENCY_KEY_REUSED",
        "this idempotency key was used for another request; take a new key for a new request",
    )
}

fn log_unavailable() -> ApiError {
    ApiError::unavailable("the database does not answer; nothing was done, try again", 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("must be in the future")]
    struct Past;

    impl Refusal for Past {
        fn kind(&self) -> RefusalKind {
            RefusalKind::Invalid
        }

        fn code(&self) -> &'static str {
            "POST_IN_THE_PAST"
        }

        fn field(&self) -> Option<&str> {
            Some("scheduledAt")
        }
    }

    #[test]
    fn an_invalid_command_is_400_and_names_its_field() {
        let error = ApiError::from(CommandError::refused(Past));
        assert_eq!((error.status.as_u16(), error.code), (400, "POST_IN_THE_PAST"));
        assert_eq!(error.errors, [FieldError::new("scheduledAt", "must be in the future")]);
    }

    #[test]
    fn a_stale_version_is_409_with_the_current_one() {
        let error = ApiError::from(CommandError::VersionConflict { expected: 3, actual: 5 });
        assert_eq!((error.status.as_u16(), error.current_version), (409, Some(5)));
    }

    #[test]
    fn a_taken_claim_is_409_and_names_what_is_taken() {
        let error = ApiError::from(CommandError::ClaimTaken(ClaimKey::plain("identity.email", "x")));
        assert_eq!((error.status.as_u16(), error.errors[0].field.as_str()), (409, "email"));
    }

    #[test]
    fn a_key_of_another_request_is_422() {
        assert_eq!(ApiError::from(CommandError::KeyReused).status.as_u16(), 422);
    }

    #[test]
    fn a_database_that_is_away_is_503_and_a_wrong_query_is_500() {
        let away = ApiError::from(sqlx::Error::PoolTimedOut);
        assert_eq!((away.status.as_u16(), away.retry_after_s), (503, Some(2)));
        let wrong = ApiError::from(sqlx::Error::ColumnNotFound("x".into()));
        assert_eq!(wrong.status.as_u16(), 500);
        assert!(wrong.cause.is_some_and(|cause| cause.contains('x')), "the log gets the cause");
    }

    #[test]
    fn a_read_model_under_construction_is_503_with_its_progress() {
        let error = ApiError::from(ReadError::NotBuilt { name: "posts", position: 3, head: 9 });
        assert_eq!((error.status.as_u16(), error.retry_after_s), (503, Some(2)));
        assert!(error.message.contains("3 of 9"), "{}", error.message);
    }
}
