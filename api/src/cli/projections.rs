//! `annals projections`: how far the read models are, building them again, what is parked.

use annals_projections::{Applied, runtime::Admin};
use anyhow::Context as _;
use clap::{Args, Subcommand};

use super::{ConfigArgs, database::Access, out};
use crate::{node, read_models};

#[derive(Debug, Subcommand)]
pub(super) enum Projections {
    /// How far each read model is, and what it could not apply
    List(ConfigArgs),
    /// Build a read model again beside the live one; the workers do it, and it takes over by itself
    Rebuild(Named),
    /// The keys that a read model could not apply, and why
    Parked(Named),
    /// Apply what is parked, in order, after a fix
    Replay(Replay),
    /// Let a build that has parked keys take over all the same
    Accept(Named),
}

#[derive(Debug, Args)]
pub(super) struct Named {
    /// The read model, as `list` names it
    name: String,
    #[command(flatten)]
    settings: ConfigArgs,
}

#[derive(Debug, Args)]
pub(super) struct Replay {
    #[command(flatten)]
    named: Named,
    /// This key only
    #[arg(long)]
    key: Option<String>,
}

impl Projections {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let settings = match &self {
            Self::List(settings) => settings,
            Self::Rebuild(named) | Self::Parked(named) | Self::Accept(named) => &named.settings,
            Self::Replay(replay) => &replay.named.settings,
        };
        let config = settings.load()?.config;
        let access = Access::open(&config).await?;
        let done = async {
            let options = node::store_options(&config, &access.secrets)?;
            let store = annals_eventstore::EventStore::open(access.pool.clone(), options).await?;
            let projector = read_models::projector(store.clone());
            let text = match &self {
                Self::List(_) => table(&projector.reader().applied().await?),
                Self::Rebuild(named) => rebuild(&projector.admin(), &named.name).await?,
                Self::Parked(named) => parked(&projector.admin(), &named.name).await?,
                Self::Replay(replay) => {
                    let replayed =
                        projector.admin().replay_parked(&replay.named.name, replay.key.as_deref()).await?;
                    format!(
                        "{} events applied, {} keys failed again\n",
                        replayed.applied, replayed.failed_keys
                    )
                }
                Self::Accept(named) => match projector.admin().under_way(&named.name).await? {
                    Some(under_way) => {
                        projector.admin().accept_parked(&named.name, under_way.build).await?;
                        format!("the build of {} takes over when it has caught up\n", named.name)
                    }
                    None => anyhow::bail!("{} has no build under way", named.name),
                },
            };
            store.close().await;
            anyhow::Ok(text)
        }
        .await;
        access.close().await?;
        out::print(&done?);
        Ok(())
    }
}

async fn rebuild(admin: &Admin, name: &str) -> anyhow::Result<String> {
    let generation = admin
        .rebuild(name, 0, None)
        .await
        .with_context(|| format!("{name} can't be built again"))?
        .generation;
    Ok(format!(
        "generation {generation} of {name} is built by the workers; annals projections list shows how far it is\n"
    ))
}

async fn parked(admin: &Admin, name: &str) -> anyhow::Result<String> {
    let keys = admin.parked(name).await?;
    let mut text = format!("{} keys of {name} are parked\n", keys.len());
    for key in keys {
        text.push_str(&format!(
            "{}  {} events from position {} ({}), generation {}: {}\n",
            key.key, key.events, key.position, key.event_type, key.generation, key.error
        ));
    }
    Ok(text)
}

fn table(applied: &[Applied]) -> String {
    let mut text = format!(
        "{:<16} {:>7} {:>10} {:>12} {:>8} {:>11}  {}\n",
        "NAME", "VERSION", "GENERATION", "POSITION", "BEHIND", "PARKED KEYS", "STATE"
    );
    for one in applied {
        text.push_str(&format!(
            "{:<16} {:>7} {:>10} {:>12} {:>8} {:>11}  {}\n",
            one.name,
            one.version,
            one.generation,
            one.position,
            one.head.saturating_sub(one.position),
            one.parked_keys,
            one.state
        ));
    }
    text
}
