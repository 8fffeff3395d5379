//! Bounds that a type does not say.

use annals_adapters::mail::{Sender, SmtpServer};
use annals_projections::relay::SettingsError;

use super::{Config, ConfigError, Hidden};
use crate::secrets::parse_key;

/// All that is out of bounds, at once; `source` says where a setting's value came from.
pub(super) fn check(config: &Config, source: &impl Fn(&str) -> String) -> Result<(), ConfigError> {
    let mut wrong = Vec::new();
    let mut require = |holds: bool, key: &str, what: &str| {
        if !holds {
            wrong.push(format!("{key} ({}): {what}", source(key)));
        }
    };
    require(
        config.clock_start.is_none() || config.database.url.is_none(),
        "clock_start",
        "must not be given together with database.url: another time is tried in a data folder of its own",
    );
    require(!config.roles.is_empty(), "roles", "must name at least one of commands, queries, workers");
    // The store's committers, its listener and the projections' leaders each hold one.
    require(
        (4..=1000).contains(&config.database.connections_max),
        "database.connections_max",
        "must be 4 to 1000",
    );
    require(
        config.postgres.connections_max >= config.database.connections_max + 8,
        "postgres.connections_max",
        "must be at least 8 more than database.connections_max",
    );
    require(
        (1..=600).contains(&config.database.acquire_timeout_s),
        "database.acquire_timeout_s",
        "must be 1 to 600",
    );
    require(config.http.workers <= 512, "http.workers", "must be at most 512");
    require(
        (1024..=64 * 1024 * 1024).contains(&config.http.body_bytes_max),
        "http.body_bytes_max",
        "must be 1024 to 67108864",
    );
    require(
        config.http.read_your_writes_timeout_ms <= 60_000,
        "http.read_your_writes_timeout_ms",
        "must be at most 60000",
    );
    require(
        (1..=600).contains(&config.http.shutdown_timeout_s),
        "http.shutdown_timeout_s",
        "must be 1 to 600",
    );
    for (key, limit) in [
        ("rate_limits.anonymous_per_minute", config.rate_limits.anonymous_per_minute),
        ("rate_limits.auth_per_minute", config.rate_limits.auth_per_minute),
        ("rate_limits.user_per_minute", config.rate_limits.user_per_minute),
        ("rate_limits.api_key_per_minute", config.rate_limits.api_key_per_minute),
    ] {
        require(limit > 0, key, "must be at least 1; set rate_limits.enabled = false for no limits");
    }
    require((1..=600).contains(&config.http.request_timeout_s), "http.request_timeout_s", "must be 1 to 600");
    for host in &config.outbound.allow_hosts {
        if let Err(error) = host.parse::<annals_adapters::net::AllowedHost>() {
            require(false, "outbound.allow_hosts", &error.to_string());
        }
    }
    check_platforms(config, &mut require);
    check_media(config, &mut require);
    check_mail(config, &mut require);
    require((1..=86_400).contains(&config.watchdog.late_by_s), "watchdog.late_by_s", "must be 1 to 86400");
    require(
        (1..=3_600).contains(&config.watchdog.sweeps_every_s),
        "watchdog.sweeps_every_s",
        "must be 1 to 3600",
    );
    check_kafka(config, &mut require);
    super::auth::check(config, &mut require);
    if let Some(url) = &config.public_url {
        require(
            matches!(url.scheme(), "http" | "https"),
            "public_url",
            "must start with http:// or https://",
        );
    }
    if let Some(url) = &config.database.url {
        let is_postgres =
            ["postgres://", "postgresql://"].iter().any(|start| url.reveal().starts_with(start));
        require(is_postgres, "database.url", "must start with postgres:// or postgresql://");
    }
    require(
        (1..=86_400).contains(&config.notary.checkpoint_interval_s),
        "notary.checkpoint_interval_s",
        "must be 1 to 86400",
    );
    if let Some(url) = &config.notary.publish_url {
        require(url.scheme() == "s3", "notary.publish_url", "must be s3://bucket or s3://bucket/path");
    }
    if let Some(origin) = &config.notary.origin {
        require(
            annals_eventstore::notary::is_origin(origin),
            "notary.origin",
            "must be 1 to 200 bytes without spaces, control characters and plus signs",
        );
    }
    let keys = &config.secrets;
    for (key, value) in [
        ("secrets.master_key", keys.master_key.as_slice()),
        ("secrets.former_master_keys", keys.former_master_keys.as_slice()),
        ("secrets.token_key", keys.token_key.as_slice()),
        ("secrets.former_token_keys", keys.former_token_keys.as_slice()),
        ("secrets.notary_key", keys.notary_key.as_slice()),
    ]
    .into_iter()
    .flat_map(|(key, values)| values.iter().map(move |value| (key, value)))
    {
        if let Err(why) = parse_key(value.reveal()) {
            require(false, key, &why);
        }
    }
    if wrong.is_empty() { Ok(()) } else { Err(ConfigError::Invalid(wrong)) }
}

fn check_platforms(config: &Config, require: &mut impl FnMut(bool, &str, &str)) {
    let platforms = &config.platforms;
    let servers =
        [("platforms.discord_url", &platforms.discord_url), ("platforms.slack_url", &platforms.slack_url)];
    for (key, url) in servers {
        let is_server =
            matches!(url.scheme(), "http" | "https") && url.path() == "/" && url.query().is_none();
        require(is_server, key, "must be a server's address such as https://slack.com");
    }
    require(
        platforms.slack_client_id.is_some() == platforms.slack_client_secret.is_some(),
        "platforms.slack_client_id",
        "and platforms.slack_client_secret belong together: set both or neither",
    );
}

fn check_media(config: &Config, require: &mut impl FnMut(bool, &str, &str)) {
    let media = &config.media;
    if let Some(url) = &media.storage_url {
        require(url.scheme() == "s3", "media.storage_url", "must be s3://bucket or s3://bucket/path");
    }
    for (key, bytes) in [
        ("media.image_bytes_max", media.image_bytes_max),
        ("media.video_bytes_max", media.video_bytes_max),
        ("media.document_bytes_max", media.document_bytes_max),
    ] {
        require((1024..=1 << 40).contains(&bytes), key, "must be 1024 to 1099511627776");
    }
    // A decoder may take 8 bytes for each.
    require(
        (1_000..=500_000_000).contains(&media.image_pixels_max),
        "media.image_pixels_max",
        "must be 1000 to 500000000",
    );
    require((10..=86_400).contains(&media.upload_timeout_s), "media.upload_timeout_s", "must be 10 to 86400");
}

fn check_mail(config: &Config, require: &mut impl FnMut(bool, &str, &str)) {
    let mail = &config.mail;
    if let Err(error) = config.mail_from().parse::<Sender>() {
        require(false, "mail.from", &error.to_string());
    }
    if let Some(Err(error)) = mail.smtp_url.as_ref().map(|url| SmtpServer::parse(url.reveal())) {
        require(false, "mail.smtp_url", &error.to_string());
    }
    require(
        mail.smtp_url.is_none() || mail.resend_api_key.is_none(),
        "mail.resend_api_key",
        "must not be given together with mail.smtp_url: mail goes one way",
    );
    require(
        matches!(mail.resend_url.scheme(), "http" | "https"),
        "mail.resend_url",
        "must start with http:// or https://",
    );
}

fn check_kafka(config: &Config, require: &mut impl FnMut(bool, &str, &str)) {
    require((1..=1000).contains(&config.kafka.partitions), "kafka.partitions", "must be 1 to 1000");
    require(config.kafka.replication <= 100, "kafka.replication", "must be at most 100");
    require(config.kafka.retention_days <= 36_500, "kafka.retention_days", "must be at most 36500");
    let is_pair =
        |property: &Hidden| property.reveal().split_once('=').is_some_and(|(name, _)| !name.is_empty());
    require(config.kafka.properties.iter().all(is_pair), "kafka.properties", "must be name=value each");
    if let Some(Err(error)) = config.kafka_settings().map(|settings| settings.check()) {
        let key = match &error {
            SettingsError::Broker(_) => "kafka.brokers",
            SettingsError::Prefix(_) => "kafka.topic_prefix",
            SettingsError::OwnProperty(_) | SettingsError::Client(_) => "kafka.properties",
        };
        require(false, key, &error.to_string());
    }
}
