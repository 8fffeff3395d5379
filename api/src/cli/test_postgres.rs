//! `annals test-postgres`: the throwaway server that `scripts/test` runs the tests against.

use std::{net::SocketAddr, path::PathBuf};

use anyhow::Context as _;
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use super::out;
use crate::postgres::{FolderLock, Options, PrivatePostgres, ROLE};

#[derive(Debug, Args)]
pub(super) struct TestPostgres {
    /// An empty folder
    #[arg(long)]
    data: PathBuf,
    /// A free loopback port besides the socket
    #[arg(long)]
    listen: SocketAddr,
    #[arg(long, default_value_t = 400)]
    connections_max: u32,
}

impl TestPostgres {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let data = self.data.canonicalize().context("--data must be a folder that exists")?;
        let _lock = FolderLock::acquire(&data.join("annals.lock"))?;
        let bin = std::env::var_os("ANNALS_POSTGRES_BIN").map(PathBuf::from);
        // Anyone on this machine may guess it: it guards nothing that lasts.
        let password = "annals".to_string();
        let postgres = PrivatePostgres::start(Options {
            data,
            bin,
            password: password.clone(),
            connections_max: self.connections_max,
            tcp: Some(self.listen),
        })
        .await?;
        out::print(&format!(
            "ANNALS_TEST_DATABASE_URL=postgres://{ROLE}:{password}@{}/{ROLE}\nANNALS_POSTGRES_BIN={}\nready\n",
            self.listen,
            postgres.bin().display(),
        ));
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        postgres.stop().await?;
        Ok(())
    }
}
