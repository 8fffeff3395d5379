//! DNS that never answers with an address the policy forbids.

use std::{error::Error, net::SocketAddr, sync::Arc};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::policy::{ForbiddenUrl, OutboundPolicy};

/// Asks another resolver and keeps what the policy admits. The connection is made to exactly the addresses
/// returned here, so a name that changes its mind between the check and the call changes nothing.
pub(super) struct GuardedResolver {
    inner: Arc<dyn Resolve>,
    policy: Arc<OutboundPolicy>,
}

impl GuardedResolver {
    pub(super) fn new(inner: Arc<dyn Resolve>, policy: Arc<OutboundPolicy>) -> Self {
        Self { inner, policy }
    }
}

impl GuardedResolver {
    /// Whether the name leads to allowed private networks and nowhere else.
    ///
    /// # Errors
    /// If the name does not resolve, or to forbidden addresses only ([`ForbiddenUrl`]).
    pub(super) async fn is_within_allowed_networks(
        &self,
        host: &str,
    ) -> Result<bool, Box<dyn Error + Send + Sync>> {
        let mut addresses = self.resolve(host.parse()?).await?.peekable();
        Ok(addresses.peek().is_some() && addresses.all(|address| self.policy.within(address.ip())))
    }
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let host = name.as_str().to_string();
        let policy = Arc::clone(&self.policy);
        let resolving = self.inner.resolve(name);
        Box::pin(async move {
            let all: Vec<SocketAddr> = resolving.await?.collect();
            let found_any = !all.is_empty();
            let admitted: Vec<_> =
                all.into_iter().filter(|address| policy.admits(&host, address.ip())).collect();
            if admitted.is_empty() && found_any {
                return Err(ForbiddenUrl::PrivateAddress(host).into());
            }
            Ok(Box::new(admitted.into_iter()) as Addrs)
        })
    }
}

/// The operating system's resolver.
pub(super) struct SystemResolver;

impl Resolve for SystemResolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let addresses: Vec<_> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            Ok(Box::new(addresses.into_iter()) as Addrs)
        })
    }
}
