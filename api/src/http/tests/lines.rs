//! The log line of a request: one, with all that finds it again, and nothing that must not be read.

use std::{
    io::{self, Write},
    sync::Arc,
};

use annals_domain::kernel::Role;
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::support::{ADA, People, call, config, edge, get, post, signed, token};

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Lines {
    /// Starts to collect what this thread logs from `info` on.
    fn collect() -> (Self, tracing::subscriber::DefaultGuard) {
        let lines = Self::default();
        let writer = lines.clone();
        let subscriber = tracing_subscriber::fmt()
            .json()
            .flatten_event(true)
            .with_max_level(tracing::Level::INFO)
            .with_writer(move || writer.clone())
            .finish();
        (lines, tracing::subscriber::set_default(subscriber))
    }

    fn of_requests(&self) -> Vec<Value> {
        let text = String::from_utf8(self.0.lock().clone()).expect("is UTF-8");
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("is JSON"));
        lines
            .filter(|line| line["message"].as_str().is_some_and(|text| text.starts_with("request")))
            .collect()
    }
}

#[actix_web::test]
async fn a_request_is_one_line_that_stands_alone() {
    let edge = edge(People::with(Role::Owner), config()).await;
    let token = token(&edge);
    let (lines, _guard) = Lines::collect();
    let request = signed(post("/api/v1/things?perPage=9", &json!({"name": "hunter2"})), &token)
        .insert_header(("x-request-id", "mine"))
        .insert_header(("user-agent", "spy/1.0"));
    assert_eq!(call(&edge, request).await.status, 201);
    let told = lines.of_requests();
    assert_eq!(told.len(), 1, "{told:?}");
    let line = &told[0];
    assert_eq!(line["level"], "INFO");
    assert_eq!(line["http.method"], "POST");
    assert_eq!(line["http.route"], "/api/v1/things");
    assert_eq!(line["http.status"], 201);
    assert_eq!(line["request.id"], "mine");
    assert_eq!(line["user.id"], ADA.to_string());
    assert!(line["duration_ms"].is_number());
    let text = line.to_string();
    for secret in ["hunter2", &token, "ada@example.org", "spy/1.0", "203.0.113.7"] {
        assert!(!text.contains(secret), "{secret} is in {text}");
    }
}

#[actix_web::test]
async fn a_failure_is_logged_once_with_its_cause() {
    let edge = edge(People::default(), config()).await;
    let (lines, _guard) = Lines::collect();
    assert_eq!(call(&edge, get("/api/v1/panic")).await.status, 500);
    let told = lines.of_requests();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!((&told[0]["level"], &told[0]["http.status"]), (&json!("ERROR"), &json!(500)));
    assert!(told[0]["error"].as_str().is_some_and(|error| error.contains("on purpose")), "{}", told[0]);
}
