//! `annals replay`: beside the running server, into a file that can be continued.

use std::{fs, path::Path, process::Output};

use annals_tests::{Server, StatusCode};
use serde_json::json;

fn replay(server: &Server, args: &[&str]) -> Output {
    let mut command = server.command();
    command.arg("replay").arg("--data").arg(server.data()).args(args);
    command.output().expect("annals runs")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("is UTF-8")
}

#[tokio::test]
async fn it_writes_what_the_api_tells_and_goes_on_where_it_stopped() {
    let server = Server::start().await;
    let root = server.api().register("Root").await;
    for number in 0..20 {
        let body = json!({"content": format!("Idea {number}"), "type": "draft"});
        root.api.post("posts", body).await.expect(StatusCode::CREATED);
    }
    let lines = root.api.with_header("Accept", "application/x-ndjson");
    let told = lines.get("events").await.expect(StatusCode::OK).text;
    let output = replay(&server, &[]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout), told);
    assert!(text(&output.stderr).contains("done, no gap"), "{}", text(&output.stderr));

    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("log.ndjson");
    let name = file.to_str().expect("is text");
    let into_file = |args: &[&str]| {
        let output = replay(&server, &[&["--out", name], args].concat());
        assert!(output.status.success(), "{}", text(&output.stderr));
    };
    into_file(&["--to", "12"]);
    assert_eq!(
        fs::read_to_string(&file).expect("is there"),
        told.lines().take(12).map(line).collect::<String>()
    );
    // As if it had been killed while it wrote.
    cut(&file, 40);
    into_file(&[]);
    assert_eq!(fs::read_to_string(&file).expect("is there"), told);
    into_file(&[]);
    assert_eq!(fs::read_to_string(&file).expect("is there"), told, "there is nothing more");

    let output = replay(&server, &["--type", "publishing.post", "--actor", &root.user_id]);
    let of_posts = lines.get("events?type=publishing.post").await.expect(StatusCode::OK).text;
    assert_eq!(text(&output.stdout), of_posts);
    let output = replay(&server, &["--from", "yesterday"]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
}

fn line(line: &str) -> String {
    format!("{line}\n")
}

fn cut(file: &Path, bytes: u64) {
    let length = fs::metadata(file).expect("is there").len();
    let file = fs::OpenOptions::new().write(true).open(file).expect("is there");
    file.set_len(length - bytes).expect("is cut");
}

#[tokio::test]
async fn a_log_with_a_hole_is_told_where_it_is() {
    let server = Server::start().await;
    server.api().register("Root").await;
    let pool = &server.database().expect("has a database").pool;
    for statement in [
        "ALTER TABLE events DISABLE TRIGGER events_are_immutable",
        "DELETE FROM events WHERE position = 3",
        "ALTER TABLE events ENABLE TRIGGER events_are_immutable",
    ] {
        sqlx::query(statement).execute(pool).await.expect("the owner may");
    }
    // Also where a filter would not have shown it.
    for args in [&[][..], &["--type", "publishing"]] {
        let output = replay(&server, args);
        assert_eq!(output.status.code(), Some(1));
        assert!(text(&output.stderr).contains("position 3 is missing"), "{}", text(&output.stderr));
    }
    assert_eq!(text(&replay(&server, &[]).stdout).lines().count(), 2, "what is before it is written");
}
