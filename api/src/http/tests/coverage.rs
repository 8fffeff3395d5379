//! Every route of the product, read from the registry itself.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use actix_web::{
    dev::Service,
    http::Method,
    test::{TestRequest, init_service},
};
use annals_domain::kernel::Role;
use serde_json::Value;

use super::support::{Browser, ORGANIZATION, People, config, edge, signed, token};

use crate::{
    http::{
        pages,
        routes::{Access, Side},
    },
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
        // A callback is a `GET` because browsers are sent there, and a command by what it does.
        let is_get = route.method == Method::GET && !route.is_callback;
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
    let is_page = |path: &str| {
        let of_the_explorer = ["/", "/api", "/api/{file}", "/api/openapi.json"].contains(&path);
        of_the_explorer || path.starts_with(pages::PREFIX)
    };
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

/// Every route with a credential, called as everyone who may not: refused before its handler runs.
///
/// Those who may are not called here: their handlers want a log, and get one in `tests/`.
#[actix_web::test]
async fn every_route_refuses_everyone_whom_the_policy_does_not_name() {
    let mut refused = 0;
    for role in Role::ALL.map(Some).into_iter().chain([None]) {
        let people = role.map_or_else(People::default, People::with);
        let edge = edge(people, config()).await;
        let (token, browser) = (token(&edge), Browser::signed_in(&edge));
        let app = init_service(server::app(None, Arc::clone(&edge), server::routes())).await;
        for route in server::routes().infos().iter().filter(|route| route.access != Access::Anonymous) {
            let request = || {
                let path = fill(&route.path);
                TestRequest::default().method(route.method.clone()).uri(&path)
            };
            let name = format!("{} {} as {role:?}", route.method, route.path);
            let response = app.call(request().to_request()).await.expect("answers");
            // A page leads whoever is not signed in to where they can.
            let expected = if route.door.is_pages() { 303 } else { 401 };
            assert_eq!(response.status().as_u16(), expected, "{name}, without a credential");
            let Some((resource, action)) = route.access.right() else { continue };
            let expected = match role {
                None if matches!(route.access, Access::RightIn(..)) => 404,
                None if route.door.is_pages() => 303,
                None => 401,
                Some(role) if edge.rights.allows(role, "any", resource, action) => continue,
                Some(_) => 403,
            };
            let credential = if route.door.is_pages() {
                browser.sends(request(), route.side)
            } else {
                signed(request(), &token)
            };
            let response = app.call(credential.to_request()).await.expect("answers");
            assert_eq!(response.status().as_u16(), expected, "{name}");
            refused += 1;
        }
    }
    let with_a_right = server::routes().infos().iter().filter(|route| route.access.right().is_some()).count();
    assert!(refused >= with_a_right, "each route with a right refused at least one role");
}

/// A path with ids in place of its parameters: the organization's, which is one where it is asked for.
fn fill(pattern: &str) -> String {
    let mut path = String::new();
    let mut rest = pattern;
    while let Some((before, after)) = rest.split_once('{') {
        path.push_str(before);
        path.push_str(&ORGANIZATION.to_string());
        rest = after.split_once('}').map_or("", |(_, rest)| rest);
    }
    path + rest
}

/// What anyone may call, and what needs no right of a role: read this list when it changes.
#[test]
fn routes_without_a_right_are_these() {
    let open: BTreeMap<String, String> = server::routes()
        .infos()
        .iter()
        .filter(|route| route.access.right().is_none())
        .map(|route| (format!("{} {}", route.method, route.path), format!("{:?}", route.access)))
        .collect();
    insta::assert_yaml_snapshot!(open);
}

#[test]
fn the_document_of_this_release() {
    insta::assert_json_snapshot!(document(), {".info.version" => "[version]"});
}
