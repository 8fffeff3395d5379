//! Starting, killing and stopping the program.

use std::{
    fs::{self, File},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use annals_eventstore::testing::{self, TestDatabase, free_port};
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::Api;

/// A cold private Postgres on a busy two-core machine is made and started within this.
const READY_TIMEOUT: Duration = Duration::from_secs(120);
const STOP_TIMEOUT: Duration = Duration::from_secs(40);

/// What a test wants to be otherwise than by default: flags and variables.
#[derive(Clone, Debug)]
pub struct Settings {
    pub flags: Vec<String>,
    pub variables: Vec<(String, String)>,
}

impl Default for Settings {
    /// No limits on calls, private addresses reachable: the parts run on this machine.
    fn default() -> Self {
        Self { flags: Vec::new(), variables: Vec::new() }
            .flag("--rate-limits")
            .flag("off")
            .variable("ANNALS_OUTBOUND_ALLOW_NETWORKS", "127.0.0.0/8,::1/128")
    }
}

impl Settings {
    #[must_use]
    pub fn flag(mut self, flag: &str) -> Self {
        self.flags.push(flag.to_string());
        self
    }

    #[must_use]
    pub fn variable(mut self, name: &str, value: impl ToString) -> Self {
        self.variables.push((name.to_string(), value.to_string()));
        self
    }

    /// As the product is, limits and all.
    pub fn none() -> Self {
        Self { flags: Vec::new(), variables: Vec::new() }
    }
}

/// A running `annals serve`. Dropping it kills it.
pub struct Server {
    process: Option<Child>,
    port: u16,
    settings: Settings,
    data: Arc<TempDir>,
    /// A further node keeps its own things in a folder of its own below `data`.
    folder: PathBuf,
    database: Option<Arc<TestDatabase>>,
    ready_after: Duration,
}

impl Server {
    /// A server on a database of its own on the test server.
    pub async fn start() -> Self {
        Self::start_with(Settings::default()).await
    }

    /// The same, with other settings.
    pub async fn start_with(settings: Settings) -> Self {
        let database = Arc::new(testing::database().await);
        let settings = [("MASTER_KEY", 1), ("TOKEN_KEY", 2), ("NOTARY_KEY", 3)].iter().fold(
            settings.variable("DATABASE_URL", &database.url),
            |settings, (name, byte)| {
                settings.variable(&format!("ANNALS_SECRETS_{name}"), hex::encode([*byte as u8; 32]))
            },
        );
        Self::launch(settings, Some(database)).await
    }

    /// A server with a private Postgres, as `scripts/run` gives it.
    pub async fn private(settings: Settings) -> Self {
        Self::launch(settings, None).await
    }

    async fn launch(settings: Settings, database: Option<Arc<TestDatabase>>) -> Self {
        let data =
            Arc::new(tempfile::Builder::new().prefix("annals-test-").tempdir().expect("a temporary folder"));
        // As root, a private Postgres runs as another account, which has to pass.
        fs::set_permissions(data.path(), fs::Permissions::from_mode(0o711)).expect("our own folder");
        let folder = data.path().join("data");
        let mut server = Self {
            process: None,
            port: free_port(),
            settings,
            data,
            folder,
            database,
            ready_after: Duration::ZERO,
        };
        server.restart().await;
        server
    }

    /// Another node on the same database.
    ///
    /// # Panics
    /// If this server runs a private Postgres.
    pub async fn node(&self) -> Self {
        let database = self.database.clone().expect("only servers on the test server have further nodes");
        let port = free_port();
        let mut node = Self {
            process: None,
            port,
            settings: self.settings.clone(),
            data: Arc::clone(&self.data),
            folder: self.data.path().join(format!("node-{port}")),
            database: Some(database),
            ready_after: Duration::ZERO,
        };
        node.restart().await;
        node
    }

    /// Starts it (again) on the same port and data, and waits until it is ready.
    ///
    /// # Panics
    /// If it ends or is not ready in time; with what it logged.
    pub async fn restart(&mut self) {
        self.kill9();
        let started = Instant::now();
        self.process = Some(self.spawn());
        let ready = format!("{}/health/ready", self.url());
        let client = reqwest::Client::builder().no_proxy().build().expect("a client needs nothing");
        loop {
            let answer = client.get(&ready).timeout(Duration::from_secs(2)).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                self.ready_after = started.elapsed();
                return;
            }
            if let Some(process) = &mut self.process
                && let Ok(Some(status)) = process.try_wait()
            {
                panic!("annals ended with {status}:\n{}", self.log());
            }
            assert!(started.elapsed() < READY_TIMEOUT, "annals is not ready:\n{}", self.log());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Stops it and starts it with other settings.
    ///
    /// # Panics
    /// As [`Server::restart`], and if it does not stop well.
    pub async fn restart_with(&mut self, settings: Settings) {
        assert!(self.stop().await, "a clean stop ends well:\n{}", self.log());
        self.settings = settings;
        self.restart().await;
    }

    /// How long the last start took until the server was ready.
    pub fn ready_after(&self) -> Duration {
        self.ready_after
    }

    fn spawn(&self) -> Child {
        let log =
            File::options().create(true).append(true).open(self.log_path()).expect("the log can be written");
        self.command()
            .arg("serve")
            .args(["--listen", &format!("127.0.0.1:{}", self.port)])
            .arg("--data")
            .arg(&self.folder)
            .args(&self.settings.flags)
            .stdout(log.try_clone().expect("a file handle can be shared"))
            .stderr(log)
            .spawn()
            .expect("annals runs")
    }

    /// The program with this server's environment, for another of its commands.
    pub fn command(&self) -> Command {
        let mut command = Command::new(program());
        command
            .current_dir(self.data.path())
            .stdin(Stdio::null())
            .env_remove("DATABASE_URL")
            .envs(self.settings.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    /// `kill -9`, and waits until it is gone.
    pub fn kill9(&mut self) {
        if let Some(mut process) = self.process.take() {
            drop(process.kill());
            drop(process.wait());
        }
    }

    /// Asks it to stop (SIGTERM) and waits until it has; returns whether it ended well.
    pub async fn stop(&mut self) -> bool {
        let Some(mut process) = self.process.take() else { return true };
        let pid = Pid::from_child(&process);
        kill_process(pid, Signal::TERM).expect("our own child can be signalled");
        let deadline = Instant::now() + STOP_TIMEOUT;
        loop {
            if let Ok(Some(status)) = process.try_wait() {
                return status.success();
            }
            if Instant::now() > deadline {
                drop(process.kill());
                drop(process.wait());
                return false;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The process id of its private Postgres, as Postgres wrote it down.
    pub fn private_postgres_pid(&self) -> Option<i32> {
        let text = fs::read_to_string(self.folder.join("postgres/postmaster.pid")).ok()?;
        text.lines().next()?.trim().parse().ok()
    }

    /// `kill -9` for its private Postgres.
    pub fn kill_private_postgres(&self) {
        if let Some(pid) = self.private_postgres_pid().and_then(Pid::from_raw) {
            kill_process(pid, Signal::KILL).ok();
        }
    }

    pub fn is_running(&mut self) -> bool {
        self.process.as_mut().is_some_and(|process| matches!(process.try_wait(), Ok(None)))
    }

    /// The server's process id, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Child::id)
    }

    /// `http://127.0.0.1:PORT`
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Calls without a token.
    pub fn api(&self) -> Api {
        Api::new(&self.url())
    }

    /// The data folder.
    pub fn data(&self) -> &Path {
        &self.folder
    }

    /// The database, unless the server runs its own.
    pub fn database(&self) -> Option<&TestDatabase> {
        self.database.as_deref()
    }

    /// All that it printed and logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    fn log_path(&self) -> PathBuf {
        self.data.path().join(format!("log-{}", self.port))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let private = self.database.is_none();
        if private && self.process.is_none() {
            // Killed and not started again: what it left running is ended by its number.
            self.kill_private_postgres();
        }
        let Some(process) = &mut self.process else { return };
        if private {
            // Its Postgres has to end too.
            kill_process(Pid::from_child(process), Signal::TERM).ok();
            let deadline = Instant::now() + STOP_TIMEOUT;
            while matches!(process.try_wait(), Ok(None)) && Instant::now() < deadline {
                std::thread::park_timeout(Duration::from_millis(20));
            }
        }
        self.kill9();
    }
}

/// `annals` beside the test's own binary, as `scripts/test` builds it.
pub fn program() -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own path");
    let profile = test.parent().and_then(Path::parent).expect("tests lie in the target folder's `deps`");
    let program = profile.join("annals");
    assert!(
        program.exists(),
        "{} is missing: run `cargo build -p annals-api` or scripts/test",
        program.display()
    );
    program
}
