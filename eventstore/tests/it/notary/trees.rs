use std::time::Duration;

use annals_eventstore::{
    notary::{
        Frontier, KeyChange, Notary, NotaryError, NotaryKey, NotaryOptions, leaf_hash, open_checkpoint,
    },
    testing,
};
use tlog_tiles::{check_record, check_tree};
use tokio_util::sync::CancellationToken;

use super::{deposits, key, notary};
use crate::account::{open, open_node, options};

const FAST: NotaryOptions = NotaryOptions { checkpoint_interval: Duration::from_millis(300) };

/// The tree's root, computed from the rows alone.
async fn root_by_rows(store: &annals_eventstore::EventStore) -> tlog_tiles::Hash {
    let mut frontier = Frontier::default();
    loop {
        let page = store.read_all(frontier.size(), &Default::default(), 1000).await.unwrap();
        if page.is_empty() {
            return frontier.root();
        }
        page.iter().for_each(|event| frontier.push(leaf_hash(event)));
    }
}

async fn reaches(notary: &Notary, size: u64) {
    tokio::time::timeout(Duration::from_secs(30), async {
        while notary.tree().await.unwrap().size < size {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .expect("the notary follows");
}

#[tokio::test]
async fn every_event_is_proven_in_every_tree_that_has_it() {
    let database = testing::database().await;
    let store = open(&database).await;
    let notary = notary(&database);
    let mut checkpoints = vec![notary.checkpoint_now(KeyChange::Refused).await.unwrap()];
    for count in [1, 4, 300, 15] {
        deposits(&store, &format!("a{count}"), count).await;
        checkpoints.push(notary.checkpoint_now(KeyChange::Refused).await.unwrap());
    }
    let sizes: Vec<u64> = checkpoints.iter().map(|checkpoint| checkpoint.size).collect();
    assert_eq!(sizes, [0, 1, 5, 305, 320]);
    assert_eq!(checkpoints[4].root, root_by_rows(&store).await);
    for checkpoint in &checkpoints {
        let head = open_checkpoint(&checkpoint.note, key().verifier_key()).unwrap();
        assert_eq!((head.size, head.root), (checkpoint.size, checkpoint.root));
    }
    let events = store.read_all(0, &Default::default(), 1000).await.unwrap();
    for checkpoint in &checkpoints {
        for event in events.iter().filter(|event| event.position <= checkpoint.size) {
            let proof = notary.inclusion(event.position, checkpoint.size).await.unwrap();
            let leaf = leaf_hash(event);
            check_record(&proof.path, checkpoint.size, checkpoint.root, event.position - 1, leaf).unwrap();
        }
        for earlier in checkpoints.iter().filter(|earlier| (1..=checkpoint.size).contains(&earlier.size)) {
            let proof = notary.consistency(earlier.size, checkpoint.size).await.unwrap();
            check_tree(&proof.path, checkpoint.size, checkpoint.root, earlier.size, earlier.root).unwrap();
        }
    }
    let beyond = notary.inclusion(321, 320).await;
    assert!(matches!(beyond, Err(NotaryError::NotInTree { asked: 321, size: 320 })), "{beyond:?}");
    assert!(notary.inclusion(0, 320).await.is_err());
    assert!(notary.consistency(0, 320).await.is_err());
    assert!(notary.root_at(321).await.is_err());
    store.close().await;
}

#[tokio::test]
async fn two_nodes_that_follow_make_one_tree_and_one_line_of_checkpoints() {
    let database = testing::database().await;
    let stores = [open(&database).await, open_node(&database.url, options()).await];
    let stop = CancellationToken::new();
    let following: Vec<_> = stores
        .iter()
        .map(|store| tokio::spawn(notary(&database).follow(store.clone(), FAST, stop.clone())))
        .collect();
    let notary = notary(&database);
    futures::future::join_all(stores.iter().enumerate().map(async |(node, store)| {
        for round in 0..20 {
            deposits(store, &format!("n{node}-{round}"), 40).await;
        }
    }))
    .await;
    reaches(&notary, 1600).await;
    tokio::time::timeout(Duration::from_secs(30), async {
        while notary.latest_checkpoint().await.unwrap().is_none_or(|last| last.size < 1600) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await
    .expect("the end is signed");
    stop.cancel();
    futures::future::join_all(following).await;
    assert_eq!(notary.tree().await.unwrap().root, root_by_rows(&stores[0]).await);
    let check = notary.check(|_, _| {}).await.unwrap();
    assert!(check.is_sound() && check.compared == 1600, "{check:?}");
    let signed = notary.checkpoints(None, 1000).await.unwrap();
    assert!(signed.windows(2).all(|two| two[0].size > two[1].size), "newest first, each larger");
    let times: Vec<_> = signed.iter().map(|checkpoint| checkpoint.signed_at).collect();
    let gaps = times.windows(2).map(|two| (two[0] - two[1]).num_milliseconds());
    assert!(
        gaps.clone().all(|gap| gap >= 290),
        "the interval holds among all nodes: {:?}",
        gaps.collect::<Vec<_>>()
    );
    futures::future::join_all(stores.iter().map(|store| store.close())).await;
}

/// A node that dies leaves a transaction that never was: whatever its moment, the next goes on.
#[tokio::test]
async fn a_notary_that_is_killed_again_and_again_loses_and_doubles_nothing() {
    let database = testing::database().await;
    let store = open(&database).await;
    let writing = {
        let store = store.clone();
        tokio::spawn(async move {
            for round in 0..60 {
                deposits(&store, &format!("k{round}"), 100).await;
            }
        })
    };
    let mut kills = 0;
    while !writing.is_finished() || kills < 30 {
        let following = tokio::spawn(notary(&database).follow(store.clone(), FAST, CancellationToken::new()));
        tokio::time::sleep(Duration::from_millis(5 + (kills * 37) % 230)).await;
        following.abort();
        kills += 1;
    }
    writing.await.unwrap();
    let notary = notary(&database);
    notary.checkpoint_now(KeyChange::Refused).await.unwrap();
    let tree = notary.tree().await.unwrap();
    assert_eq!((tree.size, tree.root), (6000, root_by_rows(&store).await), "after {kills} kills");
    assert!(notary.check(|_, _| {}).await.unwrap().is_sound());
    store.close().await;
}

#[tokio::test]
async fn a_node_with_another_key_does_not_sign_unless_the_key_was_changed_on_purpose() {
    let database = testing::database().await;
    let store = open(&database).await;
    deposits(&store, "a", 3).await;
    notary(&database).checkpoint_now(KeyChange::Refused).await.unwrap();
    let other = NotaryKey::new(&[10; 32], Some("annals.test/log")).unwrap();
    let other = Notary::new(database.pool.clone(), other);
    deposits(&store, "b", 1).await;
    let refused = other.checkpoint_now(KeyChange::Refused).await;
    assert!(matches!(refused, Err(NotaryError::OtherKey { .. })), "{refused:?}");
    let signed = other.checkpoint_now(KeyChange::Allowed).await.unwrap();
    assert_eq!((signed.size, signed.verifier_key.as_str()), (4, other.key().verifier_key()));
    assert!(notary(&database).check(|_, _| {}).await.unwrap().is_sound());
    store.close().await;
}
