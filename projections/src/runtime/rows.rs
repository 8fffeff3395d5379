//! The rows of a batch in a table with an id: loaded at once, changed in memory, written at once.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::{FromRow, PgConnection, postgres::PgRow};
use uuid::Uuid;

use super::{CopyIn, CopyRow};

/// A whole row of a table whose primary key is `id uuid`.
pub trait TableRow: for<'r> FromRow<'r, PgRow> + Send + Sync + Unpin {
    const TABLE: &'static str;
    /// All of them.
    const COLUMNS: &'static [&'static str];

    fn id(&self) -> Uuid;

    /// Gives the values in the order of the columns.
    ///
    /// # Errors
    /// If one can't be encoded.
    fn fill(&self, row: &mut CopyRow<'_>) -> Result<(), sqlx::Error>;
}

/// Rows by id, as they shall be once [`Rows::store`] has written them.
pub struct Rows<R> {
    rows: BTreeMap<Uuid, R>,
    /// What is in the table and is to be replaced.
    stored: BTreeSet<Uuid>,
}

impl<R: TableRow> Rows<R> {
    /// Loads what there is of these.
    ///
    /// # Errors
    /// If the database does not answer.
    pub async fn load(ids: BTreeSet<Uuid>, tables: &mut PgConnection) -> Result<Self, sqlx::Error> {
        let mut rows = BTreeMap::new();
        if !ids.is_empty() {
            let sql = format!("SELECT * FROM {} WHERE id = ANY ($1)", R::TABLE);
            let wanted: Vec<Uuid> = ids.into_iter().collect();
            let found: Vec<R> = sqlx::query_as(&sql).bind(wanted).fetch_all(tables).await?;
            rows.extend(found.into_iter().map(|row| (row.id(), row)));
        }
        Ok(Self { stored: rows.keys().copied().collect(), rows })
    }

    pub fn get_mut(&mut self, id: Uuid) -> Option<&mut R> {
        self.rows.get_mut(&id)
    }

    /// Adds a row, or puts it in the place of the one with its id.
    pub fn put(&mut self, row: R) {
        self.rows.insert(row.id(), row);
    }

    pub fn remove(&mut self, id: Uuid) {
        self.rows.remove(&id);
    }

    /// Writes the rows into the table. What is written after that must load again.
    ///
    /// # Errors
    /// If a row is refused, or the database does not answer.
    pub async fn store(self, tables: &mut PgConnection) -> Result<(), sqlx::Error> {
        if !self.stored.is_empty() {
            let stored: Vec<Uuid> = self.stored.into_iter().collect();
            let sql = format!("DELETE FROM {} WHERE id = ANY ($1)", R::TABLE);
            sqlx::query(&sql).bind(stored).execute(&mut *tables).await?;
        }
        if self.rows.is_empty() {
            return Ok(());
        }
        let mut copy = CopyIn::begin(tables, R::TABLE, R::COLUMNS).await?;
        for row in self.rows.values() {
            copy.row(|copied| row.fill(copied)).await?;
        }
        copy.finish().await
    }
}
