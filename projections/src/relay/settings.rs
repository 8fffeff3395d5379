//! Where the events go.

use rdkafka::ClientConfig;

/// What the relay sets itself: what it promises hangs on these.
const OWN_PROPERTIES: [&str; 9] = [
    "bootstrap.servers",
    "metadata.broker.list",
    "transactional.id",
    "enable.idempotence",
    "acks",
    "request.required.acks",
    "isolation.level",
    "group.id",
    "partitioner",
];
/// A Kafka topic's name has at most 249 characters; a context's name follows the prefix.
const PREFIX_CHARS_MAX: usize = 150;

/// How records are compressed on their way and in the broker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    None,
    #[default]
    Lz4,
}

/// A Kafka cluster and what is made in it.
#[derive(Clone, Debug)]
pub struct KafkaSettings {
    /// `host:port` each.
    pub brokers: Vec<String>,
    /// Topics are `<prefix>.<context>`; the checkpoint's is `<prefix>.relay`.
    pub prefix: String,
    /// Of each topic, when it is made. It can't change later without changing the order per key.
    pub partitions: u16,
    /// Copies of each partition; 0 is the cluster's own default.
    pub replication: u16,
    /// How long events stay in the topics; 0 is for ever.
    pub retention_days: u32,
    pub compression: Compression,
    /// Before `/<event type>/<version>` it makes the address of an event's schema.
    pub schemas_url: String,
    /// Properties of librdkafka: how to get into the cluster, above all.
    pub properties: Vec<(String, String)>,
}

/// Why the settings do not hold.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    #[error("{0:?} is no broker: write host:port")]
    Broker(String),
    #[error(
        "{0:?} is no prefix of topics: letters, digits, dots, underscores and hyphens, at most {PREFIX_CHARS_MAX}"
    )]
    Prefix(String),
    #[error("the property {0} is the relay's own to set")]
    OwnProperty(String),
    #[error("a Kafka client can't be made with these properties: {0}")]
    Client(String),
}

impl KafkaSettings {
    /// The defaults, for these brokers.
    pub fn new(brokers: Vec<String>) -> Self {
        Self {
            brokers,
            prefix: "annals".to_string(),
            partitions: 6,
            replication: 0,
            retention_days: 0,
            compression: Compression::default(),
            schemas_url: "http://127.0.0.1:3000/api/v1/schemas".to_string(),
            properties: Vec::new(),
        }
    }

    /// Whether they can be used at all; the cluster is not asked.
    ///
    /// # Errors
    /// The first thing that is wrong with them.
    pub fn check(&self) -> Result<(), SettingsError> {
        for broker in &self.brokers {
            let port =
                broker.rsplit_once(':').and_then(|(host, port)| Some((host, port.parse::<u16>().ok()?)));
            if !port.is_some_and(|(host, port)| !host.is_empty() && port > 0) {
                return Err(SettingsError::Broker(broker.clone()));
            }
        }
        if !is_prefix(&self.prefix) {
            return Err(SettingsError::Prefix(self.prefix.clone()));
        }
        if let Some((name, _)) =
            self.properties.iter().find(|(name, _)| OWN_PROPERTIES.contains(&name.as_str()))
        {
            return Err(SettingsError::OwnProperty(name.clone()));
        }
        // librdkafka reads every property when a client is made, before it connects.
        let client: Result<rdkafka::producer::BaseProducer, _> = self.client().create();
        client.map(drop).map_err(|error| SettingsError::Client(error.to_string()))
    }

    /// The topic of a context's events.
    pub fn topic(&self, context: &str) -> String {
        format!("{}.{context}", self.prefix)
    }

    /// The topic of the checkpoint. Exactly one transactional id writes into it.
    pub(super) fn checkpoint_topic(&self) -> String {
        format!("{}.relay", self.prefix)
    }

    /// Who writes transactions under this prefix. It follows from the prefix, so that two relays of
    /// one prefix always fence each other: with an id of its own each, both would write.
    pub(super) fn transactional_id(&self) -> String {
        format!("{}.relay", self.prefix)
    }

    /// What every client has in common.
    pub(super) fn client(&self) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", self.brokers.join(",")).set("client.id", "annals");
        // A broker that went away is tried again soon, and not once a minute.
        config.set("reconnect.backoff.max.ms", "2000");
        for (name, value) in &self.properties {
            config.set(name, value);
        }
        config
    }
}

pub(super) fn is_prefix(text: &str) -> bool {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    !text.is_empty() && text.len() <= PREFIX_CHARS_MAX && text.chars().all(legal) && !text.ends_with('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings() -> KafkaSettings {
        KafkaSettings::new(vec!["127.0.0.1:9092".to_string()])
    }

    #[test]
    fn brokers_prefixes_and_properties_are_checked_without_a_cluster() {
        settings().check().expect("the defaults hold");
        for broker in ["kafka", "kafka:", ":9092", "kafka:0", "kafka:99999"] {
            let wrong = KafkaSettings { brokers: vec![broker.to_string()], ..settings() };
            assert!(matches!(wrong.check(), Err(SettingsError::Broker(_))), "{broker}");
        }
        for prefix in ["", "a b", "a/b", "annals.", &"a".repeat(151)] {
            let wrong = KafkaSettings { prefix: prefix.to_string(), ..settings() };
            assert!(matches!(wrong.check(), Err(SettingsError::Prefix(_))), "{prefix}");
        }
        let with = |name: &str, value: &str| KafkaSettings {
            properties: vec![(name.to_string(), value.to_string())],
            ..settings()
        };
        with("socket.keepalive.enable", "true").check().expect("a property of librdkafka");
        assert!(matches!(with("acks", "0").check(), Err(SettingsError::OwnProperty(_))));
        let unknown = with("no.such.property", "1").check().expect_err("is refused").to_string();
        assert!(unknown.contains("no.such.property"), "{unknown}");
    }

    #[test]
    fn relays_of_one_prefix_share_their_transactional_id() {
        assert_eq!(settings().transactional_id(), "annals.relay");
        assert_eq!(settings().topic("publishing"), "annals.publishing");
    }
}
