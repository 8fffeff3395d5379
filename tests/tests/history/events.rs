//! Events by position, time, type, stream, actor, correlation and organization; as pages and as lines.

use annals_tests::{Account, Answer, Api, Server, StatusCode};
use serde_json::{Value, json};

fn rows(answer: &Answer) -> Vec<Value> {
    answer.at("/data").as_array().cloned().unwrap_or_default()
}

async fn found(api: &Api, query: &str) -> Vec<Value> {
    let answer = api.get(&format!("events?{query}")).await.expect(StatusCode::OK);
    assert_eq!(answer.at("/meta/nextCursor"), &Value::Null);
    rows(&answer)
}

fn positions(rows: &[Value]) -> Vec<u64> {
    rows.iter().filter_map(|row| row["position"].as_u64()).collect()
}

fn types(rows: &[Value]) -> Vec<&str> {
    rows.iter().filter_map(|row| row["type"].as_str()).collect()
}

/// Two organizations beside the operator's.
async fn people(server: &Server) -> (Account, Account, Account) {
    let operator = server.api().register("Root").await;
    let ada = server.api().register("Ada").await;
    let eve = server.api().register("Eve").await;
    (operator, ada, eve)
}

#[tokio::test]
async fn the_past_is_found_by_what_is_known_of_it() {
    let server = Server::start().await;
    let (operator, ada, _) = people(&server).await;
    let body = json!({"content": "An idea", "type": "draft", "tags": ["Launch"]});
    let created = ada.api.post("posts", body).await.expect(StatusCode::CREATED);
    let post = created.text_at("/data/id");

    let of_post = found(&ada.api, &format!("aggregateId={post}")).await;
    assert_eq!(types(&of_post), ["publishing.post.drafted"]);
    let drafted = &of_post[0];
    assert_eq!(drafted["aggregateType"], "publishing.post");
    assert_eq!(drafted["aggregateId"], post.as_str());
    assert_eq!(drafted["actor"], json!({"type": "user", "id": ada.user_id}));
    assert_eq!(drafted["command"], "CreatePost");
    assert_eq!(drafted["organizationId"], ada.organization_id.as_str());
    assert_eq!(drafted["client"]["$personal"]["value"], Value::Null, "where it came from stays sealed");
    assert!(drafted["client"]["$personal"]["subject"].is_string());

    let correlation = drafted["correlationId"].as_str().expect("is an id");
    let request = found(&ada.api, &format!("correlation={correlation}")).await;
    assert_eq!(types(&request), ["publishing.tags.created", "publishing.post.drafted"]);
    let mine = found(&ada.api, &format!("actor={}&type=publishing", ada.user_id)).await;
    assert_eq!(positions(&mine), positions(&request));
    assert_eq!(types(&found(&ada.api, "aggregateType=publishing.tags").await), ["publishing.tags.created"]);
    let at = drafted["at"].as_str().expect("is a time");
    assert_eq!(positions(&found(&ada.api, &format!("from={at}&to={at}")).await), positions(&request));
    let position = drafted["position"].as_u64().expect("is a position");
    assert_eq!(found(&ada.api, &format!("from={position}&to={position}")).await, of_post);
    let one = ada.api.get(&format!("events/{position}")).await.expect(StatusCode::OK);
    assert_eq!(one.at("/data/events/0"), drafted);
    let node = one.at("/data/causation/commands/0");
    assert_eq!(node["command"], "CreatePost");
    assert_eq!(positions(node["events"].as_array().expect("has events")), positions(&request));

    let all = found(&operator.api, "limit=1000").await;
    let numbers = positions(&all);
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>(), "the operator sees everything");
    let newest = found(&operator.api, "limit=1000&order=newest").await;
    assert_eq!(positions(&newest), numbers.iter().rev().copied().collect::<Vec<_>>());
    let of_ada = found(&operator.api, &format!("organization={}", ada.organization_id)).await;
    assert_eq!(of_ada, found(&ada.api, "").await, "what an organization sees is what is told to be its own");
    assert!(of_ada.len() < all.len());
    let hidden = serde_json::to_string(&all).expect("serializes");
    for secret in [ada.email.as_str(), "Ada", "argon2", "127.0.0.1"] {
        assert!(!hidden.contains(secret), "{secret} was opened");
    }
}

#[tokio::test]
async fn pages_and_lines_lead_through_all_of_it() {
    let server = Server::start().await;
    let (operator, ada, _) = people(&server).await;
    for number in 0..7 {
        let body = json!({"content": format!("Idea {number}"), "type": "draft"});
        ada.api.post("posts", body).await.expect(StatusCode::CREATED);
    }
    let all = found(&ada.api, "limit=1000").await;
    for order in ["oldest", "newest"] {
        let (mut paged, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = ada.api.get(&format!("events?limit=3&order={order}{cursor}")).await;
            let page = page.expect(StatusCode::OK);
            paged.extend(rows(&page));
            assert!(rows(&page).len() <= 3);
            match page.at("/meta/nextCursor").as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => break,
            }
        }
        if order == "newest" {
            paged.reverse();
        }
        assert_eq!(paged, all);
    }
    let lines = ada.api.with_header("Accept", "application/x-ndjson").get("events").await;
    let lines = lines.expect(StatusCode::OK);
    assert_eq!(lines.headers["content-type"], "application/x-ndjson");
    let parsed: Vec<Value> =
        lines.text.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect();
    assert_eq!(parsed, all);
    let lines = operator.api.with_header("Accept", "application/x-ndjson");
    let few = lines.get("events?limit=2&type=publishing").await.expect(StatusCode::OK);
    assert_eq!(few.text.lines().count(), 2);
}

#[tokio::test]
async fn only_auditors_admins_and_the_operator_read_and_only_what_is_theirs() {
    let server = Server::start().await;
    let (operator, ada, eve) = people(&server).await;
    let body = json!({"content": "An idea", "type": "draft"});
    let post = ada.api.post("posts", body).await.expect(StatusCode::CREATED).text_at("/data/id");
    let drafted = &found(&ada.api, &format!("aggregateId={post}")).await[0];
    let paths = [
        format!("events/{}", drafted["position"]),
        format!("streams/publishing.post/{post}"),
        format!("streams/publishing.post/{post}/state"),
        format!("streams/publishing.post/{post}/difference"),
        format!("streams/identity.organization/{}", ada.organization_id),
        format!("streams/identity.organization/{}/state", ada.organization_id),
    ];
    let (auditor, viewer) = (ada.member("auditor").await, ada.member("viewer").await);
    let key = json!({"name": "Posts only", "scopes": ["post:read"]});
    let key = ada.api.post("settings/api-keys", key).await.expect(StatusCode::CREATED).text_at("/data/key");
    let program = server.api().with_token(&key);
    for path in paths.iter().map(String::as_str).chain(["events"]) {
        for api in [&ada.api, &auditor, &operator.api] {
            api.get(path).await.expect(StatusCode::OK);
        }
        for api in [&viewer, &program] {
            api.get(path).await.expect(StatusCode::FORBIDDEN);
        }
        server.api().get(path).await.expect(StatusCode::UNAUTHORIZED);
        if path != "events" {
            eve.api.get(path).await.expect(StatusCode::NOT_FOUND);
        }
    }
    assert_eq!(found(&eve.api, &format!("aggregateId={post}")).await, [Value::Null; 0]);
    // Whoever joined acted for another organization then; the stream is still the one they joined.
    let joined = found(&ada.api, "type=identity.organization.invitation_accepted").await;
    assert_eq!(joined.len(), 2);
    assert!(joined.iter().all(|event| event["aggregateId"] == ada.organization_id.as_str()));
}

#[tokio::test]
async fn bad_input_is_named() {
    let server = Server::start().await;
    let (operator, ada, _) = people(&server).await;
    for (query, field) in [
        ("from=yesterday", "from"),
        ("to=-1", "to"),
        ("order=random", "order"),
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("cursor=18446744073709551615", "cursor"),
        ("correlation=1", "correlation"),
        ("type=", "type"),
        ("organisation=1", "organisation"),
    ] {
        let answer = operator.api.get(&format!("events?{query}")).await;
        answer.expect_field(StatusCode::BAD_REQUEST, field);
    }
    let other = ada.api.get(&format!("events?organization={}", operator.organization_id)).await;
    other.expect_field(StatusCode::BAD_REQUEST, "organization");
    for path in ["events/0", "events/99999", "events/x", "streams/publishing.post/none", "streams/x/y/state"]
    {
        operator.api.get(path).await.expect(StatusCode::NOT_FOUND);
    }
}
