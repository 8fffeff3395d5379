//! Kills around the feed, where the recorded event is the act itself.

use std::collections::HashMap;

use annals_tests::{Server, StatusCode, eventually};
use serde_json::json;
use sqlx::{Connection, PgConnection, PgPool};

use crate::{KILLS, connect, end_leases, now_on, publish_now, settled};

const ATTEMPTED: &str = "publishing.post.publish_attempted";
const PUBLISHED: &str = "publishing.post.published";
/// The advisory lock that held events wait for.
const HOLD: i64 = 7_203_114;

/// When the server dies, as the log sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Phase {
    /// Before the attempt is recorded.
    Before,
    /// The attempt is recorded, the outcome never arrives.
    During,
    /// The outcome is recorded, and the worker never hears that it is.
    After,
}

impl Phase {
    const ALL: [Self; 3] = [Self::Before, Self::During, Self::After];
}

/// Holds appends of one type of event in Postgres, in the middle of their transaction.
struct Hold {
    pool: PgPool,
    /// Holds the advisory lock while it lives.
    holder: PgConnection,
}

impl Hold {
    async fn install(server: &Server) -> Self {
        let database = server.database().expect("on the test server");
        sqlx::raw_sql(&format!(
            "CREATE TABLE public.held_events (event_type text);
             CREATE FUNCTION public.hold_event() RETURNS trigger LANGUAGE plpgsql AS $$
             BEGIN
                 IF EXISTS (SELECT FROM public.held_events h WHERE h.event_type = NEW.event_type) THEN
                     PERFORM pg_advisory_xact_lock({HOLD});
                 END IF;
                 RETURN NEW;
             END $$;
             CREATE TRIGGER hold_event BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION public.hold_event();"
        ))
        .execute(&database.pool)
        .await
        .expect("the trigger can be made");
        let holder = PgConnection::connect(&database.url).await.expect("another connection");
        Self { pool: database.pool.clone(), holder }
    }

    async fn run(&self, sql: &str) {
        sqlx::query(sql).execute(&self.pool).await.expect("a statement of the test's own");
    }

    async fn close(&mut self, event_type: &str) {
        let lock = format!("SELECT pg_advisory_lock({HOLD})");
        sqlx::query(&lock).execute(&mut self.holder).await.expect("the lock is free");
        self.run(&format!("INSERT INTO public.held_events VALUES ('{event_type}')")).await;
    }

    /// The backend that waits with its append.
    async fn waiting(&self) -> Option<i32> {
        sqlx::query_scalar(
            "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND NOT granted
             AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
             AND ((classid::bigint << 32) | objid::bigint) = $1",
        )
        .bind(HOLD)
        .fetch_optional(&self.pool)
        .await
        .expect("locks can be read")
    }

    /// Lets go; an append that still waits goes through.
    async fn open(&mut self) {
        self.run("DELETE FROM public.held_events").await;
        let unlock = format!("SELECT pg_advisory_unlock({HOLD})");
        sqlx::query(&unlock).execute(&mut self.holder).await.expect("the lock was held");
    }

    async fn recorded(&self, post: &str, event_type: &str) -> i64 {
        sqlx::query_scalar("SELECT count(*) FROM events WHERE aggregate_id = $1 AND event_type = $2")
            .bind(post)
            .bind(event_type)
            .fetch_one(&self.pool)
            .await
            .expect("the log can be read")
    }
}

#[tokio::test]
async fn a_post_is_in_the_feed_once_whenever_the_worker_is_killed() {
    let mut server = Server::start().await;
    let ada = server.api().register("Ada").await;
    // A feed shows its newest 50: one for each phase.
    let mut channels = HashMap::new();
    for phase in Phase::ALL {
        let body = json!({"platform": "feed", "name": format!("Killed {phase:?}")});
        channels.insert(phase, connect(&ada, body).await);
    }
    let mut hold = Hold::install(&server).await;

    let mut hits: HashMap<Phase, usize> = HashMap::new();
    let mut sent = Vec::new();
    for round in 0..KILLS {
        for phase in Phase::ALL {
            let text = format!("killed {phase:?}, round {round}");
            hold.close(if phase == Phase::Before { ATTEMPTED } else { PUBLISHED }).await;
            let post = publish_now(&ada, &now_on(&channels[&phase], &text)).await;
            let waits = std::time::Duration::from_secs(60);
            let backend = eventually("the append waits", waits, || hold.waiting()).await;
            server.kill9();
            if phase != Phase::After {
                hold.run(&format!("SELECT pg_terminate_backend({backend})")).await;
                eventually("the append is undone", waits, async || {
                    hold.waiting().await.is_none().then_some(())
                })
                .await;
            }
            hold.open().await;
            let (attempted, published) = match phase {
                Phase::Before => (0, 0),
                Phase::During => (1, 0),
                Phase::After => (1, 1),
            };
            eventually("the log shows the phase", waits, async || {
                let shows = hold.recorded(&post, ATTEMPTED).await == attempted
                    && hold.recorded(&post, PUBLISHED).await == published;
                shows.then_some(())
            })
            .await;
            *hits.entry(phase).or_default() += 1;
            end_leases(&server).await;
            server.restart().await;
            // The next hold is meant for the next post.
            eventually("the post is published after all", crate::SETTLED_WITHIN, async || {
                (hold.recorded(&post, PUBLISHED).await == 1).then_some(())
            })
            .await;
            sent.push((post, text, phase));
        }
    }
    assert!(hits.len() == 3 && hits.values().all(|hit| *hit == KILLS), "each phase was hit: {hits:?}");

    for (post, ..) in &sent {
        let delivery = settled(&ada, post).await;
        assert_eq!(delivery["status"], "published", "{delivery}");
        assert_eq!(hold.recorded(post, PUBLISHED).await, 1, "acted and recorded once");
    }
    for (phase, channel) in &channels {
        let sent: Vec<_> = sent.iter().filter(|(.., hit)| hit == phase).collect();
        let items = eventually("the feed shows every post", crate::SETTLED_WITHIN, async || {
            let feed = server.api().get(&format!("/feeds/{channel}.json")).await.expect(StatusCode::OK);
            let items = feed.at("/items").as_array().cloned().unwrap_or_default();
            (items.len() >= sent.len()).then_some(items)
        })
        .await;
        for (post, text, _) in &sent {
            let shown = items.iter().filter(|item| item["content_text"] == text.as_str()).count();
            assert_eq!(shown, 1, "{post}: {text}");
        }
        assert_eq!(items.len(), sent.len(), "{phase:?}");
    }
    println!("killed {hits:?}; {} posts, each in its feed once", sent.len());
}
