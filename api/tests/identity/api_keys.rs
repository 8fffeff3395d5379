//! API keys: what their creator may do, cut to their scopes.

use chrono::TimeDelta;
use serde_json::{Value, json};

use crate::support::{House, Node, Person, Reply};

async fn create(node: &Node, who: &Person, scopes: Value) -> Value {
    let body = json!({"name": "CI", "scopes": scopes});
    node.call(who, "POST", "/settings/api-keys", body).await.expect(201)["data"].clone()
}

async fn by_key(node: &Node, key: &Value, method: &str, path: &str, body: Option<Value>) -> Reply {
    node.send(method, path, &[("authorization", key.as_str().unwrap())], body.as_ref()).await
}

#[tokio::test]
async fn a_key_is_shown_once_and_does_what_its_creator_may() {
    let house = House::new().await;
    let node = house.node().await;
    let ada = node.register("ada@example.org").await;
    let created = create(&node, &ada, json!([])).await;
    let key = created["key"].as_str().unwrap();
    assert!(key.starts_with("ak_") && created["isActive"] == true, "{created}");
    let settings = format!("/agencies/{}/settings", ada.organization);
    by_key(&node, &created["key"], "GET", &settings, None).await.expect(200);
    by_key(&node, &created["key"], "PUT", &settings, Some(json!({"name": "By key"}))).await.expect(200);
    let bearer = format!("Bearer {key}");
    node.send("GET", &settings, &[("authorization", &bearer)], None).await.expect(200);

    let listed = node.get(&ada, "/settings/api-keys").await.expect(200);
    assert!(!listed.to_string().contains(key), "only its SHA-256 is kept");
    assert_eq!(listed["data"][0]["name"], "CI");
    let stored: i64 =
        sqlx::query_scalar("select count(*) from events where payload::text like '%' || $1 || '%'")
            .bind(key)
            .fetch_one(&house.database.pool)
            .await
            .unwrap();
    assert_eq!(stored, 0);

    let path = format!("/settings/api-keys/{}", created["id"].as_str().unwrap());
    node.act(&ada, "DELETE", &path).await.expect(200);
    by_key(&node, &created["key"], "GET", &settings, None).await.expect(401);
    let listed = node.get(&ada, "/settings/api-keys").await.expect(200);
    assert_eq!(listed["data"][0]["isActive"], false);
}

#[tokio::test]
async fn scopes_cut_a_key_and_no_key_makes_keys_or_touches_the_account() {
    let house = House::new().await;
    let node = house.node().await;
    let ada = node.register("ada@example.org").await;
    let reader = create(&node, &ada, json!(["organization:read", "organization:read"])).await;
    let settings = format!("/agencies/{}/settings", ada.organization);
    by_key(&node, &reader["key"], "GET", &settings, None).await.expect(200);
    let put = by_key(&node, &reader["key"], "PUT", &settings, Some(json!({"name": "No"}))).await;
    assert_eq!(put.refused(403), "FORBIDDEN");
    let members = format!("/agencies/{}/members", ada.organization);
    by_key(&node, &reader["key"], "GET", &members, None).await.expect(403);
    by_key(&node, &reader["key"], "GET", "/auth/me", None).await.expect(403);

    let all = create(&node, &ada, json!([])).await;
    by_key(&node, &all["key"], "GET", "/auth/me", None).await.expect(200);
    let more = json!({"name": "More", "scopes": []});
    by_key(&node, &all["key"], "POST", "/settings/api-keys", Some(more)).await.expect(403);
    by_key(&node, &all["key"], "DELETE", "/users/account", None).await.expect(403);
    by_key(&node, &all["key"], "POST", "/auth/logout", None).await.expect(403);
    by_key(&node, &all["key"], "GET", "/auth/sessions", None).await.expect(403);

    let wrong = json!({"name": "X", "scopes": ["organization:read", "post:fly", "Post"]});
    let faults = node.call(&ada, "POST", "/settings/api-keys", wrong).await.faults();
    assert_eq!(faults, ["scopes[1]", "scopes[2]"]);
}

#[tokio::test]
async fn a_key_follows_its_creator_s_role_and_membership() {
    let house = House::new().await;
    let node = house.node().await;
    let owner = node.register("owner@example.org").await;
    let admin = node.join(&owner, "admin@example.org", "admin").await;
    let created = create(&node, &admin, json!([])).await;
    let settings = format!("/agencies/{}/settings", owner.organization);
    let body = || Some(json!({"name": "By key"}));
    by_key(&node, &created["key"], "PUT", &settings, body()).await.expect(200);
    let member = format!("/agencies/{}/members/{}", owner.organization, admin.id);
    node.call(&owner, "PATCH", &member, json!({"role": "viewer"})).await.expect(200);
    by_key(&node, &created["key"], "PUT", &settings, body()).await.expect(403);
    by_key(&node, &created["key"], "GET", &settings, None).await.expect(200);
    node.act(&owner, "DELETE", &member).await.expect(200);
    let gone = by_key(&node, &created["key"], "GET", &settings, None).await;
    assert!(matches!(gone.status, 401 | 404), "{}", gone.json);

    // Nobody revokes another's key, nor learns of it.
    let path = format!("/settings/api-keys/{}", created["id"].as_str().unwrap());
    assert_eq!(node.act(&owner, "DELETE", &path).await.refused(404), "API_KEY_NOT_FOUND");
}

#[tokio::test]
async fn the_last_use_is_noted_at_most_hourly() {
    let house = House::new().await;
    let node = house.node().await;
    let ada = node.register("ada@example.org").await;
    let created = create(&node, &ada, json!([])).await;
    let uses = || async {
        sqlx::query_scalar::<_, i64>("select count(*) from events where event_type = 'identity.api_key.used'")
            .fetch_one(&house.database.pool)
            .await
            .unwrap()
    };
    for _ in 0..3 {
        by_key(&node, &created["key"], "GET", "/auth/me", None).await.expect(200);
    }
    assert_eq!(uses().await, 1);
    house.clock.advance(TimeDelta::minutes(61));
    by_key(&node, &created["key"], "GET", "/auth/me", None).await.expect(200);
    assert_eq!(uses().await, 2);
}

#[tokio::test]
async fn a_retried_creation_is_one_key() {
    let house = House::new().await;
    let node = house.node().await;
    let ada = node.register("ada@example.org").await;
    let token = crate::support::bearer(&ada.token);
    let headers = [("authorization", token.as_str()), ("idempotency-key", "one")];
    let body = json!({"name": "CI", "scopes": []});
    let first = node.send("POST", "/settings/api-keys", &headers, Some(&body)).await.expect(201);
    let second = node.send("POST", "/settings/api-keys", &headers, Some(&body)).await.expect(201);
    assert_eq!(first["data"], second["data"]);
    assert_eq!(node.get(&ada, "/settings/api-keys").await.expect(200)["data"].as_array().unwrap().len(), 1);
}
