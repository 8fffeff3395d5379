//! `annals backup` beside a server that is written to, and `annals restore` into an empty one.

use std::{
    fs,
    path::Path,
    process::Output,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use annals_tests::{Account, Api, Server, Settings, StatusCode, eventually};
use serde_json::{Value, json};

async fn run(server: &Server, arguments: &[&str]) -> Output {
    let mut command = server.command();
    command.args(arguments).arg("--data").arg(server.data());
    tokio::task::spawn_blocking(move || command.output()).await.expect("the task ends").expect("annals runs")
}

fn text(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn path(folder: &Path) -> &str {
    folder.to_str().expect("a path of ours is text")
}

async fn draft(api: &Api, content: &str) -> u64 {
    let body = json!({"content": content, "integrations": [], "type": "draft"});
    api.post("posts", body).await.expect(StatusCode::CREATED).position()
}

/// What the read models answer about Ada, paging aside.
async fn answers(api: &Api) -> Vec<Value> {
    let mut answers = Vec::new();
    for path in ["users/profile", "integrations", "posts?perPage=100", "activity?limit=200"] {
        answers.push(api.get(path).await.expect(StatusCode::OK).at("/data").clone());
    }
    answers
}

/// Ada with some posts and a channel; Bob, who will be forgotten.
async fn people(server: &Server) -> (Account, Account) {
    let ada = server.api().register("Ada").await;
    let bob = server.api().register("Bob Unforgettable").await;
    let channel = json!({"platform": "feed", "name": "News"});
    ada.api.post("integrations/connect", channel).await.expect(StatusCode::CREATED);
    for nth in 0..5 {
        draft(&ada.api, &format!("before {nth}")).await;
    }
    (ada, bob)
}

async fn is_forgotten(server: &Server, bob: &Account) {
    let login = json!({"email": bob.email, "password": bob.password});
    server.api().post("auth/login", login).await.expect(StatusCode::UNAUTHORIZED);
    // The address is free again.
    let taken = server.api().register("Bob Unforgettable").await;
    drop(taken);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_backed_up_under_writes_comes_back_in_a_fresh_folder() {
    let mut server = Server::private(Settings::default()).await;
    let (ada, bob) = people(&server).await;
    let kept = tempfile::tempdir().expect("a temporary folder");
    let (backup, secrets) = (kept.path().join("backup"), kept.path().join("secrets"));

    let stop = Arc::new(AtomicBool::new(false));
    let writing = {
        let (api, stop) = (ada.api.clone(), Arc::clone(&stop));
        tokio::spawn(async move {
            let mut written = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                written.push(draft(&api, &format!("meanwhile {}", written.len())).await);
            }
            written
        })
    };
    tokio::time::sleep(Duration::from_millis(300)).await;
    let made = run(&server, &["backup", "--out", path(&backup), "--secrets", path(&secrets)]).await;
    assert!(made.status.success(), "{}", text(&made));
    stop.store(true, Ordering::Relaxed);
    let written = writing.await.expect("nobody was held up or refused");
    let manifest: Value =
        serde_json::from_str(&fs::read_to_string(backup.join("manifest.json")).expect("is there"))
            .expect("is JSON");
    let position = manifest["position"].as_u64().expect("a number");
    let in_backup = written.iter().filter(|at| **at <= position).count();
    assert!(written.len() > in_backup, "it was written to while the backup was made");

    // After the backup Bob wants to be forgotten, and the server notes it beside the database.
    bob.api.delete("users/account").await.expect(StatusCode::OK);
    let noted = server.data().join("forgotten");
    eventually("who was forgotten is noted beside the log", Duration::from_secs(60), || async {
        fs::read_to_string(&noted).ok().filter(|text| text.contains("user:"))
    })
    .await;

    // The disk is gone, but for that file.
    assert!(server.stop().await);
    let lost = kept.path().join("lost");
    fs::rename(server.data(), &lost).expect("the folder is ours");
    let refused = run(&server, &["restore", "--from", path(&backup)]).await;
    assert!(!refused.status.success());
    assert!(text(&refused).contains("--secrets"), "{}", text(&refused));
    let forgotten = lost.join("forgotten");
    let restore =
        ["restore", "--from", path(&backup), "--secrets", path(&secrets), "--forgotten", path(&forgotten)];
    let restored = run(&server, &restore).await;
    assert!(restored.status.success(), "{}", text(&restored));
    assert!(text(&restored).contains("1 people"), "{}", text(&restored));
    let again = run(&server, &restore).await;
    assert!(text(&again).contains("is not empty"), "not over what is there: {}", text(&again));

    server.restart().await;
    let ada = server.api().login(&ada.email, &ada.password).await;
    let posts = ada.api.get("posts?perPage=1").await.expect(StatusCode::OK);
    assert_eq!(posts.at("/meta/total"), &json!(5 + in_backup), "all up to {position}, none of later");
    is_forgotten(&server, &bob).await;
    draft(&ada.api, "after").await;
    let doctor = run(&server, &["doctor"]).await;
    assert!(doctor.status.success(), "{}", text(&doctor));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_given_database_is_restored_and_answers_as_before() {
    let mut server = Server::start().await;
    let (ada, _bob) = people(&server).await;
    let before = answers(&ada.api).await;
    let kept = tempfile::tempdir().expect("a temporary folder");
    let backup = kept.path().join("backup");
    let made = run(&server, &["backup", "--out", path(&backup)]).await;
    assert!(made.status.success(), "{}", text(&made));

    let refused = run(&server, &["restore", "--from", path(&backup)]).await;
    assert!(text(&refused).contains("another annals (process"), "not beside a server: {}", text(&refused));
    assert!(server.stop().await);
    let pool = &server.database().expect("on the test server").pool;
    for schema in ["public", "process", "projection", "read"] {
        sqlx::query(&format!("DROP SCHEMA IF EXISTS {schema} CASCADE")).execute(pool).await.expect("drops");
    }
    sqlx::query("CREATE SCHEMA public").execute(pool).await.expect("creates");
    let restored = run(&server, &["restore", "--from", path(&backup)]).await;
    assert!(restored.status.success(), "{}", text(&restored));
    server.restart().await;
    assert_eq!(answers(&ada.api).await, before, "the session is still good, and everything is there");
}
