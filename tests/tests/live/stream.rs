//! A listener that reads Server-Sent Events as a browser does.

use std::{collections::VecDeque, pin::Pin, time::Duration};

use annals_tests::{Api, Method, Server, StatusCode, eventually};
use futures::{Stream, StreamExt as _};
use serde_json::{Value, json};

/// On a busy machine; nothing waits that long unless it fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// One event of the stream.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Told {
    /// What the next stream would go on after.
    pub(crate) id: Option<u64>,
    /// `message` if it has no name.
    pub(crate) name: String,
    pub(crate) data: Value,
}

type Bytes = Pin<Box<dyn Stream<Item = reqwest::Result<Vec<u8>>> + Send>>;

pub(crate) struct Events {
    body: Bytes,
    text: String,
    ready: VecDeque<Told>,
    /// Of the last event, as a browser remembers it.
    pub(crate) last_id: Option<u64>,
}

impl Events {
    /// Listens, and waits for the first sign of life.
    pub(crate) async fn open(api: &Api, path: &str) -> Self {
        let response = api.request(Method::GET, path).send().await.expect("the server answers");
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let body = Box::pin(response.bytes_stream().map(|chunk| chunk.map(|bytes| bytes.to_vec())));
        let mut events = Self { body, text: String::new(), ready: VecDeque::new(), last_id: None };
        while events.last_id.is_none() {
            assert!(events.read().await, "the stream begins with where it is");
        }
        events
    }

    /// The next event; `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<Told> {
        while self.ready.is_empty() {
            if !self.read().await {
                return None;
            }
        }
        self.ready.pop_front()
    }

    /// The positions of the next events that are told in full.
    pub(crate) async fn positions(&mut self, count: usize) -> Vec<u64> {
        let mut positions = Vec::new();
        while positions.len() < count {
            let told = self.next().await.expect("the stream goes on");
            assert_eq!(told.name, "message", "{told:?}");
            positions.push(told.data["position"].as_u64().expect("has a position"));
        }
        positions
    }

    /// The last word of a stream that ends.
    pub(crate) async fn last_word(mut self) -> Told {
        let mut last = None;
        while let Some(told) = self.next().await {
            last = Some(told);
        }
        last.expect("it said something before it ended")
    }

    async fn read(&mut self) -> bool {
        let chunk = tokio::time::timeout(PATIENCE, self.body.next()).await.expect("something comes in time");
        let Some(chunk) = chunk else { return false };
        self.text.push_str(&String::from_utf8(chunk.expect("the body arrives")).expect("is UTF-8"));
        while let Some((event, rest)) = self.text.split_once("\n\n") {
            let told = parse(event);
            self.text = rest.to_string();
            self.last_id = told.id.or(self.last_id);
            if told.data != Value::Null {
                self.ready.push_back(told);
            }
        }
        true
    }
}

/// As the HTML standard says (9.2.6), for what this server sends.
fn parse(event: &str) -> Told {
    let mut told = Told { name: "message".to_string(), ..Told::default() };
    for line in event.lines() {
        match line.split_once(": ").expect("each line is a field") {
            ("id", id) => told.id = Some(id.parse().expect("is a position")),
            ("event", name) => told.name = name.to_string(),
            ("data", data) => told.data = serde_json::from_str(data).expect("is JSON"),
            ("" | "retry", _) => {}
            (field, _) => panic!("{field} is no field"),
        }
    }
    told
}

/// Writes a draft; its position.
pub(crate) async fn draft(api: &Api, text: &str) -> u64 {
    let body = json!({"content": text, "type": "draft"});
    api.post("posts", body).await.expect(StatusCode::CREATED).position()
}

/// Waits until so many listen on the server.
pub(crate) async fn listeners(server: &Server, count: usize) {
    let line = format!("annals_live_listeners {count}");
    eventually(&format!("{count} listen"), PATIENCE, || async {
        let metrics = server.api().get("/metrics").await;
        metrics.text.lines().any(|found| found == line).then_some(())
    })
    .await;
}
