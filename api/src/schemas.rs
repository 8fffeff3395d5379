//! What events look like to those who read them elsewhere: JSON Schemas and the AsyncAPI document.
//!
//! Open to anyone, as the OpenAPI document is: a record in Kafka names its schema's address here.

use std::sync::LazyLock;

use actix_web::{HttpResponse, http::header, web};
use annals_domain::schemas::{EventSchema, event_schemas};
use annals_projections::relay;
use serde::Serialize;
use utoipa::{OpenApi, ToSchema};

use crate::{
    http::{Access, Anonymous, Answer, ApiError, ApiResult, Routes, answer::Success},
    state::AppState,
};

/// The media type of a JSON Schema.
const SCHEMA_MEDIA_TYPE: &str = "application/schema+json";
const CACHE_CONTROL: &str = "public, max-age=300";

/// Made once: they do not change while the program runs.
static SCHEMAS: LazyLock<Vec<EventSchema>> = LazyLock::new(event_schemas);

pub fn queries(routes: &mut Routes) {
    routes.query("/schemas", Access::Anonymous, list);
    routes.query("/schemas/{type}/{version}", Access::Anonymous, show);
    routes.query("/asyncapi.json", Access::Anonymous, asyncapi);
}

#[derive(OpenApi)]
#[openapi(
    paths(list, show, asyncapi),
    tags((name = "schemas", description = "What events look like in Kafka")),
)]
pub struct Document;

/// One version of an event.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SchemaView {
    /// `publishing.post.scheduled`.
    #[serde(rename = "type")]
    event_type: String,
    version: String,
    aggregate_type: String,
    /// The topic in Kafka.
    topic: String,
    description: Option<String>,
    /// Where its JSON Schema is.
    href: String,
}

/// Every event type and version, with its topic.
#[utoipa::path(
    get, path = "/schemas", tag = "schemas",
    responses((status = 200, description = "By type", body = Success<Vec<SchemaView>>)),
)]
pub(crate) async fn list(state: web::Data<AppState>, _anyone: Anonymous) -> ApiResult {
    let prefix = &state.edge.config.topic_prefix;
    let views: Vec<SchemaView> = SCHEMAS
        .iter()
        .map(|event| SchemaView {
            event_type: event.event_type.clone(),
            version: event.version.clone(),
            aggregate_type: event.aggregate_type.to_string(),
            topic: format!("{prefix}.{}", event.context()),
            description: event.description().map(str::to_string),
            href: format!("/api/v1/schemas/{}/{}", event.event_type, event.version),
        })
        .collect();
    Answer::ok(views).respond()
}

/// The JSON Schema of an event's payload: what a record's `ce_dataschema` names.
#[utoipa::path(
    get, path = "/schemas/{type}/{version}", tag = "schemas",
    params(
        ("type" = String, Path, description = "The event's type, such as `publishing.post.scheduled`"),
        ("version" = String, Path, description = "Its version, such as `1`"),
    ),
    responses(
        (status = 200, description = "JSON Schema, draft 2020-12", body = serde_json::Value, content_type = "application/schema+json"),
        (status = 404, description = "There is no such event or version"),
    ),
)]
pub(crate) async fn show(_anyone: Anonymous, path: web::Path<(String, String)>) -> ApiResult {
    let (event_type, version) = path.into_inner();
    let found = SCHEMAS.iter().find(|event| event.event_type == event_type && event.version == version);
    let event = found.ok_or_else(|| ApiError::not_found("schema"))?;
    document(SCHEMA_MEDIA_TYPE, &event.schema)
}

/// Topics, messages and headers as an AsyncAPI 3 document.
#[utoipa::path(
    get, path = "/asyncapi.json", tag = "schemas",
    responses((status = 200, description = "AsyncAPI 3.0", body = serde_json::Value)),
)]
pub(crate) async fn asyncapi(state: web::Data<AppState>, _anyone: Anonymous) -> ApiResult {
    let prefix = &state.edge.config.topic_prefix;
    let at = |event: &EventSchema| format!("schemas/{}/{}", event.event_type, event.version);
    document("application/json", &relay::asyncapi(prefix, &SCHEMAS, at))
}

/// A document as it is, without the envelope.
fn document(media_type: &'static str, document: &impl Serialize) -> ApiResult {
    let text = serde_json::to_string_pretty(document).map_err(|error| ApiError::internal(&error))?;
    Ok(HttpResponse::Ok()
        .content_type(media_type)
        .insert_header((header::CACHE_CONTROL, CACHE_CONTROL))
        .body(text))
}

/// The committed files: their paths below `docs/events` and their text.
pub(crate) fn files() -> Result<Vec<(String, String)>, serde_json::Error> {
    let name = |event: &EventSchema| format!("schemas/{}.v{}.json", event.event_type, event.version);
    let mut files = Vec::new();
    for event in SCHEMAS.iter() {
        files.push((name(event), format!("{:#}\n", event.schema)));
    }
    let document = serde_json::to_string_pretty(&relay::asyncapi("annals", &SCHEMAS, |event| {
        format!("./{}", name(event))
    }))?;
    files.push(("asyncapi.json".to_string(), format!("{document}\n")));
    Ok(files)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_committed_documents_are_what_the_program_would_write() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/events");
        for (path, text) in files().expect("serializes") {
            let committed = std::fs::read_to_string(folder.join(&path)).unwrap_or_default();
            assert!(
                committed == text,
                "{path} is out of date: run annals schemas --out docs/events and commit it"
            );
        }
    }

    #[test]
    fn the_asyncapi_document_points_only_at_what_is_there() {
        let document =
            serde_json::to_value(relay::asyncapi("annals", &SCHEMAS, |event| event.event_type.clone()));
        let document = document.expect("serializes");
        assert_eq!(document["asyncapi"], "3.0.0");
        let mut references = Vec::new();
        collect(&document, &mut references);
        assert!(references.len() > SCHEMAS.len() * 3, "{}", references.len());
        for reference in references {
            match reference.strip_prefix('#') {
                Some(pointer) => assert!(document.pointer(pointer).is_some(), "{reference}"),
                None => assert!(SCHEMAS.iter().any(|event| event.event_type == reference), "{reference}"),
            }
        }
        let topics: Vec<&str> = document["channels"]
            .as_object()
            .expect("an object")
            .values()
            .filter_map(|channel| channel["address"].as_str())
            .collect();
        assert!(topics.contains(&"annals.publishing") && topics.contains(&"annals.identity"), "{topics:?}");
    }

    fn collect(value: &serde_json::Value, into: &mut Vec<String>) {
        match value {
            serde_json::Value::Object(object) => {
                into.extend(object.get("$ref").and_then(|to| to.as_str()).map(str::to_string));
                object.values().for_each(|value| collect(value, into));
            }
            serde_json::Value::Array(items) => items.iter().for_each(|item| collect(item, into)),
            _ => {}
        }
    }
}
