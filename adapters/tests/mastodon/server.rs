//! The server, and accounts on it.

use std::{collections::HashMap, sync::Arc};

use annals_adapters::{
    net::{HttpClient, OutboundPolicy},
    social::mastodon::Mastodon,
};
use annals_commands::ports::social::{
    Attachment, AttachmentSource, AuthorizationGrant, AuthorizationRequest, ChannelAccess, ConnectedAccount,
    OutgoingPart, OutgoingPost, ProviderError, PublishHandle, SocialProvider,
};
use annals_domain::kernel::{IntegrationId, PostId};
use async_trait::async_trait;
use serde_json::{Value, json};
use url::Url;
use uuid::Uuid;

pub(crate) const REDIRECT: &str = "http://127.0.0.1:3000/api/v1/social/mastodon/callback";

#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) url: String,
    http: reqwest::Client,
}

/// An account on the server, with a token of the test's own.
pub(crate) struct Account {
    pub(crate) id: String,
    pub(crate) username: String,
    pub(crate) token: String,
}

/// The server to test against. Without one: a failure in CI, a named skip elsewhere.
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
pub(crate) fn server() -> Option<Server> {
    match std::env::var("ANNALS_TEST_MASTODON_URL") {
        Ok(url) => Some(Server {
            url: url.trim_end_matches('/').to_string(),
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
        }),
        Err(_) if std::env::var("CI").is_ok_and(|ci| ci == "true") => {
            panic!("ANNALS_TEST_MASTODON_URL is unset: set it to what `scripts/parts/mastodon start` prints")
        }
        Err(_) => {
            eprintln!(
                "skipped: ANNALS_TEST_MASTODON_URL is unset (`scripts/parts/mastodon start` prints it)"
            );
            // What a passing test prints is not shown: scripts/test counts this list.
            if let Some(path) = std::env::var_os("ANNALS_TEST_SKIPS") {
                use std::io::Write as _;
                let thread = std::thread::current();
                let mut list = std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
                writeln!(list, "{} (mastodon is missing)", thread.name().unwrap_or("a test")).unwrap();
            }
            None
        }
    }
}

impl Server {
    pub(crate) async fn account(&self) -> Account {
        let username = format!("u{}", &Uuid::new_v4().simple().to_string()[..12]);
        let made = self.post("/api/v1/_mock/dev_user", json!({"username": username})).await;
        let text = |name: &str| made[name].as_str().unwrap().to_string();
        Account { id: text("id"), token: text("access_token"), username }
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> Value {
        let response = self.http.post(format!("{}{path}", self.url)).json(&body).send().await.unwrap();
        assert!(response.status().is_success(), "{path}: {}", response.status());
        response.json().await.unwrap()
    }

    /// What stands there of an account, the oldest first.
    pub(crate) async fn statuses(&self, account: &Account) -> Vec<Value> {
        let url = format!("{}/api/v1/accounts/{}/statuses?limit=40", self.url, account.id);
        let response = self.http.get(url).bearer_auth(&account.token).send().await.unwrap();
        let mut statuses: Vec<Value> = response.json().await.unwrap();
        statuses.reverse();
        statuses
    }

    pub(crate) async fn delete(&self, account: &Account, status: &Value) {
        let url = format!("{}/api/v1/statuses/{}", self.url, status["id"].as_str().unwrap());
        let response = self.http.delete(url).bearer_auth(&account.token).send().await.unwrap();
        assert!(response.status().is_success());
    }

    pub(crate) async fn revoke(&self, token: &str) {
        let url = format!("{}/oauth/revoke", self.url);
        let response = self.http.post(url).form(&[("token", token)]).send().await.unwrap();
        assert!(response.status().is_success());
    }

    /// Sends the account's owner through the server's own form, and returns the code they come back with.
    pub(crate) async fn let_in(&self, account: &Account, url: &Url) -> String {
        let asked: HashMap<String, String> = url.query_pairs().into_owned().collect();
        let browser = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .unwrap();
        let form = [
            ("username", account.username.as_str()),
            ("redirect_uri", &asked["redirect_uri"]),
            ("state", &asked["state"]),
        ];
        let sent = browser.post(format!("{}/oauth/authorize", self.url)).form(&form).send().await.unwrap();
        let back: Url = sent.headers()["location"].to_str().unwrap().parse().unwrap();
        let answer: HashMap<String, String> = back.query_pairs().into_owned().collect();
        assert_eq!(answer["state"], asked["state"]);
        answer["code"].clone()
    }
}

pub(crate) fn mastodon() -> Mastodon {
    let networks = ["127.0.0.0/8", "::1/128"].map(|network| network.parse().unwrap());
    let policy = OutboundPolicy { allow_networks: networks.to_vec(), ..OutboundPolicy::default() };
    Mastodon::new(HttpClient::new(policy).unwrap())
}

/// Goes the whole way: app, consent, code, token.
pub(crate) async fn connect(
    server: &Server,
    account: &Account,
    mut fields: Value,
) -> Result<ConnectedAccount, ProviderError> {
    let provider = mastodon();
    let platform = provider.oauth2().unwrap();
    let redirect_uri: Url = REDIRECT.parse().unwrap();
    fields["server"] = json!(server.url);
    let prepared = platform.prepare(fields, &redirect_uri).await?;
    let request = AuthorizationRequest {
        redirect_uri: redirect_uri.clone(),
        state: "a state".to_string(),
        code_challenge: "a-challenge".to_string(),
    };
    let url = platform.authorization_url(&prepared, &request)?;
    let code = server.let_in(account, &url).await;
    let grant = AuthorizationGrant { code, code_verifier: "a-verifier".to_string(), redirect_uri };
    platform.complete(prepared, grant).await
}

pub(crate) async fn channel(server: &Server, account: &Account) -> ChannelAccess {
    channel_of(connect(server, account, json!({})).await.unwrap())
}

pub(crate) fn channel_of(connected: ConnectedAccount) -> ChannelAccess {
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
        at: chrono::Utc::now(),
        settings: serde_json::Map::new(),
    }
}

struct Bytes(Vec<u8>);

#[async_trait]
impl AttachmentSource for Bytes {
    async fn read(&self) -> Result<Vec<u8>, ProviderError> {
        Ok(self.0.clone())
    }
}

pub(crate) fn gif(alt_text: &str) -> Attachment {
    let bytes = b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff!\xf9\x04\x01\x00\x00\x00\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;";
    Attachment {
        media_type: "image/gif".to_string(),
        size_bytes: bytes.len() as u64,
        width: Some(1),
        height: Some(1),
        alt_text: Some(alt_text.to_string()),
        source: Arc::new(Bytes(bytes.to_vec())),
    }
}
