//! How often may be called follows the tier of the organization that is called for.

use annals_tests::{Answer, Api, Settings, StatusCode};
use serde_json::json;

use crate::support::House;

/// Limits as the product has them, but for those by address: all tests come from one.
fn limited() -> Settings {
    Settings::none()
        .variable("ANNALS_OUTBOUND_ALLOW_NETWORKS", "127.0.0.0/8,::1/128")
        .variable("ANNALS_RATE_LIMITS_ANONYMOUS_PER_MINUTE", 100_000)
        .variable("ANNALS_RATE_LIMITS_AUTH_PER_MINUTE", 100_000)
        .variable("ANNALS_RATE_LIMITS_USER_PER_MINUTE", 90)
        .variable("ANNALS_RATE_LIMITS_API_KEY_PER_MINUTE", 20)
}

/// So many calls in a row: the headers of the first, and how many were refused.
async fn calls(api: &Api, count: usize) -> (Answer, usize) {
    let first = api.get("posts/tags").await;
    let mut refused = usize::from(first.status == StatusCode::TOO_MANY_REQUESTS);
    for _ in 1..count {
        let answer = api.get("posts/tags").await;
        if answer.status == StatusCode::TOO_MANY_REQUESTS {
            refused += 1;
            let wait =
                answer.headers.get("retry-after").and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
            assert!(wait.is_some_and(|wait| (1..=60).contains(&wait)), "{:?}", answer.headers);
        }
    }
    (first, refused)
}

fn limit(answer: &Answer) -> String {
    let header = answer.headers.get("ratelimit-limit").and_then(|value| value.to_str().ok());
    header.unwrap_or_default().to_string()
}

/// A slow machine lets some calls through that became possible meanwhile.
#[track_caller]
fn about(refused: usize, expected: usize, slack: usize) {
    assert!(refused <= expected && refused + slack >= expected, "{refused} of about {expected} were refused");
}

#[tokio::test]
async fn a_users_calls_follow_the_tier_and_a_new_one_holds_at_once() {
    let house = House::with(limited()).await;
    let bea = house.tenant("Bea", "small").await;
    let started = std::time::Instant::now();
    let (first, refused) = calls(&bea.api, 50).await;
    let passed = usize::try_from(started.elapsed().as_secs() / 2 + 2).expect("is small");
    assert_eq!(limit(&first), "30");
    about(refused, 50 - 30, passed);
    house.set(&bea.organization_id, "medium").await;
    let answer = bea.api.get("posts/tags").await.expect(StatusCode::OK);
    assert_eq!(limit(&answer), "60");
    // A tier without a rate of its own has the installation's.
    let position = house.set(&bea.organization_id, "large").await.position();
    let answer = bea.api.get("posts/tags").await.expect(StatusCode::OK);
    assert_eq!(limit(&answer), "90");
    let usage = bea
        .api
        .with_header("Annals-After", position)
        .get(&format!("agencies/{}/usage", bea.organization_id))
        .await
        .expect(StatusCode::OK);
    assert_eq!(usage.at("/data/callsPerMinute"), &json!({"user": 90, "apiKey": 20}));
    house.set(&bea.organization_id, "small").await;
    bea.api.get("posts/tags").await.expect(StatusCode::TOO_MANY_REQUESTS);
}

#[tokio::test]
async fn a_keys_calls_follow_the_tier_of_its_organization() {
    let house = House::with(limited()).await;
    let bea = house.tenant("Bea", "small").await;
    let made = bea.api.post("settings/api-keys", json!({"name": "CI"})).await.expect(StatusCode::CREATED);
    let key = house.server.api().with_token(&made.text_at("/data/key"));
    let started = std::time::Instant::now();
    let (first, refused) = calls(&key, 16).await;
    let passed = usize::try_from(started.elapsed().as_secs() / 10 + 1).expect("is small");
    assert_eq!(limit(&first), "6");
    about(refused, 16 - 6, passed);
    // Its creator's own calls are counted apart.
    assert_eq!(limit(&bea.api.get("posts/tags").await.expect(StatusCode::OK)), "30");
    house.set(&bea.organization_id, "large").await;
    assert_eq!(limit(&key.get("posts/tags").await.expect(StatusCode::OK)), "20");
    // In an organization of another tier the same person has what that one has.
    let more = bea.api.post("agencies", json!({"name": "Another"})).await.expect(StatusCode::CREATED);
    let other = more.text_at("/data/id");
    house.set(&other, "medium").await;
    let answer = bea.api.get(&format!("agencies/{other}/settings")).await.expect(StatusCode::OK);
    assert_eq!(limit(&answer), "60");
}
