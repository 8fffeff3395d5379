//! No Discord runs on a laptop: this is a stub of what its documentation says of version 10 of its API, as far as
//! Annals uses it. One bot (`900`), one webhook (`42`), one channel for texts (`555`), one for voices (`556`),
//! one that the bot may not see (`557`). Told to, it misbehaves.

use std::{collections::HashMap, sync::Arc};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::Mutex,
};

pub(crate) const BOT_TOKEN: &str = "a.bot.token";
pub(crate) const WEBHOOK: &str = "/api/webhooks/42/hook-token";
/// 2015-01-01, from which ids count.
const EPOCH_MS: i64 = 1_420_070_400_000;

/// What happens to a call.
#[derive(Clone)]
pub(crate) enum Verdict {
    /// What the documentation says.
    Act,
    /// The same, and the answer is lost.
    ActAndLoseAnswer,
    /// Nothing is done; this is answered.
    Answer(u16, &'static str, &'static str),
}

type Judge = dyn Fn(&str, usize) -> Verdict + Send + Sync;

pub(crate) struct Discord {
    pub(crate) url: String,
    state: Arc<State>,
}

struct State {
    judge: Box<Judge>,
    messages: Mutex<Vec<Value>>,
    /// How often each method and path was called.
    counts: Mutex<HashMap<String, usize>>,
}

struct Request {
    method: String,
    path: String,
    query: HashMap<String, String>,
    headers: HashMap<String, String>,
    body: Value,
}

impl Discord {
    /// `judge` is given `POST /channels/555/messages` and the how manieth of its kind it is, from 1.
    pub(crate) async fn start(judge: impl Fn(&str, usize) -> Verdict + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://127.0.0.1:{}", listener.local_addr().expect("bound").port());
        let (messages, counts) = (Mutex::default(), Mutex::default());
        let state = Arc::new(State { judge: Box::new(judge), messages, counts });
        let serving = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&serving)));
            }
        });
        Self { url, state }
    }

    /// What stands in the channel, the oldest first.
    pub(crate) async fn messages(&self) -> Vec<Value> {
        self.state.messages.lock().await.clone()
    }

    /// How often `POST /channels/555/messages` was called.
    pub(crate) async fn count(&self, call: &str) -> usize {
        self.state.counts.lock().await.get(call).copied().unwrap_or(0)
    }
}

/// One call per connection.
async fn serve(stream: TcpStream, state: Arc<State>) -> Option<()> {
    let mut stream = BufReader::new(stream);
    let request = read(&mut stream).await?;
    let call = format!("{} {}", request.method, request.path);
    let count = {
        let mut counts = state.counts.lock().await;
        let count = counts.entry(call.clone()).or_default();
        *count += 1;
        *count
    };
    let (status, headers, body) = match (state.judge)(&call, count) {
        Verdict::Answer(status, headers, body) => (status, headers, body.to_string()),
        verdict => {
            let (status, body) = state.act(&request).await;
            if matches!(verdict, Verdict::ActAndLoseAnswer) {
                return None;
            }
            (status, "", body.to_string())
        }
    };
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-type: application/json\r\n{headers}content-length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.ok()?;
    stream.write_all(body.as_bytes()).await.ok()?;
    stream.flush().await.ok()
}

async fn read(stream: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut line = String::new();
    stream.read_line(&mut line).await.ok()?;
    let mut words = line.split(' ');
    let (method, target) = (words.next()?.to_string(), words.next()?.to_string());
    let mut headers = HashMap::new();
    loop {
        let mut header = String::new();
        stream.read_line(&mut header).await.ok()?;
        let Some((name, value)) = header.trim_end().split_once(": ") else { break };
        headers.insert(name.to_ascii_lowercase(), value.to_string());
    }
    let length = headers.get("content-length").and_then(|text| text.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let query = query.split('&').filter_map(|pair| pair.split_once('='));
    Some(Request {
        method,
        path: path.strip_prefix("/api/v10")?.to_string(),
        query: query.map(|(name, value)| (name.to_string(), value.to_string())).collect(),
        headers,
        body: serde_json::from_slice(&body).unwrap_or_default(),
    })
}

fn refusal(status: u16, code: u32, message: &str) -> (u16, Value) {
    (status, json!({"message": message, "code": code}))
}

impl State {
    async fn act(&self, request: &Request) -> (u16, Value) {
        if !request.headers.get("user-agent").is_some_and(|agent| agent.starts_with("DiscordBot (http")) {
            return refusal(403, 40333, "internal network error");
        }
        let path: Vec<&str> = request.path.trim_start_matches('/').split('/').collect();
        let is_bot = request.headers.get("authorization") == Some(&format!("Bot {BOT_TOKEN}"));
        match (request.method.as_str(), path.as_slice()) {
            (_, ["webhooks", "42", "hook-token"]) => self.webhook(request).await,
            (_, ["webhooks", ..]) => refusal(404, 10015, "Unknown Webhook"),
            _ if !is_bot => refusal(401, 0, "401: Unauthorized"),
            ("GET", ["users", "@me"]) => (200, json!({"id": "900", "username": "annals", "avatar": "abc"})),
            ("GET", ["channels", "555"]) => {
                (200, json!({"id": "555", "type": 0, "name": "news", "guild_id": "777"}))
            }
            ("GET", ["channels", "556"]) => {
                (200, json!({"id": "556", "type": 2, "name": "voices", "guild_id": "777"}))
            }
            ("GET", ["channels", "557"]) => refusal(403, 50001, "Missing Access"),
            ("POST", ["channels", "555", "messages"]) => self.create(request, "900").await,
            ("GET", ["channels", "555", "messages"]) => self.list(request).await,
            _ => refusal(404, 10003, "Unknown Channel"),
        }
    }

    async fn webhook(&self, request: &Request) -> (u16, Value) {
        if request.method == "GET" {
            let hook = json!({"id": "42", "type": 1, "name": "News hook", "channel_id": "555", "guild_id": "777",
                "avatar": null, "token": "hook-token"});
            return (200, hook);
        }
        let (status, message) = self.create(request, "42").await;
        let waited_for = request.query.get("wait").is_some_and(|wait| wait == "true");
        if waited_for || status != 200 { (status, message) } else { (204, Value::Null) }
    }

    async fn create(&self, request: &Request, author: &str) -> (u16, Value) {
        let content = request.body["content"].as_str().unwrap_or_default().trim();
        if content.is_empty() {
            return refusal(400, 50006, "Cannot send an empty message");
        }
        if content.chars().count() > 2_000 {
            return refusal(400, 50035, "Invalid Form Body");
        }
        let mut messages = self.messages.lock().await;
        let nonce = &request.body["nonce"];
        if request.body["enforce_nonce"] == true {
            let same = |message: &&Value| message["nonce"] == *nonce && message["author"]["id"] == author;
            if let Some(message) = messages.iter().find(same) {
                return (200, message.clone());
            }
        }
        let reference = &request.body["message_reference"];
        let is_there = |id: &Value| messages.iter().any(|message| message["id"] == *id);
        if !reference.is_null() && !is_there(&reference["message_id"]) {
            let errors = json!({"message_reference": {"_errors": [{"code": "REPLIES_UNKNOWN_MESSAGE",
                "message": "Unknown message"}]}});
            return (400, json!({"message": "Invalid Form Body", "code": 50035, "errors": errors}));
        }
        let now = chrono::Utc::now().timestamp_millis() - EPOCH_MS;
        let id = (now << 22) + messages.len() as i64;
        let message = json!({
            "id": id.to_string(), "channel_id": "555", "content": content, "nonce": nonce,
            "author": {"id": author}, "message_reference": reference,
            "allowed_mentions": request.body["allowed_mentions"],
        });
        messages.push(message.clone());
        (200, message)
    }

    async fn list(&self, request: &Request) -> (u16, Value) {
        let number = |name: &str| request.query.get(name).and_then(|text| text.parse::<i64>().ok());
        let (after, limit) = (number("after").unwrap_or(0), number("limit").unwrap_or(50));
        let id = |message: &Value| message["id"].as_str().and_then(|id| id.parse::<i64>().ok());
        let messages = self.messages.lock().await;
        let later = messages.iter().filter(|message| id(message) > Some(after));
        let mut page: Vec<Value> = later.take(usize::try_from(limit).unwrap_or(50)).cloned().collect();
        for message in &mut page {
            // "Lost if re-fetched", and nobody is told whom a message might have called.
            if let Some(fields) = message.as_object_mut() {
                fields.remove("nonce");
                fields.remove("allowed_mentions");
            }
        }
        page.reverse();
        (200, json!(page))
    }
}
