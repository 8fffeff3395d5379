//! A read model that could not apply an event: looked into, replayed after a fix, left out.

use annals_tests::{Account, Server, StatusCode, eventually};
use serde_json::{Value, json};

use crate::support::{PATIENCE, operated, recorded, until_tags, user, write_tags};

/// Gives the first tag's event a payload that no tag has.
async fn spoil(server: &Server) -> String {
    let pool = &server.database().expect("on the test server").pool;
    let mut tx = pool.begin().await.expect("begins");
    sqlx::raw_sql("ALTER TABLE events DISABLE TRIGGER USER").execute(&mut *tx).await.expect("is ours");
    let payload: String = sqlx::query_scalar(
        "WITH first AS (SELECT position, payload FROM events WHERE event_type = 'publishing.tags.created'
                        ORDER BY position LIMIT 1)
         UPDATE events SET payload = '{\"type\":\"created\"}'
         FROM first WHERE events.position = first.position RETURNING first.payload::text",
    )
    .fetch_one(&mut *tx)
    .await
    .expect("there is a tag");
    sqlx::raw_sql("ALTER TABLE events ENABLE TRIGGER USER").execute(&mut *tx).await.expect("is ours");
    tx.commit().await.expect("commits");
    payload
}

async fn mend(server: &Server, payload: &str) {
    let pool = &server.database().expect("on the test server").pool;
    let mut tx = pool.begin().await.expect("begins");
    sqlx::raw_sql("ALTER TABLE events DISABLE TRIGGER USER").execute(&mut *tx).await.expect("is ours");
    sqlx::query(
        "UPDATE events SET payload = $1::json WHERE position = (
             SELECT min(position) FROM events WHERE event_type = 'publishing.tags.created')",
    )
    .bind(payload)
    .execute(&mut *tx)
    .await
    .expect("is mended");
    sqlx::raw_sql("ALTER TABLE events ENABLE TRIGGER USER").execute(&mut *tx).await.expect("is ours");
    tx.commit().await.expect("commits");
}

/// A rebuild that met a spoilt event and waits for a person.
async fn blocked(server: &mut Server, ada: &Account) -> (String, String) {
    write_tags(&ada.api, 3).await;
    let payload = spoil(server).await;
    // It may have the event in memory.
    server.restart().await;
    let request = json!({"reason": "to meet the spoilt event"});
    ada.api.post("admin/projections/tags/rebuild", request).await.expect(StatusCode::CREATED);
    until_tags(&ada.api, "it is blocked", |answer| answer.at("/data/rebuild/state") == "blocked").await;
    let key = format!("publishing.tags/{}", ada.organization_id);
    (key, payload)
}

#[tokio::test]
async fn what_is_parked_is_shown_and_replayed_in_order_after_the_fix() {
    let (mut server, ada) = operated().await;
    let (key, payload) = blocked(&mut server, &ada).await;

    let keys = ada.api.get("admin/projections/tags/parked").await.expect(StatusCode::OK);
    assert_eq!(keys.at("/data/0/key"), &json!(key));
    assert_eq!((keys.at("/data/0/events"), keys.at("/data/0/generation")), (&json!(3), &json!(2)));
    assert_eq!(keys.at("/data/0/eventType"), "publishing.tags.created");
    assert!(keys.text_at("/data/0/error").contains("missing field"), "{}", keys.text);

    let path = format!("admin/projections/tags/parked/{}", key.replace('/', "%2F"));
    let events = ada.api.get(&path).await.expect(StatusCode::OK);
    assert_eq!(events.at("/data").as_array().map(Vec::len), Some(3));
    assert!(
        events.at("/data/0/error").is_string() && events.at("/data/1/error").is_null(),
        "{}",
        events.text
    );

    let replay = || async {
        let body = json!({"reason": "the fix is out", "key": key});
        ada.api.post("admin/projections/tags/parked/replay", body).await.expect(StatusCode::OK)
    };
    let too_early = replay().await;
    assert_eq!((too_early.at("/data/applied"), too_early.at("/data/failedKeys")), (&json!(0), &json!(1)));
    mend(&server, &payload).await;
    let replayed = replay().await;
    assert_eq!((replayed.at("/data/applied"), replayed.at("/data/failedKeys")), (&json!(3), &json!(0)));
    until_tags(&ada.api, "it takes over", |answer| answer.at("/data/generation") == 2).await;
    let tags = ada.api.get("posts/tags").await.expect(StatusCode::OK);
    assert_eq!(tags.at("/data").as_array().map(Vec::len), Some(3));
    let by_ada =
        |kind: &str, why: &str| (format!("operations.projection.{kind}"), why.to_string(), user(&ada));
    assert_eq!(
        recorded(&server).await[1..],
        [
            by_ada("parked_replay_requested", "the fix is out"),
            by_ada("parked_replay_requested", "the fix is out")
        ]
    );
}

#[tokio::test]
async fn what_can_not_be_fixed_is_skipped_with_a_reason() {
    let (mut server, ada) = operated().await;
    let (key, payload) = blocked(&mut server, &ada).await;
    let nothing = json!({"reason": "it is not there"});
    ada.api.post("admin/projections/tags/parked/nothing/skip", nothing).await.expect(StatusCode::NOT_FOUND);
    let path = format!("admin/projections/tags/parked/{}/skip", key.replace('/', "%2F"));
    let why = json!({"reason": "a test's events, nobody misses them"});
    let keyed = ada.api.with_header("Idempotency-Key", "skip-1");
    let skipped = keyed.post(&path, why.clone()).await.expect(StatusCode::OK);
    assert_eq!((skipped.at("/data/skipped"), skipped.at("/data/applied")), (&json!(3), &json!(0)));
    let again = keyed.post(&path, why).await.expect(StatusCode::OK);
    assert_eq!(again.position(), skipped.position(), "it was skipped once");
    until_tags(&ada.api, "it takes over", |answer| answer.at("/data/generation") == 2).await;
    let keys = ada.api.get("admin/projections/tags/parked").await.expect(StatusCode::OK);
    assert_eq!(keys.at("/data"), &json!([]));
    // What comes now is applied again.
    mend(&server, &payload).await;
    let tag = json!({"name": "after the skip"});
    let position = ada.api.post("posts/tags", tag).await.expect(StatusCode::CREATED).position();
    let tags = ada.api.with_header("Annals-After", position).get("posts/tags").await.expect(StatusCode::OK);
    assert_eq!(tags.at("/data").as_array().map(Vec::len), Some(1), "{}", tags.text);
    let last = recorded(&server).await.pop().expect("it is recorded");
    let why = "a test's events, nobody misses them".to_string();
    assert_eq!(last, ("operations.projection.parked_skipped".to_string(), why, user(&ada)));
}

#[tokio::test]
async fn a_build_with_parked_keys_takes_over_when_it_is_accepted_and_its_keys_are_paged() {
    let (mut server, ada) = operated().await;
    let eve = server.api().register("Eve").await;
    write_tags(&eve.api, 2).await;
    blocked(&mut server, &ada).await;
    let pool = &server.database().expect("on the test server").pool;
    // The first tag's event was Eve's: spoil Ada's as well, by a key of hers parked beside it.
    sqlx::query(
        "INSERT INTO projection.parked (name, version, generation, key, position, part, event_type, error)
         SELECT name, version, generation, 'publishing.tags/another', position + 1, part, event_type, error
         FROM projection.parked WHERE error IS NOT NULL",
    )
    .execute(pool)
    .await
    .expect("is there");
    let first = ada.api.get("admin/projections/tags/parked?limit=1").await.expect(StatusCode::OK);
    assert_eq!(first.at("/data/0/key"), &json!(format!("publishing.tags/{}", eve.organization_id)));
    let cursor = first.text_at("/meta/nextCursor");
    let path = format!("admin/projections/tags/parked?limit=1&cursor={}", cursor.replace('/', "%2F"));
    let second = ada.api.get(&path).await.expect(StatusCode::OK);
    assert_eq!(second.at("/data/0/key"), "publishing.tags/another");
    assert!(second.at("/meta/nextCursor").is_null(), "{}", second.text);

    let why = json!({"reason": "most of it is better than nothing"});
    ada.api.post("admin/projections/tags/rebuild/accept", why).await.expect(StatusCode::OK);
    until_tags(&ada.api, "it takes over", |answer| answer.at("/data/generation") == 2).await;
    eventually("the metric tells", PATIENCE, || async {
        let metrics = ada.api.get("/metrics").await.expect(StatusCode::OK).text;
        metrics.contains("annals_projection_parked_keys{projection=\"tags\"} ").then_some(())
    })
    .await;
    let kinds: Vec<String> = recorded(&server).await.into_iter().map(|(kind, ..)| kind).collect();
    assert_eq!(kinds, ["operations.projection.rebuild_requested", "operations.projection.parked_accepted"]);
}

#[tokio::test]
async fn sealed_values_of_a_parked_event_are_erased_where_it_is_shown() {
    let (server, ada) = operated().await;
    // As if `users` could not apply a registration, which is full of them.
    sqlx::query(
        "INSERT INTO projection.parked (name, version, generation, key, position, part, event_type, error)
         SELECT 'users', v.version, v.generation, 'identity.user/x', e.position, 0, e.event_type, 'it broke'
         FROM projection.versions v, events e
         WHERE v.name = 'users' AND e.event_type = 'identity.user.registered'",
    )
    .execute(&server.database().expect("on the test server").pool)
    .await
    .expect("there are books");
    let path = "admin/projections/users/parked/identity.user%2Fx";
    let shown = ada.api.get(path).await.expect(StatusCode::OK);
    let payload = shown.at("/data/0/payload");
    assert_eq!(payload.pointer("/email/$personal/subject"), Some(&json!(format!("user:{}", ada.user_id))));
    assert_eq!(payload.pointer("/email/$personal/value"), Some(&Value::Null), "{}", shown.text);
    assert_eq!(payload.pointer("/password/$secret/value"), Some(&Value::Null), "{}", shown.text);
    assert!(!shown.text.contains(&ada.email), "{}", shown.text);
}
