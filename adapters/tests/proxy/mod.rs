//! A network between Annals and a server that misbehaves on command.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
};

/// What happens to one call.
#[derive(Clone, Copy)]
pub(crate) enum Verdict {
    Forward,
    /// The server never hears of it.
    Answer(u16, &'static str),
    /// The server acts, its answer is lost.
    LoseAnswer,
}

/// One call: its method, and the how manieth of this method it is, from 1.
pub(crate) struct Seen<'s> {
    pub(crate) method: &'s str,
    pub(crate) count: usize,
}

pub(crate) struct Proxy {
    pub(crate) url: String,
    seen: Arc<Mutex<Vec<String>>>,
}

type Judge = dyn Fn(Seen<'_>) -> Verdict + Send + Sync;

struct Behind {
    upstream: String,
    url: String,
    judge: Box<Judge>,
    seen: Arc<Mutex<Vec<String>>>,
    http: reqwest::Client,
}

impl Proxy {
    pub(crate) async fn start(
        upstream: &str,
        judge: impl Fn(Seen<'_>) -> Verdict + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://localhost:{}", listener.local_addr().unwrap().port());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let behind = Arc::new(Behind {
            upstream: upstream.to_string(),
            url: url.clone(),
            judge: Box::new(judge),
            seen: Arc::clone(&seen),
            http: reqwest::Client::builder().no_proxy().build().unwrap(),
        });
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&behind)));
            }
        });
        Self { url, seen }
    }

    /// The methods that were called, in order.
    pub(crate) fn seen(&self) -> Vec<String> {
        self.seen.lock().clone()
    }
}

/// One call per connection.
async fn serve(stream: TcpStream, behind: Arc<Behind>) -> Option<()> {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    stream.read_line(&mut line).await.ok()?;
    let mut words = line.split(' ').map(str::to_string);
    let (verb, target) = (words.next()?, words.next()?);
    let (mut headers, mut length) = (Vec::new(), 0);
    loop {
        let mut header = String::new();
        stream.read_line(&mut header).await.ok()?;
        let Some((name, value)) = header.trim_end().split_once(": ") else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.parse().ok()?,
            "authorization" | "content-type" | "idempotency-key" => {
                headers.push((name.to_string(), value.to_string()))
            }
            _ => {}
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;

    let method = target.trim_start_matches("/xrpc/").split('?').next()?.to_string();
    let count = {
        let mut seen = behind.seen.lock();
        seen.push(method.clone());
        seen.iter().filter(|earlier| **earlier == method).count()
    };
    let verdict = (behind.judge)(Seen { method: &method, count });
    let (status, answer) = match verdict {
        Verdict::Answer(status, answer) => (status, answer.to_string()),
        Verdict::Forward | Verdict::LoseAnswer => {
            let url = format!("{}{target}", behind.upstream);
            let mut call = behind.http.request(verb.parse().ok()?, url).body(body);
            for (name, value) in headers {
                call = call.header(name, value);
            }
            let response = call.send().await.ok()?;
            let status = response.status().as_u16();
            // The account's document names its PDS: from here on that is us.
            (status, response.text().await.ok()?.replace(&behind.upstream, &behind.url))
        }
    };
    if matches!(verdict, Verdict::LoseAnswer) {
        return None;
    }
    let length = answer.len();
    let head = format!("HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n");
    stream.write_all(head.as_bytes()).await.ok()?;
    stream.write_all(answer.as_bytes()).await.ok()?;
    stream.flush().await.ok()
}
