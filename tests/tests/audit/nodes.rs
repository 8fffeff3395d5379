use std::time::Duration;

use annals_tests::{Server, Settings, eventually};

use crate::support::{connect, signed};

/// Two nodes, one of them killed in the middle: one tree, one line of checkpoints, everything in it.
#[tokio::test]
async fn two_nodes_and_a_kill_leave_one_tree() {
    let settings = Settings::default().variable("ANNALS_NOTARY_CHECKPOINT_INTERVAL_S", 1);
    let mut one = Server::start_with(settings).await;
    let two = one.node().await;
    let ada = one.api().register("Ada").await;
    let there = ada.api.at(&two.url());
    for round in 0..4 {
        futures::future::join_all((0..10).map(async |number| {
            let api = if number % 2 == 0 { &ada.api } else { &there };
            connect(api, &format!("channel {round} {number}")).await;
        }))
        .await;
        one.kill9();
        one.restart().await;
    }
    one.kill9();
    let last = connect(&there, "the last").await.position();
    let size = async || {
        let answer = there.get("audit/checkpoint").await;
        answer.at("/data/size").as_u64().filter(|size| *size >= last)
    };
    eventually("the node that is left signs the end", Duration::from_secs(30), size).await;
    one.restart().await;
    signed(&ada).await;
    let check =
        one.command().args(["audit", "check", "--data"]).arg(one.data()).output().expect("annals runs");
    assert!(check.status.success(), "{}", String::from_utf8_lossy(&check.stdout));
    // Where it is shown to who looks after it.
    let metrics = two.api().get("/metrics").await.text;
    for name in ["annals_notary_position", "annals_notary_lag_events 0", "annals_notary_checkpoint_size"] {
        assert!(metrics.contains(name), "{name} is not in the metrics");
    }
}
