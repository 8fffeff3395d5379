//! The process: starting it, finding one that was left running, waiting until it answers.

use std::{
    fs,
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use sqlx::{ConnectOptions as _, Connection as _, postgres::PgConnectOptions};
use tokio::process::Child;

use super::{
    Options, PostgresError, ROLE,
    binaries::Binaries,
    cluster::{self, Place},
};

/// A crashed cluster replays its log first; that takes a while when much was written.
const READY_WITHIN: Duration = Duration::from_secs(120);
/// One that was left running answers at once, or replays its log.
const ADOPT_WITHIN: Duration = Duration::from_secs(30);
const FAST_STOP_WITHIN: Duration = Duration::from_secs(30);
const IMMEDIATE_STOP_WITHIN: Duration = Duration::from_secs(10);
const CHILDREN_TOLD_AFTER: Duration = Duration::from_secs(5);
const CHILDREN_END_WITHIN: Duration = Duration::from_secs(20);
/// How often a process is looked at that can't be waited for.
const LOOK_EVERY: Duration = Duration::from_millis(20);
const LOG_BYTES_MAX: u64 = 8 * 1024 * 1024;

/// Everything that it takes to start this cluster's Postgres, again and again.
#[derive(Clone, Debug)]
pub(super) struct Launch {
    place: Place,
    program: PathBuf,
    socket_folder: PathBuf,
    settings: Vec<(&'static str, String)>,
    port: u16,
}

/// A Postgres that runs.
#[derive(Debug)]
pub(super) struct Postmaster {
    pub(super) pid: i32,
    pub(super) socket_folder: PathBuf,
    /// `None` if it was adopted: then it can be looked at, not waited for.
    child: Option<Child>,
}

impl Launch {
    pub(super) fn new(options: &Options, place: &Place, bin: &Binaries) -> Result<Self, PostgresError> {
        let socket_folder = cluster::socket_folder(place)?;
        let (listen, port) = match options.tcp {
            Some(address) => (address.ip().to_string(), address.port()),
            None => (String::new(), 5432),
        };
        let settings = vec![
            ("listen_addresses", listen),
            ("port", port.to_string()),
            ("unix_socket_directories", socket_folder.display().to_string()),
            ("unix_socket_permissions", "0700".to_string()),
            ("max_connections", options.connections_max.to_string()),
            ("password_encryption", "scram-sha-256".to_string()),
            ("logging_collector", "off".to_string()),
            ("log_line_prefix", "%m [%p] ".to_string()),
            ("log_timezone", "UTC".to_string()),
            // A failed statement and its details may hold what people wrote.
            ("log_min_error_statement", "panic".to_string()),
            ("log_error_verbosity", "terse".to_string()),
            ("timezone", "UTC".to_string()),
            // Full pages after a checkpoint are most of what a small log writes.
            ("wal_compression", "on".to_string()),
            // Queries here are short: compiling them costs more than running them.
            ("jit", "off".to_string()),
        ];
        Ok(Self { place: place.clone(), program: bin.folder.join("postgres"), socket_folder, settings, port })
    }

    pub(super) fn log(&self) -> &Path {
        &self.place.log
    }

    /// How to connect as the cluster's owner, without naming a database.
    pub(super) fn connect_options(&self, socket_folder: &Path, password: &str) -> PgConnectOptions {
        PgConnectOptions::new_without_pgpass()
            .socket(socket_folder)
            .port(self.port)
            .username(ROLE)
            .password(password)
    }

    /// Starts the process; it may not answer yet. What a dead one left is cleared first: its
    /// `postmaster.pid` only once its process was looked at.
    pub(super) async fn start(&self) -> Result<Postmaster, PostgresError> {
        self.clear_what_a_dead_one_left().await?;
        rotate(&self.place.log)?;
        let log = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&self.place.log)
            .map_err(PostgresError::io("can't write", &self.place.log))?;
        let errors = log.try_clone().map_err(PostgresError::io("can't write", &self.place.log))?;
        let mut command = self.place.account.command(&self.program);
        command.arg("-D").arg(&self.place.cluster);
        for (name, value) in &self.settings {
            command.arg("-c").arg(format!("{name}={value}"));
        }
        // Its own process group: Ctrl-C in a terminal is for us, and we stop Postgres last.
        command.stdin(Stdio::null()).stdout(log).stderr(errors).process_group(0);
        let child = command.spawn().map_err(PostgresError::io("can't run", &self.program))?;
        let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).unwrap_or_default();
        Ok(Postmaster { pid, socket_folder: self.socket_folder.clone(), child: Some(child) })
    }

    /// The Postgres of this cluster that lives, started by a server that is gone.
    fn left_running(&self) -> Option<Postmaster> {
        let (pid, socket_folder) = running(&self.place.cluster)?;
        let socket_folder = socket_folder.unwrap_or_else(|| self.socket_folder.clone());
        Some(Postmaster { pid, socket_folder, child: None })
    }

    /// Clears what a dead Postgres left: its children first, then its files.
    ///
    /// `postmaster.pid` stays, unless its number was given to another program: Postgres looks into it
    /// for the shared memory of children that may still write, and replaces it itself. But it refuses
    /// to start if the number is any process's, also a dead one's that nobody has waited for yet.
    async fn clear_what_a_dead_one_left(&self) -> Result<(), PostgresError> {
        self.children_ended().await?;
        let pid_file = self.place.cluster.join("postmaster.pid");
        let named: Option<i32> =
            fs::read_to_string(&pid_file).ok().and_then(|text| text.lines().next()?.trim().parse().ok());
        if named.is_some_and(|pid| exists(pid) && !runs_on(pid, &self.place.cluster)) {
            remove_if_there(&pid_file)?;
        }
        remove_if_there(&self.socket_folder.join(format!(".s.PGSQL.{}.lock", self.port)))?;
        remove_if_there(&self.socket_folder.join(format!(".s.PGSQL.{}", self.port)))
    }

    /// Waits for the children of a killed Postgres. They notice by themselves unless they are busy;
    /// after a while they are told to quit.
    async fn children_ended(&self) -> Result<(), PostgresError> {
        let started = Instant::now();
        let mut told = false;
        loop {
            let left = processes_on(&self.place.cluster);
            let Some(&first) = left.first() else { return Ok(()) };
            if started.elapsed() > CHILDREN_END_WITHIN {
                return Err(PostgresError::DidNotStop { pid: first, within: CHILDREN_END_WITHIN });
            }
            if !told && started.elapsed() > CHILDREN_TOLD_AFTER {
                told = true;
                for pid in left.into_iter().filter_map(Pid::from_raw) {
                    // Its whole shared memory is discarded: nothing is lost by not asking.
                    if let Err(error) = kill_process(pid, Signal::KILL) {
                        tracing::debug!(%error, "a child of a dead postgres was gone before the signal");
                    }
                }
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}

/// The process of a cluster that lives, and its socket's folder unless it is only starting.
fn running(cluster: &Path) -> Option<(i32, Option<PathBuf>)> {
    let text = fs::read_to_string(cluster.join("postmaster.pid")).ok()?;
    let mut lines = text.lines();
    let pid: i32 = lines.next()?.trim().parse().ok()?;
    if !runs_on(pid, cluster) {
        return None;
    }
    // Line 5 is the socket's folder; it is empty for an instant at the start.
    let socket_folder = lines.nth(3).map(str::trim).filter(|line| !line.is_empty());
    Some((pid, socket_folder.map(PathBuf::from)))
}

/// The socket's folder of the Postgres that runs on this cluster, if one does.
pub(super) fn socket_folder_of_running(cluster: &Path) -> Option<PathBuf> {
    running(cluster)?.1
}

fn remove_if_there(path: &Path) -> Result<(), PostgresError> {
    match fs::remove_file(path) {
        Ok(()) => {
            tracing::info!(path = %path.display(), "removed what a dead postgres left");
            Ok(())
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(PostgresError::io("can't remove", path)(error)),
    }
}

/// The Postgres that still lives, if it answers; else one that is started. Says whether it was adopted.
pub(super) async fn adopt_or_start(
    launch: &Launch,
    password: &str,
) -> Result<(Postmaster, bool), PostgresError> {
    if let Some(mut left) = launch.left_running() {
        match ready(launch, &mut left, password, ADOPT_WITHIN).await {
            Ok(()) => return Ok((left, true)),
            Err(PostgresError::WrongPassword) => return Err(PostgresError::WrongPassword),
            Err(error) => {
                tracing::warn!(postgres.pid = left.pid, %error, "a postgres that was left running does not answer: it is stopped");
                left.stop().await?;
            }
        }
    }
    let mut postmaster = launch.start().await?;
    match ready(launch, &mut postmaster, password, READY_WITHIN).await {
        Ok(()) => Ok((postmaster, false)),
        Err(error) => {
            if let Err(error) = postmaster.stop().await {
                tracing::error!(%error, "a postgres that did not get ready could not be stopped");
            }
            Err(error)
        }
    }
}

/// Waits until it answers a query.
async fn ready(
    launch: &Launch,
    postmaster: &mut Postmaster,
    password: &str,
    within: Duration,
) -> Result<(), PostgresError> {
    let connect = launch.connect_options(&postmaster.socket_folder, password).database("postgres");
    let started = Instant::now();
    loop {
        let error = match connect.connect().await {
            Ok(mut connection) => match connection.ping().await {
                Ok(()) => return connection.close().await.map_err(PostgresError::Database),
                Err(error) => error,
            },
            Err(error) => error,
        };
        // 28P01: invalid_password.
        if error.as_database_error().and_then(|error| error.code()).is_some_and(|code| code == "28P01") {
            return Err(PostgresError::WrongPassword);
        }
        if !postmaster.lives() {
            let text = fs::read_to_string(launch.log()).unwrap_or_default();
            return Err(PostgresError::EndedAtStart {
                log: launch.log().to_path_buf(),
                tail: cluster::last_lines(&text, 5),
            });
        }
        if started.elapsed() > within {
            return Err(PostgresError::NotReady { within, log: launch.log().to_path_buf(), source: error });
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

impl Postmaster {
    /// Whether the process has not ended; reaps it if it is ours.
    pub(super) fn lives(&mut self) -> bool {
        match &mut self.child {
            Some(child) => matches!(child.try_wait(), Ok(None)),
            None => lives(self.pid),
        }
    }

    /// Until the process has ended.
    pub(super) async fn ended(&mut self) {
        match &mut self.child {
            Some(child) => {
                if let Err(error) = child.wait().await {
                    tracing::error!(postgres.pid = self.pid, %error, "postgres can't be waited for");
                }
            }
            None => {
                while lives(self.pid) {
                    tokio::time::sleep(LOOK_EVERY).await;
                }
            }
        }
    }

    /// Fast shutdown; if that takes too long, immediate shutdown (its log is replayed at the next start).
    pub(super) async fn stop(&mut self) -> Result<(), PostgresError> {
        for (signal, within) in [(Signal::INT, FAST_STOP_WITHIN), (Signal::QUIT, IMMEDIATE_STOP_WITHIN)] {
            if !self.lives() {
                return Ok(());
            }
            if let Some(pid) = Pid::from_raw(self.pid)
                && let Err(error) = kill_process(pid, signal)
            {
                tracing::debug!(postgres.pid = self.pid, %error, "postgres was gone before the signal");
            }
            if tokio::time::timeout(within, self.ended()).await.is_ok() {
                return Ok(());
            }
            tracing::warn!(postgres.pid = self.pid, ?signal, "postgres does not end");
        }
        Err(PostgresError::DidNotStop { pid: self.pid, within: FAST_STOP_WITHIN + IMMEDIATE_STOP_WITHIN })
    }
}

/// Whether a process has this number, if only to be waited for.
fn exists(pid: i32) -> bool {
    Pid::from_raw(pid).is_some_and(|pid| !matches!(test_kill_process(pid), Err(rustix::io::Errno::SRCH)))
}

/// Whether a process exists and is not only waiting to be reaped.
fn lives(pid: i32) -> bool {
    let Some(pid) = Pid::from_raw(pid).filter(|_| exists(pid)) else { return false };
    match fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())) {
        // `pid (name) state …`; the name may hold anything, so the last parenthesis counts.
        Ok(stat) => stat
            .rsplit_once(')')
            .is_none_or(|(_, rest)| !matches!(rest.trim_start().chars().next(), Some('Z' | 'X'))),
        // No such system file: not Linux, or it ended just now.
        Err(_) => test_kill_process(pid).is_ok(),
    }
}

/// Whether the process is the Postgres of this cluster: a postmaster's working folder is its cluster.
fn runs_on(pid: i32, cluster: &Path) -> bool {
    if !lives(pid) {
        return false;
    }
    if !Path::new("/proc/self/cwd").exists() {
        // Without /proc the number is all there is; Postgres decides in the same way.
        return true;
    }
    fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|folder| folder == cluster)
}

/// The processes of this cluster, postmaster and children alike; none where there is no `/proc`.
fn processes_on(cluster: &Path) -> Vec<i32> {
    let Ok(entries) = fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| {
        fs::read_link(format!("/proc/{pid}/cwd")).is_ok_and(|folder| folder == cluster) && lives(*pid)
    })
    .collect()
}

/// Keeps one former log file, so that a folder never fills up.
fn rotate(log: &Path) -> Result<(), PostgresError> {
    if fs::metadata(log).is_ok_and(|metadata| metadata.len() > LOG_BYTES_MAX) {
        fs::rename(log, log.with_extension("log.1")).map_err(PostgresError::io("can't move", log))?;
    }
    Ok(())
}
