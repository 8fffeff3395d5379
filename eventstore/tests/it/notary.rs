//! The notary on a real log: one tree whatever happens, and every change to the log found.

mod bundles;
mod rewriting;
mod tampering;
mod trees;

use annals_eventstore::{
    EventStore, Expected,
    notary::{Notary, NotaryKey},
    testing::TestDatabase,
};

use crate::account::{account, append, deposited};

pub(crate) fn key() -> NotaryKey {
    NotaryKey::new(&[9; 32], Some("annals.test/log")).unwrap()
}

pub(crate) fn notary(database: &TestDatabase) -> Notary {
    Notary::new(database.pool.clone(), key())
}

/// Appends `count` events, one stream each five.
pub(crate) async fn deposits(store: &EventStore, stream: &str, count: usize) {
    for (number, amounts) in (1..=count).collect::<Vec<_>>().chunks(5).enumerate() {
        let events = amounts.iter().map(|amount| deposited(*amount as i64)).collect();
        let stream = account(format!("{stream}-{number}"));
        store.append(append(stream, Expected::Exact(0), events)).await.unwrap();
    }
}

/// What someone with the database in their hands can do.
pub(crate) async fn tamper(database: &TestDatabase, sql: &str) {
    let sql = format!("BEGIN; SET LOCAL session_replication_role = replica; {sql}; COMMIT");
    sqlx::raw_sql(&sql).execute(&database.pool).await.unwrap();
}
