//! Process managers on a real Postgres: where they start, crashes, takeovers.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
        mpsc,
    },
    time::Duration,
};

use annals_commands::{
    bus::{CommandBus, Context},
    process::{self, ProcessManager, ProcessManagers, ReactError, Start},
};
use annals_eventstore::{Filter, RecordedEvent, testing::TestDatabase};
use async_trait::async_trait;
use parking_lot::Mutex;
use sqlx::{PgPool, Postgres, Transaction};
use support::{Vault, VaultCommand, VaultEvent, database, deposit, events_of, eventually, node};
use tokio_util::sync::CancellationToken;

/// What goes wrong in a reaction, the first time.
enum Fault {
    None,
    /// The transaction's connection dies after the command was given.
    CrashBeforeCommit,
    /// So many reactions fail.
    Fails(u32),
    /// The whole node stops at the event until it is woken.
    Paused(Mutex<mpsc::Receiver<()>>),
}

/// Puts each coin that was deposited in another vault, and keeps a book of its own.
struct Mirror<const FROM_BEGINNING: bool> {
    bus: CommandBus,
    node: &'static str,
    fault: Fault,
    reactions: Arc<AtomicU32>,
}

impl<const B: bool> Mirror<B> {
    fn new(bus: &CommandBus, node: &'static str) -> Self {
        Self { bus: bus.clone(), node, fault: Fault::None, reactions: Arc::default() }
    }
}

#[async_trait]
impl<const FROM_BEGINNING: bool> ProcessManager for Mirror<FROM_BEGINNING> {
    const NAME: &'static str = "test.mirror";
    const START: Start = if FROM_BEGINNING { Start::Beginning } else { Start::Head };

    fn filter(&self) -> Filter {
        Filter { event_types: vec!["test.vault.deposited".to_string()], ..Filter::default() }
    }

    async fn react(
        &self,
        event: &RecordedEvent,
        tx: &mut Transaction<'static, Postgres>,
    ) -> Result<(), ReactError> {
        if event.stream.aggregate_id == "mirror" {
            return Ok(());
        }
        let reaction = self.reactions.fetch_add(1, Ordering::SeqCst);
        if let Fault::Paused(wake) = &self.fault {
            wake.lock().recv_timeout(Duration::from_secs(60)).unwrap();
        }
        let VaultEvent::Deposited(coins) = event.decode()? else { return Ok(()) };
        sqlx::query("INSERT INTO book (position, node) VALUES ($1, $2)")
            .bind(event.position.cast_signed())
            .bind(self.node)
            .execute(&mut **tx)
            .await?;
        let context = Context::process(Self::NAME, event, "mirror");
        self.bus.execute::<Vault>(&context, "Mirror", "mirror", VaultCommand::Deposit(coins)).await?;
        match self.fault {
            Fault::Fails(times) if reaction < times => {
                Err(ReactError::Other(format!("failure {reaction}").into()))
            }
            Fault::CrashBeforeCommit if reaction == 0 => {
                let pid: i32 = sqlx::query_scalar("SELECT pg_backend_pid()").fetch_one(&mut **tx).await?;
                let killer = self.bus.store().pool();
                sqlx::query("SELECT pg_terminate_backend($1)").bind(pid).execute(killer).await?;
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

async fn with_book() -> TestDatabase {
    let database = database().await;
    sqlx::query("CREATE TABLE book (position bigint, node text)").execute(&database.pool).await.unwrap();
    database
}

async fn book(pool: &PgPool) -> Vec<(i64, String)> {
    sqlx::query_as("SELECT position, node FROM book ORDER BY position").fetch_all(pool).await.unwrap()
}

async fn booked(pool: &PgPool, entries: usize) {
    eventually("the book's entries", || async { book(pool).await.len() >= entries }).await;
}

async fn epoch(pool: &PgPool) -> u64 {
    process::checkpoints(pool).await.unwrap().remove(0).epoch
}

#[tokio::test]
async fn a_new_one_starts_at_the_head_and_later_where_it_was() {
    let database = with_book().await;
    let bus = node(&database).await;
    deposit(&bus, "v", 1).await;

    let stop = CancellationToken::new();
    let running = ProcessManagers::new(bus.clone())
        .with(Mirror::<false>::new(&bus, "a"))
        .start(stop.clone())
        .await
        .unwrap();
    // Nobody waits for it to lead: what is appended once `start` returned counts.
    deposit(&bus, "v", 2).await;
    booked(&database.pool, 1).await;
    stop.cancel();
    running.stopped().await;

    deposit(&bus, "v", 3).await;
    let stop = CancellationToken::new();
    let running = ProcessManagers::new(bus.clone())
        .with(Mirror::<false>::new(&bus, "a"))
        .start(stop.clone())
        .await
        .unwrap();
    booked(&database.pool, 2).await;
    stop.cancel();
    running.stopped().await;
    assert_eq!(bus.load::<Vault>("mirror").await.unwrap().state.coins, 2 + 3, "not the one before it");
    assert_eq!(epoch(&database.pool).await, 2);
}

#[tokio::test]
async fn one_that_wants_history_gets_it() {
    let database = with_book().await;
    let bus = node(&database).await;
    for coins in 1..=5 {
        deposit(&bus, "v", coins).await;
    }
    let stop = CancellationToken::new();
    let managers = ProcessManagers::new(bus.clone()).with(Mirror::<true>::new(&bus, "a"));
    let running = managers.start(stop.clone()).await.unwrap();
    booked(&database.pool, 5).await;
    let head = bus.store().head().await.unwrap();
    eventually("the checkpoint past events of others", || async {
        process::checkpoints(&database.pool).await.unwrap()[0].position == head
    })
    .await;
    stop.cancel();
    running.stopped().await;
    assert_eq!(bus.load::<Vault>("mirror").await.unwrap().state.coins, 15);
}

#[tokio::test]
async fn a_crash_between_the_command_and_the_checkpoint_doubles_nothing() {
    let database = with_book().await;
    let bus = node(&database).await;
    let mut mirror = Mirror::<true>::new(&bus, "a");
    mirror.fault = Fault::CrashBeforeCommit;
    let reactions = Arc::clone(&mirror.reactions);
    let stop = CancellationToken::new();
    let running = ProcessManagers::new(bus.clone()).with(mirror).start(stop.clone()).await.unwrap();
    deposit(&bus, "v", 7).await;
    booked(&database.pool, 1).await;
    stop.cancel();
    running.stopped().await;
    assert_eq!(reactions.load(Ordering::SeqCst), 2, "it reacted again");
    assert_eq!(events_of(&bus, "mirror").await.len(), 1, "the command's key is the event's");
    assert_eq!(book(&database.pool).await.len(), 1);
}

#[tokio::test]
async fn a_failure_is_tried_again_and_nothing_overtakes_it() {
    let database = with_book().await;
    let bus = node(&database).await;
    let mut mirror = Mirror::<true>::new(&bus, "a");
    mirror.fault = Fault::Fails(3);
    let reactions = Arc::clone(&mirror.reactions);
    let stop = CancellationToken::new();
    let running = ProcessManagers::new(bus.clone()).with(mirror).start(stop.clone()).await.unwrap();
    deposit(&bus, "v", 1).await;
    deposit(&bus, "v", 2).await;
    booked(&database.pool, 2).await;
    stop.cancel();
    running.stopped().await;
    assert_eq!(reactions.load(Ordering::SeqCst), 3 + 2);
    let mirrored = bus.load::<Vault>("mirror").await.unwrap();
    assert_eq!((mirrored.version, mirrored.state.coins), (2, 3));
}

#[tokio::test]
async fn leadership_moves_when_the_leaders_connection_dies() {
    let database = with_book().await;
    let (a, b) = (node(&database).await, node(&database).await);
    let stop = CancellationToken::new();
    let mut running = Vec::new();
    for (bus, name) in [(&a, "a"), (&b, "b")] {
        let managers = ProcessManagers::new(bus.clone()).with(Mirror::<true>::new(bus, name));
        running.push(managers.start(stop.clone()).await.unwrap());
    }
    for round in 1..=3_u64 {
        deposit(&a, "v", 1).await;
        booked(&database.pool, usize::try_from(round).unwrap()).await;
        assert_eq!(epoch(&database.pool).await, round, "one leader at a time");
        sqlx::query(
            "SELECT pg_terminate_backend(pid) FROM pg_locks
             WHERE locktype = 'advisory' AND granted
               AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
               AND pid IN (SELECT pid FROM pg_stat_activity WHERE application_name = 'annals-leader')",
        )
        .execute(&database.pool)
        .await
        .unwrap();
        eventually("another leader", || async { epoch(&database.pool).await == round + 1 }).await;
    }
    stop.cancel();
    for running in running {
        running.stopped().await;
    }
    assert_eq!(events_of(&a, "mirror").await.len(), 3);
    assert_eq!(book(&database.pool).await.len(), 3);
}

#[tokio::test]
async fn a_paused_leader_that_wakes_writes_nothing() {
    let database = with_book().await;
    let bus = node(&database).await;
    let (wake, paused) = mpsc::channel();

    // A node with one thread, which its reaction blocks: to the database it looks like a process
    // that was stopped. No heartbeat comes, and the database ends its session.
    let reactions = Arc::new(AtomicU32::new(0));
    let asleep = CancellationToken::new();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let leader = {
        let (url, reactions, stop) = (database.url.clone(), Arc::clone(&reactions), asleep.clone());
        runtime.spawn(async move {
            let bus = support::node_at(&url).await;
            let mut mirror = Mirror::<true>::new(&bus, "paused");
            mirror.fault = Fault::Paused(Mutex::new(paused));
            mirror.reactions = reactions;
            let running = ProcessManagers::new(bus).with(mirror).start(stop).await.unwrap();
            running.stopped().await;
        })
    };
    eventually("the first leader", || async {
        process::checkpoints(&database.pool).await.unwrap().first().is_some_and(|led| led.epoch == 1)
    })
    .await;
    deposit(&bus, "v", 9).await;
    eventually("the pause", || async { reactions.load(Ordering::SeqCst) == 1 }).await;

    let stop = CancellationToken::new();
    let managers = ProcessManagers::new(bus.clone()).with(Mirror::<true>::new(&bus, "heir"));
    let running = managers.start(stop.clone()).await.unwrap();
    booked(&database.pool, 1).await;

    asleep.cancel();
    wake.send(()).unwrap();
    leader.await.unwrap();
    assert_eq!(book(&database.pool).await, [(1, "heir".to_string())]);
    assert_eq!(events_of(&bus, "mirror").await.len(), 1);
    stop.cancel();
    running.stopped().await;
    tokio::task::spawn_blocking(move || runtime.shutdown_timeout(Duration::from_secs(5))).await.unwrap();
}
