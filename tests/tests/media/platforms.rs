//! Images with what they show, on platforms that others wrote: the real Bluesky PDS, and a server that speaks
//! Mastodon's API.

use std::{collections::HashMap, time::Duration};

use annals_tests::{Api, ObjectStore, Server, Settings, StatusCode, bluesky_pds, eventually, mastodon};
use serde_json::{Value, json};
use url::Url;
use uuid::Uuid;

use crate::support::{image, upload, video};

const PDS_PASSWORD: &str = "a password for the pds";

fn http() -> reqwest::Client {
    reqwest::Client::builder().no_proxy().build().expect("a client needs nothing")
}

async fn json_of(request: reqwest::RequestBuilder) -> Value {
    request.send().await.expect("answers").json().await.expect("JSON")
}

/// A channel on the PDS: its id, and the account's DID.
async fn on_bluesky(api: &Api, pds: &str) -> (String, String) {
    let handle = format!("i{}.test", &Uuid::new_v4().simple().to_string()[..12]);
    let body = json!({"handle": handle, "email": format!("{handle}@example.org"), "password": PDS_PASSWORD});
    let url = format!("{pds}/xrpc/com.atproto.server.createAccount");
    let made = json_of(http().post(url).json(&body)).await;
    let credentials = json!({"service": pds, "identifier": handle, "password": PDS_PASSWORD});
    let body = json!({"platform": "bluesky", "credentials": credentials});
    let connected = api.post("integrations/connect", body).await.expect(StatusCode::CREATED);
    (connected.text_at("/data/id"), made["did"].as_str().expect("a DID").to_string())
}

/// The account's posts on the PDS, the oldest first.
async fn records(pds: &str, did: &str) -> Vec<Value> {
    let url = format!(
        "{pds}/xrpc/com.atproto.repo.listRecords?repo={did}&collection=app.bsky.feed.post&limit=100&reverse=true"
    );
    json_of(http().get(url)).await["records"].as_array().cloned().unwrap_or_default()
}

async fn blob(pds: &str, did: &str, image: &Value) -> Vec<u8> {
    let cid = image["image"]["ref"]["$link"].as_str().expect("a blob");
    let url = format!("{pds}/xrpc/com.atproto.sync.getBlob?did={did}&cid={cid}");
    let response = http().get(url).send().await.expect("answers");
    assert_eq!(response.status(), 200);
    response.bytes().await.expect("bytes").to_vec()
}

/// A channel on the server: its id, and the account's.
async fn on_mastodon(api: &Api, server: &str) -> (String, String) {
    let username = format!("i{}", &Uuid::new_v4().simple().to_string()[..12]);
    let url = format!("{server}/api/v1/_mock/dev_user");
    let made = json_of(http().post(url).json(&json!({"username": username}))).await;
    let body = json!({"platform": "mastodon", "credentials": {"server": server}});
    let begun = api.post("integrations/connect", body).await.expect(StatusCode::OK);
    let url: Url = begun.text_at("/data/url").parse().expect("is a URL");
    let asked: HashMap<String, String> = url.query_pairs().into_owned().collect();
    let browser = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
    let form = [
        ("username", username.as_str()),
        ("redirect_uri", &asked["redirect_uri"]),
        ("state", &asked["state"]),
    ];
    let submit = format!("{server}/oauth/authorize");
    let sent = browser.build().expect("needs nothing").post(submit).form(&form).send().await;
    let location = sent.expect("answers").headers()["location"].to_str().expect("is text").to_string();
    let path = &location[location.find("/api/v1/").expect("leads to us")..];
    let connected = api.get(path).await.expect(StatusCode::CREATED);
    (connected.text_at("/data/id"), made["id"].as_str().expect("an id").to_string())
}

async fn picture(api: &Api, bytes: &[u8]) -> String {
    upload(api, "a.png", "image/png", bytes).await.expect(StatusCode::CREATED).text_at("/data/id")
}

/// A thread of three parts, with images in the first and the last.
fn thread(channels: &[&str], first: &[&str], last: &str) -> Value {
    let shown = |id: &&str| json!({"id": id, "alt": format!("What {id} shows")});
    let targets: Vec<_> = channels.iter().map(|id| json!({"id": id})).collect();
    json!({
        "content": "Look at these", "type": "now", "integrations": targets,
        "media": first.iter().map(shown).collect::<Vec<_>>(),
        "thread": ["nothing here", {"content": "and this", "media": [shown(&last)]}],
    })
}

async fn published(api: &Api, body: Value) -> Value {
    let post = api.post("posts", body).await.expect(StatusCode::CREATED).text_at("/data/id");
    eventually("the post is published", Duration::from_secs(90), || async {
        let answer = api.get(&format!("posts/{post}")).await.expect(StatusCode::OK);
        assert_ne!(answer.at("/data/status"), "failed", "{}", answer.text);
        (answer.at("/data/status") == "published").then(|| answer.at("/data").clone())
    })
    .await
}

/// An image thread, written while its images are still being made smaller, stands with all of them.
async fn stands_on_bluesky(server: &Server, pds: &str) {
    let api = server.api().register("Ada").await.api;
    let (channel, did) = on_bluesky(&api, pds).await;
    let (light, large) = (image("bluesky"), image(&"heavy ".repeat(200_000)));
    let (one, two) = (picture(&api, &light).await, picture(&api, &large).await);
    published(&api, thread(&[&channel], &[&one, &two], &one)).await;
    let records = records(pds, &did).await;
    assert_eq!(records.len(), 3);
    let images =
        |nth: usize| records[nth]["value"]["embed"]["images"].as_array().cloned().unwrap_or_default();
    let alts = |nth| images(nth).iter().map(|image| image["alt"].clone()).collect::<Vec<_>>();
    assert_eq!(alts(0), [json!(format!("What {one} shows")), json!(format!("What {two} shows"))]);
    assert_eq!(alts(1), Vec::<Value>::new());
    assert_eq!(alts(2), [json!(format!("What {one} shows"))]);
    assert_eq!(images(0)[0]["aspectRatio"], json!({"width": 1200, "height": 800}));
    assert_eq!(images(0)[1]["aspectRatio"], json!({"width": 1200, "height": 800}));
    assert!(blob(pds, &did, &images(0)[0]).await == light, "byte for byte");
    let smaller = blob(pds, &did, &images(0)[1]).await;
    assert!(large.len() > 1_000_000 && smaller.len() <= 1_000_000, "{} {}", large.len(), smaller.len());
    assert_eq!(images(0)[1]["image"]["mimeType"], "image/jpeg");
}

#[tokio::test]
async fn an_image_thread_stands_on_the_real_pds_with_what_its_images_show() {
    let Some(pds) = bluesky_pds("an_image_thread_stands_on_the_real_pds_with_what_its_images_show") else {
        return;
    };
    stands_on_bluesky(&Server::start().await, &pds).await;
}

#[tokio::test]
async fn images_in_a_bucket_reach_the_real_pds() {
    let test = "images_in_a_bucket_reach_the_real_pds";
    let (Some(pds), Some(store)) = (bluesky_pds(test), ObjectStore::start(test, "media")) else { return };
    let settings = store.variables().iter().fold(
        Settings::default().variable("ANNALS_MEDIA_STORAGE_URL", "s3://media/annals"),
        |settings, (name, value)| settings.variable(name, value),
    );
    stands_on_bluesky(&Server::start_with(settings).await, &pds).await;
}

#[tokio::test]
async fn an_image_thread_stands_on_mastodon_with_what_its_images_show() {
    let Some(url) = mastodon("an_image_thread_stands_on_mastodon_with_what_its_images_show") else { return };
    let server = Server::start().await;
    let api = server.api().register("Ada").await.api;
    let (channel, account) = on_mastodon(&api, &url).await;
    let (one, two) = (picture(&api, &image("1")).await, picture(&api, &image("2")).await);
    published(&api, thread(&[&channel], &[&one, &two], &two)).await;
    let listed = json_of(http().get(format!("{url}/api/v1/accounts/{account}/statuses?limit=40"))).await;
    let described: Vec<Vec<_>> = listed
        .as_array()
        .expect("a list")
        .iter()
        .rev()
        .map(|status| {
            let media = status["media_attachments"].as_array().expect("a list");
            media.iter().map(|file| file["description"].as_str().unwrap_or_default().to_string()).collect()
        })
        .collect();
    let shows = |id: &str| format!("What {id} shows");
    assert_eq!(described, [vec![shows(&one), shows(&two)], vec![], vec![shows(&two)]]);
}

#[tokio::test]
async fn what_a_platform_would_not_take_is_refused_when_it_is_scheduled() {
    let Some(pds) = bluesky_pds("what_a_platform_would_not_take_is_refused_when_it_is_scheduled") else {
        return;
    };
    let server = Server::start().await;
    let api = server.api().register("Ada").await.api;
    let (sky, _) = on_bluesky(&api, &pds).await;
    let feed = api.post("integrations/connect", json!({"platform": "feed", "name": "News"})).await;
    let feed = feed.expect(StatusCode::CREATED).text_at("/data/id");
    let clip = upload(&api, "a.mp4", "video/mp4", &video("a")).await.expect(StatusCode::CREATED);
    let clip = clip.text_at("/data/id");
    let mut pictures = Vec::new();
    for mark in ["1", "2", "3", "4", "5"] {
        pictures.push(picture(&api, &image(mark)).await);
    }
    let five: Vec<_> = pictures.iter().map(String::as_str).collect();

    let refused = api.post("posts", thread(&[&feed, &sky], &five, five[0])).await;
    refused.expect_field(StatusCode::BAD_REQUEST, "media");
    let refused = api.post("posts", thread(&[&sky], &[], &clip)).await;
    let refused = refused.expect_field(StatusCode::BAD_REQUEST, "thread[1].media[0].id");
    assert!(
        refused.text.contains("is of the type video/mp4, which Bluesky does not take"),
        "{}",
        refused.text
    );
    let mut own = thread(&[&feed, &sky], &[], five[0]);
    own["integrations"][1]["media"] = json!([five[1], clip]);
    let refused = api.post("posts", own.clone()).await;
    refused.expect_field(StatusCode::BAD_REQUEST, "integrations[1].media[1].id");
    // A draft may still become something else, and the feed takes everything.
    own["type"] = json!("draft");
    api.post("posts", own.clone()).await.expect(StatusCode::CREATED);
    own["type"] = json!("now");
    own["integrations"] = json!([{"id": feed, "media": [five[1], clip]}]);
    published(&api, own).await;

    let platforms = api.get("integrations").await.expect(StatusCode::OK);
    let platforms = platforms.at("/data/platforms").as_array().cloned().unwrap_or_default();
    let bluesky = platforms.iter().find(|platform| platform["identifier"] == "bluesky").expect("is there");
    assert_eq!(bluesky["media"]["filesMax"], 4);
    assert_eq!(bluesky["media"]["kinds"][0]["bytesMax"], 1_000_000);
}

#[tokio::test]
async fn a_post_is_told_on_each_channel_what_its_platform_knows() {
    let Some(url) = mastodon("a_post_is_told_on_each_channel_what_its_platform_knows") else { return };
    let server = Server::start().await;
    let api = server.api().register("Ada").await.api;
    let (channel, account) = on_mastodon(&api, &url).await;
    let feed = api.post("integrations/connect", json!({"platform": "feed", "name": "News"})).await;
    let feed = feed.expect(StatusCode::CREATED).text_at("/data/id");
    let told = |kind: &str, settings: &Value, of_feed: &Value| {
        json!({"content": "Told", "type": kind, "integrations": [
            {"id": channel, "settings": settings}, {"id": feed, "settings": of_feed}]})
    };
    for kind in ["draft", "now"] {
        for (settings, of_feed, field) in [
            (json!({"visibility": "all"}), json!({}), "integrations[0].settings.visibility"),
            (json!({"colour": "red"}), json!({}), "integrations[0].settings.colour"),
            (json!({"language": 7}), json!({}), "integrations[0].settings.language"),
            (json!({}), json!({"visibility": "public"}), "integrations[1].settings.visibility"),
            (json!({"contentWarning": "x".repeat(5_000)}), json!({}), "integrations[0].settings"),
        ] {
            let refused = api.post("posts", told(kind, &settings, &of_feed)).await;
            refused.expect_field(StatusCode::BAD_REQUEST, field);
        }
    }
    let settings = json!({"visibility": "unlisted", "contentWarning": "squares", "language": "en"});
    let post = published(&api, told("now", &settings, &json!({}))).await;
    assert_eq!(post["integrations"][0]["settings"], settings);
    assert_eq!(post["integrations"][1].get("settings"), None);

    // As Postiz's clients do: with what they send of every platform.
    let key = api.post("settings/api-keys", json!({"name": "CI", "scopes": []})).await;
    let key = server.api().with_header("Authorization", key.expect(StatusCode::CREATED).text_at("/data/key"));
    let rules = key.get(&format!("/public/v1/integration-settings/{channel}")).await.expect(StatusCode::OK);
    let known = rules.at("/output/settings/properties/visibility/enum");
    assert_eq!(known, &json!(["public", "unlisted", "private", "direct"]));
    let sent = json!({
        "type": "now", "date": "", "tags": [], "posts": [{"integration": {"id": channel},
            "value": [{"content": "From Postiz"}],
            "settings": {"__type": "mastodon", "visibility": "unlisted", "language": ""}}],
    });
    key.post("/public/v1/posts", sent).await.expect(StatusCode::CREATED);
    let statuses = eventually("both stand", Duration::from_secs(60), || async {
        let url = format!("{url}/api/v1/accounts/{account}/statuses?limit=40");
        let listed = json_of(http().get(url)).await;
        let listed = listed.as_array().cloned().unwrap_or_default();
        (listed.len() == 2).then_some(listed)
    })
    .await;
    let of = |text: &str| {
        let found =
            statuses.iter().find(|status| status["content"].as_str().is_some_and(|it| it.contains(text)));
        found.cloned().unwrap_or_default()
    };
    assert_eq!(
        (&of("Told")["visibility"], &of("Told")["spoiler_text"]),
        (&json!("unlisted"), &json!("squares"))
    );
    assert_eq!(of("From Postiz")["visibility"], "unlisted");
}
