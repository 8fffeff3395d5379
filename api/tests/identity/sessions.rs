//! Refresh tokens, cookies, the list of sessions, signing out.

use chrono::TimeDelta;
use serde_json::json;

use crate::support::{House, Person};

#[tokio::test]
async fn a_refresh_token_works_once_and_its_reuse_ends_the_family() {
    let house = House::new().await;
    let node = house.node().await;
    let first = node.register("ada@example.org").await;
    let refresh = |token: &str| json!({"refreshToken": token});
    let second =
        Person::of(&node.anonymous("POST", "/auth/refresh", refresh(&first.refresh)).await.expect(200));
    assert_ne!(first.refresh, second.refresh);
    node.get(&second, "/auth/me").await.expect(200);

    let reuse = node.anonymous("POST", "/auth/refresh", refresh(&first.refresh)).await;
    assert_eq!(reuse.refused(401), "SESSION_ENDED");
    let current = node.anonymous("POST", "/auth/refresh", refresh(&second.refresh)).await;
    assert_eq!(current.refused(401), "SESSION_ENDED", "the whole family is over");
    assert_eq!(node.get(&second, "/auth/me").await.refused(401), "SESSION_ENDED");
}

#[tokio::test]
async fn a_made_up_refresh_token_harms_nobody() {
    let house = House::new().await;
    let node = house.node().await;
    let ada = node.register("ada@example.org").await;
    let mut forged = ada.refresh.clone().into_bytes();
    let middle = forged.len() / 2;
    forged[middle] = if forged[middle] == b'A' { b'B' } else { b'A' };
    let forged = json!({"refreshToken": String::from_utf8(forged).unwrap()});
    assert_eq!(node.anonymous("POST", "/auth/refresh", forged).await.refused(401), "SESSION_ENDED");
    node.anonymous("POST", "/auth/refresh", json!({"refreshToken": ada.refresh})).await.expect(200);
}

#[tokio::test]
async fn a_retried_refresh_gets_the_same_token_and_is_no_reuse() {
    let house = House::new().await;
    let node = house.node().await;
    let ada = node.register("ada@example.org").await;
    let body = json!({"refreshToken": ada.refresh});
    let key = [("idempotency-key", "lost-answer")];
    let first = node.send("POST", "/auth/refresh", &key, Some(&body)).await.expect(200);
    let second = node.send("POST", "/auth/refresh", &key, Some(&body)).await.expect(200);
    assert_eq!(first["data"]["refreshToken"], second["data"]["refreshToken"]);
    node.get(&Person::of(&second), "/auth/me").await.expect(200);
}

#[tokio::test]
async fn the_cookie_refreshes_only_what_a_script_of_ours_sent() {
    let house = House::new().await;
    let node = house.node().await;
    let ada = node.register("ada@example.org").await;
    let cookie = format!("annals_refresh={}", ada.refresh);
    let bare = node.send("POST", "/auth/refresh", &[("cookie", &cookie)], None).await;
    assert_eq!(bare.refused(403), "CSRF");
    let foreign =
        [("cookie", cookie.as_str()), ("x-requested-with", "fetch"), ("origin", "https://evil.example")];
    assert_eq!(node.send("POST", "/auth/refresh", &foreign, None).await.refused(403), "CSRF");
    let ours = [("cookie", cookie.as_str()), ("x-requested-with", "fetch")];
    let reply = node.send("POST", "/auth/refresh", &ours, None).await;
    assert!(reply.headers["set-cookie"].to_str().unwrap().starts_with("annals_refresh=rt_"));
    reply.expect(200);
    let none = node.send("POST", "/auth/refresh", &[("x-requested-with", "fetch")], None).await;
    assert_eq!(none.faults(), ["refreshToken"]);
}

#[tokio::test]
async fn sessions_are_listed_and_revoked_one_by_one_or_all_others() {
    let house = House::new().await;
    let node = house.node().await;
    let here = node.register("ada@example.org").await;
    let there = node.log_in("ada@example.org").await;
    let elsewhere = node.log_in("ada@example.org").await;
    let listed = node.get(&here, "/auth/sessions").await.expect(200);
    let sessions = listed["data"].as_array().unwrap();
    assert_eq!(sessions.len(), 3);
    assert_eq!(sessions.iter().filter(|one| one["current"] == true).count(), 1);
    assert!(sessions.iter().all(|one| one["ip"] == "127.0.0.1" && one["userAgent"] == "annals-tests"));

    let there_id = node.get(&there, "/auth/me").await.expect(200)["data"]["sessionId"].clone();
    let path = format!("/auth/sessions/{}", there_id.as_str().unwrap());
    node.act(&here, "DELETE", &path).await.expect(200);
    assert_eq!(node.get(&there, "/auth/me").await.refused(401), "SESSION_ENDED");
    node.get(&elsewhere, "/auth/me").await.expect(200);

    let eve = node.register("eve@example.org").await;
    let eves = node.get(&eve, "/auth/me").await.expect(200)["data"]["sessionId"].clone();
    let path = format!("/auth/sessions/{}", eves.as_str().unwrap());
    assert_eq!(node.act(&here, "DELETE", &path).await.refused(404), "SESSION_NOT_FOUND");
    node.get(&eve, "/auth/me").await.expect(200);

    node.act(&here, "DELETE", "/auth/sessions").await.expect(200);
    assert_eq!(node.get(&elsewhere, "/auth/me").await.refused(401), "SESSION_ENDED");
    assert_eq!(node.get(&here, "/auth/sessions").await.expect(200)["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn signing_out_ends_the_session_and_takes_the_cookie() {
    let house = House::new().await;
    let node = house.node().await;
    let ada = node.register("ada@example.org").await;
    let reply = node.act(&ada, "POST", "/auth/logout").await;
    let cookie = reply.headers["set-cookie"].to_str().unwrap().to_string();
    assert!(cookie.starts_with("annals_refresh=;") && cookie.contains("Max-Age=0"), "{cookie}");
    reply.expect(200);
    assert_eq!(node.get(&ada, "/auth/me").await.refused(401), "SESSION_ENDED");
    let refresh = json!({"refreshToken": ada.refresh});
    assert_eq!(node.anonymous("POST", "/auth/refresh", refresh).await.refused(401), "SESSION_ENDED");
}

#[tokio::test]
async fn tokens_expire_after_an_hour_and_sessions_thirty_days_after_their_last_refresh() {
    let house = House::new().await;
    let node = house.node().await;
    let ada = node.register("ada@example.org").await;
    house.clock.advance(TimeDelta::minutes(61));
    assert_eq!(node.get(&ada, "/auth/me").await.refused(401), "TOKEN_EXPIRED");
    house.clock.advance(TimeDelta::days(29));
    let body = json!({"refreshToken": ada.refresh});
    let ada = Person::of(&node.anonymous("POST", "/auth/refresh", body).await.expect(200));
    house.clock.advance(TimeDelta::days(29));
    let body = json!({"refreshToken": ada.refresh});
    let ada = Person::of(&node.anonymous("POST", "/auth/refresh", body).await.expect(200));
    house.clock.advance(TimeDelta::days(30));
    let body = json!({"refreshToken": ada.refresh});
    assert_eq!(node.anonymous("POST", "/auth/refresh", body).await.refused(401), "SESSION_ENDED");
}
