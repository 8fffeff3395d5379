//! Who Postgres runs as. It refuses to run as root, and is right to.

use std::{
    fs,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use super::{PostgresError, binaries::Binaries};

/// Where clusters and programs go that the other account could not reach in a private folder such
/// as `/root`.
const SHARED: &str = "/var/lib/annals";

/// The account of a cluster's files and processes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Account {
    /// This process's own.
    Own,
    /// Another one, because this process is root.
    Other { name: String, uid: u32, gid: u32 },
}

impl Account {
    /// The account for a cluster: this process's own unless that is root's; for root the account
    /// that owns the existing cluster, else `postgres`, else `nobody`.
    pub(super) fn choose(existing_cluster: Option<&Path>) -> Result<Self, PostgresError> {
        let own = rustix::process::geteuid().as_raw();
        if let Some(cluster) = existing_cluster {
            let owner = fs::metadata(cluster).map_err(PostgresError::io("can't look at", cluster))?;
            if owner.uid() == own && own != 0 {
                return Ok(Self::Own);
            }
            if own != 0 {
                let name = name_of(owner.uid()).unwrap_or_else(|| format!("user {}", owner.uid()));
                return Err(PostgresError::NotOurs { path: cluster.to_path_buf(), owner: name });
            }
            if owner.uid() != 0 {
                let name = name_of(owner.uid()).unwrap_or_else(|| owner.uid().to_string());
                return Ok(Self::Other { name, uid: owner.uid(), gid: owner.gid() });
            }
        }
        if own != 0 {
            return Ok(Self::Own);
        }
        ["postgres", "nobody"].into_iter().find_map(by_name).ok_or(PostgresError::NoAccount)
    }

    pub(super) fn name(&self) -> String {
        match self {
            Self::Own => "that annals runs as".to_string(),
            Self::Other { name, .. } => name.clone(),
        }
    }

    pub(super) fn uid(&self) -> u32 {
        match self {
            Self::Own => rustix::process::geteuid().as_raw(),
            Self::Other { uid, .. } => *uid,
        }
    }

    /// Where the cluster of an installation goes if it can't lie in its data folder.
    pub(super) fn shared_folder(&self) -> PathBuf {
        PathBuf::from(SHARED)
    }

    /// A command that runs as this account, in a folder that every account can be in.
    pub(super) fn command(&self, program: &Path) -> tokio::process::Command {
        let mut command = tokio::process::Command::new(program);
        command.current_dir("/").env_remove("PGDATA").env("LC_ALL", "C");
        if let Self::Other { uid, gid, .. } = self {
            // With a uid and as root, the standard library also clears the supplementary groups.
            command.uid(*uid).gid(*gid);
        }
        command
    }

    /// Gives a file or folder to the account.
    pub(super) fn own(&self, path: &Path) -> Result<(), PostgresError> {
        match self {
            Self::Own => Ok(()),
            Self::Other { uid, gid, .. } => std::os::unix::fs::chown(path, Some(*uid), Some(*gid))
                .map_err(PostgresError::io("can't change the owner of", path)),
        }
    }

    /// Whether the account may pass through a folder and all its parents.
    pub(super) fn reaches(&self, folder: &Path) -> bool {
        let Self::Other { uid, gid, .. } = self else { return true };
        let Ok(folder) = folder.canonicalize() else { return false };
        folder.ancestors().all(|part| {
            fs::metadata(part).is_ok_and(|metadata| {
                let mode = metadata.permissions().mode();
                if metadata.uid() == *uid {
                    mode & 0o100 != 0
                } else if metadata.gid() == *gid {
                    mode & 0o010 != 0
                } else {
                    mode & 0o001 != 0
                }
            })
        })
    }

    /// The programs where the account can run them: as they are, or copied out of a private folder.
    pub(super) fn with_reachable_binaries(&self, bin: &Binaries) -> Result<Binaries, PostgresError> {
        if self.reaches(&bin.folder) {
            return Ok(bin.clone());
        }
        let unreachable = || PostgresError::Unreachable { path: bin.folder.clone(), account: self.name() };
        // Only an installation of its own (bin, lib, share side by side) still works when copied.
        let prefix = bin.folder.parent().ok_or_else(unreachable)?;
        if !prefix.join("share").is_dir() || !prefix.join("lib").is_dir() {
            return Err(unreachable());
        }
        let copy = self.shared_folder().join(format!("postgresql-{}", bin.version));
        if !copy.is_dir() {
            shared_folder_made(&self.shared_folder())?;
            let unfinished =
                self.shared_folder().join(format!("postgresql-{}.{}", bin.version, std::process::id()));
            copy_tree(prefix, &unfinished)?;
            if let Err(error) = fs::rename(&unfinished, &copy) {
                // Another server made the same copy first: use that.
                fs::remove_dir_all(&unfinished).map_err(PostgresError::io("can't remove", &unfinished))?;
                if !copy.is_dir() {
                    return Err(PostgresError::io("can't make", &copy)(error));
                }
            }
        }
        let folder = copy.join("bin");
        if !self.reaches(&folder) {
            return Err(PostgresError::Unreachable { path: folder, account: self.name() });
        }
        Ok(Binaries { folder, ..bin.clone() })
    }
}

/// Makes the folder that all accounts can pass through, whatever the umask says.
pub(super) fn shared_folder_made(folder: &Path) -> Result<(), PostgresError> {
    if folder.is_dir() {
        return Ok(());
    }
    fs::create_dir_all(folder).map_err(PostgresError::io("can't make", folder))?;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755))
        .map_err(PostgresError::io("can't open to others", folder))
}

fn copy_tree(from: &Path, to: &Path) -> Result<(), PostgresError> {
    fs::create_dir_all(to).map_err(PostgresError::io("can't make", to))?;
    fs::set_permissions(to, fs::Permissions::from_mode(0o755))
        .map_err(PostgresError::io("can't open to others", to))?;
    for entry in fs::read_dir(from).map_err(PostgresError::io("can't read", from))? {
        let entry = entry.map_err(PostgresError::io("can't read", from))?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().map_err(PostgresError::io("can't look at", &source))?;
        if kind.is_dir() {
            copy_tree(&source, &target)?;
        } else if kind.is_symlink() {
            let link = fs::read_link(&source).map_err(PostgresError::io("can't read", &source))?;
            std::os::unix::fs::symlink(link, &target).map_err(PostgresError::io("can't make", &target))?;
        } else {
            fs::copy(&source, &target).map_err(PostgresError::io("can't copy", &source))?;
        }
    }
    Ok(())
}

fn accounts() -> impl Iterator<Item = (String, u32, u32)> {
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let parse = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next()?.to_string();
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        Some((name, uid, gid))
    };
    passwd.lines().filter_map(parse).collect::<Vec<_>>().into_iter()
}

fn by_name(wanted: &str) -> Option<Account> {
    accounts().find(|(name, uid, _)| name == wanted && *uid != 0).map(|(name, uid, gid)| Account::Other {
        name,
        uid,
        gid,
    })
}

/// The name of the account that this process runs as, or its number.
pub fn own_name() -> String {
    let own = rustix::process::getuid().as_raw();
    name_of(own).unwrap_or_else(|| own.to_string())
}

fn name_of(uid: u32) -> Option<String> {
    accounts().find(|(_, of, _)| *of == uid).map(|(name, ..)| name)
}
