//! The rules for the private Postgres, against real processes that are killed.

use std::{
    os::unix::fs::PermissionsExt as _,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};
use sqlx::{ConnectOptions as _, Connection as _};

use super::*;

/// A data folder that the account Postgres runs as can reach.
fn data_folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o711)).expect("changes");
    folder
}

fn options(data: &tempfile::TempDir) -> Options {
    Options {
        data: data.path().to_path_buf(),
        bin: std::env::var_os("ANNALS_POSTGRES_BIN").map(PathBuf::from),
        password: "a password with 'quotes' and spaces".to_string(),
        connections_max: 20,
        tcp: None,
    }
}

async fn start(data: &tempfile::TempDir) -> PrivatePostgres {
    PrivatePostgres::start(options(data)).await.expect("starts")
}

/// Leaves Postgres running and lets go of everything else, as a server that is killed does.
async fn as_if_killed(postgres: PrivatePostgres) -> i32 {
    let pid = postgres.pid();
    postgres.supervisor.abandon().await;
    pid
}

fn kill9(pid: i32) {
    kill_process(Pid::from_raw(pid).expect("a process id"), Signal::KILL).expect("kills");
}

async fn run(postgres: &PrivatePostgres, sql: &str) {
    let mut connection = postgres.connect_options().connect().await.expect("connects");
    sqlx::raw_sql(sql).execute(&mut connection).await.expect("runs");
    connection.close().await.expect("closes");
}

async fn count(postgres: &PrivatePostgres) -> i64 {
    let mut connection = postgres.connect_options().connect().await.expect("connects");
    let count =
        sqlx::query_scalar("SELECT count(*) FROM kept").fetch_one(&mut connection).await.expect("counts");
    connection.close().await.expect("closes");
    count
}

#[tokio::test]
async fn what_was_written_is_there_after_a_clean_stop_and_start() {
    let data = data_folder();
    let postgres = start(&data).await;
    assert_eq!(postgres.origin(), Origin::Created);
    run(&postgres, "CREATE TABLE kept (n int); INSERT INTO kept SELECT generate_series(1, 100)").await;
    let pid = postgres.pid();
    postgres.stop().await.expect("stops");
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists(), "the process has ended");
    let started = Instant::now();
    let postgres = start(&data).await;
    let took = started.elapsed();
    println!("a second start of the private postgres took {} ms", took.as_millis());
    assert!(took < Duration::from_secs(10), "{took:?}");
    assert_eq!(postgres.origin(), Origin::Started);
    assert_eq!(count(&postgres).await, 100);
    postgres.stop().await.expect("stops");
}

#[tokio::test]
async fn a_postgres_that_a_killed_server_left_is_adopted_watched_and_stopped() {
    let data = data_folder();
    let postgres = start(&data).await;
    run(&postgres, "CREATE TABLE kept (n int); INSERT INTO kept VALUES (1)").await;
    let left = as_if_killed(postgres).await;
    let postgres = start(&data).await;
    assert_eq!(postgres.origin(), Origin::Adopted);
    assert_eq!(postgres.pid(), left);
    assert_eq!(count(&postgres).await, 1);
    // An adopted one is watched like one's own.
    kill9(left);
    comes_back(&postgres, left).await;
    assert_eq!(count(&postgres).await, 1);
    postgres.stop().await.expect("stops");
}

#[tokio::test]
async fn a_postgres_that_is_killed_is_started_again_and_has_lost_nothing() {
    let data = data_folder();
    let postgres = start(&data).await;
    run(&postgres, "CREATE TABLE kept (n int)").await;
    for round in 1..=3 {
        run(&postgres, "INSERT INTO kept VALUES (1)").await;
        let pid = postgres.pid();
        kill9(pid);
        comes_back(&postgres, pid).await;
        assert_eq!(count(&postgres).await, round);
    }
    postgres.stop().await.expect("stops");
}

/// Bounded wait until another process answers.
async fn comes_back(postgres: &PrivatePostgres, was: i32) {
    let started = Instant::now();
    loop {
        if postgres.pid() != was
            && let Ok(connection) = postgres.connect_options().connect().await
        {
            return connection.close().await.expect("closes");
        }
        assert!(started.elapsed() < Duration::from_secs(60), "postgres did not come back");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn server_and_postgres_both_killed_leave_nothing_that_keeps_the_next_from_starting() {
    let data = data_folder();
    let postgres = start(&data).await;
    run(&postgres, "CREATE TABLE kept (n int); INSERT INTO kept VALUES (1), (2)").await;
    // A child that is busy does not notice by itself that its parent is gone.
    let mut busy = postgres.connect_options().connect().await.expect("connects");
    let query = tokio::spawn(async move {
        sqlx::query("SELECT count(*) FROM generate_series(1, 30000000)").execute(&mut busy).await
    });
    let pid = as_if_killed(postgres).await;
    kill9(pid);
    let postgres = start(&data).await;
    assert_eq!(postgres.origin(), Origin::Started);
    assert_eq!(count(&postgres).await, 2);
    query.abort();
    postgres.stop().await.expect("stops");
}

#[tokio::test]
async fn a_pid_file_whose_number_belongs_to_another_program_is_no_obstacle() {
    let data = data_folder();
    let postgres = start(&data).await;
    run(&postgres, "CREATE TABLE kept (n int)").await;
    let cluster = postgres.cluster().to_path_buf();
    let pid = as_if_killed(postgres).await;
    kill9(pid);
    // This test's own process stands for the stranger: it must not be touched.
    let file = cluster.join("postmaster.pid");
    let text = std::fs::read_to_string(&file).expect("is there");
    let (_, rest) = text.split_once('\n').expect("has lines");
    std::fs::write(&file, format!("{}\n{rest}", std::process::id())).expect("writes");
    let postgres = start(&data).await;
    assert_eq!(postgres.origin(), Origin::Started);
    postgres.stop().await.expect("stops");
}

#[tokio::test]
async fn two_data_folders_do_not_meet() {
    let (one, two) = (data_folder(), data_folder());
    let (first, second) = (start(&one).await, start(&two).await);
    assert_ne!(first.pid(), second.pid());
    run(&first, "CREATE TABLE kept (n int); INSERT INTO kept VALUES (1)").await;
    run(&second, "CREATE TABLE kept (n int)").await;
    assert_eq!((count(&first).await, count(&second).await), (1, 0));
    first.stop().await.expect("stops");
    second.stop().await.expect("stops");
}

#[tokio::test]
async fn one_cluster_is_refused_to_a_second_server() {
    let data = data_folder();
    let postgres = start(&data).await;
    let refused = PrivatePostgres::start(options(&data)).await.err().expect("is refused");
    let text = refused.to_string();
    assert!(text.contains(&format!("process {}", std::process::id())), "{text}");
    postgres.stop().await.expect("stops");
}

#[tokio::test]
async fn another_password_is_told_as_what_it_is() {
    let data = data_folder();
    start(&data).await.stop().await.expect("stops");
    let wrong = Options { password: "another".to_string(), ..options(&data) };
    let refused = PrivatePostgres::start(wrong).await.err().expect("is refused");
    assert!(matches!(refused, PostgresError::WrongPassword), "{refused}");
    // And nothing was left running.
    let postgres = start(&data).await;
    assert_eq!(postgres.origin(), Origin::Started);
    postgres.stop().await.expect("stops");
}

#[tokio::test]
async fn postgres_listens_on_no_network_and_its_socket_is_private() {
    let data = data_folder();
    let postgres = start(&data).await;
    let mut connection = postgres.connect_options().connect().await.expect("connects");
    let addresses: String =
        sqlx::query_scalar("SHOW listen_addresses").fetch_one(&mut connection).await.expect("shows");
    assert_eq!(addresses, "");
    let folder: String =
        sqlx::query_scalar("SHOW unix_socket_directories").fetch_one(&mut connection).await.expect("shows");
    let mode = std::fs::metadata(folder).expect("is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    connection.close().await.expect("closes");
    postgres.stop().await.expect("stops");
}

/// What a clone under `/root` is to the account `postgres`: only root can test it.
#[tokio::test]
async fn as_root_a_data_folder_that_others_can_not_reach_gets_its_cluster_elsewhere() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let data = tempfile::tempdir().expect("a temporary folder");
    std::fs::set_permissions(data.path(), std::fs::Permissions::from_mode(0o700)).expect("changes");
    let postgres = start(&data).await;
    let cluster = postgres.cluster().to_path_buf();
    assert!(cluster.starts_with("/var/lib/annals"), "{}", cluster.display());
    run(&postgres, "CREATE TABLE kept (n int); INSERT INTO kept VALUES (1)").await;
    postgres.stop().await.expect("stops");
    let postgres = start(&data).await;
    assert_eq!(postgres.origin(), Origin::Started);
    assert_eq!(postgres.cluster().canonicalize().expect("is there"), cluster);
    assert_eq!(count(&postgres).await, 1);
    postgres.stop().await.expect("stops");
    std::fs::remove_dir_all(&cluster).expect("removes");
    std::fs::remove_file(cluster.with_extension("lock")).expect("removes");
}
