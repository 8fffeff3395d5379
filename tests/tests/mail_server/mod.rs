//! A mail server that does with mail what a test wants, by RFC 5321's words.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// What it does once it has a whole mail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AfterData {
    Accept,
    /// Closes the connection without a word.
    HangUp,
    /// Says nothing, and keeps the connection.
    Hold,
    /// 451: not now.
    Busy,
    /// 550, with the address in its words.
    Refuse,
}

pub(crate) struct MailServer {
    port: u16,
    does: watch::Sender<AfterData>,
    mails: Arc<AtomicUsize>,
}

impl MailServer {
    pub(crate) async fn start(does: AfterData) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("has an address").port();
        let (sender, does) = watch::channel(does);
        let server = Self { port, does: sender, mails: Arc::default() };
        let mails = Arc::clone(&server.mails);
        tokio::spawn(async move {
            while let Ok((connection, _)) = listener.accept().await {
                tokio::spawn(serve(connection, does.clone(), Arc::clone(&mails)));
            }
        });
        server
    }

    pub(crate) fn url(&self) -> String {
        format!("smtp://127.0.0.1:{}", self.port)
    }

    pub(crate) fn now_does(&self, does: AfterData) {
        self.does.send_replace(does);
    }

    /// Whole mails that it was given, whatever it answered.
    pub(crate) fn mails(&self) -> usize {
        self.mails.load(Ordering::SeqCst)
    }
}

/// One connection; it ends with whoever hangs up first.
async fn serve(mut connection: TcpStream, does: watch::Receiver<AfterData>, mails: Arc<AtomicUsize>) {
    let (read, mut write) = connection.split();
    let mut lines = BufReader::new(read).lines();
    let mut is_data = false;
    if write.write_all(b"220 ready\r\n").await.is_err() {
        return;
    }
    while let Ok(Some(line)) = lines.next_line().await {
        let answer = if is_data {
            if line != "." {
                continue;
            }
            is_data = false;
            mails.fetch_add(1, Ordering::SeqCst);
            let does = *does.borrow();
            match does {
                AfterData::Accept => "250 taken",
                AfterData::HangUp => return,
                AfterData::Hold => continue,
                AfterData::Busy => "451 not now",
                AfterData::Refuse => "550 <grace@example.org> is not wanted here",
            }
        } else {
            let verb = line.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
            is_data = verb == "DATA";
            match verb.as_str() {
                "DATA" => "354 go on",
                "QUIT" => "221 bye",
                _ => "250 fine",
            }
        };
        if write.write_all(format!("{answer}\r\n").as_bytes()).await.is_err() {
            return;
        }
    }
}
