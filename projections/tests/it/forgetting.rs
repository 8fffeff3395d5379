//! A forgotten person leaves live read models, and a fresh build never knew them.

use annals_projections::runtime::request_rebuild;
use serde_json::json;

use crate::support::{Log, Running, Switch, add, append, until};

fn note(person: &str, value: &str) -> serde_json::Value {
    json!({"amount": 1, "note": {"$personal": {"subject": format!("user:{person}"), "value": value}}})
}

async fn forget(log: &Log, person: &str) -> u64 {
    let mut append = append("forgotten", person, json!({}));
    append.forget.push(format!("user:{person}"));
    log.store.append(append).await.unwrap().position
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fresh_build_equals_the_live_one_after_forgetting() {
    let log = Log::new().await;
    let running = Running::start::<1>(&log.node().await, &Switch::new("a"));
    for turn in 0..20 {
        add(&log.store, "ada", note("ada", &format!("ada's {turn}"))).await;
        add(&log.store, "bob", note("bob", &format!("bob's {turn}"))).await;
    }
    log.caught_up::<1>().await;
    let noted = |contents: &crate::support::Contents, of: &str| {
        contents.entries.iter().filter(|(_, account, _, note)| account == of && note.is_some()).count()
    };
    let before = log.contents(1).await;
    assert_eq!((noted(&before, "ada"), noted(&before, "bob")), (20, 20), "projectors read personal data");

    forget(&log, "ada").await;
    log.caught_up::<1>().await;
    let live = log.contents(1).await;
    assert_eq!((noted(&live, "ada"), noted(&live, "bob")), (0, 20));
    let generation = request_rebuild(log.pool(), "ledger").await.unwrap();
    until("rebuilt", log.pool(), &format!("generation = {generation} AND state = 'live'")).await;
    assert_eq!(log.contents(1).await, live);
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn forgetting_does_not_wait_behind_a_parked_key() {
    let log = Log::new().await;
    let switch = Switch::new("a");
    let running = Running::start::<1>(&log.node().await, &switch);
    add(&log.store, "ada", note("ada", "before")).await;
    add(&log.store, "ada", note("ada", "poison")).await;
    add(&log.store, "ada", note("ada", "after")).await;
    log.caught_up::<1>().await;
    assert_eq!(log.contents(1).await.entries.len(), 1);

    forget(&log, "ada").await;
    log.caught_up::<1>().await;
    assert_eq!(log.contents(1).await.entries, [(1, "ada".to_string(), 1, None)]);
    assert_eq!(running.admin.parked("ledger").await.unwrap()[0].events, 3, "it waits in its order too");

    // The poison was in the forgotten value: a replay finds it erased, and nothing comes back.
    let replayed = running.admin.replay_parked("ledger", None).await.unwrap();
    assert_eq!((replayed.applied, replayed.failed_keys), (3, 0));
    let live = log.contents(1).await;
    assert_eq!(live.entries.len(), 3);
    assert!(live.entries.iter().all(|(_, _, _, note)| note.is_none()));
    let generation = request_rebuild(log.pool(), "ledger").await.unwrap();
    until("rebuilt", log.pool(), &format!("generation = {generation} AND state = 'live'")).await;
    assert_eq!(log.contents(1).await, live);
    running.stop().await;
}
