//! The one configuration: flags, environment, one documented file, in that order of precedence.
//!
//! `annals.example.toml` documents every key; a test holds it to this file.

mod auth;
mod check;
mod load;
mod show;

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    path::PathBuf,
};

use annals_projections::relay::{Compression, KafkaSettings};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use url::Url;

pub use auth::{Auth, AuthProvider, GOOGLE, TokenAuth};
pub use load::{ConfigError, Flags, Loaded, load};
pub use show::{show, without_password};

/// Settings as they hold, every source applied. Units are in the names.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub listen: SocketAddr,
    pub data: PathBuf,
    pub roles: Vec<NodeRole>,
    /// How people reach this installation; `http://<listen>` if not given.
    pub public_url: Option<Url>,
    /// For trying what a season brings: the time that it is when it starts. Only with a folder of its own.
    pub clock_start: Option<DateTime<Utc>>,
    pub database: Database,
    pub postgres: Postgres,
    pub secrets: SecretKeys,
    pub notary: Notary,
    pub http: Http,
    pub rate_limits: RateLimits,
    pub rights: Rights,
    pub auth: Auth,
    pub tiers: Tiers,
    pub outbound: Outbound,
    pub platforms: Platforms,
    pub media: Media,
    pub mail: Mail,
    pub watchdog: Watchdog,
    pub kafka: Kafka,
    pub log: Log,
    pub telemetry: Telemetry,
}

/// What a node does; every node may do all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum NodeRole {
    /// Serves mutations.
    Commands,
    /// Serves queries.
    Queries,
    /// Projects, reacts to events, publishes what is due.
    Workers,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Database {
    /// The private Postgres if not given.
    pub url: Option<Hidden>,
    pub connections_max: u32,
    pub acquire_timeout_s: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Postgres {
    pub bin: Option<PathBuf>,
    pub connections_max: u32,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SecretKeys {
    pub master_key: Option<Hidden>,
    pub former_master_keys: Vec<Hidden>,
    pub token_key: Option<Hidden>,
    pub former_token_keys: Vec<Hidden>,
    pub notary_key: Option<Hidden>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Notary {
    /// The log's name in its checkpoints; derived from the notary's key if not given.
    pub origin: Option<String>,
    pub checkpoint_interval_s: u64,
    /// A file to which every checkpoint is appended.
    pub publish_file: Option<PathBuf>,
    /// A bucket and path that every checkpoint is put into: `s3://bucket/path`.
    pub publish_url: Option<Url>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Http {
    /// 0: one per core.
    pub workers: usize,
    pub body_bytes_max: usize,
    pub cors_origins: Vec<String>,
    pub trusted_proxies: Vec<Network>,
    pub request_timeout_s: u64,
    pub read_your_writes_timeout_ms: u64,
    pub shutdown_timeout_s: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RateLimits {
    pub enabled: bool,
    pub anonymous_per_minute: u32,
    pub auth_per_minute: u32,
    pub user_per_minute: u32,
    pub api_key_per_minute: u32,
    /// At most 3 calls within a second and 20 within ten, besides.
    pub bursts_bounded: bool,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rights {
    /// A casbin policy instead of the built-in one.
    pub policy: Option<PathBuf>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tiers {
    /// Tiers instead of the built-in ones.
    pub policy: Option<PathBuf>,
    /// Of organizations whose tier nobody set; the last one of the policy if not given.
    pub default: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outbound {
    /// Plain `http` and private addresses everywhere, in URLs that users name.
    pub allow_private: bool,
    /// Hosts that may be private and speak plain `http`: `localhost:2583`.
    pub allow_hosts: Vec<String>,
    /// Private ranges that may be reached, over plain `http` too.
    pub allow_networks: Vec<Network>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Platforms {
    /// Discord, or what speaks its API.
    pub discord_url: Url,
    /// Slack, or what speaks its API.
    pub slack_url: Url,
    /// The installation's own app at Slack; both or neither.
    pub slack_client_id: Option<String>,
    pub slack_client_secret: Option<Hidden>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Media {
    /// A bucket and path that files are kept in: `s3://bucket/path`; the data folder if not given.
    pub storage_url: Option<Url>,
    pub image_bytes_max: u64,
    pub video_bytes_max: u64,
    pub document_bytes_max: u64,
    /// Of all of an organization's files; 0: without a limit.
    pub organization_bytes_max: u64,
    /// Width times height.
    pub image_pixels_max: u64,
    /// The program that makes posters and MP4s of videos, with `ffprobe` beside it; empty: none.
    pub ffmpeg: String,
    pub upload_timeout_s: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mail {
    /// Whom mail is from; `Annals <annals@…>` at the public address's host if not given.
    pub from: Option<String>,
    /// A mail server: `smtps://user:password@host`. Files in the data folder if neither it nor Resend is given.
    pub smtp_url: Option<Hidden>,
    pub resend_api_key: Option<Hidden>,
    pub resend_url: Url,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Watchdog {
    /// A post that is so late, and not published, is said to be overdue.
    pub late_by_s: u64,
    pub sweeps_every_s: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Kafka {
    /// `host:port` each; none: events are not relayed.
    pub brokers: Vec<String>,
    pub topic_prefix: String,
    pub partitions: u16,
    /// 0: the cluster's default.
    pub replication: u16,
    /// 0: for ever.
    pub retention_days: u32,
    pub compression: KafkaCompression,
    /// `name=value` each, of librdkafka.
    pub properties: Vec<Hidden>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum KafkaCompression {
    Lz4,
    None,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    pub filter: String,
    pub format: LogFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Text in a terminal, JSON elsewhere.
    Auto,
    Text,
    Json,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Telemetry {
    pub otlp_endpoint: Option<Url>,
    pub sentry_dsn: Option<Hidden>,
    pub service_name: String,
}

/// A range of addresses, written `10.0.0.0/8`; one address is a range of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Network(pub ipnet::IpNet);

impl TryFrom<String> for Network {
    type Error = String;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let one = |text: &str| text.parse::<std::net::IpAddr>().map(ipnet::IpNet::from).ok();
        text.parse()
            .ok()
            .or_else(|| one(&text))
            .map(Self)
            .ok_or_else(|| format!("{text:?} is not a range of addresses such as 10.0.0.0/8"))
    }
}

impl From<Network> for String {
    fn from(network: Network) -> Self {
        network.0.to_string()
    }
}

/// A text that must not be shown: it prints as `[hidden]`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Hidden(String);

impl Hidden {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the one place that uses it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for Hidden {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[hidden]")
    }
}

/// The settings whose values are never shown.
pub const HIDDEN_KEYS: [&str; 12] = [
    "database.url",
    "secrets.master_key",
    "secrets.former_master_keys",
    "secrets.token_key",
    "secrets.former_token_keys",
    "secrets.notary_key",
    "auth.google_client_secret",
    "platforms.slack_client_secret",
    "mail.smtp_url",
    "mail.resend_api_key",
    "kafka.properties",
    "telemetry.sentry_dsn",
];

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 3000)),
            data: PathBuf::from(".annals"),
            roles: vec![NodeRole::Commands, NodeRole::Queries, NodeRole::Workers],
            public_url: None,
            clock_start: None,
            database: Database { url: None, connections_max: 32, acquire_timeout_s: 10 },
            postgres: Postgres { bin: None, connections_max: 100 },
            secrets: SecretKeys {
                master_key: None,
                former_master_keys: Vec::new(),
                token_key: None,
                former_token_keys: Vec::new(),
                notary_key: None,
            },
            notary: Notary { origin: None, checkpoint_interval_s: 60, publish_file: None, publish_url: None },
            http: Http {
                workers: 0,
                body_bytes_max: 1024 * 1024,
                cors_origins: Vec::new(),
                trusted_proxies: Vec::new(),
                request_timeout_s: 30,
                read_your_writes_timeout_ms: 5000,
                shutdown_timeout_s: 30,
            },
            rate_limits: RateLimits {
                enabled: true,
                anonymous_per_minute: 100,
                auth_per_minute: 5,
                user_per_minute: 600,
                api_key_per_minute: 100,
                bursts_bounded: false,
            },
            rights: Rights { policy: None },
            auth: Auth::default(),
            tiers: Tiers { policy: None, default: None },
            outbound: Outbound { allow_private: false, allow_hosts: Vec::new(), allow_networks: Vec::new() },
            platforms: Platforms {
                discord_url: annals_adapters::social::discord::DISCORD_URL.parse().expect("is a URL"),
                slack_url: annals_adapters::social::slack::SLACK_URL.parse().expect("is a URL"),
                slack_client_id: None,
                slack_client_secret: None,
            },
            media: Media {
                storage_url: None,
                image_bytes_max: 20 * 1024 * 1024,
                video_bytes_max: 500 * 1024 * 1024,
                document_bytes_max: 50 * 1024 * 1024,
                organization_bytes_max: 10 * 1024 * 1024 * 1024,
                image_pixels_max: 40_000_000,
                ffmpeg: "ffmpeg".to_string(),
                upload_timeout_s: 600,
            },
            mail: Mail {
                from: None,
                smtp_url: None,
                resend_api_key: None,
                resend_url: annals_adapters::mail::RESEND_URL.parse().expect("is a URL"),
            },
            watchdog: Watchdog { late_by_s: 600, sweeps_every_s: 30 },
            kafka: Kafka {
                brokers: Vec::new(),
                topic_prefix: "annals".to_string(),
                partitions: 6,
                replication: 0,
                retention_days: 0,
                compression: KafkaCompression::Lz4,
                properties: Vec::new(),
            },
            log: Log {
                filter: "info,actix_server=warn,rmcp=warn,sqlx::postgres::notice=warn".to_string(),
                format: LogFormat::Auto,
            },
            telemetry: Telemetry {
                otlp_endpoint: None,
                sentry_dsn: None,
                service_name: "annals".to_string(),
            },
        }
    }
}

impl Config {
    pub fn has_role(&self, role: NodeRole) -> bool {
        self.roles.contains(&role)
    }

    /// Where people reach this installation, without a slash at the end. Who listens on every address and
    /// says no other is at least reached from its own machine.
    pub fn base_url(&self) -> String {
        let mut listen = self.listen;
        match (&self.public_url, listen.ip()) {
            (Some(url), _) => return url.as_str().trim_end_matches('/').to_string(),
            (None, IpAddr::V4(every)) if every.is_unspecified() => listen.set_ip(Ipv4Addr::LOCALHOST.into()),
            (None, IpAddr::V6(every)) if every.is_unspecified() => listen.set_ip(Ipv6Addr::LOCALHOST.into()),
            (None, _) => {}
        }
        format!("http://{listen}")
    }

    /// Whom mail is from.
    pub fn mail_from(&self) -> String {
        let host = self.public_url.as_ref().and_then(|url| url.domain()).unwrap_or("localhost");
        self.mail.from.clone().unwrap_or_else(|| format!("Annals <annals@{host}>"))
    }

    /// Where events are relayed to; `None` if they are not.
    pub fn kafka_settings(&self) -> Option<KafkaSettings> {
        let kafka = &self.kafka;
        let property = |property: &Hidden| {
            let (name, value) = property.reveal().split_once('=').unwrap_or((property.reveal(), ""));
            (name.trim().to_string(), value.trim().to_string())
        };
        (!kafka.brokers.is_empty()).then(|| KafkaSettings {
            brokers: kafka.brokers.clone(),
            prefix: kafka.topic_prefix.clone(),
            partitions: kafka.partitions,
            replication: kafka.replication,
            retention_days: kafka.retention_days,
            compression: match kafka.compression {
                KafkaCompression::Lz4 => Compression::Lz4,
                KafkaCompression::None => Compression::None,
            },
            schemas_url: format!("{}/api/v1/schemas", self.base_url()),
            properties: kafka.properties.iter().map(property).collect(),
        })
    }

    /// Whether only this machine can reach it: then the first account is the operator.
    pub fn is_loopback_only(&self) -> bool {
        self.listen.ip().is_loopback() && self.public_url.is_none()
    }
}

#[cfg(test)]
mod tests;
