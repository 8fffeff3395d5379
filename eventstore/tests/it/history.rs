//! Reading the past by what is asked of it.

use std::time::Duration;

use annals_eventstore::{
    Append, Candidates, EventStore, Expected, HistoryQuery, OfOrganization, Order, testing::database,
};
use chrono::{DateTime, Utc};
use uuid::Uuid;

use crate::account::{account, append, deposited, open};

const WITHIN: Duration = Duration::from_secs(30);

async fn positions(store: &EventStore, query: &HistoryQuery) -> Vec<u64> {
    let page = store.history(query, 100, WITHIN).await.unwrap();
    assert_eq!(page.next, None);
    page.events.iter().map(|event| event.position).collect()
}

fn by(actor: &str, organization: Option<Uuid>, events: Append) -> Append {
    let mut append = events;
    append.metadata.actor.id = Some(actor.to_string());
    append.metadata.organization_id = organization;
    append
}

#[tokio::test]
async fn the_past_is_found_by_each_of_its_marks() {
    let database = database().await;
    let store = open(&database).await;
    let (first, second) = (Uuid::now_v7(), Uuid::now_v7());
    let one = |id: &str| append(account(id), Expected::Any, vec![deposited(1)]);
    store.append(by("ada", Some(first), one("1"))).await.unwrap();
    store.append(by("bob", Some(second), one("2"))).await.unwrap();
    let third = by("ada", Some(second), one("1"));
    let correlation = third.metadata.correlation_id;
    store.append(third).await.unwrap();
    // A stream that is an organization: its own, whoever acts on it.
    store.append(by("ada", Some(first), one(&second.to_string()))).await.unwrap();

    let all = HistoryQuery::default;
    assert_eq!(positions(&store, &all()).await, [1, 2, 3, 4]);
    assert_eq!(positions(&store, &HistoryQuery { order: Order::NewestFirst, ..all() }).await, [4, 3, 2, 1]);
    assert_eq!(positions(&store, &HistoryQuery { from: 2, to: 3, ..all() }).await, [2, 3]);
    let id = |id: &str| HistoryQuery { aggregate_id: Some(id.to_string()), ..all() };
    assert_eq!(positions(&store, &id("1")).await, [1, 3]);
    assert_eq!(positions(&store, &HistoryQuery { order: Order::NewestFirst, ..id("1") }).await, [3, 1]);
    let other = HistoryQuery { aggregate_type: Some("test.other".to_string()), ..id("1") };
    assert_eq!(positions(&store, &other).await, [0; 0]);
    let typed = |text: &str| HistoryQuery { event_type: Some(text.to_string()), ..all() };
    assert_eq!(positions(&store, &typed("test.account.deposited")).await, [1, 2, 3, 4]);
    assert_eq!(positions(&store, &typed("test.account")).await, [1, 2, 3, 4]);
    assert_eq!(positions(&store, &typed("test.acc")).await, [0; 0], "a beginning ends at a dot");
    assert_eq!(positions(&store, &HistoryQuery { actor: Some("ada".to_string()), ..all() }).await, [1, 3, 4]);
    let correlated = HistoryQuery { correlation_id: Some(correlation), ..all() };
    assert_eq!(positions(&store, &correlated).await, [3]);
    let of = |id| OfOrganization { id, aggregate_type: "test.account".into() };
    let query = |id| HistoryQuery { organization: Some(of(id)), ..all() };
    assert_eq!(positions(&store, &query(first)).await, [0; 0], "all streams here are organizations");
    assert_eq!(positions(&store, &query(second)).await, [4]);
    let elsewhere = OfOrganization { id: second, aggregate_type: "test.organization".into() };
    let query = HistoryQuery { organization: Some(elsewhere.clone()), ..all() };
    assert_eq!(positions(&store, &query).await, [2, 3]);
    let opened = store
        .open_events(&store.read_positions(&[1, 2, 3]).await.unwrap(), annals_eventstore::Opening::Nothing)
        .await
        .unwrap();
    assert_eq!(opened.iter().map(|event| elsewhere.has(event)).collect::<Vec<_>>(), [false, true, true]);
    assert_eq!(store.read_ids(&[opened[1].event_id]).await.unwrap()[0].position, 2);
    assert_eq!(store.version_at(&account("1"), 2).await.unwrap(), 1);
    assert_eq!(store.version_at(&account("1"), 4).await.unwrap(), 2);
    assert_eq!(store.version_at(&account("2"), 1).await.unwrap(), 0);
}

/// A log that is longer than one query's window, a second per event, and one event in a thousand of "rare".
async fn long_log(store: &EventStore, events: i64) {
    sqlx::query(
        "INSERT INTO events
         SELECT n, gen_random_uuid(), 'test.account', n::text, 1,
                CASE WHEN n % 1000 = 0 THEN 'test.rare' ELSE 'test.common' END, '1', '{}',
                json_build_object('correlation_id', gen_random_uuid(), 'command', 'Test', 'source', 'API',
                                  'actor', json_build_object('type', 'user', 'id', '1')),
                '2026-01-01T00:00:00Z'::timestamptz + n * interval '1 second'
         FROM generate_series(1, $1) AS n",
    )
    .bind(events)
    .execute(store.pool())
    .await
    .unwrap();
    sqlx::query("UPDATE log_head SET position = $1").bind(events).execute(store.pool()).await.unwrap();
}

#[tokio::test]
async fn a_search_pages_through_a_long_log_and_says_where_it_goes_on() {
    let database = database().await;
    let store = open(&database).await;
    long_log(&store, 50_000).await;
    for order in [Order::OldestFirst, Order::NewestFirst] {
        let mut query =
            HistoryQuery { event_type: Some("test.rare".to_string()), order, ..HistoryQuery::default() };
        let mut found = Vec::new();
        let mut pages = 0;
        loop {
            let page = store.history(&query, 7, WITHIN).await.unwrap();
            assert!(page.events.len() == 7 || page.next.is_none());
            found.extend(page.events.iter().map(|event| event.position));
            pages += 1;
            match (page.next, order) {
                (None, _) => break,
                (Some(next), Order::OldestFirst) => query.from = next,
                (Some(next), Order::NewestFirst) => query.to = next,
            }
        }
        let mut expected: Vec<u64> = (1..=50).map(|n| n * 1000).collect();
        if order == Order::NewestFirst {
            expected.reverse();
        }
        assert_eq!((found, pages), (expected, 8));
    }
    // Without time for more than one window, a page with nothing still leads on.
    let nothing = HistoryQuery { actor: Some("nobody".to_string()), ..HistoryQuery::default() };
    let page = store.history(&nothing, 7, Duration::ZERO).await.unwrap();
    assert_eq!((page.events.len(), page.next), (0, Some(20_001)));
}

#[tokio::test]
async fn what_an_index_knows_is_not_looked_for_in_the_log_and_what_it_does_not_know_yet_is() {
    let database = database().await;
    let store = open(&database).await;
    long_log(&store, 50_000).await;
    // The index is at 30,500 and names two of the thirty rare ones, and one that is none.
    let candidates = Candidates { up_to: 30_500, positions: vec![2_000, 2_001, 30_000] };
    let after = (31..=50).map(|n| n * 1000);
    let expected: Vec<u64> = [2_000, 30_000].into_iter().chain(after).collect();
    for order in [Order::OldestFirst, Order::NewestFirst] {
        let mut query = HistoryQuery {
            event_type: Some("test.rare".to_string()),
            candidates: Some(candidates.clone()),
            order,
            ..HistoryQuery::default()
        };
        let mut found = positions(&store, &query).await;
        if order == Order::NewestFirst {
            found.reverse();
        }
        assert_eq!(found, expected);
        query.to = 30_500;
        // Without time for a second window: what the index knows is one.
        let page = store.history(&query, 100, Duration::ZERO).await.unwrap();
        assert_eq!((page.events.len(), page.next), (2, None));
    }
}

#[tokio::test]
async fn a_time_is_a_position_by_halves() {
    let database = database().await;
    let store = open(&database).await;
    let time = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
    assert_eq!(store.position_at(Utc::now()).await.unwrap(), 0);
    assert_eq!(store.position_since(Utc::now()).await.unwrap(), 1);
    long_log(&store, 1_000).await;
    for (at, until, since) in [
        ("2025-12-31T00:00:00Z", 0, 1),
        ("2026-01-01T00:00:01Z", 1, 1),
        ("2026-01-01T00:00:07Z", 7, 7),
        ("2026-01-01T00:00:07.5Z", 7, 8),
        ("2026-01-01T00:16:40Z", 1_000, 1_000),
        ("2026-01-02T00:00:00Z", 1_000, 1_001),
    ] {
        assert_eq!(store.position_at(time(at)).await.unwrap(), until, "{at}");
        assert_eq!(store.position_since(time(at)).await.unwrap(), since, "{at}");
    }
}
