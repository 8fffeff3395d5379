//! The committed samples are what the schemas say, and the committed schemas are what the types say.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use super::*;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Every sample that was ever committed: event type, version and the JSON with what is sealed left out.
fn samples() -> Vec<(String, String, Value)> {
    let folders =
        fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("samples")).expect("there are samples");
    let files = folders.flat_map(|folder| {
        let folder = folder.expect("is read").path();
        let context = folder.file_name().expect("has a name").to_string_lossy().into_owned();
        fs::read_dir(folder)
            .expect("is read")
            .map(move |file| (context.clone(), file.expect("is read").path()))
    });
    files
        .map(|(context, path)| {
            let name = path.file_name().expect("has a name").to_string_lossy().into_owned();
            let name = name.trim_end_matches(".json");
            let (event_type, version) = name.rsplit_once(".v").expect("a sample's name has its version");
            // `1.erased`: a version in another state.
            let version = version.split('.').next().unwrap_or(version);
            let full = match event_type.starts_with(&format!("{context}.")) {
                true => event_type.to_string(),
                false => format!("{context}.{event_type}"),
            };
            let json = serde_json::from_str(&fs::read_to_string(&path).expect("is read")).expect("is JSON");
            (full, version.to_string(), blanked(json))
        })
        .collect()
}

/// As an event leaves for everyone: what is sealed is null.
fn blanked(json: Value) -> Value {
    match json {
        Value::Object(object) if object.contains_key("$personal") || object.contains_key("$secret") => {
            Value::Null
        }
        Value::Object(object) => {
            Value::Object(object.into_iter().map(|(key, value)| (key, blanked(value))).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(blanked).collect()),
        plain => plain,
    }
}

/// The committed schemas, by type and version.
fn committed() -> BTreeMap<(String, String), Value> {
    let folder = root().join("docs/events/schemas");
    let files = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    files
        .map(|file| {
            let path = file.expect("is read").path();
            let name = path.file_name().expect("has a name").to_string_lossy().into_owned();
            let name = name.strip_suffix(".json").expect("a schema is a .json");
            let (event_type, version) =
                name.rsplit_once(".v").expect("a schema's name ends with its version");
            let json = serde_json::from_str(&fs::read_to_string(&path).expect("is read")).expect("is JSON");
            ((event_type.to_string(), version.to_string()), json)
        })
        .collect()
}

#[test]
fn every_sample_ever_committed_is_what_its_schema_says() {
    let schemas = committed();
    let samples = samples();
    assert!(samples.len() >= 70, "found {}", samples.len());
    for (event_type, version, json) in samples {
        let schema = schemas.get(&(event_type.clone(), version.clone())).unwrap_or_else(|| {
            panic!("{event_type} v{version} has no schema: list its aggregate in event_schemas and run annals schemas")
        });
        let validator = jsonschema::validator_for(schema).expect("is a schema");
        let wrong: Vec<String> = validator.iter_errors(&json).map(|error| error.to_string()).collect();
        assert!(wrong.is_empty(), "{event_type} v{version}: {wrong:?}\n{json:#}");
    }
}

#[test]
fn a_sample_with_a_field_missing_or_of_another_type_is_told_apart() {
    let schemas = committed();
    let mut told = 0;
    for (event_type, version, json) in samples() {
        let schema = &schemas[&(event_type.clone(), version)];
        let validator = jsonschema::validator_for(schema).expect("is a schema");
        // What a version learnt after it was shipped may be missing.
        let is_required =
            |field: &&String| schema["required"].as_array().is_some_and(|all| all.contains(&json!(field)));
        let fields: Vec<String> =
            json.as_object().expect("an object").keys().filter(is_required).cloned().collect();
        for field in fields {
            let mut without = json.clone();
            without.as_object_mut().expect("an object").remove(&field);
            assert!(!validator.is_valid(&without), "{event_type} without {field}");
            told += 1;
        }
    }
    assert!(told > 150, "{told}");
}

#[test]
fn every_event_that_can_be_written_has_a_schema_and_a_committed_file() {
    let generated: BTreeSet<String> = event_schemas().into_iter().map(|schema| schema.event_type).collect();
    let sampled: BTreeSet<String> = samples().into_iter().map(|(event_type, ..)| event_type).collect();
    assert_eq!(generated, sampled);
}

#[test]
fn a_shipped_version_of_an_event_does_not_change() {
    let mut committed = committed();
    for EventSchema { event_type, version, schema, .. } in event_schemas() {
        let key = (event_type.clone(), version.clone());
        // As with samples: what is new is written, what stands is never rewritten.
        if std::env::var_os("ANNALS_WRITE_SAMPLES").is_some() && !committed.contains_key(&key) {
            let path = root().join(format!("docs/events/schemas/{event_type}.v{version}.json"));
            fs::write(path, format!("{schema:#}\n")).expect("is written");
            committed.insert(key, schema.clone());
        }
        let file = committed.get(&(event_type.clone(), version.clone()));
        let file = file.unwrap_or_else(|| {
            panic!("{event_type} v{version} is new: run annals schemas --out docs/events")
        });
        let broken = incompatibilities(file, &schema);
        assert!(
            broken.is_empty(),
            "{event_type} v{version} was shipped, and its consumers would break: {broken:?}. Make it a new version with an \
             upcaster; the file of the old one stays"
        );
        assert_eq!(
            file, &schema,
            "{event_type} v{version}: run annals schemas --out docs/events and commit it"
        );
    }
}

/// What a consumer that was written against `shipped` would stumble over.
fn incompatibilities(shipped: &Value, now: &Value) -> Vec<String> {
    let mut broken = Vec::new();
    let empty = Map::new();
    let of = |schema: &Value| schema.get("properties").and_then(Value::as_object).unwrap_or(&empty).clone();
    let (before, after) = (of(shipped), of(now));
    for (field, was) in &before {
        match after.get(field) {
            None => broken.push(format!("{field} is gone")),
            Some(is) if form(was, shipped) != form(is, now) => {
                broken.push(format!("{field} has another type"))
            }
            Some(_) => {}
        }
    }
    let required = |schema: &Value| -> BTreeSet<String> {
        let list = schema.get("required").and_then(Value::as_array).cloned().unwrap_or_default();
        list.iter().filter_map(Value::as_str).map(str::to_string).collect()
    };
    for field in required(shipped).difference(&required(now)) {
        broken.push(format!("{field} may be missing"));
    }
    broken
}

/// A field's schema without its words, references followed.
fn form(schema: &Value, root: &Value) -> Value {
    match schema {
        Value::Object(object) => {
            if let Some(path) = object.get("$ref").and_then(Value::as_str)
                && let Some(definition) = root.pointer(path.trim_start_matches('#'))
            {
                return form(definition, root);
            }
            let kept = object.iter().filter(|(key, _)| !matches!(key.as_str(), "description" | "title"));
            Value::Object(kept.map(|(key, value)| (key.clone(), form(value, root))).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(|item| form(item, root)).collect()),
        plain => plain.clone(),
    }
}

#[test]
fn a_removed_field_another_type_and_a_field_that_may_be_missing_are_incompatible_and_words_are_not() {
    let shipped = serde_json::json!({
        "properties": {"at": {"type": "string"}, "who": {"$ref": "#/$defs/Id"}},
        "required": ["at", "who"], "$defs": {"Id": {"type": "string", "description": "an id"}},
    });
    let with = |pointer: &str, value: Value| {
        let mut now = shipped.clone();
        *now.pointer_mut(pointer).expect("is there") = value;
        incompatibilities(&shipped, &now)
    };
    assert!(with("/$defs/Id/description", "other words".into()).is_empty());
    assert_eq!(with("/properties/at", serde_json::json!({"type": "integer"})), ["at has another type"]);
    assert_eq!(with("/$defs/Id/type", "integer".into()), ["who has another type"]);
    assert_eq!(with("/required", serde_json::json!(["at"])), ["who may be missing"]);
    let mut gone = shipped.clone();
    gone["properties"].as_object_mut().expect("an object").remove("at");
    assert_eq!(incompatibilities(&shipped, &gone), ["at is gone"]);
}
