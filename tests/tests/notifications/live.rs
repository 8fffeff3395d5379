//! What is told as it happens: to whom it is for, and to nobody else.

use std::time::Duration;

use annals_tests::{Api, Method, Server, StatusCode};
use futures::StreamExt as _;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;

use crate::support::{PATIENCE, failing, told};

/// The next event of a stream whose data holds this; what is before it is passed over and returned.
async fn until(api: &Api, path: &str, what: &str, act: impl Future<Output = ()>) -> (Value, Vec<Value>) {
    let response = api.request(Method::GET, path).send().await.expect("the server answers");
    assert_eq!(response.status(), StatusCode::OK);
    let mut body = response.bytes_stream();
    let mut text = String::new();
    let mut passed = Vec::new();
    let mut acting = Box::pin(act);
    let mut has_acted = false;
    let deadline = tokio::time::sleep(PATIENCE);
    tokio::pin!(deadline);
    loop {
        tokio::select! {
            () = &mut deadline => panic!("{what} was not told: {passed:?}"),
            () = &mut acting, if !has_acted && !text.is_empty() => has_acted = true,
            chunk = body.next() => {
                let chunk = chunk.expect("the stream goes on").expect("arrives");
                text.push_str(std::str::from_utf8(&chunk).expect("is UTF-8"));
                for line in text.lines().filter_map(|line| line.strip_prefix("data: ")) {
                    let Ok(data) = serde_json::from_str::<Value>(line) else { continue };
                    if data.to_string().contains(what) {
                        return (data, passed);
                    }
                    passed.push(data);
                }
            }
        }
    }
}

#[tokio::test]
async fn a_writer_hears_of_their_own_whole_and_of_nobody_elses() {
    let server = Server::start().await;
    let root = server.api().register("Root").await;
    let ada = root.member("user").await;
    let mate = root.member("viewer").await;
    told(&root.api, 2).await;
    // Only admins connect channels: the post of a writer goes to one of theirs.
    let channel = crate::support::feed_channel(&root.api, "News").await;
    let act = async {
        let post = crate::support::scheduled(&ada, &channel, "Hello", 5).await;
        let off = root.api.post(&format!("integrations/{channel}/disable"), json!({})).await;
        off.expect(StatusCode::OK);
        told(&ada, 1).await;
        assert!(!post.is_empty());
    };
    let (heard, _) = until(&ada, "live?type=engagement", "post_failed", act).await;
    assert_eq!(heard["type"], "engagement.notification.raised");
    assert_eq!(heard["data"]["kind"], "post_failed");
    let id = heard["aggregateId"].as_str().expect("has an id").to_string();
    // It is told before the read model has it, unless that is asked for.
    let after = ada.with_header("Annals-After", &heard["position"]);
    after.get(&format!("notifications/{id}")).await.expect(StatusCode::OK);
    for other in [&mate, &root.api] {
        other.get(&format!("notifications/{id}")).await.expect(StatusCode::NOT_FOUND);
        let mark = other.post(&format!("notifications/{id}/read"), json!({})).await;
        mark.expect(StatusCode::NOT_FOUND);
    }

    // From the beginning: the viewer hears of others' inboxes nothing at all; the writer of their marks.
    let mark = async {
        ada.post(&format!("notifications/{id}/read"), json!({})).await.expect(StatusCode::OK);
        mate.post("notifications/read-all", json!({})).await.expect(StatusCode::OK);
    };
    let (own, before) = until(&mate, "live?type=engagement.inbox&after=0", "all_read", mark).await;
    assert_eq!(own["type"], "engagement.inbox.all_read");
    assert_eq!(before, Vec::<Value>::new());
    let (own, before) =
        until(&ada, "live?type=engagement.inbox&after=0", "engagement.inbox.marked", async {}).await;
    assert_eq!(own["data"]["mark"], "read");
    assert_eq!(before, Vec::<Value>::new());
}

#[tokio::test]
async fn a_web_socket_tells_them_too() {
    let server = Server::start().await;
    let ada = server.api().register("Ada").await;
    let ticket = ada.api.post("live/tickets", json!({})).await.expect(StatusCode::CREATED);
    let url = format!(
        "{}/api/v1/live?type=engagement.notification&ticket={}",
        server.url().replace("http://", "ws://"),
        ticket.text_at("/data/ticket")
    );
    let request = url.into_client_request().expect("is a request");
    let (mut socket, _) = tokio_tungstenite::connect_async(request).await.expect("is taken");
    let (post, _) = failing(&ada.api, "Hello").await;
    let heard = tokio::time::timeout(Duration::from_secs(60), async {
        loop {
            let message = socket.next().await.expect("goes on").expect("arrives");
            let Ok(text) = message.to_text() else { continue };
            let Ok(message) = serde_json::from_str::<Value>(text) else { continue };
            if message["kind"] == "event" {
                return message["event"].clone();
            }
        }
    })
    .await
    .expect("is told in time");
    assert_eq!(heard["data"]["kind"], "post_failed");
    assert_eq!(heard["data"]["about"]["post"], post.as_str());
}
