//! Postiz's public API, called as its clients call it: a raw key, JSON on every call, its shapes.

use annals_tests::{Answer, Api, Method, Server, StatusCode, eventually};
use serde_json::{Value, json};

use crate::support::{PATIENCE, entries, feed_channel, in_seconds, later, until, write};

/// A caller with a key as Postiz's clients send it: by itself, with no `Bearer`.
struct Client {
    api: Api,
}

impl Client {
    async fn of(owner: &Api, server: &Server, scopes: &[&str]) -> Self {
        let key = json!({"name": "n8n", "scopes": scopes});
        let created = owner.post("settings/api-keys", key).await.expect(StatusCode::CREATED);
        Self { api: server.api().with_header("Authorization", created.text_at("/data/key")) }
    }

    async fn call(&self, method: Method, path: &str, body: Value) -> Answer {
        let request = self.api.request(method, &format!("/public/v1/{path}"));
        let request = request.header("Content-Type", "application/json");
        Api::send(if body.is_null() { request } else { request.json(&body) }).await
    }

    async fn get(&self, path: &str) -> Answer {
        self.call(Method::GET, path, Value::Null).await
    }

    /// What is due today or tomorrow.
    async fn posts(&self) -> Vec<Value> {
        let (from, to) = (in_seconds(-86_400), in_seconds(2 * 86_400));
        let path = format!("posts?startDate={from}&endDate={to}&customer=");
        let answer = self.get(&path).await.expect(StatusCode::OK);
        answer.at("/posts").as_array().cloned().expect("a list")
    }
}

fn body(kind: &str, date: &str, posts: &[(&str, &[&str])]) -> Value {
    let entry = |(channel, texts): &(&str, &[&str])| {
        let value: Vec<Value> = texts.iter().map(|text| json!({"content": text, "image": []})).collect();
        json!({"integration": {"id": channel}, "value": value, "settings": {"__type": "feed"}})
    };
    json!({
        "type": kind, "date": date, "shortLink": false, "tags": [{"value": "launch", "label": "launch"}],
        "posts": posts.iter().map(entry).collect::<Vec<_>>(),
    })
}

#[tokio::test]
async fn a_group_is_written_listed_moved_and_deleted() {
    let server = Server::start().await;
    let ada = server.api().register("Ada").await.api;
    let (news, blog) = (feed_channel(&ada, "News").await, feed_channel(&ada, "Blog").await);
    ada.put(&format!("integrations/{blog}/group"), json!({"group": null, "customer": "Acme"}))
        .await
        .expect(StatusCode::OK);
    let client = Client::of(&ada, &server, &[]).await;
    assert_eq!(client.get("is-connected").await.expect(StatusCode::OK).at("/connected"), true);
    let channels = client.get("integrations").await.expect(StatusCode::OK);
    assert_eq!(channels.at("/0/name"), "Blog");
    assert_eq!(channels.at("/0/identifier"), "feed");
    assert_eq!(channels.at("/0/customer/name"), "Acme");
    assert_eq!(channels.at("/1/disabled"), false);
    let acme = client.get("integrations?group=Acme").await.expect(StatusCode::OK);
    assert_eq!(acme.body.as_array().map(Vec::len), Some(1));
    assert_eq!(client.get("groups").await.at("/0/id"), "Acme");
    let rules = client.get(&format!("integration-settings/{news}")).await.expect(StatusCode::OK);
    assert!(rules.at("/output/maxLength").as_u64() > Some(0), "{}", rules.text);

    let posts = body("schedule", &in_seconds(3_600), &[(&news, &["One"]), (&blog, &["Another"])]);
    let written = client.call(Method::POST, "posts", posts).await.expect(StatusCode::CREATED);
    assert_eq!(written.at("/1/integration"), blog.as_str());
    let (first, second) = (written.text_at("/0/postId"), written.text_at("/1/postId"));
    assert_ne!(first, second);

    let listed = client.posts().await;
    let seen: Vec<_> = listed.iter().map(|post| (post["id"].clone(), post["content"].clone())).collect();
    assert_eq!(seen, [(json!(first), json!("One")), (json!(second), json!("Another"))]);
    assert_eq!(listed[0]["state"], "QUEUE");
    assert_eq!(listed[0]["group"], listed[1]["group"]);
    assert_eq!(listed[0]["integration"]["providerIdentifier"], "feed");
    assert_eq!(listed[0]["tags"][0]["tag"]["name"], "launch");

    // What is done to one is done to its group.
    let status = format!("posts/{first}/status");
    let drafted = client.call(Method::PUT, &status, json!({"status": "draft"})).await.expect(StatusCode::OK);
    assert_eq!(drafted.at("/state"), "DRAFT");
    let states: Vec<Value> = client.posts().await.iter().map(|post| post["state"].clone()).collect();
    assert_eq!(states, ["DRAFT", "DRAFT"]);
    client.call(Method::PUT, &status, json!({"status": "schedule"})).await.expect(StatusCode::OK);
    let group = listed[0]["group"].as_str().expect("is a text").to_string();
    let mut change = body("update", &in_seconds(7_200), &[(&news, &["One, better"])]);
    change["posts"][0]["group"] = json!(group);
    let changed = client.call(Method::POST, "posts", change).await.expect(StatusCode::CREATED);
    assert_eq!(changed.at("/0/postId"), first.as_str());
    let listed = client.posts().await;
    assert_eq!((listed.len(), &listed[0]["content"]), (1, &json!("One, better")));

    let deleted = client.call(Method::DELETE, &format!("posts/group/{group}"), Value::Null).await;
    assert_eq!(deleted.expect(StatusCode::OK).at("/id"), group.as_str());
    assert_eq!(client.posts().await, Vec::<Value>::new());
}

#[tokio::test]
async fn a_thread_is_published_and_its_address_told() {
    let server = Server::start().await;
    let ada = server.api().register("Ada").await.api;
    let news = feed_channel(&ada, "News").await;
    let client = Client::of(&ada, &server, &["post:create", "post:publish", "post:read"]).await;
    let posts = body("now", "", &[(&news, &["First", "and then"])]);
    let keyed = Client { api: client.api.with_header("Idempotency-Key", "once") };
    let written = keyed.call(Method::POST, "posts", posts.clone()).await.expect(StatusCode::CREATED);
    let again = keyed.call(Method::POST, "posts", posts).await.expect(StatusCode::CREATED);
    assert_eq!(again.body, written.body, "the same key, the same post");
    let published = eventually("it is published", PATIENCE, || async {
        client.posts().await.into_iter().find(|post| post["state"] == "PUBLISHED")
    })
    .await;
    assert!(published["releaseURL"].as_str().is_some_and(|url| url.contains("/feeds/")), "{published}");
    assert_eq!(client.posts().await.len(), 1);
    assert_eq!(entries(&ada, &news).await.len(), 1, "a feed shows a thread as one item");
    client.get("integrations").await.expect(StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn faults_are_told_in_postizs_words() {
    let server = Server::start().await;
    let ada = server.api().register("Ada").await.api;
    let news = feed_channel(&ada, "News").await;
    let client = Client::of(&ada, &server, &[]).await;
    let stranger = Client::of(&server.api().register("Eve").await.api, &server, &[]).await;

    let wrong = Client { api: server.api().with_header("Authorization", "ak_1_2") };
    for nobody in [&wrong, &Client { api: server.api() }] {
        let answer = nobody.get("integrations").await.expect(StatusCode::UNAUTHORIZED);
        assert!(answer.at("/msg").is_string(), "{}", answer.text);
    }
    let at = in_seconds(3_600);
    let entry = [(news.as_str(), ["Text"].as_slice())];
    let faulty = [
        (body("schedule", "soon", &entry), "date"),
        (body("schedule", "", &entry), "date"),
        (body("schedule", &in_seconds(-60), &entry), "date"),
        (body("schedule", &at, &[]), "posts"),
        (body("schedule", &at, &[(&news, &[])]), "posts"),
        (body("schedule", &at, &[(&news, &[""])]), "posts[0].value[0].content"),
        (body("update", &at, &entry), "posts[0].group"),
        (body("later", &at, &entry), "type"),
    ];
    for (body, field) in faulty {
        let answer = client.call(Method::POST, "posts", body.clone()).await.expect(StatusCode::BAD_REQUEST);
        assert_eq!(answer.at("/name"), field, "{body}: {}", answer.text);
        assert_eq!(answer.at("/statusCode"), 400);
    }
    let answer = stranger.call(Method::POST, "posts", body("schedule", &at, &entry)).await;
    let answer = answer.expect(StatusCode::BAD_REQUEST);
    assert_eq!(answer.at("/name"), "posts[0].integration.id", "another organization's: {}", answer.text);
    assert_eq!(
        client.get("posts?startDate=&endDate=").await.expect(StatusCode::BAD_REQUEST).at("/name"),
        "startDate"
    );
    assert_eq!(client.posts().await, Vec::<Value>::new(), "nothing was written");

    let written = client.call(Method::POST, "posts", body("schedule", &at, &entry)).await;
    let id = written.expect(StatusCode::CREATED).text_at("/0/postId");
    stranger.call(Method::DELETE, &format!("posts/{id}"), Value::Null).await.expect(StatusCode::NOT_FOUND);
    stranger.get(&format!("integration-settings/{news}")).await.expect(StatusCode::NOT_FOUND);
    let tool = json!({"methodName": "channels", "data": {}});
    let tool = client.call(Method::POST, &format!("integration-trigger/{news}"), tool).await;
    assert_eq!(tool.expect(StatusCode::BAD_REQUEST).at("/name"), "methodName");
    assert_eq!(client.posts().await.len(), 1, "nobody deleted it");
}

#[tokio::test]
async fn our_own_public_paths_are_the_same_routes() {
    let server = Server::start().await;
    let ada = server.api().register("Ada").await.api;
    let (news, blog) = (feed_channel(&ada, "News").await, feed_channel(&ada, "Blog").await);
    let key = ada.post("settings/api-keys", json!({"name": "CI", "scopes": []})).await;
    let program = server.api().with_token(&key.expect(StatusCode::CREATED).text_at("/data/key"));
    let listed = program.get("public/integrations").await.expect(StatusCode::OK);
    assert_eq!(listed.at("/data/connected").as_array().map(Vec::len), Some(2));
    let body = later("By a program", &[&news], &in_seconds(2));
    let posted = program.post("public/integrations/post", body).await.expect(StatusCode::CREATED);
    let post = posted.text_at("/data/id");
    write(&ada, later("Elsewhere", &[&blog], &in_seconds(3_600))).await;
    let of_news = program.with_header("Annals-After", posted.position());
    let of_news = of_news.get(&format!("public/integrations/{news}/posts")).await.expect(StatusCode::OK);
    assert_eq!(of_news.at("/data/0/id"), post.as_str());
    assert_eq!(of_news.at("/meta/total"), 1);
    until(&ada, &post, "published").await;
    let nowhere = "public/integrations/0198e000-0000-7000-8000-000000000001/posts";
    program.get(nowhere).await.expect(StatusCode::NOT_FOUND);
}
