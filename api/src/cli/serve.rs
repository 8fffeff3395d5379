//! `annals serve`: the product.

use std::net::SocketAddr;

use anyhow::Context as _;
use chrono::{DateTime, Utc};
use clap::Args;
use tokio::signal::unix::{SignalKind, signal};

use super::{ConfigArgs, Switch, database, database::Installation, out, roles_text};
use crate::{
    config::{Config, Flags, NodeRole},
    node::Node,
    postgres::Origin,
    telemetry,
};

#[derive(Debug, Args)]
pub(super) struct Serve {
    #[command(flatten)]
    settings: ConfigArgs,
    /// Address and port to listen on [default: 127.0.0.1:3000]
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<SocketAddr>,
    /// What this node does [default: all three]
    #[arg(long, value_enum, value_delimiter = ',', value_name = "ROLES")]
    role: Vec<NodeRole>,
    /// Whether calls are limited; off for load tests only [default: on]
    #[arg(long, value_enum, value_name = "SWITCH")]
    rate_limits: Option<Switch>,
    /// For trying things: the time that it is at the start, in a data folder of its own, such as
    /// 2027-03-27T07:58:00Z
    #[arg(long, value_name = "TIME")]
    clock_start: Option<DateTime<Utc>>,
}

impl Serve {
    fn flags(&self) -> Flags {
        let mut flags = self.settings.flags();
        if let Some(listen) = self.listen {
            flags.settings.push(("listen".to_string(), listen.to_string()));
        }
        if !self.role.is_empty() {
            flags.settings.push(("roles".to_string(), roles_text(&self.role)));
        }
        if let Some(switch) = self.rate_limits {
            let on = matches!(switch, Switch::On);
            flags.settings.push(("rate_limits.enabled".to_string(), on.to_string()));
        }
        if let Some(start) = self.clock_start {
            flags.settings.push(("clock_start".to_string(), start.to_rfc3339()));
        }
        flags
    }

    pub(super) async fn run(self) -> anyhow::Result<()> {
        let mut config = super::load(&self.flags())?.config;
        let _telemetry = telemetry::start(&config)?;
        // Asked for before anything runs, so that a signal at any moment stops all that does.
        let mut stop = Stop::listen()?;
        database::keep_to_one_clock(&config)?;
        let installation = tokio::select! {
            installation = Installation::open(&config) => installation?,
            // What was started of Postgres goes on; the next start adopts it.
            () = stop.asked() => return Ok(()),
        };
        let node = match Node::start(
            &mut config,
            &installation.secrets,
            &installation.data,
            installation.pool.clone(),
        )
        .await
        {
            Ok(node) => node,
            Err(error) => {
                installation.close().await?;
                return Err(error);
            }
        };
        out::print(&welcome(&config, &installation, node.setup_code()));
        stop.asked().await;
        tracing::info!("stopping: requests in flight are finished; ask again to stop at once");
        tokio::select! {
            stopped = shut_down(node, installation) => stopped,
            () = stop.asked() => anyhow::bail!("stopped at once; what runs of Postgres is adopted by the next start"),
        }
    }
}

async fn shut_down(node: Node, installation: Installation) -> anyhow::Result<()> {
    node.stop().await;
    installation.close().await?;
    tracing::info!("stopped");
    Ok(())
}

/// SIGTERM or SIGINT, as often as they come.
struct Stop {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Stop {
    fn listen() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("signals can't be listened for");
        Ok(Self { terminate: listen(SignalKind::terminate())?, interrupt: listen(SignalKind::interrupt())? })
    }

    async fn asked(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Where to look, for whoever started it.
fn welcome(config: &Config, installation: &Installation, setup_code: Option<&str>) -> String {
    let base = config.base_url();
    let database = match &installation.private {
        Some(private) => format!(
            "private Postgres in {} ({})",
            private.cluster().display(),
            match private.origin() {
                Origin::Created => "new",
                Origin::Started => "started",
                Origin::Adopted => "was still running",
            }
        ),
        None => "the one of DATABASE_URL or database.url".to_string(),
    };
    let kafka = match config.kafka_settings() {
        None => "off (KAFKA_BROKERS or kafka.brokers switches it on)".to_string(),
        Some(_) if !config.has_role(NodeRole::Workers) => {
            "relayed to by nodes with the role workers".to_string()
        }
        Some(settings) => format!("{} on {}", settings.topic("*"), settings.brokers.join(",")),
    };
    let setup = setup_code.map(|code| {
        format!(
            "\n  Setup code {code}: register ({base}/api/v1/auth/register), sign in to the console and enter it\
             \n             under Your account to become the operator; or: annals grant operator EMAIL --reason TEXT"
        )
    });
    let links = match config.is_loopback_only() || config.public_url.is_some() {
        true => "",
        false => {
            "\n  Links      public_url is not set: links in mail, feeds and schemas lead to this machine only"
        }
    };
    let clock = config.clock_start.map(|start| {
        format!("\n  Clock      {} at the start: this folder is for trying things", start.to_rfc3339())
    });
    format!(
        "\nAnnals is running.\n\
         \n  Console    {base}/console\
         \n  API        {base}/api/v1\
         \n  Try it     {base}/api\
         \n  OpenAPI    {base}/api/openapi.json\
         \n  Health     {base}/health/ready\
         \n  Metrics    {base}/metrics\
         \n  Data       {}\
         \n  Database   {database}\
         \n  Kafka      {kafka}\
         \n  Roles      {}{}{links}{}\
         \n\nStop it with Ctrl-C.\n",
        installation.data.display(),
        roles_text(&config.roles),
        clock.unwrap_or_default(),
        setup.unwrap_or_default(),
    )
}
