//! The data folder and the database that a command works with.

use std::{fs, os::unix::fs::DirBuilderExt as _, path::PathBuf, time::Duration};

use anyhow::Context as _;
use sqlx::{
    PgPool,
    postgres::{PgConnectOptions, PgPoolOptions},
};

use crate::{
    config::{self, Config},
    postgres::{self, FolderLock, PrivatePostgres},
    secrets::Secrets,
};

/// An open installation: its folder locked, its secrets at hand, its database answering.
pub(super) struct Installation {
    pub(super) data: PathBuf,
    pub(super) secrets: Secrets,
    pub(super) pool: PgPool,
    pub(super) private: Option<PrivatePostgres>,
    _lock: FolderLock,
}

impl Installation {
    /// Locks the data folder and opens the database: the given one, else the private one.
    pub(super) async fn open(config: &Config) -> anyhow::Result<Self> {
        let data = data_folder(config)?;
        let lock = FolderLock::acquire(&data.join("annals.lock"))?;
        let secrets = Secrets::open(&data)?;
        let (connect, private) = match &config.database.url {
            Some(url) => (given(url.reveal())?, None),
            None => {
                let private = PrivatePostgres::start(postgres::Options {
                    data: data.clone(),
                    bin: config.postgres.bin.clone(),
                    password: secrets.postgres_password()?,
                    connections_max: config.postgres.connections_max,
                    tcp: None,
                })
                .await
                .context("the private Postgres could not be started")?;
                (private.connect_options(), Some(private))
            }
        };
        match pool(config, connect).await {
            Ok(pool) => Ok(Self { data, secrets, pool, private, _lock: lock }),
            Err(error) => {
                if let Some(private) = private {
                    private.stop().await?;
                }
                Err(error)
            }
        }
    }

    /// Closes the connections and stops the private Postgres.
    pub(super) async fn close(self) -> anyhow::Result<()> {
        self.pool.close().await;
        if let Some(private) = self.private {
            private.stop().await.context("the private Postgres could not be stopped")?;
        }
        Ok(())
    }
}

/// The database for a command that may work beside a running server.
pub(super) struct Access {
    pub(super) secrets: Secrets,
    pub(super) pool: PgPool,
    /// What was started for this command only.
    own: Option<Installation>,
}

impl Access {
    /// The database that was given; else the private one, of the server that runs or started for now.
    pub(super) async fn open(config: &Config) -> anyhow::Result<Self> {
        let data = data_folder(config)?;
        let secrets = Secrets::open(&data)?;
        if let Some(url) = &config.database.url {
            let pool = pool(config, given(url.reveal())?).await?;
            return Ok(Self { secrets, pool, own: None });
        }
        match Installation::open(config).await {
            Ok(installation) => {
                let (secrets, pool) = (installation.secrets.clone(), installation.pool.clone());
                Ok(Self { secrets, pool, own: Some(installation) })
            }
            Err(error) => {
                let is_held = error
                    .chain()
                    .any(|cause| matches!(cause.downcast_ref(), Some(postgres::LockError::Held { .. })));
                let connect =
                    if is_held { postgres::running(&data, &secrets.postgres_password()?)? } else { None };
                let connect = connect.ok_or(error)?;
                Ok(Self { secrets, pool: pool(config, connect).await?, own: None })
            }
        }
    }

    pub(super) async fn close(self) -> anyhow::Result<()> {
        self.pool.close().await;
        match self.own {
            Some(installation) => installation.close().await,
            None => Ok(()),
        }
    }
}

/// The secrets of the data folder, without its database.
pub(super) fn secrets(config: &Config) -> anyhow::Result<Secrets> {
    Ok(Secrets::open(&data_folder(config)?)?)
}

/// A folder was made by the machine's clock or by one that was set: what it has planned would be done at
/// once, or never, by the other. So a server starts in it by the one that it was made by.
///
/// # Errors
/// If that is not the configuration's.
pub(super) fn keep_to_one_clock(config: &Config) -> anyhow::Result<()> {
    let data = data_folder(config)?;
    let mark = data.join("clock-was-set");
    let is_new = !data.join("postgres").exists();
    match (config.clock_start.is_some(), mark.exists()) {
        (true, false) if is_new => {
            fs::write(&mark, "").with_context(|| format!("{} can't be written", mark.display()))
        }
        (true, false) => anyhow::bail!(
            "clock_start: {} keeps to the machine's clock: try another time in a folder of its own (--data)",
            data.display()
        ),
        (false, true) => anyhow::bail!(
            "{} was made for trying other times: give it --clock-start, or take another folder (--data)",
            data.display()
        ),
        (true, true) | (false, false) => Ok(()),
    }
}

/// The data folder, made if it is not there. As root it lets others pass (not look): Postgres runs
/// as another account, and what is inside is private by itself.
fn data_folder(config: &Config) -> anyhow::Result<PathBuf> {
    let mode = if rustix::process::geteuid().is_root() { 0o711 } else { 0o700 };
    if !config.data.is_dir() {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(mode)
            .create(&config.data)
            .with_context(|| format!("the data folder {} can't be made", config.data.display()))?;
    }
    config
        .data
        .canonicalize()
        .with_context(|| format!("the data folder {} can't be found", config.data.display()))
}

fn given(url: &str) -> anyhow::Result<PgConnectOptions> {
    url.parse().with_context(|| format!("database.url is not understood: {}", config::without_password(url)))
}

async fn pool(config: &Config, connect: PgConnectOptions) -> anyhow::Result<PgPool> {
    let host = connect.get_host().to_string();
    let name = connect.get_database().unwrap_or("annals").to_string();
    let pool = PgPoolOptions::new()
        .max_connections(config.database.connections_max)
        .acquire_timeout(Duration::from_secs(config.database.acquire_timeout_s))
        .connect_with(connect.application_name("annals"))
        .await
        .with_context(|| format!("the database {name} on {host} does not answer"))?;
    let version: i32 =
        sqlx::query_scalar("SELECT current_setting('server_version_num')::int").fetch_one(&pool).await?;
    let major_min = i32::try_from(postgres::MAJOR_MIN)?;
    anyhow::ensure!(
        version / 10_000 >= major_min,
        "the database {name} on {host} is PostgreSQL {}; Annals needs {major_min} or newer",
        version / 10_000
    );
    Ok(pool)
}
