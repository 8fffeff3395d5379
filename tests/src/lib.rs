//! The harness of the acceptance tests: the real program, over HTTP, on a real Postgres.
//!
//! [`Server::start`] gives a server with a database of its own on the test server
//! (`ANNALS_TEST_DATABASE_URL`); [`Server::private`] one that runs its own Postgres, as a
//! newcomer's does. Both can be killed, stopped and started again, and joined by further nodes.

mod client;
pub mod form;
mod object_store;
mod server;

pub use annals_eventstore::testing::{TestDatabase, free_port};
pub use client::{Account, Answer, Api, PASSWORD};
pub use object_store::ObjectStore;
pub use server::{Server, Settings, program};

pub use reqwest::{Method, StatusCode};

use std::{future::Future, time::Duration};

/// Asks again and again until there is an answer, at most `within`.
///
/// # Panics
/// If there is none by then; `what` says what was waited for.
pub async fn eventually<T, F>(what: &str, within: Duration, mut ask: impl FnMut() -> F) -> T
where
    F: Future<Output = Option<T>>,
{
    let deadline = tokio::time::Instant::now() + within;
    loop {
        if let Some(answer) = ask().await {
            return answer;
        }
        assert!(tokio::time::Instant::now() < deadline, "waited {within:?} in vain: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// The address of the real Bluesky PDS, if the test run started one.
///
/// # Panics
/// In CI, where a missing part is a failure; elsewhere the test is skipped with a line that says so.
pub fn bluesky_pds(test: &str) -> Option<String> {
    let url = std::env::var("ANNALS_TEST_PDS_URL").ok().filter(|url| !url.is_empty());
    if url.is_none() {
        assert!(
            std::env::var_os("CI").is_none(),
            "{test}: ANNALS_TEST_PDS_URL is not set: run scripts/test, which starts a Bluesky PDS"
        );
        skipped(test, "bluesky-pds");
    }
    url
}

/// The address of a part that speaks Mastodon's API, if the test run started one.
///
/// # Panics
/// In CI, where a missing part is a failure; elsewhere the test is skipped with a line that says so.
pub fn mastodon(test: &str) -> Option<String> {
    let url = std::env::var("ANNALS_TEST_MASTODON_URL").ok().filter(|url| !url.is_empty());
    if url.is_none() {
        assert!(
            std::env::var_os("CI").is_none(),
            "{test}: ANNALS_TEST_MASTODON_URL is not set: run scripts/test, which starts scripts/parts/mastodon"
        );
        skipped(test, "mastodon");
    }
    url
}

/// The address of a real Nostr relay, if the test run started one.
///
/// # Panics
/// In CI, where a missing part is a failure; elsewhere the test is skipped with a line that says so.
pub fn nostr_relay(test: &str) -> Option<String> {
    let url = std::env::var("ANNALS_TEST_NOSTR").ok().filter(|url| !url.is_empty());
    if url.is_none() {
        assert!(
            std::env::var_os("CI").is_none(),
            "{test}: ANNALS_TEST_NOSTR is not set: run scripts/test, which starts scripts/parts/nostr-relay"
        );
        skipped(test, "nostr-relay");
    }
    url
}

/// A real browser and what drives it.
#[derive(Clone, Debug)]
pub struct Chromium {
    pub program: String,
    /// The folder of node modules with `playwright-core` and `axe-core`.
    pub tools: String,
}

/// The browser that the test run prepared.
///
/// # Panics
/// In CI, where a missing part is a failure; elsewhere the test is skipped with a line that says so.
pub fn chromium(test: &str) -> Option<Chromium> {
    let variable = |name| std::env::var(name).ok().filter(|value: &String| !value.is_empty());
    let found = variable("ANNALS_TEST_CHROMIUM").zip(variable("ANNALS_TEST_BROWSER_TOOLS"));
    if found.is_none() {
        assert!(
            std::env::var_os("CI").is_none(),
            "{test}: ANNALS_TEST_CHROMIUM is not set: run scripts/test, which prepares a browser"
        );
        skipped(test, "chromium");
    }
    found.map(|(program, tools)| Chromium { program, tools })
}

/// The real Kafka cluster, if the test run started one.
///
/// # Panics
/// In CI, where a missing part is a failure; elsewhere the test is skipped with a line that says so.
pub fn kafka_brokers(test: &str) -> Option<String> {
    let brokers = std::env::var("ANNALS_TEST_KAFKA_BROKERS").ok().filter(|brokers| !brokers.is_empty());
    if brokers.is_none() {
        assert!(
            std::env::var_os("CI").is_none(),
            "{test}: ANNALS_TEST_KAFKA_BROKERS is not set: run scripts/test, which starts a broker"
        );
        skipped(test, "kafka");
    }
    brokers
}

/// The real mail server, if the test run started one: where it takes mail, and where its mail is read.
///
/// # Panics
/// In CI, where a missing part is a failure; elsewhere the test is skipped with a line that says so.
pub fn maildev(test: &str) -> Option<(String, String)> {
    let urls = std::env::var("ANNALS_TEST_MAILDEV").unwrap_or_default();
    let found = urls.split_once(' ').map(|(smtp, http)| (smtp.to_string(), http.to_string()));
    if found.is_none() {
        assert!(
            std::env::var_os("CI").is_none(),
            "{test}: ANNALS_TEST_MAILDEV is not set: run scripts/test, which starts a mail server"
        );
        skipped(test, "maildev");
    }
    found
}

/// The issuer of the real OpenID provider, if the test run started one.
///
/// # Panics
/// In CI, where a missing part is a failure; elsewhere the test is skipped with a line that says so.
pub fn oidc_provider(test: &str) -> Option<String> {
    let issuer = std::env::var("ANNALS_TEST_OIDC").ok().filter(|issuer| !issuer.is_empty());
    if issuer.is_none() {
        assert!(
            std::env::var_os("CI").is_none(),
            "{test}: ANNALS_TEST_OIDC is not set: run scripts/test, which starts an OpenID provider"
        );
        skipped(test, "oidc-provider");
    }
    issuer
}

/// Where others' services are emulated.
#[derive(Clone, Debug)]
pub struct Emulated {
    pub google: String,
    pub slack: String,
    pub github: String,
}

/// The emulations that the test run started, if it did.
///
/// # Panics
/// In CI, where a missing part is a failure; elsewhere the test is skipped with a line that says so.
pub fn emulated(test: &str) -> Option<Emulated> {
    let urls = std::env::var("ANNALS_TEST_EMULATE").unwrap_or_default();
    let urls: Vec<String> = urls.split_whitespace().map(str::to_string).collect();
    let Ok([google, slack, github]) = <[String; 3]>::try_from(urls) else {
        assert!(
            std::env::var_os("CI").is_none(),
            "{test}: ANNALS_TEST_EMULATE is not set: run scripts/test, which starts scripts/parts/emulate"
        );
        skipped(test, "emulate");
        return None;
    };
    Some(Emulated { google, slack, github })
}

/// The `ffmpeg` that the test run found, to make videos with; servers find their own.
///
/// # Panics
/// In CI, where a missing part is a failure; elsewhere the test is skipped with a line that says so.
pub fn ffmpeg(test: &str) -> Option<std::path::PathBuf> {
    let program = std::env::var_os("ANNALS_TEST_FFMPEG").filter(|program| !program.is_empty());
    if program.is_none() {
        assert!(
            std::env::var_os("CI").is_none(),
            "{test}: ANNALS_TEST_FFMPEG is not set: run scripts/test, which finds ffmpeg"
        );
        skipped(test, "ffmpeg");
    }
    program.map(Into::into)
}

/// `s3s-fs`, a real S3 server in one program, which the test run built: the one that `ANNALS_TEST_S3S_FS`
/// names, else the one on the path.
///
/// # Panics
/// In CI, where a missing part is a failure; elsewhere the test is skipped with a line that says so.
pub fn s3s_fs(test: &str) -> Option<std::path::PathBuf> {
    let program = std::env::var_os("ANNALS_TEST_S3S_FS").unwrap_or_else(|| "s3s-fs".into());
    let runs = std::process::Command::new(&program).arg("--version").output();
    if !runs.is_ok_and(|output| output.status.success()) {
        assert!(
            std::env::var_os("CI").is_none(),
            "{test}: ANNALS_TEST_S3S_FS is not set: run scripts/test, which builds s3s-fs"
        );
        skipped(test, "s3s-fs");
        return None;
    }
    Some(program.into())
}

/// The Go program that verifies our proofs, built from `tests/interop/tlog`; `None`, with a line in the
/// summary, where there is no Go or its module proxy can't be reached.
///
/// # Panics
/// If there is all that it takes and it does not build.
pub fn go_verifier(test: &str) -> Option<std::path::PathBuf> {
    use std::process::Command;
    let go = ["go", "/usr/local/go/bin/go"];
    let runs =
        |go: &&str| Command::new(go).arg("version").output().is_ok_and(|output| output.status.success());
    let Some(go) = go.into_iter().find(runs) else {
        skipped(test, "go");
        return None;
    };
    let source = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("interop/tlog");
    let fetched = Command::new(go).args(["mod", "download"]).current_dir(&source).output();
    if !fetched.is_ok_and(|output| output.status.success()) {
        skipped(test, "golang.org/x/mod");
        return None;
    }
    // Beside the test's own program: the next run finds it built.
    let program = program().with_file_name("annals-interop-tlog");
    let built = Command::new(go).args(["build", "-o"]).arg(&program).arg(".").current_dir(&source).output();
    let built = built.expect("go runs");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    Some(program)
}

/// The brokers of the real Kafka, if the test run started one.
///
/// # Panics
/// In CI, where a missing part is a failure; elsewhere the test is skipped with a line that says so.
pub fn kafka(test: &str) -> Option<String> {
    let brokers = std::env::var("ANNALS_TEST_KAFKA_BROKERS").ok().filter(|brokers| !brokers.is_empty());
    if brokers.is_none() {
        assert!(
            std::env::var_os("CI").is_none(),
            "{test}: ANNALS_TEST_KAFKA_BROKERS is not set: run scripts/test, which starts a Kafka broker"
        );
        skipped(test, "kafka");
    }
    brokers
}

/// Says that a test could not run for want of a part. What a passing test prints is not shown, so
/// it goes into a file, which `scripts/test` counts and shows.
///
/// # Panics
/// If that file can't be written.
pub fn skipped(test: &str, part: &str) {
    use std::io::Write as _;
    let Some(path) = std::env::var_os("ANNALS_TEST_SKIPS") else { return };
    let file = std::fs::OpenOptions::new().create(true).append(true).open(path);
    let written = file.and_then(|mut file| writeln!(file, "{test} ({part} is missing)"));
    written.expect("the list of skipped tests can be written");
}
