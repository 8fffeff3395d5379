//! `annals restore`: a backup into an empty database, and what must not come back with it.

use std::{path::PathBuf, sync::Arc};

use annals_commands::{
    bus::CommandBus,
    identity::{Identity, IdentityOptions, PasswordHasher},
    ports::clock::SystemClock,
    restore::{self, ForgottenAgain},
};
use annals_eventstore::{
    EventStore, MasterKey,
    backup::{self, Manifest},
};
use anyhow::Context as _;
use clap::Args;

use super::{ConfigArgs, backup::Told, database::Installation, out};
use crate::{
    config::Config,
    forgotten::{self, Forgotten, ForgottenList},
    node,
};

#[derive(Debug, Args)]
pub(super) struct Restore {
    #[command(flatten)]
    settings: ConfigArgs,
    /// The folder of the backup
    #[arg(long, value_name = "DIR")]
    from: PathBuf,
    /// The folder of its secrets (annals backup --secrets), if the data folder has them not
    #[arg(long, value_name = "DIR")]
    secrets: Option<PathBuf>,
    /// Who was forgotten since: the file `forgotten` of the former data folder, or a later backup
    ///
    /// May be given several times. What this data folder knows itself counts in any case.
    #[arg(long, value_name = "FILE|DIR")]
    forgotten: Vec<PathBuf>,
}

impl Restore {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let config = self.settings.load()?.config;
        // Everything that can be wrong with what was given, before anything is written.
        let manifest = Manifest::read(&self.from)?;
        let mut forgotten = forgotten::read(&self.from)?;
        for path in &self.forgotten {
            forgotten.extend(forgotten::read(path)?);
        }
        let installation = Installation::open(&config).await?;
        let done = self.fill(&config, &installation, forgotten).await;
        installation.close().await?;
        let again = done?;
        out::print(&format!(
            "{} events are restored, up to {}.\n\
             Read models are built when the server starts. Mail that was on its way is not sent again. Posts that\n\
             were scheduled before are looked for on their platforms first, because they may have been published\n\
             since; where a platform can't tell, they wait for a person.\n\
             {} people and {} keys that were forgotten since the backup are forgotten again.\n",
            manifest.position, manifest.recorded_at, again.people, again.keys
        ));
        for (owner, why) in &again.left {
            out::error(&format!(
                "{owner}: the keys are destroyed, but the account can't be deleted ({why}): delete it when that is settled\n"
            ));
        }
        Ok(())
    }

    async fn fill(
        &self,
        config: &Config,
        installation: &Installation,
        mut forgotten: Forgotten,
    ) -> anyhow::Result<ForgottenAgain> {
        let list = ForgottenList::of(&installation.data);
        forgotten.extend(list.read()?);
        if let Some(folder) = &self.secrets {
            installation.secrets.copy_from(folder).context("the secrets can't be taken over")?;
        }
        // Else one would be made here, which opens nothing.
        anyhow::ensure!(
            config.secrets.master_key.is_some() || installation.secrets.has_master_key(),
            "the backup is sealed under a master key that is not here: give the folder of its secrets with \
             --secrets, or set secrets.master_key"
        );
        let pool = &installation.pool;
        anyhow::ensure!(!backup::is_in_use(pool).await?, "a server works with this database: stop it first");
        EventStore::migrate(pool).await?;
        annals_commands::migrate(pool).await?;
        let options = node::store_options(config, &installation.secrets)?;
        let mut keys: Vec<MasterKey> = vec![options.master_key.clone()];
        keys.extend(options.former_master_keys.iter().cloned());

        // Before the log is there: should this end half way, the next start of the server forgets them.
        list.add(&forgotten)?;
        let mut told = Told::default();
        let mut tx = pool.begin().await?;
        let manifest = backup::import(&mut tx, &self.from, &keys, |progress| told.tell(progress)).await?;
        told.end();
        restore::begin_again(&mut tx, manifest.position).await?;
        tx.commit().await.context("the restored log could not be committed")?;

        let store =
            EventStore::open(pool.clone(), options).await.context("the restored log can't be opened")?;
        let bus = CommandBus::new(store.clone(), Arc::new(SystemClock));
        let identity = Identity::new(bus, PasswordHasher::default(), IdentityOptions::default());
        let again = list.forget_again(&identity).await;
        store.close().await;
        again.context("the log is restored; those who are not forgotten yet will be when the server starts")
    }
}
