//! Who rewrites the past and the tree with it, without the key and with it.

use annals_eventstore::{
    notary::{Checkpoint, KeyChange, NotaryError, open_checkpoint},
    testing::{self, TestDatabase},
};

use super::{deposits, key, notary, tamper};
use crate::account::open;

/// 600 events, signed at 200, 400 and 600.
async fn signed_thrice() -> (TestDatabase, Vec<Checkpoint>) {
    let database = testing::database().await;
    let store = open(&database).await;
    let mut checkpoints = Vec::new();
    for round in 0..3 {
        deposits(&store, &format!("r{round}"), 200).await;
        checkpoints.push(notary(&database).checkpoint_now(KeyChange::Refused).await.unwrap());
    }
    store.close().await;
    (database, checkpoints)
}

/// Event 333 changed, and the tree made anew of what is there now.
async fn rewrite(database: &TestDatabase) {
    tamper(
        database,
        "UPDATE events SET payload = '{\"Deposited\":{\"amount\":1000000}}' WHERE position = 333;
         DELETE FROM notary_tiles; UPDATE notary_tree SET size = 0, root = sha256('')",
    )
    .await;
    notary(database).catch_up(600).await.unwrap();
}

#[tokio::test]
async fn a_rewritten_tree_gets_no_signature_and_is_located_between_two_checkpoints() {
    let (database, _) = signed_thrice().await;
    rewrite(&database).await;
    let check = notary(&database).check(|_, _| {}).await.unwrap();
    assert!(check.findings.is_empty(), "every event fits the tree that was made of it");
    let fits: Vec<_> =
        check.checkpoints.iter().map(|checkpoint| (checkpoint.size, checkpoint.fits)).collect();
    assert_eq!(fits, [(200, true), (400, false), (600, false)]);
    assert_eq!(check.rewritten_between(), Some((201, 400)));
    assert!(!check.is_sound());
    let store = open(&database).await;
    deposits(&store, "later", 1).await;
    let refused = notary(&database).checkpoint_now(KeyChange::Refused).await;
    assert!(matches!(refused, Err(NotaryError::Rewritten { size: 600 })), "{refused:?}");
    store.close().await;
}

/// The operator themselves, with the key: only what an auditor kept can tell.
#[tokio::test]
async fn a_suffix_rewritten_with_its_tree_and_checkpoints_under_the_real_key_contradicts_an_earlier_checkpoint()
 {
    let (database, kept) = signed_thrice().await;
    tamper(&database, "DELETE FROM notary_checkpoints WHERE size > 200").await;
    rewrite(&database).await;
    let notary = notary(&database);
    let forged = notary.checkpoint_now(KeyChange::Refused).await.unwrap();
    assert!(open_checkpoint(&forged.note, key().verifier_key()).is_ok(), "under the real key");
    assert!(notary.check(|_, _| {}).await.unwrap().is_sound(), "in itself it holds");
    // What was kept from before the change is still in it; what was kept from after is not.
    let root_at = async |size| notary.root_at(size).await.unwrap();
    assert_eq!(root_at(200).await, kept[0].root);
    assert_ne!(root_at(400).await, kept[1].root);
    assert_eq!(forged.size, kept[2].size);
    assert_ne!(forged.root, kept[2].root, "two roots of one size under one key: proof of the fraud");
    let proof = notary.consistency(400, 600).await.unwrap();
    assert!(tlog_tiles::check_tree(&proof.path, 600, forged.root, 400, kept[1].root).is_err());
}

#[tokio::test]
async fn tiles_that_were_changed_are_found() {
    let (database, _) = signed_thrice().await;
    tamper(
        &database,
        "UPDATE notary_tiles SET hashes = set_byte(hashes, 40, (get_byte(hashes, 40) + 1) % 256) WHERE level = 0 AND index = 1",
    )
    .await;
    let check = notary(&database).check(|_, _| {}).await.unwrap();
    assert!(!check.root_fits);
    let positions: Vec<u64> = check.findings.iter().map(|finding| finding.position()).collect();
    assert_eq!(positions, [258], "the event no longer has its leaf");
}
