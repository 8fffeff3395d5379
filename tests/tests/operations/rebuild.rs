//! Rebuilding a read model while it is read: throttled, paused, resumed, cancelled.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use annals_tests::{Api, StatusCode, eventually};
use serde_json::json;

use crate::support::{PATIENCE, operated, recorded, tags, until_tags, user, write_tags};

const TAGS: usize = 120;

/// Reads without a pause until it is told to stop; each answer has everything.
struct Readers {
    stop: Arc<AtomicBool>,
    answers: Arc<AtomicU64>,
    task: tokio::task::JoinHandle<()>,
}

impl Readers {
    fn start(api: Api) -> Self {
        let (stop, answers) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (stopped, counted) = (Arc::clone(&stop), Arc::clone(&answers));
        let task = tokio::spawn(async move {
            while !stopped.load(Ordering::Relaxed) {
                let answer = api.get("posts/tags").await.expect(StatusCode::OK);
                assert_eq!(answer.at("/data").as_array().map(Vec::len), Some(TAGS), "{}", answer.text);
                counted.fetch_add(1, Ordering::Relaxed);
            }
        });
        Self { stop, answers, task }
    }

    async fn stop(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        self.task.await.expect("no read failed");
        self.answers.load(Ordering::Relaxed)
    }
}

#[tokio::test]
async fn a_rebuild_is_throttled_paused_and_resumed_while_reads_go_on() {
    let (server, ada) = operated().await;
    write_tags(&ada.api, TAGS).await;
    assert_eq!(tags(&ada.api).await.at("/data/generation"), 1);
    let readers = Readers::start(ada.api.clone());

    let request = json!({"reason": "an index was added", "eventsPerSecond": 20});
    let keyed = ada.api.with_header("Idempotency-Key", "rebuild-1");
    let begun =
        keyed.post("admin/projections/tags/rebuild", request.clone()).await.expect(StatusCode::CREATED);
    assert_eq!(begun.at("/data/rebuild/generation"), 2);
    assert_eq!(begun.at("/data/rebuild/eventsPerSecondMax"), 20);
    let again =
        keyed.post("admin/projections/tags/rebuild", request.clone()).await.expect(StatusCode::CREATED);
    assert_eq!(again.position(), begun.position(), "it was asked for once");
    let another = ada.api.post("admin/projections/tags/rebuild", request).await.expect(StatusCode::CONFLICT);
    assert_eq!(another.at("/code"), "REBUILD_UNDER_WAY");

    let moving = until_tags(&ada.api, "it moves, at its pace", |answer| {
        answer.at("/data/rebuild/remainingSeconds").is_number()
    })
    .await;
    let rate = moving.at("/data/rebuild/eventsPerSecond").as_f64().expect("is a number");
    assert!(rate > 0.0 && rate <= 40.0, "{rate} events a second where 20 were asked for");
    let progress = moving.at("/data/rebuild/progress").as_f64().expect("is a number");
    assert!(progress > 0.0 && progress < 1.0, "{progress}");
    assert!(moving.at("/data/leader/pid").is_number(), "{}", moving.text);

    let why = json!({"reason": "the disk is busy"});
    for _ in 0..2 {
        let paused = ada.api.post("admin/projections/tags/rebuild/pause", why.clone()).await;
        assert_eq!(paused.expect(StatusCode::OK).at("/data/rebuild/state"), "paused");
    }
    // What was in its hands is written; then it stands still, whoever asks and however long.
    let mut position = stands_still(&ada.api).await;
    for _ in 0..4 {
        tokio::time::sleep(Duration::from_millis(500)).await;
        let now = tags(&ada.api).await.at("/data/rebuild/position").as_u64();
        assert_eq!(now, Some(position), "a paused rebuild moved");
        position = now.unwrap_or_default();
    }
    let bound = json!({"reason": "the disk is idle", "eventsPerSecond": null});
    let lifted = ada.api.patch("admin/projections/tags/rebuild", bound).await.expect(StatusCode::OK);
    assert!(lifted.at("/data/rebuild/eventsPerSecondMax").is_null());
    assert_eq!(lifted.at("/data/rebuild/state"), "paused", "a bound that is lifted resumes nothing");
    let why = json!({"reason": "the backup is done"});
    ada.api.post("admin/projections/tags/rebuild/resume", why.clone()).await.expect(StatusCode::OK);
    let done = until_tags(&ada.api, "it takes over", |answer| answer.at("/data/generation") == 2).await;
    assert!(done.at("/data/rebuild").is_null(), "{}", done.text);
    let late = ada.api.post("admin/projections/tags/rebuild/pause", why).await.expect(StatusCode::CONFLICT);
    assert_eq!(late.at("/code"), "NO_REBUILD_UNDER_WAY");
    assert!(readers.stop().await > 20, "reads went on");

    let by_ada =
        |kind: &str, reason: &str| (format!("operations.projection.{kind}"), reason.to_string(), user(&ada));
    assert_eq!(
        recorded(&server).await,
        [
            by_ada("rebuild_requested", "an index was added"),
            by_ada("rebuild_paused", "the disk is busy"),
            by_ada("rebuild_throttled", "the disk is idle"),
            by_ada("rebuild_resumed", "the backup is done"),
        ]
    );
}

/// The position of a rebuild that was the same for a second.
async fn stands_still(api: &Api) -> u64 {
    let mut last = (0, Instant::now());
    loop {
        let position = tags(api).await.at("/data/rebuild/position").as_u64().expect("is under way");
        if position != last.0 {
            last = (position, Instant::now());
        }
        if last.1.elapsed() > Duration::from_secs(1) {
            return position;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_cancelled_rebuild_is_dropped_and_the_live_one_is_not_touched() {
    let (server, ada) = operated().await;
    write_tags(&ada.api, TAGS).await;
    let pool = &server.database().expect("on the test server").pool;
    let exists = async || -> bool {
        sqlx::query_scalar("SELECT to_regclass('tags_v1_g2.tags') IS NOT NULL")
            .fetch_one(pool)
            .await
            .expect("the database answers")
    };
    let request = json!({"reason": "by mistake", "eventsPerSecond": 5});
    ada.api.post("admin/projections/tags/rebuild", request).await.expect(StatusCode::CREATED);
    eventually("it builds", PATIENCE, || async { exists().await.then_some(()) }).await;
    // Paused first: one that stands still has to be let go, too.
    let why = json!({"reason": "it was the wrong one"});
    ada.api.post("admin/projections/tags/rebuild/pause", why.clone()).await.expect(StatusCode::OK);
    let cancelled = ada.api.post("admin/projections/tags/rebuild/cancel", why.clone()).await;
    let cancelled = cancelled.expect(StatusCode::OK);
    assert!(cancelled.at("/data/rebuild").is_null(), "{}", cancelled.text);
    assert_eq!(cancelled.at("/data/generation"), 1);
    eventually("its tables are dropped", PATIENCE, || async { (!exists().await).then_some(()) }).await;
    let answer = ada.api.get("posts/tags").await.expect(StatusCode::OK);
    assert_eq!(answer.at("/data").as_array().map(Vec::len), Some(TAGS));
    let again = ada.api.post("admin/projections/tags/rebuild/cancel", why).await.expect(StatusCode::CONFLICT);
    assert_eq!(again.at("/code"), "NO_REBUILD_UNDER_WAY");
    // The next one is none the worse for it.
    let request = json!({"reason": "the right one"});
    ada.api.post("admin/projections/tags/rebuild", request).await.expect(StatusCode::CREATED);
    until_tags(&ada.api, "it takes over", |answer| answer.at("/data/generation") == 3).await;
    let kinds: Vec<String> = recorded(&server).await.into_iter().map(|(kind, ..)| kind).collect();
    let expected = ["rebuild_requested", "rebuild_paused", "rebuild_cancelled", "rebuild_requested"];
    assert_eq!(kinds, expected.map(|kind| format!("operations.projection.{kind}")));
}
