//! `kill -9` of a writing process in mid-batch.

use std::{
    collections::{HashMap, HashSet},
    io::{BufRead, BufReader, Write},
    process::{Command, Stdio},
};

use annals_eventstore::{Expected, StreamAppend, testing::database};
use uuid::Uuid;

use super::gapless_log;
use crate::account::{account, append, deposit, deposited, open, open_node, options};

const URL: &str = "ANNALS_TEST_WRITER_URL";
const ROUNDS: usize = 8;
const WRITERS: usize = 32;

/// Not a test of its own: the process that the test below starts and kills.
///
/// Prints the ids of each acknowledged append: two streams, three events, all or nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the writing process of the next test"]
async fn write_until_killed() {
    let Ok(url) = std::env::var(URL) else { return };
    let store = open_node(&url, options()).await;
    let writers: Vec<_> = (0..WRITERS)
        .map(|_| {
            let store = store.clone();
            tokio::spawn(async move {
                loop {
                    let events = [deposited(1), deposited(2), deposited(3)];
                    let ids = events.each_ref().map(|event| event.event_id);
                    let [one, two, three] = events;
                    let mut both = append(account(Uuid::now_v7()), Expected::Exact(0), vec![one, two]);
                    both.streams.push(StreamAppend {
                        stream: account("shared"),
                        expected: Expected::Any,
                        events: vec![three],
                    });
                    let receipt = store.append(both).await.unwrap();
                    let [one, two, three] = ids;
                    let line = format!("ack {} {one} {two} {three}\n", receipt.position);
                    std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
                }
            })
        })
        .collect();
    // None ends by itself; the first that fails ends the process, and its parent misses its lines.
    futures::future::select_all(writers).await.0.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_killed_in_mid_batch_leaves_whole_appends_and_keeps_every_promise() {
    let database = database().await;
    let store = open(&database).await;
    let (mut promised, mut unanswered) = (0, 0);
    for round in 0..ROUNDS {
        let mut writer = Command::new(std::env::current_exe().unwrap())
            .args(["faults::killed_writer::write_until_killed", "--exact", "--ignored", "--nocapture"])
            .env(URL, &database.url)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(writer.stdout.take().unwrap()).lines();
        let mut acknowledged: HashMap<Uuid, u64> = HashMap::new();
        let mut appends = 0;
        // Another moment of the batch in each round: the kill comes at once after some answer.
        let enough = 40 + round * 7;
        for line in lines.map_while(Result::ok) {
            let Some((position, ids)) = line.strip_prefix("ack ").and_then(|ack| ack.split_once(' ')) else {
                continue;
            };
            let ids: Vec<Uuid> = ids.split(' ').filter_map(|id| id.parse().ok()).collect();
            // A line cut short by the kill is no promise.
            let (Ok(position), [one, two, three]) = (position.parse::<u64>(), &ids[..]) else { continue };
            acknowledged.extend([(*one, position - 2), (*two, position - 1), (*three, position)]);
            appends += 1;
            if appends == enough {
                writer.kill().unwrap();
            }
        }
        writer.wait().unwrap();
        // Another node goes on at once: no lock outlives the process.
        deposit(&store, &format!("after-{round}"), 0, 1).await.unwrap();
        let log = gapless_log(&store).await;
        for (id, position) in &acknowledged {
            assert_eq!(log.get(id), Some(position), "an acknowledged event is where it was said to be");
        }
        let whole: Vec<i64> = sqlx::query_scalar(
            "SELECT count(*) FROM events WHERE aggregate_id NOT LIKE 'after-%'
             GROUP BY metadata->>'correlation_id'",
        )
        .fetch_all(&database.pool)
        .await
        .unwrap();
        assert!(whole.iter().all(|events| *events == 3), "an append is whole or not there");
        promised += appends;
        unanswered = whole.len() - promised;
        let ids: HashSet<_> = log.values().collect();
        assert_eq!(ids.len(), log.len());
    }
    // The kill hit batches that had committed but were not answered yet, not only idle moments.
    assert!(unanswered > 0, "no kill fell into a batch in {ROUNDS} rounds");
}
