//! Where outgoing calls may go.

use std::{net::IpAddr, str::FromStr};

use ipnet::IpNet;
use url::{Host, Url};

use super::address::is_public;

/// Where calls to URLs that users name may go. By default: `https` to public addresses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutboundPolicy {
    /// Private addresses and plain `http` are allowed everywhere: for installations whose users are trusted
    /// with the network the server stands in.
    pub allow_private: bool,
    /// Private addresses that may be reached all the same, over plain `http` too.
    pub allow_networks: Vec<IpNet>,
    /// Hosts that may have private addresses and speak plain `http`.
    pub allow_hosts: Vec<AllowedHost>,
}

/// A host that is trusted although it is private: `pds.internal`, `localhost:2583`, `10.0.0.7:8080`.
/// A host that is listed with ports is reached at those only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AllowedHost {
    host: String,
    port: Option<u16>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a host such as pds.example.org, localhost:2583 or [fd00::1]:8080")]
pub struct InvalidAllowedHost(String);

impl FromStr for AllowedHost {
    type Err = InvalidAllowedHost;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidAllowedHost(text.to_string());
        // A scheme without a default port keeps the written one, whichever it is.
        let url = Url::parse(&format!("http://{}", text.trim())).map_err(|_| invalid())?;
        let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        if !bare || !url.username().is_empty() || url.password().is_some() || text.trim().ends_with('/') {
            return Err(invalid());
        }
        let port = url.port().or_else(|| text.trim().ends_with(":80").then_some(80));
        Ok(Self { host: host_key(&url).ok_or_else(invalid)?, port })
    }
}

/// Why a URL may not be called, in words that follow the field's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ForbiddenUrl {
    #[error("must begin with https://")]
    Scheme,
    #[error("must begin with wss://")]
    WebSocketScheme,
    #[error("must not hold a user name or password")]
    Credentials,
    #[error("must name a host")]
    NoHost,
    #[error("must not use port {0} of this host")]
    Port(u16),
    #[error("must not lead to a private address ({0})")]
    PrivateAddress(String),
}

impl OutboundPolicy {
    /// Nothing but what everyone can reach.
    pub fn public_only() -> Self {
        Self::default()
    }

    /// Checks all of a URL that can be seen without DNS: scheme, credentials, port, a literal address in any
    /// of the forms that the URL standard reads as one (decimal, octal, hexadecimal, IPv6).
    pub fn check(&self, url: &Url) -> Result<(), ForbiddenUrl> {
        let host = host_key(url).ok_or(ForbiddenUrl::NoHost)?;
        let literal = match url.host() {
            Some(Host::Ipv4(v4)) => Some(IpAddr::V4(v4)),
            Some(Host::Ipv6(v6)) => Some(IpAddr::V6(v6)),
            Some(Host::Domain(_)) | None => None,
        };
        match url.scheme() {
            "https" => {}
            "http" if self.trusts(&host) || literal.is_some_and(|address| self.within(address)) => {}
            // Its addresses decide: see `needs_allowed_network`.
            "http" if literal.is_none() && !self.allow_networks.is_empty() => {}
            _ => return Err(ForbiddenUrl::Scheme),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(ForbiddenUrl::Credentials);
        }
        let port = url.port_or_known_default().ok_or(ForbiddenUrl::NoHost)?;
        let mut listed = self.allow_hosts.iter().filter(|allowed| allowed.host == host).peekable();
        if listed.peek().is_some() && !listed.any(|allowed| allowed.port.is_none_or(|p| p == port)) {
            return Err(ForbiddenUrl::Port(port));
        }
        match literal {
            Some(address) if !self.admits(&host, address) => Err(ForbiddenUrl::PrivateAddress(host)),
            _ => Ok(()),
        }
    }

    /// Whether a connection for `host` may go to this address.
    pub(super) fn admits(&self, host: &str, address: IpAddr) -> bool {
        is_public(address) || self.within(address) || self.trusts(host)
    }

    /// Whether the URL is plain `http` to a name, which is allowed only to addresses of the allowed networks.
    pub(super) fn needs_allowed_network(&self, url: &Url) -> bool {
        url.scheme() == "http" && url.domain().is_some_and(|host| !self.trusts(host))
    }

    pub(super) fn within(&self, address: IpAddr) -> bool {
        self.allow_networks.iter().any(|network| network.contains(&address))
    }

    fn trusts(&self, host: &str) -> bool {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        self.allow_private || self.allow_hosts.iter().any(|allowed| allowed.host == host)
    }
}

/// The host as it is compared: lower case (the URL standard sees to it), without the root's dot.
fn host_key(url: &Url) -> Option<String> {
    let host = url.host_str()?.trim_end_matches('.');
    (!host.is_empty()).then(|| host.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(policy: &OutboundPolicy, url: &str) -> Result<(), ForbiddenUrl> {
        policy.check(&url.parse().expect("a URL"))
    }

    fn allowing(hosts: &[&str]) -> OutboundPolicy {
        let allow_hosts = hosts.iter().map(|host| host.parse().expect("a host")).collect();
        OutboundPolicy { allow_hosts, ..OutboundPolicy::default() }
    }

    #[test]
    fn every_spelling_of_a_private_literal_is_refused() {
        let policy = OutboundPolicy::public_only();
        for url in [
            "https://127.0.0.1/",
            "https://2130706433/",
            "https://0x7f000001/",
            "https://0x7f.1/",
            "https://0177.0.0.1/",
            "https://017700000001/",
            "https://127.1/",
            "https://127.0.0.1./",
            "https://%31%32%37.0.0.1/",
            "https://１２７.0.0.1/",
            "https://127。0。0。1/",
            "https://0/",
            "https://[::1]/",
            "https://[::]/",
            "https://[::ffff:127.0.0.1]/",
            "https://[::ffff:7f00:1]/",
            "https://[64:ff9b::127.0.0.1]/",
            "https://[fe80::1]/",
            "https://[fd00::1]/",
            "https://[2002:7f00:1::]/",
            "https://169.254.169.254/latest/meta-data/",
            "https://192.168.1.1:8443/",
            "https://10.0.0.1/",
        ] {
            assert!(matches!(check(&policy, url), Err(ForbiddenUrl::PrivateAddress(_))), "{url}");
        }
        assert_eq!(check(&policy, "https://8.8.8.8/"), Ok(()));
        assert_eq!(check(&policy, "https://[2606:4700::1111]/"), Ok(()));
        assert_eq!(check(&policy, "https://bsky.social/"), Ok(()));
    }

    #[test]
    fn only_https_without_credentials() {
        let policy = OutboundPolicy::public_only();
        assert_eq!(check(&policy, "http://bsky.social/"), Err(ForbiddenUrl::Scheme));
        assert_eq!(check(&policy, "ftp://bsky.social/"), Err(ForbiddenUrl::Scheme));
        assert_eq!(check(&policy, "file:///etc/passwd"), Err(ForbiddenUrl::NoHost));
        assert_eq!(check(&policy, "data:text/plain,x"), Err(ForbiddenUrl::NoHost));
        assert_eq!(check(&policy, "https://ada:secret@bsky.social/"), Err(ForbiddenUrl::Credentials));
        assert_eq!(check(&policy, "https://bsky.social@evil.example/"), Err(ForbiddenUrl::Credentials));
    }

    #[test]
    fn an_allowed_host_is_reached_at_its_ports_only() {
        let policy = allowing(&["localhost:2583", "10.0.0.7", "[fd00::1]:8080", "Pds.Internal"]);
        for url in [
            "http://localhost:2583/",
            "http://localhost.:2583/",
            "http://LOCALHOST:2583/x",
            "http://10.0.0.7/",
            "https://10.0.0.7:9000/",
            "http://[fd00::1]:8080/",
            "http://pds.internal/",
        ] {
            assert_eq!(check(&policy, url), Ok(()), "{url}");
        }
        assert_eq!(check(&policy, "http://localhost:5432/"), Err(ForbiddenUrl::Port(5432)));
        assert_eq!(check(&policy, "http://[fd00::1]/"), Err(ForbiddenUrl::Port(80)));
        assert!(check(&policy, "https://127.0.0.1:2583/").is_err());
        assert!(check(&policy, "https://10.0.0.8/").is_err());
    }

    #[test]
    fn private_addresses_when_configured() {
        let policy = OutboundPolicy { allow_private: true, ..OutboundPolicy::default() };
        assert_eq!(check(&policy, "http://127.0.0.1:2583/"), Ok(()));
        assert_eq!(check(&policy, "http://[::1]/"), Ok(()));
        assert_eq!(check(&policy, "ftp://127.0.0.1/"), Err(ForbiddenUrl::Scheme));
    }

    #[test]
    fn an_allowed_network_is_reached_and_no_other() {
        let networks = ["127.0.0.0/8", "fd00::/8"].map(|net| net.parse().expect("a network"));
        let policy = OutboundPolicy { allow_networks: networks.to_vec(), ..OutboundPolicy::default() };
        for url in ["http://127.0.0.1:2583/", "https://0x7f.1/", "http://[fd00::1]/", "http://localhost/"] {
            assert_eq!(check(&policy, url), Ok(()), "{url}");
        }
        assert_eq!(check(&policy, "http://8.8.8.8/"), Err(ForbiddenUrl::Scheme));
        assert!(check(&policy, "https://10.0.0.1/").is_err());
        assert!(check(&policy, "https://[::1]/").is_err());
    }

    #[test]
    fn an_allowed_host_is_a_host_and_nothing_else() {
        for text in ["", "a/b", "http://a", "a?b", "u@a", "a:99999", "a b", "a/"] {
            assert!(text.parse::<AllowedHost>().is_err(), "{text:?}");
        }
        assert_eq!(
            "a:80".parse::<AllowedHost>().map(|h| h.port),
            Ok(Some(80)),
            "the default port is one too"
        );
    }
}
