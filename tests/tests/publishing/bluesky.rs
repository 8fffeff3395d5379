//! The main job with a platform that others wrote: the real Bluesky PDS.

use annals_tests::{Server, StatusCode, bluesky_pds};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{in_seconds, later, until, write};

const PDS_PASSWORD: &str = "a password for the pds";

/// An account on the PDS, made for one test.
struct Person {
    pds: String,
    did: String,
    handle: String,
    http: reqwest::Client,
}

impl Person {
    async fn new(pds: &str) -> Self {
        let http = reqwest::Client::builder().no_proxy().build().expect("a client needs nothing");
        let handle = format!("p{}.test", &Uuid::new_v4().simple().to_string()[..12]);
        let body =
            json!({"handle": handle, "email": format!("{handle}@example.org"), "password": PDS_PASSWORD});
        let url = format!("{pds}/xrpc/com.atproto.server.createAccount");
        let made: Value =
            http.post(url).json(&body).send().await.expect("answers").json().await.expect("JSON");
        let did = made["did"].as_str().unwrap_or_else(|| panic!("no account: {made}")).to_string();
        Self { pds: pds.to_string(), did, handle, http }
    }

    /// The texts of what stands there, the oldest first.
    async fn texts(&self) -> Vec<String> {
        let url = format!(
            "{}/xrpc/com.atproto.repo.listRecords?repo={}&collection=app.bsky.feed.post&limit=100&reverse=true",
            self.pds, self.did
        );
        let listed: Value = self.http.get(url).send().await.expect("answers").json().await.expect("JSON");
        let records = listed["records"].as_array().cloned().unwrap_or_default();
        records.iter().filter_map(|record| record["value"]["text"].as_str().map(str::to_string)).collect()
    }

    fn connect(&self, password: &str) -> Value {
        json!({
            "platform": "bluesky",
            "credentials": {"service": self.pds, "identifier": self.handle, "password": password},
        })
    }
}

#[tokio::test]
async fn a_scheduled_thread_stands_on_the_real_pds_at_its_time() {
    let Some(pds) = bluesky_pds("a_scheduled_thread_stands_on_the_real_pds_at_its_time") else { return };
    let server = Server::start().await;
    let api = server.api().register("Ada").await.api;
    let person = Person::new(&pds).await;
    api.post("integrations/connect", person.connect("wrong"))
        .await
        .expect_field(StatusCode::BAD_REQUEST, "credentials");
    let connected = api.post("integrations/connect", person.connect(PDS_PASSWORD)).await;
    let connected = connected.expect(StatusCode::CREATED);
    let channel = connected.text_at("/data/id");
    assert_eq!(connected.at("/data/handle"), &json!(format!("@{}", person.handle)));
    assert!(!connected.text.contains(PDS_PASSWORD) && !connected.text.contains("Jwt"), "{}", connected.text);
    let twice = api.post("integrations/connect", person.connect(PDS_PASSWORD)).await;
    assert_eq!(twice.expect(StatusCode::CONFLICT).at("/code"), "CHANNEL_ALREADY_CONNECTED");

    let long = later(&"x".repeat(301), &[&channel], &in_seconds(3_600));
    api.post("posts", long).await.expect_field(StatusCode::BAD_REQUEST, "content");
    let mut body = later("Hello from Annals https://example.org", &[&channel], &in_seconds(3));
    body["thread"] = json!(["and a second part"]);
    let post = write(&api, body).await;
    assert_eq!(person.texts().await, Vec::<String>::new(), "nothing before its time");
    let published = until(&api, &post, "published").await;
    assert!(published.text_at("/data/integrations/0/remoteId").starts_with(&format!("at://{}/", person.did)));
    assert_eq!(person.texts().await, ["Hello from Annals https://example.org", "and a second part"]);

    for path in ["activity".to_string(), format!("posts/{post}/history"), format!("integrations/{channel}")] {
        let answer = api.get(&path).await.expect(StatusCode::OK);
        assert!(!answer.text.contains("Jwt") && !answer.text.contains(PDS_PASSWORD), "{path} tells a secret");
    }
    assert!(!server.log().contains(PDS_PASSWORD), "nor does the log");
    let sealed: i64 = sqlx::query_scalar(
        "SELECT count(*) FROM events WHERE event_type LIKE 'publishing.integration.%'
           AND (payload::text LIKE '%Jwt%' OR payload::text LIKE '%' || $1 || '%')",
    )
    .bind(PDS_PASSWORD)
    .fetch_one(&server.database().expect("has one").pool)
    .await
    .expect("the log can be read");
    assert_eq!(sealed, 0, "credentials are sealed in the log");

    api.delete(&format!("integrations/{channel}")).await.expect(StatusCode::OK);
    let again = api.post("integrations/connect", person.connect(PDS_PASSWORD)).await;
    assert_ne!(again.expect(StatusCode::CREATED).text_at("/data/id"), channel);
}

#[tokio::test]
async fn one_post_goes_to_the_pds_and_a_feed_and_survives_a_kill() {
    let Some(pds) = bluesky_pds("one_post_goes_to_the_pds_and_a_feed_and_survives_a_kill") else { return };
    let mut server = Server::start().await;
    let api = server.api().register("Ada").await.api;
    let person = Person::new(&pds).await;
    let connected = api.post("integrations/connect", person.connect(PDS_PASSWORD)).await;
    let sky = connected.expect(StatusCode::CREATED).text_at("/data/id");
    let feed = crate::support::feed_channel(&api, "News").await;
    let mut body = later("For the feed", &[&feed, &sky], &in_seconds(2));
    body["integrations"][1]["content"] = json!("For the sky");
    let post = write(&api, body).await;
    server.restart().await;
    until(&api, &post, "published").await;
    assert_eq!(person.texts().await, ["For the sky"]);
    assert_eq!(crate::support::entries(&server.api(), &feed).await.len(), 1);
}
