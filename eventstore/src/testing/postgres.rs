//! A Postgres of a test's own, to be killed and restarted at will.

use std::{
    net::TcpListener,
    os::unix::{fs::chown, process::CommandExt},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use sqlx::{Connection, PgConnection};
use uuid::Uuid;

const START_TIMEOUT: Duration = Duration::from_secs(30);

/// A running Postgres in a folder of its own, with `fsync` on; both go when it is dropped.
pub struct PrivatePostgres {
    folder: PathBuf,
    bin: PathBuf,
    port: u16,
    user: Option<(u32, u32)>,
    process: Option<Child>,
}

/// Where Postgres' programs are: `ANNALS_POSTGRES_BIN`, else what `pg_config` says, else Debian's newest.
///
/// # Panics
/// If there is no Postgres.
pub fn postgres_bin() -> PathBuf {
    let named = std::env::var_os("ANNALS_POSTGRES_BIN").map(PathBuf::from);
    let configured = || {
        let output = Command::new("pg_config").arg("--bindir").output().ok()?;
        Some(PathBuf::from(String::from_utf8(output.stdout).ok()?.trim()))
    };
    let debian = || {
        let version = |path: &PathBuf| path.file_name()?.to_str()?.parse::<u32>().ok();
        let folders = std::fs::read_dir("/usr/lib/postgresql").ok()?;
        let newest = folders.flatten().map(|entry| entry.path()).max_by_key(version)?;
        Some(newest.join("bin"))
    };
    let usable = |path: &PathBuf| path.join("postgres").exists() && path.join("initdb").exists();
    named
        .or_else(|| configured().filter(usable))
        .or_else(|| debian().filter(usable))
        .expect("no Postgres found: install one or set ANNALS_POSTGRES_BIN to the folder of its programs")
}

impl PrivatePostgres {
    /// Makes a cluster in a temporary folder and starts it on a free port of 127.0.0.1.
    ///
    /// # Panics
    /// If it does not start.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// The same, with further settings (`name=value`).
    ///
    /// # Panics
    /// If it does not start.
    pub async fn start_with(settings: &[&str]) -> Self {
        let folder = std::env::temp_dir().join(format!("annals-postgres-{}", Uuid::now_v7().simple()));
        std::fs::create_dir(&folder).expect("the temporary folder can be written");
        let user = unprivileged_user();
        if let Some((uid, gid)) = user {
            chown(&folder, Some(uid), Some(gid)).expect("root may give a folder away");
        }
        let mut postgres = Self { folder, bin: postgres_bin(), port: free_port(), user, process: None };
        let made = postgres
            .command("initdb")
            .args(["--username=annals", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync", "-D"])
            .arg(postgres.data())
            .stdout(Stdio::null())
            .output()
            .expect("initdb runs");
        assert!(made.status.success(), "initdb failed: {}", String::from_utf8_lossy(&made.stderr));
        let settings: String = settings.iter().map(|setting| format!("{setting}\n")).collect();
        let file = postgres.data().join("postgresql.auto.conf");
        std::fs::write(&file, settings).expect("the settings can be written");
        postgres.restart().await;
        postgres
    }

    /// The address of its database `postgres`, for a superuser without a password.
    pub fn url(&self) -> String {
        format!("postgres://annals@127.0.0.1:{}/postgres", self.port)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Starts it (again) and waits until it answers.
    ///
    /// # Panics
    /// If it does not answer within half a minute.
    pub async fn restart(&mut self) {
        self.stop("fast");
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            if self.process.is_none() {
                self.process = Some(self.spawn());
            }
            let url = self.url();
            let connecting = PgConnection::connect(&url);
            if let Ok(Ok(connection)) = tokio::time::timeout(Duration::from_secs(2), connecting).await {
                drop(connection.close().await);
                return;
            }
            // One that was killed may have left children that hold its folder for a moment.
            if self.process.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(Some(_)))) {
                self.process = None;
            }
            let log = self.folder.join("log");
            assert!(
                Instant::now() < deadline,
                "Postgres does not answer: {}",
                std::fs::read_to_string(log).unwrap_or_default()
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Stops it: `fast` ends sessions and checkpoints, `immediate` crashes it.
    pub fn stop(&mut self, mode: &str) {
        let Some(mut process) = self.process.take() else { return };
        let stopped = self
            .command("pg_ctl")
            .args(["stop", "-w", "-m", mode, "-D"])
            .arg(self.data())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        if !stopped.is_ok_and(|status| status.success()) {
            drop(process.kill());
        }
        drop(process.wait());
    }

    /// `kill -9`: what was not flushed is lost, sessions break off.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            drop(process.kill());
            drop(process.wait());
        }
    }

    /// One of Postgres' programs, to be run as the user that owns the cluster.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(self.bin.join(program));
        command.current_dir(&self.folder).env_remove("PGHOST").env_remove("PGPORT");
        if let Some((uid, gid)) = self.user {
            command.uid(uid).gid(gid);
        }
        command
    }

    fn data(&self) -> PathBuf {
        self.folder.join("data")
    }

    fn spawn(&self) -> Child {
        let log = self.folder.join("log");
        let log =
            std::fs::OpenOptions::new().create(true).append(true).open(log).expect("the log can be written");
        self.command("postgres")
            .arg("-D")
            .arg(self.data())
            .args(["-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="])
            .args(["-c", &format!("port={}", self.port), "-c", "max_connections=400"])
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file handle can be shared"))
            .stderr(log)
            .spawn()
            .expect("postgres runs")
    }
}

impl Drop for PrivatePostgres {
    fn drop(&mut self) {
        self.stop("immediate");
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

/// A port of 127.0.0.1 that was free a moment ago.
///
/// # Panics
/// If none is free.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("the loopback has a free port");
    listener.local_addr().expect("a bound socket has an address").port()
}

/// Postgres refuses to run as root: then it runs as the user `postgres`, or `nobody`.
fn unprivileged_user() -> Option<(u32, u32)> {
    let own = std::os::unix::fs::MetadataExt::uid(&std::fs::metadata("/proc/self").ok()?);
    if own != 0 {
        return None;
    }
    let users = std::fs::read_to_string(Path::new("/etc/passwd")).ok()?;
    let find = |name: &str| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut numbers = line.split(':').skip(2).map(str::parse::<u32>);
        Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
    };
    find("postgres").or_else(|| find("nobody"))
}
