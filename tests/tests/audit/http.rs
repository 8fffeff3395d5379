use annals_tests::{Api, Method, Server, StatusCode};
use serde_json::{Value, json};

use crate::support::{connect, events, signed, two_organizations};

#[tokio::test]
async fn checkpoints_are_signed_at_once_by_the_operator_and_read_by_auditors() {
    let server = Server::start().await;
    let (ada, bob) = two_organizations(&server).await;
    bob.api.post("audit/checkpoints", json!({})).await.expect(StatusCode::FORBIDDEN);
    let first = signed(&ada).await;
    assert_eq!(signed(&ada).await, first, "nothing new: the same checkpoint");
    let position = connect(&ada.api, "one more").await.position();
    let second = ada.api.post("audit/checkpoints", json!({})).await.expect(StatusCode::CREATED);
    let size = second.at("/data/size").as_u64().expect("a number");
    assert!(size >= position, "all that happened before is in it");
    let first_size: Option<u64> = first.lines().nth(1).and_then(|size| size.parse().ok());
    assert!(first_size.is_some_and(|first| first < position), "{first_size:?}");

    // The newest, as text and in the envelope; the owner of an organization is its auditor too.
    let newest = bob.api.get("audit/checkpoint").await.expect(StatusCode::OK);
    assert_eq!(newest.at("/data/note"), second.at("/data/note"));
    let text =
        bob.api.with_header("accept", "text/plain").get("audit/checkpoint").await.expect(StatusCode::OK);
    assert_eq!(json!(text.text), *second.at("/data/note"));
    assert_eq!(text.headers["content-type"], "text/plain; charset=utf-8");

    // The list, page by page.
    let page = ada.api.get("audit/checkpoints?limit=1").await.expect(StatusCode::OK);
    assert_eq!(page.at("/data/0/size"), &json!(size));
    let next = page.text_at("/meta/nextCursor");
    let page = ada.api.get(&format!("audit/checkpoints?limit=1&cursor={next}")).await.expect(StatusCode::OK);
    assert_eq!(page.at("/data/0/note"), &json!(first));

    // The key is for everyone.
    let key = server.api().get("audit/key").await.expect(StatusCode::OK);
    assert_eq!(key.at("/data/verifierKey"), second.at("/data/verifierKey"));
    let text = server.api().with_header("accept", "text/plain").get("audit/key").await;
    assert_eq!(text.text, format!("{}\n", key.text_at("/data/verifierKey")));
    assert!(first.starts_with(&key.text_at("/data/origin")), "{first}");
    server.api().get("audit/checkpoint").await.expect(StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn proofs_are_given_for_ones_own_events_and_bad_input_is_named() {
    let server = Server::start().await;
    let (ada, bob) = two_organizations(&server).await;
    let mine = connect(&bob.api, "bob's").await.position();
    let theirs = connect(&ada.api, "ada's").await.position();
    let unsigned = ada.api.get(&format!("audit/proof/inclusion/{mine}")).await.status;
    // The notary's own first checkpoint may have come before.
    assert!([StatusCode::SERVICE_UNAVAILABLE, StatusCode::OK, StatusCode::BAD_REQUEST].contains(&unsigned));
    signed(&ada).await;
    let proof = bob.api.get(&format!("audit/proof/inclusion/{mine}")).await.expect(StatusCode::OK);
    assert_eq!(proof.at("/data/leafFits"), &json!(true));
    assert_eq!(proof.at("/data/leafIndex"), &json!(mine - 1));
    assert_eq!(proof.at("/data/event/position"), &json!(mine));
    bob.api.get(&format!("audit/proof/inclusion/{theirs}")).await.expect(StatusCode::NOT_FOUND);
    ada.api.get(&format!("audit/proof/inclusion/{mine}")).await.expect(StatusCode::OK);
    ada.api.get("audit/proof/inclusion/999999").await.expect(StatusCode::NOT_FOUND);
    ada.api.get("audit/proof/inclusion/0").await.expect(StatusCode::NOT_FOUND);
    ada.api.get("audit/proof/inclusion/one").await.expect(StatusCode::NOT_FOUND);

    let consistency = bob.api.get("audit/proof/consistency?from=3").await.expect(StatusCode::OK);
    assert_eq!(consistency.at("/data/to"), proof.at("/data/treeSize"));
    for (path, field) in [
        ("audit/proof/consistency?from=0", "from"),
        ("audit/proof/consistency?from=5&to=4", "from"),
        ("audit/proof/consistency?from=5&to=99999", "to"),
        ("audit/proof/consistency?from=x", "from"),
        ("audit/checkpoints?limit=0", "limit"),
        ("audit/checkpoints?limit=501", "limit"),
        ("audit/checkpoints?cursor=x", "cursor"),
        ("audit/export?scope=everything", "scope"),
        ("audit/export?since=x", "since"),
    ] {
        ada.api.get(path).await.expect_field(StatusCode::BAD_REQUEST, field);
    }
    let beyond = format!("audit/proof/inclusion/{mine}?treeSize=99999");
    ada.api.get(&beyond).await.expect_field(StatusCode::BAD_REQUEST, "treeSize");
}

async fn export(api: &Api, query: &str) -> String {
    let answer = api.get(&format!("audit/export{query}")).await.expect(StatusCode::OK);
    assert_eq!(answer.headers["content-type"], "application/x-ndjson");
    answer.text
}

#[tokio::test]
async fn an_organizations_bundle_has_its_events_and_nobody_elses() {
    let server = Server::start().await;
    let (ada, bob) = two_organizations(&server).await;
    signed(&ada).await;
    let whole = export(&ada.api, "").await;
    let of_bob = export(&bob.api, "").await;
    assert!(!of_bob.contains(&ada.organization_id) && !of_bob.contains(&ada.user_id));
    let metadata = |event: &Value| event["event"]["metadata"].as_str().unwrap_or_default().to_string();
    assert!(events(&of_bob).iter().all(|event| metadata(event).contains(&bob.organization_id)));
    let bobs = events(&whole).iter().filter(|event| metadata(event).contains(&bob.organization_id)).count();
    assert_eq!(events(&of_bob).len(), bobs);
    assert!(bobs > 2 && events(&whole).len() > bobs);
    // The operator may have their organization's only; others the whole log not at all.
    let of_ada = export(&ada.api, "?scope=organization&since=1").await;
    assert!(!of_ada.contains(&bob.organization_id));
    bob.api.get("audit/export?scope=log").await.expect(StatusCode::FORBIDDEN);
    // A key with the scope reads it too; one without does not.
    let key = |scopes: Value| json!({"name": "audit", "scopes": scopes});
    let auditor =
        bob.api.post("settings/api-keys", key(json!(["audit:read"]))).await.expect(StatusCode::CREATED);
    let auditor = server.api().with_token(&auditor.text_at("/data/key"));
    assert_eq!(events(&export(&auditor, "").await).len(), bobs);
    let poster =
        bob.api.post("settings/api-keys", key(json!(["post:read"]))).await.expect(StatusCode::CREATED);
    let poster = server.api().with_token(&poster.text_at("/data/key"));
    poster.get("audit/export").await.expect(StatusCode::FORBIDDEN);
    let head = Api::send(bob.api.request(Method::HEAD, "audit/checkpoint")).await;
    assert_eq!((head.status, head.text.as_str()), (StatusCode::OK, ""));
}
