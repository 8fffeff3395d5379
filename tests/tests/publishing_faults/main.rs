//! Publishing while the worker is killed before, during and after the platform acts: what stands on a real
//! PDS, on a real Nostr relay and in the feed is counted and compared with what Annals says. Never two; none missing unless said
//! unknown (invariant 6).
//!
//! Each phase is hit 20 times, and each hit is proven: on PDS and relay by a proxy between the two, which kills
//! the server at that moment; in the feed, where acting and recording are one, by holding the append of an event
//! in Postgres and killing the server while it waits.

mod assassin;
mod bluesky;
mod feed;
mod images;
mod nostr;
mod pds;
mod relay;

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

use annals_tests::{Account, Api, Method, Server, StatusCode, eventually};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// How often each phase is hit.
const KILLS: usize = 20;
/// The same of a post with an image, whose way has twice as many.
const IMAGE_KILLS: usize = 5;

/// A worker that died holds its post until its lease ends (90 s), and the machine may be busy.
const SETTLED_WITHIN: Duration = Duration::from_secs(240);

/// An outcome that is unknown for this long is not about to be found out. Longer than a lease: the
/// worker that was asking the platform may have been killed too.
const UNKNOWN_STAYS: Duration = Duration::from_secs(110);

async fn connect(account: &Account, body: Value) -> String {
    let answer = account.api.post("integrations/connect", body).await.expect(StatusCode::CREATED);
    answer.text_at("/data/id")
}

/// A text that is published at once on a channel.
fn now_on(channel: &str, text: &str) -> Value {
    json!({"content": text, "type": "now", "integrations": [{"id": channel}]})
}

/// Publishes at once; returns the post's id.
async fn publish_now(account: &Account, body: &Value) -> String {
    let request = account.api.request(Method::POST, "posts").header("Idempotency-Key", key_of(body));
    Api::send(request.json(body)).await.expect(StatusCode::CREATED).text_at("/data/id")
}

/// Asks for the same without waiting for the answer: the kill may come before it. Asked again under its key,
/// [`publish_now`] says which post it became.
fn ask_to_publish(account: &Account, body: &Value) {
    let request = account.api.request(Method::POST, "posts").header("Idempotency-Key", key_of(body));
    tokio::spawn(request.json(body).send());
}

fn key_of(body: &Value) -> String {
    hex::encode(Sha256::digest(body["content"].as_str().expect("it has a text")))
}

/// What Annals says of a post on its only channel, once it says anything final. Unknown is final if it stays:
/// the worker asks the platform next.
async fn settled(account: &Account, post: &str) -> Value {
    let path = format!("posts/{post}");
    let unknown_since = Cell::new(None);
    eventually(&format!("post {post} is settled"), SETTLED_WITHIN, || async {
        let answer = account.api.get(&path).await;
        let delivery = answer.at("/data/integrations/0").clone();
        let is_final = match delivery["status"].as_str() {
            Some("published" | "failed") => true,
            Some("unknown") => {
                let since = unknown_since.get().unwrap_or_else(Instant::now);
                unknown_since.set(Some(since));
                since.elapsed() > UNKNOWN_STAYS
            }
            _ => false,
        };
        is_final.then_some(delivery)
    })
    .await
}

/// Ends the leases that dead workers hold, as 90 seconds would.
async fn end_leases(server: &Server) {
    let pool = &server.database().expect("on the test server").pool;
    sqlx::query("UPDATE process.timers SET lease_until = clock_timestamp() WHERE lease_until IS NOT NULL")
        .execute(pool)
        .await
        .expect("the timers can be written");
}
