//! Channels: connect, change, switch off and on, disconnect.

use annals_tests::{Server, StatusCode, eventually};
use serde_json::json;

use crate::support::{PATIENCE, feed_channel, in_seconds, later, now, until, write};

#[tokio::test]
async fn a_channel_is_listed_renamed_grouped_and_disconnected() {
    let server = Server::start().await;
    let api = server.api().register("Ada").await.api;
    let empty = api.get("integrations").await.expect(StatusCode::OK);
    assert_eq!(empty.at("/data/connected"), &json!([]));
    let platforms = empty.at("/data/platforms").as_array().cloned().unwrap_or_default();
    let names: Vec<_> = platforms.iter().filter_map(|platform| platform["identifier"].as_str()).collect();
    assert_eq!(names, ["bluesky", "discord", "feed", "mastodon", "nostr", "slack"]);
    assert_eq!(platforms[2]["connect"]["method"], "none");
    assert_eq!(platforms[2]["maxLength"], 10_000);

    let id = feed_channel(&api, "News").await;
    let path = format!("integrations/{id}");
    let shown = api.get(&path).await.expect(StatusCode::OK);
    assert_eq!(shown.at("/data/status"), "connected");
    assert_eq!(shown.at("/data/url"), &json!(format!("{}/feeds/{id}", server.url())));
    assert_eq!(shown.headers["etag"], "\"1\"");

    api.put(&path, json!({"name": "Better news"})).await.expect(StatusCode::OK);
    let grouped = api.put(&format!("{path}/group"), json!({"group": "Europe", "customer": "Acme"})).await;
    assert_eq!(grouped.expect(StatusCode::OK).at("/data/name"), "Better news");
    let customers = api.get("integrations/customers").await.expect(StatusCode::OK);
    assert_eq!(customers.at("/data"), &json!([{"name": "Acme", "channels": 1}]));
    let stale = api.with_header("If-Match", "\"1\"").put(&path, json!({"name": "Late"})).await;
    assert_eq!(stale.expect(StatusCode::CONFLICT).at("/currentVersion"), 3);

    let gone = api.delete(&path).await.expect(StatusCode::OK);
    assert_eq!(gone.at("/data/status"), "disconnected");
    api.get(&path).await.expect(StatusCode::NOT_FOUND);
    api.delete(&path).await.expect(StatusCode::NOT_FOUND);
    api.post("posts", now("too late", &[&id]))
        .await
        .expect_field(StatusCode::BAD_REQUEST, "integrations[0].id");
    assert_eq!(api.get("integrations").await.at("/data/connected"), &json!([]));
}

#[tokio::test]
async fn a_channel_that_is_off_takes_nothing_and_fails_what_is_due_until_it_is_retried() {
    let server = Server::start().await;
    let api = server.api().register("Ada").await.api;
    let channel = feed_channel(&api, "News").await;
    let post = write(&api, later("soon", &[&channel], &in_seconds(2))).await;
    let off = api.post(&format!("integrations/{channel}/disable"), json!({})).await.expect(StatusCode::OK);
    assert_eq!(off.at("/data/status"), "disabled");
    api.post("posts", now("not now", &[&channel]))
        .await
        .expect_field(StatusCode::BAD_REQUEST, "integrations[0].id");
    let failed = until(&api, &post, "failed").await;
    assert_eq!(failed.at("/data/integrations/0/status"), "failed");
    assert_eq!(failed.at("/data/integrations/0/reason"), "the channel is switched off");
    assert_eq!(failed.at("/data/integrations/0/whatToDo"), "enable it, then retry");

    let retry = format!("posts/{post}/retry");
    let refused = api.post(&retry, json!({})).await.expect(StatusCode::CONFLICT);
    assert_eq!(refused.at("/code"), "CHANNEL_NOT_USABLE");
    api.post(&format!("integrations/{channel}/enable"), json!({})).await.expect(StatusCode::OK);
    api.post(&retry, json!({})).await.expect(StatusCode::OK);
    until(&api, &post, "published").await;
    let over = api.post(&retry, json!({"confirmMayDouble": true})).await.expect(StatusCode::CONFLICT);
    assert_eq!(over.at("/code"), "NOTHING_TO_RETRY");
}

#[tokio::test]
async fn who_closes_an_organization_leaves_no_channel_connected() {
    let server = Server::start().await;
    let root = server.api().register("Root").await;
    let ada = server.api().register("Ada").await;
    let channels = [feed_channel(&ada.api, "News").await, feed_channel(&ada.api, "More").await];
    let kept = feed_channel(&root.api, "Others").await;
    ada.api.delete("users/account").await.expect(StatusCode::OK);
    for channel in &channels {
        let path = format!("streams/publishing.integration/{channel}");
        let disconnected = eventually("the channel is disconnected", PATIENCE, || async {
            let answer = root.api.get(&path).await.expect(StatusCode::OK);
            answer.at("/data/events").as_array()?.iter().find(|event| is_disconnection(event)).cloned()
        })
        .await;
        assert_eq!(disconnected["actor"]["id"], "publishing.closed_organizations");
        assert_eq!(disconnected["organizationId"], ada.organization_id.as_str());
        let state = root.api.get(&format!("{path}/state")).await.expect(StatusCode::OK);
        assert_eq!(state.at("/data/state/status"), "disconnected");
    }
    let others = root.api.get(&format!("integrations/{kept}")).await.expect(StatusCode::OK);
    assert_eq!(others.at("/data/status"), "connected");
}

fn is_disconnection(event: &serde_json::Value) -> bool {
    event["type"] == "publishing.integration.disconnected"
}
