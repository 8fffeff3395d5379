//! Nodes that live, and who leads what.

use std::collections::BTreeSet;

use annals_tests::{Answer, StatusCode, eventually};
use serde_json::{Value, json};

use crate::support::{PATIENCE, operated};

fn rows(answer: &Answer) -> Vec<Value> {
    answer.at("/data").as_array().cloned().unwrap_or_default()
}

fn leads(node: &Value) -> BTreeSet<String> {
    let names = |kind: &str| node[kind].as_array().cloned().unwrap_or_default();
    let all = names("projections").into_iter().chain(names("processes"));
    all.filter_map(|name| name.as_str().map(str::to_string)).collect()
}

#[tokio::test]
async fn two_nodes_are_listed_and_a_killed_one_disappears_with_what_it_led() {
    let (mut first, ada) = operated().await;
    let mut second = first.node().await;
    let (pid, other_pid) = (json!(first.pid()), json!(second.pid()));
    let both = eventually("both are listed", PATIENCE, || async {
        let nodes = ada.api.get("admin/nodes").await.expect(StatusCode::OK);
        (rows(&nodes).len() == 2).then(|| rows(&nodes))
    })
    .await;
    let pids: BTreeSet<String> = both.iter().map(|node| node["pid"].to_string()).collect();
    assert_eq!(pids, BTreeSet::from([pid.to_string(), other_pid.to_string()]));
    let led: BTreeSet<String> = both.iter().flat_map(leads).collect();
    assert!(
        led.iter().any(|name| name.starts_with("posts v")) && led.contains("publishing.publisher"),
        "{led:?}"
    );
    assert!(leads(&both[0]).is_disjoint(&leads(&both[1])), "one leader each: {both:?}");
    assert_eq!(both[0]["roles"], json!(["commands", "queries", "workers"]));

    first.kill9();
    let api = ada.api.at(&second.url());
    let left = eventually("the survivor leads all", PATIENCE, || async {
        let nodes = rows(&api.get("admin/nodes").await.expect(StatusCode::OK));
        (nodes.len() == 1 && leads(&nodes[0]) == led).then(|| nodes[0].clone())
    })
    .await;
    assert_eq!(left["pid"], other_pid);
    let processes = rows(&api.get("admin/processes").await.expect(StatusCode::OK));
    assert!(
        processes.len() >= 3 && processes.iter().all(|one| one["leader"]["pid"] == other_pid),
        "{processes:?}"
    );

    // One that is stopped takes itself off the list.
    first.restart().await;
    let nodes = rows(&api.get("admin/nodes").await.expect(StatusCode::OK));
    assert_eq!(nodes.len(), 2);
    assert!(second.stop().await);
    let nodes = rows(&ada.api.get("admin/nodes").await.expect(StatusCode::OK));
    assert_eq!(nodes.len(), 1, "{nodes:?}");
}
