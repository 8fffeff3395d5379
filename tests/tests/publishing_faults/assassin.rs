//! A proxy in front of the PDS that kills the server at a chosen moment of a post's way.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::{Mutex, mpsc},
};

/// When the server dies, as the PDS sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Phase {
    /// The call has arrived here; the PDS never hears of it.
    Before,
    /// The PDS has the whole call; its answer has not been read by anyone.
    During,
    /// The PDS has answered; the server never hears of it.
    After,
}

impl Phase {
    pub(crate) const ALL: [Self; 3] = [Self::Before, Self::During, Self::After];
}

/// A kill that happened.
#[derive(Clone, Debug)]
pub(crate) struct Hit {
    pub(crate) text: String,
    pub(crate) phase: Phase,
}

pub(crate) struct Assassin {
    pub(crate) url: String,
    pub(crate) hits: mpsc::UnboundedReceiver<Hit>,
    shared: Arc<Shared>,
}

struct Shared {
    url: String,
    /// The host and port of the PDS.
    upstream: String,
    victim: AtomicU32,
    /// By text: killed at its first arrival, once.
    orders: Mutex<HashMap<String, Phase>>,
    arrivals: Mutex<HashMap<String, usize>>,
    report: mpsc::UnboundedSender<Hit>,
}

/// A request or an answer, whole.
struct Message {
    first_line: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Assassin {
    pub(crate) async fn before(pds: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://localhost:{}", listener.local_addr().expect("bound").port());
        let (report, hits) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            url: url.clone(),
            upstream: pds.trim_start_matches("http://").to_string(),
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

    /// How often this text was sent to be written.
    pub(crate) async fn arrivals(&self, text: &str) -> usize {
        self.shared.arrivals.lock().await.get(text).copied().unwrap_or(0)
    }
}

impl Shared {
    /// One call per connection. `None`: it ended without an answer.
    async fn serve(&self, client: TcpStream) -> Option<()> {
        let mut client = BufReader::new(client);
        let request = Message::read(&mut client).await?;
        let text = self.arrived(&request).await;
        let order = match &text {
            Some(text) => self.orders.lock().await.remove(text),
            None => None,
        };
        if order == Some(Phase::Before) {
            self.kill();
            return self.report(text?, Phase::Before);
        }
        let mut server = TcpStream::connect(&self.upstream).await.ok()?;
        server.write_all(&request.written(Some(&self.upstream))).await.ok()?;
        server.flush().await.ok()?;
        if order == Some(Phase::During) {
            self.kill();
        }
        let mut answer = Message::read(&mut BufReader::new(server)).await?;
        if order == Some(Phase::After) {
            assert!(answer.first_line.contains(" 200 "), "the PDS acted: {}", answer.first_line);
            self.kill();
        }
        if let Some(phase) = order {
            return self.report(text?, phase);
        }
        // The account's document names its PDS: from here on that is us.
        let body =
            String::from_utf8_lossy(&answer.body).replace(&format!("http://{}", self.upstream), &self.url);
        answer.body = body.into_bytes();
        client.write_all(&answer.written(None)).await.ok()?;
        client.flush().await.ok()
    }

    /// The text of a post that is to be written, or the mark of an image that comes in, counted.
    async fn arrived(&self, request: &Message) -> Option<String> {
        let text = if request.first_line.contains("com.atproto.repo.putRecord") {
            let body: Value = serde_json::from_slice(&request.body).ok()?;
            body["record"]["text"].as_str()?.to_string()
        } else if request.first_line.contains("com.atproto.repo.uploadBlob") {
            mark_of(&request.body)?
        } else {
            return None;
        };
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

/// What stands behind a PNG's end: four bytes of a checksum, then what a test wrote there.
fn mark_of(png: &[u8]) -> Option<String> {
    let end = png.windows(4).rposition(|bytes| bytes == b"IEND")? + 8;
    String::from_utf8(png.get(end..)?.to_vec()).ok()
}

impl Message {
    async fn read<S: tokio::io::AsyncRead + Unpin>(stream: &mut BufReader<S>) -> Option<Self> {
        let mut first_line = String::new();
        stream.read_line(&mut first_line).await.ok()?;
        let (mut headers, mut length, mut chunked) = (Vec::new(), 0, false);
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await.ok()? == 0 {
                return None;
            }
            let Some((name, value)) = line.trim_end().split_once(": ") else { break };
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.parse().ok()?,
                "transfer-encoding" => chunked = value.eq_ignore_ascii_case("chunked"),
                "connection" | "keep-alive" | "host" | "accept-encoding" => {}
                _ => headers.push((name.to_string(), value.to_string())),
            }
        }
        let mut body = vec![0; length];
        stream.read_exact(&mut body).await.ok()?;
        while chunked {
            let mut size = String::new();
            stream.read_line(&mut size).await.ok()?;
            let size = usize::from_str_radix(size.trim(), 16).ok()?;
            let mut chunk = vec![0; size + 2];
            stream.read_exact(&mut chunk).await.ok()?;
            body.extend_from_slice(&chunk[..size]);
            chunked = size > 0;
        }
        Some(Self { first_line: first_line.trim_end().to_string(), headers, body })
    }

    fn written(&self, host: Option<&str>) -> Vec<u8> {
        let mut head =
            format!("{}\r\nconnection: close\r\ncontent-length: {}\r\n", self.first_line, self.body.len());
        let host = host.map(|host| ("host".to_string(), host.to_string()));
        for (name, value) in self.headers.iter().chain(&host) {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str("\r\n");
        [head.as_bytes(), &self.body].concat()
    }
}
