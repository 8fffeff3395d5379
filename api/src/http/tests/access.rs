use std::sync::Arc;

use actix_web::test::TestRequest;
use annals_domain::kernel::{Role, TierName};
use chrono::{TimeDelta, Utc};
use serde_json::json;

use super::support::{
    ADA, ELSEWHERE, ORGANIZATION, People, call, config, edge, get, post, signed, token, token_at,
};
use crate::{
    http::{
        config::{HttpConfig, Rate, RateLimitPolicy, TierRates},
        tokens::Tokens,
    },
    state::Edge,
};

async fn with(people: People) -> (Arc<Edge>, String) {
    let edge = edge(people, config()).await;
    let token = token(&edge);
    (edge, token)
}

#[actix_web::test]
async fn nobody_in_particular_may_do_nothing_in_particular() {
    let (edge, _) = with(People::with(Role::Owner)).await;
    for request in [get("/api/v1/things"), post("/api/v1/things", &json!({"name": "x"})), get("/api/v1/me")] {
        let answer = call(&edge, request).await;
        answer.refused(401, "UNAUTHORIZED");
        assert_eq!(answer.header("www-authenticate"), "Bearer");
    }
    assert_eq!(call(&edge, get("/feeds/1")).await.status, 200);
}

#[actix_web::test]
async fn expired_and_forged_tokens_and_ended_sessions_are_told_apart() {
    let (edge, _) = with(People::with(Role::Owner)).await;
    let expired = token_at(&edge, Utc::now() - TimeDelta::hours(2));
    call(&edge, signed(get("/api/v1/me"), &expired)).await.refused(401, "TOKEN_EXPIRED");
    let subject_of_another = crate::http::tokens::TokenSubject {
        user_id: ADA,
        session_id: super::support::SESSION,
        organization_id: ORGANIZATION,
        email: String::new(),
        role: Role::Owner,
    };
    let forged = Tokens::new(&[8; 32], &[]).issue(subject_of_another, Utc::now()).expect("signs");
    call(&edge, signed(get("/api/v1/me"), &forged)).await.refused(401, "TOKEN_INVALID");
    call(&edge, signed(get("/api/v1/me"), "ak_unknown")).await.refused(401, "UNAUTHORIZED");
    let (edge, token) = with(People { ended: true, ..People::with(Role::Owner) }).await;
    call(&edge, signed(get("/api/v1/me"), &token)).await.refused(401, "SESSION_ENDED");
}

#[actix_web::test]
async fn the_role_of_this_moment_decides_not_the_tokens() {
    // The token says owner.
    let (edge, token) = with(People::with(Role::Viewer)).await;
    assert_eq!(call(&edge, signed(get("/api/v1/things"), &token)).await.status, 200);
    let answer = call(&edge, signed(post("/api/v1/things", &json!({"name": "x"})), &token)).await;
    answer.refused(403, "FORBIDDEN");
    assert_eq!(answer.body["message"], "the role viewer does not include post:create");
    let (edge, token) = with(People::with(Role::User)).await;
    assert_eq!(call(&edge, signed(post("/api/v1/things", &json!({"name": "x"})), &token)).await.status, 201);
}

#[actix_web::test]
async fn without_the_right_a_body_is_not_even_read() {
    let (edge, token) = with(People::with(Role::Viewer)).await;
    let huge = "x".repeat(100_000);
    call(&edge, signed(post("/api/v1/things", &json!({"name": huge})), &token))
        .await
        .refused(403, "FORBIDDEN");
}

#[actix_web::test]
async fn who_left_the_organization_keeps_only_what_is_their_own() {
    let (edge, token) = with(People::default()).await;
    call(&edge, signed(get("/api/v1/things"), &token)).await.refused(401, "MEMBERSHIP_ENDED");
    let me = call(&edge, signed(get("/api/v1/me"), &token)).await;
    assert_eq!((me.status, &me.body["data"]["member"]), (200, &json!(false)));
}

#[actix_web::test]
async fn a_right_in_the_paths_organization_is_that_organizations() {
    let mut people = People::with(Role::Owner);
    people.members.insert((ELSEWHERE, ADA), Role::User);
    let (edge, token) = with(people).await;
    let put = |id: &str| signed(TestRequest::put().uri(&format!("/api/v1/orgs/{id}")), &token);
    let own = call(&edge, put(&ORGANIZATION.to_string())).await;
    assert_eq!((own.status, &own.body["data"]["role"]), (200, &json!("owner")));
    call(&edge, put(&ELSEWHERE.to_string())).await.refused(403, "FORBIDDEN");
    call(&edge, put(&uuid::Uuid::from_u128(300).to_string())).await.refused(404, "NOT_FOUND");
    call(&edge, put("not-an-id")).await.refused(404, "NOT_FOUND");
}

#[actix_web::test]
async fn a_key_does_what_its_creator_can_cut_to_its_scopes() {
    let people =
        People::with(Role::User).key("ak_all", &[]).key("ak_read", &["post:read"]).key("ak_sys", &["system"]);
    let (edge, _) = with(people).await;
    let create = |key: &str| signed(post("/api/v1/things", &json!({"name": "x"})), key);
    let answer = call(&edge, create("ak_all")).await;
    assert_eq!(answer.status, 201);
    assert_eq!(
        (&answer.body["data"]["source"], &answer.body["data"]["actor"]["type"]),
        (&json!("API"), &json!("api_key"))
    );
    let cut = call(&edge, create("ak_read")).await;
    cut.refused(403, "FORBIDDEN");
    assert_eq!(cut.body["message"], "this key's scopes do not include post:create");
    assert_eq!(call(&edge, signed(get("/api/v1/things"), "ak_read")).await.status, 200);
    let raw = get("/api/v1/things").insert_header(("authorization", "ak_read"));
    assert_eq!(call(&edge, raw).await.status, 200, "a bare key, as some clients send it");
    call(&edge, signed(post("/api/v1/admin", &json!({"name": "x"})), "ak_sys"))
        .await
        .refused(403, "FORBIDDEN");
    call(&edge, signed(get("/api/v1/me"), "ak_read")).await.refused(403, "FORBIDDEN");
    call(&edge, signed(TestRequest::post().uri("/api/v1/password"), "ak_all"))
        .await
        .refused(403, "FORBIDDEN");
    let foreign = signed(TestRequest::put().uri(&format!("/api/v1/orgs/{ELSEWHERE}")), "ak_all");
    call(&edge, foreign).await.refused(404, "NOT_FOUND");
}

#[actix_web::test]
async fn a_key_of_someone_who_left_is_dead() {
    let (edge, _) = with(People::default().key("ak_all", &[])).await;
    call(&edge, signed(get("/api/v1/things"), "ak_all")).await.refused(401, "MEMBERSHIP_ENDED");
    call(&edge, signed(get("/api/v1/me"), "ak_all")).await.refused(401, "MEMBERSHIP_ENDED");
}

#[actix_web::test]
async fn the_operator_needs_no_role_and_no_role_makes_an_operator() {
    let admin = |token: &str| signed(post("/api/v1/admin", &json!({"name": "x"})), token);
    let (edge, token) = with(People { operator: true, ..People::default() }).await;
    assert_eq!(call(&edge, admin(&token)).await.status, 200);
    call(&edge, signed(get("/api/v1/things"), &token)).await.refused(403, "FORBIDDEN");
    let (edge, token) = with(People::with(Role::Owner)).await;
    call(&edge, admin(&token)).await.refused(403, "FORBIDDEN");
}

#[actix_web::test]
async fn limits_hold_by_address_by_user_and_by_key() {
    let rate_limits = RateLimitPolicy {
        anonymous: vec![Rate::per_minute(3)],
        auth: vec![Rate::per_minute(2)],
        signed_in: vec![Rate::per_minute(2)],
        api_key: vec![Rate::per_minute(1)],
        ..RateLimitPolicy::default()
    };
    let config = HttpConfig { rate_limits, ..config() };
    let edge = edge(People::with(Role::Owner).key("ak_a", &[]), config).await;
    let token = token(&edge);
    let me = || signed(get("/api/v1/me"), &token);
    assert_eq!(call(&edge, me()).await.header("ratelimit-remaining"), "1");
    assert_eq!(call(&edge, me()).await.status, 200);
    let over = call(&edge, me()).await;
    over.refused(429, "RATE_LIMIT_EXCEEDED");
    assert!((1..=30).contains(&over.header("retry-after").parse::<u64>().expect("seconds")));
    assert_eq!(call(&edge, signed(get("/api/v1/me"), "ak_a")).await.status, 200);
    call(&edge, signed(get("/api/v1/me"), "ak_a")).await.refused(429, "RATE_LIMIT_EXCEEDED");
    let login = || post("/api/v1/login", &json!({"name": "x"}));
    assert_eq!(call(&edge, login()).await.status, 200);
    assert_eq!(call(&edge, login()).await.status, 200);
    call(&edge, login()).await.refused(429, "RATE_LIMIT_EXCEEDED");
    call(&edge, signed(get("/api/v1/me"), "guess")).await.refused(401, "TOKEN_INVALID");
    call(&edge, signed(get("/api/v1/me"), "guess")).await.refused(429, "RATE_LIMIT_EXCEEDED");
}

#[actix_web::test]
async fn limits_follow_the_tier_of_the_organization() {
    let of = |user, api_key| TierRates {
        signed_in: vec![Rate::per_minute(user)],
        api_key: vec![Rate::per_minute(api_key)],
    };
    let name = |name| TierName::parse(name).expect("is a name");
    let rate_limits = RateLimitPolicy {
        signed_in: vec![Rate::per_minute(9)],
        by_tier: [(name("free"), of(2, 1)), (name("pro"), of(4, 3))].into(),
        ..RateLimitPolicy::default()
    };
    for (tier, user, api_key) in [("free", 2, 1), ("pro", 4, 3), ("gone", 9, 100)] {
        let config = HttpConfig { rate_limits: rate_limits.clone(), ..config() };
        let people = People { tier, ..People::with(Role::Owner).key("ak_a", &[]) };
        let edge = edge(people, config).await;
        let token = token(&edge);
        for (credential, limit) in [(token.as_str(), user), ("ak_a", api_key)] {
            let me = || signed(get("/api/v1/me"), credential);
            for left in (0..limit).rev() {
                let answer = call(&edge, me()).await;
                assert_eq!(answer.header("ratelimit-limit"), limit.to_string(), "{tier}");
                assert_eq!(answer.header("ratelimit-remaining"), left.to_string(), "{tier}");
            }
            call(&edge, me()).await.refused(429, "RATE_LIMIT_EXCEEDED");
        }
    }
    // A profile of bursts holds in every tier.
    let bounded = rate_limits.with_bursts_bounded();
    assert!(bounded.by_tier.values().all(|rates| rates.signed_in.len() == 3 && rates.api_key.len() == 3));
}
