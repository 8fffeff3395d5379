//! A proxy in front of a Nostr relay that kills the server at a chosen moment of a note's way, and what stands
//! on the relay.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use futures::{SinkExt, StreamExt};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Mutex, mpsc},
};
use tokio_tungstenite::{accept_async, connect_async, tungstenite::Message};

use crate::assassin::{Hit, Phase};

pub(crate) struct RelayAssassin {
    pub(crate) url: String,
    pub(crate) hits: mpsc::UnboundedReceiver<Hit>,
    shared: Arc<Shared>,
}

struct Shared {
    relay: String,
    victim: AtomicU32,
    /// By text: killed at its first arrival, once.
    orders: Mutex<HashMap<String, Phase>>,
    arrivals: Mutex<HashMap<String, usize>>,
    report: mpsc::UnboundedSender<Hit>,
}

impl RelayAssassin {
    pub(crate) async fn before(relay: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("ws://127.0.0.1:{}", listener.local_addr().expect("bound").port());
        let (report, hits) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            relay: relay.to_string(),
            victim: AtomicU32::new(0),
            orders: Mutex::default(),
            arrivals: Mutex::default(),
            report,
        });
        let serving = Arc::clone(&shared);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shared = Arc::clone(&serving);
                tokio::spawn(async move { shared.serve(stream).await });
            }
        });
        Self { url, hits, shared }
    }

    /// Whom to kill from now on.
    pub(crate) fn aim_at(&self, pid: u32) {
        self.shared.victim.store(pid, Ordering::SeqCst);
    }

    /// Kill at the first arrival of this text.
    pub(crate) async fn order(&self, text: &str, phase: Phase) {
        self.shared.orders.lock().await.insert(text.to_string(), phase);
    }

    /// How often this text was sent to be kept.
    pub(crate) async fn arrivals(&self, text: &str) -> usize {
        self.shared.arrivals.lock().await.get(text).copied().unwrap_or(0)
    }
}

impl Shared {
    /// One connection, which asks one thing at a time. `None`: it ended without an answer.
    async fn serve(&self, client: TcpStream) -> Option<()> {
        let mut client = accept_async(client).await.ok()?;
        let (mut relay, _) = connect_async(&self.relay).await.ok()?;
        while let Some(Ok(Message::Text(asked))) = client.next().await {
            let text = self.arrived(asked.as_str()).await;
            let order = match &text {
                Some(text) => self.orders.lock().await.remove(text),
                None => None,
            };
            if order == Some(Phase::Before) {
                self.kill();
                return self.report(text?, Phase::Before);
            }
            relay.send(Message::text(asked.to_string())).await.ok()?;
            if order == Some(Phase::During) {
                self.kill();
            }
            loop {
                let Message::Text(answer) = relay.next().await?.ok()? else { continue };
                let is_last = ["[\"OK\"", "[\"EOSE\""].iter().any(|last| answer.as_str().starts_with(last));
                if let Some(phase) = order.filter(|_| is_last) {
                    if phase == Phase::After {
                        assert!(answer.as_str().contains("true"), "the relay acted: {answer}");
                        self.kill();
                    }
                    return self.report(text?, phase);
                }
                client.send(Message::text(answer.to_string())).await.ok()?;
                if is_last {
                    break;
                }
            }
        }
        Some(())
    }

    /// The text of a note that is to be kept, counted.
    async fn arrived(&self, asked: &str) -> Option<String> {
        let asked: Value = serde_json::from_str(asked).ok()?;
        let text = asked[1]["content"].as_str().filter(|_| asked[0] == "EVENT")?.to_string();
        *self.arrivals.lock().await.entry(text.clone()).or_default() += 1;
        Some(text)
    }

    fn kill(&self) {
        let pid = i32::try_from(self.victim.load(Ordering::SeqCst)).ok().and_then(Pid::from_raw);
        kill_process(pid.expect("somebody is aimed at"), Signal::KILL).expect("the server still lives");
    }

    fn report(&self, text: String, phase: Phase) -> Option<()> {
        self.report.send(Hit { text, phase }).ok()
    }
}

/// The ids and texts of the notes on a relay whose text begins so.
pub(crate) async fn notes(relay: &str, begin: &str) -> Vec<(String, String)> {
    let (mut socket, _) = connect_async(relay).await.expect("the relay answers");
    let ask = json!(["REQ", "test", {"kinds": [1], "limit": 5000}]).to_string();
    socket.send(Message::text(ask)).await.expect("the relay listens");
    let mut notes = Vec::new();
    loop {
        let message = socket.next().await.expect("it goes on").expect("it speaks");
        let Message::Text(text) = message else { continue };
        let said: Value = serde_json::from_str(text.as_str()).expect("JSON");
        if said[0] != "EVENT" {
            return notes;
        }
        let word = |name: &str| said[2][name].as_str().expect("text").to_string();
        if word("content").starts_with(begin) {
            notes.push((word("id"), word("content")));
        }
    }
}
