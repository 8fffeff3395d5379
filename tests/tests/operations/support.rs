//! Short ways to write, to rebuild and to read back what an admin did.

use std::{process::Output, time::Duration};

use annals_tests::{Account, Answer, Api, Server, StatusCode, eventually};
use serde_json::{Value, json};

/// On a busy machine; nothing waits that long unless it fails.
pub(crate) const PATIENCE: Duration = Duration::from_secs(90);

/// A server with its operator: the first account of a machine that only itself reaches.
pub(crate) async fn operated() -> (Server, Account) {
    let server = Server::start().await;
    let ada = server.api().register("Ada").await;
    (server, ada)
}

/// So many tags, each an event of the read model `tags`.
pub(crate) async fn write_tags(api: &Api, count: usize) {
    let mut last = 0;
    for number in 0..count {
        let tag = json!({"name": format!("tag {number}")});
        last = api.post("posts/tags", tag).await.expect(StatusCode::CREATED).position();
    }
    let api = api.with_header("Annals-After", last);
    api.get("posts/tags").await.expect(StatusCode::OK);
}

/// How the read model `tags` is doing.
pub(crate) async fn tags(api: &Api) -> Answer {
    api.get("admin/projections/tags").await.expect(StatusCode::OK)
}

pub(crate) async fn until_tags(api: &Api, what: &str, holds: impl Fn(&Answer) -> bool) -> Answer {
    eventually(what, PATIENCE, || async {
        let answer = tags(api).await;
        holds(&answer).then_some(answer)
    })
    .await
}

/// What is recorded of an admin's actions, in order: type, reason, actor.
pub(crate) async fn recorded(server: &Server) -> Vec<(String, String, Value)> {
    let pool = &server.database().expect("on the test server").pool;
    let rows: Vec<(String, String, String)> = sqlx::query_as(
        "SELECT event_type, payload->>'reason', metadata->>'actor' FROM events
         WHERE aggregate_type LIKE 'operations.%' ORDER BY position",
    )
    .fetch_all(pool)
    .await
    .expect("the log can be read");
    rows.into_iter()
        .map(|(event_type, reason, actor)| {
            (event_type, reason, serde_json::from_str(&actor).expect("is JSON"))
        })
        .collect()
}

/// The actor of everything that a signed-in operator does.
pub(crate) fn user(account: &Account) -> Value {
    json!({"type": "user", "id": account.user_id})
}

/// One of the program's other commands, on the server's database and data.
pub(crate) fn run(server: &Server, arguments: &[&str]) -> Output {
    server.command().args(arguments).arg("--data").arg(server.data()).output().expect("annals runs")
}

#[track_caller]
pub(crate) fn succeeds(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

#[track_caller]
pub(crate) fn fails(output: &Output) -> String {
    assert!(!output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    String::from_utf8_lossy(&output.stderr).into_owned()
}
