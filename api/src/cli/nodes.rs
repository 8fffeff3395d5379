//! `annals nodes` and `annals processes`: who works, and how far they are.

use clap::Args;

use super::{
    ConfigArgs, tables,
    tools::{Shown, Tools, show, told},
};

#[derive(Debug, Args)]
pub(super) struct Listing {
    #[command(flatten)]
    shown: Shown,
    #[command(flatten)]
    settings: ConfigArgs,
}

pub(super) async fn nodes(listing: Listing) -> anyhow::Result<()> {
    let nodes =
        Tools::with(&listing.settings, async |tools| tools.operations.nodes().await.map_err(told)).await?;
    show(listing.shown, &nodes, |nodes| tables::nodes(nodes))
}

pub(super) async fn processes(listing: Listing) -> anyhow::Result<()> {
    let all = Tools::with(&listing.settings, async |tools| tools.operations.processes().await.map_err(told))
        .await?;
    show(listing.shown, &all, |all| tables::processes(all))
}
