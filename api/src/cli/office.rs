//! `annals grant` and `annals revoke`: who runs the installation.

use annals_domain::kernel::EmailAddress;
use clap::{Args, Subcommand};

use super::{
    ConfigArgs, out,
    tools::{self, Acting, Tools},
};
use crate::http::ApiError;

#[derive(Debug, Subcommand)]
pub(super) enum Office {
    /// Reads and repairs the installation, across all organizations
    Operator(Holder),
}

#[derive(Debug, Args)]
pub(super) struct Holder {
    /// The address of their account
    #[arg(value_name = "EMAIL", value_parser = tools::email)]
    email: EmailAddress,
    #[command(flatten)]
    acting: Acting,
    #[command(flatten)]
    settings: ConfigArgs,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    Grant,
    Revoke,
}

pub(super) async fn change(office: Office, change: Change) -> anyhow::Result<()> {
    let Office::Operator(Holder { email, acting, settings }) = office;
    Tools::with(&settings, async |tools| {
        let context = tools.context(&acting).await?;
        let reason = acting.reason.clone();
        let changed = match change {
            Change::Grant => tools.identity.grant_operator(&context, &email, reason).await,
            Change::Revoke => tools.identity.revoke_operator(&context, &email, reason).await,
        };
        changed.map_err(|error| tools::told(ApiError::from(error)))
    })
    .await?;
    let is = if change == Change::Grant { "is an" } else { "is no" };
    out::print(&format!("{} {is} operator of this installation\n", email.as_str()));
    Ok(())
}
