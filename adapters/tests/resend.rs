//! Resend's HTTP API as its documentation has it (<https://resend.com/docs/api-reference>), by a stub that
//! answers what a test wants and keeps what it was sent.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use annals_adapters::mail::{MailFolder, Outgoing, Resend, Transport};
use annals_commands::ports::mail::{Letter, Mail, MailError, Mailer};
use annals_domain::kernel::EmailAddress;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use uuid::Uuid;

/// Takes one request, answers, hangs up; what it was sent comes back.
async fn one_request(answer: &'static str) -> (String, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let request = tokio::spawn(async move {
        let (mut connection, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !is_whole(&request) {
            let mut buffer = [0; 4096];
            let read = connection.read(&mut buffer).await.unwrap();
            assert!(read > 0, "the request ended early");
            request.extend_from_slice(&buffer[..read]);
        }
        connection.write_all(answer.as_bytes()).await.unwrap();
        String::from_utf8(request).unwrap()
    });
    (url, request)
}

fn is_whole(request: &[u8]) -> bool {
    let text = String::from_utf8_lossy(request);
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length =
        head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
    length.is_some_and(|length: usize| body.len() >= length)
}

fn mail() -> Mail {
    Mail {
        message_id: Uuid::from_u128(7),
        person: "user:1".to_string(),
        to: EmailAddress::parse("ada@example.org").unwrap(),
        letter: Letter::PasswordReset {
            name: "Ada".to_string(),
            link: "https://annals.example.org/console/reset-password#token=pr_1".parse().unwrap(),
            until: "Friday".to_string(),
        },
        unsubscribe: None,
        at: "2026-11-21T01:00:00Z".parse().unwrap(),
    }
}

async fn sent(answer: &'static str) -> (Result<(), MailError>, String) {
    let (url, request) = one_request(answer).await;
    let data = tempfile::tempdir().unwrap();
    let resend = Resend::new(&url.parse().unwrap(), "re_123").unwrap();
    let sender = "Annals <annals@example.org>".parse().unwrap();
    let outgoing = Outgoing::new(MailFolder::new(data.path()), sender, Transport::Resend(resend));
    (outgoing.send(&mail()).await, request.await.unwrap())
}

#[tokio::test]
async fn a_mail_is_one_call_with_the_key_and_the_events_id() {
    let (result, request) = sent(
        "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 45\r\n\r\n\
         {\"id\":\"49a3999c-0ce1-4ea6-ab68-afcd6dc2e794\"}",
    )
    .await;
    result.unwrap();
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST /emails HTTP/1.1\r\n"), "{head}");
    let head = head.to_lowercase();
    assert!(head.contains("authorization: bearer re_123\r\n"));
    assert!(head.contains("idempotency-key: 00000000-0000-0000-0000-000000000007\r\n"));
    let body: Value = serde_json::from_str(body).unwrap();
    assert_eq!(body["from"], "Annals <annals@example.org>");
    assert_eq!(body["to"], serde_json::json!(["ada@example.org"]));
    assert_eq!(body["subject"], "Set a new password");
    assert_eq!(body["headers"]["Message-ID"], "<00000000-0000-0000-0000-000000000007@example.org>");
    for part in ["html", "text"] {
        assert!(body[part].as_str().unwrap().contains("#token=pr_1"), "{part}");
    }
}

#[tokio::test]
async fn only_an_answer_that_says_so_means_that_it_was_not_sent() {
    let answer = sent("HTTP/1.1 422 Unprocessable Entity\r\ncontent-length: 0\r\n\r\n").await.0;
    assert!(matches!(answer, Err(MailError::Refused { .. })), "{answer:?}");
    let answer =
        sent("HTTP/1.1 429 Too Many Requests\r\nretry-after: 7\r\ncontent-length: 0\r\n\r\n").await.0;
    let seven = Some(std::time::Duration::from_secs(7));
    assert!(
        matches!(&answer, Err(MailError::NotSent { not_before, .. }) if *not_before == seven),
        "{answer:?}"
    );
    let answer = sent("HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\n\r\n").await.0;
    assert!(matches!(answer, Err(MailError::NotSent { .. })), "{answer:?}");
    for in_doubt in ["HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n", ""] {
        let answer = sent(in_doubt).await.0;
        assert!(matches!(answer, Err(MailError::Unknown { .. })), "{in_doubt:?}: {answer:?}");
    }
}

#[tokio::test]
async fn nobody_there_is_not_sent() {
    let resend = Resend::new(&"http://127.0.0.1:1".parse().unwrap(), "re_123").unwrap();
    let sender = "Annals <annals@example.org>".parse().unwrap();
    let data = tempfile::tempdir().unwrap();
    let outgoing = Outgoing::new(MailFolder::new(data.path()), sender, Transport::Resend(resend));
    let answer = outgoing.send(&mail()).await;
    assert!(matches!(answer, Err(MailError::NotSent { .. })), "{answer:?}");
}
