//! The program's configuration as the HTTP side knows it.

use std::time::Duration;

use annals_commands::{ports::sign_in::SignInProviders, tiers::Tiers};
use url::Url;

use crate::{
    config::{Config, NodeRole},
    http::config::{HttpConfig, NodeRoles, Rate, RateLimitPolicy, SignInOffer, TierRates},
};

pub(super) fn of(config: &Config, public_url: Url, providers: &SignInProviders, tiers: &Tiers) -> HttpConfig {
    let limits = &config.rate_limits;
    let per_minute = |requests| vec![Rate::per_minute(requests)];
    let by_tier = tiers.all().iter().map(|tier| {
        let user = tier.calls.user_per_minute.unwrap_or(limits.user_per_minute);
        let api_key = tier.calls.api_key_per_minute.unwrap_or(limits.api_key_per_minute);
        let rates = TierRates { signed_in: per_minute(user), api_key: per_minute(api_key) };
        (tier.name.clone(), rates)
    });
    let policy = RateLimitPolicy {
        by_tier: by_tier.collect(),
        enabled: limits.enabled,
        anonymous: per_minute(limits.anonymous_per_minute),
        auth: per_minute(limits.auth_per_minute),
        signed_in: per_minute(limits.user_per_minute),
        api_key: per_minute(limits.api_key_per_minute),
    };
    HttpConfig {
        allowed_origins: config.http.cors_origins.clone(),
        trusted_proxies: config.http.trusted_proxies.iter().map(|network| network.0).collect(),
        body_bytes_max: config.http.body_bytes_max,
        request_timeout: Duration::from_secs(config.http.request_timeout_s),
        upload_timeout: Duration::from_secs(config.media.upload_timeout_s),
        read_after_wait: Duration::from_millis(config.http.read_your_writes_timeout_ms),
        rate_limits: if limits.bursts_bounded { policy.with_bursts_bounded() } else { policy },
        roles: NodeRoles {
            commands: config.has_role(NodeRole::Commands),
            queries: config.has_role(NodeRole::Queries),
            workers: config.has_role(NodeRole::Workers),
        },
        return_urls: config.auth.return_urls.clone(),
        sign_in: providers.infos().map(SignInOffer::of).collect(),
        topic_prefix: config.kafka.topic_prefix.clone(),
        ..HttpConfig::new(public_url)
    }
}
