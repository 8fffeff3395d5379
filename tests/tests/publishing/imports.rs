//! Posts in files: examined, taken in, worked off once whatever happens, and out again.

use std::{collections::BTreeMap, fmt::Write, time::Duration};

use annals_tests::{Answer, Api, Method, Server, StatusCode, eventually};
use serde_json::{Value, json};

use crate::support::{PATIENCE, feed_channel, history, ids, in_seconds, later, write};

const CSV: &str = "text/csv";
const LINES: &str = "application/x-ndjson";

async fn send(api: &Api, query: &str, media_type: &str, file: impl Into<String>) -> Answer {
    let request = api.request(Method::POST, &format!("posts/import{query}"));
    Api::send(request.header("Content-Type", media_type).body(file.into())).await
}

/// Waits until an import is over, and returns it with a page of its rows.
async fn over(api: &Api, id: &str, patience: Duration) -> Answer {
    let path = format!("posts/imports/{id}?perPage=100");
    eventually("the import is over", patience, || async {
        let answer = api.get(&path).await;
        let status = answer.at("/data/status").as_str().unwrap_or_default().to_string();
        (status == "completed" || status == "cancelled").then_some(answer)
    })
    .await
}

/// Waits until there are so many posts, and no more: a worker's writes are not waited for as one's own are.
async fn posts(api: &Api, count: u64) {
    eventually("the posts are there", PATIENCE, || async {
        let total = api.get("posts").await.at("/meta/total").as_u64();
        assert!(total <= Some(count), "{total:?} posts");
        (total == Some(count)).then_some(())
    })
    .await;
}

/// Row and field of each fault.
fn faults(errors: &Value) -> Vec<(u64, String)> {
    let fault = |error: &Value| {
        let field = error["field"].as_str().unwrap_or_default().to_string();
        (error["row"].as_u64().unwrap_or_default(), field)
    };
    errors.as_array().into_iter().flatten().map(fault).collect()
}

#[tokio::test]
async fn each_row_becomes_a_post_or_says_why_not_and_a_file_sent_again_doubles_nothing() {
    let server = Server::start().await;
    let ada = server.api().register("Ada").await;
    let (api, unknown) = (&ada.api, "0198e000-0000-7000-8000-000000000042");
    let channel = feed_channel(api, "News").await;
    let at = in_seconds(86_400);
    let file = format!(
        "content,scheduledAt,channels,tags,type\n\
         \"Hello, world\",{at},{channel},Launch;News,\n\
         An idea,,,,draft\n\
         ,,,,draft\n\
         Nowhere,{at},,,schedule\n\
         Elsewhere,{at},{unknown},,\n\
         At once,,{channel},,now\n\
         '=1+1,,,Launch,draft\n"
    );
    let wrong = [(3, "content"), (4, "integrations"), (5, "integrations[0].id"), (6, "type")];
    let wrong: Vec<_> = wrong.map(|(row, field)| (row, field.to_string())).into();

    let examined = send(api, "?dryRun=true", CSV, &file).await.expect(StatusCode::OK);
    assert_eq!(
        (examined.at("/data/rows"), examined.at("/data/valid"), examined.at("/data/invalid")),
        (&json!(7), &json!(3), &json!(4))
    );
    assert_eq!(faults(examined.at("/data/errors")), wrong);
    let written = api.get("events?aggregateType=publishing.post&limit=1").await.expect(StatusCode::OK);
    assert_eq!((written.at("/data"), api.get("posts/tags").await.at("/data")), (&json!([]), &json!([])));

    let begun = send(api, "", CSV, &file).await.expect(StatusCode::CREATED);
    assert_eq!((begun.at("/data/rows"), begun.at("/data/warnings")), (&json!(7), &json!([])));
    let id = begun.text_at("/data/id");
    let done = over(api, &id, PATIENCE).await;
    assert_eq!(
        (done.at("/data/status"), done.at("/data/written"), done.at("/data/failed"), done.at("/data/done")),
        (&json!("completed"), &json!(3), &json!(4), &json!(7))
    );
    let failed = api.get(&format!("posts/imports/{id}?rows=failed")).await.expect(StatusCode::OK);
    assert_eq!(failed.at("/meta/total"), 4);
    let told = failed.at("/data/results").as_array().cloned().unwrap_or_default();
    let told = told.iter().map(|row| (row["row"].as_u64(), row["errors"][0]["field"].as_str()));
    let expected = wrong.iter().map(|(row, field)| (Some(*row), Some(field.as_str())));
    assert!(told.eq(expected), "{}", failed.text);

    let first = done.text_at("/data/results/0/post");
    posts(api, 3).await;
    let shown = eventually("where it came from is known", PATIENCE, || async {
        let shown = api.get(&format!("posts/{first}")).await.expect(StatusCode::OK);
        shown.body["data"].get("source").is_some().then_some(shown)
    })
    .await;
    assert_eq!(
        (shown.at("/data/content"), shown.at("/data/status"), shown.at("/data/source")),
        (&json!("Hello, world"), &json!("scheduled"), &json!("WORKER"))
    );
    assert_eq!(
        (shown.at("/data/author/name"), shown.at("/data/tags/1/name")),
        (&json!("Ada"), &json!("News"))
    );
    assert_eq!(history(api, &first).await, ["drafted", "scheduled"]);
    let guarded = api.get("posts?q=1%2B1").await.expect(StatusCode::OK);
    assert_eq!(guarded.at("/data/0/content"), "=1+1");

    let again = send(api, "", CSV, &file).await.expect(StatusCode::OK);
    assert_eq!((again.at("/data/id"), again.at("/data/status")), (&json!(id), &json!("completed")));
    posts(api, 3).await;
    let cancelled = api.post(&format!("posts/imports/{id}/cancel"), json!({})).await;
    assert_eq!(cancelled.expect(StatusCode::CONFLICT).at("/code"), "IMPORT_STATUS");
    let warned = send(api, "?key=once+more", CSV, &file).await.expect(StatusCode::CREATED);
    assert_eq!(warned.at("/data/warnings/0/row"), 1);
    assert_eq!(warned.at("/data/warnings/0/posts/0"), &json!(first));
    over(api, &warned.text_at("/data/id"), PATIENCE).await;
    // Another key is another import.
    posts(api, 6).await;
    assert_eq!(ids(&api.get("posts/imports").await).len(), 2);

    let doubled = "{\"content\": \"same\", \"type\": \"draft\", \"integrations\": [{\"id\": \"CH\"}]}\n"
        .replace("CH", &channel);
    let examined = send(api, "?dryRun=true", LINES, doubled.repeat(2)).await.expect(StatusCode::OK);
    assert_eq!(
        (examined.at("/data/warnings/0/row"), examined.at("/data/warnings/0/otherRow")),
        (&json!(2), &json!(1))
    );
}

#[tokio::test]
async fn an_import_is_refused_by_field_and_belongs_to_its_organization() {
    let server = Server::start().await;
    let ada = server.api().register("Ada").await;
    let channel = feed_channel(&ada.api, "News").await;
    let good = "content\nHello\n";
    for (query, media_type, file, field) in [
        ("", CSV, "title\nHello\n", "title"),
        ("", CSV, "", "body"),
        ("", CSV, "content\n", "rows"),
        ("", LINES, "\n", "rows"),
        ("", "application/json", "{\"content\": \"x\"}", "body"),
        ("?timezone=Mars", CSV, good, "timezone"),
        ("?dryRun=perhaps", CSV, good, "dryRun"),
        ("?colour=red", CSV, good, "colour"),
    ] {
        send(&ada.api, query, media_type, file).await.expect_field(StatusCode::BAD_REQUEST, field);
    }
    let long = format!("?key={}", "x".repeat(101));
    send(&ada.api, &long, CSV, good).await.expect_field(StatusCode::BAD_REQUEST, "key");
    send(&ada.api, "", "text/plain", good).await.expect(StatusCode::UNSUPPORTED_MEDIA_TYPE);
    let many = format!("content\n{}", "x\n".repeat(10_001));
    send(&ada.api, "", CSV, many).await.expect_field(StatusCode::BAD_REQUEST, "rows");
    let large = format!("content\n{}\n", "x".repeat(17 * 1024 * 1024));
    send(&ada.api, "", CSV, large).await.expect(StatusCode::PAYLOAD_TOO_LARGE);

    let keyed = ada.api.with_header("Idempotency-Key", "a-file");
    let begun = send(&keyed, "", CSV, good).await.expect(StatusCode::CREATED);
    let other = send(&keyed, "", CSV, "content\nOther\n").await.expect(StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(other.at("/code"), "IDEMPOTENCY_KEY_REUSED");
    let path = format!("posts/imports/{}", begun.text_at("/data/id"));
    over(&ada.api, &begun.text_at("/data/id"), PATIENCE).await;

    let (user, viewer) = (ada.member("user").await, ada.member("viewer").await);
    viewer.get(&path).await.expect(StatusCode::OK);
    send(&viewer, "", CSV, good).await.expect(StatusCode::FORBIDDEN);
    user.post(&format!("{path}/cancel"), json!({})).await.expect(StatusCode::FORBIDDEN);
    let key = json!({"name": "drafts", "scopes": ["post:create", "post:read"]});
    let key = ada.api.post("settings/api-keys", key).await.expect(StatusCode::CREATED).text_at("/data/key");
    let scheduled = format!("content,scheduledAt,channels\nx,{},{channel}\n", in_seconds(3_600));
    let program = server.api().with_token(&key);
    send(&program, "", CSV, scheduled).await.expect(StatusCode::FORBIDDEN);
    send(&program, "?key=by+a+program", CSV, good).await.expect(StatusCode::CREATED);

    let stranger = server.api().register("Eve").await.api;
    stranger.get(&path).await.expect(StatusCode::NOT_FOUND);
    stranger.post(&format!("{path}/cancel"), json!({})).await.expect(StatusCode::NOT_FOUND);
    let own = send(&stranger, "", CSV, good).await.expect(StatusCode::CREATED);
    assert_ne!(own.text_at("/data/id"), begun.text_at("/data/id"), "the same file of another organization");
    let exported = stranger.get("posts/export").await.expect(StatusCode::OK);
    assert!(exported.text.lines().count() <= 2, "only their own: {}", exported.text);
    server.api().get("posts/export").await.expect(StatusCode::UNAUTHORIZED);
    ada.api.get("posts/export?format=xml").await.expect_field(StatusCode::BAD_REQUEST, "format");
    ada.api.get("posts/export?status=lost").await.expect_field(StatusCode::BAD_REQUEST, "status");
    ada.api.get(&format!("{path}?perPage=0")).await.expect_field(StatusCode::BAD_REQUEST, "perPage");
    ada.api.get(&format!("{path}?rows=some")).await.expect_field(StatusCode::BAD_REQUEST, "rows");
}

/// What a post says, by its text.
async fn rows(api: &Api, source: &str) -> BTreeMap<String, Value> {
    let exported = api.get(&format!("posts/export?format=json&source={source}")).await.expect(StatusCode::OK);
    let rows = exported.body.as_array().cloned().expect("an array");
    rows.into_iter()
        .map(|mut row| {
            for told in ["id", "status", "source", "author", "createdAt"] {
                row.as_object_mut().expect("an object").remove(told);
            }
            (row["content"].to_string(), row)
        })
        .collect()
}

#[tokio::test]
async fn what_is_exported_is_imported_as_it_was() {
    let server = Server::start().await;
    let api = server.api().register("Ada").await.api;
    let (news, blog) = (feed_channel(&api, "News").await, feed_channel(&api, "Blog").await);
    for (nth, content) in
        ["=SUM(A1)", "'=quoted", "-5 °C today", "Two\nlines, \"quoted\"", "plain"].iter().enumerate()
    {
        let mut post = later(content, &[&news], &in_seconds(86_400 * (nth as i64 + 1)));
        post["tags"] = json!(["Launch", "a;b"]);
        write(&api, post).await;
    }
    let mut rich = later("Rich", &[&news], &in_seconds(86_400));
    rich["timezone"] = json!("Europe/Berlin");
    rich["thread"] = json!([{"content": "+1", "delaySeconds": 60}, "and more"]);
    rich["integrations"] = json!([{"id": news}, {"id": blog, "content": "@own", "thread": []}]);
    write(&api, rich).await;
    write(&api, json!({"content": "An idea", "type": "draft", "tags": ["[odd"]})).await;
    let before = rows(&api, "WEB").await;
    assert_eq!(before.len(), 7);

    for (nth, (format, media_type)) in
        [("csv", CSV), ("json", "application/json"), ("ndjson", LINES)].into_iter().enumerate()
    {
        let file =
            api.get(&format!("posts/export?format={format}&source=WEB")).await.expect(StatusCode::OK).text;
        if format == "csv" {
            assert!(file.contains("'=SUM(A1)") && !file.contains("\n=SUM(A1)"), "{file}");
        }
        let begun = send(&api, "", media_type, file).await.expect(StatusCode::CREATED);
        let done = over(&api, &begun.text_at("/data/id"), PATIENCE).await;
        assert_eq!(done.at("/data/written"), 7, "{format}: {}", done.text);
        posts(&api, 7 * (nth as u64 + 2)).await;
        eventually("where they came from is known", PATIENCE, || async {
            let sources = api.get("posts?source=WORKER").await;
            (sources.at("/meta/total") == &json!(7 * (nth + 1))).then_some(())
        })
        .await;
        assert_eq!(rows(&api, "WORKER").await, before, "{format}");
    }
    let empty = api.get("posts/export?format=json&q=nothing+says+this").await.expect(StatusCode::OK);
    assert_eq!(empty.body, json!([]));
    let empty = api.get("posts/export?format=ndjson&q=nothing+says+this").await.expect(StatusCode::OK);
    assert_eq!(empty.text, "");
}

#[tokio::test]
async fn an_import_that_is_killed_in_the_middle_goes_on_and_doubles_nothing() {
    const ROWS: usize = 600;
    let mut server = Server::start().await;
    let api = server.api().register("Ada").await.api;
    let mut file = "content\n".to_string();
    for row in 0..ROWS {
        writeln!(file, "row {row} of the file").expect("is written");
    }
    let begun = send(&api, "", CSV, &file).await.expect(StatusCode::CREATED);
    let path = format!("posts/imports/{}", begun.text_at("/data/id"));
    let mut seen = 0;
    for least in [1, ROWS as u64 / 2] {
        seen = eventually("some rows are worked off", PATIENCE, || async {
            let done = api.get(&path).await.at("/data/done").as_u64().unwrap_or_default();
            (done >= least).then_some(done)
        })
        .await;
        server.kill9();
        server.restart().await;
    }
    assert!(seen < ROWS as u64, "it was killed in the middle");
    // The lease of the worker that died has to end first.
    let done = over(&api, &begun.text_at("/data/id"), Duration::from_secs(180)).await;
    assert_eq!((done.at("/data/written"), done.at("/data/failed")), (&json!(ROWS), &json!(0)));
    let again = send(&api, "", CSV, &file).await.expect(StatusCode::OK);
    assert_eq!(again.at("/data/done"), ROWS);
    posts(&api, ROWS as u64).await;
    let exported = api.get("posts/export?format=ndjson").await.expect(StatusCode::OK);
    let mut contents: Vec<String> = exported
        .text
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok()?["content"].as_str().map(str::to_string))
        .collect();
    contents.sort();
    let mut expected: Vec<_> = (0..ROWS).map(|row| format!("row {row} of the file")).collect();
    expected.sort();
    assert_eq!(contents, expected);
}

/// The most memory that a process ever had, in KiB.
fn peak_kib(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid().expect("it runs")));
    let status = status.expect("the system tells");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("is told");
    line.trim().trim_end_matches(" kB").parse().expect("is a number")
}

#[tokio::test]
async fn ten_thousand_rows_are_taken_in_and_examined_within_bounds_and_cancelled() {
    const ROWS: u32 = 10_000;
    let server = Server::start().await;
    let api = server.api().register("Ada").await.api;
    let text = "x".repeat(1_500);
    let mut file = String::new();
    for row in 0..ROWS {
        writeln!(file, "{{\"content\": \"{row} {text}\", \"type\": \"draft\"}}").expect("is written");
    }
    assert!(file.len() > 14 * 1024 * 1024, "close to what a file may have");
    let before = peak_kib(&server);
    let examined = send(&api, "?dryRun=true", LINES, &file).await.expect(StatusCode::OK);
    assert_eq!((examined.at("/data/rows"), examined.at("/data/valid")), (&json!(ROWS), &json!(ROWS)));
    let begun = send(&api, "", LINES, &file).await.expect(StatusCode::CREATED);
    assert_eq!(begun.at("/data/rows"), ROWS);
    let grown = peak_kib(&server).saturating_sub(before);
    assert!(grown < 160 * 1024, "it took {grown} KiB more");

    let path = format!("posts/imports/{}", begun.text_at("/data/id"));
    let cancelled = api.post(&format!("{path}/cancel"), json!({})).await.expect(StatusCode::OK);
    assert_eq!(cancelled.at("/data/status"), "cancelled");
    let shown = api.get(&path).await.expect(StatusCode::OK);
    assert!(shown.at("/data/done").as_u64() < Some(u64::from(ROWS)), "{}", shown.text);
    let again = send(&api, "", LINES, &file).await.expect(StatusCode::OK);
    assert_eq!(again.at("/data/status"), "cancelled", "it stays so");
}
