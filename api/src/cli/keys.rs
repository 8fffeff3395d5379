//! `annals keys`: the master key that wraps all others.

use anyhow::Context as _;
use clap::Subcommand;

use super::{ConfigArgs, database::Installation, out};
use crate::node;

#[derive(Debug, Subcommand)]
pub(super) enum Keys {
    /// Make a new master key and wrap every key under it; stop the server first
    ///
    /// With secrets.master_key in the configuration, set the new key there and the old one in
    /// secrets.former_master_keys before; this then only wraps.
    Rotate(ConfigArgs),
}

impl Keys {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let Self::Rotate(args) = self;
        let config = args.load()?.config;
        let installation = Installation::open(&config).await?;
        let rotated = rotate(&config, &installation).await;
        installation.close().await?;
        out::print(&format!("{} keys are wrapped under the new master key\n", rotated?));
        Ok(())
    }
}

async fn rotate(config: &crate::config::Config, installation: &Installation) -> anyhow::Result<u64> {
    if config.secrets.master_key.is_none() {
        installation.secrets.rotate_master_key()?;
    }
    let options = node::store_options(config, &installation.secrets)?;
    let store = annals_eventstore::EventStore::open(installation.pool.clone(), options).await?;
    let count = store.rotate_master_key().await.context("the keys could not be wrapped again");
    store.close().await;
    count
}
