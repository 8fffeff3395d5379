//! Names for ids, joined when something is read: what is forgotten has no name any more.

use std::collections::BTreeMap;

use sqlx::PgPool;
use uuid::Uuid;

/// The names of these users, as far as they have one.
///
/// # Errors
/// If the database does not answer.
pub async fn names(pool: &PgPool, users: &[Uuid]) -> Result<BTreeMap<Uuid, String>, sqlx::Error> {
    let names: Vec<(Uuid, String)> =
        sqlx::query_as("SELECT id, name FROM read.users_v1 WHERE id = ANY ($1) AND name IS NOT NULL")
            .bind(users)
            .fetch_all(pool)
            .await?;
    Ok(names.into_iter().collect())
}
