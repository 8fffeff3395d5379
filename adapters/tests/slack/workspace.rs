//! The workspace, and channels in it.

use annals_adapters::{
    net::{HttpClient, OutboundPolicy},
    social::slack::{Slack, SlackApp},
};
use annals_commands::ports::social::{
    ChannelAccess, ConnectRequest, ConnectedAccount, OutgoingPart, OutgoingPost, ProviderError,
    PublishHandle, SocialProvider,
};
use annals_domain::kernel::{IntegrationId, PostId};
use serde_json::{Value, json};
use url::form_urlencoded;
use uuid::Uuid;

pub(crate) const REDIRECT: &str = "http://127.0.0.1:3000/api/v1/social/slack/callback";
const SCOPES: &str = "chat:write,channels:read,channels:history";

pub(crate) struct Workspace {
    pub(crate) url: String,
    http: reqwest::Client,
}

/// The workspace to test against. Without one: a failure in CI, a named skip elsewhere.
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
pub(crate) fn workspace() -> Option<Workspace> {
    let urls = std::env::var("ANNALS_TEST_EMULATE").ok();
    let url = urls.as_deref().and_then(|urls| urls.split(' ').nth(1)).map(str::to_string);
    if let Some(url) = url {
        let browser = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
        return Some(Workspace { url, http: browser.build().unwrap() });
    }
    assert!(
        std::env::var("CI").is_err(),
        "ANNALS_TEST_EMULATE is unset: set it to what `scripts/parts/emulate start` prints"
    );
    eprintln!("skipped: ANNALS_TEST_EMULATE is unset (`scripts/parts/emulate start` prints it)");
    // What a passing test prints is not shown: scripts/test counts this list.
    if let Some(path) = std::env::var_os("ANNALS_TEST_SKIPS") {
        use std::io::Write as _;
        let thread = std::thread::current();
        let mut list = std::fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
        writeln!(list, "{} (emulate is missing)", thread.name().unwrap_or("a test")).unwrap();
    }
    None
}

impl Workspace {
    /// What somebody who lets an app in at the form comes back with.
    pub(crate) async fn code(&self) -> String {
        let form = [
            ("user_id", "U000000001"),
            ("redirect_uri", REDIRECT),
            ("scope", SCOPES),
            ("state", "s"),
            ("client_id", "annals"),
        ];
        let url = format!("{}/oauth/v2/authorize/callback", self.url);
        let sent = self.http.post(url).form(&form).send().await.unwrap();
        let location = sent.headers()["location"].to_str().unwrap().to_string();
        let (_, query) = location.split_once('?').unwrap();
        form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "code").unwrap().1.into_owned()
    }

    /// A token, and a channel of the test's own.
    pub(crate) async fn bot(&self) -> (String, String) {
        let code = self.code().await;
        let form =
            [("client_id", "annals"), ("client_secret", "x"), ("code", &code), ("redirect_uri", REDIRECT)];
        let granted = self.call("oauth.v2.access", "", &form).await;
        let token = granted["access_token"].as_str().unwrap().to_string();
        let name = format!("t{}", &Uuid::new_v4().simple().to_string()[..12]);
        let made = self.call("conversations.create", &token, &[("name", &name)]).await;
        (token, made["channel"]["id"].as_str().unwrap().to_string())
    }

    pub(crate) async fn call(&self, method: &str, token: &str, form: &[(&str, &str)]) -> Value {
        let call = self.http.post(format!("{}/api/{method}", self.url)).bearer_auth(token).form(form);
        let answer: Value = call.send().await.unwrap().json().await.unwrap();
        assert_eq!(answer["ok"], true, "{method}: {answer}");
        answer
    }

    /// What stands in a channel and in the thread of its first message, the oldest first.
    pub(crate) async fn messages(&self, token: &str, channel: &str) -> Vec<Value> {
        let history = self.call("conversations.history", token, &[("channel", channel)]).await;
        let mut messages = history["messages"].as_array().unwrap().clone();
        messages.reverse();
        let Some(first) = messages.first() else { return messages };
        let ts = first["ts"].as_str().unwrap().to_string();
        let thread = self.call("conversations.replies", token, &[("channel", channel), ("ts", &ts)]).await;
        messages.extend(thread["messages"].as_array().unwrap()[1..].iter().cloned());
        messages
    }
}

/// A provider for the Slack at a URL, with an app.
pub(crate) fn slack(url: &str) -> Slack {
    let hosts = ["127.0.0.1", "localhost"].map(|host| host.parse().unwrap());
    let policy = OutboundPolicy { allow_hosts: hosts.into(), ..OutboundPolicy::default() };
    let app = SlackApp { client_id: "annals".to_string(), client_secret: "an app's secret".to_string() };
    Slack::new(HttpClient::new(policy).unwrap(), url.parse().unwrap(), Some(app))
}

pub(crate) async fn connect(url: &str, credentials: Value) -> Result<ConnectedAccount, ProviderError> {
    let request = ConnectRequest { channel: IntegrationId::new(Uuid::new_v4()), name: None, credentials };
    slack(url).authenticate(request).await
}

/// A channel that a bot writes to, with its token and its id.
pub(crate) async fn bots_channel(workspace: &Workspace) -> (ChannelAccess, String, String) {
    let (token, id) = workspace.bot().await;
    let account = connect(&workspace.url, json!({"botToken": token, "channel": id})).await.unwrap();
    (channel_of(account), token, id)
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
