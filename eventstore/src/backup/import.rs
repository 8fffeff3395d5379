//! From a folder into an empty database, within a transaction of the caller's: all of it or nothing.

use std::{fs::File, io::Read as _, path::Path};

use chrono::{DateTime, Utc};
use sha2::{Digest, Sha256};
use sqlx::{PgConnection, PgPool};

use super::{
    BackedUpTable, BackupError, Manifest, Progress,
    export::{quoted, quoted_list, tables_of_the_log},
};
use crate::{MasterKey, follow, keyring};

const CHUNK_BYTES: usize = 256 * 1024;

/// Whether a node has the log open at this moment.
///
/// # Errors
/// If the database does not answer.
pub async fn is_in_use(pool: &PgPool) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar(
        "SELECT EXISTS (SELECT FROM pg_stat_activity
                        WHERE datname = current_database() AND application_name = $1)",
    )
    .bind(follow::APPLICATION)
    .fetch_one(pool)
    .await
}

/// Fills the log's tables, which migrations have made, from a backup, and checks what came in: the
/// files against their sums, the positions for gaps, and that a master key opens the log. Commits nothing.
///
/// # Errors
/// If the tables are not empty, the backup is damaged or newer than this binary, or none of the master
/// keys opens it: roll back then.
pub async fn import(
    connection: &mut PgConnection,
    folder: &Path,
    master_keys: &[MasterKey],
    mut progress: impl FnMut(Progress<'_>) + Send,
) -> Result<Manifest, BackupError> {
    let manifest = Manifest::read(folder)?;
    check_migrations(connection, &manifest).await?;
    check_empty(connection).await?;
    let known = tables_of_the_log(connection).await?;
    for table in &manifest.tables {
        let columns = known.iter().find(|(name, _)| *name == table.name).map(|(_, columns)| columns);
        let missing = table.columns.iter().find(|column| columns.is_none_or(|known| !known.contains(column)));
        if let Some(column) = missing {
            let why = format!("this binary's {} has no column {column}", table.name);
            return Err(BackupError::TooNew { why });
        }
        copy_in(connection, folder, table, &mut progress).await?;
    }
    check_positions(connection, &manifest).await?;
    let (wrapped, master_key): (Vec<u8>, Vec<u8>) =
        sqlx::query_as("SELECT wrapped, master_key FROM log_secrets WHERE name = 'root'")
            .fetch_optional(&mut *connection)
            .await?
            .ok_or_else(|| BackupError::Damaged { why: "the log's root key is missing".to_string() })?;
    keyring::opens_root(master_keys, &master_key, &wrapped)?;
    Ok(manifest)
}

async fn check_migrations(connection: &mut PgConnection, manifest: &Manifest) -> Result<(), BackupError> {
    let known: Vec<i64> = sqlx::query_scalar("SELECT version FROM _sqlx_migrations WHERE success")
        .fetch_all(connection)
        .await?;
    match manifest.migrations.iter().find(|version| !known.contains(version)) {
        Some(version) => Err(BackupError::TooNew { why: format!("it has had migration {version}") }),
        None => Ok(()),
    }
}

async fn check_empty(connection: &mut PgConnection) -> Result<(), BackupError> {
    for table in ["events", "sealing_keys", "claims", "idempotency"] {
        let rows: i64 =
            sqlx::query_scalar(&format!("SELECT count(*) FROM {table}")).fetch_one(&mut *connection).await?;
        if rows > 0 {
            return Err(BackupError::NotEmpty { why: format!("{table} has {rows} rows") });
        }
    }
    Ok(())
}

async fn copy_in(
    connection: &mut PgConnection,
    folder: &Path,
    table: &BackedUpTable,
    progress: &mut (impl FnMut(Progress<'_>) + Send),
) -> Result<(), BackupError> {
    let name = quoted(&table.name);
    let seeded: bool = sqlx::query_scalar(&format!("SELECT EXISTS (SELECT FROM {name})"))
        .fetch_one(&mut *connection)
        .await?;
    if seeded {
        // What a migration put there, such as the head at 0.
        sqlx::query(&format!("DELETE FROM {name}")).execute(&mut *connection).await?;
    }
    let path = folder.join(table.file());
    let mut file = File::open(&path).map_err(BackupError::io("can't read", path.clone()))?;
    let mut hash = Sha256::new();
    let mut bytes = 0;
    let mut chunk = vec![0; CHUNK_BYTES];
    let sql = format!("COPY {name} ({}) FROM STDIN", quoted_list(&table.columns));
    let mut sink = connection.copy_in_raw(&sql).await?;
    loop {
        let read = file.read(&mut chunk).map_err(BackupError::io("can't read", path.clone()))?;
        let Some(data) = chunk.get(..read).filter(|data| !data.is_empty()) else { break };
        hash.update(data);
        sink.send(data).await.map_err(|error| damaged_by(table, error))?;
        bytes += read as u64;
        progress(Progress { table: &table.name, bytes, of: Some(table.bytes) });
    }
    let rows = sink.finish().await.map_err(|error| damaged_by(table, error))?;
    if hex::encode(hash.finalize()) != table.sha256 {
        return Err(damaged(format!("{} is not what was written (SHA-256)", table.file())));
    }
    if rows != table.rows {
        return Err(damaged(format!("{} has {rows} rows, not {}", table.file(), table.rows)));
    }
    set_sequences(connection, table).await
}

/// Numbers that Postgres gives out go on after those that came in.
async fn set_sequences(connection: &mut PgConnection, table: &BackedUpTable) -> Result<(), BackupError> {
    let name = quoted(&table.name);
    for column in &table.columns {
        let sequence: Option<String> = sqlx::query_scalar("SELECT pg_get_serial_sequence($1, $2)")
            .bind(&name)
            .bind(column)
            .fetch_one(&mut *connection)
            .await?;
        if let Some(sequence) = sequence {
            let last = quoted(column);
            sqlx::query(&format!("SELECT setval($1::regclass, max({last})) FROM {name} HAVING count(*) > 0"))
                .bind(sequence)
                .execute(&mut *connection)
                .await?;
        }
    }
    Ok(())
}

/// Gapless from 1 to the head, and the head where the backup said it was.
async fn check_positions(connection: &mut PgConnection, manifest: &Manifest) -> Result<(), BackupError> {
    let (count, last): (i64, i64) = sqlx::query_as("SELECT count(*), coalesce(max(position), 0) FROM events")
        .fetch_one(&mut *connection)
        .await?;
    let (head, recorded_at): (i64, DateTime<Utc>) =
        sqlx::query_as("SELECT position, recorded_at FROM log_head").fetch_one(connection).await?;
    // Positions are unique and start at 1: as many as the last one says is all of them.
    if count != last || last != head || head.cast_unsigned() != manifest.position {
        let why = format!(
            "{count} events, the last at {last}, the head at {head}, the manifest at {}",
            manifest.position
        );
        return Err(damaged(why));
    }
    if recorded_at != manifest.recorded_at {
        return Err(damaged("the head's time is not the manifest's".to_string()));
    }
    Ok(())
}

fn damaged(why: String) -> BackupError {
    BackupError::Damaged { why }
}

/// Rows that Postgres refuses are the file's fault; a connection that broke is not.
fn damaged_by(table: &BackedUpTable, error: sqlx::Error) -> BackupError {
    match &error {
        sqlx::Error::Database(refused) => damaged(format!("{}: {}", table.file(), refused.message())),
        _ => error.into(),
    }
}
