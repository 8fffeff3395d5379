//! Claims against the events that they follow from.

use annals_commands::claims::{self, Derived};
use annals_eventstore::{ClaimKey, EventStore};

/// Of each namespace the claims that are held, at most so many, and of each kind of holder the newest.
pub(super) async fn claims(store: &EventStore, max: u32) -> anyhow::Result<String> {
    let mut wrong = Vec::new();
    let held: Vec<(String, String, String)> =
        sqlx::query_as("SELECT namespace, key, holder FROM claims ORDER BY namespace, key LIMIT $1")
            .bind(i64::from(max))
            .fetch_all(store.pool())
            .await?;
    let checked = held.len();
    for (namespace, key, holder) in held {
        match claims::derive(store, &namespace, &holder).await? {
            Derived::Keys(keys) if keys.contains(&ClaimKey::plain(&namespace, &key)) => {}
            Derived::Keys(_) => {
                wrong.push(format!("{namespace}: {holder} holds a key that its events do not give"))
            }
            Derived::Unreadable => {}
            Derived::UnknownNamespace => wrong.push(format!("{namespace}: nobody takes claims there")),
        }
    }
    let mut expected = 0;
    for (namespace, aggregate_type) in claims::HOLDERS {
        let holders: Vec<String> = sqlx::query_scalar(
            "SELECT aggregate_id FROM events WHERE aggregate_type = $1 AND sequence = 1
             ORDER BY position DESC LIMIT $2",
        )
        .bind(aggregate_type)
        .bind(i64::from(max))
        .fetch_all(store.pool())
        .await?;
        for holder in holders {
            let Derived::Keys(keys) = claims::derive(store, namespace, &holder).await? else { continue };
            for key in keys {
                expected += 1;
                let by = store.claim_holder(&key).await?;
                if by.as_deref() != Some(holder.as_str()) {
                    let by = by.unwrap_or_else(|| "nobody".to_string());
                    wrong.push(format!("{namespace}: {by} holds what {holder} should hold"));
                }
            }
        }
    }
    wrong.truncate(SHOWN_MAX);
    anyhow::ensure!(wrong.is_empty(), "{}", wrong.join("; "));
    Ok(format!("{checked} are those that events give, {expected} that they should give are held"))
}

/// So many are named.
const SHOWN_MAX: usize = 10;
