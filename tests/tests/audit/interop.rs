//! Proofs verified with Go's `golang.org/x/mod/sumdb/note` and `tlog`, which share no code with ours.

use std::{path::Path, process::Command};

use annals_tests::{Server, StatusCode, go_verifier};

use crate::support::{connect, signed, two_organizations};

#[tokio::test]
async fn gos_note_and_tlog_verify_what_the_server_gives() {
    let Some(verifier) = go_verifier("gos_note_and_tlog_verify_what_the_server_gives") else { return };
    let server = Server::start().await;
    let (ada, bob) = two_organizations(&server).await;
    let earlier = signed(&ada).await;
    let size = earlier.lines().nth(1).expect("a size").to_string();
    for number in 0..30 {
        connect(&bob.api, &format!("another {number}")).await;
    }
    let connected = connect(&bob.api, "the one").await.text_at("/data/id");
    let stream = format!("streams/publishing.integration/{connected}");
    let stream = bob.api.get(&stream).await.expect(StatusCode::OK);
    let position = stream.at("/data/events/0/position").as_u64().expect("it is in the log");
    let checkpoint = signed(&ada).await;
    let key = server.api().get("audit/key").await.text_at("/data/verifierKey");
    let inclusion = bob.api.get(&format!("audit/proof/inclusion/{position}")).await.expect(StatusCode::OK);
    assert!(inclusion.text.contains("the one"), "{}", inclusion.text);
    let consistency =
        bob.api.get(&format!("audit/proof/consistency?from={size}")).await.expect(StatusCode::OK);
    let bundle = ada.api.get("audit/export").await.expect(StatusCode::OK);
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, text) in [
        ("checkpoint", &checkpoint),
        ("earlier", &earlier),
        ("inclusion", &inclusion.text),
        ("consistency", &consistency.text),
        ("bundle", &bundle.text),
        ("forged", &inclusion.text.replace("the one", "another one")),
        ("forged-bundle", &bundle.text.replace("the one", "another one")),
        (
            "forged-checkpoint",
            &checkpoint.replacen(&format!("\n{}\n", checkpoint.lines().nth(1).expect("a size")), "\n5\n", 1),
        ),
    ] {
        std::fs::write(folder.path().join(name), text).expect("writes");
    }
    let run = |checkpoint: &str, inclusion: &str, bundle: &str| {
        let path = |name: &str| folder.path().join(name);
        go(
            &verifier,
            &key,
            &path(checkpoint),
            &[
                ("-inclusion", path(inclusion)),
                ("-earlier", path("earlier")),
                ("-consistency", path("consistency")),
                ("-bundle", path(bundle)),
            ],
        )
    };
    let (ok, text) = run("checkpoint", "inclusion", "bundle");
    assert!(ok, "{text}");
    for part in ["checkpoint ok", "inclusion ok", "consistency ok", "bundle ok"] {
        assert!(text.contains(part), "{part} is not in:\n{text}");
    }
    assert!(!run("checkpoint", "forged", "bundle").0);
    assert!(!run("checkpoint", "inclusion", "forged-bundle").0);
    assert!(!run("forged-checkpoint", "inclusion", "bundle").0);
}

fn go(verifier: &Path, key: &str, checkpoint: &Path, files: &[(&str, std::path::PathBuf)]) -> (bool, String) {
    let mut command = Command::new(verifier);
    command.args(["-key", key, "-checkpoint"]).arg(checkpoint);
    for (flag, path) in files {
        command.arg(flag).arg(path);
    }
    let output = command.output().expect("the verifier runs");
    let text = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&text).into_owned())
}
