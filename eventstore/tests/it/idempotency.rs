//! One key, one effect.

use annals_eventstore::{AppendError, EventStore, Expected, Idempotency, IdempotencyRef, testing::database};
use futures::future::join_all;
use serde_json::json;

use crate::account::{account, append, deposited, metadata, open};

fn reference(store: &EventStore, key: &str, request: &str) -> IdempotencyRef {
    IdempotencyRef {
        scope: "user:1".to_string(),
        key: key.to_string(),
        request_digest: store.digest(request.as_bytes()),
    }
}

fn keyed(store: &EventStore, stream: u32, key: &str, request: &str) -> annals_eventstore::Append {
    let mut keyed = append(account(stream), Expected::Any, vec![deposited(1)]);
    keyed.idempotency = Some(Idempotency {
        reference: reference(store, key, request),
        result: json!({"stream": stream}),
        shown_once: None,
    });
    keyed
}

#[tokio::test]
async fn a_retry_gets_the_first_receipt_and_appends_nothing() {
    let database = database().await;
    let store = open(&database).await;
    let first = store.append(keyed(&store, 1, "k", "r")).await.unwrap();
    let retry = store.append(keyed(&store, 2, "k", "r")).await.unwrap();
    assert!(!first.replayed && retry.replayed);
    assert_eq!((retry.position, retry.recorded_at), (first.position, first.recorded_at));
    assert_eq!(retry.result, json!({"stream": 1}));
    assert_eq!(store.head().await.unwrap(), 1);
    let found = store.find_receipt(&reference(&store, "k", "r")).await.unwrap().unwrap();
    assert_eq!(found.position, 1);
    assert!(store.find_receipt(&reference(&store, "other", "r")).await.unwrap().is_none());
}

#[tokio::test]
async fn the_same_key_for_another_request_is_refused() {
    let database = database().await;
    let store = open(&database).await;
    store.append(keyed(&store, 1, "k", "r")).await.unwrap();
    assert!(matches!(store.append(keyed(&store, 1, "k", "else")).await, Err(AppendError::KeyReused)));
    assert!(matches!(store.find_receipt(&reference(&store, "k", "else")).await, Err(AppendError::KeyReused)));
}

#[tokio::test]
async fn of_many_at_once_one_has_the_effect() {
    let database = database().await;
    let (one, two) = (open(&database).await, open(&database).await);
    let calls = (0..40).map(|number| {
        let store = if number % 2 == 0 { &one } else { &two };
        store.append(keyed(store, number, "k", "r"))
    });
    let receipts: Vec<_> = join_all(calls).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(receipts.iter().filter(|receipt| !receipt.replayed).count(), 1);
    assert!(receipts.iter().all(|receipt| receipt.position == 1));
    assert_eq!(one.head().await.unwrap(), 1);
}

#[tokio::test]
async fn a_command_that_changes_nothing_is_remembered_too() {
    let database = database().await;
    let store = open(&database).await;
    store.append(keyed(&store, 1, "first", "r")).await.unwrap();
    let mut nothing = annals_eventstore::Append::new(metadata());
    nothing.idempotency =
        Some(Idempotency { reference: reference(&store, "k", "r"), result: json!(7), shown_once: None });
    let first = store.append(nothing.clone()).await.unwrap();
    let retry = store.append(nothing).await.unwrap();
    assert_eq!((first.position, first.replayed), (1, false));
    assert_eq!((retry.position, retry.replayed, retry.result), (1, true, json!(7)));
}

#[tokio::test]
async fn an_answer_with_a_secret_can_be_shown_again_for_a_while() {
    let database = database().await;
    let store = open(&database).await;
    let mut shown = keyed(&store, 1, "k", "r");
    shown.idempotency.as_mut().unwrap().shown_once = Some(b"token-4711".to_vec());
    store.append(shown.clone()).await.unwrap();
    let retry = store.append(shown.clone()).await.unwrap();
    assert_eq!(retry.shown_once.as_deref(), Some(b"token-4711".as_slice()));
    let raw: Vec<u8> =
        sqlx::query_scalar("SELECT shown_once FROM idempotency").fetch_one(&database.pool).await.unwrap();
    assert!(!raw.windows(10).any(|window| window == b"token-4711"));
    sqlx::query("UPDATE idempotency SET shown_until = now() - interval '1 second'")
        .execute(&database.pool)
        .await
        .unwrap();
    let late = store.append(shown).await.unwrap();
    assert_eq!((late.shown_once, late.shown_once_expired), (None, true));
}
