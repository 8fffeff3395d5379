//! Durable timers on a real Postgres: shared, leased, retried, parked.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::{
    collections::BTreeMap,
    sync::{Arc, mpsc},
    time::Duration,
};

use annals_commands::{
    Running,
    ports::clock::{Clock, ManualClock, SystemClock},
    timers::{self, Fired, NewTimer, Timer, TimerFilter, TimerHandler, TimerState, TimerWorkers},
};
use async_trait::async_trait;
use chrono::{DateTime, TimeDelta, Utc};
use parking_lot::Mutex;
use sqlx::PgPool;
use support::{database, eventually, pool_at};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const KIND: &str = "test.ring";

/// What a handler saw: which node fired which key in which attempt.
type Log = Arc<Mutex<Vec<(&'static str, String, u32)>>>;

/// A handler that writes down what it saw and answers what it is told to.
struct Ring {
    node: &'static str,
    log: Log,
    lease: Duration,
    answer: fn(&Timer) -> Fired,
    /// Calls wait for a permit before they answer.
    gate: Arc<Semaphore>,
    /// Calls block the whole node: to its last thread, as a paused process does.
    pause: Option<Mutex<mpsc::Receiver<()>>>,
}

impl Ring {
    fn new(node: &'static str, log: &Log) -> Self {
        Self {
            node,
            log: Arc::clone(log),
            lease: Duration::from_secs(20),
            answer: |_| Fired::Done,
            gate: Arc::new(Semaphore::new(1_000)),
            pause: None,
        }
    }
}

#[async_trait]
impl TimerHandler for Ring {
    fn kind(&self) -> &'static str {
        KIND
    }

    fn lease(&self) -> Duration {
        self.lease
    }

    async fn fire(&self, timer: &Timer) -> Fired {
        self.log.lock().push((self.node, timer.key.clone(), timer.attempt));
        if let Some(pause) = &self.pause {
            pause.lock().recv_timeout(Duration::from_secs(30)).unwrap();
        }
        self.gate.acquire().await.unwrap().forget();
        (self.answer)(timer)
    }
}

fn start(pool: &PgPool, clock: &Arc<dyn Clock>, ring: Ring, stop: &CancellationToken) -> Running {
    TimerWorkers::new(pool.clone(), Arc::clone(clock), vec![Arc::new(ring)])
        .with_poll_interval(Duration::from_millis(20))
        .start(stop.clone())
}

fn system() -> Arc<dyn Clock> {
    Arc::new(SystemClock)
}

async fn set(pool: &PgPool, key: &str, due_at: DateTime<Utc>) {
    let mut tx = pool.begin().await.unwrap();
    let timer = NewTimer {
        kind: KIND,
        key: key.to_string(),
        due_at,
        payload: serde_json::json!({"of": key}),
        caused_by: Uuid::now_v7(),
        organization_id: None,
    };
    timers::schedule(&mut tx, timer).await.unwrap();
    tx.commit().await.unwrap();
}

/// Attempts made, when it is due, and whether it is leased.
async fn row(pool: &PgPool, key: &str) -> Option<(i32, DateTime<Utc>, bool)> {
    sqlx::query_as("SELECT attempt, due_at, leased_by IS NOT NULL FROM process.timers WHERE key = $1")
        .bind(key)
        .fetch_optional(pool)
        .await
        .unwrap()
}

async fn gone(pool: &PgPool, key: &str) {
    eventually("the timer's end", || async { row(pool, key).await.is_none() }).await;
}

/// A node with one thread in a runtime of its own, which can be paused or killed as a process can.
fn node_of_one_thread(url: String, ring: Ring, stop: CancellationToken) -> tokio::runtime::Runtime {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.spawn(async move {
        let pool = pool_at(&url).await;
        start(&pool, &system(), ring, &stop).stopped().await;
    });
    runtime
}

#[tokio::test]
async fn two_nodes_share_timers_and_none_fires_twice() {
    let database = database().await;
    let nodes = (pool_at(&database.url).await, pool_at(&database.url).await);
    let log = Log::default();
    let now = Utc::now();
    for n in 0..200 {
        set(&nodes.0, &format!("t{n}"), now - TimeDelta::milliseconds(n)).await;
    }
    set(&nodes.0, "not yet", now + TimeDelta::hours(1)).await;
    let stop = CancellationToken::new();
    let running = [
        start(&nodes.0, &system(), Ring::new("a", &log), &stop),
        start(&nodes.1, &system(), Ring::new("b", &log), &stop),
    ];
    eventually("every timer's end", || async {
        let left: i64 =
            sqlx::query_scalar("SELECT count(*) FROM process.timers").fetch_one(&nodes.0).await.unwrap();
        left == 1
    })
    .await;
    stop.cancel();
    for running in running {
        running.stopped().await;
    }
    let mut fired = BTreeMap::<String, u32>::new();
    for (_, key, attempt) in log.lock().iter() {
        assert_eq!(*attempt, 1);
        *fired.entry(key.clone()).or_default() += 1;
    }
    assert_eq!(fired.len(), 200);
    assert!(fired.values().all(|times| *times == 1));
    assert!(!fired.contains_key("not yet"));
}

#[tokio::test]
async fn a_timer_that_is_due_at_once_rings_without_a_poll() {
    let database = database().await;
    let log = Log::default();
    let stop = CancellationToken::new();
    let workers = TimerWorkers::new(database.pool.clone(), system(), vec![Arc::new(Ring::new("a", &log))])
        .with_poll_interval(Duration::from_secs(3_600));
    let running = workers.start(stop.clone());
    eventually("listening", || async {
        sqlx::query_scalar(
            "SELECT EXISTS (SELECT FROM pg_stat_activity
             WHERE datname = current_database() AND query LIKE 'LISTEN%annals_timers%')",
        )
        .fetch_one(&database.pool)
        .await
        .unwrap()
    })
    .await;
    set(&database.pool, "now", Utc::now()).await;
    gone(&database.pool, "now").await;
    stop.cancel();
    running.stopped().await;
}

#[tokio::test]
async fn a_timer_is_set_and_cancelled_with_its_transaction() {
    let database = database().await;
    let due_at = Utc::now() + TimeDelta::hours(1);
    let mut tx = database.pool.begin().await.unwrap();
    let timer = NewTimer {
        kind: KIND,
        key: "undone".to_string(),
        due_at,
        payload: serde_json::Value::Null,
        caused_by: Uuid::now_v7(),
        organization_id: None,
    };
    timers::schedule(&mut tx, timer).await.unwrap();
    tx.rollback().await.unwrap();
    assert_eq!(row(&database.pool, "undone").await, None);

    set(&database.pool, "k", due_at).await;
    set(&database.pool, "k", due_at + TimeDelta::hours(1)).await;
    let (_, replaced, _) = row(&database.pool, "k").await.unwrap();
    assert!(replaced - due_at > TimeDelta::minutes(59), "the later setting is the one that counts");
    let mut tx = database.pool.begin().await.unwrap();
    timers::cancel(&mut tx, KIND, "k").await.unwrap();
    tx.commit().await.unwrap();
    assert_eq!(row(&database.pool, "k").await, None);
}

#[tokio::test]
async fn three_attempts_that_did_not_act_park_with_the_reason_until_a_person_says() {
    let database = database().await;
    let pool = &database.pool;
    let clock = ManualClock::at(Utc::now());
    let log = Log::default();
    let stop = CancellationToken::new();
    let mut ring = Ring::new("a", &log);
    ring.answer = |_| Fired::NotActed { reason: "the platform is down".to_string(), not_before: None };
    let running = start(pool, &(Arc::new(clock.clone()) as Arc<dyn Clock>), ring, &stop);

    set(pool, "k", clock.now()).await;
    for (attempt, least_ms, most_ms) in [(1, 2_000, 2_500), (2, 4_000, 5_000)] {
        eventually("an attempt", || async {
            matches!(row(pool, "k").await, Some((a, _, false)) if a == attempt)
        })
        .await;
        let (_, due_at, _) = row(pool, "k").await.unwrap();
        let pause_ms = (due_at - clock.now()).num_milliseconds();
        assert!((least_ms - 1..=most_ms).contains(&pause_ms), "{pause_ms} ms after attempt {attempt}");
        clock.advance(TimeDelta::milliseconds(most_ms));
    }
    let parked = || async {
        let filter = TimerFilter { state: Some(TimerState::Parked), ..TimerFilter::default() };
        timers::list(pool, clock.now(), &filter, 10).await.unwrap()
    };
    eventually("parking", || async { !parked().await.is_empty() }).await;
    let parked = parked().await.remove(0);
    assert_eq!((parked.attempt, parked.reason.as_deref()), (3, Some("the platform is down")));
    clock.advance(TimeDelta::days(1));
    let others = TimerFilter { organization_id: Some(Uuid::now_v7()), ..TimerFilter::default() };
    assert!(timers::list(pool, clock.now(), &others, 10).await.unwrap().is_empty(), "another organization's");

    assert!(timers::retrigger(pool, parked.id, clock.now(), 7).await.unwrap());
    eventually("a fourth call", || async { log.lock().len() == 4 }).await;
    assert!(!timers::retrigger(pool, parked.id, clock.now(), 8).await.unwrap(), "it is not parked any more");
    stop.cancel();
    running.stopped().await;
    let attempts: Vec<u32> = log.lock().iter().map(|(_, _, attempt)| *attempt).collect();
    assert_eq!(attempts, [1, 2, 3, 1]);
}

#[tokio::test]
async fn a_killed_workers_timer_is_taken_over_as_a_further_attempt() {
    let database = database().await;
    let log = Log::default();
    let stop = CancellationToken::new();
    let mut dying = Ring::new("dying", &log);
    dying.lease = Duration::from_millis(600);
    dying.gate = Arc::new(Semaphore::new(0));
    set(&database.pool, "k", Utc::now()).await;
    let runtime = node_of_one_thread(database.url.clone(), dying, stop.clone());
    eventually("the first call", || async { !log.lock().is_empty() }).await;
    runtime.shutdown_background();

    let running = start(&database.pool, &system(), Ring::new("heir", &log), &stop);
    gone(&database.pool, "k").await;
    stop.cancel();
    running.stopped().await;
    assert_eq!(*log.lock(), [("dying", "k".to_string(), 1), ("heir", "k".to_string(), 2)]);
}

#[tokio::test]
async fn a_worker_that_wakes_after_its_lease_changes_nothing() {
    let database = database().await;
    let log = Log::default();
    let stop = CancellationToken::new();
    let (wake, pause) = mpsc::channel();
    let mut paused = Ring::new("paused", &log);
    paused.lease = Duration::from_millis(300);
    paused.pause = Some(Mutex::new(pause));
    set(&database.pool, "k", Utc::now()).await;
    let asleep = CancellationToken::new();
    let runtime = node_of_one_thread(database.url.clone(), paused, asleep.clone());
    eventually("the first call", || async { !log.lock().is_empty() }).await;

    let gate = Arc::new(Semaphore::new(0));
    let mut heir = Ring::new("heir", &log);
    heir.gate = Arc::clone(&gate);
    let running = start(&database.pool, &system(), heir, &stop);
    eventually("the heir's call", || async { log.lock().len() == 2 }).await;
    asleep.cancel();
    wake.send(()).unwrap();
    // Its runtime ends when what it had to write is written or refused.
    tokio::task::spawn_blocking(move || runtime.shutdown_timeout(Duration::from_secs(10))).await.unwrap();
    let (attempt, _, leased) = row(&database.pool, "k").await.expect("the late answer removed nothing");
    assert_eq!((attempt, leased), (2, true));

    gate.add_permits(1);
    gone(&database.pool, "k").await;
    stop.cancel();
    running.stopped().await;
}

#[tokio::test]
async fn a_timer_set_again_during_its_call_fires_after_it() {
    let database = database().await;
    let log = Log::default();
    let stop = CancellationToken::new();
    let gate = Arc::new(Semaphore::new(0));
    let mut ring = Ring::new("a", &log);
    ring.gate = Arc::clone(&gate);
    let running = start(&database.pool, &system(), ring, &stop);
    set(&database.pool, "k", Utc::now()).await;
    eventually("the first call", || async { log.lock().len() == 1 }).await;
    set(&database.pool, "k", Utc::now()).await;
    let (attempt, _, leased) = row(&database.pool, "k").await.unwrap();
    assert_eq!((attempt, leased), (0, true), "waits for the call under way");
    gate.add_permits(2);
    gone(&database.pool, "k").await;
    stop.cancel();
    running.stopped().await;
    assert_eq!(*log.lock(), [("a", "k".to_string(), 1), ("a", "k".to_string(), 1)]);
}

#[tokio::test]
async fn a_stop_finishes_the_calls_in_flight() {
    let database = database().await;
    let log = Log::default();
    let stop = CancellationToken::new();
    let gate = Arc::new(Semaphore::new(0));
    let mut ring = Ring::new("a", &log);
    ring.gate = Arc::clone(&gate);
    let running = start(&database.pool, &system(), ring, &stop);
    set(&database.pool, "in flight", Utc::now()).await;
    eventually("the call", || async { log.lock().len() == 1 }).await;
    stop.cancel();
    set(&database.pool, "too late", Utc::now()).await;
    assert!(
        tokio::time::timeout(Duration::from_millis(200), running.stopped()).await.is_err(),
        "waits for the call"
    );
    gate.add_permits(1);
    running.stopped().await;
    assert_eq!(row(&database.pool, "in flight").await, None);
    assert!(row(&database.pool, "too late").await.is_some());
}
