//! The private Postgres: a real server in the data folder, started, watched and stopped by `annals serve`.
//!
//! It listens on a Unix socket in a folder of mode 0700 and on no network. It
//! never runs as root: a server started as root runs it as another account
//! (see [`account`]). It outlives a server that was killed; the next server on
//! the same folder adopts it.

mod account;
mod binaries;
mod cluster;
mod lock;
mod postmaster;
mod supervisor;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use sqlx::postgres::PgConnectOptions;

pub use account::own_name;
pub use lock::{FolderLock, LockError};

/// The oldest major version that Annals is tested with.
pub const MAJOR_MIN: u32 = 15;
/// The role that owns the cluster, and the name of its database.
pub const ROLE: &str = "annals";

/// What a private Postgres needs to know.
#[derive(Clone, Debug)]
pub struct Options {
    /// The data folder; it exists, and its [`FolderLock`] is held by the caller.
    pub data: PathBuf,
    /// `postgres.bin`: the folder with `initdb` and `postgres`; found if not given.
    pub bin: Option<PathBuf>,
    pub password: String,
    pub connections_max: u32,
    /// An address besides the socket, for tests; a port of 0 is not allowed.
    pub tcp: Option<SocketAddr>,
}

/// Why the private Postgres does not run; the words say what to do.
#[derive(Debug, thiserror::Error)]
pub enum PostgresError {
    #[error(
        "no PostgreSQL {MAJOR_MIN} or newer was found: install one (on Debian: apt-get install postgresql), run \
         scripts/run, which fetches one, or name the folder of its programs with ANNALS_POSTGRES_BIN, or set \
         DATABASE_URL to use a server that runs elsewhere"
    )]
    NoBinaries,
    #[error("{} is not a folder with initdb and postgres of PostgreSQL {MAJOR_MIN} or newer: {why}", .bin.display())]
    BadBinaries { bin: PathBuf, why: String },
    #[error(
        "{} was made by PostgreSQL {wanted}, and only {found} was found here: install PostgreSQL {wanted}, or name \
         the folder of its programs with ANNALS_POSTGRES_BIN", .cluster.display()
    )]
    WrongVersion { cluster: PathBuf, wanted: u32, found: String },
    #[error("Postgres does not run as root, and there is no other account (postgres, nobody) to run it as")]
    NoAccount,
    #[error("{} belongs to {owner}: start annals as that account or as root", .path.display())]
    NotOurs { path: PathBuf, owner: String },
    #[error(
        "the account {account}, which Postgres runs as, can't reach {}: move the data folder, or let others pass \
         through its parent folders (chmod o+x)", .path.display()
    )]
    Unreachable { path: PathBuf, account: String },
    #[error("{} is not safe as Postgres's socket folder: {why}; remove it", .path.display())]
    SocketFolder { path: PathBuf, why: String },
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error("{program} failed: {output}")]
    Program { program: &'static str, output: String },
    #[error("Postgres ended while it started; the end of {}: {tail}", .log.display())]
    EndedAtStart { log: PathBuf, tail: String },
    #[error("Postgres did not answer within {} s; see {}", .within.as_secs(), .log.display())]
    NotReady {
        within: Duration,
        log: PathBuf,
        #[source]
        source: sqlx::Error,
    },
    #[error("the password in the data folder's secrets does not open its Postgres")]
    WrongPassword,
    #[error("Postgres (process {pid}) did not end within {} s", .within.as_secs())]
    DidNotStop { pid: i32, within: Duration },
    #[error("the database could not be made")]
    Database(#[source] sqlx::Error),
    #[error("{what} {}: {source}", .path.display())]
    Io { what: &'static str, path: PathBuf, source: std::io::Error },
}

impl PostgresError {
    fn io<P: Into<PathBuf>>(what: &'static str, path: P) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { what, path, source }
    }
}

/// How the Postgres that runs came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// A new cluster was made.
    Created,
    /// It was started from the folder.
    Started,
    /// A killed server had left it running.
    Adopted,
}

/// A private Postgres that runs. [`PrivatePostgres::stop`] stops it; dropped without it, Postgres
/// goes on and the next server on the folder adopts it.
pub struct PrivatePostgres {
    supervisor: supervisor::Supervisor,
    connect: PgConnectOptions,
    bin: PathBuf,
    cluster: PathBuf,
    socket_folder: PathBuf,
    origin: Origin,
    /// Held for as long as Postgres runs: two data folders could name one cluster (a copied link).
    _cluster_lock: FolderLock,
}

impl PrivatePostgres {
    /// Makes the cluster if there is none, starts or adopts its Postgres, waits until it answers
    /// and makes the database.
    ///
    /// # Errors
    /// See [`PostgresError`]; nothing that was started is left running then.
    pub async fn start(options: Options) -> Result<Self, PostgresError> {
        let started = Instant::now();
        let place = cluster::Place::of(&options.data)?;
        let cluster_lock = FolderLock::acquire(&place.lock_file())?;
        let version_of_cluster = cluster::major_version(&place.cluster)?;
        let bin = binaries::find(options.bin.as_deref(), version_of_cluster, &place.cluster)?;
        let bin = place.account.with_reachable_binaries(&bin)?;
        let created = version_of_cluster.is_none();
        if created {
            cluster::create(&place, &bin, &options.password).await?;
        }
        let launch = postmaster::Launch::new(&options, &place, &bin)?;
        let (postmaster, adopted) = postmaster::adopt_or_start(&launch, &options.password).await?;
        let connect = launch.connect_options(&postmaster.socket_folder, &options.password);
        ensure_database(&connect).await.map_err(PostgresError::Database)?;
        let origin = match (created, adopted) {
            (true, _) => Origin::Created,
            (false, true) => Origin::Adopted,
            (false, false) => Origin::Started,
        };
        tracing::info!(
            postgres.pid = postmaster.pid,
            postgres.version = %bin.version,
            postgres.origin = ?origin,
            duration_ms = started.elapsed().as_secs_f64() * 1000.0,
            "the private postgres is ready"
        );
        let socket_folder = postmaster.socket_folder.clone();
        Ok(Self {
            supervisor: supervisor::Supervisor::watch(launch, postmaster),
            connect: connect.database(ROLE),
            bin: bin.folder,
            cluster: place.cluster,
            socket_folder,
            origin,
            _cluster_lock: cluster_lock,
        })
    }

    /// How to connect to the database `annals` of this Postgres; holds the password.
    pub fn connect_options(&self) -> PgConnectOptions {
        self.connect.clone()
    }

    /// The folder with the programs that run.
    pub fn bin(&self) -> &Path {
        &self.bin
    }

    /// Where the cluster lies: `<data>/postgres`, or what that links to.
    pub fn cluster(&self) -> &Path {
        &self.cluster
    }

    pub fn origin(&self) -> Origin {
        self.origin
    }

    /// The process that runs at this moment; changes when Postgres died and was started again.
    pub fn pid(&self) -> i32 {
        self.supervisor.pid()
    }

    /// Stops Postgres: fast, and at once if that takes more than 30 s.
    ///
    /// # Errors
    /// If the process does not end.
    pub async fn stop(self) -> Result<(), PostgresError> {
        self.supervisor.stop().await?;
        // An empty folder in /tmp is litter; the next start makes it again.
        if let Err(error) = std::fs::remove_dir(&self.socket_folder) {
            tracing::debug!(path = %self.socket_folder.display(), %error, "the socket folder stays");
        }
        Ok(())
    }
}

/// How to connect to the private Postgres that a server on this data folder runs, if one does.
///
/// # Errors
/// If the folder can't be looked into.
pub fn running(data: &Path, password: &str) -> Result<Option<PgConnectOptions>, PostgresError> {
    let place = cluster::Place::of(data)?;
    let socket_folder = postmaster::socket_folder_of_running(&place.cluster);
    Ok(socket_folder.map(|folder| {
        PgConnectOptions::new_without_pgpass().socket(folder).username(ROLE).password(password).database(ROLE)
    }))
}

/// Makes the database [`ROLE`] if it is not there.
async fn ensure_database(connect: &PgConnectOptions) -> Result<(), sqlx::Error> {
    use sqlx::{ConnectOptions as _, Connection as _};
    let mut connection = connect.clone().database("postgres").connect().await?;
    let there: bool = sqlx::query_scalar("SELECT EXISTS (SELECT 1 FROM pg_database WHERE datname = $1)")
        .bind(ROLE)
        .fetch_one(&mut connection)
        .await?;
    if !there {
        // A name can't be a parameter; this one is our own constant.
        sqlx::query(&format!("CREATE DATABASE {ROLE}")).execute(&mut connection).await?;
    }
    connection.close().await
}

#[cfg(test)]
mod tests;
