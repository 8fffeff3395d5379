//! What breaks, and that nothing is lost or doubled by it.

mod killed_writer;
mod lost_answers;
mod restarted_postgres;

use std::collections::HashMap;

use annals_eventstore::{EventStore, Filter};
use uuid::Uuid;

/// The whole log by event id; asserts that its positions have no gap.
async fn gapless_log(store: &EventStore) -> HashMap<Uuid, u64> {
    // The head first: a killed writer's last batch may still be committing.
    let head = store.head().await.unwrap();
    let mut events = store.read_all(0, &Filter::default(), usize::MAX).await.unwrap();
    events.retain(|event| event.position <= head);
    assert!(events.iter().map(|event| event.position).eq(1..=head), "no gap, no double");
    events.into_iter().map(|event| (event.event_id, event.position)).collect()
}
