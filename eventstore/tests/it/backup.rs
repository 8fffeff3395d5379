//! A backup made under writes goes into an empty database whole, and a bad one not at all.

use std::{
    fs,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use annals_eventstore::{
    EventStore, Expected, MasterKey, Opening,
    backup::{self, BackupError, Manifest},
    testing::{TestDatabase, database, master_key},
};
use sqlx::PgPool;
use tempfile::TempDir;

use crate::account::{account, append, deposit, deposited, open, opened};

/// Every row of a table as text, in an order that does not depend on where it lies.
async fn rows(pool: &PgPool, table: &str) -> Vec<String> {
    sqlx::query_scalar(&format!("SELECT t::text FROM {table} t ORDER BY 1")).fetch_all(pool).await.unwrap()
}

async fn import(into: &TestDatabase, folder: &Path, key: MasterKey) -> Result<Manifest, BackupError> {
    let mut tx = into.pool.begin().await.unwrap();
    let manifest = backup::import(&mut tx, folder, &[key], |_| {}).await?;
    tx.commit().await.unwrap();
    Ok(manifest)
}

/// A log with a bit of everything, and a backup of it.
async fn backed_up() -> (TestDatabase, EventStore, TempDir, Manifest) {
    let source = database().await;
    let store = open(&source).await;
    for (id, person) in [(1, "user:1"), (2, "user:2")] {
        let opening = append(account(id), Expected::Exact(0), vec![opened(person, "Ada\t\\N \"x\"", "1234")]);
        store.append(opening).await.unwrap();
    }
    let mut forgetting = append(account(2), Expected::Exact(1), vec![deposited(1)]);
    forgetting.forget.push("user:2".to_string());
    store.append(forgetting).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let manifest = backup::export(&source.pool, folder.path(), |_| {}).await.unwrap();
    (source, store, folder, manifest)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backup_under_writes_is_of_one_moment_and_comes_back_whole() {
    let (source, store, _first, before) = backed_up().await;
    let stop = Arc::new(AtomicBool::new(false));
    let writers: Vec<_> = (0..4)
        .map(|writer| {
            let (store, stop) = (store.clone(), Arc::clone(&stop));
            tokio::spawn(async move {
                let mut version = 0;
                while !stop.load(Ordering::Relaxed) {
                    deposit(&store, &format!("w{writer}"), version, 1).await.unwrap();
                    version += 1;
                }
            })
        })
        .collect();
    while store.head().await.unwrap() < 200 {
        tokio::task::yield_now().await;
    }
    let folder = tempfile::tempdir().unwrap();
    let mut told = 0;
    let manifest =
        backup::export(&source.pool, folder.path(), |progress| told += progress.bytes.min(1)).await.unwrap();
    stop.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.unwrap();
    }
    assert!(manifest.position >= 200 && manifest.position > before.position);
    assert!(told > 0);
    assert!(store.head().await.unwrap() >= manifest.position, "writers were not held up");

    let target = database().await;
    assert_eq!(import(&target, folder.path(), master_key()).await.unwrap(), manifest);
    let events = format!("(SELECT * FROM events WHERE position <= {})", manifest.position);
    assert_eq!(rows(&source.pool, &events).await, rows(&target.pool, "events").await, "byte for byte");
    for table in ["claims", "sealing_keys", "log_secrets", "idempotency"] {
        assert_eq!(rows(&source.pool, table).await, rows(&target.pool, table).await, "{table}");
    }

    // It lives: what was sealed opens, the forgotten stay so, and the next event has the next position.
    let restored = open(&target).await;
    let stored = restored.read_stream(&account(1), 0, 1).await.unwrap();
    let event = restored.open_event(&stored[0], Opening::Personal).await.unwrap().remove(0);
    assert_eq!(event.payload["Opened"]["holder"]["$personal"]["value"], "Ada\t\\N \"x\"");
    let owners: Vec<String> =
        restored.forgotten_owners().await.unwrap().into_iter().map(|(owner, _)| owner).collect();
    assert_eq!(owners, ["user:2"]);
    let listed = fs::read_to_string(folder.path().join(backup::FORGOTTEN)).unwrap();
    assert!(listed.starts_with("user:2\t") && listed.lines().count() == 1, "{listed}");
    let next = deposit(&restored, "new", 0, 1).await.unwrap();
    assert_eq!(next.position, manifest.position + 1);
}

#[tokio::test]
async fn a_restore_goes_into_an_empty_database_only() {
    let (source, _store, folder, _) = backed_up().await;
    let refused = import(&source, folder.path(), master_key()).await.unwrap_err();
    assert!(matches!(refused, BackupError::NotEmpty { .. }), "{refused}");
    let refused = backup::export(&source.pool, folder.path(), |_| {}).await.unwrap_err();
    assert!(matches!(refused, BackupError::Occupied { .. }), "nor is a backup written over another");
}

#[tokio::test]
async fn a_backup_that_was_changed_cut_short_or_not_finished_restores_nothing() {
    let (_source, _store, folder, manifest) = backed_up().await;
    let target = database().await;
    let path = folder.path().join("events.copy");
    let whole = fs::read_to_string(&path).unwrap();

    let changed = whole.replacen("deposited", "Deposited", 1);
    assert_ne!(changed, whole);
    fs::write(&path, changed).unwrap();
    let refused = import(&target, folder.path(), master_key()).await.unwrap_err();
    assert!(refused.to_string().contains("events.copy is not what was written"), "{refused}");

    let last = whole.trim_end().rfind('\n').unwrap();
    fs::write(&path, &whole[..=last]).unwrap();
    let refused = import(&target, folder.path(), master_key()).await.unwrap_err();
    assert!(matches!(refused, BackupError::Damaged { .. }), "{refused}");

    fs::write(&path, &whole).unwrap();
    let wrong = import(&target, folder.path(), MasterKey::new([9; 32])).await.unwrap_err();
    assert!(matches!(wrong, BackupError::Keyring(_)), "{wrong}");

    let text = fs::read_to_string(folder.path().join("manifest.json")).unwrap();
    fs::write(folder.path().join("manifest.json"), text.replacen("\"format\": 1", "\"format\": 2", 1))
        .unwrap();
    assert!(matches!(import(&target, folder.path(), master_key()).await, Err(BackupError::TooNew { .. })));
    fs::remove_file(folder.path().join("manifest.json")).unwrap();
    assert!(matches!(
        import(&target, folder.path(), master_key()).await,
        Err(BackupError::NotABackup { .. })
    ));

    assert_eq!(rows(&target.pool, "events").await, Vec::<String>::new(), "of none of it anything stayed");
    fs::write(folder.path().join("manifest.json"), text).unwrap();
    assert_eq!(import(&target, folder.path(), master_key()).await.unwrap(), manifest);
}
