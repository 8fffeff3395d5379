//! A stream lives as long as what opened it: session, membership, key; and tickets, cookies, sockets.

use annals_tests::{Account, Api, PASSWORD, Server, StatusCode};
use futures::StreamExt as _;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::{Error, Message, client::IntoClientRequest as _, http::HeaderValue};

use crate::stream::{Events, draft, listeners};

async fn ticket(api: &Api) -> String {
    api.post("live/tickets", json!({})).await.expect(StatusCode::CREATED).text_at("/data/ticket")
}

fn socket_url(server: &Server, query: &str) -> String {
    format!("{}/api/v1/live?{query}", server.url().replace("http://", "ws://"))
}

async fn ended(events: Events, code: &str) {
    let last = events.last_word().await;
    assert_eq!((last.name.as_str(), &last.data["code"]), ("end", &json!(code)));
}

#[tokio::test]
async fn a_stream_ends_with_the_session_the_membership_or_the_key() {
    let server = Server::start().await;
    let ada = server.api().register("Ada").await;
    let again = server.api().login(&ada.email, PASSWORD).await;
    let of_session = Events::open(&again.api, "live").await;
    again.api.post("auth/logout", json!({})).await.expect(StatusCode::OK);
    ended(of_session, "SESSION_ENDED").await;

    let key = ada.api.post("settings/api-keys", json!({"name": "Feed"})).await.expect(StatusCode::CREATED);
    let of_key = Events::open(&server.api().with_token(&key.text_at("/data/key")), "live").await;
    let revoke = format!("settings/api-keys/{}", key.text_at("/data/id"));
    ada.api.delete(&revoke).await.expect(StatusCode::OK);
    ended(of_key, "UNAUTHORIZED").await;

    let user = ada.member("user").await;
    let of_member = Events::open(&user, "live").await;
    let me = user.get("auth/me").await.expect(StatusCode::OK).text_at("/data/user/id");
    let member = format!("agencies/{}/members/{me}", ada.organization_id);
    ada.api.delete(&member).await.expect(StatusCode::OK);
    ended(of_member, "MEMBERSHIP_ENDED").await;
    listeners(&server, 0).await;
}

#[tokio::test]
async fn whoever_is_demoted_sees_less_at_once() {
    let server = Server::start().await;
    server.api().register("Root").await;
    let ada = server.api().register("Ada").await;
    let auditor = ada.member("auditor").await;
    let mut events = Events::open(&auditor, "live?type=publishing").await;
    draft(&ada.api, "One").await;
    assert!(events.next().await.expect("is told").data["data"].is_object());
    let me = auditor.get("auth/me").await.expect(StatusCode::OK).text_at("/data/user/id");
    let member = format!("agencies/{}/members/{me}", ada.organization_id);
    ada.api.patch(&member, json!({"role": "viewer"})).await.expect(StatusCode::OK);
    draft(&ada.api, "Two").await;
    assert_eq!(events.next().await.expect("is told").data["data"], Value::Null);
}

#[tokio::test]
async fn a_ticket_opens_one_stream_on_any_node() {
    let server = Server::start().await;
    let node = server.node().await;
    let ada = server.api().register("Ada").await;
    let ticket = ticket(&ada.api).await;
    let path = format!("live?after=0&type=identity.user&ticket={ticket}");
    let mut events = Events::open(&node.api(), &path).await;
    assert_eq!(events.next().await.expect("is told").data["type"], "identity.user.registered");
    for api in [server.api(), node.api()] {
        let refused = api.get(&path).await.expect(StatusCode::UNAUTHORIZED);
        assert!(refused.text.contains("was used"), "{}", refused.text);
    }
    let elsewhere = server.api().get(&format!("posts?ticket={ticket}")).await;
    elsewhere.expect(StatusCode::UNAUTHORIZED);
    server.api().with_token(&ticket).get("posts").await.expect(StatusCode::UNAUTHORIZED);
}

async fn json_of(message: Option<Result<Message, Error>>) -> Value {
    let message = message.expect("the socket is open").expect("a message arrives");
    serde_json::from_str(message.to_text().expect("is text")).expect("is JSON")
}

#[tokio::test]
async fn a_web_socket_tells_the_same_and_only_our_pages_open_one() {
    let server = Server::start().await;
    let ada: Account = server.api().register("Ada").await;
    let url = socket_url(&server, &format!("type=publishing&ticket={}", ticket(&ada.api).await));
    let mut foreign = url.clone().into_client_request().expect("is a request");
    foreign.headers_mut().insert("Origin", HeaderValue::from_static("https://evil.example"));
    match tokio_tungstenite::connect_async(foreign).await {
        Err(Error::Http(answer)) => assert_eq!(answer.status(), 403),
        other => panic!("a foreign page opened a socket: {other:?}"),
    }
    let url = socket_url(&server, &format!("type=publishing&ticket={}", ticket(&ada.api).await));
    let mut own = url.into_client_request().expect("is a request");
    let origin = HeaderValue::from_str(&server.url()).expect("is a header");
    own.headers_mut().insert("Origin", origin);
    let (mut socket, _) = tokio_tungstenite::connect_async(own).await.expect("opens");
    let begin = json_of(socket.next().await).await;
    assert_eq!(begin["kind"], "heartbeat");
    let position = draft(&ada.api, "Hello").await;
    let told = json_of(socket.next().await).await;
    assert_eq!((&told["kind"], &told["event"]["position"]), (&json!("event"), &json!(position)));
    assert!(told["event"]["data"].is_object());
    ada.api.post("auth/logout", json!({})).await.expect(StatusCode::OK);
    let end = json_of(socket.next().await).await;
    assert_eq!((&end["kind"], &end["code"]), (&json!("end"), &json!("SESSION_ENDED")));
    match socket.next().await {
        Some(Ok(Message::Close(Some(frame)))) => assert_eq!(u16::from(frame.code), 1008),
        other => panic!("it is not closed: {other:?}"),
    }
}

#[tokio::test]
async fn a_page_listens_with_its_cookie() {
    let server = Server::start().await;
    let ada = server.api().register("Ada").await;
    let form = server.api().request(annals_tests::Method::POST, "/console/sign-in");
    let signed_in = Api::send(form.form(&[("email", ada.email.as_str()), ("password", PASSWORD)])).await;
    let cookie = signed_in.headers.get_all("set-cookie").iter();
    let cookie = cookie.filter_map(|cookie| cookie.to_str().ok()?.split(';').next()).collect::<Vec<_>>();
    let page = server.api().with_header("Cookie", cookie.join("; "));
    let mut events = Events::open(&page, "/console/live?type=publishing").await;
    let position = draft(&ada.api, "Hello").await;
    assert_eq!(events.positions(1).await, [position]);
    let without = server.api().get("/console/live").await;
    assert_ne!(without.status, StatusCode::OK, "{}", without.text);
}
