//! The command bus on a real Postgres: conflicts, staleness, claims, `If-Match`.

mod support;

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use annals_commands::bus::{CommandBus, CommandError, Context, Outcome, Work};
use annals_eventstore::{ClaimKey, ClientInfo, Opening};
use futures::future::{BoxFuture, join_all};
use support::{Vault, VaultCommand, code, context, database, deposit, events_of, node};

/// Runs `work` on `bus`; the first time, `meanwhile` happens on another node after `id` was loaded.
async fn with_interference(
    bus: &CommandBus,
    context: &Context,
    other: &CommandBus,
    id: &str,
    times: u32,
    meanwhile: VaultCommand,
    command: VaultCommand,
) -> (u32, Result<Outcome<()>, CommandError>) {
    let tries = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&tries);
    let (other, id) = (other.clone(), id.to_string());
    let outcome = bus
        .transact(context, "Test", move |work: &mut Work| -> BoxFuture<'_, Result<(), CommandError>> {
            let (other, id, meanwhile, command) =
                (other.clone(), id.clone(), meanwhile.clone(), command.clone());
            let tries = Arc::clone(&counted);
            Box::pin(async move {
                work.load::<Vault>(&id).await?;
                if tries.fetch_add(1, Ordering::SeqCst) < times {
                    let context = support::context();
                    other.execute::<Vault>(&context, "Meanwhile", &id, meanwhile).await?;
                }
                work.execute::<Vault>(&id, command).await
            })
        })
        .await;
    (tries.load(Ordering::SeqCst), outcome)
}

#[tokio::test]
async fn a_conflict_is_decided_again_on_what_is_there() {
    let database = database().await;
    let (a, b) = (node(&database).await, node(&database).await);
    deposit(&a, "v", 1).await;
    let (tries, outcome) =
        with_interference(&a, &context(), &b, "v", 1, VaultCommand::Deposit(10), VaultCommand::Deposit(100))
            .await;
    assert_eq!((tries, outcome.unwrap().version), (2, 3));
    assert_eq!(a.load::<Vault>("v").await.unwrap().state.coins, 111);
}

#[tokio::test]
async fn a_conflict_at_each_of_eight_tries_is_the_answer() {
    let database = database().await;
    let (a, b) = (node(&database).await, node(&database).await);
    let (tries, outcome) =
        with_interference(&a, &context(), &b, "v", u32::MAX, VaultCommand::Deposit(1), VaultCommand::Close)
            .await;
    assert_eq!(tries, 8);
    assert!(matches!(outcome, Err(CommandError::VersionConflict { expected: 7, actual: 8 })), "{outcome:?}");
    assert_eq!(events_of(&a, "v").await.len(), 8);
}

#[tokio::test]
async fn many_writers_on_two_nodes_lose_no_deposit() {
    let database = database().await;
    let (a, b) = (node(&database).await, node(&database).await);
    join_all((0..20).map(|n| {
        let bus = if n % 2 == 0 { a.clone() } else { b.clone() };
        async move {
            // Eight tries may not do against nineteen others: a client would try again too.
            loop {
                match bus.execute::<Vault>(&context(), "Deposit", "v", VaultCommand::Deposit(1)).await {
                    Ok(_) => return,
                    Err(CommandError::VersionConflict { .. }) => {}
                    Err(other) => panic!("{other:?}"),
                }
            }
        }
    }))
    .await;
    assert_eq!(events_of(&a, "v").await.len(), 20);
    assert_eq!(b.load::<Vault>("v").await.unwrap().state.coins, 20);
}

#[tokio::test]
async fn an_old_password_is_refused_where_it_was_still_known() {
    let database = database().await;
    let (a, b) = (node(&database).await, node(&database).await);
    let set = |password: &str| VaultCommand::SetPassword(password.to_string());
    a.execute::<Vault>(&context(), "Set", "v", set("old")).await.unwrap();
    let (tries, outcome) =
        with_interference(&a, &context(), &b, "v", 1, set("new"), VaultCommand::Unlock("old".to_string()))
            .await;
    assert_eq!((tries, code(&outcome.unwrap_err())), (2, "WRONG_PASSWORD"));
}

#[tokio::test]
async fn a_new_password_is_accepted_where_it_was_not_known_yet() {
    let database = database().await;
    let (a, b) = (node(&database).await, node(&database).await);
    let set = |password: &str| VaultCommand::SetPassword(password.to_string());
    a.execute::<Vault>(&context(), "Set", "v", set("old")).await.unwrap();
    let (tries, outcome) =
        with_interference(&a, &context(), &b, "v", 1, set("new"), VaultCommand::Unlock("new".to_string()))
            .await;
    let outcome = outcome.unwrap();
    assert_eq!((tries, outcome.version), (2, 2));
    assert_eq!(outcome.receipt.position, 2, "nothing was appended: the head");
}

#[tokio::test]
async fn a_warm_cache_never_answers_for_another_nodes_change() {
    let database = database().await;
    let (a, b) = (node(&database).await, node(&database).await);
    for round in 0..40 {
        let (password, former) = (round.to_string(), (round - 1).to_string());
        a.execute::<Vault>(&context(), "Set", "v", VaultCommand::SetPassword(password.clone()))
            .await
            .unwrap();
        let old = b.execute::<Vault>(&context(), "Unlock", "v", VaultCommand::Unlock(former)).await;
        assert_eq!(code(&old.unwrap_err()), "WRONG_PASSWORD", "round {round}");
        b.execute::<Vault>(&context(), "Unlock", "v", VaultCommand::Unlock(password)).await.unwrap();
    }
}

#[tokio::test]
async fn a_decision_that_relied_on_another_aggregate_is_made_again_when_that_moved() {
    let database = database().await;
    let (a, b) = (node(&database).await, node(&database).await);
    deposit(&a, "guard", 1).await;
    let tries = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&tries);
    let outcome = a
        .transact(&context(), "Test", move |work| {
            let (b, tries) = (b.clone(), Arc::clone(&counted));
            Box::pin(async move {
                let guard = work.load::<Vault>("guard").await?;
                if tries.fetch_add(1, Ordering::SeqCst) == 0 {
                    deposit(&b, "guard", 1).await;
                }
                work.execute::<Vault>("v", VaultCommand::Deposit(guard.coins)).await?;
                Ok(guard.coins)
            })
        })
        .await
        .unwrap();
    assert_eq!((tries.load(Ordering::SeqCst), outcome.value), (2, Some(2)));
    assert_eq!(outcome.version, 1, "of the aggregate that got a command, not of the one loaded first");
    assert_eq!(a.load::<Vault>("v").await.unwrap().state.coins, 2);
}

#[tokio::test]
async fn several_aggregates_are_one_append_or_none() {
    let database = database().await;
    let bus = node(&database).await;
    let both = |last: VaultCommand| {
        let bus = bus.clone();
        async move {
            bus.transact(&context(), "Both", move |work| {
                let last = last.clone();
                Box::pin(async move {
                    work.execute::<Vault>("one", VaultCommand::Deposit(1)).await?;
                    work.execute::<Vault>("two", VaultCommand::Deposit(2)).await?;
                    work.execute::<Vault>("one", VaultCommand::Deposit(3)).await?;
                    assert_eq!(work.load::<Vault>("one").await?.coins % 10, 4, "sees what it did itself");
                    work.execute::<Vault>("two", last).await
                })
            })
            .await
        }
    };
    let outcome = both(VaultCommand::Close).await.unwrap();
    assert_eq!((outcome.receipt.position, outcome.version), (4, 2));
    let versions: Vec<_> =
        outcome.receipt.versions.iter().map(|(stream, version)| (stream.to_string(), *version)).collect();
    assert_eq!(versions, [("test.vault/one".to_string(), 2), ("test.vault/two".to_string(), 2)]);

    assert_eq!(code(&both(VaultCommand::Close).await.unwrap_err()), "VAULT_CLOSED");
    assert_eq!(bus.store().head().await.unwrap(), 4, "the refusal of one left nothing of the other");
    assert_eq!(bus.load::<Vault>("one").await.unwrap().state.coins, 4);
}

#[tokio::test]
async fn facts_in_any_order_are_appended_at_whatever_version() {
    let database = database().await;
    let (a, b) = (node(&database).await, node(&database).await);
    let tries = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&tries);
    let outcome = a
        .transact(&context(), "Outcome", move |work| {
            let (b, tries) = (b.clone(), Arc::clone(&counted));
            Box::pin(async move {
                work.load::<Vault>("v").await?;
                tries.fetch_add(1, Ordering::SeqCst);
                deposit(&b, "v", 1).await;
                work.execute_at_any_version::<Vault>("v", VaultCommand::Deposit(10)).await
            })
        })
        .await
        .unwrap();
    assert_eq!((tries.load(Ordering::SeqCst), outcome.version), (1, 2));
}

#[tokio::test]
async fn a_taken_claim_refuses_and_a_released_one_can_be_taken() {
    let database = database().await;
    let bus = node(&database).await;
    let key = ClaimKey::plain("test.name", "ada");
    let take = |id: &'static str| {
        let (bus, key) = (bus.clone(), key.clone());
        async move {
            bus.transact(&context(), "Take", move |work| {
                let key = key.clone();
                Box::pin(async move {
                    work.take_claim(key, id);
                    work.execute::<Vault>(id, VaultCommand::Deposit(1)).await
                })
            })
            .await
        }
    };
    take("one").await.unwrap();
    let refused = take("two").await;
    assert!(matches!(&refused, Err(CommandError::ClaimTaken(taken)) if *taken == key), "{refused:?}");
    assert!(events_of(&bus, "two").await.is_empty());
    let release = key.clone();
    bus.transact(&context(), "Release", move |work| {
        let key = release.clone();
        Box::pin(async move {
            work.release_claim(key, "one");
            work.execute::<Vault>("one", VaultCommand::Deposit(1)).await
        })
    })
    .await
    .unwrap();
    take("two").await.unwrap();
    assert_eq!(bus.store().claim_holder(&key).await.unwrap().as_deref(), Some("two"));
}

#[tokio::test]
async fn a_claim_that_was_free_when_it_was_read_is_read_again() {
    let database = database().await;
    let (a, b) = (node(&database).await, node(&database).await);
    let key = ClaimKey::plain("test.name", "ada");
    let take = |bus: CommandBus, rival: Option<CommandBus>, id: &'static str| {
        let key = key.clone();
        async move {
            bus.transact(&context(), "Take", move |work| {
                let (key, rival) = (key.clone(), rival.clone());
                Box::pin(async move {
                    let holder = work.claim_holder(&key).await?;
                    if let Some(rival) = rival.filter(|_| holder.is_none()) {
                        let key = key.clone();
                        rival
                            .transact(&context(), "Rival", move |work| {
                                work.take_claim(key.clone(), "rival");
                                Box::pin(work.execute::<Vault>("rival", VaultCommand::Deposit(1)))
                            })
                            .await?;
                    }
                    if holder.is_none() {
                        work.take_claim(key, id);
                        work.execute::<Vault>(id, VaultCommand::Deposit(1)).await?;
                    }
                    Ok(holder)
                })
            })
            .await
        }
    };
    let outcome = take(a.clone(), Some(b), "one").await.unwrap();
    assert_eq!(outcome.value, Some(Some("rival".to_string())));
    assert!(events_of(&a, "one").await.is_empty());
}

#[tokio::test]
async fn if_match_refuses_another_version_at_once() {
    let database = database().await;
    let (a, b) = (node(&database).await, node(&database).await);
    deposit(&a, "v", 1).await;
    deposit(&a, "v", 1).await;
    let at = |version| Context { expected_version: Some(version), ..context() };
    let (tries, stale) =
        with_interference(&a, &at(1), &b, "v", 0, VaultCommand::Close, VaultCommand::Deposit(1)).await;
    assert_eq!(tries, 1);
    assert!(matches!(stale, Err(CommandError::VersionConflict { expected: 1, actual: 2 })), "{stale:?}");

    // Another node's append in between is a conflict for good, not one to decide again.
    let (tries, overtaken) =
        with_interference(&a, &at(2), &b, "v", 1, VaultCommand::Deposit(1), VaultCommand::Deposit(1)).await;
    assert_eq!(tries, 2);
    assert!(
        matches!(overtaken, Err(CommandError::VersionConflict { expected: 2, actual: 3 })),
        "{overtaken:?}"
    );
    // What the caller saw on another node counts, even if this one has not heard of it.
    deposit(&b, "v", 1).await;
    let receipt = a.execute::<Vault>(&at(4), "Deposit", "v", VaultCommand::Deposit(1)).await.unwrap();
    assert_eq!(receipt.versions[0].1, 5);
}

#[tokio::test]
async fn events_say_who_why_and_from_where() {
    let database = database().await;
    let bus = node(&database).await;
    let client = ClientInfo { ip: Some("203.0.113.9".to_string()), user_agent: None };
    let mut from = Context { client: Some(client.clone()), request_id: Some("r1".to_string()), ..context() };
    bus.execute::<Vault>(&from, "DepositCoins", "v", VaultCommand::Deposit(1)).await.unwrap();
    from.actor.kind = annals_eventstore::ActorKind::Anonymous;
    from.actor.id = None;
    bus.execute::<Vault>(&from, "DepositCoins", "v", VaultCommand::Deposit(1)).await.unwrap();

    let stored = bus.store().read_all(0, &annals_eventstore::Filter::default(), 10).await.unwrap();
    assert!(!stored[0].metadata.contains("203.0.113.9"), "a client's address is sealed");
    let opened = bus.store().open_event(&stored[0], Opening::Personal).await.unwrap().remove(0).metadata;
    assert_eq!(opened.command, "DepositCoins");
    assert_eq!(opened.correlation_id, from.correlation_id);
    assert_eq!(opened.client_info(), Some(client));
    assert_eq!(opened.client.unwrap()["$personal"]["subject"], "user:0198c0de");
    let nobodys = bus.store().open_event(&stored[1], Opening::Personal).await.unwrap().remove(0).metadata;
    assert_eq!(nobodys.client, None, "nobody's personal data could be sealed for nobody");
}
