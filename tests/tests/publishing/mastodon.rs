//! Channels whose owner lets us in at the platform, with a server that speaks Mastodon's API.

use std::collections::HashMap;

use annals_tests::{Api, Server, StatusCode, mastodon};
use serde_json::{Value, json};
use url::Url;
use uuid::Uuid;

use crate::support::{in_seconds, later, until, write};

/// An account on the server, made for one test.
pub(crate) struct Owner {
    server: String,
    id: String,
    username: String,
    token: String,
    http: reqwest::Client,
}

impl Owner {
    pub(crate) async fn new(server: &str) -> Self {
        let http = reqwest::Client::builder().no_proxy().build().expect("a client needs nothing");
        let username = format!("o{}", &Uuid::new_v4().simple().to_string()[..12]);
        let url = format!("{server}/api/v1/_mock/dev_user");
        let made = http.post(url).json(&json!({"username": username})).send().await.expect("answers");
        let made: Value = made.json().await.expect("JSON");
        let id = made["id"].as_str().expect("has an id").to_string();
        let token = made["access_token"].as_str().expect("has a token").to_string();
        Self { server: server.to_string(), id, username, token, http }
    }

    fn connect(&self) -> Value {
        json!({"platform": "mastodon", "credentials": {"server": self.server}})
    }

    /// Where the server's own form sends the owner's browser, as a path of ours.
    async fn comes_back(&self, url: &str) -> String {
        let url: Url = url.parse().expect("is a URL");
        let asked: HashMap<String, String> = url.query_pairs().into_owned().collect();
        assert_eq!(asked["code_challenge_method"], "S256");
        let browser = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
        let form = [
            ("username", self.username.as_str()),
            ("redirect_uri", &asked["redirect_uri"]),
            ("state", &asked["state"]),
        ];
        let submit = format!("{}/oauth/authorize", self.server);
        let sent = browser.build().expect("needs nothing").post(submit).form(&form).send().await;
        let location = sent.expect("answers").headers()["location"].to_str().expect("is text").to_string();
        location[location.find("/api/v1/").expect("leads to us")..].to_string()
    }

    /// Lets us in, and returns the channel's id.
    pub(crate) async fn channel(&self, api: &Api, server: &Server) -> String {
        let begun = api.post("integrations/connect", self.connect()).await.expect(StatusCode::OK);
        let path = self.comes_back(&begun.text_at("/data/url")).await;
        server.api().get(&path).await.expect(StatusCode::CREATED).text_at("/data/id")
    }

    /// Does something as the owner of this account, such as `statuses/1/favourite`.
    pub(crate) async fn does(&self, what: &str, form: &[(&str, &str)]) -> Value {
        let url = format!("{}/api/v1/{what}", self.server);
        let call = self.http.post(url).bearer_auth(&self.token).form(form).send().await.expect("answers");
        assert!(call.status().is_success(), "{what}: {}", call.status());
        call.json().await.expect("JSON")
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }

    /// The ids and texts of what stands there, the oldest first.
    async fn statuses(&self) -> Vec<Value> {
        let url = format!("{}/api/v1/accounts/{}/statuses?limit=40", self.server, self.id);
        let listed = self.http.get(url).send().await.expect("answers");
        let mut statuses: Vec<Value> = listed.json().await.expect("JSON");
        statuses.reverse();
        statuses
    }
}

async fn channels(api: &Api) -> usize {
    let listed = api.get("integrations").await.expect(StatusCode::OK);
    listed.at("/data/connected").as_array().map_or(0, Vec::len)
}

#[tokio::test]
async fn a_scheduled_thread_stands_on_a_server_that_its_owner_let_us_into() {
    let Some(url) = mastodon("a_scheduled_thread_stands_on_a_server_that_its_owner_let_us_into") else {
        return;
    };
    let server = Server::start().await;
    let (api, owner) = (server.api().register("Ada").await.api, Owner::new(&url).await);
    let begun = api.post("integrations/connect", owner.connect()).await.expect(StatusCode::OK);
    assert_eq!(channels(&api).await, 0, "nothing is connected before the owner is back");
    let path = owner.comes_back(&begun.text_at("/data/url")).await;

    // The browser that comes back carries no token.
    let connected = server.api().get(&path).await.expect(StatusCode::CREATED);
    let channel = connected.text_at("/data/id");
    assert_eq!(connected.at("/data/handle"), &json!(format!("@{}@127.0.0.1", owner.username)));
    assert!(!connected.text.contains("access_token"), "{}", connected.text);
    let again = server.api().get(&path).await.expect(StatusCode::CREATED);
    assert_eq!(again.text_at("/data/id"), channel, "coming back twice is coming back once");
    assert_eq!(channels(&api).await, 1);

    let mut body = later("Hello https://example.org", &[&channel], &in_seconds(2));
    body["thread"] = json!(["and a second part"]);
    let post = write(&api, body).await;
    let published = until(&api, &post, "published").await;
    let statuses = owner.statuses().await;
    assert_eq!(statuses.len(), 2);
    assert_eq!(published.at("/data/integrations/0/remoteId"), &statuses[0]["id"]);
    assert_eq!(statuses[1]["in_reply_to_id"], statuses[0]["id"]);

    let sealed: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM events WHERE event_type LIKE 'publishing.integration.%'
           AND (payload::text LIKE '%access_token%' OR payload::text LIKE '%client_secret%')",
    )
    .fetch_one(&server.database().expect("has one").pool)
    .await
    .expect("the log can be read");
    assert_eq!(sealed, 0, "tokens and the app's secret are sealed in the log");
}

#[tokio::test]
async fn a_state_counts_once_for_who_began_and_only_while_they_may() {
    let Some(url) = mastodon("a_state_counts_once_for_who_began_and_only_while_they_may") else { return };
    let server = Server::start().await;
    let account = server.api().register("Ada").await;
    let (api, owner) = (account.api, Owner::new(&url).await);
    let begun = api.get(&format!("social/mastodon?server={url}")).await.expect(StatusCode::OK);
    let path = owner.comes_back(&begun.text_at("/data/url")).await;

    let state = |path: &str| path.split("state=").nth(1).expect("has a state").to_string();
    let forged = path.replace(&state(&path), &state(&path).chars().rev().collect::<String>());
    let refused = server.api().get(&forged).await;
    assert_eq!(refused.expect(StatusCode::BAD_REQUEST).at("/code"), "AUTHORIZATION_INVALID");
    let other = path.replace("social/mastodon", "social/bluesky");
    server.api().get(&other).await.expect_field(StatusCode::BAD_REQUEST, "state");
    let denied = server.api().get("social/mastodon/callback?error=access_denied").await;
    assert_eq!(denied.expect(StatusCode::BAD_REQUEST).at("/code"), "AUTHORIZATION_DENIED");
    server.api().get("social/mastodon/callback").await.expect_field(StatusCode::BAD_REQUEST, "code");
    let page = server.api().with_header("Accept", "text/html").get(&forged).await;
    assert!(page.expect(StatusCode::BAD_REQUEST).text.contains("<h1>Not connected</h1>"));
    assert_eq!(channels(&api).await, 0);

    server.api().get(&path).await.expect(StatusCode::CREATED);
    let code = path.split("code=").nth(1).and_then(|rest| rest.split('&').next()).expect("has a code");
    let second = server.api().get(&path.replace(code, "mockcode_testuser")).await;
    assert_eq!(second.expect(StatusCode::BAD_REQUEST).at("/code"), "AUTHORIZATION_USED");
    assert_eq!(channels(&api).await, 1);

    // Letting us in once more renews the same channel.
    let begun = api.post("integrations/connect", owner.connect()).await.expect(StatusCode::OK);
    let path = owner.comes_back(&begun.text_at("/data/url")).await;
    server.api().get(&path).await.expect(StatusCode::CREATED);
    assert_eq!(channels(&api).await, 1);

    let begun = api.post("integrations/connect", owner.connect()).await.expect(StatusCode::OK);
    let path = owner.comes_back(&begun.text_at("/data/url")).await;
    api.request(annals_tests::Method::DELETE, "users/account")
        .json(&json!({"password": account.password}))
        .send()
        .await
        .expect("answers");
    let late = server.api().get(&path).await;
    assert_eq!(late.expect(StatusCode::FORBIDDEN).at("/code"), "FORBIDDEN");
}

#[tokio::test]
async fn a_server_that_is_none_or_private_is_refused_by_name() {
    let Some(url) = mastodon("a_server_that_is_none_or_private_is_refused_by_name") else { return };
    let server = Server::start().await;
    let api = server.api().register("Ada").await.api;
    let connect = |fields: Value| {
        api.post("integrations/connect", json!({"platform": "mastodon", "credentials": fields}))
    };
    connect(json!({})).await.expect_field(StatusCode::BAD_REQUEST, "credentials.server");
    let unknown = json!({"server": url, "password": "x"});
    connect(unknown).await.expect_field(StatusCode::BAD_REQUEST, "credentials.password");
    connect(json!({"server": "https://192.168.1.1"}))
        .await
        .expect_field(StatusCode::BAD_REQUEST, "credentials");
    let listed = format!("social/mastodon?server={url}&visibility=everyone");
    api.get(&listed).await.expect_field(StatusCode::BAD_REQUEST, "credentials");
    api.get("social/mastodon").await.expect_field(StatusCode::BAD_REQUEST, "server");
    assert_eq!(api.get("social/feed").await.expect(StatusCode::CONFLICT).at("/code"), "NO_AUTHORIZATION");
    api.get("social/nowhere").await.expect(StatusCode::NOT_FOUND);
}
