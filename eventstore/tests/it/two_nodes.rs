//! 64 writers on few streams through two separate stores, and readers beside them.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use annals_eventstore::{AppendError, EventStore, Expected, Filter, Opening, testing::database};
use uuid::Uuid;

use crate::{
    account::{Account, account, append, deposited, open_node, options},
    subscribing::next,
};

const WRITERS: usize = 64;
const STREAMS: usize = 4;
const APPENDS: u64 = 1_500;

struct Acknowledged {
    event_id: Uuid,
    stream: usize,
    version: u64,
    position: u64,
}

/// Writes until `APPENDS` are acknowledged by all together; gives its own ones and its conflicts.
async fn write(store: EventStore, writer: usize, written: Arc<AtomicU64>) -> (Vec<Acknowledged>, u64) {
    let (mut acknowledged, mut conflicts) = (Vec::new(), 0);
    let mut turn = writer;
    while written.load(Ordering::Relaxed) < APPENDS {
        turn += 1;
        let stream = turn % STREAMS;
        let loaded = store.load::<Account>(&stream.to_string()).await.unwrap();
        assert_eq!(loaded.state.applied, loaded.version, "what is loaded is whole");
        let event = deposited(1);
        let event_id = event.event_id;
        let expected = Expected::Exact(loaded.version);
        match store.append(append(account(stream), expected, vec![event])).await {
            Ok(receipt) => {
                written.fetch_add(1, Ordering::Relaxed);
                assert_eq!(receipt.versions, [(account(stream), loaded.version + 1)]);
                acknowledged.push(Acknowledged {
                    event_id,
                    stream,
                    version: loaded.version + 1,
                    position: receipt.position,
                });
            }
            Err(AppendError::VersionConflict { expected, actual, .. }) => {
                assert!(actual > expected);
                conflicts += 1;
            }
            Err(other) => panic!("an append was refused for another reason: {other}"),
        }
    }
    (acknowledged, conflicts)
}

/// Reads until everything is written; gives every position in the order of reading.
async fn read(store: EventStore, end: tokio::sync::watch::Receiver<u64>) -> Vec<u64> {
    let mut reader = store.subscribe(0, Filter::default(), Opening::Nothing);
    let mut seen = Vec::new();
    while *end.borrow() == 0 || reader.position() < *end.borrow() {
        seen.extend(next(&mut reader, 100).await.events.iter().map(|event| event.position));
    }
    seen
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_writers_on_two_nodes_leave_no_gap_no_double_and_one_winner_per_version() {
    let database = database().await;
    let nodes = [open_node(&database.url, options()).await, open_node(&database.url, options()).await];
    let (end, until) = tokio::sync::watch::channel(0);
    let readers: Vec<_> = nodes.iter().map(|node| tokio::spawn(read(node.clone(), until.clone()))).collect();
    let written = Arc::new(AtomicU64::new(0));
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| tokio::spawn(write(nodes[writer % 2].clone(), writer, written.clone())))
        .collect();
    let (mut acknowledged, mut conflicts) = (Vec::new(), 0);
    for writer in writers {
        let (own, lost) = writer.await.unwrap();
        acknowledged.extend(own);
        conflicts += lost;
    }
    let head = nodes[0].head().await.unwrap();
    end.send(head).unwrap();
    // A last event, so that readers that wait see the end.
    nodes[0].append(append(account("end"), Expected::Exact(0), vec![deposited(1)])).await.unwrap();

    assert_eq!(acknowledged.len() as u64, head, "every event in the log was acknowledged, and no other");
    let log: HashMap<u64, _> = nodes[0]
        .read_all(0, &Filter::default(), usize::MAX)
        .await
        .unwrap()
        .into_iter()
        .map(|event| (event.position, event))
        .collect();
    assert!((1..=head).all(|position| log.contains_key(&position)), "no gap");
    let mut winners = BTreeMap::new();
    for one in &acknowledged {
        let event = &log[&one.position];
        assert_eq!((event.event_id, event.sequence), (one.event_id, one.version));
        assert_eq!(winners.insert((one.stream, one.version), one.position), None, "one winner per version");
    }
    assert!(conflicts > 0, "there was something to win");
    let mut recorded: Vec<_> = log.values().map(|event| (event.position, event.recorded_at)).collect();
    recorded.sort_unstable();
    assert!(recorded.is_sorted_by_key(|(_, at)| *at), "time never runs backwards along positions");
    for reader in readers {
        let seen = reader.await.unwrap();
        assert_eq!(seen[..usize::try_from(head).unwrap()], (1..=head).collect::<Vec<_>>());
    }
}
