//! How often who may call. In memory for most; in Postgres for guesses at passwords, so that more
//! nodes do not mean more guesses.

mod shared;

use std::{collections::HashMap, net::IpAddr, num::NonZeroU32, sync::Arc, time::Duration};

use actix_web::http::{
    StatusCode,
    header::{HeaderMap, HeaderName, HeaderValue},
};
use annals_domain::kernel::{ApiKeyId, TierName, UserId};
use governor::{
    DefaultKeyedRateLimiter, Quota, RateLimiter,
    clock::{Clock, DefaultClock},
    middleware::StateInformationMiddleware,
};
use sqlx::PgPool;
use uuid::Uuid;

use super::{
    answer::ApiError,
    config::{Rate, RateLimitPolicy},
};
use shared::SharedWindow;

/// Longer than a ticket lives.
const TICKET_USES: Rate = Rate { requests: 1, per: Duration::from_secs(120) };

/// When this many keys are known, those that are idle are forgotten.
const KEYS_SWEPT_AT: usize = 50_000;

/// All limits of one node.
pub struct RateLimits {
    enabled: bool,
    anonymous: Vec<Window<IpAddr>>,
    auth: Vec<Window<IpAddr>>,
    members: Members,
    /// Of those who call for an organization of a tier.
    by_tier: HashMap<TierName, Members>,
    shared: Option<SharedWindow>,
    /// Tickets that were used: one use each, on whatever node.
    tickets: Option<SharedWindow>,
}

/// Those whom a session or a key speaks for.
struct Members {
    signed_in: Vec<Window<Uuid>>,
    api_key: Vec<Window<Uuid>>,
}

/// One rate, by key.
struct Window<K: Clone + std::hash::Hash + Eq> {
    rate: Rate,
    limiter: Arc<
        RateLimiter<
            K,
            governor::state::keyed::DefaultKeyedStateStore<K>,
            DefaultClock,
            StateInformationMiddleware,
        >,
    >,
}

/// What is left, for the answer's `RateLimit-*` headers.
#[derive(Clone, Copy, Debug)]
pub struct Allowance {
    limit: u32,
    remaining: u32,
    reset_s: u64,
}

impl Allowance {
    pub(super) fn tell(&self, headers: &mut HeaderMap) {
        for (name, value) in [
            ("ratelimit-limit", u64::from(self.limit)),
            ("ratelimit-remaining", u64::from(self.remaining)),
            ("ratelimit-reset", self.reset_s),
        ] {
            headers.insert(HeaderName::from_static(name), HeaderValue::from(value));
        }
    }
}

impl RateLimits {
    /// `pool` keeps the auth limits for all nodes; without one they hold on this node only.
    pub fn new(policy: &RateLimitPolicy, pool: Option<PgPool>) -> Self {
        let by_tier = policy.by_tier.iter().map(|(tier, rates)| {
            let members = Members { signed_in: windows(&rates.signed_in), api_key: windows(&rates.api_key) };
            (tier.clone(), members)
        });
        Self {
            enabled: policy.enabled,
            anonymous: windows(&policy.anonymous),
            auth: windows(&policy.auth),
            members: Members { signed_in: windows(&policy.signed_in), api_key: windows(&policy.api_key) },
            by_tier: by_tier.collect(),
            tickets: pool.clone().map(|pool| SharedWindow::new(pool, vec![TICKET_USES])),
            shared: pool.map(|pool| SharedWindow::new(pool, policy.auth.clone())),
        }
    }

    /// A call without a valid credential. One without an address comes from the machine itself.
    ///
    /// # Errors
    /// 429.
    pub fn anonymous(&self, ip: Option<IpAddr>) -> Result<Option<Allowance>, ApiError> {
        ip.map_or(Ok(None), |ip| self.check(&self.anonymous, &block(ip)))
    }

    /// A call that could be a guess.
    ///
    /// # Errors
    /// 429.
    pub async fn auth(&self, ip: Option<IpAddr>) -> Result<(), ApiError> {
        let Some(ip) = ip.filter(|_| self.enabled) else { return Ok(()) };
        let ip = block(ip);
        if let Some(shared) = &self.shared {
            match shared.hit("auth", &ip.to_string()).await {
                Ok(None) => return Ok(()),
                Ok(Some(wait)) => return Err(too_many(wait)),
                Err(error) => {
                    tracing::warn!(%error, "the shared rate limit can't be read; limiting on this node only")
                }
            }
        }
        self.check(&self.auth, &ip).map(|_| ())
    }

    /// Whether a ticket is used for the first time. Without a database no ticket is.
    ///
    /// # Errors
    /// 503 if the database does not answer.
    pub async fn is_first_use(&self, ticket: Uuid) -> Result<bool, ApiError> {
        let Some(tickets) = &self.tickets else { return Ok(false) };
        match tickets.hit("ticket", &ticket.to_string()).await {
            Ok(wait) => Ok(wait.is_none()),
            Err(error) => Err(ApiError::unavailable("tickets can't be checked", 2).caused_by(&error)),
        }
    }

    /// A call of a session, for an organization of this tier.
    ///
    /// # Errors
    /// 429.
    pub fn user(&self, user: UserId, tier: &TierName) -> Result<Option<Allowance>, ApiError> {
        self.check(&self.members_of(tier).signed_in, &user.uuid())
    }

    /// A call of a key, for an organization of this tier.
    ///
    /// # Errors
    /// 429.
    pub fn api_key(&self, key: ApiKeyId, tier: &TierName) -> Result<Option<Allowance>, ApiError> {
        self.check(&self.members_of(tier).api_key, &key.uuid())
    }

    fn members_of(&self, tier: &TierName) -> &Members {
        self.by_tier.get(tier).unwrap_or(&self.members)
    }

    fn check<K: Clone + std::hash::Hash + Eq>(
        &self,
        windows: &[Window<K>],
        key: &K,
    ) -> Result<Option<Allowance>, ApiError> {
        if !self.enabled {
            return Ok(None);
        }
        let mut tightest: Option<Allowance> = None;
        for window in windows {
            let allowance = window.hit(key)?;
            if tightest.is_none_or(|other| allowance.remaining < other.remaining) {
                tightest = Some(allowance);
            }
        }
        Ok(tightest)
    }
}

/// Whoever has one IPv6 address has its whole /64.
fn block(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => ip,
        IpAddr::V6(v6) => IpAddr::V6((v6.to_bits() & !u128::from(u64::MAX)).into()),
    }
}

fn windows<K: Clone + std::hash::Hash + Eq>(rates: &[Rate]) -> Vec<Window<K>> {
    rates.iter().filter_map(|rate| Window::new(*rate)).collect()
}

impl<K: Clone + std::hash::Hash + Eq> Window<K> {
    /// None for a rate of nothing, which means no limit.
    fn new(rate: Rate) -> Option<Self> {
        let burst = NonZeroU32::new(rate.requests)?;
        let quota = Quota::with_period(rate.per / rate.requests)?.allow_burst(burst);
        let limiter: DefaultKeyedRateLimiter<K> = RateLimiter::keyed(quota);
        Some(Self { rate, limiter: Arc::new(limiter.with_middleware::<StateInformationMiddleware>()) })
    }

    fn hit(&self, key: &K) -> Result<Allowance, ApiError> {
        if self.limiter.len() > KEYS_SWEPT_AT {
            self.limiter.retain_recent();
        }
        match self.limiter.check_key(key) {
            Ok(state) => {
                let remaining = state.remaining_burst_capacity();
                let used = self.rate.requests.saturating_sub(remaining);
                let reset = self.rate.per / self.rate.requests.max(1) * used;
                Ok(Allowance {
                    limit: self.rate.requests,
                    remaining,
                    reset_s: reset.as_secs_f64().ceil() as u64,
                })
            }
            Err(refused) => Err(too_many(refused.wait_time_from(DefaultClock::default().now()))),
        }
    }
}

fn too_many(wait: Duration) -> ApiError {
    let seconds = wait.as_secs_f64().ceil().max(1.0) as u32;
    ApiError {
        retry_after_s: Some(seconds),
        ..ApiError::new(
            StatusCode::TOO_MANY_REQUESTS,
            "RATE_LIMIT_EXCEEDED",
            format!("too many requests; try again in {seconds} s"),
        )
    }
}
