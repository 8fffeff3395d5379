//! Who was forgotten, in a file beside the database: an older backup knows them still.
//!
//! `<data>/forgotten` has a line each: the owner (an id, never a name), a tab, when. Lines are only
//! added. Whoever starts on a log that knows one of them still (it was restored, in whatever way) forgets
//! them again.

use std::{
    collections::BTreeMap,
    fs::{self, OpenOptions},
    io::Write as _,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use annals_commands::{
    identity::Identity,
    restore::{self, ForgottenAgain},
};
use annals_eventstore::{EventStore, backup::FORGOTTEN};
use anyhow::Context as _;
use chrono::{DateTime, SecondsFormat, Utc};
use tokio_util::sync::CancellationToken;

/// How soon after somebody was forgotten the file says so.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// The file of one data folder.
#[derive(Clone, Debug)]
pub struct ForgottenList {
    path: PathBuf,
}

/// Owners whose keys were destroyed, and when.
pub type Forgotten = BTreeMap<String, DateTime<Utc>>;

impl ForgottenList {
    pub fn of(data: &Path) -> Self {
        Self { path: data.join(FORGOTTEN) }
    }

    /// Reads the list; one that is not there is empty.
    ///
    /// # Errors
    /// If it can't be read, or a line of it is not understood.
    pub fn read(&self) -> anyhow::Result<Forgotten> {
        if self.path.exists() { read(&self.path) } else { Ok(Forgotten::new()) }
    }

    /// Adds those that are not in it, and waits until they are on disk.
    ///
    /// # Errors
    /// If it can't be written.
    pub fn add(&self, forgotten: &Forgotten) -> anyhow::Result<()> {
        let known = self.read()?;
        let text: String = forgotten
            .iter()
            .filter(|(owner, _)| !known.contains_key(*owner))
            .map(|(owner, at)| format!("{owner}\t{}\n", at.to_rfc3339_opts(SecondsFormat::Micros, true)))
            .collect();
        if text.is_empty() {
            return Ok(());
        }
        let mut file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(&self.path)
            .with_context(|| format!("can't write {}", self.path.display()))?;
        // In one write, so that no line is ever half there.
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all())?;
        Ok(())
    }

    /// Forgets everyone in the list whom the log knows still: it was restored from before.
    ///
    /// # Errors
    /// If the list or the log can't be read, or the log takes nothing.
    pub async fn forget_again(&self, identity: &Identity) -> anyhow::Result<ForgottenAgain> {
        Ok(restore::forget_again(identity, self.read()?.into_keys().collect()).await?)
    }

    /// Keeps the list up to date with the log until `stop`.
    pub async fn follow(self, store: EventStore, stop: CancellationToken) {
        let mut destroyed = None;
        while !stop.is_cancelled() {
            match self.look(&store, destroyed).await {
                Ok(now) => destroyed = Some(now),
                Err(error) => tracing::warn!(
                    error = format!("{error:#}"),
                    "who was forgotten can't be noted beside the log: trying again"
                ),
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
        }
    }

    /// Asks for everyone only when the number of destroyed keys has changed.
    async fn look(&self, store: &EventStore, before: Option<u64>) -> anyhow::Result<u64> {
        let destroyed = store.destroyed_keys().await?;
        if before != Some(destroyed) {
            self.add(&store.forgotten_owners().await?.into_iter().collect())?;
        }
        Ok(destroyed)
    }
}

/// A list from anywhere: a file, or the folder of a backup.
///
/// # Errors
/// If it can't be read, or a line of it is not understood.
pub fn read(path: &Path) -> anyhow::Result<Forgotten> {
    let path = if path.is_dir() { path.join(FORGOTTEN) } else { path.to_path_buf() };
    let text = fs::read_to_string(&path).with_context(|| format!("can't read {}", path.display()))?;
    text.lines()
        .enumerate()
        .map(|(index, line)| {
            let entry = line.split_once('\t').and_then(|(owner, at)| {
                Some((owner.to_string(), DateTime::parse_from_rfc3339(at).ok()?.to_utc()))
            });
            entry.with_context(|| format!("line {} of {} is not understood", index + 1, path.display()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_in_the_list_stays_and_is_in_it_once() {
        let data = tempfile::tempdir().expect("a temporary folder");
        let list = ForgottenList::of(data.path());
        assert!(list.read().expect("reads").is_empty());
        let at = |seconds| DateTime::UNIX_EPOCH + chrono::TimeDelta::seconds(seconds);
        let ada = Forgotten::from([("user:ada".to_string(), at(1))]);
        list.add(&ada).expect("adds");
        let both = Forgotten::from([("user:ada".to_string(), at(9)), ("user:bob".to_string(), at(2))]);
        list.add(&both).expect("adds");
        let expected = Forgotten::from([("user:ada".to_string(), at(1)), ("user:bob".to_string(), at(2))]);
        assert_eq!(list.read().expect("reads"), expected, "when it was first heard of counts");
        assert_eq!(read(data.path()).expect("a folder will do"), expected);
        fs::write(data.path().join(FORGOTTEN), "user:ada\n").expect("writes");
        assert!(list.read().unwrap_err().to_string().starts_with("line 1 of"));
    }
}
