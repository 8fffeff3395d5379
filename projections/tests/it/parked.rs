//! Poison: one key waits, the others go on, a replay after the fix makes it whole.

use std::time::Duration;

use annals_projections::runtime::{AdminError, Replayed, request_rebuild};

use crate::support::{Log, Running, Switch, Writers, add, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_poisoned_key_waits_in_order_while_the_others_go_on() {
    let log = Log::new().await;
    let switch = Switch::new("a");
    let running = Running::start::<1>(&log.node().await, &switch);
    log.add("bad", 1).await;
    let poison = log.add_noted("bad", 10, "poison").await;
    // All at once, so that poison and health share batches.
    let others = (0..40).map(|n| log.add(if n % 2 == 0 { "good" } else { "bad" }, 100));
    futures::future::join_all(others).await;
    log.caught_up::<1>().await;

    let contents = log.contents(1).await;
    assert_eq!(contents.totals, [("bad".to_string(), 1, 1), ("good".to_string(), 2000, 20)]);
    let parked = running.admin.parked("ledger").await.unwrap();
    assert_eq!(parked.len(), 1);
    assert_eq!((parked[0].key.as_str(), parked[0].position), ("test.account/bad", poison));
    assert_eq!(parked[0].events, 21);
    assert_eq!(parked[0].error, "poisoned \"…\" value", "the reason is kept without values");
    assert_eq!(running.reader.applied().await.unwrap()[0].parked_keys, 1);

    // Not fixed yet: it fails again and waits on.
    let tried = running.admin.replay_parked("ledger", None).await.unwrap();
    assert_eq!(tried, Replayed { applied: 0, failed_keys: 1 });
    log.add("bad", 1000).await;
    log.caught_up::<1>().await;
    assert_eq!(running.admin.parked("ledger").await.unwrap()[0].events, 22);

    switch.heal();
    let replayed = running.admin.replay_parked("ledger", Some("test.account/bad")).await.unwrap();
    assert_eq!(replayed, Replayed { applied: 22, failed_keys: 0 });
    assert_eq!(running.admin.replay_parked("ledger", None).await.unwrap(), Replayed::default());
    log.add("bad", 10_000).await;
    log.caught_up::<1>().await;
    let replayed = log.contents(1).await;
    assert_eq!(replayed.totals[0], ("bad".to_string(), 13_011, 24));
    until("nothing is parked", log.pool(), "parked_keys = 0").await;

    let generation = request_rebuild(log.pool(), "ledger").await.unwrap();
    until("rebuilt", log.pool(), &format!("generation = {generation} AND state = 'live'")).await;
    assert_eq!(log.contents(1).await, replayed, "as if it had never failed");
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn panics_and_constraints_park_and_everything_else_is_applied() {
    let log = Log::new().await;
    let switch = Switch::new("a");
    let running = Running::start::<1>(&log.node().await, &switch);
    let notes = ["fine", "panic", "fine", "constraint", "poison", "fine"];
    let all = (0..60_usize).map(|n| {
        let (log, note) = (&log, notes[n % notes.len()]);
        async move { log.add_noted(&format!("{note}-{n}"), 1, note).await }
    });
    futures::future::join_all(all).await;
    log.caught_up::<1>().await;
    assert_eq!(log.contents(1).await.events(), 30);
    let parked = running.admin.parked("ledger").await.unwrap();
    assert_eq!(parked.len(), 30);
    let reason = |of: &str| {
        let parked = parked.iter().find(|parked| parked.key.contains(of)).unwrap();
        parked.error.clone()
    };
    assert_eq!(reason("panic"), "the projector panicked: see the log");
    assert!(reason("constraint").contains("SQLSTATE 23514, constraint entries_note_check"));
    switch.heal();
    let replayed = running.admin.replay_parked("ledger", None).await.unwrap();
    assert_eq!(replayed, Replayed { applied: 30, failed_keys: 0 });
    assert_eq!(log.contents(1).await.events(), 60);
    let unknown = running.admin.replay_parked("nothing", None).await.unwrap_err();
    assert!(matches!(unknown, AdminError::Unknown { .. }));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replay_beside_writers_and_another_replay_counts_once() {
    let log = Log::new().await;
    let switch = Switch::new("a");
    let running = Running::start::<1>(&log.node().await, &switch);
    for account in 0..7 {
        log.add_noted(&format!("account-{account}"), 1, "poison").await;
    }
    let writers = Writers::start(&log.store, 3, Duration::from_millis(1));
    until("much is parked", log.pool(), "state = 'live' AND parked_keys = 7 AND position > 600").await;
    switch.heal();
    let admins: Vec<_> = (0..3).map(|_| running.admin.clone()).collect();
    let replays = admins.iter().map(|admin| admin.replay_parked("ledger", None));
    let replayed: u64 =
        futures::future::join_all(replays).await.into_iter().map(|replayed| replayed.unwrap().applied).sum();
    let written = 7 + writers.stop().await;
    log.caught_up::<1>().await;
    running.admin.replay_parked("ledger", None).await.unwrap();
    until("nothing is parked", log.pool(), "parked_keys = 0").await;
    let contents = log.contents(1).await;
    assert!(replayed >= 600, "{replayed} events were replayed");
    assert_eq!((contents.entries.len() as u64, contents.events()), (written, written));
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_build_with_parked_keys_takes_over_only_when_confirmed() {
    let log = Log::new().await;
    let healthy = Switch::new("old");
    healthy.heal();
    let old = Running::start::<1>(&log.node().await, &healthy);
    log.add_noted("bad", 1, "poison").await;
    log.add("good", 1).await;
    log.caught_up::<1>().await;

    let switch = Switch::new("new");
    let new = Running::start::<2>(&log.node().await, &switch);
    until("it waits", log.pool(), "version = 2 AND indexed AND parked_keys = 1 AND position = 2").await;
    for _ in 0..5 {
        log.add("good", 1).await;
        log.caught_up::<1>().await;
    }
    until("it follows", log.pool(), "version = 2 AND state = 'building' AND position = 7").await;
    let under_way = new.admin.under_way("ledger").await.unwrap().unwrap();
    assert_eq!((under_way.build.version, under_way.has_live), (2, false));
    assert!(new.admin.accept_parked("ledger", under_way.build).await.unwrap());
    until("it takes over", log.pool(), "version = 2 AND state = 'live'").await;
    assert_eq!(log.contents(2).await.events(), 6);
    switch.heal();
    new.admin.replay_parked("ledger", None).await.unwrap();
    assert_eq!(log.contents(2).await, log.contents(1).await);
    old.stop().await;
    new.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_event_waits_and_everything_else_is_applied() {
    let log = Log::new().await;
    log.add("good", 1).await;
    let sealed = serde_json::json!({"$personal": {"subject": "user:ada", "value": "a note"}});
    let payload = serde_json::json!({"amount": 5, "note": sealed});
    let damaged = add(&log.store, "bad", payload).await;
    log.add("bad", 7).await;
    log.add("good", 1).await;
    // As a disk would: under the log's own protection. The key no longer is the one it was sealed under.
    sqlx::query("UPDATE sealing_keys SET key_id = '\\x0000000000000000' WHERE owner = 'user:ada'")
        .execute(log.pool())
        .await
        .unwrap();

    // A node that has seen nothing of it.
    let running = Running::start::<1>(&log.node().await, &Switch::new("a"));
    log.caught_up::<1>().await;
    assert_eq!(log.contents(1).await.totals, [("good".to_string(), 2, 2)]);
    let parked = running.admin.parked("ledger").await.unwrap();
    assert_eq!((parked.len(), parked[0].position, parked[0].events), (1, damaged, 2));
    assert_eq!(parked[0].error, "it is damaged: a sealed value is damaged");
    running.stop().await;
}
