//! A batch as the arguments of `annals_append`, and its answer.

use chrono::{DateTime, Utc};
use sqlx::{
    Encode, PgConnection, Postgres, Row, Type,
    encode::IsNull,
    error::BoxDynError,
    postgres::{PgArgumentBuffer, PgHasArrayType, PgRow, PgTypeInfo, types::Oid},
};
use uuid::Uuid;

use super::Waiting;
use crate::prepare::{ClaimKind, Prepared};

const CALL: &str = "SELECT * FROM annals_append($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, \
     $17, $18, $19, $20, $21, $22, $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35, $36)";

const CALL_ONE: &str =
    "SELECT annals_append_one($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)";

/// JSON text, sent as it is: Postgres checks it when it takes the arguments, before the head's lock.
struct JsonText<'a>(&'a str);

/// `json` and its array, fixed in every Postgres.
const JSON_OID: Oid = Oid(114);
const JSON_ARRAY_OID: Oid = Oid(199);

impl Type<Postgres> for JsonText<'_> {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(JSON_OID)
    }
}

impl PgHasArrayType for JsonText<'_> {
    fn array_type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(JSON_ARRAY_OID)
    }
}

impl Encode<'_, Postgres> for JsonText<'_> {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        buffer.extend_from_slice(self.0.as_bytes());
        Ok(IsNull::No)
    }
}

/// What the function answers; lists name what is refused, by index from 1.
pub(crate) struct Answer {
    pub(crate) head_before: i64,
    pub(crate) head_after: i64,
    pub(crate) recorded_at: DateTime<Utc>,
    pub(crate) versions: Vec<i64>,
    pub(crate) hits: Vec<Hit>,
    pub(crate) bad_streams: Vec<i32>,
    pub(crate) bad_claims: Vec<(i32, Option<String>)>,
    /// With whether the key was destroyed (else another append made one first).
    pub(crate) bad_keys: Vec<(i32, bool)>,
}

/// An idempotency key that was used before.
pub(crate) struct Hit {
    /// From 1.
    pub(crate) append: i32,
    pub(crate) stored: StoredKey,
}

pub(crate) struct StoredKey {
    pub(crate) digest: Vec<u8>,
    pub(crate) result: String,
    pub(crate) position: i64,
    pub(crate) recorded_at: DateTime<Utc>,
    pub(crate) shown: Option<Vec<u8>>,
    pub(crate) shown_until: Option<DateTime<Utc>>,
}

fn one_based(index: usize) -> i32 {
    i32::try_from(index + 1).expect("a batch is bounded far below 2^31")
}

/// Sends the batch and waits until it is committed. `notify`: whether another node listens.
pub(crate) async fn call(
    connection: &mut PgConnection,
    batch: &[Waiting],
    notify: bool,
) -> Result<Answer, sqlx::Error> {
    if let [only] = batch
        && let Some(answer) = call_one(connection, &only.append, notify).await?
    {
        return Ok(answer);
    }
    call_many(connection, batch, notify).await
}

/// The short way for one simple append; `None` if it is not simple, or something stands against it.
async fn call_one(
    connection: &mut PgConnection,
    append: &Prepared,
    notify: bool,
) -> Result<Option<Answer>, sqlx::Error> {
    let ([stream], [event]) = (append.streams.as_slice(), append.events.as_slice()) else { return Ok(None) };
    let claim = match append.claims.as_slice() {
        [] => None,
        [claim] if claim.kind == ClaimKind::Take => Some(claim),
        _ => return Ok(None),
    };
    if !append.new_keys.is_empty() || !append.forget.is_empty() {
        return Ok(None);
    }
    let key = append.idempotency.as_ref();
    let rows = sqlx::query(CALL_ONE)
        .bind(notify)
        .bind(key.map(|key| key.hash.as_slice()))
        .bind(key.map(|key| key.digest.as_slice()))
        .bind(key.map(|key| JsonText(&key.result)))
        .bind(key.and_then(|key| key.shown.as_deref()))
        .bind(stream.stream.aggregate_type.as_ref())
        .bind(stream.stream.aggregate_id.as_str())
        .bind(stream.expected)
        .bind(claim.map(|claim| claim.key.namespace.as_str()))
        .bind(claim.map(|claim| claim.key.key.as_str()))
        .bind(claim.and_then(|claim| claim.holder.as_deref()))
        .bind(event.event_id)
        .bind(event.event_type.as_str())
        .bind(event.event_version.as_str())
        .bind(JsonText(&event.payload))
        .bind(JsonText(&event.metadata))
        .fetch_all(connection)
        .await?;
    let row = rows.first().ok_or(sqlx::Error::RowNotFound)?;
    let Some(numbers) = row.try_get::<Option<Vec<i64>>, _>(0)? else { return Ok(None) };
    let [head_before, micros, version] = numbers[..] else { return Err(sqlx::Error::RowNotFound) };
    let recorded_at = DateTime::from_timestamp_micros(micros).ok_or(sqlx::Error::RowNotFound)?;
    Ok(Some(Answer {
        head_before,
        head_after: head_before + 1,
        recorded_at,
        versions: vec![version],
        hits: Vec::new(),
        bad_streams: Vec::new(),
        bad_claims: Vec::new(),
        bad_keys: Vec::new(),
    }))
}

async fn call_many(
    connection: &mut PgConnection,
    batch: &[Waiting],
    notify: bool,
) -> Result<Answer, sqlx::Error> {
    let appends = || (1_i32..).zip(batch.iter().map(|waiting| &waiting.append));
    let each = |count: &dyn Fn(&Prepared) -> usize| -> Vec<i32> {
        appends().flat_map(|(index, append)| std::iter::repeat_n(index, count(append))).collect()
    };
    let keys = || appends().filter_map(|(_, append)| append.idempotency.as_ref());
    let streams = || appends().flat_map(|(_, append)| &append.streams);
    let claims = || appends().flat_map(|(_, append)| &append.claims);
    let new_keys = || appends().flat_map(|(_, append)| &append.new_keys);
    let events = || appends().flat_map(|(_, append)| &append.events);

    let mut key_last = Vec::new();
    let mut event_stream = Vec::new();
    let mut event_streams: Vec<&crate::StreamId> = Vec::new();
    let (mut events_before, mut streams_before) = (0, 0);
    for (_, append) in appends() {
        for event in &append.events {
            event_stream.push(one_based(streams_before + event.stream));
            event_streams.push(&append.streams[event.stream].stream);
        }
        events_before += append.events.len();
        streams_before += append.streams.len();
        if append.idempotency.is_some() {
            key_last.push(if append.events.is_empty() { 0 } else { one_based(events_before - 1) });
        }
    }

    let query = sqlx::query(CALL)
        .bind(appends().map(|(_, a)| one_based(a.events.len()) - 1).collect::<Vec<_>>())
        .bind(notify)
        .bind(each(&|append| usize::from(append.idempotency.is_some())))
        .bind(keys().map(|key| key.hash.as_slice()).collect::<Vec<_>>())
        .bind(keys().map(|key| key.digest.as_slice()).collect::<Vec<_>>())
        .bind(keys().map(|key| JsonText(&key.result)).collect::<Vec<_>>())
        .bind(keys().map(|key| key.shown.as_deref()).collect::<Vec<_>>())
        .bind(key_last)
        .bind(each(&|append| append.streams.len()))
        .bind(streams().map(|s| s.stream.aggregate_type.as_ref()).collect::<Vec<_>>())
        .bind(streams().map(|s| s.stream.aggregate_id.as_str()).collect::<Vec<_>>())
        .bind(streams().map(|s| s.expected).collect::<Vec<_>>())
        .bind(streams().map(|s| s.events == 0).collect::<Vec<_>>())
        .bind(each(&|append| append.claims.len()))
        .bind(claims().map(|claim| claim.kind as i32).collect::<Vec<_>>())
        .bind(claims().map(|claim| claim.key.namespace.as_str()).collect::<Vec<_>>())
        .bind(claims().map(|claim| claim.key.key.as_str()).collect::<Vec<_>>())
        .bind(claims().map(|claim| claim.holder.as_deref()).collect::<Vec<_>>())
        .bind(each(&|append| append.new_keys.len()))
        .bind(new_keys().map(|key| key.name.owner.as_str()).collect::<Vec<_>>())
        .bind(new_keys().map(|key| key.name.class.as_str()).collect::<Vec<_>>())
        .bind(new_keys().map(|key| key.key_id.as_slice()).collect::<Vec<_>>())
        .bind(new_keys().map(|key| key.wrapped.as_slice()).collect::<Vec<_>>())
        .bind(new_keys().map(|key| key.master.as_slice()).collect::<Vec<_>>())
        .bind(each(&|append| append.forget.len()))
        .bind(appends().flat_map(|(_, append)| &append.forget).map(String::as_str).collect::<Vec<_>>())
        .bind(each(&|append| append.events.len()))
        .bind(event_stream)
        .bind(events().map(|event| event.nth.cast_signed()).collect::<Vec<_>>())
        .bind(events().map(|event| event.event_id).collect::<Vec<Uuid>>())
        .bind(event_streams.iter().map(|stream| stream.aggregate_type.as_ref()).collect::<Vec<_>>())
        .bind(event_streams.iter().map(|stream| stream.aggregate_id.as_str()).collect::<Vec<_>>())
        .bind(events().map(|event| event.event_type.as_str()).collect::<Vec<_>>())
        .bind(events().map(|event| event.event_version.as_str()).collect::<Vec<_>>())
        .bind(events().map(|event| JsonText(&event.payload)).collect::<Vec<_>>())
        .bind(events().map(|event| JsonText(&event.metadata)).collect::<Vec<_>>());
    // The row comes before the commit: reading until Postgres is ready for the next query is
    // what makes this an answer. `fetch_all` does; a stream dropped after its first row would not.
    let rows = query.fetch_all(connection).await?;
    answer(rows.first().ok_or(sqlx::Error::RowNotFound)?)
}

fn answer(row: &PgRow) -> Result<Answer, sqlx::Error> {
    fn list<'r, T>(row: &'r PgRow, column: &str) -> Result<Vec<T>, sqlx::Error>
    where
        Option<Vec<T>>: sqlx::Decode<'r, Postgres> + Type<Postgres>,
    {
        Ok(row.try_get::<Option<Vec<T>>, _>(column)?.unwrap_or_default())
    }
    let mut digests = list::<Vec<u8>>(row, "hit_digest")?.into_iter();
    let mut results = list::<String>(row, "hit_result")?.into_iter();
    let positions = list::<i64>(row, "hit_position")?;
    let recorded = list::<DateTime<Utc>>(row, "hit_recorded")?;
    let mut shown = list::<Option<Vec<u8>>>(row, "hit_shown")?.into_iter();
    let shown_until = list::<Option<DateTime<Utc>>>(row, "hit_shown_until")?;
    let hits = list::<i32>(row, "hit_append")?
        .into_iter()
        .enumerate()
        .map(|(index, append)| Hit {
            append,
            stored: StoredKey {
                digest: digests.next().unwrap_or_default(),
                result: results.next().unwrap_or_default(),
                position: positions[index],
                recorded_at: recorded[index],
                shown: shown.next().flatten(),
                shown_until: shown_until[index],
            },
        })
        .collect();
    Ok(Answer {
        head_before: row.try_get("head_before")?,
        head_after: row.try_get("head_after")?,
        recorded_at: row.try_get("recorded")?,
        versions: list(row, "versions")?,
        hits,
        bad_streams: list(row, "bad_streams")?,
        bad_claims: list(row, "bad_claims")?.into_iter().zip(list(row, "bad_holders")?).collect(),
        bad_keys: list(row, "bad_keys")?.into_iter().zip(list(row, "bad_keys_destroyed")?).collect(),
    })
}
