//! What an append does, and what refuses it.

use annals_eventstore::{
    AppendError, Assert, Claim, ClaimKey, Expected, Filter, NewEvent, StreamAppend, testing::database,
};
use futures::future::join_all;
use uuid::Uuid;

use crate::account::{account, append, deposit, deposited, metadata, open, options};

#[tokio::test]
async fn positions_are_gapless_and_versions_count_a_streams_events() {
    let database = database().await;
    let store = open(&database).await;
    let first =
        store.append(append(account(1), Expected::Exact(0), vec![deposited(1), deposited(2)])).await.unwrap();
    let second = deposit(&store, "2", 0, 5).await.unwrap();
    let third = deposit(&store, "1", 2, 5).await.unwrap();
    assert_eq!((first.position, second.position, third.position), (2, 3, 4));
    assert_eq!(third.versions, vec![(account(1), 3)]);
    assert!(second.recorded_at >= first.recorded_at && third.recorded_at >= second.recorded_at);
    let all = store.read_all(0, &Filter::default(), 100).await.unwrap();
    assert_eq!(all.iter().map(|event| event.position).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert_eq!(all.iter().map(|event| event.sequence).collect::<Vec<_>>(), [1, 2, 1, 3]);
    assert_eq!(store.head().await.unwrap(), 4);
}

#[tokio::test]
async fn several_streams_are_written_all_or_not_at_all() {
    let database = database().await;
    let store = open(&database).await;
    deposit(&store, "2", 0, 1).await.unwrap();
    let both = |second_version| {
        let mut both = append(account(1), Expected::Exact(0), vec![deposited(1)]);
        both.streams.push(StreamAppend {
            stream: account(2),
            expected: Expected::Exact(second_version),
            events: vec![deposited(2), deposited(3)],
        });
        both
    };
    let refused = store.append(both(0)).await.unwrap_err();
    assert!(
        matches!(refused, AppendError::VersionConflict { stream, expected: 0, actual: 1 } if stream == account(2))
    );
    assert!(store.read_stream(&account(1), 0, 10).await.unwrap().is_empty());
    let written = store.append(both(1)).await.unwrap();
    assert_eq!(written.versions, vec![(account(1), 1), (account(2), 3)]);
    assert_eq!(written.position, 4);
}

#[tokio::test]
async fn each_refusal_of_a_batch_hurts_only_itself_and_says_which_it_was() {
    let database = database().await;
    let mut options = options();
    options.event_bytes_max = 10_000;
    let store = annals_eventstore::EventStore::open(database.pool.clone(), options).await.unwrap();
    deposit(&store, "old", 0, 1).await.unwrap();
    let taken = ClaimKey::plain("test.name", "taken");
    let mut holder = append(account("holder"), Expected::Exact(0), vec![deposited(1)]);
    holder.claims.push(Claim::Take { key: taken.clone(), holder: "holder".to_string() });
    let known_id = holder.streams[0].events[0].event_id;
    store.append(holder).await.unwrap();

    let new = |id: &str| append(account(id), Expected::Exact(0), vec![deposited(1)]);
    let stale = append(account("old"), Expected::Exact(0), vec![deposited(1)]);
    let mut oversize = new("oversize");
    oversize.streams[0].events[0].payload = format!("\"{}\"", "x".repeat(20_000));
    let mut duplicate = new("duplicate");
    duplicate.streams[0].events[0].event_id = known_id;
    let mut claim = new("claim");
    claim.claims.push(Claim::Take { key: taken.clone(), holder: "other".to_string() });
    let mut assert_version = new("assert");
    assert_version.asserts.push(Assert::StreamVersion { stream: account("old"), version: 7 });
    let mut assert_holder = new("assert2");
    assert_holder.asserts.push(Assert::ClaimHolder { key: taken.clone(), holder: None });
    let mut not_json = new("not-json");
    not_json.streams[0].events[0].payload = "{".to_string();
    let mut nul = new("nul");
    nul.streams[0].events[0].payload = r#"{"a":"\u0000"}"#.to_string();
    let good = (0..20).map(|number| new(&format!("good{number}")));

    // Twice the same stream and twice the same free claim in one batch as well.
    let rivals = [new("rival"), new("rival")];
    let free = ClaimKey::plain("test.name", "free");
    let claimants = ["a", "b"].map(|id| {
        let mut claimant = new(id);
        claimant.claims.push(Claim::Take { key: free.clone(), holder: id.to_string() });
        claimant
    });
    let bad = [stale, oversize, duplicate, claim, assert_version, assert_holder, not_json, nul];
    let answers =
        join_all(bad.into_iter().chain(rivals).chain(claimants).chain(good).map(|one| store.append(one)))
            .await;

    assert!(matches!(&answers[0], Err(AppendError::VersionConflict { actual: 1, expected: 0, .. })));
    assert!(matches!(&answers[1], Err(AppendError::TooLarge { limit: 10_000, .. })));
    assert!(matches!(&answers[2], Err(AppendError::DuplicateEvent { event_id }) if *event_id == known_id));
    assert!(
        matches!(&answers[3], Err(AppendError::ClaimTaken { holder, key }) if holder == "holder" && *key == taken)
    );
    assert!(
        matches!(&answers[4], Err(AppendError::AssertFailed { what }) if what.contains("test.account/old"))
    );
    assert!(matches!(&answers[5], Err(AppendError::AssertFailed { what }) if what.contains("test.name")));
    assert!(matches!(&answers[6], Err(AppendError::Malformed { .. })));
    assert!(matches!(&answers[7], Err(AppendError::Malformed { .. })));
    assert!(answers[8].is_ok());
    assert!(matches!(&answers[9], Err(AppendError::VersionConflict { actual: 1, .. })));
    assert!(answers[10].is_ok());
    assert!(matches!(&answers[11], Err(AppendError::ClaimTaken { holder, .. }) if holder == "a"));
    assert!(answers[12..].iter().all(Result::is_ok), "the good ones are written");
    let positions: Vec<u64> =
        store.read_all(0, &Filter::default(), 1_000).await.unwrap().iter().map(|e| e.position).collect();
    assert_eq!(positions, (1..=24).collect::<Vec<_>>());
}

#[tokio::test]
async fn facts_at_any_version_all_stand() {
    let database = database().await;
    let store = open(&database).await;
    let answers = join_all(
        (0..50).map(|amount| store.append(append(account(1), Expected::Any, vec![deposited(amount)]))),
    )
    .await;
    let mut versions: Vec<u64> = answers.into_iter().map(|answer| answer.unwrap().versions[0].1).collect();
    versions.sort_unstable();
    assert_eq!(versions, (1..=50).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_claim_is_held_by_one_until_released() {
    let database = database().await;
    let store = open(&database).await;
    let key = store.claim_key("identity.email", "ada@example.org");
    assert_eq!(key, store.claim_key("identity.email", "ada@example.org"));
    assert_ne!(key, store.claim_key("identity.email", "ada@example.com"));
    let with = |claim| {
        let mut append = annals_eventstore::Append::new(metadata());
        append.claims.push(claim);
        append
    };
    let take = |holder: &str| with(Claim::Take { key: key.clone(), holder: holder.to_string() });
    let release = |holder: &str| with(Claim::Release { key: key.clone(), holder: holder.to_string() });
    store.append(take("a")).await.unwrap();
    store.append(take("a")).await.unwrap();
    assert!(matches!(store.append(take("b")).await, Err(AppendError::ClaimTaken { .. })));
    assert!(matches!(store.append(release("b")).await, Err(AppendError::ClaimTaken { .. })));
    assert_eq!(store.claim_holder(&key).await.unwrap().as_deref(), Some("a"));
    store.append(release("a")).await.unwrap();
    store.append(release("a")).await.unwrap();
    assert_eq!(store.claim_holder(&key).await.unwrap(), None);
    store.append(take("b")).await.unwrap();
    assert_eq!(store.claim_holder(&key).await.unwrap().as_deref(), Some("b"));
}

#[tokio::test]
async fn the_table_refuses_to_be_changed() {
    let database = database().await;
    let store = open(&database).await;
    deposit(&store, "1", 0, 1).await.unwrap();
    for sql in ["UPDATE events SET payload = '{}'", "DELETE FROM events", "TRUNCATE events"] {
        assert!(sqlx::query(sql).execute(&database.pool).await.is_err(), "{sql}");
    }
}

#[tokio::test]
async fn two_events_with_one_id_in_one_batch_are_told_apart() {
    let database = database().await;
    let store = open(&database).await;
    let event = || NewEvent { event_id: Uuid::from_u128(7), ..deposited(1) };
    let answers =
        join_all((0..10).map(|id| store.append(append(account(id), Expected::Exact(0), vec![event()]))))
            .await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
    let duplicates =
        answers.iter().filter(|answer| matches!(answer, Err(AppendError::DuplicateEvent { .. })));
    assert_eq!(duplicates.count(), 9);
}
