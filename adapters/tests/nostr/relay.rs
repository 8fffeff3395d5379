//! The real relay, and who writes to it.

use annals_adapters::{
    net::{HttpClient, OutboundPolicy},
    social::nostr::Nostr,
};
use annals_commands::ports::social::{
    ChannelAccess, ConnectRequest, ConnectedAccount, OutgoingPart, OutgoingPost, ProviderError,
    PublishHandle, SocialProvider,
};
use annals_domain::kernel::{IntegrationId, PostId};
use futures::{SinkExt, StreamExt};
use k256::schnorr::SigningKey;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio_tungstenite::{connect_async, tungstenite::Message};
use uuid::Uuid;

/// The relay to test against. Without one: a failure in CI, a named skip elsewhere.
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
pub(crate) fn relay() -> Option<String> {
    match std::env::var("ANNALS_TEST_NOSTR") {
        Ok(url) => Some(url.trim_end_matches('/').to_string()),
        Err(_) if std::env::var("CI").is_ok_and(|ci| ci == "true") => {
            panic!("ANNALS_TEST_NOSTR is unset: set it to what `scripts/parts/nostr-relay start` prints")
        }
        Err(_) => {
            eprintln!("skipped: ANNALS_TEST_NOSTR is unset (`scripts/parts/nostr-relay start` prints it)");
            // What a passing test prints is not shown: scripts/test counts this list.
            if let Some(path) = std::env::var_os("ANNALS_TEST_SKIPS") {
                use std::io::Write as _;
                let thread = std::thread::current();
                let mut list = std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
                writeln!(list, "{} (nostr-relay is missing)", thread.name().unwrap_or("a test")).unwrap();
            }
            None
        }
    }
}

pub(crate) fn nostr() -> Nostr {
    let hosts = ["127.0.0.1", "localhost"].map(|host| host.parse().unwrap());
    let policy = OutboundPolicy { allow_hosts: hosts.into(), ..OutboundPolicy::default() };
    Nostr::new(HttpClient::new(policy).unwrap())
}

/// Somebody with a key of the test's own.
pub(crate) struct Author {
    key: SigningKey,
}

impl Author {
    pub(crate) fn new() -> Self {
        let bytes = [Uuid::new_v4().into_bytes(), Uuid::new_v4().into_bytes()].concat();
        Self { key: SigningKey::from_bytes(&bytes).unwrap() }
    }

    pub(crate) fn private_key(&self) -> String {
        hex::encode(self.key.to_bytes())
    }

    pub(crate) fn public_key(&self) -> String {
        hex::encode(self.key.verifying_key().to_bytes())
    }

    /// An event of theirs, made by other code than ours.
    pub(crate) fn event(&self, kind: u16, created_at: i64, content: &str) -> Value {
        let pubkey = self.public_key();
        let serialized = json!([0, pubkey, created_at, kind, [], content]).to_string();
        let id: [u8; 32] = Sha256::digest(serialized).into();
        let sig = hex::encode(self.key.sign_raw(&id, &[7; 32]).unwrap().to_bytes());
        json!({"id": hex::encode(id), "pubkey": pubkey, "created_at": created_at, "kind": kind, "tags": [],
            "content": content, "sig": sig})
    }

    pub(crate) async fn connect(&self, relays: &str) -> Result<ConnectedAccount, ProviderError> {
        connect(json!({"privateKey": self.private_key(), "relays": relays})).await
    }

    pub(crate) async fn channel(&self, relays: &str) -> ChannelAccess {
        let account = self.connect(relays).await.unwrap();
        channel_of(account)
    }
}

pub(crate) async fn connect(credentials: Value) -> Result<ConnectedAccount, ProviderError> {
    let request = ConnectRequest { channel: IntegrationId::new(Uuid::new_v4()), name: None, credentials };
    nostr().authenticate(request).await
}

pub(crate) fn channel_of(account: ConnectedAccount) -> ChannelAccess {
    ChannelAccess {
        id: IntegrationId::new(Uuid::new_v4()),
        name: account.name,
        credentials: account.credentials,
        url: account.url,
    }
}

pub(crate) fn handle(channel: &ChannelAccess) -> PublishHandle {
    PublishHandle { post: PostId::new(Uuid::new_v4()), channel: channel.id, occurrence: 0 }
}

pub(crate) fn post(texts: &[&str]) -> OutgoingPost {
    OutgoingPost {
        parts: texts.iter().map(|text| OutgoingPart::from(*text)).collect(),
        standing: Vec::new(),
        at: chrono::Utc::now(),
        settings: serde_json::Map::new(),
    }
}

/// Sends one message to a relay, and returns what it says until one of `last`.
pub(crate) async fn say(relay: &str, message: Value, last: &[&str]) -> Vec<Value> {
    let (mut socket, _) = connect_async(relay).await.unwrap();
    socket.send(Message::text(message.to_string())).await.unwrap();
    let mut heard = Vec::new();
    loop {
        let Message::Text(text) = socket.next().await.unwrap().unwrap() else { continue };
        let said: Value = serde_json::from_str(text.as_str()).unwrap();
        let is_last = last.contains(&said[0].as_str().unwrap());
        heard.push(said);
        if is_last {
            return heard;
        }
    }
}

/// The notes of an author that a relay keeps, the oldest first.
pub(crate) async fn notes(relay: &str, author: &Author) -> Vec<Value> {
    let filter = json!({"kinds": [1], "authors": [author.public_key()]});
    let heard = say(relay, json!(["REQ", "x", filter]), &["EOSE"]).await;
    let mut notes: Vec<Value> =
        heard.into_iter().filter(|said| said[0] == "EVENT").map(|said| said[2].clone()).collect();
    notes.sort_by_key(|note| note["created_at"].as_i64());
    notes
}
