//! The same on the command line, beside the running server.

use annals_tests::StatusCode;
use serde_json::{Value, json};

use crate::support::{fails, operated, recorded, run, succeeds, user, write_tags};

fn json_of(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[tokio::test]
async fn a_rebuild_is_begun_waited_for_and_told_of_who_and_why() {
    let (server, ada) = operated().await;
    write_tags(&ada.api, 5).await;
    let no_reason = run(&server, &["projections", "rebuild", "tags"]);
    assert_eq!(no_reason.status.code(), Some(2), "it has to be said why");
    assert!(String::from_utf8_lossy(&no_reason.stderr).contains("--reason"));

    let rebuild = ["projections", "rebuild", "tags", "--wait", "--json", "--reason", "to try it"];
    let done = json_of(&succeeds(&run(&server, &rebuild)));
    assert_eq!((&done["generation"], &done["state"]), (&json!(2), &json!("live")));
    let shown = succeeds(&run(&server, &["projections", "list"]));
    let line = shown.lines().find(|line| line.starts_with("tags ")).unwrap_or_default();
    assert!(line.split_whitespace().nth(2) == Some("2") && line.ends_with("live"), "{shown}");

    let slow = ["projections", "rebuild", "tags", "--events-per-second", "1", "--reason", "slowly"];
    assert!(succeeds(&run(&server, &slow)).contains("generation 3 at"));
    let why = ["--reason", "in the way", "--as", &ada.email];
    let paused = succeeds(&run(&server, &[&["projections", "pause", "tags"][..], &why].concat()));
    assert!(paused.contains("paused"), "{paused}");
    succeeds(&run(&server, &[&["projections", "throttle", "tags"][..], &why].concat()));
    succeeds(&run(&server, &[&["projections", "cancel", "tags"][..], &why].concat()));
    let nothing = fails(&run(&server, &[&["projections", "resume", "tags"][..], &why].concat()));
    assert!(nothing.contains("no build of this read model is under way"), "{nothing}");
    let unknown = fails(&run(&server, &["projections", "rebuild", "nothing", "--reason", "x"]));
    assert!(unknown.contains("there is no such read model"), "{unknown}");

    let all = recorded(&server).await;
    let kinds: Vec<&str> =
        all.iter().filter_map(|(kind, ..)| kind.strip_prefix("operations.projection.")).collect();
    let expected = [
        "rebuild_requested",
        "rebuild_requested",
        "rebuild_paused",
        "rebuild_throttled",
        "rebuild_cancelled",
    ];
    assert_eq!(kinds, expected);
    assert_eq!(all[0].2["type"], "operator");
    assert!(all[0].2["id"].as_str().is_some_and(|id| id.starts_with("cli:")), "{}", all[0].2);
    assert_eq!((all[0].1.as_str(), &all[2].2), ("to try it", &user(&ada)));
}

#[tokio::test]
async fn lists_are_text_for_people_and_json_for_programs() {
    let (server, ada) = operated().await;
    let parked = run(&server, &["projections", "parked", "users"]);
    assert!(succeeds(&parked).contains("0 keys of users are parked"));
    let none = fails(&run(&server, &["projections", "events", "users", "nothing"]));
    assert!(none.contains("no such parked key"), "{none}");
    let gone = run(&server, &["projections", "skip", "users", "nothing", "--reason", "x"]);
    assert!(fails(&gone).contains("nothing is parked on this key"));
    let replayed = run(&server, &["projections", "replay", "users", "--reason", "to be sure"]);
    assert!(succeeds(&replayed).contains("0 events applied, 0 keys failed again"));

    let nodes = json_of(&succeeds(&run(&server, &["nodes", "--json"])));
    assert_eq!(nodes.as_array().map(Vec::len), Some(1), "the command itself is no node");
    assert_eq!(nodes[0]["pid"], json!(server.pid()));
    assert!(succeeds(&run(&server, &["nodes"])).contains("publisher"));
    let processes = succeeds(&run(&server, &["processes"]));
    assert!(processes.lines().any(|line| line.starts_with("publishing.publisher ")), "{processes}");
    assert!(json_of(&succeeds(&run(&server, &["processes", "--json"])))[0]["position"].is_number());

    assert!(succeeds(&run(&server, &["timers", "list", "--state", "parked"])).contains("0 timers"));
    assert_eq!(json_of(&succeeds(&run(&server, &["timers", "list", "--json"]))), json!([]));
    assert_eq!(run(&server, &["timers", "list", "--state", "asleep"]).status.code(), Some(2));
    for action in ["retry", "cancel"] {
        let id = "00000000-0000-0000-0000-000000000001";
        let unknown = fails(&run(&server, &["timers", action, id, "--reason", "x"]));
        assert!(unknown.contains("there is no such timer"), "{unknown}");
    }
    ada.api.get("admin/nodes").await.expect(StatusCode::OK);
}

#[tokio::test]
async fn an_operator_is_named_and_dismissed_and_it_holds_at_once() {
    let (server, ada) = operated().await;
    let eve = server.api().register("Eve").await;
    eve.api.get("admin/nodes").await.expect(StatusCode::FORBIDDEN);
    let impostor = ["grant", "operator", &eve.email, "--reason", "I say so", "--as", &eve.email];
    assert!(fails(&run(&server, &impostor)).contains("is no operator"));
    let grant = ["grant", "operator", &eve.email, "--reason", "on duty this week"];
    assert!(succeeds(&run(&server, &grant)).contains("is an operator"));
    succeeds(&run(&server, &grant));
    annals_tests::eventually("it holds here", crate::support::PATIENCE, || async {
        (eve.api.get("admin/nodes").await.status == StatusCode::OK).then_some(())
    })
    .await;
    let revoke = ["revoke", "operator", &eve.email, "--reason", "the week is over", "--as", &ada.email];
    assert!(succeeds(&run(&server, &revoke)).contains("is no operator"));
    annals_tests::eventually("it holds no more", crate::support::PATIENCE, || async {
        (eve.api.get("admin/nodes").await.status == StatusCode::FORBIDDEN).then_some(())
    })
    .await;
    let nobody = ["grant", "operator", "nobody@example.org", "--reason", "x"];
    assert!(fails(&run(&server, &nobody)).contains("there is no account with this mail address"));

    let all = recorded(&server).await;
    let told: Vec<(&str, &str)> = all.iter().map(|(kind, why, _)| (kind.as_str(), why.as_str())).collect();
    assert_eq!(
        told,
        [
            ("operations.operator.granted", "on duty this week"),
            ("operations.operator.revoked", "the week is over")
        ],
        "granting it twice is one decision"
    );
    assert_eq!(all[1].2, user(&ada));
}
