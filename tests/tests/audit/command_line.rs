use std::{
    path::{Path, PathBuf},
    process::Output,
};

use annals_tests::{Server, Settings, StatusCode, program};
use serde_json::json;

use crate::support::{connect, signed, two_organizations};

fn audit(server: &Server, arguments: &[&str]) -> Output {
    server
        .command()
        .arg("audit")
        .args(arguments)
        .arg("--data")
        .arg(server.data())
        .output()
        .expect("annals runs")
}

/// Verifies as an auditor does, elsewhere: no server, no settings, no data folder. Exit code and words.
fn verify(bundle: &Path, arguments: &[&str]) -> (i32, String) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let output = std::process::Command::new(program())
        .args(["audit", "verify"])
        .arg(bundle)
        .args(arguments)
        .env_clear()
        .current_dir(folder.path())
        .output()
        .expect("annals runs");
    assert_eq!(std::fs::read_dir(folder.path()).expect("is there").count(), 0, "it leaves nothing behind");
    let text = [output.stdout, output.stderr].concat();
    (output.status.code().expect("it ended by itself"), String::from_utf8_lossy(&text).into_owned())
}

#[track_caller]
fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn write(folder: &tempfile::TempDir, name: &str, text: &str) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, text).expect("writes");
    path
}

#[tokio::test]
async fn a_bundle_is_exported_beside_the_server_and_verified_with_nothing_else() {
    let mut server = Server::private(Settings::default()).await;
    let (ada, bob) = two_organizations(&server).await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let kept = write(&folder, "kept", &signed(&ada).await);
    let kept = kept.to_str().expect("is text");
    connect(&bob.api, "later").await;
    let out = folder.path().join("log.ndjson");
    let out_text = out.to_str().expect("is text");
    let told = stdout(&audit(&server, &["export", "--out", out_text]));
    let key = stdout(&audit(&server, &["key"]));
    let key = key.trim();
    assert!(told.contains(key), "{told}");
    assert_eq!(server.api().get("audit/key").await.text_at("/data/verifierKey"), key);

    let (code, text) = verify(&out, &["--key", key, "--checkpoint", kept]);
    assert!(code == 0 && text.contains("HOLDS"), "{text}");
    let (code, text) = verify(&out, &["--key", key]);
    assert!(code == 0 && text.contains("signed it anew"), "{text}");
    let (code, text) = verify(&out, &[]);
    assert!(code == 4 && text.contains("SELF-CONSISTENT ONLY"), "{text}");
    let bundle = std::fs::read_to_string(&out).expect("is there");
    let changed = write(&folder, "changed", &bundle.replacen("channel 1", "channel 9", 1));
    let (code, text) = verify(&changed, &["--key", key]);
    assert!(code == 3 && text.contains("CHANGED since it was noted (publishing.integration"), "{text}");
    let (code, text) = verify(&write(&folder, "nothing", "{}\n"), &[]);
    assert!(code == 1 && text.contains("this is no bundle"), "{text}");
    let (code, text) = verify(&out, &["--key", "nonsense"]);
    assert!(code == 1 && text.contains("--key is neither"), "{text}");
    assert_eq!(verify(&out, &["--unknown"]).0, 2);

    // An organization's, with the server stopped; the proof from what the auditor kept comes with it.
    assert!(server.stop().await);
    let size = std::fs::read_to_string(kept).expect("is there").lines().nth(1).expect("a size").to_string();
    let arguments = ["export", "--organization", &bob.organization_id, "--since", &size, "--out", out_text];
    stdout(&audit(&server, &arguments));
    let (code, text) = verify(&out, &["--key", key, "--checkpoint", kept]);
    assert!(code == 0 && text.contains("the checkpoint that you kept"), "{text}");
    assert!(!std::fs::read_to_string(&out).expect("is there").contains(&ada.organization_id));
    assert!(stdout(&audit(&server, &["check"])).contains("are as they were noted"));
    assert!(stdout(&audit(&server, &["checkpoint"])).contains(key.split('+').next().expect("a name")));
}

#[tokio::test]
async fn a_change_in_postgres_is_found_by_the_check_and_in_the_bundle() {
    let server = Server::start().await;
    let (ada, _) = two_organizations(&server).await;
    signed(&ada).await;
    assert!(stdout(&audit(&server, &["check"])).contains("checkpoints: "));
    let pool = &server.database().expect("on the test server").pool;
    sqlx::raw_sql(
        "BEGIN; SET LOCAL session_replication_role = replica;
         UPDATE events SET recorded_at = recorded_at - interval '1 second' WHERE position = 4; COMMIT",
    )
    .execute(pool)
    .await
    .expect("updates");
    let check = audit(&server, &["check"]);
    let text = String::from_utf8_lossy(&check.stdout);
    assert_eq!(check.status.code(), Some(3), "{text}");
    assert!(text.contains("WRONG  position 4: CHANGED since it was noted"), "{text}");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let out = folder.path().join("log.ndjson");
    stdout(&audit(&server, &["export", "--out", out.to_str().expect("is text")]));
    let (code, text) = verify(&out, &[]);
    assert!(code == 3 && text.contains("position 4: CHANGED"), "{text}");
}

#[tokio::test]
async fn forgetting_a_person_leaves_every_proof_valid() {
    let server = Server::start().await;
    let (ada, bob) = two_organizations(&server).await;
    let folder = tempfile::tempdir().expect("a temporary folder");
    let kept = write(&folder, "kept", &signed(&ada).await);
    let forgotten = annals_tests::Api::send(
        bob.api
            .request(annals_tests::Method::DELETE, "users/account")
            .json(&json!({"password": bob.password})),
    )
    .await;
    assert_eq!(forgotten.status, StatusCode::OK, "{}", forgotten.text);
    let out = folder.path().join("log.ndjson");
    stdout(&audit(&server, &["export", "--out", out.to_str().expect("is text")]));
    assert!(!std::fs::read_to_string(&out).expect("is there").contains(&bob.email));
    let (code, text) = verify(&out, &["--checkpoint", kept.to_str().expect("is text")]);
    assert!(code == 0 && text.contains("HOLDS"), "{text}");
}
