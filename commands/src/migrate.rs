//! The write side's own tables, in the schema `process`.

use sqlx::{Connection, PgConnection, PgPool, migrate::MigrateError};

/// Brings the tables of process managers and timers up to date. Any number of nodes may call it at once.
///
/// # Errors
/// If the database can't be reached, or a migration fails or differs from the one that was run.
pub async fn migrate(pool: &PgPool) -> Result<(), MigrateError> {
    // A connection of its own: the search path decides where sqlx keeps its list of migrations,
    // which must not meet the log's.
    let options = (*pool.connect_options()).clone().options([("search_path", "process")]);
    let mut connection = PgConnection::connect_with(&options).await?;
    // `IF NOT EXISTS` alone fails when two create it at the same moment.
    sqlx::query("SELECT pg_advisory_lock(hashtextextended('annals.process.migrate', 0))")
        .execute(&mut connection)
        .await?;
    sqlx::query("CREATE SCHEMA IF NOT EXISTS process").execute(&mut connection).await?;
    sqlx::migrate!().run(&mut connection).await?;
    connection.close().await?;
    Ok(())
}
