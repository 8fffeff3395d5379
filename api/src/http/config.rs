//! What the HTTP side needs to know; the program's configuration fills it.

use std::{collections::BTreeMap, time::Duration};

use annals_commands::ports::sign_in::ProviderInfo;
use annals_domain::kernel::TierName;
use ipnet::IpNet;
use url::Url;

/// Of one node.
#[derive(Clone, Debug)]
pub struct HttpConfig {
    /// How browsers reach this installation; with `https`, HSTS is sent and cookies are `Secure`.
    pub public_url: Url,
    /// Origins that browsers may call from, beside the public URL's own, such as `https://app.example.org`.
    pub allowed_origins: Vec<String>,
    /// Whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// A JSON body may have so many bytes; an entry of the routes may set another bound.
    pub body_bytes_max: usize,
    /// After this a request is answered 503, whatever it waits for.
    pub request_timeout: Duration,
    /// The same for a request that sends files.
    pub upload_timeout: Duration,
    /// A body has arrived whole by then, or the call is answered 408.
    pub body_timeout: Duration,
    /// A query may wait so long for the position it names in `Annals-After`.
    pub read_after_wait: Duration,
    /// A signed-in caller's queries wait so long for their own last command on this node.
    pub own_write_wait: Duration,
    pub rate_limits: RateLimitPolicy,
    pub roles: NodeRoles,
    /// Before the names of the topics that events are relayed to.
    pub topic_prefix: String,
    /// Pages of frontends that people may be sent back to after signing in elsewhere.
    pub return_urls: Vec<Url>,
    /// Providers that people can sign in with.
    pub sign_in: Vec<SignInOffer>,
}

/// A provider, for whoever chooses one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignInOffer {
    pub name: String,
    pub label: String,
}

impl SignInOffer {
    pub fn of(info: &ProviderInfo) -> Self {
        Self { name: info.name.as_str().to_string(), label: info.label.clone() }
    }
}

impl HttpConfig {
    /// The defaults of a single node that is reached at `public_url`.
    pub fn new(public_url: Url) -> Self {
        Self {
            public_url,
            allowed_origins: Vec::new(),
            trusted_proxies: Vec::new(),
            body_bytes_max: 1024 * 1024,
            request_timeout: Duration::from_secs(30),
            upload_timeout: Duration::from_secs(600),
            body_timeout: Duration::from_secs(20),
            read_after_wait: Duration::from_secs(5),
            own_write_wait: Duration::from_secs(1),
            rate_limits: RateLimitPolicy::default(),
            roles: NodeRoles::default(),
            topic_prefix: "annals".to_string(),
            return_urls: Vec::new(),
            sign_in: Vec::new(),
        }
    }

    pub fn is_https(&self) -> bool {
        self.public_url.scheme() == "https"
    }

    /// Whether a browser's `Origin` is one of ours.
    pub fn allows_origin(&self, origin: &str) -> bool {
        self.public_url.origin().ascii_serialization() == origin
            || self.allowed_origins.iter().any(|allowed| allowed.trim_end_matches('/') == origin)
    }
}

/// Which of a node's parts run: `--role commands,queries,workers`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeRoles {
    pub commands: bool,
    pub queries: bool,
    /// Projectors, process managers, timers.
    pub workers: bool,
}

impl Default for NodeRoles {
    fn default() -> Self {
        Self { commands: true, queries: true, workers: true }
    }
}

/// At most `requests` within `per`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    pub requests: u32,
    pub per: Duration,
}

impl Rate {
    pub const fn per_minute(requests: u32) -> Self {
        Self { requests, per: Duration::from_secs(60) }
    }
}

/// Limits by class of call. Several rates of a class all hold (a burst and a long one).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RateLimitPolicy {
    /// `--rate-limits off` for load tests.
    pub enabled: bool,
    /// By address, without a valid token or key.
    pub anonymous: Vec<Rate>,
    /// By address, across nodes: registration, sign-in and what else guesses could be tried on.
    pub auth: Vec<Rate>,
    /// By user.
    pub signed_in: Vec<Rate>,
    /// By API key.
    pub api_key: Vec<Rate>,
    /// What takes their place for organizations of these tiers.
    pub by_tier: BTreeMap<TierName, TierRates>,
}

/// The limits of those who call for an organization of a tier; a class that is empty has no limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TierRates {
    pub signed_in: Vec<Rate>,
    pub api_key: Vec<Rate>,
}

impl Default for RateLimitPolicy {
    fn default() -> Self {
        Self {
            enabled: true,
            anonymous: vec![Rate::per_minute(100)],
            auth: vec![Rate::per_minute(5)],
            signed_in: vec![Rate::per_minute(600)],
            api_key: vec![Rate::per_minute(100)],
            by_tier: BTreeMap::new(),
        }
    }
}

impl RateLimitPolicy {
    /// A profile: besides the rates by the minute, at most 3 calls within a second and 20 within ten.
    #[must_use]
    pub fn with_bursts_bounded(mut self) -> Self {
        let short = Rate { requests: 3, per: Duration::from_secs(1) };
        let medium = Rate { requests: 20, per: Duration::from_secs(10) };
        let of_tiers = self.by_tier.values_mut().flat_map(|rates| [&mut rates.signed_in, &mut rates.api_key]);
        for class in [&mut self.anonymous, &mut self.signed_in, &mut self.api_key].into_iter().chain(of_tiers)
        {
            class.extend([short, medium]);
        }
        self
    }

    pub fn off() -> Self {
        Self { enabled: false, ..Self::default() }
    }
}
