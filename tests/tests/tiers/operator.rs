//! The operator sets tiers, and nobody else; what is asked wrongly is told by field.

use annals_tests::{Server, Settings, StatusCode, eventually};
use serde_json::json;
use std::time::Duration;

use crate::support::{House, connect, of, policy, run, succeeds};

#[tokio::test]
async fn only_the_operator_sets_a_tier_and_the_log_says_who_and_why() {
    let house = House::new().await;
    let bea = house.server.api().register("Bea").await;
    let path = format!("admin/organizations/{}/tier", bea.organization_id);
    let body = json!({"tier": "small", "reason": "they asked for it"});
    house.server.api().put(&path, body.clone()).await.expect(StatusCode::UNAUTHORIZED);
    bea.api.put(&path, body.clone()).await.expect(StatusCode::FORBIDDEN);
    bea.member("admin").await.put(&path, body.clone()).await.expect(StatusCode::FORBIDDEN);
    for path in
        ["admin/organizations", "admin/tiers", &format!("admin/organizations/{}", bea.organization_id)]
    {
        house.server.api().get(path).await.expect(StatusCode::UNAUTHORIZED);
        bea.api.get(path).await.expect(StatusCode::FORBIDDEN);
        house.operator.api.get(path).await.expect(StatusCode::OK);
    }
    let operator = &house.operator.api;
    let set = operator.put(&path, body.clone()).await.expect(StatusCode::OK);
    assert_eq!((set.at("/data/tier"), set.at("/data/id")), (&json!("small"), &json!(bea.organization_id)));
    // The same again is nothing new.
    let version = |answer: &annals_tests::Answer| answer.headers.get("etag").cloned();
    let again = operator.put(&path, body).await.expect(StatusCode::OK);
    assert_eq!(version(&again), version(&set));
    let pool = &house.server.database().expect("is there").pool;
    let events: Vec<(serde_json::Value, String)> = sqlx::query_as(
        "SELECT payload, metadata->>'organization_id' FROM events WHERE event_type = 'identity.organization.tier_set'",
    )
    .fetch_all(pool)
    .await
    .expect("the log can be read");
    let expected = json!({
        "type": "tier_set", "tier": "small", "reason": "they asked for it", "by": house.operator.user_id,
    });
    assert_eq!(events, [(expected, bea.organization_id.clone())]);
    // Its members see the tier in the organization's own history and usage, not why.
    let members = bea.api.with_header("Annals-After", set.position());
    let activity = members.get("activity").await.expect(StatusCode::OK);
    assert!(activity.text.contains("identity.organization.tier_set"), "{}", activity.text);
    let usage = members.get(&format!("agencies/{}/usage", bea.organization_id)).await.expect(StatusCode::OK);
    assert_eq!(
        (usage.at("/data/tier/name"), usage.at("/data/tier/isDefault")),
        (&json!("small"), &json!(false))
    );
    assert!(!usage.text.contains("they asked"), "{}", usage.text);
    assert_eq!(
        usage.at("/data/callsPerMinute"),
        &json!({"user": null, "apiKey": null}),
        "limits are off here"
    );
}

#[tokio::test]
async fn what_is_asked_wrongly_is_told_by_field() {
    let house = House::new().await;
    let operator = &house.operator.api;
    let organization = &house.operator.organization_id;
    let path = format!("admin/organizations/{organization}/tier");
    let bad = StatusCode::BAD_REQUEST;
    let wrong = operator.put(&path, json!({"tier": "gold", "reason": ""})).await.expect_field(bad, "tier");
    let wrong = wrong.expect_field(bad, "reason");
    assert!(wrong.text.contains("gold is no tier; there are small, medium, large"), "{}", wrong.text);
    operator.put(&path, json!({"tier": "small"})).await.expect_field(bad, "reason");
    operator.put(&path, json!({"reason": "why not"})).await.expect_field(bad, "tier");
    let more = json!({"tier": "small", "reason": "why not", "price": 3});
    operator.put(&path, more).await.expect_field(bad, "price");
    let stale = operator.with_header("If-Match", "\"99\"");
    let body = json!({"tier": "small", "reason": "why not"});
    stale.put(&path, body.clone()).await.expect(StatusCode::CONFLICT);
    for nobody in ["00000000-0000-0000-0000-000000000001", "no-id"] {
        let path = format!("admin/organizations/{nobody}");
        operator.put(&format!("{path}/tier"), body.clone()).await.expect(StatusCode::NOT_FOUND);
        operator.get(&path).await.expect(StatusCode::NOT_FOUND);
    }
    for (query, field) in [
        ("tier=gold", "tier"),
        ("page=0", "page"),
        ("perPage=101", "perPage"),
        (&format!("q={}", "x".repeat(101)), "q"),
        ("name=x", "name"),
    ] {
        operator.get(&format!("admin/organizations?{query}")).await.expect_field(bad, field);
    }
    let usage = format!("agencies/{organization}/usage");
    operator.get(&format!("{usage}?month=soon")).await.expect_field(bad, "month");
    let elsewhere = house.server.api().register("Bea").await;
    elsewhere.api.get(&usage).await.expect(StatusCode::NOT_FOUND);
    house.server.api().get(&usage).await.expect(StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn organizations_are_found_by_name_id_and_tier_and_a_rebuild_shows_the_same() {
    let house = House::new().await;
    let operator = &house.operator.api;
    let (bea, cem) = (house.tenant("Bea", "small").await, house.tenant("Cem", "medium").await);
    let rename = json!({"name": "Copper & Sons_100%"});
    let renamed = bea.api.put(&format!("agencies/{}/settings", bea.organization_id), rename).await;
    let renamed = renamed.expect(StatusCode::OK).position();
    connect(&bea.api, "one").await.expect(StatusCode::CREATED);
    let operator_after = operator.with_header("Annals-After", renamed);
    let ids = async |query: &str| {
        let found = operator_after.get(&format!("admin/organizations?{query}")).await.expect(StatusCode::OK);
        let rows = found.at("/data").as_array().cloned().unwrap_or_default();
        let mut ids: Vec<String> =
            rows.iter().filter_map(|row| row["id"].as_str().map(String::from)).collect();
        ids.sort();
        (ids, found.at("/meta/total").clone())
    };
    let only = |id: &str| (vec![id.to_string()], json!(1));
    assert_eq!(ids("q=sons_100%25").await, only(&bea.organization_id));
    assert_eq!(ids("q=s_ns").await, (vec![], json!(0)), "what LIKE knows is taken as it is");
    assert_eq!(ids(&format!("q={}", cem.organization_id.to_uppercase())).await, only(&cem.organization_id));
    assert_eq!(ids("tier=medium").await, only(&cem.organization_id));
    // Whose tier nobody set is of the default one, the last.
    assert_eq!(ids("tier=large").await, only(&house.operator.organization_id));
    let page = operator.get("admin/organizations?perPage=2&page=2").await.expect(StatusCode::OK);
    assert_eq!((page.at("/meta/total"), page.at("/meta/totalPages")), (&json!(3), &json!(2)));
    assert_eq!(page.at("/data").as_array().map(Vec::len), Some(1));

    let path = format!("admin/organizations/{}", bea.organization_id);
    let show = async || operator.get(&path).await.expect(StatusCode::OK).body;
    let before = eventually("the channel counts", Duration::from_secs(30), || async {
        let shown = show().await;
        (of(&shown["data"]["quotas"], "channels") == (json!(1), json!(2))).then_some(shown)
    })
    .await;
    assert_eq!(before["data"]["tier"]["reason"], "for the test");
    let rebuild = ["projections", "rebuild", "usage", "--wait", "--reason", "to compare"];
    succeeds(&run(&house.server, &rebuild));
    assert_eq!(show().await, before);
}

#[tokio::test]
async fn by_default_nobody_is_limited_and_a_tier_that_is_gone_is_the_default() {
    let server = Server::start().await;
    let ada = server.api().register("Ada").await;
    let usage = ada.api.get(&format!("agencies/{}/usage", ada.organization_id)).await.expect(StatusCode::OK);
    assert_eq!(
        (usage.at("/data/tier/name"), usage.at("/data/tier/isDefault")),
        (&json!("ultimate"), &json!(true))
    );
    let quotas = usage.at("/data/quotas").as_array().cloned().unwrap_or_default();
    assert!(quotas.len() == 5 && quotas.iter().all(|quota| quota["limit"].is_null()), "{quotas:?}");
    let tiers = ada.api.get("admin/tiers").await.expect(StatusCode::OK);
    assert_eq!((tiers.at("/data/0/name"), tiers.at("/data/0/quotas/0/limit")), (&json!("free"), &json!(3)));

    // The policy changes: what an old event names is not there any more.
    let first = policy("[[tier]]\nname = \"gold\"\nquotas = { channels = 1 }\n[[tier]]\nname = \"rest\"");
    let settings = Settings::default()
        .variable("ANNALS_TIERS_POLICY", first.path().display())
        .variable("ANNALS_TIERS_DEFAULT", "rest");
    let mut server = Server::start_with(settings).await;
    let ada = server.api().register("Ada").await;
    let path = format!("admin/organizations/{}/tier", ada.organization_id);
    ada.api.put(&path, json!({"tier": "gold", "reason": "why not"})).await.expect(StatusCode::OK);
    connect(&ada.api, "one").await.expect(StatusCode::CREATED);
    connect(&ada.api, "two").await.expect(StatusCode::CONFLICT);
    std::fs::write(first.path(), "[[tier]]\nname = \"rest\"").expect("is written");
    assert!(server.stop().await);
    server.restart().await;
    connect(&ada.api, "two").await.expect(StatusCode::CREATED);
    let usage = ada.api.get(&format!("agencies/{}/usage", ada.organization_id)).await.expect(StatusCode::OK);
    assert_eq!(
        (usage.at("/data/tier/name"), usage.at("/data/tier/isDefault")),
        (&json!("rest"), &json!(true))
    );
    assert!(server.log().contains("the policy does not know"), "it is warned of");
}
