//! The alerts that are shipped: they fire when they should, and ask only for what a server tells.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use annals_tests::{Server, StatusCode, eventually, skipped};
use serde_json::json;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../ops")
}

/// Prometheus' own checker, if this machine has it.
fn promtool(arguments: &[&str]) -> Option<String> {
    let output = match Command::new("promtool").args(arguments).current_dir(folder()).output() {
        Ok(output) => output,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
        Err(error) => panic!("promtool does not run: {error}"),
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let told = text(&output.stdout) + &text(&output.stderr);
    assert!(output.status.success(), "promtool {}:\n{told}", arguments.join(" "));
    Some(told)
}

#[test]
fn the_rules_are_rules_and_each_fires_when_it_should() {
    let Some(checked) = promtool(&["check", "rules", "alerts.yml"]) else {
        return skipped("the_rules_are_rules_and_each_fires_when_it_should", "promtool");
    };
    let rules = read("alerts.yml").matches("- alert: ").count();
    assert!(checked.contains(&format!("SUCCESS: {rules} rules found")), "{checked}");
    let tested = promtool(&["test", "rules", "alerts.test.yml"]).unwrap_or_default();
    assert!(tested.contains("SUCCESS"), "{tested}");
}

fn read(name: &str) -> String {
    std::fs::read_to_string(folder().join(name)).expect("is there")
}

#[test]
fn each_alert_is_tested_and_has_its_place_in_the_guide() {
    let (rules, tests) = (read("alerts.yml"), read("alerts.test.yml"));
    let guide = read("../docs/operations.md");
    for name in rules.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")) {
        let fires = tests.split(&format!("alertname: {name}\n")).count() > 1;
        let is_quiet = tests.contains(&format!("alertname: {name}, exp_alerts: []"));
        assert!(fires && is_quiet, "{name} needs a test in which it fires and one in which it does not");
        assert!(guide.contains(&format!("### {name}\n")), "the guide does not say what to do about {name}");
        assert!(
            rules.contains(&format!("docs/operations.md#{}\n", name.to_lowercase())),
            "{name} leads there"
        );
    }
}

/// The names of metrics in the rules' expressions.
fn asked_for() -> BTreeSet<String> {
    let rules = read("alerts.yml");
    let words = rules.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    let names = words.filter(|word| word.starts_with("annals_") || word.starts_with("http_"));
    names.map(str::to_string).collect()
}

#[tokio::test]
async fn every_metric_that_a_rule_asks_for_is_told_by_a_running_server() {
    let server = Server::start().await;
    let ada = server.api().register("Ada").await;
    ada.api.post("posts/tags", json!({"name": "Launch"})).await.expect(StatusCode::CREATED);
    let asked = asked_for();
    assert!(asked.len() >= 10, "{asked:?}");
    eventually("every metric is told", Duration::from_secs(60), || async {
        let text = server.api().get("/metrics").await.expect(StatusCode::OK).text;
        let told: BTreeSet<&str> = text
            .lines()
            .filter(|line| !line.starts_with('#'))
            .filter_map(|line| line.split(['{', ' ']).next())
            .collect();
        let missing: Vec<&String> = asked.iter().filter(|name| !told.contains(name.as_str())).collect();
        if !missing.is_empty() {
            eprintln!("missing: {missing:?}");
        }
        missing.is_empty().then_some(())
    })
    .await;
    let text = server.api().get("/metrics").await.expect(StatusCode::OK).text;
    assert!(text.contains("\nannals_database_up 1\n"), "{text}");
    for label in ["le=\"2\"", "projection=\"posts\"", "name=\"publishing.publisher\"", "status=\"201\""] {
        assert!(text.contains(label), "{label} is in no metric");
    }
}
