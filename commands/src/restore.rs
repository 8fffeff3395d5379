//! After a backup was restored: what process managers remember begins again, and nothing is done twice.

use sqlx::{PgConnection, PgPool};

/// Makes the write side's tables those of a log that ends at `position` and was restored just now.
///
/// Timers and checkpoints go: process managers read the log again from where they start when they
/// are new. Those that only set timers start at the beginning. Those that act outside (mail) start at the
/// head: what was under way when the backup was made is not sent again. And what a timer does outside
/// for an event up to `position` is in doubt from now on (see [`restored_up_to`]).
///
/// # Errors
/// If the database does not answer. Commits nothing.
pub async fn begin_again(connection: &mut PgConnection, position: u64) -> Result<(), sqlx::Error> {
    sqlx::query("DELETE FROM process.timers").execute(&mut *connection).await?;
    sqlx::query("DELETE FROM process.checkpoints").execute(&mut *connection).await?;
    sqlx::query("INSERT INTO process.restored (position) VALUES ($1)")
        .bind(position.cast_signed())
        .execute(connection)
        .await?;
    Ok(())
}

/// Up to which position events may have been acted on without the log knowing; 0 if it never was restored.
///
/// # Errors
/// If the database does not answer.
pub async fn restored_up_to(pool: &PgPool) -> Result<u64, sqlx::Error> {
    let position: Option<i64> =
        sqlx::query_scalar("SELECT max(position) FROM process.restored").fetch_one(pool).await?;
    Ok(position.unwrap_or(0).cast_unsigned())
}
