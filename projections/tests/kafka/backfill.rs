//! A copy of a range beside the live relay.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use annals_projections::relay::{Backfill, RelayError, backfill};
use tokio_util::sync::CancellationToken;

use crate::{
    broker::broker,
    support::{Log, Running, assert_exactly_once},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_back_fill_runs_beside_the_live_relay_and_goes_on_where_it_was_stopped() {
    let Some((broker, _up)) = broker().await else { return };
    let (log, live) = (Arc::new(Log::new().await), broker.settings());
    log.seed(130_000).await;
    let relay = Running::start(&log.store, &live);
    let writer = log.write();
    let prefix = format!("{}-copy", live.prefix);
    let wanted = Backfill { prefix: prefix.clone(), from: Some(1_001), to: Some(121_000) };

    // Stopped after its first transaction, each time, until it is through.
    let (mut runs, mut sent) = (0, 0);
    loop {
        runs += 1;
        assert!(runs < 50, "it gets on");
        let stop = CancellationToken::new();
        let (stopping, events) = (stop.clone(), Arc::new(AtomicU64::new(0)));
        let counted = Arc::clone(&events);
        let run = backfill(&log.store, &live, wanted.clone(), stop, move |progress| {
            counted.store(progress.events, Ordering::SeqCst);
            if progress.events > 0 {
                stopping.cancel();
            }
        });
        let ended = run.await;
        sent += events.load(Ordering::SeqCst);
        match ended {
            Ok(done) => {
                assert_eq!((done.position, done.to), (121_000, 121_000));
                break;
            }
            Err(RelayError::Stopped) => {}
            Err(error) => panic!("{error}"),
        }
    }
    assert!(runs >= 2, "it was stopped at least once");
    assert_eq!(sent, 120_000, "what was sent is not sent again");
    assert_eq!(assert_exactly_once(&broker, &prefix, 1_001, 121_000), 120_000);

    // Once more: there is nothing left to do; another range needs another prefix.
    let again = |wanted| backfill(&log.store, &live, wanted, CancellationToken::new(), |_| {});
    let done = again(Backfill { from: None, ..wanted.clone() }).await.unwrap();
    assert_eq!((done.events, done.position), (0, 121_000));
    let other = again(Backfill { from: Some(5), ..wanted.clone() }).await.unwrap_err();
    assert!(matches!(other, RelayError::OtherRange { from: 5, .. }), "{other}");
    // A later end goes on.
    let more = again(Backfill { prefix: prefix.clone(), from: None, to: Some(125_000) }).await.unwrap();
    assert_eq!((more.events, more.position), (4_000, 125_000));
    let refused = again(Backfill { prefix: live.prefix.clone(), from: None, to: None }).await.unwrap_err();
    assert!(matches!(refused, RelayError::LivePrefix(_)), "{refused}");

    writer.stop().await;
    relay.caught_up(&log.store).await;
    relay.stop().await;
    let head = log.store.head().await.unwrap();
    assert_eq!(assert_exactly_once(&broker, &live.prefix, 1, head) as u64, head);
    assert_exactly_once(&broker, &prefix, 1_001, 125_000);
}
