//! The operator's tools on the command line: opened beside a running server, and who uses them.

use annals_commands::{
    bus::{CommandBus, Context},
    identity::{Identity, IdentityOptions, PasswordHasher},
    ports::clock::SystemClock,
};
use annals_domain::{
    kernel::EmailAddress,
    operations::{EventsPerSecond, Reason},
};
use annals_eventstore::{Actor, ActorKind, EventStore, Source};
use anyhow::Context as _;
use clap::Args;
use serde::Serialize;
use std::sync::Arc;

use super::{ConfigArgs, database::Access, out};
use crate::{http::ApiError, node, operations::Operations, postgres, read_models, tiers};

/// Who acts, and why: both stand in the event that records it.
#[derive(Debug, Args)]
pub(super) struct Acting {
    /// Why: one line, kept in the log for ever; no names of people
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    pub(super) reason: Reason,
    /// Act as this operator [default: whoever runs the command, as `cli:NAME`]
    #[arg(long = "as", value_name = "EMAIL", value_parser = email)]
    operator: Option<EmailAddress>,
}

/// How an answer is printed.
#[derive(Clone, Copy, Debug, Args)]
pub(super) struct Shown {
    /// As JSON, for programs
    #[arg(long)]
    pub(super) json: bool,
}

pub(super) fn reason(text: &str) -> Result<Reason, String> {
    Reason::parse(text).map_err(|error| error.to_string())
}

pub(super) fn email(text: &str) -> Result<EmailAddress, String> {
    EmailAddress::parse(text).map_err(|error| error.to_string())
}

pub(super) fn pace(text: &str) -> Result<EventsPerSecond, String> {
    let number = text.parse().map_err(|_| "must be a number".to_string())?;
    EventsPerSecond::new(number).map_err(|error| error.to_string())
}

/// An open installation with the operator's tools.
pub(super) struct Tools {
    access: Access,
    store: EventStore,
    pub(super) operations: Operations,
    pub(super) identity: Identity,
}

impl Tools {
    pub(super) async fn open(settings: &ConfigArgs) -> anyhow::Result<Self> {
        let config = settings.load()?.config;
        let tiers = Arc::new(tiers::load(&config.tiers).await.context("tiers.policy")?);
        let access = Access::open(&config).await?;
        let opened = async {
            let options = node::store_options(&config, &access.secrets)?;
            let store = EventStore::open(access.pool.clone(), options).await?;
            annals_commands::migrate(&access.pool).await?;
            anyhow::Ok(store)
        }
        .await;
        let store = match opened {
            Ok(store) => store,
            Err(error) => {
                access.close().await?;
                return Err(error);
            }
        };
        let bus = CommandBus::new(store.clone(), Arc::new(SystemClock)).with_tiers(tiers);
        let operations = Operations::new(bus.clone(), read_models::projector(store.clone()).admin());
        let identity = Identity::new(bus, PasswordHasher::default(), IdentityOptions::default());
        Ok(Self { access, store, operations, identity })
    }

    /// Does something with the tools, and closes the installation whatever came of it.
    pub(super) async fn with<T>(
        settings: &ConfigArgs,
        work: impl AsyncFnOnce(&Self) -> anyhow::Result<T>,
    ) -> anyhow::Result<T> {
        let tools = Self::open(settings).await?;
        let done = work(&tools).await;
        tools.store.close().await;
        tools.access.close().await?;
        done
    }

    /// The context of an action: the operator that was named, or the account of this system.
    pub(super) async fn context(&self, acting: &Acting) -> anyhow::Result<Context> {
        let actor = match &acting.operator {
            None => Actor { kind: ActorKind::Operator, id: Some(format!("cli:{}", postgres::own_name())) },
            Some(email) => {
                let user = self.identity.operator_at(email).await?;
                let user =
                    user.with_context(|| format!("{} is no operator of this installation", email.as_str()))?;
                Actor { kind: ActorKind::User, id: Some(user.to_string()) }
            }
        };
        Ok(Context::new(actor, None, Source::Worker))
    }

    /// Fails where nothing would ever be done: builds and timers need a node that works.
    pub(super) async fn needs_workers(&self) -> anyhow::Result<()> {
        let nodes = self.operations.nodes().await.map_err(told)?;
        anyhow::ensure!(
            nodes.iter().any(|node| node.roles.iter().any(|role| role == "workers")),
            "no node with the role workers lives, so nobody would do it: start annals serve"
        );
        Ok(())
    }
}

/// An answer of the tools as an error of the command line.
pub(super) fn told(error: ApiError) -> anyhow::Error {
    match error.cause {
        Some(cause) => anyhow::anyhow!("{}", cause).context(error.message),
        None => anyhow::anyhow!("{}", error.message),
    }
}

/// Prints an answer as JSON, or as the text that `words` makes of it.
pub(super) fn show<T: Serialize>(
    shown: Shown,
    value: &T,
    words: impl FnOnce(&T) -> String,
) -> anyhow::Result<()> {
    let mut text = if shown.json { serde_json::to_string_pretty(value)? } else { words(value) };
    if !text.ends_with('\n') {
        text.push('\n');
    }
    out::print(&text);
    Ok(())
}
