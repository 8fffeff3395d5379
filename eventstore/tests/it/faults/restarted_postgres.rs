//! Postgres killed and restarted under load; the store goes on by itself.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use annals_eventstore::{
    AppendError, Expected, Filter, Opening,
    testing::{PrivatePostgres, database_on},
};
use uuid::Uuid;

use super::gapless_log;
use crate::account::{account, append, deposited, open_node, options};

const WRITERS: usize = 24;

#[derive(Default)]
struct Answers {
    written: HashSet<Uuid>,
    not_written: HashSet<Uuid>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn postgres_restarted_under_load_loses_nothing_and_every_answer_is_true() {
    let mut postgres = PrivatePostgres::start().await;
    let database = database_on(&postgres.url()).await;
    let store = open_node(&database.url, options()).await;
    let (stop, written) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let (store, stop, written) = (store.clone(), stop.clone(), written.clone());
            tokio::spawn(async move {
                let mut answers = Answers::default();
                while !stop.load(Ordering::Relaxed) {
                    let event = deposited(1);
                    let id = event.event_id;
                    match store.append(append(account(writer), Expected::Any, vec![event])).await {
                        Ok(_) => {
                            written.fetch_add(1, Ordering::Relaxed);
                            answers.written.insert(id);
                        }
                        Err(AppendError::Unavailable(_)) => {
                            answers.not_written.insert(id);
                        }
                        Err(other) => panic!("an outage is not a refusal: {other}"),
                    }
                }
                answers
            })
        })
        .collect();
    let reader = {
        let (store, stop) = (store.clone(), stop.clone());
        tokio::spawn(async move {
            let mut reader = store.subscribe(0, Filter::default(), Opening::Nothing);
            let mut seen = Vec::new();
            loop {
                let waiting = reader.next(500);
                match tokio::time::timeout(Duration::from_secs(3), waiting).await {
                    Ok(Ok(batch)) => seen.extend(batch.events.iter().map(|event| event.position)),
                    // The database is away: ask again.
                    Ok(Err(_)) => tokio::task::yield_now().await,
                    Err(_) if stop.load(Ordering::Relaxed) => return seen,
                    Err(_) => {}
                }
            }
        })
    };

    for outage in ["crash", "fast", "immediate", "crash"] {
        progress(&written, 300).await;
        match outage {
            "crash" => postgres.kill(),
            mode => postgres.stop(mode),
        }
        postgres.restart().await;
    }
    progress(&written, 300).await;
    stop.store(true, Ordering::Relaxed);

    let mut answers = Answers::default();
    for writer in writers {
        let own =
            tokio::time::timeout(Duration::from_secs(30), writer).await.expect("no append hangs").unwrap();
        answers.written.extend(own.written);
        answers.not_written.extend(own.not_written);
    }
    let log = gapless_log(&store).await;
    assert!(answers.written.iter().all(|id| log.contains_key(id)), "nothing acknowledged is lost");
    assert!(
        !answers.not_written.iter().any(|id| log.contains_key(id)),
        "what was said not to be is not there"
    );
    assert_eq!(log.len(), answers.written.len(), "every lost answer was found out");
    let seen = reader.await.unwrap();
    assert_eq!(
        seen,
        (1..=log.len() as u64).collect::<Vec<_>>(),
        "the reader saw each position once, in order"
    );
    store.close().await;
}

/// Waits until so many more appends are acknowledged.
async fn progress(written: &AtomicU64, more: u64) {
    let goal = written.load(Ordering::Relaxed) + more;
    let reached = async {
        while written.load(Ordering::Relaxed) < goal {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), reached).await.expect("the store goes on by itself");
}
