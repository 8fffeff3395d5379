//! What each event's JSON looks like to those who read it: a JSON Schema per type and version.
//!
//! Generated from the event types. The files in `docs/events/` are these, committed: a version that
//! was shipped does not change, as its sample does not.

use std::collections::BTreeSet;

use cqrs_es::Aggregate;
use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value};

use crate::{
    engagement::{Inbox, Mailing, Notification},
    identity::{ApiKey, Holdings, Organization, Session, User},
    operations::{Disclosure, Operatorship, ProjectionControl, TimerControl},
    publishing::{
        ChannelFigures, Import, Integration, MediaAsset, MediaLibrary, Post, PostFigures, PostingMonth,
        PostingSchedule, Series, TagBook,
    },
};

/// One version of one event.
#[derive(Clone, Debug, PartialEq)]
pub struct EventSchema {
    /// `publishing.post`.
    pub aggregate_type: &'static str,
    /// `publishing.post.scheduled`.
    pub event_type: String,
    pub version: String,
    /// JSON Schema, draft 2020-12, of the payload with what is sealed left out.
    pub schema: Value,
}

impl EventSchema {
    /// `publishing`.
    pub fn context(&self) -> &str {
        self.aggregate_type.split('.').next().unwrap_or(self.aggregate_type)
    }

    /// What happened, in a sentence, if its type says it.
    pub fn description(&self) -> Option<&str> {
        self.schema.get("description")?.as_str()
    }
}

/// The newest version of every event, by type.
pub fn event_schemas() -> Vec<EventSchema> {
    let mut all = [
        of::<User>("1"),
        of::<Session>("1"),
        of::<Organization>("1"),
        of::<ApiKey>("1"),
        of::<Holdings>("1"),
        of::<Import>("1"),
        of::<Integration>("1"),
        of::<MediaAsset>("1"),
        of::<MediaLibrary>("1"),
        of::<Post>("1"),
        of::<PostFigures>("1"),
        of::<ChannelFigures>("1"),
        of::<PostingMonth>("1"),
        of::<PostingSchedule>("1"),
        of::<Series>("1"),
        of::<TagBook>("1"),
        of::<Operatorship>("1"),
        of::<ProjectionControl>("1"),
        of::<TimerControl>("1"),
        of::<Disclosure>("1"),
        of::<Mailing>("1"),
        of::<Notification>("1"),
        of::<Inbox>("1"),
    ]
    .concat();
    all.sort_by(|one, other| one.event_type.cmp(&other.event_type));
    all
}

/// An aggregate's events, which are the variants of one type, told apart by the tag `type`.
fn of<A: Aggregate>(version: &str) -> Vec<EventSchema>
where
    A::Event: JsonSchema,
{
    // As it is written: a field that may be null is still there.
    let settings = SchemaSettings::draft2020_12().for_serialize();
    let root = SchemaGenerator::new(settings).into_root_schema_for::<A::Event>().to_value();
    let definitions = root.get("$defs").and_then(Value::as_object).cloned().unwrap_or_default();
    let variants = root.get("oneOf").and_then(Value::as_array).cloned().unwrap_or_default();
    variants
        .into_iter()
        .filter_map(|variant| {
            let tag = variant.pointer("/properties/type/const")?.as_str()?.to_string();
            let event_type = format!("{}.{tag}", A::TYPE);
            let schema = whole(variant, &event_type, version, &definitions)?;
            Some(EventSchema { aggregate_type: A::TYPE, event_type, version: version.to_string(), schema })
        })
        .collect()
}

/// A variant as a schema of its own, with the definitions that it needs.
fn whole(variant: Value, event_type: &str, version: &str, definitions: &Map<String, Value>) -> Option<Value> {
    let Value::Object(mut schema) = variant else { return None };
    let mut needed = BTreeSet::new();
    for value in schema.values() {
        collect(value, definitions, &mut needed);
    }
    schema.insert("$schema".to_string(), Value::from("https://json-schema.org/draft/2020-12/schema"));
    schema.insert("title".to_string(), Value::from(format!("{event_type}, version {version}")));
    if !needed.is_empty() {
        let own = needed.into_iter().filter_map(|name| Some((name.clone(), definitions.get(&name)?.clone())));
        schema.insert("$defs".to_string(), Value::Object(own.collect()));
    }
    Some(Value::Object(schema))
}

/// The definitions that a schema refers to, and those that they do.
fn collect(schema: &Value, definitions: &Map<String, Value>, into: &mut BTreeSet<String>) {
    match schema {
        Value::Array(items) => items.iter().for_each(|item| collect(item, definitions, into)),
        Value::Object(object) => {
            let name =
                object.get("$ref").and_then(Value::as_str).and_then(|path| path.strip_prefix("#/$defs/"));
            if let Some(name) = name
                && into.insert(name.to_string())
                && let Some(definition) = definitions.get(name)
            {
                collect(definition, definitions, into);
            }
            object.values().for_each(|value| collect(value, definitions, into));
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests;
