//! After a restore to a moment before it was published, a post is not published again blindly.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod platform;
mod support;

use std::{sync::Arc, time::Duration};

use annals_commands::{
    bus::CommandBus,
    ports::social::IdempotencyKind,
    process::ProcessManagers,
    publishing::{PublishTimer, Publisher},
    restore,
    timers::{TimerHandler, TimerWorkers},
};
use annals_domain::{
    kernel::{IntegrationId, PostId},
    publishing::{Post, post::DeliveryState},
};
use annals_eventstore::{
    backup,
    testing::{TestDatabase, master_key},
};
use platform::Desk;
use support::eventually;
use tokio_util::sync::CancellationToken;

/// A desk whose log was backed up when a post was due, and lost after it had been published.
struct Loss {
    desk: Desk,
    post: PostId,
    channel: IntegrationId,
    restored: TestDatabase,
    bus: CommandBus,
}

async fn loss(kind: IdempotencyKind) -> Loss {
    let desk = Desk::new(kind).await;
    let (post, channel) = desk.due().await;
    let folder = tempfile::tempdir().unwrap();
    let made = backup::export(&desk.database.pool, &folder.path().join("b"), |_| {}).await.unwrap();
    desk.fire(post, channel, 1).await;
    assert_eq!(desk.platform.count(), 1);

    let restored = support::database().await;
    let mut tx = restored.pool.begin().await.unwrap();
    backup::import(&mut tx, &folder.path().join("b"), &[master_key()], |_| {}).await.unwrap();
    restore::begin_again(&mut tx, made.position).await.unwrap();
    tx.commit().await.unwrap();
    let bus = platform::node(&restored, &desk.clock).await;
    Loss { desk, post, channel, restored, bus }
}

impl Loss {
    /// Everything that a node does by itself, until the delivery is where it is expected.
    async fn run_until(&self, post: PostId, expected: fn(&DeliveryState) -> bool) {
        let stop = CancellationToken::new();
        let publish = PublishTimer::new(self.bus.clone(), self.desk.platforms.clone());
        let handlers: Vec<Arc<dyn TimerHandler>> = vec![Arc::new(publish)];
        let timers = TimerWorkers::new(self.restored.pool.clone(), self.bus.clock().clone(), handlers)
            .with_poll_interval(Duration::from_millis(20))
            .start(stop.clone());
        let managers =
            ProcessManagers::new(self.bus.clone()).with(Publisher).start(stop.clone()).await.unwrap();
        eventually("the delivery is where it is expected", || async {
            let loaded = self.bus.load::<Post>(post).await.unwrap();
            loaded.state.deliveries().get(&self.channel).is_some_and(|delivery| expected(&delivery.state))
        })
        .await;
        stop.cancel();
        timers.stopped().await;
        managers.stopped().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_stands_on_the_platform_is_found_and_not_sent_again() {
    for kind in [IdempotencyKind::ByHandle, IdempotencyKind::Searchable] {
        let loss = loss(kind).await;
        loss.run_until(loss.post, |state| matches!(state, DeliveryState::Published { .. })).await;
        assert_eq!((loss.desk.platform.count(), *loss.desk.platform.calls.lock()), (1, 1), "{kind:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn where_the_platform_cannot_tell_it_waits_for_a_person() {
    let loss = loss(IdempotencyKind::None).await;
    loss.run_until(loss.post, |state| {
        matches!(state, DeliveryState::Unknown { reason, .. } if reason.contains("restored from a backup"))
    })
    .await;
    assert_eq!((loss.desk.platform.count(), *loss.desk.platform.calls.lock()), (1, 1));
}
