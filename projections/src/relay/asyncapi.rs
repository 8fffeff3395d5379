//! What leaves through the relay, as an AsyncAPI 3.0 document: topics, messages, headers.
//!
//! <https://www.asyncapi.com/docs/reference/specification/v3.0.0>

use std::collections::BTreeMap;

use annals_domain::schemas::EventSchema;
use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings};
use serde::Serialize;

/// The document.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AsyncApi {
    asyncapi: &'static str,
    info: Info,
    default_content_type: &'static str,
    channels: BTreeMap<String, Channel>,
    operations: BTreeMap<String, Operation>,
    components: Components,
}

#[derive(Clone, Debug, Serialize)]
struct Info {
    title: &'static str,
    version: &'static str,
    description: &'static str,
}

#[derive(Clone, Debug, Serialize)]
struct Channel {
    /// The topic.
    address: String,
    description: String,
    messages: BTreeMap<String, Reference>,
}

#[derive(Clone, Debug, Serialize)]
struct Operation {
    action: &'static str,
    channel: Reference,
    summary: String,
}

#[derive(Clone, Debug, Serialize)]
struct Components {
    messages: BTreeMap<String, Message>,
    schemas: BTreeMap<&'static str, Schema>,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Message {
    name: String,
    title: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    summary: Option<String>,
    content_type: &'static str,
    headers: Reference,
    payload: Payload,
    bindings: Bindings,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Payload {
    schema_format: &'static str,
    schema: Reference,
}

#[derive(Clone, Debug, Serialize)]
struct Bindings {
    kafka: KafkaBinding,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct KafkaBinding {
    key: Reference,
    binding_version: &'static str,
}

#[derive(Clone, Debug, Serialize)]
struct Reference {
    #[serde(rename = "$ref")]
    to: String,
}

/// The headers of every record: CloudEvents 1.0, binary mode, with extensions of ours.
#[derive(JsonSchema)]
#[schemars(title = "Headers")]
#[expect(dead_code, reason = "it is there for its schema")]
struct Headers {
    /// Always `1.0`.
    ce_specversion: String,
    /// The event's id, a UUID: the same in every copy of the event.
    ce_id: String,
    /// `/annals/` and the aggregate's type.
    ce_source: String,
    /// The event's type, such as `publishing.post.scheduled`.
    ce_type: String,
    /// The aggregate's id: the record's key as well.
    ce_subject: String,
    /// When it was recorded, RFC 3339 with microseconds, UTC.
    ce_time: String,
    /// Where the JSON Schema of this type and version is; it ends with the version.
    ce_dataschema: String,
    #[serde(rename = "content-type")]
    content_type: String,
    /// Its position in the log: a number without gaps over all topics of a prefix.
    ce_position: String,
    /// Its number in its aggregate's history, from 1.
    ce_sequence: String,
    /// What belongs together: the same for all that one call caused.
    ce_correlationid: String,
    /// The command that it is the outcome of.
    ce_command: String,
    /// Who did it: `user`, `api_key`, `process`, `operator` or `anonymous`.
    ce_actortype: String,
    /// Their id.
    #[serde(skip_serializing_if = "Option::is_none")]
    ce_actorid: Option<String>,
    /// The id of the event that caused the command, if one did.
    #[serde(skip_serializing_if = "Option::is_none")]
    ce_causationid: Option<String>,
    /// The organization it happened in.
    #[serde(skip_serializing_if = "Option::is_none")]
    ce_organizationid: Option<String>,
    /// W3C Trace Context.
    #[serde(skip_serializing_if = "Option::is_none")]
    ce_traceparent: Option<String>,
}

/// The id of the aggregate: records of one aggregate are in one partition, in their order.
#[derive(JsonSchema)]
#[schemars(title = "Key")]
#[serde(transparent)]
#[expect(dead_code, reason = "it is there for its schema")]
struct Key(String);

/// The document of these events under a prefix; `schema_at` says where a schema is found, relative
/// to the document.
pub fn asyncapi(
    prefix: &str,
    events: &[EventSchema],
    schema_at: impl Fn(&EventSchema) -> String,
) -> AsyncApi {
    let (mut channels, mut operations, mut messages) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
    for event in events {
        let context = event.context();
        let name = format!("{}.v{}", event.event_type, event.version);
        let channel = channels.entry(context.to_string()).or_insert_with(|| Channel {
            address: format!("{prefix}.{context}"),
            description: format!("Every event of the context {context}, by aggregate in order"),
            messages: BTreeMap::new(),
        });
        channel.messages.insert(name.clone(), Reference::to(format!("#/components/messages/{name}")));
        operations.entry(format!("send-{context}")).or_insert_with(|| Operation {
            action: "send",
            channel: Reference::to(format!("#/channels/{context}")),
            summary: format!("What happened in {context}"),
        });
        messages.insert(name, message(event, schema_at(event)));
    }
    let schemas = [("headers", schema_of::<Headers>()), ("key", schema_of::<Key>())];
    AsyncApi {
        asyncapi: "3.0.0",
        info: Info {
            title: "Annals: what happened",
            version: "1",
            description: "Events of the log as CloudEvents 1.0 in Kafka, binary mode. Read committed records only \
                          (isolation.level=read_committed): then each event is seen once. What is personal or \
                          secret is null.",
        },
        default_content_type: "application/json",
        channels,
        operations,
        components: Components { messages, schemas: schemas.into() },
    }
}

fn message(event: &EventSchema, schema: String) -> Message {
    Message {
        name: event.event_type.clone(),
        title: format!("{}, version {}", event.event_type, event.version),
        summary: event.description().map(str::to_string),
        content_type: "application/json",
        headers: Reference::to("#/components/schemas/headers"),
        payload: Payload {
            schema_format: "application/schema+json;version=draft-2020-12",
            schema: Reference::to(schema),
        },
        bindings: Bindings {
            kafka: KafkaBinding { key: Reference::to("#/components/schemas/key"), binding_version: "0.5.0" },
        },
    }
}

fn schema_of<T: JsonSchema>() -> Schema {
    let settings = SchemaSettings::draft2020_12().for_serialize().with(|settings| {
        settings.meta_schema = None;
    });
    SchemaGenerator::new(settings).into_root_schema_for::<T>()
}

impl Reference {
    fn to(path: impl Into<String>) -> Self {
        Self { to: path.into() }
    }
}
