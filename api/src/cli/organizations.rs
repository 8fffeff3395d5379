//! `annals organizations` and `annals tiers`: who has which tier, and what a tier is.

use std::time::Duration;

use annals_commands::identity::SetTier;
use annals_domain::kernel::{Month, OrganizationId, TierName};
use annals_eventstore::ActorKind;
use annals_projections::{Reader, identity::Usage};
use clap::{Args, Subcommand};
use serde::Serialize;
use uuid::Uuid;

use super::{
    ConfigArgs, tables,
    tools::{Acting, Shown, Tools, show, told},
};
use crate::{
    http::ApiError,
    tiers::{
        self,
        usage::{self, Listing},
    },
};

/// How long is waited to find out whether the read model was ever built.
const BUILT_WITHIN: Duration = Duration::from_secs(5);

#[derive(Debug, Subcommand)]
pub(super) enum Organizations {
    /// The organizations by name, with their tier and what they have of it
    List(List),
    /// Set an organization's tier; a smaller one takes nothing away, it only refuses what is new
    SetTier(Change),
}

#[derive(Debug, Args)]
pub(super) struct List {
    /// Only those with this in their name, or with this id
    #[arg(long, value_name = "TEXT")]
    search: Option<String>,
    /// Only those of one tier
    #[arg(long, value_parser = tier_name)]
    tier: Option<TierName>,
    /// Which page of them, from 1
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    page: u64,
    /// How many are on a page
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=1_000))]
    limit: u64,
    #[command(flatten)]
    shown: Shown,
    #[command(flatten)]
    settings: ConfigArgs,
}

#[derive(Debug, Args)]
pub(super) struct Change {
    /// The organization, as `list` names it
    id: Uuid,
    /// One of `annals tiers`
    tier: String,
    #[command(flatten)]
    acting: Acting,
    #[command(flatten)]
    shown: Shown,
    #[command(flatten)]
    settings: ConfigArgs,
}

#[derive(Debug, Args)]
pub(super) struct ListTiers {
    #[command(flatten)]
    shown: Shown,
    #[command(flatten)]
    settings: ConfigArgs,
}

/// What a change of tier answers.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct TierSet {
    id: Uuid,
    tier: String,
}

fn tier_name(text: &str) -> Result<TierName, String> {
    TierName::parse(text).map_err(|error| error.to_string())
}

impl Organizations {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::List(list) => list.run().await,
            Self::SetTier(change) => change.run().await,
        }
    }
}

impl List {
    async fn run(self) -> anyhow::Result<()> {
        let Self { search, tier, page, limit, shown, settings } = self;
        let listing = Listing { search, tier, page, per_page: limit };
        let found = Tools::with(&settings, async |tools| {
            let bus = tools.identity.bus();
            if let Some(tier) = &listing.tier {
                bus.tiers().named(tier.as_str())?;
            }
            let reader = Reader::new(bus.store().pool().clone());
            let month = Month::of(bus.now());
            let found = async {
                reader.wait::<Usage>(0, BUILT_WITHIN).await?;
                usage::list(&reader, bus.tiers(), &listing, &month).await
            };
            found.await.map_err(|error| told(ApiError::from(error)))
        });
        let (organizations, total) = found.await?;
        show(shown, &organizations, |organizations| tables::organizations(organizations, total))
    }
}

impl Change {
    async fn run(self) -> anyhow::Result<()> {
        let Self { id, tier, acting, shown, settings } = self;
        let done = Tools::with(&settings, async |tools| {
            let context = tools.context(&acting).await?;
            let by = context.actor.id.as_deref().filter(|_| context.actor.kind == ActorKind::User);
            let set = SetTier {
                organization_id: OrganizationId::new(id),
                tier,
                reason: acting.reason.clone(),
                by: by.and_then(|id| id.parse().ok()),
            };
            tools.identity.set_tier(&context, set).await.map_err(|error| told(ApiError::from(error)))
        });
        let set = TierSet { id, tier: done.await?.value.as_str().to_string() };
        show(shown, &set, |set| format!("{} has the tier {} from now on", set.id, set.tier))
    }
}

impl ListTiers {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let config = self.settings.load()?.config;
        let tiers = tiers::load(&config.tiers)
            .await
            .map_err(|error| anyhow::Error::new(error).context("tiers.policy"))?;
        show(self.shown, &usage::all(&tiers), |all| tables::tiers(all))
    }
}
