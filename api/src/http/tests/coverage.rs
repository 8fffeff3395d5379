//! Every route of the product, read from the registry itself.

use std::collections::BTreeSet;

use actix_web::http::Method;
use serde_json::Value;

use crate::{
    http::routes::{Access, Side},
    openapi, rights, server,
};

#[actix_web::test]
async fn every_route_names_a_right_that_exists_or_says_that_it_needs_none() {
    let rights = rights::Rights::built_in().await.expect("the built-in policy is valid");
    for route in server::routes().infos() {
        if let Some((resource, action)) = route.access.right() {
            assert!(
                rights.knows(resource, action),
                "{} {}: nobody has {resource}:{action}",
                route.method,
                route.path
            );
        }
        if let Access::RightIn(parameter, ..) = route.access {
            let braces = format!("{{{parameter}}}");
            assert!(route.path.contains(&braces), "{} has no {braces}", route.path);
        }
    }
}

#[test]
fn no_route_is_registered_twice_and_no_query_changes_anything() {
    let mut seen = BTreeSet::new();
    for route in server::routes().infos() {
        let name = format!("{} {}", route.method, route.path);
        assert!(seen.insert(name.clone()), "{name} is registered twice");
        let is_get = route.method == Method::GET;
        assert_eq!(is_get, route.side != Side::Command, "{name} is on the wrong side");
    }
}

fn document() -> Value {
    let routes = server::routes();
    let document = openapi::document(routes.infos(), server::documents());
    serde_json::to_value(document).expect("serializes")
}

#[test]
fn every_route_is_documented_and_nothing_else_is() {
    // The page and its files are for people.
    let is_page = |path: &str| ["/", "/api", "/api/{file}", "/api/openapi.json"].contains(&path);
    let mut missing: BTreeSet<String> = server::routes()
        .infos()
        .iter()
        .filter(|route| !is_page(&route.path))
        .map(|route| format!("{} {}", route.method, route.path))
        .collect();
    let document = document();
    assert_eq!(document["openapi"], "3.1.0");
    let mut ids = BTreeSet::new();
    for (path, item) in document["paths"].as_object().expect("there are paths") {
        for (method, operation) in item.as_object().expect("there are methods") {
            let name = format!("{} {path}", method.to_uppercase());
            assert!(missing.remove(&name), "{name} is documented and not registered");
            let id = operation["operationId"].as_str().expect("has an id").to_string();
            assert!(ids.insert(id.clone()), "{id} names two operations");
        }
    }
    assert!(missing.is_empty(), "not documented: {missing:#?}");
}

/// A reference that leads nowhere breaks every generated client.
#[test]
fn every_reference_of_the_document_leads_somewhere() {
    fn references(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(map) => {
                if let Some(Value::String(reference)) = map.get("$ref") {
                    found.insert(reference.clone());
                }
                map.values().for_each(|value| references(value, found));
            }
            Value::Array(list) => list.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }
    let document = document();
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    for reference in found {
        let pointer = reference.strip_prefix('#').expect("is local");
        assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
    }
}
