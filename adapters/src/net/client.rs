//! The client itself: one call, one deadline, a bounded answer.

use std::{sync::Arc, time::Duration};

use reqwest::{
    Method, StatusCode,
    dns::Resolve,
    header::{AUTHORIZATION, COOKIE, HeaderMap, LOCATION},
    redirect,
};
use tokio::time::Instant;
use url::Url;

use super::{
    failure::NetError,
    policy::{ForbiddenUrl, OutboundPolicy},
    resolver::{GuardedResolver, SystemResolver},
};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The whole of one call, its redirects and its body included.
const CALL_TIMEOUT: Duration = Duration::from_secs(20);
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);
const RESPONSE_BYTES_MAX: usize = 2 * 1024 * 1024;
const REDIRECTS_MAX: usize = 5;

/// When a piece of work, which may take several calls, has to be over.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(Instant);

impl Deadline {
    pub fn within(time: Duration) -> Self {
        Self(Instant::now() + time)
    }

    /// The earlier one of this and `time` from now.
    #[must_use]
    pub fn at_most(self, time: Duration) -> Self {
        Self(self.0.min(Instant::now() + time))
    }

    pub(super) fn remaining(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }
}

/// One call.
#[derive(Clone, Debug)]
pub struct HttpRequest {
    pub method: Method,
    pub url: Url,
    pub headers: HeaderMap,
    pub body: Option<Vec<u8>>,
    pub deadline: Deadline,
}

/// The whole answer, whatever its status.
#[derive(Clone, Debug)]
pub struct HttpResponse {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

/// An answer whose body has not come in yet.
pub struct HttpStream {
    pub status: StatusCode,
    pub headers: HeaderMap,
    inner: reqwest::Response,
}

impl HttpStream {
    /// The next bytes of the body; none at its end.
    ///
    /// # Errors
    /// If the server breaks off or the call's time is over.
    pub async fn chunk(&mut self) -> Result<Option<bytes::Bytes>, NetError> {
        self.inner.chunk().await.map_err(NetError::from_reqwest)
    }
}

/// Calls URLs that users name. Cheap to clone; clones share their connections.
#[derive(Clone)]
pub struct HttpClient {
    inner: reqwest::Client,
    /// Of HTTP/1.1, which alone can be upgraded to something else.
    upgrading: reqwest::Client,
    policy: Arc<OutboundPolicy>,
    dns: Arc<GuardedResolver>,
}

impl HttpClient {
    /// Fails only if TLS can't be set up on this machine.
    pub fn new(policy: OutboundPolicy) -> Result<Self, reqwest::Error> {
        Self::with_resolver(policy, Arc::new(SystemResolver))
    }

    /// With DNS of one's own. Its answers are checked like the system's.
    pub fn with_resolver(policy: OutboundPolicy, dns: Arc<dyn Resolve>) -> Result<Self, reqwest::Error> {
        let policy = Arc::new(policy);
        let dns = Arc::new(GuardedResolver::new(dns, Arc::clone(&policy)));
        let guarded = || {
            reqwest::Client::builder()
                .dns_resolver(Arc::clone(&dns))
                // A proxy would resolve names itself, past our check.
                .no_proxy()
                // Followed below, where each step is checked.
                .redirect(redirect::Policy::none())
                .connect_timeout(CONNECT_TIMEOUT)
                .timeout(CALL_TIMEOUT)
                .pool_idle_timeout(IDLE_TIMEOUT)
                .user_agent(concat!("annals/", env!("CARGO_PKG_VERSION")))
        };
        let (inner, upgrading) = (guarded().build()?, guarded().http1_only().build()?);
        Ok(Self { inner, upgrading, policy, dns })
    }

    pub fn policy(&self) -> &OutboundPolicy {
        &self.policy
    }

    /// Makes the call. `GET` and `HEAD` follow up to 5 redirects, each checked, and leave credentials behind
    /// when the origin changes; other methods return the redirect as the answer.
    pub async fn send(&self, request: HttpRequest) -> Result<HttpResponse, NetError> {
        read(self.follow(request).await?).await
    }

    /// The same with the body as it comes, for what may be larger than one wants to hold: the caller bounds it.
    pub async fn open(&self, request: HttpRequest) -> Result<HttpStream, NetError> {
        let inner = self.follow(request).await?;
        Ok(HttpStream { status: inner.status(), headers: inner.headers().clone(), inner })
    }

    async fn follow(&self, mut request: HttpRequest) -> Result<reqwest::Response, NetError> {
        let deadline = request.deadline.at_most(CALL_TIMEOUT);
        for _ in 0..=REDIRECTS_MAX {
            let response = self.send_once(&self.inner, &request, deadline).await?;
            match redirected(&request, &response)? {
                None => return Ok(response),
                Some(url) => {
                    if url.origin() != request.url.origin() {
                        request.headers.remove(AUTHORIZATION);
                        request.headers.remove(COOKIE);
                    }
                    request.url = url;
                }
            }
        }
        Err(NetError::BadRedirect)
    }

    /// The answer to a call that asks to go on in another protocol.
    pub(super) async fn send_to_upgrade(&self, request: &HttpRequest) -> Result<reqwest::Response, NetError> {
        self.send_once(&self.upgrading, request, request.deadline.at_most(CALL_TIMEOUT)).await
    }

    async fn send_once(
        &self,
        client: &reqwest::Client,
        request: &HttpRequest,
        deadline: Deadline,
    ) -> Result<reqwest::Response, NetError> {
        self.policy.check(&request.url)?;
        self.check_plain_http(&request.url, deadline).await?;
        let remaining = deadline.remaining();
        if remaining.is_zero() {
            return Err(NetError::OutOfTime);
        }
        let mut call = client
            .request(request.method.clone(), request.url.clone())
            .headers(request.headers.clone())
            .timeout(remaining);
        if let Some(body) = &request.body {
            call = call.body(body.clone());
        }
        call.send().await.map_err(NetError::from_reqwest)
    }
}

impl HttpClient {
    /// Plain `http` goes to allowed networks only. Should the name change its mind before it is connected
    /// to, it leads to a public address at worst: the connection's own check admits nothing else.
    async fn check_plain_http(&self, url: &Url, deadline: Deadline) -> Result<(), NetError> {
        let Some(host) = url.domain().filter(|_| self.policy.needs_allowed_network(url)) else {
            return Ok(());
        };
        let time = deadline.at_most(CONNECT_TIMEOUT).remaining();
        match tokio::time::timeout(time, self.dns.is_within_allowed_networks(host)).await {
            Ok(Ok(true)) => Ok(()),
            Ok(Ok(false)) => Err(ForbiddenUrl::Scheme.into()),
            Ok(Err(error)) if error.is::<ForbiddenUrl>() => Err(ForbiddenUrl::Scheme.into()),
            Ok(Err(error)) => Err(NetError::NotReached(error)),
            Err(elapsed) => Err(NetError::NotReached(elapsed.into())),
        }
    }
}

fn redirected(request: &HttpRequest, response: &reqwest::Response) -> Result<Option<Url>, NetError> {
    let follows = matches!(request.method, Method::GET | Method::HEAD);
    let moved = matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308);
    if !(follows && moved) {
        return Ok(None);
    }
    let location = response.headers().get(LOCATION).and_then(|value| value.to_str().ok());
    let url = location.and_then(|location| request.url.join(location).ok());
    url.map(Some).ok_or(NetError::BadRedirect)
}

async fn read(mut response: reqwest::Response) -> Result<HttpResponse, NetError> {
    let too_large = || NetError::TooLarge { bytes_max: RESPONSE_BYTES_MAX };
    if response.content_length().is_some_and(|length| length > RESPONSE_BYTES_MAX as u64) {
        return Err(too_large());
    }
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(NetError::from_reqwest)? {
        if body.len() + chunk.len() > RESPONSE_BYTES_MAX {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(HttpResponse { status: response.status(), headers: response.headers().clone(), body })
}
