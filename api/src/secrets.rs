//! What this installation keeps to itself: made at the first start, in `<data>/secrets`, mode 0600.
//!
//! Several nodes on one database share them: then they are given by the configuration (`secrets.*`).

use std::{
    fs,
    io::Write as _,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use rand::TryRngCore as _;

/// Each with its length in bytes; kept as hex.
const KEY_BYTES: usize = 32;

#[derive(Debug, thiserror::Error)]
pub enum SecretsError {
    #[error("{what} {}: {source}", .path.display())]
    Io { what: &'static str, path: PathBuf, source: std::io::Error },
    #[error("{} must hold {KEY_BYTES} bytes as {} hexadecimal digits; restore it from a backup", .path.display(), KEY_BYTES * 2)]
    Damaged { path: PathBuf },
    #[error("{} can be read by others: make it private (chmod 600)", .path.display())]
    NotPrivate { path: PathBuf },
    #[error("{} is another key than the one that is taken over; it is left as it is", .path.display())]
    Other { path: PathBuf },
    #[error("the system gives no random numbers")]
    Random(#[from] rand::rand_core::OsError),
}

/// The folder of secrets. It reads each when it is asked for, and makes what is not there yet.
#[derive(Clone, Debug)]
pub struct Secrets {
    folder: PathBuf,
}

impl Secrets {
    /// Opens `<data>/secrets`, making it if it is not there.
    ///
    /// # Errors
    /// If it can't be made.
    pub fn open(data: &Path) -> Result<Self, SecretsError> {
        let folder = data.join("secrets");
        if !folder.is_dir() {
            fs::DirBuilder::new().mode(0o700).create(&folder).map_err(|source| SecretsError::Io {
                what: "can't make",
                path: folder.clone(),
                source,
            })?;
        }
        Ok(Self { folder })
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Wraps the keys of the log.
    ///
    /// # Errors
    /// As [`Secrets::key`].
    pub fn master_key(&self) -> Result<[u8; 32], SecretsError> {
        self.key("master.key")
    }

    /// Signs access tokens.
    ///
    /// # Errors
    /// As [`Secrets::key`].
    pub fn token_key(&self) -> Result<[u8; 32], SecretsError> {
        self.key("token.key")
    }

    /// Signs checkpoints of the log.
    ///
    /// # Errors
    /// As [`Secrets::key`].
    pub fn notary_key(&self) -> Result<[u8; 32], SecretsError> {
        self.key("notary.key")
    }

    /// Whether there is a master key already, without making one.
    pub fn has_master_key(&self) -> bool {
        self.folder.join("master.key").exists()
    }

    /// Copies all that opens and signs into a new folder; not the private Postgres' password, which is
    /// that of one cluster.
    ///
    /// # Errors
    /// If the folder holds something, or a file can't be read or written.
    pub fn copy_to(&self, folder: &Path) -> Result<(), SecretsError> {
        let failed = |what, path: &Path| {
            let path = path.to_path_buf();
            move |source| SecretsError::Io { what, path, source }
        };
        if !folder.is_dir() {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(folder)
                .map_err(failed("can't make", folder))?;
        }
        if fs::read_dir(folder).map_err(failed("can't read", folder))?.next().is_some() {
            let source = std::io::ErrorKind::DirectoryNotEmpty.into();
            return Err(failed("can't copy secrets into", folder)(source));
        }
        copy(&self.folder, folder)
    }

    /// Takes over what [`Secrets::copy_to`] has copied; what is here already must be the same.
    ///
    /// # Errors
    /// If another key is here, or a file can't be read or written.
    pub fn copy_from(&self, folder: &Path) -> Result<(), SecretsError> {
        copy(folder, &self.folder)
    }

    /// Opens the private Postgres.
    ///
    /// # Errors
    /// As [`Secrets::key`].
    pub fn postgres_password(&self) -> Result<String, SecretsError> {
        self.key("postgres.password").map(hex::encode)
    }

    /// Master keys of before, newest first.
    ///
    /// # Errors
    /// If one can't be read or is damaged.
    pub fn former_master_keys(&self) -> Result<Vec<[u8; 32]>, SecretsError> {
        self.former_numbers()?
            .into_iter()
            .map(|number| {
                let path = self.former(number);
                let text = read_private(&path)?.unwrap_or_default();
                parse(&path, &text)
            })
            .collect()
    }

    /// Makes a new master key; the one of before becomes a former one. Both are on disk before
    /// anything is wrapped under the new one.
    ///
    /// # Errors
    /// If a file can't be written.
    pub fn rotate_master_key(&self) -> Result<(), SecretsError> {
        let current = self.master_key()?;
        let number = self.former_numbers()?.first().map_or(1, |newest| newest + 1);
        write_new(&self.former(number), &hex::encode(current))?;
        let next = self.folder.join("master.key.next");
        remove_if_there(&next)?;
        write_new(&next, &hex::encode(random_key()?))?;
        let path = self.folder.join("master.key");
        fs::rename(&next, &path).map_err(|source| SecretsError::Io {
            what: "can't replace",
            path,
            source,
        })?;
        sync_folder(&self.folder)
    }

    /// One key, made at the first call.
    ///
    /// # Errors
    /// If it can't be read or written, others may read it, or it is not 32 bytes of hex.
    fn key(&self, name: &str) -> Result<[u8; KEY_BYTES], SecretsError> {
        let path = self.folder.join(name);
        if let Some(text) = read_private(&path)? {
            return parse(&path, &text);
        }
        let key = random_key()?;
        write_new(&path, &hex::encode(key))?;
        Ok(key)
    }

    fn former(&self, number: u32) -> PathBuf {
        self.folder.join(format!("master.key.former-{number}"))
    }

    fn former_numbers(&self) -> Result<Vec<u32>, SecretsError> {
        let entries = fs::read_dir(&self.folder).map_err(|source| SecretsError::Io {
            what: "can't read",
            path: self.folder.clone(),
            source,
        })?;
        let number = |name: &str| name.strip_prefix("master.key.former-")?.parse::<u32>().ok();
        let mut numbers: Vec<u32> =
            entries.flatten().filter_map(|entry| number(entry.file_name().to_str()?)).collect();
        numbers.sort_unstable_by(|a, b| b.cmp(a));
        Ok(numbers)
    }
}

/// Every secret of one folder in another, but for those of a cluster.
fn copy(from: &Path, to: &Path) -> Result<(), SecretsError> {
    let entries = fs::read_dir(from).map_err(|source| SecretsError::Io {
        what: "can't read",
        path: from.to_path_buf(),
        source,
    })?;
    for entry in entries.flatten() {
        let name = entry.file_name();
        let is_ours = name.to_str().is_some_and(|name| {
            name.contains(".key") && !name.ends_with(".next") && !name.ends_with(".unfinished")
        });
        let Some(text) = read_private(&entry.path())?.filter(|_| is_ours) else { continue };
        let target = to.join(&name);
        match read_private(&target)? {
            Some(there) if there == text => {}
            Some(_) => return Err(SecretsError::Other { path: target }),
            None => write_new(&target, text.trim_end())?,
        }
    }
    Ok(())
}

/// A key from the configuration: 64 hexadecimal digits.
///
/// # Errors
/// In words that follow the setting's name.
pub fn parse_key(text: &str) -> Result<[u8; KEY_BYTES], String> {
    let mut key = [0; KEY_BYTES];
    hex::decode_to_slice(text.trim(), &mut key)
        .map(|()| key)
        .map_err(|_| format!("must be {} hexadecimal digits (openssl rand -hex {KEY_BYTES})", KEY_BYTES * 2))
}

fn parse(path: &Path, text: &str) -> Result<[u8; KEY_BYTES], SecretsError> {
    parse_key(text).map_err(|_| SecretsError::Damaged { path: path.to_path_buf() })
}

fn random_key() -> Result<[u8; KEY_BYTES], SecretsError> {
    let mut key = [0; KEY_BYTES];
    rand::rngs::OsRng.try_fill_bytes(&mut key)?;
    Ok(key)
}

fn read_private(path: &Path) -> Result<Option<String>, SecretsError> {
    let failed = |source| SecretsError::Io { what: "can't read", path: path.to_path_buf(), source };
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    if metadata.permissions().mode() & 0o077 != 0 {
        return Err(SecretsError::NotPrivate { path: path.to_path_buf() });
    }
    fs::read_to_string(path).map(Some).map_err(failed)
}

/// Writes a new file whole or not at all: a key that was cut short would lock everything away.
fn write_new(path: &Path, text: &str) -> Result<(), SecretsError> {
    let failed = |source| SecretsError::Io { what: "can't write", path: path.to_path_buf(), source };
    let unfinished = path.with_extension("unfinished");
    remove_if_there(&unfinished)?;
    let mut file =
        fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&unfinished).map_err(failed)?;
    writeln!(file, "{text}").map_err(failed)?;
    file.sync_all().map_err(failed)?;
    fs::rename(&unfinished, path).map_err(failed)?;
    sync_folder(path.parent().unwrap_or(path))
}

fn remove_if_there(path: &Path) -> Result<(), SecretsError> {
    match fs::remove_file(path) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(SecretsError::Io { what: "can't remove", path: path.to_path_buf(), source })
        }
        _ => Ok(()),
    }
}

fn sync_folder(folder: &Path) -> Result<(), SecretsError> {
    fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(|source| SecretsError::Io {
        what: "can't write",
        path: folder.to_path_buf(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets() -> (tempfile::TempDir, Secrets) {
        let data = tempfile::tempdir().expect("a temporary folder");
        let secrets = Secrets::open(data.path()).expect("opens");
        (data, secrets)
    }

    #[test]
    fn a_secret_is_made_once_and_kept_private() {
        let (data, secrets) = secrets();
        let first = secrets.master_key().expect("is made");
        let again = Secrets::open(data.path()).expect("opens").master_key().expect("is read");
        assert_eq!(first, again);
        assert_ne!(first, secrets.token_key().expect("is made"));
        let mode = |path: PathBuf| fs::metadata(path).expect("is there").permissions().mode() & 0o777;
        assert_eq!(mode(data.path().join("secrets")), 0o700);
        assert_eq!(mode(data.path().join("secrets/master.key")), 0o600);
    }

    #[test]
    fn a_secret_that_others_can_read_or_that_was_cut_short_is_refused() {
        let (_data, secrets) = secrets();
        secrets.token_key().expect("is made");
        let path = secrets.folder().join("token.key");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("changes");
        assert!(matches!(secrets.token_key(), Err(SecretsError::NotPrivate { .. })));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("changes");
        fs::write(&path, "00ff\n").expect("writes");
        assert!(matches!(secrets.token_key(), Err(SecretsError::Damaged { .. })));
    }

    #[test]
    fn keys_are_copied_away_and_taken_over_and_never_replaced() {
        let (_data, secrets) = secrets();
        let master = secrets.master_key().expect("is made");
        secrets.postgres_password().expect("is made");
        let elsewhere = tempfile::tempdir().expect("a temporary folder");
        let folder = elsewhere.path().join("secrets");
        secrets.copy_to(&folder).expect("copies");
        assert!(!folder.join("postgres.password").exists(), "it is of one cluster");
        assert!(secrets.copy_to(&folder).is_err(), "not over what is there");

        let (_data, fresh) = self::secrets();
        assert!(!fresh.has_master_key());
        fresh.copy_from(&folder).expect("takes over");
        fresh.copy_from(&folder).expect("again is fine");
        assert_eq!(fresh.master_key().expect("is read"), master);
        let (_data, other) = self::secrets();
        other.master_key().expect("is made");
        assert!(matches!(other.copy_from(&folder), Err(SecretsError::Other { .. })));
    }

    #[test]
    fn rotation_keeps_the_keys_of_before_newest_first() {
        let (_data, secrets) = secrets();
        let first = secrets.master_key().expect("is made");
        secrets.rotate_master_key().expect("rotates");
        let second = secrets.master_key().expect("is read");
        secrets.rotate_master_key().expect("rotates");
        assert_eq!(secrets.former_master_keys().expect("are read"), vec![second, first]);
        assert!(![first, second].contains(&secrets.master_key().expect("is read")));
    }
}
