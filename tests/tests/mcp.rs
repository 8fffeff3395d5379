//! The Model Context Protocol at `/mcp`, as an assistant's client calls it.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicU64, Ordering},
};

use annals_tests::{Answer, Api, Method, Server, StatusCode};
use serde_json::{Value, json};

/// An assistant's client: a key, JSON-RPC, no session.
struct Client {
    api: Api,
}

impl Client {
    async fn of(owner: &Api, server: &Server, scopes: &[&str]) -> Self {
        let key = json!({"name": "assistant", "scopes": scopes});
        let created = owner.post("settings/api-keys", key).await.expect(StatusCode::CREATED);
        Self { api: server.api().with_token(&created.text_at("/data/key")) }
    }

    async fn send(&self, message: Value) -> Answer {
        let request = self.api.request(Method::POST, "/mcp");
        let request = request.header("Accept", "application/json, text/event-stream");
        Api::send(request.header("MCP-Protocol-Version", "2025-06-18").json(&message)).await
    }

    async fn ask(&self, method: &str, params: Value) -> Value {
        static NUMBER: AtomicU64 = AtomicU64::new(1);
        let id = NUMBER.fetch_add(1, Ordering::Relaxed);
        let message = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        let answer = self.send(message).await.expect(StatusCode::OK);
        assert_eq!(answer.at("/id"), id, "{}", answer.text);
        answer.body
    }

    /// What a tool gave.
    async fn tool(&self, name: &str, arguments: Value) -> Value {
        let answer = self.ask("tools/call", json!({"name": name, "arguments": arguments})).await;
        assert_ne!(answer["result"]["isError"], true, "{name}: {answer}");
        answer["result"]["structuredContent"].clone()
    }

    /// How a tool refused.
    async fn refusal(&self, name: &str, arguments: Value) -> Value {
        let answer = self.ask("tools/call", json!({"name": name, "arguments": arguments})).await;
        assert_eq!(answer["result"]["isError"], true, "{name}: {answer}");
        answer["result"]["structuredContent"].clone()
    }
}

async fn feed(api: &Api) -> String {
    let connected = api.post("integrations/connect", json!({"platform": "feed", "name": "News"})).await;
    connected.expect(StatusCode::CREATED).text_at("/data/id")
}

fn draft(content: &str, channel: &str) -> Value {
    json!({"content": content, "type": "draft", "integrations": [{"id": channel}]})
}

#[tokio::test]
async fn an_assistant_learns_the_tools_and_which_of_them_only_read() {
    let server = Server::start().await;
    let ada = server.api().register("Ada").await.api;
    let client = Client::of(&ada, &server, &[]).await;
    let hello = json!({
        "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "test", "version": "1"},
    });
    let welcome = client.ask("initialize", hello).await;
    assert_eq!(welcome["result"]["serverInfo"]["name"], "annals");
    assert!(welcome["result"]["instructions"].as_str().is_some_and(|text| text.contains("idempotencyKey")));
    let initialized = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
    client.send(initialized).await.expect(StatusCode::ACCEPTED);

    let listed = client.ask("tools/list", json!({})).await;
    let tools = listed["result"]["tools"].as_array().expect("a list");
    let (mut reading, mut destructive) = (BTreeSet::new(), BTreeSet::new());
    for tool in tools {
        let name = tool["name"].as_str().expect("has a name");
        assert!(
            tool["description"].as_str().is_some_and(|text| !text.is_empty()),
            "{name} has no description"
        );
        assert_eq!(tool["inputSchema"]["type"], "object", "{name}");
        let hints = &tool["annotations"];
        if hints["readOnlyHint"] == true {
            reading.insert(name);
        } else if hints["destructiveHint"] == true {
            destructive.insert(name);
        }
    }
    assert_eq!(
        reading,
        BTreeSet::from([
            "analytics",
            "describe_channel",
            "find_slot",
            "get_post",
            "list_channels",
            "list_posts"
        ])
    );
    assert_eq!(destructive, BTreeSet::from(["delete_post", "update_post"]));
    assert_eq!(tools.len(), 11);
}

#[tokio::test]
async fn a_post_is_written_once_changed_listed_and_deleted() {
    let server = Server::start().await;
    let ada = server.api().register("Ada").await.api;
    let channel = feed(&ada).await;
    let client = Client::of(&ada, &server, &[]).await;
    let channels = client.tool("list_channels", json!({})).await;
    assert_eq!(channels["connected"][0]["id"], channel.as_str());
    let described = client.tool("describe_channel", json!({"id": channel})).await;
    assert!(described["maxLength"].as_u64() > Some(0), "{described}");

    let call = json!({"post": draft("Hello", &channel), "idempotencyKey": "once"});
    let created = client.tool("create_post", call.clone()).await;
    assert_eq!(client.tool("create_post", call).await["id"], created["id"], "the same key, the same post");
    let other = json!({"post": draft("Something else", &channel), "idempotencyKey": "once"});
    assert_eq!(client.refusal("create_post", other).await["code"], "IDEMPOTENCY_KEY_REUSED");

    let id = created["id"].as_str().expect("has an id");
    let change = json!({"id": id, "version": created["version"], "post": draft("Hello, better", &channel)});
    let changed = client.tool("update_post", change.clone()).await;
    assert_eq!(changed["content"], "Hello, better");
    let mut stale = change;
    stale["post"]["content"] = json!("Hello, too late");
    let refusal = client.refusal("update_post", stale).await;
    assert_eq!(
        (&refusal["code"], &refusal["currentVersion"]),
        (&json!("VERSION_CONFLICT"), &changed["version"])
    );

    let slot = client.tool("find_slot", json!({"channel": channel})).await;
    assert_eq!((slot["isDefault"].as_bool(), slot["channel"].as_str()), (Some(true), Some(channel.as_str())));
    let listed = client.tool("list_posts", json!({"status": "draft"})).await;
    assert_eq!(
        (&listed["posts"][0]["content"], &listed["page"]["total"]),
        (&json!("Hello, better"), &json!(1))
    );
    assert_eq!(client.tool("get_post", json!({"id": id})).await["id"], id);
    let history = ada.get(&format!("posts/{id}/history")).await.expect(StatusCode::OK);
    assert_eq!(history.at("/data/0/source"), "MCP");
    assert_eq!(client.tool("delete_post", json!({"id": id})).await["status"], "deleted");
    assert_eq!(client.refusal("get_post", json!({"id": id})).await["statusCode"], 404);
}

#[tokio::test]
async fn a_tool_refuses_what_the_route_refuses() {
    let server = Server::start().await;
    let ada = server.api().register("Ada").await;
    let channel = feed(&ada.api).await;
    let owner = Client::of(&ada.api, &server, &[]).await;
    let faulty = json!({"post": {"content": "Hello", "type": "schedule", "integrations": [{"id": channel}]}});
    assert_eq!(owner.refusal("create_post", faulty).await["errors"][0]["field"], "scheduledAt");
    let unknown =
        json!({"name": "create_post", "arguments": {"post": {"content": "Hello", "kind": "draft"}}});
    let answer = owner.ask("tools/call", unknown).await;
    assert!(answer.to_string().contains("kind"), "the unknown field is named: {answer}");
    let no_key = json!({"post": draft("Hello", &channel), "idempotencyKey": ""});
    assert_eq!(owner.refusal("create_post", no_key).await["errors"][0]["field"], "idempotencyKey");

    let reader = Client::of(&ada.api, &server, &["post:read"]).await;
    reader.tool("list_posts", json!({})).await;
    for (tool, arguments) in [
        ("create_post", json!({"post": draft("Hello", &channel)})),
        ("list_channels", json!({})),
        ("delete_post", json!({"id": channel})),
    ] {
        assert_eq!(reader.refusal(tool, arguments).await["code"], "FORBIDDEN", "{tool}");
    }
    let viewer = Client { api: ada.member("viewer").await };
    let written = json!({"post": draft("Hello", &channel)});
    assert_eq!(viewer.refusal("create_post", written).await["code"], "FORBIDDEN");
    let stranger = Client::of(&server.api().register("Eve").await.api, &server, &[]).await;
    assert_eq!(stranger.refusal("describe_channel", json!({"id": channel})).await["code"], "NOT_FOUND");
    let total = &owner.tool("list_posts", json!({})).await["page"]["total"];
    assert_eq!(total, 0, "nobody wrote anything");
}

#[tokio::test]
async fn the_door_is_shut_to_nobody_and_to_pages_of_other_sites() {
    let server = Server::start().await;
    let ada = server.api().register("Ada").await.api;
    let client = Client::of(&ada, &server, &[]).await;
    let list = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list"});
    let nobody = Client { api: server.api() };
    let refused = nobody.send(list.clone()).await.expect(StatusCode::UNAUTHORIZED);
    assert_eq!(refused.headers["www-authenticate"], "Bearer");
    let elsewhere = Client { api: client.api.with_header("Origin", "https://evil.example") };
    elsewhere.send(list.clone()).await.expect(StatusCode::FORBIDDEN);
    let here = Client { api: client.api.with_header("Origin", server.url()) };
    here.send(list).await.expect(StatusCode::OK);
    assert_eq!(client.api.get("/mcp").await.status, StatusCode::METHOD_NOT_ALLOWED);
    let nonsense = client.send(json!({"hello": "world"})).await;
    assert!(nonsense.status.is_client_error(), "{}", nonsense.text);
}

#[tokio::test]
async fn a_file_is_fetched_from_public_addresses_only_and_by_who_may() {
    let server = Server::start().await;
    let ada = server.api().register("Ada").await.api;
    let client = Client::of(&ada, &server, &[]).await;
    for url in
        ["https://127.0.0.1/cat.png", "https://169.254.169.254/latest", "file:///etc/passwd", "cat.png"]
    {
        let refused = client.refusal("upload_from_url", json!({"file": {"url": url}})).await;
        assert_eq!(refused["errors"][0]["field"], "url", "{url}: {refused}");
    }
    let reader = Client::of(&ada, &server, &["media:read"]).await;
    let refused =
        reader.refusal("upload_from_url", json!({"file": {"url": "https://example.org/a.png"}})).await;
    assert_eq!(refused["code"], "FORBIDDEN", "{refused}");
}
