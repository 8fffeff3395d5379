//! The cluster's folder: where it lies, whose it is, and how it is made.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    process::Stdio,
};

use super::{
    PostgresError, ROLE,
    account::{Account, shared_folder_made},
    binaries::Binaries,
};

/// Where a data folder's cluster lies, and who runs it.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) cluster: PathBuf,
    pub(super) account: Account,
    /// Postgres's own words.
    pub(super) log: PathBuf,
}

impl Place {
    /// `<data>/postgres`. As root, and if the other account can't pass to the data folder (a clone
    /// under `/root`), the cluster lies in `/var/lib/annals/<installation id>` and
    /// `<data>/postgres` is a link to it.
    pub(super) fn of(data: &Path) -> Result<Self, PostgresError> {
        let data = data.canonicalize().map_err(PostgresError::io("can't find", data))?;
        let logs = data.join("logs");
        if !logs.is_dir() {
            fs::DirBuilder::new()
                .mode(0o700)
                .create(&logs)
                .map_err(PostgresError::io("can't make", &logs))?;
        }
        let log = logs.join("postgres.log");
        let inside = data.join("postgres");
        if let Ok(cluster) = inside.canonicalize() {
            // Also where the link leads: both starts must name the cluster, and its lock, alike.
            let account = Account::choose(Some(&cluster))?;
            if !account.reaches(&cluster) {
                return Err(PostgresError::Unreachable { path: cluster, account: account.name() });
            }
            return Ok(Self { cluster, account, log });
        }
        let account = Account::choose(None)?;
        if account.reaches(&data) {
            return Ok(Self { cluster: inside, account, log });
        }
        let cluster = account.shared_folder().join(installation_id(&data)?);
        shared_folder_made(&account.shared_folder())?;
        link(&cluster, &inside)?;
        Ok(Self { cluster, account, log })
    }

    pub(super) fn lock_file(&self) -> PathBuf {
        self.cluster.with_extension("lock")
    }
}

/// The major version that made a cluster; `None` if there is none yet.
pub(super) fn major_version(cluster: &Path) -> Result<Option<u32>, PostgresError> {
    let path = cluster.join("PG_VERSION");
    match fs::read_to_string(&path) {
        Ok(text) => text.trim().parse().map(Some).map_err(|_| PostgresError::Io {
            what: "there is no version in",
            path,
            source: std::io::ErrorKind::InvalidData.into(),
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(PostgresError::io("can't read", path)(error)),
    }
}

/// Makes a cluster beside its place and moves it there when it is whole, so that a start that was
/// killed in the middle leaves nothing that looks like one.
pub(super) async fn create(place: &Place, bin: &Binaries, password: &str) -> Result<(), PostgresError> {
    let unfinished = place.cluster.with_extension("unfinished");
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished).map_err(PostgresError::io("can't remove", &unfinished))?;
    }
    fs::DirBuilder::new()
        .mode(0o700)
        .create(&unfinished)
        .map_err(PostgresError::io("can't make", &unfinished))?;
    place.account.own(&unfinished)?;
    let password_file = PasswordFile::write(place, password)?;
    let mut command = place.account.command(&bin.folder.join("initdb"));
    command
        .arg("--pgdata")
        .arg(&unfinished)
        .args(["--username", ROLE, "--encoding", "UTF8", "--no-instructions"])
        .args(["--auth-local", "scram-sha-256", "--auth-host", "scram-sha-256"])
        .arg(format!("--pwfile={}", password_file.path.display()))
        .args(locale(bin.major))
        .stdin(Stdio::null());
    let output = command.output().await.map_err(PostgresError::io("can't run", &bin.folder))?;
    drop(password_file);
    if !output.status.success() {
        let words =
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        return Err(PostgresError::Program { program: "initdb", output: last_lines(&words, 12) });
    }
    fs::rename(&unfinished, &place.cluster).map_err(PostgresError::io("can't make", &place.cluster))
}

/// Characters are classified as Unicode says, and sorted by their bytes, so that an upgrade of the
/// system's collations can't break an index.
fn locale(major: u32) -> &'static [&'static str] {
    if major >= 17 {
        &["--locale", "C", "--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"]
    } else {
        &["--locale", "C", "--lc-ctype", "C.UTF-8"]
    }
}

/// The password for `initdb`, in a file that only its account reads and that goes with this value.
struct PasswordFile {
    path: PathBuf,
}

impl PasswordFile {
    fn write(place: &Place, password: &str) -> Result<Self, PostgresError> {
        let path = place.cluster.with_extension("password");
        if path.exists() {
            fs::remove_file(&path).map_err(PostgresError::io("can't remove", &path))?;
        }
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(PostgresError::io("can't write", &path))?;
        let this = Self { path };
        writeln!(file, "{password}").map_err(PostgresError::io("can't write", &this.path))?;
        place.account.own(&this.path)?;
        Ok(this)
    }
}

impl Drop for PasswordFile {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_file(&self.path) {
            tracing::warn!(path = %self.path.display(), %error, "a temporary password file could not be removed");
        }
    }
}

/// This data folder's own number, made once: a folder that was deleted and made again at the same
/// path gets another cluster.
fn installation_id(data: &Path) -> Result<String, PostgresError> {
    let path = data.join("installation-id");
    if let Ok(text) = fs::read_to_string(&path)
        && let Ok(id) = text.trim().parse::<uuid::Uuid>()
    {
        return Ok(id.to_string());
    }
    let id = uuid::Uuid::new_v4().to_string();
    fs::write(&path, format!("{id}\n")).map_err(PostgresError::io("can't write", &path))?;
    Ok(id)
}

fn link(target: &Path, link: &Path) -> Result<(), PostgresError> {
    match fs::symlink_metadata(link) {
        // A start that was killed left the link before its target was made.
        Ok(metadata) if metadata.is_symlink() => {
            fs::remove_file(link).map_err(PostgresError::io("can't remove", link))?;
        }
        _ => {}
    }
    std::os::unix::fs::symlink(target, link).map_err(PostgresError::io("can't make", link))
}

/// The folder of the sockets: short (a socket's path has at most 107 bytes), private, the account's
/// own, and the same for the same cluster.
pub(super) fn socket_folder(place: &Place) -> Result<PathBuf, PostgresError> {
    use sha2::Digest as _;
    use std::os::unix::fs::MetadataExt as _;
    let hash = hex::encode(sha2::Sha256::digest(place.cluster.as_os_str().as_encoded_bytes()));
    let name = format!("annals-{}", &hash[..16]);
    let runtime = std::env::var_os("XDG_RUNTIME_DIR")
        .map(PathBuf::from)
        .filter(|folder| place.account == Account::Own && folder.is_dir() && folder.as_os_str().len() < 60);
    let folder = runtime.unwrap_or_else(|| PathBuf::from("/tmp")).join(name);
    match fs::DirBuilder::new().mode(0o700).create(&folder) {
        Ok(()) => place.account.own(&folder)?,
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
        Err(error) => return Err(PostgresError::io("can't make", &folder)(error)),
    }
    let unsafe_folder =
        |why: &str| PostgresError::SocketFolder { path: folder.clone(), why: why.to_string() };
    // Whoever else can write to /tmp could have made it first.
    let metadata = fs::symlink_metadata(&folder).map_err(PostgresError::io("can't look at", &folder))?;
    if !metadata.is_dir() {
        return Err(unsafe_folder("it is not a folder"));
    }
    if metadata.uid() == 0 && place.account.uid() != 0 && rustix::process::geteuid().is_root() {
        // Made by us and not given away: a start was killed in between.
        place.account.own(&folder)?;
    } else if metadata.uid() != place.account.uid() {
        return Err(unsafe_folder("it belongs to another account"));
    }
    if metadata.permissions().mode() & 0o777 != 0o700 {
        return Err(unsafe_folder("others may enter it"));
    }
    Ok(folder)
}

/// The last lines of a text, for an error.
pub(super) fn last_lines(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}
