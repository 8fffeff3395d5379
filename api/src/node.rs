//! A running node: the log, the read side, the workers and the HTTP server, by its roles.

mod auditing;
mod checkpoint_topic;
mod http_config;
mod post_office;
mod sign_in;

use std::{net::TcpListener, path::Path, sync::Arc, time::Duration};

use actix_web::dev::ServerHandle;
use annals_adapters::{
    files::StoredFiles,
    media::Ffmpeg,
    net::{AllowedHost, HttpClient, OutboundPolicy},
    social::{PlatformServers, slack::SlackApp},
};
use annals_commands::{
    Running,
    bus::CommandBus,
    engagement::{MailRoom, MailTimer, Notifier},
    identity::{
        ExpireInvitations, ExternalSignIn, FirstAccount, HoldingsKeeper, Identity, IdentityOptions,
        InvitationExpiry, PasswordHasher,
    },
    nodes::{self, NewNode},
    ports::{
        clock::{Clock, ShiftedClock, SystemClock},
        files::Files,
        mail::Mailer,
        media::Workshop,
        social::Platforms,
    },
    process::ProcessManagers,
    publishing::{
        Channels, ClosedOrganizations, CredentialsKeeper, DueDeliveries, FiguresKeeper, FiguresTimer,
        FinishedPosts, ImportClerk, ImportTimer, MediaFiles, MediaProcessing, Posts, ProcessMedia,
        PublishTimer, Publisher, RefreshTimer, Watchdog, WatchdogOptions,
    },
    restore::ForgottenAgain,
    timers::TimerWorkers,
};
use annals_eventstore::{
    EventStore, MasterKey, StoreOptions,
    notary::{Notary, NotaryKey},
};
use annals_projections::{
    Reader,
    relay::{self, KafkaSettings, Relay},
};
use anyhow::Context as _;
use clap::ValueEnum;
use sqlx::PgPool;
use tokio_util::{
    sync::{CancellationToken, DropGuard},
    task::TaskTracker,
};
use url::Url;
use uuid::Uuid;

use auditing::Auditing;

use crate::{
    config::{Config, NodeRole},
    console::samples::Samples,
    forgotten::ForgottenList,
    health,
    http::tokens::Tokens,
    identity::IdentityDirectory,
    live::Hub,
    operations::Operations,
    publishing::{DeskLimits, MediaDesk},
    read_models,
    rights::Rights,
    secrets::{Secrets, parse_key},
    server::{self, ServerOptions},
    state::{AppState, Edge},
    tiers,
};

/// Calls of platforms and commands of process managers in flight have so long when the node stops.
const WORKERS_STOP_WITHIN: Duration = Duration::from_secs(70);

/// How long a start waits for a word of Kafka; the relay goes on trying by itself.
const KAFKA_ANSWERS_WITHIN: Duration = Duration::from_secs(5);

/// What runs. [`Node::stop`] ends it in the order that loses nothing.
pub struct Node {
    store: EventStore,
    server: ServerHandle,
    serving: tokio::task::JoinHandle<std::io::Result<()>>,
    workers: Option<Workers>,
    /// Ends what the console plots are taken from, with the node.
    _sampling: DropGuard,
    /// Ends the looks at database and disk, with the node.
    _watching: DropGuard,
    presence: Presence,
    setup_code: Option<String>,
    live: Hub,
}

/// This node on the list of those that live.
struct Presence {
    stop: CancellationToken,
    shown: Running,
}

/// What a node with the role `workers` does besides answering.
struct Workers {
    stop: CancellationToken,
    projector: TaskTracker,
    managers: Running,
    timers: Running,
    auditing: Option<Auditing>,
    relay: Option<Relay>,
}

impl Node {
    /// Starts everything that the roles ask for; the configuration's `listen` becomes the address
    /// that was bound (a port of 0 is any free one).
    ///
    /// # Errors
    /// If a part can't be started; what was started is stopped then.
    pub async fn start(
        config: &mut Config,
        secrets: &Secrets,
        data: &Path,
        pool: PgPool,
    ) -> anyhow::Result<Self> {
        // First, so that what is counted while starting is counted.
        health::recorder();
        // Bound before anything is written: a port that is taken is the likeliest mistake.
        let listener = TcpListener::bind(config.listen)
            .with_context(|| format!("listen: {} can't be listened on", config.listen))?;
        config.listen = listener.local_addr()?;
        let store = EventStore::open(pool.clone(), store_options(config, secrets)?)
            .await
            .context("the log can't be opened")?;
        match Self::start_on(config, secrets, data, store.clone(), listener).await {
            Ok(node) => Ok(node),
            Err(error) => {
                store.close().await;
                Err(error)
            }
        }
    }

    async fn start_on(
        config: &Config,
        secrets: &Secrets,
        data: &Path,
        store: EventStore,
        listener: TcpListener,
    ) -> anyhow::Result<Self> {
        let pool = store.pool().clone();
        annals_commands::migrate(&pool)
            .await
            .context("the write side's tables could not be brought up to date")?;
        let public_url: Url = config.base_url().parse().context("public_url is not understood")?;
        let clock: Arc<dyn Clock> = match config.clock_start {
            None => Arc::new(SystemClock),
            Some(start) => Arc::new(ShiftedClock::starting_at(start)),
        };
        let tiers = Arc::new(tiers::load(&config.tiers).await.context("tiers.policy")?);
        let bus = CommandBus::new(store.clone(), Arc::clone(&clock)).with_tiers(Arc::clone(&tiers));
        let policy = outbound(config)?;
        let providers = sign_in::providers(config, &policy)?;
        let client = HttpClient::new(policy).context("calls to platforms can't be made from this machine")?;
        let platforms = annals_adapters::social::platforms(&public_url, client.clone(), servers(config));
        let files = file_store(config, data)?;
        let limits = DeskLimits::from(&config.media);
        let media = MediaDesk::open(bus.clone(), Arc::clone(&files), &data.join("uploads"), client, limits)
            .context("uploads can't be taken in")?
            .with_ffmpeg(ffmpeg(config)?);
        let first_account =
            if config.is_loopback_only() { FirstAccount::Operator } else { FirstAccount::Ordinary };
        let identity =
            Identity::new(bus.clone(), PasswordHasher::default(), IdentityOptions { first_account });
        let forgotten = ForgottenList::of(data);
        let again = forgotten
            .forget_again(&identity)
            .await
            .context("who was forgotten before can't be forgotten again")?;
        if again != ForgottenAgain::default() {
            tracing::warn!(people = again.people, keys = again.keys, left = ?again.left,
                "the log is one of before: who was forgotten since is forgotten again");
        }
        let rights = match &config.rights.policy {
            Some(path) => Rights::load(path).await.context("rights.policy")?,
            None => Rights::built_in().await?,
        };
        let edge = Edge::new(
            http_config::of(config, public_url.clone(), &providers, &tiers),
            rights,
            tokens(config, secrets)?,
            Arc::new(IdentityDirectory::new(identity.clone())),
            Arc::clone(&clock),
            Some(pool.clone()),
        );
        let watching = CancellationToken::new();
        tokio::spawn(health::watch(pool.clone(), data.to_path_buf(), watching.clone()));
        let watching = watching.drop_guard();
        let setup_code = match config.is_loopback_only() {
            true => None,
            false => {
                identity.setup_code().await.context("it can't be found out whether there is an operator")?
            }
        };
        let id = Uuid::now_v7();
        let notary = Notary::new(pool.clone(), notary_key(config, secrets)?);
        let (workers, reader) = if config.has_role(NodeRole::Workers) {
            let mailer: Arc<dyn Mailer> = Arc::new(post_office::open(config, data).await?);
            let mail = (
                MailRoom::new(Arc::clone(&mailer), Arc::clone(&clock)),
                MailTimer::new(bus.clone(), mailer, public_url),
            );
            let workshop: Arc<dyn Workshop> = Arc::new(media.workshop());
            let (mut workers, reader) =
                Workers::start(id, &bus, &identity, &platforms, mail, (files, workshop), clock).await?;
            workers.auditing = Some(Auditing::start(notary.clone(), &store, config, &workers.stop)?);
            tokio::spawn(Watchdog::new(bus.clone(), watchdog_options(config)).watch(workers.stop.clone()));
            workers.relay = start_relay(&store, config.kafka_settings(), &workers.stop).await;
            (Some(workers), reader)
        } else {
            (None, Reader::new(pool))
        };
        let samples = Samples::default();
        let sampling = CancellationToken::new();
        tokio::spawn(forgotten.follow(store.clone(), sampling.clone()));
        if config.has_role(NodeRole::Queries) {
            tokio::spawn(samples.clone().follow(reader.clone(), sampling.clone()));
        }
        let sampling = sampling.drop_guard();
        let operations = Operations::new(bus.clone(), read_models::projector(store.clone()).admin());
        let edge = Arc::new(edge);
        let live = edge.live.clone();
        let state = AppState {
            sign_in: ExternalSignIn::new(identity.clone(), providers),
            bus,
            identity,
            reader,
            platforms,
            notary,
            media,
            samples,
            operations,
            edge,
        };
        let options = ServerOptions {
            workers: config.http.workers,
            shutdown_timeout: Duration::from_secs(config.http.shutdown_timeout_s),
        };
        let started = match server::start(state, listener, options) {
            Ok(server) => Presence::show(store.pool(), id, config).await.map(|presence| (server, presence)),
            Err(error) => Err(anyhow::Error::new(error).context("the HTTP server can't be started")),
        };
        let (server, presence) = match started {
            Ok(started) => started,
            Err(error) => {
                if let Some(workers) = workers {
                    workers.stop().await;
                }
                return Err(error);
            }
        };
        tracing::info!(listen = %config.listen, roles = ?config.roles, node = %id, "the node runs");
        Ok(Self {
            store,
            server: server.handle(),
            serving: tokio::spawn(server),
            workers,
            presence,
            setup_code,
            live,
            _sampling: sampling,
            _watching: watching,
        })
    }

    /// What makes its reader the operator, on an installation that others can reach and that has none yet.
    pub fn setup_code(&self) -> Option<&str> {
        self.setup_code.as_deref()
    }

    /// Finishes the requests in flight, then the workers' calls, then the log's batches.
    pub async fn stop(self) {
        // Streams have no end of their own to wait for.
        self.live.close();
        self.server.stop(true).await;
        match self.serving.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(%error, "the HTTP server failed"),
            Err(error) => tracing::error!(%error, "the HTTP server failed"),
        }
        if let Some(workers) = self.workers {
            workers.stop().await;
        }
        self.presence.stop.cancel();
        self.presence.shown.stopped().await;
        self.store.close().await;
    }
}

impl Presence {
    async fn show(pool: &PgPool, id: Uuid, config: &Config) -> anyhow::Result<Self> {
        let roles = config.roles.iter().filter_map(ValueEnum::to_possible_value);
        let node = NewNode {
            id,
            host: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            pid: std::process::id(),
            version: env!("CARGO_PKG_VERSION").to_string(),
            roles: roles.map(|role| role.get_name().to_string()).collect(),
        };
        let stop = CancellationToken::new();
        let shown = nodes::announce(pool.clone(), node, stop.clone())
            .await
            .context("the node can't be put on the list of nodes")?;
        Ok(Self { stop, shown })
    }
}

impl Workers {
    async fn start(
        node: Uuid,
        bus: &CommandBus,
        identity: &Identity,
        platforms: &Platforms,
        (mail_room, mail_timer): (MailRoom, MailTimer),
        (files, workshop): (Arc<dyn Files>, Arc<dyn Workshop>),
        clock: Arc<dyn Clock>,
    ) -> anyhow::Result<(Self, Reader)> {
        let stop = CancellationToken::new();
        // Whatever fails below, what was started before it ends.
        let on_failure = stop.clone().drop_guard();
        let store = bus.store();
        let projector = read_models::projector(store.clone()).on_node(node);
        let reader = projector.reader();
        let projector = projector.start(stop.clone()).await.context("the read models can't be run")?;
        let media_files = MediaFiles::new(bus.clone(), Arc::clone(&files));
        tokio::spawn(media_files.clone().sweep_until(stop.clone()));
        let managers = ProcessManagers::new(bus.clone())
            .on_node(node)
            .with(Publisher)
            .with(CredentialsKeeper)
            .with(FiguresKeeper)
            .with(ImportClerk)
            .with(ClosedOrganizations::new(Channels::new(bus.clone(), platforms.clone())))
            .with(InvitationExpiry)
            .with(HoldingsKeeper::new(bus.clone()))
            .with(media_files)
            .with(MediaProcessing)
            .with(FinishedPosts::new(bus.clone()))
            .with(DueDeliveries)
            .with(Notifier::new(bus.clone()))
            .with(mail_room)
            .start(stop.clone())
            .await
            .context("the process managers can't be run")?;
        let timers = TimerWorkers::new(
            store.pool().clone(),
            clock,
            vec![
                Arc::new(PublishTimer::new(bus.clone(), platforms.clone()).with_files(Arc::clone(&files))),
                Arc::new(RefreshTimer::new(bus.clone(), platforms.clone())),
                Arc::new(FiguresTimer::new(bus.clone(), platforms.clone())),
                Arc::new(ImportTimer::new(Posts::new(bus.clone(), platforms.clone()))),
                Arc::new(ExpireInvitations::new(identity.clone())),
                Arc::new(ProcessMedia::images(bus.clone(), Arc::clone(&files), Arc::clone(&workshop))),
                Arc::new(ProcessMedia::videos(bus.clone(), files, workshop)),
                Arc::new(mail_timer),
            ],
        )
        .start(stop.clone());
        on_failure.disarm();
        Ok((Self { stop, projector, managers, timers, auditing: None, relay: None }, reader))
    }

    async fn stop(self) {
        self.stop.cancel();
        let stopped = async {
            self.timers.stopped().await;
            self.managers.stopped().await;
            self.projector.wait().await;
            if let Some(auditing) = self.auditing {
                auditing.stopped().await;
            }
            if let Some(relay) = self.relay {
                relay.stopped().await;
            }
        };
        if tokio::time::timeout(WORKERS_STOP_WITHIN, stopped).await.is_err() {
            // Their checkpoints and leases say where to go on.
            tracing::warn!("workers did not end in time; they are cut off");
        }
    }
}

/// The relay, if there is a Kafka to relay to. One that does not answer keeps nobody from working:
/// it is said here, and the relay catches up when it does.
async fn start_relay(
    store: &EventStore,
    kafka: Option<KafkaSettings>,
    stop: &CancellationToken,
) -> Option<Relay> {
    let Some(settings) = kafka else {
        tracing::info!("the relay to Kafka is off: kafka.brokers (KAFKA_BROKERS) is not set");
        relay::off();
        return None;
    };
    let brokers = settings.brokers.join(",");
    match relay::reach(&settings, KAFKA_ANSWERS_WITHIN).await {
        Ok(count) => tracing::info!(kafka.brokers = %brokers, count, "Kafka answers"),
        Err(error) => tracing::error!(
            kafka.brokers = %brokers, %error,
            "Kafka can't be reached; events are kept and relayed when it can"
        ),
    }
    Some(relay::start(store.clone(), settings, stop.clone()))
}

fn watchdog_options(config: &Config) -> WatchdogOptions {
    WatchdogOptions {
        late_by: chrono::TimeDelta::seconds(config.watchdog.late_by_s.cast_signed()),
        sweeps_every: Duration::from_secs(config.watchdog.sweeps_every_s),
    }
}

/// Where files are kept: a bucket, or the data folder.
fn file_store(config: &Config, data: &Path) -> anyhow::Result<Arc<dyn Files>> {
    Ok(match &config.media.storage_url {
        Some(url) => Arc::new(StoredFiles::in_bucket(url).context("media.storage_url")?),
        None => {
            let folder = data.join("files");
            Arc::new(
                StoredFiles::in_folder(&folder)
                    .with_context(|| format!("{} can't be used to keep files", folder.display()))?,
            )
        }
    })
}

fn outbound(config: &Config) -> anyhow::Result<OutboundPolicy> {
    let hosts = config.outbound.allow_hosts.iter().map(|host| host.parse::<AllowedHost>());
    Ok(OutboundPolicy {
        allow_private: config.outbound.allow_private,
        allow_hosts: hosts.collect::<Result<_, _>>().context("outbound.allow_hosts")?,
        allow_networks: config.outbound.allow_networks.iter().map(|network| network.0).collect(),
    })
}

fn servers(config: &Config) -> PlatformServers {
    let platforms = &config.platforms;
    let app = platforms.slack_client_id.clone().zip(platforms.slack_client_secret.as_ref());
    PlatformServers {
        discord: platforms.discord_url.clone(),
        slack: platforms.slack_url.clone(),
        slack_app: app
            .map(|(client_id, secret)| SlackApp { client_id, client_secret: secret.reveal().to_string() }),
    }
}

fn tokens(config: &Config, secrets: &Secrets) -> anyhow::Result<Tokens> {
    let key = match &config.secrets.token_key {
        Some(key) => given(key)?,
        None => secrets.token_key()?,
    };
    let former = config.secrets.former_token_keys.iter().map(given).collect::<Result<Vec<_>, _>>()?;
    let former: Vec<&[u8]> = former.iter().map(<[u8; 32]>::as_slice).collect();
    Ok(Tokens::new(&key, &former))
}

/// The notary's key and the log's name: the configuration's, else the data folder's.
///
/// # Errors
/// If the key can't be read.
pub fn notary_key(config: &Config, secrets: &Secrets) -> anyhow::Result<NotaryKey> {
    let seed = match &config.secrets.notary_key {
        Some(key) => given(key)?,
        None => secrets.notary_key()?,
    };
    NotaryKey::new(&seed, config.notary.origin.as_deref()).context("notary.origin")
}

fn given(key: &crate::config::Hidden) -> anyhow::Result<[u8; 32]> {
    parse_key(key.reveal()).map_err(anyhow::Error::msg)
}

/// The log's options: the configuration's keys, else the data folder's.
///
/// # Errors
/// If a key can't be read.
pub fn store_options(config: &Config, secrets: &Secrets) -> anyhow::Result<StoreOptions> {
    let (master_key, mut former) = match &config.secrets.master_key {
        Some(key) => (given(key)?, Vec::new()),
        None => (secrets.master_key()?, secrets.former_master_keys()?),
    };
    for key in &config.secrets.former_master_keys {
        former.push(given(key)?);
    }
    let mut options = StoreOptions::new(MasterKey::new(master_key));
    options.former_master_keys = former.into_iter().map(MasterKey::new).collect();
    options.snapshots.extend(annals_commands::identity::snapshot_policies());
    options.snapshots.extend(annals_commands::publishing::snapshot_policies());
    Ok(options)
}

/// What makes posters and MP4s of videos. One that is named has to be there.
fn ffmpeg(config: &Config) -> anyhow::Result<Option<Ffmpeg>> {
    let named = config.media.ffmpeg.as_str();
    let found = Ffmpeg::find(named);
    match (&found, named) {
        (Some(_), _) => tracing::info!(ffmpeg = named, "videos get posters, and MP4s where they are none"),
        (None, "" | "ffmpeg") => tracing::info!("there is no ffmpeg: videos are kept as they are"),
        (None, _) => anyhow::bail!("media.ffmpeg: {named} and ffprobe beside it do not run"),
    }
    Ok(found)
}
