//! A relay that says what the test wants said: by itself, or between us and the real one.

use std::sync::Arc;

use futures::{SinkExt, StreamExt};
use parking_lot::Mutex;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::{accept_async, connect_async, tungstenite::Message};

/// What happens to one message of ours.
#[derive(Clone)]
pub(crate) enum Verdict {
    /// These are said, in order.
    Say(Vec<String>),
    /// The real relay hears it, and its answers come back.
    Forward,
    /// The real relay hears it; the connection breaks before its answer.
    LoseAnswer,
    /// Nothing, until the other side gives up.
    Silence,
}

pub(crate) struct Stub {
    pub(crate) url: String,
    heard: Arc<Mutex<Vec<Value>>>,
}

type Judge = dyn Fn(&Value, usize) -> Verdict + Send + Sync;

impl Stub {
    /// `judge` is given a message and the how manieth of its kind it is, from 1.
    pub(crate) async fn start(
        upstream: Option<&str>,
        judge: impl Fn(&Value, usize) -> Verdict + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://127.0.0.1:{}", listener.local_addr().unwrap().port());
        let heard: Arc<Mutex<Vec<Value>>> = Arc::default();
        let (upstream, judge): (_, Arc<Judge>) = (upstream.map(str::to_string), Arc::new(judge));
        let seen = Arc::clone(&heard);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, upstream.clone(), Arc::clone(&judge), Arc::clone(&seen)));
            }
        });
        Self { url, heard }
    }

    /// The messages of one kind (`EVENT`), in order.
    pub(crate) fn heard(&self, kind: &str) -> Vec<Value> {
        self.heard.lock().iter().filter(|message| message[0] == kind).cloned().collect()
    }
}

/// A relay that knows no profiles, and answers each event with what `verdict` says.
pub(crate) async fn answering(
    verdict: impl Fn(&Value, usize) -> (bool, String) + Send + Sync + 'static,
) -> Stub {
    Stub::start(None, move |message, count| match message[0].as_str() {
        Some("REQ") => Verdict::Say(vec![end_of(message)]),
        Some("EVENT") => {
            let (accepted, reason) = verdict(message, count);
            Verdict::Say(vec![ok(message, accepted, &reason)])
        }
        _ => Verdict::Say(Vec::new()),
    })
    .await
}

pub(crate) fn ok(message: &Value, accepted: bool, reason: &str) -> String {
    serde_json::json!(["OK", message[1]["id"], accepted, reason]).to_string()
}

pub(crate) fn end_of(message: &Value) -> String {
    serde_json::json!(["EOSE", message[1]]).to_string()
}

async fn serve(
    stream: TcpStream,
    upstream: Option<String>,
    judge: Arc<Judge>,
    heard: Arc<Mutex<Vec<Value>>>,
) -> Option<()> {
    let mut socket = accept_async(stream).await.ok()?;
    let mut real = match upstream {
        Some(url) => Some(connect_async(url).await.ok()?.0),
        None => None,
    };
    while let Some(Ok(message)) = socket.next().await {
        let Message::Text(text) = message else { continue };
        let said: Value = serde_json::from_str(text.as_str()).ok()?;
        let count = {
            let mut heard = heard.lock();
            heard.push(said.clone());
            heard.iter().filter(|earlier| earlier[0] == said[0]).count()
        };
        match judge(&said, count) {
            Verdict::Say(answers) => {
                for answer in answers {
                    socket.send(Message::text(answer)).await.ok()?;
                }
            }
            Verdict::Silence => {}
            verdict @ (Verdict::Forward | Verdict::LoseAnswer) => {
                let real = real.as_mut()?;
                real.send(Message::text(text.to_string())).await.ok()?;
                loop {
                    let answer = real.next().await?.ok()?;
                    let Message::Text(answer) = answer else { continue };
                    let is_last =
                        ["[\"OK\"", "[\"EOSE\""].iter().any(|last| answer.as_str().starts_with(last));
                    if is_last && matches!(verdict, Verdict::LoseAnswer) {
                        return None;
                    }
                    socket.send(Message::text(answer.to_string())).await.ok()?;
                    if is_last {
                        break;
                    }
                }
            }
        }
    }
    Some(())
}
