//! Rows on their way into a table by `COPY … FROM STDIN` in its binary form: the fastest way in, and
//! the same for one row of a live model as for the thousands of a build.

use serde::Serialize;
use sqlx::{
    Encode, PgConnection, Postgres,
    encode::IsNull,
    postgres::{PgArgumentBuffer, PgCopyIn},
};

/// So many bytes are sent at once: while the server writes them, the next are encoded.
const CHUNK_BYTES: usize = 256 * 1024;

const SIGNATURE: &[u8] = b"PGCOPY\n\xff\r\n\0";
/// The version of `jsonb` in binary form.
const JSONB_VERSION: u8 = 1;

/// A `COPY` under way. Dropped before [`CopyIn::finish`], it fails its transaction.
pub struct CopyIn<'c> {
    sink: PgCopyIn<&'c mut PgConnection>,
    buffer: PgArgumentBuffer,
    columns: usize,
}

impl<'c> CopyIn<'c> {
    /// Begins to copy into these columns of a table. Both are SQL of the caller's own.
    ///
    /// # Errors
    /// If the database does not answer or has no such columns.
    pub async fn begin(
        tables: &'c mut PgConnection,
        table: &str,
        columns: &[&str],
    ) -> Result<Self, sqlx::Error> {
        let sql = format!("COPY {table} ({}) FROM STDIN (FORMAT binary)", columns.join(", "));
        let sink = tables.copy_in_raw(&sql).await?;
        let mut buffer = PgArgumentBuffer::default();
        buffer.extend_from_slice(SIGNATURE);
        // No flags, no extension of the header.
        buffer.extend_from_slice(&[0; 8]);
        Ok(Self { sink, buffer, columns: columns.len() })
    }

    /// Adds a row; `fill` gives its values in the order of the columns.
    ///
    /// # Errors
    /// If a value can't be encoded, or the database does not answer.
    pub async fn row(
        &mut self,
        fill: impl FnOnce(&mut CopyRow<'_>) -> Result<(), sqlx::Error>,
    ) -> Result<(), sqlx::Error> {
        let columns = i16::try_from(self.columns).map_err(|error| sqlx::Error::Encode(error.into()))?;
        self.buffer.extend_from_slice(&columns.to_be_bytes());
        let mut row = CopyRow { buffer: &mut self.buffer, values: 0 };
        fill(&mut row)?;
        debug_assert_eq!(row.values, self.columns, "a value for each column");
        if self.buffer.len() >= CHUNK_BYTES {
            self.sink.send(self.buffer.as_slice()).await?;
            self.buffer.clear();
        }
        Ok(())
    }

    /// Sends the rest and waits until the rows are in.
    ///
    /// # Errors
    /// If a row is refused, or the database does not answer.
    pub async fn finish(mut self) -> Result<(), sqlx::Error> {
        self.buffer.extend_from_slice(&(-1_i16).to_be_bytes());
        self.sink.send(self.buffer.as_slice()).await?;
        self.sink.finish().await?;
        Ok(())
    }
}

/// The values of one row.
pub struct CopyRow<'b> {
    buffer: &'b mut PgArgumentBuffer,
    values: usize,
}

impl CopyRow<'_> {
    /// A value of exactly the column's type, or `None`.
    ///
    /// # Errors
    /// If it can't be encoded.
    pub fn value<'q, T: Encode<'q, Postgres>>(&mut self, value: T) -> Result<(), sqlx::Error> {
        self.sized(|buffer| value.encode(buffer).map_err(sqlx::Error::Encode))
    }

    /// A value of a column of type `json`.
    ///
    /// # Errors
    /// If it does not serialize.
    pub fn json<T: Serialize>(&mut self, value: &T) -> Result<(), sqlx::Error> {
        self.sized(|buffer| write_json(buffer, value))
    }

    /// A value of a column of type `jsonb`; `None` is null, and not JSON's `null`.
    ///
    /// # Errors
    /// If it does not serialize.
    pub fn jsonb<T: Serialize>(&mut self, value: Option<&T>) -> Result<(), sqlx::Error> {
        self.sized(|buffer| {
            let Some(value) = value else { return Ok(IsNull::Yes) };
            buffer.push(JSONB_VERSION);
            write_json(buffer, value)
        })
    }

    /// A value and, before it, its length; -1 for null.
    fn sized(
        &mut self,
        write: impl FnOnce(&mut PgArgumentBuffer) -> Result<IsNull, sqlx::Error>,
    ) -> Result<(), sqlx::Error> {
        let at = self.buffer.len();
        self.buffer.extend_from_slice(&(-1_i32).to_be_bytes());
        if !write(self.buffer)?.is_null() {
            let length = i32::try_from(self.buffer.len() - at - size_of::<i32>())
                .map_err(|error| sqlx::Error::Encode(error.into()))?;
            self.buffer[at..at + size_of::<i32>()].copy_from_slice(&length.to_be_bytes());
        }
        self.values += 1;
        Ok(())
    }
}

fn write_json<T: Serialize>(buffer: &mut PgArgumentBuffer, value: &T) -> Result<IsNull, sqlx::Error> {
    serde_json::to_writer(&mut **buffer, value).map_err(|error| sqlx::Error::Encode(error.into()))?;
    Ok(IsNull::No)
}
