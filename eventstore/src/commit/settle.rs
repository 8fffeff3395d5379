//! Who gets which answer from a batch.

use metrics::gauge;

use super::{Refusal, Waiting, batch::Answer};
use crate::{
    AppendError, Receipt, StoreError, StoredEvent,
    prepare::{ClaimKind, Prepared},
    read::receipt_of,
    shared::Shared,
};

/// Answers everyone in a committed batch and shows its events to the node's readers.
pub(super) fn settle(shared: &Shared, batch: Vec<Waiting>, answer: Answer) {
    let mut verdicts: Vec<Option<Result<Receipt, Refusal>>> = batch.iter().map(|_| None).collect();
    let owner_of = |count: fn(&Prepared) -> usize| -> Vec<(usize, usize)> {
        batch
            .iter()
            .enumerate()
            .flat_map(|(index, waiting)| (0..count(&waiting.append)).map(move |item| (index, item)))
            .collect()
    };
    for hit in &answer.hits {
        let index = usize::try_from(hit.append - 1).unwrap_or_default();
        if let Some(key) = &batch[index].append.idempotency {
            let receipt = receipt_of(&shared.keyring, &key.hash, &key.digest, &hit.stored);
            verdicts[index] = Some(receipt.map_err(Refusal::Final));
        }
    }
    let at = |list: &[(usize, usize)], number: i32| {
        usize::try_from(number - 1).ok().and_then(|index| list.get(index).copied())
    };
    let keys = owner_of(|append| append.new_keys.len());
    for (number, destroyed) in &answer.bad_keys {
        let Some((index, item)) = at(&keys, *number) else { continue };
        let subject = batch[index].append.new_keys[item].name.owner.clone();
        shared.keyring.evict(&subject);
        verdicts[index].get_or_insert(Err(if *destroyed {
            Refusal::Final(AppendError::Forgotten { subject })
        } else {
            Refusal::SealAgain
        }));
    }
    let streams = owner_of(|append| append.streams.len());
    for number in &answer.bad_streams {
        let Some((index, item)) = at(&streams, *number) else { continue };
        let version = answer.versions[usize::try_from(number - 1).unwrap_or_default()];
        verdicts[index].get_or_insert(Err(Refusal::Final(stream_refusal(
            &batch[index].append,
            item,
            version,
        ))));
    }
    let claims = owner_of(|append| append.claims.len());
    for (number, holder) in &answer.bad_claims {
        let Some((index, item)) = at(&claims, *number) else { continue };
        let refusal = claim_refusal(&batch[index].append, item, holder.as_ref());
        verdicts[index].get_or_insert(Err(Refusal::Final(refusal)));
    }

    let mut position = answer.head_before;
    let mut versions = answer.versions.iter();
    let mut stored = Vec::new();
    let mut answers = Vec::with_capacity(batch.len());
    for (mut waiting, verdict) in batch.into_iter().zip(verdicts) {
        let versions: Vec<u64> = versions
            .by_ref()
            .take(waiting.append.streams.len())
            .map(|version| version.cast_unsigned())
            .collect();
        let answered = verdict.unwrap_or_else(|| {
            for key in std::mem::take(&mut waiting.append.new_keys) {
                shared.keyring.committed(key);
            }
            for owner in &waiting.append.forget {
                shared.forget(owner);
            }
            let receipt = receipt(&waiting.append, &versions, position, &answer);
            for event in std::mem::take(&mut waiting.append.events) {
                position += 1;
                stored.push(StoredEvent {
                    position: position.cast_unsigned(),
                    event_id: event.event_id,
                    stream: waiting.append.streams[event.stream].stream.clone(),
                    sequence: versions[event.stream] + event.nth,
                    event_type: event.event_type,
                    event_version: event.event_version,
                    payload: event.payload,
                    metadata: event.metadata,
                    recorded_at: answer.recorded_at,
                });
            }
            Ok(receipt)
        });
        answers.push((waiting, answered));
    }
    debug_assert_eq!(position, answer.head_after, "the committer and the function count alike");
    gauge!("annals_log_head").set(answer.head_after as f64);
    // Before anyone hears that it is written, this node's cache knows.
    shared.follower.committed(&shared.aggregates, stored);
    for (waiting, answer) in answers {
        waiting.answer(answer);
    }
}

fn receipt(append: &Prepared, versions: &[u64], position: i64, answer: &Answer) -> Receipt {
    let last = match append.events.len() {
        0 => answer.head_after,
        events => position + i64::try_from(events).unwrap_or_default(),
    };
    let streams = append.streams.iter().take(append.written_streams).zip(versions);
    Receipt {
        position: last.cast_unsigned(),
        recorded_at: answer.recorded_at,
        versions: streams.map(|(stream, version)| (stream.stream.clone(), version + stream.events)).collect(),
        result: append.idempotency.as_ref().map_or(serde_json::Value::Null, |key| {
            serde_json::from_str(&key.result).unwrap_or(serde_json::Value::Null)
        }),
        shown_once: None,
        shown_once_expired: false,
        replayed: false,
    }
}

fn stream_refusal(append: &Prepared, item: usize, version: i64) -> AppendError {
    let stream = &append.streams[item];
    if item < append.written_streams {
        AppendError::VersionConflict {
            stream: stream.stream.clone(),
            expected: stream.expected.cast_unsigned(),
            actual: version.cast_unsigned(),
        }
    } else {
        AppendError::AssertFailed {
            what: format!("{}: it is at version {version}, not {}", stream.stream, stream.expected),
        }
    }
}

fn claim_refusal(append: &Prepared, item: usize, holder: Option<&String>) -> AppendError {
    let claim = &append.claims[item];
    if claim.kind == ClaimKind::Assert {
        AppendError::AssertFailed { what: format!("the holder of a key in {}", claim.key.namespace) }
    } else {
        AppendError::ClaimTaken { key: claim.key.clone(), holder: holder.cloned().unwrap_or_default() }
    }
}

/// Says to an append that raised alone what is wrong with it.
pub(super) fn blame(culprit: Waiting, error: &sqlx::Error) {
    let database = error.as_database_error();
    let code = database.and_then(|error| error.code()).unwrap_or_default();
    let refusal = match (&code[..code.len().min(2)], database.and_then(|error| error.constraint())) {
        (_, Some("events_event_id_key")) => duplicate(&culprit.append, database),
        // The text of the message may hold the data: it is not passed on.
        ("22", _) => AppendError::Malformed { why: format!("the log can't take it (SQLSTATE {code})") },
        ("54", _) => AppendError::Malformed { why: "it is over a limit of the database".to_string() },
        _ => {
            tracing::error!(error.code = %code, error = %error, "an append raised an error of no known kind");
            let text = std::io::Error::other(format!("SQLSTATE {code}"));
            AppendError::Unavailable(StoreError::Database(sqlx::Error::Io(text)))
        }
    };
    culprit.answer(Err(Refusal::Final(refusal)));
}

/// Postgres' detail names the id: `Key (event_id)=(0198…) already exists.`
fn duplicate(append: &Prepared, error: Option<&dyn sqlx::error::DatabaseError>) -> AppendError {
    let detail = error
        .and_then(|error| error.try_downcast_ref::<sqlx::postgres::PgDatabaseError>())
        .and_then(|error| error.detail())
        .unwrap_or_default();
    let named = append.events.iter().find(|event| detail.contains(&event.event_id.to_string()));
    let event_id = named.or(append.events.first()).map(|event| event.event_id).unwrap_or_default();
    AppendError::DuplicateEvent { event_id }
}
