//! Every route of identity without rights, and with input that is refused by name and changes nothing.

use annals_api::{
    http::{Access, Routes, routes::Side},
    identity,
};
use serde_json::{Value, json};

use crate::support::{House, Node, PASSWORD, Person};

/// Method, path and access of every route of identity, path parameters filled in.
fn routes(organization: &str) -> Vec<(String, String, Access)> {
    let mut routes = Routes::new();
    identity::commands(&mut routes);
    identity::queries(&mut routes);
    let nobody = "00000000-0000-0000-0000-000000000001";
    let fill = |path: &str| {
        let path = path.trim_start_matches("/api/v1");
        let path =
            if path.starts_with("/agencies") { path.replace("{id}", organization) } else { path.to_string() };
        path.replace("{id}", nobody).replace("{userId}", nobody).replace("{invitationId}", nobody)
    };
    let infos = routes.infos().iter();
    infos.map(|info| (info.method.to_string(), fill(&info.path), info.access)).collect()
}

#[tokio::test]
async fn every_route_refuses_a_caller_without_a_token_or_with_a_forged_one() {
    let house = House::new().await;
    let node = house.node().await;
    let ada = node.register("ada@example.org").await;
    let mut refused = 0;
    for (method, path, access) in routes(&ada.organization) {
        if access == Access::Anonymous {
            continue;
        }
        let forged = format!("Bearer {}x", ada.token);
        for headers in [&[][..], &[("authorization", forged.as_str())], &[("authorization", "ak_1_2")]] {
            let reply = node.send(&method, &path, headers, None).await;
            assert_eq!(reply.status, 401, "{method} {path} {}", reply.json);
            assert!(reply.headers.contains_key("www-authenticate"));
            refused += 1;
        }
    }
    assert!(refused >= 75, "only {refused} calls were tried");
    node.get(&ada, "/auth/me").await.expect(200);
}

#[tokio::test]
async fn a_viewer_may_only_what_the_policy_gives_a_viewer() {
    let house = House::new().await;
    let node = house.node().await;
    let owner = node.register("owner@example.org").await;
    let viewer = node.join(&owner, "viewer@example.org", "viewer").await;
    let mut refused = Vec::new();
    for (method, path, access) in routes(&owner.organization) {
        let Some((resource, action)) = access.right() else { continue };
        let may = node.state.rights.allows(
            annals_domain::kernel::Role::Viewer,
            &owner.organization,
            resource,
            action,
        );
        if may {
            continue;
        }
        let reply = node.call(&viewer, &method, &path, json!({})).await;
        assert_eq!(reply.status, 403, "{method} {path} {}", reply.json);
        refused.push(path);
    }
    assert!(refused.len() >= 10, "only {refused:?}");
}

#[tokio::test]
async fn every_command_with_a_body_refuses_what_is_no_such_body() {
    let house = House::new().await;
    let node = house.node().await;
    let ada = node.register("ada@example.org").await;
    let mut table = Routes::new();
    identity::commands(&mut table);
    // Those that take no body ignore one; other servers send browsers to callbacks; a picture comes in a form.
    let without_body = |path: &str, method: &str| {
        ["DELETE", "GET"].contains(&method)
            || ["/leave", "/switch", "/logout", "/resend-verification", "/avatar"]
                .iter()
                .any(|end| path.ends_with(end))
    };
    let commands = table.infos().iter().filter(|info| info.side == Side::Command).count();
    let mut tried = 0;
    for (method, path, _) in routes(&ada.organization).into_iter().take(commands) {
        if without_body(&path, &method) {
            continue;
        }
        let token = crate::support::bearer(&ada.token);
        let headers = [("authorization", token.as_str())];
        for body in [json!([]), json!("text"), json!({"unheardOf": 1})] {
            let reply = node.send(&method, &path, &headers, Some(&body)).await;
            assert_eq!(reply.status, 400, "{method} {path} {body}: {}", reply.json);
            assert_eq!(reply.json["code"], "VALIDATION_ERROR");
        }
        let reply = node.send(&method, &path, &headers, Some(&json!({"unheardOf": 1}))).await;
        assert_eq!(reply.faults(), ["unheardOf"], "{method} {path}");
        tried += 1;
    }
    assert!(tried >= 15, "only {tried} commands");
}

async fn faults(node: &Node, who: &Person, call: (&str, &str), body: Value) -> Vec<String> {
    node.call(who, call.0, call.1, body).await.faults()
}

#[tokio::test]
async fn a_registration_names_every_field_at_fault() {
    let house = House::new().await;
    let node = house.node().await;
    let good = json!({"email": "ada@example.org", "password": PASSWORD, "name": "Ada"});
    let with = |field: &str, value: Value| {
        let mut body = good.clone();
        body[field] = value;
        body
    };
    let long = "x".repeat(101);
    let cases = [
        (with("email", json!("no address")), vec!["email"]),
        (with("email", json!("")), vec!["email"]),
        (with("email", json!(format!("{}@example.org", "x".repeat(250)))), vec!["email"]),
        (with("email", json!(7)), vec!["email"]),
        (with("email", json!("a\u{0}b@example.org")), vec!["email"]),
        (with("password", json!("short")), vec!["password"]),
        (with("password", json!("x".repeat(129))), vec!["password"]),
        (with("password", json!("aaaaaaaaaa")), vec!["password"]),
        (with("password", json!("my ADA@example.org pass")), vec!["password"]),
        (with("password", json!("pass\u{0}word long")), vec!["password"]),
        (with("name", json!("   ")), vec!["name"]),
        (with("name", json!(long)), vec!["name"]),
        (with("name", json!(null)), vec!["name"]),
        (with("name", json!("tab\tin it")), vec!["name"]),
        (with("organization", json!("")), vec!["organization"]),
        (with("organization", json!(long)), vec!["organization"]),
        (with("role", json!("admin")), vec!["role"]),
        (json!({"email": "x", "password": "", "name": ""}), vec!["email", "name", "password"]),
        (json!({"email": "ada@example.org", "password": PASSWORD}), vec!["name"]),
    ];
    for (body, fields) in cases {
        let reply = node.anonymous("POST", "/auth/register", body.clone()).await;
        assert_eq!(reply.faults(), fields, "{body}");
    }
    let events: i64 =
        sqlx::query_scalar("select count(*) from events").fetch_one(&house.database.pool).await.unwrap();
    assert_eq!(events, 0, "nothing of it was written");
}

#[tokio::test]
async fn every_field_is_bounded_and_named() {
    let house = House::new().await;
    let node = house.node().await;
    let ada = node.register("ada@example.org").await;
    let settings = format!("/agencies/{}/settings", ada.organization);
    let invite = format!("/agencies/{}/invite", ada.organization);
    let transfer = format!("/agencies/{}/transfer", ada.organization);
    let member = format!("/agencies/{}/members/{}", ada.organization, ada.id);
    let long = "x".repeat(2_100);
    let cases: Vec<((&str, &str), Value, Vec<&str>)> = vec![
        (("PUT", "/users/profile"), json!({"name": ""}), vec!["name"]),
        (("PUT", "/users/profile"), json!({"name": "A", "phone": "call me"}), vec!["phone"]),
        (("PUT", "/users/profile"), json!({"name": "A", "company": long}), vec!["company"]),
        (("PATCH", "/users/profile"), json!({"avatarUrl": "javascript:alert(1)"}), vec!["avatarUrl"]),
        (
            ("PATCH", "/users/profile"),
            json!({"avatarUrl": format!("https://e.org/{long}")}),
            vec!["avatarUrl"],
        ),
        (("PATCH", "/users/profile"), json!({"email": "x@example.org"}), vec!["email"]),
        (("PATCH", "/users/settings"), json!({"timezone": "Mars/Base"}), vec!["timezone"]),
        (("PATCH", "/users/settings"), json!({"locale": "German"}), vec!["locale"]),
        (("PATCH", "/users/settings"), json!({"preferences": []}), vec!["preferences"]),
        (("PATCH", "/users/settings"), json!({"preferences": {"$secret": 1}}), vec!["preferences"]),
        (("PATCH", "/users/settings"), json!({"preferences": {"a": "x".repeat(9_000)}}), vec!["preferences"]),
        (
            ("POST", "/auth/change-password"),
            json!({"currentPassword": "", "newPassword": "x"}),
            vec!["currentPassword", "newPassword"],
        ),
        (("POST", "/auth/change-email"), json!({"email": "x", "password": PASSWORD}), vec!["email"]),
        (("POST", "/agencies"), json!({"name": "", "timezone": "x"}), vec!["name", "timezone"]),
        (("PUT", &settings), json!({"name": "A", "description": "x".repeat(501)}), vec!["description"]),
        (("PATCH", &settings), json!({"timezone": "x"}), vec!["timezone"]),
        (("POST", &invite), json!({"email": "x", "role": "king"}), vec!["email", "role"]),
        (("POST", &transfer), json!({"userId": "no id"}), vec!["userId"]),
        (("PATCH", &member), json!({"role": "king"}), vec!["role"]),
        (("POST", "/agencies/invitations/accept"), json!({"token": ""}), vec!["token"]),
        (("POST", "/agencies/invitations/accept"), json!({"token": "x".repeat(501)}), vec!["token"]),
        (("POST", "/auth/confirm-email-change"), json!({"token": 1}), vec!["token"]),
        (("POST", "/auth/refresh"), json!({"refreshToken": "x".repeat(501)}), vec!["refreshToken"]),
        (
            ("POST", "/auth/login"),
            json!({"email": "x", "password": "x".repeat(129)}),
            vec!["email", "password"],
        ),
        (("POST", "/settings/api-keys"), json!({"name": "", "scopes": "all"}), vec!["scopes"]),
        (("POST", "/settings/api-keys"), json!({"name": "", "scopes": [""]}), vec!["scopes[0]", "name"]),
        (("POST", "/settings/api-keys"), json!({"name": "A", "scopes": vec!["post"; 101]}), vec!["scopes"]),
    ];
    for (call, body, fields) in cases {
        let mut found = faults(&node, &ada, call, body.clone()).await;
        let mut fields: Vec<_> = fields.into_iter().map(String::from).collect();
        found.sort();
        fields.sort();
        assert_eq!(found, fields, "{call:?} {body}");
    }
    let me = node.get(&ada, "/auth/me").await.expect(200);
    assert_eq!(me["data"]["user"]["name"], "Ada Lovelace", "nothing of it was written");
}
