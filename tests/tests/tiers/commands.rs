//! The same on the command line, and a start that refuses what is no policy.

use annals_tests::{StatusCode, program};
use serde_json::{Value, json};

use crate::support::{House, connect, fails, policy, run, succeeds, used};

fn json_of(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[tokio::test]
async fn tiers_are_listed_and_set_with_who_and_why() {
    let house = House::new().await;
    let server = &house.server;
    let bea = server.api().register("Bea").await;
    let id = bea.organization_id.as_str();
    let why = ["--reason", "they asked for it"];
    let no_reason = run(server, &["organizations", "set-tier", id, "small"]);
    assert_eq!(no_reason.status.code(), Some(2), "it has to be said why");
    let set = |arguments: &[&str]| run(server, &[&["organizations", "set-tier"], arguments, &why].concat());
    let done = json_of(&succeeds(&set(&[id, "small", "--json"])));
    assert_eq!(done, json!({"id": id, "tier": "small"}));
    // The node that runs has it at once: it decides on the log.
    connect(&bea.api, "one").await.expect(StatusCode::CREATED);
    connect(&bea.api, "two").await.expect(StatusCode::CREATED);
    connect(&bea.api, "three").await.expect(StatusCode::CONFLICT);
    let unknown = fails(&set(&[id, "gold"]));
    assert!(unknown.contains("gold is no tier; there are small, medium, large"), "{unknown}");
    let nobody = fails(&set(&["00000000-0000-0000-0000-000000000001", "small"]));
    assert!(nobody.contains("there is no such organization"), "{nobody}");
    let told = succeeds(&set(&[id, "medium", "--as", &house.operator.email]));
    assert!(told.contains("has the tier medium from now on"), "{told}");
    let pool = &server.database().expect("is there").pool;
    let by: Vec<(Option<String>, Option<String>, Option<String>)> = sqlx::query_as(
        "SELECT payload->>'tier', payload->>'by', metadata->'actor'->>'type' FROM events
         WHERE event_type = 'identity.organization.tier_set' ORDER BY position",
    )
    .fetch_all(pool)
    .await
    .expect("the log can be read");
    let some = |text: &str| Some(text.to_string());
    let operator = some(&house.operator.user_id);
    assert_eq!(by, [(some("small"), None, some("operator")), (some("medium"), operator, some("user"))]);

    used(&bea, "channels", 2, Some(3)).await;
    let listed = bea.api.get(&format!("agencies/{id}/usage")).await.expect(StatusCode::OK);
    assert_eq!(listed.at("/data/tier/name"), "medium");
    let found = json_of(&succeeds(&run(server, &["organizations", "list", "--tier", "medium", "--json"])));
    assert_eq!((found[0]["id"].as_str(), found.as_array().map(Vec::len)), (Some(id), Some(1)));
    assert_eq!(found[0]["quotas"][0], json!({"name": "channels", "limit": 3, "used": 2, "resetsAt": null}));
    let text = succeeds(&run(server, &["organizations", "list", "--search", id]));
    assert!(text.starts_with("1 organizations\n") && text.contains("2 of 3"), "{text}");
    let wrong = fails(&run(server, &["organizations", "list", "--tier", "gold"]));
    assert!(wrong.contains("gold is no tier"), "{wrong}");

    let tiers = json_of(&succeeds(&run(server, &["tiers", "--json"])));
    assert_eq!((&tiers[0]["name"], &tiers[2]["isDefault"]), (&json!("small"), &json!(true)));
    let text = succeeds(&run(server, &["tiers"]));
    assert!(text.contains("large (default)") && text.contains("no limit"), "{text}");
}

#[test]
fn a_start_says_what_is_wrong_with_the_policy() {
    let data = tempfile::tempdir().expect("a temporary folder");
    let start = |text: &str, default: Option<&str>| {
        let policy = policy(text);
        let mut command = std::process::Command::new(program());
        command.args(["tiers", "--data"]).arg(data.path()).env("ANNALS_TIERS_POLICY", policy.path());
        if let Some(default) = default {
            command.env("ANNALS_TIERS_DEFAULT", default);
        }
        fails(&command.output().expect("annals runs"))
    };
    let wrong = start("[[tier]]\nname = \"a\"\nquotas = { channels = 1, members = 0 }", None);
    assert!(
        wrong.contains("tiers.policy") && wrong.contains("tier 1 (a): quotas.members must be 1 to"),
        "{wrong}"
    );
    let wrong = start("[[tier]]\nname = \"a\"", Some("gold"));
    assert!(wrong.contains("tiers.default: gold is no tier; there are a"), "{wrong}");
}
