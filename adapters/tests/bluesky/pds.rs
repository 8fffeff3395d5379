//! The real PDS, and accounts on it.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use annals_adapters::{
    net::{HttpClient, OutboundPolicy},
    social::bluesky::Bluesky,
};
use annals_commands::ports::social::{
    Attachment, AttachmentSource, ChannelAccess, ConnectRequest, ConnectedAccount, FailureClass,
    OutgoingPart, OutgoingPost, ProviderError, PublishHandle, SocialProvider,
};
use annals_domain::kernel::{IntegrationId, PostId};
use async_trait::async_trait;
use serde_json::{Value, json};
use uuid::Uuid;

/// The admin password that `@atproto/dev-env` gives its PDS.
const ADMIN: &str = "Basic YWRtaW46YWRtaW4tcGFzcw==";
pub(crate) const PASSWORD: &str = "correct horse battery";

static ACCOUNTS: AtomicU32 = AtomicU32::new(0);

#[derive(Clone)]
pub(crate) struct Pds {
    pub(crate) url: String,
    http: reqwest::Client,
}

/// An account on the PDS, with a token of its own.
pub(crate) struct Account {
    pub(crate) did: String,
    pub(crate) handle: String,
    pub(crate) token: String,
}

/// The PDS to test against. Without one: a failure in CI, a named skip elsewhere.
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
pub(crate) fn pds() -> Option<Pds> {
    match std::env::var("ANNALS_TEST_PDS_URL") {
        Ok(url) => Some(Pds {
            url: url.trim_end_matches('/').to_string(),
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
        }),
        Err(_) if std::env::var("CI").is_ok_and(|ci| ci == "true") => {
            panic!("ANNALS_TEST_PDS_URL is unset: set it to what `scripts/parts/bluesky-pds start` prints")
        }
        Err(_) => {
            eprintln!("skipped: ANNALS_TEST_PDS_URL is unset (`scripts/parts/bluesky-pds start` prints it)");
            // What a passing test prints is not shown: scripts/test counts this list.
            if let Some(path) = std::env::var_os("ANNALS_TEST_SKIPS") {
                use std::io::Write as _;
                let thread = std::thread::current();
                let mut list = std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
                writeln!(list, "{} (bluesky-pds is missing)", thread.name().unwrap_or("a test")).unwrap();
            }
            None
        }
    }
}

impl Pds {
    pub(crate) async fn post(&self, method: &str, authorization: &str, body: Value) -> Value {
        let call =
            self.http.post(format!("{}/xrpc/{method}", self.url)).header("authorization", authorization);
        let call = if body.is_null() { call } else { call.json(&body) };
        let response = call.send().await.unwrap();
        let status = response.status();
        let text = response.text().await.unwrap();
        assert!(status.is_success(), "{method}: {status} {text}");
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }

    pub(crate) async fn account(&self) -> Account {
        let number = ACCOUNTS.fetch_add(1, Ordering::SeqCst);
        let handle = format!("t{}x{number}.test", &Uuid::new_v4().simple().to_string()[..10]);
        let body = json!({"handle": handle, "email": format!("{handle}@example.org"), "password": PASSWORD});
        let made = self.post("com.atproto.server.createAccount", "", body).await;
        Account {
            did: made["did"].as_str().unwrap().to_string(),
            handle,
            token: format!("Bearer {}", made["accessJwt"].as_str().unwrap()),
        }
    }

    pub(crate) async fn admin(&self, method: &str, body: Value) -> Value {
        self.post(method, ADMIN, body).await
    }

    pub(crate) async fn blob(&self, did: &str, cid: &str) -> Vec<u8> {
        let url = format!("{}/xrpc/com.atproto.sync.getBlob?did={did}&cid={cid}", self.url);
        let response = self.http.get(url).send().await.unwrap();
        assert!(response.status().is_success(), "{}", response.status());
        response.bytes().await.unwrap().to_vec()
    }

    /// The account's posts as they stand, the oldest key first.
    pub(crate) async fn posts(&self, did: &str) -> Vec<Value> {
        let url = format!(
            "{}/xrpc/com.atproto.repo.listRecords?repo={did}&collection=app.bsky.feed.post&limit=100&reverse=true",
            self.url
        );
        let listed: Value = self.http.get(url).send().await.unwrap().json().await.unwrap();
        listed["records"].as_array().unwrap().clone()
    }
}

/// The provider, allowed to reach loopback.
pub(crate) fn bluesky() -> Bluesky {
    let policy = OutboundPolicy { allow_private: true, ..OutboundPolicy::default() };
    Bluesky::new(HttpClient::new(policy).unwrap())
}

pub(crate) async fn connect(
    service: &str,
    identifier: &str,
    password: &str,
) -> Result<ConnectedAccount, ProviderError> {
    let credentials = json!({"service": service, "identifier": identifier, "password": password});
    let channel = IntegrationId::new(Uuid::new_v4());
    bluesky().authenticate(ConnectRequest { channel, name: None, credentials }).await
}

/// A connected channel of the account.
pub(crate) async fn channel(service: &str, account: &Account) -> ChannelAccess {
    let connected = connect(service, &account.handle, PASSWORD).await.unwrap();
    ChannelAccess {
        id: IntegrationId::new(Uuid::new_v4()),
        name: connected.name,
        credentials: connected.credentials,
        url: connected.url,
    }
}

pub(crate) fn handle(channel: &ChannelAccess) -> PublishHandle {
    PublishHandle { post: PostId::new(Uuid::new_v4()), channel: channel.id, occurrence: 0 }
}

pub(crate) fn post(parts: &[&str]) -> OutgoingPost {
    OutgoingPost {
        parts: parts.iter().map(|part| OutgoingPart::from(*part)).collect(),
        standing: Vec::new(),
        at: "2026-03-02T09:00:00Z".parse().unwrap(),
        settings: serde_json::Map::new(),
    }
}

/// One pixel.
pub(crate) const GIF: &[u8] = b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;";

/// Bytes, or none: the store is away.
struct Bytes(Option<&'static [u8]>);

#[async_trait]
impl AttachmentSource for Bytes {
    async fn read(&self) -> Result<Vec<u8>, ProviderError> {
        let away = || ProviderError::new(FailureClass::Retry, "the store is away");
        self.0.map(<[u8]>::to_vec).ok_or_else(away)
    }
}

pub(crate) fn gif(alt_text: Option<&str>) -> Attachment {
    Attachment {
        media_type: "image/gif".to_string(),
        size_bytes: GIF.len() as u64,
        width: Some(1),
        height: Some(1),
        alt_text: alt_text.map(str::to_string),
        source: Arc::new(Bytes(Some(GIF))),
    }
}

pub(crate) fn gone() -> Attachment {
    Attachment { source: Arc::new(Bytes(None)), ..gif(None) }
}
