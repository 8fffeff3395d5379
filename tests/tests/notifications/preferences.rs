//! Which kinds a person wants to be told, by which ways.

use annals_tests::{Server, StatusCode};
use serde_json::json;

use crate::support::{failing, kinds, told};

#[tokio::test]
async fn they_begin_with_what_needs_a_person_and_change_kind_by_kind() {
    let server = Server::start().await;
    let ada = server.api().register("Ada").await;
    let path = "notifications/preferences";
    let first = ada.api.get(path).await.expect(StatusCode::OK);
    assert_eq!(first.at("/data/post_failed"), &json!({"inApp": true, "email": true}));
    assert_eq!(first.at("/data/member_joined"), &json!({"inApp": true, "email": false}));
    assert_eq!(first.at("/data/post_published"), &json!({"inApp": false, "email": false}));
    assert_eq!(first.at("/data").as_object().map(|kinds| kinds.len()), Some(11));

    let body = json!({"post_published": {"inApp": true}, "post_failed": {"email": false}});
    let changed = ada.api.patch(path, body).await.expect(StatusCode::OK);
    assert_eq!(changed.at("/data/post_published"), &json!({"inApp": true, "email": false}));
    assert_eq!(changed.at("/data/post_failed"), &json!({"inApp": true, "email": false}));
    assert_eq!(ada.api.get(path).await.at("/data"), changed.at("/data"));
    for (body, field) in [
        (json!({"post_lost": {"inApp": true}}), "post_lost"),
        (json!({"post_failed": {"sms": true}}), "post_failed.sms"),
        (json!({"post_failed": {"email": "no"}}), "post_failed.email"),
        (json!({"post_failed": true}), "post_failed"),
    ] {
        ada.api.patch(path, body).await.expect_field(StatusCode::BAD_REQUEST, field);
    }
    assert_eq!(ada.api.get(path).await.at("/data"), changed.at("/data"), "nothing of a bad request holds");
}

#[tokio::test]
async fn what_is_switched_off_is_not_told() {
    let server = Server::start().await;
    let ada = server.api().register("Ada").await;
    let off = json!({"member_joined": {"inApp": false}});
    ada.api.patch("notifications/preferences", off).await.expect(StatusCode::OK);
    ada.member("user").await;
    failing(&ada.api, "Hello").await;
    let answer = told(&ada.api, 1).await;
    assert_eq!(kinds(&answer), ["post_failed"], "that somebody joined was before it");
}
