//! Starting and stopping as a newcomer does: a private Postgres, killed in every way, on one folder and on two.

use std::time::Duration;

use annals_tests::{Account, Server, Settings, StatusCode, eventually, free_port};
use serde_json::json;

/// Everything of Ada's is still there, and more can be added.
async fn goes_on(server: &Server, ada: &Account, channels: usize) {
    let ada = server.api().login(&ada.email, &ada.password).await;
    ada.api
        .post("integrations/connect", json!({"platform": "feed", "name": format!("channel {channels}")}))
        .await
        .expect(StatusCode::CREATED);
    let listed = ada.api.get("integrations").await.expect(StatusCode::OK);
    let connected = listed.at("/data/connected").as_array().map(Vec::len);
    assert_eq!(connected, Some(channels), "{}", listed.text);
}

#[tokio::test]
async fn whatever_is_killed_the_next_start_goes_on_where_it_was() {
    let mut server = Server::private(Settings::default()).await;
    let ada = server.api().register("Ada").await;
    goes_on(&server, &ada, 1).await;

    // The server: its Postgres lives on and is adopted.
    let postgres = server.private_postgres_pid();
    server.kill9();
    server.restart().await;
    assert_eq!(server.private_postgres_pid(), postgres, "the postgres that was left is adopted");
    goes_on(&server, &ada, 2).await;

    // Postgres: the server starts it again and goes on by itself.
    server.kill_private_postgres();
    eventually("another postgres answers", Duration::from_secs(60), || async {
        let ready = server.api().get("/health/ready").await.status == StatusCode::OK;
        (ready && server.private_postgres_pid() != postgres).then_some(())
    })
    .await;
    assert!(server.is_running(), "the server did not end with its postgres");
    goes_on(&server, &ada, 3).await;

    // Both.
    server.kill9();
    server.kill_private_postgres();
    server.restart().await;
    goes_on(&server, &ada, 4).await;

    // And a clean stop leaves no process.
    let postgres = server.private_postgres_pid().expect("postgres runs");
    assert!(server.stop().await, "a clean stop ends well:\n{}", server.log());
    assert!(server.private_postgres_pid().is_none(), "postgres has stopped");
    assert!(!std::path::Path::new(&format!("/proc/{postgres}")).exists(), "its process has ended");

    // A second start is fast. The bound is generous for a busy machine; the figure is printed.
    server.restart().await;
    println!("a second start was ready after {} ms", server.ready_after().as_millis());
    assert!(server.ready_after() < Duration::from_secs(10), "{:?}", server.ready_after());
    goes_on(&server, &ada, 5).await;
}

#[tokio::test]
async fn servers_on_two_data_folders_do_not_meet() {
    let one = Server::private(Settings::default()).await;
    let two = Server::private(Settings::default()).await;
    let ada = one.api().register("Ada").await;
    let login = json!({"email": ada.email, "password": ada.password});
    two.api().post("auth/login", login.clone()).await.expect(StatusCode::UNAUTHORIZED);
    one.api().post("auth/login", login).await.expect(StatusCode::OK);
    // A token of the one opens nothing of the other: their keys differ.
    let forged = two.api().get("auth/me").await;
    assert_eq!(forged.status, StatusCode::UNAUTHORIZED);
    ada.api.at(&two.url()).get("auth/me").await.expect(StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_second_server_on_one_data_folder_is_refused_and_told_who_has_it() {
    let mut server = Server::private(Settings::default()).await;
    let second = server
        .command()
        .arg("serve")
        .args(["--listen", &format!("127.0.0.1:{}", free_port())])
        .arg("--data")
        .arg(server.data())
        .output()
        .expect("annals runs");
    assert!(!second.status.success());
    let text = String::from_utf8_lossy(&second.stderr);
    let pid = server.pid().expect("the first one runs");
    assert!(text.contains(&format!("process {pid}")), "{text}");
    assert!(text.contains("--data"), "it says what to do: {text}");
    assert!(server.is_running());
    server.api().get("/health/ready").await.expect(StatusCode::OK);
}

#[tokio::test]
async fn a_port_that_is_taken_is_told_by_its_setting_and_nothing_is_left_running() {
    let server = Server::start().await;
    let data = tempfile::tempdir().expect("a temporary folder");
    let second = server
        .command()
        .arg("serve")
        .args(["--listen", server.url().trim_start_matches("http://")])
        .arg("--data")
        .arg(data.path())
        .output()
        .expect("annals runs");
    assert!(!second.status.success());
    let text = String::from_utf8_lossy(&second.stderr);
    assert!(text.contains("listen: 127.0.0.1:"), "{text}");
}

#[tokio::test]
async fn a_database_that_does_not_answer_is_told_without_its_password() {
    let server = Server::start().await;
    let data = tempfile::tempdir().expect("a temporary folder");
    let output = server
        .command()
        .args(["serve", "--set", "database.acquire_timeout_s=2", "--listen", "127.0.0.1:0", "--data"])
        .arg(data.path())
        .env("DATABASE_URL", format!("postgres://annals:hunter2@127.0.0.1:{}/nothing", free_port()))
        .output()
        .expect("annals runs");
    assert!(!output.status.success());
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("the database nothing on 127.0.0.1 does not answer"), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
}

/// Who is not root runs Postgres as themselves. Needs root to become somebody else.
#[tokio::test]
async fn as_another_user_than_root_it_runs_too() {
    use std::os::unix::{fs::chown, process::CommandExt as _};
    if !rustix::process::geteuid().is_root() {
        return; // Then every other test of this file is that test.
    }
    let (nobody, nogroup) = (65534, 65534);
    let home = tempfile::tempdir().expect("a temporary folder");
    // The program lies where only root may look: give them a copy.
    let program = home.path().join("annals");
    std::fs::copy(annals_tests::program(), &program).expect("copies");
    chown(home.path(), Some(nobody), Some(nogroup)).expect("root may");
    let port = free_port();
    let mut process = std::process::Command::new(&program)
        .arg("serve")
        .args(["--listen", &format!("127.0.0.1:{port}")])
        .arg("--data")
        .arg(home.path().join("data"))
        .current_dir(home.path())
        .env("HOME", home.path())
        .env_remove("XDG_RUNTIME_DIR")
        .env_remove("DATABASE_URL")
        .stdout(std::process::Stdio::null())
        .uid(nobody)
        .gid(nogroup)
        .spawn()
        .expect("annals runs");
    let client = annals_tests::Api::new(&format!("http://127.0.0.1:{port}"));
    eventually("it listens", Duration::from_secs(120), || async {
        std::net::TcpStream::connect(("127.0.0.1", port)).ok().map(drop)
    })
    .await;
    eventually("it is ready", Duration::from_secs(60), || async {
        (client.get("/health/ready").await.status == StatusCode::OK).then_some(())
    })
    .await;
    client.register("Ada").await;
    rustix::process::kill_process(rustix::process::Pid::from_child(&process), rustix::process::Signal::TERM)
        .expect("our own child");
    assert!(process.wait().expect("our own child").success());
}

#[tokio::test]
async fn nine_o_clock_stays_nine_o_clock_when_the_clocks_are_set_forward() {
    let at = |start: &str| Settings::default().flag("--clock-start").flag(start);
    // Saturday, a few seconds before nine in Berlin; clocks are set forward in the night that follows.
    let mut server = Server::private(at("2027-03-27T07:59:50Z")).await;
    let ada = server.api().register("Ada").await;
    let feed = json!({"platform": "feed", "name": "Openings"});
    let channel = ada.api.post("integrations/connect", feed).await.expect(StatusCode::CREATED);
    let body = json!({
        "content": "Doors are open", "type": "schedule", "scheduledAt": "2027-03-27T09:00",
        "timezone": "Europe/Berlin", "recurrence": "FREQ=DAILY;COUNT=2",
        "integrations": [{"id": channel.text_at("/data/id")}],
    });
    ada.api.post("posts", body).await.expect(StatusCode::CREATED);
    let published = async |server: &Server, count: usize| {
        let ada = server.api().login(&ada.email, &ada.password).await;
        eventually("the occurrence is published", Duration::from_secs(60), || async {
            let listed = ada.api.get("posts?status=published&startDate=2027-03-01").await;
            let posts = listed.at("/data").as_array()?.clone();
            (posts.len() == count).then_some(posts)
        })
        .await
    };
    published(&server, 1).await;
    server.restart_with(at("2027-03-28T06:59:55Z")).await;
    let posts = published(&server, 2).await;
    let times: Vec<&str> = posts.iter().filter_map(|post| post["integrations"][0]["at"].as_str()).collect();
    assert_eq!(times.len(), 2, "{posts:?}");
    assert!(times[0].starts_with("2027-03-27T08:00:"), "{times:?}");
    assert!(times[1].starts_with("2027-03-28T07:00:"), "an hour earlier by the sun: {times:?}");

    // What was planned by one clock is not done by another.
    let folder = server.data().to_path_buf();
    assert!(server.stop().await);
    let refused = server.command().arg("serve").arg("--data").arg(&folder).output().expect("annals runs");
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && said.contains("--clock-start"), "{said}");
}
