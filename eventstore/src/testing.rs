//! For tests, of this crate and of those above it: databases of their own, a Postgres of their own.

mod database;
mod postgres;

pub use database::{TestDatabase, database, database_on};
pub use postgres::{PrivatePostgres, free_port, postgres_bin};

/// The master key of tests: the same in every one, so that a store can be opened again.
pub fn master_key() -> crate::MasterKey {
    crate::MasterKey::new([7; 32])
}
