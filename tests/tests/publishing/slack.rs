//! Slack through the whole server: a workspace as emulate has it, and an app that is let into it.

use std::collections::HashMap;

use annals_tests::{Api, Emulated, Server, Settings, StatusCode, emulated};
use serde_json::{Value, json};
use url::Url;
use uuid::Uuid;

use crate::support::{in_seconds, later, until, write};

const APP_SECRET: &str = "the secret of the app";

/// Somebody in the workspace.
struct Member {
    slack: String,
    browser: reqwest::Client,
}

impl Member {
    fn of(slack: &str) -> Self {
        let browser = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
        Self { slack: slack.to_string(), browser: browser.build().expect("a client needs nothing") }
    }

    /// Where Slack's form sends the browser of who lets the app in, as a path of ours.
    async fn lets_in(&self, url: &str) -> String {
        let url: Url = url.parse().expect("is a URL");
        let asked: HashMap<String, String> = url.query_pairs().into_owned().collect();
        let mut form = asked.clone();
        form.insert("user_id".to_string(), "U000000001".to_string());
        let submit = format!("{}/oauth/v2/authorize/callback", self.slack);
        let sent = self.browser.post(submit).form(&form).send().await.expect("answers");
        let location = sent.headers()["location"].to_str().expect("is text").to_string();
        location[location.find("/api/v1/").expect("leads to us")..].to_string()
    }

    /// emulate lets any token in.
    async fn call(&self, method: &str, form: &[(&str, &str)]) -> Value {
        let call = self.browser.post(format!("{}/api/{method}", self.slack)).bearer_auth("member").form(form);
        call.send().await.expect("answers").json().await.expect("JSON")
    }

    async fn channel(&self) -> String {
        let name = format!("t{}", &Uuid::new_v4().simple().to_string()[..12]);
        let made = self.call("conversations.create", &[("name", &name)]).await;
        made["channel"]["id"].as_str().unwrap_or_else(|| panic!("no channel: {made}")).to_string()
    }
}

async fn started(slack: &str) -> (Server, Api) {
    let settings = Settings::default()
        .variable("ANNALS_PLATFORMS_SLACK_URL", slack)
        .variable("ANNALS_PLATFORMS_SLACK_CLIENT_ID", "annals")
        .variable("ANNALS_PLATFORMS_SLACK_CLIENT_SECRET", APP_SECRET);
    let server = Server::start_with(settings).await;
    let api = server.api().register("Ada").await.api;
    (server, api)
}

#[tokio::test]
async fn a_scheduled_thread_stands_in_a_channel_that_its_owner_let_us_into() {
    let Some(Emulated { slack, .. }) =
        emulated("a_scheduled_thread_stands_in_a_channel_that_its_owner_let_us_into")
    else {
        return;
    };
    let ((server, api), member) = (started(&slack).await, Member::of(&slack));
    let room = member.channel().await;
    let begun = api.get(&format!("social/slack?channel={room}&name=News")).await.expect(StatusCode::OK);
    let path = member.lets_in(&begun.text_at("/data/url")).await;
    let connected = server.api().get(&path).await.expect(StatusCode::CREATED);
    let channel = connected.text_at("/data/id");
    assert_eq!(connected.at("/data/name"), "News");
    assert!(!connected.text.contains("xoxb"), "{}", connected.text);

    let mut body = later("Hello <!channel> & all", &[&channel], &in_seconds(2));
    body["thread"] = json!(["and a second part"]);
    let post = write(&api, body).await;
    let published = until(&api, &post, "published").await;
    let ts = published.text_at("/data/integrations/0/remoteId");
    let thread = member.call("conversations.replies", &[("channel", &room), ("ts", &ts)]).await;
    let texts: Vec<_> =
        thread["messages"].as_array().expect("a thread").iter().map(|said| &said["text"]).collect();
    assert_eq!(texts, ["Hello &lt;!channel&gt; &amp; all", "and a second part"]);
    assert!(published.text_at("/data/integrations/0/url").contains(&room));

    for path in ["activity".to_string(), format!("posts/{post}/history"), format!("integrations/{channel}")] {
        let answer = api.get(&path).await.expect(StatusCode::OK);
        assert!(!answer.text.contains("xoxb") && !answer.text.contains(APP_SECRET), "{path} tells a secret");
    }
    assert!(!server.log().contains(APP_SECRET), "nor does the log");
    let shown: i64 = sqlx::query_scalar("SELECT count(*) FROM events WHERE payload::text LIKE '%xoxb%'")
        .fetch_one(&server.database().expect("has one").pool)
        .await
        .expect("the log can be read");
    assert_eq!(shown, 0, "the token is sealed in the log");

    let stranger = server.api().register("Eve").await.api;
    stranger.get(&format!("integrations/{channel}")).await.expect(StatusCode::NOT_FOUND);
    let theirs = later("not mine", &[&channel], &in_seconds(3_600));
    stranger.post("posts", theirs).await.expect_field(StatusCode::BAD_REQUEST, "integrations[0].id");
    api.delete(&format!("integrations/{channel}")).await.expect(StatusCode::OK);
    let token = json!({"botToken": "xoxb-by-hand", "channel": room});
    let again = api.post("integrations/connect", json!({"platform": "slack", "credentials": token})).await;
    assert_ne!(again.expect(StatusCode::CREATED).text_at("/data/id"), channel);
}

#[tokio::test]
async fn a_client_of_postiz_asks_where_to_go_and_bad_input_is_named() {
    let Some(Emulated { slack, .. }) = emulated("a_client_of_postiz_asks_where_to_go_and_bad_input_is_named")
    else {
        return;
    };
    let (server, api) = started(&slack).await;
    let key = json!({"name": "n8n", "scopes": []});
    let key = api.post("settings/api-keys", key).await.expect(StatusCode::CREATED).text_at("/data/key");
    let client = server.api().with_header("Authorization", key);
    let asked = client.get("/public/v1/social/slack?refresh=&whatever=1").await.expect(StatusCode::OK);
    let url: Url = asked.text_at("/url").parse().expect("is a URL");
    assert_eq!(url.path(), "/oauth/v2/authorize");
    assert!(url.query_pairs().any(|(name, value)| name == "client_id" && value == "annals"), "{url}");
    client.get("/public/v1/social/nowhere").await.expect(StatusCode::NOT_FOUND);
    let feed = client.get("/public/v1/social/feed").await.expect(StatusCode::CONFLICT);
    assert!(feed.text.contains("/integrations/connect"), "{}", feed.text);
    client.get("/public/v1/social/mastodon").await.expect(StatusCode::BAD_REQUEST);
    server.api().get("/public/v1/social/slack").await.expect(StatusCode::UNAUTHORIZED);
    let reader = json!({"name": "reads", "scopes": ["integration:read"]});
    let reader = api.post("settings/api-keys", reader).await.expect(StatusCode::CREATED).text_at("/data/key");
    let reader = server.api().with_header("Authorization", reader);
    reader.get("/public/v1/social/slack").await.expect(StatusCode::FORBIDDEN);

    let refused = async |credentials: Value, field: &str| {
        let body = json!({"platform": "slack", "credentials": credentials});
        api.post("integrations/connect", body).await.expect_field(StatusCode::BAD_REQUEST, field);
    };
    refused(json!({}), "credentials.webhookUrl").await;
    refused(json!({"webhookUrl": "https://example.org/services/T/B/x"}), "credentials.webhookUrl").await;
    refused(json!({"botToken": "xoxb-1"}), "credentials.channel").await;
    refused(json!({"botToken": "xoxb-1", "channel": "C404"}), "credentials.channel").await;
    refused(json!({"botToken": 1, "channel": "C404"}), "credentials.botToken").await;
    refused(json!({"token": "xoxb-1"}), "credentials.token").await;
    api.get("social/slack?channel=general").await.expect(StatusCode::BAD_REQUEST);
    assert_eq!(api.get("integrations").await.at("/data/connected"), &json!([]));
}

#[tokio::test]
async fn without_an_app_of_the_installation_nobody_is_sent_to_slack() {
    let server = Server::start().await;
    let api = server.api().register("Ada").await.api;
    assert_eq!(api.get("social/slack").await.expect(StatusCode::CONFLICT).at("/code"), "NO_AUTHORIZATION");
}
