//! The commands of whoever runs it, beside a running server: doctor, keys, projections, timers, openapi.

use std::{process::Output, time::Duration};

use annals_tests::{Server, Settings, StatusCode, eventually};
use serde_json::{Value, json};

fn run(server: &Server, arguments: &[&str]) -> Output {
    server.command().args(arguments).arg("--data").arg(server.data()).output().expect("annals runs")
}

#[track_caller]
fn succeeds(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

#[tokio::test]
async fn the_doctor_finds_nothing_wrong_beside_a_server_with_a_private_postgres() {
    let mut server = Server::private(Settings::default()).await;
    let ada = server.api().register("Ada").await;
    ada.api
        .post("integrations/connect", json!({"platform": "feed", "name": "News"}))
        .await
        .expect(StatusCode::CREATED);
    let text = succeeds(&run(&server, &["doctor"]));
    assert!(!text.contains("WRONG"), "{text}");
    assert!(text.contains("keys: the master key"), "{text}");
    // At least those of registering and connecting; the mail about it may be on its way.
    let told = |before: &str, after: &str| -> Option<u64> {
        let (_, rest) = text.split_once(before)?;
        rest.split_once(after)?.0.parse().ok()
    };
    let events = told("positions: ", " events, no gap").expect("the positions are told");
    assert!(events >= 7, "{text}");
    assert!(told("second reading: postgres-es reads ", " events") >= Some(7), "{text}");
    server.api().get("/health/ready").await.expect(StatusCode::OK);
    // And with the server stopped, when it starts the Postgres for as long as it looks.
    assert!(server.stop().await);
    assert!(!succeeds(&run(&server, &["doctor"])).contains("WRONG"));
    assert!(server.private_postgres_pid().is_none(), "what the doctor started it stopped");
}

#[tokio::test]
async fn the_doctor_names_a_position_that_is_missing() {
    let mut server = Server::start().await;
    server.api().register("Ada").await;
    assert!(server.stop().await);
    let pool = &server.database().expect("on the test server").pool;
    sqlx::raw_sql("ALTER TABLE events DISABLE TRIGGER USER; DELETE FROM events WHERE position = 2")
        .execute(pool)
        .await
        .expect("deletes");
    let output = run(&server, &["doctor"]);
    assert!(!output.status.success());
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("WRONG  positions:") && text.contains("2 is missing"), "{text}");
}

/// What is broken, how, how it is mended, and which checks say so.
const BREAKAGES: [(&str, &str, &[&str]); 7] = [
    (
        "UPDATE idempotency SET position = position + 1000000",
        "UPDATE idempotency SET position = position - 1000000",
        &["receipts"],
    ),
    (
        "UPDATE claims SET holder = holder || 'x' WHERE namespace = 'identity.email'",
        "UPDATE claims SET holder = left(holder, -1) WHERE namespace = 'identity.email'",
        &["claims"],
    ),
    (
        "UPDATE events SET sequence = sequence + 5 WHERE position = (SELECT max(position) FROM events)",
        "UPDATE events SET sequence = sequence - 5 WHERE position = (SELECT max(position) FROM events)",
        &["streams", "notary"],
    ),
    (
        "UPDATE events SET recorded_at = recorded_at - interval '1 day' WHERE position = 3",
        "UPDATE events SET recorded_at = recorded_at + interval '1 day' WHERE position = 3",
        &["time", "notary"],
    ),
    (
        "UPDATE events SET payload = replace(payload::text, '\"News\"', '\"Lies\"')::json",
        "UPDATE events SET payload = replace(payload::text, '\"Lies\"', '\"News\"')::json",
        &["notary", "fresh builds"],
    ),
    (
        "UPDATE read.channels_v1 SET name = 'Lies'",
        "UPDATE read.channels_v1 SET name = 'News'",
        &["fresh builds"],
    ),
    (
        "UPDATE log_head SET position = position + 1",
        "UPDATE log_head SET position = position - 1",
        &["positions"],
    ),
];

#[tokio::test]
async fn the_doctor_finds_whatever_is_broken_by_hand_and_says_what_to_do() {
    let mut server = Server::start().await;
    let ada = server.api().register("Ada").await;
    let channel = json!({"platform": "feed", "name": "News"});
    let keyed = ada.api.with_header("Idempotency-Key", "once");
    keyed.post("integrations/connect", channel).await.expect(StatusCode::CREATED);
    let pool = server.database().expect("on the test server").pool.clone();
    eventually("the notary and the read models have it all", Duration::from_secs(60), || async {
        let behind: i64 = sqlx::query_scalar(
            "SELECT (SELECT position FROM log_head) - least((SELECT size FROM notary_tree),
                    (SELECT min(position) FROM projection.versions WHERE state = 'live'))",
        )
        .fetch_one(&pool)
        .await
        .ok()?;
        (behind == 0).then_some(())
    })
    .await;
    assert!(server.stop().await);
    sqlx::query("ALTER TABLE events DISABLE TRIGGER USER").execute(&pool).await.expect("the owner may");
    let wrong = || {
        let output = run(&server, &["doctor", "--json"]);
        let found: Value = serde_json::from_slice(&output.stdout).expect("is JSON");
        assert_eq!(output.status.success(), found["wrong"] == 0, "{found}");
        let findings = found["findings"].as_array().expect("a list").clone();
        let wrong: Vec<_> = findings.into_iter().filter(|finding| finding["ok"] == false).collect();
        assert!(wrong.iter().all(|finding| finding["whatToDo"].is_string()), "{wrong:?}");
        wrong
    };
    assert_eq!(wrong(), Vec::<Value>::new());
    for (breaking, mending, checks) in BREAKAGES {
        sqlx::query(breaking).execute(&pool).await.expect("breaks");
        let found = wrong();
        let names: Vec<_> = found.iter().filter_map(|finding| finding["check"].as_str()).collect();
        for check in checks {
            assert!(names.contains(check), "after {breaking}: {found:?}");
        }
        sqlx::query(mending).execute(&pool).await.expect("mends");
    }
    assert_eq!(wrong(), Vec::<Value>::new(), "and nothing when all is well again");
}

#[tokio::test]
async fn keys_are_rotated_and_everything_sealed_before_still_opens() {
    let mut server = Server::private(Settings::default()).await;
    let ada = server.api().register("Ada").await;
    let refused = run(&server, &["keys", "rotate"]);
    assert!(!refused.status.success(), "not beside a running server");
    assert!(String::from_utf8_lossy(&refused.stderr).contains("another annals (process"));
    assert!(server.stop().await);
    let key = || std::fs::read_to_string(server.data().join("secrets/master.key")).expect("is there");
    let before = key();
    let text = succeeds(&run(&server, &["keys", "rotate"]));
    assert!(text.contains("keys are wrapped under the new master key"), "{text}");
    assert_ne!(before, key());
    // What was wrapped again needs the old key no longer.
    std::fs::remove_file(server.data().join("secrets/master.key.former-1")).expect("is there");
    server.restart().await;
    let ada = server.api().login(&ada.email, &ada.password).await;
    let me = ada.api.get("users/profile").await.expect(StatusCode::OK);
    assert_eq!(me.at("/data/email"), &json!(ada.email), "{}", me.text);
}

#[tokio::test]
async fn a_read_model_is_built_again_while_it_is_read() {
    let server = Server::start().await;
    let ada = server.api().register("Ada").await;
    let list = || succeeds(&run(&server, &["projections", "list"]));
    let generation_of_users = |text: &str| {
        let live = |line: &&str| line.starts_with("users ") && line.ends_with(" live");
        let line = text.lines().find(live)?.split_whitespace().nth(2)?;
        line.parse::<u32>().ok()
    };
    assert_eq!(generation_of_users(&list()), Some(1));
    let text = succeeds(&run(&server, &["projections", "rebuild", "users", "--reason", "to see"]));
    assert!(text.contains("generation 2 at") || generation_of_users(&text) == Some(2), "{text}");
    eventually("the new generation takes over", Duration::from_secs(60), || async {
        // No call in between finds nothing.
        ada.api.get("users/profile").await.expect(StatusCode::OK);
        (generation_of_users(&list()) == Some(2)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_openapi_document_is_printed_as_it_is_served() {
    let server = Server::start().await;
    let printed = succeeds(&server.command().arg("openapi").output().expect("annals runs"));
    let served = server.api().get("/api/openapi.json").await.expect(StatusCode::OK);
    let printed: serde_json::Value = serde_json::from_str(&printed).expect("is JSON");
    assert_eq!(printed, served.body);
}
