//! The activity timeline of an organization: who did what, when, through which door.
//!
//! Of all contexts. It keeps ids, never names or other personal data: names are joined when it is
//! read, so what is forgotten is gone from here too. What platforms count changes all day and is nobody's doing: it
//! is left out.

use annals_domain::kernel::OrganizationId;
use annals_eventstore::{Actor, Filter, MetadataNeeds, Source, UnparsedEvent};
use async_trait::async_trait;
use chrono::{DateTime, Utc};
use serde_json::{Map, Value};
use sqlx::{FromRow, PgConnection, PgPool, QueryBuilder};
use uuid::Uuid;

use super::posts::like_literal;
use crate::{
    Projection, ProjectionError,
    runtime::{CopyIn, CopyRow, decode, give_way, metadata},
};

pub struct Activity;

#[async_trait]
impl Projection for Activity {
    const NAME: &'static str = "activity";
    const VERSION: u32 = 3;
    const TABLES: &'static [&'static str] = &["activity"];
    const CREATE: &'static str = "
        CREATE TABLE activity (
            position bigint NOT NULL,
            part integer NOT NULL,
            organization_id uuid NOT NULL,
            event_id uuid NOT NULL,
            type text NOT NULL,
            subject_type text NOT NULL,
            subject_id text NOT NULL,
            actor_type text NOT NULL,
            actor_id text,
            source text NOT NULL,
            details jsonb NOT NULL,
            at timestamptz NOT NULL,
            PRIMARY KEY (position, part)
        )";
    const INDEXES: &'static str = "
        CREATE INDEX activity_newest ON activity (organization_id, position DESC, part DESC);
        CREATE INDEX activity_by_actor ON activity (organization_id, actor_id, position DESC)";

    fn filter(&self) -> Filter {
        Filter::default()
    }

    fn metadata(&self) -> MetadataNeeds {
        MetadataNeeds::WithoutClient
    }

    fn decode_ahead(&self, event: &UnparsedEvent) {
        event.decode_ahead::<Map<String, Value>>();
    }

    async fn apply(
        &self,
        events: &[UnparsedEvent],
        tables: &mut PgConnection,
    ) -> Result<(), ProjectionError> {
        let mut copy = CopyIn::begin(tables, "activity", COLUMNS).await?;
        for (nth, event) in events.iter().enumerate() {
            if let Some(line) = line(event)? {
                copy.row(|row| line.fill(event, row)).await?;
            }
            give_way(nth).await;
        }
        Ok(copy.finish().await?)
    }
}

/// Aggregates that count: for the limits of a tier, and what platforms say.
const COUNTS: [&str; 4] = [
    "identity.holdings",
    "publishing.posting_month",
    "publishing.post_figures",
    "publishing.channel_figures",
];

const COLUMNS: &[&str] = &[
    "position",
    "part",
    "organization_id",
    "event_id",
    "type",
    "subject_type",
    "subject_id",
    "actor_type",
    "actor_id",
    "source",
    "details",
    "at",
];

/// What a line says beside what every event says.
struct Line {
    organization: Uuid,
    actor: Actor,
    source: Source,
    details: Map<String, Value>,
}

/// Nothing for what belongs to no organization, such as a change of one's own password. What happens to an
/// organization is its own, whatever organization the one who did it was acting for.
fn line(event: &UnparsedEvent) -> Result<Option<Line>, ProjectionError> {
    // What is only counted is nobody's doing: the post, the channel, the key have lines of their own.
    if COUNTS.contains(&event.stream.aggregate_type.as_ref()) {
        return Ok(None);
    }
    let metadata = metadata(event)?;
    let own = (event.stream.aggregate_type == "identity.organization")
        .then(|| event.stream.aggregate_id.parse().ok())
        .flatten();
    let Some(organization) = own.or(metadata.organization_id) else { return Ok(None) };
    let details = details(decode(event)?);
    Ok(Some(Line { organization, actor: metadata.actor, source: metadata.source, details }))
}

impl Line {
    fn fill(&self, event: &UnparsedEvent, row: &mut CopyRow<'_>) -> Result<(), sqlx::Error> {
        row.value(event.position.cast_signed())?;
        row.value(event.part.cast_signed())?;
        row.value(self.organization)?;
        row.value(event.event_id)?;
        row.value(event.event_type.as_str())?;
        row.value(event.stream.aggregate_type.as_ref())?;
        row.value(event.stream.aggregate_id.as_str())?;
        row.value(self.actor.kind.as_str())?;
        row.value(self.actor.id.as_deref())?;
        row.value(self.source.as_str())?;
        row.jsonb(Some(&self.details))?;
        row.value(event.recorded_at)
    }
}

/// A text longer than this is content, not a detail.
const DETAIL_CHARS_MAX: usize = 500;

/// The plain values of a payload. What is sealed is an object, and so is left out.
fn details(mut payload: Map<String, Value>) -> Map<String, Value> {
    let is_detail = |value: &Value| match value {
        Value::String(text) => text.chars().count() <= DETAIL_CHARS_MAX,
        Value::Number(_) | Value::Bool(_) => true,
        Value::Null | Value::Array(_) | Value::Object(_) => false,
    };
    payload.retain(|name, value| name != "type" && is_detail(value));
    payload
}

/// One line of the timeline.
#[derive(Clone, Debug, PartialEq, FromRow)]
pub struct Entry {
    #[sqlx(try_from = "i64")]
    pub position: u64,
    pub part: i32,
    pub event_id: Uuid,
    #[sqlx(rename = "type")]
    pub event_type: String,
    pub subject_type: String,
    pub subject_id: String,
    pub actor_type: String,
    pub actor_id: Option<String>,
    pub source: String,
    #[sqlx(json)]
    pub details: Value,
    pub at: DateTime<Utc>,
}

/// Where a page ended: the next one begins after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    pub position: u64,
    pub part: u32,
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.position, self.part)
    }
}

impl std::str::FromStr for Cursor {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (position, part) = text.split_once('.').unwrap_or((text, "0"));
        Ok(Self { position: position.parse::<u64>()?.min(i64::MAX.cast_unsigned()), part: part.parse()? })
    }
}

/// Which lines; all by default.
#[derive(Clone, Debug, Default)]
pub struct ActivityFilter {
    /// An event type, or what it begins with: `publishing.post.scheduled`, `publishing.post`, `publishing`.
    pub event_type: Option<String>,
    pub actor: Option<String>,
    /// The post, channel, member … that it is about.
    pub subject: Option<String>,
    pub from: Option<DateTime<Utc>>,
    /// Not included.
    pub to: Option<DateTime<Utc>>,
    /// Only what is older.
    pub after: Option<Cursor>,
}

/// At most `limit` lines, the newest first, and where the next page begins if there is one.
///
/// # Errors
/// If the database does not answer.
pub async fn list(
    pool: &PgPool,
    organization: OrganizationId,
    filter: &ActivityFilter,
    limit: u32,
) -> Result<(Vec<Entry>, Option<Cursor>), sqlx::Error> {
    let mut query = QueryBuilder::new(
        "SELECT position, part, event_id, type, subject_type, subject_id, actor_type, actor_id, source,
             details, at FROM read.activity_v3 WHERE organization_id = ",
    );
    query.push_bind(organization.uuid());
    if let Some(event_type) = &filter.event_type {
        query.push(" AND (type = ").push_bind(event_type.clone());
        query.push(" OR type LIKE ").push_bind(format!("{}.%", like_literal(event_type))).push(")");
    }
    if let Some(actor) = &filter.actor {
        query.push(" AND actor_id = ").push_bind(actor.clone());
    }
    if let Some(subject) = &filter.subject {
        query.push(" AND subject_id = ").push_bind(subject.clone());
    }
    if let Some(from) = filter.from {
        query.push(" AND at >= ").push_bind(from);
    }
    if let Some(to) = filter.to {
        query.push(" AND at < ").push_bind(to);
    }
    if let Some(Cursor { position, part }) = filter.after {
        query.push(" AND (position, part) < (").push_bind(position.cast_signed());
        query.push(", ").push_bind(part.cast_signed()).push(")");
    }
    query.push(" ORDER BY position DESC, part DESC LIMIT ").push_bind(i64::from(limit) + 1);
    let mut entries: Vec<Entry> = query.build_query_as().fetch_all(pool).await?;
    let has_more = entries.len() > limit as usize;
    entries.truncate(limit as usize);
    let next = entries
        .last()
        .filter(|_| has_more)
        .map(|last| Cursor { position: last.position, part: last.part.cast_unsigned() });
    Ok((entries, next))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn details_hold_plain_values_and_never_what_is_sealed() {
        let payload = json!({
            "type": "connected", "platform": "bluesky", "attempt": 2, "is_first": true, "group": null,
            "credentials": {"$secret": {"owner": "integration:1", "value": "hunter2"}},
            "email": {"$personal": {"subject": "user:1", "value": "ada@example.org"}},
            "channels": ["a"], "long": "x".repeat(501),
        });
        let expected = json!({"platform": "bluesky", "attempt": 2, "is_first": true});
        assert_eq!(Value::Object(details(serde_json::from_value(payload).unwrap())), expected);
    }

    #[test]
    fn a_cursor_reads_as_it_is_written() {
        let cursor = Cursor { position: 42, part: 1 };
        assert_eq!(cursor.to_string().parse::<Cursor>().ok(), Some(cursor));
        assert!("".parse::<Cursor>().is_err());
        assert!("x.1".parse::<Cursor>().is_err());
        assert!("1.-1".parse::<Cursor>().is_err());
    }
}
