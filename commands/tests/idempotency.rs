//! Idempotency keys on a real Postgres: one effect and one answer, whoever retries.

mod support;

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use annals_commands::bus::CommandError;
use futures::future::join_all;
use support::{Vault, VaultCommand, code, context, database, events_of, keyed, node};

#[tokio::test]
async fn a_retry_under_the_same_key_gets_the_first_answer_and_does_nothing() {
    let database = database().await;
    let bus = node(&database).await;
    let runs = Arc::new(AtomicU32::new(0));
    let call = |request: &'static str| {
        let (bus, runs) = (bus.clone(), Arc::clone(&runs));
        async move {
            bus.transact(&keyed("k1", request), "Deposit", move |work| {
                let runs = Arc::clone(&runs);
                Box::pin(async move {
                    runs.fetch_add(1, Ordering::SeqCst);
                    work.execute::<Vault>("v", VaultCommand::Deposit(5)).await?;
                    work.result(serde_json::json!({"deposit": 5}));
                    work.shown_once(b"secret".to_vec());
                    Ok("fresh")
                })
            })
            .await
        }
    };
    let first = call("POST /deposits 5").await.unwrap();
    let again = call("POST /deposits 5").await.unwrap();
    assert_eq!((first.value, again.value), (Some("fresh"), None));
    assert_eq!(again.receipt.position, first.receipt.position);
    assert_eq!(again.receipt.result, serde_json::json!({"deposit": 5}));
    assert_eq!(again.receipt.shown_once.as_deref(), Some(b"secret".as_slice()));
    assert!(again.receipt.replayed);
    let other = call("POST /deposits 6").await;
    assert!(matches!(other, Err(CommandError::KeyReused)), "{other:?}");
    assert_eq!(runs.load(Ordering::SeqCst), 1);
    assert_eq!(events_of(&bus, "v").await.len(), 1);
}

#[tokio::test]
async fn concurrent_calls_under_one_key_have_one_effect_and_one_answer() {
    let database = database().await;
    let (a, b) = (node(&database).await, node(&database).await);
    let calls = join_all((0..16).map(|n| {
        let bus = if n % 2 == 0 { a.clone() } else { b.clone() };
        async move {
            bus.transact(&keyed("k", "r"), "Close", |work| {
                // The second to decide would be refused, were it not its own first try.
                Box::pin(async move { work.execute::<Vault>("v", VaultCommand::Close).await })
            })
            .await
            .unwrap()
        }
    }))
    .await;
    assert_eq!(calls.iter().filter(|outcome| outcome.value.is_some()).count(), 1);
    assert!(calls.iter().all(|outcome| outcome.receipt.position == 1));
    assert_eq!(events_of(&a, "v").await.len(), 1);
}

#[tokio::test]
async fn a_refusal_by_its_own_first_try_is_the_first_tries_answer() {
    let database = database().await;
    let (a, b) = (node(&database).await, node(&database).await);
    let outcome = a
        .transact(&keyed("k", "r"), "Close", move |work| {
            let b = b.clone();
            Box::pin(async move {
                b.execute::<Vault>(&keyed("k", "r"), "Close", "v", VaultCommand::Close).await?;
                work.execute::<Vault>("v", VaultCommand::Close).await
            })
        })
        .await
        .unwrap();
    assert!(outcome.receipt.replayed);
    assert_eq!((outcome.value, outcome.receipt.position), (None, 1));
}

#[tokio::test]
async fn an_accepted_command_that_changed_nothing_is_stored_under_its_key() {
    let database = database().await;
    let bus = node(&database).await;
    let set = |password: &str| VaultCommand::SetPassword(password.to_string());
    bus.execute::<Vault>(&context(), "Set", "v", set("old")).await.unwrap();
    let unlock = VaultCommand::Unlock("old".to_string());
    let first = bus.execute::<Vault>(&keyed("k", "r"), "Unlock", "v", unlock.clone()).await.unwrap();
    assert_eq!((first.position, first.replayed), (1, false));
    bus.execute::<Vault>(&context(), "Set", "v", set("new")).await.unwrap();
    let again = bus.execute::<Vault>(&keyed("k", "r"), "Unlock", "v", unlock.clone()).await.unwrap();
    assert!(again.replayed, "decided once, whatever the password is now");
    let fresh = bus.execute::<Vault>(&context(), "Unlock", "v", unlock).await;
    assert_eq!(code(&fresh.unwrap_err()), "WRONG_PASSWORD");
    assert_eq!(bus.store().head().await.unwrap(), 2);
}
