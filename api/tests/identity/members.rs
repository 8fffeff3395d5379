//! Organizations, roles, ownership.

use serde_json::{Value, json};

use crate::support::{House, Node, Person, bearer};

async fn roles(node: &Node, who: &Person) -> Vec<(String, String)> {
    let path = format!("/agencies/{}/members", who.organization);
    let json = node.get(who, &path).await.expect(200);
    let members = json["data"].as_array().unwrap();
    assert_eq!(json["meta"]["total"], members.len());
    let text = |value: &Value| value.as_str().unwrap().to_string();
    members.iter().map(|member| (text(&member["email"]), text(&member["role"]))).collect()
}

#[tokio::test]
async fn an_organization_is_made_configured_and_switched_to() {
    let house = House::new().await;
    let node = house.node().await;
    let ada = node.register("ada@example.org").await;
    let body = json!({"name": "Engines", "timezone": "Europe/London"});
    let made = node.call(&ada, "POST", "/agencies", body).await.expect(201);
    assert_eq!(made["data"]["role"], "owner");
    let id = made["data"]["id"].as_str().unwrap();
    let there = node.switch(&ada, id).await;
    assert_eq!(there.organization, id);
    let spent = node.anonymous("POST", "/auth/refresh", json!({"refreshToken": ada.refresh})).await;
    assert_eq!(spent.refused(401), "SESSION_ENDED", "the refresh token of before was spent by the switch");

    let ada = node.log_in("ada@example.org").await;
    let path = format!("/agencies/{id}/settings");
    let read = node.get(&ada, &path).await;
    let etag = read.headers["etag"].to_str().unwrap().to_string();
    assert_eq!(read.expect(200)["data"]["timezone"], "Europe/London");
    let token = bearer(&ada.token);
    let matching = [("authorization", token.as_str()), ("if-match", etag.as_str())];
    let body = json!({"name": "Engines Ltd", "timezone": "UTC", "description": "We compute."});
    node.send("PUT", &path, &matching, Some(&body)).await.expect(200);
    let stale = node.send("PUT", &path, &matching, Some(&json!({"name": "Late"}))).await;
    assert_eq!(stale.refused(409), "VERSION_CONFLICT");
    let patch = json!({"description": null});
    let patched = node.call(&ada, "PATCH", &path, patch).await.expect(200);
    assert_eq!(
        (&patched["data"]["name"], &patched["data"]["description"]),
        (&json!("Engines Ltd"), &Value::Null)
    );
    assert_eq!(node.get(&ada, "/agencies").await.expect(200)["data"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn nobody_grants_more_than_their_own_role() {
    let house = House::new().await;
    let node = house.node().await;
    let owner = node.register("owner@example.org").await;
    let admin = node.join(&owner, "admin@example.org", "admin").await;
    let user = node.join(&owner, "user@example.org", "user").await;
    let member = |person: &Person| format!("/agencies/{}/members/{}", owner.organization, person.id);
    let role = |role: &str| json!({"role": role});

    assert_eq!(node.call(&user, "PATCH", &member(&admin), role("viewer")).await.refused(403), "FORBIDDEN");
    assert_eq!(
        node.call(&admin, "PATCH", &member(&user), role("owner")).await.refused(400),
        "OWNER_ONLY_BY_TRANSFER"
    );
    assert_eq!(
        node.call(&admin, "PATCH", &member(&owner), role("user")).await.refused(409),
        "OWNER_MUST_TRANSFER"
    );
    node.call(&admin, "PATCH", &member(&user), role("admin")).await.expect(200);
    node.call(&user, "PATCH", &member(&admin), role("viewer")).await.expect(200);
    // A demotion holds at once, whatever the token says.
    assert_eq!(node.call(&admin, "PATCH", &member(&user), role("viewer")).await.refused(403), "FORBIDDEN");
    let expected =
        [("owner@example.org", "owner"), ("admin@example.org", "viewer"), ("user@example.org", "admin")];
    assert_eq!(roles(&node, &owner).await, expected.map(|(a, b)| (a.to_string(), b.to_string())));
}

#[tokio::test]
async fn the_owner_stays_until_ownership_is_handed_on() {
    let house = House::new().await;
    let node = house.node().await;
    let owner = node.register("owner@example.org").await;
    let organization = format!("/agencies/{}", owner.organization);
    let leave = format!("{organization}/leave");
    assert_eq!(node.act(&owner, "POST", &leave).await.refused(409), "OWNER_MUST_TRANSFER", "also when alone");
    let member = node.join(&owner, "member@example.org", "user").await;
    assert_eq!(node.act(&owner, "POST", &leave).await.refused(409), "OWNER_MUST_TRANSFER");
    assert_eq!(node.act(&owner, "DELETE", "/users/account").await.refused(409), "OWNER_MUST_TRANSFER");

    let transfer = format!("{organization}/transfer");
    let to = |id: &str| json!({"userId": id});
    assert_eq!(node.call(&member, "POST", &transfer, to(&member.id)).await.refused(403), "FORBIDDEN");
    assert_eq!(node.call(&owner, "POST", &transfer, to(&owner.id)).await.refused(400), "ALREADY_OWNER");
    let nobody = "00000000-0000-0000-0000-000000000001";
    assert_eq!(node.call(&owner, "POST", &transfer, to(nobody)).await.refused(404), "MEMBER_NOT_FOUND");
    node.call(&owner, "POST", &transfer, to(&member.id)).await.expect(200);
    node.act(&owner, "POST", &leave).await.expect(200);
    assert_eq!(roles(&node, &member).await, [("member@example.org".to_string(), "owner".to_string())]);

    // Who left is led to another organization by their refresh token, here a new one.
    assert_eq!(node.get(&owner, "/users/profile").await.refused(401), "MEMBERSHIP_ENDED");
    let refresh = json!({"refreshToken": owner.refresh});
    let again = Person::of(&node.anonymous("POST", "/auth/refresh", refresh).await.expect(200));
    assert_ne!(again.organization, owner.organization);
    node.get(&again, "/users/profile").await.expect(200);
}

#[tokio::test]
async fn a_removed_member_is_out_at_once() {
    let house = House::new().await;
    let node = house.node().await;
    let owner = node.register("owner@example.org").await;
    let member = node.join(&owner, "member@example.org", "user").await;
    let path = format!("/agencies/{}/members/{}", owner.organization, member.id);
    let own = format!("/agencies/{}/members/{}", owner.organization, owner.id);
    assert_eq!(node.act(&owner, "DELETE", &own).await.refused(409), "USE_LEAVE");
    node.act(&owner, "DELETE", &path).await.expect(200);
    let members = format!("/agencies/{}/members", owner.organization);
    node.get(&member, &members).await.expect(404);
    assert_eq!(node.act(&owner, "DELETE", &path).await.refused(404), "MEMBER_NOT_FOUND");
    let listed = node.get(&member, "/agencies").await.expect(200);
    assert_eq!(listed["data"].as_array().unwrap().len(), 1, "their own is left");
}

#[tokio::test]
async fn another_organization_does_not_exist() {
    let house = House::new().await;
    let node = house.node().await;
    let ada = node.register("ada@example.org").await;
    let eve = node.register("eve@example.org").await;
    let theirs = format!("/agencies/{}", ada.organization);
    let calls = [
        ("GET", "/settings"),
        ("PUT", "/settings"),
        ("PATCH", "/settings"),
        ("GET", "/members"),
        ("GET", "/invitations"),
        ("POST", "/invite"),
        ("POST", "/leave"),
        ("POST", "/transfer"),
        ("POST", "/switch"),
    ];
    for (method, path) in calls {
        let body = json!({});
        let reply = match method {
            "GET" => node.get(&eve, &format!("{theirs}{path}")).await,
            _ => node.call(&eve, method, &format!("{theirs}{path}"), body).await,
        };
        assert_eq!(reply.status, 404, "{method} {path}: {}", reply.json);
    }
    for id in ["00000000-0000-0000-0000-000000000001", "no-id"] {
        node.get(&eve, &format!("/agencies/{id}/settings")).await.expect(404);
    }
}

#[tokio::test]
async fn members_come_in_pages() {
    let house = House::new().await;
    let node = house.node().await;
    let owner = node.register("owner@example.org").await;
    for number in 0..3 {
        node.join(&owner, &format!("member{number}@example.org"), "viewer").await;
    }
    let path = format!("/agencies/{}/members", owner.organization);
    let second = node.get(&owner, &format!("{path}?page=2&perPage=3")).await.expect(200);
    assert_eq!(second["data"].as_array().unwrap().len(), 1);
    assert_eq!(second["data"][0]["email"], "member2@example.org");
    assert_eq!(second["meta"], json!({"total": 4, "page": 2, "perPage": 3, "totalPages": 2}));
    for (query, field) in
        [("page=0", "page"), ("perPage=101", "perPage"), ("page=x", "page"), ("size=3", "size")]
    {
        assert_eq!(node.get(&owner, &format!("{path}?{query}")).await.faults(), [field]);
    }
}
