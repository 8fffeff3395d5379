//! Puts the document together: what handlers say of themselves, and what the registry knows of each route.

use std::collections::BTreeMap;

use actix_web::http::Method;
use serde_json::json;
use utoipa::{
    OpenApi,
    openapi::{
        Content, HttpMethod, OpenApi as Document, PathItem, Ref, RefOr, Required, Response, ResponseBuilder,
        extensions::ExtensionsBuilder,
        path::{Operation, ParameterBuilder, ParameterIn},
        schema::{ObjectBuilder, Type},
        security::{HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme},
    },
};

use crate::http::{
    answer::{Failure, FieldError, Meta},
    routes::{Access, PREFIX, RouteInfo, Side},
};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Annals",
        description = "An event-sourced backend: mutations are commands and answer with the log's position, \
                       `GET` reads projections. Everything is in one envelope, \
                       `{\"success\":true,\"data\":…,\"meta\":…}` or the error's.",
    ),
    components(schemas(Failure, FieldError, Meta)),
    paths(crate::health::live, crate::health::ready, crate::health::metrics_text),
    tags((name = "system", description = "Health and metrics")),
)]
struct Base;

/// The document of these routes. `parts` are the contexts' own: their paths stand as they are
/// registered, with or without [`PREFIX`].
///
/// A route without an annotation of its own that shares its handler with one that has it is
/// documented as another name for it.
pub fn document(routes: &[RouteInfo], parts: Vec<Document>) -> Document {
    let mut document = Base::openapi();
    document.info.license = None;
    let mut written: BTreeMap<(String, &'static str), Operation> = BTreeMap::new();
    let items: Vec<_> = std::mem::take(&mut document.paths.paths).into_iter().collect();
    collect(items, &mut written);
    for mut part in parts {
        let items: Vec<_> = std::mem::take(&mut part.paths.paths).into_iter().collect();
        collect(items, &mut written);
        document.merge(part);
    }
    for route in routes {
        let Some(operation) = find(route, routes, &written) else { continue };
        let item = document.paths.paths.entry(route.path.to_string()).or_default();
        if let Some(slot) = slot(item, &route.method) {
            *slot = Some(complete(operation, route));
        }
    }
    let scheme = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("An access token, or an API key (`ak_…`)"))
        .build();
    let components = document.components.get_or_insert_default();
    for (_, name, words) in ERRORS {
        components.responses.insert(name.to_string(), RefOr::T(failure(words)));
    }
    components.add_security_scheme("bearer", SecurityScheme::Http(scheme));
    document
}

fn collect(items: Vec<(String, PathItem)>, written: &mut BTreeMap<(String, &'static str), Operation>) {
    for (path, item) in items {
        let methods = [
            ("GET", item.get),
            ("POST", item.post),
            ("PUT", item.put),
            ("PATCH", item.patch),
            ("DELETE", item.delete),
        ];
        for (method, operation) in methods {
            if let Some(operation) = operation {
                written.insert((path.clone(), method), operation);
            }
        }
    }
}

/// A route's own annotation, else that of a route with the same handler.
fn find(
    route: &RouteInfo,
    routes: &[RouteInfo],
    written: &BTreeMap<(String, &'static str), Operation>,
) -> Option<Operation> {
    let own = |route: &RouteInfo| {
        let full = route.path.to_string();
        let short = full.strip_prefix(PREFIX).unwrap_or(&full).to_string();
        let method = method_name(&route.method)?;
        written.get(&(full, method)).or_else(|| written.get(&(short, method))).cloned()
    };
    own(route).or_else(|| {
        let other = routes.iter().find(|other| {
            other.handler == route.handler && other.path != route.path && own(other).is_some()
        })?;
        let mut operation = own(other)?;
        operation.summary = Some(format!("Another name for `{} {}`", other.method, other.path));
        Some(operation)
    })
}

fn method_name(method: &Method) -> Option<&'static str> {
    ["GET", "POST", "PUT", "PATCH", "DELETE"].into_iter().find(|name| *name == method.as_str())
}

fn slot<'i>(item: &'i mut PathItem, method: &Method) -> Option<&'i mut Option<Operation>> {
    match method_http(method)? {
        HttpMethod::Get => Some(&mut item.get),
        HttpMethod::Post => Some(&mut item.post),
        HttpMethod::Put => Some(&mut item.put),
        HttpMethod::Patch => Some(&mut item.patch),
        HttpMethod::Delete => Some(&mut item.delete),
        _ => None,
    }
}

fn method_http(method: &Method) -> Option<HttpMethod> {
    Some(match method.as_str() {
        "GET" => HttpMethod::Get,
        "POST" => HttpMethod::Post,
        "PUT" => HttpMethod::Put,
        "PATCH" => HttpMethod::Patch,
        "DELETE" => HttpMethod::Delete,
        _ => return None,
    })
}

/// What the registry knows and no annotation repeats: who may, which headers count, which errors come.
fn complete(mut operation: Operation, route: &RouteInfo) -> Operation {
    operation.operation_id = Some(operation_id(route));
    let is_anonymous = route.access == Access::Anonymous;
    operation.security = Some(if is_anonymous {
        Vec::new()
    } else {
        vec![SecurityRequirement::new("bearer", Vec::<String>::new())]
    });
    if let Some((resource, action)) = route.access.right() {
        let right = json!(format!("{resource}:{action}"));
        operation.extensions = Some(ExtensionsBuilder::new().add("x-annals-right", right).build());
    }
    let mut headers: Vec<(&str, &str)> = Vec::new();
    match route.side {
        Side::Command => {
            headers.push((
                "Idempotency-Key",
                "The same key has its effect once, whoever retries it and whenever",
            ));
            if route.method != Method::POST {
                headers.push((
                    "If-Match",
                    "The ETag of the version that is to be changed; 409 if it is another by now",
                ));
            }
        }
        Side::Query => headers.push(("Annals-After", "Waits until the read model has reached this position")),
        Side::System => {}
    }
    let parameters = operation.parameters.get_or_insert_default();
    for (name, words) in headers {
        let schema = ObjectBuilder::new().schema_type(Type::String).build();
        let parameter = ParameterBuilder::new()
            .name(name)
            .parameter_in(ParameterIn::Header)
            .required(Required::False)
            .description(Some(words))
            .schema(Some(schema))
            .build();
        parameters.push(parameter);
    }
    for (status, name, _) in ERRORS.iter().filter(|(status, ..)| gives(route, status)) {
        let shared = || RefOr::Ref(Ref::from_response_name(*name));
        operation.responses.responses.entry((*status).to_string()).or_insert_with(shared);
    }
    operation
}

/// The error answers that every route shares: status, name among the components, words.
const ERRORS: [(&str, &str, &str); 10] = [
    ("400", "NotValid", "The request is not valid; `errors` names the fields"),
    ("401", "NotSignedIn", "No valid access token or API key"),
    ("403", "NotAllowed", "Not within the caller's rights"),
    ("404", "NotThere", "There is none, or none that the caller may see"),
    ("409", "Conflict", "Another version, a taken name, or not in a state that allows it"),
    ("413", "TooBig", "The body is too big"),
    ("415", "NotJson", "The body is not JSON in UTF-8"),
    ("422", "KeyReused", "The idempotency key was used for another request"),
    ("429", "TooMany", "Too many requests; `Retry-After` says when to come back"),
    ("503", "NotNow", "Not at this moment; `Retry-After` says when to come back"),
];

/// Whether a route can give this error.
fn gives(route: &RouteInfo, status: &str) -> bool {
    match status {
        "401" | "403" => route.access != Access::Anonymous,
        "404" => route.path.contains('{'),
        "409" | "413" | "415" | "422" => route.side == Side::Command,
        _ => route.side != Side::System,
    }
}

fn failure(words: &str) -> Response {
    let schema = RefOr::Ref(Ref::from_schema_name("Failure"));
    ResponseBuilder::new().description(words).content("application/json", Content::new(Some(schema))).build()
}

/// `PUT /api/v1/agencies/{id}/settings` is `putAgenciesByIdSettings`: unique, and the same tomorrow.
fn operation_id(route: &RouteInfo) -> String {
    let path = route.path.strip_prefix(PREFIX).unwrap_or(&route.path);
    let mut id = route.method.as_str().to_lowercase();
    for segment in path.split(['/', '-', '.']).filter(|segment| !segment.is_empty()) {
        let (by, name) = match segment.strip_prefix('{') {
            Some(name) => ("By", name.trim_end_matches('}').split(':').next().unwrap_or_default()),
            None => ("", segment),
        };
        let mut letters = name.chars();
        let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
        id.push_str(by);
        id.push_str(&first);
        id.push_str(letters.as_str());
    }
    id
}
