//! From the database into a folder: one snapshot, while everything goes on.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io::{BufWriter, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::Path,
};

use chrono::{DateTime, SecondsFormat, Utc};
use futures::TryStreamExt;
use sha2::{Digest, Sha256};
use sqlx::{PgConnection, PgPool};

use super::{BackedUpTable, BackupError, FORGOTTEN, FORMAT, LEFT_OUT, Manifest, Progress};

/// Writes the log's tables into a folder that is made, or empty.
///
/// All of it is of one moment: a single transaction that sees one snapshot. Writers are not held up.
///
/// # Errors
/// If the folder holds something, can't be written, or the database does not answer; what was
/// written until then is no backup: its manifest is missing.
pub async fn export(
    pool: &PgPool,
    folder: &Path,
    mut progress: impl FnMut(Progress<'_>) + Send,
) -> Result<Manifest, BackupError> {
    prepare_folder(folder)?;
    let mut tx = pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY").await?;
    let (position, recorded_at, forgotten): (i64, DateTime<Utc>, i64) =
        sqlx::query_as("SELECT position, recorded_at, forgotten FROM log_head WHERE one")
            .fetch_one(&mut *tx)
            .await?;
    let migrations =
        sqlx::query_scalar("SELECT version FROM _sqlx_migrations WHERE success ORDER BY version")
            .fetch_all(&mut *tx)
            .await?;
    let mut tables = Vec::new();
    for (name, columns) in tables_of_the_log(&mut tx).await? {
        tables.push(copy_out(&mut tx, folder, name, columns, &mut progress).await?);
    }
    write_forgotten(&mut tx, folder).await?;
    tx.rollback().await?;
    let manifest = Manifest {
        format: FORMAT,
        version: env!("CARGO_PKG_VERSION").to_string(),
        created_at: Utc::now(),
        position: position.cast_unsigned(),
        recorded_at,
        forgotten: forgotten.cast_unsigned(),
        migrations,
        tables,
    };
    manifest.write(folder)?;
    Ok(manifest)
}

fn prepare_folder(folder: &Path) -> Result<(), BackupError> {
    if !folder.is_dir() {
        return DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)
            .map_err(BackupError::io("can't make", folder));
    }
    let mut entries = fs::read_dir(folder).map_err(BackupError::io("can't read", folder))?;
    match entries.next() {
        None => Ok(()),
        Some(_) => Err(BackupError::Occupied { path: folder.to_path_buf() }),
    }
}

/// A new file that nobody else may read: claims and receipts are in it.
pub(super) fn private_file(path: &Path) -> Result<File, BackupError> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
        .map_err(BackupError::io("can't write", path))
}

/// All tables of the log's schema by the catalogue, so that none is forgotten when one is added; those
/// that others refer to first.
pub(super) async fn tables_of_the_log(
    connection: &mut PgConnection,
) -> Result<Vec<(String, Vec<String>)>, sqlx::Error> {
    sqlx::query_as(
        "SELECT c.relname::text,
                (SELECT array_agg(a.attname::text ORDER BY a.attnum) FROM pg_attribute a
                 WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = '')
         FROM pg_class c
         WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind = 'r' AND c.relname <> ALL ($1)
         ORDER BY (SELECT count(*) FROM pg_constraint f WHERE f.conrelid = c.oid AND f.contype = 'f'), c.relname",
    )
    .bind(&LEFT_OUT[..])
    .fetch_all(connection)
    .await
}

async fn copy_out(
    connection: &mut PgConnection,
    folder: &Path,
    name: String,
    columns: Vec<String>,
    progress: &mut (impl FnMut(Progress<'_>) + Send),
) -> Result<BackedUpTable, BackupError> {
    let mut table = BackedUpTable { name, columns, rows: 0, bytes: 0, sha256: String::new() };
    let path = folder.join(table.file());
    let failed = || BackupError::io("can't write", path.clone());
    let mut file = BufWriter::with_capacity(1 << 20, private_file(&path)?);
    let mut hash = Sha256::new();
    {
        let sql = format!("COPY {} ({}) TO STDOUT", quoted(&table.name), quoted_list(&table.columns));
        let mut rows = connection.copy_out_raw(&sql).await?;
        while let Some(chunk) = rows.try_next().await? {
            hash.update(&chunk);
            file.write_all(&chunk).map_err(failed())?;
            table.bytes += chunk.len() as u64;
            // A line end within a value is escaped.
            table.rows += chunk.iter().filter(|byte| **byte == b'\n').count() as u64;
            progress(Progress { table: &table.name, bytes: table.bytes, of: None });
        }
    }
    let file = file.into_inner().map_err(std::io::IntoInnerError::into_error).map_err(failed())?;
    file.sync_all().map_err(failed())?;
    table.sha256 = hex::encode(hash.finalize());
    Ok(table)
}

async fn write_forgotten(connection: &mut PgConnection, folder: &Path) -> Result<(), BackupError> {
    let owners: Vec<(String, DateTime<Utc>)> = sqlx::query_as(
        "SELECT owner, min(forgotten_at) FROM sealing_keys WHERE forgotten IS NOT NULL
         GROUP BY owner ORDER BY min(forgotten)",
    )
    .fetch_all(connection)
    .await?;
    let path = folder.join(FORGOTTEN);
    let mut file = BufWriter::new(private_file(&path)?);
    for (owner, at) in owners {
        writeln!(file, "{owner}\t{}", at.to_rfc3339_opts(SecondsFormat::Micros, true))
            .map_err(BackupError::io("can't write", path.clone()))?;
    }
    file.into_inner()
        .map_err(std::io::IntoInnerError::into_error)
        .and_then(|file| file.sync_all())
        .map_err(BackupError::io("can't write", path))
}

/// A name of the catalogue in SQL.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

pub(super) fn quoted_list(names: &[String]) -> String {
    names.iter().map(|name| quoted(name)).collect::<Vec<_>>().join(", ")
}
