//! Personal data is opened for a reason, and that is recorded before it is shown.

use annals_tests::{Server, StatusCode};
use serde_json::{Value, json};

#[tokio::test]
async fn opening_personal_data_leaves_an_event_with_who_and_why() {
    let server = Server::start().await;
    let root = server.api().register("Root").await;
    let ada = server.api().register("Ada").await;
    let (auditor, admin) = (ada.member("auditor").await, ada.member("admin").await);
    let eve = server.api().register("Eve").await;
    let created = ada.api.post("posts", json!({"content": "An idea", "type": "draft"})).await;
    let position = created.expect(StatusCode::CREATED).position();
    let path = format!("events/{position}/open");
    let reason = |text: &str| json!({"reason": text});

    admin.post(&path, reason("curiosity")).await.expect(StatusCode::FORBIDDEN);
    eve.api.post(&path, reason("curiosity")).await.expect(StatusCode::NOT_FOUND);
    for wrong in ["", " ", &"x".repeat(501)] {
        auditor.post(&path, reason(wrong)).await.expect_field(StatusCode::BAD_REQUEST, "reason");
    }
    auditor.post(&path, json!({})).await.expect_field(StatusCode::BAD_REQUEST, "reason");
    let seen = auditor.get("events?type=operations").await.expect(StatusCode::OK);
    assert_eq!(seen.at("/data"), &json!([]), "nothing was opened");

    let opened = auditor.post(&path, reason("case 17")).await.expect(StatusCode::OK);
    assert_eq!(opened.at("/data/0/client/$personal/value/ip"), "127.0.0.1");
    let trace = auditor.get(&format!("events/{}", opened.position())).await.expect(StatusCode::OK);
    let event = trace.at("/data/events/0");
    assert_eq!(event["type"], "operations.personal_data.opened");
    assert_eq!(event["command"], "OpenPersonalData");
    let subjects = json!([format!("user:{}", ada.user_id)]);
    assert_eq!(event["data"], json!({"position": position, "subjects": subjects, "reason": "case 17"}));
    assert_eq!(event["actor"]["type"], "user");

    // The operator's are told to the organization whose event it is.
    root.api.post(&path, reason("support")).await.expect(StatusCode::OK);
    let told = ada.api.get("events?type=operations").await.expect(StatusCode::OK);
    assert_eq!(told.at("/data/1/actor/id"), root.user_id.as_str());
    assert_eq!(told.at("/data/1/data/reason"), "support");
    assert_eq!(told.at("/data/2"), &Value::Null);
}

#[tokio::test]
async fn secrets_are_never_opened_and_the_forgotten_stay_forgotten() {
    let server = Server::start().await;
    let root = server.api().register("Root").await;
    let ada = server.api().register("Ada Lovelace").await;
    let query = format!("events?aggregateId={}&type=identity.user.registered", ada.user_id);
    let registered = root.api.get(&query).await.expect(StatusCode::OK);
    let path = format!("events/{}/open", registered.at("/data/0/position"));
    let open = async || root.api.post(&path, json!({"reason": "a test"})).await.expect(StatusCode::OK);
    let opened = open().await;
    assert!(opened.text.contains("Lovelace") && opened.text.contains(&ada.email));
    assert!(!opened.text.contains("$argon2"), "{}", opened.text);
    assert_eq!(opened.at("/data/0/data/password/$secret/value"), &Value::Null);

    ada.api.delete("users/account").await.expect(StatusCode::OK);
    let opened = open().await;
    assert!(!opened.text.contains("Lovelace") && !opened.text.contains(&ada.email));
}
